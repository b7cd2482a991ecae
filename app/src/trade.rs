//! Quotes, prepared transactions, and what became of them.

use crate::{
    api::{Body, Money, Part, Query, Shared, Side, account},
    problem::{Problem, Refusals},
    route::{Place, Route, RouteKind},
    state::App,
};
use alloy::{
    primitives::{B256, Bytes, Signature, U256},
    providers::Provider as _,
};
use axum::Json;
use mileverse_primitives::Address;
use mileverse_wallet::{
    client::{Chains, Client, ClientError, Fare, PaidBy, Quote, Step, Wish},
    permit::Permit,
    review::Review,
    rpc::Chain,
    transaction::{Fees, Unsigned},
    units::{Amount, Token},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Parts of 10,000 by which a swap may be worse than quoted, if nothing is said.
pub(crate) const DEFAULT_SLIPPAGE_BP: u16 = 50;
/// Minutes for which a swap may happen, if nothing is said.
pub(crate) const DEFAULT_MINUTES: u64 = 5;
/// Most minutes.
pub(crate) const MAX_MINUTES: u64 = 60;
/// Minutes after which a transfer is refunded, if nothing is said.
const DEFAULT_BRIDGE_MINUTES: u64 = 60;
/// Most minutes: 30 days, less one for clocks that differ.
const MAX_BRIDGE_MINUTES: u64 = 30 * 24 * 60 - 1;
/// About how long a swap takes.
const SWAP_SECONDS: u32 = 2;
/// A certificate, and one block of Ethereum.
const TO_ETHEREUM_SECONDS: u32 = 30;
/// Until a block of Ethereum is final (two epochs), and the delegates agree on it.
const TO_NATIVE_SECONDS: u32 = 16 * 60;

/// Which side of a swap stays as it is asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fixed {
    /// Exactly the amount is given.
    #[default]
    Give,
    /// Exactly the amount is received.
    Receive,
}

/// What is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// The token that is given.
    give: Side,
    /// Where it is: `native` if nothing is said.
    from: Option<Place>,
    /// The token that is received: without it the other token on the same chain, the same on another.
    receive: Option<Side>,
    /// Where it is received: where it is given if nothing is said.
    to: Option<Place>,
    /// How much, as a decimal number.
    #[param(example = "12.5")]
    amount: String,
    /// Of which side: `give` if nothing is said.
    fixed: Option<Fixed>,
    /// How much worse than quoted a swap may be, in parts of 10,000: 50 if nothing is said, at most
    /// 5,000.
    slippage_bp: Option<u16>,
}

/// What a route would bring now, and by what.
enum Offer {
    Swap(Box<Quote>),
    Bridge(Route, Amount),
    /// The pool's quote, on either side of the bridge.
    Across(Route, Box<Quote>),
}

impl Asked {
    async fn offer(&self, app: &App) -> Result<Offer, Problem> {
        let from = self.from.unwrap_or_default();
        let (route, kind) = Route::find(self.give, from, self.receive, self.to)?;
        let fixed = self.fixed.unwrap_or_default();
        let received = self.receive.unwrap_or(self.give.other());
        let amount = match (kind, fixed) {
            (RouteKind::Swap, Fixed::Receive) => received.into(),
            _ => route.give,
        };
        let amount = Amount::parse_positive(amount, &self.amount)?;
        match kind {
            RouteKind::Swap => {
                let wish = match fixed {
                    Fixed::Give => Wish::Give(amount),
                    Fixed::Receive => Wish::Receive(amount),
                };
                let slippage = self.slippage_bp.unwrap_or(DEFAULT_SLIPPAGE_BP);
                let quote = app.client().await?.quote(wish, slippage).await?;
                Ok(Offer::Swap(Box::new(quote)))
            }
            RouteKind::Bridge => {
                app.chains().await?;
                Ok(Offer::Bridge(route, amount))
            }
            RouteKind::BridgeAndSwap => {
                if fixed == Fixed::Receive {
                    return Err(Problem::invalid(
                        "Between the chains the amount is what is given; leave out fixed.",
                    ));
                }
                let slippage = self.slippage_bp.unwrap_or(DEFAULT_SLIPPAGE_BP);
                let quote = app.chains().await?.quote_across(amount, slippage).await?;
                Ok(Offer::Across(route, Box::new(quote)))
            }
        }
    }
}

