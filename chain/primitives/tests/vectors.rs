//! `fixtures/vectors/{rotation,transfer,swap,acknowledgement}.json` are what this code makes; the contracts'
//! tests read them too. `MILEVERSE_WRITE_VECTORS=1` writes the last one anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mileverse_primitives::{
    Address, B256, Bytes, U256,
    packet::{
        Acknowledgement, Action, Expiry, GroupKey, Packet, PacketId, Rotation, Token, Transfer,
    },
};
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Vector {
    source: u64,
    destination: u64,
    sequence: u64,
    key_version: u64,
    first_epoch: u64,
    key: GroupKey,
    packet: Bytes,
    commitment: B256,
}

#[test]
fn a_rotation_is_as_the_vector_has_it() {
    let text = include_str!("../../../fixtures/vectors/rotation.json");
    let vector: Vector = serde_json::from_str(text).unwrap();
    let packet = Packet::Rotation(Rotation {
        id: PacketId {
            source: vector.source,
            destination: vector.destination,
            sequence: vector.sequence,
        },
        key_version: vector.key_version,
        first_epoch: vector.first_epoch,
        key: Box::new(vector.key),
    });
    assert_eq!(packet.encode(), vector.packet);
    assert_eq!(packet.commitment(), vector.commitment);
    assert_eq!(Packet::decode(&vector.packet), Ok(packet));
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TransferVector {
    source: u64,
    destination: u64,
    sequence: u64,
    deadline: u64,
    home: u64,
    token: Address,
    sender: Address,
    receiver: Address,
    amount: U256,
    /// Of a transfer that is swapped where it arrives.
    least: Option<U256>,
    packet: Bytes,
    commitment: B256,
    expiry_sequence: u64,
    expiry: Bytes,
    expiry_commitment: B256,
}

#[test]
fn transfers_and_their_expiries_are_as_the_vectors_have_them() {
    for (text, lengths) in [
        (
            include_str!("../../../fixtures/vectors/transfer.json"),
            [134, 160],
        ),
        (
            include_str!("../../../fixtures/vectors/swap.json"),
            [167, 193],
        ),
    ] {
        check(text, lengths);
    }
}

fn check(text: &str, lengths: [usize; 2]) {
    let vector: TransferVector = serde_json::from_str(text).unwrap();
    let transfer = Transfer {
        id: PacketId {
            source: vector.source,
            destination: vector.destination,
            sequence: vector.sequence,
        },
        deadline: vector.deadline,
        token: Token {
            home: vector.home,
            contract: vector.token,
        },
        sender: vector.sender,
        receiver: vector.receiver,
        amount: vector.amount,
        action: vector.least.map(|least| Action::Swap { least }),
        acknowledge: false,
    };
    let expiry = Packet::Expiry(Expiry {
        id: PacketId {
            source: vector.destination,
            destination: vector.source,
            sequence: vector.expiry_sequence,
        },
        expired: transfer.clone(),
    });
    assert_eq!([vector.packet.len(), vector.expiry.len()], lengths);
    for (packet, bytes, commitment) in [
        (Packet::Transfer(transfer), vector.packet, vector.commitment),
        (expiry, vector.expiry, vector.expiry_commitment),
    ] {
        assert_eq!(packet.encode(), bytes);
        assert_eq!(packet.commitment(), commitment);
        assert_eq!(Packet::decode(&bytes), Ok(packet));
    }
}

#[test]
fn a_transfer_that_asks_and_its_acknowledgement_are_as_the_vector_has_them() {
    let transfer = Transfer {
        id: PacketId {
            source: 46_226,
            destination: 31_337,
            sequence: 10,
        },
        deadline: 1_800_003_600,
        token: Token {
            home: 46_226,
            contract: mileverse_primitives::address::POINTS,
        },
        sender: Address::left_padding_from(&[0x0a, 0x11, 0xce]),
        receiver: Address::left_padding_from(&[0x0b, 0x0b]),
        amount: U256::from(12_500_000),
        action: None,
        acknowledge: true,
    };
    let packet = Packet::Transfer(transfer.clone());
    let news = Packet::Acknowledgement(Acknowledgement {
        id: PacketId {
            source: 31_337,
            destination: 46_226,
            sequence: 5,
        },
        received: transfer.clone(),
    });
    assert_eq!((packet.encode().len(), news.encode().len()), (134, 160));
    for one in [&packet, &news] {
        assert_eq!(Packet::decode(&one.encode()).as_ref(), Ok(one));
    }
    let made = json!({
        "source": transfer.id.source,
        "destination": transfer.id.destination,
        "sequence": transfer.id.sequence,
        "deadline": transfer.deadline,
        "home": transfer.token.home,
        "token": transfer.token.contract,
        "sender": transfer.sender,
        "receiver": transfer.receiver,
        "amount": transfer.amount.to_string(),
        "packet": packet.encode(),
        "commitment": packet.commitment(),
        "acknowledgementSequence": news.id().sequence,
        "acknowledgement": news.encode(),
        "acknowledgementCommitment": news.commitment(),
    });
    let made = serde_json::to_string_pretty(&made).unwrap() + "\n";
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/vectors/acknowledgement.json");
    if std::env::var_os("MILEVERSE_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        made,
        "write the vector anew"
    );
}
