//! The voters' calls: stake, vote, move, unvote, unstake, withdraw, claim.

use super::{
    Context,
    account::{Account, Loss},
    candidate,
    refusal::Refusal,
    totals::{self, Sum},
    word::{amount, plus},
};
use crate::modules::host::{Fault, Host};
use alloy::{
    primitives::{Address, U256},
    sol_types::SolEvent,
};
use mileverse_primitives::{abi::IStaking, address::STAKING, staking::MAX_VOTES};
use std::collections::BTreeMap;

pub(super) fn announce(host: &mut Host<'_>, event: &impl SolEvent) -> Result<(), Fault> {
    host.log(STAKING, event)
}

pub(super) fn announce_losses(
    host: &mut Host<'_>,
    voter: Address,
    losses: &[Loss],
) -> Result<(), Fault> {
    for loss in losses {
        announce(
            host,
            &IStaking::Collected {
                voter,
                candidate: loss.candidate,
                amount: U256::from(loss.amount),
            },
        )?;
    }
    Ok(())
}

/// The caller's account, up to date.
fn open(host: &mut Host<'_>, context: &Context<'_>) -> Result<Account, Fault> {
    let voter = host.caller();
    open_of(host, context, voter)
}

fn open_of(host: &mut Host<'_>, context: &Context<'_>, voter: Address) -> Result<Account, Fault> {
    let mut account = Account::load(host, voter)?;
    let losses = account.settle(host, context)?;
    announce_losses(host, voter, &losses)?;
    Ok(account)
}

fn announce_votes(
    host: &mut Host<'_>,
    account: &Account,
    candidate: Address,
    id: u64,
) -> Result<(), Fault> {
    let amount = account.voted_for(id)?;
    announce(
        host,
        &IStaking::Voted {
            voter: account.address,
            candidate,
            amount: U256::from(amount),
        },
    )
}

pub(super) fn stake(host: &mut Host<'_>) -> Result<(), Fault> {
    let context = Context::of(host);
    let value = amount(host.value())?;
    if value == 0 {
        return Err(Refusal::ZeroAmount.into());
    }
    let mut account = open(host, &context)?;
    account.free = plus(account.free, value)?;
    account.save(host)?;
    totals::add(host, Sum::Staked, value)?;
    announce(
        host,
        &IStaking::Staked {
            voter: host.caller(),
            amount: U256::from(value),
        },
    )
}

/// Sets the whole split: first everything that shrinks, then everything that grows.
pub(super) fn vote(host: &mut Host<'_>, call: &IStaking::voteCall) -> Result<(), Fault> {
    if call.votes.len() > MAX_VOTES {
        return Err(Refusal::TooManyVotes.into());
    }
    let context = Context::of(host);
    let mut wanted = BTreeMap::new();
    for vote in &call.votes {
        let id = candidate::find(host, vote.candidate)?;
        let amount = amount(vote.amount)?;
        if amount == 0 {
            return Err(Refusal::ZeroAmount.into());
        }
        if wanted.insert(id, (vote.candidate, amount)).is_some() {
            return Err(Refusal::VoteTwice(vote.candidate).into());
        }
    }
    let mut account = open(host, &context)?;
    let mut changed = BTreeMap::new();
    let now: Vec<(u64, u128)> = account
        .delegations
        .iter()
        .map(|delegation| Ok((delegation.id, delegation.amount()?)))
        .collect::<Result<_, Fault>>()?;
    for (id, voted) in now {
        let target = wanted.get(&id).map_or(0, |(_, amount)| *amount);
        if let Some(less) = voted.checked_sub(target).filter(|less| *less > 0) {
            account.unvote(host, &context, id, less)?;
            let standing: candidate::Standing = candidate::get(host, id)?;
            changed.insert(id, standing.owner);
        }
    }
    for (id, (owner, target)) in wanted {
        let voted = account.voted_for(id)?;
        if let Some(more) = target.checked_sub(voted).filter(|more| *more > 0) {
            account.vote(host, &context, id, more)?;
            changed.insert(id, owner);
        }
    }
    for (id, owner) in changed {
        announce_votes(host, &account, owner, id)?;
    }
    account.save(host)
}

