//! A native chain to a chain that believes its certificates: Ethereum, or a peer.
//!
//! ```txt
//! find      mileverse_packets from the next outbox index on, every index in turn; every sequence of
//!           this route in turn too, up to the nextSequence that the source says
//! prove     the newest certificate of the key that the destination believes; a path for each leaf
//!           in a tree of exactly its size
//! deliver   Ethereum: Bridge.deliver(header, items), at most 128 items
//!           a peer:   peers module, deliver(source, header, items), at most 256
//! done      receipt(sequence): at Ethereum's finalized block; on a peer final at once
//! ```
//!
//! A rotation of the group key is a packet like others, but it decides which certificates count.
//! Until it is delivered only the old key's do, and the last of them covers the block that holds
//! it. After that only the new key's do; what is still waiting is proven by those. A peer takes the
//! rotations that are addressed to Ethereum ([`ROTATIONS`]).
//!
//! A leaf that goes elsewhere is passed over and never proven, so an endpoint could hide a packet by
//! showing it as another chain's. Then a sequence is missing, or fewer were found than the source has
//! sent: the outbox is read again, from another endpoint if there is one, and each time from further back.

use super::{
    Carries, Worker,
    delivery::{Delivery, Proven},
};
use crate::{
    Error,
    chain::{Leaf, Ledger as _, NativeChain, ROTATIONS, Verifier},
    store::{Lane, NewPacket, Position, Row},
};
use mileverse_primitives::{
    outbox,
    packet::{Packet, ROTATION_LENGTH, Rotation},
    rpc::{Certificate, MAX_PACKETS, OutboxPacket, OutboxProof},
};
use mileverse_wallet::rpc::{Chain, RpcError};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Most pages of the outbox in one tick. A backlog of tens of thousands is found in one: a packet that comes
/// after it is fresh only once it is known.
const MAX_PAGES: usize = 128;

/// The worker.
pub struct FromOutbox<N, V> {
    source: N,
    destination: V,
    delivery: Delivery,
    source_chain: u64,
    destination_chain: u64,
    /// The size of the outbox in which nothing of this route was missing.
    complete: AtomicU64,
    /// The sequence that was missing last, and how often in a row.
    missing: AtomicU64,
    gaps: AtomicU32,
}

/// Who must come next, and the first index at which it can stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Next {
    number: u64,
    from: u64,
}

impl Next {
    /// Nothing is known yet: what is found of a route has every number from 1 on.
    const FIRST: Self = Self { number: 1, from: 0 };

    const fn after(number: u64, place: u64) -> Self {
        Self {
            number: number.saturating_add(1),
            from: place.saturating_add(1),
        }
    }
}

/// Who must come next of both kinds.
#[derive(Clone, Copy, Debug)]
struct Expected {
    /// By sequence.
    packet: Next,
    /// Rotations that are overheard, by the number of their key.
    rotation: Next,
}

/// What is missing: its sequence, and the first index at which it can stand.
#[derive(Clone, Copy, Debug)]
struct Missing {
    sequence: u64,
    from: u64,
}

impl Expected {
    /// Takes note of the one at an index: `true` if it is new, `false` if it is known.
    fn take(&mut self, sequence: u64, place: u64) -> Result<bool, Missing> {
        let (next, number) = match sequence.checked_sub(ROTATIONS) {
            Some(version) => (&mut self.rotation, version),
            None => (&mut self.packet, sequence),
        };
        if number > next.number {
            return Err(Missing {
                sequence: sequence.saturating_sub(number.saturating_sub(next.number)),
                from: next.from,
            });
        }
        let is_new = number == next.number;
        if is_new {
            *next = Next::after(number, place);
        }
        Ok(is_new)
    }

