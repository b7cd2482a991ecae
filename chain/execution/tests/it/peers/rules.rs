//! One rule at a time: what crosses, what is refused, and who may do what.

use super::world::{A, B, GOVERNOR, GUARDIAN, Group, HOUR, RELAYER, STRANGER, Side, Turn, peer};
use crate::{
    bridge::send as send_to_ethereum,
    support::{Chain, ETHEREUM_ID, Send},
};
use alloy::{
    primitives::{Address, B256, Bytes, U256, address, aliases::U96, keccak256},
    sol_types::{SolCall, SolEvent},
};
use mileverse_execution::NewKey;
use mileverse_primitives::{
    abi::{ICoin, IPeers, IValves},
    address::{BRIDGE, COIN, PEERS, POINTS, STAKING, peer_points},
    bridge::Limits,
    header, outbox,
    packet::{ACKNOWLEDGED, Action, Expiry, GroupKey, Packet, PacketId, REFUNDED, Token, Transfer},
};

#[test]
fn points_go_to_a_peer_and_come_home() {
    let (mut a, mut b) = Side::two();
    let user = a.chain.user(1);
    let sent = a.send(1, B, POINTS, 400, HOUR);
    let expected = Packet::Transfer(Transfer {
        id: PacketId {
            source: A,
            destination: B,
            sequence: 1,
        },
        deadline: a.chain.now - 1 + HOUR,
        token: Token {
            home: A,
            contract: POINTS,
        },
        sender: user,
        receiver: user,
        amount: U256::from(400),
        action: None,
        acknowledge: false,
    });
    assert_eq!((sent.index, sent.sequence), (0, 1));
    assert_eq!(sent.packet, expected.encode());
    assert_eq!(a.chain.points(peer_points(B)), U256::from(400));
    assert_eq!(
        a.view(IPeers::outboundCall {
            peer: B,
            sequence: 1
        }),
        expected.commitment()
    );
    a.check_books(B);

    let call = a.delivery(&[0]);
    let output = b.call(RELAYER, &call);
    let told = output.receipts[0]
        .logs
        .iter()
        .filter(|log| log.address == PEERS);
    let told: Vec<_> = told
        .map(|log| IPeers::PacketReceived::decode_log_data(&log.data).unwrap())
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].peer, told[0].sequence), (A, 1));
    assert_eq!(b.foreign(A, user), U256::from(400));
    // The peer's points are not this chain's.
    assert_eq!(b.chain.points(user), U256::from(1_000));
    b.check_books(A);

    // Once more changes nothing.
    let again = a.delivery(&[0]);
    let output = b.call(RELAYER, &again);
    assert!(output.receipts[0].logs.is_empty());
    assert_eq!(b.foreign(A, user), U256::from(400));

    // Home again, to the unit.
    b.send(1, A, peer_points(A), 150, HOUR);
    assert_eq!(b.foreign(A, user), U256::from(250));
    let call = b.delivery(&[0]);
    a.call(RELAYER, &call);
    assert_eq!(a.chain.points(user), U256::from(750));
    assert_eq!(a.chain.points(peer_points(B)), U256::from(250));
    for (here, there) in [(&a, B), (&b, A)] {
        here.check_books(there);
    }
    assert_eq!(a.totals(B, POINTS), [400, 150, 0]);
    assert_eq!(b.totals(A, peer_points(A)), [150, 400, 0]);
}

