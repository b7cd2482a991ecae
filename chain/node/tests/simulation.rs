//! Four validators in a seeded simulation: simulated network, deterministic clock and scheduler,
//! real consensus, execution and state. A failure names its seed; the same seed fails again.
//!
//! `MILEVERSE_SEEDS=100 cargo test --release -p mileverse-node --test simulation` runs more.

#![recursion_limit = "512"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use commonware_glue::simulate::{action::Crash, exit::ProcessedHeightAtLeast, plan::PlanBuilder};
use commonware_p2p::simulated::Link;
use commonware_utils::probability;
use std::time::Duration;
use support::{Endpoints, Net, OneChain};

const HEIGHT: u64 = 25;

fn seeds() -> u64 {
    std::env::var("MILEVERSE_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(3)
}

/// Runs a net until all validators have processed [`HEIGHT`] blocks; `shape` adds the trouble.
fn run(endpoints: Endpoints, shape: impl Fn(PlanBuilder<Net>) -> PlanBuilder<Net>) {
    for seed in 0..seeds() {
        let net = Net::new(seed, endpoints);
        let plan = PlanBuilder::new(net.clone())
            .seed(seed)
            .timeout(Duration::from_secs(600))
            .exit_condition(ProcessedHeightAtLeast::new(HEIGHT))
            .property(OneChain::new(endpoints));
        shape(plan)
            .run()
            .unwrap_or_else(|error| panic!("{error}; replay with seed {seed}"));
    }
}

#[test]
fn four_honest_validators_agree() {
    run(Endpoints::HONEST, |plan| plan);
}

#[test]
fn crashes_and_a_lossy_network_fork_nothing() {
    run(Endpoints::HONEST, |plan| {
        plan.link(Link {
            latency: Duration::from_millis(50),
            jitter: Duration::from_millis(40),
            success_rate: probability!(0.85),
        })
        .crash(Crash::Random {
            frequency: Duration::from_secs(3),
            downtime: Duration::from_secs(1),
            count: 1,
        })
    });
}

#[test]
fn one_lying_ethereum_endpoint_changes_nothing() {
    run(Endpoints { liars: 1, dead: 0 }, |plan| plan);
}

#[test]
fn two_lying_endpoints_of_four_do_not_get_a_lie_in() {
    run(Endpoints { liars: 2, dead: 0 }, |plan| plan);
}

#[test]
fn dead_ethereum_endpoints_stop_checkpoints_and_not_the_chain() {
    run(Endpoints { liars: 0, dead: 2 }, |plan| plan);
}
