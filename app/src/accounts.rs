//! What accounts have, and what happened to them.

use crate::{
    api::{Money, Part, Query, Shared, account},
    packets::PacketFacts,
    problem::{Problem, Refusals},
    route::Place,
};
use axum::Json;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use mileverse_primitives::{Address, B256};
use mileverse_wallet::{
    client::{Chains, Client, ClientError, Entry, History, Kind, Posted},
    units::{Amount, Token},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Most entries of one answer.
const MAX_LIMIT: usize = 200;
/// Entries if nothing is said.
const DEFAULT_LIMIT: usize = 25;
/// Most packets of one answer.
const MAX_PACKETS: usize = 50;
/// Packets if nothing is said.
const DEFAULT_PACKETS: usize = 10;
/// Entries among which an account's packets are looked for.
const AMONG: usize = 200;
/// Questions of one answer, of 10,000 blocks each; `before` goes on from there.
const QUESTIONS: u64 = 20;
/// Packets that are asked about at once.
const AT_ONCE: usize = 4;

/// What an account has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Balances {
    /// On the native chain.
    points: Money,
    /// On the native chain.
    coin: Money,
    /// Null if this server was given no Ethereum, or cannot reach it now.
    ethereum: Option<EthereumBalances>,
}

/// What an account has on Ethereum.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EthereumBalances {
    /// Wrapped points.
    points: Money,
    coin: Money,
    /// Pays for gas there.
    ether: Money,
}

/// What an account has on both chains.
#[utoipa::path(get, path = "/accounts/{address}/balances", tag = "accounts", params(("address" = String, Path)), responses((status = 200, body = Balances), Refusals))]
pub(crate) async fn balances(app: Shared, Part(address): Part) -> Result<Json<Balances>, Problem> {
    let address = account(&address)?;
    let client = app.client().await?;
    let ethereum = match app.chains().await {
        Ok(chains) => on_ethereum(&chains.ethereum, address).await.ok(),
        Err(_) => None,
    };
    Ok(Json(Balances {
        points: client.balance(address, Token::Mvp).await?.into(),
        coin: client.balance(address, Token::Mvc).await?.into(),
        ethereum,
    }))
}

async fn on_ethereum(client: &Client, address: Address) -> Result<EthereumBalances, ClientError> {
    Ok(EthereumBalances {
        points: client.balance(address, Token::Mvp).await?.into(),
        coin: client.balance(address, Token::Mvc).await?.into(),
        ether: client.balance(address, Token::Eth).await?.into(),
    })
}

/// How many, from where.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// `native` if nothing is said.
    chain: Option<Place>,
    /// Most entries: 25 if nothing is said, at most 200.
    limit: Option<usize>,
    /// Only what is below this block: an answer's `oldest` asks for what comes after it.
    before: Option<u64>,
}

/// One event of an account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Happened {
    chain: Place,
    /// received, sent, made, left, swapped, provided or withdrawn.
    kind: &'static str,
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

impl Happened {
    pub(crate) fn on(chain: Place, entry: Entry) -> Self {
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
            chain,
            kind,
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
    /// The oldest block that was looked at; 0 if there is nothing before.
    oldest: u64,
    /// The newest.
    newest: u64,
}

/// What happened to an account on a chain, newest first.
#[utoipa::path(get, path = "/accounts/{address}/history", tag = "accounts", params(("address" = String, Path), Page), responses((status = 200, body = Past), Refusals))]
pub(crate) async fn history(
    app: Shared,
    Part(address): Part,
    Query(page): Query<Page>,
) -> Result<Json<Past>, Problem> {
    let address = account(&address)?;
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let chain = page.chain.unwrap_or_default();
    let client = app.on(chain.into()).await?;
    let history = client
        .history_before(address, limit, page.before, QUESTIONS)
        .await?;
    let oldest = went_to(&history, limit);
    Ok(Json(Past {
        oldest,
        newest: history.newest,
        entries: history
            .entries
            .into_iter()
            .map(|entry| Happened::on(chain, entry))
            .collect(),
    }))
}

/// The block below which the next page begins. A full page may have cut off entries of its last block;
/// they come again with the next one.
fn went_to(history: &History, limit: usize) -> u64 {
    match history.entries.last() {
        Some(last) if history.entries.len() >= limit => {
            let first = history.entries.first().map_or(0, |entry| entry.block);
            if first == last.block {
                last.block
            } else {
                last.block.saturating_add(1)
            }
        }
        _ => history.oldest,
    }
}

/// How many, from where.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Pages {
    /// Most packets: 10 if nothing is said, at most 50.
    limit: Option<usize>,
    /// Only what was sent below this block of the native chain.
    native_before: Option<u64>,
    /// Only what was sent below this block of Ethereum.
    ethereum_before: Option<u64>,
}

/// Transfers, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transfers {
    packets: Vec<PacketFacts>,
    /// The oldest block of the native chain that was looked at; 0 if there is nothing before.
    native_oldest: u64,
    /// The same on Ethereum.
    ethereum_oldest: u64,
}

/// The transfers between the chains that an account sent, newest first, as both chains tell.
#[utoipa::path(get, path = "/accounts/{address}/packets", tag = "accounts", params(("address" = String, Path), Pages), responses((status = 200, body = Transfers), Refusals))]
pub(crate) async fn packets(
    app: Shared,
    Part(address): Part,
    Query(pages): Query<Pages>,
) -> Result<Json<Transfers>, Problem> {
    let address = account(&address)?;
    let limit = pages.limit.unwrap_or(DEFAULT_PACKETS).clamp(1, MAX_PACKETS);
    let chains = app.chains().await?;
    let (mut posted, native) = sent(&chains.native, address, limit, pages.native_before).await?;
    let (others, ethereum) = sent(&chains.ethereum, address, limit, pages.ethereum_before).await?;
    posted.extend(others);
    posted.sort_by_key(|posted| std::cmp::Reverse(posted.at.time));
    posted.truncate(limit);
    let packets = traced(chains, posted).await?;
    Ok(Json(Transfers {
        packets,
        native_oldest: native,
        ethereum_oldest: ethereum,
    }))
}

/// How far these are.
pub(crate) async fn traced(
    chains: &Chains,
    posted: Vec<Posted>,
) -> Result<Vec<PacketFacts>, ClientError> {
    stream::iter(posted)
        .map(|posted| async move { Ok(PacketFacts::from(chains.trace(posted).await?)) })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// The newest transfers that an account sent from a chain, and the oldest block that was looked at.
pub(crate) async fn sent(
    client: &Client,
    account: Address,
    limit: usize,
    before: Option<u64>,
) -> Result<(Vec<Posted>, u64), ClientError> {
    let history = client
        .history_before(account, AMONG, before, QUESTIONS)
        .await?;
    let mut oldest = went_to(&history, AMONG);
    let mut left = history.entries;
    left.retain(|entry| {
        entry.kind == Kind::Left
            || (entry.kind == Kind::Swapped && entry.with == Some(client.bridge_address()))
    });
    if left.len() > limit {
        left.truncate(limit);
        oldest = left.last().map_or(oldest, |entry| entry.block);
    }
    Ok((client.posted_among(account, &left).await?, oldest))
}
