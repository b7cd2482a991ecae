//! What a relayer has done and what it waits for, from its database.

use crate::{
    Error,
    chain::End,
    clock::Clock,
    config::Config,
    route::SWAP_ENDS,
    store::{
        Counts, Direction, Health, Lane, Outcome, Position, RouteStore, SetAside, Store, SwapAside,
        SwapCounts,
    },
};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use mileverse_primitives::{Address, B256};
use serde::Serialize;

/// Most refused packets that are listed.
const MAX_SET_ASIDE: usize = 20;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    routes: Vec<RouteStatus>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RouteStatus {
    route: String,
    directions: Vec<DirectionStatus>,
    /// Hashed-timelock swaps by chain, if they are completed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    swaps: Vec<SwapsStatus>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SwapsStatus {
    chain: &'static str,
    counts: SwapCounts,
    set_aside: Vec<SwapAside>,
    transactions: Vec<TransactionStatus>,
    health: Health,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DirectionStatus {
    direction: Direction,
    /// Packets found so far.
    found: u64,
    counts: Counts,
    set_aside: Vec<SetAside>,
    transactions: Vec<TransactionStatus>,
    health: Health,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransactionStatus {
    hash: B256,
    account: Address,
    nonce: u64,
    packets: usize,
    outcome: &'static str,
}

/// Prints it, as a table or as one JSON object.
pub(super) async fn show(config: &Config, json: bool) -> Result<(), Error> {
    let store = Store::look(&config.database).await?;
    let mut routes = Vec::new();
    for (name, route) in &config.routes {
        let mut directions = Vec::new();
        let mut swaps = Vec::new();
        // A route that never ran has nothing to tell.
        if let Some(rows) = store.route(name).await? {
            for direction in rows.directions() {
                directions.push(of(&rows, direction).await?);
            }
            for end in SWAP_ENDS.into_iter().filter(|_| route.swaps.is_some()) {
                swaps.push(swaps_of(&rows, end).await?);
            }
        }
        routes.push(RouteStatus {
            route: name.clone(),
            directions,
            swaps,
        });
    }
    store.close().await;
    let status = Status { routes };
    super::say(json, &status, || table(&status, Clock::system().now_ms()))
}

async fn of(store: &RouteStore, direction: Direction) -> Result<DirectionStatus, Error> {
    let counts = store.counts(direction).await?;
    let first = Position {
        next: 0,
        search_block: 0,
        packet_block: 0,
    };
    let position = store.position(direction, first).await?;
    Ok(DirectionStatus {
        direction,
        found: match store.directions() {
            // Sequences count from 1, places in an outbox from 0.
            [Direction::ToEthereum, back] if back == direction => position.next.saturating_sub(1),
            _ => position.next,
        },
        counts,
        set_aside: store.set_asides(direction, MAX_SET_ASIDE).await?,
        transactions: transactions(store, direction.into()).await?,
        health: store.health(direction).await?,
    })
}

async fn swaps_of(store: &RouteStore, end: End) -> Result<SwapsStatus, Error> {
    let lane = Lane::Swaps(end);
    Ok(SwapsStatus {
        chain: end.word(),
        counts: store.swap_counts(end, Clock::system().now_ms()).await?,
        set_aside: store.swap_asides(end, MAX_SET_ASIDE).await?,
        transactions: transactions(store, lane).await?,
        health: store.health(lane).await?,
    })
}

async fn transactions(store: &RouteStore, lane: Lane) -> Result<Vec<TransactionStatus>, Error> {
    let transactions = store
        .signed(lane)
        .await?
        .into_iter()
        .map(|row| TransactionStatus {
            hash: row.hash,
            account: row.account,
            nonce: row.nonce,
            packets: row.packets.len(),
            outcome: match row.outcome {
                None => "waiting for a block",
                Some(Outcome::Included) => "in a block, not final yet",
                Some(Outcome::Reverted) => "refused in its block",
                Some(Outcome::Gone) => "overtaken by another",
            },
        })
        .collect();
    Ok(transactions)
}

fn table(status: &Status, now_ms: u64) -> String {
    let mut overview = Table::new();
    overview.load_preset(UTF8_FULL_CONDENSED);
    overview.set_header([
        "route",
        "direction",
        "found",
        "waiting",
        "landed",
        "received",
        "expired",
        "last well",
        "trouble",
    ]);
    let mut details = Table::new();
    details.load_preset(UTF8_FULL_CONDENSED);
    details.set_header(["route", "direction", "what", "state"]);
    let all = status.routes.iter().flat_map(|route| {
        let named = |one| (route.route.as_str(), one);
        route.directions.iter().map(named)
    });
    for (route, one) in all {
        let Counts {
            waiting,
            landed,
            received,
            expired,
            acknowledgements,
        } = one.counts;
        overview.add_row([
            route.to_owned(),
            one.direction.word().to_owned(),
            one.found.to_string(),
            match acknowledgements {
                0 => waiting.to_string(),
                some => format!("{waiting}, {some} of them acknowledgements"),
            },
            landed.to_string(),
            received.to_string(),
            expired.to_string(),
            ago(one.health.ok_ms, now_ms),
            trouble(&one.health, now_ms),
        ]);
        for transaction in &one.transactions {
            details.add_row([
                route.to_owned(),
                one.direction.word().to_owned(),
                format!(
                    "transaction {}, {} packets",
                    transaction.hash, transaction.packets
                ),
                transaction.outcome.to_owned(),
            ]);
        }
        for packet in &one.set_aside {
            details.add_row([
                route.to_owned(),
                one.direction.word().to_owned(),
                format!("packet {} ({})", packet.sequence, packet.kind),
                format!(
                    "refused {} times: {}; tried again {}",
                    packet.attempts,
                    packet.reason,
                    ahead(packet.not_before_ms, now_ms)
                ),
            ]);
        }
    }
    let mut text = overview.to_string();
    let swaps = swaps_table(status, &mut details, now_ms);
    for table in [swaps, details] {
        if !table.is_empty() {
            text.push('\n');
            text.push_str(&table.to_string());
        }
    }
    text
}

/// The swaps of all routes; what is to be said of single ones goes to `details`.
fn swaps_table(status: &Status, details: &mut Table, now_ms: u64) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header([
        "route",
        "swaps on",
        "open",
        "wait for a secret",
        "due",
        "set aside",
        "settling",
        "claimed",
        "refunded",
        "last well",
        "trouble",
    ]);
    for route in &status.routes {
        for one in &route.swaps {
            let counts = &one.counts;
            let mut row = vec![route.route.clone(), one.chain.to_owned()];
            let figures = [
                counts.open,
                counts.waiting,
                counts.due,
                counts.set_aside,
                counts.settling,
                counts.claimed,
                counts.refunded,
            ];
            row.extend(figures.map(|figure| figure.to_string()));
            row.push(ago(one.health.ok_ms, now_ms));
            row.push(trouble(&one.health, now_ms));
            table.add_row(row);
            let place = format!("swaps on {}", one.chain);
            for transaction in &one.transactions {
                details.add_row([
                    route.route.clone(),
                    place.clone(),
                    format!("transaction {}", transaction.hash),
                    transaction.outcome.to_owned(),
                ]);
            }
            for swap in &one.set_aside {
                details.add_row([
                    route.route.clone(),
                    place.clone(),
                    format!("swap {}", swap.id),
                    format!(
                        "refused {} times: {}; tried again {}",
                        swap.attempts,
                        swap.reason,
                        ahead(swap.not_before_ms, now_ms)
                    ),
                ]);
            }
        }
    }
    table
}

fn trouble(health: &Health, now_ms: u64) -> String {
    match &health.error {
        Some(error) => format!("{error} (since {})", ago(health.error_ms, now_ms)),
        None => "none".to_owned(),
    }
}

fn ago(then_ms: u64, now_ms: u64) -> String {
    if then_ms == 0 {
        return "never".to_owned();
    }
    format!("{} s ago", now_ms.saturating_sub(then_ms) / 1_000)
}

fn ahead(then_ms: u64, now_ms: u64) -> String {
    match then_ms.checked_sub(now_ms) {
        Some(left) => format!("in {} s", left / 1_000),
        None => "now".to_owned(),
    }
}