/// What a route would bring now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quoted {
    /// What it takes.
    route: RouteKind,
    /// What goes in.
    give: Money,
    /// What comes out.
    receive: Money,
    /// Given at most.
    most: Money,
    /// Received at least, or refunded.
    least: Money,
    /// The pool: its providers' part of what goes in.
    fee: Option<Money>,
    /// The pool: points for one coin by the reserves, before this swap.
    price: Option<Money>,
    /// The pool: points for one coin in this swap.
    rate: Option<Money>,
    /// About how long until it has arrived, in seconds.
    seconds: u32,
}

impl Quoted {
    fn by_pool(route: RouteKind, quote: &Quote, seconds: u32) -> Self {
        Self {
            route,
            give: quote.give.into(),
            receive: quote.receive.into(),
            most: quote.most.into(),
            least: quote.least.into(),
            fee: Some(quote.fee.into()),
            price: Some(quote.price.into()),
            rate: Some(quote.rate.into()),
            seconds,
        }
    }
}

impl From<&Offer> for Quoted {
    fn from(offer: &Offer) -> Self {
        let across = |route: &Route| match route.from {
            Chain::Native => TO_ETHEREUM_SECONDS,
            Chain::Ethereum => TO_NATIVE_SECONDS,
        };
        match offer {
            Offer::Swap(quote) => Self::by_pool(RouteKind::Swap, quote, SWAP_SECONDS),
            Offer::Across(route, quote) => {
                Self::by_pool(RouteKind::BridgeAndSwap, quote, across(route))
            }
            Offer::Bridge(route, amount) => Self {
                route: RouteKind::Bridge,
                give: (*amount).into(),
                receive: (*amount).into(),
                most: (*amount).into(),
                least: (*amount).into(),
                fee: None,
                price: None,
                rate: None,
                seconds: across(route),
            },
        }
    }
}

/// What a route would bring now: a swap by the pool's reserves, the bridge the same amount.
#[utoipa::path(get, path = "/quote", tag = "swap", params(Asked), responses((status = 200, body = Quoted), Refusals))]
pub(crate) async fn quote(
    app: Shared,
    Query(asked): Query<Asked>,
) -> Result<Json<Quoted>, Problem> {
    Ok(Json((&asked.offer(&app).await?).into()))
}

/// A swap or a transfer to be prepared.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Order {
    /// Who gives, and signs.
    account: String,
    /// The bridge: who receives on the other chain; the same account if nothing is said.
    receiver: Option<String>,
    /// As for a quote.
    give: Side,
    /// As for a quote.
    from: Option<Place>,
    /// As for a quote.
    receive: Option<Side>,
    /// As for a quote.
    to: Option<Place>,
    /// As for a quote.
    amount: String,
    /// As for a quote.
    fixed: Option<Fixed>,
    /// As for a quote.
    slippage_bp: Option<u16>,
    /// Minutes for which it may happen. A swap: 5 if nothing is said, at most 60. The bridge: what
    /// has not arrived after so many is refunded; 60 if nothing is said, at most 43,199.
    minutes: Option<u64>,
    /// Points that are swapped, here or on their way to Ethereum: the signed `permit` of an earlier answer. Then
    /// one transaction is enough, and the swap is good until the permit's deadline, whatever `minutes` says.
    permit: Option<SignedPermit>,
}

/// A permit (EIP-2612) that the account signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SignedPermit {
    /// As it was asked for: seconds since 1970.
    deadline: u64,
    /// As it was asked for: micro-points. Without it what is given; needed where what is received is fixed.
    #[schema(example = "12500000")]
    value: Option<String>,
    /// What the wallet answered: 65 bytes in hex.
    signature: String,
}

/// A permit to be signed instead of the step `allow`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PermitAsked {
    /// Until when permit and swap are good: seconds since 1970.
    deadline: u64,
    /// What may be taken at most, in micro-points.
    value: String,
    /// The same in words.
    lines: Vec<Line>,
    /// As `eth_signTypedData_v4` takes it.
    #[schema(value_type = Object)]
    typed_data: serde_json::Value,
}

