//! Rewards for voters, by a constant-cost accumulator: D. Ojha and C. Goes, "F1 Fee Distribution"
//! (Tokenomics 2019).
//!
//! A candidate keeps one number, `ratio`: what one unit of votes has earned since the beginning,
//! times 2^96. A voter keeps the ratio it last saw; what it has earned since is
//! `votes x (ratio now - ratio then)`. So paying an epoch costs one step per delegate, and a
//! voter one step per candidate, however many voters and epochs there are.
//!
//! Votes earn from the epoch after the one in which they came, so that nobody collects an epoch's
//! rewards by voting in its last block. The ratio at the end of the epoch in which they came is
//! where they start. It is kept in `HISTORY` as long as some voter still needs it, and counted.
//!
//! Exactness, in units of 2^-96 of the smallest unit of coin: `reward + carry = step x votes +
//! carry'`, and `votes x difference + dust = paid + dust'`. Carry and dust are stored, so nothing is
//! lost or made. A voter has its exact share less than one unit later than with real numbers:
//! short by its dust, below one unit, and by its part of the carry, below one unit together for
//! all voters.

use super::{
    HISTORY,
    account::Delegation,
    candidate::{Carry, Joining, Ratio, Votes, get, put},
    totals::{self, Sum},
    word::{broken, minus, plus},
};
use crate::modules::{host::Fault, ledger::Ledger, slot::Slot};
use alloy::primitives::U256;

/// Bits after the point.
const FRACTION: usize = 96;

fn history(id: u64, epoch: u64) -> Slot {
    HISTORY.entry(id).entry(epoch)
}

fn fraction_mask() -> U256 {
    (U256::ONE << FRACTION).wrapping_sub(U256::ONE)
}

/// Shares `amount` among the voters of a candidate at the end of `epoch`. False if nobody's votes
/// earn in this epoch; then nothing was shared.
pub(super) fn share(
    ledger: &mut impl Ledger,
    id: u64,
    epoch: u64,
    amount: u128,
) -> Result<bool, Fault> {
    let votes: Votes = get(ledger, id)?;
    let joining: Joining = get(ledger, id)?;
    let joined = if joining.epoch == epoch {
        joining.amount
    } else {
        0
    };
    let earning = minus(votes.total, joined)?;
    if earning == 0 {
        return Ok(false);
    }
    let Carry(carry) = get(ledger, id)?;
    let scaled = (U256::from(amount) << FRACTION)
        .checked_add(carry)
        .ok_or_else(broken)?;
    let (step, carry) = scaled.div_rem(U256::from(earning));
    let Ratio(ratio) = get(ledger, id)?;
    let ratio = ratio.checked_add(step).ok_or_else(broken)?;
    put(ledger, id, &Ratio(ratio))?;
    put(ledger, id, &Carry(carry))?;
    if joined > 0 && !step.is_zero() {
        ledger.store(history(id, epoch), ratio)?;
    }
    Ok(true)
}

/// Brings a delegation up to the present; answers what it earned.
pub(super) fn accrue(
    ledger: &mut impl Ledger,
    now: u64,
    delegation: &mut Delegation,
) -> Result<u128, Fault> {
    let Ratio(ratio) = get(ledger, delegation.id)?;
    let earned = |votes: u128, from: U256| {
        ratio
            .checked_sub(from)
            .and_then(|difference| difference.checked_mul(U256::from(votes)))
            .ok_or_else(broken)
    };
    let mut scaled = earned(delegation.active, delegation.ratio)?
        .checked_add(U256::from(delegation.dust))
        .ok_or_else(broken)?;
    if delegation.joining > 0 && delegation.joined < now {
        let started = ledger.load(history(delegation.id, delegation.joined))?;
        // No entry: the candidate earned nothing in that epoch, so its ratio stayed.
        let from = if started.is_zero() {
            delegation.ratio
        } else {
            started
        };
        scaled = scaled
            .checked_add(earned(delegation.joining, from)?)
            .ok_or_else(broken)?;
        forget(ledger, delegation.id, delegation.joined)?;
        delegation.active = plus(delegation.active, delegation.joining)?;
        delegation.joining = 0;
    }
    delegation.ratio = ratio;
    delegation.dust = (scaled & fraction_mask())
        .try_into()
        .map_err(|_| broken())?;
    (scaled >> FRACTION).try_into().map_err(|_| broken())
}

/// Counts one more delegation that starts after `epoch`.
pub(super) fn remember(ledger: &mut impl Ledger, id: u64, epoch: u64) -> Result<(), Fault> {
    let count = history(id, epoch).field(1);
    let more = ledger
        .load(count)?
        .checked_add(U256::ONE)
        .ok_or_else(broken)?;
    ledger.store(count, more)
}

/// Counts one less; the last one takes the entry away.
pub(super) fn forget(ledger: &mut impl Ledger, id: u64, epoch: u64) -> Result<(), Fault> {
    let count = history(id, epoch).field(1);
    let less = ledger
        .load(count)?
        .checked_sub(U256::ONE)
        .ok_or_else(broken)?;
    ledger.store(count, less)?;
    if less.is_zero() {
        ledger.store(history(id, epoch), U256::ZERO)?;
    }
    Ok(())
}

/// Gives the dust of a delegation that ends back to the candidate. After the last one, what was
/// carried is whole units, and goes to the pool.
pub(super) fn sweep(
    ledger: &mut impl Ledger,
    id: u64,
    dust: u128,
    was_last: bool,
) -> Result<(), Fault> {
    if dust == 0 && !was_last {
        return Ok(());
    }
    let Carry(carry) = get(ledger, id)?;
    let mut carry = carry.checked_add(U256::from(dust)).ok_or_else(broken)?;
    if was_last {
        let whole: u128 = (carry >> FRACTION).try_into().map_err(|_| broken())?;
        totals::transfer(ledger, Sum::Unpaid, Sum::Pool, whole)?;
        carry &= fraction_mask();
    }
    put(ledger, id, &Carry(carry))
}
