//! A new group key, announced to Ethereum: a rotation packet that the chain itself puts in the
//! outbox at a block's end. Nobody can make one by a transaction.
//!
//! The block that holds it is still signed by the old key, so one of that key's last certificates
//! carries it. From then on Ethereum believes the new key alone; packets that were not delivered by
//! then are proven by any later certificate, because the outbox only grows.
//!
//! Keys are numbered: the genesis key is number 0, each one announced has the next number. There is
//! no event in any receipt; relayers find the packet in the outbox like every other. Peers read the
//! same packet, though it is addressed to Ethereum: it says of this chain what holds for everybody.

use super::{BRIDGE, KEY_VERSION, NEXT_SEQUENCE, OUTBOX_PEAKS, OUTBOX_SIZE, link::Link, outbox};
use crate::{
    error::BlockError,
    outcome::SentPacket,
    session::Session,
    state::{ReadError, StateReader},
};
use alloy::primitives::{B256, U256};
use mileverse_primitives::{
    certificate::{G1_LENGTH, G2_LENGTH},
    packet::{GroupKey, Packet, PacketId, Rotation},
};
use revm::precompile::bls12_381::pairing::pairing;

/// A group key that takes over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewKey {
    /// First epoch that it signs: later than the epoch of the block that announces it.
    pub first_epoch: u64,
    /// The key.
    pub key: GroupKey,
}

/// Puts the announcement in the outbox. A key that Ethereum would refuse makes the block invalid.
pub(crate) async fn announce_key<R: StateReader>(
    session: &mut Session<'_, R>,
    new: &NewKey,
) -> Result<SentPacket, BlockError> {
    if !is_key(&new.key) {
        return Err(BlockError::Invalid(
            "the new group key is the identity or not a point of the group".into(),
        ));
    }
    let next_slot = Link::Ethereum.slot(NEXT_SEQUENCE);
    let sequence = number(session.load(BRIDGE, next_slot.key()).await?)?;
    let next = sequence.checked_add(1).ok_or_else(overflow)?;
    let in_force = number(session.load(BRIDGE, KEY_VERSION.key()).await?)?;
    let key_version = in_force.checked_add(1).ok_or_else(overflow)?;
    let config = session.config();
    let packet = Packet::Rotation(Rotation {
        id: PacketId {
            source: config.chain_id,
            destination: config.ethereum.chain_id,
            sequence,
        },
        key_version,
        first_epoch: new.first_epoch,
        key: Box::new(new.key),
    });
    let commitment = packet.commitment();
    let mut frontier = outbox::frontier(session).await?;
    let index = frontier.append(commitment).ok_or_else(overflow)?;
    let mut words = vec![
        (next_slot, U256::from(next)),
        (KEY_VERSION, U256::from(key_version)),
        (Link::Ethereum.outbound(sequence), commitment.into()),
        (OUTBOX_SIZE, U256::from(frontier.size())),
    ];
    for (height, peak) in outbox::heights(frontier.size()).zip(frontier.peaks()) {
        words.push((OUTBOX_PEAKS.entry(height), (*peak).into()));
    }
    for (slot, word) in words {
        session.load(BRIDGE, slot.key()).await?;
        session.cache.store(BRIDGE, slot.key(), word);
    }
    Ok(SentPacket {
        index,
        sequence,
        commitment,
        packet: packet.encode(),
    })
}

/// Whether this is a point of G2's subgroup other than the identity: what Ethereum's light client
/// asks of a key, by the same precompile. G1's identity pairs to one with every such point.
fn is_key(key: &GroupKey) -> bool {
    let mut pair = [0; G1_LENGTH + G2_LENGTH];
    let (_, place) = pair.split_at_mut(G1_LENGTH);
    place.copy_from_slice(key.as_slice());
    !key.is_zero()
        && pairing(&pair, u64::MAX).is_ok_and(|output| output.bytes.as_ref() == one().as_slice())
}

const fn one() -> B256 {
    B256::with_last_byte(1)
}

fn number(word: U256) -> Result<u64, ReadError> {
    word.try_into()
        .map_err(|_| ReadError("a counter of the bridge is not a number".into()))
}

fn overflow() -> BlockError {
    BlockError::Invalid("the bridge's counters are used up".into())
}
