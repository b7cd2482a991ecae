//! The side of Ethereum: what its contract pays on claim, and the calls that move it on.
//!
//! | verb | calls |
//! |---|---|
//! | `claim` | `claimQuarters`: pays an account for open quarters |
//! | `open` | `open`: each quarter that is over, in order |
//! | `forward` | `forward`: the share of each open quarter that did not leave, or came back |
//!
//! Anybody may make each of these calls for anybody. `open` and `forward` do what is due and nothing
//! else, so a timer may call them as often as it likes.

use super::{Error, Listing, mvc};
use crate::module::Module;
use alloy::primitives::{Address, U256};
use clap::Args;
use mileverse_bindings::{IQuarterlyRewards, QuarterlyRewards};
use mileverse_primitives::quarter::Quarter;
use serde_json::{Value, json};

/// Most quarters of one claim, as the contract has it.
const BATCH: usize = 256;
/// Open quarters that `forward` looks back on.
const FORWARDED: u64 = 64;

#[derive(Args, Debug)]
pub(super) struct Claim {
    /// Who is paid; the keystore's own account if left out.
    #[arg(long, value_parser = crate::command::parse_address)]
    pub(super) account: Option<Address>,
    /// One quarter, such as 2026Q4.
    #[arg(long, conflicts_with = "all", required_unless_present = "all")]
    quarter: Option<Quarter>,
    /// Every open quarter for which there is something to claim.
    #[arg(long)]
    all: bool,
}

#[derive(Args, Debug)]
pub(super) struct Which {
    /// One quarter, such as 2026Q4; every one that is due if left out.
    #[arg(long)]
    quarter: Option<Quarter>,
}

async fn standing(contract: &Module) -> Result<IQuarterlyRewards::Standing, Error> {
    Ok(contract.view(&QuarterlyRewards::standingCall {}).await?)
}

/// The report of a quarter, if it is open.
async fn find(contract: &Module, quarter: u64) -> Result<Option<IQuarterlyRewards::Report>, Error> {
    let call = QuarterlyRewards::reportCall { quarter };
    Ok(contract.find(&call).await?)
}

/// Reports of the last open quarters, at most so many, newest first.
async fn newest(contract: &Module, most: u64) -> Result<Vec<IQuarterlyRewards::Report>, Error> {
    let next = standing(contract).await?.next;
    let mut found = Vec::new();
    for back in 1..=most {
        let Some(quarter) = next.checked_sub(back) else {
            break;
        };
        match find(contract, quarter).await? {
            Some(report) => found.push(report),
            // No quarter is open before the first.
            None => break,
        }
    }
    Ok(found)
}

pub(super) async fn report(
    contract: &Module,
    quarter: Option<Quarter>,
    last: u64,
) -> Result<Listing, Error> {
    let reports = match quarter {
        Some(quarter) => {
            let report = find(contract, quarter.number()).await?;
            vec![report.ok_or(Error::NotOpen(quarter))?]
        }
        None => newest(contract, last).await?,
    };
    let header = vec![
        "quarter",
        "eligible",
        "pot",
        "paid",
        "claims",
        "unclaimed",
        "locked",
        "share",
        "packet",
        "opened",
        "next funded",
    ];
    let rows = reports
        .iter()
        .map(|report| {
            vec![
                Quarter::new(report.quarter).to_string(),
                mvc(report.eligible).decimal(),
                mvc(report.pot).decimal(),
                mvc(report.paid).decimal(),
                report.claims.to_string(),
                mvc(report.unclaimed).decimal(),
                mvc(report.locked).decimal(),
                mvc(report.share).decimal(),
                packet(report),
                report.openedAt.to_string(),
                report.nextFunded.to_string(),
            ]
        })
        .collect();
    let json = reports
        .iter()
        .map(|report| {
            json!({
                "quarter": Quarter::new(report.quarter).to_string(),
                "openedAt": report.openedAt,
                "eligible": mvc(report.eligible),
                "pot": mvc(report.pot),
                "paid": mvc(report.paid),
                "claims": report.claims,
                "unclaimed": mvc(report.unclaimed),
                "locked": mvc(report.locked),
                "share": mvc(report.share),
                "packet": (report.sequence > 0).then(|| format!("ethereum:{}", report.sequence)),
                "refunded": report.refunded,
                "nextFunded": report.nextFunded,
            })
        })
        .collect();
    Ok(Listing::new(header, rows, Value::Array(json)))
}

