//! The points module: issue, transfer, approve, and how it refuses.

use super::{
    contracts::{
        call_coder, catcher, delegator, deploy, forward, forwarder, reverter, static_caller,
    },
    support::{Chain, DAILY_QUOTA, ISSUER, START_SECONDS, Send},
};
use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::{SolCall, SolEvent},
};
use mileverse_primitives::{
    abi::IPoints,
    address::{ALL, POINTS},
};

fn issue(to: Address, amount: u64, id: u8) -> IPoints::issueCall {
    IPoints::issueCall {
        to,
        amount: U256::from(amount),
        conversionId: B256::repeat_byte(id),
    }
}

fn transfer(to: Address, amount: u64) -> IPoints::transferCall {
    IPoints::transferCall {
        to,
        amount: U256::from(amount),
    }
}

#[test]
fn an_issue_is_counted_announced_and_readable_as_storage() {
    let mut chain = Chain::new();
    let to = chain.user(2);
    let logs = chain.send(Send::call(ISSUER, POINTS, &issue(to, 500, 1)));
    assert_eq!(logs.len(), 2);
    assert!(logs.iter().all(|log| log.address == POINTS));
    assert_eq!(
        IPoints::Transfer::decode_log_data(&logs[0].data).unwrap(),
        IPoints::Transfer {
            from: Address::ZERO,
            to,
            value: U256::from(500)
        }
    );
    assert_eq!(
        IPoints::Issued::decode_log_data(&logs[1].data).unwrap(),
        IPoints::Issued {
            conversionId: B256::repeat_byte(1),
            to,
            amount: U256::from(500)
        }
    );
    assert_eq!(chain.points(to), U256::from(500));
    assert_eq!(
        chain.view(POINTS, IPoints::totalSupplyCall {}),
        U256::from(500)
    );
    assert_eq!(
        chain.view(POINTS, IPoints::totalIssuedCall {}),
        U256::from(500)
    );
    let conversion_id = B256::repeat_byte(1);
    let issued = IPoints::issuedCall {
        conversionId: conversion_id,
    };
    assert_eq!(chain.view(POINTS, issued), U256::from(500));
    // mapping(address => uint256) at slot 0, as Solidity has it.
    let mut place = to.into_word().to_vec();
    place.extend([0; 32]);
    assert_eq!(chain.slot(POINTS, keccak256(place).into()), U256::from(500));
    assert_eq!(chain.view(POINTS, IPoints::decimalsCall {}), 6);
    assert_eq!(chain.view(POINTS, IPoints::symbolCall {}), "MVP");
    assert_eq!(chain.view(POINTS, IPoints::nameCall {}), "MileVerse Points");
}

#[test]
fn one_conversion_is_issued_once() {
    let mut chain = Chain::new();
    let to = chain.user(2);
    chain.send(Send::call(ISSUER, POINTS, &issue(to, 500, 1)));
    let again = chain.refuse(Send::call(ISSUER, POINTS, &issue(to, 500, 1)));
    assert!(again.contains("already issued"));
    let other = chain.refuse(Send::call(ISSUER, POINTS, &issue(chain.user(3), 7, 1)));
    assert!(other.contains("already issued"));
    assert_eq!(chain.points(to), U256::from(500));
}

#[test]
fn only_issuers_issue_and_nothing_zero() {
    let mut chain = Chain::new();
    let to = chain.user(2);
    let mut refuse =
        |user: usize, call: IPoints::issueCall| chain.refuse(Send::call(user, POINTS, &call));
    assert!(refuse(1, issue(to, 500, 1)).contains("only an issuer"));
    assert!(refuse(ISSUER, issue(to, 0, 1)).contains("amount is zero"));
    assert!(refuse(ISSUER, issue(to, 5, 0)).contains("conversion id is zero"));
    assert!(refuse(ISSUER, issue(Address::ZERO, 5, 1)).contains("receiver"));
    for module in ALL {
        assert!(refuse(ISSUER, issue(module, 5, 1)).contains("receiver"));
    }
}

