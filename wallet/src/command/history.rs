//! What happened to an account, and what happens to it now.

use super::{Answer, Error, Options, parse_address};
use crate::{
    client::{Beyond, Client, Entry, MAX_ENTRIES},
    clock::utc,
    rpc::Chain,
    units::Amount,
};
use alloy::primitives::Address;
use clap::Args;
use serde_json::json;
use std::{
    io::{self, Write as _},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Between two looks at the chain.
const POLL: Duration = Duration::from_millis(250);
/// Most blocks that one look asks about.
const MAX_STEP: u64 = 1_000;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The account; the keystore's own if left out.
    #[arg(long, value_parser = parse_address)]
    account: Option<Address>,
    /// How many entries, at most 1,000.
    #[arg(long, default_value_t = 25, value_name = "N")]
    limit: usize,
    /// Which chain's.
    #[arg(long, default_value = "native")]
    chain: Chain,
}

#[derive(Args, Debug)]
pub(super) struct Watch {
    /// The account; the keystore's own if left out.
    #[arg(long, value_parser = parse_address)]
    account: Option<Address>,
    /// End after so many seconds; without it, with Ctrl-C.
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

pub(super) async fn list(options: &Options, arguments: Arguments) -> Result<Answer, Error> {
    let account = options.key.account(arguments.account)?;
    let (native, facts) = Client::native(options.native.url()?, None).await?;
    let client = match arguments.chain {
        Chain::Native => native,
        Chain::Ethereum => {
            let source = native.rewards_source().await?;
            let client = Client::ethereum(options.ethereum.url()?, &facts, None).await?;
            client.with_rewards(source)
        }
    };
    let limit = arguments.limit.min(MAX_ENTRIES);
    let history = client.history(account, limit).await?;
    let rows = history.entries.iter().map(row).collect();
    let json = json!({ "account": account, "chain": client.chain(), "history": history });
    let header = vec!["time (UTC)", "what", "out", "in", "with", "transaction"];
    Ok(Answer::table(header, rows, json))
}

/// Lines as they come; at the end, how many.
pub(super) async fn watch(options: &Options, arguments: Watch) -> Result<Answer, Error> {
    let account = options.key.account(arguments.account)?;
    let (client, _) = Client::native(options.native.url()?, None).await?;
    let end = arguments
        .seconds
        .and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
    let mut seen = client.head().await?.number;
    let from = seen;
    let mut count: u64 = 0;
    if !options.json {
        eprintln!("watching {account} from block {seen} on; Ctrl-C ends it");
    }
    while end.is_none_or(|end| Instant::now() < end) {
        // A node that is away for a moment misses nothing: the next look begins where this one did.
        if let Ok(head) = client.head().await
            && head.number > seen
        {
            let to = head.number.min(seen.saturating_add(MAX_STEP));
            if let Ok(entries) = client.between(account, seen.saturating_add(1), to).await {
                for entry in entries.iter().rev() {
                    say(options, entry).map_err(Error::Output)?;
                    count = count.saturating_add(1);
                }
                seen = to;
            }
        }
        sleep(POLL).await;
    }
    let json = json!({ "account": account, "from": from, "to": seen, "entries": count });
    let facts = vec![
        ("account", account.to_string()),
        ("blocks", format!("{from} to {seen}")),
        ("entries", count.to_string()),
    ];
    Ok(Answer::facts(facts, json))
}

fn say(options: &Options, entry: &Entry) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if options.json {
        writeln!(out, "{}", json!(entry))?;
    } else {
        let words: Vec<_> = row(entry)
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        writeln!(out, "{}", words.join("  "))?;
    }
    out.flush()
}

fn row(entry: &Entry) -> Vec<String> {
    let amounts = |sign: &str, amounts: &[Amount]| {
        let texts = amounts.iter().map(|amount| format!("{sign}{amount}"));
        texts.collect::<Vec<_>>().join(", ")
    };
    vec![
        utc(entry.time),
        match entry.quarter {
            Some(quarter) => format!("reward {quarter}"),
            None => format!("{:?}", entry.kind).to_lowercase(),
        },
        amounts("-", &entry.out),
        amounts("+", &entry.r#in),
        match (&entry.beyond, entry.with) {
            (Some(beyond), _) => there(beyond),
            (None, Some(with)) => with.to_string(),
            (None, None) => String::new(),
        },
        entry.transaction.to_string(),
    ]
}

/// Another native chain, and the packet to it or from it.
fn there(beyond: &Beyond) -> String {
    let Beyond { chain, packet, .. } = beyond;
    match beyond.receiver {
        Some(receiver) => format!("{receiver} on chain {chain}, packet {packet}"),
        None => format!("chain {chain}, packet {packet}"),
    }
}
