//! The operator's calls: deposit, terms, withdrawal.

use super::{
    DEPOSITS, FEES, amount, minus, plus,
    refusal::Refusal,
    sponsor::{self, Purse, Sponsor, Terms},
};
use crate::modules::{
    host::{Fault, Host},
    is_nobody,
};
use alloy::primitives::{Address, U256};
use mileverse_primitives::{abi::IFees, genesis::BASIS_POINTS};

fn own(host: &Host<'_>, callee: Address) -> Result<Purse, Fault> {
    if is_nobody(callee) {
        return Err(Refusal::Module(callee).into());
    }
    Ok(Purse {
        callee,
        operator: host.caller(),
    })
}

/// The value stands in this module's account by now.
pub(super) fn deposit(host: &mut Host<'_>, callee: Address) -> Result<(), Fault> {
    let purse = own(host, callee)?;
    let given = host.value();
    if given.is_zero() {
        return Err(Refusal::NothingGiven.into());
    }
    sponsor::add(host, purse, amount(given)?)?;
    host.add(DEPOSITS, given)?;
    host.log(
        FEES,
        &IFees::Deposited {
            callee,
            operator: purse.operator,
            amount: given,
        },
    )
}

/// What pays nobody less holds at once, all else after the notice.
pub(super) fn set_terms(
    host: &mut Host<'_>,
    callee: Address,
    given: &IFees::Terms,
) -> Result<(), Fault> {
    let purse = own(host, callee)?;
    if given.shareBp > BASIS_POINTS {
        return Err(Refusal::Share(given.shareBp).into());
    }
    let (terms, now) = (Terms::from(given), host.now());
    let mut sponsor = Sponsor::load(host, purse, now)?;
    let since = if terms.is_at_least(&sponsor.terms) {
        sponsor.terms = terms;
        sponsor.next = Terms::default();
        sponsor.next_since = 0;
        now
    } else {
        sponsor.next = terms;
        sponsor.next_since = after_notice(host);
        sponsor.next_since
    };
    sponsor.save(host, purse)?;
    host.log(
        FEES,
        &IFees::TermsSet {
            callee,
            operator: purse.operator,
            terms: given.clone(),
            since,
        },
    )
}

const fn after_notice(host: &Host<'_>) -> u64 {
    host.now().saturating_add(host.config().fees.notice_seconds)
}

/// Says what leaves; until it does, it goes on paying.
pub(super) fn announce_withdrawal(
    host: &mut Host<'_>,
    callee: Address,
    wanted: U256,
) -> Result<(), Fault> {
    let purse = own(host, callee)?;
    let now = host.now();
    let mut sponsor = Sponsor::load(host, purse, now)?;
    let held = sponsor.deposit;
    if wanted > U256::from(held) {
        return Err(Refusal::NotThere { held, wanted }.into());
    }
    sponsor.leaving = amount(wanted)?;
    sponsor.ready = if wanted.is_zero() {
        0
    } else {
        after_notice(host)
    };
    sponsor.save(host, purse)?;
    host.log(
        FEES,
        &IFees::WithdrawalAnnounced {
            callee,
            operator: purse.operator,
            amount: wanted,
            ready: sponsor.ready,
        },
    )
}

/// Pays out what was announced, as far as users have not spent it meanwhile.
pub(super) fn withdraw(host: &mut Host<'_>, callee: Address) -> Result<(), Fault> {
    let purse = own(host, callee)?;
    let now = host.now();
    let mut sponsor = Sponsor::load(host, purse, now)?;
    if sponsor.leaving == 0 {
        return Err(Refusal::NotAnnounced.into());
    }
    if now < sponsor.ready {
        let ready = sponsor.ready;
        return Err(Refusal::NotReady { ready, now }.into());
    }
    let paid = sponsor.leaving.min(sponsor.deposit);
    sponsor.deposit = minus(sponsor.deposit, paid)?;
    sponsor.leaving = 0;
    sponsor.ready = 0;
    sponsor.save(host, purse)?;
    let all = amount(host.load(DEPOSITS)?)?;
    host.store(DEPOSITS, U256::from(minus(all, paid)?))?;
    let here = amount(host.balance(FEES)?)?;
    host.set_balance(FEES, U256::from(minus(here, paid)?))?;
    let there = amount(host.balance(purse.operator)?)?;
    host.set_balance(purse.operator, U256::from(plus(there, paid)?))?;
    host.log(
        FEES,
        &IFees::Withdrawn {
            callee,
            operator: purse.operator,
            amount: U256::from(paid),
        },
    )
}