    /// What is missing if the source's next packet and its key have these numbers.
    const fn missing(&self, next_packet: u64, key: Option<u64>) -> Option<Missing> {
        if self.packet.number < next_packet {
            return Some(Missing {
                sequence: self.packet.number,
                from: self.packet.from,
            });
        }
        match key {
            Some(version) if self.rotation.number <= version => Some(Missing {
                sequence: ROTATIONS.saturating_add(self.rotation.number),
                from: self.rotation.from,
            }),
            _ => None,
        }
    }
}

impl<N: NativeChain, V: Verifier> FromOutbox<N, V> {
    /// A worker from one of these chains to the other.
    pub const fn new(
        source: N,
        destination: V,
        delivery: Delivery,
        source_chain: u64,
        destination_chain: u64,
    ) -> Self {
        Self {
            source,
            destination,
            delivery,
            source_chain,
            destination_chain,
            complete: AtomicU64::new(u64::MAX),
            missing: AtomicU64::new(0),
            gaps: AtomicU32::new(0),
        }
    }

    /// Stores packets that are new. `true` if there may be more.
    async fn find(&self) -> Result<bool, Error> {
        let direction = self.delivery.direction();
        let mut position = self
            .delivery
            .store()
            .position(
                direction,
                Position {
                    next: 0,
                    search_block: 0,
                    packet_block: 0,
                },
            )
            .await?;
        let size = self.source.outbox_size().await?;
        if position.next >= size && size == self.complete.load(Ordering::Relaxed) {
            return Ok(false);
        }
        // Asked for before the size: whatever they count stands below it.
        let peer = self
            .destination
            .overhears()
            .then_some(self.destination_chain);
        let next_packet = self.source.next_sequence(peer).await?;
        let key = match peer {
            Some(_) => Some(self.source.key_version().await?),
            None => None,
        };
        let size = self.source.outbox_size().await?;
        let mut expected = self.expected().await?;
        for _ in 0..MAX_PAGES {
            if position.next >= size {
                if let Some(missing) = expected.missing(next_packet, key) {
                    return self.search_again(position, missing).await;
                }
                self.complete.store(size, Ordering::Relaxed);
                self.missing.store(0, Ordering::Relaxed);
                return Ok(false);
            }
            let page = self.source.packets(position.next, MAX_PACKETS).await?;
            if page.is_empty() {
                // This endpoint is behind the one that counted, or hides it.
                self.source.ledger().doubt();
                return Ok(false);
            }
            let mut found = Vec::with_capacity(page.len());
            for leaf in page {
                if leaf.index != position.next {
                    return Err(gap(format!("index {} of its outbox", position.next)));
                }
                if let Some(packet) = self.ours(leaf)? {
                    match expected.take(packet.sequence, packet.place) {
                        Ok(true) => found.push(packet),
                        Ok(false) => {}
                        Err(missing) => {
                            // What came before it stays found.
                            self.delivery.advance(position, &found).await?;
                            return self.search_again(position, missing).await;
                        }
                    }
                }
                position.next = position.next.saturating_add(1);
            }
            self.delivery.advance(position, &found).await?;
        }
        Ok(true)
    }

    /// Who must come next, by what is known.
    async fn expected(&self) -> Result<Expected, Error> {
        let packet = self.newest(ROTATIONS).await?;
        let rotation = self.newest(u64::MAX).await?.and_then(|(sequence, place)| {
            let version = sequence.checked_sub(ROTATIONS)?;
            Some((version, place))
        });
        let after = |(number, place)| Next::after(number, place);
        Ok(Expected {
            packet: packet.map_or(Next::FIRST, after),
            rotation: rotation.map_or(Next::FIRST, after),
        })
    }

    /// Sequence and place of the newest packet that is known below a sequence.
    async fn newest(&self, below: u64) -> Result<Option<(u64, u64)>, Error> {
        let (direction, store) = (self.delivery.direction(), self.delivery.store());
        let rows = store.newest(direction, below, 1).await?;
        Ok(rows.first().map(|row| (row.sequence, row.place)))
    }

