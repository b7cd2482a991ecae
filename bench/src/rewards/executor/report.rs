//! What was measured.

use crate::{figures::Percentiles, machine::Machine};
use serde::Serialize;
use std::num::NonZeroU32;

/// Times of blocks, of their work (executed, sealed, durable) or from one to the next.
#[derive(Clone, Debug, Serialize)]
pub struct BlockTimes {
    /// Of blocks before the quarter's end.
    pub before: Percentiles,
    /// Of the block that closed it, which pays its first holders, too.
    pub closing: f64,
    /// Of blocks that paid, with the closing one.
    pub during: Percentiles,
}

/// The figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Accounts with a number at the close, the senders of transfers among them.
    pub holders: u64,
    /// Holders that a block visits.
    pub per_block: u64,
    /// Coin transfers of each block.
    pub transfers_per_block: u64,
    /// The pace of blocks that is assumed.
    pub pace_ms: u64,
    /// Memory for pages of the state, MiB.
    pub cache_mib: NonZeroU32,
    /// Blocks from the close to the last payment.
    pub blocks_to_pay_all: u64,
    /// What they take at that pace, or at their own if that is slower.
    pub seconds_to_pay_all: f64,
    /// What they took here, one after the other.
    pub work_seconds_to_pay_all: f64,
    /// Transfers per second before the close, at that pace.
    pub tps_before: f64,
    /// The same while holders were paid.
    pub tps_during: f64,
    /// The second over the first.
    pub tps_ratio: f64,
    /// The same without a pace: block after block.
    pub unpaced_tps_ratio: f64,
    /// What a visited holder added to the work in the last quarter, microseconds.
    pub us_per_holder: f64,
    /// The same in each quarter.
    pub us_per_holder_by_quarter: Vec<f64>,
    /// From one block to the next at that pace, milliseconds: the pace, or the block's work if that
    /// takes longer.
    pub block_time_ms: BlockTimes,
    /// Work of a block, milliseconds.
    pub work_ms: BlockTimes,
    /// To open the state again, as a node's start does, milliseconds.
    pub open_ms: f64,
    /// Whether every holder has what its own computation says, and all sums balance.
    pub conserved: bool,
    /// What was paid, in the coin's smallest unit.
    pub paid: String,
    /// What of the pot is left.
    pub remainder: String,
    /// Where it was measured.
    pub machine: Machine,
}

impl Report {
    /// For people.
    pub fn rows(&self) -> Vec<[String; 2]> {
        let row = |name: &str, value: String| [name.to_owned(), value];
        let (times, paced) = (&self.work_ms, &self.block_time_ms);
        vec![
            row(
                "holders",
                format!("{}, {} a block", self.holders, self.per_block),
            ),
            row(
                "all paid",
                format!(
                    "{:.1} s at {} ms a block: {} blocks, {:.1} s of work",
                    self.seconds_to_pay_all,
                    self.pace_ms,
                    self.blocks_to_pay_all,
                    self.work_seconds_to_pay_all
                ),
            ),
            row(
                "cost of a holder",
                format!("{:?} µs, quarter by quarter", self.us_per_holder_by_quarter),
            ),
            row(
                "transfers",
                format!(
                    "{:.1} /s before, {:.1} /s meanwhile: {:.3} ({:.3} without a pace)",
                    self.tps_before, self.tps_during, self.tps_ratio, self.unpaced_tps_ratio
                ),
            ),
            row(
                "block time, p99",
                format!(
                    "{:.1} ms before, {:.1} ms meanwhile",
                    paced.before.p99, paced.during.p99
                ),
            ),
            row(
                "work of a block before",
                format!(
                    "p50 {:.1} ms, p99 {:.1} ms",
                    times.before.p50, times.before.p99
                ),
            ),
            row("of the closing block", format!("{:.1} ms", times.closing)),
            row(
                "of a block meanwhile",
                format!(
                    "p50 {:.1} ms, p99 {:.1} ms",
                    times.during.p50, times.during.p99
                ),
            ),
            row("the state opens in", format!("{:.0} ms", self.open_ms)),
            row("every sum is right", self.conserved.to_string()),
            row("machine", self.machine.words()),
            row("commit", self.machine.commit.to_owned()),
        ]
    }
}