#[test]
fn who_asked_is_told_by_the_peer() {
    let (mut a, mut b) = Side::two();
    a.asks = true;
    let sent = a.send(1, B, POINTS, 400, HOUR);
    let call = a.delivery(&[0]);
    let output = b.call(RELAYER, &call);
    let [home] = output.packets.try_into().unwrap();
    let Packet::Acknowledgement(news) = Packet::decode(&home.packet).unwrap() else {
        panic!()
    };
    assert_eq!(
        Packet::Transfer(news.received.clone()).commitment(),
        sent.commitment
    );
    let outbound = || IPeers::outboundCall {
        peer: B,
        sequence: 1,
    };
    assert_eq!(a.view(outbound()), sent.commitment);
    let call = b.delivery(&[home.index]);
    let output = a.call(RELAYER, &call);
    let told: Vec<_> = output.receipts[0]
        .logs
        .iter()
        .filter_map(|log| IPeers::PacketAcknowledged::decode_log_data(&log.data).ok())
        .collect();
    assert_eq!(
        told,
        [IPeers::PacketAcknowledged {
            peer: B,
            sequence: 1,
            commitment: sent.commitment
        }]
    );
    assert!(output.packets.is_empty(), "news is not answered");
    assert_eq!(a.view(outbound()), ACKNOWLEDGED);
    // A committee of there that lies about it afterwards gets nothing back.
    let lie = Packet::Expiry(Expiry {
        id: PacketId {
            sequence: 2,
            ..news.id
        },
        expired: news.received,
    });
    b.is_forged = true;
    let index = b.outbox.len() as u64;
    b.outbox.push(mileverse_execution::SentPacket {
        index,
        sequence: 2,
        commitment: lie.commitment(),
        packet: lie.encode(),
    });
    let call = b.delivery(&[index]);
    let refused = a.refuse(RELAYER, &call);
    assert!(refused.contains("acknowledged already"), "{refused}");
    assert_eq!(a.view(outbound()), ACKNOWLEDGED);
    assert_eq!(a.chain.points(a.chain.user(1)), U256::from(600));
    for (here, there) in [(&a, B), (&b, A)] {
        here.check_books(there);
    }
}

#[test]
fn what_is_late_comes_back_once() {
    let (mut a, mut b) = Side::two();
    let sent = a.send(1, B, POINTS, 400, 60);
    b.chain.now = a.chain.now + 61;
    let call = a.delivery(&[0]);
    let output = b.call(RELAYER, &call);
    b.check_books(A);
    let [home] = output.packets.try_into().unwrap();
    let Packet::Expiry(expiry) = Packet::decode(&home.packet).unwrap() else {
        panic!()
    };
    assert_eq!(
        Packet::Transfer(expiry.expired).commitment(),
        sent.commitment
    );
    let receipt = IPeers::receiptCall {
        peer: A,
        sequence: 1,
    };
    assert_eq!(b.view(receipt), 2);
    let call = b.delivery(&[home.index]);
    for _ in 0..2 {
        a.call(RELAYER, &call);
        assert_eq!(a.chain.points(a.chain.user(1)), U256::from(1_000));
        let outbound = IPeers::outboundCall {
            peer: B,
            sequence: 1,
        };
        assert_eq!(a.view(outbound), REFUNDED);
    }
    // Even in time it is not received any more.
    b.chain.now = a.chain.now;
    let call = a.delivery(&[0]);
    b.call(RELAYER, &call);
    assert_eq!(b.foreign(A, b.chain.user(1)), U256::ZERO);
    a.check_books(B);
    b.check_books(A);
}

#[test]
fn sends_that_break_a_rule_are_refused() {
    let (mut a, _) = Side::two();
    let later = a.chain.now + HOUR;
    let good = IPeers::sendCall {
        peer: B,
        token: POINTS,
        receiver: a.chain.user(1),
        amount: U256::from(10),
        deadline: later,
    };
    let cases = [
        (
            IPeers::sendCall {
                peer: STRANGER,
                ..good.clone()
            },
            "is no peer",
        ),
        (
            IPeers::sendCall {
                peer: A,
                ..good.clone()
            },
            "is no peer",
        ),
        (
            IPeers::sendCall {
                peer: ETHEREUM_ID,
                ..good.clone()
            },
            "is no peer",
        ),
        (
            IPeers::sendCall {
                token: COIN,
                ..good.clone()
            },
            "over Ethereum",
        ),
        (
            IPeers::sendCall {
                token: peer_points(STRANGER),
                ..good.clone()
            },
            "not registered",
        ),
        // Nobody has any of them here yet.
        (
            IPeers::sendCall {
                token: peer_points(B),
                ..good.clone()
            },
            "balance of the peer's points",
        ),
        (
            IPeers::sendCall {
                receiver: Address::ZERO,
                ..good.clone()
            },
            "zero address",
        ),
        (
            IPeers::sendCall {
                amount: U256::ZERO,
                ..good.clone()
            },
            "amount is zero",
        ),
        (
            IPeers::sendCall {
                amount: U256::from(1_001),
                ..good.clone()
            },
            "below this amount",
        ),
        (
            IPeers::sendCall {
                deadline: a.chain.now,
                ..good.clone()
            },
            "deadline",
        ),
        (
            IPeers::sendCall {
                deadline: later + 31 * 24 * HOUR,
                ..good.clone()
            },
            "deadline",
        ),
    ];
    for (call, reason) in cases {
        let told = a.refuse(1, &call);
        assert!(told.contains(reason), "{told}");
    }
    a.chain.fund(a.chain.user(1), U256::from(5));
    let paid = Send::call(1, PEERS, &good).value(U256::ONE);
    assert!(a.chain.refuse(paid).contains("takes no MVC"));
    a.check_books(B);
}

