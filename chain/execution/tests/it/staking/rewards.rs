//! Who is paid what.

use super::support::*;
use crate::support::{Chain, Send};
use alloy::primitives::U256;
use mileverse_primitives::{abi::IStaking, address::STAKING};

fn claim(chain: &mut Chain, user: usize) -> u64 {
    let before = chain.account(chain.user(user)).balance;
    chain.send(Send::call(user, STAKING, &IStaking::claimCall {}));
    (chain.account(chain.user(user)).balance - before).to()
}

#[test]
fn equal_delegates_share_equally_and_rounding_stays_in_the_pool() {
    let mut chain = net();
    run_to(&mut chain, 1);
    // Four delegates, the same votes, all turns kept: a quarter each.
    for record in records(&chain, 0) {
        assert_eq!(record.reward, U256::from(PER_EPOCH / 4));
        assert_eq!(record.turnsDue, record.turnsKept);
    }
    for user in 0..MEMBERS {
        // Commission and the voters' part, which is all its own.
        assert_eq!(pending(&chain, user), PER_EPOCH / 4);
    }
    assert_eq!(totals(&chain).pool, U256::from(POOL - PER_EPOCH));
    assert_eq!(totals(&chain).unpaidRewards, U256::from(PER_EPOCH));
    assert_eq!(claim(&mut chain, 2), PER_EPOCH / 4);
    assert_eq!(pending(&chain, 2), 0);
    check(&chain);
}

#[test]
fn votes_earn_from_the_next_epoch_on() {
    let mut chain = net();
    run_to(&mut chain, 1);
    back(&mut chain, 5, 0, OWN);
    run_to(&mut chain, 2);
    assert_eq!(pending(&chain, 5), 0);
    let before = pending(&chain, 0);
    run_to(&mut chain, 3);
    let reward: u64 = records(&chain, 2)
        .iter()
        .find(|record| record.candidate == chain.user(0))
        .unwrap()
        .reward
        .to();
    let commission = reward / 10;
    let half = (reward - commission) / 2;
    assert!(pending(&chain, 5).abs_diff(half) <= 1);
    assert!((pending(&chain, 0) - before).abs_diff(commission + half) <= 1);
    check(&chain);
}

#[test]
fn voting_in_the_last_block_earns_nothing_of_the_epoch() {
    let mut chain = net();
    stake(&mut chain, 5, 100 * OWN);
    while !(chain.height + 2).is_multiple_of(EPOCH_BLOCKS) {
        chain.block(&[]);
    }
    let call = vote_for(&chain, 0, 100 * OWN);
    chain.send(Send::call(5, STAKING, &call));
    assert_eq!(chain.epoch(), 1);
    let call = unvote(&chain, 0, 100 * OWN);
    chain.send(Send::call(5, STAKING, &call));
    assert_eq!(pending(&chain, 5), 0);
    run_to(&mut chain, 2);
    assert_eq!(pending(&chain, 5), 0);
    let sums = totals(&chain);
    assert_eq!(sums.unpaidRewards + sums.pool, U256::from(POOL));
    check(&chain);
}

#[test]
fn fees_are_shared_too_and_the_pool_runs_dry() {
    let mut chain = net_with(mileverse_primitives::staking::StakingRules {
        reward_pool: U256::from(PER_EPOCH + 7),
        ..rules()
    });
    let mut paying = Send::data(7, chain.user(8), vec![]).gas(21_000);
    paying.gas_price = 2;
    chain.block(&[paying.clone()]);
    assert_eq!(totals(&chain).fees, U256::from(42_000));
    check(&chain);
    run_to(&mut chain, 1);
    assert_eq!(totals(&chain).fees, U256::ZERO);
    assert_eq!(totals(&chain).unpaidRewards, U256::from(42_000 + PER_EPOCH));
    assert_eq!(totals(&chain).pool, U256::from(7));
    run_to(&mut chain, 2);
    // Seven units for four delegates: one each, three stay.
    assert_eq!(totals(&chain).pool, U256::from(3));
    run_to(&mut chain, 4);
    assert_eq!(totals(&chain).pool, U256::from(3));
    chain.block(&[paying]);
    run_to(&mut chain, 5);
    check(&chain);
}

