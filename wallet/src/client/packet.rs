//! Where a packet is: sent, received, expired or refunded, and what it waits for.

use super::{Chains, Client, ClientError};
use crate::{
    rpc::Chain,
    units::{Amount, Token},
};
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, FixedBytes, U256},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::{SolError, SolEvent},
};
use mileverse_primitives::{
    abi::IBridge,
    address,
    exchange::{Pool, ROUTER, SwapRouter},
    packet::{ACKNOWLEDGED, Action, Packet, PacketId, REFUNDED, Transfer},
    rpc::{MAX_PACKETS, OutboxPacket},
};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Blocks that one search for a log covers.
const LOG_RANGE: u64 = 10_000;
/// Most searches for one packet's log.
const MAX_LOG_SEARCHES: u64 = 1_000;
/// Most searches for what became of one swap.
const MAX_SWAP_SEARCHES: u64 = 100;
/// Most pages of the outbox that are read for one packet.
const MAX_PAGES: u64 = 16;

/// A packet by its source and its number there: `native:7`, `ethereum:3`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
pub struct PacketReference {
    /// Where it was sent.
    pub chain: Chain,
    /// Its sequence, from 1.
    pub sequence: u64,
}

/// A packet by its name: over the bridge to Ethereum by its source ([`PacketReference`]), between two
/// native chains by both chain ids and its number, as `7001:7002:3`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PacketName {
    /// Between the native chain and Ethereum.
    Bridge(PacketReference),
    /// Between two native chains.
    Peers(PacketId),
}

impl Serialize for PacketName {
    /// As an object: `chain` and `sequence`, or `source`, `destination` and `sequence`.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bridge(reference) => reference.serialize(to),
            Self::Peers(id) => {
                let mut object = to.serialize_struct("PacketId", 3)?;
                object.serialize_field("source", &id.source)?;
                object.serialize_field("destination", &id.destination)?;
                object.serialize_field("sequence", &id.sequence)?;
                object.end()
            }
        }
    }
}

impl fmt::Display for PacketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge(reference) => reference.fmt(f),
            Self::Peers(id) => write!(f, "{}:{}:{}", id.source, id.destination, id.sequence),
        }
    }
}

impl FromStr for PacketName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Vec<_> = text.splitn(4, ':').collect();
        let &[source, destination, sequence] = numbers.as_slice() else {
            return text.parse().map(Self::Bridge);
        };
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let number = part.parse::<u64>().ok().filter(|_| digits);
            number
                .filter(|number| *number > 0)
                .ok_or_else(|| ReferenceError(text.chars().take(80).collect()))
        };
        let id = PacketId {
            source: number(source)?,
            destination: number(destination)?,
            sequence: number(sequence)?,
        };
        if id.source == id.destination {
            return Err(ReferenceError(text.chars().take(80).collect()));
        }
        Ok(Self::Peers(id))
    }
}

/// A text that is not a packet's name.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "{0:?} names no packet; give native:NUMBER, ethereum:NUMBER, SOURCE:DESTINATION:NUMBER with the ids of two native chains, or the hash of the transaction that sent it"
)]
pub struct ReferenceError(pub String);

impl FromStr for PacketReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ReferenceError(text.chars().take(80).collect());
        let (chain, number) = text.split_once(':').ok_or_else(bad)?;
        let chain = match chain {
            "native" => Chain::Native,
            "ethereum" => Chain::Ethereum,
            _ => return Err(bad()),
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        match number.parse() {
            Ok(sequence) if sequence > 0 => Ok(Self { chain, sequence }),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for PacketReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.chain.word(), self.sequence)
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PacketState {
    /// On its way.
    Sent,
    /// Took effect at its destination. Final; who wanted an acknowledgement waits for it.
    Received,
    /// Took effect at its destination, and its source knows. Final.
    Acknowledged,
    /// Came too late or was refused; the refund is on its way.
    Expired,
    /// Came too late or was refused, and its tokens are back with the sender. Final.
    Refunded,
}

impl PacketState {
    /// Out of the destination's receipt and, read after it, what the source stores.
    pub(super) fn of(receipt: u8, stored: B256) -> Self {
        match (receipt, stored) {
            (_, REFUNDED) => Self::Refunded,
            (_, ACKNOWLEDGED) => Self::Acknowledged,
            (0, _) => Self::Sent,
            (1, _) => Self::Received,
            (_, _) => Self::Expired,
        }
    }
}

/// Whether a source stores that a packet came to its end.
pub(super) fn is_ended(stored: B256) -> bool {
    matches!(stored, REFUNDED | ACKNOWLEDGED)
}

/// What a packet that was received waits for; `home` is where it came from.
pub(super) fn acknowledgement_home(packet: &Packet, home: impl fmt::Display) -> Option<String> {
    packet
        .asks()
        .then(|| format!("a relayer to carry the acknowledgement home to {home}"))
}

/// What a packet that expired waits for; `home` is where it came from.
pub(super) fn news_home(packet: &Packet, home: impl fmt::Display) -> String {
    let whom = packet.transfer().map_or_else(
        || "its sender".to_owned(),
        |transfer| transfer.sender.to_string(),
    );
    format!("a relayer to carry the news home to {home}, which then refunds {whom}")
}

/// What a packet is called for people: its kind in one word.
pub(super) const fn kind(packet: &Packet) -> &'static str {
    match packet {
        Packet::Transfer(transfer) if transfer.action.is_some() => "swap",
        Packet::Transfer(_) => "transfer",
        Packet::Expiry(_) => "expiry",
        Packet::Rotation(_) => "rotation",
        Packet::Acknowledgement(_) => "acknowledgement",
    }
}