/// Every attack on a proof that the table of DESIGN's bridge knows.
#[test]
fn forged_proofs_are_refused() {
    let (mut a, mut b) = Side::two();
    for amount in [10, 20, 30] {
        a.send(1, B, POINTS, amount, HOUR);
    }
    a.block(&[Send::call(
        1,
        BRIDGE,
        &send_to_ethereum(POINTS, Address::repeat_byte(9), 5, a.chain.now + HOUR),
    )]);
    let good = a.delivery(&[0, 1]);
    let mut refused = |call: &IPeers::deliverCall, reason: &str| {
        let told = b.refuse(RELAYER, call);
        assert!(told.contains(reason), "{told}");
    };
    let header = |change: &dyn Fn(&mut IPeers::HeaderProof)| {
        let mut call = good.clone();
        change(&mut call.header);
        call
    };
    let item = |change: &dyn Fn(&mut IPeers::OutboxItem)| {
        let mut call = good.clone();
        change(&mut call.items[0]);
        call
    };
    let unsigned = "not signed by the peer's committee";
    refused(&header(&|h| h.restHash = B256::ZERO), "rest hash");
    refused(&header(&|h| h.restHash = keccak256("x")), unsigned);
    refused(&header(&|h| h.outboxSize = 0), "without packets");
    refused(&header(&|h| h.outboxSize += 1), unsigned);
    refused(
        &header(&|h| h.outboxTree = B256::ZERO),
        "never hashes to zero",
    );
    refused(&header(&|h| h.outboxTree = keccak256("x")), unsigned);
    refused(&header(&|h| h.epoch += 1), unsigned);
    refused(&header(&|h| h.view_ += 1), unsigned);
    refused(&header(&|h| h.parentView -= 1), unsigned);
    refused(&header(&|h| h.signature = vec![0; 128].into()), "identity");
    refused(&header(&|h| h.signature = vec![1; 128].into()), unsigned);
    refused(
        &header(&|h| h.signature = h.signature.slice(..127)),
        "128 bytes",
    );
    refused(
        &header(&|h| h.signature = [&h.signature[..], &[0]].concat().into()),
        "128 bytes",
    );
    let path = "path does not lead";
    refused(&item(&|i| i.index = 1), path);
    refused(&item(&|i| i.index = 2), path);
    refused(&item(&|i| i.index = 99), path);
    refused(&item(&|i| i.path.truncate(1)), path);
    refused(&item(&|i| i.path.clear()), path);
    refused(&item(&|i| i.path.push(B256::ZERO)), path);
    refused(&item(&|i| i.path = vec![B256::ZERO; 65]), path);
    refused(&item(&|i| i.path[0].0[0] ^= 1), path);
    refused(
        &item(&|i| i.packet = [&i.packet[..], &[0]].concat().into()),
        "bytes long",
    );
    refused(
        &item(&|i| {
            let mut bytes = i.packet.to_vec();
            bytes[133] ^= 1;
            i.packet = bytes.into();
        }),
        path,
    );
    let mut none = good.clone();
    none.items.clear();
    refused(&none, "1 to 256");
    let mut many = good.clone();
    many.items = vec![good.items[0].clone(); 257];
    assert!(many.abi_encode().len() < 131_072);
    refused(&many, "1 to 256");

    // Another chain's certificate, by another key or under another name, or shown as another peer's.
    let stranger = Group::new(9);
    let mut call = good.clone();
    call.header = a.header_by(&stranger, A);
    refused(&call, unsigned);
    let own = a.group.clone();
    for namespace in [B, STRANGER, ETHEREUM_ID, 0] {
        call.header = a.header_by(&own, namespace);
        refused(&call, unsigned);
    }
    call = good.clone();
    call.peer = STRANGER;
    refused(&call, "is no peer");
    call.peer = B;
    refused(&call, "is no peer");
    // What goes elsewhere does not arrive here, though it is proven.
    let elsewhere = a.delivery(&[0, 3]);
    let told = b.refuse(RELAYER, &elsewhere);
    assert!(told.contains("does not go to this chain"), "{told}");
    // And after all that, the honest delivery.
    b.call(RELAYER, &good);
    assert_eq!(b.foreign(A, b.chain.user(1)), U256::from(30));
    b.check_books(A);
}

