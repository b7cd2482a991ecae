//! Whose turn it is: the order of leaders within an epoch.
//!
//! ```txt
//! seed    = keccak256("mileverse/schedule" ‖ genesis hash ‖ epoch ‖ each member's key, ascending)
//! order   = Fisher-Yates over the members, from the last place down to the second; draw k is
//!           keccak256(seed ‖ k) as a 256-bit number modulo the places left
//! leader of view v = order[v mod members]
//! ```
//!
//! The seed holds nothing but the committee itself, so the order is fixed and public as soon as
//! the committee is, two epochs before it signs, and no member can alter it later. Numbers are big
//! endian, eight bytes. A modulo over 256 bits is biased by less than 2^-248.

use alloy::primitives::{B256, U256, keccak256};
use thiserror::Error;

const DOMAIN: &[u8] = b"mileverse/schedule";

/// A committee that can have no order.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
#[error("a schedule needs members, ascending, each once")]
pub struct ScheduleError;

/// The order of turns of one epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// Positions in the committee, in order of turns.
    order: Vec<usize>,
    members: Vec<B256>,
}

impl Schedule {
    /// The order for `epoch` of the chain that `genesis` (its hash) begins.
    ///
    /// # Errors
    ///
    /// When `members` is empty, or not strictly ascending.
    pub fn new(genesis: B256, epoch: u64, members: &[B256]) -> Result<Self, ScheduleError> {
        if members.is_empty() || !members.is_sorted_by(|a, b| a < b) {
            return Err(ScheduleError);
        }
        let mut bytes = DOMAIN.to_vec();
        bytes.extend_from_slice(genesis.as_slice());
        bytes.extend_from_slice(&epoch.to_be_bytes());
        for member in members {
            bytes.extend_from_slice(member.as_slice());
        }
        let seed = keccak256(bytes);
        let mut order: Vec<usize> = (0..members.len()).collect();
        for (draw, place) in (0u64..).zip((1..members.len()).rev()) {
            let mut bytes = seed.to_vec();
            bytes.extend_from_slice(&draw.to_be_bytes());
            let number = U256::from_be_bytes(keccak256(bytes).0);
            // Less than the number of members, which is a usize.
            let other = (number % U256::from(place + 1)).saturating_to::<usize>();
            order.swap(place, other);
        }
        Ok(Self {
            order,
            members: members.to_vec(),
        })
    }

    /// Position, in the ascending committee, of who leads `view`.
    pub fn position(&self, view: u64) -> usize {
        let members = self.order.len() as u64;
        // The remainder is below the number of members, and there is at least one.
        let turn = usize::try_from(view % members).unwrap_or_default();
        self.order.get(turn).copied().unwrap_or_default()
    }

    /// Key of who leads `view`.
    pub fn leader(&self, view: u64) -> B256 {
        self.members
            .get(self.position(view))
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn members(count: u8) -> Vec<B256> {
        (1..=count).map(B256::repeat_byte).collect()
    }

    proptest! {
        #[test]
        fn every_member_leads_once_a_round(count in 1u8..=99, epoch: u64, from in 0u64..1 << 40) {
            let members = members(count);
            let schedule = Schedule::new(B256::repeat_byte(7), epoch, &members).unwrap();
            let round: BTreeSet<B256> = (from..from + u64::from(count)).map(|view| schedule.leader(view)).collect();
            prop_assert_eq!(round.into_iter().collect::<Vec<_>>(), members);
        }

        #[test]
        fn epoch_genesis_and_members_each_change_the_order(epoch in 0u64..1 << 40) {
            let all = members(31);
            let order = |genesis: u8, epoch, members: &[B256]| {
                let schedule = Schedule::new(B256::repeat_byte(genesis), epoch, members).unwrap();
                (0..30).map(|view| schedule.leader(view)).collect::<Vec<_>>()
            };
            let one = order(1, epoch, &all);
            prop_assert_eq!(&one, &order(1, epoch, &all));
            prop_assert_ne!(&one, &order(2, epoch, &all));
            prop_assert_ne!(&one, &order(1, epoch + 1, &all));
            prop_assert_ne!(&one, &order(1, epoch, &all[..30]));
        }
    }

    #[test]
    fn committees_without_order_are_refused() {
        let members = members(3);
        let unordered: Vec<B256> = members.iter().rev().copied().collect();
        let twice = vec![members[0], members[0]];
        for bad in [vec![], unordered, twice] {
            assert_eq!(Schedule::new(B256::ZERO, 0, &bad), Err(ScheduleError));
        }
    }
}
