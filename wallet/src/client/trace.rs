//! A packet with everything that was seen of it on both chains, and the packets of an account.
//!
//! ```txt
//! source        signed -> locked -> final ------------------------------------> refunded
//! destination                          -> proven -> received, or expired -> (a packet home)
//! ```
//!
//! All of it is read from the chains; nothing is remembered here. Where something happened is found
//! by the destination's clock: no block before the source's second can hold it.
//!
//! Limits: an outcome is searched in at most [`MAX_SEARCHES`] steps of [`LOG_RANGE`] blocks; one that
//! lies further on is left out.

use super::{Chains, Client, ClientError, Entry, Kind, PacketReference, PacketState, SwapStatus};
use crate::{rpc::Chain, units::Amount};
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};
use mileverse_bindings::Bridge;
use mileverse_primitives::{abi::IBridge, packet::Packet};
use serde::Serialize;
use std::collections::BTreeMap;

/// Blocks of one search.
const LOG_RANGE: u64 = 10_000;
/// Most searches for one outcome.
const MAX_SEARCHES: u64 = 64;
/// Most packets that one transaction is read for.
const MAX_PACKETS: usize = 32;

/// Where something happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The chain.
    pub chain: Chain,
    /// The transaction.
    pub transaction: B256,
    /// Its block.
    pub block: u64,
    /// The block's time, seconds since 1970.
    pub time: u64,
}

/// A packet, and where it was sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Posted {
    /// Its name.
    pub packet: PacketReference,
    /// Itself.
    pub content: Packet,
    /// Where it was locked.
    pub at: Seen,
}

/// How far a packet is. In this order, but that one of three comes last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// In a block of its source.
    Locked,
    /// In a block that stays.
    Final,
    /// The destination can check it.
    Proven,
    /// Checked in time, and waits for its delay, as large transfers do.
    Held,
    /// Took effect. The end.
    Received,
    /// Came too late or was rejected; the refund is on its way.
    Expired,
    /// Its tokens are back. The end.
    Refunded,
}

impl Stage {
    /// Whether nothing more can happen.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Received | Self::Refunded)
    }
}

/// All there is to say about a packet.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The packet, and where it was locked.
    pub posted: Posted,
    /// How far it is.
    pub stage: Stage,
    /// What moves.
    pub amount: Option<Amount>,
    /// The destination's clock, seconds since 1970, if the packet is still on its way.
    pub clock: Option<u64>,
    /// From when on a held packet may be released.
    pub held_until: Option<u64>,
    /// What a transfer that is swapped where it arrives asks for; what arrived once that was looked for.
    pub swap: Option<SwapStatus>,
    /// Where it was received or expired, once that was looked for.
    pub outcome: Option<Seen>,
    /// Where it was refunded, once that was looked for.
    pub refund: Option<Seen>,
}

impl Trace {
    /// Whether the deadline is over at the destination, and nothing was decided yet.
    pub fn is_late(&self) -> bool {
        // News has no deadline of its own.
        let deadline = match &self.posted.content {
            Packet::Transfer(transfer) => Some(transfer.deadline),
            Packet::Expiry(_) | Packet::Rotation(_) | Packet::Acknowledgement(_) => None,
        };
        matches!((self.clock, deadline), (Some(clock), Some(deadline)) if clock > deadline)
            && self.held_until.is_none()
    }
}

impl Client {
    /// The packets that a transaction sent from here; none if it is not confirmed here.
    pub async fn posted_by(&self, hash: B256) -> Result<Vec<Posted>, ClientError> {
        let receipt = self
            .endpoint
            .provider()
            .get_transaction_receipt(hash)
            .await
            .map_err(|fault| self.endpoint.fault(fault))?;
        let Some((receipt, block)) = receipt.and_then(|receipt| {
            let block = receipt.block_number?;
            Some((receipt, block))
        }) else {
            return Ok(Vec::new());
        };
        let time = self.time(block).await?;
        let at = Seen {
            chain: self.chain(),
            transaction: hash,
            block,
            time,
        };
        let mut found = Vec::new();
        for log in receipt.logs() {
            if let Some(content) = self.posted_in(log) {
                let sequence = content.id().sequence;
                let packet = PacketReference {
                    chain: self.chain(),
                    sequence,
                };
                found.push(Posted {
                    packet,
                    content,
                    at,
                });
            }
        }
        found.truncate(MAX_PACKETS);
        Ok(found)
    }

