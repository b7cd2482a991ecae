//! A validator of the native chain: consensus, state, mempool, and the JSON-RPC that everybody
//! else talks to.
//!
//! ```txt
//!   wallets, relayer, gateway                     other validators
//!            | JSON-RPC                                 | TCP (authenticated, encrypted)
//!         [rpc] ---> [mempool] <---- gossip ------- [network]
//!            |            | candidates                  |
//!            |      [application] <--- simplex, marshal, stateful --- [consensus]
//!            |            | final blocks                |
//!         [index] <-------+------ changes -------> QMDB [state]
//!                         |
//!                    [ethereum]  this validator's own Ethereum endpoint
//! ```
//!
//! [`application`] is what consensus agrees on; it calls `mileverse-execution`, which knows no
//! network and no disk. [`index`] is derived data for JSON-RPC and can be rebuilt from blocks.

pub mod application;
pub mod attestation;
pub mod block;
pub mod bls;
pub mod command;
pub mod committee;
pub mod committees;
pub mod config;
pub mod consensus;
pub mod dealer;
pub mod duties;
pub mod equivocation;
pub mod ethereum;
pub mod evidence;
pub mod index;
pub mod mempool;
pub mod metrics;
pub mod misbehaviour;
pub mod proposal;
pub mod rotation;
pub mod rpc;
pub mod secrets;
pub mod signature;
pub mod state;
pub mod sync;
pub mod system;

mod error;

pub use command::{Command, genesis, run};
pub use error::Error;
