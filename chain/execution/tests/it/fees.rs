//! What transfers of points cost: 0.3 %, rounded down, at most 300 points, paid beside the amount.

use super::{
    bridge::send,
    support::{Chain, ISSUER, Send, TREASURY},
};
use alloy::{
    primitives::{Address, B256, Log, U256},
    sol_types::SolEvent,
};
use mileverse_primitives::{
    abi::IPoints,
    address::{BRIDGE, POINTS},
    points::{Exempt, ExemptClass, Lane, MICRO, PointsRules},
};
use proptest::prelude::*;

fn transfer(to: Address, amount: u64) -> IPoints::transferCall {
    IPoints::transferCall {
        to,
        amount: U256::from(amount),
    }
}

/// The transfers that logs announce: from, to, amount.
fn moves(logs: &[Log]) -> Vec<(Address, Address, u64)> {
    logs.iter()
        .filter_map(|log| IPoints::Transfer::decode_log_data(&log.data).ok())
        .map(|event| (event.from, event.to, event.value.to()))
        .collect()
}

/// Issues as much as wanted, within the quota of a day.
fn rich(chain: &mut Chain, user: usize) -> u64 {
    let amount = super::support::DAILY_QUOTA / 2;
    chain.issue(user, amount);
    amount
}

#[test]
fn the_receiver_gets_the_amount_and_the_payer_pays_the_fee_beside() {
    let mut chain = Chain::charging();
    let (a, b) = (chain.user(1), chain.user(2));
    let had = rich(&mut chain, 1);
    let logs = chain.send(Send::call(1, POINTS, &transfer(b, 10 * MICRO)));
    assert_eq!(
        moves(&logs),
        [(a, b, 10 * MICRO), (a, TREASURY, 30_000)],
        "0.3 % of ten points"
    );
    assert_eq!(chain.points(a), U256::from(had - 10 * MICRO - 30_000));
    assert_eq!(chain.points(b), U256::from(10 * MICRO));
    assert_eq!(chain.points(TREASURY), U256::from(30_000));
    let quoted = chain.view(
        POINTS,
        IPoints::transferFeeCall {
            from: a,
            to: b,
            amount: U256::from(10 * MICRO),
        },
    );
    assert_eq!(quoted, U256::from(30_000));
    assert_eq!(chain.view(POINTS, IPoints::feeReceiverCall {}), TREASURY);
}

#[test]
fn the_balance_must_cover_the_fee_too() {
    let mut chain = Chain::charging();
    let b = chain.user(2);
    chain.issue(1, 1_003_000);
    // One more micro-point has the same fee, which is then one short.
    let poor = chain.refuse(Send::call(1, POINTS, &transfer(b, 1_000_001)));
    assert!(poor.contains("fee"), "{poor}");
    chain.send(Send::call(1, POINTS, &transfer(b, MICRO)));
    assert_eq!(chain.points(chain.user(1)), U256::ZERO);
}

#[test]
fn every_way_to_transfer_pays_and_nothing_else_does() {
    let mut chain = Chain::charging();
    let [a, b, c] = [1, 2, 3].map(|user| chain.user(user));
    let had = rich(&mut chain, 1);
    assert_eq!(chain.points(a), U256::from(had), "an issue is free");
    let paid = |chain: &Chain| chain.points(TREASURY).to::<u64>();
    chain.issue(2, MICRO);
    chain.send(Send::call(
        1,
        POINTS,
        &IPoints::approveCall {
            spender: b,
            amount: U256::from(10 * MICRO),
        },
    ));
    assert_eq!(paid(&chain), 0, "an approval");
    let from = IPoints::transferFromCall {
        from: a,
        to: c,
        amount: U256::from(10 * MICRO),
    };
    // The allowance covers the amount; its owner pays the fee beside it.
    let logs = chain.send(Send::call(2, POINTS, &from));
    assert_eq!(moves(&logs), [(a, c, 10 * MICRO), (a, TREASURY, 30_000)]);
    let memo = B256::repeat_byte(7);
    let with_memo = IPoints::transferWithMemoCall {
        to: c,
        amount: U256::from(MICRO),
        memo,
    };
    let logs = chain.send(Send::call(1, POINTS, &with_memo));
    assert_eq!(moves(&logs), [(a, c, MICRO), (a, TREASURY, 3_000)]);
    let said = IPoints::Memo {
        from: a,
        to: c,
        memo,
        amount: U256::from(MICRO),
    };
    assert_eq!(IPoints::Memo::decode_log_data(&logs[2].data).unwrap(), said);
    assert_eq!(paid(&chain), 33_000);
    let before = chain.points(a);
    let crossing = send(POINTS, Address::repeat_byte(0x42), MICRO, chain.now + 60);
    chain.send(Send::call(1, BRIDGE, &crossing));
    assert_eq!(chain.points(a), before - U256::from(MICRO), "a bridge move");
    let burn = IPoints::burnCall {
        amount: U256::from(MICRO),
    };
    let logs = chain.send(Send::call(1, POINTS, &burn));
    assert_eq!(moves(&logs), [(a, Address::ZERO, MICRO)]);
    assert_eq!(chain.points(a), before - U256::from(2 * MICRO), "a burn");
    assert_eq!(paid(&chain), 33_000);
    assert_eq!(
        chain.view(POINTS, IPoints::totalBurnedCall {}),
        U256::from(MICRO)
    );
    let supply = chain.view(POINTS, IPoints::totalSupplyCall {});
    assert_eq!(supply, U256::from(had + MICRO - MICRO));
    assert_eq!(chain.all_points(), supply);
    let too_much = IPoints::burnCall { amount: before };
    assert!(
        chain
            .refuse(Send::call(1, POINTS, &too_much))
            .contains("balance")
    );
    let nothing = IPoints::burnCall { amount: U256::ZERO };
    assert!(
        chain
            .refuse(Send::call(1, POINTS, &nothing))
            .contains("zero")
    );
}

