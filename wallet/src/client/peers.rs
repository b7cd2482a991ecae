//! Points between two native chains that are peers: sending, where a packet is, and delivering one by
//! hand. `docs/protocol.md`, "Between native chains", has the rules.
//!
//! A packet is named by its source, its destination and its number there: `7001:7002:3`.
//!
//! Limits: the news of a packet is searched in at most [`MAX_PAGES`] pages of the outbox, from its newest on.

use super::{Client, ClientError, PacketName, PacketState, PacketStatus, Sent, Step, send::sent};
use crate::units::{Amount, Token};
use alloy::{
    primitives::{Address, B256, U256},
    providers::Provider as _,
    rpc::types::TransactionReceipt,
    signers::local::PrivateKeySigner,
    sol_types::{SolCall as _, SolEvent as _},
};
use mileverse_primitives::{
    abi::{IBridge, ICoin, IPeers},
    address::{PEERS, POINTS, peer_points},
    outbox,
    packet::{Packet, PacketId},
    rpc::{Certificate, MAX_PACKETS, OutboxPacket, OutboxProof},
};
use std::sync::Arc;

/// Most pages of an outbox that are read for the news of one packet.
const MAX_PAGES: u64 = 64;

/// Whose points, of the two chains.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Points {
    /// Of the chain that sends them: they leave home.
    Own,
    /// Of the chain that receives them: they go home.
    Theirs,
}

/// What is sent to a peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerSend {
    /// Which.
    pub peer: u64,
    /// Whose points.
    pub points: Points,
    /// Who receives them there.
    pub receiver: Address,
    /// How many.
    pub amount: Amount,
    /// Last second at which they are received, since 1970 and in the peer's block time.
    pub deadline: u64,
    /// Whether this chain comes to know once they were received.
    pub acknowledge: bool,
}

/// Points on their way to a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerSent {
    /// The transaction that sent them.
    pub sent: Sent,
    /// The packet's name.
    pub id: PacketId,
    /// Its hash, as both sides store it.
    pub commitment: B256,
    /// What the transaction cost for gas, beside what it sent: coin if it paid a gas price, else points
    /// of the chain that it was sent on.
    pub fee: Amount,
}

/// Two native chains that are peers.
#[derive(Clone, Debug)]
pub struct Peers {
    /// One of them.
    pub native: Client,
    /// The other.
    pub peer: Client,
}

impl Client {
    /// The chains with which this one exchanges points.
    pub async fn peers(&self) -> Result<Vec<u64>, ClientError> {
        Ok(self.endpoint.view(PEERS, &IPeers::peersCall {}).await?)
    }

    /// What an account has here of a peer's points.
    pub async fn peer_balance(&self, account: Address, peer: u64) -> Result<Amount, ClientError> {
        let call = ICoin::balanceOfCall { account };
        let units = self.endpoint.view(peer_points(peer), &call).await?;
        Ok(Amount::from_units(Token::Mvp, units))
    }

    /// The transaction with which `account` sends points to a peer.
    pub async fn plan_peer(&self, account: Address, send: PeerSend) -> Result<Step, ClientError> {
        let PeerSend {
            peer,
            points,
            receiver,
            amount,
            deadline,
            acknowledge,
        } = send;
        if receiver.is_zero() {
            return Err(ClientError::ZeroReceiver);
        }
        if amount.is_zero() {
            return Err(ClientError::ZeroAmount);
        }
        let known = self.peers().await?;
        if !known.contains(&peer) {
            return Err(ClientError::NoPeer {
                chain: self.chain_id,
                peer,
                known,
            });
        }
        let (token, balance) = match points {
            Points::Own => (POINTS, self.balance(account, Token::Mvp).await?),
            Points::Theirs => (peer_points(peer), self.peer_balance(account, peer).await?),
        };
        if balance.units() < amount.units() {
            return Err(ClientError::Balance {
                account,
                chain: self.chain(),
                balance,
                needed: amount,
            });
        }
        let amount = amount.units();
        let input = if acknowledge {
            IPeers::sendAcknowledgedCall {
                peer,
                token,
                receiver,
                amount,
                deadline,
            }
            .abi_encode()
        } else {
            IPeers::sendCall {
                peer,
                token,
                receiver,
                amount,
                deadline,
            }
            .abi_encode()
        };
        Ok(Step {
            kind: "send",
            to: PEERS,
            value: U256::ZERO,
            input: input.into(),
        })
    }

