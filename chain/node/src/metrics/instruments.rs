//! Our metrics. All begin with `mileverse_`; counters end with `_total` on the wire.

use super::observer::seconds_between;
use mileverse_consensus::stages::{self, Stage};
use mileverse_execution::RewardsStanding;
use mileverse_primitives::U256;
use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};
use std::sync::{Arc, atomic::AtomicU64};

/// A gauge of a fractional number, such as seconds.
type Seconds = Gauge<f64, AtomicU64>;
/// A gauge of an amount of coin, in whole coins.
type Coins = Gauge<f64, AtomicU64>;
type Labels = [(&'static str, &'static str); 1];

/// The smallest units of one coin.
const UNITS_PER_COIN: f64 = 1e18;

/// Bounds of the finality histogram, seconds: three message delays of a near or a far committee.
const FINALITY: [f64; 12] = [
    0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0, 2.0, 5.0, 10.0, 30.0,
];

/// All of them; clones share everything.
#[derive(Clone)]
pub struct Instruments {
    registry: Arc<Registry>,
    /// Height of the newest final block.
    pub height: Gauge,
    /// Now less the newest final block's time.
    pub head_age: Seconds,
    /// A block's time to its finality here.
    pub finality: Histogram,
    /// Views that the chain went through.
    pub views: Counter,
    /// Of them, those without a block.
    pub views_skipped: Counter,
    /// Epoch of the newest final block.
    pub epoch: Gauge,
    /// Delegates of that epoch.
    pub committee: Gauge,
    /// Whether this node is one of them.
    pub in_committee: Gauge,
    turns: Family<Labels, Counter>,
    votes: Family<Labels, Counter>,
    ceremonies: Family<Labels, Counter>,
    /// What the ceremony actor does now.
    pub ceremony_phase: Gauge,
    /// Whether the newest ceremony succeeded.
    pub ceremony_succeeded: Gauge,
    cpu: Family<Labels, Counter<f64, AtomicU64>>,
    /// Live connections.
    pub peers: Gauge,
    /// Transactions that wait.
    pub mempool: Gauge,
    /// Now less the time of the newest Ethereum header that the chain agreed on.
    pub checkpoint_age: Seconds,
    /// How long the quarter under way is over, or less than zero.
    pub quarter_overdue: Seconds,
    /// Quarters closed and not paid to everybody.
    pub quarters_unpaid: Gauge,
    /// Holders of the oldest of them that are still to be visited.
    pub holders_unpaid: Gauge,
    /// Whether the pool of the rewards has the whole pot of the quarter under way.
    pub rewards_funded: Gauge,
    /// Whether the oldest unpaid quarter waits for its share from Ethereum.
    pub rewards_awaits_share: Gauge,
    /// Coin that operators of contracts have deposited for gas.
    pub gas_deposits: Coins,
    /// Whether this node should sign and does not.
    pub not_signing: Gauge,
    /// Whether `/ready` says yes.
    pub ready: Gauge,
}

impl Default for Instruments {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("mileverse");
        let all = Self {
            registry: Arc::default(),
            height: Gauge::default(),
            head_age: Seconds::default(),
            finality: Histogram::new(FINALITY),
            views: Counter::default(),
            views_skipped: Counter::default(),
            epoch: Gauge::default(),
            committee: Gauge::default(),
            in_committee: Gauge::default(),
            turns: Family::default(),
            votes: Family::default(),
            ceremonies: Family::default(),
            ceremony_phase: Gauge::default(),
            ceremony_succeeded: Gauge::default(),
            cpu: Family::default(),
            peers: Gauge::default(),
            mempool: Gauge::default(),
            checkpoint_age: Seconds::default(),
            quarter_overdue: Seconds::default(),
            quarters_unpaid: Gauge::default(),
            holders_unpaid: Gauge::default(),
            rewards_funded: Gauge::default(),
            rewards_awaits_share: Gauge::default(),
            gas_deposits: Coins::default(),
            not_signing: Gauge::default(),
            ready: Gauge::default(),
        };
        all.register(&mut registry);
        // Labels exist from the start, so that a rate over them has a beginning.
        all.count_turns(0, 0);
        all.count_votes(0, 0);
        for outcome in [&SUCCEEDED, &FAILED] {
            drop(all.ceremonies.get_or_create(outcome));
        }
        Self {
            registry: Arc::new(registry),
            ..all
        }
    }
}

