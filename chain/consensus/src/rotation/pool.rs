//! Endorsements gathered in one epoch.
//!
//! Bounded by the players: the first valid endorsement of each is kept, and so at most as many
//! outputs as players, whatever is sent.

use super::{
    Output,
    proof::{self, Endorsement, Refused},
    wire::Testimony,
};
use crate::block::PublicKey;
use commonware_utils::ordered::{Quorum as _, Set};
use mileverse_primitives::B256;
use std::collections::BTreeMap;

/// A new key, and the proof that its players hold it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Handover {
    /// The ceremony's epoch, whose last block may carry it.
    pub epoch: u64,
    /// The new key's output.
    pub output: Output,
    /// At least a quorum, ascending by player.
    pub endorsements: Vec<Endorsement>,
}

/// What one epoch's players have said so far.
pub struct Pool {
    chain_id: u64,
    epoch: u64,
    players: Set<PublicKey>,
    said: BTreeMap<PublicKey, (B256, Endorsement)>,
    outputs: BTreeMap<B256, Output>,
}

impl Pool {
    /// Empty, for the ceremony of `epoch`.
    pub const fn new(chain_id: u64, epoch: u64, players: Set<PublicKey>) -> Self {
        Self {
            chain_id,
            epoch,
            players,
            said: BTreeMap::new(),
            outputs: BTreeMap::new(),
        }
    }

    /// Takes a player's testimony; false when the player has spoken before or it is of another
    /// epoch.
    ///
    /// # Errors
    ///
    /// When it is no testimony of a player for a key of these players.
    pub fn add(&mut self, testimony: Testimony) -> Result<bool, Refused> {
        let Testimony {
            epoch,
            endorsement,
            output,
        } = testimony;
        if epoch != self.epoch || self.said.contains_key(&endorsement.player) {
            return Ok(false);
        }
        if self.players.index(&endorsement.player).is_none() {
            return Err(Refused::Stranger);
        }
        let hash = proof::hash(&output);
        if !self.outputs.contains_key(&hash) {
            proof::fits(&output, &self.players)?;
        }
        if !proof::signed(self.chain_id, epoch, hash, &endorsement) {
            return Err(Refused::Forged);
        }
        self.outputs.entry(hash).or_insert(output);
        self.said
            .insert(endorsement.player.clone(), (hash, endorsement));
        Ok(true)
    }

    /// Whether `player` has spoken.
    pub fn heard(&self, player: &PublicKey) -> bool {
        self.said.contains_key(player)
    }

    /// How many players endorsed the output that most endorsed.
    pub fn count(&self) -> usize {
        self.leading().map_or(0, |(_, count)| count)
    }

    /// The key that a quorum endorsed, with all its endorsements.
    pub fn handover(&self) -> Option<Handover> {
        let (hash, count) = self.leading()?;
        if count < proof::quorum(self.players.len()) {
            return None;
        }
        Some(Handover {
            epoch: self.epoch,
            output: self.outputs.get(&hash)?.clone(),
            endorsements: self
                .said
                .values()
                .filter(|(said, _)| *said == hash)
                .map(|(_, endorsement)| endorsement.clone())
                .collect(),
        })
    }

    fn leading(&self) -> Option<(B256, usize)> {
        self.outputs
            .keys()
            .map(|hash| {
                let count = self.said.values().filter(|(said, _)| said == hash).count();
                (*hash, count)
            })
            .max_by_key(|(_, count)| *count)
    }
}
