//! Who is a peer, and which key of it counts. Words 14 and on of a peer's struct are read and written
//! here alone: a key is written when a peer is registered, and by a proven rotation.

use crate::{
    bls,
    modules::{
        Config,
        bridge::{self, link::Link},
        host::{Fault, Host},
        slot::Slot,
    },
};
use alloy::primitives::{B256, U256};
use mileverse_primitives::{
    abi::{IPeers, IValves},
    address::{PEERS, peer_points},
    bridge::MAX_HOLD_SECONDS,
    packet::GroupKey,
    peers::MAX_PEERS,
};

const COUNT: Slot = Slot::at(PEERS, 1);
const LIST: Slot = Slot::at(PEERS, 2);

/// Places in a peer's struct.
const STANDING: u64 = 14;
const KEY: u64 = 15;

/// Checking that a key is a point of the subgroup: a pairing of one pair, as EIP-2537 has it, since
/// that is how Ethereum's light client checks one.
const KEY_GAS: u64 = 70_300;

const REGISTERED: u64 = 1;
const FROZEN: u64 = 2;

/// A peer's key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) version: u64,
    /// The first epoch that it signs.
    pub(super) first_epoch: u64,
    pub(super) point: GroupKey,
}

/// What is known of a peer beside its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) is_frozen: bool,
    key_version: u64,
    first_epoch: u64,
}

/// The peers of the genesis file.
pub(crate) fn genesis_storage(config: &Config) -> Vec<(Slot, U256)> {
    let mut words = Vec::new();
    for (place, peer) in (0u64..).zip(&config.peers) {
        let key = Key {
            version: peer.key_version,
            first_epoch: peer.first_epoch,
            point: peer.group_key,
        };
        let limits = [peer.points.into(), peer.peer_points.into()];
        words.extend(record(peer.chain_id, &key, limits));
        words.push((LIST.entry(place), U256::from(peer.chain_id)));
    }
    if !words.is_empty() {
        words.push((COUNT, U256::from(config.peers.len())));
    }
    words
}

/// A new peer's words.
fn record(chain_id: u64, key: &Key, limits: [IValves::Limits; 2]) -> Vec<(Slot, U256)> {
    let link = Link::Peer(chain_id);
    let mut words = bridge::begin(link, limits);
    words.extend(key_words(link, key, false));
    words
}

fn key_words(link: Link, key: &Key, is_frozen: bool) -> Vec<(Slot, U256)> {
    let flags = REGISTERED | if is_frozen { FROZEN } else { 0 };
    let standing = U256::from_limbs([flags, key.version, key.first_epoch, 0]);
    let mut words = vec![(link.slot(STANDING), standing)];
    for (place, word) in (KEY..).zip(key.point.chunks_exact(32)) {
        words.push((link.slot(place), U256::from_be_slice(word)));
    }
    words
}

/// Chain ids of all, in the order in which they were registered.
pub(super) fn all(host: &mut Host<'_>) -> Result<Vec<u64>, Fault> {
    let count = host.load_u64(COUNT)?;
    (0..count)
        .map(|place| host.load_u64(LIST.entry(place)))
        .collect()
}

/// What is known of a peer; refuses a chain that is none.
pub(super) fn standing(host: &mut Host<'_>, peer: u64) -> Result<Standing, Fault> {
    find(host, peer)?.ok_or_else(|| {
        Fault::revert(format!(
            "chain {peer} is no peer of this chain; the bridge's governor registers peers"
        ))
    })
}

fn find(host: &mut Host<'_>, peer: u64) -> Result<Option<Standing>, Fault> {
    let word = host.load(Link::Peer(peer).slot(STANDING))?;
    let [flags, key_version, first_epoch, _] = *word.as_limbs();
    Ok((flags & REGISTERED != 0).then_some(Standing {
        is_frozen: flags & FROZEN != 0,
        key_version,
        first_epoch,
    }))
}

/// The link to a peer, for whoever asks about it.
pub(super) fn link(host: &mut Host<'_>, peer: u64) -> Result<Link, Fault> {
    standing(host, peer).map(|_| Link::Peer(peer))
}

