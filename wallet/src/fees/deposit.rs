//! A deposit: into it, on what terms it pays, out of it.

use super::{Answer, Error, Fees, NOTHING, done, event};
use crate::{
    command::parse_address,
    module::mvc,
    units::{Amount, Token},
};
use alloy::primitives::{Address, U256};
use clap::Args;
use mileverse_primitives::abi::IFees;
use serde_json::json;

#[derive(Args, Debug)]
pub(super) struct Amounted {
    /// The contract.
    #[arg(long, value_parser = parse_address)]
    contract: Address,
    /// How much, MVC with decimals.
    #[arg(long, allow_hyphen_values = true)]
    amount: String,
}

#[derive(Args, Debug)]
pub(super) struct Share {
    /// The contract.
    #[arg(long, value_parser = parse_address)]
    contract: Address,
    /// Share of the base fee of calls to it, in basis points; 10000 pays all of it, 0 nothing.
    #[arg(long, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    basis_points: u16,
    /// Most for one transaction, MVC with decimals; without it there is no such limit.
    #[arg(long)]
    per_transaction: Option<String>,
    /// Most for one user in a UTC day.
    #[arg(long)]
    per_user_day: Option<String>,
    /// Most in a UTC day. Anybody can make accounts, so this is what an attack may cost a day.
    #[arg(long)]
    per_day: String,
}

#[derive(Args, Debug)]
pub(super) struct Withdraw {
    /// The contract.
    #[arg(long, value_parser = parse_address)]
    contract: Address,
    /// How much is to leave, in all, after the notice; 0 takes an announcement back.
    #[arg(long)]
    amount: Option<String>,
}

pub(super) async fn deposit(fees: &Fees, arguments: &Amounted) -> Result<Answer, Error> {
    let amount = Amount::parse_positive(Token::Mvc, &arguments.amount)?;
    let callee = arguments.contract;
    let receipt = fees
        .0
        .call(&IFees::depositCall { callee }, amount.units())
        .await?;
    let facts = vec![
        ("contract", callee.to_string()),
        ("deposited", amount.to_string()),
    ];
    let json = json!({ "contract": callee, "deposited": amount });
    Ok(done(facts, json, &receipt))
}

/// A limit in the smallest unit; none if it is not given.
fn limit(text: Option<&str>) -> Result<u128, Error> {
    let Some(text) = text else {
        return Ok(u128::MAX);
    };
    // More than there is of the coin is no limit either.
    Ok(Amount::parse(Token::Mvc, text)?.units().saturating_to())
}

pub(super) async fn share(fees: &Fees, arguments: &Share) -> Result<Answer, Error> {
    let callee = arguments.contract;
    let terms = IFees::Terms {
        shareBp: arguments.basis_points,
        perTransaction: limit(arguments.per_transaction.as_deref())?,
        perUserDay: limit(arguments.per_user_day.as_deref())?,
        perDay: limit(Some(&arguments.per_day))?,
    };
    let call = IFees::setTermsCall { callee, terms };
    let receipt = fees.0.call(&call, NOTHING).await?;
    let since = event::<IFees::TermsSet>(&receipt).map(|event| event.since);
    let facts = vec![
        ("contract", callee.to_string()),
        ("share, basis points", arguments.basis_points.to_string()),
        (
            "holds from (seconds since 1970)",
            since.map_or_else(|| "unknown".to_owned(), |since| since.to_string()),
        ),
    ];
    let json = json!({ "contract": callee, "shareBp": arguments.basis_points, "since": since });
    Ok(done(facts, json, &receipt))
}

pub(super) async fn withdraw(fees: &Fees, arguments: &Withdraw) -> Result<Answer, Error> {
    let callee = arguments.contract;
    let Some(amount) = &arguments.amount else {
        let receipt = fees
            .0
            .call(&IFees::withdrawCall { callee }, NOTHING)
            .await?;
        let paid = event::<IFees::Withdrawn>(&receipt).map_or(U256::ZERO, |event| event.amount);
        let facts = vec![
            ("contract", callee.to_string()),
            ("withdrawn", mvc(paid).to_string()),
        ];
        let json = json!({ "contract": callee, "withdrawn": mvc(paid) });
        return Ok(done(facts, json, &receipt));
    };
    let amount = Amount::parse(Token::Mvc, amount)?;
    let call = IFees::announceWithdrawalCall {
        callee,
        amount: amount.units(),
    };
    let receipt = fees.0.call(&call, NOTHING).await?;
    let ready = event::<IFees::WithdrawalAnnounced>(&receipt).map(|event| event.ready);
    let facts = vec![
        ("contract", callee.to_string()),
        ("leaves", amount.to_string()),
        (
            "ready at (seconds since 1970)",
            ready.map_or_else(|| "unknown".to_owned(), |ready| ready.to_string()),
        ),
    ];
    let json = json!({ "contract": callee, "leaving": amount, "ready": ready });
    Ok(done(facts, json, &receipt))
}