    /// Sends points to a peer.
    pub async fn peer_send(&self, send: PeerSend) -> Result<PeerSent, ClientError> {
        let account = self.signer()?.address();
        let step = self.plan_peer(account, send).await?;
        let receipt = self.execute(step.to, step.value, step.input).await?;
        let (packet, commitment) =
            peer_packet_in(&receipt).ok_or_else(|| ClientError::NoPacket {
                chain: self.chain(),
                hash: receipt.transaction_hash,
            })?;
        // A peer's points are none of this chain's, so all of its own that moved was for gas.
        let own = match send.points {
            Points::Own => send.amount,
            Points::Theirs => Amount::from_units(Token::Mvp, U256::ZERO),
        };
        Ok(PeerSent {
            sent: sent(&receipt),
            id: packet.id(),
            commitment,
            fee: self.paid_for_gas(&receipt, own)?,
        })
    }

    /// The first packet that a transaction sent from here to a peer; `None` if it is not confirmed here,
    /// or sent none.
    pub async fn peer_packet_of(&self, hash: B256) -> Result<Option<PacketId>, ClientError> {
        let receipt = self
            .endpoint
            .provider()
            .get_transaction_receipt(hash)
            .await
            .map_err(|fault| self.endpoint.fault(fault))?;
        let sent = receipt.as_ref().and_then(peer_packet_in);
        Ok(sent.map(|(packet, _)| packet.id()))
    }

    /// A deadline so many minutes ahead of this chain's clock, of `other`'s, and of this machine's.
    pub async fn peer_deadline(
        &self,
        other: Option<&Self>,
        minutes: u64,
    ) -> Result<u64, ClientError> {
        let mut latest = self.head().await?.timestamp;
        if let Some(other) = other {
            latest = latest.max(other.head().await?.timestamp);
        }
        super::bridge::deadline(minutes, latest)
    }
}

/// The first packet that this transaction sent to a peer.
fn peer_packet_in(receipt: &TransactionReceipt) -> Option<(Packet, B256)> {
    receipt
        .logs()
        .iter()
        .filter(|log| log.address() == PEERS)
        .filter_map(|log| IPeers::PacketSent::decode_log(&log.inner).ok())
        .find_map(|event| {
            let packet = Packet::decode(&event.packet).ok()?;
            (packet.commitment() == event.commitment).then_some((packet, event.commitment))
        })
}

impl Peers {
    /// Connects to both; the same key signs on both.
    pub async fn connect(
        native_url: &str,
        peer_url: &str,
        signer: Option<PrivateKeySigner>,
    ) -> Result<Self, ClientError> {
        let (native, _) = Client::native(native_url, signer.clone()).await?;
        let (peer, _) = Client::native(peer_url, signer).await?;
        Ok(Self { native, peer })
    }

    /// The same clients, which ask before they sign.
    #[must_use]
    pub fn with_consent(mut self, consent: Option<Arc<dyn crate::review::Consent>>) -> Self {
        self.native = self.native.with_consent(consent.clone());
        self.peer = self.peer.with_consent(consent);
        self
    }

    /// The chain that sent a packet, and the one it goes to.
    fn ends(&self, id: PacketId) -> Result<(&Client, &Client), ClientError> {
        let (native, peer) = (&self.native, &self.peer);
        match (id.source, id.destination) {
            (source, to) if (source, to) == (native.chain_id, peer.chain_id) => Ok((native, peer)),
            (source, to) if (source, to) == (peer.chain_id, native.chain_id) => Ok((peer, native)),
            _ => Err(ClientError::OtherPeers {
                packet: PacketName::Peers(id),
                native: native.chain_id,
                peer: peer.chain_id,
            }),
        }
    }

