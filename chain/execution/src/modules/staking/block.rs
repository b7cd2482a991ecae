//! What happens at the begin and at the end of every block, without a transaction.
//!
//! Begin: the turn that was kept and those that were missed are counted, the parent's digest is
//! kept if it is attested, and the attestations are counted. The work is one record for each
//! skipped view, at most one for each delegate, and a few words for each attestation.
//!
//! A skipped run counts at most [`MAX_ROUNDS`] turns for each delegate: the last views of it. So an
//! outage of the whole net costs a delegate four turns, however long it lasts.
//!
//! End: fees are counted; in an epoch's last block, [`super::epoch`] follows.

use super::{Context, committee, epoch, result, totals, totals::Sum, word::broken};
use crate::{
    executor::BlockInput,
    modules::{host::Fault, ledger::Ledger},
};

/// Most turns that one skipped run costs a delegate.
pub(super) const MAX_ROUNDS: u64 = 4;

/// Before the first transaction.
pub(crate) fn begin(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    block: &BlockInput,
) -> Result<(), Fault> {
    let turn = block.turn;
    if turn.epoch != context.now {
        return Err(Fault::revert(format!(
            "the block is of epoch {}, its height of epoch {}",
            turn.epoch, context.now
        )));
    }
    if turn.view <= turn.parent_view {
        return Err(Fault::revert(
            "the block's view does not follow its parent's",
        ));
    }
    if let Some(below) = block.height.checked_sub(1) {
        result::learn(ledger, context, below, block.parent)?;
    }
    let committee = committee::get(ledger, context.now)?.ok_or_else(broken)?;
    let leader = committee.leader(ledger, turn.view)?;
    if committee.key(ledger, leader)? != turn.leader {
        return Err(Fault::revert(format!(
            "view {} is not the turn of {}",
            turn.view, turn.leader
        )));
    }
    let mut record = committee.record(ledger, leader)?;
    record.turns_due = record.turns_due.saturating_add(1);
    record.turns_kept = record.turns_kept.saturating_add(1);
    committee.set_record(ledger, leader, record)?;

    let skipped = turn.view.saturating_sub(turn.parent_view).saturating_sub(1);
    let counted = skipped.min(committee.size.saturating_mul(MAX_ROUNDS));
    // Each of the last views before this one, as many as are counted; leaders repeat after a round.
    for back in 1..=counted.min(committee.size) {
        let view = turn.view.saturating_sub(back);
        let rounds = counted
            .saturating_sub(back)
            .checked_div(committee.size)
            .and_then(|rounds| rounds.checked_add(1))
            .ok_or_else(broken)?;
        let missing = committee.leader(ledger, view)?;
        let mut record = committee.record(ledger, missing)?;
        record.turns_due = record.turns_due.saturating_add(rounds);
        committee.set_record(ledger, missing, record)?;
    }
    result::count(
        ledger,
        context,
        block.height,
        committee,
        &block.attestations,
    )
}

/// After the last transaction; `fees` is what the module collected in this block.
pub(crate) fn end(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    block: &BlockInput,
    fees: u128,
) -> Result<(), Fault> {
    totals::add(ledger, Sum::Fees, fees)?;
    match (&block.next_epoch, context.is_last(block.height)) {
        (None, false) => Ok(()),
        (Some(next), true) => epoch::end(ledger, context, next),
        (Some(_), false) => Err(Fault::revert(
            "only an epoch's last block names who signs the next",
        )),
        (None, true) => Err(Fault::revert(
            "an epoch's last block must name who signs the next",
        )),
    }
}