/// A peer that is certified by a good key may still send what no honest chain sends.
#[test]
fn a_lying_peer_takes_no_more_than_went_there() {
    let (mut a, mut b) = Side::two();
    a.send(1, B, POINTS, 100, HOUR);
    let call = a.delivery(&[0]);
    b.call(RELAYER, &call);
    let thief = Address::repeat_byte(0x66);
    let mut next = 1;
    let deadline = a.chain.now + HOUR;
    let mut lie = |b: &mut Side, make: &dyn Fn(PacketId) -> Packet| {
        let index = b.outbox.len() as u64;
        b.is_forged = true;
        let packet = make(PacketId {
            source: B,
            destination: A,
            sequence: next,
        });
        next += 1;
        b.outbox.push(mileverse_execution::SentPacket {
            index,
            sequence: packet.id().sequence,
            commitment: packet.commitment(),
            packet: packet.encode(),
        });
        b.delivery(&[index])
    };
    let transfer = |id, token, receiver, amount: u64, action| {
        Packet::Transfer(Transfer {
            id,
            deadline,
            token,
            sender: thief,
            receiver,
            amount: U256::from(amount),
            action,
            acknowledge: false,
        })
    };
    let (ours, theirs) = (
        Token {
            home: A,
            contract: POINTS,
        },
        Token {
            home: B,
            contract: POINTS,
        },
    );
    let coin = Token {
        home: ETHEREUM_ID,
        contract: crate::support::ETHEREUM_COIN,
    };
    let swap = Action::Swap { least: U256::ONE };
    // Rejected, each with an expiry home: more than is held, another's token, a receiver that is nobody,
    // an action.
    // The account of a quarter of the rewards.
    let quarter = address!("4d56000000000000000000010000000100000006");
    for (token, receiver, amount, action) in [
        (ours, thief, 101, None),
        (coin, thief, 1, None),
        (
            Token {
                home: STRANGER,
                contract: POINTS,
            },
            thief,
            1,
            None,
        ),
        (
            Token {
                home: A,
                contract: COIN,
            },
            thief,
            1,
            None,
        ),
        (theirs, Address::ZERO, 1, None),
        (theirs, POINTS, 1, None),
        (theirs, PEERS, 1, None),
        (ours, STAKING, 1, None),
        (theirs, peer_points(B), 1, None),
        (ours, peer_points(STRANGER), 1, None),
        (ours, quarter, 1, None),
        (theirs, thief, 1, Some(swap)),
    ] {
        let call = lie(&mut b, &|id| transfer(id, token, receiver, amount, action));
        let output = a.call(RELAYER, &call);
        assert_eq!(output.packets.len(), 1, "{receiver} {token:?}");
        a.check_books(B);
    }
    let huge = lie(&mut b, &|id| {
        Packet::Transfer(Transfer {
            id,
            deadline,
            token: theirs,
            sender: thief,
            receiver: thief,
            amount: U256::from(1u128 << 127) << 1,
            action: None,
            acknowledge: false,
        })
    });
    assert_eq!(a.call(RELAYER, &huge).packets.len(), 1);
    // Refunds of what was never sent, or of another's packet.
    for (sequence, amount) in [(1, 99), (2, 100)] {
        let call = lie(&mut b, &|id| {
            let Packet::Transfer(expired) = transfer(
                PacketId {
                    source: A,
                    destination: B,
                    sequence,
                },
                ours,
                thief,
                amount,
                None,
            ) else {
                panic!()
            };
            Packet::Expiry(Expiry { id, expired })
        });
        let told = a.refuse(RELAYER, &call);
        assert!(told.contains("never sent from here"), "{told}");
    }
    // What it may: give away what went there.
    let call = lie(&mut b, &|id| transfer(id, ours, thief, 100, None));
    a.call(RELAYER, &call);
    assert_eq!(a.chain.points(thief), U256::from(100));
    let call = lie(&mut b, &|id| transfer(id, ours, thief, 1, None));
    assert_eq!(a.call(RELAYER, &call).packets.len(), 1);
    a.check_books(B);
}

