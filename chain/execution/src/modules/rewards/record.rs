//! What is stored of one closed quarter.

use super::{RECORDS, broken, minus, plus};
use crate::modules::{
    host::Fault,
    ledger::Ledger,
    slot::Slot,
    staking::word::{halves, limbs, split},
};
use alloy::primitives::U256;
use mileverse_primitives::rewards::RewardRules;

/// In the last limb, beside a count that never reaches it.
const NEXT_FUNDED: u64 = 1 << 63;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Record {
    /// Height of the block that closed it; 0 if none did.
    pub(super) closed: u64,
    /// That block's time, milliseconds.
    pub(super) closed_at_ms: u64,
    /// Height of the block that paid the last holder; 0 before.
    pub(super) paid_height: u64,
    /// Holders numbered at the close.
    pub(super) holders: u64,
    pub(super) pot: u128,
    pub(super) eligible: u128,
    /// Of the pot, to holders.
    pub(super) paid: u128,
    /// Of the pot, waiting for holders.
    pub(super) carried: u128,
    /// Carried from earlier quarters and paid with this one.
    pub(super) released: u128,
    /// Holders paid.
    pub(super) credited: u64,
    /// Holders whose amount is carried.
    pub(super) waiting: u64,
    /// Whether the pool had the whole pot of the next quarter at the close.
    pub(super) next_funded: bool,
    /// What came from Ethereum for it.
    pub(super) share: u128,
    /// The coin that the share is for: what the bridge held there at the close. 0 before it came.
    pub(super) locked: u128,
}

/// Where a quarter's record begins.
pub(super) fn place(quarter: u64) -> Slot {
    RECORDS.entry(quarter)
}

impl Record {
    pub(super) fn load(ledger: &mut impl Ledger, quarter: u64) -> Result<Self, Fault> {
        let place = place(quarter);
        let [closed, closed_at_ms, paid_height, holders] = *ledger.load(place)?.as_limbs();
        let (pot, eligible) = split(ledger.load(place.field(1))?);
        let (paid, carried) = split(ledger.load(place.field(2))?);
        let word = ledger.load(place.field(3))?;
        let (released, _) = split(word);
        let [_, _, credited, last] = *word.as_limbs();
        let (share, locked) = split(ledger.load(place.field(4))?);
        Ok(Self {
            closed,
            closed_at_ms,
            paid_height,
            holders,
            pot,
            eligible,
            paid,
            carried,
            released,
            credited,
            waiting: last & !NEXT_FUNDED,
            next_funded: last & NEXT_FUNDED != 0,
            share,
            locked,
        })
    }

    /// Whether nobody can be paid before its share comes from Ethereum.
    pub(super) const fn awaits_share(&self, rules: &RewardRules) -> bool {
        rules.source.is_some() && self.locked == 0 && self.eligible > 0
    }

    pub(super) fn save(self, ledger: &mut impl Ledger, quarter: u64) -> Result<(), Fault> {
        // Production's own proof that no more is given than there is.
        self.remainder()?;
        let place = place(quarter);
        let first = [
            self.closed,
            self.closed_at_ms,
            self.paid_height,
            self.holders,
        ];
        ledger.store(place, limbs(first))?;
        ledger.store(place.field(1), halves(self.pot, self.eligible))?;
        ledger.store(place.field(2), halves(self.paid, self.carried))?;
        let flag = if self.next_funded { NEXT_FUNDED } else { 0 };
        if self.waiting >= NEXT_FUNDED {
            return Err(broken());
        }
        let counts = limbs([0, 0, self.credited, self.waiting | flag]);
        ledger.store(place.field(3), U256::from(self.released) | counts)?;
        if self.locked > 0 {
            ledger.store(place.field(4), halves(self.share, self.locked))?;
        }
        Ok(())
    }

    /// What of the pot is given to nobody.
    pub(super) fn remainder(&self) -> Result<u128, Fault> {
        minus(self.pot, plus(self.paid, self.carried)?)
    }
}
