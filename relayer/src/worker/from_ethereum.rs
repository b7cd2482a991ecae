//! Ethereum to the native chain.
//!
//! ```txt
//! find      nextSequence at the finalized block says how many there are; PacketSent logs of
//!           finalized blocks bring their bytes; a number without a log is searched again
//! prove     eth_getProof of outbound[sequence] at the newest checkpoint of the native chain
//! deliver   bridge module, deliver(block, account proof, items), at most 256 items; the same at the
//!           router, which swaps, for a batch with a transfer that is swapped where it arrives
//! done      receipt(sequence) on the native chain, final at once
//! ```

use super::{
    Carries, Worker,
    delivery::{Delivery, Proven},
};
use crate::{
    Error,
    chain::{EthereumChain, Ledger as _, NativeChain, SentLog},
    store::{Lane, NewPacket, Position, Row},
};
use alloy::sol_types::SolCall;
use mileverse_primitives::{
    B256, Bytes, U256,
    abi::IBridge,
    packet::{ACKNOWLEDGED, Packet, REFUNDED},
};
use mileverse_wallet::rpc::{Chain, RpcError};

/// Most searches for logs in one tick.
const MAX_SEARCHES: usize = 16;

/// The worker.
pub struct FromEthereum<N, E> {
    native: N,
    ethereum: E,
    delivery: Delivery,
    native_chain: u64,
    ethereum_chain: u64,
    start_block: u64,
    log_range: u64,
}

impl<N: NativeChain, E: EthereumChain> FromEthereum<N, E> {
    /// A worker between these two chains, searching from `start_block` on, `log_range` blocks at
    /// once.
    pub const fn new(
        native: N,
        ethereum: E,
        delivery: Delivery,
        (native_chain, ethereum_chain): (u64, u64),
        start_block: u64,
        log_range: u64,
    ) -> Self {
        Self {
            native,
            ethereum,
            delivery,
            native_chain,
            ethereum_chain,
            start_block,
            log_range,
        }
    }

    /// Stores packets that are new. `true` if there may be more.
    async fn find(&self) -> Result<bool, Error> {
        let direction = self.delivery.direction();
        let first = Position {
            next: 1,
            search_block: self.start_block,
            packet_block: self.start_block,
        };
        let mut position = self.delivery.store().position(direction, first).await?;
        let finalized = self.ethereum.finalized().await?;
        let next = self.ethereum.next_sequence().await?;
        if next <= position.next {
            // The contract itself says that these blocks hold nothing new. (Fewer packets than
            // are known means that the endpoint is behind; it will catch up.)
            if next == position.next && position.search_block <= finalized {
                position.search_block = finalized.saturating_add(1);
                self.delivery.advance(position, &[]).await?;
            }
            return Ok(false);
        }
        for _ in 0..MAX_SEARCHES {
            if position.next >= next {
                return Ok(false);
            }
            if position.search_block > finalized {
                // A packet is missing although all its blocks were searched: search again from
                // the last one that is known.
                let missing = position.next;
                position.search_block = position.packet_block;
                self.delivery.advance(position, &[]).await?;
                return Err(Error::Gap {
                    chain: Chain::Ethereum,
                    missing: self
                        .delivery
                        .store()
                        .packet_name(self.delivery.direction(), missing),
                });
            }
            let from = position.search_block;
            let to = from
                .saturating_add(self.log_range.saturating_sub(1))
                .min(finalized);
            let logs = self.ethereum.sent(from, to).await?;
            let found = self.take(&mut position, logs)?;
            position.search_block = to.saturating_add(1);
            self.delivery.advance(position, &found).await?;
        }
        Ok(true)
    }

    /// The logs that follow on what is known, as far as no number is missing.
    fn take(&self, position: &mut Position, logs: Vec<SentLog>) -> Result<Vec<NewPacket>, Error> {
        let mut found = Vec::with_capacity(logs.len());
        for log in logs {
            if log.sequence != position.next {
                // Known already, or behind a gap; a gap is found by counting, see above.
                continue;
            }
            let packet =
                Packet::decode(&log.packet).map_err(|error| nonsense(&error.to_string()))?;
            let id = packet.id();
            if id.source != self.ethereum_chain
                || id.destination != self.native_chain
                || id.sequence != log.sequence
            {
                return Err(nonsense("a log that does not fit its packet"));
            }
            position.next = position.next.saturating_add(1);
            position.packet_block = log.block;
            found.push(NewPacket {
                sequence: log.sequence,
                place: log.block,
                commitment: log.commitment,
                bytes: log.packet,
            });
        }
        Ok(found)
    }

