//! What counts as held: an account's coin, and its stake wherever that is in the staking module.

use super::{
    amount, broken, exclusion,
    holder::{Holder, Part},
    plus,
};
use crate::modules::{coin, host::Fault, ledger::Ledger, staking::counted};
use alloy::primitives::{Address, U256};
use mileverse_primitives::address::ALL;

/// What a holder had at the close of this height. Before the block's first transaction only: what
/// was not written down is read as it stands.
pub(super) fn at_close(
    ledger: &mut impl Ledger,
    address: Address,
    holder: Holder,
    close: u64,
) -> Result<u128, Fault> {
    let balance = match holder.at_close(ledger, address, Part::Balance, close)? {
        Some(balance) => balance,
        None => amount(ledger.balance(address)?)?,
    };
    if !holder.is_staker() {
        return Ok(balance);
    }
    let stake = match holder.at_close(ledger, address, Part::Stake, close)? {
        Some(stake) => stake,
        None => counted::stake(ledger, address, close)?,
    };
    plus(balance, stake)
}

/// Coin and stake of an account as they stand, with the slashes proven in blocks below `height`.
pub(super) fn present(
    ledger: &mut impl Ledger,
    address: Address,
    height: u64,
) -> Result<(u128, u128), Fault> {
    let balance = amount(ledger.balance(address)?)?;
    let stake = counted::stake(ledger, address, height)?;
    Ok((balance, stake))
}

/// All coin that earns as it stands: what there is, less what the zero address, the system modules
/// and the accounts on the list hold, with the stake that the staking module keeps for its owners.
/// Never less than what all that earn hold together; more only by units that slashes rounded away,
/// and by coin that contracts destroyed with themselves. What falls to those stays in the pool.
pub(super) fn eligible(ledger: &mut impl Ledger, height: u64) -> Result<u128, Fault> {
    let mut sum = coin::ledger::supply(ledger)?
        .checked_add(counted::all(ledger)?)
        .ok_or_else(broken)?;
    for address in ALL.into_iter().chain([Address::ZERO]) {
        let held = ledger.balance(address)?;
        sum = sum.checked_sub(held).ok_or_else(broken)?;
    }
    for address in exclusion::list(ledger)? {
        let (balance, stake) = present(ledger, address, height)?;
        let held = U256::from(plus(balance, stake)?);
        sum = sum.checked_sub(held).ok_or_else(broken)?;
    }
    amount(sum)
}
