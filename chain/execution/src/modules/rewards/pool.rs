//! The coin that the module holds, by what it is for: reserved for closed quarters, carried for
//! holders whose amounts are too small yet, and the pool for quarters to come, which is the rest.

use super::{OWED, amount, minus, plus};
use crate::modules::{
    host::Fault,
    ledger::Ledger,
    staking::word::{halves, split},
};
use mileverse_primitives::address::REWARDS;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Owed {
    pub(super) reserved: u128,
    pub(super) carried: u128,
}

impl Owed {
    pub(super) fn load(ledger: &mut impl Ledger) -> Result<Self, Fault> {
        let (reserved, carried) = split(ledger.load(OWED)?);
        Ok(Self { reserved, carried })
    }

    pub(super) fn save(self, ledger: &mut impl Ledger) -> Result<(), Fault> {
        ledger.store(OWED, halves(self.reserved, self.carried))
    }

    /// What is left for quarters to come, of what the module has; no outcome if it owes more.
    pub(super) fn available(self, balance: u128) -> Result<u128, Fault> {
        minus(balance, plus(self.reserved, self.carried)?)
    }
}

/// The module's real coin.
pub(super) fn balance(ledger: &mut impl Ledger) -> Result<u128, Fault> {
    amount(ledger.balance(REWARDS)?)
}