/// The link to a peer, for whoever moves something over it.
pub(super) fn trusted_link(host: &mut Host<'_>, peer: u64) -> Result<Link, Fault> {
    if standing(host, peer)?.is_frozen {
        return Err(Fault::revert(format!(
            "chain {peer} signed two blocks of one view; nothing goes there or comes from there any more"
        )));
    }
    Ok(Link::Peer(peer))
}

/// A peer's key.
pub(super) fn key_in_force(host: &mut Host<'_>, peer: u64) -> Result<Key, Fault> {
    let Standing {
        key_version,
        first_epoch,
        ..
    } = standing(host, peer)?;
    let mut point = GroupKey::ZERO;
    for (place, room) in (KEY..).zip(point.chunks_exact_mut(32)) {
        let word = B256::from(host.load(Link::Peer(peer).slot(place))?);
        room.copy_from_slice(word.as_slice());
    }
    Ok(Key {
        version: key_version,
        first_epoch,
        point,
    })
}

/// Refuses what is no key.
fn check_key(host: &mut Host<'_>, point: &GroupKey) -> Result<(), Fault> {
    host.charge(KEY_GAS)?;
    match bls::read_group_key(point) {
        Ok(_) => Ok(()),
        Err(_) => Err(Fault::revert(
            "a group key is 256 bytes: a point of G2's subgroup, uncompressed as EIP-2537 has it, and not the identity",
        )),
    }
}

/// The peer's own committee replaces its key: the caller has it proven under the one in force.
pub(super) fn rotate(host: &mut Host<'_>, peer: u64, key: &Key) -> Result<(), Fault> {
    check_key(host, &key.point)?;
    for (slot, word) in key_words(Link::Peer(peer), key, false) {
        host.store(slot, word)?;
    }
    host.log(
        PEERS,
        &IPeers::KeyRotated {
            peer,
            keyVersion: key.version,
            firstEpoch: key.first_epoch,
        },
    )
}

/// Nothing of this peer is believed any more.
pub(super) fn freeze(host: &mut Host<'_>, peer: u64) -> Result<(), Fault> {
    let slot = Link::Peer(peer).slot(STANDING);
    let word = host.load(slot)?;
    host.store(slot, word | U256::from(FROZEN))
}

/// The governor lets a chain in. Its key can then be replaced by its own committee alone.
pub(super) fn register(host: &mut Host<'_>, call: &IPeers::registerCall) -> Result<(), Fault> {
    let peer = call.peer;
    let config = host.config();
    if peer == 0 || peer == config.chain_id || peer == config.ethereum.chain_id {
        return Err(Fault::revert(
            "a peer is another native chain: its id is not zero, this chain's or Ethereum's",
        ));
    }
    if find(host, peer)?.is_some() {
        return Err(Fault::revert("this chain is a peer already"));
    }
    for limits in [&call.points, &call.peerPoints] {
        if limits.holdSeconds > MAX_HOLD_SECONDS {
            return Err(Fault::revert(
                "a large transfer waits at most 604,800 seconds",
            ));
        }
    }
    let count = host.load_u64(COUNT)?;
    if count >= MAX_PEERS as u64 {
        return Err(Fault::revert(format!(
            "a chain has at most {MAX_PEERS} peers"
        )));
    }
    let point = GroupKey::try_from(call.groupKey.as_ref()).unwrap_or_default();
    check_key(host, &point)?;
    let key = Key {
        version: call.keyVersion,
        first_epoch: call.firstEpoch,
        point,
    };
    let token = peer_points(peer);
    host.make_native_account(PEERS)?;
    host.make_native_account(token)?;
    let limits = [call.points.clone(), call.peerPoints.clone()];
    for (slot, word) in record(peer, &key, limits) {
        host.store(slot, word)?;
    }
    host.store(LIST.entry(count), U256::from(peer))?;
    let next = count.checked_add(1).ok_or_else(Fault::overflow)?;
    host.store(COUNT, U256::from(next))?;
    host.log(
        PEERS,
        &IPeers::PeerRegistered {
            peer,
            token,
            keyVersion: key.version,
            firstEpoch: key.first_epoch,
        },
    )
}
