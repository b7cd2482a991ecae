//! Where the halves of a trade are, and an account's swaps.

use super::{Answer, Error, HEADER, Options, Sides, facts, next, parse_address, row};
use crate::{
    client::{Bounds, By, TimelockError, Trade, search},
    secrets,
};
use alloy::primitives::{Address, B256};
use clap::Args;
use serde_json::json;

#[derive(Args, Debug)]
pub(super) struct List {
    /// The account; the keystore's own if left out.
    #[arg(long, value_parser = parse_address)]
    account: Option<Address>,
    /// So many blocks back on each chain; if left out, as far as a search goes.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    blocks: Option<u64>,
}

pub(super) async fn status(
    options: &Options,
    contract: Option<Address>,
    swap: B256,
) -> Result<Answer, Error> {
    let sides = Sides::connect(options, contract, None).await?;
    let named = sides.named(swap).await?;
    let lock = named.map_or(swap, |half| half.terms.lock);
    let mut trade = Trade::default();
    for client in sides.all() {
        let found = client.timelock_find(lock).await?;
        trade.halves.extend(found.halves);
        trade.secret = trade.secret.or(found.secret);
    }
    if let Some(named) = named
        && !trade.halves.iter().any(|half| half.id == named.id)
    {
        trade.halves.push(named);
    }
    if trade.halves.is_empty() {
        return Err(TimelockError::Unknown(swap).into());
    }
    // Whoever answers ends earlier.
    trade
        .halves
        .sort_by_key(|half| std::cmp::Reverse(half.terms.deadline));
    let is_kept = secrets::find(&options.key.keystore, lock).is_ok_and(|kept| kept.is_some());
    let now = sides.now().await?;
    let todo = next::step(&trade, now);
    let secret = match (trade.secret, is_kept) {
        (Some(_), _) => "shown to everybody",
        (None, true) => "kept beside this keystore, and not shown yet",
        (None, false) => "not shown yet",
    };
    let mut notes = vec![
        format!("lock    {lock}"),
        format!("secret  {secret}"),
        format!("next    {todo}"),
    ];
    if sides.ethereum.is_none() {
        notes.push("Ethereum was not asked; name its endpoint with --ethereum-rpc".to_owned());
    } else if sides.all().len() < 2 {
        notes.push(TimelockError::NoContract(crate::rpc::Chain::Ethereum).to_string());
    }
    let json = json!({
        "lock": lock,
        "secretShown": trade.secret.is_some(),
        "secretKept": is_kept,
        "now": now,
        "halves": trade.halves.iter().map(facts).collect::<Vec<_>>(),
        "next": todo,
    });
    let rows = trade.halves.iter().map(row).collect();
    Ok(Answer::table(HEADER.to_vec(), rows, json).below(notes.join("\n")))
}

pub(super) async fn list(
    options: &Options,
    contract: Option<Address>,
    arguments: List,
) -> Result<Answer, Error> {
    let account = options.key.account(arguments.account)?;
    let sides = Sides::connect(options, contract, None).await?;
    let bounds = Bounds {
        since: None,
        blocks: arguments.blocks,
    };
    let mut found = Vec::new();
    for client in sides.all() {
        let trade = search(&[client], By::Account(account), bounds, |_| false).await?;
        for half in trade.halves {
            found.push((client.time(half.block).await?, half));
        }
    }
    found.sort_by_key(|(time, half)| std::cmp::Reverse((*time, half.block)));
    let swaps: Vec<_> = found
        .iter()
        .map(|(time, half)| {
            let mut facts = facts(half);
            if let Some(object) = facts.as_object_mut() {
                object.insert("time".to_owned(), json!(time));
            }
            facts
        })
        .collect();
    let json = json!({ "account": account, "swaps": swaps });
    let rows = found.iter().map(|(_, half)| row(half)).collect();
    Ok(Answer::table(HEADER.to_vec(), rows, json))
}
