//! Gas paid with points: what is owed, who is admitted, and how much room there is.

use super::support::{Chain, GAS_LIMIT, GUARDIAN, ISSUER, Send, TREASURY};
use alloy::{
    primitives::{Address, Log, U256},
    sol_types::{SolCall, SolEvent},
};
use futures::executor::block_on;
use mileverse_execution::{CallOutcome, Transaction, TransactionOutcome};
use mileverse_primitives::{
    abi::{IBridge, IPoints},
    address::{BRIDGE, COIN, POINTS},
    points::{Exempt, ExemptClass, Lane, MICRO},
};
use proptest::prelude::*;

const PRICE: u64 = 2;
const LEAST: u64 = 3_000;
const GAS: u64 = 200_000;

fn chain() -> Chain {
    Chain::with_points(|rules| {
        rules.lane = Lane {
            share_bp: 5_000,
            price: PRICE,
            least: LEAST,
        };
    })
}

fn transfer(to: Address, amount: u64) -> Vec<u8> {
    IPoints::transferCall {
        to,
        amount: U256::from(amount),
    }
    .abi_encode()
}

fn approve(spender: Address) -> Vec<u8> {
    IPoints::approveCall {
        spender,
        amount: U256::from(5),
    }
    .abi_encode()
}

/// One transaction in a block of its own; what its sender lost, and what the treasury got.
fn run(chain: &mut Chain, user: usize, data: Vec<u8>) -> (TransactionOutcome, u64, u64) {
    let holders = [chain.user(user), TREASURY];
    let before = holders.map(|holder| chain.points(holder));
    let [outcome] = chain
        .block(&[Send::data(user, POINTS, data).gas(GAS)])
        .receipts
        .try_into()
        .unwrap();
    let after = holders.map(|holder| chain.points(holder));
    let lost = before[0] - after[0];
    let got = after[1] - before[1];
    (outcome, lost.to(), got.to())
}

/// What the mempool says to a transaction.
fn refusal(chain: &Chain, transaction: &Transaction) -> Option<String> {
    block_on(
        chain
            .executor
            .admit(&chain.state, || chain.input(None), transaction),
    )
    .unwrap()
    .err()
}

fn last_transfer(logs: &[Log]) -> IPoints::Transfer {
    IPoints::Transfer::decode_log_data(&logs.last().unwrap().data).unwrap()
}

#[test]
fn a_transfer_of_a_point_or_more_costs_its_fee_and_nothing_else() {
    let mut chain = chain();
    let b = chain.user(2);
    chain.issue(1, 500 * MICRO);
    for amount in [MICRO, 17 * MICRO] {
        let (outcome, lost, got) = run(&mut chain, 1, transfer(b, amount));
        assert!(outcome.success);
        assert_eq!(got, amount * 3 / 1_000);
        assert_eq!(lost, amount + got);
        assert_eq!(outcome.logs.len(), 2);
        assert_eq!(outcome.effective_gas_price, 0);
    }
    // Less than a point costs as much as one: the fee, and the rest of the least.
    let (outcome, lost, got) = run(&mut chain, 1, transfer(b, MICRO / 2));
    assert_eq!((lost, got), (MICRO / 2 + LEAST, LEAST));
    assert_eq!(outcome.logs.len(), 3);
    assert_eq!(last_transfer(&outcome.logs).value, U256::from(LEAST / 2));
}

#[test]
fn calls_without_an_amount_and_failed_ones_pay_for_their_gas() {
    let mut chain = chain();
    let (a, b) = (chain.user(1), chain.user(2));
    chain.issue(1, 500 * MICRO);
    for (data, success) in [
        (approve(b), true),
        (transfer(b, 0), true),
        (transfer(b, 501 * MICRO), false),
        (transfer(POINTS, 1), false),
        (vec![1, 2, 3], false),
    ] {
        let (outcome, lost, got) = run(&mut chain, 1, data);
        assert_eq!(outcome.success, success);
        assert_eq!(lost, outcome.gas_used * PRICE);
        assert_eq!(lost, got);
        let expected = IPoints::Transfer {
            from: a,
            to: TREASURY,
            value: U256::from(lost),
        };
        assert_eq!(last_transfer(&outcome.logs), expected);
    }
    // With a gas price it is an ordinary transaction, and points pay nothing.
    chain.fund(a, U256::from(GAS));
    let held = chain.points(a);
    let coin = chain.block(&[Send::data(1, POINTS, approve(b)).gas(GAS).gas_price(1)]);
    assert!(coin.receipts[0].success);
    assert_eq!(coin.receipts[0].logs.len(), 1);
    assert_eq!(chain.points(a), held);
    assert!(chain.account(a).balance < U256::from(GAS));
}

