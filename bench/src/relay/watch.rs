//! The events of both bridges: when each packet was sent, and when it took effect.

use super::{
    load::Way,
    report::{Figures, Latency},
    system::{System, setup},
};
use crate::error::Error;
use alloy::{
    eips::BlockNumberOrTag,
    providers::Provider as _,
    rpc::types::{Filter, Log},
    sol_types::SolEvent as _,
};
use mileverse_primitives::{Address, B256, abi::IBridge};
use mileverse_wallet::rpc::Endpoint;
use std::{
    collections::HashMap,
    ops::Range,
    time::{Duration, Instant},
};

/// Between two looks.
pub const LOOK: Duration = Duration::from_millis(100);

/// One bridge, read block after block.
struct Reader {
    endpoint: Endpoint,
    bridge: Address,
    next: u64,
}

/// One way's packets.
pub struct Watch {
    source: Reader,
    destination: Reader,
    /// When each transaction was given to the node.
    submitted: HashMap<B256, Instant>,
    /// When each packet's sender gave it to the node.
    sent: HashMap<u64, Instant>,
    /// When each packet took effect, and how often.
    arrived: HashMap<u64, (Instant, u64)>,
}

impl Watch {
    /// From the newest blocks on.
    pub async fn begin(system: &System, way: Way) -> Result<Self, Error> {
        let [source, destination] = way.ends(system);
        Ok(Self {
            source: Reader::begin(source).await?,
            destination: Reader::begin(destination).await?,
            submitted: HashMap::new(),
            sent: HashMap::new(),
            arrived: HashMap::new(),
        })
    }

    /// A transaction was given to the node.
    pub fn submitted(&mut self, hash: B256, at: Instant) {
        self.submitted.insert(hash, at);
    }

    /// Reads what is new.
    pub async fn look(&mut self) -> Result<(), Error> {
        let topic = IBridge::PacketSent::SIGNATURE_HASH;
        for (hash, sequence) in self.source.read(topic).await? {
            if let Some(at) = self.submitted.remove(&hash) {
                self.sent.insert(sequence, at);
            }
        }
        let topic = IBridge::PacketReceived::SIGNATURE_HASH;
        let now = Instant::now();
        for (_, sequence) in self.destination.read(topic).await? {
            let times = &mut self.arrived.entry(sequence).or_insert((now, 0)).1;
            *times = times.saturating_add(1);
        }
        Ok(())
    }

    /// How many of these sequences have arrived.
    pub fn arrived(&self, sequences: &Range<u64>) -> u64 {
        let within = |sequence: &&u64| sequences.contains(*sequence);
        u64::try_from(self.arrived.keys().filter(within).count()).unwrap_or(u64::MAX)
    }

    /// Whether all of them have arrived.
    pub fn complete(&self, packets: u64) -> bool {
        self.crossed().count() >= usize::try_from(packets).unwrap_or(usize::MAX)
    }

    /// Start and end of each packet that arrived.
    fn crossed(&self) -> impl Iterator<Item = (Instant, Instant)> {
        self.sent
            .iter()
            .filter_map(|(sequence, sent)| Some((*sent, self.arrived.get(sequence)?.0)))
    }

    /// What it came to.
    #[allow(clippy::cast_precision_loss)]
    pub fn figures(&self, packets: u64) -> Figures {
        let crossed: Vec<_> = self.crossed().collect();
        let count = u64::try_from(crossed.len()).unwrap_or(u64::MAX);
        let first = crossed.iter().map(|(_, end)| *end).min();
        let last = crossed.iter().map(|(_, end)| *end).max();
        let minutes = match (first, last) {
            (Some(first), Some(last)) => last.duration_since(first).as_secs_f64() / 60.0,
            _ => 0.0,
        };
        let pace = if minutes > 0.0 {
            count as f64 / minutes
        } else {
            0.0
        };
        let millis = crossed
            .iter()
            .map(|(start, end)| {
                let taken = end.duration_since(*start).as_millis();
                u64::try_from(taken).unwrap_or(u64::MAX)
            })
            .collect();
        let doubled = self
            .arrived
            .values()
            .filter(|(_, times)| *times > 1)
            .count();
        Figures {
            packets: count,
            packets_per_minute: pace.round(),
            latency_ms: Latency::of(millis),
            lost: packets.saturating_sub(count),
            doubled: u64::try_from(doubled).unwrap_or(u64::MAX),
        }
    }
}

/// Blocks whose events are asked for at once: full ones have a thousand each, and a node tells no more
/// than ten thousand.
const BLOCKS: u64 = 8;

impl Reader {
    async fn begin((endpoint, bridge): (Endpoint, Address)) -> Result<Self, Error> {
        let newest = endpoint.provider().get_block_number().await;
        Ok(Self {
            next: newest.map_err(setup)?.saturating_add(1),
            endpoint,
            bridge,
        })
    }

    /// Transaction and sequence of each event in the blocks since the last look.
    async fn read(&mut self, topic: B256) -> Result<Vec<(B256, u64)>, Error> {
        let newest = self.endpoint.provider().get_block_number().await;
        let newest = newest.map_err(setup)?;
        let mut found = Vec::new();
        while self.next <= newest {
            let last = newest.min(self.next.saturating_add(BLOCKS - 1));
            let filter = Filter::new()
                .address(self.bridge)
                .event_signature(topic)
                .from_block(BlockNumberOrTag::Number(self.next))
                .to_block(BlockNumberOrTag::Number(last));
            let logs = self.endpoint.provider().get_logs(&filter).await;
            let logs = logs.map_err(setup)?;
            self.next = last.saturating_add(1);
            found.extend(logs.iter().filter_map(named));
        }
        Ok(found)
    }
}

/// Transaction and sequence; both events have the sequence as their first topic.
fn named(log: &Log) -> Option<(B256, u64)> {
    let sequence = log.topics().get(1)?;
    let sequence = u64::try_from(alloy::primitives::U256::from_be_bytes(sequence.0)).ok()?;
    Some((log.transaction_hash?, sequence))
}
