//! Swaps across chains, with the pool and the router that a genesis file places: what comes is swapped
//! and received, or goes home whole; what leaves is swapped and sent in one transaction.

use super::{
    bridge::{check_books, deliver, outbound, receipt, totals},
    contracts::{batch, batcher},
    ethereum::{Ethereum, Snapshot, coin_token, points_token},
    exchange::{PROVIDER, TRADER, chain_with, open, open_with, points},
    support::{Chain, Send, TREASURY},
    valves::{GUARDIAN, room},
};
use alloy::{
    primitives::{Address, U256, aliases::U96, keccak256},
    sol_types::{Revert, SolCall, SolError, SolEvent, SolValue},
};
use futures::executor::block_on;
use mileverse_execution::{Account, BlockOutput, CallOutcome, Executor, SentPacket, state};
use mileverse_primitives::{
    abi::{IBridge, ICoin, IPoints, IValves},
    address::{BRIDGE, COIN, POINTS, REWARDS, STAKING},
    bridge::{BridgeRules, Limits},
    contracts::Contract,
    exchange::{self, POOL, Pool, ROUTER, SwapRouter},
    packet::{Action, Expiry, Packet, REFUNDED, Token},
    staking::coins,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const HOUR: u64 = 3_600;
const COIN_UNIT: u64 = 1_000_000_000_000_000_000;
const RELAYER: usize = 4;
const SOMEBODY: Address = Address::repeat_byte(0x66);
/// Who sends on Ethereum.
const SENDER: Address = Address::repeat_byte(0x5e);

/// An open pool, and 1,000,000 points on Ethereum, so that points can come.
fn world() -> (Chain, Ethereum) {
    world_with(|_| ())
}

fn world_with(
    change: impl FnOnce(&mut mileverse_primitives::genesis::Genesis),
) -> (Chain, Ethereum) {
    let mut chain = open_with(change);
    let call = IBridge::sendCall {
        token: POINTS,
        receiver: SENDER,
        amount: points(1_000_000),
        deadline: chain.now + HOUR,
    };
    let output = chain.block(&[Send::call(PROVIDER, BRIDGE, &call)]);
    let mut ethereum = Ethereum::new();
    ethereum.receive(&output.packets[0]);
    (chain, ethereum)
}

fn swap(
    ethereum: &mut Ethereum,
    token: Token,
    amount: u64,
    receiver: Address,
    deadline: u64,
    least: U256,
) -> u64 {
    ethereum.send_with(
        token,
        receiver,
        amount,
        deadline,
        Some(Action::Swap { least }),
    )
}

fn through_router(snapshot: &Snapshot, sequences: &[u64]) -> Send {
    Send::call(RELAYER, ROUTER, &snapshot.deliver(sequences)).gas(25_000_000)
}

fn route(chain: &mut Chain, snapshot: &Snapshot, sequences: &[u64]) -> BlockOutput {
    let call = through_router(snapshot, sequences);
    let known = chain.view(BRIDGE, IBridge::latestCheckpointCall {});
    let fresh = (known < snapshot.number).then(|| snapshot.checkpoint());
    let output = chain.block_with(&[call], fresh);
    assert!(output.receipts[0].success);
    check(chain);
    output
}

/// The books agree, and the router has nothing.
fn check(chain: &Chain) {
    check_books(chain);
    assert_eq!(chain.points(ROUTER), U256::ZERO);
    assert_eq!(chain.account(ROUTER).balance, U256::ZERO);
    assert!(chain.view(BRIDGE, IBridge::openedCall {}).is_empty());
    let reserves = chain.view(POOL, Pool::reservesCall {});
    assert_eq!(reserves.reserve0, chain.points(POOL));
    assert_eq!(reserves.reserve1, chain.account(POOL).balance);
}

fn quote(chain: &Chain, token: Address, amount: U256) -> U256 {
    let call = Pool::quoteExactInCall {
        tokenIn: token,
        amountIn: amount,
    };
    chain.view(POOL, call).amountOut
}

fn find<E: SolEvent>(output: &BlockOutput, emitter: Address) -> Vec<E> {
    let logs = output.receipts.iter().flat_map(|receipt| &receipt.logs);
    logs.filter(|log| log.address == emitter)
        .filter_map(|log| E::decode_log_data(&log.data).ok())
        .collect()
}

/// The typed refusal of a call.
fn typed<E: SolError>(chain: &Chain, send: &Send) -> E {
    match chain.try_call(send) {
        CallOutcome::Revert { output, .. } => E::abi_decode(&output).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn sentence(chain: &Chain, send: &Send) -> String {
    typed::<Revert>(chain, send).reason
}

/// What went home: the whole packet, and its refund is the sender's on Ethereum.
fn went_home(ethereum: &mut Ethereum, snapshot: &Snapshot, sent: &SentPacket, sequence: u64) {
    let Ok(Packet::Expiry(Expiry { expired, .. })) = Packet::decode(&sent.packet) else {
        panic!()
    };
    assert_eq!(sent.packet.len(), 193);
    assert_eq!(Packet::Transfer(expired), snapshot.packets[&sequence]);
    ethereum.receive(sent);
    assert_eq!(ethereum.outbound[&sequence], REFUNDED);
}

/// Puts code at an address, as if somebody had deployed it.
fn place(chain: &mut Chain, address: Address, code: Vec<u8>) {
    let account = Account {
        nonce: 1,
        code_hash: keccak256(&code),
        ..Account::default()
    };
    let values = &mut chain.state.values;
    values.insert(state::code_key(account.code_hash), code);
    values.insert(state::account_key(address), account.encode());
}

#[test]
fn coin_from_ethereum_arrives_as_points_and_points_as_coin() {
    let (mut chain, mut ethereum) = world();
    let expected = quote(&chain, COIN, coins(10));
    let deadline = chain.now + HOUR;
    let first = swap(
        &mut ethereum,
        coin_token(),
        10 * COIN_UNIT,
        SOMEBODY,
        deadline,
        expected,
    );
    let snapshot = ethereum.snapshot();
    let output = route(&mut chain, &snapshot, &[first]);
    assert_eq!(receipt(&chain, first), 1);
    assert_eq!(chain.points(SOMEBODY), expected);
    assert!(output.packets.is_empty());
    let commitment = snapshot.packets[&first].commitment();
    assert_eq!(
        find::<IBridge::PacketReceived>(&output, BRIDGE),
        [IBridge::PacketReceived {
            sequence: first,
            commitment
        }]
    );
    let told = find::<SwapRouter::Swapped>(&output, ROUTER);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].sequence, told[0].receiver), (first, SOMEBODY));
    assert_eq!((told[0].amountIn, told[0].amountOut), (coins(10), expected));
    // The pool has the coin; nobody was asked for the points' transfer fee.
    assert_eq!(chain.points(TREASURY), U256::ZERO);

    let expected = quote(&chain, POINTS, points(1_000));
    let second = swap(
        &mut ethereum,
        points_token(),
        points(1_000).to(),
        SOMEBODY,
        deadline,
        expected,
    );
    let snapshot = ethereum.snapshot();
    route(&mut chain, &snapshot, &[first, second]);
    assert_eq!(chain.account(SOMEBODY).balance, expected);
    assert_eq!(totals(&chain, POINTS).received, points(1_000));
    // Once and for ever.
    let output = route(&mut chain, &snapshot, &[second]);
    assert!(output.receipts[0].logs.is_empty());
}

