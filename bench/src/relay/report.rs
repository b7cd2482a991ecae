//! What was measured.

use super::memory::Memory;
use crate::machine::Machine;
use serde::Serialize;

/// The relayer's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Packets a minute that were sent, each way.
    pub offered_per_minute: u64,
    /// For how long, seconds.
    pub seconds: u64,
    /// Native chain to Ethereum.
    pub to_ethereum: Figures,
    /// Ethereum to native chain.
    pub to_native: Figures,
    /// Packets that did not arrive in time, both ways.
    pub lost: u64,
    /// Packets that took effect more than once, both ways.
    pub doubled: u64,
    /// The backlog, if there was one.
    pub backlog: Option<Backlog>,
    /// The relayer's memory, if this machine shows it.
    pub memory: Option<Memory>,
    /// Where it was measured.
    pub machine: Machine,
}

/// A backlog, and what became of fresh packets meanwhile.
#[derive(Clone, Debug, Serialize)]
pub struct Backlog {
    /// Packets that waited when the relayer went on, each way.
    pub packets: u64,
    /// Native chain to Ethereum.
    pub to_ethereum: Cleared,
    /// Ethereum to native chain.
    pub to_native: Cleared,
}

/// One way of it.
#[derive(Clone, Debug, Serialize)]
pub struct Cleared {
    /// Until the last of them had its receipt.
    pub seconds: f64,
    /// Packets sent meanwhile at the same pace as before.
    pub fresh: Figures,
    /// How much longer they took than without a backlog (p99), milliseconds.
    pub p99_more_ms: i64,
}

/// One way.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Packets that arrived.
    pub packets: u64,
    /// By the clock of their receipts.
    pub packets_per_minute: f64,
    /// From sending to the receipt.
    pub latency_ms: Latency,
    /// Did not arrive in time.
    #[serde(skip)]
    pub lost: u64,
    /// Took effect more than once.
    #[serde(skip)]
    pub doubled: u64,
}

/// Percentiles.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    /// Half of the packets took at most this.
    pub p50: u64,
    /// 99 of 100 took at most this.
    pub p99: u64,
}

impl Latency {
    /// Of these measurements; zero of none.
    pub fn of(mut millis: Vec<u64>) -> Self {
        millis.sort_unstable();
        let at = |percent: usize| {
            let last = millis.len().saturating_sub(1);
            let place = millis.len().saturating_mul(percent).div_ceil(100);
            millis
                .get(place.saturating_sub(1).min(last))
                .copied()
                .unwrap_or(0)
        };
        Self {
            p50: at(50),
            p99: at(99),
        }
    }
}

impl Report {
    /// In rows for people.
    pub fn rows(&self) -> Vec<[String; 2]> {
        let way = |name: &str, figures: &Figures| {
            [
                name.to_owned(),
                format!(
                    "{} packets, {} a minute, {} ms (p50), {} ms (p99)",
                    figures.packets,
                    figures.packets_per_minute,
                    figures.latency_ms.p50,
                    figures.latency_ms.p99
                ),
            ]
        };
        let mut rows = vec![
            [
                "offered".into(),
                format!(
                    "{} packets a minute each way, for {} s",
                    self.offered_per_minute, self.seconds
                ),
            ],
            way("to Ethereum", &self.to_ethereum),
            way("to the native chain", &self.to_native),
        ];
        if let Some(backlog) = &self.backlog {
            for (name, cleared) in [
                ("to Ethereum", &backlog.to_ethereum),
                ("to the native chain", &backlog.to_native),
            ] {
                rows.push([
                    format!("backlog {name}"),
                    format!(
                        "{} packets, gone in {:.1} s",
                        backlog.packets, cleared.seconds
                    ),
                ]);
                rows.push(way("  fresh ones meanwhile", &cleared.fresh));
            }
        }
        if let Some(memory) = &self.memory {
            rows.push([
                "relayer's memory".into(),
                format!(
                    "{} MiB at first, {} at most, {} at last",
                    memory.first_mib, memory.most_mib, memory.last_mib
                ),
            ]);
        }
        rows.extend([
            [
                "lost, doubled".into(),
                format!("{}, {}", self.lost, self.doubled),
            ],
            ["machine".into(), self.machine.words()],
            ["commit".into(), self.machine.commit.into()],
        ]);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measurements() {
        let latency = Latency::of((1..=200).rev().collect());
        assert_eq!((latency.p50, latency.p99), (100, 198));
        let latency = Latency::of(vec![7]);
        assert_eq!((latency.p50, latency.p99), (7, 7));
        assert_eq!(Latency::of(Vec::new()).p99, 0);
    }
}
