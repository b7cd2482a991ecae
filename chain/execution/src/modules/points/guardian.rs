//! The guardian: stops issuing, by all or by one issuer, and lets it go on. It moves no points,
//! names no issuer and changes no quota; transfers, burns and the bridge never stop for it.

use super::{ISSUER_STOPPED, ISSUING_STOPPED, POINTS, QUOTA};
use crate::modules::host::{Fault, Host};
use alloy::primitives::{Address, U256};
use mileverse_primitives::abi::IPoints;

/// Whether nobody may issue.
pub(super) fn is_stopped(host: &mut Host<'_>) -> Result<bool, Fault> {
    Ok(!host.load(ISSUING_STOPPED)?.is_zero())
}

/// Whether this issuer may not issue.
pub(super) fn is_issuer_stopped(host: &mut Host<'_>, issuer: Address) -> Result<bool, Fault> {
    Ok(!host.load(ISSUER_STOPPED.entry(issuer))?.is_zero())
}

/// Refuses an issue while it is stopped.
pub(super) fn check_running(host: &mut Host<'_>, issuer: Address) -> Result<(), Fault> {
    if is_stopped(host)? {
        return Err(Fault::revert("the guardian has stopped issuing"));
    }
    if is_issuer_stopped(host, issuer)? {
        return Err(Fault::revert("the guardian has stopped this issuer"));
    }
    Ok(())
}

/// Stops all issuing, or lets it go on. Doing it twice is doing it once.
pub(super) fn stop_all(host: &mut Host<'_>, stopped: bool) -> Result<(), Fault> {
    check_guardian(host)?;
    if is_stopped(host)? == stopped {
        return Ok(());
    }
    host.store(ISSUING_STOPPED, U256::from(stopped))?;
    if stopped {
        host.log(POINTS, &IPoints::IssuingStopped {})
    } else {
        host.log(POINTS, &IPoints::IssuingResumed {})
    }
}

/// Stops one issuer, or lets it go on.
pub(super) fn stop_one(host: &mut Host<'_>, issuer: Address, stopped: bool) -> Result<(), Fault> {
    check_guardian(host)?;
    if host.load(QUOTA.entry(issuer))?.is_zero() {
        return Err(Fault::revert("this account is no issuer"));
    }
    if is_issuer_stopped(host, issuer)? == stopped {
        return Ok(());
    }
    host.store(ISSUER_STOPPED.entry(issuer), U256::from(stopped))?;
    if stopped {
        host.log(POINTS, &IPoints::IssuerStopped { issuer })
    } else {
        host.log(POINTS, &IPoints::IssuerResumed { issuer })
    }
}

fn check_guardian(host: &Host<'_>) -> Result<(), Fault> {
    let guardian = host.config().points.given.guardian;
    if guardian.is_zero() || host.caller() != guardian {
        return Err(Fault::revert("only the guardian may do this"));
    }
    Ok(())
}
