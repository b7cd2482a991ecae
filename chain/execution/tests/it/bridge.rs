//! The bridge module: packets out, packets in, expiry and refund, and the books.

use super::{
    contracts::{delegator, deploy, forward, forwarder, static_caller},
    ethereum::{Ethereum, Snapshot, coin_token, points_token},
    support::{CHAIN_ID, Chain, ETHEREUM_ID, Send},
};
use alloy::{
    primitives::{Address, B256, U256},
    sol_types::{SolCall, SolEvent},
};
use mileverse_execution::BlockOutput;
use mileverse_primitives::{
    abi::{IBridge, ICoin},
    address::{BRIDGE, COIN, POINTS},
    outbox::{self, Frontier},
    packet::{Expiry, MAX_LIFETIME_SECONDS, Packet, PacketId, REFUNDED, Transfer},
};

const HOUR: u64 = 3600;

pub fn send(token: Address, receiver: Address, amount: u64, deadline: u64) -> IBridge::sendCall {
    IBridge::sendCall {
        token,
        receiver,
        amount: U256::from(amount),
        deadline,
    }
}

pub fn outbound(chain: &Chain, sequence: u64) -> B256 {
    chain.view(BRIDGE, IBridge::outboundCall { sequence })
}

pub fn receipt(chain: &Chain, sequence: u64) -> u8 {
    chain.view(BRIDGE, IBridge::receiptCall { sequence })
}

pub fn totals(chain: &Chain, token: Address) -> IBridge::Totals {
    chain.view(BRIDGE, IBridge::totalsCall { token })
}

/// Both tokens' books agree with what is there.
pub fn check_books(chain: &Chain) {
    for (token, real) in [
        (POINTS, chain.points(BRIDGE)),
        (COIN, chain.view(COIN, ICoin::totalSupplyCall {})),
    ] {
        assert!(chain.view(BRIDGE, IBridge::solventCall { token }));
        assert_eq!(chain.view(BRIDGE, IBridge::backingCall { token }), real);
    }
    assert_eq!(chain.account(BRIDGE).balance, U256::ZERO);
}

/// Stores a checkpoint and delivers packets under it, in one block.
pub fn deliver(chain: &mut Chain, snapshot: &Snapshot, sequences: &[u64]) -> BlockOutput {
    let call = Send::call(4, BRIDGE, &snapshot.deliver(sequences)).gas(20_000_000);
    let output = chain.block_with(&[call], Some(snapshot.checkpoint()));
    assert!(output.receipts[0].success);
    output
}

#[test]
fn points_leave_as_a_packet_in_the_outbox() {
    let mut chain = Chain::new();
    chain.issue(1, 1000);
    let receiver = Address::repeat_byte(0x42);
    let deadline = chain.now + HOUR;
    let call = send(POINTS, receiver, 400, deadline);
    let output = chain.block(&[Send::call(1, BRIDGE, &call)]);
    let packet = Packet::Transfer(Transfer {
        id: PacketId {
            source: CHAIN_ID,
            destination: ETHEREUM_ID,
            sequence: 1,
        },
        deadline,
        token: points_token(),
        sender: chain.user(1),
        receiver,
        amount: U256::from(400),
        action: None,
        acknowledge: false,
    });
    let [sent] = output.packets.as_slice() else {
        panic!()
    };
    assert_eq!((sent.index, sent.sequence), (0, 1));
    assert_eq!(sent.packet, packet.encode());
    assert_eq!(sent.commitment, packet.commitment());
    let tree = outbox::leaf(0, packet.commitment());
    assert_eq!((output.outbox_size, output.outbox_tree), (1, tree));
    assert_eq!(output.outbox_root, outbox::root(1, tree));
    // The points' own event, then the packet.
    assert_eq!(output.receipts[0].logs[0].address, POINTS);
    assert_eq!(outbound(&chain, 1), packet.commitment());
    assert_eq!(chain.points(BRIDGE), U256::from(400));
    assert_eq!(totals(&chain, POINTS).sent, U256::from(400));
    assert_eq!(chain.view(BRIDGE, IBridge::nextSequenceCall {}), 2);
    assert_eq!(chain.view(BRIDGE, IBridge::outboxSizeCall {}), 1);
    assert_eq!(chain.view(BRIDGE, IBridge::chainIdCall {}), CHAIN_ID);
    assert_eq!(chain.view(BRIDGE, IBridge::peerChainIdCall {}), ETHEREUM_ID);
    check_books(&chain);
}

