//! Paying, before a block's first transaction: the next holders of the oldest unpaid quarter, in the
//! order of their numbers, so many as the genesis file says.
//!
//! `amount = pot x holding / eligible`, rounded down. An amount that, with what the holder carries,
//! is below `leastPayment` is carried; otherwise all of it is paid. When the last holder was visited
//! what is left of the pot goes back to the pool. A quarter whose share has not come from Ethereum
//! (`share`) holds up the later ones.

use super::{
    amount,
    block::event,
    broken,
    clock::Clock,
    exclusion,
    holder::{self, Holder, Part},
    holding, minus, plus,
    pool::{self, Owed},
    record::Record,
};
use crate::modules::{
    host::Fault,
    ledger::{Ledger, Scratch},
};
use alloy::primitives::{Address, Log, U256};
use mileverse_primitives::{abi::IRewards, address::REWARDS, rewards::RewardRules};
use std::collections::BTreeMap;

/// `pot x holding / eligible`, rounded down.
pub(super) fn share(pot: u128, holding: u128, eligible: u128) -> Result<u128, Fault> {
    U256::from(pot)
        .checked_mul(U256::from(holding))
        .and_then(|product| product.checked_div(U256::from(eligible)))
        .and_then(|share| share.try_into().ok())
        .ok_or_else(broken)
}

/// Pays some holders and tells it; answers whether a quarter was being paid.
pub(super) fn some<L: Ledger>(
    ledger: &mut Scratch<'_, L>,
    rules: &RewardRules,
    height: u64,
    clock: &mut Clock,
    events: &mut Vec<Log>,
) -> Result<bool, Fault> {
    if !clock.is_paying() || Record::load(ledger, clock.paying)?.awaits_share(rules) {
        return Ok(false);
    }
    let mut round = Round {
        left: rules.holders_per_block,
        least: amount(rules.least_payment)?,
        owed: Owed::load(ledger)?,
        credits: BTreeMap::new(),
        events,
    };
    while clock.is_paying() {
        let quarter = clock.paying;
        let mut record = Record::load(ledger, quarter)?;
        if record.awaits_share(rules) {
            break;
        }
        // With nothing to give nobody need be visited.
        if record.pot > 0 {
            let is_last = is_last_of_close(ledger, rules, clock, record)?;
            while round.left > 0 && clock.cursor <= record.holders {
                round.visit(ledger, clock.cursor, (quarter, is_last), &mut record)?;
                clock.cursor = clock.cursor.checked_add(1).ok_or_else(broken)?;
            }
            if clock.cursor <= record.holders {
                record.save(ledger, quarter)?;
                break;
            }
        }
        record.paid_height = height;
        round.owed.reserved = minus(round.owed.reserved, record.remainder()?)?;
        record.save(ledger, quarter)?;
        round.events.push(event(&IRewards::QuarterPaid {
            quarter,
            paid: U256::from(record.paid),
            carried: U256::from(record.carried),
            remainder: U256::from(record.remainder()?),
        }));
        clock.paying = quarter.checked_add(1).ok_or_else(broken)?;
        clock.cursor = 1;
    }
    round.end(ledger)?;
    Ok(true)
}

/// A visit that is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Visit {
    pub(super) number: u64,
    pub(super) quarter: u64,
}

/// The visits that [`some`] makes in the next block, as it makes them.
pub(super) fn due(ledger: &mut impl Ledger, rules: &RewardRules) -> Result<Vec<Visit>, Fault> {
    let clock = Clock::load(ledger)?;
    let mut left = rules.holders_per_block;
    let (mut quarter, mut number) = (clock.paying, clock.cursor);
    let mut visits = Vec::new();
    while quarter < clock.open && left > 0 {
        let record = Record::load(ledger, quarter)?;
        if record.awaits_share(rules) {
            break;
        }
        while record.pot > 0 && left > 0 && number <= record.holders {
            visits.push(Visit { number, quarter });
            number = number.checked_add(1).ok_or_else(broken)?;
            left = left.saturating_sub(1);
        }
        quarter = quarter.checked_add(1).ok_or_else(broken)?;
        number = 1;
    }
    Ok(visits)
}