#[test]
fn a_key_is_replaced_by_its_own_committee_alone() {
    let (mut a, mut b) = Side::two();
    a.send(1, B, POINTS, 10, HOUR);
    let (old, new) = (a.group.clone(), Group::new(11));
    let index = a.announce(&new);
    let before = a.header();
    // Not certified by the key in force.
    let mut call = a.delivery(&[index]);
    call.header = a.header_by(&new, A);
    assert!(b.refuse(RELAYER, &call).contains("not signed"));
    // Certified in the epoch that the new key signs already: the old one does not say so.
    a.epoch += 1;
    let late = a.delivery(&[index]);
    assert!(b.refuse(RELAYER, &late).contains("first epoch"));
    a.epoch -= 1;
    // What stands before and after it in the same delivery is settled by the same certificate.
    let mut call = a.delivery(&[index, 0, index]);
    call.header = before;
    let output = b.call(RELAYER, &call);
    let rotated: Vec<_> = output.receipts[0]
        .logs
        .iter()
        .filter_map(|log| IPeers::KeyRotated::decode_log_data(&log.data).ok())
        .collect();
    assert_eq!(rotated.len(), 1);
    assert_eq!(
        (
            rotated[0].peer,
            rotated[0].keyVersion,
            rotated[0].firstEpoch
        ),
        (A, 1, 4)
    );
    let key = b.view(IPeers::keyInForceCall { peer: A });
    assert_eq!(
        (key.keyVersion, key.firstEpoch, key.groupKey),
        (1, 4, new.key.into())
    );
    assert_eq!(b.foreign(A, b.chain.user(1)), U256::from(10));

    // The old key counts no more, nor does an epoch before the new one's first.
    a.send(1, B, POINTS, 20, HOUR);
    let call = a.delivery(&[2]);
    assert!(b.refuse(RELAYER, &call).contains("signs from epoch 4 on"));
    a.epoch += 1;
    let call = a.delivery(&[2]);
    assert!(b.refuse(RELAYER, &call).contains("not signed"));
    let (one, other) = contradiction(&mut a, &old);
    let freeze = IPeers::freezeCall {
        peer: A,
        first: one,
        second: other,
    };
    assert!(b.refuse(RELAYER, &freeze).contains("not signed"));
    a.group = new;
    let call = a.delivery(&[2, index]);
    let output = b.call(RELAYER, &call);
    assert_eq!(b.foreign(A, b.chain.user(1)), U256::from(30));
    let key_logs = output.receipts[0].logs.iter();
    assert_eq!(
        key_logs
            .filter(|log| log.topics()[0] == IPeers::KeyRotated::SIGNATURE_HASH)
            .count(),
        0
    );
    // A bad key is never put in force.
    for key in [GroupKey::ZERO, GroupKey::repeat_byte(1)] {
        let bad = Group {
            key,
            ..Group::new(12)
        };
        let index = a.announce(&bad);
        let call = a.delivery(&[index]);
        assert!(b.refuse(RELAYER, &call).contains("group key is 256 bytes"));
    }
    b.check_books(A);
}

/// What the chain itself puts in its outbox, addressed to Ethereum, is what a peer believes.
#[test]
fn the_chains_own_announcement_is_believed() {
    let (mut a, mut b) = Side::two();
    let new = Group::new(11);
    let first_epoch = a.chain.run_to_rotation();
    a.epoch = first_epoch - 1;
    a.chain.new_key = Some(NewKey {
        first_epoch,
        key: new.key,
    });
    a.send_beside(1, B, 10);
    // The last certificate of the old key, over the very tree that the chain came to.
    let call = a.delivery(&[1, 0]);
    b.chain.now = a.chain.now;
    b.call(RELAYER, &call);
    let key = b.view(IPeers::keyInForceCall { peer: A });
    assert_eq!((key.keyVersion, key.firstEpoch), (1, first_epoch));
    assert_eq!(key.groupKey, Bytes::from(new.key));
    assert_eq!(b.foreign(A, b.chain.user(1)), U256::from(10));
    (a.group, a.epoch) = (new, first_epoch);
    a.send(1, B, POINTS, 20, HOUR);
    let call = a.delivery(&[2]);
    b.call(RELAYER, &call);
    assert_eq!(b.foreign(A, b.chain.user(1)), U256::from(30));
    a.check_books(B);
    b.check_books(A);
}

/// Two blocks of one view.
fn contradiction(side: &mut Side, group: &Group) -> (IPeers::HeaderProof, IPeers::HeaderProof) {
    let one = side.header_by(group, side.id);
    let mut other = one.clone();
    other.restHash = keccak256("another block");
    let digest = header::digest(
        outbox::root(other.outboxSize, other.outboxTree),
        other.restHash,
    );
    let turn = Turn {
        epoch: other.epoch,
        view: other.view_,
        parent_view: other.parentView,
    };
    other.signature = group.sign(side.id, turn, digest);
    (one, other)
}