#[test]
fn the_outbox_of_many_blocks_is_one_tree() {
    let mut chain = Chain::new();
    chain.issue(1, 1000);
    let mut frontier = Frontier::default();
    for size in [1usize, 3, 2, 5, 1, 4] {
        let call = send(POINTS, Address::repeat_byte(1), 1, chain.now + HOUR);
        let sends = vec![Send::call(1, BRIDGE, &call); size];
        let output = chain.block(&sends);
        assert_eq!(output.packets.len(), size);
        for packet in &output.packets {
            assert_eq!(frontier.append(packet.commitment), Some(packet.index));
        }
        assert_eq!(output.outbox_root, frontier.root());
        assert_eq!(output.outbox_tree, frontier.tree());
    }
}

#[test]
fn sends_that_break_a_rule_are_refused() {
    let mut chain = Chain::new();
    chain.issue(1, 1000);
    chain.fund(chain.user(1), U256::from(1000));
    let receiver = Address::repeat_byte(0x42);
    let later = chain.now + HOUR;
    let cases = [
        (
            send(Address::repeat_byte(9), receiver, 1, later),
            0,
            "not registered",
        ),
        (send(POINTS, Address::ZERO, 1, later), 0, "receiver"),
        (send(POINTS, receiver, 0, later), 0, "amount is zero"),
        (send(POINTS, receiver, 1001, later), 0, "balance"),
        (send(POINTS, receiver, 1, later), 1, "takes no MVC"),
        (send(COIN, receiver, 2, later), 1, "exactly the amount"),
        (send(COIN, receiver, 2, later), 3, "exactly the amount"),
        (send(COIN, receiver, 2, later), 0, "exactly the amount"),
        (send(POINTS, receiver, 1, 0), 0, "deadline"),
        // Coins that the bridge never made cannot leave over it.
        (send(COIN, receiver, 2, later), 2, "more coins"),
    ];
    for (call, value, reason) in cases {
        let attempt = Send::call(1, BRIDGE, &call).value(U256::from(value));
        let given = chain.refuse(attempt);
        assert!(given.contains(reason), "{given}");
    }
    for (deadline, good) in [
        (chain.now, false),
        (chain.now + 1 + 1, true),
        (chain.now + 2 + MAX_LIFETIME_SECONDS, true),
        (chain.now + 3 + MAX_LIFETIME_SECONDS + 1, false),
        (u64::MAX, false),
    ] {
        let attempt = Send::call(1, BRIDGE, &send(POINTS, receiver, 1, deadline));
        if good {
            chain.send(attempt);
        } else {
            assert!(chain.refuse(attempt).contains("deadline"));
        }
    }
    let plain = chain.refuse(Send::data(1, BRIDGE, vec![]).value(U256::ONE));
    assert!(plain.contains("not a call"));
    check_books_ignoring_funds(&chain);
}

fn check_books_ignoring_funds(chain: &Chain) {
    assert!(chain.view(BRIDGE, IBridge::solventCall { token: POINTS }));
    assert!(chain.view(BRIDGE, IBridge::solventCall { token: COIN }));
}

