//! Nets in a seeded simulation: simulated network, deterministic clock and scheduler, real
//! consensus, ceremonies, execution and state. A failure names its seed; the same seed fails again.
//!
//! `MILEVERSE_SEEDS=100 cargo test --release -p mileverse-consensus --test simulation` runs more.

#![recursion_limit = "512"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod joining;
mod rotation;
mod support;

use commonware_consensus::types::{Epoch, Round, View};
use commonware_glue::simulate::{
    action::{Action, Crash, Schedule},
    exit::ProcessedHeightAtLeast,
    plan::PlanBuilder,
};
use commonware_p2p::simulated::Link;
use commonware_utils::probability;
use mileverse_simulation::Endpoints;
use std::{collections::BTreeSet, time::Duration};
use support::{
    Net, Shape,
    filling::{Filled, Filling},
    property::{AllSign, Answered, OneChain, OneSynced, Stopped},
};

fn seeds() -> u64 {
    std::env::var("MILEVERSE_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(2)
}

/// Runs a net until all its nodes have processed `epochs` epochs and some blocks of the next;
/// `trouble` adds what goes wrong meanwhile.
fn run(shape: &Shape, epochs: u64, trouble: impl Fn(&Net, PlanBuilder<Net>) -> PlanBuilder<Net>) {
    for seed in 0..seeds() {
        let net = Net::new(seed, shape.clone());
        let plan = PlanBuilder::new(net.clone())
            .seed(seed)
            .timeout(Duration::from_secs(1800))
            .exit_condition(ProcessedHeightAtLeast::new(
                epochs * shape.epoch_blocks + shape.seats as u64,
            ))
            .property(OneChain::new(net.clone()));
        trouble(&net, plan)
            .run()
            .unwrap_or_else(|error| panic!("{error}; replay with seed {seed}"));
    }
}

const LOSSY: Link = Link {
    latency: Duration::from_millis(50),
    jitter: Duration::from_millis(40),
    success_rate: probability!(0.85),
};

#[test]
fn four_honest_validators_reshare_for_three_epochs() {
    run(&Shape::committee(4), 3, |net, plan| {
        plan.property(AllSign).property(Answered::new(net.clone()))
    });
}

#[test]
fn seven_honest_validators_reshare_for_three_epochs() {
    let shape = Shape {
        epoch_blocks: 28,
        ..Shape::committee(7)
    };
    run(&shape, 3, |_, plan| plan);
}

#[test]
fn one_validator_alone_reshares_with_itself() {
    run(&Shape::committee(1), 3, |_, plan| plan);
}

#[test]
fn crashes_and_a_lossy_network_fork_nothing() {
    let shape = Shape {
        epoch_blocks: 40,
        ..Shape::committee(4)
    };
    // Within one epoch: whether a ceremony succeeds under such weather is not the question here.
    run(&shape, 0, |_, plan| {
        plan.link(LOSSY)
            .exit_condition(ProcessedHeightAtLeast::new(25))
            .crash(Crash::Random {
                frequency: Duration::from_secs(3),
                downtime: Duration::from_secs(1),
                count: 1,
            })
    });
}

/// The largest blocks that the sample network allows are made, travel, are voted on and become final;
/// who was away fetches them, and a new node fetches the state behind them.
fn blocks_are_filled(filling: Filling) {
    let shape = Shape {
        nodes: 5,
        epoch_blocks: 40,
        filling: Some(filling),
        ..Shape::committee(4)
    };
    let net = Net::new(7, shape);
    let away = Schedule::new()
        .at(Duration::from_millis(100), Action::Crash(net.key(1)))
        .at(Duration::from_secs(8), Action::Restart(net.key(1)));
    PlanBuilder::new(net.clone())
        .seed(7)
        .timeout(Duration::from_secs(600))
        .exit_condition(ProcessedHeightAtLeast::new(24))
        .crash(Crash::Schedule(away))
        .property(OneChain::new(net.clone()))
        .property(Filled(filling))
        .run()
        .unwrap_or_else(|error| panic!("{error}; {filling:?}"));
}

#[test]
fn blocks_full_of_transactions_go_round() {
    blocks_are_filled(Filling::Transactions);
}

#[test]
fn blocks_full_of_bytes_go_round() {
    blocks_are_filled(Filling::Bytes);
}

#[test]
fn blocks_full_of_gas_go_round() {
    blocks_are_filled(Filling::Gas);
}

/// A new node starts from a state that full blocks left, and has the blocks after it.
#[test]
fn a_new_node_syncs_what_full_blocks_left() {
    let shape = Shape {
        nodes: 5,
        epoch_blocks: 60,
        filling: Some(Filling::Transactions),
        ..Shape::committee(4)
    };
    let net = Net::new(8, shape);
    PlanBuilder::new(net.clone())
        .seed(8)
        .timeout(Duration::from_secs(600))
        .exit_condition(ProcessedHeightAtLeast::new(30))
        .crash(Crash::DelayRound {
            participants: vec![net.key(4)],
            round: Round::new(Epoch::zero(), View::new(15)),
        })
        .property(OneChain::new(net.clone()))
        .property(Filled(Filling::Transactions))
        .property(OneSynced {
            least: 8,
            most: u64::MAX,
            signs: false,
        })
        .run()
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_third_of_the_committee_is_replaced_at_each_epoch() {
    let shape = Shape {
        nodes: 9,
        stride: 2,
        epoch_blocks: 28,
        ..Shape::committee(6)
    };
    run(&shape, 6, |_, plan| plan);
}

#[test]
fn a_validator_that_is_away_across_an_epoch_comes_back_and_signs() {
    let shape = Shape {
        epoch_blocks: 20,
        ..Shape::committee(5)
    };
    // An idle net makes a block a second: it goes in the second half of epoch 0, comes back in
    // epoch 1, and must have a share to sign epoch 2 with.
    run(&shape, 2, |net, plan| {
        let away = Schedule::new()
            .at(Duration::from_secs(14), Action::Crash(net.key(1)))
            .at(Duration::from_secs(30), Action::Restart(net.key(1)));
        plan.crash(Crash::Schedule(away)).property(AllSign)
    });
}

#[test]
fn a_ceremony_that_fails_keeps_the_committee_and_the_chain_goes_on() {
    // Three of seven neither acknowledge nor hear: no dealer gathers enough acknowledgements.
    let shape = Shape {
        nodes: 9,
        stride: 1,
        epoch_blocks: 28,
        deaf: (0..3).map(|node| (node + 1, BTreeSet::from([1]))).collect(),
        failing: BTreeSet::from([1]),
        ..Shape::committee(7)
    };
    run(&shape, 4, |_, plan| plan);
}

/// Starts node `late` with nothing once the others are in `epoch`.
fn joins_late(net: &Net, plan: PlanBuilder<Net>, late: usize, epoch: u64) -> PlanBuilder<Net> {
    plan.crash(Crash::DelayRound {
        participants: vec![net.key(late)],
        round: Round::new(Epoch::new(epoch), View::new(3)),
    })
}

#[test]
fn a_new_node_fetches_the_state_of_an_old_net_and_follows() {
    let shape = Shape {
        nodes: 5,
        ..Shape::committee(4)
    };
    let least = 6 * shape.epoch_blocks;
    run(&shape, 8, |net, plan| {
        let synced = OneSynced {
            least,
            most: u64::MAX,
            signs: false,
        };
        joins_late(net, plan, 4, 6).property(synced)
    });
}

#[test]
fn a_new_node_syncs_over_lossy_links() {
    // Within one epoch, as above.
    let shape = Shape {
        nodes: 5,
        epoch_blocks: 60,
        ..Shape::committee(4)
    };
    run(&shape, 0, |net, plan| {
        plan.link(LOSSY)
            .exit_condition(ProcessedHeightAtLeast::new(40))
            .crash(Crash::DelayRound {
                participants: vec![net.key(4)],
                round: Round::new(Epoch::zero(), View::new(20)),
            })
            .property(OneSynced {
                least: 10,
                most: u64::MAX,
                signs: false,
            })
    });
}

#[test]
fn a_new_node_that_synced_is_elected_and_signs() {
    // Node 5 of six sits from epoch 2 on; it is not there before epoch 4.
    let shape = Shape {
        nodes: 6,
        stride: 1,
        epoch_blocks: 28,
        ..Shape::committee(5)
    };
    let least = 4 * shape.epoch_blocks;
    run(&shape, 7, |net, plan| {
        let synced = OneSynced {
            least,
            most: u64::MAX,
            signs: true,
        };
        joins_late(net, plan, 5, 4).property(synced)
    });
}

#[test]
fn a_leader_that_signs_two_headers_for_a_view_is_known_to_everybody() {
    let shape = Shape {
        twins: BTreeSet::from([1]),
        ..Shape::committee(5)
    };
    run(&shape, 2, |net, plan| {
        plan.property(Answered::new(net.clone()))
    });
}

#[test]
fn a_node_whose_result_is_another_one_stops_and_the_others_go_on() {
    let shape = Shape {
        corrupted: BTreeSet::from([2]),
        epoch_blocks: 64,
        ..Shape::committee(4)
    };
    for seed in 0..seeds() {
        let net = Net::new(seed, shape.clone());
        let stopped = Stopped {
            net: net.clone(),
            height: 20,
        };
        PlanBuilder::new(net)
            .seed(seed)
            .timeout(Duration::from_secs(600))
            .exit_condition(stopped.clone())
            .property(stopped)
            .run()
            .unwrap_or_else(|error| panic!("{error}; replay with seed {seed}"));
    }
}

#[test]
fn one_lying_ethereum_endpoint_changes_nothing() {
    let endpoints = Endpoints { liars: 1, dead: 0 };
    run(&with(endpoints), 1, |_, plan| plan);
}

#[test]
fn two_lying_endpoints_of_four_do_not_get_a_lie_in() {
    let endpoints = Endpoints { liars: 2, dead: 0 };
    // No block of a liar is ever final, so two of four logs are missing from the ceremony.
    run(&failing(with(endpoints)), 1, |_, plan| plan);
}

#[test]
fn dead_ethereum_endpoints_stop_checkpoints_and_not_the_chain() {
    let endpoints = Endpoints { liars: 0, dead: 2 };
    // No block with a checkpoint is ever final, so the two that could offer one leave it out, and the
    // ceremonies have everybody's logs.
    run(&with(endpoints), 1, |_, plan| plan);
}

fn with(endpoints: Endpoints) -> Shape {
    Shape {
        endpoints,
        epoch_blocks: 20,
        ..Shape::committee(4)
    }
}

fn failing(shape: Shape) -> Shape {
    Shape {
        failing: BTreeSet::from([0]),
        ..shape
    }
}
