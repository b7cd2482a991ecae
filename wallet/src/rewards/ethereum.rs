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
use crate::client::{Client, ClientError};
use alloy::{
    primitives::{Address, U256},
    rpc::types::TransactionReceipt,
    sol_types::SolCall,
};
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

/// The contract, by somebody's access to Ethereum.
pub(super) struct Contract {
    pub(super) client: Client,
    pub(super) address: Address,
}

impl Contract {
    async fn view<C: SolCall>(&self, call: &C) -> Result<C::Return, Error> {
        Ok(self.client.endpoint().view(self.address, call).await?)
    }

    async fn execute(&self, call: &impl SolCall) -> Result<TransactionReceipt, Error> {
        let input = call.abi_encode().into();
        Ok(self.client.execute(self.address, U256::ZERO, input).await?)
    }

    async fn standing(&self) -> Result<IQuarterlyRewards::Standing, Error> {
        self.view(&QuarterlyRewards::standingCall {}).await
    }

    /// The report of a quarter, if it is open.
    async fn report(&self, quarter: u64) -> Result<Option<IQuarterlyRewards::Report>, Error> {
        match self.view(&QuarterlyRewards::reportCall { quarter }).await {
            Ok(report) => Ok(Some(report)),
            // The contract refuses to report what is not open.
            Err(Error::Client(ClientError::Rpc(error))) if error.is_revert() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reports of the last open quarters, at most so many, newest first.
    async fn reports(&self, most: u64) -> Result<Vec<IQuarterlyRewards::Report>, Error> {
        let next = self.standing().await?.next;
        let mut found = Vec::new();
        for back in 1..=most {
            let Some(quarter) = next.checked_sub(back) else {
                break;
            };
            match self.report(quarter).await? {
                Some(report) => found.push(report),
                // No quarter is open before the first.
                None => break,
            }
        }
        Ok(found)
    }
}

pub(super) async fn report(
    contract: &Contract,
    quarter: Option<Quarter>,
    last: u64,
) -> Result<Listing, Error> {
    let reports = match quarter {
        Some(quarter) => {
            let report = contract.report(quarter.number()).await?;
            vec![report.ok_or(Error::NotOpen(quarter))?]
        }
        None => contract.reports(last).await?,
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

pub(super) async fn preview(contract: &Contract, account: Address) -> Result<Listing, Error> {
    let standing = contract.standing().await?;
    let preview = contract
        .view(&QuarterlyRewards::previewCall { account })
        .await?;
    let quarter = Quarter::new(standing.quarter);
    let facts = vec![
        ("account", account.to_string()),
        ("quarter", quarter.to_string()),
        ("would earn", mvc(preview.amount).to_string()),
        ("balance", mvc(preview.holding).to_string()),
        ("all that earns", mvc(preview.eligible).to_string()),
        ("pot", mvc(preview.pot).to_string()),
        ("whole pot is there", standing.funded.to_string()),
    ];
    let json = json!({
        "account": account,
        "quarter": quarter.to_string(),
        "endsAt": standing.endsAt,
        "amount": mvc(preview.amount),
        "balance": mvc(preview.holding),
        "eligible": mvc(preview.eligible),
        "pot": mvc(preview.pot),
        "funded": standing.funded,
    });
    Ok(Listing::facts(facts, json))
}

pub(super) async fn earned(
    contract: &Contract,
    account: Address,
    last: u64,
) -> Result<Listing, Error> {
    let mut rows = Vec::new();
    let mut json = Vec::new();
    for report in contract.reports(last).await? {
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
    contract: &Contract,
    account: Address,
    arguments: &Claim,
) -> Result<Listing, Error> {
    let asked = match arguments.quarter {
        Some(quarter) => vec![quarter.number()],
        None => {
            let reports = contract.reports(u64::MAX).await?;
            reports.iter().map(|report| report.quarter).collect()
        }
    };
    let mut due = Vec::new();
    for quarter in asked {
        let call = QuarterlyRewards::earnedCall { account, quarter };
        let earned = match contract.view(&call).await {
            Err(Error::Client(ClientError::Rpc(error))) if error.is_revert() => {
                return Err(Error::NotOpen(Quarter::new(quarter)));
            }
            answer => answer?,
        };
        if !earned.isClaimed && !earned.amount.is_zero() {
            due.push((quarter, earned.amount));
        }
    }
    let mut rows = Vec::new();
    let mut json = Vec::new();
    for batch in due.chunks(BATCH) {
        let quarters = batch.iter().map(|(quarter, _)| *quarter).collect();
        let call = QuarterlyRewards::claimQuartersCall { account, quarters };
        let receipt = contract.execute(&call).await?;
        // What the contract says it paid: somebody else may have been faster.
        for log in receipt.logs() {
            let Ok(paid) = log.log_decode::<QuarterlyRewards::Claimed>() else {
                continue;
            };
            if log.address() != contract.address {
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

pub(super) async fn open(contract: &Contract, which: &Which) -> Result<Listing, Error> {
    let mut rows = Vec::new();
    let mut json = Vec::new();
    loop {
        let standing = contract.standing().await?;
        let quarter = standing.next;
        let is_asked = which.quarter.is_none_or(|one| one.number() >= quarter);
        if quarter >= standing.quarter || !is_asked {
            break;
        }
        let receipt = contract
            .execute(&QuarterlyRewards::openCall { quarter })
            .await?;
        let report = contract.report(quarter).await?;
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
        && contract.report(quarter.number()).await?.is_none()
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

pub(super) async fn forward(contract: &Contract, which: &Which) -> Result<Listing, Error> {
    let mut reports = match which.quarter {
        Some(quarter) => {
            let report = contract.report(quarter.number()).await?;
            vec![report.ok_or(Error::NotOpen(quarter))?]
        }
        None => contract.reports(FORWARDED).await?,
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
            .execute(&QuarterlyRewards::forwardCall { quarter })
            .await?;
        let sequence = contract
            .report(quarter)
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