#[test]
fn coins_come_and_go() {
    let mut chain = Chain::new();
    let mut ethereum = Ethereum::new();
    let b = chain.user(2);
    let sequence = ethereum.send(coin_token(), b, 250, chain.now + HOUR);
    let snapshot = ethereum.snapshot();
    let output = deliver(&mut chain, &snapshot, &[sequence]);
    let commitment = snapshot.packets[&sequence].commitment();
    let received = output.receipts[0]
        .logs
        .iter()
        .find_map(|log| IBridge::PacketReceived::decode_log_data(&log.data).ok());
    assert_eq!(
        received,
        Some(IBridge::PacketReceived {
            sequence,
            commitment
        })
    );
    assert_eq!(receipt(&chain, sequence), 1);
    assert_eq!(chain.account(b).balance, U256::from(250));
    assert_eq!(chain.view(COIN, ICoin::totalSupplyCall {}), U256::from(250));
    check_books(&chain);
    let back = send(COIN, Address::repeat_byte(0x42), 100, chain.now + HOUR);
    let output = chain.block(&[Send::call(2, BRIDGE, &back).value(U256::from(100))]);
    assert_eq!(output.packets.len(), 1);
    assert_eq!(chain.account(b).balance, U256::from(150));
    assert_eq!(chain.view(COIN, ICoin::totalSupplyCall {}), U256::from(150));
    assert_eq!(totals(&chain, COIN).sent, U256::from(100));
    check_books(&chain);
}

#[test]
fn delivering_twice_does_nothing() {
    let mut chain = Chain::new();
    let mut ethereum = Ethereum::new();
    let b = chain.user(2);
    let sequence = ethereum.send(coin_token(), b, 250, chain.now + HOUR);
    let snapshot = ethereum.snapshot();
    // Twice in one batch, then again.
    let output = deliver(&mut chain, &snapshot, &[sequence, sequence]);
    assert_eq!(output.receipts[0].logs.len(), 2);
    let again = Send::call(3, BRIDGE, &snapshot.deliver(&[sequence]));
    let output = chain.block(&[again]);
    assert!(output.receipts[0].success);
    assert!(output.receipts[0].logs.is_empty());
    assert_eq!(chain.changed(&output), 1);
    assert_eq!(chain.account(b).balance, U256::from(250));
    // After its deadline too: received stays received.
    chain.now += 2 * HOUR;
    chain.send(Send::call(3, BRIDGE, &snapshot.deliver(&[sequence])));
    assert_eq!(receipt(&chain, sequence), 1);
    check_books(&chain);
}

#[test]
fn a_late_transfer_expires_once_and_is_never_received() {
    let mut chain = Chain::new();
    let mut ethereum = Ethereum::new();
    let b = chain.user(2);
    // The block that delivers has time `chain.now`: at the deadline is in time, after is not.
    let deadline = chain.now;
    let in_time = ethereum.send(coin_token(), b, 5, deadline);
    let late = ethereum.send(coin_token(), b, 7, deadline - 1);
    let snapshot = ethereum.snapshot();
    let output = deliver(&mut chain, &snapshot, &[in_time, late]);
    assert_eq!((receipt(&chain, in_time), receipt(&chain, late)), (1, 2));
    assert_eq!(chain.account(b).balance, U256::from(5));
    let Packet::Transfer(expired) = snapshot.packets[&late].clone() else {
        panic!()
    };
    let home = Packet::Expiry(Expiry {
        id: PacketId {
            source: CHAIN_ID,
            destination: ETHEREUM_ID,
            sequence: 1,
        },
        expired,
    });
    assert_eq!(output.packets.len(), 1);
    assert_eq!(output.packets[0].packet, home.encode());
    assert_eq!(outbound(&chain, 1), home.commitment());
    let again = Send::call(4, BRIDGE, &snapshot.deliver(&[late]));
    let output = chain.block(&[again]);
    assert!(output.receipts[0].success && output.packets.is_empty());
    check_books(&chain);
}