    /// Reads the outbox again from where the missing one can stand. If that did not help the last time,
    /// what came before it may be wrong too: then from further back, and what was found there is
    /// forgotten.
    async fn search_again(&self, position: Position, missing: Missing) -> Result<bool, Error> {
        let last = self.missing.swap(missing.sequence, Ordering::Relaxed);
        let gaps = match self.gaps.load(Ordering::Relaxed) {
            gaps if last == missing.sequence => gaps.saturating_add(1),
            _ => 0,
        };
        self.gaps.store(gaps, Ordering::Relaxed);
        let back = match gaps.checked_sub(1) {
            None => 0,
            Some(doublings) => 1u64.checked_shl(doublings).unwrap_or(u64::MAX),
        };
        let next = missing.from.saturating_sub(back);
        let position = Position { next, ..position };
        let (direction, store) = (self.delivery.direction(), self.delivery.store());
        if back == 0 {
            store.advance(direction, position, &[], 0).await?;
        } else {
            store.rewind(direction, 0, next, position).await?;
        }
        Err(gap(store.packet_name(direction, missing.sequence)))
    }

    /// A leaf as a packet of this route; `None` if it goes elsewhere.
    fn ours(&self, leaf: OutboxPacket) -> Result<Option<NewPacket>, Error> {
        let packet = Packet::decode(&leaf.packet).map_err(|error| nonsense(&error.to_string()))?;
        let id = packet.id();
        if id.source != self.source_chain
            || id.sequence != leaf.sequence
            || packet.commitment() != leaf.commitment
        {
            return Err(nonsense("an outbox leaf that does not fit its packet"));
        }
        let sequence = match &packet {
            _ if id.destination == self.destination_chain => id.sequence,
            Packet::Rotation(rotation) if self.destination.overhears() => {
                ROTATIONS.saturating_add(rotation.key_version)
            }
            _ => return Ok(None),
        };
        Ok(Some(NewPacket {
            sequence,
            place: leaf.index,
            commitment: leaf.commitment,
            bytes: leaf.packet,
        }))
    }

    /// The newest certificate that the destination believes; `None` while there is none yet.
    async fn certificate(&self) -> Result<Option<Certificate>, Error> {
        let in_force = self.destination.key().await?;
        let newest = self.source.certificate(None).await?;
        let counts = |certificate: Certificate| {
            (certificate.epoch >= in_force.first_epoch).then_some(certificate)
        };
        let Some((place, next)) = self.rotation_after(in_force.version).await? else {
            return Ok(counts(newest));
        };
        if newest.epoch < next.first_epoch {
            return Ok(counts(newest));
        }
        let page = self.source.packets(place, 1).await?;
        let leaf = page
            .into_iter()
            .next()
            .filter(|leaf| leaf.index == place)
            .ok_or_else(|| nonsense("no packet where one was"))?;
        let last = self.source.certificate(Some(leaf.height)).await?;
        if last.epoch >= next.first_epoch {
            tracing::warn!(
                height = leaf.height,
                epoch = last.epoch,
                "the source shows no certificate of the old key that covers its rotation"
            );
            return Ok(None);
        }
        Ok(counts(last))
    }

    /// The first rotation beyond a key that is not known to be delivered for ever, and its place.
    async fn rotation_after(&self, version: u64) -> Result<Option<(u64, Rotation)>, Error> {
        let direction = self.delivery.direction();
        let rows = self
            .delivery
            .store()
            .of_length(direction, ROTATION_LENGTH)
            .await?;
        let mut first: Option<(u64, Rotation)> = None;
        for row in rows {
            let Ok(Packet::Rotation(rotation)) = Packet::decode(&row.bytes) else {
                continue;
            };
            let earlier = first
                .as_ref()
                .is_none_or(|(_, known)| rotation.key_version < known.key_version);
            if rotation.key_version > version && earlier {
                first = Some((row.place, rotation));
            }
        }
        Ok(first)
    }

