//! Packets from a peer: proven by its certificate and a path, then settled as the bridge settles those
//! of Ethereum. Beside them its rotations, and the proof that its committee contradicts itself.
//!
//! A rotation is the packet that the peer's chain itself announced to Ethereum; it counts here whatever
//! chain it is addressed to, and has no receipt: its number says whether it is news.

use super::{
    client::{self, Certified},
    registry::{self, Key},
};
use crate::modules::{
    bridge::{deliver as settling, valves},
    host::{Fault, Host},
};
use mileverse_primitives::{
    abi::{IPeers, IValves::Direction},
    address::PEERS,
    packet::{Packet, Rotation},
};

pub(super) fn deliver(host: &mut Host<'_>, call: &IPeers::deliverCall) -> Result<(), Fault> {
    settling::check_count(call.items.len())?;
    let peer = call.peer;
    let link = registry::trusted_link(host, peer)?;
    valves::require_open(host, link, Direction::Receive)?;
    let key = registry::key_in_force(host, peer)?;
    // What one certificate proves is settled to the end, also where a rotation is among it.
    let certified = client::verify(host, peer, &key, &call.header)?;
    let mut sent = Vec::new();
    for item in &call.items {
        let (packet, commitment) = settling::read(host, &item.packet)?;
        client::prove(host, &certified, item.index, commitment, &item.path)?;
        let id = packet.id();
        if id.source != peer {
            return Err(Fault::revert("the packet is not of this peer"));
        }
        if let Packet::Rotation(rotation) = packet {
            rotate(host, peer, &certified, &rotation)?;
            continue;
        }
        if id.destination != host.config().chain_id {
            return Err(Fault::revert("the packet does not go to this chain"));
        }
        sent.extend(settling::settle(host, link, packet, commitment)?);
    }
    settling::go_home(host, &sent)
}

/// A new key of the peer's, certified under the one in force.
fn rotate(
    host: &mut Host<'_>,
    peer: u64,
    certified: &Certified,
    rotation: &Rotation,
) -> Result<(), Fault> {
    let in_force = registry::key_in_force(host, peer)?;
    if rotation.key_version <= in_force.version {
        // Delivered before: it changes nothing, as any packet delivered twice.
        return Ok(());
    }
    if rotation.first_epoch <= certified.epoch {
        return Err(Fault::revert(
            "a key does not sign the block that announces it: its first epoch must come after the certificate's",
        ));
    }
    let key = Key {
        version: rotation.key_version,
        first_epoch: rotation.first_epoch,
        point: *rotation.key,
    };
    registry::rotate(host, peer, &key)
}

/// Two certificates over different blocks of one view: more than a third of that committee lies.
pub(super) fn freeze(host: &mut Host<'_>, call: &IPeers::freezeCall) -> Result<(), Fault> {
    let peer = call.peer;
    registry::trusted_link(host, peer)?;
    let refuse = || Fault::revert("the two certificates do not contradict each other");
    if (call.first.epoch, call.first.view_) != (call.second.epoch, call.second.view_) {
        return Err(refuse());
    }
    let key = registry::key_in_force(host, peer)?;
    let first = client::verify(host, peer, &key, &call.first)?;
    let second = client::verify(host, peer, &key, &call.second)?;
    if first.digest == second.digest {
        return Err(refuse());
    }
    registry::freeze(host, peer)?;
    host.log(
        PEERS,
        &IPeers::Frozen {
            peer,
            epoch: first.epoch,
            view_: first.view,
            first: first.digest,
            second: second.digest,
        },
    )
}