    /// The transfers that `account` sent over the bridge, out of its history.
    pub async fn posted_among(
        &self,
        account: Address,
        entries: &[Entry],
    ) -> Result<Vec<Posted>, ClientError> {
        let mut found: Vec<Posted> = Vec::new();
        for entry in entries {
            let is_known = found
                .iter()
                .any(|posted| posted.at.transaction == entry.transaction);
            // A swap across chains has the bridge on its other side.
            let has_left = match entry.kind {
                Kind::Left => entry.beyond.is_none(),
                Kind::Swapped => entry.with == Some(self.bridge) && !entry.out.is_empty(),
                _ => false,
            };
            if !has_left || is_known {
                continue;
            }
            let posted = self.posted_by(entry.transaction).await?;
            found.extend(posted.into_iter().filter(|posted| {
                matches!(&posted.content, Packet::Transfer(transfer) if transfer.sender == account)
            }));
        }
        Ok(found)
    }

    /// Every packet that was sent from here in these blocks, in the order of their numbers.
    pub async fn posted_between(&self, from: u64, to: u64) -> Result<Vec<Posted>, ClientError> {
        let filter = Filter::new()
            .address(self.bridge)
            .event_signature(IBridge::PacketSent::SIGNATURE_HASH)
            .from_block(from)
            .to_block(to);
        let logs = self
            .endpoint
            .provider()
            .get_logs(&filter)
            .await
            .map_err(|fault| self.endpoint.fault(fault))?;
        let mut times = BTreeMap::new();
        let mut found = Vec::new();
        for log in logs {
            let (Some(content), Some(block), Some(transaction)) =
                (self.posted_in(&log), log.block_number, log.transaction_hash)
            else {
                return Err(self.endpoint.nonsense("a packet that is not whole").into());
            };
            let time = match times.get(&block) {
                Some(time) => *time,
                None => self.time(block).await?,
            };
            times.insert(block, time);
            found.push(Posted {
                packet: PacketReference {
                    chain: self.chain(),
                    sequence: content.id().sequence,
                },
                content,
                at: Seen {
                    chain: self.chain(),
                    transaction,
                    block,
                    time,
                },
            });
        }
        found.sort_by_key(|posted| posted.packet.sequence);
        Ok(found)
    }

    /// A packet out of one of the bridge's own logs.
    fn posted_in(&self, log: &Log) -> Option<Packet> {
        if log.address() != self.bridge {
            return None;
        }
        let event = IBridge::PacketSent::decode_log(&log.inner).ok()?;
        let packet = Packet::decode(&event.packet).ok()?;
        (packet.commitment() == event.commitment).then_some(packet)
    }

    /// The bridge's first event of one of these kinds about a packet, from a block on.
    async fn first_event(
        &self,
        kinds: &[B256],
        sequence: u64,
        from: u64,
    ) -> Result<Option<Seen>, ClientError> {
        let head = self.head().await?.number;
        let mut from = from;
        for _ in 0..MAX_SEARCHES {
            if from > head {
                return Ok(None);
            }
            let to = from.saturating_add(LOG_RANGE.saturating_sub(1)).min(head);
            let filter = Filter::new()
                .address(self.bridge)
                .event_signature(kinds.to_vec())
                .topic1(B256::from(U256::from(sequence)))
                .from_block(BlockNumberOrTag::Number(from))
                .to_block(BlockNumberOrTag::Number(to));
            let logs = self
                .endpoint
                .provider()
                .get_logs(&filter)
                .await
                .map_err(|fault| self.endpoint.fault(fault))?;
            for log in logs {
                if let (Some(transaction), Some(block)) = (log.transaction_hash, log.block_number) {
                    return Ok(Some(Seen {
                        chain: self.chain(),
                        transaction,
                        block,
                        time: self.time(block).await?,
                    }));
                }
            }
            from = to.saturating_add(1);
        }
        Ok(None)
    }

    /// A block that is not later than `time`, and close to it: doubling steps back from the newest,
    /// then halves. Blocks that the node does not have count as earlier.
    pub async fn block_before(&self, time: u64) -> Result<u64, ClientError> {
        let head = self.head().await?;
        if head.timestamp <= time {
            return Ok(head.number);
        }
        let mut late = head.number;
        let mut step = 64u64;
        let mut early = loop {
            let Some(block) = late.checked_sub(step) else {
                break 0;
            };
            match self.time(block).await {
                Ok(at) if at > time => late = block,
                _ => break block,
            }
            step = step.saturating_mul(2);
        };
        while late.saturating_sub(early) > 1 {
            let middle = early.midpoint(late);
            match self.time(middle).await {
                Ok(at) if at > time => late = middle,
                _ => early = middle,
            }
        }
        Ok(early)
    }