#[test]
fn a_quota_holds_for_one_utc_day() {
    let mut chain = Chain::new();
    let to = chain.user(2);
    let left = |chain: &Chain, user| {
        let issuer = chain.user(user);
        chain.view(POINTS, IPoints::quotaLeftCall { issuer })
    };
    assert_eq!(left(&chain, ISSUER), U256::from(DAILY_QUOTA));
    assert_eq!(left(&chain, 1), U256::ZERO);
    chain.send(Send::call(ISSUER, POINTS, &issue(to, DAILY_QUOTA - 1, 1)));
    assert_eq!(left(&chain, ISSUER), U256::ONE);
    let over = chain.refuse(Send::call(ISSUER, POINTS, &issue(to, 2, 2)));
    assert!(over.contains("quota"));
    chain.send(Send::call(ISSUER, POINTS, &issue(to, 1, 3)));
    assert_eq!(left(&chain, ISSUER), U256::ZERO);
    // The last second of the day, then the first of the next.
    chain.now = START_SECONDS + 86_399;
    let over = chain.refuse(Send::call(ISSUER, POINTS, &issue(to, 1, 4)));
    assert!(over.contains("quota"));
    assert_eq!(chain.now, START_SECONDS + 86_400);
    assert_eq!(left(&chain, ISSUER), U256::from(DAILY_QUOTA));
    chain.send(Send::call(ISSUER, POINTS, &issue(to, DAILY_QUOTA, 4)));
    let max = IPoints::issueCall {
        amount: U256::MAX,
        ..issue(to, 0, 5)
    };
    assert!(
        chain
            .refuse(Send::call(ISSUER, POINTS, &max))
            .contains("quota")
    );
}

#[test]
fn transfers_move_and_approvals_are_used_up() {
    let mut chain = Chain::new();
    let [a, b, c] = [1, 2, 3].map(|user| chain.user(user));
    chain.issue(1, 100);
    chain.send(Send::call(1, POINTS, &transfer(b, 30)));
    assert_eq!(
        (chain.points(a), chain.points(b)),
        (U256::from(70), U256::from(30))
    );
    // To oneself, and of nothing, as ERC-20 allows.
    chain.send(Send::call(1, POINTS, &transfer(a, 70)));
    chain.send(Send::call(3, POINTS, &transfer(b, 0)));
    assert_eq!(chain.points(a), U256::from(70));
    let poor = chain.refuse(Send::call(1, POINTS, &transfer(b, 71)));
    assert!(poor.contains("balance"));
    let approve = |spender, amount| IPoints::approveCall { spender, amount };
    let from = |amount: u64| IPoints::transferFromCall {
        from: a,
        to: c,
        amount: U256::from(amount),
    };
    assert!(
        chain
            .refuse(Send::call(2, POINTS, &from(1)))
            .contains("approval")
    );
    chain.send(Send::call(1, POINTS, &approve(b, U256::from(10))));
    chain.send(Send::call(2, POINTS, &from(4)));
    let allowance = |chain: &Chain| {
        chain.view(
            POINTS,
            IPoints::allowanceCall {
                owner: a,
                spender: b,
            },
        )
    };
    assert_eq!(allowance(&chain), U256::from(6));
    assert!(
        chain
            .refuse(Send::call(2, POINTS, &from(7)))
            .contains("approval")
    );
    // Infinite stays infinite.
    chain.send(Send::call(1, POINTS, &approve(b, U256::MAX)));
    chain.send(Send::call(2, POINTS, &from(5)));
    assert_eq!(allowance(&chain), U256::MAX);
    assert!(
        chain
            .refuse(Send::call(2, POINTS, &from(62)))
            .contains("balance")
    );
    assert_eq!(
        (chain.points(a), chain.points(c)),
        (U256::from(61), U256::from(9))
    );
    let zero = chain.refuse(Send::call(1, POINTS, &approve(Address::ZERO, U256::ONE)));
    assert!(zero.contains("zero"));
    for module in ALL {
        let lost = chain.refuse(Send::call(1, POINTS, &transfer(module, 1)));
        assert!(lost.contains("receiver"));
        chain.send(Send::call(1, POINTS, &approve(c, U256::MAX)));
        let lost = IPoints::transferFromCall {
            from: a,
            to: module,
            amount: U256::ONE,
        };
        assert!(
            chain
                .refuse(Send::call(3, POINTS, &lost))
                .contains("receiver")
        );
    }
}

#[test]
fn calldata_has_one_form() {
    let mut chain = Chain::new();
    chain.issue(1, 100);
    let good = transfer(chain.user(2), 1).abi_encode();
    let mut trailing = good.clone();
    trailing.push(0);
    let mut dirty = good.clone();
    dirty[4] = 1; // above the address's 20 bytes
    let mut unknown = good.clone();
    unknown[0] ^= 1;
    let short = good[..good.len() - 1].to_vec();
    for (bad, what) in [
        (trailing, "trailing byte"),
        (dirty, "dirty address"),
        (unknown, "unknown selector"),
        (short, "truncated"),
        (Vec::new(), "nothing"),
        (good[..3].to_vec(), "half a selector"),
    ] {
        let reason = chain.refuse(Send::data(1, POINTS, bad));
        assert!(reason.contains("not a call"), "{what}: {reason}");
    }
    let long = chain.refuse(Send::data(1, POINTS, vec![0; 4 + 64 + 96_000 + 1]));
    assert!(long.contains("longer"));
    chain.send(Send::data(1, POINTS, good));
}

