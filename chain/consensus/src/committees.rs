//! The committees that this node knows: who signs an epoch, and who leads which of its views.
//!
//! Filled in by consensus whenever an epoch begins, from final blocks only, so two honest nodes
//! that know an epoch's committee know the same one. The newest [`KEPT`] epochs are kept: nothing
//! older is attested, proposed or voted on any more.

use crate::block::PublicKey;
use mileverse_primitives::{
    B256,
    schedule::{Schedule, ScheduleError},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Epochs that are kept.
pub const KEPT: usize = 4;

/// One epoch's delegates and their turns.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Committee {
    members: Vec<B256>,
    schedule: Schedule,
}

impl Committee {
    /// ed25519 public keys, ascending.
    pub fn members(&self) -> &[B256] {
        &self.members
    }

    /// Whether `key` is a delegate of this epoch.
    pub fn contains(&self, key: B256) -> bool {
        self.members.binary_search(&key).is_ok()
    }

    /// Who leads `view`.
    pub fn leader(&self, view: u64) -> B256 {
        self.schedule.leader(view)
    }
}

/// The known committees; clones share them.
#[derive(Clone, Debug)]
pub struct Committees {
    genesis: B256,
    known: Arc<RwLock<BTreeMap<u64, Arc<Committee>>>>,
}

impl Committees {
    /// None known yet, of the chain that `genesis` (its hash) begins.
    pub fn new(genesis: B256) -> Self {
        Self {
            genesis,
            known: Arc::default(),
        }
    }

    /// Learns who signs `epoch`; learning it again changes nothing.
    ///
    /// # Errors
    ///
    /// When `members` is empty, or not strictly ascending.
    pub fn enter(&self, epoch: u64, members: &[B256]) -> Result<(), ScheduleError> {
        let committee = Committee {
            schedule: Schedule::new(self.genesis, epoch, members)?,
            members: members.to_vec(),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(epoch).or_insert_with(|| Arc::new(committee));
        while known.len() > KEPT {
            known.pop_first();
        }
        Ok(())
    }

    /// An epoch's committee, if it is known here.
    pub fn get(&self, epoch: u64) -> Option<Arc<Committee>> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&epoch)
            .cloned()
    }

    /// The newest epoch known.
    pub fn newest(&self) -> Option<u64> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .last_key_value()
            .map(|(epoch, _)| *epoch)
    }
}

/// A consensus key as the chain writes it.
pub fn word(key: &PublicKey) -> B256 {
    B256::from_slice(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_newest_epochs_are_kept_and_the_first_word_stands() {
        let committees = Committees::new(B256::repeat_byte(9));
        let one = [B256::repeat_byte(1), B256::repeat_byte(2)];
        let other = [B256::repeat_byte(3)];
        for epoch in 0..10 {
            committees.enter(epoch, &one).unwrap();
        }
        assert_eq!(committees.newest(), Some(9));
        assert!(committees.get(5).is_none());
        committees.enter(9, &other).unwrap();
        let committee = committees.get(9).unwrap();
        assert_eq!(committee.members(), one);
        assert!(committee.contains(one[1]) && !committee.contains(other[0]));
        let turns = [committee.leader(1), committee.leader(2)];
        assert!(one.iter().all(|member| turns.contains(member)));
        assert_eq!(committees.enter(10, &[]), Err(ScheduleError));
        assert_eq!(committees.newest(), Some(9));
    }
}
