//! The execution layer through its public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod announce;
mod blocks;
mod bridge;
mod coin;
mod contracts;
mod economy;
mod ethereum;
mod evm;
mod forgery;
mod governance;
mod points;
mod properties;
mod rotation;
mod staking;
mod support;
mod valves;
