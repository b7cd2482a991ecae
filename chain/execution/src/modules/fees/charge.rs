//! What the executor asks of deposits, and takes from them. Nobody calls this, and nobody pays gas
//! for it.

use super::{
    DEPOSITS, FEES, amount, minus,
    operator::Operator,
    plus,
    sponsor::{self, Sponsor},
};
use crate::{
    modules::{
        Config,
        host::Fault,
        ledger::{Ledger, Scratch},
    },
    state::{ReadError, StateReader, storage},
};
use alloy::primitives::{Address, U256};

pub(crate) use super::sponsor::Purse;

/// What a contract's operator pays for a user's call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Offer {
    /// Whose deposit.
    pub(crate) purse: Purse,
    /// For one gas.
    pub(crate) price: u64,
    /// Most for this transaction by itself.
    pub(crate) once: u128,
    /// What the user has left today.
    pub(crate) user_left: u128,
    /// What the deposit has, and may spend today, for all users together.
    pub(crate) shared: u128,
}

impl Offer {
    /// The offer that stands for a call; `None` if nobody offers anything.
    pub(crate) fn load(
        ledger: &mut impl Ledger,
        config: &Config,
        callee: Address,
        user: Address,
        now: u64,
    ) -> Result<Option<Self>, Fault> {
        let operator = Operator::load(ledger, callee)?.address;
        if operator.is_zero() {
            return Ok(None);
        }
        let purse = Purse { callee, operator };
        let Sponsor { deposit, terms, .. } = Sponsor::load(ledger, purse, now)?;
        let price = config.fees.covered(terms.share_bp);
        if price == 0 {
            return Ok(None);
        }
        let (spent, spent_for) = (
            purse.spent(ledger, now)?,
            purse.spent_for(ledger, user, now)?,
        );
        // Terms that were lowered may lie below what is spent.
        let today = terms.per_day.saturating_sub(spent);
        Ok(Some(Self {
            purse,
            price,
            once: terms.per_transaction,
            user_left: terms.per_user_day.saturating_sub(spent_for),
            shared: today.min(deposit),
        }))
    }

    /// Most that it pays for a transaction now.
    pub(crate) fn most(&self) -> u128 {
        self.once.min(self.user_left).min(self.shared)
    }

    /// What a transaction of so much gas may take.
    pub(crate) fn reserve(&self, gas: u64) -> u128 {
        // Two 64-bit numbers.
        u128::from(gas).saturating_mul(u128::from(self.price))
    }
}

/// Takes out of a deposit what a transaction may cost.
pub(crate) fn reserve<L: Ledger>(
    ledger: &mut Scratch<'_, L>,
    purse: Purse,
    reserved: u128,
) -> Result<(), Fault> {
    sponsor::subtract(ledger, purse, reserved)?;
    let all = amount(ledger.load(DEPOSITS)?)?;
    ledger.store(DEPOSITS, U256::from(minus(all, reserved)?))?;
    let here = amount(ledger.balance(FEES)?)?;
    ledger.set_balance(FEES, U256::from(minus(here, reserved)?))
}

/// Puts back into a deposit what a transaction did not cost.
pub(crate) fn put_back<L: Ledger>(
    ledger: &mut Scratch<'_, L>,
    purse: Purse,
    rest: u128,
) -> Result<(), Fault> {
    sponsor::add(ledger, purse, rest)?;
    let all = amount(ledger.load(DEPOSITS)?)?;
    ledger.store(DEPOSITS, U256::from(plus(all, rest)?))?;
    let here = amount(ledger.balance(FEES)?)?;
    ledger.set_balance(FEES, U256::from(plus(here, rest)?))
}

/// Notes what a transaction cost, for the limits of the day.
pub(crate) fn spend(
    ledger: &mut impl Ledger,
    purse: Purse,
    user: Address,
    now: u64,
    paid: u128,
) -> Result<(), Fault> {
    purse.spend(ledger, user, now, paid)
}

/// All deposits, as committed state has them.
pub(crate) async fn deposits(state: &impl StateReader) -> Result<U256, ReadError> {
    storage(state, DEPOSITS.module(), DEPOSITS.key()).await
}

/// Whether the module has the coin that it owes.
pub(crate) fn is_solvent(ledger: &mut impl Ledger) -> Result<bool, Fault> {
    Ok(ledger.balance(FEES)? >= ledger.load(DEPOSITS)?)
}

/// After everything else of a block: without its coin there is no outcome.
pub(crate) fn end(ledger: &mut impl Ledger) -> Result<(), Fault> {
    if is_solvent(ledger)? {
        Ok(())
    } else {
        Err(super::broken())
    }
}
