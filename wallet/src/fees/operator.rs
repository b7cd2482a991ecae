//! Who pays for calls to a contract.

use super::{Answer, Error, Fees, NOTHING, done};
use crate::command::parse_address;
use alloy::{primitives::Address, providers::Provider as _};
use clap::Args;
use mileverse_primitives::abi::IFees;
use serde_json::json;

/// Most nonces that are tried.
const MOST_TRIED: u64 = 1_000_000;

#[derive(Args, Debug)]
pub(super) struct Claim {
    /// The contract.
    #[arg(long, value_parser = parse_address)]
    contract: Address,
    /// The nonce of the transaction that created it; looked for if left out.
    #[arg(long)]
    nonce: Option<u64>,
}

#[derive(Args, Debug)]
pub(super) struct Next {
    /// The contract.
    #[arg(long, value_parser = parse_address)]
    contract: Address,
    /// Who is to pay for its users.
    #[arg(long, value_parser = parse_address)]
    to: Address,
}

pub(super) async fn claim(fees: &Fees, arguments: &Claim) -> Result<Answer, Error> {
    let (account, contract) = (fees.0.account()?, arguments.contract);
    let nonce = match arguments.nonce {
        Some(nonce) => nonce,
        None => nonce_of(fees, account, contract).await?,
    };
    let callee = contract;
    let receipt = fees
        .0
        .call(&IFees::claimCall { callee, nonce }, NOTHING)
        .await?;
    let facts = vec![
        ("contract", contract.to_string()),
        ("operator", account.to_string()),
    ];
    let json = json!({ "contract": contract, "operator": account });
    Ok(done(facts, json, &receipt))
}

/// The nonce with which `account` created a contract.
async fn nonce_of(fees: &Fees, account: Address, contract: Address) -> Result<u64, Error> {
    let endpoint = fees.0.client().endpoint();
    let used = endpoint
        .provider()
        .get_transaction_count(account)
        .latest()
        .await
        .map_err(|fault| endpoint.fault(fault))?;
    let tried = used.min(MOST_TRIED);
    (0..tried)
        .find(|nonce| account.create(*nonce) == contract)
        .ok_or(Error::NotCreator {
            account,
            contract,
            tried,
        })
}

pub(super) async fn hand_over(fees: &Fees, arguments: &Next) -> Result<Answer, Error> {
    let (callee, operator) = (arguments.contract, arguments.to);
    let receipt = fees
        .0
        .call(&IFees::setOperatorCall { callee, operator }, NOTHING)
        .await?;
    let facts = vec![
        ("contract", callee.to_string()),
        ("operator", operator.to_string()),
    ];
    let json = json!({ "contract": callee, "operator": operator });
    Ok(done(facts, json, &receipt))
}
