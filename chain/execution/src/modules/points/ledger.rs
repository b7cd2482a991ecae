//! Who holds how many points.

use super::{BALANCES, POINTS, TOTAL_BURNED, TOTAL_SUPPLY};
use crate::modules::{
    erc20,
    host::{Fault, Host},
};
use alloy::primitives::{Address, B256, U256};
use mileverse_primitives::abi::IPoints;

pub(crate) fn balance(host: &mut Host<'_>, account: Address) -> Result<U256, Fault> {
    host.load(BALANCES.entry(account))
}

/// Moves points without a fee; the sum of balances stays. For the bridge.
pub(crate) fn transfer(
    host: &mut Host<'_>,
    from: Address,
    to: Address,
    amount: U256,
) -> Result<(), Fault> {
    host.subtract(
        BALANCES.entry(from),
        amount,
        "the points balance is below this amount",
    )?;
    host.add(BALANCES.entry(to), amount)?;
    erc20::announce(host, POINTS, from, to, amount)
}

/// A transfer among people: the receiver gets the whole amount, the payer pays the fee beside.
pub(super) fn pay(
    host: &mut Host<'_>,
    from: Address,
    to: Address,
    amount: U256,
) -> Result<(), Fault> {
    erc20::check_receiver(to)?;
    let rules = &host.config().points;
    let (fee, receiver) = (rules.fee(from, to, amount), rules.receiver());
    let total = amount.checked_add(fee).ok_or_else(Fault::overflow)?;
    host.subtract(
        BALANCES.entry(from),
        total,
        "the points balance does not cover this amount and its fee",
    )?;
    host.add(BALANCES.entry(to), amount)?;
    erc20::announce(host, POINTS, from, to, amount)?;
    if fee.is_zero() {
        return Ok(());
    }
    host.add(BALANCES.entry(receiver), fee)?;
    erc20::announce(host, POINTS, from, receiver, fee)
}

/// Says what the transfer before was for.
pub(super) fn remark(
    host: &mut Host<'_>,
    from: Address,
    to: Address,
    memo: B256,
    amount: U256,
) -> Result<(), Fault> {
    host.log(
        POINTS,
        &IPoints::Memo {
            from,
            to,
            memo,
            amount,
        },
    )
}

/// Gives points that were taken or made elsewhere in the same call.
pub(super) fn credit(host: &mut Host<'_>, to: Address, amount: U256) -> Result<(), Fault> {
    host.add(BALANCES.entry(to), amount)
}

/// Destroys points of `from`.
pub(super) fn burn(host: &mut Host<'_>, from: Address, amount: U256) -> Result<(), Fault> {
    if amount.is_zero() {
        return Err(Fault::revert("the amount is zero"));
    }
    host.subtract(
        BALANCES.entry(from),
        amount,
        "the points balance is below this amount",
    )?;
    host.subtract(
        TOTAL_SUPPLY,
        amount,
        "more points would be destroyed than exist",
    )?;
    host.add(TOTAL_BURNED, amount)?;
    erc20::announce(host, POINTS, from, Address::ZERO, amount)?;
    host.log(POINTS, &IPoints::Burned { from, amount })
}
