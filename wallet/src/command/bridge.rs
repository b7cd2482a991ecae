//! The bridge: sending, and where a packet is.

use super::{Answer, Error, Options, TokenName, parse_address};
use crate::{
    client::{
        Client, ClientError, PacketName, PacketReference, PacketStatus, PeerSend, Peers, Points,
        ReferenceError, Sent, SwapStatus,
    },
    rpc::Chain,
    units::{Amount, Token},
};
use alloy::primitives::{Address, B256};
use clap::{Args, Subcommand, ValueEnum};
use mileverse_primitives::packet::PacketId;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Display;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Sends tokens to Ethereum or from there, or points to another native chain.
    Send(Send),
    /// Says where a packet is, and what it waits for.
    Status {
        /// native:NUMBER or ethereum:NUMBER; between two native chains SOURCE:DESTINATION:NUMBER; or the
        /// hash of the transaction that sent it, on any of them.
        packet: String,
        #[command(flatten)]
        peer: Peer,
    },
    /// Brings a packet one stage further by your own transaction, as a relayer would: received or expired
    /// where it is going, or refunded or acknowledged where it came from. Anybody may; tokens go to its receiver or sender.
    Deliver {
        /// native:NUMBER or ethereum:NUMBER; between two native chains SOURCE:DESTINATION:NUMBER.
        packet: PacketName,
        #[command(flatten)]
        peer: Peer,
    },
}

/// Where another native chain is.
#[derive(Args, Debug)]
pub(super) struct Peer {
    /// JSON-RPC endpoint of the other native chain.
    #[arg(long, env = "MILEVERSE_PEER_RPC", value_name = "URL")]
    peer_rpc: Option<String>,
}

impl Peer {
    fn url(&self) -> Result<&str, Error> {
        self.peer_rpc.as_deref().ok_or(Error::Meaning(
            "no endpoint of the other native chain is known; use --peer-rpc or set MILEVERSE_PEER_RPC",
        ))
    }
}

#[derive(Args, Debug)]
pub(super) struct Send {
    /// What to send.
    #[arg(long)]
    token: TokenName,
    /// Which way, between the native chain and Ethereum.
    #[arg(
        long,
        required_unless_present = "to_chain",
        conflicts_with = "to_chain"
    )]
    direction: Option<Direction>,
    /// To the native chain with this id, a peer of the one at --native-rpc.
    #[arg(long, value_name = "CHAIN ID")]
    to_chain: Option<u64>,
    /// Sends the peer's own points home, instead of this chain's.
    #[arg(long, requires = "to_chain", conflicts_with = "direction")]
    theirs: bool,
    #[command(flatten)]
    peer: Peer,
    /// How much, as a decimal number.
    #[arg(long, allow_hyphen_values = true)]
    amount: String,
    /// Who receives it on the other chain; the sender's own account if left out.
    #[arg(long, value_parser = parse_address)]
    to: Option<Address>,
    /// Minutes in which it must arrive; afterwards it is refunded. At most 30 days.
    #[arg(long, default_value_t = 60, value_name = "MINUTES")]
    deadline: u64,
    /// Asks for an acknowledgement: once it was received over there, the chain that it was sent on knows.
    #[arg(long)]
    acknowledge: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Direction {
    ToEthereum,
    ToNative,
}

pub(super) async fn run(options: &Options, verb: Verb) -> Result<Answer, Error> {
    match verb {
        Verb::Send(arguments) => send(options, arguments).await,
        Verb::Status { packet, peer } => status(options, &packet, &peer).await,
        Verb::Deliver { packet, peer } => match packet {
            PacketName::Bridge(packet) => deliver(options, packet).await,
            PacketName::Peers(_) => deliver_to_peer(options, packet, &peer).await,
        },
    }
}

