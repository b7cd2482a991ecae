//! What was measured.

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
    /// Where it was measured.
    pub machine: Machine,
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
        vec![
            [
                "offered".into(),
                format!(
                    "{} packets a minute each way, for {} s",
                    self.offered_per_minute, self.seconds
                ),
            ],
            way("to Ethereum", &self.to_ethereum),
            way("to the native chain", &self.to_native),
            [
                "lost, doubled".into(),
                format!("{}, {}", self.lost, self.doubled),
            ],
            ["machine".into(), self.machine.words()],
            ["commit".into(), self.machine.commit.into()],
        ]
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
