//! Which quarter is under way, which is being paid, and how many holders have numbers.

use super::{CLOCK, NUMBERS, broken};
use crate::modules::{host::Fault, ledger::Ledger};
use alloy::primitives::U256;
use std::cmp::Ordering;

/// Where the module stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Clock {
    /// The quarter under way.
    pub(super) open: u64,
    /// Height of the block that closed the one before; 0 if none was closed.
    pub(super) closed: u64,
    /// The oldest closed quarter that is not paid to everybody; `open` if there is none.
    pub(super) paying: u64,
    /// Number of the holder that is visited next.
    pub(super) cursor: u64,
}

/// How many holders have numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    pub(super) given: u64,
    /// At the last close.
    pub(super) at_close: u64,
}

impl Clock {
    pub(super) fn load(ledger: &mut impl Ledger) -> Result<Self, Fault> {
        Ok(Self::decode(ledger.load(CLOCK)?))
    }

    pub(super) const fn decode(word: U256) -> Self {
        let [open, closed, paying, cursor] = *word.as_limbs();
        Self {
            open,
            closed,
            paying,
            cursor,
        }
    }

    pub(super) fn save(self, ledger: &mut impl Ledger) -> Result<(), Fault> {
        let limbs = [self.open, self.closed, self.paying, self.cursor];
        ledger.store(CLOCK, U256::from_limbs(limbs))
    }

    /// Whether some closed quarter is not paid to everybody.
    pub(super) const fn is_paying(&self) -> bool {
        self.paying < self.open
    }

    /// Whether what the holder with this number had at the last close is still to be looked at. The
    /// quarters of one close are paid one after the other, so it is until the holder was visited for
    /// the last quarter that was closed.
    pub(super) fn needs(&self, numbers: Numbers, number: u64) -> bool {
        let Some(last) = self.open.checked_sub(1) else {
            return false;
        };
        number <= numbers.at_close
            && match self.paying.cmp(&last) {
                Ordering::Less => true,
                Ordering::Equal => number >= self.cursor,
                Ordering::Greater => false,
            }
    }
}

impl Numbers {
    pub(super) fn load(ledger: &mut impl Ledger) -> Result<Self, Fault> {
        let [given, at_close, ..] = *ledger.load(NUMBERS)?.as_limbs();
        Ok(Self { given, at_close })
    }

    pub(super) fn save(self, ledger: &mut impl Ledger) -> Result<(), Fault> {
        let limbs = [self.given, self.at_close, 0, 0];
        ledger.store(NUMBERS, U256::from_limbs(limbs))
    }

    /// The next number.
    pub(super) fn give(&mut self) -> Result<u64, Fault> {
        self.given = self.given.checked_add(1).ok_or_else(broken)?;
        Ok(self.given)
    }
}
