//! The first committee, as the genesis file names it, in the shapes that consensus wants.
//!
//! The genesis file carries the dealing's outcome: the public polynomial and the players, who are
//! the members. From it follow the first epoch's [`EpochInfo`], which the genesis block carries,
//! and the group key, which resharing keeps for ever.

use crate::block::{Directory, EpochInfo, Output, PublicKey};
use commonware_codec::{Copying, Decode as _, DecodeExt as _};
use commonware_consensus::types::Epoch;
use commonware_cryptography::bls12381::primitives::sharing::ModeVersion;
use commonware_glue::dkg::types::EpochOutcome;
use commonware_utils::{NZU32, ordered::Set};
use mileverse_primitives::{
    B256,
    genesis::{Committee, MAX_VALIDATORS},
};
use std::{net::SocketAddr, num::NonZeroU32};
use thiserror::Error;

/// Most members of any committee, as commonware's decoders take it.
pub const MAX_PARTICIPANTS: NonZeroU32 = NZU32!(99);
const _: () = assert!(MAX_PARTICIPANTS.get() as usize == MAX_VALIDATORS);
/// The only form of a public polynomial that this chain reads.
pub const SHARING_MODES: ModeVersion = ModeVersion::v0();

/// What is wrong with a genesis file's committee.
#[derive(Debug, Error)]
pub enum CommitteeError {
    /// Not an ed25519 public key.
    #[error("{0} is not an ed25519 public key")]
    Key(B256),
    /// Bytes that are no outcome of a dealing.
    #[error("its output is not the outcome of a dealing: {0}")]
    Output(String),
    /// A dealing for others.
    #[error("its output was dealt to other keys than its members'")]
    OtherPlayers,
}

/// A delegate's key.
///
/// # Errors
///
/// When the bytes are not a point of the curve.
pub fn key(key: B256) -> Result<PublicKey, CommitteeError> {
    PublicKey::decode(Copying(key.as_slice())).map_err(|_| CommitteeError::Key(key))
}

/// The first committee.
#[derive(Clone, Debug)]
pub struct First {
    /// The dealing's outcome.
    pub output: Output,
    /// The members and where they are reached, ascending.
    pub members: Vec<(PublicKey, SocketAddr)>,
}

impl First {
    /// Reads a genesis file's committee.
    ///
    /// # Errors
    ///
    /// When a key is no key, or the output is not one that was dealt to these members.
    pub fn read(committee: &Committee) -> Result<Self, CommitteeError> {
        let members = committee
            .members
            .iter()
            .map(|member| Ok((key(member.consensus_key)?, member.address)))
            .collect::<Result<Vec<_>, CommitteeError>>()?;
        let output = Output::decode_cfg(
            Copying(committee.output.as_ref()),
            &(MAX_PARTICIPANTS, SHARING_MODES),
        )
        .map_err(|error| CommitteeError::Output(error.to_string()))?;
        let keys = Set::from_iter_dedup(members.iter().map(|(key, _)| key.clone()));
        let total = u32::try_from(members.len()).unwrap_or(u32::MAX);
        if output.players() != &keys || output.public().total().get() != total {
            return Err(CommitteeError::OtherPlayers);
        }
        Ok(Self { output, members })
    }

    /// What the genesis block says of epoch 0: these members sign it, and they are also the
    /// players of the first two ceremonies, since nobody could be elected before.
    pub fn epoch_info(&self) -> EpochInfo {
        EpochInfo {
            outcome: EpochOutcome::Success,
            epoch: Epoch::zero(),
            output: self.output.clone(),
            players: self.output.players().clone(),
            next_players: self.output.players().clone(),
            directory: Directory::from_iter(
                self.members
                    .iter()
                    .map(|(key, address)| (key.clone(), (*address).into())),
            ),
        }
    }
}
