//! One account: what it would earn, and what it earned.

use super::{Error, Listing, Rewards, mvc};
use crate::{command::parse_address, rpc::Chain};
use alloy::primitives::Address;
use clap::Args;
use mileverse_primitives::{abi::IRewards, quarter::Quarter};
use serde_json::{Value, json};

/// Quarters of which the module knows what an account earned.
pub(super) const KNOWN: u64 = 8;

#[derive(Args, Debug)]
pub(super) struct Whose {
    /// The account; the keystore's own if left out.
    #[arg(long, value_parser = parse_address)]
    pub(super) account: Option<Address>,
    /// Where it is paid: by the native chain itself, or on Ethereum on claim.
    #[arg(long, default_value = "native")]
    pub(super) chain: Chain,
}

pub(super) async fn preview(rewards: &Rewards, account: Address) -> Result<Listing, Error> {
    let standing = rewards.view(&IRewards::standingCall {}).await?;
    let holder = rewards.view(&IRewards::holderCall { account }).await?;
    let preview = rewards.view(&IRewards::previewCall { account }).await?;
    let quarter = Quarter::new(standing.quarter);
    let facts = vec![
        ("account", account.to_string()),
        ("quarter", quarter.to_string()),
        ("would earn", mvc(preview.amount).to_string()),
        ("carries", mvc(holder.carried).to_string()),
        ("balance", mvc(holder.balance).to_string()),
        ("stake", mvc(holder.stake).to_string()),
        ("all that earns", mvc(preview.eligible).to_string()),
        ("pot", mvc(preview.pot).to_string()),
        ("earns", holder.earns.to_string()),
    ];
    let json = json!({
        "account": account,
        "quarter": quarter.to_string(),
        "endsAtMs": standing.endsAtMs,
        "amount": mvc(preview.amount),
        "carried": mvc(holder.carried),
        "balance": mvc(holder.balance),
        "stake": mvc(holder.stake),
        "eligible": mvc(preview.eligible),
        "pot": mvc(preview.pot),
        "earns": holder.earns,
    });
    Ok(Listing::facts(facts, json))
}

pub(super) async fn earned(rewards: &Rewards, account: Address) -> Result<Listing, Error> {
    let mut rows = Vec::new();
    let mut json = Vec::new();
    for report in rewards.reports(KNOWN).await? {
        let quarter = report.quarter;
        let amount = rewards
            .view(&IRewards::earnedCall { account, quarter })
            .await?;
        let name = Quarter::new(quarter).to_string();
        let is_paid = report.paidHeight > 0;
        rows.push(vec![
            name.clone(),
            mvc(amount).decimal(),
            is_paid.to_string(),
        ]);
        json.push(json!({ "quarter": name, "amount": mvc(amount), "allPaid": is_paid }));
    }
    let header = vec!["quarter", "earned", "all paid"];
    Ok(Listing::new(header, rows, Value::Array(json)))
}
