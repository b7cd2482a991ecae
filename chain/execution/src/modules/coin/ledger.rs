//! Who holds how many coins: the accounts' own balances.

use super::{COIN, TOTAL_SUPPLY};
use crate::modules::{
    erc20,
    host::{Fault, Host},
    ledger::Ledger,
};
use alloy::primitives::{Address, U256};

/// Coins made and not destroyed.
pub(crate) fn supply(ledger: &mut impl Ledger) -> Result<U256, Fault> {
    ledger.load(TOTAL_SUPPLY)
}

/// Moves coins; the sum of balances stays.
pub(super) fn transfer(
    host: &mut Host<'_>,
    from: Address,
    to: Address,
    amount: U256,
) -> Result<(), Fault> {
    take(host, from, amount)?;
    give(host, to, amount)?;
    erc20::announce(host, COIN, from, to, amount)
}

/// Makes coins. Only for the bridge.
pub(crate) fn mint(host: &mut Host<'_>, to: Address, amount: U256) -> Result<(), Fault> {
    host.add(TOTAL_SUPPLY, amount)?;
    give(host, to, amount)?;
    erc20::announce(host, COIN, Address::ZERO, to, amount)
}

/// Destroys coins that `holder` holds, on behalf of `owner`. Only for the bridge.
pub(crate) fn burn(
    host: &mut Host<'_>,
    holder: Address,
    owner: Address,
    amount: U256,
) -> Result<(), Fault> {
    host.subtract(
        TOTAL_SUPPLY,
        amount,
        "more coins would be destroyed than exist",
    )?;
    take(host, holder, amount)?;
    erc20::announce(host, COIN, owner, Address::ZERO, amount)
}

fn take(host: &mut Host<'_>, from: Address, amount: U256) -> Result<(), Fault> {
    let rest = host
        .balance(from)?
        .checked_sub(amount)
        .ok_or_else(|| Fault::revert("the coin balance is below this amount"))?;
    host.set_balance(from, rest)
}

fn give(host: &mut Host<'_>, to: Address, amount: U256) -> Result<(), Fault> {
    let sum = host
        .balance(to)?
        .checked_add(amount)
        .ok_or_else(Fault::overflow)?;
    host.set_balance(to, sum)
}