#[test]
fn a_transfer_of_everything_is_not_undone_by_what_is_owed() {
    let users = Chain::some_users(5);
    let shop = users[2].address();
    let mut chain = Chain::with_points(|rules| {
        rules.lane.price = PRICE;
        rules.lane.least = LEAST;
        rules.fee.exempt = vec![Exempt {
            address: shop,
            class: ExemptClass::Both,
        }];
    });
    chain.issue(1, 5 * MICRO);
    let (outcome, lost, got) = run(&mut chain, 1, transfer(shop, 5 * MICRO));
    assert!(outcome.success);
    assert_eq!((lost, got), (5 * MICRO, 0));
    // What is left afterwards pays, and is all that pays.
    chain.issue(1, 5 * MICRO + 100);
    let (outcome, lost, got) = run(&mut chain, 1, transfer(shop, 5 * MICRO));
    assert!(outcome.success);
    assert_eq!((lost, got), (5 * MICRO + 100, 100));
    // An exempt payer owes nothing in the lane either.
    let (outcome, lost, _) = run(&mut chain, 2, approve(chain_user(&users, 3)));
    assert!(outcome.success);
    assert_eq!(lost, 0);
}

fn chain_user(users: &[alloy::signers::local::PrivateKeySigner], user: usize) -> Address {
    users[user].address()
}

#[test]
fn who_lacks_the_points_is_refused_at_admission_and_in_blocks() {
    let mut chain = chain();
    let b = chain.user(2);
    chain.issue(1, GAS * PRICE - 1);
    let send = Send::data(1, POINTS, approve(b)).gas(GAS);
    let transaction = chain.sign_with(&send, 0);
    let reason = refusal(&chain, &transaction).unwrap();
    assert!(reason.contains("holds 0.399999 points"), "{reason}");
    assert!(reason.contains("may cost 0.400000"), "{reason}");
    let input = chain.input(None);
    let block = block_on(chain.executor.execute(
        &chain.state,
        input.clone(),
        std::slice::from_ref(&transaction),
    ))
    .unwrap_err();
    assert!(block.to_string().contains(reason.as_str()), "{block}");
    let (taken, _, dead) = block_on(chain.executor.build(
        &chain.state,
        input,
        vec![transaction.clone()],
    ))
    .unwrap();
    assert!(taken.is_empty());
    assert_eq!(dead, [transaction.hash()], "pools let go of it");
    chain.issue(1, 1);
    assert_eq!(refusal(&chain, &transaction), None);
    assert!(chain.block(&[send]).receipts[0].success);
    // Issuers and the guardian need no points, strangers do, and with a gas price nobody does.
    for (user, free) in [(ISSUER, true), (GUARDIAN, true), (3, false)] {
        let send = Send::data(user, POINTS, approve(b)).gas(GAS);
        let transaction = chain.sign_with(&send, 9);
        assert_eq!(refusal(&chain, &transaction).is_none(), free);
        let paid = chain.sign_with(&send.gas_price(1), 9);
        assert_eq!(refusal(&chain, &paid), None);
    }
}

#[test]
fn the_lane_leaves_room_for_others() {
    let mut chain = chain();
    let b = chain.user(2);
    chain.issue(1, 500 * MICRO);
    chain.fund(chain.user(3), U256::from(10u64).pow(U256::from(18)));
    let half = GAS_LIMIT / 2;
    let nonce = chain.nonces[1];
    let lane =
        |gas: u64, nonce| chain.sign_with(&Send::data(1, POINTS, approve(b)).gas(gas), nonce);
    let too_much = lane(half + 1, nonce);
    assert!(
        refusal(&chain, &too_much)
            .unwrap()
            .contains("left for transactions that pay with points")
    );
    let first = lane(half, nonce);
    let second = lane(half, nonce + 1);
    let third = lane(half - 100_000, nonce + 1);
    let paid = Send::data(3, POINTS, approve(b)).gas(half).gas_price(1);
    let other = chain.sign_with(&paid, 0);
    let candidates = vec![
        too_much.clone(),
        first.clone(),
        second,
        third.clone(),
        other.clone(),
    ];
    let input = chain.input(None);
    let (taken, output, dead) =
        block_on(chain.executor.build(&chain.state, input, candidates)).unwrap();
    // What was used counts, not what was allowed; so a smaller one still fits after the first.
    assert_eq!(taken, [first, third, other]);
    assert_eq!(dead, [too_much.hash()]);
    assert!(output.receipts.iter().all(|receipt| receipt.success));
}

fn send_over_bridge(chain: &Chain, token: Address, amount: u64) -> Vec<u8> {
    IBridge::sendCall {
        token,
        receiver: Address::repeat_byte(0x22),
        amount: U256::from(amount),
        deadline: chain.now + 3_600,
    }
    .abi_encode()
}