/// Whether no later quarter of the same close is to be paid, so that what was written down for it is
/// needed no longer.
fn is_last_of_close(
    ledger: &mut impl Ledger,
    rules: &RewardRules,
    clock: &Clock,
    record: Record,
) -> Result<bool, Fault> {
    let mut next = clock.paying.checked_add(1).ok_or_else(broken)?;
    while next < clock.open {
        let later = Record::load(ledger, next)?;
        if later.closed != record.closed {
            break;
        }
        if later.pot > 0 || later.awaits_share(rules) {
            return Ok(false);
        }
        next = next.checked_add(1).ok_or_else(broken)?;
    }
    Ok(true)
}

/// What one block pays.
struct Round<'a> {
    /// Holders that can still be visited.
    left: u32,
    least: u128,
    owed: Owed,
    /// Set aside until the end: holdings are read as they were before.
    credits: BTreeMap<Address, u128>,
    events: &'a mut Vec<Log>,
}

impl Round<'_> {
    fn visit(
        &mut self,
        ledger: &mut impl Ledger,
        number: u64,
        (quarter, is_last): (u64, bool),
        record: &mut Record,
    ) -> Result<(), Fault> {
        self.left = self.left.saturating_sub(1);
        let address = holder::numbered(ledger, number)?;
        let before = Holder::load(ledger, address)?;
        let mut holder = before;
        if holder.number != number {
            return Err(broken());
        }
        let close = record.closed;
        let earns = !holder.was_listed() || !exclusion::is_excluded_at(ledger, address, close)?;
        if earns {
            let holding = holding::at_close(ledger, address, holder, close)?;
            let earned = share(record.pot, holding, record.eligible)?;
            if earned > 0 {
                holder::set_earned(ledger, address, quarter, earned)?;
                self.give(ledger, (address, quarter), &mut holder, earned, record)?;
            }
        }
        if is_last {
            for part in [Part::Balance, Part::Stake] {
                holder.forget(ledger, address, part, close)?;
            }
        }
        if holder == before {
            Ok(())
        } else {
            holder.save(ledger, address)
        }
    }

    /// Pays what is earned and was carried, or carries it.
    fn give(
        &mut self,
        ledger: &mut impl Ledger,
        (address, quarter): (Address, u64),
        holder: &mut Holder,
        earned: u128,
        record: &mut Record,
    ) -> Result<(), Fault> {
        let carried = holder.carried(ledger, address)?;
        let all = plus(earned, carried)?;
        self.owed.reserved = minus(self.owed.reserved, earned)?;
        if all < self.least {
            holder.set_carried(ledger, address, all)?;
            self.owed.carried = plus(self.owed.carried, earned)?;
            record.carried = plus(record.carried, earned)?;
            record.waiting = record.waiting.checked_add(1).ok_or_else(broken)?;
            return Ok(());
        }
        holder.set_carried(ledger, address, 0)?;
        self.owed.carried = minus(self.owed.carried, carried)?;
        record.paid = plus(record.paid, earned)?;
        record.released = plus(record.released, carried)?;
        record.credited = record.credited.checked_add(1).ok_or_else(broken)?;
        let credit = self.credits.entry(address).or_default();
        *credit = plus(*credit, all)?;
        self.events.push(event(&IRewards::RewardPaid {
            account: address,
            quarter,
            amount: U256::from(all),
        }));
        Ok(())
    }

    /// Moves the coin.
    fn end<L: Ledger>(self, ledger: &mut Scratch<'_, L>) -> Result<(), Fault> {
        let mut balance = pool::balance(ledger)?;
        for (address, credit) in self.credits {
            balance = minus(balance, credit)?;
            let sum = plus(amount(ledger.balance(address)?)?, credit)?;
            ledger.set_balance(address, U256::from(sum))?;
        }
        // What is still owed must be there.
        self.owed.available(balance)?;
        ledger.set_balance(REWARDS, U256::from(balance))?;
        self.owed.save(ledger)
    }
}
