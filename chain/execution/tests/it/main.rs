//! The execution layer through its public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod acknowledged;
mod announce;
mod batch;
mod blocks;
mod bridge;
mod coin;
mod contracts;
mod direct;
mod economy;
mod ethereum;
mod evm;
mod exchange;
mod fees;
mod forgery;
mod governance;
mod guardian;
mod lane;
mod payers;
mod peers;
mod points;
mod price;
mod properties;
mod questions;
mod rewards;
mod rotation;
mod signatures;
mod simulate;
mod staking;
mod support;
mod swaps;
mod timelock;
mod valves;
