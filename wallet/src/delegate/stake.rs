//! Coin into the module and out of it.

use super::{Answer, Error, Staking, coins, done, mvc, parse_address};
use alloy::{
    primitives::{Address, U256},
    rpc::types::TransactionReceipt,
    sol_types::SolEvent,
};
use clap::Args;
use mileverse_primitives::{abi::IStaking, address::STAKING};
use serde_json::json;

#[derive(Args, Debug)]
pub(super) struct Amounted {
    /// How much, MVC with decimals.
    #[arg(long, allow_hyphen_values = true)]
    amount: String,
}

#[derive(Args, Debug)]
pub(super) struct Collect {
    /// Whose account.
    #[arg(long, value_parser = parse_address)]
    account: Address,
}

pub(super) async fn stake(staking: &Staking, arguments: &Amounted) -> Result<Answer, Error> {
    let amount = coins(&arguments.amount)?;
    let receipt = staking
        .call(&IStaking::stakeCall {}, amount.units())
        .await?;
    let facts = vec![("staked", amount.to_string())];
    Ok(done(facts, json!({ "staked": amount }), &receipt))
}

pub(super) async fn unstake(staking: &Staking, arguments: &Amounted) -> Result<Answer, Error> {
    let amount = coins(&arguments.amount)?;
    let call = IStaking::unstakeCall {
        amount: amount.units(),
    };
    let receipt = staking.call(&call, U256::ZERO).await?;
    let ready = event::<IStaking::Unstaked>(&receipt).map(|event| event.readyEpoch);
    let facts = vec![
        ("unbonding", amount.to_string()),
        (
            "ready in epoch",
            ready.map_or_else(|| "unknown".to_owned(), |epoch| epoch.to_string()),
        ),
    ];
    let json = json!({ "unbonding": amount, "readyEpoch": ready });
    Ok(done(facts, json, &receipt))
}

pub(super) async fn withdraw(staking: &Staking) -> Result<Answer, Error> {
    let receipt = staking.call(&IStaking::withdrawCall {}, U256::ZERO).await?;
    let paid = event::<IStaking::Withdrawn>(&receipt).map_or(U256::ZERO, |event| event.amount);
    let facts = vec![("withdrawn", mvc(paid).to_string())];
    Ok(done(facts, json!({ "withdrawn": mvc(paid) }), &receipt))
}

pub(super) async fn claim(staking: &Staking) -> Result<Answer, Error> {
    let receipt = staking.call(&IStaking::claimCall {}, U256::ZERO).await?;
    let paid = event::<IStaking::Claimed>(&receipt).map_or(U256::ZERO, |event| event.amount);
    let facts = vec![("claimed", mvc(paid).to_string())];
    Ok(done(facts, json!({ "claimed": mvc(paid) }), &receipt))
}

pub(super) async fn collect(staking: &Staking, arguments: &Collect) -> Result<Answer, Error> {
    let voter = arguments.account;
    let receipt = staking
        .call(&IStaking::collectCall { voter }, U256::ZERO)
        .await?;
    let facts = vec![("collected", voter.to_string())];
    Ok(done(facts, json!({ "collected": voter }), &receipt))
}

/// The module's first event of a kind in a receipt.
pub(super) fn event<E: SolEvent>(receipt: &TransactionReceipt) -> Option<E> {
    receipt
        .logs()
        .iter()
        .filter(|log| log.address() == STAKING)
        .find_map(|log| E::decode_log(&log.inner).ok())
        .map(|log| log.data)
}
