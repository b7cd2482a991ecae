//! The rules, what a contract's operator pays, what an account has free.

use super::{Answer, Error, Fees};
use crate::{command::parse_address, module::mvc};
use alloy::primitives::{Address, U256};
use clap::Args;
use mileverse_primitives::abi::IFees;
use serde_json::{Value, json};

#[derive(Args, Debug)]
pub(super) struct Show {
    /// The contract.
    #[arg(long, value_parser = parse_address)]
    pub(super) contract: Option<Address>,
    /// The account; the keystore's own if no contract is named either.
    #[arg(long, value_parser = parse_address)]
    pub(super) account: Option<Address>,
}

type Facts = Vec<(&'static str, String)>;

pub(super) async fn show(
    fees: &Fees,
    contract: Option<Address>,
    account: Option<Address>,
) -> Result<Answer, Error> {
    let rules = fees.0.view(&IFees::rulesCall {}).await?;
    let mut facts = vec![
        ("base price of a gas", mvc(rules.basePrice).to_string()),
        ("notice, seconds", rules.noticeSeconds.to_string()),
        (
            "free gas for each MVC of stake",
            rules.freeGasPerCoin.to_string(),
        ),
        ("in a window of epochs", rules.freeGasEpochs.to_string()),
    ];
    let mut json = json!({
        "rules": {
            "basePrice": rules.basePrice,
            "noticeSeconds": rules.noticeSeconds,
            "freeGasPerCoin": rules.freeGasPerCoin,
            "freeGasEpochs": rules.freeGasEpochs,
            "freeGasBp": rules.freeGasBp,
        },
    });
    let mut add = |name: &str, (more, value): (Facts, Value)| {
        facts.extend(more);
        if let Some(fields) = json.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    };
    if let Some(contract) = contract {
        add("contract", sponsor(fees, contract).await?);
    }
    if let Some(account) = account {
        add("account", quota(fees, account).await?);
    }
    if let (Some(contract), Some(account)) = (contract, account) {
        add("offer", offer(fees, contract, account).await?);
    }
    Ok(Answer::facts(facts, json))
}

async fn sponsor(fees: &Fees, callee: Address) -> Result<(Facts, Value), Error> {
    let found = fees.0.view(&IFees::operatorOfCall { callee }).await?;
    let operator = found.operator;
    if operator.is_zero() {
        let facts = vec![
            ("contract", callee.to_string()),
            ("operator", "nobody".to_owned()),
        ];
        return Ok((facts, json!({ "contract": callee, "operator": null })));
    }
    let IFees::Sponsor {
        deposit,
        leaving,
        leavingReady,
        terms,
        next,
        nextSince,
        spentToday,
    } = fees
        .0
        .view(&IFees::sponsorCall { callee, operator })
        .await?;
    let mut facts = vec![
        ("contract", callee.to_string()),
        ("operator", operator.to_string()),
        ("claimed", found.claimed.to_string()),
        ("deposit", mvc(deposit).to_string()),
        ("share, basis points", terms.shareBp.to_string()),
        ("most for a transaction", most(terms.perTransaction)),
        ("most for a user in a day", most(terms.perUserDay)),
        ("most in a day", most(terms.perDay)),
        ("spent today", mvc(spentToday).to_string()),
    ];
    if leavingReady != 0 {
        facts.push(("leaves", mvc(leaving).to_string()));
        facts.push(("ready at (seconds since 1970)", leavingReady.to_string()));
    }
    if nextSince != 0 {
        facts.push(("next share, basis points", next.shareBp.to_string()));
        facts.push(("holds from (seconds since 1970)", nextSince.to_string()));
    }
    let of = |terms: &IFees::Terms| {
        json!({
            "shareBp": terms.shareBp,
            "perTransaction": mvc(U256::from(terms.perTransaction)),
            "perUserDay": mvc(U256::from(terms.perUserDay)),
            "perDay": mvc(U256::from(terms.perDay)),
        })
    };
    let json = json!({
        "contract": callee,
        "operator": operator,
        "claimed": found.claimed,
        "deposit": mvc(deposit),
        "leaving": mvc(leaving),
        "leavingReady": leavingReady,
        "terms": of(&terms),
        "next": (nextSince != 0).then(|| json!({ "since": nextSince, "terms": of(&next) })),
        "spentToday": mvc(spentToday),
    });
    Ok((facts, json))
}

fn most(units: u128) -> String {
    if units == u128::MAX {
        "no limit".to_owned()
    } else {
        mvc(U256::from(units)).to_string()
    }
}

async fn quota(fees: &Fees, account: Address) -> Result<(Facts, Value), Error> {
    let found = fees.0.view(&IFees::quotaCall { account }).await?;
    let facts = vec![
        ("account", account.to_string()),
        ("free gas of its stake", found.gas.to_string()),
        ("left of it", found.left.to_string()),
        ("refilled at block", found.refillsAt.to_string()),
    ];
    let json = json!({
        "account": account,
        "freeGas": found.gas,
        "used": found.used,
        "left": found.left,
        "refillsAt": found.refillsAt,
    });
    Ok((facts, json))
}

async fn offer(fees: &Fees, callee: Address, user: Address) -> Result<(Facts, Value), Error> {
    let found = fees.0.view(&IFees::offerCall { callee, user }).await?;
    let facts = vec![
        (
            "the operator pays for one gas",
            mvc(found.price).to_string(),
        ),
        (
            "and for one transaction, at most",
            mvc(found.most).to_string(),
        ),
    ];
    let json = json!({ "price": mvc(found.price), "most": mvc(found.most) });
    Ok((facts, json))
}
