//! Turns and results of every block, and what a bad record costs.

use super::support::*;
use crate::support::{CHAIN_ID, Chain, Send, consensus_key};
use alloy::primitives::{B256, U256};
use commonware_cryptography::Signer as _;
use futures::executor::block_on;
use mileverse_execution::{BlockError, BlockInput};
use mileverse_primitives::{
    abi::IStaking,
    address::STAKING,
    schedule::Schedule,
    staking::StakingRules,
    vote::{Attestation, attestation_body, attestation_namespace},
};
use std::collections::BTreeMap;

fn attest(epoch: u64, height: u64, digest: B256, member: usize) -> Attestation {
    let key = &member_keys()[member];
    let body = attestation_body(epoch, height, digest);
    let signature = key.sign(&attestation_namespace(CHAIN_ID), &body);
    Attestation {
        epoch,
        height,
        digest,
        delegate: consensus_key(key),
        signature: signature.as_ref().try_into().unwrap(),
    }
}

/// Attestations of one height by several members, in the block's order.
fn attestations(epoch: u64, height: u64, digest: B256, members: &[usize]) -> Vec<Attestation> {
    let mut all: Vec<_> = members
        .iter()
        .map(|member| attest(epoch, height, digest, *member))
        .collect();
    all.sort_by_key(|one| one.delegate);
    all
}

