//! What was measured.

use super::Mode;
use crate::{figures::Percentiles, machine::Machine};
use serde::Serialize;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A net's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was sent.
    pub mode: Mode,
    /// Size of the committee.
    pub validators: usize,
    /// Accounts that held points before.
    pub accounts: u64,
    /// Memory of each validator for pages of the state, MiB.
    pub cache_mib: NonZeroU32,
    /// For how long was measured.
    pub seconds: f64,
    /// Transactions handed in each second, if that was fixed.
    pub rate: Option<u64>,
    /// Transactions that became final in that time, each with a receipt that says it succeeded.
    pub transactions: u64,
    /// Transactions that became final in that time and failed.
    pub failed: u64,
    /// Transactions that a validator refused to take.
    pub refused: u64,
    /// Successful final transactions per second.
    pub finalized_tps: f64,
    /// The same, a batch counted as its successful entries.
    pub operations_per_second: f64,
    /// From handing in to final, as the first validator shows it.
    pub finality_ms: Percentiles,
    /// Blocks that became final in that time.
    pub blocks: u64,
    /// Transactions of the largest of them.
    pub largest_block: u64,
    /// Processor time of all validators for one transaction, microseconds.
    pub cpu_us_per_tx: Option<f64>,
    /// The same for one validator.
    pub cpu_us_per_tx_and_validator: Option<f64>,
    /// Of that, in each stage; `agree` is what no other claims: consensus, network, the state's log.
    pub cpu_us_by_stage: Option<BTreeMap<&'static str, f64>>,
    /// Memory of the largest validator at the end, mebibytes.
    pub rss_mib: Option<u64>,
    /// What one transaction takes on one validator's disk.
    pub disk_bytes_per_tx: f64,
    /// Where it was measured.
    pub machine: Machine,
}

impl Report {
    /// For people.
    pub fn rows(&self) -> Vec<[String; 2]> {
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push([name.to_owned(), value]);
        let pace = self.rate.map_or_else(
            || "as fast as they become final".to_owned(),
            |rate| format!("{rate} handed in per second"),
        );
        row(
            "traffic",
            format!("{:?}, {pace}, {} accounts", self.mode, self.accounts),
        );
        row(
            "committee",
            format!(
                "{} validators, {} MiB for pages each",
                self.validators, self.cache_mib
            ),
        );
        row(
            "measured",
            format!(
                "{} transactions in {} blocks and {:.1} s ({} failed, {} refused)",
                self.transactions, self.blocks, self.seconds, self.failed, self.refused
            ),
        );
        row("final", format!("{:.1} transactions/s", self.finalized_tps));
        row(
            "operations",
            format!("{:.1} /s", self.operations_per_second),
        );
        row(
            "finality",
            format!(
                "p50 {:.1} ms, p99 {:.1} ms ({} samples)",
                self.finality_ms.p50, self.finality_ms.p99, self.finality_ms.samples
            ),
        );
        if let (Some(all), Some(one)) = (self.cpu_us_per_tx, self.cpu_us_per_tx_and_validator) {
            row(
                "CPU per transaction",
                format!("{all:.1} µs together, {one:.1} µs each"),
            );
        }
        if let Some(stages) = &self.cpu_us_by_stage {
            let of = |(name, spent): (&&str, &f64)| format!("{name} {spent:.1}");
            let all: Vec<_> = stages.iter().map(of).collect();
            row("of that, µs", all.join(", "));
        }
        if let Some(rss) = self.rss_mib {
            row("memory", format!("{rss} MiB"));
        }
        row(
            "disk per transaction",
            format!("{:.0} bytes", self.disk_bytes_per_tx),
        );
        row("machine", self.machine.words());
        row("commit", self.machine.commit.to_owned());
        rows
    }
}
