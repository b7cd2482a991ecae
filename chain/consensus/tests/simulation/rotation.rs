//! Whole nets that rotate: real consensus, resharing, execution and state, over a simulated network.

use crate::{
    seeds,
    support::{
        CHAIN_ID, Net, Shape, Validator,
        property::{AllSign, OneChain},
    },
};
use commonware_consensus::types::Height;
use commonware_cryptography::bls12381::primitives::variant::{MinSig, Variant};
use commonware_glue::simulate::{
    action::{Action, Crash, Schedule},
    exit::ProcessedHeightAtLeast,
    plan::PlanBuilder,
    property::Property,
    tracker::ProgressTracker,
};
use commonware_parallel::Sequential;
use commonware_utils::TestRng;
use mileverse_consensus::{
    application::Scheme,
    block::{Block, PublicKey},
    bls,
};
use mileverse_primitives::{certificate, packet::Packet, rpc::OutboxPacket};
use std::{collections::BTreeSet, future::Future, pin::Pin, time::Duration};

type Key = <MinSig as Variant>::Public;

/// The key changes at the end of these epochs and at no other; each certificate is under the key of
/// its epoch and no other; Ethereum is told of each new key in the block that hands over to it.
#[derive(Clone)]
pub struct Rotates {
    /// The net.
    pub net: Net,
    /// The epochs.
    pub at: &'static [u64],
}

impl Rotates {
    fn blocks(&self) -> u64 {
        self.net.shape.epoch_blocks
    }

    /// Each key with the first epoch that it signs, from the blocks that open epochs.
    fn keys(&self, state: &Validator, height: u64) -> Result<Vec<(u64, Key)>, String> {
        let mut keys = vec![(0, self.net.group_key())];
        for epoch in 1..=height.saturating_add(1) / self.blocks() {
            let last = epoch * self.blocks() - 1;
            let block: Block = state
                .index
                .block(last)
                .unwrap()
                .ok_or("a block is missing")?;
            let info = block.opens().ok_or("an epoch's last block opens none")?;
            let key = *info.output.public().public();
            let changed = keys.last().is_none_or(|(_, before)| *before != key);
            if changed != block.system.new_key().is_some() {
                return Err(format!(
                    "epoch {epoch}: a key without endorsements, or the reverse"
                ));
            }
            if changed {
                keys.push((epoch, key));
            }
        }
        let changes: Vec<u64> = keys.iter().skip(1).map(|(epoch, _)| epoch - 1).collect();
        if changes != self.at {
            return Err(format!("the key changed at the end of {changes:?}"));
        }
        Ok(keys)
    }

    async fn certificates(
        &self,
        state: &Validator,
        height: u64,
        keys: &[(u64, Key)],
    ) -> Result<(), String> {
        let namespace = certificate::namespace(CHAIN_ID);
        let mut rng = TestRng::new(0);
        let mut seen = BTreeSet::new();
        for at in 1..=height {
            let Some(found) = state.marshal.get_finalization(Height::new(at)).await else {
                continue;
            };
            let epoch = found.proposal.round.epoch().get();
            let right = keys.iter().rposition(|(first, _)| *first <= epoch);
            for (number, (_, key)) in keys.iter().enumerate() {
                let scheme = Scheme::certificate_verifier(&namespace, *key);
                let verifies = found.verify(&mut rng, &scheme, &Sequential);
                if verifies != (Some(number) == right) {
                    return Err(format!(
                        "the certificate of height {at}, epoch {epoch}, under key {number}: {verifies}"
                    ));
                }
            }
            seen.insert(right);
        }
        // Each key signed something that was looked at.
        if seen.len() == keys.len() {
            Ok(())
        } else {
            Err(format!("certificates of {seen:?} only"))
        }
    }

    fn packets(&self, state: &Validator, keys: &[(u64, Key)]) -> Result<(), String> {
        let sent: Vec<OutboxPacket> = state.index.packets(0, 100).unwrap();
        let mut announced = Vec::new();
        for sent in &sent {
            let Ok(Packet::Rotation(rotation)) = Packet::decode(&sent.packet) else {
                return Err("another packet than a rotation".into());
            };
            let key = bls::read_group_key(&rotation.key).map_err(|error| error.to_string())?;
            if sent.height != rotation.first_epoch * self.blocks() - 1 {
                return Err(format!("announced at height {}", sent.height));
            }
            announced.push((rotation.first_epoch, key));
        }
        if announced.iter().eq(keys.iter().skip(1)) {
            Ok(())
        } else {
            Err(format!("Ethereum is told of {announced:?}"))
        }
    }

