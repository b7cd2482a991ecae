//! What the module answers.

use super::{
    amount,
    clock::Clock,
    close, exclusion,
    holder::Holder,
    holding, pay, plus,
    pool::{self, Owed},
    record::Record,
};
use crate::modules::{
    host::{Fault, Host},
    is_nobody,
};
use alloy::primitives::{Address, U256};
use mileverse_primitives::{abi::IRewards, quarter::Quarter};

/// Above every height: all slashes count.
const NOW: u64 = u64::MAX;
/// Quarters that are looked at for the last share that came.
const EARLIER: u64 = 8;

pub(super) fn rules(host: &Host<'_>) -> IRewards::Rules {
    let rules = &host.config().rewards;
    IRewards::Rules {
        pot: rules.pot,
        leastPayment: rules.least_payment,
        holdersPerBlock: rules.holders_per_block,
        source: rules.source.unwrap_or_default(),
    }
}

pub(super) fn pool(host: &mut Host<'_>) -> Result<IRewards::Pool, Fault> {
    let balance = pool::balance(host)?;
    let owed = Owed::load(host)?;
    Ok(IRewards::Pool {
        balance: U256::from(balance),
        reserved: U256::from(owed.reserved),
        carried: U256::from(owed.carried),
        available: U256::from(owed.available(balance)?),
    })
}

pub(super) fn is_solvent(host: &mut Host<'_>) -> Result<bool, Fault> {
    let balance = pool::balance(host)?;
    let owed = Owed::load(host)?;
    Ok(balance >= plus(owed.reserved, owed.carried)?)
}

/// What the pool has for the quarter under way, and whether that is the whole pot. With a source: what
/// the last share gives for `eligible`, and whether no closed quarter waits for one.
fn next_pot(host: &mut Host<'_>, eligible: u128) -> Result<(u128, bool), Fault> {
    if host.config().rewards.source.is_some() {
        return expected_pot(host, eligible);
    }
    let balance = pool::balance(host)?;
    let available = Owed::load(host)?.available(balance)?;
    let whole = amount(host.config().rewards.pot)?;
    Ok((whole.min(available), available >= whole))
}

/// At the rate of the newest quarter that has its share.
fn expected_pot(host: &mut Host<'_>, eligible: u128) -> Result<(u128, bool), Fault> {
    let clock = Clock::load(host)?;
    let mut is_funded = true;
    for back in 1..=EARLIER {
        let Some(quarter) = clock.open.checked_sub(back) else {
            break;
        };
        let record = Record::load(host, quarter)?;
        if record.locked > 0 {
            let pot = pay::share(record.share, eligible.min(record.locked), record.locked)?;
            return Ok((pot, is_funded));
        }
        is_funded &= record.closed == 0 || record.eligible == 0;
    }
    Ok((0, is_funded))
}

pub(super) fn standing(host: &mut Host<'_>) -> Result<IRewards::Standing, Fault> {
    let clock = Clock::load(host)?;
    let (holders, awaits) = if clock.is_paying() {
        let record = Record::load(host, clock.paying)?;
        (record.holders, record.awaits_share(&host.config().rewards))
    } else {
        (0, false)
    };
    let eligible = holding::eligible(host, NOW)?;
    let (pot, funded) = next_pot(host, eligible)?;
    Ok(IRewards::Standing {
        quarter: clock.open,
        endsAtMs: Quarter::new(clock.open).ends_ms().unwrap_or(u64::MAX),
        paying: clock.paying,
        visited: clock.cursor.saturating_sub(1),
        holders,
        nextPot: U256::from(pot),
        funded,
        awaitsShare: awaits,
    })
}

pub(super) fn report(host: &mut Host<'_>, quarter: u64) -> Result<IRewards::Report, Fault> {
    let record = close::record(host, quarter)?;
    Ok(IRewards::Report {
        quarter,
        closedHeight: record.closed,
        closedAtMs: record.closed_at_ms,
        paidHeight: record.paid_height,
        pot: U256::from(record.pot),
        eligible: U256::from(record.eligible),
        paid: U256::from(record.paid),
        carried: U256::from(record.carried),
        released: U256::from(record.released),
        remainder: U256::from(record.remainder()?),
        holders: record.holders,
        credited: record.credited,
        waiting: record.waiting,
        nextFunded: record.next_funded,
        share: U256::from(record.share),
        locked: U256::from(record.locked),
    })
}

pub(super) fn holder(host: &mut Host<'_>, account: Address) -> Result<IRewards::Holder, Fault> {
    let holder = Holder::load(host, account)?;
    let (balance, stake) = holding::present(host, account, NOW)?;
    Ok(IRewards::Holder {
        number: holder.number,
        holding: U256::from(plus(balance, stake)?),
        balance: U256::from(balance),
        stake: U256::from(stake),
        carried: U256::from(holder.carried(host, account)?),
        earns: earns(host, account)?,
    })
}

fn earns(host: &mut Host<'_>, account: Address) -> Result<bool, Fault> {
    Ok(!is_nobody(account) && !exclusion::is_listed(host, account)?)
}

pub(super) fn preview(
    host: &mut Host<'_>,
    account: Address,
) -> Result<IRewards::previewReturn, Fault> {
    let (balance, stake) = holding::present(host, account, NOW)?;
    let holding = plus(balance, stake)?;
    let eligible = holding::eligible(host, NOW)?;
    let (pot, _) = next_pot(host, eligible)?;
    let amount = if eligible > 0 && earns(host, account)? {
        pay::share(pot, holding, eligible)?
    } else {
        0
    };
    Ok(IRewards::previewReturn {
        amount: U256::from(amount),
        holding: U256::from(holding),
        eligible: U256::from(eligible),
        pot: U256::from(pot),
    })
}