impl fmt::Display for PacketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sent => "sent",
            Self::Received => "received",
            Self::Acknowledged => "acknowledged",
            Self::Expired => "expired",
            Self::Refunded => "refunded",
        })
    }
}

/// Everything there is to say about a packet.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PacketStatus {
    /// Its name.
    pub packet: PacketName,
    /// What became of it.
    pub state: PacketState,
    /// What it waits for; nothing once it is at its end.
    pub waits_for: Option<String>,
    /// `transfer`, `swap` (a transfer that is swapped where it arrives), `expiry`, `acknowledgement`, or
    /// `rotation` (of the delegates' key). In the last two no tokens move.
    pub kind: &'static str,
    /// Whether its sender wants an acknowledgement.
    pub acknowledge: bool,
    /// What moves, or what is refunded.
    pub amount: Option<Amount>,
    /// Between native chains: the chain whose points they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points_of: Option<u64>,
    /// Who locked it.
    pub sender: Option<Address>,
    /// Who receives it.
    pub receiver: Option<Address>,
    /// Last second at which it may be received.
    pub deadline: Option<u64>,
    /// Of a swap, or of the expiry of one.
    pub swap: Option<SwapStatus>,
    /// Its hash.
    pub commitment: B256,
}

/// What a swap asks for, and what became of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwapStatus {
    /// The least that must arrive.
    pub least: Option<Amount>,
    /// What arrived, if it did and the node still knows.
    pub received: Option<Amount>,
    /// Why the pool did not swap, if it was asked.
    pub refused: Option<String>,
}

impl Chains {
    /// The packet that a transaction sent, whichever chain the transaction is on.
    pub async fn packet_of(&self, hash: B256) -> Result<PacketReference, ClientError> {
        for client in [&self.native, &self.ethereum] {
            let receipt = client
                .endpoint
                .provider()
                .get_transaction_receipt(hash)
                .await
                .map_err(|fault| client.endpoint.fault(fault))?;
            let Some(receipt) = receipt else { continue };
            let chain = client.chain();
            let (packet, _) = client
                .packet_in(&receipt)
                .ok_or(ClientError::NoPacket { chain, hash })?;
            return Ok(PacketReference {
                chain,
                sequence: packet.id().sequence,
            });
        }
        Err(ClientError::TransactionUnknown(hash))
    }

    /// Where a packet is.
    pub async fn packet_status(
        &self,
        reference: PacketReference,
    ) -> Result<PacketStatus, ClientError> {
        let PacketReference { chain, sequence } = reference;
        let source = self.on(chain);
        let destination = self.on(chain.other());
        // The receipt first: read the other way round, a refund between the two reads would look
        // like a packet that is refunded and never expired.
        let receipt = destination.receipt(sequence).await?;
        let stored = source.outbound(sequence).await?;
        if stored.is_zero() {
            return Err(ClientError::PacketUnknown {
                chain,
                sequence,
                next: source.next_sequence().await?,
            });
        }
        let (packet, block) = source.packet(sequence).await?;
        let commitment = packet.commitment();
        if !is_ended(stored) && stored != commitment {
            return Err(source
                .endpoint
                .nonsense("packet bytes of another packet")
                .into());
        }
        let state = PacketState::of(receipt, stored);
        let transfer = packet.transfer();
        let waits_for = match state {
            PacketState::Received => acknowledgement_home(&packet, chain),
            PacketState::Acknowledged | PacketState::Refunded => None,
            PacketState::Expired => Some(news_home(&packet, chain)),
            PacketState::Sent => {
                let late = match &packet {
                    Packet::Transfer(transfer) => {
                        destination.head().await?.timestamp > transfer.deadline
                    }
                    _ => false,
                };
                Some(self.waiting_for(chain, block, late).await?)
            }
        };
        let swap = match (&packet, transfer) {
            (Packet::Transfer(transfer), _) if state != PacketState::Sent => {
                self.swap_status(transfer, true).await?
            }
            (_, Some(transfer)) => self.swap_status(transfer, false).await?,
            (_, None) => None,
        };
        Ok(PacketStatus {
            packet: PacketName::Bridge(reference),
            state,
            waits_for,
            kind: kind(&packet),
            acknowledge: packet.asks(),
            amount: transfer.and_then(|transfer| self.amount_of(transfer.token, transfer.amount)),
            points_of: None,
            sender: transfer.map(|transfer| transfer.sender),
            receiver: transfer.map(|transfer| transfer.receiver),
            deadline: transfer.map(|transfer| transfer.deadline),
            swap,
            commitment,
        })
    }

