//! What the module answers.

use super::{
    charge::{Offer, Purse},
    operator::Operator,
    quota::{self, Quota},
    sponsor::Sponsor,
};
use crate::modules::host::{Fault, Host};
use alloy::primitives::{Address, U256};
use mileverse_primitives::abi::IFees;

pub(super) fn rules(host: &Host<'_>) -> IFees::Rules {
    let rules = &host.config().fees;
    IFees::Rules {
        basePrice: U256::from(rules.base_price),
        noticeSeconds: rules.notice_seconds,
        freeGasPerCoin: rules.free_gas_per_coin,
        freeGasEpochs: rules.free_gas_epochs,
        freeGasBp: rules.free_gas_bp,
    }
}

pub(super) fn operator_of(
    host: &mut Host<'_>,
    callee: Address,
) -> Result<IFees::operatorOfReturn, Fault> {
    let found = Operator::load(host, callee)?;
    Ok(IFees::operatorOfReturn {
        operator: found.address,
        claimed: found.claimed,
    })
}

pub(super) fn sponsor(
    host: &mut Host<'_>,
    callee: Address,
    operator: Address,
) -> Result<IFees::Sponsor, Fault> {
    let (purse, now) = (Purse { callee, operator }, host.now());
    let found = Sponsor::load(host, purse, now)?;
    let spent = purse.spent(host, now)?;
    Ok(IFees::Sponsor {
        deposit: U256::from(found.deposit),
        leaving: U256::from(found.leaving),
        leavingReady: found.ready,
        terms: found.terms.into(),
        next: found.next.into(),
        nextSince: found.next_since,
        spentToday: U256::from(spent),
    })
}

pub(super) fn offer(
    host: &mut Host<'_>,
    callee: Address,
    user: Address,
) -> Result<IFees::offerReturn, Fault> {
    let (config, now) = (host.config(), host.now());
    let found = Offer::load(host, config, callee, user, now)?;
    Ok(found.map_or(
        IFees::offerReturn {
            price: U256::ZERO,
            most: U256::ZERO,
        },
        |offer| IFees::offerReturn {
            price: U256::from(offer.price),
            most: U256::from(offer.most()),
        },
    ))
}

pub(super) fn quota(host: &mut Host<'_>, account: Address) -> Result<IFees::Quota, Fault> {
    let (config, height) = (host.config(), host.height());
    let found = Quota::load(host, config, account, height)?;
    let next = quota::window(config, height).saturating_add(1);
    Ok(IFees::Quota {
        gas: found.gas,
        used: found.used,
        left: found.left(),
        refillsAt: next.saturating_mul(quota::blocks(config)),
    })
}
