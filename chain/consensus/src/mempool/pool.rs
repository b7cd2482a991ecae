//! The waiting transactions and the orders they stand in.
//!
//! | order | for |
//! |---|---|
//! | by sender and nonce | which may run, and in what order |
//! | by hash | finding one again |
//! | by arrival | the old ones leave first |
//! | senders by what their last transaction pays | who leaves when the pool is full |
//!
//! Beside them stands what waiting transactions draw on: what deposits and stakes are to pay for them
//! together. Only a sender's last transaction is ever thrown out, so that no gap opens in the middle.

use super::{
    Capacity, MAX_AGE, Sender,
    refusal::{self, Refusal},
};
use mileverse_execution::{Help, Source, Transaction};
use mileverse_primitives::{Address, B256, U256};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    time::Instant,
};

/// Final blocks whose senders are remembered: a transaction that was checked against the state before
/// one of them may come in after it, with a nonce that is used.
const REMEMBERED: usize = 16;
/// Arrivals remembered for those who ask what is new.
const MAX_RECENT: usize = 16_384;

pub(super) struct Entry {
    pub(super) transaction: Transaction,
    pub(super) order: u64,
    pub(super) local: bool,
    since: Instant,
    cost: Cost,
    drawn: Vec<Drawn>,
}

/// What a transaction takes of something that others draw on, too.
type Drawn = (Source, U256);

/// What transactions may cost at most.
#[derive(Clone, Copy, Default)]
struct Cost {
    coin: U256,
    points: U256,
}

impl Cost {
    const fn plus(self, other: Self) -> Self {
        Self {
            coin: self.coin.saturating_add(other.coin),
            points: self.points.saturating_add(other.points),
        }
    }

    const fn less(self, other: Self) -> Self {
        Self {
            coin: self.coin.saturating_sub(other.coin),
            points: self.points.saturating_sub(other.points),
        }
    }
}

/// One sender's transactions.
#[derive(Default)]
pub(super) struct Queue {
    /// The next nonce on the chain, as far as it is known here.
    pub(super) next: u64,
    pub(super) waiting: BTreeMap<u64, Entry>,
    /// What all of them may cost. Each was covered when it came, so the sum never saturates.
    cost: Cost,
}

impl Queue {
    fn insert(&mut self, nonce: u64, entry: Entry) {
        self.cost = self.cost.plus(entry.cost);
        if let Some(old) = self.waiting.insert(nonce, entry) {
            self.cost = self.cost.less(old.cost);
        }
    }

    fn remove(&mut self, nonce: u64) -> Option<Entry> {
        let entry = self.waiting.remove(&nonce)?;
        self.cost = self.cost.less(entry.cost);
        Some(entry)
    }

    /// Takes out what has this nonce or a later one.
    fn split_off(&mut self, nonce: u64) -> BTreeMap<u64, Entry> {
        let gone = self.waiting.split_off(&nonce);
        for entry in gone.values() {
            self.cost = self.cost.less(entry.cost);
        }
        gone
    }

    /// Moves on to the next nonce; answers what was used.
    fn advance(&mut self, next: u64) -> BTreeMap<u64, Entry> {
        self.next = self.next.max(next);
        let rest = self.waiting.split_off(&self.next);
        let used = std::mem::replace(&mut self.waiting, rest);
        for entry in used.values() {
            self.cost = self.cost.less(entry.cost);
        }
        used
    }

    /// Those that may run one after another now.
    pub(super) fn runnable(&self) -> impl Iterator<Item = &Entry> {
        (self.next..)
            .zip(self.waiting.range(self.next..))
            .take_while(|(expected, (nonce, _))| expected == *nonce)
            .map(|(_, (_, entry))| entry)
    }

    fn tail(&self, address: Address) -> Option<Tail> {
        let (_, last) = self.waiting.last_key_value()?;
        Some((
            last.transaction.max_priority_fee_per_gas(),
            Reverse(last.order),
            address,
        ))
    }
}

/// What a sender's last transaction pays; among equals the newest comes first.
type Tail = (u128, Reverse<u64>, Address);

pub(super) struct Pool {
    capacity: Capacity,
    pub(super) senders: HashMap<Address, Queue>,
    pub(super) hashes: HashMap<B256, (Address, u64)>,
    /// Senders with something that may run.
    pub(super) ready: HashSet<Address>,
    tails: BTreeSet<Tail>,
    arrivals: BTreeMap<u64, (Address, u64)>,
    /// What all that waits takes.
    drawn: HashMap<Source, U256>,
    recent: VecDeque<(u64, B256)>,
    /// Next nonces that the last final blocks left, and the blocks' senders.
    settled: HashMap<Address, u64>,
    blocks: VecDeque<Vec<(Address, u64)>>,
    order: u64,
    bytes: usize,
}