const KEPT: Labels = [("result", "kept")];
const MISSED: Labels = [("result", "missed")];
const ALL: Labels = [("by", "all")];
const OWN: Labels = [("by", "own")];
const SUCCEEDED: Labels = [("outcome", "succeeded")];
const FAILED: Labels = [("outcome", "failed")];

impl Instruments {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "build",
            "The running program",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        let mut gauge = |name: &str, help: &str, gauge: &Gauge| {
            registry.register(name, help, gauge.clone());
        };
        gauge("height", "Height of the newest final block", &self.height);
        gauge("epoch", "Epoch of the newest final block", &self.epoch);
        gauge("committee", "Delegates of this epoch", &self.committee);
        gauge(
            "in_committee",
            "1 if this node is a delegate of this epoch",
            &self.in_committee,
        );
        gauge(
            "ceremony_phase",
            "What this node does in the epoch's ceremony: 0 follows, 1 prepares, 2 deals, 3 includes",
            &self.ceremony_phase,
        );
        gauge(
            "ceremony_succeeded",
            "1 if the newest ceremony gave a new committee, 0 if the old one stayed",
            &self.ceremony_succeeded,
        );
        gauge("peers", "Live connections to other nodes", &self.peers);
        gauge(
            "mempool",
            "Transactions that wait for a block",
            &self.mempool,
        );
        gauge(
            "not_signing",
            "1 if this node is a delegate and its turns and attestations stopped coming into blocks",
            &self.not_signing,
        );
        gauge(
            "rewards_quarters_unpaid",
            "Quarters that are closed and not paid to every holder",
            &self.quarters_unpaid,
        );
        gauge(
            "rewards_holders_unpaid",
            "Holders of the oldest unpaid quarter that no block has visited yet",
            &self.holders_unpaid,
        );
        gauge(
            "rewards_funded",
            "1 if the pool has the whole pot of the quarter under way; with a source on Ethereum, if no quarter waits for its share",
            &self.rewards_funded,
        );
        gauge(
            "rewards_awaits_share",
            "1 if the oldest unpaid quarter waits for its share from Ethereum",
            &self.rewards_awaits_share,
        );
        gauge("ready", "1 if /ready says yes", &self.ready);
        registry.register_with_unit(
            "gas_deposits",
            "Coin that operators of contracts have deposited for their users' gas",
            Unit::Other("mvc".into()),
            self.gas_deposits.clone(),
        );
        registry.register_with_unit(
            "rewards_quarter_overdue",
            "Now less the end of the quarter under way; above zero, its close is due",
            Unit::Seconds,
            self.quarter_overdue.clone(),
        );
        registry.register_with_unit(
            "head_age",
            "Now less the time of the newest final block",
            Unit::Seconds,
            self.head_age.clone(),
        );
        registry.register_with_unit(
            "checkpoint_age",
            "Now less the time of the newest Ethereum header in a final block",
            Unit::Seconds,
            self.checkpoint_age.clone(),
        );
        registry.register_with_unit(
            "finality",
            "From a block's time to its finality here, for blocks made since this node started",
            Unit::Seconds,
            self.finality.clone(),
        );
        registry.register(
            "views",
            "Views that the chain went through",
            self.views.clone(),
        );
        registry.register(
            "views_skipped",
            "Views that ended without a block",
            self.views_skipped.clone(),
        );
        registry.register("turns", "This node's turns as a leader", self.turns.clone());
        registry.register(
            "votes",
            "Attestations in final blocks, of all delegates and of this node",
            self.votes.clone(),
        );
        registry.register(
            "ceremonies",
            "Ceremonies by outcome",
            self.ceremonies.clone(),
        );
        registry.register_with_unit(
            "cpu",
            "Processor time by stage of a transaction's way",
            Unit::Seconds,
            self.cpu.clone(),
        );
    }

    /// Where the quarterly rewards stand, at `now_ms`.
    pub fn show_rewards(&self, standing: &RewardsStanding, now_ms: u64) {
        if let Some(ends) = standing.ends_ms {
            let overdue = if now_ms >= ends {
                seconds_between(ends, now_ms)
            } else {
                -seconds_between(now_ms, ends)
            };
            self.quarter_overdue.set(overdue);
        }
        let left = standing.holders.saturating_sub(standing.visited);
        self.quarters_unpaid.set(signed(standing.unpaid));
        self.holders_unpaid.set(signed(left));
        self.rewards_funded.set(standing.funded.into());
        self.rewards_awaits_share.set(standing.awaits_share.into());
    }

    /// What is deposited for gas, in the coin's smallest unit.
    pub fn show_gas_deposits(&self, deposits: U256) {
        self.gas_deposits.set(f64::from(deposits) / UNITS_PER_COIN);
    }

    /// Counts turns of this node.
    pub fn count_turns(&self, kept: u64, missed: u64) {
        self.turns.get_or_create(&KEPT).inc_by(kept);
        self.turns.get_or_create(&MISSED).inc_by(missed);
    }

    /// Counts attestations in final blocks.
    pub fn count_votes(&self, all: u64, own: u64) {
        self.votes.get_or_create(&ALL).inc_by(all);
        self.votes.get_or_create(&OWN).inc_by(own);
    }

    /// Brings the processor times up to date.
    pub fn note_cpu(&self) {
        for (stage, spent) in Stage::ALL.iter().zip(stages::spent()) {
            let counter = self.cpu.get_or_create(&[("stage", stage.name())]);
            counter.inc_by((spent.as_secs_f64() - counter.get()).max(0.0));
        }
    }

    /// Counts a ceremony that ended.
    pub fn count_ceremony(&self, succeeded: bool) {
        let outcome = if succeeded { &SUCCEEDED } else { &FAILED };
        self.ceremonies.get_or_create(outcome).inc();
        self.ceremony_succeeded.set(succeeded.into());
    }

    /// The text of a scrape: ours after `other`, which is another registry's text.
    ///
    /// # Errors
    ///
    /// When formatting fails, which memory alone could make it do.
    pub fn encode(&self, other: &str) -> Result<String, std::fmt::Error> {
        let mut out = other.trim_end().trim_end_matches("# EOF").to_owned();
        encode_registry(&mut out, &self.registry)?;
        encode_eof(&mut out)?;
        Ok(out)
    }
}

