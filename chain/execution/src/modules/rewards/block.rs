//! What happens at the begin and at the end of every block, without a transaction.

use super::{clock::Clock, close, pay, remember};
use crate::{
    executor::BlockInput,
    modules::{
        host::Fault,
        ledger::{Ledger, Scratch},
    },
};
use alloy::primitives::{Address, U256};
use mileverse_primitives::rewards::RewardRules;

/// Nothing here refuses: a contradiction is one of the books.
fn fatal(fault: Fault) -> Fault {
    match fault {
        Fault::Revert(reason) => Fault::Fatal(reason),
        other => other,
    }
}

/// Before the first transaction: closes quarters, pays holders.
pub(crate) fn begin<L: Ledger>(
    ledger: &mut Scratch<'_, L>,
    rules: &RewardRules,
    block: &BlockInput,
) -> Result<(), Fault> {
    let mut clock = Clock::load(ledger)?;
    let closed = close::due(ledger, rules, block, &mut clock).map_err(fatal)?;
    let paid = pay::some(ledger, rules, block.height, &mut clock).map_err(fatal)?;
    if closed || paid {
        clock.save(ledger)?;
    }
    Ok(())
}

/// After everything else: `moved` are all accounts whose coin the block changed, with what they had
/// before it, ascending.
pub(crate) fn end(ledger: &mut impl Ledger, moved: &[(Address, U256)]) -> Result<(), Fault> {
    if moved.is_empty() {
        return Ok(());
    }
    let clock = Clock::load(ledger)?;
    for (address, before) in moved {
        remember::balance(ledger, &clock, *address, *before).map_err(fatal)?;
    }
    Ok(())
}
