//! Acknowledgements: a sender who asked comes to know at home that a transfer was received, and then it
//! can never be refunded.

use super::{
    bridge::{check_books, deliver, outbound, receipt, send},
    ethereum::{Ethereum, coin_token},
    support::{CHAIN_ID, Chain, ETHEREUM_ID, Send},
};
use alloy::{
    primitives::{Address, U256},
    sol_types::{SolCall as _, SolEvent},
};
use mileverse_execution::{BlockOutput, SentPacket};
use mileverse_primitives::{
    abi::IBridge,
    address::{BRIDGE, COIN, POINTS},
    fees::Carried,
    packet::{ACKNOWLEDGED, Acknowledgement, Expiry, Packet, PacketId, REFUNDED, Transfer},
};

const HOUR: u64 = 3600;

/// The same send, with an acknowledgement.
pub fn asking(call: &IBridge::sendCall) -> IBridge::sendAcknowledgedCall {
    IBridge::sendAcknowledgedCall {
        token: call.token,
        receiver: call.receiver,
        amount: call.amount,
        deadline: call.deadline,
    }
}

/// Each transfer of both sides has one end, and who asked about what was received knows.
pub fn check_ends(chain: &Chain, ethereum: &Ethereum, outbox: &[SentPacket]) {
    let there = ethereum.packets.iter().map(|(sequence, packet)| {
        let stored = ethereum.outbound[sequence];
        (packet.clone(), receipt(chain, *sequence), stored)
    });
    let here = outbox.iter().map(|sent| {
        let packet = Packet::decode(&sent.packet).unwrap();
        let receipt = ethereum.receipts[&sent.sequence];
        (packet, receipt, outbound(chain, sent.sequence))
    });
    for (packet, receipt, stored) in here.chain(there) {
        let expected = match (&packet, receipt) {
            (Packet::Transfer(_), 2) => REFUNDED,
            (packet, 1) if packet.asks() => ACKNOWLEDGED,
            (_, 1) => packet.commitment(),
            (_, other) => panic!("receipt {other} of {packet:?}"),
        };
        assert_eq!(stored, expected, "{packet:?}");
    }
}

fn news_of(output: &BlockOutput) -> Vec<Packet> {
    let packets = output.packets.iter();
    packets
        .map(|sent| Packet::decode(&sent.packet).unwrap())
        .collect()
}

fn told<E: SolEvent>(output: &BlockOutput) -> Vec<E> {
    let logs = output.receipts[0].logs.iter();
    logs.filter_map(|log| E::decode_log_data(&log.data).ok())
        .collect()
}

/// A chain whose user 2 has sent points and coin to Ethereum and asked, in packets 1 and 2.
fn scene() -> (Chain, Ethereum, Vec<SentPacket>) {
    let mut chain = Chain::new();
    let mut ethereum = Ethereum::new();
    chain.issue(2, 1000);
    let b = chain.user(2);
    let funding = ethereum.send(coin_token(), b, 1000, chain.now + HOUR);
    deliver(&mut chain, &ethereum.snapshot(), &[funding]);
    let mut sent = Vec::new();
    for (token, value) in [(POINTS, 0), (COIN, 300)] {
        let call = send(token, Address::repeat_byte(0x42), 300, chain.now + HOUR);
        let output = chain.block(&[Send::call(2, BRIDGE, &asking(&call)).value(U256::from(value))]);
        assert!(output.receipts[0].success);
        sent.extend(output.packets);
    }
    (chain, ethereum, sent)
}

#[test]
fn a_sender_here_comes_to_know_and_can_never_be_refunded() {
    let (mut chain, mut ethereum, sent) = scene();
    for one in &sent {
        let Packet::Transfer(transfer) = Packet::decode(&one.packet).unwrap() else {
            panic!()
        };
        assert!(transfer.acknowledge);
        ethereum.receive(one);
        let (news, _) = ethereum.packets.last_key_value().unwrap();
        let (news, snapshot) = (*news, ethereum.snapshot());
        let output = deliver(&mut chain, &snapshot, &[news]);
        assert_eq!(
            told::<IBridge::PacketAcknowledged>(&output),
            [IBridge::PacketAcknowledged {
                sequence: one.sequence,
                commitment: one.commitment
            }]
        );
        assert_eq!(told::<IBridge::PacketReceived>(&output).len(), 1);
        assert!(output.packets.is_empty(), "news is not answered");
        assert_eq!(outbound(&chain, one.sequence), ACKNOWLEDGED);
        assert_eq!(receipt(&chain, news), 1);
        check_books(&chain);
        // Once more is nothing.
        let output = chain.block(&[Send::call(3, BRIDGE, &snapshot.deliver(&[news]))]);
        assert!(output.receipts[0].success && output.receipts[0].logs.is_empty());
        // An Ethereum that lies and reports the other end, or the same once more, is refused.
        let before = (
            chain.points(chain.user(2)),
            chain.account(chain.user(2)).balance,
        );
        for expires in [true, false] {
            let lie = ethereum.commit(|id| {
                let inside = transfer.clone();
                match expires {
                    true => Packet::Expiry(Expiry {
                        id,
                        expired: inside,
                    }),
                    false => Packet::Acknowledgement(Acknowledgement {
                        id,
                        received: inside,
                    }),
                }
            });
            let snapshot = ethereum.snapshot();
            chain.block_with(&[], Some(snapshot.checkpoint()));
            let refused = chain.refuse(Send::call(3, BRIDGE, &snapshot.deliver(&[lie])));
            assert!(refused.contains("acknowledged already"), "{refused}");
        }
        let after = (
            chain.points(chain.user(2)),
            chain.account(chain.user(2)).balance,
        );
        assert_eq!(before, after);
        check_books(&chain);
    }
}

