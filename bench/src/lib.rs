//! The verb `mileverse bench`: what the chain, the relayer and the gateway can do, in figures, and whether it holds in trouble.
//!
//! | verb | |
//! |---|---|
//! | `bench consensus` | blocks per second, finality and CPU, of real processes over TCP or simulated |
//! | `bench tps` | final transactions per second, handed in over public JSON-RPC |
//! | `bench rewards` | a quarter's close and its paying, in a net or on one node's execution and state database |
//! | `bench relay` | packets a minute, and how long each takes, through the whole system |
//! | `bench gateway` | conversions a second, and the time the gateway adds to each |
//! | `bench simulate` | seeded nights of trouble, from `mileverse-simulation` |

#![recursion_limit = "512"]

mod command;
mod consensus;
mod error;
mod figures;
mod gateway;
mod load;
mod machine;
mod net;
mod output;
mod progress;
mod relay;
mod rewards;
mod runtime;
mod simulate;
mod tps;

pub use command::{Command, run};
pub use error::Error;
