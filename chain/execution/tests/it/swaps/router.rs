//! What the router may do, what it may not, and what it costs.

use super::{
    COIN_UNIT, HOUR, RELAYER, SOMEBODY, calls, check, place, route, sentence, swap, through_router,
    typed, went_home, world, world_with,
};
use crate::{
    bridge::{check_books, receipt},
    contracts::{batch, batcher},
    ethereum::{Ethereum, coin_token, points_token},
    exchange::{PROVIDER, points},
    support::{Chain, Send},
};
use alloy::{
    primitives::{Address, U256, keccak256},
    sol_types::{SolCall, SolValue},
};
use futures::executor::block_on;
use mileverse_execution::Executor;
use mileverse_primitives::{
    abi::{IBridge, ICoin, IPoints},
    address::{BRIDGE, COIN, POINTS},
    contracts::Contract,
    exchange::{ROUTER, SwapRouter},
    staking::coins,
};
use std::collections::BTreeMap;

#[test]
fn only_the_router_opens_and_settles() {
    let (mut chain, mut ethereum) = world();
    let deadline = chain.now + HOUR;
    let one = swap(
        &mut ethereum,
        coin_token(),
        COIN_UNIT,
        SOMEBODY,
        deadline,
        U256::ONE,
    );
    let snapshot = ethereum.snapshot();
    chain.block_with(&[], Some(snapshot.checkpoint()));
    let direct = Send::call(RELAYER, BRIDGE, &snapshot.deliver(&[one]));
    let error: IBridge::RouterNeeded = typed(&chain, &direct);
    assert_eq!(error.sequence, one);
    let output = chain.block(&[direct]);
    assert!(!output.receipts[0].success && output.receipts[0].logs.is_empty());
    assert_eq!(receipt(&chain, one), 0);
    for done in [false, true] {
        let call = IBridge::settleCall {
            sequence: one,
            done,
        };
        let said = chain.refuse(Send::call(RELAYER, BRIDGE, &call));
        assert!(said.contains("only the router"), "{said}");
    }
    let opened = (one, COIN, U256::ONE, SOMEBODY, U256::ONE).abi_encode();
    let inner = [SwapRouter::swapOpenedCall::SELECTOR.to_vec(), opened].concat();
    let _: SwapRouter::OnlyRouter = typed(&chain, &Send::data(RELAYER, ROUTER, inner));
    check(&chain);
    route(&mut chain, &snapshot, &[one]);
    assert_eq!(receipt(&chain, one), 1);
}

/// What somebody gives the router unasked stays there, and changes nothing.
#[test]
fn a_gift_to_the_router_changes_nothing() {
    let (mut chain, mut ethereum) = world();
    let deadline = chain.now + HOUR;
    let gift = IPoints::transferCall {
        to: ROUTER,
        amount: points(3),
    };
    chain.send(Send::call(PROVIDER, POINTS, &gift));
    let gift = ICoin::transferCall {
        to: ROUTER,
        amount: coins(2),
    };
    chain.send(Send::call(PROVIDER, COIN, &gift));
    let mut ask =
        |token, amount, least| swap(&mut ethereum, token, amount, SOMEBODY, deadline, least);
    let all = [
        ask(coin_token(), COIN_UNIT, U256::ONE),
        ask(points_token(), 5_000_000, U256::ONE),
        ask(coin_token(), COIN_UNIT, U256::MAX),
        ask(points_token(), 5_000_000, U256::MAX),
    ];
    let snapshot = ethereum.snapshot();
    let call = through_router(&snapshot, &all);
    let output = chain.block_with(&[call], Some(snapshot.checkpoint()));
    assert!(output.receipts[0].success);
    assert_eq!(all.map(|one| receipt(&chain, one)), [1, 1, 2, 2]);
    check_books(&chain);
    assert_eq!(chain.points(ROUTER), points(3));
    assert_eq!(chain.account(ROUTER).balance, coins(2));
}

/// Nobody makes a swap fail by too little gas: then the delivery fails, and nothing is decided.
#[test]
fn too_little_gas_decides_nothing() {
    let (mut chain, mut ethereum) = world();
    let one = swap(
        &mut ethereum,
        coin_token(),
        COIN_UNIT,
        SOMEBODY,
        chain.now + HOUR,
        U256::ONE,
    );
    let snapshot = ethereum.snapshot();
    chain.block_with(&[], Some(snapshot.checkpoint()));
    let mut decided = false;
    for gas in (100_000..1_600_000).step_by(50_000) {
        let output = chain.block(&[through_router(&snapshot, &[one]).gas(gas)]);
        decided |= output.receipts[0].success;
        assert_eq!(receipt(&chain, one), u8::from(decided), "{gas}");
    }
    assert!(decided);
    check(&chain);
}

