//! What was measured.

use crate::{figures::Percentiles, machine::Machine};
use serde::Serialize;

/// A committee's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Size of the committee.
    pub validators: usize,
    /// Time of a message one way, milliseconds.
    pub latency_ms: u64,
    /// Whether clock and network were simulated.
    pub simulated: bool,
    /// How votes were signed.
    pub signatures: &'static str,
    /// Least time between two blocks, milliseconds.
    pub block_time_ms: u64,
    /// Longest time without a block, milliseconds.
    pub idle_block_time_ms: u64,
    /// Blocks that were measured.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Blocks a second, by the clock of the net.
    pub blocks_per_second: f64,
    /// From a block's making to its being final, executed and indexed, over all validators.
    pub finality_ms: Percentiles,
    /// Processor time of all validators together for one block, milliseconds.
    pub cpu_ms_per_block: Option<f64>,
    /// The same for one validator.
    pub cpu_ms_per_block_and_validator: Option<f64>,
    /// The net with nothing to confirm.
    pub idle: Option<Idle>,
    /// Where it was measured.
    pub machine: Machine,
}

/// What a net takes while nobody pays.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Idle {
    /// For how long it was watched.
    pub seconds: f64,
    /// Blocks in that time.
    pub blocks: u64,
    /// All validators together, in percent of one core.
    pub cpu_percent_of_one_core: Option<f64>,
}

impl Report {
    /// For people.
    pub fn rows(&self) -> Vec<[String; 2]> {
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push([name.to_owned(), value]);
        let kind = if self.simulated {
            "simulated: virtual clock and network, real signatures"
        } else {
            "real: processes over TCP, real signatures"
        };
        row("committee", format!("{} validators", self.validators));
        row("net", format!("{kind}; {} ms one way", self.latency_ms));
        row(
            "pace",
            format!(
                "a block after {} ms, idle {} ms",
                self.block_time_ms, self.idle_block_time_ms
            ),
        );
        row(
            "measured",
            format!("{} blocks, {} transactions", self.blocks, self.transactions),
        );
        row(
            "blocks per second",
            format!("{:.2}", self.blocks_per_second),
        );
        row(
            "finality",
            format!(
                "p50 {:.1} ms, p99 {:.1} ms ({} samples)",
                self.finality_ms.p50, self.finality_ms.p99, self.finality_ms.samples
            ),
        );
        if let (Some(all), Some(one)) = (self.cpu_ms_per_block, self.cpu_ms_per_block_and_validator)
        {
            row(
                "CPU per block",
                format!("{all:.1} ms together, {one:.1} ms each"),
            );
        }
        if let Some(idle) = self.idle {
            let cpu = idle.cpu_percent_of_one_core.map_or_else(
                || "not known here".to_owned(),
                |cpu| format!("{cpu:.1} % of one core together"),
            );
            row(
                "idle",
                format!(
                    "{cpu}, over {:.0} s and {} blocks",
                    idle.seconds, idle.blocks
                ),
            );
        }
        row("machine", self.machine.words());
        row("commit", self.machine.commit.to_owned());
        rows
    }
}