impl Pool {
    /// An empty one.
    pub(super) fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            senders: HashMap::new(),
            hashes: HashMap::new(),
            ready: HashSet::new(),
            tails: BTreeSet::new(),
            arrivals: BTreeMap::new(),
            drawn: HashMap::new(),
            recent: VecDeque::new(),
            settled: HashMap::new(),
            blocks: VecDeque::new(),
            order: 0,
            bytes: 0,
        }
    }

    /// Takes a transaction that was checked by itself.
    pub(super) fn add(
        &mut self,
        transaction: Transaction,
        sender: Sender,
        local: bool,
    ) -> Result<(), Refusal> {
        let (address, nonce) = (transaction.sender(), transaction.nonce());
        if self.hashes.contains_key(&transaction.hash()) {
            return Err(Refusal::Known);
        }
        let alone = refusal::cost(&transaction).ok_or(Refusal::CostOverflow)?;
        let known = self.senders.get(&address).map_or(0, |queue| queue.next);
        let next = self.used_until(address, sender.nonce);
        if nonce < next {
            return Err(Refusal::NonceTooLow {
                next,
                actual: nonce,
            });
        }
        // What the chain has used already costs nothing any more.
        if next > known {
            self.advance(address, next);
        }
        let queue = self.senders.get(&address);
        let old = queue.and_then(|queue| queue.waiting.get(&nonce));
        let queued = queue
            .map_or_else(Cost::default, |queue| queue.cost)
            .less(old.map_or_else(Cost::default, |old| old.cost));
        let freed = old.map_or(&[][..], |old| &old.drawn);
        let helped = sender.help.iter().find(|help| {
            queued.coin.saturating_add(help.coin) <= sender.balance && self.has_room(help, freed)
        });
        let (coin, drawn) = match helped {
            Some(help) => {
                let drawn = help.draws.iter().map(|draw| (draw.source, help.takes));
                (help.coin, drawn.collect())
            }
            None if sender.needs_help => return Err(Refusal::NobodyPays),
            None => (alone, Vec::new()),
        };
        let cost = Cost {
            coin,
            points: sender.purse.cost,
        };
        if queued.coin.saturating_add(cost.coin) > sender.balance {
            return Err(Refusal::InsufficientFunds {
                balance: sender.balance,
                queued: queued.coin,
                cost: cost.coin,
            });
        }
        // Whoever needs no points, pays with something else.
        if !cost.points.is_zero() && queued.points.saturating_add(cost.points) > sender.purse.held {
            return Err(Refusal::InsufficientPoints {
                held: sender.purse.held,
                queued: queued.points,
                cost: cost.points,
            });
        }
        match old {
            Some(old) if !replaces(&transaction, &old.transaction) => {
                return Err(Refusal::Replacement);
            }
            Some(_) => {
                self.remove(address, nonce);
            }
            None if queue.is_some_and(|queue| queue.waiting.len() >= self.capacity.per_sender) => {
                return Err(Refusal::Full);
            }
            None => self.make_room(&transaction)?,
        }
        let entry = Entry {
            transaction,
            order: 0,
            local,
            since: Instant::now(),
            cost,
            drawn,
        };
        self.insert(entry, next);
        Ok(())
    }

    /// A sender's next nonce on the chain: what was read there, or what is known of later blocks.
    pub(super) fn used_until(&self, address: Address, chain: u64) -> u64 {
        let settled = self.settled.get(&address).copied().unwrap_or_default();
        let known = self.senders.get(&address).map_or(0, |queue| queue.next);
        known.max(settled).max(chain)
    }

    /// Whether all that a help draws on has room, once what `freed` takes is back.
    fn has_room(&self, help: &Help, freed: &[Drawn]) -> bool {
        help.draws.iter().all(|draw| {
            let drawn = self.drawn.get(&draw.source).copied().unwrap_or_default();
            let back = freed.iter().filter(|(source, _)| *source == draw.source);
            let drawn = back.fold(drawn, |rest, (_, amount)| rest.saturating_sub(*amount));
            drawn.saturating_add(help.takes) <= draw.room
        })
    }

    fn insert(&mut self, mut entry: Entry, next: u64) {
        self.order = self.order.saturating_add(1);
        entry.order = self.order;
        let transaction = &entry.transaction;
        let (address, nonce, hash) = (
            transaction.sender(),
            transaction.nonce(),
            transaction.hash(),
        );
        self.bytes = self.bytes.saturating_add(transaction.raw().len());
        self.hashes.insert(hash, (address, nonce));
        self.arrivals.insert(self.order, (address, nonce));
        self.recent.push_back((self.order, hash));
        if self.recent.len() > MAX_RECENT {
            self.recent.pop_front();
        }
        for (source, amount) in &entry.drawn {
            let all = self.drawn.entry(*source).or_default();
            *all = all.saturating_add(*amount);
        }
        self.change(address, |queue| {
            queue.next = queue.next.max(next);
            queue.insert(nonce, entry);
        });
    }

    /// Changes a sender's queue and keeps the orders that follow from it.
    fn change<T>(&mut self, address: Address, change: impl FnOnce(&mut Queue) -> T) -> T {
        let queue = self.senders.entry(address).or_default();
        if let Some(tail) = queue.tail(address) {
            self.tails.remove(&tail);
        }
        let answer = change(queue);
        match queue.tail(address) {
            Some(tail) => {
                self.tails.insert(tail);
                if queue.waiting.contains_key(&queue.next) {
                    self.ready.insert(address);
                } else {
                    self.ready.remove(&address);
                }
            }
            None => {
                self.senders.remove(&address);
                self.ready.remove(&address);
            }
        }
        answer
    }

    /// Takes one transaction out.
    fn remove(&mut self, address: Address, nonce: u64) -> Option<Entry> {
        let entry = self.change(address, |queue| queue.remove(nonce))?;
        self.forgotten(&entry);
        Some(entry)
    }

    fn forgotten(&mut self, entry: &Entry) {
        for (source, amount) in &entry.drawn {
            if let Some(all) = self.drawn.get_mut(source) {
                *all = all.saturating_sub(*amount);
                if all.is_zero() {
                    self.drawn.remove(source);
                }
            }
        }
        self.hashes.remove(&entry.transaction.hash());
        self.arrivals.remove(&entry.order);
        self.bytes = self.bytes.saturating_sub(entry.transaction.raw().len());
    }

    /// Throws out what pays least until one more fits.
    fn make_room(&mut self, coming: &Transaction) -> Result<(), Refusal> {
        let tip = coming.max_priority_fee_per_gas();
        while self.hashes.len() >= self.capacity.transactions
            || self.bytes.saturating_add(coming.raw().len()) > self.capacity.bytes
        {
            let Some(&(least, _, address)) = self.tails.first() else {
                return Err(Refusal::Full);
            };
            if tip < least {
                return Err(Refusal::Underpriced { tip, least });
            }
            // Equals keep their place, and nobody pushes out what its own transaction builds on.
            if tip == least || address == coming.sender() {
                return Err(Refusal::Full);
            }
            let last = self
                .senders
                .get(&address)
                .and_then(|queue| queue.waiting.last_key_value())
                .map(|(nonce, _)| *nonce);
            let Some(nonce) = last else {
                return Err(Refusal::Full);
            };
            self.remove(address, nonce);
        }
        Ok(())
    }

    pub(super) fn get(&self, hash: B256) -> Option<&Transaction> {
        let (address, nonce) = self.hashes.get(&hash)?;
        let entry = self.senders.get(address)?.waiting.get(nonce)?;
        Some(&entry.transaction)
    }

    pub(super) fn forget(&mut self, hash: B256) {
        let Some((address, nonce)) = self.hashes.get(&hash).copied() else {
            return;
        };
        let gone = self.change(address, |queue| queue.split_off(nonce));
        for entry in gone.values() {
            self.forgotten(entry);
        }
    }

    /// A final block left its senders with these next nonces.
    pub(super) fn settle(&mut self, block: Vec<(Address, u64)>) {
        for (address, next) in &block {
            self.advance(*address, *next);
            self.settled.insert(*address, *next);
        }
        self.blocks.push_back(block);
        if self.blocks.len() > REMEMBERED {
            for (address, next) in self.blocks.pop_front().into_iter().flatten() {
                if self.settled.get(&address) == Some(&next) {
                    self.settled.remove(&address);
                }
            }
        }
    }

    /// A sender's next nonce on the chain is this now.
    fn advance(&mut self, address: Address, next: u64) {
        if !self.senders.contains_key(&address) {
            return;
        }
        let used = self.change(address, |queue| queue.advance(next));
        for entry in used.values() {
            self.forgotten(entry);
        }
    }

    /// Lets go of what has waited too long.
    pub(super) fn expire(&mut self) {
        while let Some((_, &(address, nonce))) = self.arrivals.first_key_value() {
            let old = self
                .senders
                .get(&address)
                .and_then(|queue| queue.waiting.get(&nonce))
                .is_none_or(|entry| entry.since.elapsed() >= MAX_AGE);
            if !old {
                return;
            }
            self.remove(address, nonce);
            self.arrivals.pop_first();
        }
    }

    /// Hashes that arrived after `order`, as far as they are remembered, and the newest order.
    pub(super) fn arrived_after(&self, order: u64) -> (Vec<B256>, u64) {
        let newer = self.recent.iter().rev();
        let mut hashes: Vec<_> = newer
            .take_while(|(arrived, _)| *arrived > order)
            .map(|(_, hash)| *hash)
            .collect();
        hashes.reverse();
        (hashes, self.order)
    }
}

/// Whether `new` may take the place of `old`: both prices at least 10 % higher, and higher at all.
fn replaces(new: &Transaction, old: &Transaction) -> bool {
    new.max_fee_per_gas() >= bump(old.max_fee_per_gas())
        && new.max_priority_fee_per_gas() >= bump(old.max_priority_fee_per_gas())
}

/// Least price that replaces `price`: 10 % more, rounded up, and at least one more.
const fn bump(price: u128) -> u128 {
    let tenth = price.div_ceil(10);
    price.saturating_add(if tenth == 0 { 1 } else { tenth })
}
