//! Whom a transaction is sent to, and when it is sent again.
//!
//! The order of turns is fixed and public, so only those whose turn comes can use a transaction: it
//! goes to the leaders of the next [`LEADERS`] views, over the end of an epoch to the first of the next
//! committee's. If it still waits [`AGAIN`] blocks later, they were slow, dead or unwilling, and it goes
//! to those who lead then; after twice as many blocks once more, and so on, so that one that cannot run
//! yet is not sent for ever. A committee that is not known here yet is answered by telling everybody.

use crate::{application::Tip, block::PublicKey, committee, committees::Committees, watch};
use commonware_p2p::Recipients;
use mileverse_primitives::B256;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Coming views whose leaders are told. The newest final block is two or three views behind the one
/// that is proposed.
pub const LEADERS: u64 = 10;
/// Blocks after which a transaction that still waits is sent again.
pub const AGAIN: u64 = 5;
/// Transactions that are remembered as sent; others wait for their leaders, or for this validator's own
/// turn.
const MAX_SENT: usize = 65_536;

/// What was sent, and to whom the next goes.
pub struct Course {
    committees: Committees,
    tip: watch::Receiver<Tip>,
    epoch_blocks: u64,
    /// By the height at which it is due again: what was sent, and how often.
    sent: BTreeMap<u64, Vec<(B256, u32)>>,
    /// How many those are.
    count: usize,
    /// How often those were sent that fell due last.
    fell_due: HashMap<B256, u32>,
}

impl Course {
    /// Nothing was sent yet.
    pub fn new(committees: Committees, tip: watch::Receiver<Tip>, epoch_blocks: u64) -> Self {
        Self {
            committees,
            tip,
            epoch_blocks,
            sent: BTreeMap::new(),
            count: 0,
            fell_due: HashMap::new(),
        }
    }

    /// Who leads the coming views, each once.
    pub fn coming(&self) -> Recipients<PublicKey> {
        self.leaders().map_or(Recipients::All, Recipients::Some)
    }

    fn leaders(&self) -> Option<Vec<PublicKey>> {
        let (next, turn) = {
            let tip = self.tip.borrow();
            (tip.header.height.checked_add(1)?, tip.header.turn)
        };
        let (epoch, place) = (
            next.checked_div(self.epoch_blocks)?,
            next.checked_rem(self.epoch_blocks)?,
        );
        let first = if turn.epoch == epoch {
            turn.view.checked_add(1)?
        } else {
            1
        };
        let committee = self.committees.get(epoch)?;
        let mut told: BTreeSet<B256> = (first..first.checked_add(LEADERS)?)
            .map(|view| committee.leader(view))
            .collect();
        // Views of this epoch that may come to nothing are not known, so its leaders stay in.
        let left = self.epoch_blocks.checked_sub(place)?;
        if let Some(over) = LEADERS.checked_sub(left).filter(|over| *over > 0) {
            let committee = self.committees.get(epoch.checked_add(1)?)?;
            told.extend((1..=over).map(|view| committee.leader(view)));
        }
        told.into_iter()
            .map(|key| committee::key(key).ok())
            .collect()
    }

    /// A transaction was sent to those.
    pub fn note(&mut self, hash: B256) {
        let times = self.fell_due.remove(&hash).unwrap_or_default();
        if self.count >= MAX_SENT {
            return;
        }
        let height = self.tip.borrow().header.height;
        let wait = AGAIN.saturating_mul(2u64.saturating_pow(times));
        let due = self.sent.entry(height.saturating_add(wait)).or_default();
        due.push((hash, times.saturating_add(1)));
        self.count = self.count.saturating_add(1);
    }

    /// What was sent so long ago that its leaders have had their turns.
    pub fn due(&mut self) -> Vec<B256> {
        let height = self.tip.borrow().header.height;
        let later = self.sent.split_off(&height.saturating_add(1));
        let due = std::mem::replace(&mut self.sent, later);
        let due: Vec<(B256, u32)> = due.into_values().flatten().collect();
        self.count = self.count.saturating_sub(due.len());
        self.fell_due = due.into_iter().collect();
        let mut hashes: Vec<B256> = self.fell_due.keys().copied().collect();
        // A map has no order of its own, and a simulation must do the same again.
        hashes.sort_unstable();
        hashes
    }

