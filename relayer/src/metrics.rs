//! Figures for Prometheus. Everything has the prefix `mileverse_relayer_`; `docs/relayer.md` lists
//! them. What happens is counted where it happens; what *is* ([`crate::watch`]) is set from time to
//! time.

use crate::store::{Lane, SwapCounts};
use mileverse_primitives::Address;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

/// Upper ends of the latencies' buckets, in seconds: from below a block to half an hour.
const SECONDS: [f64; 14] = [
    0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 60.0, 120.0, 300.0, 900.0, 1800.0,
];

/// One lane of one route: a direction, or the swaps of a chain.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct Way {
    route: String,
    direction: &'static str,
}

impl Way {
    /// Of a route.
    pub fn new(route: &str, lane: impl Into<Lane>) -> Self {
        Self {
            route: route.to_owned(),
            direction: lane.into().word(),
        }
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Staged {
    route: String,
    direction: &'static str,
    stage: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Accounted {
    route: String,
    direction: &'static str,
    account: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Token {
    route: String,
    token: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Place {
    route: String,
    chain: &'static str,
    url: String,
}

/// A gauge of fractions.
type Fraction = Gauge<f64, AtomicU64>;

/// All figures. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Figures>);

struct Figures {
    registry: Registry,
    packets: Family<Staged, Counter>,
    latency: Family<Staged, Histogram>,
    transactions: Family<Staged, Counter>,
    gas: Family<Way, Counter>,
    spent: Family<Way, Counter<f64, AtomicU64>>,
    backlog: Family<Staged, Gauge>,
    swaps: Family<Staged, Counter>,
    swaps_open: Family<Staged, Gauge>,
    oldest: Family<Way, Fraction>,
    stalled: Family<Way, Fraction>,
    balance: Family<Accounted, Fraction>,
    nonce: Family<Accounted, Gauge>,
    open: Family<Accounted, Gauge>,
    endpoint_up: Family<Place, Gauge>,
    endpoint_failures: Family<Place, Counter>,
    endpoint_height: Family<Place, Gauge>,
    imbalance: Family<Token, Fraction>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut figures = Figures {
            registry: Registry::with_prefix("mileverse_relayer"),
            packets: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            transactions: Family::default(),
            gas: Family::default(),
            spent: Family::default(),
            backlog: Family::default(),
            swaps: Family::default(),
            swaps_open: Family::default(),
            oldest: Family::default(),
            stalled: Family::default(),
            balance: Family::default(),
            nonce: Family::default(),
            open: Family::default(),
            endpoint_up: Family::default(),
            endpoint_failures: Family::default(),
            endpoint_height: Family::default(),
            imbalance: Family::default(),
        };
        macro_rules! register {
            ($($field:ident, $name:literal, $help:literal;)*) => {
                $(figures.registry.register($name, $help, figures.$field.clone());)*
            };
        }
        register! {
            packets, "packets", "Packets by what became of them: found, received, expired, acknowledged, set_aside, held, taken_back";
            latency, "latency_seconds", "From finding a packet to its receipt (landed) and to its finality (final)";
            transactions, "transactions", "Transactions: signed, replaced, included, reverted, gone, given_up, dear";
            gas, "gas_used", "Gas that our transactions used";
            spent, "spent_ether", "What our transactions cost, in ether";
            backlog, "backlog", "Packets without a final receipt, by state";
            swaps, "swaps", "Hashed-timelock swaps by what became of them: found, claimed, refunded, set_aside, taken_back, forgotten";
            swaps_open, "swaps_open", "Hashed-timelock swaps that are not done: open, of those waiting (for a secret), due and set_aside; settling";
            oldest, "oldest_unrelayed_seconds", "Age of the oldest packet without a receipt; of swaps, how long the oldest has been due";
            stalled, "seconds_since_progress", "Time since the direction last went well";
            balance, "balance_ether", "Balance of each signing account, in the destination's coin";
            nonce, "nonce", "Next nonce of each signing account, by its destination chain";
            open, "open_nonces", "Nonces that are signed and in no block yet";
            endpoint_up, "endpoint_up", "Whether an endpoint answers and is not behind";
            endpoint_failures, "endpoint_failures", "Calls that an endpoint did not answer as it should";
            endpoint_height, "endpoint_height", "Newest block of an endpoint";
            imbalance, "imbalance", "Held at home - supply away - in flight, in whole tokens; anything but 0 is an alarm";
        }
        Self(Arc::new(figures))
    }
}

fn staged(way: &Way, stage: &'static str) -> Staged {
    Staged {
        route: way.route.clone(),
        direction: way.direction,
        stage,
    }
}

fn accounted(way: &Way, account: Address) -> Accounted {
    Accounted {
        route: way.route.clone(),
        direction: way.direction,
        account: account.to_string(),
    }
}

/// A whole number of units as a fraction of `unit`; precise enough for a graph.
#[allow(clippy::cast_precision_loss)]
pub fn fraction(units: u128, unit: u128) -> f64 {
    units as f64 / unit.max(1) as f64
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Metrics {
    /// In Prometheus's text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }

    /// So many packets came to this.
    pub fn packets(&self, way: &Way, stage: &'static str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0
            .packets
            .get_or_create(&staged(way, stage))
            .inc_by(count);
    }

    /// So many swaps came to this.
    pub fn swaps(&self, way: &Way, stage: &'static str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0
            .swaps
            .get_or_create(&staged(way, stage))
            .inc_by(count);
    }

    /// Swaps that are not done, and how long the oldest has been due.
    pub fn open_swaps(&self, way: &Way, counts: &SwapCounts, due_ms: u64) {
        for (stage, count) in [
            ("open", counts.open),
            ("waiting", counts.waiting),
            ("due", counts.due),
            ("set_aside", counts.set_aside),
            ("settling", counts.settling),
        ] {
            self.0
                .swaps_open
                .get_or_create(&staged(way, stage))
                .set(gauge(count));
        }
        self.0
            .oldest
            .get_or_create(way)
            .set(fraction(due_ms.into(), 1_000));
    }

    /// A packet took so long to this stage.
    pub fn latency(&self, way: &Way, stage: &'static str, millis: u64) {
        let histogram = self.0.latency.get_or_create(&staged(way, stage));
        histogram.observe(fraction(millis.into(), 1_000));
    }

    /// A transaction came to this.
    pub fn transaction(&self, way: &Way, stage: &'static str) {
        self.0.transactions.get_or_create(&staged(way, stage)).inc();
    }

    /// A transaction used this.
    pub fn spent(&self, way: &Way, gas: u64, wei: u128) {
        self.0.gas.get_or_create(way).inc_by(gas);
        let ether = fraction(wei, 1_000_000_000_000_000_000);
        self.0.spent.get_or_create(way).inc_by(ether);
    }

    /// Packets that wait, and the age of the oldest.
    pub fn backlog(&self, way: &Way, waiting: u64, landed: u64, oldest_ms: u64) {
        for (stage, count) in [("waiting", waiting), ("landed", landed)] {
            self.0
                .backlog
                .get_or_create(&staged(way, stage))
                .set(gauge(count));
        }
        self.0
            .oldest
            .get_or_create(way)
            .set(fraction(oldest_ms.into(), 1_000));
    }

    /// How long ago the direction last went well.
    pub fn stalled(&self, way: &Way, millis: u64) {
        self.0
            .stalled
            .get_or_create(way)
            .set(fraction(millis.into(), 1_000));
    }

    /// What a signing account has.
    pub fn account(&self, way: &Way, account: Address, wei: u128, nonce: u64, open: usize) {
        let labels = accounted(way, account);
        let ether = fraction(wei, 1_000_000_000_000_000_000);
        self.0.balance.get_or_create(&labels).set(ether);
        self.0.nonce.get_or_create(&labels).set(gauge(nonce));
        self.0
            .open
            .get_or_create(&labels)
            .set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// How an endpoint is; `failures` since the last look.
    pub fn endpoint(
        &self,
        route: &str,
        chain: &'static str,
        url: &str,
        up: bool,
        height: u64,
        failures: u64,
    ) {
        let labels = Place {
            route: route.to_owned(),
            chain,
            url: url.to_owned(),
        };
        self.0.endpoint_up.get_or_create(&labels).set(up.into());
        self.0
            .endpoint_height
            .get_or_create(&labels)
            .set(gauge(height));
        self.0
            .endpoint_failures
            .get_or_create(&labels)
            .inc_by(failures);
    }

    /// Held at home − supply away − in flight, in whole tokens.
    pub fn imbalance(&self, route: &str, token: &str, tokens: f64) {
        let labels = Token {
            route: route.to_owned(),
            token: token.to_owned(),
        };
        self.0.imbalance.get_or_create(&labels).set(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chain::End, store::Direction};

    #[test]
    fn what_is_noted_is_told() {
        let metrics = Metrics::default();
        let way = Way::new("main", Direction::ToNative);
        metrics.packets(&way, "found", 3);
        metrics.latency(&way, "landed", 1_500);
        metrics.backlog(&way, 7, 0, 2_500);
        metrics.spent(&way, 21_000, 500_000_000_000_000_000);
        let swaps = Way::new("main", Lane::Swaps(End::Ethereum));
        metrics.swaps(&swaps, "claimed", 2);
        let counts = SwapCounts {
            open: 5,
            waiting: 4,
            ..SwapCounts::default()
        };
        metrics.open_swaps(&swaps, &counts, 500);
        let text = metrics.text();
        for line in [
            r#"mileverse_relayer_packets_total{route="main",direction="to_native",stage="found"} 3"#,
            r#"mileverse_relayer_backlog{route="main",direction="to_native",stage="waiting"} 7"#,
            r#"mileverse_relayer_oldest_unrelayed_seconds{route="main",direction="to_native"} 2.5"#,
            r#"mileverse_relayer_swaps_total{route="main",direction="swaps_ethereum",stage="claimed"} 2"#,
            r#"mileverse_relayer_swaps_open{route="main",direction="swaps_ethereum",stage="waiting"} 4"#,
            r#"mileverse_relayer_oldest_unrelayed_seconds{route="main",direction="swaps_ethereum"} 0.5"#,
            r#"mileverse_relayer_spent_ether_total{route="main",direction="to_native"} 0.5"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
