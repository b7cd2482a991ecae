//! `mileverse bench rewards`: a quarter's close and its paying.
//!
//! ```txt
//! executor   one node's execution and state database, without consensus: what rewards add
//! net        a committee as processes, with traffic over JSON-RPC, across a quarter's end
//! ```
//!
//! At the end of both every holder is read back and compared with what it should have.

mod executor;
mod net;

use crate::error::{Error, within};
use alloy::primitives::{Address, U256, keccak256};
use clap::Args;
use mileverse_consensus::pages;
use mileverse_primitives::staking::coins;
use std::num::NonZeroU32;

/// Most holders: each is some hundred bytes of the machine's memory before the state is on disk.
const MOST_HOLDERS: u64 = 10_000_000;
/// Most holders of a net: each is given its coin by a transaction.
const MOST_IN_A_NET: u64 = 2_000_000;
/// MVC of all holders, about, at most: of the 3,000,000,000 that there are.
const MOST_HELD: u64 = 2_500_000_000;

/// A quarter's close and its paying: time, what becomes of transfers meanwhile, and every sum.
#[derive(Args, Clone, Debug)]
pub struct Command {
    /// Accounts that hold coin.
    #[arg(long, default_value_t = 100_000)]
    holders: u64,
    /// Holders that a block visits.
    #[arg(long, default_value_t = 1_000)]
    per_block: u64,
    /// Memory for pages of the state, MiB, as `cache_mib` of a node's configuration.
    #[arg(long, default_value_t = pages::LEAST_MIB)]
    cache_mib: NonZeroU32,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    executor: executor::Options,
    #[command(flatten)]
    net: net::Options,
}

/// Runs the verb.
pub fn run(command: &Command) -> Result<(), Error> {
    within("holders", command.holders, (1, MOST_HOLDERS), "")?;
    within("per-block", command.per_block, (1, 10_000), "")?;
    let cache = command.cache_mib.get().into();
    within(
        "cache-mib",
        cache,
        (1, pages::MOST_MIB.get().into()),
        " MiB",
    )?;
    let conserved = if command.net.asked() {
        within("holders", command.holders, (1, MOST_IN_A_NET), " in a net")?;
        net::run(command)?
    } else {
        executor::run(command)?
    };
    if conserved {
        Ok(())
    } else {
        Err(Error::Setup(
            "what was paid is not what should have been; see the report".into(),
        ))
    }
}

fn holder(number: u64) -> Address {
    Address::from_word(keccak256(number.to_be_bytes()))
}

/// From 10 to 1,009 MVC and some; less where so many holders would have more than there is.
fn holding(number: u64, holders: u64) -> U256 {
    let spread = (2 * MOST_HELD / holders.max(1)).saturating_sub(20);
    coins(10 + number * 7_919 % spread.clamp(1, 1_000)) + U256::from(number)
}

/// What a holder with `had` should have been paid; what is below `least` is carried.
fn share(had: U256, pot: U256, eligible: U256, least: U256) -> U256 {
    let earned = (pot * had).checked_div(eligible).unwrap_or_default();
    if earned < least { U256::ZERO } else { earned }
}
