//! `fixtures/vectors/rotation.json` is what this code makes; the contracts' tests read it too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mileverse_primitives::{
    B256, Bytes,
    packet::{GroupKey, Packet, PacketId, Rotation},
};
use serde::Deserialize;

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
