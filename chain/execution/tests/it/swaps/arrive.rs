//! What comes over the bridge: swapped and received, or at home again, whole.

use super::{
    COIN_UNIT, HOUR, SOMEBODY, calls, check, find, place, quote, route, swap, went_home, world,
};
use crate::{
    bridge::{check_books, deliver, receipt, totals},
    ethereum::{Ethereum, coin_token, points_token},
    exchange::{PROVIDER, chain_with, points},
    support::{Chain, Send, TREASURY},
};
use alloy::{
    primitives::{Address, U256},
    sol_types::{SolCall, SolError},
};
use mileverse_primitives::{
    abi::{IBridge, IPoints},
    address::{BRIDGE, COIN, POINTS, REWARDS, STAKING},
    exchange::{self, POOL, Pool, ROUTER, SwapRouter},
    packet::{ACKNOWLEDGED, Packet, REFUNDED, Token},
    staking::coins,
};

/// Settling it sends the news home within what a swap may use.
#[test]
fn a_swap_whose_sender_asked_is_acknowledged() {
    let (mut chain, mut ethereum) = world();
    ethereum.asks = true;
    let deadline = chain.now + HOUR;
    let mut asked = Vec::new();
    for least in [U256::ONE, U256::MAX] {
        while ethereum.packets.len().is_multiple_of(2) {
            ethereum.send(coin_token(), SOMEBODY, 1, deadline);
        }
        let sequence = swap(
            &mut ethereum,
            coin_token(),
            COIN_UNIT,
            SOMEBODY,
            deadline,
            least,
        );
        asked.push(sequence);
    }
    let snapshot = ethereum.snapshot();
    let output = route(&mut chain, &snapshot, &asked);
    let news: Vec<_> = output
        .packets
        .iter()
        .map(|sent| Packet::decode(&sent.packet).unwrap())
        .collect();
    assert!(
        matches!(&news[..], [Packet::Acknowledgement(one), Packet::Expiry(other)]
            if Packet::Transfer(one.received.clone()) == snapshot.packets[&asked[0]]
                && Packet::Transfer(other.expired.clone()) == snapshot.packets[&asked[1]]),
        "{news:?}"
    );
    for sent in &output.packets {
        ethereum.receive(sent);
    }
    assert_eq!(ethereum.outbound[&asked[0]], ACKNOWLEDGED);
    assert_eq!(ethereum.outbound[&asked[1]], REFUNDED);
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