#[test]
fn exempt_classes_are_free_on_their_side_only() {
    let users = Chain::some_users(5);
    let [shop, desk, bank] = [2, 3, 4].map(|user: usize| users[user].address());
    let mut chain = Chain::with_points(|rules| {
        rules.fee.exempt = [
            (shop, ExemptClass::Receiver),
            (desk, ExemptClass::Sender),
            (bank, ExemptClass::Both),
        ]
        .map(|(address, class)| Exempt { address, class })
        .to_vec();
    });
    let a = chain.user(1);
    for user in 1..=4 {
        chain.issue(user, 100 * MICRO);
    }
    for (from, to, free) in [
        (a, shop, true),
        (shop, a, false),
        (desk, a, true),
        (a, desk, false),
        (a, bank, true),
        (bank, a, true),
        (a, TREASURY, true),
        (TREASURY, a, true),
    ] {
        let amount = U256::from(MICRO);
        let fee = chain.view(POINTS, IPoints::transferFeeCall { from, to, amount });
        let expected = if free { 0 } else { 3_000 };
        assert_eq!(fee, U256::from(expected), "{from} to {to}");
    }
    let logs = chain.send(Send::call(1, POINTS, &transfer(shop, MICRO)));
    assert_eq!(moves(&logs).len(), 1);
    let logs = chain.send(Send::call(2, POINTS, &transfer(a, MICRO)));
    assert_eq!(moves(&logs).len(), 2);
    let logs = chain.send(Send::call(3, POINTS, &transfer(a, MICRO)));
    assert_eq!(moves(&logs).len(), 1);
}

#[derive(Clone, Debug)]
struct Payment {
    from: usize,
    to: usize,
    amount: u64,
}

fn payments() -> impl Strategy<Value = Vec<Payment>> {
    // Around the roundings, and around the cap at 100,000 points.
    let amount = prop_oneof![
        0u64..1_400,
        900_000u64..1_100_000,
        99_999_999_000u64..100_000_001_000,
        Just(250_000 * MICRO),
    ];
    let payment =
        (1usize..5, 1usize..5, amount).prop_map(|(from, to, amount)| Payment { from, to, amount });
    proptest::collection::vec(payment, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_transfer_costs_its_share_and_points_are_conserved(payments in payments()) {
        let users = Chain::some_users(5);
        let mut chain = {
            let mut genesis = super::support::genesis(users[ISSUER].address());
            genesis.points = PointsRules::paid_to(TREASURY);
            genesis.points.lane = Lane::default();
            genesis.issuers[0].daily_quota = U256::MAX;
            Chain::with(genesis, users)
        };
        chain.thorough = false;
        for user in 1..5 {
            chain.issue(user, 300_000 * MICRO);
        }
        let supply = chain.all_points();
        for payment in payments {
            let (a, b) = (chain.user(payment.from), chain.user(payment.to));
            let before = [a, b, TREASURY].map(|holder| chain.points(holder));
            let outcome = chain.block(&[Send::call(payment.from, POINTS, &transfer(b, payment.amount))]);
            let after = [a, b, TREASURY].map(|holder| chain.points(holder));
            let fee = (u128::from(payment.amount) * 30 / 10_000).min(300_000_000);
            let (amount, fee) = (U256::from(payment.amount), U256::from(fee));
            let enough = before[0] >= amount + fee;
            prop_assert_eq!(outcome.receipts[0].success, enough);
            if !enough {
                prop_assert_eq!(before, after);
            } else {
                prop_assert_eq!(after[2], before[2] + fee);
                if a == b {
                    prop_assert_eq!(after[0], before[0] - fee);
                } else {
                    prop_assert_eq!(after[0], before[0] - amount - fee);
                    prop_assert_eq!(after[1], before[1] + amount);
                }
            }
            prop_assert_eq!(chain.all_points(), supply);
        }
    }
}