#[test]
fn a_price_that_moved_sends_the_packet_home_whole() {
    let (mut chain, mut ethereum) = world();
    let deadline = chain.now + HOUR;
    let expected = quote(&chain, COIN, coins(2));
    let too_much = expected + U256::ONE;
    let mut ask = |least| {
        swap(
            &mut ethereum,
            coin_token(),
            2 * COIN_UNIT,
            SOMEBODY,
            deadline,
            least,
        )
    };
    // One that does not go stands in the way of none beside it.
    let all = [
        ask(too_much),
        ask(expected),
        ask(U256::MAX),
        ask(U256::ZERO),
    ];
    let plain = ethereum.send(coin_token(), SOMEBODY, 77, deadline);
    let snapshot = ethereum.snapshot();
    let [refused, done, greedy, modest] = all;
    let output = route(
        &mut chain,
        &snapshot,
        &[refused, done, plain, greedy, modest],
    );
    assert_eq!(all.map(|one| receipt(&chain, one)), [2, 1, 2, 1]);
    assert_eq!(receipt(&chain, plain), 1);
    assert_eq!(chain.account(SOMEBODY).balance, U256::from(77));
    assert_eq!(
        totals(&chain, COIN).received,
        coins(20_000_004) + U256::from(77)
    );
    let told = find::<SwapRouter::SwapRefused>(&output, ROUTER);
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].sequence, refused);
    assert_eq!(told[0].reason.as_slice(), Pool::TooLittleOut::SELECTOR);
    assert_eq!(output.packets.len(), 2);
    went_home(&mut ethereum, &snapshot, &output.packets[0], refused);
    went_home(&mut ethereum, &snapshot, &output.packets[1], greedy);
    // For ever, though the price comes back.
    route(&mut chain, &snapshot, &[refused]);
    assert_eq!(receipt(&chain, refused), 2);
}