    /// What a transfer with a swap asks for and, if it `ended`, what the router said.
    pub(super) async fn swap_status(
        &self,
        transfer: &Transfer,
        ended: bool,
    ) -> Result<Option<SwapStatus>, ClientError> {
        let Some(Action::Swap { least }) = transfer.action else {
            return Ok(None);
        };
        let given = self.amount_of(transfer.token, transfer.amount);
        let other = given.and_then(|given| match given.token() {
            Token::Mvp => Some(Token::Mvc),
            Token::Mvc => Some(Token::Mvp),
            Token::Eth => None,
        });
        let amount = |units| other.map(|token| Amount::from_units(token, units));
        let mut status = SwapStatus {
            least: amount(least),
            received: None,
            refused: None,
        };
        if !ended {
            return Ok(Some(status));
        }
        let events = vec![
            SwapRouter::Swapped::SIGNATURE_HASH,
            SwapRouter::SwapRefused::SIGNATURE_HASH,
        ];
        let log = self
            .native
            .find_log(ROUTER, events, transfer.id.sequence, MAX_SWAP_SEARCHES)
            .await?;
        if let Some(log) = log {
            if let Ok(event) = SwapRouter::Swapped::decode_log(&log.inner) {
                status.received = amount(event.amountOut);
            }
            if let Ok(event) = SwapRouter::SwapRefused::decode_log(&log.inner) {
                status.refused = Some(refusal(event.reason));
            }
        }
        Ok(Some(status))
    }

    async fn waiting_for(
        &self,
        source: Chain,
        block: u64,
        late: bool,
    ) -> Result<String, ClientError> {
        let destination = source.other();
        let what = if late {
            format!(
                "a relayer to carry it to {destination}; its deadline is over, so it will expire there and be refunded"
            )
        } else {
            format!("a relayer to carry it to {destination}")
        };
        if source == Chain::Ethereum {
            let checkpoint = self
                .native
                .endpoint
                .view(self.native.bridge, &IBridge::latestCheckpointCall {})
                .await?;
            if checkpoint < block {
                return Ok(format!(
                    "Ethereum's block {block} to be final and known on the native chain (now {checkpoint}), then {what}"
                ));
            }
        }
        Ok(what)
    }

    pub(super) fn amount_of(
        &self,
        token: mileverse_primitives::packet::Token,
        units: alloy::primitives::U256,
    ) -> Option<Amount> {
        let known = if token.home == self.native.chain_id && token.contract == address::POINTS {
            Token::Mvp
        } else if token.home == self.ethereum.chain_id && token.contract == self.ethereum.coin {
            Token::Mvc
        } else {
            return None;
        };
        Some(Amount::from_units(known, units))
    }
}

impl Client {
    /// A packet that was sent from here, and the block that sent it.
    pub(super) async fn packet(&self, sequence: u64) -> Result<(Packet, u64), ClientError> {
        if self.chain() == Chain::Ethereum {
            return self.packet_from_logs(sequence).await;
        }
        let leaf = self.outbox_leaf(sequence).await?;
        let packet = Packet::decode(&leaf.packet)
            .map_err(|error| self.endpoint.nonsense(&error.to_string()))?;
        Ok((packet, leaf.height))
    }

    /// A packet's leaf in the native chain's outbox.
    pub(super) async fn outbox_leaf(&self, sequence: u64) -> Result<OutboxPacket, ClientError> {
        let destination = self
            .endpoint
            .view(self.bridge, &IBridge::peerChainIdCall {})
            .await?;
        self.outbox_leaf_to(destination, sequence).await
    }

