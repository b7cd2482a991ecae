//! The first signed header of each view in the window.

use super::{AHEAD, BEHIND};
use crate::proposal::SignedHeader;
use std::collections::{BTreeMap, BTreeSet};

type Place = (u64, u64);

/// What the memory makes of a header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// The first of its view.
    First,
    /// The very same is known, or the view is already proven to have had two.
    Known,
    /// Not in the window.
    Outside,
    /// Another one is known for that view.
    Second(Box<SignedHeader>),
}

/// The first header of each (epoch, view).
#[derive(Default)]
pub struct Memory {
    epoch: u64,
    view: u64,
    /// Newest view of the epoch before.
    last: u64,
    first: BTreeMap<Place, SignedHeader>,
    proven: BTreeSet<Place>,
}

impl Memory {
    /// Moves the window; only forwards. Not for a view that a peer claims.
    pub fn advance(&mut self, epoch: u64, view: u64) {
        if epoch > self.epoch {
            self.last = if epoch == self.epoch.saturating_add(1) {
                self.view
            } else {
                0
            };
            self.epoch = epoch;
            self.view = view;
        } else if epoch == self.epoch {
            self.view = self.view.max(view);
        } else if epoch.saturating_add(1) == self.epoch {
            self.last = self.last.max(view);
        }
        // Each epoch's window moves up, so what leaves it stands at its front.
        let older = (self.epoch.saturating_sub(1), 0);
        self.first = self.first.split_off(&older);
        self.proven = self.proven.split_off(&older);
        for epoch in [older.0, self.epoch] {
            while let Some(place) = self
                .first
                .range((epoch, 0)..)
                .next()
                .map(|(place, _)| *place)
            {
                if self.covers(place.0, place.1) {
                    break;
                }
                self.first.remove(&place);
                self.proven.remove(&place);
            }
        }
    }

    /// Whether a view lies in the window.
    pub fn covers(&self, epoch: u64, view: u64) -> bool {
        let near = |newest: u64| {
            view >= newest.saturating_sub(BEHIND) && view <= newest.saturating_add(AHEAD)
        };
        view > 0
            && if epoch == self.epoch {
                near(self.view)
            } else if epoch.saturating_add(1) == self.epoch {
                near(self.last)
            } else {
                epoch == self.epoch.saturating_add(1) && view <= AHEAD
            }
    }

    /// What [`note`](Self::note) would say, without noting anything.
    pub fn peek(&self, header: &SignedHeader) -> Note {
        let turn = &header.header.turn;
        let place = (turn.epoch, turn.view);
        if !self.covers(turn.epoch, turn.view) {
            return Note::Outside;
        }
        match self.first.get(&place) {
            None => Note::First,
            Some(known) if known.header == header.header || self.proven.contains(&place) => {
                Note::Known
            }
            Some(known) => Note::Second(Box::new(known.clone())),
        }
    }

    /// Remembers a header whose leader and signature were checked.
    pub fn note(&mut self, header: &SignedHeader) -> Note {
        let note = self.peek(header);
        let place = (header.header.turn.epoch, header.header.turn.view);
        match note {
            Note::First => {
                self.first.insert(place, header.clone());
            }
            Note::Second(_) => {
                self.proven.insert(place);
            }
            Note::Known | Note::Outside => {}
        }
        note
    }

    /// Headers remembered.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use commonware_cryptography::{Signer as _, ed25519};
    use mileverse_primitives::{
        B256,
        header::{Header, StateCommitment, Turn},
    };
    use proptest::prelude::*;

    fn header(epoch: u64, view: u64, salt: u8) -> SignedHeader {
        let header = Header {
            outbox_root: B256::repeat_byte(salt),
            parent: B256::ZERO,
            height: 1,
            timestamp_ms: 1,
            gas_limit: 1,
            gas_used: 1,
            transactions_root: B256::ZERO,
            receipts_root: B256::ZERO,
            system_root: B256::ZERO,
            logs_bloom: Default::default(),
            state: StateCommitment {
                root: B256::ZERO,
                operations_root: B256::ZERO,
                start: 0,
                end: 1,
            },
            turn: Turn {
                epoch,
                view,
                parent_view: 0,
                leader: B256::ZERO,
            },
            checkpoint: None,
        };
        let signature = [salt; 64];
        SignedHeader { header, signature }
    }

    #[test]
    fn the_second_of_a_view_meets_the_first_once() {
        let mut memory = Memory::default();
        memory.advance(2, 5);
        assert_eq!(memory.note(&header(2, 5, 1)), Note::First);
        let mut again = header(2, 5, 1);
        again.signature = [9; 64];
        assert_eq!(memory.note(&again), Note::Known, "same header");
        assert_eq!(
            memory.note(&header(2, 5, 2)),
            Note::Second(Box::new(header(2, 5, 1)))
        );
        assert_eq!(memory.note(&header(2, 5, 3)), Note::Known);
        assert_eq!(memory.note(&header(2, 0, 3)), Note::Outside);
    }

    #[test]
    fn the_epoch_before_stays_in_the_window_and_older_ones_leave() {
        let mut memory = Memory::default();
        memory.advance(2, 5000);
        memory.note(&header(2, 5000, 1));
        memory.note(&header(3, 1, 1));
        memory.advance(3, 1);
        assert!(matches!(memory.note(&header(2, 5000, 2)), Note::Second(_)));
        assert_eq!(memory.note(&header(2, 5000 - BEHIND - 1, 2)), Note::Outside);
        assert_eq!(memory.note(&header(4, AHEAD, 2)), Note::First);
        assert_eq!(memory.note(&header(4, AHEAD + 1, 2)), Note::Outside);
        memory.advance(4, 1);
        assert_eq!(memory.note(&header(2, 5000, 3)), Note::Outside);
        assert_eq!(memory.len(), 2);
    }

    proptest! {
        /// Whatever is noted and however the window moves, it holds no more than the window and
        /// nothing outside it.
        #[test]
        fn it_is_bounded(
            steps in prop::collection::vec((0u64..5, 0u64..4000, any::<bool>()), 1..400),
        ) {
            let mut memory = Memory::default();
            for (epoch, view, moves) in steps {
                if moves {
                    memory.advance(epoch, view);
                }
                memory.note(&header(epoch, view, 1));
                for (epoch, view) in memory.first.keys() {
                    prop_assert!(memory.covers(*epoch, *view));
                }
                prop_assert!(memory.len() as u64 <= 2 * BEHIND + 3 * AHEAD + 2);
            }
        }
    }

    #[test]
    fn a_leader_that_fills_the_future_is_bounded_too() {
        let mut memory = Memory::default();
        memory.advance(1, 2000);
        for epoch in 0..4 {
            for view in 0..10_000 {
                memory.note(&header(epoch, view, 1));
            }
        }
        assert!(memory.len() as u64 <= 2 * BEHIND + 3 * AHEAD + 2);
        let key = ed25519::PrivateKey::from_seed(1);
        let signed = SignedHeader::sign(7, header(1, 2000, 1).header, &key);
        assert_eq!(memory.note(&signed), Note::Known);
    }
}