/// How the share crosses, in a word or by the packet's name.
fn packet(report: &IQuarterlyRewards::Report) -> String {
    if report.share.is_zero() {
        "none".to_owned()
    } else if report.sequence == 0 {
        "not sent".to_owned()
    } else if report.refunded {
        "came back".to_owned()
    } else {
        format!("ethereum:{}", report.sequence)
    }
}

pub(super) async fn preview(contract: &Module, account: Address) -> Result<Listing, Error> {
    let now = standing(contract).await?;
    let preview = contract
        .view(&QuarterlyRewards::previewCall { account })
        .await?;
    let quarter = Quarter::new(now.quarter);
    let facts = vec![
        ("account", account.to_string()),
        ("quarter", quarter.to_string()),
        ("would earn", mvc(preview.amount).to_string()),
        ("balance", mvc(preview.holding).to_string()),
        ("all that earns", mvc(preview.eligible).to_string()),
        ("pot", mvc(preview.pot).to_string()),
        ("whole pot is there", now.funded.to_string()),
    ];
    let json = json!({
        "account": account,
        "quarter": quarter.to_string(),
        "endsAt": now.endsAt,
        "amount": mvc(preview.amount),
        "balance": mvc(preview.holding),
        "eligible": mvc(preview.eligible),
        "pot": mvc(preview.pot),
        "funded": now.funded,
    });
    Ok(Listing::facts(facts, json))
}

pub(super) async fn earned(
    contract: &Module,
    account: Address,
    last: u64,
) -> Result<Listing, Error> {
    let mut rows = Vec::new();
    let mut json = Vec::new();
    for report in newest(contract, last).await? {
        let quarter = report.quarter;
        let earned = contract
            .view(&QuarterlyRewards::earnedCall { account, quarter })
            .await?;
        let name = Quarter::new(quarter).to_string();
        rows.push(vec![
            name.clone(),
            mvc(earned.amount).decimal(),
            earned.isClaimed.to_string(),
        ]);
        json.push(json!({
            "quarter": name,
            "amount": mvc(earned.amount),
            "claimed": earned.isClaimed,
        }));
    }
    let header = vec!["quarter", "earned", "claimed"];
    Ok(Listing::new(header, rows, Value::Array(json)))
}

pub(super) async fn claim(
    contract: &Module,
    account: Address,
    arguments: &Claim,
) -> Result<Listing, Error> {
    let asked = match arguments.quarter {
        Some(quarter) => vec![quarter.number()],
        None => {
            let reports = newest(contract, u64::MAX).await?;
            reports.iter().map(|report| report.quarter).collect()
        }
    };
    let mut due = Vec::new();
    for quarter in asked {
        let call = QuarterlyRewards::earnedCall { account, quarter };
        let earned = contract.find(&call).await?;
        let earned = earned.ok_or(Error::NotOpen(Quarter::new(quarter)))?;
        if !earned.isClaimed && !earned.amount.is_zero() {
            due.push((quarter, earned.amount));
        }
    }
    let mut rows = Vec::new();
    let mut json = Vec::new();
    for batch in due.chunks(BATCH) {
        let quarters = batch.iter().map(|(quarter, _)| *quarter).collect();
        let call = QuarterlyRewards::claimQuartersCall { account, quarters };
        let receipt = contract.call(&call, U256::ZERO).await?;
        // What the contract says it paid: somebody else may have been faster.
        for log in receipt.logs() {
            let Ok(paid) = log.log_decode::<QuarterlyRewards::Claimed>() else {
                continue;
            };
            if log.address() != contract.address() {
                continue;
            }
            let paid = paid.inner.data;
            let name = Quarter::new(paid.quarter).to_string();
            let hash = receipt.transaction_hash;
            rows.push(vec![
                name.clone(),
                paid.account.to_string(),
                mvc(paid.amount).decimal(),
                hash.to_string(),
            ]);
            json.push(json!({
                "quarter": name,
                "account": paid.account,
                "amount": mvc(paid.amount),
                "transaction": hash,
            }));
        }
    }
    let header = vec!["quarter", "account", "paid", "transaction"];
    Ok(Listing::new(header, rows, Value::Array(json)))
}