#[test]
fn what_cannot_be_swapped_goes_home_whoever_brings_it() {
    for by_router in [false, true] {
        let (mut chain, mut ethereum) = world();
        let deadline = chain.now + HOUR;
        let token = coin_token();
        let mut ask = |receiver, deadline| {
            swap(
                &mut ethereum,
                token,
                COIN_UNIT,
                receiver,
                deadline,
                U256::ONE,
            )
        };
        let all = [
            ask(SOMEBODY, chain.now - 1),
            ask(Address::ZERO, deadline),
            ask(BRIDGE, deadline),
            ask(STAKING, deadline),
            ask(ROUTER, deadline),
            // The rewards module takes coin, but swaps for nobody.
            ask(REWARDS, deadline),
        ];
        let unknown = swap(
            &mut ethereum,
            Token {
                contract: SOMEBODY,
                ..token
            },
            5,
            SOMEBODY,
            deadline,
            U256::ONE,
        );
        // More points than are held for Ethereum, and a plain transfer to the router.
        let above = swap(
            &mut ethereum,
            points_token(),
            points(2_000_000).to(),
            SOMEBODY,
            deadline,
            U256::ONE,
        );
        let stuck = ethereum.send(token, ROUTER, 9, deadline);
        let snapshot = ethereum.snapshot();
        let mut sequences = all.to_vec();
        sequences.extend([unknown, above, stuck]);
        let output = if by_router {
            route(&mut chain, &snapshot, &sequences)
        } else {
            deliver(&mut chain, &snapshot, &sequences)
        };
        check(&chain);
        for sequence in &sequences {
            assert_eq!(receipt(&chain, *sequence), 2, "{sequence}");
        }
        assert_eq!(output.packets.len(), sequences.len());
        for (sent, sequence) in output.packets.iter().zip(all) {
            went_home(&mut ethereum, &snapshot, sent, sequence);
        }
    }
}

#[test]
fn without_an_exchange_a_swap_goes_home_at_once() {
    let mut chain = Chain::new();
    let mut ethereum = Ethereum::new();
    let one = swap(
        &mut ethereum,
        coin_token(),
        5,
        SOMEBODY,
        chain.now + HOUR,
        U256::ONE,
    );
    let snapshot = ethereum.snapshot();
    let output = deliver(&mut chain, &snapshot, &[one]);
    went_home(&mut ethereum, &snapshot, &output.packets[0], one);
    check_books(&chain);
}

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