#[test]
fn a_committee_that_contradicts_itself_is_believed_no_more() {
    let (mut a, mut b) = Side::two();
    a.send(1, B, POINTS, 10, HOUR);
    let call = a.delivery(&[0]);
    b.call(RELAYER, &call);
    a.send(1, B, POINTS, 10, HOUR);
    let group = a.group.clone();
    let (first, second) = contradiction(&mut a, &group);
    let freeze = IPeers::freezeCall {
        peer: A,
        first: first.clone(),
        second: second.clone(),
    };
    let same = IPeers::freezeCall {
        second: first.clone(),
        ..freeze.clone()
    };
    assert!(b.refuse(1, &same).contains("do not contradict"));
    let other_view = IPeers::freezeCall {
        second: a.header(),
        ..freeze.clone()
    };
    assert!(b.refuse(1, &other_view).contains("do not contradict"));
    let mut forged = freeze.clone();
    forged.second.restHash = keccak256("x");
    assert!(b.refuse(1, &forged).contains("not signed"));
    assert!(!b.view(IPeers::frozenCall { peer: A }));
    // Anybody.
    let output = b.call(1, &freeze);
    let told = IPeers::Frozen::decode_log_data(&output.receipts[0].logs[0].data).unwrap();
    assert_eq!(
        (told.peer, told.epoch, told.view_),
        (A, first.epoch, first.view_)
    );
    assert!(b.view(IPeers::frozenCall { peer: A }));
    let call = a.delivery(&[1]);
    assert!(b.refuse(RELAYER, &call).contains("two blocks of one view"));
    assert!(b.refuse(1, &freeze).contains("two blocks of one view"));
    let home = IPeers::sendCall {
        peer: A,
        token: peer_points(A),
        receiver: b.chain.user(1),
        amount: U256::from(1),
        deadline: b.chain.now + HOUR,
    };
    assert!(b.refuse(1, &home).contains("two blocks of one view"));
    // What is here stays its holders', and can be paid with.
    let pay = ICoin::transferCall {
        to: b.chain.user(2),
        amount: U256::from(4),
    };
    b.chain.send(Send::call(1, peer_points(A), &pay));
    assert_eq!(b.foreign(A, b.chain.user(2)), U256::from(4));
    b.check_books(A);
}

fn limits() -> Limits {
    Limits {
        send_per_hour: U96::from(100),
        send_per_day: U96::from(250),
        receive_per_hour: U96::from(300),
        receive_per_day: U96::from(2_500),
        large_from: U96::from(50),
        hold_seconds: 21_600,
    }
}

#[test]
fn the_valves_are_each_peers_own() {
    let (mut a, mut b) = Side::limited(limits());
    let room = |side: &Side, peer, token| {
        let room = side.view(IPeers::roomCall { peer, token });
        [room.sendInHour, room.receiveInHour].map(|left| left.to::<u64>())
    };
    a.send(1, B, POINTS, 90, 12 * HOUR);
    assert_eq!(room(&a, B, POINTS), [10, 300]);
    let over = IPeers::sendCall {
        peer: B,
        token: POINTS,
        receiver: a.chain.user(1),
        amount: U256::from(11),
        deadline: a.chain.now + HOUR,
    };
    assert!(a.refuse(1, &over).contains("above what may still leave"));
    // Ethereum's limits are others.
    a.block(&[Send::call(
        1,
        BRIDGE,
        &send_to_ethereum(POINTS, Address::repeat_byte(9), 500, a.chain.now + HOUR),
    )]);
    assert_eq!(a.outbox.len(), 2);

    // Large: it waits, nobody has it, and the guardian may send it home.
    let call = a.delivery(&[0]);
    b.call(RELAYER, &call);
    let held = |side: &Side| {
        side.view(IPeers::heldCall {
            peer: A,
            sequence: 1,
        })
    };
    let until = held(&b).until;
    assert_eq!(until, b.chain.now - 1 + 21_600);
    assert_eq!(room(&b, A, peer_points(A)), [100, 210]);
    let waiting = b.view(IPeers::heldSequencesCall {
        peer: A,
        from: U256::ZERO,
        limit: U256::from(9),
    });
    assert_eq!((waiting.count, waiting.sequences), (U256::ONE, vec![1]));
    let packet = a.outbox[0].packet.clone();
    let release = IPeers::releaseCall {
        peer: A,
        packet: packet.clone(),
    };
    assert!(b.refuse(1, &release).contains("waits until"));
    let stop = IPeers::stopCall { peer: A, packet };
    assert!(b.refuse(1, &stop).contains("only the bridge's guardian"));
    let output = b.call(GUARDIAN, &stop);
    let home = output.packets[0].index;
    let call = b.delivery(&[home]);
    a.call(RELAYER, &call);
    assert_eq!(a.chain.points(a.chain.user(1)), U256::from(500));
    b.check_books(A);
    a.check_books(B);

    // One that is released after its delay, late as it is by then.
    a.chain.now += HOUR;
    b.chain.now = a.chain.now;
    a.send(1, B, POINTS, 60, HOUR);
    let call = a.delivery(&[2]);
    b.call(RELAYER, &call);
    b.chain.now += 30_000;
    let packet = a.outbox[2].packet.clone();
    b.call(1, &IPeers::releaseCall { peer: A, packet });
    assert_eq!(b.foreign(A, b.chain.user(1)), U256::from(60));
    b.check_books(A);
}

