//! What an epoch's last block says when it hands over to a new group key.
//!
//! Resharing derives the next epoch's artifact; every node derives the same one. A handover is that
//! artifact with another output for the same players:
//!
//! ```txt
//! derived   outcome ‖ epoch ‖ output  ‖ players ‖ next players ‖ directory
//! carried   success ‖ epoch ‖ output' ‖ players ‖ next players ‖ directory     + endorsements
//! ```

use super::{
    pool::Handover,
    proof::{self, Endorsement, Refused},
};
use crate::block::PublicKey;
use commonware_cryptography::bls12381::primitives::variant::MinSig;
use commonware_glue::dkg::{
    network::Directory,
    types::{EpochInfo, EpochOutcome, Payload},
};

/// Puts the new key in the place of the reshared one. Without a handover for this epoch and these
/// players the artifact stays as it was derived, and nothing is endorsed.
pub fn apply<D: Directory<PublicKey>>(
    derived: EpochInfo<MinSig, PublicKey, D>,
    handover: Option<Handover>,
) -> (EpochInfo<MinSig, PublicKey, D>, Vec<Endorsement>) {
    let fitting = handover.filter(|handover| {
        Some(handover.epoch) == derived.epoch.previous().map(|epoch| epoch.get())
            && handover.output.players() == derived.output.players()
            && handover.output.public().public() != derived.output.public().public()
    });
    match fitting {
        None => (derived, Vec::new()),
        Some(handover) => (
            EpochInfo {
                outcome: EpochOutcome::Success,
                output: handover.output,
                ..derived
            },
            handover.endorsements,
        ),
    }
}

/// Why a last block does not carry what it must.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Misplaced {
    /// Neither the derived artifact nor a handover from it.
    #[error("an epoch's last block carries another artifact than its ceremony made")]
    Artifact,
    /// Endorsements where there is no new key.
    #[error("a block carries endorsements of a new key, but no new key")]
    Endorsements,
    /// The new key is not admitted.
    #[error(transparent)]
    Key(#[from] Refused),
}

/// Checks what the last block of an epoch carries against what resharing `derived`.
///
/// # Errors
///
/// The rule that it breaks.
pub fn check<D: Directory<PublicKey>>(
    chain_id: u64,
    derived: Option<&Payload<MinSig, PublicKey, D>>,
    carried: Option<&Payload<MinSig, PublicKey, D>>,
    endorsements: &[Endorsement],
) -> Result<(), Misplaced> {
    if derived == carried {
        return if endorsements.is_empty() {
            Ok(())
        } else {
            Err(Misplaced::Endorsements)
        };
    }
    let (Some(Payload::EpochInfo(derived)), Some(Payload::EpochInfo(carried))) = (derived, carried)
    else {
        return Err(Misplaced::Artifact);
    };
    let epoch = derived.epoch.previous().ok_or(Misplaced::Artifact)?;
    let expected = EpochInfo {
        outcome: EpochOutcome::Success,
        output: carried.output.clone(),
        ..derived.clone()
    };
    if *carried != expected {
        return Err(Misplaced::Artifact);
    }
    if carried.output.public().public() == derived.output.public().public() {
        return Err(Refused::Same.into());
    }
    Ok(proof::check(
        chain_id,
        epoch.get(),
        &carried.output,
        derived.output.players(),
        endorsements,
    )?)
}
