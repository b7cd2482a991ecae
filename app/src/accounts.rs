//! What accounts are, what they have, and what happened to them.

use crate::{
    api::{Money, Part, Query, Shared, account},
    history::{
        Below,
        page::{PageError, page},
    },
    packets::PacketFacts,
    problem::{Problem, Refusals},
    route::Place,
    state::App,
};
use alloy::providers::Provider as _;
use axum::Json;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use mileverse_primitives::{Address, B256, address};
use mileverse_wallet::{
    client::{Chains, Client, ClientError, Entry, HISTORY_RANGE, History, Kind, Posted},
    rpc::Chain,
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
/// Questions of one answer, of [`HISTORY_RANGE`] blocks each; `before` goes on from there.
const QUESTIONS: u64 = 20;
/// Packets that are asked about at once.
const AT_ONCE: usize = 4;
/// How the code of an account that delegates to other code begins (EIP-7702).
const DELEGATED: [u8; 3] = [0xef, 0x01, 0x00];

/// What is at an address.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddressFacts {
    /// The address with the upper and lower case letters of EIP-55, which tell a mistyped one.
    #[schema(example = "0x52908400098527886E0F7030069857D2E4169EE7")]
    address: String,
    /// Whether a program is there, on the native chain: what is sent to it may be lost. An account that
    /// delegates to code (EIP-7702) is none.
    native_contract: bool,
    /// The same on Ethereum. Null if this server was given none, or cannot reach it now.
    ethereum_contract: Option<bool>,
}

/// What is at an address: for whoever is about to send something there.
#[utoipa::path(get, path = "/accounts/{address}", tag = "accounts", params(("address" = String, Path)), responses((status = 200, body = AddressFacts), Refusals))]
pub(crate) async fn facts(app: Shared, Part(address): Part) -> Result<Json<AddressFacts>, Problem> {
    let address = account(&address)?;
    let native = has_program(app.client().await?, address).await?;
    let ethereum = match app.chains().await {
        Ok(chains) => has_program(&chains.ethereum, address).await.ok(),
        Err(_) => None,
    };
    Ok(Json(AddressFacts {
        address: address.to_checksum(None),
        native_contract: native || address::ALL.contains(&address),
        ethereum_contract: ethereum,
    }))
}

async fn has_program(client: &Client, address: Address) -> Result<bool, ClientError> {
    let endpoint = client.endpoint();
    let code = endpoint.provider().get_code_at(address).await;
    let code = code.map_err(|fault| endpoint.fault(fault))?;
    Ok(!code.is_empty() && !code.starts_with(&DELEGATED))
}

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
    /// `nextCursor` of the page before, on the same chain.
    cursor: Option<String>,
}

/// One event of an account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Happened {
    chain: Place,
    /// received, sent, made, left, swapped, provided, withdrawn or rewarded.
    kind: &'static str,
    /// What went out.
    out: Vec<Money>,
    /// What came in.
    #[serde(rename = "in")]
    incoming: Vec<Money>,
    /// The other side, if there is one.
    #[schema(value_type = Option<String>)]
    with: Option<Address>,
    /// Which quarter a reward is for.
    #[schema(example = "2026Q4")]
    quarter: Option<String>,
    /// What left over the bridge: the packet that carries it; in events, null. What went to another native
    /// chain or came from there: the packet, `7001:7002:3`, from the first chain to the second.
    packet: Option<String>,
    /// Who receives that packet on the other chain.
    #[schema(value_type = Option<String>)]
    receiver: Option<Address>,
    block: u64,
    /// Its place among the block's events: with chain and block a name of this entry.
    index: u64,
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
            Kind::Rewarded => "rewarded",
        };
        Self {
            chain,
            kind,
            out: money(entry.out),
            incoming: money(entry.r#in),
            with: entry.with,
            quarter: entry.quarter.map(|quarter| quarter.to_string()),
            packet: entry.beyond.map(|beyond| beyond.packet.to_string()),
            receiver: entry.beyond.and_then(|beyond| beyond.receiver),
            block: entry.block,
            index: entry.index,
            time: entry.time,
            transaction: entry.transaction,
        }
    }

    /// With the packet that its transaction sent, if it is what left by it.
    fn carried_by(mut self, posted: &[Posted]) -> Self {
        let has_left = self.kind == "left" || (self.kind == "swapped" && !self.out.is_empty());
        let by_bridge = has_left && self.packet.is_none();
        let mut found = posted
            .iter()
            .filter(|posted| posted.at.transaction == self.transaction);
        // A transaction that sent several does not say which one carries this.
        if let (true, Some(posted), None) = (by_bridge, found.next(), found.next()) {
            self.packet = Some(posted.packet.to_string());
            self.receiver = posted.content.transfer().map(|transfer| transfer.receiver);
        }
        self
    }
}

/// Newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Past {
    entries: Vec<Happened>,
    /// Send it as `cursor` for the next page; null on the last. A page may be short, or empty, and not be the
    /// last: where there is no index yet, so much was searched.
    #[schema(example = "184220.3")]
    next_cursor: Option<String>,
    /// From this block on the history is whole: 0 for all there ever was. Null without an index: then it ends
    /// where the node's blocks do.
    since: Option<u64>,
    /// Below this block it comes out of this server's index; null without one.
    indexed: Option<u64>,
}

/// What happened to an account on a chain, newest first: each entry once, however it is paged.
#[utoipa::path(get, path = "/accounts/{address}/history", tag = "accounts", params(("address" = String, Path), Page), responses((status = 200, body = Past), Refusals))]
pub(crate) async fn history(
    app: Shared,
    Part(address): Part,
    Query(asked): Query<Page>,
) -> Result<Json<Past>, Problem> {
    let address = account(&address)?;
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let below = match &asked.cursor {
        Some(cursor) => cursor
            .parse()
            .map_err(|error| Problem::invalid(format!("{error}.")))?,
        None => Below::TOP,
    };
    let chain = asked.chain.unwrap_or_default();
    let client = app.on(chain.into()).await?;
    let known = match app.shelf() {
        Some(shelf) => shelf.known(chain.into()).await.ok().flatten(),
        None => None,
    };
    let found = match page(client, app.shelf(), address, below, limit).await {
        // Without its index the page still has what the chain tells.
        Err(PageError::Shelf(error)) => {
            tracing::warn!(%error, "the page goes without its index");
            page(client, None, address, below, limit).await
        }
        found => found,
    };
    let found = found.map_err(|error| match error {
        PageError::Chain(error) => Problem::from(error),
        PageError::Shelf(_) => Problem::away("The history cannot be read now; try again."),
    })?;
    let posted = client.posted_among(address, &found.entries).await?;
    Ok(Json(Past {
        next_cursor: found.next.map(|next| next.to_string()),
        since: known.map(|known| known.first_block),
        indexed: known.map(|known| known.next_block),
        entries: found
            .entries
            .into_iter()
            .map(|entry| Happened::on(chain, entry).carried_by(&posted))
            .collect(),
    }))
}

/// The block below which the next page begins. A full page may have cut off entries of its last block;
/// they come again with the next one.
fn went_to(history: &History, limit: usize) -> u64 {
    match history.entries.last() {
        Some(last) if history.entries.len() >= limit => {
            let first = history.entries.first().map_or(0, |entry| entry.block);
            next_page(first, last.block)
        }
        _ => history.oldest,
    }
}

