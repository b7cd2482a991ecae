//! The list of accounts that do not earn: bridge escrow, treasuries, exchange pools, lock-ups.
//!
//! Governance changes it, for closes to come only: an exclusion counts at closes above the height
//! since which it stands, up to the height until which it stood. So quarters that are closed and not
//! paid yet are paid as the list was when they were closed. An account that was readmitted can be
//! excluded again when all quarters are paid, since only one such span is kept.

use super::{
    EXCLUSIONS, LIST, LIST_LENGTH, broken, clock::Clock, holder::Holder, refusal::Refusal,
};
use crate::modules::{host::Fault, is_nobody, ledger::Ledger, staking::word::limbs};
use alloy::primitives::{Address, U256};
use mileverse_primitives::rewards::MAX_EXCLUDED;

const EXCLUDED: u64 = 1;
const READMITTED: u64 = 2;

#[derive(Clone, Copy, Debug)]
struct Exclusion {
    since: u64,
    until: u64,
    state: u64,
}

impl Exclusion {
    fn load(ledger: &mut impl Ledger, account: Address) -> Result<Self, Fault> {
        let [since, until, state, _] = *ledger.load(EXCLUSIONS.entry(account))?.as_limbs();
        Ok(Self {
            since,
            until,
            state,
        })
    }

    fn save(self, ledger: &mut impl Ledger, account: Address) -> Result<(), Fault> {
        let word = limbs([self.since, self.until, self.state, 0]);
        ledger.store(EXCLUSIONS.entry(account), word)
    }
}

/// Whether an account that was ever on the list was excluded at the close of this height.
pub(super) fn is_excluded_at(
    ledger: &mut impl Ledger,
    account: Address,
    close: u64,
) -> Result<bool, Fault> {
    let found = Exclusion::load(ledger, account)?;
    Ok(match found.state {
        EXCLUDED => found.since < close,
        READMITTED => found.since < close && close <= found.until,
        _ => false,
    })
}

/// Whether an account is on the list now.
pub(super) fn is_listed(ledger: &mut impl Ledger, account: Address) -> Result<bool, Fault> {
    Ok(Exclusion::load(ledger, account)?.state == EXCLUDED)
}

fn length(ledger: &mut impl Ledger) -> Result<u64, Fault> {
    ledger.load(LIST_LENGTH)?.try_into().map_err(|_| broken())
}

/// The list as it stands.
pub(super) fn list(ledger: &mut impl Ledger) -> Result<Vec<Address>, Fault> {
    (0..length(ledger)?)
        .map(|index| {
            let word = ledger.load(LIST.entry(index))?;
            Ok(Address::from_word(word.into()))
        })
        .collect()
}

/// Excludes an account from closes above `height`.
pub(super) fn exclude(
    ledger: &mut impl Ledger,
    account: Address,
    height: u64,
) -> Result<(), Fault> {
    if is_nobody(account) {
        return Err(Refusal::NeverEarns(account).into());
    }
    match Exclusion::load(ledger, account)?.state {
        EXCLUDED => return Err(Refusal::ExcludedAlready(account).into()),
        READMITTED if Clock::load(ledger)?.is_paying() => {
            return Err(Refusal::StillPaying(account).into());
        }
        _ => {}
    }
    let length = length(ledger)?;
    if length >= MAX_EXCLUDED as u64 {
        return Err(Refusal::ListFull.into());
    }
    ledger.store(LIST.entry(length), account.into_word().into())?;
    ledger.store(LIST_LENGTH, U256::from(length.saturating_add(1)))?;
    let exclusion = Exclusion {
        since: height,
        until: 0,
        state: EXCLUDED,
    };
    exclusion.save(ledger, account)?;
    let mut holder = Holder::load(ledger, account)?;
    holder.enrol(ledger, account)?;
    holder.set_listed();
    holder.save(ledger, account)
}

/// Lets an account earn again at closes above `height`.
pub(super) fn readmit(
    ledger: &mut impl Ledger,
    account: Address,
    height: u64,
) -> Result<(), Fault> {
    let found = Exclusion::load(ledger, account)?;
    if found.state != EXCLUDED {
        return Err(Refusal::NotExcluded(account).into());
    }
    let accounts = list(ledger)?;
    let index = accounts
        .iter()
        .position(|one| *one == account)
        .ok_or_else(broken)?;
    let last = accounts.len().checked_sub(1).ok_or_else(broken)?;
    let moved = accounts.last().copied().ok_or_else(broken)?;
    ledger.store(LIST.entry(index as u64), moved.into_word().into())?;
    ledger.store(LIST.entry(last as u64), U256::ZERO)?;
    ledger.store(LIST_LENGTH, U256::from(last))?;
    let readmitted = Exclusion {
        until: height,
        state: READMITTED,
        ..found
    };
    readmitted.save(ledger, account)
}
