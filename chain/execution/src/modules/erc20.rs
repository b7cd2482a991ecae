//! What both tokens share: approvals and the transfer event.
//!
//! An allowance of 2^256 - 1 is infinite: spending leaves it as it is.

use super::{
    host::{Fault, Host},
    is_nobody,
    slot::Slot,
};
use alloy::primitives::{Address, U256};
use mileverse_primitives::abi::IPoints;

/// Lets `spender` move up to `amount` of `owner`'s tokens. `allowances` is the mapping's slot in
/// the token's own storage.
pub(crate) fn approve(
    host: &mut Host<'_>,
    allowances: Slot,
    owner: Address,
    spender: Address,
    amount: U256,
) -> Result<(), Fault> {
    if spender.is_zero() {
        return Err(Fault::revert("the zero address cannot be approved"));
    }
    host.store(allowances.entry(owner).entry(spender), amount)?;
    host.log(
        allowances.module(),
        &IPoints::Approval {
            owner,
            spender,
            value: amount,
        },
    )
}

/// Takes `amount` from what `owner` lets the caller move.
pub(crate) fn spend_allowance(
    host: &mut Host<'_>,
    allowances: Slot,
    owner: Address,
    amount: U256,
) -> Result<(), Fault> {
    let slot = allowances.entry(owner).entry(host.caller());
    let allowance = host.load(slot)?;
    if allowance == U256::MAX {
        return Ok(());
    }
    let rest = allowance
        .checked_sub(amount)
        .ok_or_else(|| Fault::revert("the owner's approval does not cover this amount"))?;
    host.store(slot, rest)
}

/// Why a receiver is refused.
pub(crate) const NOBODY: &str =
    "the receiver is the zero address or a system module; use the bridge's send to cross";

/// Refuses a receiver from whom nothing could ever come back.
pub(crate) fn check_receiver(to: Address) -> Result<(), Fault> {
    if is_nobody(to) {
        return Err(Fault::revert(NOBODY));
    }
    Ok(())
}

/// Announces a transfer; from zero when made, to zero when destroyed. Both tokens' events are
/// the same bytes.
pub(crate) fn announce(
    host: &mut Host<'_>,
    token: Address,
    from: Address,
    to: Address,
    value: U256,
) -> Result<(), Fault> {
    host.log(token, &IPoints::Transfer { from, to, value })
}
