//! What was measured in a net.

use crate::{figures::Percentiles, machine::Machine};
use serde::Serialize;
use std::num::NonZeroU32;

/// What became of the transfers of one span of time.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Successful final transfers per second.
    pub tps: f64,
    /// From handing in to final, milliseconds.
    pub finality_ms: Percentiles,
    /// From one final block to the next, milliseconds.
    pub block_time_ms: Percentiles,
}

/// Before the quarter's end, and while holders were paid.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Both {
    /// Before.
    pub before: Percentiles,
    /// From the close to the last payment.
    pub during: Percentiles,
}

/// Times from one final block to the next.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct BlockTimes {
    /// Before the quarter's end.
    pub before: Percentiles,
    /// From its last block to the one that closed it, which pays its first holders, too.
    pub closing: f64,
    /// From the close to the last payment.
    pub during: Percentiles,
}

/// The figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Accounts with a number at the close, the senders of transfers among them.
    pub holders: u64,
    /// Size of the committee.
    pub validators: usize,
    /// Holders that a block visits.
    pub per_block: u64,
    /// Transfers handed in each second, if that was fixed.
    pub rate: Option<u64>,
    /// Memory of each validator for pages of the state, MiB.
    pub cache_mib: NonZeroU32,
    /// Blocks from the close to the last payment.
    pub blocks_to_pay_all: u64,
    /// From the last block of the quarter to the last payment.
    pub seconds_to_pay_all: f64,
    /// Successful final transfers per second before the quarter's end.
    pub tps_before: f64,
    /// The same from the close to the last payment.
    pub tps_during: f64,
    /// The second over the first.
    pub tps_ratio: f64,
    /// From handing in to final.
    pub finality_ms: Both,
    /// From one final block to the next.
    pub block_time_ms: BlockTimes,
    /// Processors that all validators kept busy, over the whole time.
    pub cores_used: Option<f64>,
    /// Memory of the largest validator at the end, mebibytes.
    pub rss_mib: Option<u64>,
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
        let pace = self.rate.map_or_else(
            || "as fast as they become final".to_owned(),
            |rate| format!("{rate} handed in per second"),
        );
        let (finality, times) = (&self.finality_ms, &self.block_time_ms);
        let mut rows = vec![
            row(
                "holders",
                format!("{}, {} a block", self.holders, self.per_block),
            ),
            row("committee", format!("{} validators", self.validators)),
            row(
                "all paid",
                format!(
                    "{:.1} s, {} blocks",
                    self.seconds_to_pay_all, self.blocks_to_pay_all
                ),
            ),
            row("transfers", pace),
            row(
                "final",
                format!(
                    "{:.1} /s before, {:.1} /s meanwhile: {:.3}",
                    self.tps_before, self.tps_during, self.tps_ratio
                ),
            ),
            row(
                "finality",
                format!(
                    "before p50 {:.1} ms, p99 {:.1} ms; meanwhile p50 {:.1} ms, p99 {:.1} ms",
                    finality.before.p50,
                    finality.before.p99,
                    finality.during.p50,
                    finality.during.p99
                ),
            ),
            row(
                "block time",
                format!(
                    "before p50 {:.1} ms, p99 {:.1} ms; meanwhile p50 {:.1} ms, p99 {:.1} ms; the closing block {:.1} ms",
                    times.before.p50,
                    times.before.p99,
                    times.during.p50,
                    times.during.p99,
                    times.closing
                ),
            ),
        ];
        if let Some(cores) = self.cores_used {
            rows.push(row("processors busy", format!("{cores:.1}")));
        }
        if let Some(rss) = self.rss_mib {
            rows.push(row("memory", format!("{rss} MiB")));
        }
        rows.extend([
            row("every sum is right", self.conserved.to_string()),
            row("machine", self.machine.words()),
            row("commit", self.machine.commit.to_owned()),
        ]);
        rows
    }
}
