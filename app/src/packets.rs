//! Transfers between the chains: how far one is, and how to bring it further when nobody does.

use crate::{
    api::{Body, Money, Part, Shared, account},
    problem::{Problem, Refusals},
    route::Place,
    trade::{Prepared, prepare_step},
};
use alloy::primitives::B256;
use axum::Json;
use mileverse_primitives::{Address, packet::Packet};
use mileverse_wallet::client::{PacketReference, Seen, Stage, Trace};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far a packet is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Progress {
    /// In a block of its source.
    Locked,
    /// In a block that stays.
    Final,
    /// The destination can check it: whoever delivers it now brings it to its end.
    Proven,
    /// Checked in time, and waits for its delay, as large transfers do.
    Held,
    /// Took effect. The end.
    Received,
    /// Came too late or was rejected; the refund is on its way.
    Expired,
    /// Its tokens are back with the sender. The end.
    Refunded,
}

impl From<Stage> for Progress {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Locked => Self::Locked,
            Stage::Final => Self::Final,
            Stage::Proven => Self::Proven,
            Stage::Held => Self::Held,
            Stage::Received => Self::Received,
            Stage::Expired => Self::Expired,
            Stage::Refunded => Self::Refunded,
        }
    }
}

/// Where something happened.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Event {
    chain: Place,
    #[schema(value_type = String)]
    transaction: B256,
    block: u64,
    /// Seconds since 1970.
    time: u64,
}

impl From<Seen> for Event {
    fn from(seen: Seen) -> Self {
        Self {
            chain: seen.chain.into(),
            transaction: seen.transaction,
            block: seen.block,
            time: seen.time,
        }
    }
}

/// What a swap between the chains asks for, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SwapFacts {
    /// The least that must arrive; otherwise it is refunded.
    least: Option<Money>,
    /// What arrived. In lists, and before that, null.
    received: Option<Money>,
    /// Why the pool did not swap, if it was asked.
    refused: Option<String>,
}

/// A packet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PacketFacts {
    /// Its name: `native:7`, `ethereum:3`.
    packet: String,
    /// `transfer`, `swap` (a transfer that is swapped where it arrives), `expiry`, `acknowledgement` or
    /// `rotation`.
    kind: &'static str,
    from: Place,
    to: Place,
    /// How far it is.
    stage: Progress,
    /// What moves; null for a token that is not known here.
    amount: Option<Money>,
    /// Of a transfer that is swapped where it arrives.
    swap: Option<SwapFacts>,
    /// Who sent it, and is refunded.
    #[schema(value_type = Option<String>)]
    sender: Option<Address>,
    /// Who receives it.
    #[schema(value_type = Option<String>)]
    receiver: Option<Address>,
    /// Last second since 1970, by the destination's clock, at which it may be received.
    deadline: Option<u64>,
    /// Its deadline is over and nobody has delivered it: it will be refunded.
    late: bool,
    /// From which second on a held packet may be released.
    held_until: Option<u64>,
    /// Its hash, as both sides store it.
    #[schema(value_type = String)]
    commitment: B256,
    /// Where it was locked.
    locked: Event,
    /// Where it was received or expired. In lists, and before that, null.
    outcome: Option<Event>,
    /// Where it was refunded. In lists, and before that, null.
    refund: Option<Event>,
}

impl From<Trace> for PacketFacts {
    fn from(trace: Trace) -> Self {
        let late = trace.is_late();
        let content = &trace.posted.content;
        let transfer = content.transfer();
        let source = trace.posted.packet.chain;
        Self {
            packet: trace.posted.packet.to_string(),
            kind: match content {
                Packet::Transfer(transfer) if transfer.action.is_some() => "swap",
                Packet::Transfer(_) => "transfer",
                Packet::Expiry(_) => "expiry",
                Packet::Rotation(_) => "rotation",
                Packet::Acknowledgement(_) => "acknowledgement",
            },
            from: source.into(),
            to: source.other().into(),
            stage: trace.stage.into(),
            amount: trace.amount.map(Money::from),
            swap: trace.swap.map(|swap| SwapFacts {
                least: swap.least.map(Money::from),
                received: swap.received.map(Money::from),
                refused: swap.refused,
            }),
            sender: transfer.map(|transfer| transfer.sender),
            receiver: transfer.map(|transfer| transfer.receiver),
            deadline: match content {
                Packet::Transfer(transfer) => Some(transfer.deadline),
                Packet::Expiry(_) | Packet::Rotation(_) | Packet::Acknowledgement(_) => None,
            },
            late,
            held_until: trace.held_until,
            commitment: content.commitment(),
            locked: trace.posted.at.into(),
            outcome: trace.outcome.map(Event::from),
            refund: trace.refund.map(Event::from),
        }
    }
}

fn reference(text: &str) -> Result<PacketReference, Problem> {
    text.parse().map_err(|_| {
        Problem::invalid("A packet is named by its source and its number: native:7, ethereum:3.")
    })
}

/// How far a packet is, with all transactions that brought it there.
#[utoipa::path(get, path = "/packets/{packet}", tag = "packets", params(("packet" = String, Path, example = "native:7")), responses((status = 200, body = PacketFacts), Refusals))]
pub(crate) async fn look_up(app: Shared, Part(packet): Part) -> Result<Json<PacketFacts>, Problem> {
    let reference = reference(&packet)?;
    let chains = app.chains().await?;
    let posted = chains.posted(reference).await?;
    Ok(Json(chains.trace_to_the_end(posted).await?.into()))
}

/// Who delivers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Courier {
    /// Who signs, and pays the gas. Anybody may; what moves goes to the packet's receiver or sender.
    account: String,
}

/// What brings a packet one stage further.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryPlan {
    /// The packet that is delivered: the transfer, or the expiry that refunds it.
    packet: String,
    /// What to sign.
    step: Prepared,
}

/// The transaction that brings a packet one stage further, with its proof: received or expired at its
/// destination, or refunded at its source.
#[utoipa::path(post, path = "/packets/{packet}/delivery", tag = "packets", params(("packet" = String, Path, example = "native:7")), request_body = Courier, responses((status = 200, body = DeliveryPlan), Refusals))]
pub(crate) async fn deliver(
    app: Shared,
    Part(packet): Part,
    Body(courier): Body<Courier>,
) -> Result<Json<DeliveryPlan>, Problem> {
    let reference = reference(&packet)?;
    let from = account(&courier.account)?;
    let chains = app.chains().await?;
    let delivery = chains.plan_delivery(reference).await?;
    let client = chains.on(delivery.chain);
    Ok(Json(DeliveryPlan {
        packet: delivery.packet.to_string(),
        step: prepare_step(client, from, &delivery.step, true).await?,
    }))
}
