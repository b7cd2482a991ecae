//! A client of the gateway's API, for a partner's service.
//!
//! `examples/convert.rs`, from quote to points:
//!
//! ```no_run
#![doc = include_str!("../examples/convert.rs")]
//! ```
//!
//! - **Nothing happens twice.** Whatever moves something takes an [`IdempotencyKey`]: the same key
//!   with the same request has one effect and one answer, for ever.
//! - **It tries again** where that is safe (reads, and whatever can be said twice): after no answer,
//!   408, 429, 500, 502, 503, 504, and while the same request is still running; after growing,
//!   random pauses and not before `Retry-After`; [`Retry`] says how often and how long. Everything
//!   else is sent again only if it did not get out.
//! - **Unknown is not failed.** [`Error::may_have_happened`] tells the two apart.
//! - **Lists** come as pages or as a stream: [`Client::conversions`].
//! - **Signed requests** (RFC 9421): [`Builder::signing_key`]. Each attempt has a signature of its
//!   own.
//! - **Webhooks** are verified by [`message::verify`].
//! - The API key is never printed, goes nowhere but to the URL given, and travels over HTTPS, except
//!   to this very machine or if [`Builder::allow_http`] says so. Redirects are not followed.
//!
//! Limits: an answer of [`MAX_ANSWER_BYTES`]; [`Builder::timeout`] for each attempt.
//!
//! ```txt
//! setup     the builder
//! call      what is sent
//! exchange  sending, and sending again
//! error     what can go wrong
//! pages     lists
//! api       a method for each thing that can be asked
//! ```

mod api;
mod call;
mod error;
mod exchange;
mod pages;
mod setup;

pub use call::{Answer, Call, IdempotencyKey, Repeat};
pub use error::{Error, Problem};
pub use exchange::{MAX_ANSWER_BYTES, Retry};
pub use mileverse_gateway_api::{
    amount, books, conversions, float, members, message, problem, programmes, sandbox, signature,
    signing, statement, wallets, webhooks,
};
pub use setup::{Builder, Client};
