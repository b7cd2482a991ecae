//! One account: its stake, votes and rewards, and its candidacy if it has one.

use super::{Answer, Error, PAGE, Staking, mvc, parse_address, percent};
use crate::units::Token;
use alloy::primitives::Address;
use clap::Args;
use mileverse_primitives::abi::IStaking;
use serde_json::{Value, json};

#[derive(Args, Debug)]
pub(super) struct Show {
    /// The account; the keystore's own if left out.
    #[arg(long, value_parser = parse_address)]
    pub(super) account: Option<Address>,
}

pub(super) async fn show(staking: &Staking, voter: Address) -> Result<Answer, Error> {
    let epoch = staking.view(&IStaking::currentEpochCall {}).await?.epoch;
    let balance = staking.client().balance(voter, Token::Mvc).await?;
    let account = staking.view(&IStaking::accountCall { voter }).await?;
    let delegations = staking
        .all(|offset| IStaking::delegationsCall {
            voter,
            offset,
            limit: PAGE,
        })
        .await?;
    let unbondings = staking
        .all(|offset| IStaking::unbondingsCall {
            voter,
            offset,
            limit: PAGE,
        })
        .await?;
    let candidate = staking.candidate(voter).await?;

    let mut facts = vec![
        ("account", voter.to_string()),
        ("epoch", epoch.to_string()),
        ("balance", balance.to_string()),
        ("free stake", mvc(account.free).to_string()),
        ("voted", mvc(account.voted).to_string()),
        ("unbonding", mvc(account.unbonding).to_string()),
        ("rewards", mvc(account.rewards).to_string()),
    ];
    for delegation in &delegations {
        facts.push((
            "votes for",
            format!("{}: {}", delegation.candidate, mvc(delegation.amount)),
        ));
    }
    for unbonding in &unbondings {
        facts.push((
            "unbonds",
            format!(
                "{} in epoch {}",
                mvc(unbonding.amount),
                unbonding.readyEpoch
            ),
        ));
    }
    if let Some(candidate) = &candidate {
        facts.extend([
            ("candidate", state(candidate).to_owned()),
            ("name", candidate.profile.name.clone()),
            ("website", candidate.profile.website.clone()),
            ("consensus key", candidate.consensusKey.to_string()),
            ("address", candidate.networkAddress.clone()),
            ("commission", percent(candidate.commissionBp)),
            ("all votes", mvc(candidate.votes).to_string()),
            ("own stake", mvc(candidate.ownStake).to_string()),
        ]);
        if candidate.jailed {
            facts.push(("jailed until epoch", candidate.jailedUntil.to_string()));
        }
    }
    let json = json!({
        "account": voter,
        "epoch": epoch,
        "balance": balance,
        "free": mvc(account.free),
        "voted": mvc(account.voted),
        "unbonding": mvc(account.unbonding),
        "rewards": mvc(account.rewards),
        "delegations": delegations.iter().map(|delegation| json!({
            "candidate": delegation.candidate,
            "amount": mvc(delegation.amount),
            "joining": mvc(delegation.joining),
            "pendingRewards": mvc(delegation.pendingRewards),
        })).collect::<Vec<_>>(),
        "unbondings": unbondings.iter().map(|unbonding| json!({
            "amount": mvc(unbonding.amount),
            "readyEpoch": unbonding.readyEpoch,
        })).collect::<Vec<_>>(),
        "candidate": candidate.as_ref().map_or(Value::Null, describe),
    });
    Ok(Answer::facts(facts, json))
}

/// A candidate in one word.
pub(super) const fn state(candidate: &IStaking::Candidate) -> &'static str {
    if candidate.tombstoned {
        "slashed"
    } else if candidate.jailed {
        "jailed"
    } else if !candidate.listed {
        "retired"
    } else if candidate.eligible {
        "eligible"
    } else {
        "under-bonded"
    }
}

/// A candidate as JSON.
pub(super) fn describe(candidate: &IStaking::Candidate) -> Value {
    json!({
        "owner": candidate.owner,
        "state": state(candidate),
        "consensusKey": candidate.consensusKey,
        "networkAddress": candidate.networkAddress,
        "commissionBp": candidate.commissionBp,
        "votes": mvc(candidate.votes),
        "ownStake": mvc(candidate.ownStake),
        "joining": mvc(candidate.joining),
        "jailedUntil": candidate.jailedUntil,
        "registeredEpoch": candidate.registeredEpoch,
        "eligible": candidate.eligible,
        "name": candidate.profile.name,
        "website": candidate.profile.website,
    })
}
