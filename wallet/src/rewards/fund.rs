//! Coin for the pool.

use super::{Error, Listing, Module};
use crate::{
    client::ClientError,
    units::{Amount, Token},
};
use alloy::sol_types::SolCall;
use clap::Args;
use mileverse_primitives::{abi::IRewards, address::REWARDS};
use serde_json::json;

#[derive(Args, Debug)]
pub(super) struct Fund {
    /// How much MVC, with decimals. It cannot be taken back.
    #[arg(long)]
    amount: String,
}

pub(super) async fn fund(module: &Module, arguments: &Fund) -> Result<Listing, Error> {
    let amount = Amount::parse_positive(Token::Mvc, &arguments.amount)?;
    let client = &module.client;
    let account = client.account().ok_or(ClientError::NoKey)?;
    let balance = client.balance(account, Token::Mvc).await?;
    if balance.units() < amount.units() {
        return Err(ClientError::Balance {
            account,
            chain: client.chain(),
            balance,
            needed: amount,
        }
        .into());
    }
    let input = IRewards::fundCall {}.abi_encode().into();
    let receipt = client.execute(REWARDS, amount.units(), input).await?;
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
