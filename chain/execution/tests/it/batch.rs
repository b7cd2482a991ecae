//! Many transfers, and many issues, in one call.

use super::support::{Chain, DAILY_QUOTA, ISSUER, Send, TREASURY};
use alloy::{
    primitives::{Address, B256, Log, U256},
    sol_types::{SolCall, SolEvent},
};
use mileverse_primitives::{
    abi::IPoints::{self, Issue, Move, Outcome},
    address::{COIN, POINTS},
    points::MICRO,
};

fn entry(to: Address, amount: u64, memo: u8) -> Move {
    Move {
        to,
        amount: U256::from(amount),
        memo: B256::repeat_byte(memo),
    }
}

/// How the entries ended, in order, with their memos.
fn outcomes(logs: &[Log]) -> Vec<(u64, u8, Outcome)> {
    logs.iter()
        .filter_map(|log| IPoints::EntryDone::decode_log_data(&log.data).ok())
        .map(|event| (event.index.to(), event.memo[0], event.outcome))
        .collect()
}

fn transfers(logs: &[Log]) -> Vec<(Address, u64)> {
    logs.iter()
        .filter_map(|log| IPoints::Transfer::decode_log_data(&log.data).ok())
        .map(|event| (event.to, event.value.to()))
        .collect()
}

#[test]
fn a_failing_entry_fails_alone() {
    let mut chain = Chain::charging();
    let [a, b, c] = [1, 2, 3].map(|user| chain.user(user));
    chain.issue(1, 10 * MICRO);
    let moves = vec![
        entry(b, 2 * MICRO, 1),
        entry(Address::ZERO, MICRO, 2),
        entry(COIN, MICRO, 3),
        entry(c, 0, 4),
        entry(b, 8 * MICRO, 5), // no more there, with the fees
        entry(a, MICRO, 6),     // to oneself: only the fee
        entry(b, u64::MAX, 7),
        entry(c, 4 * MICRO, 8),
        entry(b, 2 * MICRO, 9),
    ];
    let call = IPoints::transferBatchCall { moves };
    let logs = chain.send(Send::call(1, POINTS, &call));
    let done = |index: u64, memo| (index, memo, Outcome::Done);
    assert_eq!(
        outcomes(&logs),
        [
            done(0, 1),
            (1, 2, Outcome::BadReceiver),
            (2, 3, Outcome::BadReceiver),
            (3, 4, Outcome::ZeroAmount),
            (4, 5, Outcome::Balance),
            done(5, 6),
            (6, 7, Outcome::Balance),
            done(7, 8),
            done(8, 9),
        ]
    );
    // 0.3 % of 2 + 1 + 4 + 2 points, in one transfer at the end.
    assert_eq!(
        transfers(&logs),
        [
            (b, 2 * MICRO),
            (a, MICRO),
            (c, 4 * MICRO),
            (b, 2 * MICRO),
            (TREASURY, 27_000)
        ]
    );
    assert_eq!(chain.points(b), U256::from(4 * MICRO));
    assert_eq!(chain.points(c), U256::from(4 * MICRO));
    assert_eq!(chain.points(a), U256::from(2 * MICRO - 27_000));
    assert_eq!(chain.points(TREASURY), U256::from(27_000));
}

#[test]
fn a_batch_of_issues_is_counted_once() {
    let mut chain = Chain::charging();
    let [a, b] = [1, 2].map(|user| chain.user(user));
    let one = |to, amount: u64, id: u8| Issue {
        to,
        amount: U256::from(amount),
        conversionId: B256::repeat_byte(id),
    };
    chain.send(Send::call(
        ISSUER,
        POINTS,
        &IPoints::issueBatchCall {
            issues: vec![one(a, 3, 1)],
        },
    ));
    let issues = vec![
        one(a, 5, 2),
        one(b, 5, 1), // issued before
        one(b, 5, 2), // issued in this batch
        one(b, 0, 3),
        one(b, 5, 0),
        one(POINTS, 5, 4),
        one(b, DAILY_QUOTA, 5), // all, less what is used
        one(b, DAILY_QUOTA - 8, 6),
        one(b, 1, 7),
    ];
    let call = IPoints::issueBatchCall { issues };
    let logs = chain.send(Send::call(ISSUER, POINTS, &call));
    let ends: Vec<_> = outcomes(&logs).into_iter().map(|(_, _, end)| end).collect();
    assert_eq!(
        ends,
        [
            Outcome::Done,
            Outcome::AlreadyIssued,
            Outcome::AlreadyIssued,
            Outcome::ZeroAmount,
            Outcome::ZeroId,
            Outcome::BadReceiver,
            Outcome::Quota,
            Outcome::Done,
            Outcome::Quota,
        ]
    );
    assert_eq!(chain.points(a), U256::from(8));
    assert_eq!(chain.points(b), U256::from(DAILY_QUOTA - 8));
    for total in [
        chain.view(POINTS, IPoints::totalSupplyCall {}),
        chain.view(POINTS, IPoints::totalIssuedCall {}),
    ] {
        assert_eq!(total, U256::from(DAILY_QUOTA));
    }
    let issuer = chain.user(ISSUER);
    let left = chain.view(POINTS, IPoints::quotaLeftCall { issuer });
    assert_eq!(left, U256::ZERO);
    // One after the other comes to the same.
    let mut single = Chain::charging();
    for (to, amount, id) in [(a, 3, 1), (a, 5, 2), (b, DAILY_QUOTA - 8, 6)] {
        let call = IPoints::issueCall {
            to,
            amount: U256::from(amount),
            conversionId: B256::repeat_byte(id),
        };
        single.send(Send::call(ISSUER, POINTS, &call));
    }
    for holder in [a, b] {
        assert_eq!(single.points(holder), chain.points(holder));
    }
    let stranger = IPoints::issueBatchCall {
        issues: vec![one(a, 1, 9)],
    };
    let reason = chain.refuse(Send::call(1, POINTS, &stranger));
    assert!(reason.contains("only an issuer"), "{reason}");
}

#[test]
fn a_batch_has_a_length() {
    let mut chain = Chain::charging();
    let b = chain.user(2);
    chain.issue(1, 100 * MICRO);
    let batch = |length: usize| IPoints::transferBatchCall {
        moves: vec![entry(b, 1, 1); length],
    };
    for length in [0, 1_001] {
        let send = Send::call(1, POINTS, &batch(length)).gas(20_000_000);
        let reason = chain.refuse(send);
        assert!(
            reason.contains("1,000") || reason.contains("longer"),
            "{reason}"
        );
    }
    let send = Send::call(1, POINTS, &batch(1_000)).gas(20_000_000);
    let logs = chain.send(send);
    assert_eq!(outcomes(&logs).len(), 1_000);
    assert_eq!(chain.points(b), U256::from(1_000));
    // A batch that cannot pay for all of it does nothing.
    let short = Send::data(1, POINTS, batch(1_000).abi_encode()).gas(4_000_000);
    let output = chain.block(&[short]);
    assert!(!output.receipts[0].success);
    assert_eq!(chain.points(b), U256::from(1_000));
}