#[test]
fn pauses_decide_nothing() {
    let (mut a, mut b) = Side::two();
    a.send(1, B, POINTS, 40, HOUR);
    let direction = IValves::Direction::Receive;
    let pause = IPeers::pauseDirectionCall { peer: A, direction };
    assert!(
        b.refuse(GOVERNOR, &pause)
            .contains("only the bridge's guardian")
    );
    b.call(GUARDIAN, &pause);
    let call = a.delivery(&[0]);
    assert!(b.refuse(RELAYER, &call).contains("paused receiving"));
    assert!(b.view(IPeers::directionPausedCall { peer: A, direction }));
    // Ethereum is another link.
    assert!(
        !b.chain
            .view(BRIDGE, IValves::directionPausedCall { direction })
    );
    let resume = IPeers::resumeDirectionCall { peer: A, direction };
    assert!(
        b.refuse(GOVERNOR, &resume)
            .contains("announce this call first")
    );
    let token = peer_points(A);
    b.call(GUARDIAN, &IPeers::pauseTokenCall { peer: A, token });
    b.chain.now -= 7_300;
    b.govern(&resume);
    assert!(b.refuse(RELAYER, &call).contains("paused this token"));
    assert!(b.view(IPeers::tokenPausedCall { peer: A, token }));
    b.chain.now -= 7_300;
    b.govern(&IPeers::resumeTokenCall { peer: A, token });
    b.call(RELAYER, &call);
    assert_eq!(b.foreign(A, b.chain.user(1)), U256::from(40));
    let mut tight = IValves::Limits::from(Limits::default());
    tight.sendPerHour = U96::from(5);
    b.govern(&IPeers::setLimitsCall {
        peer: A,
        token,
        limits: tight.clone(),
    });
    assert_eq!(b.view(IPeers::limitsCall { peer: A, token }), tight);
    let home = IPeers::sendCall {
        peer: A,
        token,
        receiver: b.chain.user(1),
        amount: U256::from(6),
        deadline: b.chain.now + HOUR,
    };
    assert!(b.refuse(1, &home).contains("above what may still leave"));
    b.check_books(A);
}