    /// The newest final block: any on the native chain.
    pub async fn finalized(&self) -> Result<u64, ClientError> {
        if self.chain() == Chain::Native {
            return Ok(self.head().await?.number);
        }
        let block = self
            .endpoint
            .provider()
            .get_block_by_number(BlockNumberOrTag::Finalized)
            .await
            .map_err(|fault| self.endpoint.fault(fault))?;
        Ok(block.map_or(0, |block| block.header.number))
    }
}

impl Chains {
    /// A packet and where it was sent, by its name.
    pub async fn posted(&self, reference: PacketReference) -> Result<Posted, ClientError> {
        let PacketReference { chain, sequence } = reference;
        let source = self.on(chain);
        if source.outbound(sequence).await?.is_zero() {
            return Err(ClientError::PacketUnknown {
                chain,
                sequence,
                next: source.next_sequence().await?,
            });
        }
        let (content, block) = source.packet(sequence).await?;
        let kinds = [IBridge::PacketSent::SIGNATURE_HASH];
        let at = source.first_event(&kinds, sequence, block).await?;
        let at = match at.filter(|at| at.block == block) {
            Some(at) => at,
            // A rotation leaves no event; its block is all there is.
            None => Seen {
                chain,
                transaction: B256::ZERO,
                block,
                time: source.time(block).await?,
            },
        };
        Ok(Posted {
            packet: reference,
            content,
            at,
        })
    }

    /// How far a packet is.
    pub async fn trace(&self, posted: Posted) -> Result<Trace, ClientError> {
        let PacketReference { chain, sequence } = posted.packet;
        let source = self.on(chain);
        let destination = self.on(chain.other());
        // The receipt first: see `packet_status`.
        let receipt = destination.receipt(sequence).await?;
        let stored = source.outbound(sequence).await?;
        let state = PacketState::of(receipt, stored);
        let mut clock = None;
        let mut held_until = None;
        let stage = match state {
            // Whether its source knows of it already is no matter of its own way.
            PacketState::Received | PacketState::Acknowledged => Stage::Received,
            PacketState::Expired => Stage::Expired,
            PacketState::Refunded => Stage::Refunded,
            PacketState::Sent => {
                clock = Some(destination.head().await?.timestamp);
                let call = Bridge::heldCall { sequence };
                let held = destination.endpoint.view(destination.bridge, &call).await?;
                if held.commitment.is_zero() {
                    self.on_its_way(chain, posted.at.block).await?
                } else {
                    held_until = Some(held.until);
                    Stage::Held
                }
            }
        };
        let transfer = posted.content.transfer();
        let amount = transfer.and_then(|transfer| self.amount_of(transfer.token, transfer.amount));
        let swap = match transfer {
            Some(transfer) => self.swap_status(transfer, false).await?,
            None => None,
        };
        Ok(Trace {
            posted,
            stage,
            amount,
            clock,
            held_until,
            swap,
            outcome: None,
            refund: None,
        })
    }

    /// The same, with where it was received or expired, and where it was refunded.
    pub async fn trace_to_the_end(&self, posted: Posted) -> Result<Trace, ClientError> {
        let mut trace = self.trace(posted).await?;
        let PacketReference { chain, sequence } = trace.posted.packet;
        let at = trace.posted.at;
        if matches!(
            trace.stage,
            Stage::Received | Stage::Expired | Stage::Refunded
        ) {
            let destination = self.on(chain.other());
            let from = destination.block_before(at.time).await?;
            let kinds = [
                IBridge::PacketReceived::SIGNATURE_HASH,
                IBridge::PacketExpired::SIGNATURE_HASH,
            ];
            trace.outcome = destination.first_event(&kinds, sequence, from).await?;
            if let (Packet::Transfer(transfer), Some(_)) = (&trace.posted.content, &trace.swap) {
                trace.swap = self.swap_status(transfer, true).await?;
            }
        }
        if trace.stage == Stage::Refunded {
            let kinds = [IBridge::PacketRefunded::SIGNATURE_HASH];
            let source = self.on(chain);
            trace.refund = source.first_event(&kinds, sequence, at.block).await?;
        }
        Ok(trace)
    }

    /// How far a packet is that its destination has not seen.
    async fn on_its_way(&self, source: Chain, block: u64) -> Result<Stage, ClientError> {
        if source == Chain::Native {
            // A final block has its certificate.
            return Ok(Stage::Proven);
        }
        let call = IBridge::latestCheckpointCall {};
        let checkpoint = self.native.endpoint.view(self.native.bridge, &call);
        if checkpoint.await? >= block {
            return Ok(Stage::Proven);
        }
        let is_final = self.ethereum.finalized().await? >= block;
        Ok(if is_final {
            Stage::Final
        } else {
            Stage::Locked
        })
    }
}
