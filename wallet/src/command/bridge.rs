//! The bridge: sending, and where a packet is.

use super::{Answer, Error, Options, TokenName, parse_address};
use crate::{
    client::{PacketReference, PacketState, ReferenceError, SwapStatus},
    rpc::Chain,
    units::{Amount, Token},
};
use alloy::primitives::{Address, B256};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Sends tokens to the other chain.
    Send(Send),
    /// Says where a packet is, and what it waits for.
    Status {
        /// native:NUMBER, ethereum:NUMBER, or the hash of the transaction that sent it.
        packet: String,
    },
    /// Brings a packet one stage further by your own transaction, as a relayer would: received or expired
    /// where it is going, or refunded where it came from. Anybody may; tokens go to its receiver or sender.
    Deliver {
        /// native:NUMBER or ethereum:NUMBER
        packet: String,
    },
}

#[derive(Args, Debug)]
pub(super) struct Send {
    /// What to send.
    #[arg(long)]
    token: TokenName,
    /// Which way.
    #[arg(long)]
    direction: Direction,
    /// How much, as a decimal number.
    #[arg(long, allow_hyphen_values = true)]
    amount: String,
    /// Who receives it on the other chain; the sender's own account if left out.
    #[arg(long, value_parser = parse_address)]
    to: Option<Address>,
    /// Minutes in which it must arrive; afterwards it is refunded. At most 30 days.
    #[arg(long, default_value_t = 60, value_name = "MINUTES")]
    deadline: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Direction {
    ToEthereum,
    ToNative,
}

pub(super) async fn run(options: &Options, verb: Verb) -> Result<Answer, Error> {
    match verb {
        Verb::Send(arguments) => send(options, arguments).await,
        Verb::Status { packet } => status(options, &packet).await,
        Verb::Deliver { packet } => deliver(options, &packet).await,
    }
}

async fn send(options: &Options, arguments: Send) -> Result<Answer, Error> {
    let token = Token::from(arguments.token);
    let amount = Amount::parse_positive(token, &arguments.amount)?;
    let chain = match arguments.direction {
        Direction::ToEthereum => Chain::Native,
        Direction::ToNative => Chain::Ethereum,
    };
    let signer = options.key.signer()?;
    let receiver = arguments.to.unwrap_or(signer.address());
    let chains = options.chains(Some(signer)).await?;
    let deadline = chains.deadline(arguments.deadline).await?;
    let sent = chains
        .on(chain)
        .bridge_send(receiver, amount, deadline)
        .await?;
    let packet = PacketReference {
        chain,
        sequence: sent.id.sequence,
    };
    let json = json!({
        "packet": packet.to_string(),
        "sent": amount,
        "fee": sent.fee,
        "receiver": receiver,
        "deadline": deadline,
        "commitment": sent.commitment,
        "transaction": sent.sent,
    });
    Ok(Answer::facts(
        vec![
            ("packet", packet.to_string()),
            ("sent", amount.to_string()),
            ("fee", sent.fee.to_string()),
            ("to", format!("{receiver} on {}", chain.other())),
            ("deadline", format!("in {} minutes", arguments.deadline)),
            ("transaction", sent.sent.hash.to_string()),
            ("next", format!("mileverse wallet bridge status {packet}")),
        ],
        json,
    ))
}

async fn deliver(options: &Options, packet: &str) -> Result<Answer, Error> {
    let reference = packet.parse::<PacketReference>()?;
    let signer = options.key.signer()?;
    let chains = options.chains(Some(signer)).await?;
    let delivery = chains.plan_delivery(reference).await?;
    let (kind, chain) = (delivery.step.kind, delivery.chain);
    let sent = chains.on(chain).deliver_by_hand(delivery.step).await?;
    let status = chains.packet_status(reference).await?;
    let json = json!({
        "packet": reference.to_string(),
        "delivered": delivery.packet.to_string(),
        "kind": kind,
        "chain": chain,
        "transaction": sent,
        "state": status.state,
    });
    let mut facts = vec![
        ("packet", reference.to_string()),
        ("sent", format!("{kind}, on {chain}")),
        ("transaction", sent.hash.to_string()),
        ("state", status.state.to_string()),
    ];
    if !matches!(status.state, PacketState::Received | PacketState::Refunded) {
        facts.push((
            "next",
            format!("mileverse wallet bridge deliver {reference}"),
        ));
    }
    Ok(Answer::facts(facts, json))
}

async fn status(options: &Options, packet: &str) -> Result<Answer, Error> {
    let hash = packet
        .strip_prefix("0x")
        .map(|_| packet.parse::<B256>())
        .transpose()
        .map_err(|_| ReferenceError(packet.chars().take(80).collect()))?;
    let reference = match hash {
        Some(_) => None,
        None => Some(packet.parse::<PacketReference>()?),
    };
    let chains = options.chains(None).await?;
    let reference = match (reference, hash) {
        (Some(reference), _) => reference,
        (None, Some(hash)) => chains.packet_of(hash).await?,
        (None, None) => return Err(ReferenceError(packet.to_owned()).into()),
    };
    let status = chains.packet_status(reference).await?;
    let json = json!(status);
    let swap = status.swap.as_ref().map_or_else(Vec::new, swap);
    let account = |account: Option<Address>| account.map_or_else(nobody, |one| one.to_string());
    let mut facts = vec![
        ("packet", status.packet.to_string()),
        ("state", status.state.to_string()),
        (
            "waits for",
            status.waits_for.unwrap_or_else(|| "nothing".to_owned()),
        ),
        ("kind", status.kind.to_owned()),
        (
            "amount",
            match (status.amount, status.sender) {
                (Some(amount), _) => amount.to_string(),
                (None, Some(_)) => "an unknown token".to_owned(),
                (None, None) => nobody(),
            },
        ),
        ("sender", account(status.sender)),
        ("receiver", account(status.receiver)),
        (
            "deadline",
            status.deadline.map_or_else(nobody, |deadline| {
                format!("{deadline} (seconds since 1970)")
            }),
        ),
        ("commitment", status.commitment.to_string()),
    ];
    facts.extend(swap);
    Ok(Answer::facts(facts, json))
}

/// What a swap asks for, and what became of it.
fn swap(swap: &SwapStatus) -> Vec<(&'static str, String)> {
    let amount = |name, amount: Option<Amount>| amount.map(|amount| (name, amount.to_string()));
    let refused = swap.refused.clone().map(|why| ("not swapped", why));
    amount("swapped for at least", swap.least)
        .into_iter()
        .chain(amount("swapped for", swap.received))
        .chain(refused)
        .collect()
}

/// What stands where a packet that moves no tokens has nothing to say.
fn nobody() -> String {
    "none".to_owned()
}
