//! The making of points: by issuers of the genesis file, once per conversion id, within a quota
//! per UTC day of block time, unless the guardian stopped it.
//!
//! A batch is checked entry by entry in its order. An entry that cannot be done is left out and
//! says why; what is common to all (who issues, whether issuing is stopped) refuses the whole.

use super::{
    ISSUE_DAY, ISSUED, ISSUED_ON_DAY, POINTS, QUOTA, TOTAL_ISSUED, TOTAL_SUPPLY, batch, guardian,
    ledger,
};
use crate::modules::{
    erc20,
    host::{Fault, Host},
    is_nobody,
};
use alloy::primitives::{Address, U256};
use mileverse_primitives::abi::IPoints::{self, Issue, Outcome};

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// One issue, or a refusal.
pub(super) fn issue(host: &mut Host<'_>, issue: &Issue) -> Result<(), Fault> {
    let mut desk = Desk::open(host)?;
    match desk.one(host, issue)? {
        Outcome::Done => desk.close(host),
        refused => Err(Fault::revert(sentence(refused))),
    }
}

/// Many issues; answers how many were done.
pub(super) fn issue_batch(host: &mut Host<'_>, issues: &[Issue]) -> Result<u64, Fault> {
    batch::check_length(issues.len())?;
    let mut desk = Desk::open(host)?;
    let mut done = 0u64;
    for (index, issue) in (0u64..).zip(issues) {
        let outcome = desk.one(host, issue)?;
        if outcome == Outcome::Done {
            done = done.saturating_add(1);
        }
        batch::announce(host, index, issue.conversionId, outcome)?;
    }
    desk.close(host)?;
    Ok(done)
}

const fn sentence(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::BadReceiver => erc20::NOBODY,
        Outcome::ZeroAmount => "the amount is zero",
        Outcome::ZeroId => "the conversion id is zero",
        Outcome::AlreadyIssued => "points were already issued for this conversion id",
        _ => "the issuer's daily quota does not cover this amount",
    }
}

/// An issuer at work: what it may still issue and what it has issued in this call.
struct Desk {
    issuer: Address,
    used: U256,
    quota: U256,
    issued: U256,
}

impl Desk {
    fn open(host: &mut Host<'_>) -> Result<Self, Fault> {
        let issuer = host.caller();
        let quota = host.load(QUOTA.entry(issuer))?;
        if quota.is_zero() {
            return Err(Fault::revert("only an issuer may issue points"));
        }
        guardian::check_running(host, issuer)?;
        Ok(Self {
            issuer,
            used: used_today(host, issuer)?,
            quota,
            issued: U256::ZERO,
        })
    }

    fn one(&mut self, host: &mut Host<'_>, issue: &Issue) -> Result<Outcome, Fault> {
        let Issue {
            to,
            amount,
            conversionId,
        } = *issue;
        if conversionId.is_zero() {
            return Ok(Outcome::ZeroId);
        }
        if amount.is_zero() {
            return Ok(Outcome::ZeroAmount);
        }
        if is_nobody(to) {
            return Ok(Outcome::BadReceiver);
        }
        if !host.load(ISSUED.entry(conversionId))?.is_zero() {
            return Ok(Outcome::AlreadyIssued);
        }
        let used = self.used.checked_add(amount);
        let Some(used) = used.filter(|used| *used <= self.quota) else {
            return Ok(Outcome::Quota);
        };
        self.used = used;
        self.issued = self
            .issued
            .checked_add(amount)
            .ok_or_else(Fault::overflow)?;
        host.store(ISSUED.entry(conversionId), amount)?;
        ledger::credit(host, to, amount)?;
        erc20::announce(host, POINTS, Address::ZERO, to, amount)?;
        host.log(
            POINTS,
            &IPoints::Issued {
                conversionId,
                to,
                amount,
            },
        )?;
        Ok(Outcome::Done)
    }

    fn close(self, host: &mut Host<'_>) -> Result<(), Fault> {
        if self.issued.is_zero() {
            return Ok(());
        }
        let today = today(host);
        host.store(ISSUE_DAY.entry(self.issuer), today)?;
        host.store(ISSUED_ON_DAY.entry(self.issuer), self.used)?;
        host.add(TOTAL_ISSUED, self.issued)?;
        host.add(TOTAL_SUPPLY, self.issued)
    }
}

/// What an issuer may still issue today; zero for anybody else, and while it is stopped.
pub(super) fn quota_left(host: &mut Host<'_>, issuer: Address) -> Result<U256, Fault> {
    let quota = host.load(QUOTA.entry(issuer))?;
    let used = used_today(host, issuer)?;
    if guardian::is_stopped(host)? || guardian::is_issuer_stopped(host, issuer)? {
        return Ok(U256::ZERO);
    }
    // A quota never shrinks, so the difference is exact.
    Ok(quota.saturating_sub(used))
}

fn used_today(host: &mut Host<'_>, issuer: Address) -> Result<U256, Fault> {
    if host.load(ISSUE_DAY.entry(issuer))? == today(host) {
        host.load(ISSUED_ON_DAY.entry(issuer))
    } else {
        Ok(U256::ZERO)
    }
}

fn today(host: &Host<'_>) -> U256 {
    U256::from(host.now() / SECONDS_PER_DAY)
}