#[test]
fn an_expiry_from_ethereum_refunds_its_sender_once() {
    for (token, named) in [(POINTS, points_token()), (COIN, coin_token())] {
        let mut chain = Chain::new();
        let mut ethereum = Ethereum::new();
        chain.issue(2, 1000);
        let b = chain.user(2);
        let funding = ethereum.send(coin_token(), b, 1000, chain.now + HOUR);
        deliver(&mut chain, &ethereum.snapshot(), &[funding]);
        let call = send(token, Address::repeat_byte(0x42), 300, chain.now + 10);
        let value = U256::from(if token == COIN { 300 } else { 0 });
        let output = chain.block(&[Send::call(2, BRIDGE, &call).value(value)]);
        let held = |chain: &Chain| match token {
            POINTS => chain.points(b),
            _ => chain.account(b).balance,
        };
        assert_eq!(held(&chain), U256::from(700));
        ethereum.now = chain.now + 100;
        ethereum.receive(&output.packets[0]);
        let (news, _) = ethereum.packets.last_key_value().unwrap();
        let (news, snapshot) = (*news, ethereum.snapshot());
        let output = deliver(&mut chain, &snapshot, &[news]);
        let refunded = output.receipts[0]
            .logs
            .iter()
            .find_map(|log| IBridge::PacketRefunded::decode_log_data(&log.data).ok());
        let Packet::Expiry(expiry) = &snapshot.packets[&news] else {
            panic!()
        };
        assert_eq!(expiry.expired.token, named);
        assert_eq!(
            refunded,
            Some(IBridge::PacketRefunded {
                sequence: 1,
                commitment: Packet::Transfer(expiry.expired.clone()).commitment()
            })
        );
        assert_eq!(held(&chain), U256::from(1000));
        assert_eq!(outbound(&chain, 1), REFUNDED);
        assert_eq!(receipt(&chain, news), 1);
        assert_eq!(totals(&chain, token).refunded, U256::from(300));
        chain.send(Send::call(3, BRIDGE, &snapshot.deliver(&[news])));
        assert_eq!(held(&chain), U256::from(1000));
        check_books(&chain);
        // Even if Ethereum told it a second time under another sequence.
        let expired = expiry.expired.clone();
        let again = {
            let id = PacketId {
                sequence: news + 1,
                ..expiry.id
            };
            let packet = Packet::Expiry(Expiry { id, expired });
            ethereum.outbound.insert(news + 1, packet.commitment());
            ethereum.packets.insert(news + 1, packet);
            ethereum.snapshot()
        };
        chain.block_with(&[], Some(again.checkpoint()));
        let reason = chain.refuse(Send::call(3, BRIDGE, &again.deliver(&[news + 1])));
        assert!(reason.contains("refunded or acknowledged already"));
        check_books(&chain);
    }
}

#[test]
fn what_nobody_could_use_expires_at_once() {
    for nobody in [Address::ZERO, POINTS, COIN, BRIDGE] {
        let mut chain = Chain::new();
        let mut ethereum = Ethereum::new();
        let sequence = ethereum.send(coin_token(), nobody, 5, chain.now + HOUR);
        let output = deliver(&mut chain, &ethereum.snapshot(), &[sequence]);
        assert_eq!(receipt(&chain, sequence), 2);
        assert_eq!(output.packets.len(), 1);
        check_books(&chain);
    }
}

#[test]
fn more_than_is_locked_is_never_released() {
    let mut chain = Chain::new();
    let mut ethereum = Ethereum::new();
    chain.issue(1, 1000);
    let call = send(POINTS, Address::repeat_byte(0x42), 10, chain.now + HOUR);
    chain.send(Send::call(1, BRIDGE, &call));
    let too_much = ethereum.send(points_token(), chain.user(2), 11, chain.now + HOUR);
    let fine = ethereum.send(points_token(), chain.user(2), 10, chain.now + HOUR);
    let snapshot = ethereum.snapshot();
    // It goes home, and does not hold up what stands beside it.
    let output = deliver(&mut chain, &snapshot, &[too_much, fine]);
    assert_eq!((receipt(&chain, too_much), receipt(&chain, fine)), (2, 1));
    assert_eq!(output.packets.len(), 1);
    assert_eq!(chain.points(chain.user(2)), U256::from(10));
    check_books(&chain);
}