pub(super) fn vote_for(host: &mut Host<'_>, candidate: Address, word: U256) -> Result<(), Fault> {
    let context = Context::of(host);
    let id = candidate::find(host, candidate)?;
    let mut account = open(host, &context)?;
    account.vote(host, &context, id, amount(word)?)?;
    announce_votes(host, &account, candidate, id)?;
    account.save(host)
}

pub(super) fn unvote(host: &mut Host<'_>, candidate: Address, word: U256) -> Result<(), Fault> {
    let context = Context::of(host);
    let id = candidate::find(host, candidate)?;
    let mut account = open(host, &context)?;
    account.unvote(host, &context, id, amount(word)?)?;
    announce_votes(host, &account, candidate, id)?;
    account.save(host)
}

pub(super) fn move_votes(host: &mut Host<'_>, call: &IStaking::moveCall) -> Result<(), Fault> {
    if call.from == call.to {
        return Err(Refusal::SameCandidate.into());
    }
    let context = Context::of(host);
    let from = candidate::find(host, call.from)?;
    let to = candidate::find(host, call.to)?;
    let amount = amount(call.amount)?;
    let mut account = open(host, &context)?;
    account.unvote(host, &context, from, amount)?;
    account.vote(host, &context, to, amount)?;
    announce_votes(host, &account, call.from, from)?;
    announce_votes(host, &account, call.to, to)?;
    account.save(host)
}

pub(super) fn unstake(host: &mut Host<'_>, word: U256) -> Result<u64, Fault> {
    let context = Context::of(host);
    let amount = amount(word)?;
    let mut account = open(host, &context)?;
    let ready = account.unstake(&context, amount)?;
    account.save(host)?;
    totals::transfer(host, Sum::Staked, Sum::Unbonding, amount)?;
    announce(
        host,
        &IStaking::Unstaked {
            voter: host.caller(),
            amount: U256::from(amount),
            readyEpoch: ready,
        },
    )?;
    Ok(ready)
}

pub(super) fn withdraw(host: &mut Host<'_>) -> Result<U256, Fault> {
    let context = Context::of(host);
    let mut account = open(host, &context)?;
    let amount = account.withdraw(&context)?;
    account.save(host)?;
    totals::subtract(host, Sum::Unbonding, amount)?;
    pay_out(host, amount)?;
    let (voter, amount) = (host.caller(), U256::from(amount));
    announce(host, &IStaking::Withdrawn { voter, amount })?;
    Ok(amount)
}

pub(super) fn claim(host: &mut Host<'_>) -> Result<U256, Fault> {
    let context = Context::of(host);
    let mut account = open(host, &context)?;
    let amount = std::mem::take(&mut account.rewards);
    if amount == 0 {
        return Err(Refusal::NoRewards.into());
    }
    account.save(host)?;
    totals::subtract(host, Sum::Unpaid, amount)?;
    pay_out(host, amount)?;
    let (voter, amount) = (host.caller(), U256::from(amount));
    announce(host, &IStaking::Claimed { voter, amount })?;
    Ok(amount)
}

pub(super) fn collect(host: &mut Host<'_>, voter: Address) -> Result<(), Fault> {
    let context = Context::of(host);
    open_of(host, &context, voter)?.save(host)
}

/// Moves coin from the module to the caller.
fn pay_out(host: &mut Host<'_>, amount: u128) -> Result<(), Fault> {
    let amount = U256::from(amount);
    let caller = host.caller();
    let rest = host
        .balance(STAKING)?
        .checked_sub(amount)
        .ok_or_else(super::word::broken)?;
    host.set_balance(STAKING, rest)?;
    let sum = host
        .balance(caller)?
        .checked_add(amount)
        .ok_or_else(Fault::overflow)?;
    host.set_balance(caller, sum)
}
