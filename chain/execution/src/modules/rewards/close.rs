//! Closing quarters, before a block's first transaction.
//!
//! A block whose time is at or after a quarter's end closes it, and each one after it that is over,
//! too: all of these share what the accounts hold at this moment. Nothing is copied; the close is
//! only the block's height, from which on changes are written down.

use super::{
    Refusal,
    block::event,
    clock::{Clock, Numbers},
    holding, minus, plus,
    pool::{self, Owed},
    record::Record,
};
use crate::{
    executor::BlockInput,
    modules::{host::Fault, ledger::Ledger},
};
use alloy::primitives::{Log, U256};
use mileverse_primitives::{abi::IRewards, quarter::Quarter, rewards::RewardRules};

/// Most quarters that one block closes; a chain that was down longer closes more in the next.
pub(super) const MAX_CLOSES: usize = 64;

/// Closes what is over and tells it; answers whether anything was.
pub(super) fn due(
    ledger: &mut impl Ledger,
    rules: &RewardRules,
    block: &BlockInput,
    clock: &mut Clock,
    events: &mut Vec<Log>,
) -> Result<bool, Fault> {
    let is_over = |open| {
        let ends = Quarter::new(open).ends_ms();
        ends.is_some_and(|ends| block.timestamp_ms >= ends)
    };
    if !is_over(clock.open) {
        return Ok(false);
    }
    let eligible = holding::eligible(ledger, block.height)?;
    let mut numbers = Numbers::load(ledger)?;
    numbers.at_close = numbers.given;
    numbers.save(ledger)?;
    clock.closed = block.height;

    let whole = super::amount(rules.pot)?;
    let balance = pool::balance(ledger)?;
    let mut owed = Owed::load(ledger)?;
    for _ in 0..MAX_CLOSES {
        let available = owed.available(balance)?;
        // With a source the pot is fixed when its share comes.
        let has_source = rules.source.is_some();
        let pot = if eligible == 0 || has_source {
            0
        } else {
            whole.min(available)
        };
        let record = Record {
            closed: block.height,
            closed_at_ms: block.timestamp_ms,
            holders: numbers.at_close,
            pot,
            eligible,
            next_funded: has_source || minus(available, pot)? >= whole,
            ..Record::default()
        };
        record.save(ledger, clock.open)?;
        events.push(event(&IRewards::QuarterClosed {
            quarter: clock.open,
            holders: record.holders,
            eligible: U256::from(eligible),
            pot: U256::from(pot),
        }));
        owed.reserved = plus(owed.reserved, pot)?;
        clock.open = clock.open.checked_add(1).ok_or_else(super::broken)?;
        if !is_over(clock.open) {
            break;
        }
    }
    owed.save(ledger)?;
    Ok(true)
}

/// What is known of a closed quarter.
pub(super) fn record(ledger: &mut impl Ledger, quarter: u64) -> Result<Record, Fault> {
    let record = Record::load(ledger, quarter)?;
    if record.closed == 0 {
        return Err(Refusal::NotClosed(Quarter::new(quarter)).into());
    }
    Ok(record)
}
