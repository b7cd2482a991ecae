//! What accounts have, what happened to them, and what happens now.

use crate::{
    MAX_STREAM,
    api::{Money, Query, Shared, account},
    problem::Problem,
};
use axum::{
    Json,
    extract::Path,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _, stream};
use mileverse_primitives::{Address, B256};
use mileverse_wallet::{
    client::{Client, Entry, Kind},
    units::{Amount, Token},
};
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, time::Duration};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};
use utoipa::{IntoParams, ToSchema};

/// Most entries of one answer.
const MAX_LIMIT: usize = 200;
/// Entries if nothing is said.
const DEFAULT_LIMIT: usize = 25;
/// Between two looks of a stream.
const POLL: Duration = Duration::from_millis(500);
/// Most blocks that one look of a stream asks about.
const MAX_STEP: u64 = 1_000;

/// What an account has on the native chain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Balances {
    points: Money,
    coin: Money,
}

/// What an account has.
#[utoipa::path(get, path = "/accounts/{address}/balances", tag = "accounts", params(("address" = String, Path)), responses((status = 200, body = Balances), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn balances(
    app: Shared,
    Path(address): Path<String>,
) -> Result<Json<Balances>, Problem> {
    let address = account(&address)?;
    let client = app.client().await?;
    Ok(Json(Balances {
        points: client.balance(address, Token::Mvp).await?.into(),
        coin: client.balance(address, Token::Mvc).await?.into(),
    }))
}

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Most entries: 25 if nothing is said, at most 200.
    limit: Option<usize>,
}

/// One event of an account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Happened {
    /// received, sent, made, left, swapped, provided or withdrawn.
    kind: String,
    /// What went out.
    out: Vec<Money>,
    /// What came in.
    #[serde(rename = "in")]
    incoming: Vec<Money>,
    /// The other side, if there is one.
    #[schema(value_type = Option<String>)]
    with: Option<Address>,
    block: u64,
    /// Seconds since 1970.
    time: u64,
    #[schema(value_type = String)]
    transaction: B256,
}

impl From<Entry> for Happened {
    fn from(entry: Entry) -> Self {
        let money = |amounts: Vec<Amount>| amounts.into_iter().map(Money::from).collect();
        let kind = match entry.kind {
            Kind::Received => "received",
            Kind::Sent => "sent",
            Kind::Made => "made",
            Kind::Left => "left",
            Kind::Swapped => "swapped",
            Kind::Provided => "provided",
            Kind::Withdrawn => "withdrawn",
        };
        Self {
            kind: kind.to_owned(),
            out: money(entry.out),
            incoming: money(entry.r#in),
            with: entry.with,
            block: entry.block,
            time: entry.time,
            transaction: entry.transaction,
        }
    }
}

/// Newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Past {
    entries: Vec<Happened>,
    /// The oldest block that was looked at.
    oldest: u64,
    /// The newest.
    newest: u64,
}

/// What happened to an account, newest first.
#[utoipa::path(get, path = "/accounts/{address}/history", tag = "accounts", params(("address" = String, Path), Page), responses((status = 200, body = Past), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn history(
    app: Shared,
    Path(address): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<Past>, Problem> {
    let address = account(&address)?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let history = app.client().await?.history(address, limit).await?;
    Ok(Json(Past {
        entries: history.entries.into_iter().map(Happened::from).collect(),
        oldest: history.oldest,
        newest: history.newest,
    }))
}

/// Where one stream is.
struct Reading {
    client: Client,
    account: Address,
    seen: u64,
    end: Instant,
    _slot: OwnedSemaphorePermit,
}

/// Each new entry of an account's history as it becomes final: events named `entry`, whose id is the
/// block. A stream ends after an hour; `Last-Event-ID` is not needed, the history has what was missed.
#[utoipa::path(get, path = "/accounts/{address}/events", tag = "accounts", params(("address" = String, Path)), responses((status = 200, content_type = "text/event-stream", body = Happened), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn events(
    app: Shared,
    Path(address): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let account = account(&address)?;
    let slot = app
        .streams
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::busy())?;
    let client = app.client().await?.clone();
    let seen = client.head().await?.number;
    let reading = Reading {
        client,
        account,
        seen,
        end: Instant::now() + MAX_STREAM,
        _slot: slot,
    };
    let looks = stream::unfold(reading, |mut reading| async move {
        if Instant::now() >= reading.end {
            return None;
        }
        sleep(POLL).await;
        Some((stream::iter(reading.look().await), reading))
    });
    Ok(Sse::new(looks.flatten()).keep_alive(KeepAlive::default()))
}

impl Reading {
    /// What is new. A node that is away for a moment is asked again from the same block on.
    async fn look(&mut self) -> Vec<Result<Event, Infallible>> {
        let Ok(head) = self.client.head().await else {
            return Vec::new();
        };
        if head.number <= self.seen {
            return Vec::new();
        }
        let from = self.seen.saturating_add(1);
        let to = head.number.min(self.seen.saturating_add(MAX_STEP));
        let Ok(entries) = self.client.between(self.account, from, to).await else {
            return Vec::new();
        };
        self.seen = to;
        let events = entries.into_iter().rev().filter_map(|entry| {
            let id = entry.block.to_string();
            Event::default()
                .event("entry")
                .id(id)
                .json_data(Happened::from(entry))
                .ok()
        });
        events.map(Ok).collect()
    }
}
