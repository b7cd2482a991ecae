//! The member's wallet: keys, balances, transfers, the bridge, stake and votes.
//!
//! [`client`] does the work and is what other crates use; [`Command`] is `mileverse wallet`,
//! [`delegate`] is `mileverse delegate`, [`rewards`] is `mileverse rewards`, [`fees`] is
//! `mileverse fees`.
//! [`timelock`] reads hashed-timelock swaps, for the relayer, too.
//! [`units`] is the one place where decimal text becomes integers; [`keystore`] the one place
//! where private keys are read and written.

pub mod client;
pub mod delegate;
pub mod fees;
pub mod keystore;
pub mod permit;
pub mod review;
pub mod rewards;
pub mod rpc;
pub mod timelock;
pub mod transaction;
pub mod units;
pub mod words;

mod access;
mod clock;
mod command;
mod module;
mod secrets;

pub use access::NoEndpoint;
pub use command::{Command, Error, parse_address, run};
pub use secrets::SecretError;
