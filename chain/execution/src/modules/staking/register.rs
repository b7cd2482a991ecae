//! Becoming a candidate, changing it, leaving, coming out of jail.

use super::{
    Context, KEYS,
    account::{Account, Loss},
    call::{announce, announce_losses},
    candidate::{self, Endpoint, Key, Standing, Times, Votes},
    profile,
    refusal::Refusal,
    signature,
    totals::{self, Sum},
    word::{amount, plus},
};
use crate::modules::{
    host::{Fault, Host},
    ledger::Ledger,
};
use alloy::primitives::{Address, B256, U256};
use mileverse_primitives::{abi::IStaking, staking::StakingRules};
use std::net::SocketAddr;

/// What a candidate says of itself, checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'a> {
    pub(super) key: B256,
    pub(super) address: SocketAddr,
    pub(super) commission_bp: u16,
    pub(super) name: &'a str,
    pub(super) website: &'a str,
}

impl<'a> Offer<'a> {
    fn read(
        key: B256,
        address: &str,
        commission_bp: u16,
        profile: &'a IStaking::Profile,
    ) -> Result<Self, Fault> {
        profile::check(&profile.name, &profile.website)?;
        Ok(Self {
            key,
            address: profile::network_address(address)?,
            commission_bp,
            name: &profile.name,
            website: &profile.website,
        })
    }
}

pub(super) fn register(host: &mut Host<'_>, call: &IStaking::registerCall) -> Result<(), Fault> {
    let owner = host.caller();
    let offer = Offer::read(
        call.consensusKey,
        &call.networkAddress,
        call.commissionBp,
        &call.profile,
    )?;
    signature::check_possession(host, offer.key, owner, &call.possession)?;
    let context = Context::of(host);
    let value = amount(host.value())?;
    let losses = enlist(host, &context, owner, &offer, value)?;
    announce_losses(host, owner, &losses)?;
    announce(
        host,
        &IStaking::CandidateRegistered {
            candidate: owner,
            consensusKey: offer.key,
        },
    )
}

/// Makes `owner` a candidate with `value` more of its own votes. The value stands in the module's
/// account already.
pub(super) fn enlist(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    owner: Address,
    offer: &Offer<'_>,
    value: u128,
) -> Result<Vec<Loss>, Fault> {
    let (id, mut standing, mut times) = match candidate::by_owner(ledger, owner)? {
        Some(id) => {
            let standing: Standing = candidate::get(ledger, id)?;
            if standing.tombstoned {
                return Err(Refusal::Tombstoned(owner).into());
            }
            if standing.listed {
                return Err(Refusal::CandidateAlready.into());
            }
            (id, standing, candidate::get(ledger, id)?)
        }
        None => {
            let id = candidate::number_new(ledger, owner)?;
            let standing = Standing {
                owner,
                commission_bp: offer.commission_bp,
                listed: false,
                jailed: false,
                tombstoned: false,
            };
            let times = Times {
                registered: context.now,
                ..Times::default()
            };
            (id, standing, times)
        }
    };
    take_key(ledger, id, offer.key)?;
    set_commission(context, &mut standing, &mut times, offer.commission_bp)?;
    candidate::list(ledger, context.rules, id, &mut standing, &mut times)?;
    write(ledger, id, &standing, &times, offer)?;

    let mut account = Account::load(ledger, owner)?;
    let losses = account.settle(ledger, context)?;
    totals::add(ledger, Sum::Staked, value)?;
    account.free = plus(account.free, value)?;
    if value > 0 {
        account.vote(ledger, context, id, value)?;
    }
    account.save(ledger)?;
    check_own(ledger, context.rules, id)?;
    Ok(losses)
}