    async fn prove(
        &self,
        certificate: &Certificate,
        rows: Vec<Row>,
    ) -> Result<Vec<Proven<Leaf>>, Error> {
        let (size, tree) = (certificate.outbox_size, certificate.outbox_tree);
        let places: Vec<_> = rows.iter().map(|row| row.place).collect();
        let proofs = self.source.paths(&places, size).await?;
        let mut items = Vec::with_capacity(proofs.len());
        for (row, OutboxProof { path, .. }) in rows.into_iter().zip(proofs) {
            if !outbox::verify(tree, size, row.place, row.commitment, &path) {
                self.doubt(&row).await?;
                continue;
            }
            items.push(Proven {
                sequence: row.sequence,
                found_ms: row.found_ms,
                item: Leaf {
                    packet: row.bytes,
                    index: row.place,
                    path,
                },
            });
        }
        Ok(items)
    }

    /// A packet's path does not lead to the certificate's root: the path is wrong, or the packet.
    async fn doubt(&self, row: &Row) -> Result<(), Error> {
        self.source.ledger().doubt();
        let page = self.source.packets(row.place, 1).await?;
        let same = page
            .iter()
            .any(|leaf| leaf.index == row.place && leaf.commitment == row.commitment);
        if same {
            let reason = "its path does not lead to the root of the newest certificate";
            return self.delivery.set_aside(row.sequence, reason).await;
        }
        let position = Position {
            next: row.place,
            search_block: 0,
            packet_block: 0,
        };
        self.delivery
            .store()
            .rewind(self.delivery.direction(), row.sequence, row.place, position)
            .await?;
        Err(Error::Rewound {
            sequence: row.sequence,
        })
    }
}

impl<N: NativeChain, V: Verifier> Carries for FromOutbox<N, V> {
    fn delivery(&mut self) -> &mut Delivery {
        &mut self.delivery
    }
}

impl<N: NativeChain, V: Verifier> Worker for FromOutbox<N, V> {
    fn lane(&self) -> Lane {
        self.delivery.direction().into()
    }

    fn doubt(&self, chain: Chain) {
        if self.source.ledger().chain() == chain {
            self.source.ledger().doubt();
        }
        if self.destination.ledger().chain() == chain {
            self.destination.ledger().doubt();
        }
    }

    async fn tick(&mut self) -> Result<bool, Error> {
        let ledger = self.destination.ledger();
        let mut desk = self.delivery.drive(ledger).await?;
        if self.delivery.has_landed().await? {
            let finalized = self.destination.finalized().await?;
            self.delivery.settle(ledger, finalized).await?;
        }
        let mut more = self.find().await?;
        if desk.idle.is_empty() || !self.delivery.has_ready(&desk).await? {
            return Ok(more);
        }
        let Some(certificate) = self.certificate().await? else {
            return Ok(more);
        };
        let Some(last) = certificate.outbox_size.checked_sub(1) else {
            return Ok(more);
        };
        for sender in std::mem::take(&mut desk.idle) {
            let (rows, fewer) = self.delivery.ready(ledger, &desk, last).await?;
            more |= fewer;
            if rows.is_empty() {
                break;
            }
            desk.reserved.extend(rows.iter().map(|row| row.sequence));
            let items = self.prove(&certificate, rows).await?;
            more |= self
                .delivery
                .deliver(ledger, sender, items, |items| {
                    let leaves = items.iter().map(|proven| proven.item.clone()).collect();
                    self.destination.delivery(&certificate, leaves)
                })
                .await?;
        }
        Ok(more)
    }
}

const fn gap(missing: String) -> Error {
    Error::Gap {
        chain: Chain::Native,
        missing,
    }
}

fn nonsense(what: &str) -> Error {
    RpcError::Nonsense {
        chain: Chain::Native,
        what: what.to_owned(),
    }
    .into()
}
