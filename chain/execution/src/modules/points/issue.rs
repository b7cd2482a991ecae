//! The making of points: by issuers of the genesis file, once per conversion id, within a quota
//! per UTC day of block time.

use super::{ISSUE_DAY, ISSUED, ISSUED_ON_DAY, POINTS, QUOTA, TOTAL_ISSUED, ledger};
use crate::modules::{
    erc20,
    host::{Fault, Host},
};
use alloy::primitives::{Address, B256, U256};
use mileverse_primitives::abi::IPoints;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

pub(super) fn issue(
    host: &mut Host<'_>,
    to: Address,
    amount: U256,
    conversion_id: B256,
) -> Result<(), Fault> {
    let issuer = host.caller();
    if conversion_id.is_zero() {
        return Err(Fault::revert("the conversion id is zero"));
    }
    if amount.is_zero() {
        return Err(Fault::revert("the amount is zero"));
    }
    erc20::check_receiver(to)?;
    if host.load(QUOTA.entry(issuer))?.is_zero() {
        return Err(Fault::revert("only an issuer may issue points"));
    }
    if !host.load(ISSUED.entry(conversion_id))?.is_zero() {
        return Err(Fault::revert(
            "points were already issued for this conversion id",
        ));
    }
    take_quota(host, issuer, amount)?;
    host.store(ISSUED.entry(conversion_id), amount)?;
    host.add(TOTAL_ISSUED, amount)?;
    ledger::mint(host, to, amount)?;
    host.log(
        POINTS,
        &IPoints::Issued {
            conversionId: conversion_id,
            to,
            amount,
        },
    )
}

/// What an issuer may still issue today; zero for anybody else.
pub(super) fn quota_left(host: &mut Host<'_>, issuer: Address) -> Result<U256, Fault> {
    let quota = host.load(QUOTA.entry(issuer))?;
    let used = used_today(host, issuer)?;
    // A quota never shrinks, so the difference is exact.
    Ok(quota.saturating_sub(used))
}

fn take_quota(host: &mut Host<'_>, issuer: Address, amount: U256) -> Result<(), Fault> {
    let quota = host.load(QUOTA.entry(issuer))?;
    let used = used_today(host, issuer)?
        .checked_add(amount)
        .filter(|used| *used <= quota)
        .ok_or_else(|| Fault::revert("the issuer's daily quota does not cover this amount"))?;
    let today = today(host);
    host.store(ISSUE_DAY.entry(issuer), today)?;
    host.store(ISSUED_ON_DAY.entry(issuer), used)
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