    /// The leaf of a packet to this chain.
    pub(super) async fn outbox_leaf_to(
        &self,
        destination: u64,
        sequence: u64,
    ) -> Result<OutboxPacket, ClientError> {
        // A leaf's index is at least its sequence less one; more if packets also go to other chains,
        // which have the same sequences.
        let is_it = |leaf: &OutboxPacket| {
            leaf.sequence == sequence
                && Packet::decode(&leaf.packet)
                    .is_ok_and(|packet| packet.id().destination == destination)
        };
        let mut from = sequence.saturating_sub(1);
        for _ in 0..MAX_PAGES {
            let page: Vec<OutboxPacket> = self
                .endpoint
                .method("mileverse_packets", (from, MAX_PACKETS))
                .await?;
            let Some(last) = page.last() else { break };
            from = last.index.saturating_add(1);
            if let Some(leaf) = page.into_iter().find(is_it) {
                return Ok(leaf);
            }
        }
        Err(self
            .endpoint
            .nonsense("a packet that is missing in its outbox")
            .into())
    }

    /// A packet's bytes and block from Ethereum's logs.
    async fn packet_from_logs(&self, sequence: u64) -> Result<(Packet, u64), ClientError> {
        let events = vec![IBridge::PacketSent::SIGNATURE_HASH];
        let log = self
            .find_log(self.bridge, events, sequence, MAX_LOG_SEARCHES)
            .await?;
        let found = log.and_then(|log| {
            let event = IBridge::PacketSent::decode_log(&log.inner).ok()?;
            Some((Packet::decode(&event.packet).ok()?, log.block_number?))
        });
        found.ok_or_else(|| {
            self.endpoint
                .nonsense("no log of a packet that was sent")
                .into()
        })
    }

    /// The newest log of a contract, of one of these events about this sequence, searched backwards.
    async fn find_log(
        &self,
        contract: Address,
        events: Vec<B256>,
        sequence: u64,
        most_searches: u64,
    ) -> Result<Option<Log>, ClientError> {
        let mut to = self.head().await?.number;
        for search in 0..most_searches {
            let from = to.saturating_sub(LOG_RANGE.saturating_sub(1));
            let filter = Filter::new()
                .address(contract)
                .event_signature(events.clone())
                .topic1(B256::from(U256::from(sequence)))
                .from_block(BlockNumberOrTag::Number(from))
                .to_block(BlockNumberOrTag::Number(to));
            let logs = match self.endpoint.provider().get_logs(&filter).await {
                Ok(logs) => logs,
                // A node that followed from a recent state has no older blocks. The first question
                // must be answered.
                Err(_) if search > 0 && self.chain() == Chain::Native => return Ok(None),
                Err(fault) => return Err(self.endpoint.fault(fault).into()),
            };
            if let Some(log) = logs.into_iter().next_back() {
                return Ok(Some(log));
            }
            match from.checked_sub(1) {
                Some(earlier) => to = earlier,
                None => break,
            }
        }
        Ok(None)
    }
}

/// Why the pool did not swap, from the selector of its error.
fn refusal(selector: FixedBytes<4>) -> String {
    match selector.0 {
        Pool::TooLittleOut::SELECTOR => {
            "the price had moved, and less than was asked for would have come out".to_owned()
        }
        _ if selector.is_zero() => "the pool could not swap it".to_owned(),
        _ => format!("the pool refused it with error {selector}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_packets_are_read_strictly() {
        let good: PacketReference = "native:7".parse().unwrap();
        assert_eq!(good.to_string(), "native:7");
        for bad in [
            "",
            "7",
            "native:",
            "native:0",
            "native:-1",
            "native:+1",
            "solana:1",
            "native:1:2",
            "ethereum:99999999999999999999999",
        ] {
            assert!(bad.parse::<PacketReference>().is_err(), "{bad}");
            assert!(bad.parse::<PacketName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn packets_between_native_chains_are_named_by_both() {
        let name: PacketName = "7001:7002:3".parse().unwrap();
        assert_eq!(
            name,
            PacketName::Peers(PacketId {
                source: 7001,
                destination: 7002,
                sequence: 3
            })
        );
        assert_eq!(name.to_string(), "7001:7002:3");
        let written = serde_json::to_value(name).unwrap();
        assert_eq!(
            written,
            serde_json::json!({ "source": 7001, "destination": 7002, "sequence": 3 })
        );
        let bridge: PacketName = "ethereum:3".parse().unwrap();
        let written = serde_json::to_value(bridge).unwrap();
        assert_eq!(
            written,
            serde_json::json!({ "chain": "ethereum", "sequence": 3 })
        );
        for bad in [
            "7001:7002:0",
            "7001:7001:1",
            "7001::1",
            ":7002:1",
            "7001:7002:+1",
            "1:2:3:4",
        ] {
            assert!(bad.parse::<PacketName>().is_err(), "{bad}");
        }
    }
}