fn with_limits(genesis: &mut mileverse_primitives::genesis::Genesis, guardian: Address) {
    let coin = Limits {
        receive_per_hour: U96::from(8 * COIN_UNIT),
        large_from: U96::from(5 * COIN_UNIT),
        hold_seconds: 7_200,
        ..Limits::default()
    };
    genesis.bridge = BridgeRules {
        guardian,
        coin,
        ..BridgeRules::default()
    };
}

#[test]
fn limits_count_swaps_and_large_ones_wait_for_the_router() {
    let guardian = Chain::some_users(5)[GUARDIAN].address();
    let (mut chain, mut ethereum) = world_with(|genesis| with_limits(genesis, guardian));
    let deadline = chain.now + 600;
    let mut ask = |amount: u64, least| {
        let amount = amount * COIN_UNIT;
        swap(
            &mut ethereum,
            coin_token(),
            amount,
            SOMEBODY,
            deadline,
            least,
        )
    };
    let [small, refused] = [ask(1, U256::ONE), ask(1, U256::MAX)];
    let [large, over] = [ask(6, U256::ONE), ask(3, U256::ONE)];
    let snapshot = ethereum.snapshot();
    let full = room(&chain, COIN)[2];
    // Whoever brings a large one has it held, and one above the limit sent home.
    deliver(&mut chain, &snapshot, &[large, over]);
    assert_eq!([large, over].map(|one| receipt(&chain, one)), [0, 2]);
    let output = route(&mut chain, &snapshot, &[small, refused]);
    assert_eq!([small, refused].map(|one| receipt(&chain, one)), [1, 2]);
    assert_eq!(output.packets.len(), 1);
    // What the pool refused uses no room.
    assert_eq!(full - room(&chain, COIN)[2], coins(7));

    let packet = snapshot.packets[&large].encode();
    let release = IValves::releaseCall { packet };
    let by_router = Send::call(RELAYER, ROUTER, &release);
    let said = sentence(&chain, &by_router);
    assert!(said.contains("waits until"), "{said}");
    // Its deadline is over by then; it was proven in time.
    chain.now += 7_200;
    let error: IBridge::RouterNeeded = typed(&chain, &Send::call(RELAYER, BRIDGE, &release));
    assert_eq!(error.sequence, large);
    let again = Send::call(RELAYER, BRIDGE, &snapshot.deliver(&[large]));
    let error: IBridge::RouterNeeded = typed(&chain, &again);
    assert_eq!(error.sequence, large);
    let before = chain.points(SOMEBODY);
    let expected = quote(&chain, COIN, coins(6));
    chain.send(by_router);
    assert_eq!(receipt(&chain, large), 1);
    assert_eq!(chain.points(SOMEBODY) - before, expected);
    check(&chain);
}

#[test]
fn a_held_swap_may_be_stopped_or_released_at_a_price_that_moved() {
    let guardian = Chain::some_users(5)[GUARDIAN].address();
    let (mut chain, mut ethereum) = world_with(|genesis| with_limits(genesis, guardian));
    let deadline = chain.now + 600;
    let stopped = swap(
        &mut ethereum,
        coin_token(),
        5 * COIN_UNIT,
        SOMEBODY,
        deadline,
        U256::ONE,
    );
    let snapshot = ethereum.snapshot();
    route(&mut chain, &snapshot, &[stopped]);
    let packet = snapshot.packets[&stopped].encode();
    let output = chain.block(&[Send::call(GUARDIAN, BRIDGE, &IValves::stopCall { packet })]);
    assert_eq!(receipt(&chain, stopped), 2);
    went_home(&mut ethereum, &snapshot, &output.packets[0], stopped);

    chain.now += HOUR;
    let deadline = chain.now + 600;
    let moved = swap(
        &mut ethereum,
        coin_token(),
        5 * COIN_UNIT,
        SOMEBODY,
        deadline,
        U256::MAX,
    );
    let snapshot = ethereum.snapshot();
    route(&mut chain, &snapshot, &[moved]);
    chain.now += 7_200;
    let packet = snapshot.packets[&moved].encode();
    let release = IValves::releaseCall { packet };
    let output = chain.block(&[Send::call(RELAYER, ROUTER, &release)]);
    assert!(output.receipts[0].success);
    assert_eq!(receipt(&chain, moved), 2);
    went_home(&mut ethereum, &snapshot, &output.packets[0], moved);
    check(&chain);
}

