//! What the native chain's nodes agree on, and how: blocks, consensus, ceremonies, evidence, state,
//! the mempool and the index of final blocks.
//!
//! ```txt
//!      mileverse-rpc, mileverse-node                 other validators
//!            |                                          | TCP (authenticated, encrypted)
//!            └──> [mempool] <---- gossip ----------- [engine::network]
//!                     | candidates                      |
//!               [application] <--- simplex, marshal, stateful --- [engine]
//!                     | final blocks                    |
//!         [index] <---+---------- changes -------> QMDB [state]
//!                     |
//!                [ethereum]  this validator's own Ethereum endpoint
//! ```
//!
//! [`application`] is what consensus agrees on; it calls `mileverse-execution`, which knows no
//! network and no disk. [`index`] is derived data for JSON-RPC and can be rebuilt from blocks.
//! Everything is generic over the runtime: `mileverse-node` runs it over TCP and real disks,
//! `mileverse-simulation` from a seed.

pub mod application;
pub mod attestation;
pub mod block;
pub mod committee;
pub mod committees;
pub mod duties;
pub mod engine;
pub mod equivocation;
pub mod ethereum;
pub mod evidence;
pub mod index;
pub mod mempool;
pub mod misbehaviour;
pub mod offer;
pub mod pages;
pub mod proof;
pub mod proposal;
pub mod rotation;
pub mod signature;
pub mod stages;
pub mod state;
pub mod sync;
pub mod system;
pub mod watch;

pub use mileverse_execution::bls;