/// A chain whose router does what its calldata says.
fn with_batcher() -> (Chain, Ethereum) {
    world_with(|genesis| {
        genesis.contracts.retain(|one| one.address != ROUTER);
        genesis.contracts.push(Contract {
            address: ROUTER,
            code: batcher(BRIDGE).into(),
            storage: BTreeMap::new(),
            operator: None,
        });
    })
}

/// The module does not believe the router more than it must.
#[test]
fn a_bad_router_can_neither_keep_nor_leave_anything() {
    let (mut chain, mut ethereum) = with_batcher();
    let deadline = chain.now + HOUR;
    let all = [coin_token(), coin_token(), points_token()].map(|token| {
        let amount = COIN_UNIT / 1_000_000_000_000;
        swap(&mut ethereum, token, amount, SOMEBODY, deadline, U256::ONE)
    });
    let snapshot = ethereum.snapshot();
    chain.block_with(&[], Some(snapshot.checkpoint()));
    let settle = |sequence, done| IBridge::settleCall { sequence, done }.abi_encode();
    let deliver = snapshot.deliver(&all).abi_encode();
    let [a, b, c] = all;
    let with = |more: &[Vec<u8>]| {
        let mut calls = vec![deliver.clone()];
        calls.extend_from_slice(more);
        Send::data(RELAYER, ROUTER, batch(&calls))
    };
    // Left open: no transaction of any block.
    for left in [
        with(&[]),
        with(&[settle(a, false)]),
        with(&[settle(a, false), settle(c, false)]),
    ] {
        let transaction = chain.sign_with(&left, chain.nonces[RELAYER]);
        let one = std::slice::from_ref(&transaction);
        let input = chain.input(None);
        let told = block_on(chain.executor.execute(&chain.state, input.clone(), one)).unwrap_err();
        assert!(told.is_permanent(), "{told}");
        assert!(told.to_string().contains("open"), "{told}");
        let built = block_on(chain.executor.build(&chain.state, input, one.to_vec()));
        let (taken, _, dead) = built.unwrap();
        assert!(taken.is_empty());
        assert_eq!(dead, [transaction.hash()]);
    }
    // Kept, or settled twice.
    for (bad, words) in [
        (with(&[settle(a, true)]), "given this packet's tokens on"),
        (with(&[settle(c, true)]), "given this packet's tokens on"),
        (with(&[settle(a, false), settle(a, false)]), "is open"),
        (with(&[settle(99, false)]), "is open"),
    ] {
        let said = sentence(&chain, &bad);
        assert!(said.contains(words), "{said}");
    }
    // Given back, in any order.
    let back = with(&[settle(b, false), settle(a, false), settle(c, false)]);
    let output = chain.block(&[back]);
    assert!(output.receipts[0].success);
    assert_eq!(all.map(|one| receipt(&chain, one)), [2, 2, 2]);
    check(&chain);
    for (sent, sequence) in output.packets.iter().zip([b, a, c]) {
        went_home(&mut ethereum, &snapshot, sent, sequence);
    }
}

/// As [`calls`], with more gas for each.
fn calls_all(list: &[(Address, Vec<u8>)]) -> Vec<u8> {
    let mut code = calls(list);
    for at in 0..list.len() {
        // PUSH3 of the gas.
        let place = at * 45 + 38;
        assert_eq!(code[place - 1], 0x62);
        code[place] = 0x20;
    }
    code
}