/// Who holds only points sends them to Ethereum, too, and it is not free.
#[test]
fn points_that_leave_over_the_bridge_pay_for_their_gas() {
    let mut chain = chain();
    chain.issue(1, 500 * MICRO);
    let holders = [chain.user(1), TREASURY, BRIDGE];
    for (amount, success) in [(100 * MICRO, true), (MICRO, true), (900 * MICRO, false)] {
        let before = holders.map(|holder| chain.points(holder));
        let data = send_over_bridge(&chain, POINTS, amount);
        let output = chain.block(&[Send::data(1, BRIDGE, data).gas(400_000)]);
        let outcome = &output.receipts[0];
        assert_eq!(outcome.success, success);
        let owed = U256::from(outcome.gas_used * PRICE);
        let moved = U256::from(if success { amount } else { 0 });
        let after = holders.map(|holder| chain.points(holder));
        assert_eq!(before[0] - after[0], moved + owed);
        assert_eq!(after[1] - before[1], owed);
        assert_eq!(after[2] - before[2], moved);
        assert_eq!(last_transfer(&outcome.logs).value, owed);
        assert_eq!(output.packets.len(), usize::from(success));
    }
    // Without points nobody gets a call of it into a block.
    let data = send_over_bridge(&chain, POINTS, 0);
    let poor = chain.sign_with(&Send::data(3, BRIDGE, data).gas(400_000), 0);
    assert!(refusal(&chain, &poor).unwrap().contains("get more points"));
    // Coin over the bridge is none of the lane's.
    let data = send_over_bridge(&chain, COIN, 5);
    let coin = chain.sign_with(&Send::data(3, BRIDGE, data).gas(400_000), 0);
    assert_eq!(refusal(&chain, &coin), None);
}

#[test]
fn contracts_have_their_share_of_a_block_and_no_more() {
    let users = Chain::some_users(5);
    let mut genesis = super::support::genesis(users[ISSUER].address());
    genesis.fees.contract_bp = 1_000;
    let mut chain = Chain::with(genesis, users);
    let share = GAS_LIMIT / 10;
    let plain = |user: usize, gas: u64| Send::data(user, Address::repeat_byte(9), []).gas(gas);
    let large = chain.sign_with(&plain(1, share + 1), 0);
    assert!(
        refusal(&chain, &large)
            .unwrap()
            .contains("left for transactions that do not pay with points")
    );
    // More than any block has, geth's words say.
    let larger = chain.sign_with(&plain(1, GAS_LIMIT + 1), 0);
    assert_eq!(refusal(&chain, &larger), None);
    let burn = [0x5b, 0x5f, 0x56];
    let first = chain.sign_with(&Send::create(1, burn).gas(share - 50_000), 0);
    let second = chain.sign_with(&plain(2, 50_001), 0);
    let third = chain.sign_with(&plain(2, 50_000), 0);
    let lane = chain.sign_with(&Send::data(3, POINTS, approve(chain.user(1))).gas(GAS), 0);
    let candidates = vec![
        large.clone(),
        first.clone(),
        second,
        third.clone(),
        lane.clone(),
    ];
    let input = chain.input(None);
    let (taken, output, dead) = block_on(chain.executor.build(
        &chain.state,
        input.clone(),
        candidates,
    ))
    .unwrap();
    assert_eq!(taken, [first, third, lane]);
    assert_eq!(dead, [large.hash()]);
    assert_eq!(output.receipts[0].gas_used, share - 50_000);
    // A block that takes it all the same is none.
    let block = block_on(chain.executor.execute(&chain.state, input, &[large]));
    assert!(block.is_err_and(|error| error.is_permanent()));
    chain.thorough = false;
}

#[test]
fn reading_costs_nothing() {
    let chain = chain();
    match chain.try_call(&Send::data(3, POINTS, approve(chain.user(1)))) {
        CallOutcome::Success { logs, .. } => assert_eq!(logs.len(), 1),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn nothing_in_the_lane_is_free_and_points_are_conserved(
        steps in proptest::collection::vec((1usize..4, 1usize..4, 0u64..2_500_000, 0u8..3), 1..20)
    ) {
        let mut chain = chain();
        chain.thorough = false;
        for user in 1..4 {
            chain.issue(user, 4 * MICRO);
        }
        let supply = chain.all_points();
        for (from, to, amount, what) in steps {
            if chain.points(chain.user(from)) < U256::from(GAS * PRICE) {
                continue;
            }
            let to = chain.user(to);
            let data = match what {
                0 => approve(to),
                1 => vec![what; 4],
                _ => transfer(to, amount),
            };
            let (outcome, _, got) = run(&mut chain, from, data);
            let fee = amount * 3 / 1_000;
            if !outcome.success || what < 2 || amount == 0 {
                prop_assert_eq!(got, outcome.gas_used * PRICE);
            } else {
                prop_assert!(got >= fee && got <= fee.max(LEAST));
                let left = chain.points(chain.user(from));
                prop_assert!(got >= LEAST || left.is_zero());
            }
            prop_assert_eq!(chain.all_points(), supply);
        }
    }
}
