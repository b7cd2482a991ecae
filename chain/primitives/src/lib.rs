//! What everybody who meets the native chain must agree on: packets, the outbox tree, headers,
//! the genesis file, and the ABIs of the system modules.
//!
//! Nothing here does I/O or knows a database; validators, the relayer, wallets and the gateway
//! all depend on it and on nothing deeper of the chain.

pub mod abi;
pub mod address;
pub mod bridge;
pub mod certificate;
pub mod checkpoint;
pub mod contracts;
pub mod exchange;
pub mod fees;
pub mod genesis;
pub mod header;
pub mod limits;
pub mod outbox;
pub mod packet;
pub mod peers;
pub mod points;
pub mod quarter;
pub mod registration;
pub mod rewards;
pub mod rpc;
pub mod schedule;
pub mod staking;
pub mod vote;

pub use alloy::primitives::{Address, B256, Bytes, U256, address, b256, keccak256};
