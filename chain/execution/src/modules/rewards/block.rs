//! What happens at the begin and at the end of every block, without a transaction.

use super::{ahead, clock::Clock, close, pay, remember};
use crate::{
    error::BlockError,
    executor::BlockInput,
    modules::{
        host::Fault,
        ledger::{Ledger, Scratch},
    },
    session::Session,
    state::StateReader,
};
use alloy::{
    primitives::{Address, Log, U256},
    sol_types::SolEvent,
};
use mileverse_primitives::{address::REWARDS, rewards::RewardRules};

/// Nothing here refuses: a contradiction is one of the books.
fn fatal(fault: Fault) -> Fault {
    match fault {
        Fault::Revert(reason) => Fault::Fatal(reason),
        other => other,
    }
}

/// Before the first transaction: closes quarters, pays holders. Answers the events of it.
pub(crate) async fn begin<R: StateReader>(
    session: &mut Session<'_, R>,
    rules: &RewardRules,
    block: &BlockInput,
) -> Result<Vec<Log>, BlockError> {
    let mut events = session.work(|ledger| close(ledger, rules, block)).await?;
    ahead::fetch(session, rules).await?;
    let paid = session.work(|ledger| pay(ledger, rules, block)).await?;
    events.extend(paid);
    Ok(events)
}

fn close(
    ledger: &mut impl Ledger,
    rules: &RewardRules,
    block: &BlockInput,
) -> Result<Vec<Log>, Fault> {
    let mut clock = Clock::load(ledger)?;
    let mut events = Vec::new();
    if close::due(ledger, rules, block, &mut clock, &mut events).map_err(fatal)? {
        clock.save(ledger)?;
    }
    Ok(events)
}

fn pay<L: Ledger>(
    ledger: &mut Scratch<'_, L>,
    rules: &RewardRules,
    block: &BlockInput,
) -> Result<Vec<Log>, Fault> {
    let mut clock = Clock::load(ledger)?;
    let mut events = Vec::new();
    if pay::some(ledger, rules, block.height, &mut clock, &mut events).map_err(fatal)? {
        clock.save(ledger)?;
    }
    Ok(events)
}

/// An event of the rewards without a transaction.
pub(super) fn event(event: &impl SolEvent) -> Log {
    Log {
        address: REWARDS,
        data: event.encode_log_data(),
    }
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