    async fn judge(&self, states: &[&Validator]) -> Result<(), String> {
        // Who synced does not have the blocks to judge by.
        let complete = states
            .iter()
            .filter(|state| state.index.first().unwrap() == Some(1));
        for state in complete {
            let height = state.tip.borrow().header.height;
            let keys = self.keys(state, height)?;
            self.certificates(state, height, &keys).await?;
            self.packets(state, &keys)?;
        }
        Ok(())
    }
}

impl Property<PublicKey, Validator> for Rotates {
    fn name(&self) -> &str {
        "rotates"
    }

    fn check<'a>(
        &'a self,
        _: &'a ProgressTracker<PublicKey>,
        states: &'a [&'a Validator],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(self.judge(states))
    }
}

/// Runs a net until all have processed `epochs` epochs and some blocks of the next.
fn run(
    shape: &Shape,
    epochs: u64,
    at: &'static [u64],
    trouble: impl Fn(&Net, PlanBuilder<Net>) -> PlanBuilder<Net>,
) {
    for seed in 0..seeds() {
        let net = Net::new(seed, shape.clone());
        let plan = PlanBuilder::new(net.clone())
            .seed(seed)
            .timeout(Duration::from_secs(1800))
            .exit_condition(ProcessedHeightAtLeast::new(
                epochs * shape.epoch_blocks + shape.seats as u64,
            ))
            .property(OneChain::new(net.clone()))
            .property(Rotates {
                net: net.clone(),
                at,
            });
        trouble(&net, plan)
            .run()
            .unwrap_or_else(|error| panic!("{error}; replay with seed {seed}"));
    }
}

pub fn four(asking: usize) -> Shape {
    Shape {
        asking,
        ..Shape::committee(4)
    }
}

#[test]
fn four_validators_rotate_their_key_and_reshare_it_afterwards() {
    // Asked for in epoch 0, made in epoch 1, in force from epoch 2 on, reshared in epochs 2 and 3.
    run(&four(3), 4, &[1], |_, plan| plan.property(AllSign));
}

#[test]
fn every_player_signs_under_the_new_key_at_once() {
    run(&four(4), 2, &[1], |_, plan| plan.property(AllSign));
}

#[test]
fn two_of_four_who_ask_rotate_nothing() {
    run(&four(2), 3, &[], |_, plan| plan.property(AllSign));
}

#[test]
fn a_silent_third_does_not_stop_a_rotation() {
    let shape = Shape {
        epoch_blocks: 28,
        asking: 5,
        mute: BTreeSet::from([1, 4]),
        ..Shape::committee(7)
    };
    // The silent have no share in epoch 2; resharing gives them one again.
    run(&shape, 3, &[1], |_, plan| plan.property(AllSign));
}

#[test]
fn a_rotation_that_fails_changes_nothing() {
    let shape = Shape {
        mute: BTreeSet::from([0, 2]),
        ..four(4)
    };
    run(&shape, 3, &[], |_, plan| plan.property(AllSign));
}

#[test]
fn a_third_of_the_committee_is_replaced_while_the_key_rotates() {
    let shape = Shape {
        nodes: 9,
        stride: 2,
        epoch_blocks: 28,
        asking: 6,
        ..Shape::committee(6)
    };
    run(&shape, 4, &[1], |_, plan| plan);
}

/// Node 1 is away from `down` to `up`, in seconds; an idle net makes a block a second, so epoch 1
/// lasts from about second 12 to second 28.
fn away(net: &Net, down: u64, up: u64) -> Crash<PublicKey> {
    let schedule = Schedule::new()
        .at(Duration::from_secs(down), Action::Crash(net.key(1)))
        .at(Duration::from_secs(up), Action::Restart(net.key(1)));
    Crash::Schedule(schedule)
}

#[test]
fn a_player_that_restarts_between_its_share_and_the_handover_signs() {
    run(&four(4), 2, &[1], |net, plan| {
        plan.crash(away(net, 20, 23)).property(AllSign)
    });
}

#[test]
fn a_player_that_is_away_at_the_handover_signs_when_it_returns() {
    // Turns of a node that is away take longer. It comes back well after the handover: had it the
    // last block to make, it would lack the endorsements, and the key would change an epoch later.
    run(&four(4), 2, &[1], |net, plan| {
        plan.crash(away(net, 20, 60)).property(AllSign)
    });
}
