//! Quotes, prepared transactions, and what became of them.

use crate::{
    api::{Body, Money, Query, Shared, Side, account},
    problem::Problem,
};
use alloy::{
    primitives::{B256, Bytes},
    providers::Provider as _,
};
use axum::{Json, extract::Path};
use mileverse_primitives::{
    Address,
    address::{COIN, POINTS},
    exchange::{ORACLE, POOL},
};
use mileverse_wallet::{
    client::{Client, ClientError, Quote, Step, Wish},
    review::Review,
    transaction::{Fees, Unsigned},
    units::Amount,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Parts of 10,000 by which a swap may be worse than quoted, if nothing is said.
const DEFAULT_SLIPPAGE_BP: u16 = 50;
/// Minutes for which a swap may happen, if nothing is said.
const DEFAULT_MINUTES: u64 = 5;
/// Most minutes.
const MAX_MINUTES: u64 = 60;

/// What a wallet needs to add the network.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChainFacts {
    /// EIP-155 chain id, in hex as EIP-3085 has it.
    chain_id: String,
    name: &'static str,
    /// Its JSON-RPC.
    rpc_url: String,
    /// Points, an ERC-20 with 6 decimals.
    #[schema(value_type = String)]
    points: Address,
    /// The coin's ERC-20 face.
    #[schema(value_type = String)]
    coin: Address,
    /// The pool of both.
    #[schema(value_type = String)]
    pool: Address,
    /// The platform's price.
    #[schema(value_type = String)]
    oracle: Address,
}

/// The network, as a wallet adds it.
#[utoipa::path(get, path = "/chain", tag = "swap", responses((status = 200, body = ChainFacts), (status = 503, body = Problem)))]
pub(crate) async fn chain(app: Shared) -> Result<Json<ChainFacts>, Problem> {
    let client = app.client().await?;
    Ok(Json(ChainFacts {
        chain_id: format!("{:#x}", client.chain_id()),
        name: "MileVerse",
        rpc_url: app.rpc().to_string(),
        points: POINTS,
        coin: COIN,
        pool: POOL,
        oracle: ORACLE,
    }))
}

/// What is wanted: `give` or `receive` is fixed, never both.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// Give exactly the amount of this token.
    give: Option<Side>,
    /// Receive exactly the amount of this token.
    receive: Option<Side>,
    /// How much, as a decimal number.
    #[param(example = "12.5")]
    amount: String,
    /// How much worse than quoted it may be, in parts of 10,000: 50 if nothing is said, at most 5,000.
    slippage_bp: Option<u16>,
}

impl Asked {
    fn wish(&self) -> Result<Wish, Problem> {
        match (self.give, self.receive) {
            (Some(side), None) => Ok(Wish::Give(Amount::parse_positive(
                side.into(),
                &self.amount,
            )?)),
            (None, Some(side)) => Ok(Wish::Receive(Amount::parse_positive(
                side.into(),
                &self.amount,
            )?)),
            _ => Err(Problem::invalid(
                "Say either what is given or what is received.",
            )),
        }
    }

    async fn quote(&self, client: &Client) -> Result<Quote, Problem> {
        let slippage = self.slippage_bp.unwrap_or(DEFAULT_SLIPPAGE_BP);
        Ok(client.quote(self.wish()?, slippage).await?)
    }
}

/// What the pool would do now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quoted {
    /// What goes in.
    give: Money,
    /// What comes out.
    receive: Money,
    /// The providers' part of what goes in.
    fee: Money,
    /// Points for one coin by the reserves, before this swap.
    price: Money,
    /// Points for one coin in this swap.
    rate: Money,
    /// Given at most.
    most: Money,
    /// Received at least.
    least: Money,
}

impl From<Quote> for Quoted {
    fn from(quote: Quote) -> Self {
        Self {
            give: quote.give.into(),
            receive: quote.receive.into(),
            fee: quote.fee.into(),
            price: quote.price.into(),
            rate: quote.rate.into(),
            most: quote.most.into(),
            least: quote.least.into(),
        }
    }
}

/// What the pool would do now.
#[utoipa::path(get, path = "/quote", tag = "swap", params(Asked), responses((status = 200, body = Quoted), (status = 409, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn quote(
    app: Shared,
    Query(asked): Query<Asked>,
) -> Result<Json<Quoted>, Problem> {
    Ok(Json(asked.quote(app.client().await?).await?.into()))
}

/// A swap to be prepared.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Order {
    /// Who swaps, and receives.
    account: String,
    /// Give exactly the amount of this token.
    give: Option<Side>,
    /// Receive exactly the amount of this token.
    receive: Option<Side>,
    /// How much, as a decimal number.
    amount: String,
    /// As for a quote.
    slippage_bp: Option<u16>,
    /// Minutes for which it may happen: 5 if nothing is said, at most 60.
    minutes: Option<u64>,
}

/// A name and a value of what is about to be signed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Line {
    name: &'static str,
    value: String,
}

/// A transaction as `eth_sendTransaction` takes it: numbers in hex.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    chain_id: String,
    #[schema(value_type = String)]
    from: Address,
    #[schema(value_type = String)]
    to: Address,
    value: String,
    #[schema(value_type = String)]
    data: Bytes,
    gas: String,
    gas_price: String,
}

