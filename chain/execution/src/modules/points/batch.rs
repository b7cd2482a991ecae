//! Many transfers of one payer in one signed call.
//!
//! Entries are done in their order. One that cannot be done is left out; each entry's outcome is an
//! event of its own, after the `Transfer` if it was done. Every entry pays its own fee; the fees
//! of the whole batch move at its end, with one `Transfer`. Without enough gas for all entries the
//! whole batch fails.

use super::{BALANCES, POINTS, ledger};
use crate::modules::{
    erc20,
    host::{Fault, Host},
    is_nobody,
};
use alloy::primitives::{B256, U256};
use mileverse_primitives::abi::IPoints::{self, Move, Outcome};

/// Most entries of a batch.
pub(super) const MAX_ENTRIES: usize = 1_000;

/// Moves points of the caller's; answers how many entries were done.
pub(super) fn transfer(host: &mut Host<'_>, moves: &[Move]) -> Result<u64, Fault> {
    check_length(moves.len())?;
    let payer = host.caller();
    let purse = BALANCES.entry(payer);
    let mut balance = host.load(purse)?;
    let (mut fees, mut done) = (U256::ZERO, 0u64);
    for (index, one) in (0u64..).zip(moves) {
        let fee = host.config().points.fee(payer, one.to, one.amount);
        let rest = one
            .amount
            .checked_add(fee)
            .and_then(|total| balance.checked_sub(total));
        let outcome = match rest {
            _ if is_nobody(one.to) => Outcome::BadReceiver,
            _ if one.amount.is_zero() => Outcome::ZeroAmount,
            None => Outcome::Balance,
            Some(rest) => {
                balance = rest;
                fees = fees.checked_add(fee).ok_or_else(Fault::overflow)?;
                if one.to == payer {
                    balance = balance
                        .checked_add(one.amount)
                        .ok_or_else(Fault::overflow)?;
                } else {
                    ledger::credit(host, one.to, one.amount)?;
                }
                erc20::announce(host, POINTS, payer, one.to, one.amount)?;
                done = done.saturating_add(1);
                Outcome::Done
            }
        };
        announce(host, index, one.memo, outcome)?;
    }
    host.store(purse, balance)?;
    if !fees.is_zero() {
        let receiver = host.config().points.receiver();
        ledger::credit(host, receiver, fees)?;
        erc20::announce(host, POINTS, payer, receiver, fees)?;
    }
    Ok(done)
}

/// Refuses a batch that is empty or too long.
pub(super) fn check_length(entries: usize) -> Result<(), Fault> {
    if (1..=MAX_ENTRIES).contains(&entries) {
        Ok(())
    } else {
        Err(Fault::revert("a batch has 1 to 1,000 entries"))
    }
}

/// Says how an entry ended.
pub(super) fn announce(
    host: &mut Host<'_>,
    index: u64,
    memo: B256,
    outcome: Outcome,
) -> Result<(), Fault> {
    host.log(
        POINTS,
        &IPoints::EntryDone {
            index: U256::from(index),
            memo,
            outcome,
        },
    )
}