    /// Finds a packet, and all after it, once more; asks another endpoint first.
    async fn rewind(&self, sequence: u64) -> Result<Error, Error> {
        let position = Position {
            next: sequence,
            search_block: self.start_block,
            packet_block: self.start_block,
        };
        // Its block may have been a lie as well; here sequences alone say what comes after it.
        self.delivery
            .store()
            .rewind(self.delivery.direction(), sequence, 0, position)
            .await?;
        self.ethereum.ledger().doubt();
        Ok(Error::Rewound { sequence })
    }

    /// Proofs of these packets at the checkpoint, and the bridge's account proof.
    async fn prove(
        &self,
        checkpoint: u64,
        rows: Vec<Row>,
    ) -> Result<(Vec<Bytes>, Vec<Proven<IBridge::StorageItem>>), Error> {
        let sequences: Vec<_> = rows.iter().map(|row| row.sequence).collect();
        let proof = self.ethereum.proof(checkpoint, &sequences).await?;
        if proof.slots.len() != rows.len() {
            return Err(nonsense("proofs of other slots"));
        }
        let mut items = Vec::with_capacity(rows.len());
        for (row, (value, nodes)) in rows.into_iter().zip(proof.slots) {
            if value == U256::from_be_bytes(row.commitment.0) {
                items.push(Proven {
                    sequence: row.sequence,
                    found_ms: row.found_ms,
                    item: IBridge::StorageItem {
                        packet: row.bytes,
                        storageProof: nodes,
                    },
                });
            } else if value.is_zero() {
                self.ethereum.ledger().doubt();
                let reason = format!("Ethereum's block {checkpoint} does not hold it");
                self.delivery.set_aside(row.sequence, &reason).await?;
            } else if ![REFUNDED, ACKNOWLEDGED].contains(&B256::from(value)) {
                // The state holds another packet than the log said. The state is right.
                return Err(self.rewind(row.sequence).await?);
            }
            // Refunded means expired on the native chain, acknowledged received there; the receipt will be
            // seen next.
        }
        Ok((proof.account, items))
    }
}

impl<N: NativeChain, E: EthereumChain> Carries for FromEthereum<N, E> {
    fn delivery(&mut self) -> &mut Delivery {
        &mut self.delivery
    }
}

impl<N: NativeChain, E: EthereumChain> Worker for FromEthereum<N, E> {
    fn lane(&self) -> Lane {
        self.delivery.direction().into()
    }

    fn doubt(&self, chain: Chain) {
        match chain {
            Chain::Native => self.native.ledger().doubt(),
            Chain::Ethereum => self.ethereum.ledger().doubt(),
        }
    }

    async fn tick(&mut self) -> Result<bool, Error> {
        let ledger = self.native.ledger();
        let mut desk = self.delivery.drive(ledger).await?;
        let mut more = self.find().await?;
        if desk.idle.is_empty() || !self.delivery.has_ready(&desk).await? {
            return Ok(more);
        }
        let checkpoint = self.native.latest_checkpoint().await?;
        for sender in std::mem::take(&mut desk.idle) {
            let (rows, fewer) = self.delivery.ready(ledger, &desk, checkpoint).await?;
            more |= fewer;
            if rows.is_empty() {
                break;
            }
            desk.reserved.extend(rows.iter().map(|row| row.sequence));
            let (account, items) = self.prove(checkpoint, rows).await?;
            more |= self
                .delivery
                .deliver(ledger, sender, items, |items| {
                    deliver_call(checkpoint, &account, items)
                })
                .await?;
        }
        Ok(more)
    }
}

fn deliver_call(
    checkpoint: u64,
    account: &[Bytes],
    items: &[Proven<IBridge::StorageItem>],
) -> Bytes {
    IBridge::deliverCall {
        ethereumBlock: checkpoint,
        accountProof: account.to_vec(),
        items: items.iter().map(|proven| proven.item.clone()).collect(),
    }
    .abi_encode()
    .into()
}

fn nonsense(what: &str) -> Error {
    RpcError::Nonsense {
        chain: Chain::Ethereum,
        what: what.to_owned(),
    }
    .into()
}
