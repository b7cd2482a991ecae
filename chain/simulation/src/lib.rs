//! Whole networks of real validators in a seeded, deterministic runtime.
//!
//! ```txt
//!  Scenario (data) ──> World: runtime with a virtual clock, simulated network and disks
//!                        │ starts, crashes, cuts off
//!                        ├── validator 0: consensus, execution, state of mileverse-consensus
//!                        ├── validator 1 …
//!                        │ final blocks
//!                      Ledger: every block, compared as it comes ──> Outcome or Failure
//! ```
//!
//! The validators run the node's own code with real signatures; only network, disk, clock and
//! Ethereum are simulated. JSON-RPC and gossip are left out: each validator's mempool is filled by
//! a simulated client. The same [`Scenario`] gives the same run, so a failure is replayed by its
//! name and seed.

#![recursion_limit = "512"]

mod catalogue;
mod committee;
mod deaf;
mod disk;
mod engine;
mod error;
mod ethereum;
mod ledger;
mod load;
mod quarter;
mod rota;
mod scenario;
mod validator;
mod voice;
mod world;

pub use catalogue::{KINDS, Kind, find};
pub use deaf::Deaf;
pub use engine::{CHANNELS, Launch, Launched, launch};
pub use error::Failure;
pub use ethereum::{Clock as EthereumClock, Endpoint, truth};
pub use ledger::Final;
pub use quarter::{Paid, QuarterEnd};
pub use rota::Rota;
pub use scenario::{Disk, Endpoints, Fault, Line, Malice, Pace, Scenario};
pub use voice::{Audience, Voice};
pub use world::{Outcome, Sight, most_views, run, run_twice};
