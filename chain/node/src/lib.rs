//! A node of the native chain as its operator sees it: the verbs `mileverse node` and `mileverse
//! genesis`, configuration, sealed keys, metrics.
//!
//! ```txt
//!   operator ──> [command] ──> [config], [secrets] ──> mileverse-consensus <── other validators
//!                    |                                      |
//!                    ├──> mileverse-rpc  <── wallets, relayer, gateway
//!                    └──> [metrics]      <── Prometheus
//! ```
//!
//! This crate holds the one place where the engine meets a real runtime, real disks and a real
//! network (`command::run`); everything before that is generic and lives in `mileverse-consensus`.

pub mod command;
pub mod config;
pub mod dealer;
pub mod memory;
pub mod metrics;
pub mod secrets;

mod error;
mod leftovers;

pub use command::{Command, genesis, run};
pub use error::Error;
