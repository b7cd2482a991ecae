//! Proof that a ceremony's players hold shares of its output.
//!
//! An endorsement is a player's ed25519 signature over `epoch ‖ keccak256(output)` under the
//! namespace of `mileverse_primitives::vote`. It says: "I finished the rotation ceremony of this
//! epoch with this output, and my share of it is stored." `n - f` of `n` players, of whom at most
//! `f` lie, leave at least `f + 1` honest ones, so there is one output at most; and that the next
//! epoch can sign, so long as those who endorsed are not among the faulty.

use super::{MAX_PLAYERS, Output};
use crate::block::PublicKey;
use commonware_codec::Encode as _;
use commonware_cryptography::{
    Signer as _, Verifier as _,
    bls12381::primitives::variant::{MinSig, Variant},
    ed25519,
};
use commonware_math::algebra::Additive as _;
use commonware_utils::{
    Faults as _, N3f1,
    ordered::{Quorum as _, Set},
};
use mileverse_primitives::{
    B256, keccak256,
    vote::{rotation_body, rotation_namespace},
};
use thiserror::Error;

/// One player's word for a ceremony's output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endorsement {
    /// Who says so.
    pub player: PublicKey,
    /// Its signature.
    pub signature: ed25519::Signature,
}

/// Why a new group key is not admitted.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Refused {
    /// The output is for other players than the epoch's.
    #[error("the new key's players are not those who sign the next epoch")]
    Players,
    /// Its polynomial does not fit its players.
    #[error("the new key's polynomial does not fit its players")]
    Shape,
    /// It is no key.
    #[error("the new key is zero")]
    Zero,
    /// It is the key that is in force.
    #[error("the new key is the old one")]
    Same,
    /// A signature by somebody else.
    #[error("a new key is endorsed by one who is not its player")]
    Stranger,
    /// Endorsements are not in ascending order of their players, or one stands twice.
    #[error("endorsements of a new key are not in ascending order of their players")]
    Order,
    /// A signature does not verify.
    #[error("an endorsement of a new key is forged")]
    Forged,
    /// Fewer than a quorum.
    #[error("a new key has {have} endorsements, {need} are needed")]
    TooFew {
        /// Given.
        have: usize,
        /// Needed.
        need: usize,
    },
}

/// What is signed for: keccak256 of the encoded output.
pub fn hash(output: &Output) -> B256 {
    keccak256(output.encode())
}

/// Signs for `output`, the result of the ceremony of `epoch`.
pub fn endorse(
    signer: &ed25519::PrivateKey,
    chain_id: u64,
    epoch: u64,
    output: B256,
) -> Endorsement {
    Endorsement {
        player: signer.public_key(),
        signature: signer.sign(&rotation_namespace(chain_id), &rotation_body(epoch, output)),
    }
}

/// Whether `endorsement` is its player's own.
pub fn signed(chain_id: u64, epoch: u64, output: B256, endorsement: &Endorsement) -> bool {
    endorsement.player.verify(
        &rotation_namespace(chain_id),
        &rotation_body(epoch, output),
        &endorsement.signature,
    )
}

/// How many of `players` must endorse a key: `n - f`. None suffices for nobody.
pub fn quorum(players: usize) -> usize {
    match u32::try_from(players) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(count) => usize::try_from(N3f1::quorum(count)).unwrap_or(usize::MAX),
    }
}

/// Checks that `output` is a key generation's result for exactly `players`.
///
/// # Errors
///
/// The rule that it breaks.
pub fn fits(output: &Output, players: &Set<PublicKey>) -> Result<(), Refused> {
    if output.players() != players || players.len() > MAX_PLAYERS {
        return Err(Refused::Players);
    }
    let total = usize::try_from(output.public().total().get()).unwrap_or(usize::MAX);
    if players.is_empty()
        || total != players.len()
        || output.public().required() != output.quorum::<N3f1>()
    {
        return Err(Refused::Shape);
    }
    if *output.public().public() == <MinSig as Variant>::Public::zero() {
        return Err(Refused::Zero);
    }
    Ok(())
}

/// Checks that a quorum of `players` endorsed `output`, the result of the ceremony of `epoch`.
///
/// # Errors
///
/// The rule that is broken first.
pub fn check(
    chain_id: u64,
    epoch: u64,
    output: &Output,
    players: &Set<PublicKey>,
    endorsements: &[Endorsement],
) -> Result<(), Refused> {
    fits(output, players)?;
    let need = quorum(players.len());
    if endorsements.len() < need {
        return Err(Refused::TooFew {
            have: endorsements.len(),
            need,
        });
    }
    let ascending = endorsements
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.player < b.player));
    if !ascending {
        return Err(Refused::Order);
    }
    let hash = hash(output);
    for endorsement in endorsements {
        if players.index(&endorsement.player).is_none() {
            return Err(Refused::Stranger);
        }
        if !signed(chain_id, epoch, hash, endorsement) {
            return Err(Refused::Forged);
        }
    }
    Ok(())
}