#[test]
fn what_is_refunded_is_not_acknowledged_any_more() {
    let (mut chain, mut ethereum, sent) = scene();
    ethereum.now = chain.now + 2 * HOUR;
    ethereum.receive(&sent[0]);
    let (news, packet) = ethereum.packets.last_key_value().unwrap();
    let (news, Packet::Expiry(expiry)) = (*news, packet.clone()) else {
        panic!()
    };
    deliver(&mut chain, &ethereum.snapshot(), &[news]);
    assert_eq!(outbound(&chain, 1), REFUNDED);
    let received = expiry.expired;
    let lie = ethereum.commit(|id| Packet::Acknowledgement(Acknowledgement { id, received }));
    let snapshot = ethereum.snapshot();
    chain.block_with(&[], Some(snapshot.checkpoint()));
    let refused = chain.refuse(Send::call(3, BRIDGE, &snapshot.deliver(&[lie])));
    assert!(
        refused.contains("refunded or acknowledged already"),
        "{refused}"
    );
    assert_eq!(outbound(&chain, 1), REFUNDED);
    check_books(&chain);
}

#[test]
fn an_acknowledgement_of_what_never_left_is_refused() {
    let (mut chain, mut ethereum, sent) = scene();
    let Packet::Transfer(true_one) = Packet::decode(&sent[0].packet).unwrap() else {
        panic!()
    };
    let changes: [fn(&mut Transfer); 2] = [
        |transfer| transfer.amount += U256::ONE,
        |transfer| transfer.id.sequence = 77,
    ];
    for change in changes {
        let mut received = true_one.clone();
        change(&mut received);
        let lie = ethereum.commit(|id| Packet::Acknowledgement(Acknowledgement { id, received }));
        let snapshot = ethereum.snapshot();
        chain.block_with(&[], Some(snapshot.checkpoint()));
        let refused = chain.refuse(Send::call(3, BRIDGE, &snapshot.deliver(&[lie])));
        assert!(refused.contains("never sent from here"), "{refused}");
    }
    assert_eq!(outbound(&chain, 1), sent[0].commitment);
}

#[test]
fn who_asked_on_ethereum_is_told_in_the_same_transaction() {
    let mut chain = Chain::new();
    let mut ethereum = Ethereum {
        asks: true,
        ..Ethereum::new()
    };
    let user = chain.user(2);
    let silent = ethereum.send(coin_token(), user, 5, chain.now + HOUR);
    let asked = ethereum.send(coin_token(), user, 6, chain.now + HOUR);
    ethereum.send(coin_token(), user, 7, chain.now + HOUR);
    let late = ethereum.send(coin_token(), user, 8, chain.now - 1);
    ethereum.send(coin_token(), user, 9, chain.now + HOUR);
    let nobody = ethereum.send(coin_token(), Address::ZERO, 10, chain.now + HOUR);
    let snapshot = ethereum.snapshot();
    let all = [silent, asked, late, nobody];
    let output = deliver(&mut chain, &snapshot, &all);
    let transfer = |sequence: u64| match snapshot.packets[&sequence].clone() {
        Packet::Transfer(transfer) => transfer,
        other => panic!("{other:?}"),
    };
    let id = |sequence| PacketId {
        source: CHAIN_ID,
        destination: ETHEREUM_ID,
        sequence,
    };
    assert_eq!(
        news_of(&output),
        [
            Packet::Acknowledgement(Acknowledgement {
                id: id(1),
                received: transfer(asked)
            }),
            Packet::Expiry(Expiry {
                id: id(2),
                expired: transfer(late)
            }),
            Packet::Expiry(Expiry {
                id: id(3),
                expired: transfer(nobody)
            }),
        ]
    );
    for news in &output.packets {
        ethereum.receive(news);
    }
    assert_eq!(ethereum.outbound[&asked], ACKNOWLEDGED);
    assert_eq!(ethereum.outbound[&late], REFUNDED);
    // Delivered again, nobody is told again.
    let again = chain.block(&[Send::call(3, BRIDGE, &snapshot.deliver(&[asked]))]);
    assert!(again.packets.is_empty());
    check_books(&chain);
}

#[test]
fn asking_costs_what_sending_costs_and_is_carried_alike() {
    let mut chain = Chain::new();
    chain.issue(1, 1000);
    let plain = send(POINTS, Address::repeat_byte(1), 5, chain.now + HOUR);
    for token in [POINTS, COIN] {
        let plain = send(token, Address::repeat_byte(1), 5, 9);
        assert_eq!(
            Carried::of(BRIDGE, &plain.abi_encode()),
            Carried::of(BRIDGE, &asking(&plain).abi_encode())
        );
    }
    let output = chain.block(&[Send::call(1, BRIDGE, &plain)]);
    let without = output.gas_used;
    let output = chain.block(&[Send::call(1, BRIDGE, &asking(&plain))]);
    assert!(output.receipts[0].success && output.gas_used <= without);
    // And is refused alike.
    let empty = send(POINTS, Address::repeat_byte(1), 0, chain.now + HOUR);
    let refused = chain.refuse(Send::call(1, BRIDGE, &asking(&empty)));
    assert!(refused.contains("amount is zero"), "{refused}");
    chain.fund(chain.user(1), U256::ONE);
    let call = Send::call(1, BRIDGE, &asking(&plain)).value(U256::ONE);
    let refused = chain.refuse(call);
    assert!(refused.contains("takes no MVC"), "{refused}");
}
