//! Transactions that wait for a block.
//!
//! Per sender in nonce order; between senders by tip, then by arrival. Limits: [`MAX_TOTAL`]
//! transactions, [`MAX_PER_SENDER`] of one sender, nonces at most [`MAX_PER_SENDER`] ahead of the
//! account's, [`MAX_AGE`] in the pool. A transaction replaces one of the same nonce only at a fee
//! at least 10 % higher (and higher at all). Refusals use geth's words.

pub mod gossip;

use alloy::consensus::Transaction as _;
use mileverse_execution::Transaction;
use mileverse_primitives::{Address, B256, U256};
use std::{
    collections::{BTreeMap, BinaryHeap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use thiserror::Error;
use tokio::sync::Notify;

/// Most transactions in the pool.
pub const MAX_TOTAL: usize = 16_384;
/// Most transactions of one sender.
pub const MAX_PER_SENDER: usize = 64;
/// Longest stay in the pool.
pub const MAX_AGE: Duration = Duration::from_secs(600);

/// Why a transaction is not taken.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
pub enum Refusal {
    /// The very same transaction waits already.
    #[error("already known")]
    Known,
    /// Its nonce was used.
    #[error("nonce too low")]
    NonceTooLow,
    /// Too many nonces are missing before it.
    #[error("nonce too high")]
    NonceTooHigh,
    /// Same nonce, fee not high enough.
    #[error("replacement transaction underpriced")]
    Underpriced,
    /// Value and fee exceed the balance.
    #[error("insufficient funds for gas * price + value")]
    InsufficientFunds,
    /// More gas than a block has.
    #[error("exceeds block gas limit")]
    GasLimit,
    /// Tip above fee cap.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveCap,
    /// The pool is full.
    #[error("txpool is full")]
    Full,
}

/// What the chain knows of a sender.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sender {
    /// Next nonce.
    pub nonce: u64,
    /// Native coin.
    pub balance: U256,
}

struct Entry {
    transaction: Transaction,
    order: u64,
    since: Instant,
}

#[derive(Default)]
struct Pool {
    senders: HashMap<Address, BTreeMap<u64, Entry>>,
    nonces: HashMap<Address, u64>,
    hashes: HashSet<B256>,
    arrivals: u64,
}

/// The pool; clones share it.
#[derive(Clone)]
pub struct Mempool {
    pool: Arc<Mutex<Pool>>,
    arrived: Arc<Notify>,
    gas_limit: u64,
}

impl Mempool {
    /// An empty pool for blocks of `gas_limit`.
    pub fn new(gas_limit: u64) -> Self {
        Self {
            pool: Arc::default(),
            arrived: Arc::default(),
            gas_limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a transaction, given what the chain knows of its sender now.
    pub fn add(&self, transaction: Transaction, sender: Sender) -> Result<B256, Refusal> {
        let hash = transaction.hash();
        if transaction.gas_limit() > self.gas_limit {
            return Err(Refusal::GasLimit);
        }
        if transaction.max_priority_fee_per_gas() > transaction.max_fee_per_gas() {
            return Err(Refusal::TipAboveCap);
        }
        if transaction.nonce() < sender.nonce {
            return Err(Refusal::NonceTooLow);
        }
        if transaction.nonce() - sender.nonce >= MAX_PER_SENDER as u64 {
            return Err(Refusal::NonceTooHigh);
        }
        let cost = U256::from(transaction.gas_limit())
            .checked_mul(U256::from(transaction.max_fee_per_gas()))
            .and_then(|fee| fee.checked_add(transaction.envelope().value()))
            .ok_or(Refusal::InsufficientFunds)?;
        if cost > sender.balance {
            return Err(Refusal::InsufficientFunds);
        }
        let mut pool = self.lock();
        if pool.hashes.contains(&hash) {
            return Err(Refusal::Known);
        }
        let address = transaction.sender();
        let nonce = transaction.nonce();
        let replaced = pool
            .senders
            .get(&address)
            .and_then(|queue| queue.get(&nonce))
            .map(|old| {
                (
                    old.transaction.hash(),
                    bump(old.transaction.max_fee_per_gas()),
                )
            });
        match replaced {
            Some((_, least)) if transaction.max_fee_per_gas() < least => {
                return Err(Refusal::Underpriced);
            }
            Some((old, _)) => {
                pool.hashes.remove(&old);
            }
            None if pool.hashes.len() >= MAX_TOTAL => return Err(Refusal::Full),
            None => {}
        }
        pool.arrivals = pool.arrivals.saturating_add(1);
        let entry = Entry {
            transaction,
            order: pool.arrivals,
            since: Instant::now(),
        };
        pool.hashes.insert(hash);
        pool.nonces.insert(address, sender.nonce);
        pool.senders
            .entry(address)
            .or_default()
            .insert(nonce, entry);
        drop(pool);
        self.arrived.notify_waiters();
        Ok(hash)
    }

    /// Resolves when a transaction has arrived or some wait already.
    pub async fn ready(&self) {
        let arrived = self.arrived.notified();
        if self.is_empty() {
            arrived.await;
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lock().hashes.is_empty()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().hashes.len()
    }

    /// A waiting transaction by its hash.
    pub fn get(&self, hash: B256) -> Option<Transaction> {
        let pool = self.lock();
        if !pool.hashes.contains(&hash) {
            return None;
        }
        pool.senders
            .values()
            .flat_map(BTreeMap::values)
            .find(|entry| entry.transaction.hash() == hash)
            .map(|entry| entry.transaction.clone())
    }

    /// The nonce after `sender`'s last waiting transaction without a gap, given the chain's own.
    pub fn next_nonce(&self, sender: Address, chain: u64) -> u64 {
        let pool = self.lock();
        let mut next = chain;
        if let Some(queue) = pool.senders.get(&sender) {
            for nonce in queue.range(chain..).map(|(nonce, _)| *nonce) {
                if nonce != next {
                    break;
                }
                next = next.saturating_add(1);
            }
        }
        next
    }

    /// Transactions for a block, best first and each sender's in nonce order, within both limits.
    pub fn candidates(&self, most: usize, most_bytes: usize) -> Vec<Transaction> {
        let pool = self.lock();
        let mut queues: HashMap<Address, _> = HashMap::new();
        let mut heads = BinaryHeap::new();
        for (address, queue) in &pool.senders {
            let from = pool.nonces.get(address).copied().unwrap_or_default();
            let mut queue = (from..)
                .zip(queue.range(from..))
                .take_while(|(expected, (nonce, _))| expected == *nonce)
                .map(|(_, (_, entry))| entry);
            if let Some(first) = queue.next() {
                heads.push(Head::of(*address, first));
                queues.insert(*address, (first, queue));
            }
        }
        let mut chosen = Vec::new();
        let mut bytes = 0usize;
        while let Some(head) = heads.pop() {
            let Some((entry, queue)) = queues.get_mut(&head.address) else {
                continue;
            };
            bytes = bytes.saturating_add(entry.transaction.raw().len());
            if chosen.len() >= most || bytes > most_bytes {
                break;
            }
            chosen.push(entry.transaction.clone());
            if let Some(next) = queue.next() {
                heads.push(Head::of(head.address, next));
                *entry = next;
            }
        }
        chosen
    }

    /// Forgets what a final block made stale: `senders` have these next nonces now.
    pub fn on_final(&self, senders: impl IntoIterator<Item = (Address, u64)>) {
        let mut guard = self.lock();
        let pool = &mut *guard;
        for (address, nonce) in senders {
            if let Some(queue) = pool.senders.get_mut(&address) {
                let rest = queue.split_off(&nonce);
                for entry in std::mem::replace(queue, rest).into_values() {
                    pool.hashes.remove(&entry.transaction.hash());
                }
                pool.nonces.insert(address, nonce);
            }
        }
        let hashes = &mut pool.hashes;
        pool.senders.retain(|_, queue| {
            queue.retain(|_, entry| {
                let keep = entry.since.elapsed() < MAX_AGE;
                if !keep {
                    hashes.remove(&entry.transaction.hash());
                }
                keep
            });
            !queue.is_empty()
        });
        let senders = &pool.senders;
        pool.nonces
            .retain(|address, _| senders.contains_key(address));
    }
}

/// Least fee that replaces `fee`: 10 % more, rounded up, and at least one more.
const fn bump(fee: u128) -> u128 {
    let tenth = fee.div_ceil(10);
    fee.saturating_add(if tenth == 0 { 1 } else { tenth })
}

#[derive(Eq, PartialEq)]
struct Head {
    tip: u128,
    order: std::cmp::Reverse<u64>,
    address: Address,
}

impl Head {
    fn of(address: Address, entry: &Entry) -> Self {
        Self {
            tip: entry.transaction.max_priority_fee_per_gas(),
            order: std::cmp::Reverse(entry.order),
            address,
        }
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.tip, self.order, self.address).cmp(&(other.tip, other.order, other.address))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
