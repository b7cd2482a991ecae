//! Who holds how many points.

use super::{BALANCES, POINTS, TOTAL_SUPPLY};
use crate::modules::{
    erc20,
    host::{Fault, Host},
};
use alloy::primitives::{Address, U256};

pub(crate) fn balance(host: &mut Host<'_>, account: Address) -> Result<U256, Fault> {
    host.load(BALANCES.entry(account))
}

/// Moves points; the sum of balances stays.
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

/// Makes points.
pub(super) fn mint(host: &mut Host<'_>, to: Address, amount: U256) -> Result<(), Fault> {
    host.add(TOTAL_SUPPLY, amount)?;
    host.add(BALANCES.entry(to), amount)?;
    erc20::announce(host, POINTS, Address::ZERO, to, amount)
}
