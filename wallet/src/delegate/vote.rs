//! Votes: free stake laid on candidates.

use super::{Answer, Error, MAX_VOTES, Named, Staking, coins, done, parse_candidate};
use alloy::primitives::U256;
use clap::Args;
use mileverse_primitives::abi::IStaking;
use serde_json::json;

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(super) struct Vote {
    /// Owner's account or consensus key: votes --amount more for it.
    #[arg(long, group = "what", requires = "amount", value_parser = parse_candidate)]
    candidate: Option<Named>,
    /// How much, MVC with decimals.
    #[arg(long, allow_hyphen_values = true, conflicts_with = "split")]
    amount: Option<String>,
    /// CANDIDATE=AMOUNT, up to 30 times: sets your whole split; what is not named gets nothing.
    #[arg(long, group = "what", value_name = "CANDIDATE=AMOUNT", value_parser = parse_part)]
    split: Vec<(Named, String)>,
}

#[derive(Args, Debug)]
pub(super) struct Unvote {
    /// Owner's account or consensus key.
    #[arg(long, value_parser = parse_candidate)]
    candidate: Named,
    /// How much, MVC with decimals.
    #[arg(long, allow_hyphen_values = true)]
    amount: String,
}

#[derive(Args, Debug)]
pub(super) struct Move {
    /// From which candidate: owner's account or consensus key.
    #[arg(long, value_parser = parse_candidate)]
    from: Named,
    /// To which candidate.
    #[arg(long, value_parser = parse_candidate)]
    to: Named,
    /// How much, MVC with decimals.
    #[arg(long, allow_hyphen_values = true)]
    amount: String,
}

fn parse_part(text: &str) -> Result<(Named, String), String> {
    let (candidate, amount) = text
        .split_once('=')
        .ok_or("a part of a split is CANDIDATE=AMOUNT")?;
    Ok((parse_candidate(candidate)?, amount.to_owned()))
}

pub(super) async fn vote(staking: &Staking, arguments: Vote) -> Result<Answer, Error> {
    match (arguments.candidate, arguments.amount) {
        (Some(candidate), Some(amount)) => {
            let candidate = staking.owner(candidate).await?;
            let amount = coins(&amount)?;
            let call = IStaking::voteForCall {
                candidate,
                amount: amount.units(),
            };
            let receipt = staking.call(&call, U256::ZERO).await?;
            let facts = vec![
                ("voted", amount.to_string()),
                ("for", candidate.to_string()),
            ];
            let json = json!({ "voted": amount, "candidate": candidate });
            Ok(done(facts, json, &receipt))
        }
        _ => split(staking, arguments.split).await,
    }
}

async fn split(staking: &Staking, parts: Vec<(Named, String)>) -> Result<Answer, Error> {
    if !(1..=MAX_VOTES).contains(&parts.len()) {
        return Err(Error::Split(parts.len()));
    }
    let mut votes = Vec::new();
    let mut facts = Vec::new();
    let mut list = Vec::new();
    for (named, amount) in parts {
        let candidate = staking.owner(named).await?;
        let amount = coins(&amount)?;
        facts.push(("voted", format!("{amount} for {candidate}")));
        list.push(json!({ "candidate": candidate, "voted": amount }));
        votes.push(IStaking::Vote {
            candidate,
            amount: amount.units(),
        });
    }
    let receipt = staking
        .call(&IStaking::voteCall { votes }, U256::ZERO)
        .await?;
    Ok(done(facts, json!({ "split": list }), &receipt))
}

pub(super) async fn unvote(staking: &Staking, arguments: &Unvote) -> Result<Answer, Error> {
    let candidate = staking.owner(arguments.candidate).await?;
    let amount = coins(&arguments.amount)?;
    let call = IStaking::unvoteCall {
        candidate,
        amount: amount.units(),
    };
    let receipt = staking.call(&call, U256::ZERO).await?;
    let facts = vec![
        ("taken back", amount.to_string()),
        ("from", candidate.to_string()),
    ];
    let json = json!({ "takenBack": amount, "candidate": candidate });
    Ok(done(facts, json, &receipt))
}

pub(super) async fn shift(staking: &Staking, arguments: &Move) -> Result<Answer, Error> {
    let from = staking.owner(arguments.from).await?;
    let to = staking.owner(arguments.to).await?;
    let amount = coins(&arguments.amount)?;
    let call = IStaking::moveCall {
        from,
        to,
        amount: amount.units(),
    };
    let receipt = staking.call(&call, U256::ZERO).await?;
    let facts = vec![
        ("moved", amount.to_string()),
        ("from", from.to_string()),
        ("to", to.to_string()),
    ];
    let json = json!({ "moved": amount, "from": from, "to": to });
    Ok(done(facts, json, &receipt))
}