/// A count as gauges take it.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn deposits_for_gas_are_told_in_coins() {
        let instruments = Instruments::default();
        instruments.show_gas_deposits(U256::from(2_500_000_000_000_000_000u64));
        let text = instruments.encode("").unwrap();
        assert!(text.contains("mileverse_gas_deposits_mvc 2.5"), "{text}");
    }

    #[test]
    fn rewards_that_are_late_show() {
        let instruments = Instruments::default();
        let mut standing = RewardsStanding {
            ends_ms: Some(10_000),
            unpaid: 2,
            holders: 100,
            visited: 40,
            funded: true,
            awaits_share: false,
        };
        instruments.show_rewards(&standing, 4_000);
        let text = instruments.encode("").unwrap();
        for line in [
            "mileverse_rewards_quarter_overdue_seconds -6.0",
            "mileverse_rewards_quarters_unpaid 2",
            "mileverse_rewards_holders_unpaid 60",
            "mileverse_rewards_funded 1",
            "mileverse_rewards_awaits_share 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        standing.funded = false;
        standing.awaits_share = true;
        instruments.show_rewards(&standing, 11_500);
        let text = instruments.encode("").unwrap();
        assert!(text.contains("mileverse_rewards_quarter_overdue_seconds 1.5"));
        assert!(text.contains("mileverse_rewards_funded 0"));
        assert!(text.contains("mileverse_rewards_awaits_share 1"));
    }

    #[test]
    fn two_registries_become_one_text() {
        let instruments = Instruments::default();
        instruments.height.set(7);
        instruments.count_turns(2, 1);
        instruments.count_ceremony(false);
        instruments.note_cpu();
        instruments.finality.observe(0.3);
        let text = instruments
            .encode("# HELP other A thing.\n# TYPE other gauge\nother 1\n# EOF\n")
            .unwrap();
        for line in [
            "other 1",
            "mileverse_height 7",
            "mileverse_turns_total{result=\"kept\"} 2",
            "mileverse_turns_total{result=\"missed\"} 1",
            "mileverse_votes_total{by=\"own\"} 0",
            "mileverse_ceremonies_total{outcome=\"failed\"} 1",
            "mileverse_ceremonies_total{outcome=\"succeeded\"} 0",
            "mileverse_finality_seconds_count 1",
            "mileverse_not_signing 0",
            concat!(
                "mileverse_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.contains("\nmileverse_cpu_seconds_total{stage=\"recover\"} "));
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(text.ends_with("# EOF\n"));
    }
}
