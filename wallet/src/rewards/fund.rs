//! Coin for the pool.

use super::{Error, Listing, Rewards};
use crate::units::{Amount, Token};
use clap::Args;
use mileverse_primitives::abi::IRewards;
use serde_json::json;

#[derive(Args, Debug)]
pub(super) struct Fund {
    /// How much MVC, with decimals. It cannot be taken back.
    #[arg(long)]
    amount: String,
}

pub(super) async fn fund(rewards: &Rewards, arguments: &Fund) -> Result<Listing, Error> {
    let amount = Amount::parse_positive(Token::Mvc, &arguments.amount)?;
    let account = rewards.0.account()?;
    let receipt = rewards
        .0
        .call(&IRewards::fundCall {}, amount.units())
        .await?;
    let block = receipt.block_number.unwrap_or_default();
    let facts = vec![
        ("account", account.to_string()),
        ("given to the pool", amount.to_string()),
        ("transaction", receipt.transaction_hash.to_string()),
        ("block", block.to_string()),
    ];
    let json = json!({
        "account": account,
        "amount": amount,
        "transaction": { "hash": receipt.transaction_hash, "block": block },
    });
    Ok(Listing::facts(facts, json))
}
