//! New nodes that sync when much has changed since genesis: the group key, and everybody.

use crate::{
    joins_late,
    rotation::{Rotates, four},
    seeds,
    support::{
        Net, Shape, Validator,
        property::{OneChain, OneSynced},
    },
};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_glue::simulate::{
    action::{Action, Crash, Schedule},
    exit::ExitCondition,
    plan::PlanBuilder,
    processed::ProcessedHeight as _,
    tracker::ProgressTracker,
};
use mileverse_consensus::block::PublicKey;
use std::{future::Future, pin::Pin, time::Duration};

/// Ends when so many nodes have processed this height, whatever became of the others.
#[derive(Clone, Copy)]
struct Reached {
    nodes: usize,
    height: u64,
}

impl ExitCondition<PublicKey, Validator> for Reached {
    fn name(&self) -> &str {
        "enough nodes are at this height"
    }

    fn requires_polling(&self) -> bool {
        true
    }

    fn reached<'a>(
        &'a self,
        _: &'a ProgressTracker<PublicKey>,
        states: &'a [&'a Validator],
        _: usize,
    ) -> Pin<Box<dyn Future<Output = Result<bool, String>> + Send + 'a>> {
        Box::pin(async move {
            let mut reached = 0;
            for state in states {
                if state.processed_height().await >= self.height {
                    reached += 1;
                }
            }
            Ok(reached >= self.nodes)
        })
    }
}

/// Runs a net in which the last node joins late and syncs from a block of these heights. The key
/// rotates at the end of the epochs `at`; the run ends when `end` says so.
fn run(
    shape: &Shape,
    at: &'static [u64],
    from: (u64, u64),
    end: Reached,
    trouble: impl Fn(&Net, PlanBuilder<Net>) -> PlanBuilder<Net>,
) {
    for seed in 0..seeds() {
        let net = Net::new(seed, shape.clone());
        let plan = PlanBuilder::new(net.clone())
            .seed(seed)
            .timeout(Duration::from_secs(1800))
            .exit_condition(end)
            .property(OneChain::new(net.clone()))
            .property(Rotates {
                net: net.clone(),
                at,
            })
            .property(OneSynced {
                least: from.0,
                most: from.1,
                signs: false,
            });
        trouble(&net, plan)
            .run()
            .unwrap_or_else(|error| panic!("{error}; replay with seed {seed}"));
    }
}

/// Four who rotate, and one who joins late.
fn four_and_one() -> Shape {
    Shape {
        nodes: 5,
        ..four(3)
    }
}

const fn all(height: u64) -> Reached {
    Reached { nodes: 5, height }
}

#[test]
fn a_new_node_syncs_after_a_rotation() {
    // In force from epoch 2 on.
    let shape = four_and_one();
    run(
        &shape,
        &[1],
        (4 * 16, 5 * 16),
        all(6 * 16 + 4),
        |net, plan| joins_late(net, plan, 4, 4),
    );
}

#[test]
fn a_new_node_syncs_in_the_very_epoch_that_a_rotation_opened() {
    let shape = four_and_one();
    run(
        &shape,
        &[1],
        (2 * 16, 3 * 16),
        all(4 * 16 + 4),
        |net, plan| joins_late(net, plan, 4, 2),
    );
}

#[test]
fn a_new_node_syncs_after_two_rotations() {
    // Asked for again in epoch 2, made in epoch 3.
    let shape = Shape {
        asking_again: Some(2 * 16 + 1),
        ..four_and_one()
    };
    run(
        &shape,
        &[1, 3],
        (5 * 16, 6 * 16),
        all(7 * 16 + 4),
        |net, plan| joins_late(net, plan, 4, 5),
    );
}

#[test]
fn a_new_node_syncs_when_the_first_committee_is_gone() {
    // One seat of four changes at each epoch, so nodes 4 to 7 sign epoch 6; none of the first
    // committee is there any more when node 9 comes, and the key is another one too.
    let shape = Shape {
        nodes: 10,
        stride: 1,
        ..four(4)
    };
    let end = Reached {
        nodes: 6,
        height: 7 * 16 + 4,
    };
    run(&shape, &[1], (6 * 16, 7 * 16), end, |net, plan| {
        // An idle net makes a block a second.
        let gone = (0..4).fold(Schedule::new(), |schedule, node| {
            schedule.at(Duration::from_secs(98), Action::Crash(net.key(node)))
        });
        plan.crash(Crash::Schedule(gone)).crash(Crash::DelayRound {
            participants: vec![net.key(9)],
            round: Round::new(Epoch::new(6), View::new(9)),
        })
    });
}
