//! The first change of an account after a close writes down what it had.
//!
//! Coin is looked at in one place: at a block's end, for every account whose coin is not what it was
//! before the block, whatever changed it (value, gas, stake moves, rewards, the bridge, what this
//! module paid). A close is at a block's begin, so what the account had before the block is what it
//! had at every close since its last change. Stake is looked at in one place, too: where the staking
//! module writes a voter's account. Since slashes change stake without that, it is computed for each
//! close by the slashes proven until then.
//!
//! Both give a number to an account that is seen for the first time. An account without a number has
//! no coin at any block's end and no stake.

use super::{
    amount,
    clock::{Clock, Numbers},
    holder::{Holder, Part},
    record::Record,
};
use crate::modules::{host::Fault, is_nobody, ledger::Ledger, staking::counted};
use alloy::primitives::{Address, U256};

/// An account's coin was `before` until this block.
pub(super) fn balance(
    ledger: &mut impl Ledger,
    clock: &Clock,
    address: Address,
    before: U256,
) -> Result<(), Fault> {
    if is_nobody(address) {
        return Ok(());
    }
    let known = Holder::load(ledger, address)?;
    let mut holder = known;
    holder.enrol(ledger, address)?;
    if is_needed(ledger, clock, holder, Part::Balance)? {
        let part = (Part::Balance, amount(before)?);
        holder.write_down(ledger, address, part, clock.closed)?;
    }
    if holder == known {
        return Ok(());
    }
    holder.save(ledger, address)
}

/// An account's stake is about to change.
pub(crate) fn stake(ledger: &mut impl Ledger, address: Address) -> Result<(), Fault> {
    let clock = Clock::load(ledger)?;
    let known = Holder::load(ledger, address)?;
    let mut holder = known;
    holder.enrol(ledger, address)?;
    holder.set_staker();
    if is_needed(ledger, &clock, holder, Part::Stake)? {
        write_stake(ledger, &clock, address, &mut holder)?;
    }
    if holder == known {
        return Ok(());
    }
    holder.save(ledger, address)
}

/// Writes down what the stake was at each close that is still to be paid. A slash changes it without
/// the account being written, so it need not have been the same at all of them.
fn write_stake(
    ledger: &mut impl Ledger,
    clock: &Clock,
    address: Address,
    holder: &mut Holder,
) -> Result<(), Fault> {
    let mut written: Option<(u64, u128)> = None;
    for quarter in clock.paying..clock.open {
        let close = Record::load(ledger, quarter)?.closed;
        if holder.has_written(Part::Stake, close) {
            continue;
        }
        let stake = counted::stake(ledger, address, close)?;
        // A later value serves all closes before it, as long as it is the same.
        if let Some((before, other)) = written.replace((close, stake))
            && other != stake
        {
            holder.write_down(ledger, address, (Part::Stake, other), before)?;
        }
    }
    match written {
        Some((close, stake)) => holder.write_down(ledger, address, (Part::Stake, stake), close),
        None => Ok(()),
    }
}

/// Whether a part must be written down for the last close.
fn is_needed(
    ledger: &mut impl Ledger,
    clock: &Clock,
    holder: Holder,
    part: Part,
) -> Result<bool, Fault> {
    if !clock.is_paying() || holder.has_written(part, clock.closed) {
        return Ok(false);
    }
    let numbers = Numbers::load(ledger)?;
    Ok(clock.needs(numbers, holder.number))
}
