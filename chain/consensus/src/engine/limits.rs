//! How large a message can be. Everything follows from the largest committee
//! ([`MAX_PARTICIPANTS`]) and the largest block, which follows from the genesis file's gas limit.

use crate::{
    application::Scheme,
    attestation,
    block::{Block, Digest, PublicKey},
    committee::MAX_PARTICIPANTS,
    engine::{floor, peers::MAX_GUESTS},
    equivocation,
    mempool::gossip,
    rotation, sync,
};
use commonware_consensus::marshal::{self, standard::Standard};
use commonware_cryptography::bls12381::primitives::variant::MinSig;
use commonware_glue::dkg::{self, orchestrator};
use commonware_p2p::max_message_size;
use mileverse_primitives::limits::BlockLimits;
use std::num::NonZeroUsize;

/// Most peers of one epoch of a chain with so many seats: delegates, players, next players and
/// guests. The network keeps room for a burst of each of them, so this decides its memory.
pub fn most_peers(seats: u32) -> NonZeroUsize {
    let members = usize::try_from(seats).unwrap_or(usize::MAX);
    let most = members.saturating_mul(3).saturating_add(MAX_GUESTS);
    NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN)
}

/// Largest message that any part of a node of a chain with these blocks sends.
pub fn largest_message(limits: BlockLimits) -> u32 {
    let members = MAX_PARTICIPANTS.get();
    max_message_size(&[
        orchestrator::max_payload_size::<Scheme, Digest>(members),
        marshal::max_payload_size::<Standard<Block>, Scheme>(members, &limits),
        dkg::max_payload_size::<MinSig, PublicKey>(MAX_PARTICIPANTS),
        gossip::MAX_MESSAGE_BYTES,
        floor::max_payload_size(members),
        sync::MAX_MESSAGE_BYTES,
        rotation::max_payload_size(MAX_PARTICIPANTS),
        attestation::MAX_MESSAGE_BYTES,
        equivocation::MAX_MESSAGE_BYTES,
    ])
}
