//! Follows the final blocks of the first validator, and counts what they brought.

use super::Signed;
use crate::{
    error::Error,
    figures::Percentiles,
    net::{Net, Rpc},
};
use alloy::primitives::B256;
use alloy::sol_types::SolEvent as _;
use mileverse_primitives::{abi::IPoints, address::POINTS};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Transactions that are not final yet.
#[derive(Default)]
struct UnderWay {
    /// Since when, and how many bytes it is.
    each: HashMap<B256, (Instant, usize)>,
    /// All of their bytes.
    bytes: usize,
}

impl UnderWay {
    fn take(&mut self, hash: B256) -> Option<Instant> {
        let (since, bytes) = self.each.remove(&hash)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(since)
    }
}

/// What was handed in and is not final yet; clones share it.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Shared>);

#[derive(Default)]
struct Shared {
    under_way: Mutex<UnderWay>,
    handed_in: AtomicU64,
    done: AtomicU64,
    closed: AtomicBool,
    refusal: Mutex<Option<String>>,
}

impl Ledger {
    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        let under_way = self.0.under_way.lock();
        under_way.unwrap_or_else(PoisonError::into_inner)
    }

    /// These are on their way from now on.
    pub fn hand_in(&self, some: &[Signed]) {
        let now = Instant::now();
        let mut under_way = self.under_way();
        for Signed { hash, raw } in some {
            if under_way.each.insert(*hash, (now, raw.len())).is_none() {
                under_way.bytes = under_way.bytes.saturating_add(raw.len());
                self.0.handed_in.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// This one was refused.
    pub fn forget(&self, hash: B256) {
        self.under_way().take(hash);
    }

    /// Why nothing could be counted, with what a validator said if it refused something.
    pub fn nothing(&self) -> Error {
        let refusal = self.0.refusal.lock();
        let refusal = refusal.unwrap_or_else(PoisonError::into_inner).clone();
        Error::Setup(refusal.map_or_else(
            || {
                "no transaction became final in the measured time; give a larger --prepared"
                    .to_owned()
            },
            |reason| format!("no transaction became final; a validator said: {reason}"),
        ))
    }

    /// Remembers why the first one was refused.
    pub fn first_refusal(&self, reason: String) {
        *self
            .0
            .refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn take(&self, hash: B256) -> Option<Instant> {
        let since = self.under_way().take(hash)?;
        self.0.done.fetch_add(1, Ordering::Relaxed);
        Some(since)
    }

    /// Nothing more is to be handed in.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }

    /// Whether nothing more is to be handed in.
    pub fn closed(&self) -> bool {
        self.0.closed.load(Ordering::Relaxed)
    }

    /// How many are under way.
    pub fn waiting(&self) -> u64 {
        self.under_way().each.len() as u64
    }

    /// Whether so many are under way, or so many bytes of them.
    pub fn has(&self, transactions: usize, bytes: usize) -> bool {
        let under_way = self.under_way();
        under_way.each.len() >= transactions || under_way.bytes >= bytes
    }

    /// How many were handed in.
    pub fn handed_in(&self) -> u64 {
        self.0.handed_in.load(Ordering::Relaxed)
    }

    /// How many are final.
    pub fn done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }
}

/// A final block.
pub struct Block {
    /// Its height.
    pub height: u64,
    /// When the first validator showed it.
    pub seen: Instant,
    /// How long its transactions took, milliseconds.
    took: Vec<f64>,
}

/// What was final within the measured time.
pub struct Counted {
    /// Transactions with a receipt that says they succeeded.
    pub transactions: u64,
    /// Those that failed.
    pub failed: u64,
    /// Successful transactions, a batch counted as its successful entries.
    pub operations: u64,
    /// From handing in to final.
    pub finality_ms: Percentiles,
    /// Blocks.
    pub blocks: u64,
    /// Transactions of the largest.
    pub largest_block: u64,
}

/// Watches one validator.
pub struct Watch {
    client: Rpc,
    ledger: Ledger,
    newest: u64,
    blocks: Vec<Block>,
}

impl Watch {
    /// From the newest block on.
    pub async fn start(net: &Net) -> Result<Self, Error> {
        let client = net.first()?.clone();
        let newest = client.height().await?;
        Ok(Self {
            client,
            ledger: Ledger::default(),
            newest,
            blocks: Vec::new(),
        })
    }

    /// What is under way.
    pub fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// The final blocks so far.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Looks for new final blocks, after a pause.
    pub async fn look(&mut self) -> Result<(), Error> {
        sleep(LOOK).await;
        let height = self.client.height().await?;
        let seen = Instant::now();
        while self.newest < height {
            self.newest = self.newest.saturating_add(1);
            let hashes = self.client.transactions(self.newest).await?;
            let took = hashes
                .into_iter()
                .filter_map(|hash| self.ledger.take(hash))
                .map(|since| seen.duration_since(since).as_secs_f64() * 1000.0)
                .collect();
            self.blocks.push(Block {
                height: self.newest,
                seen,
                took,
            });
        }
        Ok(())
    }

    /// Reads the receipts of all blocks that were seen in a span of time.
    pub async fn count(&self, from: Instant, to: Instant) -> Result<Counted, Error> {
        let mut counted = Counted {
            transactions: 0,
            failed: 0,
            operations: 0,
            finality_ms: Percentiles::over(Vec::new()),
            blocks: 0,
            largest_block: 0,
        };
        let mut took = Vec::new();
        let within = self
            .blocks
            .iter()
            .filter(|block| block.seen >= from && block.seen < to);
        for block in within {
            let receipts = self.client.receipts(block.height).await?;
            counted.blocks = counted.blocks.saturating_add(1);
            counted.largest_block = counted.largest_block.max(receipts.len() as u64);
            for receipt in receipts {
                if !receipt.status() {
                    counted.failed = counted.failed.saturating_add(1);
                    continue;
                }
                counted.transactions = counted.transactions.saturating_add(1);
                let entries = receipt
                    .logs()
                    .iter()
                    .filter(|log| log.address() == POINTS)
                    .filter_map(|log| IPoints::EntryDone::decode_log(&log.inner).ok())
                    .filter(|entry| entry.outcome == IPoints::Outcome::Done)
                    .count() as u64;
                counted.operations = counted.operations.saturating_add(entries.max(1));
            }
            took.extend_from_slice(&block.took);
        }
        counted.finality_ms = Percentiles::over(took);
        if counted.transactions == 0 {
            return Err(self.ledger.nothing());
        }
        Ok(counted)
    }
}
