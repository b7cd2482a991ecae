//! Transactions that wait for a block.
//!
//! Per sender in nonce order; between senders by tip, then by arrival. A nonce may be ahead of its
//! sender's: it is held until the ones before it have come.
//!
//! | limit | |
//! |---|---|
//! | [`Capacity::transactions`] | transactions; when full, a new one pushes out one that pays less |
//! | [`Capacity::bytes`] | bytes of them, the same way |
//! | [`Capacity::per_sender`] | transactions of one sender, and nonces ahead of its account's |
//! | [`MAX_AGE`] | time in the pool |
//!
//! How much it holds follows from the chain's blocks ([`Capacity`]).
//!
//! A transaction replaces one of the same nonce only if both of its prices are at least 10 % higher
//! (and higher at all). All waiting transactions of a sender together must be covered by what it
//! has, coin and points alike ([`Purse`]), or by who else pays for them ([`Help`]): all that waits and
//! draws on one deposit or one stake must fit in it together. Refusals use geth's words ([`Refusal`]).
//!
//! | file | what |
//! |---|---|
//! | `pool` | the orders in which they wait |
//! | `refusal` | why one is not taken |
//! | `gossip` | to the coming leaders, and from other validators |
//! | `journal` | what came in here, kept over a restart |
//! | `recover` | a block's transactions, each sender recovered once |

pub mod gossip;
pub mod journal;
mod pool;
pub mod recover;
mod refusal;

pub use refusal::Refusal;

use mileverse_execution::{Help, Transaction};
use mileverse_primitives::{Address, B256, Bytes, U256, limits::BlockLimits};
use pool::{Entry, Pool};
use std::{
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, broadcast};

/// Blocks' worth of transactions that wait at most: while one is agreed on, the next is filled.
const BLOCKS: usize = 2;
/// Blocks' worth of bytes: a full pool of ordinary transactions stays below it.
const BLOCKS_OF_BYTES: usize = 6;
/// One sender's part of the pool is one of so many.
const SHARE: usize = 8;
/// Fewest transactions of one sender that wait, however small blocks are.
const LEAST_PER_SENDER: usize = 64;
/// Longest stay in the pool.
pub const MAX_AGE: Duration = Duration::from_secs(600);
/// Arrivals that a slow listener may be behind before it loses some.
const MAX_BEHIND: usize = 4096;

/// How much a pool holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Capacity {
    /// Transactions.
    pub transactions: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// Transactions of one sender: an eighth of the pool. An issuer or a payment processor may
    /// keep some blocks busy alone, and no single one fills the pool. That nobody fills it with
    /// many accounts is for prices to see to, not for this number.
    pub per_sender: usize,
}

impl Capacity {
    /// Of a pool for blocks with these limits.
    pub fn of(limits: BlockLimits) -> Self {
        let transactions = limits.transactions().saturating_mul(BLOCKS);
        let per_sender = (transactions / SHARE).max(LEAST_PER_SENDER);
        Self {
            transactions: transactions.max(per_sender.saturating_mul(SHARE)),
            bytes: limits.bytes().saturating_mul(BLOCKS_OF_BYTES),
            per_sender,
        }
    }
}

/// What the chain knows of a sender.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// Next nonce.
    pub nonce: u64,
    /// Native coin.
    pub balance: U256,
    /// Its points, as far as this transaction needs some.
    pub purse: Purse,
    /// Who else may pay for this transaction with coin, in the order in which they do.
    pub help: Vec<Help>,
    /// Whether no block takes it unless one of those pays.
    pub needs_help: bool,
}

/// Points that pay for gas.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Purse {
    /// What the sender has, in micro-points.
    pub held: U256,
    /// What this transaction may cost of it.
    pub cost: U256,
}

/// A sender's waiting transactions by nonce.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// Those that may run one after another now.
    pub pending: BTreeMap<u64, Transaction>,
    /// Those that wait for a nonce before them.
    pub queued: BTreeMap<u64, Transaction>,
}

/// The pool; clones share it.
#[derive(Clone)]
pub struct Mempool {
    pool: Arc<Mutex<Pool>>,
    arrived: Arc<Notify>,
    listeners: broadcast::Sender<Transaction>,
    limits: BlockLimits,
    capacity: Capacity,
}

impl Mempool {
    /// An empty pool for blocks of `gas_limit`.
    pub fn new(gas_limit: u64) -> Self {
        let limits = BlockLimits::of(gas_limit);
        let capacity = Capacity::of(limits);
        Self {
            pool: Arc::new(Mutex::new(Pool::new(capacity))),
            arrived: Arc::default(),
            listeners: broadcast::channel(MAX_BEHIND).0,
            limits,
            capacity,
        }
    }