/// Who pays for gas.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum GasPaidBy {
    /// Nobody with coin or ether: it is free here, or is paid with points.
    Nobody,
    /// The account, with coin or ether.
    Sender,
    /// The operator of the contract that is called, all of it or its share.
    Operator,
    /// Nobody: it is free gas of the account's stake.
    Stake,
}

impl From<PaidBy> for GasPaidBy {
    fn from(paid_by: PaidBy) -> Self {
        match paid_by {
            PaidBy::Nobody => Self::Nobody,
            PaidBy::Sender => Self::Sender,
            PaidBy::Operator => Self::Operator,
            PaidBy::Stake => Self::Stake,
        }
    }
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
    /// The native chain's price of gas.
    #[serde(skip_serializing_if = "Option::is_none")]
    gas_price: Option<String>,
    /// Ethereum's, as EIP-1559 has it. Wallets may choose others.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fee_per_gas: Option<String>,
    /// The part of it that goes to the block's maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_priority_fee_per_gas: Option<String>,
}

/// One transaction to be signed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Prepared {
    /// `allow` lets the pool, the router or the bridge take exactly what is given; `swap`, `send` and
    /// `cross` (a swap between the chains) give it;
    /// `pay` pays a shop; `deliver` brings a packet to its end, `refund` the news of one that expired.
    kind: &'static str,
    /// Where it is sent.
    chain: Place,
    /// What to sign.
    transaction: Request,
    /// The same in words, decoded from its bytes.
    lines: Vec<Line>,
    /// Who pays for its gas, as of the newest block. Where that is the operator or the stake, an account without
    /// coin is asked for the price of gas that is left for itself, which may be zero: send it as it stands.
    gas_paid_by: GasPaidBy,
    /// Whether it was tried at the newest block and would succeed. False where it needs the step before
    /// it: prepare again once that is final.
    simulated: bool,
}

/// A swap or a transfer ready to be signed, step by step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    /// What it will be.
    quote: Quoted,
    /// What to sign, in this order; each only when the one before it is final.
    steps: Vec<Prepared>,
    /// Points that are swapped in two steps: sign this instead of the first, and prepare again with the
    /// signature. It leaves the wallet for no chain by itself, and costs nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    permit: Option<PermitAsked>,
}

/// The transactions of a swap or a transfer: typed, decoded, simulated.
#[utoipa::path(post, path = "/prepare", tag = "swap", request_body = Order, responses((status = 200, body = Plan), Refusals))]
pub(crate) async fn prepare(app: Shared, Body(order): Body<Order>) -> Result<Json<Plan>, Problem> {
    let from = account(&order.account)?;
    let receiver = order.receiver.as_deref().map_or(Ok(from), account)?;
    let asked = Asked {
        give: order.give,
        from: order.from,
        receive: order.receive,
        to: order.to,
        amount: order.amount,
        fixed: order.fixed,
        slippage_bp: order.slippage_bp,
    };
    let mut offer = asked.offer(&app).await?;
    let mut permit = None;
    if order.permit.is_some() && matches!(offer, Offer::Bridge(..)) {
        return Err(Problem::invalid("Only a swap of points takes a permit."));
    }
    let lifetime = DEFAULT_MINUTES.saturating_mul(60);
    let (client, steps) = match &mut offer {
        Offer::Swap(quote) => {
            let minutes = within(order.minutes, DEFAULT_MINUTES, MAX_MINUTES, "A swap")?;
            if receiver != from {
                return Err(Problem::invalid("A swap pays the account that signs it."));
            }
            let client = app.client().await?;
            let lifetime = minutes.saturating_mul(60);
            let signed = match &order.permit {
                Some(signed) => {
                    let (signature, deadline) = signed.read(client).await?;
                    // Prices move; what was signed for stays what may be taken.
                    if quote.is_receive_fixed {
                        quote.most = signed.most()?;
                    }
                    let asked = client.swap_permit(from, quote.most, deadline).await?;
                    asked.map(|permit| (permit, signature))
                }
                None => None,
            };
            let steps = match signed {
                Some((permit, signature)) => {
                    let step = client.plan_swap_with_permit(from, quote, &permit, &signature);
                    vec![step.await?]
                }
                None => {
                    let deadline = client.second_in(lifetime).await?;
                    permit = client.swap_permit(from, quote.most, deadline).await?;
                    client.plan_swap(from, from, quote, lifetime).await?
                }
            };
            (client, steps)
        }
        Offer::Across(route, quote) => {
            let chains = app.chains().await?;
            let client = chains.on(route.from);
            let deadline = arrival(chains, order.minutes).await?;
            let signed = match &order.permit {
                Some(signed) => {
                    let (signature, last) = signed.read(&chains.native).await?;
                    let asked = client.across_permit(from, quote, last).await?;
                    asked.map(|permit| (permit, signature))
                }
                None => None,
            };
            let steps = match signed {
                Some((permit, signature)) => {
                    let step = client
                        .plan_across_with_permit(receiver, quote, deadline, &permit, &signature);
                    vec![step.await?]
                }
                None => {
                    let last = chains.native.second_in(lifetime).await?;
                    permit = client.across_permit(from, quote, last).await?;
                    client
                        .plan_across(from, receiver, quote, deadline, lifetime)
                        .await?
                }
            };
            (client, steps)
        }
        Offer::Bridge(route, amount) => {
            let chains = app.chains().await?;
            let client = chains.on(route.from);
            let deadline = arrival(chains, order.minutes).await?;
            let steps = client.plan_bridge(from, receiver, *amount, deadline, false);
            (client, steps.await?)
        }
    };
    Ok(Json(Plan {
        steps: prepare_steps(client, from, &steps).await?,
        quote: (&offer).into(),
        permit: permit.map(|permit| PermitAsked::new(client, &permit)),
    }))
}

