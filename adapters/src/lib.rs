//! One plugin per partner protocol.
//!
//! An [`Adapter`] speaks to one partner on the gateway's behalf: it authenticates a member, reads
//! a balance, and debits, inquires and reverses under **our** reference. It keeps no state of its
//! own that matters: everything that must survive a crash is the gateway's.
//!
//! ```txt
//! adapter       the trait, and what a partner can do
//! outcome       what a call can have come to: done, refused, or unknown
//! miles         whole miles
//! airline/      JSON over HTTP with OAuth 2.0
//! testkit       scenarios that every adapter is put through
//! ```

pub mod adapter;
pub mod airline;
pub mod miles;
pub mod outcome;
pub mod testkit;

pub use adapter::{Adapter, Capabilities, MemberId, Reference, Session};
pub use miles::Miles;
pub use outcome::{AskError, Debit, Inquiry, Known, Refusal, Reversal, Unknown};
