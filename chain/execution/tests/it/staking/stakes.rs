//! Stake in, votes to and fro, stake out.

use super::support::*;
use crate::support::Send;
use alloy::primitives::U256;
use mileverse_primitives::{abi::IStaking, address::STAKING};

#[test]
fn members_of_the_genesis_stake_and_are_elected() {
    let chain = net();
    check(&chain);
    for epoch in 0..3 {
        assert_eq!(elected(&chain, epoch), [0, 1, 2, 3]);
    }
    for user in 0..MEMBERS {
        let one = candidate(&chain, user);
        assert_eq!(one.votes, U256::from(OWN));
        assert_eq!(one.ownStake, U256::from(OWN));
        assert_eq!(one.joining, U256::ZERO);
        assert!(one.eligible);
    }
    let sums = totals(&chain);
    assert_eq!(sums.staked, U256::from(4 * OWN));
    assert_eq!(sums.pool, U256::from(POOL));
    assert_eq!(
        chain.view(
            mileverse_primitives::address::COIN,
            mileverse_primitives::abi::ICoin::totalSupplyCall {}
        ),
        chain.genesis.coins().unwrap()
    );
    crate::bridge::check_books(&chain);
}

#[test]
fn votes_are_given_split_moved_and_taken_back() {
    let mut chain = net();
    stake(&mut chain, 5, 1_000);
    let call = split(&chain, &[(0, 300), (1, 200)]);
    chain.send(Send::call(5, STAKING, &call));
    let amounts = |chain: &_| -> Vec<(usize, u64)> {
        delegations(chain, 5)
            .iter()
            .map(|one| (user_of(chain, one.candidate), one.amount.to()))
            .collect()
    };
    assert_eq!(amounts(&chain), [(0, 300), (1, 200)]);
    assert_eq!(account(&chain, 5).free, U256::from(500));
    assert_eq!(candidate(&chain, 0).votes, U256::from(OWN + 300));
    assert_eq!(candidate(&chain, 0).joining, U256::from(300));
    assert_eq!(candidate(&chain, 0).ownStake, U256::from(OWN));

    // A new split replaces the old one.
    let call = split(&chain, &[(1, 250), (2, 750)]);
    chain.send(Send::call(5, STAKING, &call));
    assert_eq!(amounts(&chain), [(1, 250), (2, 750)]);
    assert_eq!(candidate(&chain, 0).votes, U256::from(OWN));

    let call = IStaking::moveCall {
        from: chain.user(2),
        to: chain.user(3),
        amount: U256::from(50),
    };
    chain.send(Send::call(5, STAKING, &call));
    assert_eq!(amounts(&chain), [(1, 250), (2, 700), (3, 50)]);
    let call = unvote(&chain, 1, 250);
    chain.send(Send::call(5, STAKING, &call));
    assert_eq!(amounts(&chain), [(2, 700), (3, 50)]);
    assert_eq!(account(&chain, 5).free, U256::from(250));
    let call = split(&chain, &[]);
    chain.send(Send::call(5, STAKING, &call));
    assert!(amounts(&chain).is_empty());
    assert_eq!(account(&chain, 5).free, U256::from(1_000));
    check(&chain);
}

#[test]
fn stake_comes_out_after_the_unbonding_period() {
    let mut chain = net();
    stake(&mut chain, 5, 1_000);
    let before = chain.account(chain.user(5)).balance;
    let unstake = |amount: u64| IStaking::unstakeCall {
        amount: U256::from(amount),
    };
    chain.send(Send::call(5, STAKING, &unstake(400)));
    run_to(&mut chain, 1);
    chain.send(Send::call(5, STAKING, &unstake(100)));
    chain.send(Send::call(5, STAKING, &unstake(50)));
    let call = IStaking::unbondingsCall {
        voter: chain.user(5),
        offset: 0,
        limit: 10,
    };
    let unbondings: Vec<(u64, u64)> = chain
        .view(STAKING, call)
        .iter()
        .map(|one| (one.amount.to(), one.readyEpoch))
        .collect();
    assert_eq!(unbondings, [(400, 4), (150, 5)]);
    assert_eq!(totals(&chain).unbonding, U256::from(550));
    run_to(&mut chain, 4);
    chain.send(Send::call(5, STAKING, &IStaking::withdrawCall {}));
    assert_eq!(
        chain.account(chain.user(5)).balance,
        before + U256::from(400)
    );
    run_to(&mut chain, 5);
    chain.send(Send::call(5, STAKING, &IStaking::withdrawCall {}));
    assert_eq!(
        chain.account(chain.user(5)).balance,
        before + U256::from(550)
    );
    assert_eq!(totals(&chain).unbonding, U256::ZERO);
    check(&chain);
}

#[test]
fn a_candidate_registers_changes_and_retires() {
    let mut chain = net();
    let key = register(&mut chain, 6, 5_000);
    let one = candidate(&chain, 6);
    assert_eq!(one.votes, U256::from(5_000));
    assert_eq!(one.networkAddress, "10.0.0.7:9000");
    assert_eq!(one.profile, profile("A candidate"));
    assert_eq!(chain.view(STAKING, IStaking::candidateCountCall {}), 5);

    let other = super::support::key(999);
    let call = IStaking::updateCall {
        consensusKey: crate::support::consensus_key(&other),
        possession: possession(&other, chain.user(6)),
        networkAddress: "[2001:db8::7]:9100".into(),
        commissionBp: 600,
        profile: profile("Another name"),
    };
    chain.send(Send::call(6, STAKING, &call));
    let one = candidate(&chain, 6);
    assert_eq!(one.networkAddress, "[2001:db8::7]:9100");
    assert_eq!(one.commissionBp, 600);
    assert_eq!(one.profile.name, "Another name");
    // Both keys stay its own for ever.
    for key in [&key, &other] {
        assert_eq!(user_of_key(&chain, crate::support::consensus_key(key)), 6);
    }

    let retire = IStaking::retireCall {
        candidate: chain.user(6),
    };
    chain.send(Send::call(6, STAKING, &retire));
    assert!(!candidate(&chain, 6).listed);
    assert_eq!(chain.view(STAKING, IStaking::candidateCountCall {}), 4);
    // It may come back with the stake that it still has on itself.
    let again = register_call(&chain, 6, &other);
    let again = IStaking::registerCall {
        commissionBp: 600,
        ..again
    };
    chain.send(Send::call(6, STAKING, &again));
    assert!(candidate(&chain, 6).eligible);
    check(&chain);
}