#[test]
fn fees_of_every_kind_of_transaction_are_counted_exactly() {
    let mut chain = net();
    // sstore(0, iszero(sload(0))): sets a word, and clears it for a refund.
    let toggle = crate::contracts::deploy(&mut chain, &crate::contracts::code("6000541560005500"));
    let reverter = crate::contracts::deploy(&mut chain, &crate::contracts::code("60006000fd"));
    let paying = |mut send: Send, price: u128| {
        send.gas_price = price;
        send
    };
    let long = vec![0xab; 4_000];
    let sends = [
        Send::data(7, toggle, vec![]),
        Send::data(7, toggle, vec![]),
        Send::data(8, reverter, vec![]),
        Send::data(8, toggle, vec![]).gas(25_000),
        Send::data(9, chain.user(1), long).gas(500_000),
        Send::create(9, vec![0x00]).gas(100_000),
        Send::call(8, STAKING, &IStaking::claimCall {}),
    ];
    let mut fees = 0;
    for (send, price) in sends.into_iter().zip([3, 1, 2, 1, 1, 1, 1]) {
        let mut send = send;
        send.gas = send.gas.min(200_000);
        let output = chain.block(&[paying(send, price)]);
        fees += u128::from(output.gas_used) * price;
        assert_eq!(totals(&chain).fees, U256::from(fees));
        check(&chain);
    }
}

#[test]
fn coin_forced_upon_the_module_is_shared_and_never_stops_the_chain() {
    let mut chain = net();
    // A contract that destroys itself in favour of the staking module: PUSH20 address SELFDESTRUCT.
    let mut code = vec![0x73];
    code.extend_from_slice(STAKING.as_slice());
    code.push(0xff);
    chain.block(&[Send::create(7, code).value(U256::from(400))]);
    let sums = totals(&chain);
    let owed = sums.staked + sums.unbonding + sums.unpaidRewards + sums.pool + sums.fees;
    assert_eq!(sums.balance - owed, U256::from(400));
    assert!(chain.view(STAKING, IStaking::solventCall {}));
    run_to(&mut chain, 1);
    assert_eq!(totals(&chain).unpaidRewards, U256::from(PER_EPOCH + 400));
}

#[test]
fn a_change_of_commission_counts_at_the_epochs_end() {
    let mut chain = net();
    back(&mut chain, 5, 0, OWN);
    run_to(&mut chain, 1);
    let one = candidate(&chain, 0);
    let call = IStaking::updateCall {
        consensusKey: one.consensusKey,
        possession: vec![].into(),
        networkAddress: one.networkAddress,
        commissionBp: 0,
        profile: one.profile,
    };
    chain.send(Send::call(0, STAKING, &call));
    let before = (pending(&chain, 0), pending(&chain, 5));
    run_to(&mut chain, 2);
    let gain = (pending(&chain, 0) - before.0, pending(&chain, 5) - before.1);
    assert!(gain.0.abs_diff(gain.1) <= 1, "{gain:?}");
    check(&chain);
}

#[test]
fn an_epoch_whose_books_do_not_balance_has_no_outcome() {
    let mut chain = net();
    while !(chain.height + 2).is_multiple_of(EPOCH_BLOCKS) {
        chain.block(&[]);
    }
    // A unit of the module's coin is gone.
    let key = mileverse_execution::state::account_key(STAKING);
    let mut account = chain.account(STAKING);
    account.balance -= U256::ONE;
    chain.state.values.insert(key, account.encode());
    assert!(!chain.view(STAKING, IStaking::solventCall {}));
    let input = chain.input(None);
    let result = futures::executor::block_on(chain.executor.execute(&chain.state, input, &[]));
    assert!(matches!(
        result,
        Err(mileverse_execution::BlockError::Fatal(_))
    ));
}