/// How many, from where.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Pages {
    /// Most packets of each chain: 10 if nothing is said, at most 50.
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
    /// Below this block of the native chain the list comes out of this server's index; null without one.
    native_indexed: Option<u64>,
    /// The same on Ethereum.
    ethereum_indexed: Option<u64>,
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
    let before = pages.native_before;
    let (mut posted, native) = sent(&app, &chains.native, address, limit, before).await?;
    let before = pages.ethereum_before;
    let (others, ethereum) = sent(&app, &chains.ethereum, address, limit, before).await?;
    posted.extend(others);
    posted.sort_by_key(|posted| std::cmp::Reverse(posted.at.time));
    let packets = traced(chains, posted).await?;
    Ok(Json(Transfers {
        packets,
        native_oldest: native,
        ethereum_oldest: ethereum,
        native_indexed: indexed(&app, Chain::Native).await,
        ethereum_indexed: indexed(&app, Chain::Ethereum).await,
    }))
}

/// The first block that is not in the index.
async fn indexed(app: &App, chain: Chain) -> Option<u64> {
    let cursor = app.shelf()?.cursor(chain).await.ok()?;
    Some(cursor?.next_block)
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

/// The newest transfers that an account sent from a chain, and the oldest block that was looked at: from
/// the index what it knows, by looking what came after.
pub(crate) async fn sent(
    app: &App,
    client: &Client,
    account: Address,
    limit: usize,
    before: Option<u64>,
) -> Result<(Vec<Posted>, u64), Problem> {
    let chain = client.chain();
    // Without its index the page still has what the chain tells.
    let indexed = match app.shelf() {
        Some(shelf) => shelf.cursor(chain).await.ok().flatten().zip(Some(shelf)),
        None => None,
    };
    let Some((cursor, shelf)) = indexed else {
        return Ok(seen(client, account, limit, before, QUESTIONS).await?);
    };
    let known = cursor.next_block;
    let mut posted = Vec::new();
    if before.is_none_or(|before| before > known) {
        let newest = client.head().await?.number;
        let end = before.map_or(newest, |before| newest.min(before.saturating_sub(1)));
        let blocks = end.saturating_add(1).saturating_sub(known);
        let questions = blocks.div_ceil(HISTORY_RANGE).min(QUESTIONS);
        if questions > 0 {
            let (new, oldest) = seen(client, account, limit, before, questions).await?;
            posted = new;
            if oldest > known {
                return Ok((posted, oldest));
            }
            posted.retain(|posted| posted.at.block >= known);
        }
    }
    let below = before.map_or(known, |before| before.min(known));
    let listed = match shelf
        .sent_by(chain, account, below, limit.saturating_add(1))
        .await
    {
        Ok(listed) => listed,
        Err(error) => {
            tracing::warn!(%error, "the page goes without its index");
            return Ok(seen(client, account, limit, before, QUESTIONS).await?);
        }
    };
    posted.extend(listed.into_iter().filter_map(|listed| listed.posted(chain)));
    let is_more = posted.len() > limit;
    posted.truncate(limit);
    let oldest = match (posted.first(), posted.last()) {
        (Some(first), Some(last)) if is_more => next_page(first.at.block, last.at.block),
        _ => 0,
    };
    Ok((posted, oldest))
}

/// The same by looking alone, with at most so many questions.
async fn seen(
    client: &Client,
    account: Address,
    limit: usize,
    before: Option<u64>,
    questions: u64,
) -> Result<(Vec<Posted>, u64), ClientError> {
    let history = client
        .history_before(account, AMONG, before, questions)
        .await?;
    let mut oldest = went_to(&history, AMONG);
    let mut left = history.entries;
    left.retain(|entry| {
        entry.kind == Kind::Left
            || (entry.kind == Kind::Swapped && entry.with == Some(client.bridge_address()))
    });
    if left.len() > limit {
        left.truncate(limit);
        if let (Some(first), Some(last)) = (left.first(), left.last()) {
            oldest = next_page(first.block, last.block);
        }
    }
    Ok((client.posted_among(account, &left).await?, oldest))
}

/// Below which block the page after a full one begins: what was cut off of the last block comes again.
/// A page of one block alone goes on below it.
fn next_page(first: u64, last: u64) -> u64 {
    if first == last {
        last
    } else {
        last.saturating_add(1)
    }
}
