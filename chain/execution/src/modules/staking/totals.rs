//! The module's books: every coin that it holds, by what it is for.

use super::{TOTALS, word::broken};
use crate::modules::{host::Fault, ledger::Ledger};
use alloy::primitives::U256;
use mileverse_primitives::address::STAKING;

/// What coin is held for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sum {
    /// Free or voted.
    Staked,
    /// On its way out.
    Unbonding,
    /// Earned and not paid out.
    Unpaid,
    /// For rewards of epochs to come.
    Pool,
    /// Collected in this epoch.
    Fees,
}

impl Sum {
    pub(super) const ALL: [Self; 5] = [
        Self::Staked,
        Self::Unbonding,
        Self::Unpaid,
        Self::Pool,
        Self::Fees,
    ];

    const fn field(self) -> u64 {
        match self {
            Self::Staked => 0,
            Self::Unbonding => 1,
            Self::Unpaid => 2,
            Self::Pool => 3,
            Self::Fees => 4,
        }
    }
}

pub(super) fn get<L: Ledger>(ledger: &mut L, sum: Sum) -> Result<U256, Fault> {
    ledger.load(TOTALS.field(sum.field()))
}

pub(super) fn add<L: Ledger>(ledger: &mut L, sum: Sum, amount: u128) -> Result<(), Fault> {
    if amount == 0 {
        return Ok(());
    }
    let word = get(ledger, sum)?
        .checked_add(U256::from(amount))
        .ok_or_else(broken)?;
    ledger.store(TOTALS.field(sum.field()), word)
}

pub(super) fn subtract<L: Ledger>(ledger: &mut L, sum: Sum, amount: u128) -> Result<(), Fault> {
    if amount == 0 {
        return Ok(());
    }
    let word = get(ledger, sum)?
        .checked_sub(U256::from(amount))
        .ok_or_else(broken)?;
    ledger.store(TOTALS.field(sum.field()), word)
}

/// Coin that stays here but is for something else from now on.
pub(super) fn transfer<L: Ledger>(
    ledger: &mut L,
    from: Sum,
    to: Sum,
    amount: u128,
) -> Result<(), Fault> {
    subtract(ledger, from, amount)?;
    add(ledger, to, amount)
}

/// All that is owed.
pub(super) fn owed<L: Ledger>(ledger: &mut L) -> Result<U256, Fault> {
    let mut owed = U256::ZERO;
    for sum in Sum::ALL {
        owed = owed.checked_add(get(ledger, sum)?).ok_or_else(broken)?;
    }
    Ok(owed)
}

/// The module's real coin.
pub(super) fn balance<L: Ledger>(ledger: &mut L) -> Result<U256, Fault> {
    ledger.balance(STAKING)
}

/// Whether what is there covers what is owed.
pub(super) fn is_solvent<L: Ledger>(ledger: &mut L) -> Result<bool, Fault> {
    Ok(balance(ledger)? >= owed(ledger)?)
}