/// The modules move coin by their books and call nobody: a receiver that is a contract never runs, so it
/// can neither hold up a delivery nor act within one.
#[test]
fn a_receiver_that_is_a_contract_receives_and_never_runs() {
    let (mut chain, mut ethereum) = world();
    let deadline = chain.now + HOUR;
    let give = IPoints::transferCall {
        to: ROUTER,
        amount: U256::ONE,
    };
    let codes = [
        // Burns all gas, reverts, halts, gives the router points.
        vec![0x5b, 0x60, 0x00, 0x56],
        vec![0x60, 0x00, 0x80, 0xfd],
        vec![0xfe],
        calls(&[(POINTS, give.abi_encode())]),
    ];
    let mut all = Vec::new();
    for (code, byte) in codes.into_iter().zip(0x68..) {
        let receiver = Address::repeat_byte(byte);
        place(&mut chain, receiver, code);
        let give = IPoints::transferCall {
            to: receiver,
            amount: points(1),
        };
        chain.send(Send::call(PROVIDER, POINTS, &give));
        for (token, amount) in [
            (points_token(), points(100).to()),
            (coin_token(), COIN_UNIT),
        ] {
            let one = swap(&mut ethereum, token, amount, receiver, deadline, U256::ONE);
            all.push((one, receiver));
        }
    }
    let snapshot = ethereum.snapshot();
    let sequences: Vec<u64> = all.iter().map(|(one, _)| *one).collect();
    route(&mut chain, &snapshot, &sequences);
    for (one, receiver) in all {
        assert_eq!(receipt(&chain, one), 1);
        assert!(chain.points(receiver) > points(1));
        assert!(chain.account(receiver).balance > U256::ZERO);
        assert_eq!(chain.slot(receiver, U256::ZERO), U256::ZERO);
    }
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

/// Code that makes these calls, one after another, and stores at slot n whether the n-th succeeded.
fn calls(calls: &[(Address, Vec<u8>)]) -> Vec<u8> {
    let head_length = 45 * calls.len() + 1;
    let mut head = Vec::new();
    let mut data = Vec::new();
    for (at, (to, input)) in calls.iter().enumerate() {
        let offset = u16::try_from(head_length + data.len())
            .unwrap()
            .to_be_bytes();
        let length = u16::try_from(input.len()).unwrap().to_be_bytes();
        // CODECOPY(0, offset, length)
        head.extend([0x61, length[0], length[1], 0x61, offset[0], offset[1]]);
        head.extend([0x60, 0x00, 0x39]);
        // CALL(gas, to, 0, 0, length, 0, 0)
        head.extend([0x5f, 0x5f, 0x61, length[0], length[1], 0x5f, 0x5f, 0x73]);
        head.extend(to.as_slice());
        head.extend([0x62, 0x02, 0x00, 0x00, 0xf1]);
        // SSTORE(at, success)
        head.extend([0x60, u8::try_from(at).unwrap(), 0x55]);
        data.extend(input);
    }
    assert_eq!(head.len() + 1, head_length);
    head.push(0x00);
    [head, data].concat()
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

#[test]
fn what_leaves_is_swapped_first_and_refunded_to_its_sender() {
    let (mut chain, mut ethereum) = world();
    let trader = chain.user(TRADER);
    let deadline = chain.now + HOUR;
    let allow = ICoin::approveCall {
        spender: ROUTER,
        amount: points(1_000),
    };
    chain.send(Send::call(TRADER, POINTS, &allow));
    for (token, amount, named) in [
        (POINTS, points(1_000), coin_token()),
        (COIN, coins(7), points_token()),
    ] {
        let expected = quote(&chain, token, amount);
        let mut call = SwapRouter::swapAndSendCall {
            tokenIn: token,
            amountIn: amount,
            leastOut: expected + U256::ONE,
            swapDeadline: chain.now + 60,
            receiver: SOMEBODY,
            packetDeadline: deadline,
        };
        let value = if token == COIN { amount } else { U256::ZERO };
        let send =
            |call: &SwapRouter::swapAndSendCall| Send::call(TRADER, ROUTER, call).value(value);
        let greedy = chain.try_call(&send(&call));
        assert!(!greedy.is_success());
        call.leastOut = expected;
        let before = (chain.points(trader), chain.account(trader).balance);
        let output = chain.block(&[send(&call)]);
        assert!(output.receipts[0].success);
        check(&chain);
        let spent = if token == COIN {
            before.1 - chain.account(trader).balance
        } else {
            // No fee of the points' beside.
            before.0 - chain.points(trader)
        };
        assert_eq!(spent, amount);
        let Ok(Packet::Transfer(sent)) = Packet::decode(&output.packets[0].packet) else {
            panic!()
        };
        assert_eq!((sent.sender, sent.receiver), (trader, SOMEBODY));
        assert_eq!((sent.token, sent.amount), (named, expected));
        assert_eq!((sent.deadline, sent.action), (deadline, None));
        // It expires on Ethereum: the trader has it, not the router.
        let before = (chain.points(trader), chain.account(trader).balance);
        ethereum.now = deadline + 1;
        let sequence = output.packets[0].sequence;
        ethereum.receipts.remove(&sequence);
        ethereum.receive(&output.packets[0]);
        let news = *ethereum.packets.last_key_value().unwrap().0;
        let snapshot = ethereum.snapshot();
        route(&mut chain, &snapshot, &[news]);
        assert_eq!(outbound(&chain, sequence), REFUNDED);
        let after = (chain.points(trader), chain.account(trader).balance);
        let back = if token == COIN {
            after.0 - before.0
        } else {
            after.1 - before.1
        };
        assert_eq!(back, expected);
    }
}

#[test]
fn nobody_is_named_as_sender_who_could_not_be_refunded() {
    let mut chain = open();
    let call = |sender| IBridge::sendForCall {
        token: POINTS,
        receiver: SOMEBODY,
        amount: U256::from(5),
        deadline: chain.now + HOUR,
        sender,
    };
    let nobodies = [
        Address::ZERO,
        POINTS,
        COIN,
        BRIDGE,
        STAKING,
        REWARDS,
        ROUTER,
    ];
    let calls = nobodies.map(call);
    let good = call(SOMEBODY);
    for bad in calls {
        let said = chain.refuse(Send::call(TRADER, BRIDGE, &bad));
        assert!(said.contains("who is refunded"), "{said}");
    }
    let output = chain.block(&[Send::call(TRADER, BRIDGE, &good)]);
    let Ok(Packet::Transfer(sent)) = Packet::decode(&output.packets[0].packet) else {
        panic!()
    };
    assert_eq!(sent.sender, SOMEBODY);
    check(&chain);
}

#[derive(Clone, Debug)]
enum Step {
    /// From Ethereum, with a least of so many percent of what the pool gives now.
    In {
        coin: bool,
        amount: u64,
        percent: u64,
        lifetime: u64,
    },
    /// Without an action.
    Plain {
        amount: u64,
    },
    /// From here, swapped first.
    Out {
        coin: bool,
        amount: u64,
        lifetime: u64,
    },
    /// Somebody trades, and the price moves.
    Trade {
        coin: bool,
        amount: u64,
    },
    ToEthereum {
        from: usize,
    },
    ToNative {
        from: u64,
    },
    Wait {
        native: bool,
        seconds: u64,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    let amount = 1u64..5_000;
    let lifetime = 1u64..60;
    prop_oneof![
        4 => (any::<bool>(), amount.clone(), 97u64..102, lifetime.clone())
            .prop_map(|(coin, amount, percent, lifetime)| Step::In { coin, amount, percent, lifetime }),
        1 => (1u64..300).prop_map(|amount| Step::Plain { amount }),
        2 => (any::<bool>(), amount.clone(), lifetime)
            .prop_map(|(coin, amount, lifetime)| Step::Out { coin, amount, lifetime }),
        2 => (any::<bool>(), amount).prop_map(|(coin, amount)| Step::Trade { coin, amount: amount * 40_000 }),
        1 => (0usize..3).prop_map(|from| Step::ToEthereum { from }),
        2 => (0u64..3).prop_map(|from| Step::ToNative { from }),
        1 => (any::<bool>(), 1u64..50).prop_map(|(native, seconds)| Step::Wait { native, seconds }),
    ]
}

/// Both chains and what is known to be under way.
struct World {
    chain: Chain,
    ethereum: Ethereum,
    outbox: Vec<SentPacket>,
    to_ethereum: usize,
    to_native: u64,
}

impl World {
    fn new() -> Self {
        let mut chain = open();
        chain.thorough = false;
        let allow = ICoin::approveCall {
            spender: ROUTER,
            amount: U256::MAX,
        };
        let out = IBridge::sendCall {
            token: POINTS,
            receiver: SENDER,
            amount: points(1_000_000),
            deadline: chain.now + HOUR,
        };
        let output = chain.block(&[
            Send::call(TRADER, POINTS, &allow),
            Send::call(PROVIDER, BRIDGE, &out),
        ]);
        let mut world = Self {
            chain,
            ethereum: Ethereum::new(),
            outbox: output.packets,
            to_ethereum: 0,
            to_native: 1,
        };
        world.take(&Step::ToEthereum { from: 0 });
        world
    }

    /// A token here and on its way, and so many hundredths of it.
    fn of(coin: bool, hundredths: u64) -> (Address, Token, U256) {
        let hundredths = U256::from(hundredths);
        if coin {
            // A coin is about 100 points.
            let each = U256::from(COIN_UNIT / 10_000);
            (COIN, coin_token(), hundredths * each)
        } else {
            (POINTS, points_token(), hundredths * U256::from(10_000))
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::In {
                coin,
                amount,
                percent,
                lifetime,
            } => {
                let (here, token, amount) = Self::of(coin, amount);
                let sums = self.ethereum.points;
                if !coin && U256::from(sums.received + sums.refunded - sums.sent) < amount {
                    return;
                }
                let now = quote(&self.chain, here, amount);
                let least = now * U256::from(percent) / U256::from(100);
                let deadline = self.chain.now + lifetime;
                swap(
                    &mut self.ethereum,
                    token,
                    amount.to(),
                    SOMEBODY,
                    deadline,
                    least,
                );
            }
            Step::Plain { amount } => {
                let deadline = self.chain.now + 30;
                self.ethereum.send(coin_token(), SOMEBODY, amount, deadline);
            }
            Step::Out {
                coin,
                amount,
                lifetime,
            } => {
                let (here, _, amount) = Self::of(coin, amount);
                let call = SwapRouter::swapAndSendCall {
                    tokenIn: here,
                    amountIn: amount,
                    leastOut: U256::ONE,
                    swapDeadline: self.chain.now,
                    receiver: SOMEBODY,
                    packetDeadline: self.chain.now + lifetime,
                };
                let value = if coin { amount } else { U256::ZERO };
                let send = Send::call(TRADER, ROUTER, &call).value(value);
                let output = self.chain.block(&[send]);
                assert!(output.receipts[0].success);
                self.outbox.extend(output.packets);
            }
            Step::Trade { coin, amount } => {
                let (here, _, amount) = Self::of(coin, amount);
                let call = Pool::exactInCall {
                    tokenIn: here,
                    amountIn: amount,
                    leastOut: U256::ONE,
                    receiver: self.chain.user(TRADER),
                    deadline: U256::MAX,
                };
                let value = if coin { amount } else { U256::ZERO };
                self.chain
                    .send(Send::call(TRADER, POOL, &call).value(value));
            }
            Step::ToEthereum { from } => {
                let first = self.to_ethereum.saturating_sub(from);
                for packet in &self.outbox[first..] {
                    self.ethereum.receive(packet);
                }
                self.to_ethereum = self.outbox.len();
            }
            Step::ToNative { from } => {
                let snapshot = self.ethereum.snapshot();
                let first = self.to_native.saturating_sub(from).max(1);
                let sequences: Vec<u64> = (first..=snapshot.packets.len() as u64)
                    .filter(|sequence| {
                        snapshot.outbound[sequence] == snapshot.packets[sequence].commitment()
                    })
                    .take(20)
                    .collect();
                if let Some(last) = sequences.last() {
                    self.to_native = last + 1;
                    let output = route(&mut self.chain, &snapshot, &sequences);
                    self.outbox.extend(output.packets);
                }
            }
            Step::Wait {
                native: true,
                seconds,
            } => self.chain.now += seconds,
            Step::Wait {
                native: false,
                seconds,
            } => self.ethereum.now += seconds,
        }
    }

    /// Everybody's tokens here are all there are, and the bridge's are the books'.
    fn check(&self) {
        check(&self.chain);
        let users = (0..5).map(|user| self.chain.user(user));
        let holders: Vec<_> = users
            .chain([POOL, SOMEBODY, STAKING, BRIDGE, TREASURY])
            .collect();
        let sum: U256 = holders.iter().map(|one| self.chain.points(*one)).sum();
        assert_eq!(sum, self.chain.view(POINTS, IPoints::totalSupplyCall {}));
        assert_eq!(sum, points(800_000_000));
        let sum: U256 = holders
            .iter()
            .map(|one| self.chain.account(*one).balance)
            .sum();
        assert_eq!(sum, self.chain.view(COIN, ICoin::totalSupplyCall {}));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, max_shrink_iters: 100, ..ProptestConfig::default() })]

    /// Prices, deadlines and directions at random: each packet is received or refunded, never both and
    /// never neither, and the books are exact at every step.
    #[test]
    fn every_swap_has_one_end(history in proptest::collection::vec(steps(), 1..25)) {
        let mut world = World::new();
        for step in &history {
            world.take(step);
            world.check();
        }
        for _ in 0..8 {
            world.take(&Step::ToEthereum { from: 0 });
            world.take(&Step::ToNative { from: 0 });
            world.check();
        }
        for (sequence, packet) in &world.ethereum.packets {
            let outcome = receipt(&world.chain, *sequence);
            let refunded = world.ethereum.outbound[sequence] == REFUNDED;
            let is_transfer = matches!(packet, Packet::Transfer(_));
            prop_assert_eq!(
                (outcome, refunded),
                if is_transfer && refunded { (2, true) } else { (1, false) },
                "{}", sequence
            );
        }
        for sent in &world.outbox {
            let refunded = outbound(&world.chain, sent.sequence) == REFUNDED;
            let outcome = world.ethereum.receipts[&sent.sequence];
            prop_assert_eq!(refunded, outcome == 2);
        }
    }
}

/// What a genesis file without the router, or without the pool, does with swaps.
#[test]
fn half_an_exchange_is_none() {
    for missing in [POOL, ROUTER] {
        let mut chain = chain_with(|genesis| {
            genesis.contracts.retain(|one| one.address != missing);
        });
        let mut ethereum = Ethereum::new();
        let one = swap(
            &mut ethereum,
            coin_token(),
            5,
            SOMEBODY,
            chain.now + HOUR,
            U256::ONE,
        );
        let snapshot = ethereum.snapshot();
        let output = deliver(&mut chain, &snapshot, &[one]);
        went_home(&mut ethereum, &snapshot, &output.packets[0], one);
    }
    assert!(
        exchange::contracts()
            .iter()
            .any(|one| one.address == ROUTER)
    );
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