#[test]
fn open_packets_are_listed_and_counted_while_they_are_open() {
    let (mut chain, mut ethereum) = with_batcher();
    let deadline = chain.now + HOUR;
    let one = swap(
        &mut ethereum,
        points_token(),
        500,
        SOMEBODY,
        deadline,
        U256::from(3),
    );
    let snapshot = ethereum.snapshot();
    chain.block_with(&[], Some(snapshot.checkpoint()));
    // A reader in between, which keeps what it sees.
    let reader = Address::repeat_byte(0x6a);
    let mut code = calls(&[(BRIDGE, IBridge::openedCall {}.abi_encode())]);
    // Instead of stopping: RETURNDATACOPY and store its hash at slot 7.
    let stop = 45;
    let tail = [
        0x3d, 0x5f, 0x5f, 0x3e, 0x3d, 0x5f, 0x20, 0x60, 0x07, 0x55, 0x00,
    ];
    assert_eq!(code[stop], 0);
    let data = code.split_off(stop + 1);
    code.pop();
    code.extend(tail);
    let moved = u16::try_from(code.len()).unwrap().to_be_bytes();
    (code[4], code[5]) = (moved[0], moved[1]);
    code.extend(data);
    place(&mut chain, reader, code);
    let answer = vec![IBridge::Opened {
        sequence: one,
        token: POINTS,
        amount: U256::from(500),
        receiver: SOMEBODY,
        least: U256::from(3),
    }];
    // The router of this chain calls the bridge only, so another contract must look: the books are
    // right in between as well.
    let settle = IBridge::settleCall {
        sequence: one,
        done: false,
    };
    let hash = keccak256(IBridge::openedCall::abi_encode_returns(&answer));
    let peek = Contract {
        address: ROUTER,
        code: calls_all(&[
            (BRIDGE, snapshot.deliver(&[one]).abi_encode()),
            (reader, vec![]),
            (BRIDGE, settle.abi_encode()),
        ])
        .into(),
        storage: BTreeMap::new(),
        operator: None,
    };
    place(&mut chain, ROUTER, peek.code.to_vec());
    let output = chain.block(&[Send::data(RELAYER, ROUTER, vec![])]);
    assert!(output.receipts[0].success);
    assert_eq!(
        chain.slot(reader, U256::from(7)),
        U256::from_be_bytes(hash.0)
    );
    assert_eq!(receipt(&chain, one), 2);
}

#[test]
fn a_delivery_through_the_router_is_free_if_it_is_of_use() {
    let (mut chain, mut ethereum) = world();
    let deadline = chain.now + HOUR;
    let mut ask = |least| {
        swap(
            &mut ethereum,
            coin_token(),
            COIN_UNIT,
            SOMEBODY,
            deadline,
            least,
        )
    };
    let all = [ask(U256::ONE), ask(U256::MAX)];
    let snapshot = ethereum.snapshot();
    chain.block_with(&[], Some(snapshot.checkpoint()));
    // From here on gas costs coin, which the relayer has none of.
    chain.genesis.fees.base_price = 1_000;
    chain.executor = Executor::new(&chain.genesis);
    let admit = |chain: &Chain, send: &Send| {
        let transaction = chain.sign_with(send, chain.nonces[send.user]);
        let executor = &chain.executor;
        block_on(executor.admit(&chain.state, || chain.input(None), &transaction)).unwrap()
    };
    for useful in all {
        let send = through_router(&snapshot, &[useful]).gas(4_000_000);
        assert_eq!(admit(&chain, &send).map(|_| ()), Ok(()));
        assert!(chain.block(std::slice::from_ref(&send)).receipts[0].success);
        let said = admit(&chain, &send).unwrap_err();
        assert!(said.contains("admits no packet"), "{said}");
    }
    assert_eq!(all.map(|one| receipt(&chain, one)), [1, 2]);
    let other = SwapRouter::swapAndSendCall {
        tokenIn: COIN,
        amountIn: U256::ONE,
        leastOut: U256::ONE,
        swapDeadline: deadline,
        receiver: SOMEBODY,
        packetDeadline: deadline,
    };
    let said = admit(&chain, &Send::call(RELAYER, ROUTER, &other)).unwrap_err();
    assert!(said.contains("underpriced"), "{said}");
}

/// A delivery of one swap, its proof and all, costs far less than the router's stipends for it.
#[test]
fn the_stipends_are_ample() {
    let (mut chain, mut ethereum) = world();
    let deadline = chain.now + HOUR;
    let cases = [
        (coin_token(), COIN_UNIT, U256::ONE),
        (coin_token(), COIN_UNIT, U256::MAX),
        (points_token(), points(100).to(), U256::ONE),
        (points_token(), points(100).to(), U256::MAX),
    ];
    for ((token, amount, least), byte) in cases.into_iter().zip(0x70..) {
        let fresh = Address::repeat_byte(byte);
        let one = swap(&mut ethereum, token, amount, fresh, deadline, least);
        let snapshot = ethereum.snapshot();
        let gas = route(&mut chain, &snapshot, &[one]).gas_used;
        assert!(gas < 600_000, "{gas}");
    }
}