    /// Waits for the next final block.
    pub async fn moved(&mut self) -> Result<(), watch::Closed> {
        self.tip.changed().await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::block::keys;
    use commonware_cryptography::{Signer as _, ed25519};
    use mileverse_primitives::header::{Header, StateCommitment, Turn};

    const EPOCH: u64 = 100;

    fn committee(from: u64, count: u64) -> Vec<B256> {
        let mut keys = keys(
            (from..from + count)
                .map(|seed| ed25519::PrivateKey::from_seed(seed).public_key())
                .collect::<Vec<_>>()
                .iter(),
        );
        keys.sort();
        keys
    }

    fn tip(height: u64, epoch: u64, view: u64) -> Tip {
        let header = Header {
            outbox_root: B256::ZERO,
            parent: B256::ZERO,
            height,
            timestamp_ms: 0,
            gas_limit: 0,
            gas_used: 0,
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
        Tip {
            header,
            digest: B256::ZERO,
        }
    }

    fn told(course: &Course) -> Option<BTreeSet<B256>> {
        match course.coming() {
            Recipients::Some(some) => Some(keys(some.iter()).into_iter().collect()),
            _ => None,
        }
    }

    #[test]
    fn the_next_leaders_are_told_over_the_end_of_an_epoch_too() {
        let committees = Committees::new(B256::repeat_byte(9));
        let (newest, receiver) = watch::channel(tip(0, 0, 0));
        let course = Course::new(committees.clone(), receiver, EPOCH);
        // Nobody is known: everybody is told.
        assert_eq!(told(&course), None);
        committees.enter(0, &committee(0, 31)).unwrap();
        committees.enter(1, &committee(20, 31)).unwrap();
        let leaders = |epoch, views: std::ops::RangeInclusive<u64>| -> BTreeSet<B256> {
            let committee = committees.get(epoch).unwrap();
            views.map(|view| committee.leader(view)).collect()
        };
        assert_eq!(told(&course).unwrap(), leaders(0, 1..=10));
        // Some views came to nothing.
        newest.send_replace(tip(50, 0, 57));
        assert_eq!(told(&course).unwrap(), leaders(0, 58..=67));
        assert_eq!(told(&course).unwrap().len(), 10);
        // Four blocks of the epoch are to come: 96 to 99.
        newest.send_replace(tip(95, 0, 102));
        let both = &leaders(0, 103..=112) | &leaders(1, 1..=6);
        assert_eq!(told(&course).unwrap(), both);
        newest.send_replace(tip(99, 0, 106));
        assert_eq!(told(&course).unwrap(), leaders(1, 1..=10));
        // The next committee is not known yet.
        newest.send_replace(tip(195, 1, 96));
        assert_eq!(told(&course), None);
    }

    #[test]
    fn what_still_waits_is_due_again_ever_later() {
        let committees = Committees::new(B256::repeat_byte(9));
        let (newest, receiver) = watch::channel(tip(7, 0, 7));
        let mut course = Course::new(committees, receiver, EPOCH);
        let hash = B256::repeat_byte;
        let at = |height, course: &mut Course| {
            newest.send_replace(tip(height, 0, height));
            course.due()
        };
        course.note(hash(1));
        assert!(at(8, &mut course).is_empty());
        course.note(hash(2));
        assert!(at(7 + AGAIN - 1, &mut course).is_empty());
        assert_eq!(at(7 + AGAIN, &mut course), [hash(1)]);
        // It still waits, and is sent once more; the other one is in a block.
        course.note(hash(1));
        assert_eq!(at(8 + AGAIN, &mut course), [hash(2)]);
        assert!(at(7 + 3 * AGAIN - 1, &mut course).is_empty());
        assert_eq!(at(7 + 3 * AGAIN, &mut course), [hash(1)]);
        course.note(hash(1));
        assert!(at(7 + 7 * AGAIN - 1, &mut course).is_empty());
        assert_eq!(at(7 + 7 * AGAIN, &mut course), [hash(1)]);
        assert!(at(10_000, &mut course).is_empty());
        assert_eq!(course.count, 0);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let (newest, receiver) = watch::channel(tip(1, 0, 1));
        let mut course = Course::new(Committees::new(B256::ZERO), receiver, EPOCH);
        for number in 0..=MAX_SENT as u64 {
            course.note(B256::from(mileverse_primitives::U256::from(number)));
        }
        newest.send_replace(tip(1 + AGAIN, 0, 9));
        assert_eq!(course.due().len(), MAX_SENT);
    }
}
