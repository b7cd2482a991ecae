//! The relayer: carries packets between native chains and Ethereum, both ways.
//!
//! It holds no power. Anybody may deliver any packet; the chains check the proofs, and delivering
//! twice does nothing. What a relayer promises is that nothing is forgotten:
//!
//! ```txt
//! worker::to_ethereum    outbox of the native chain  --certificate + paths-->  deliver on Ethereum
//! worker::to_native      PacketSent on Ethereum      --storage proofs-------->  deliver on the native chain
//! ```
//!
//! Each worker finds packets by counting (outbox index, sequence), so a gap shows and is never
//! skipped. It sends batches, one transaction at a time for each of its keys, written to the
//! database before anybody sees it ([`transaction`]). A packet that is refused is set aside and
//! tried again later while the others go on. A packet is done when its receipt is final at the
//! destination.
//!
//! ```txt
//! config, rules        what it is told            command   its verbs
//! route                one route, put together    watch     looks at it from time to time
//! chain, keys, store   what it works with         http      shows it: metrics, health, pages
//! worker, transaction  the work                   metrics   figures
//! swaps                hashed-timelock swaps, completed for either side
//! ```

pub mod chain;
pub mod clock;
pub mod config;
pub mod http;
pub mod keys;
pub mod metrics;
pub mod rules;
pub mod store;
pub mod swaps;
pub mod transaction;
pub mod worker;

mod command;
mod error;
mod route;
mod watch;

pub use command::{Command, run};
pub use error::Error;