#[test]
fn checkpoints_are_kept_by_number() {
    let mut chain = Chain::new();
    let mut ethereum = Ethereum::new();
    let first = ethereum.snapshot().checkpoint();
    chain.block_with(&[], Some(first));
    let find = |chain: &Chain, number| {
        let found = chain.view(BRIDGE, IBridge::checkpointCall { number });
        (found.stateRoot, found.timestamp)
    };
    assert_eq!(
        chain.view(BRIDGE, IBridge::latestCheckpointCall {}),
        first.number
    );
    assert_eq!(
        find(&chain, first.number),
        (first.state_root, first.timestamp)
    );
    assert_eq!(find(&chain, first.number + 1), (B256::ZERO, 0));
    assert_eq!(find(&chain, first.number + 8192), (B256::ZERO, 0));
    assert_eq!(find(&chain, 0), (B256::ZERO, 0));
    ethereum.number += 8191;
    let second = ethereum.snapshot().checkpoint();
    assert_eq!(second.number, first.number + 8192);
    chain.block_with(&[], Some(second));
    assert_eq!(find(&chain, first.number), (B256::ZERO, 0));
    assert_eq!(
        find(&chain, second.number),
        (second.state_root, second.timestamp)
    );
}

#[test]
fn the_bridge_is_neither_delegated_to_nor_changed_statically() {
    let mut chain = Chain::new();
    chain.issue(1, 1000);
    let data = send(POINTS, Address::repeat_byte(0x42), 1, chain.now + HOUR).abi_encode();
    let proxy = deploy(&mut chain, &delegator());
    let reason = chain.refuse(Send::data(1, proxy, forward(BRIDGE, &data)));
    assert!(reason.contains("delegated"));
    let proxy = deploy(&mut chain, &static_caller());
    let reason = chain.refuse(Send::data(1, proxy, forward(BRIDGE, &data)));
    assert!(reason.contains("static"));
    let view = IBridge::nextSequenceCall {}.abi_encode();
    chain.send(Send::data(1, proxy, forward(BRIDGE, &view)));
    // A contract sends in its own name.
    let wallet = deploy(&mut chain, &forwarder());
    let reason = chain.refuse(Send::data(1, wallet, forward(BRIDGE, &data)));
    assert!(reason.contains("balance"));
}

#[test]
fn a_large_batch_fits_and_a_larger_is_refused() {
    let mut chain = Chain::new();
    let mut ethereum = Ethereum::new();
    let all: Vec<u64> = (0..60)
        .map(|n| {
            // Half are late.
            let deadline = if n % 2 == 0 { chain.now + HOUR } else { 1 };
            ethereum.send(coin_token(), chain.user(2), 1, deadline)
        })
        .collect();
    let output = deliver(&mut chain, &ethereum.snapshot(), &all);
    assert_eq!(output.packets.len(), 30);
    // So that a full batch of them fits in a block.
    assert!(output.gas_used < 60 * 90_000, "{}", output.gas_used);
    assert_eq!(output.outbox_size, 30);
    let mut frontier = Frontier::default();
    for packet in &output.packets {
        frontier.append(packet.commitment);
    }
    assert_eq!(output.outbox_root, frontier.root());
    check_books(&chain);
    let snapshot = ethereum.snapshot();
    chain.block_with(&[], Some(snapshot.checkpoint()));
    let mut call = snapshot.deliver(&[1]);
    call.items = vec![
        IBridge::StorageItem {
            packet: Default::default(),
            storageProof: Vec::new()
        };
        257
    ];
    let reason = chain.refuse(Send::call(4, BRIDGE, &call).gas(10_000_000));
    assert!(reason.contains("1 to 256"));
    call.items.clear();
    assert!(
        chain
            .refuse(Send::call(4, BRIDGE, &call))
            .contains("1 to 256")
    );
}