pub(super) fn update(host: &mut Host<'_>, call: &IStaking::updateCall) -> Result<(), Fault> {
    let owner = host.caller();
    let context = Context::of(host);
    let id = candidate::find(host, owner)?;
    let mut standing: Standing = candidate::get(host, id)?;
    let mut times: Times = candidate::get(host, id)?;
    if standing.tombstoned {
        return Err(Refusal::Tombstoned(owner).into());
    }
    let offer = Offer::read(
        call.consensusKey,
        &call.networkAddress,
        call.commissionBp,
        &call.profile,
    )?;
    let Key(old) = candidate::get(host, id)?;
    if offer.key != old || !call.possession.is_empty() {
        if call.possession.is_empty() {
            return Err(Refusal::PossessionMissing.into());
        }
        signature::check_possession(host, offer.key, owner, &call.possession)?;
        take_key(host, id, offer.key)?;
    }
    set_commission(&context, &mut standing, &mut times, offer.commission_bp)?;
    write(host, id, &standing, &times, &offer)?;
    announce(
        host,
        &IStaking::CandidateUpdated {
            candidate: owner,
            consensusKey: offer.key,
            networkAddress: offer.address.to_string(),
            commissionBp: offer.commission_bp,
        },
    )
}

pub(super) fn retire(host: &mut Host<'_>, owner: Address) -> Result<(), Fault> {
    let context = Context::of(host);
    let id = candidate::find(host, owner)?;
    let standing: Standing = candidate::get(host, id)?;
    if !standing.listed {
        return Err(Refusal::NotListed(owner).into());
    }
    let votes: Votes = candidate::get(host, id)?;
    let is_under_bonded = U256::from(votes.own) < context.rules.least_own_stake;
    if host.caller() != owner && !is_under_bonded {
        return Err(Refusal::MayNotRetire.into());
    }
    candidate::unlist(host, id)?;
    announce(host, &IStaking::CandidateRetired { candidate: owner })
}

pub(super) fn unjail(host: &mut Host<'_>) -> Result<(), Fault> {
    let owner = host.caller();
    let context = Context::of(host);
    let id = candidate::find(host, owner)?;
    let mut standing: Standing = candidate::get(host, id)?;
    let times: Times = candidate::get(host, id)?;
    if standing.tombstoned {
        return Err(Refusal::Tombstoned(owner).into());
    }
    if !standing.jailed {
        return Err(Refusal::NotJailed.into());
    }
    if context.now < times.jailed_until {
        return Err(Refusal::StillJailed(times.jailed_until).into());
    }
    check_own(host, context.rules, id)?;
    standing.jailed = false;
    candidate::put(host, id, &standing)?;
    announce(host, &IStaking::Unjailed { candidate: owner })
}

/// A key belongs to the first candidate that proved it, for ever: evidence may still come.
fn take_key(ledger: &mut impl Ledger, id: u64, key: B256) -> Result<(), Fault> {
    match candidate::by_key(ledger, key)? {
        Some(other) if other != id => Err(Refusal::KeyTaken(key).into()),
        Some(_) => Ok(()),
        None => ledger.store(KEYS.entry(key), U256::from(id)),
    }
}

fn set_commission(
    context: &Context<'_>,
    standing: &mut Standing,
    times: &mut Times,
    commission_bp: u16,
) -> Result<(), Fault> {
    let rules = context.rules;
    if commission_bp > rules.max_commission_bp {
        return Err(Refusal::CommissionTooHigh(rules.max_commission_bp).into());
    }
    if commission_bp > standing.commission_bp {
        let highest = standing
            .commission_bp
            .saturating_add(rules.commission_rise_bp);
        if commission_bp > highest || context.now < times.may_rise {
            return Err(Refusal::CommissionRise {
                by: rules.commission_rise_bp,
                epochs: rules.commission_rise_epochs,
                next: times.may_rise.max(context.now),
            }
            .into());
        }
        times.may_rise = context.now.saturating_add(rules.commission_rise_epochs);
    }
    standing.commission_bp = commission_bp;
    Ok(())
}

fn write(
    ledger: &mut impl Ledger,
    id: u64,
    standing: &Standing,
    times: &Times,
    offer: &Offer<'_>,
) -> Result<(), Fault> {
    candidate::put(ledger, id, standing)?;
    candidate::put(ledger, id, &Key(offer.key))?;
    candidate::put(ledger, id, &Endpoint(Some(offer.address)))?;
    candidate::put(ledger, id, times)?;
    profile::store(ledger, id, offer.name, offer.website)
}

fn check_own(ledger: &mut impl Ledger, rules: &StakingRules, id: u64) -> Result<(), Fault> {
    let votes: Votes = candidate::get(ledger, id)?;
    if U256::from(votes.own) < rules.least_own_stake {
        return Err(Refusal::OwnStake(rules.least_own_stake.saturating_to()).into());
    }
    Ok(())
}