/// One transaction to be signed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prepared {
    /// `allow` lets the pool take the points of this swap; `swap` is the swap.
    kind: &'static str,
    /// What to sign.
    transaction: Request,
    /// The same in words, decoded from its bytes.
    lines: Vec<Line>,
    /// Whether it was tried at the newest block and would succeed. False where it needs the step before
    /// it: prepare again once that is final.
    simulated: bool,
}

/// A swap ready to be signed, step by step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// What it will be.
    quote: Quoted,
    /// What to sign, in this order; each only when the one before it is final.
    steps: Vec<Prepared>,
}

/// The transactions of a swap: typed, decoded, simulated.
#[utoipa::path(post, path = "/prepare", tag = "swap", request_body = Order, responses((status = 200, body = Plan), (status = 409, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn prepare(app: Shared, Body(order): Body<Order>) -> Result<Json<Plan>, Problem> {
    let client = app.client().await?;
    let from = account(&order.account)?;
    let minutes = order.minutes.unwrap_or(DEFAULT_MINUTES);
    if !(1..=MAX_MINUTES).contains(&minutes) {
        return Err(Problem::invalid("A swap may wait 1 to 60 minutes."));
    }
    let asked = Asked {
        give: order.give,
        receive: order.receive,
        amount: order.amount,
        slippage_bp: order.slippage_bp,
    };
    let quote = asked.quote(client).await?;
    let lifetime = minutes.saturating_mul(60);
    let steps = client.plan_swap(from, &quote, lifetime).await?;
    let endpoint = client.endpoint();
    let price = endpoint
        .provider()
        .get_gas_price()
        .await
        .map_err(|fault| Problem::from(ClientError::from(endpoint.fault(fault))))?;
    let mut prepared = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        // What stands after another step cannot be tried before that is final.
        let gas = if index == 0 {
            Some(client.estimate(from, step).await?)
        } else {
            None
        };
        prepared.push(prepare_step(client, from, step, gas, price));
    }
    Ok(Json(Plan {
        quote: quote.into(),
        steps: prepared,
    }))
}

fn prepare_step(
    client: &Client,
    from: Address,
    step: &Step,
    gas: Option<u64>,
    price: u128,
) -> Prepared {
    let unsigned = Unsigned {
        chain_id: client.chain_id(),
        nonce: 0,
        gas_limit: gas.unwrap_or(Step::GAS),
        // Calls of the points module say by a price of zero that their gas is paid with points.
        fees: Fees::Legacy {
            price: if step.to == POINTS { 0 } else { price },
        },
        to: step.to,
        value: step.value,
        input: step.input.clone(),
    };
    let review = Review {
        places: client.places(),
        account: from,
        transaction: &unsigned,
    };
    let lines = review.lines().into_iter();
    Prepared {
        kind: step.kind,
        lines: lines
            // The person's own wallet chooses that one.
            .filter(|(name, _)| *name != "transaction number")
            .map(|(name, value)| Line { name, value })
            .collect(),
        simulated: gas.is_some(),
        transaction: Request {
            chain_id: hex(unsigned.chain_id),
            from,
            to: unsigned.to,
            value: format!("{:#x}", unsigned.value),
            data: unsigned.input.clone(),
            gas: hex(unsigned.gas_limit),
            gas_price: format!("{:#x}", unsigned.fees.most()),
        },
    }
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

/// Where a transaction is. One confirmation is final.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// This node has not heard of it; it may still come.
    Unknown,
    /// It waits for a block.
    Pending,
    /// It happened, for good.
    Final,
    /// It is in a block, and was refused there; nothing moved.
    Failed,
}

/// A transaction.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    #[schema(value_type = String)]
    hash: B256,
    stage: Stage,
    /// The block that holds it.
    block: Option<u64>,
}

/// Where a transaction is.
#[utoipa::path(get, path = "/transactions/{hash}", tag = "swap", params(("hash" = String, Path)), responses((status = 200, body = Found), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn look_up(app: Shared, Path(hash): Path<String>) -> Result<Json<Found>, Problem> {
    let hash: B256 = hash
        .parse()
        .map_err(|_| Problem::invalid("A transaction's hash is 0x and 64 hex digits."))?;
    let client = app.client().await?;
    let endpoint = client.endpoint();
    let fault = |fault| Problem::from(ClientError::from(endpoint.fault(fault)));
    let receipt = endpoint
        .provider()
        .get_transaction_receipt(hash)
        .await
        .map_err(fault)?;
    let (stage, block) = match receipt {
        Some(receipt) if receipt.status() => (Stage::Final, receipt.block_number),
        Some(receipt) => (Stage::Failed, receipt.block_number),
        None => {
            let known = endpoint
                .provider()
                .get_transaction_by_hash(hash)
                .await
                .map_err(fault)?;
            let stage = if known.is_some() {
                Stage::Pending
            } else {
                Stage::Unknown
            };
            (stage, None)
        }
    };
    Ok(Json(Found { hash, stage, block }))
}