#[test]
fn value_is_refused() {
    let mut chain = Chain::new();
    chain.fund(chain.user(1), U256::from(10));
    let call = IPoints::totalSupplyCall {};
    let reason = chain.refuse(Send::call(1, POINTS, &call).value(U256::ONE));
    assert!(reason.contains("takes no MVC"));
    assert_eq!(chain.account(POINTS).balance, U256::ZERO);
    let plain = chain.refuse(Send::data(1, POINTS, Bytes::new()).value(U256::ONE));
    assert!(plain.contains("takes no MVC"));
}

#[test]
fn contracts_call_but_neither_delegate_nor_change_statically() {
    let mut chain = Chain::new();
    chain.issue(1, 100);
    let b = chain.user(2);
    let data = transfer(b, 1).abi_encode();
    let balance = IPoints::balanceOfCall {
        account: chain.user(1),
    }
    .abi_encode();
    for proxy in [delegator(), call_coder()] {
        let proxy = deploy(&mut chain, &proxy);
        for data in [&data, &balance] {
            let reason = chain.refuse(Send::data(1, proxy, forward(POINTS, data)));
            assert!(reason.contains("delegated"), "{reason}");
        }
    }
    let statically = deploy(&mut chain, &static_caller());
    let reason = chain.refuse(Send::data(1, statically, forward(POINTS, &data)));
    assert!(reason.contains("static"), "{reason}");
    chain.send(Send::data(1, statically, forward(POINTS, &balance)));
    // A contract that holds points moves its own, not its caller's.
    let wallet = deploy(&mut chain, &forwarder());
    let reason = chain.refuse(Send::data(1, wallet, forward(POINTS, &data)));
    assert!(reason.contains("balance"));
    chain.send(Send::call(1, POINTS, &transfer(wallet, 10)));
    let logs = chain.send(Send::data(1, wallet, forward(POINTS, &data)));
    assert_eq!(logs.len(), 1);
    assert_eq!(chain.points(wallet), U256::from(9));
    assert_eq!(chain.points(b), U256::from(1));
}

#[test]
fn a_revert_after_a_module_call_leaves_nothing() {
    let mut chain = Chain::new();
    chain.issue(1, 100);
    let reverting = deploy(&mut chain, &reverter());
    let catching = deploy(&mut chain, &catcher());
    for holder in [reverting, catching] {
        chain.send(Send::call(1, POINTS, &transfer(holder, 10)));
    }
    let data = transfer(chain.user(2), 1).abi_encode();
    // The whole transaction reverts.
    let output = chain.block(&[Send::data(1, reverting, forward(POINTS, &data))]);
    assert!(!output.receipts[0].success);
    assert_eq!(chain.changed(&output), 1);
    // Only the inner frame reverts; the outer goes on, without its log and its points.
    let inner = forward(reverting, &forward(POINTS, &data));
    let logs = chain.send(Send::data(1, catching, inner));
    assert!(logs.is_empty());
    // A module's own refusal, caught.
    let too_much = transfer(chain.user(2), 11).abi_encode();
    let logs = chain.send(Send::data(1, catching, forward(POINTS, &too_much)));
    assert!(logs.is_empty());
    assert_eq!(chain.points(chain.user(2)), U256::ZERO);
    assert_eq!(chain.points(reverting), U256::from(10));
    assert_eq!(chain.points(catching), U256::from(10));
}

#[test]
fn with_too_little_gas_nothing_happens() {
    let mut chain = Chain::new();
    chain.issue(1, 100);
    let (a, b) = (chain.user(1), chain.user(2));
    let used = chain
        .block(&[Send::call(1, POINTS, &transfer(b, 1))])
        .receipts[0]
        .gas_used;
    // The second transfer's words are not new, so it needs less.
    let mut done = 1;
    for gas in (22_500..used).step_by(397) {
        let send = Send::call(1, POINTS, &transfer(b, 1)).gas(gas);
        let output = chain.block(&[send]);
        let outcome = &output.receipts[0];
        assert!(outcome.gas_used <= gas);
        if outcome.success {
            done += 1;
        } else {
            assert_eq!(outcome.gas_used, gas);
            assert_eq!(chain.changed(&output), 1);
        }
        assert_eq!(chain.points(b), U256::from(done));
        assert_eq!(chain.points(a), U256::from(100 - done));
    }
    assert!(done > 1 && done < 100);
}