fn refused(chain: &Chain, input: BlockInput) -> String {
    match block_on(chain.executor.execute(&chain.state, input, &[])) {
        Err(BlockError::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_skipped_view_is_its_leaders_missed_turn() {
    let mut chain = net();
    let hash = chain.genesis.hash().unwrap();
    let schedule = Schedule::new(hash, 0, &chain.committee).unwrap();
    let (mut due, mut kept) = (BTreeMap::new(), BTreeMap::new());
    // Runs shorter and longer than a round; none is longer than four rounds.
    for skip in [0, 1, 3, 4, 5, 0, 11, 16, 2] {
        chain.skip = skip;
        let first = chain.view + 1;
        chain.block(&[]);
        for view in first..=chain.view {
            *due.entry(schedule.leader(view)).or_insert(0) += 1;
        }
        *kept.entry(schedule.leader(chain.view)).or_insert(0) += 1;
    }
    for record in records(&chain, 0) {
        let key = &record.consensusKey;
        assert_eq!(Some(&record.turnsDue), due.get(key));
        assert_eq!(record.turnsKept, kept.get(key).copied().unwrap_or(0));
    }
}

#[test]
fn an_outage_of_the_whole_net_costs_four_turns_at_most() {
    let mut chain = net();
    chain.block(&[]);
    let before: BTreeMap<B256, u64> = records(&chain, 0)
        .iter()
        .map(|record| (record.consensusKey, record.turnsDue))
        .collect();
    chain.skip = 1_000_000_007;
    let leader = chain.turn().leader;
    chain.block(&[]);
    for record in records(&chain, 0) {
        let missed = record.turnsDue - before[&record.consensusKey];
        assert_eq!(missed, 4 + u64::from(record.consensusKey == leader));
    }
}

#[test]
fn a_block_out_of_turn_is_invalid() {
    let chain = net();
    let good = chain.input(None);
    let change = |edit: fn(&mut BlockInput)| {
        let mut input = good.clone();
        edit(&mut input);
        refused(&chain, input)
    };
    assert_eq!(
        change(|input| input.turn.epoch = 1),
        "the block is of epoch 1, its height of epoch 0"
    );
    assert_eq!(
        change(|input| input.turn.view = input.turn.parent_view),
        "the block's view does not follow its parent's"
    );
    assert!(
        change(|input| input.turn.leader = B256::repeat_byte(9)).contains("is not the turn of")
    );
    assert!(change(|input| input.turn.view += 1).contains("is not the turn of"));
}

#[test]
fn only_the_last_block_names_the_next_committee() {
    let mut chain = net();
    let next = |epoch: u64, committee: Vec<B256>| mileverse_execution::NextEpoch {
        epoch,
        succeeded: false,
        committee,
    };
    let committee = chain.committee.clone();
    let mut early = chain.input(None);
    early.next_epoch = Some(next(1, committee.clone()));
    assert_eq!(
        refused(&chain, early),
        "only an epoch's last block names who signs the next"
    );
    while !(chain.height + 2).is_multiple_of(EPOCH_BLOCKS) {
        chain.block(&[]);
    }
    let with = |named| {
        let mut input = chain.input(None);
        input.next_epoch = named;
        input
    };
    assert_eq!(
        refused(&chain, with(None)),
        "an epoch's last block must name who signs the next"
    );
    assert_eq!(
        refused(&chain, with(Some(next(2, committee.clone())))),
        "the committee is not the next epoch's"
    );
    let reversed = committee.iter().rev().copied().collect();
    for bad in [vec![], reversed, vec![committee[0]; 2]] {
        assert_eq!(
            refused(&chain, with(Some(next(1, bad)))),
            "the next committee must have 1 to 99 members in ascending order"
        );
    }
    // A failed ceremony is visible.
    let input = with(Some(next(1, committee)));
    chain.block_of(&[], input);
    let committee = |epoch| chain.view(STAKING, IStaking::committeeCall { epoch });
    assert!(committee(0).succeeded);
    assert!(!committee(1).succeeded);
    assert_eq!(committee(1).size, 4);
}

#[test]
fn attestations_are_counted_once_within_their_window() {
    let mut chain = net();
    while chain.height < 8 {
        chain.block(&[]);
    }
    // The next block, of height 9, names the digest of height 8 as its parent.
    let digest = chain.parent;
    let mut input = chain.input(None);
    input.attestations = attestations(0, 8, digest, &[0, 2]);
    let reversed: Vec<_> = input.attestations.iter().rev().copied().collect();

    let with = |attestations: Vec<Attestation>| BlockInput {
        attestations,
        ..chain.input(None)
    };
    assert!(refused(&chain, with(reversed)).contains("not in the order"));
    let twice = vec![attest(0, 8, digest, 1); 2];
    assert!(refused(&chain, with(twice)).contains("counted before"));
    let wrong = vec![attest(0, 8, B256::repeat_byte(1), 1)];
    assert!(refused(&chain, with(wrong)).contains("another digest"));
    let other = vec![attest(1, 8, digest, 1)];
    assert!(refused(&chain, with(other)).contains("another epoch"));
    let now = vec![attest(0, 9, digest, 1)];
    assert!(refused(&chain, with(now)).contains("out of the window"));
    let between = vec![attest(0, 7, digest, 1)];
    assert!(refused(&chain, with(between)).contains("not attested"));
    let mut stranger = attest(0, 8, digest, 1);
    stranger.delegate = consensus_key(&key(7));
    assert!(refused(&chain, with(vec![stranger])).contains("by nobody"));
    let many = vec![attest(0, 8, digest, 1); 129];
    assert!(refused(&chain, with(many)).contains("at most 128"));

    chain.block_of(&[], input);
    let again = BlockInput {
        attestations: vec![attest(0, 8, digest, 0)],
        ..chain.input(None)
    };
    assert!(refused(&chain, again).contains("counted before"));
    // A straggler in the next epoch counts there.
    run_to(&mut chain, 1);
    let late = BlockInput {
        attestations: vec![attest(0, 8, digest, 3)],
        ..chain.input(None)
    };
    chain.block_of(&[], late);
    let valid = |epoch| -> Vec<u64> {
        records(&chain, epoch)
            .iter()
            .map(|record| record.validResults)
            .collect()
    };
    assert_eq!(valid(0), [1, 0, 1, 0]);
    assert_eq!(valid(1), [0, 0, 0, 1]);
    // Beyond four intervals it is too late.
    while chain.height < 8 + 32 {
        chain.block(&[]);
    }
    let too_late = BlockInput {
        attestations: vec![attest(0, 8, digest, 1)],
        ..chain.input(None)
    };
    assert!(refused(&chain, too_late).contains("out of the window"));
}

/// Runs an epoch in which one member misses all its turns.
fn absent(chain: &mut Chain, member: B256) {
    let epoch = chain.epoch();
    while chain.epoch() == epoch {
        while chain.turn().leader == member {
            chain.skip += 1;
        }
        chain.block(&[]);
    }
}

#[test]
fn downtime_costs_the_reward_and_the_seat_for_a_while() {
    // Only turns count here, so that a member without any is below the floor.
    let mut rules = StakingRules {
        seats: 4,
        ..rules()
    };
    rules.weights.results.weight_bp = 0;
    let mut chain = net_with(rules);
    register(&mut chain, 6, OWN);
    let member = chain.committee[1];
    absent(&mut chain, member);
    check(&chain);
    let record = records(&chain, 0)[1].clone();
    assert_eq!(record.turnsKept, 0);
    assert!(record.turnsDue > 0);
    assert_eq!(record.reward, U256::ZERO);
    assert_eq!(
        totals(&chain).unpaidRewards,
        U256::from(3 * (PER_EPOCH / 3))
    );
    let one = candidate(&chain, 1);
    assert!(one.jailed && !one.eligible);
    assert_eq!(one.jailedUntil, 3);
    assert_eq!(elected(&chain, 3), [0, 2, 3, 6]);

    let unjail = Send::call(1, STAKING, &IStaking::unjailCall {});
    assert_eq!(chain.refuse(unjail.clone()), "the jail lasts until epoch 3");
    run_to(&mut chain, 3);
    // Time alone does not free it.
    assert_eq!(elected(&chain, 5), [0, 2, 3, 6]);
    chain.send(unjail);
    assert!(candidate(&chain, 1).eligible);
    run_to(&mut chain, 4);
    assert_eq!(elected(&chain, 6), [0, 1, 2, 3]);
}

#[test]
fn results_decide_the_share() {
    let mut rules = rules();
    rules.attestation_interval = 4;
    let mut chain = net_with(rules);
    let mut digests = BTreeMap::new();
    while chain.epoch() == 0 {
        let mut input = chain.input(None);
        if chain.height > 0 && chain.height.is_multiple_of(4) {
            digests.insert(chain.height, chain.parent);
            // Member 3 attests nothing.
            input.attestations = attestations(0, chain.height, chain.parent, &[0, 1, 2]);
        }
        chain.block_of(&[], input);
    }
    let records = records(&chain, 0);
    assert_eq!(records[0].resultsDue, 1);
    let rewards: Vec<u64> = records.iter().map(|one| one.reward.to()).collect();
    // Scores 4000 + 3000 + 3000 against 4000 + 3000.
    assert_eq!(rewards, [2_702, 2_702, 2_702, 1_891]);
    check(&chain);
}
