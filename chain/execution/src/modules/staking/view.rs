//! What a voting page asks for. Nothing here changes anything: what a view brings up to date, it
//! does on a scratch.

use super::{
    Context,
    account::Account,
    candidate::{self, Endpoint, Joining, Key, Standing, Times, Votes},
    committee::{self, Committee},
    election, profile,
    refusal::Refusal,
    totals::{self, Sum},
    word::{broken, plus},
};
use crate::modules::{
    host::{Fault, Host},
    ledger::Scratch,
};
use alloy::primitives::{Address, U256};
use mileverse_primitives::{
    abi::IStaking,
    staking::{StakingRules, Weight},
};

/// Most entries of a page.
pub(super) const MAX_PAGE: u32 = 100;

/// The part of a list that a page shows.
fn page<T>(all: Vec<T>, offset: u32, limit: u32) -> Result<Vec<T>, Fault> {
    if limit == 0 || limit > MAX_PAGE {
        return Err(Refusal::PageSize(MAX_PAGE).into());
    }
    let size = |number: u32| usize::try_from(number).map_err(|_| broken());
    Ok(all
        .into_iter()
        .skip(size(offset)?)
        .take(size(limit)?)
        .collect())
}

pub(super) fn rules(context: &Context<'_>) -> IStaking::Rules {
    let weight = |weight: Weight| IStaking::Weight {
        weightBp: weight.weight_bp,
        growthBp: weight.growth_bp,
        alphaBp: weight.alpha_bp,
    };
    let rules: &StakingRules = context.rules;
    IStaking::Rules {
        epochBlocks: context.epoch_blocks,
        seats: rules.seats,
        leastSeats: u32::try_from(context.least_seats).unwrap_or(u32::MAX),
        maxCandidates: rules.max_candidates,
        leastOwnStake: rules.least_own_stake,
        unbondingEpochs: rules.unbonding_epochs,
        jailEpochs: rules.jail_epochs,
        recordFloorBp: rules.record_floor_bp,
        doubleSignSlashBp: rules.double_sign_slash_bp,
        reporterShareBp: rules.reporter_share_bp,
        maxCommissionBp: rules.max_commission_bp,
        commissionRiseBp: rules.commission_rise_bp,
        commissionRiseEpochs: rules.commission_rise_epochs,
        rewardPerEpoch: rules.reward_per_epoch,
        attestationInterval: rules.attestation_interval,
        stake: weight(rules.weights.stake),
        turns: weight(rules.weights.turns),
        results: weight(rules.weights.results),
        invalid: weight(rules.weights.invalid),
    }
}

pub(super) fn totals(host: &mut Host<'_>) -> Result<IStaking::Totals, Fault> {
    Ok(IStaking::Totals {
        staked: totals::get(host, Sum::Staked)?,
        unbonding: totals::get(host, Sum::Unbonding)?,
        unpaidRewards: totals::get(host, Sum::Unpaid)?,
        pool: totals::get(host, Sum::Pool)?,
        fees: totals::get(host, Sum::Fees)?,
        balance: totals::balance(host)?,
    })
}

fn show(host: &mut Host<'_>, context: &Context<'_>, id: u64) -> Result<IStaking::Candidate, Fault> {
    let standing: Standing = candidate::get(host, id)?;
    let Key(key) = candidate::get(host, id)?;
    let endpoint: Endpoint = candidate::get(host, id)?;
    let votes: Votes = candidate::get(host, id)?;
    let joining: Joining = candidate::get(host, id)?;
    let times: Times = candidate::get(host, id)?;
    let (name, website) = profile::load(host, id)?;
    let joining = if joining.epoch == context.now {
        joining.amount
    } else {
        0
    };
    Ok(IStaking::Candidate {
        owner: standing.owner,
        consensusKey: key,
        networkAddress: endpoint.text(),
        commissionBp: standing.commission_bp,
        votes: U256::from(votes.total),
        ownStake: U256::from(votes.own),
        joining: U256::from(joining),
        listed: standing.listed,
        jailed: standing.jailed,
        jailedUntil: times.jailed_until,
        tombstoned: standing.tombstoned,
        registeredEpoch: times.registered,
        eligible: election::is_eligible(context.rules, &standing, &votes),
        profile: IStaking::Profile { name, website },
    })
}

pub(super) fn candidate(
    host: &mut Host<'_>,
    context: &Context<'_>,
    owner: Address,
) -> Result<IStaking::Candidate, Fault> {
    let id = candidate::find(host, owner)?;
    show(host, context, id)
}

pub(super) fn candidates(
    host: &mut Host<'_>,
    context: &Context<'_>,
    offset: u32,
    limit: u32,
) -> Result<Vec<IStaking::Candidate>, Fault> {
    let ranking = election::ranking(host, context)?;
    page(ranking, offset, limit)?
        .into_iter()
        .map(|rank| show(host, context, rank.id))
        .collect()
}

pub(super) fn candidate_of(
    host: &mut Host<'_>,
    key: alloy::primitives::B256,
) -> Result<Address, Fault> {
    match candidate::by_key(host, key)? {
        None => Ok(Address::ZERO),
        Some(id) => Ok(candidate::get::<Standing>(host, id)?.owner),
    }
}

/// An account as it would be if it were touched now.
fn settled(host: &mut Host<'_>, context: &Context<'_>, voter: Address) -> Result<Account, Fault> {
    let mut scratch = Scratch::new(host);
    let mut account = Account::load(&mut scratch, voter)?;
    account.settle(&mut scratch, context)?;
    Ok(account)
}