    /// Where a packet is.
    pub async fn packet_status(&self, id: PacketId) -> Result<PacketStatus, ClientError> {
        let (source, destination) = self.ends(id)?;
        let sequence = id.sequence;
        // The receipt first: see `Chains::packet_status`.
        let receipt = destination.peer_receipt(id).await?;
        let stored = source.peer_outbound(id).await?;
        if stored.is_zero() {
            let call = IPeers::nextSequenceCall {
                peer: id.destination,
            };
            return Err(ClientError::PacketUnknown {
                chain: source.chain(),
                sequence,
                next: source.endpoint.view(PEERS, &call).await?,
            });
        }
        let leaf = source.outbox_leaf_to(id.destination, sequence).await?;
        let packet = Packet::decode(&leaf.packet)
            .map_err(|error| source.endpoint.nonsense(&error.to_string()))?;
        let commitment = packet.commitment();
        if !super::packet::is_ended(stored) && stored != commitment {
            let what = "packet bytes of another packet";
            return Err(source.endpoint.nonsense(what).into());
        }
        let state = PacketState::of(receipt, stored);
        let transfer = packet.transfer();
        let home = format!("chain {}", id.source);
        let waits_for = match state {
            PacketState::Received => super::packet::acknowledgement_home(&packet, home),
            PacketState::Acknowledged | PacketState::Refunded => None,
            PacketState::Expired => Some(super::packet::news_home(&packet, home)),
            PacketState::Sent => Some(self.waiting_for(destination, id, &packet).await?),
        };
        Ok(PacketStatus {
            packet: PacketName::Peers(id),
            state,
            waits_for,
            kind: super::packet::kind(&packet),
            acknowledge: packet.asks(),
            amount: transfer.map(|transfer| Amount::from_units(Token::Mvp, transfer.amount)),
            points_of: transfer.map(|transfer| transfer.token.home),
            sender: transfer.map(|transfer| transfer.sender),
            receiver: transfer.map(|transfer| transfer.receiver),
            deadline: transfer.map(|transfer| transfer.deadline),
            swap: None,
            commitment,
        })
    }

    async fn waiting_for(
        &self,
        destination: &Client,
        id: PacketId,
        packet: &Packet,
    ) -> Result<String, ClientError> {
        let call = IPeers::heldCall {
            peer: id.source,
            sequence: id.sequence,
        };
        let held = destination.endpoint.view(PEERS, &call).await?;
        if !held.commitment.is_zero() {
            return Ok(format!(
                "its delay on chain {}, because it is large: anybody may release it from {} on (seconds since 1970)",
                id.destination, held.until
            ));
        }
        let call = IPeers::frozenCall { peer: id.source };
        if destination.endpoint.view(PEERS, &call).await? {
            return Ok(format!(
                "nothing that can come: chain {} has stopped believing chain {} for ever, which signed two blocks of one view",
                id.destination, id.source
            ));
        }
        let late = match packet {
            Packet::Transfer(transfer) => destination.head().await?.timestamp > transfer.deadline,
            _ => false,
        };
        Ok(if late {
            format!(
                "a relayer to carry it to chain {}; its deadline is over, so it will expire there and be refunded",
                id.destination
            )
        } else {
            format!("a relayer to carry it to chain {}", id.destination)
        })
    }