#[test]
fn the_governor_registers_peers_after_the_delay() {
    let group = Group::new(21);
    let mut a = Side::new(A, Group::new(1), vec![]);
    // Nothing of this is there before.
    assert_eq!(a.chain.account(PEERS).nonce, 0);
    assert_eq!(a.chain.account(peer_points(B)).nonce, 0);
    assert!(a.view(IPeers::peersCall {}).is_empty());
    let limits = || IValves::Limits::from(Limits::default());
    let register = IPeers::registerCall {
        peer: B,
        groupKey: group.key.into(),
        keyVersion: 2,
        firstEpoch: 3,
        points: limits(),
        peerPoints: limits(),
    };
    assert!(
        a.refuse(1, &register)
            .contains("only the bridge's governor")
    );
    assert!(
        a.refuse(GOVERNOR, &register)
            .contains("announce this call first")
    );
    a.govern(&register);
    assert_eq!(a.view(IPeers::peersCall {}), [B]);
    let key = a.view(IPeers::keyInForceCall { peer: B });
    assert_eq!(
        (key.keyVersion, key.firstEpoch, key.groupKey),
        (2, 3, group.key.into())
    );
    assert_eq!(a.view(IPeers::peerPointsCall { peer: B }), peer_points(B));
    for account in [PEERS, peer_points(B)] {
        assert_eq!(a.chain.account(account), a.chain.account(BRIDGE));
    }
    a.check_books(B);
    // It works as one of the genesis file does.
    a.chain.issue(1, 100);
    a.send(1, B, POINTS, 60, HOUR);
    let mut b = Side::new(B, group.clone(), vec![peer(A, &a.group, Limits::default())]);
    let call = a.delivery(&[0]);
    b.chain.now = a.chain.now;
    b.call(RELAYER, &call);
    b.send(1, A, peer_points(A), 25, HOUR);
    let call = b.delivery(&[0]);
    a.call(RELAYER, &call);
    assert_eq!(a.chain.points(a.chain.user(1)), U256::from(65));
    a.check_books(B);
    b.check_books(A);

    let wrong = |change: &dyn Fn(&mut IPeers::registerCall)| {
        let mut call = register.clone();
        call.peer = STRANGER;
        change(&mut call);
        call
    };
    let cases: [(IPeers::registerCall, &str); 9] = [
        (register.clone(), "a peer already"),
        (wrong(&|c| c.peer = 0), "another native chain"),
        (wrong(&|c| c.peer = A), "another native chain"),
        (wrong(&|c| c.peer = ETHEREUM_ID), "another native chain"),
        (wrong(&|c| c.groupKey = Bytes::new()), "256 bytes"),
        (wrong(&|c| c.groupKey = vec![0; 256].into()), "256 bytes"),
        (wrong(&|c| c.groupKey = vec![7; 256].into()), "256 bytes"),
        (
            wrong(&|c| c.groupKey = [&c.groupKey[..], &[0]].concat().into()),
            "256 bytes",
        ),
        (wrong(&|c| c.points.holdSeconds = 604_801), "604,800"),
    ];
    for (call, reason) in cases {
        let schedule = IValves::scheduleCall {
            data: call.abi_encode().into(),
        };
        a.block(&[Send::call(GOVERNOR, BRIDGE, &schedule)]);
        a.chain.now += 7_200;
        let told = a.refuse(GOVERNOR, &call);
        assert!(told.contains(reason), "{told}");
    }
    assert_eq!(a.view(IPeers::peersCall {}), [B]);
}

/// Deliveries need no coin, and sends are paid with points, as over the bridge.
#[test]
fn calls_are_paid_as_the_bridges_are() {
    use mileverse_primitives::fees::Carried;
    let (mut a, _) = Side::two();
    let deliver = a.send(1, B, POINTS, 1, HOUR);
    assert_eq!(deliver.index, 0);
    let call = a.delivery(&[0]).abi_encode();
    assert_eq!(Carried::of(PEERS, &call), Some(Carried::Delivery));
    let release = IPeers::releaseCall {
        peer: A,
        packet: Bytes::new(),
    }
    .abi_encode();
    assert_eq!(Carried::of(PEERS, &release), Some(Carried::Delivery));
    let send = IPeers::sendCall {
        peer: B,
        token: peer_points(B),
        receiver: Address::ZERO,
        amount: U256::ZERO,
        deadline: 0,
    };
    assert_eq!(Carried::of(PEERS, &send.abi_encode()), Some(Carried::Send));
    assert_eq!(Carried::of(PEERS, &IPeers::peersCall {}.abi_encode()), None);
    assert_eq!(Carried::of(PEERS, &[]), None);
    // With a base price, a delivery that pays none is taken when it admits a packet.
    let (one, two) = (Group::new(1), Group::new(2));
    let mut a = Side::new(A, one.clone(), vec![peer(B, &two, Limits::default())]);
    a.chain.issue(1, 10);
    a.send(1, B, POINTS, 7, HOUR);
    let mut genesis = Side::new(B, two, vec![peer(A, &one, Limits::default())])
        .chain
        .genesis;
    genesis.fees.base_price = 1_000;
    let mut b = Chain::with(genesis, Chain::some_users(5));
    let call = a.delivery(&[0]);
    let output = b.block(&[Send::call(RELAYER, PEERS, &call)]);
    assert!(output.receipts[0].success);
    // 115,000 for the certificate, the rest for the packet.
    let gas = output.receipts[0].gas_used;
    assert!((150_000..400_000).contains(&gas), "{gas}");
}
