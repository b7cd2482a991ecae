//! What was measured.

use crate::machine::Machine;
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
    pub finality_ms: Finality,
    /// Processor time of all validators together for one block, milliseconds.
    pub cpu_ms_per_block: Option<f64>,
    /// The same for one validator.
    pub cpu_ms_per_block_and_validator: Option<f64>,
    /// The net with nothing to confirm.
    pub idle: Option<Idle>,
    /// Where it was measured.
    pub machine: Machine,
}

/// Percentiles of the time to finality.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Finality {
    /// Half of the measurements are at most this.
    pub p50: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// How many there were.
    pub samples: usize,
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

impl Finality {
    /// Over measurements in milliseconds.
    pub fn over(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        // The nearest rank: the smallest value that so many of a hundred do not exceed.
        let rank = |percent: usize| {
            let at = (samples.len().saturating_mul(percent)).div_ceil(100);
            samples
                .get(at.saturating_sub(1))
                .copied()
                .unwrap_or_default()
        };
        Self {
            p50: tenth(rank(50)),
            p99: tenth(rank(99)),
            samples: samples.len(),
        }
    }
}

/// Rounded to a tenth.
pub fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
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

#[cfg(test)]
mod tests {
    use super::Finality;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let samples: Vec<f64> = (1..=200u32).rev().map(f64::from).collect();
        let found = Finality::over(samples);
        assert!((found.p50 - 100.0).abs() < 1e-9 && (found.p99 - 198.0).abs() < 1e-9);
        let one = Finality::over(vec![7.0]);
        assert!((one.p50 - 7.0).abs() < 1e-9 && (one.p99 - 7.0).abs() < 1e-9);
        assert_eq!(Finality::over(Vec::new()).samples, 0);
    }
}