    /// The transaction that brings a packet one stage further, what it delivers, and the client of the
    /// chain that takes it.
    pub async fn plan_delivery(
        &self,
        id: PacketId,
    ) -> Result<(PacketName, Step, &Client), ClientError> {
        let (source, destination) = self.ends(id)?;
        let status = self.packet_status(id).await?;
        let (name, leaf, from, to, kind) = match status.state {
            PacketState::Received if status.waits_for.is_some() => {
                let (name, leaf) = destination.news_of(id).await?;
                (name, leaf, destination, source, "acknowledge")
            }
            PacketState::Received | PacketState::Acknowledged | PacketState::Refunded => {
                return Err(ClientError::Settled(PacketName::Peers(id), status.state));
            }
            PacketState::Sent => {
                let leaf = source.outbox_leaf_to(id.destination, id.sequence).await?;
                (id, leaf, source, destination, "deliver")
            }
            PacketState::Expired => {
                let (name, leaf) = destination.news_of(id).await?;
                (name, leaf, destination, source, "refund")
            }
        };
        let certificate: Certificate = from
            .endpoint
            .method("mileverse_certificate", (None::<u64>,))
            .await?;
        let (size, tree) = (certificate.outbox_size, certificate.outbox_tree);
        if size <= leaf.index {
            return Err(ClientError::NotCertified {
                chain: from.chain_id,
                block: leaf.height,
                known: certificate.height,
            });
        }
        let proof: OutboxProof = from
            .endpoint
            .method("mileverse_outboxProof", (leaf.index, size))
            .await?;
        if !outbox::verify(tree, size, leaf.index, leaf.commitment, &proof.path) {
            let what = "a path that does not lead to the root of its certificate";
            return Err(from.endpoint.nonsense(what).into());
        }
        let call = IPeers::deliverCall {
            peer: from.chain_id,
            header: IPeers::HeaderProof {
                epoch: certificate.epoch,
                view_: certificate.view,
                parentView: certificate.parent_view,
                restHash: certificate.rest_hash,
                outboxSize: size,
                outboxTree: tree,
                signature: certificate.signature,
            },
            items: vec![IPeers::OutboxItem {
                packet: leaf.packet,
                index: leaf.index,
                path: proof.path,
            }],
        };
        let step = Step {
            kind,
            to: PEERS,
            value: U256::ZERO,
            input: call.abi_encode().into(),
        };
        Ok((PacketName::Peers(name), step, to))
    }
}

impl Client {
    /// Outcome of a packet that came in: 0 none, 1 received, 2 expired.
    async fn peer_receipt(&self, id: PacketId) -> Result<u8, ClientError> {
        let call = IPeers::receiptCall {
            peer: id.source,
            sequence: id.sequence,
        };
        Ok(self.endpoint.view(PEERS, &call).await?)
    }

    /// Commitment of a packet that was sent: zero = never sent, one = refunded, two = acknowledged.
    async fn peer_outbound(&self, id: PacketId) -> Result<B256, ClientError> {
        let call = IPeers::outboundCall {
            peer: id.destination,
            sequence: id.sequence,
        };
        Ok(self.endpoint.view(PEERS, &call).await?)
    }

    /// The news of a packet that expired or was received here, out of this chain's outbox.
    async fn news_of(&self, ended: PacketId) -> Result<(PacketId, OutboxPacket), ClientError> {
        let mut end = self
            .endpoint
            .view(self.bridge, &IBridge::outboxSizeCall {})
            .await?;
        for _ in 0..MAX_PAGES {
            if end == 0 {
                break;
            }
            let from = end.saturating_sub(MAX_PACKETS);
            let page: Vec<OutboxPacket> = self
                .endpoint
                .method("mileverse_packets", (from, end.saturating_sub(from)))
                .await?;
            let found = page.into_iter().find_map(|leaf| {
                let packet = Packet::decode(&leaf.packet).ok()?;
                let is_it = packet.inside().is_some_and(|inside| inside.id == ended);
                is_it.then(|| (packet.id(), leaf))
            });
            if let Some(found) = found {
                return Ok(found);
            }
            end = from;
        }
        Err(self
            .endpoint
            .nonsense("a packet at its end without the news of it")
            .into())
    }
}
