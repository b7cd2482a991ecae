//! Closed quarters.

use super::{Error, Listing, Rewards, mvc};
use crate::rpc::Chain;
use clap::Args;
use mileverse_primitives::{abi::IRewards, quarter::Quarter};
use serde_json::{Value, json};

/// Quarters that are listed if nothing else is asked.
const SOME: u64 = 8;

#[derive(Args, Debug)]
pub(super) struct Report {
    /// One quarter, such as 2026Q4.
    #[arg(long, conflicts_with = "last")]
    pub(super) quarter: Option<Quarter>,
    /// So many of the last quarters, at most 1,000.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    last: Option<u64>,
    /// Whose report: the native chain's, or that of the contract on Ethereum.
    #[arg(long, default_value = "native")]
    pub(super) chain: Chain,
}

impl Report {
    /// How many quarters are listed.
    pub(super) fn last(&self) -> u64 {
        self.last.unwrap_or(SOME)
    }
}

pub(super) async fn report(rewards: &Rewards, arguments: &Report) -> Result<Listing, Error> {
    let reports = match arguments.quarter {
        Some(quarter) => vec![
            rewards
                .report(quarter)
                .await?
                .ok_or(Error::NotClosed(quarter))?,
        ],
        None => rewards.reports(arguments.last()).await?,
    };
    let header = vec![
        "quarter",
        "holders",
        "eligible",
        "pot",
        "paid",
        "carried",
        "released",
        "remainder",
        "credited",
        "waiting",
        "closed",
        "blocks",
        "next funded",
        "share",
    ];
    let rows = reports.iter().map(row).collect();
    let json = reports.iter().map(describe).collect();
    Ok(Listing::new(header, rows, Value::Array(json)))
}

/// Blocks from the close to the last payment, both counted; nothing while it is paid.
fn blocks(report: &IRewards::Report) -> Option<u64> {
    let taken = report.paidHeight.checked_sub(report.closedHeight)?;
    taken.checked_add(1)
}

fn row(report: &IRewards::Report) -> Vec<String> {
    let blocks = blocks(report).map_or_else(|| "being paid".to_owned(), |count| count.to_string());
    vec![
        Quarter::new(report.quarter).to_string(),
        report.holders.to_string(),
        mvc(report.eligible).decimal(),
        mvc(report.pot).decimal(),
        mvc(report.paid).decimal(),
        mvc(report.carried).decimal(),
        mvc(report.released).decimal(),
        mvc(report.remainder).decimal(),
        report.credited.to_string(),
        report.waiting.to_string(),
        report.closedHeight.to_string(),
        blocks,
        report.nextFunded.to_string(),
        mvc(report.share).decimal(),
    ]
}

fn describe(report: &IRewards::Report) -> Value {
    json!({
        "quarter": Quarter::new(report.quarter).to_string(),
        "holders": report.holders,
        "eligible": mvc(report.eligible),
        "pot": mvc(report.pot),
        "paid": mvc(report.paid),
        "carried": mvc(report.carried),
        "released": mvc(report.released),
        "remainder": mvc(report.remainder),
        "credited": report.credited,
        "waiting": report.waiting,
        "closedHeight": report.closedHeight,
        "closedAtMs": report.closedAtMs,
        "paidHeight": (report.paidHeight > 0).then_some(report.paidHeight),
        "blocks": blocks(report),
        "nextFunded": report.nextFunded,
        "share": mvc(report.share),
        "locked": mvc(report.locked),
    })
}