async fn send(options: &Options, arguments: Send) -> Result<Answer, Error> {
    let token = Token::from(arguments.token);
    let amount = Amount::parse_positive(token, &arguments.amount)?;
    if let Some(peer) = arguments.to_chain {
        return send_to_peer(options, &arguments, peer, amount).await;
    }
    let chain = match arguments.direction {
        Some(Direction::ToEthereum) => Chain::Native,
        Some(Direction::ToNative) => Chain::Ethereum,
        None => {
            return Err(Error::Meaning(
                "name a --direction, or a chain with --to-chain",
            ));
        }
    };
    let signer = options.key.signer()?;
    let receiver = arguments.to.unwrap_or(signer.address());
    let chains = options.chains(Some(signer)).await?;
    let deadline = chains.deadline(arguments.deadline).await?;
    let sent = chains
        .on(chain)
        .bridge_send(receiver, amount, deadline, arguments.acknowledge)
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
        "acknowledge": arguments.acknowledge,
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

/// Points to another native chain.
async fn send_to_peer(
    options: &Options,
    arguments: &Send,
    peer: u64,
    amount: Amount,
) -> Result<Answer, Error> {
    if amount.token() != Token::Mvp {
        return Err(Error::Meaning(
            "only points go to another native chain; MVC goes there over Ethereum, its home",
        ));
    }
    let signer = options.key.signer()?;
    let receiver = arguments.to.unwrap_or(signer.address());
    let (native, _) = Client::native(options.native.url()?, Some(signer)).await?;
    let native = native.with_consent(options.consent()?);
    let other = match &arguments.peer.peer_rpc {
        Some(url) => Some(Client::native(url, None).await?.0),
        None => None,
    };
    let deadline = native
        .peer_deadline(other.as_ref(), arguments.deadline)
        .await?;
    let points = if arguments.theirs {
        Points::Theirs
    } else {
        Points::Own
    };
    let home = match points {
        Points::Own => native.chain_id(),
        Points::Theirs => peer,
    };
    let sent = native
        .peer_send(PeerSend {
            peer,
            points,
            receiver,
            amount,
            deadline,
            acknowledge: arguments.acknowledge,
        })
        .await?;
    let packet = PacketName::Peers(sent.id);
    let json = json!({
        "packet": packet.to_string(),
        "sent": amount,
        "pointsOf": home,
        "fee": sent.fee,
        "receiver": receiver,
        "deadline": deadline,
        "acknowledge": arguments.acknowledge,
        "commitment": sent.commitment,
        "transaction": sent.sent,
    });
    Ok(Answer::facts(
        vec![
            ("packet", packet.to_string()),
            ("sent", format!("{amount} of chain {home}")),
            ("fee", sent.fee.to_string()),
            ("to", format!("{receiver} on chain {peer}")),
            ("deadline", format!("in {} minutes", arguments.deadline)),
            ("transaction", sent.sent.hash.to_string()),
            ("next", format!("mileverse wallet bridge status {packet}")),
        ],
        json,
    ))
}

/// One stage further between two native chains.
async fn deliver_to_peer(
    options: &Options,
    packet: PacketName,
    peer: &Peer,
) -> Result<Answer, Error> {
    let PacketName::Peers(id) = packet else {
        return Err(ReferenceError(packet.to_string()).into());
    };
    let signer = options.key.signer()?;
    let peers = Peers::connect(options.native.url()?, peer.url()?, Some(signer)).await?;
    let peers = peers.with_consent(options.consent()?);
    let (delivered, step, to) = peers.plan_delivery(id).await?;
    let kind = step.kind;
    let chain = to.chain_id();
    let sent = to.deliver_by_hand(step).await?;
    let status = peers.packet_status(id).await?;
    Ok(Answer::facts(
        delivered_facts(&status, kind, &format!("chain {chain}"), &sent),
        delivered_json(&status, &delivered, kind, &chain, &sent),
    ))
}

async fn deliver(options: &Options, reference: PacketReference) -> Result<Answer, Error> {
    let signer = options.key.signer()?;
    let chains = options.chains(Some(signer)).await?;
    let delivery = chains.plan_delivery(reference).await?;
    let (kind, chain) = (delivery.step.kind, delivery.chain);
    let sent = chains.on(chain).deliver_by_hand(delivery.step).await?;
    let status = chains.packet_status(reference).await?;
    Ok(Answer::facts(
        delivered_facts(&status, kind, &chain.to_string(), &sent),
        delivered_json(&status, &delivery.packet, kind, &chain, &sent),
    ))
}

/// What a delivery by hand came to; `delivered` is the packet that it carried, which brings news of the
/// other one where that has expired.
fn delivered_json(
    status: &PacketStatus,
    delivered: &impl Display,
    kind: &str,
    chain: &impl Serialize,
    sent: &Sent,
) -> Value {
    json!({
        "packet": status.packet.to_string(),
        "delivered": delivered.to_string(),
        "kind": kind,
        "chain": chain,
        "transaction": sent,
        "state": status.state,
    })
}

/// The same for people.
fn delivered_facts(
    status: &PacketStatus,
    kind: &str,
    chain: &str,
    sent: &Sent,
) -> Vec<(&'static str, String)> {
    let packet = status.packet;
    let mut facts = vec![
        ("packet", packet.to_string()),
        ("sent", format!("{kind}, on {chain}")),
        ("transaction", sent.hash.to_string()),
        ("state", status.state.to_string()),
    ];
    if status.waits_for.is_some() {
        facts.push(("next", format!("mileverse wallet bridge deliver {packet}")));
    }
    facts
}

async fn status(options: &Options, packet: &str, peer: &Peer) -> Result<Answer, Error> {
    let hash = packet
        .strip_prefix("0x")
        .map(|_| packet.parse::<B256>())
        .transpose()
        .map_err(|_| ReferenceError(packet.chars().take(80).collect()))?;
    let named = match hash {
        Some(_) => None,
        None => Some(packet.parse::<PacketName>()?),
    };
    let status = match (named, hash) {
        (Some(PacketName::Peers(id)), _) => between_peers(options, id, peer).await?,
        (Some(PacketName::Bridge(reference)), _) => {
            let chains = options.chains(None).await?;
            chains.packet_status(reference).await?
        }
        (None, Some(hash)) => sent_by(options, hash, peer).await?,
        (None, None) => return Err(ReferenceError(packet.to_owned()).into()),
    };
    Ok(told(status))
}

async fn between_peers(
    options: &Options,
    id: PacketId,
    peer: &Peer,
) -> Result<PacketStatus, Error> {
    let peers = Peers::connect(options.native.url()?, peer.url()?, None).await?;
    Ok(peers.packet_status(id).await?)
}

/// Of the packet that a transaction sent: on the native chain, on Ethereum or on a peer, as far as their
/// endpoints are known.
async fn sent_by(options: &Options, hash: B256, peer: &Peer) -> Result<PacketStatus, Error> {
    let (native, _) = Client::native(options.native.url()?, None).await?;
    if let Some(id) = native.peer_packet_of(hash).await? {
        return between_peers(options, id, peer).await;
    }
    if options.ethereum.url().is_ok() || peer.peer_rpc.is_none() {
        let chains = options.chains(None).await?;
        match chains.packet_of(hash).await {
            Ok(reference) => return Ok(chains.packet_status(reference).await?),
            Err(ClientError::TransactionUnknown(_)) if peer.peer_rpc.is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (far, _) = Client::native(peer.url()?, None).await?;
    match far.peer_packet_of(hash).await? {
        Some(id) => between_peers(options, id, peer).await,
        None => Err(ClientError::TransactionUnknown(hash).into()),
    }
}

fn told(status: PacketStatus) -> Answer {
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
            match (status.amount, status.points_of, status.sender) {
                (Some(amount), Some(home), _) => format!("{amount} of chain {home}"),
                (Some(amount), None, _) => amount.to_string(),
                (None, _, Some(_)) => "an unknown token".to_owned(),
                (None, _, None) => nobody(),
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
    if status.acknowledge {
        facts.push(("acknowledgement", "wanted by its sender".to_owned()));
    }
    facts.extend(swap);
    Answer::facts(facts, json)
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
