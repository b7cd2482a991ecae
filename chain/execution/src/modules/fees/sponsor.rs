//! A deposit of one operator for one contract: what it holds, on what terms it pays, what it spent.

use super::{SPONSORS, broken, minus, plus};
use crate::modules::{
    host::Fault,
    ledger::Ledger,
    slot::Slot,
    staking::word::{halves, limbs, split},
};
use alloy::primitives::Address;
use mileverse_primitives::abi::IFees;

const SECONDS_OF_DAY: u64 = 86_400;

/// On what terms a deposit pays.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Terms {
    /// Share of the base fee, in basis points.
    pub(super) share_bp: u16,
    /// Most for one transaction.
    pub(super) per_transaction: u128,
    /// Most for one user in a day.
    pub(super) per_user_day: u128,
    /// Most in a day.
    pub(super) per_day: u128,
}

impl Terms {
    /// Whether nobody is paid less than by `other`.
    pub(super) const fn is_at_least(&self, other: &Self) -> bool {
        self.share_bp >= other.share_bp
            && self.per_transaction >= other.per_transaction
            && self.per_user_day >= other.per_user_day
            && self.per_day >= other.per_day
    }
}

impl From<&IFees::Terms> for Terms {
    fn from(given: &IFees::Terms) -> Self {
        Self {
            share_bp: given.shareBp,
            per_transaction: given.perTransaction,
            per_user_day: given.perUserDay,
            per_day: given.perDay,
        }
    }
}

impl From<Terms> for IFees::Terms {
    fn from(terms: Terms) -> Self {
        Self {
            shareBp: terms.share_bp,
            perTransaction: terms.per_transaction,
            perUserDay: terms.per_user_day,
            perDay: terms.per_day,
        }
    }
}

/// Whose deposit for which contract.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Purse {
    /// The contract.
    pub(crate) callee: Address,
    /// Who made the deposit.
    pub(crate) operator: Address,
}

impl Purse {
    fn place(self) -> Slot {
        SPONSORS.entry(self.callee).entry(self.operator)
    }

    fn spent_place(self) -> Slot {
        self.place().field(5)
    }

    fn spent_by_place(self, user: Address) -> Slot {
        self.place().field(6).entry(user)
    }

    /// What was spent today.
    pub(super) fn spent(self, ledger: &mut impl Ledger, now: u64) -> Result<u128, Fault> {
        spent(ledger, self.spent_place(), now)
    }

    /// What was spent today for one user.
    pub(super) fn spent_for(
        self,
        ledger: &mut impl Ledger,
        user: Address,
        now: u64,
    ) -> Result<u128, Fault> {
        spent(ledger, self.spent_by_place(user), now)
    }

    /// Notes what was spent for a user.
    pub(super) fn spend(
        self,
        ledger: &mut impl Ledger,
        user: Address,
        now: u64,
        amount: u128,
    ) -> Result<(), Fault> {
        for place in [self.spent_place(), self.spent_by_place(user)] {
            let sum = plus(spent(ledger, place, now)?, amount)?;
            ledger.store(place, halves(u128::from(day_of(now)), sum))?;
        }
        Ok(())
    }
}

const fn day_of(now: u64) -> u64 {
    now / SECONDS_OF_DAY
}

fn spent(ledger: &mut impl Ledger, place: Slot, now: u64) -> Result<u128, Fault> {
    let (day, amount) = split(ledger.load(place)?);
    let is_today = day == u128::from(day_of(now));
    Ok(if is_today { amount } else { 0 })
}

/// A deposit as it stands in storage.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Sponsor {
    pub(super) deposit: u128,
    /// What of it is announced to leave.
    pub(super) leaving: u128,
    /// When that may be withdrawn.
    pub(super) ready: u64,
    pub(super) terms: Terms,
    pub(super) next: Terms,
    /// Since when the next terms hold; 0 if there are none.
    pub(super) next_since: u64,
}

impl Sponsor {
    /// A deposit as it is at this time: terms that are due hold.
    pub(super) fn load(ledger: &mut impl Ledger, purse: Purse, now: u64) -> Result<Self, Fault> {
        let place = purse.place();
        let (deposit, leaving) = split(ledger.load(place)?);
        let [ready, next_since, share, next_share] = *ledger.load(place.field(1))?.as_limbs();
        let (per_transaction, per_user_day) = split(ledger.load(place.field(2))?);
        let (next_per_transaction, next_per_user_day) = split(ledger.load(place.field(3))?);
        let (per_day, next_per_day) = split(ledger.load(place.field(4))?);
        let bp = |share: u64| u16::try_from(share).map_err(|_| broken());
        let mut found = Self {
            deposit,
            leaving,
            ready,
            terms: Terms {
                share_bp: bp(share)?,
                per_transaction,
                per_user_day,
                per_day,
            },
            next: Terms {
                share_bp: bp(next_share)?,
                per_transaction: next_per_transaction,
                per_user_day: next_per_user_day,
                per_day: next_per_day,
            },
            next_since,
        };
        if found.next_since != 0 && now >= found.next_since {
            found.terms = found.next;
            found.next = Terms::default();
            found.next_since = 0;
        }
        Ok(found)
    }

    pub(super) fn save(self, ledger: &mut impl Ledger, purse: Purse) -> Result<(), Fault> {
        let place = purse.place();
        let (terms, next) = (self.terms, self.next);
        ledger.store(place, halves(self.deposit, self.leaving))?;
        let shares = [u64::from(terms.share_bp), u64::from(next.share_bp)];
        ledger.store(
            place.field(1),
            limbs([self.ready, self.next_since, shares[0], shares[1]]),
        )?;
        ledger.store(
            place.field(2),
            halves(terms.per_transaction, terms.per_user_day),
        )?;
        ledger.store(
            place.field(3),
            halves(next.per_transaction, next.per_user_day),
        )?;
        ledger.store(place.field(4), halves(terms.per_day, next.per_day))
    }
}

/// Adds to a deposit, or takes from it, and leaves the rest of its words alone.
pub(super) fn add(ledger: &mut impl Ledger, purse: Purse, amount: u128) -> Result<(), Fault> {
    let place = purse.place();
    let (deposit, leaving) = split(ledger.load(place)?);
    ledger.store(place, halves(plus(deposit, amount)?, leaving))
}

pub(super) fn subtract(ledger: &mut impl Ledger, purse: Purse, amount: u128) -> Result<(), Fault> {
    let place = purse.place();
    let (deposit, leaving) = split(ledger.load(place)?);
    ledger.store(place, halves(minus(deposit, amount)?, leaving))
}