pub(super) fn account(
    host: &mut Host<'_>,
    context: &Context<'_>,
    voter: Address,
) -> Result<IStaking::Account, Fault> {
    let account = settled(host, context, voter)?;
    let count = |length: usize| u32::try_from(length).map_err(|_| broken());
    Ok(IStaking::Account {
        free: U256::from(account.free),
        voted: U256::from(account.voted()?),
        unbonding: U256::from(account.unbonding()?),
        rewards: U256::from(account.rewards),
        delegations: count(account.delegations.len())?,
        unbondings: count(account.unbondings.len())?,
    })
}

pub(super) fn pending_rewards(
    host: &mut Host<'_>,
    context: &Context<'_>,
    voter: Address,
) -> Result<U256, Fault> {
    Ok(U256::from(settled(host, context, voter)?.rewards))
}

pub(super) fn delegations(
    host: &mut Host<'_>,
    context: &Context<'_>,
    call: &IStaking::delegationsCall,
) -> Result<Vec<IStaking::Delegation>, Fault> {
    let before = {
        let mut scratch = Scratch::new(host);
        let mut account = Account::load(&mut scratch, call.voter)?;
        let mut earned = Vec::new();
        for delegation in &mut account.delegations {
            let amount = super::rewards::accrue(&mut scratch, context.now, delegation)?;
            earned.push((delegation.id, amount));
        }
        earned
    };
    let account = settled(host, context, call.voter)?;
    let all = account
        .delegations
        .iter()
        .map(|delegation| {
            let pending = before
                .iter()
                .filter(|(id, _)| *id == delegation.id)
                .try_fold(0, |sum, (_, amount)| plus(sum, *amount))?;
            Ok((*delegation, pending))
        })
        .collect::<Result<Vec<_>, Fault>>()?;
    page(all, call.offset, call.limit)?
        .into_iter()
        .map(|(delegation, pending)| {
            let standing: Standing = candidate::get(host, delegation.id)?;
            Ok(IStaking::Delegation {
                candidate: standing.owner,
                amount: U256::from(delegation.amount()?),
                joining: U256::from(delegation.joining),
                pendingRewards: U256::from(pending),
            })
        })
        .collect()
}

pub(super) fn unbondings(
    host: &mut Host<'_>,
    context: &Context<'_>,
    call: &IStaking::unbondingsCall,
) -> Result<Vec<IStaking::Unbonding>, Fault> {
    let account = settled(host, context, call.voter)?;
    let all = account
        .unbondings
        .iter()
        .map(|unbonding| IStaking::Unbonding {
            amount: U256::from(unbonding.amount),
            readyEpoch: unbonding.ready,
        })
        .collect();
    page(all, call.offset, call.limit)
}

pub(super) fn elected(
    host: &mut Host<'_>,
    call: &IStaking::electedCall,
) -> Result<Vec<IStaking::Seat>, Fault> {
    let seats = committee::elected(host, call.epoch)?.ok_or(Refusal::UnknownEpoch(call.epoch))?;
    page(seats, call.offset, call.limit)?
        .into_iter()
        .map(|seat| {
            let standing: Standing = candidate::get(host, seat.id)?;
            Ok(IStaking::Seat {
                candidate: standing.owner,
                consensusKey: seat.key,
                networkAddress: seat.endpoint.text(),
            })
        })
        .collect()
}

fn known(host: &mut Host<'_>, epoch: u64) -> Result<Committee, Fault> {
    Ok(committee::get(host, epoch)?.ok_or(Refusal::UnknownEpoch(epoch))?)
}

pub(super) fn committee(
    host: &mut Host<'_>,
    epoch: u64,
) -> Result<IStaking::committeeReturn, Fault> {
    let committee = known(host, epoch)?;
    Ok(IStaking::committeeReturn {
        size: u32::try_from(committee.size).map_err(|_| broken())?,
        succeeded: committee.succeeded,
    })
}

pub(super) fn turns(
    host: &mut Host<'_>,
    call: &IStaking::turnsCall,
) -> Result<Vec<IStaking::TurnOf>, Fault> {
    let committee = known(host, call.epoch)?;
    page((0..committee.size).collect(), call.offset, call.limit)?
        .into_iter()
        .map(|turn| {
            let position = committee.leader(host, turn)?;
            let id = committee.id(host, position)?;
            let standing: Standing = candidate::get(host, id)?;
            Ok(IStaking::TurnOf {
                turn: u32::try_from(turn).map_err(|_| broken())?,
                candidate: standing.owner,
                consensusKey: committee.key(host, position)?,
            })
        })
        .collect()
}

pub(super) fn records(
    host: &mut Host<'_>,
    call: &IStaking::recordsCall,
) -> Result<Vec<IStaking::Record>, Fault> {
    let committee = known(host, call.epoch)?;
    page((0..committee.size).collect(), call.offset, call.limit)?
        .into_iter()
        .map(|position| {
            let record = committee.record(host, position)?;
            let (votes, reward, score) = committee.result(host, position)?;
            let id = committee.id(host, position)?;
            let standing: Standing = candidate::get(host, id)?;
            Ok(IStaking::Record {
                candidate: standing.owner,
                consensusKey: committee.key(host, position)?,
                turnsDue: record.turns_due,
                turnsKept: record.turns_kept,
                resultsDue: committee.results_due,
                validResults: record.valid,
                invalidResults: record.invalid,
                votes: U256::from(votes),
                score,
                reward: U256::from(reward),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pages_are_bounded_and_end() {
        let all = || (0..250).collect::<Vec<u32>>();
        assert_eq!(page(all(), 0, 100).unwrap(), all()[..100]);
        assert_eq!(page(all(), 200, 100).unwrap(), all()[200..]);
        assert!(page(all(), 250, 1).unwrap().is_empty());
        assert!(page(all(), u32::MAX, 100).unwrap().is_empty());
        assert!(page(all(), 0, 0).is_err());
        assert!(page(all(), 0, MAX_PAGE + 1).is_err());
    }
}