    /// How much it holds.
    pub const fn capacity(&self) -> Capacity {
        self.capacity
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a transaction from another node, given what the chain knows of its sender now.
    pub fn add(&self, transaction: Transaction, sender: Sender) -> Result<B256, Refusal> {
        self.take(transaction, sender, false)
    }

    /// Takes a transaction that came in here.
    pub fn add_local(&self, transaction: Transaction, sender: Sender) -> Result<B256, Refusal> {
        self.take(transaction, sender, true)
    }

    fn take(&self, transaction: Transaction, sender: Sender, local: bool) -> Result<B256, Refusal> {
        refusal::check(&transaction, &sender, self.limits, self.capacity)?;
        let hash = transaction.hash();
        self.lock().add(transaction.clone(), sender, local)?;
        // Nobody may be listening.
        let _ = self.listeners.send(transaction);
        self.arrived.notify_waiters();
        Ok(hash)
    }

    /// Resolves when a transaction may run, or some may already.
    pub async fn ready(&self) {
        loop {
            let arrived = self.arrived.notified();
            if !self.lock().ready.is_empty() {
                return;
            }
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
        self.lock().get(hash).cloned()
    }

    /// Those of some transactions that still wait, with their bytes.
    pub fn still_waiting(&self, hashes: &[B256]) -> Vec<(B256, Bytes)> {
        let pool = self.lock();
        let found = |hash: &B256| Some((*hash, pool.get(*hash)?.raw().clone()));
        hashes.iter().filter_map(found).collect()
    }

    /// Waiting transactions by their hashes, in that order.
    fn get_all(&self, hashes: &[B256]) -> Vec<Option<Transaction>> {
        let pool = self.lock();
        hashes.iter().map(|hash| pool.get(*hash).cloned()).collect()
    }

    /// A sender's waiting transaction with this nonce.
    pub fn of(&self, sender: Address, nonce: u64) -> Option<Transaction> {
        let pool = self.lock();
        let entry = pool.senders.get(&sender)?.waiting.get(&nonce)?;
        Some(entry.transaction.clone())
    }

    /// The nonce after `sender`'s last waiting transaction without a gap, given the chain's own as it
    /// was read a moment ago: a block that became final since then does not let it fall back.
    pub fn next_nonce(&self, sender: Address, chain: u64) -> u64 {
        let pool = self.lock();
        let mut next = pool.used_until(sender, chain);
        if let Some(queue) = pool.senders.get(&sender) {
            for nonce in queue.waiting.range(next..).map(|(nonce, _)| *nonce) {
                if nonce != next {
                    break;
                }
                next = next.saturating_add(1);
            }
        }
        next
    }

    /// How many may run, and how many wait for one before them.
    pub fn counts(&self) -> (u64, u64) {
        let pool = self.lock();
        let ready = pool.ready.iter().filter_map(|one| pool.senders.get(one));
        let pending = ready.map(|queue| queue.runnable().count()).sum::<usize>();
        let all = pool.hashes.len();
        (pending as u64, all.saturating_sub(pending) as u64)
    }

    /// What waits of one sender.
    pub fn waiting_of(&self, sender: Address) -> Waiting {
        let pool = self.lock();
        pool.senders
            .get(&sender)
            .map_or_else(Waiting::default, waiting)
    }

    /// All that waits, by sender.
    pub fn waiting(&self) -> BTreeMap<Address, Waiting> {
        let pool = self.lock();
        let senders = pool.senders.iter();
        senders
            .map(|(address, queue)| (*address, waiting(queue)))
            .collect()
    }

    /// Transactions as they arrive; a listener that is too slow is told how many it lost.
    pub fn listen(&self) -> broadcast::Receiver<Transaction> {
        self.listeners.subscribe()
    }

    /// Hashes that arrived after a place in the order of arrivals, and the place of the newest.
    pub fn arrived_after(&self, order: u64) -> (Vec<B256>, u64) {
        self.lock().arrived_after(order)
    }

    /// Encodings of those that came in here.
    pub fn locals(&self) -> Vec<Bytes> {
        let pool = self.lock();
        let entries = pool
            .senders
            .values()
            .flat_map(|queue| queue.waiting.values());
        let mut locals: Vec<_> = entries.filter(|entry| entry.local).collect();
        locals.sort_unstable_by_key(|entry| entry.order);
        let raw = |entry: &Entry| entry.transaction.raw().clone();
        locals.into_iter().map(raw).collect()
    }

    /// Transactions for a block, best first and each sender's in nonce order, within both limits.
    pub fn candidates(&self, most: usize, most_bytes: usize) -> Vec<Transaction> {
        let pool = self.lock();
        let mut queues: HashMap<Address, _> = HashMap::new();
        let mut heads = BinaryHeap::new();
        for address in &pool.ready {
            let Some(queue) = pool.senders.get(address) else {
                continue;
            };
            let mut queue = queue.runnable();
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

    /// Lets go of transactions that no block can take any more, and of what their senders built on
    /// them.
    pub fn forget(&self, hashes: &[B256]) {
        let mut pool = self.lock();
        for hash in hashes {
            pool.forget(*hash);
        }
    }

    /// Forgets what a final block made stale: `senders` have these next nonces now.
    pub fn on_final(&self, senders: impl IntoIterator<Item = (Address, u64)>) {
        let mut pool = self.lock();
        pool.settle(senders.into_iter().collect());
        pool.expire();
    }
}

fn waiting(queue: &pool::Queue) -> Waiting {
    let pending: BTreeMap<_, _> = queue
        .runnable()
        .map(|entry| (entry.transaction.nonce(), entry.transaction.clone()))
        .collect();
    let queued = queue
        .waiting
        .iter()
        .filter(|(nonce, _)| !pending.contains_key(nonce))
        .map(|(nonce, entry)| (*nonce, entry.transaction.clone()))
        .collect();
    Waiting { pending, queued }
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
