//! JSON-RPC: Ethereum's methods as wallets and tools expect them, and the chain's own.
//!
//! | file | what |
//! |---|---|
//! | `server` | listens, with its limits |
//! | `context` | what the methods answer from |
//! | `eth` | `eth_`, `net_`, `web3_` |
//! | `own` | `mileverse_`: certificates, outbox packets and paths, status |
//! | `reads` | one consistent look at the newest state; admission of transactions |
//! | `waiting` | what a node answers that has no state yet |
//! | `convert` | from the index to Ethereum's JSON shapes |
//! | `failure` | error codes and words |
//!
//! A final block is final at once, so `latest`, `safe`, `finalized` and `pending` name the same
//! block. Only the newest state is kept; a question about an older one is an error, not a guess.

mod context;
mod convert;
mod eth;
mod failure;
mod own;
mod reads;
mod server;
mod waiting;

pub use context::Context;
pub use reads::{Admission, Reads};
pub use server::{ServeError, serve, serve_waiting};
pub use waiting::Waiting;
