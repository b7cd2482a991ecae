//! Who is elected, and what the node is told.

use super::support::*;
use crate::support::{Send, consensus_key};
use alloy::primitives::U256;
use futures::executor::block_on;
use mileverse_primitives::{abi::IStaking, address::STAKING, schedule::Schedule};

#[test]
fn most_votes_win_and_age_breaks_ties() {
    let mut chain = net();
    // Seats are five. Users 4, 5, 6 register in this order; 6 has more, 4 and 5 tie.
    register(&mut chain, 4, 2 * OWN);
    register(&mut chain, 5, 2 * OWN);
    register(&mut chain, 6, 3 * OWN);
    back(&mut chain, 8, 3, 5 * OWN);
    run_to(&mut chain, 1);
    // Candidates 3, 6, 4, 5, and of the equal members the oldest.
    assert_eq!(elected(&chain, 3), [0, 3, 4, 5, 6]);
    let ranking: Vec<usize> = chain
        .view(
            STAKING,
            IStaking::candidatesCall {
                offset: 0,
                limit: 100,
            },
        )
        .iter()
        .map(|one| user_of(&chain, one.owner))
        .collect();
    assert_eq!(ranking, [3, 6, 4, 5, 0, 1, 2]);
    let page: Vec<usize> = chain
        .view(
            STAKING,
            IStaking::candidatesCall {
                offset: 2,
                limit: 3,
            },
        )
        .iter()
        .map(|one| user_of(&chain, one.owner))
        .collect();
    assert_eq!(page, [4, 5, 0]);
    // Not before.
    for epoch in 0..3 {
        assert_eq!(elected(&chain, epoch), [0, 1, 2, 3]);
    }
    run_to(&mut chain, 5);
    // The elected of epoch 3 signed their ceremony in it and sign from epoch 4 on.
    let mut signers: Vec<usize> = chain
        .committee
        .iter()
        .map(|key| user_of_key(&chain, *key))
        .collect();
    signers.sort_unstable();
    assert_eq!(signers, [0, 3, 4, 5, 6]);
    check(&chain);
}

#[test]
fn the_under_bonded_and_the_retired_are_left_out() {
    let mut chain = net();
    register(&mut chain, 4, 9 * OWN);
    register(&mut chain, 5, 8 * OWN);
    back(&mut chain, 8, 0, 20 * OWN);
    let call = unvote(&chain, 0, 1);
    chain.send(Send::call(0, STAKING, &call));
    assert!(!candidate(&chain, 0).eligible);
    let retire = IStaking::retireCall {
        candidate: chain.user(4),
    };
    chain.send(Send::call(4, STAKING, &retire));
    run_to(&mut chain, 1);
    assert_eq!(elected(&chain, 3), [1, 2, 3, 5]);
}

#[test]
fn too_few_eligible_keep_old_members_in_their_seats() {
    let mut chain = net();
    for user in [0, 1] {
        let call = unvote(&chain, user, 1);
        chain.send(Send::call(user, STAKING, &call));
    }
    back(&mut chain, 8, 1, 5);
    run_to(&mut chain, 1);
    // Two are eligible, four is the least: 1 and 0 stay.
    assert_eq!(elected(&chain, 3), [0, 1, 2, 3]);
    register(&mut chain, 6, OWN);
    run_to(&mut chain, 2);
    // One seat is missing; candidate 1 has more votes than 0.
    assert_eq!(elected(&chain, 4), [1, 2, 3, 6]);
    check(&chain);
}

#[test]
fn the_node_is_told_the_elected_their_addresses_and_the_committee() {
    let mut chain = net();
    let key = register(&mut chain, 6, 50 * OWN);
    let executor = chain.executor.clone();
    let empty = crate::support::MemoryState::default();
    // Before block 1 the state is empty.
    let first = block_on(executor.elected(&empty, 2)).unwrap();
    assert_eq!(first.len(), 4);
    assert!(first.is_sorted_by_key(|one| one.consensus_key));
    for one in &first {
        let address = block_on(executor.directory(&empty, one.consensus_key));
        assert_eq!(address, Ok(Some(one.address)));
    }
    assert_eq!(
        block_on(executor.committee(&empty, 0)).unwrap(),
        chain.genesis.committee.keys()
    );
    assert_eq!(block_on(executor.elected(&chain.state, 3)), Ok(vec![]));
    assert!(block_on(executor.committee(&chain.state, 1)).is_err());
    // The directory is written at the epoch's end only.
    let newcomer = consensus_key(&key);
    assert_eq!(
        block_on(executor.directory(&chain.state, newcomer)),
        Ok(None)
    );
    run_to(&mut chain, 1);
    let third = block_on(executor.elected(&chain.state, 3)).unwrap();
    assert_eq!(third.len(), 5);
    assert!(third.is_sorted_by_key(|one| one.consensus_key));
    assert_eq!(
        block_on(executor.directory(&chain.state, newcomer)),
        Ok(Some("10.0.0.7:9000".parse().unwrap()))
    );
    assert_eq!(
        block_on(executor.committee(&chain.state, 1)).unwrap(),
        chain.committee
    );
    // A change of address waits for the next epoch's end.
    let one = candidate(&chain, 6);
    let call = IStaking::updateCall {
        consensusKey: one.consensusKey,
        possession: vec![].into(),
        networkAddress: "10.9.9.9:9999".into(),
        commissionBp: 500,
        profile: one.profile,
    };
    chain.send(Send::call(6, STAKING, &call));
    let address = |chain: &crate::support::Chain| {
        block_on(executor.directory(&chain.state, newcomer))
            .unwrap()
            .unwrap()
            .to_string()
    };
    assert_eq!(address(&chain), "10.0.0.7:9000");
    run_to(&mut chain, 2);
    assert_eq!(address(&chain), "10.9.9.9:9999");
}

#[test]
fn the_order_of_turns_is_the_schedules() {
    let mut chain = net();
    run_to(&mut chain, 2);
    let hash = chain.genesis.hash().unwrap();
    for epoch in 0..=2 {
        let schedule = Schedule::new(hash, epoch, &chain.committee).unwrap();
        let call = IStaking::turnsCall {
            epoch,
            offset: 0,
            limit: 100,
        };
        let turns = chain.view(STAKING, call);
        assert_eq!(turns.len(), 4);
        for turn in turns {
            assert_eq!(turn.consensusKey, schedule.leader(turn.turn.into()));
        }
    }
}

#[test]
fn a_committee_of_one_stays_one_until_four_can_be_elected() {
    let mut genesis = net_genesis(rules());
    genesis.committee.members.truncate(1);
    genesis.check().unwrap();
    let mut chain = crate::support::Chain::with(genesis, crate::support::Chain::some_users(USERS));
    for (epoch, newcomer) in [(1, 4), (2, 5)] {
        register(&mut chain, newcomer, OWN + newcomer as u64);
        run_to(&mut chain, epoch);
        assert_eq!(elected(&chain, epoch + 2), [newcomer]);
    }
    register(&mut chain, 6, OWN);
    run_to(&mut chain, 3);
    assert_eq!(elected(&chain, 5), [0, 4, 5, 6]);
    let call = unvote(&chain, 0, OWN);
    chain.send(Send::call(0, STAKING, &call));
    run_to(&mut chain, 4);
    assert_eq!(elected(&chain, 6), [5]);
    assert_eq!(candidate(&chain, 0).votes, U256::ZERO);
    check(&chain);
}