/// All steps, in their order.
pub(crate) async fn prepare_steps(
    client: &Client,
    from: Address,
    steps: &[Step],
) -> Result<Vec<Prepared>, Problem> {
    let mut prepared = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        // What stands after another step cannot be tried before that is final.
        prepared.push(prepare_step(client, from, step, index == 0).await?);
    }
    Ok(prepared)
}

impl PermitAsked {
    pub(crate) fn new(client: &Client, permit: &Permit) -> Self {
        Self {
            deadline: permit.deadline,
            value: permit.value.to_string(),
            lines: lines(client.places().permit(permit)),
            typed_data: permit.typed_data(),
        }
    }
}

/// The second of the other chain's time until which what is sent must have arrived.
async fn arrival(chains: &Chains, minutes: Option<u64>) -> Result<u64, Problem> {
    let minutes = within(
        minutes,
        DEFAULT_BRIDGE_MINUTES,
        MAX_BRIDGE_MINUTES,
        "A transfer",
    )?;
    Ok(chains.deadline(minutes).await?)
}

impl SignedPermit {
    /// The signature and its deadline, if both can be meant now.
    pub(crate) async fn read(&self, native: &Client) -> Result<(Signature, u64), Problem> {
        let signature = self
            .signature
            .parse()
            .map_err(|_| Problem::permit("A permit's signature is 0x and 130 hex digits."))?;
        let now = native.second_in(0).await?;
        let last = now.saturating_add(MAX_MINUTES.saturating_mul(60));
        if self.deadline < now || self.deadline > last {
            return Err(Problem::permit(format!(
                "The permit's deadline has passed, or lies more than {MAX_MINUTES} minutes ahead; prepare again without one."
            )));
        }
        Ok((signature, self.deadline))
    }

    /// What it allows.
    pub(crate) fn most(&self) -> Result<Amount, Problem> {
        let value = self.value.as_deref().and_then(|value| value.parse().ok());
        let value: U256 = value.ok_or_else(|| {
            Problem::permit("Name the permit's value, as it was asked for, in whole micro-points.")
        })?;
        Ok(Amount::from_units(Token::Mvp, value))
    }
}

pub(crate) fn within(
    minutes: Option<u64>,
    default: u64,
    most: u64,
    what: &str,
) -> Result<u64, Problem> {
    let minutes = minutes.unwrap_or(default);
    if (1..=most).contains(&minutes) {
        return Ok(minutes);
    }
    Err(Problem::invalid(format!(
        "{what} may wait 1 to {most} minutes."
    )))
}