pub(super) async fn open(contract: &Module, which: &Which) -> Result<Listing, Error> {
    let mut rows = Vec::new();
    let mut json = Vec::new();
    loop {
        let now = standing(contract).await?;
        let quarter = now.next;
        let is_asked = which.quarter.is_none_or(|one| one.number() >= quarter);
        if quarter >= now.quarter || !is_asked {
            break;
        }
        let receipt = contract
            .call(&QuarterlyRewards::openCall { quarter }, U256::ZERO)
            .await?;
        let report = find(contract, quarter).await?;
        let report = report.ok_or(Error::NotOpen(Quarter::new(quarter)))?;
        let name = Quarter::new(quarter).to_string();
        rows.push(vec![
            name.clone(),
            mvc(report.pot).decimal(),
            mvc(report.eligible).decimal(),
            mvc(report.share).decimal(),
            report.nextFunded.to_string(),
            receipt.transaction_hash.to_string(),
        ]);
        json.push(json!({
            "quarter": name,
            "pot": mvc(report.pot),
            "eligible": mvc(report.eligible),
            "share": mvc(report.share),
            "nextFunded": report.nextFunded,
            "transaction": receipt.transaction_hash,
        }));
    }
    if let Some(quarter) = which.quarter.filter(|_| rows.is_empty())
        && find(contract, quarter.number()).await?.is_none()
    {
        return Err(Error::NotOver(quarter));
    }
    let header = vec![
        "opened",
        "pot",
        "eligible",
        "share",
        "next funded",
        "transaction",
    ];
    Ok(Listing::new(header, rows, Value::Array(json)))
}

pub(super) async fn forward(contract: &Module, which: &Which) -> Result<Listing, Error> {
    let mut reports = match which.quarter {
        Some(quarter) => {
            let report = find(contract, quarter.number()).await?;
            vec![report.ok_or(Error::NotOpen(quarter))?]
        }
        None => newest(contract, FORWARDED).await?,
    };
    // The native chain pays them in order.
    reports.reverse();
    let mut rows = Vec::new();
    let mut json = Vec::new();
    for report in reports {
        let is_due = !report.share.is_zero() && (report.sequence == 0 || report.refunded);
        if !is_due {
            continue;
        }
        let quarter = report.quarter;
        let receipt = contract
            .call(&QuarterlyRewards::forwardCall { quarter }, U256::ZERO)
            .await?;
        let sequence = find(contract, quarter)
            .await?
            .map_or(0, |report| report.sequence);
        let name = Quarter::new(quarter).to_string();
        let packet = format!("ethereum:{sequence}");
        rows.push(vec![
            name.clone(),
            mvc(report.share).decimal(),
            packet.clone(),
            receipt.transaction_hash.to_string(),
        ]);
        json.push(json!({
            "quarter": name,
            "share": mvc(report.share),
            "packet": packet,
            "transaction": receipt.transaction_hash,
        }));
    }
    let header = vec!["forwarded", "share", "packet", "transaction"];
    Ok(Listing::new(header, rows, Value::Array(json)))
}