/// A step as a wallet signs it, tried at the newest block if nothing has to come before it.
pub(crate) async fn prepare_step(
    client: &Client,
    from: Address,
    step: &Step,
    is_first: bool,
) -> Result<Prepared, Problem> {
    let gas_limit = if is_first {
        client.estimate(from, step).await?
    } else {
        step.untried_gas()
    };
    let Fare { fees, paid_by } = client.check_cost(from, step, gas_limit).await?;
    let unsigned = Unsigned {
        chain_id: client.chain_id(),
        nonce: 0,
        gas_limit,
        fees,
        to: step.to,
        value: step.value,
        input: step.input.clone(),
    };
    let review = Review {
        places: client.places(),
        account: from,
        transaction: &unsigned,
    };
    let (gas_price, dynamic) = match fees {
        Fees::Legacy { price } => (Some(format!("{price:#x}")), None),
        Fees::Dynamic { max, tip } => (None, Some((format!("{max:#x}"), format!("{tip:#x}")))),
    };
    let (max_fee_per_gas, max_priority_fee_per_gas) = dynamic.unzip();
    Ok(Prepared {
        kind: step.kind,
        chain: client.chain().into(),
        lines: lines(review.lines()),
        gas_paid_by: paid_by.into(),
        simulated: is_first,
        transaction: Request {
            chain_id: hex(unsigned.chain_id),
            from,
            to: unsigned.to,
            value: format!("{:#x}", unsigned.value),
            data: unsigned.input.clone(),
            gas: hex(unsigned.gas_limit),
            gas_price,
            max_fee_per_gas,
            max_priority_fee_per_gas,
        },
    })
}

/// Without what the person's own wallet chooses.
fn lines(shown: Vec<(&'static str, String)>) -> Vec<Line> {
    let shown = shown.into_iter();
    shown
        .filter(|(name, _)| *name != "transaction number")
        .map(|(name, value)| Line { name, value })
        .collect()
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

/// Where a transaction is. One confirmation of the native chain is final.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// This node has not heard of it; it may still come.
    Unknown,
    /// It waits for a block.
    Pending,
    /// It is in a block of Ethereum that is not final yet.
    Included,
    /// It happened, for good.
    Final,
    /// It is in a block, and was refused there; nothing moved.
    Failed,
}

/// Which chain a transaction is on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Where {
    /// `native` if nothing is said.
    chain: Option<Place>,
}

/// A transaction.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Found {
    #[schema(value_type = String)]
    hash: B256,
    chain: Place,
    stage: Stage,
    /// The block that holds it.
    block: Option<u64>,
    /// The packets that it sent over the bridge.
    packets: Vec<String>,
}

/// Where a transaction is.
#[utoipa::path(get, path = "/transactions/{hash}", tag = "swap", params(("hash" = String, Path), Where), responses((status = 200, body = Found), Refusals))]
pub(crate) async fn look_up(
    app: Shared,
    Part(hash): Part,
    Query(place): Query<Where>,
) -> Result<Json<Found>, Problem> {
    let hash: B256 = hash
        .parse()
        .map_err(|_| Problem::invalid("A transaction's hash is 0x and 64 hex digits."))?;
    let chain = place.chain.unwrap_or_default();
    let client = app.on(chain.into()).await?;
    let endpoint = client.endpoint();
    let fault = |fault| Problem::from(ClientError::from(endpoint.fault(fault)));
    let receipt = endpoint
        .provider()
        .get_transaction_receipt(hash)
        .await
        .map_err(fault)?;
    let mut packets = Vec::new();
    let mut block = None;
    let stage = match receipt {
        Some(receipt) => {
            block = receipt.block_number;
            if !receipt.status() {
                Stage::Failed
            } else {
                let posted = client.posted_by(hash).await?;
                packets = posted.iter().map(|one| one.packet.to_string()).collect();
                let last = client.finalized().await?;
                if block.is_some_and(|block| block <= last) {
                    Stage::Final
                } else {
                    Stage::Included
                }
            }
        }
        None => {
            let known = endpoint
                .provider()
                .get_transaction_by_hash(hash)
                .await
                .map_err(fault)?;
            if known.is_some() {
                Stage::Pending
            } else {
                Stage::Unknown
            }
        }
    };
    Ok(Json(Found {
        hash,
        chain,
        stage,
        block,
        packets,
    }))
}
