//! Two chains with the contract of hashed-timelock swaps, and people who trade across them; with everything
//! that can go wrong: lost questions and answers, events that are hidden, late or made up, wrong states,
//! transactions that vanish, blocks of Ethereum that are taken back, chains whose time goes at a pace of its
//! own, another relayer, and crashes. All by one seeded dice.
//!
//! The contract's rules are kept here as the contract keeps them: once, and by the block's time.

pub mod ledger;
pub mod run;

use mileverse_primitives::{Address, B256, Bytes, U256, exchange::HASHED_TIMELOCK};
use mileverse_relayer::chain::{End, Inclusion};
use mileverse_wallet::{
    rpc::RpcError,
    timelock::{Event, Happened, State, Terms, lock_of},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::Notify;

pub const NATIVE: u64 = 77_771;
pub const ETHEREUM: u64 = 31_337;
pub const CONTRACT: Address = HASHED_TIMELOCK;
/// Blocks until one of Ethereum's is final.
const FINAL_AFTER: usize = 4;
/// Times of the world begin here.
const BEGIN_MS: u64 = 1_000_000_000;

pub const fn chain_id(end: End) -> u64 {
    match end {
        End::Ethereum => ETHEREUM,
        End::Native | End::Peer => NATIVE,
    }
}

/// How often each kind of trouble comes, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub lost_question: u32,
    pub lost_answer: u32,
    pub crash: u32,
    /// An answer to a search leaves an event out.
    pub hidden: u32,
    /// It tells of a swap that nobody opened.
    pub made_up: u32,
    /// The newest blocks' events are not told yet.
    pub late: u32,
    /// The newest block's state of a swap is told wrongly.
    pub wrong_state: u32,
    /// A nonce is told wrongly.
    pub wrong_nonce: u32,
    pub vanish: u32,
    pub take_back: u32,
    /// Another relayer claims what can be claimed.
    pub rival: u32,
    /// A token refuses for this block.
    pub poison: u32,
}

/// What is done to the contract.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    Open(Terms),
    Claim(Terms, B256),
    Refund(Terms),
}

/// An event, and when its block came.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub event: Event,
    pub ms: u64,
}

/// A chain after a block.
#[derive(Clone, Debug, Default)]
pub struct Block {
    pub time_s: u64,
    /// When it came.
    pub ms: u64,
    /// Tells blocks of one number apart.
    pub salt: u64,
    pub swaps: BTreeMap<B256, (Terms, State)>,
    pub told: Vec<Told>,
    pub nonces: BTreeMap<Address, u64>,
    pub included: BTreeMap<B256, Inclusion>,
}

/// A relayer's transaction that waits for a block.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub hash: B256,
    pub sender: Address,
    pub nonce: u64,
    pub max_fee: u128,
    pub to: Option<Address>,
    pub chain_id: Option<u64>,
    pub action: Action,
}

pub struct Chain {
    pub end: End,
    pub blocks: Vec<Block>,
    pub pool: Vec<Waiting>,
    /// What people do in the next block.
    pub people: Vec<Action>,
    pub price: u128,
    /// How far its time is behind the world's, seconds.
    lag: u64,
    /// Transactions of the relayer that were in a block, and those of them that were refused there.
    pub counted: (usize, usize),
    /// Swaps whose token refuses for now.
    pub poisoned: BTreeSet<B256>,
}

impl Chain {
    fn new(end: End) -> Self {
        let first = Block {
            time_s: BEGIN_MS / 1_000,
            ms: BEGIN_MS,
            ..Block::default()
        };
        Self {
            end,
            blocks: vec![first; FINAL_AFTER + 1],
            pool: Vec::new(),
            people: Vec::new(),
            price: if end == End::Ethereum { 100 } else { 0 },
            lag: 0,
            counted: (0, 0),
            poisoned: BTreeSet::new(),
        }
    }

    pub fn head(&self) -> &Block {
        self.blocks.last().unwrap()
    }

    pub fn height(&self) -> u64 {
        self.blocks.len() as u64 - 1
    }

    pub fn finalized(&self) -> u64 {
        match self.end {
            End::Ethereum => self.height() - FINAL_AFTER as u64,
            End::Native | End::Peer => self.height(),
        }
    }

    pub fn final_block(&self) -> &Block {
        &self.blocks[self.finalized() as usize]
    }

    pub fn id(&self, terms: &Terms) -> B256 {
        terms.id(chain_id(self.end), CONTRACT)
    }

    pub fn state(&self, terms: &Terms) -> State {
        let id = self.id(terms);
        self.head()
            .swaps
            .get(&id)
            .map_or(State::None, |swap| swap.1)
    }

    /// What the contract does, by the rules of `HashedTimelock.sol`.
    pub fn execute(&self, block: &mut Block, number: u64, action: Action) -> Result<(), String> {
        let (Action::Open(terms) | Action::Claim(terms, _) | Action::Refund(terms)) = action;
        let id = self.id(&terms);
        let state = block.swaps.get(&id).map_or(State::None, |swap| swap.1);
        let (next, happened) = match action {
            Action::Open(_) => {
                if state != State::None || terms.deadline <= block.time_s {
                    return Err("cannot be opened".into());
                }
                (State::Open, Happened::Opened(terms))
            }
            _ if state != State::Open => return Err("SwapNotOpen".into()),
            _ if self.poisoned.contains(&id) => return Err("the token refuses".into()),
            Action::Claim(_, secret) => {
                if block.time_s > terms.deadline {
                    return Err("DeadlineOver".into());
                }
                if lock_of(secret) != terms.lock {
                    return Err("SecretWrong".into());
                }
                (State::Claimed, Happened::Claimed { secret })
            }
            Action::Refund(_) => {
                if block.time_s <= terms.deadline {
                    return Err("DeadlineNotOver".into());
                }
                (State::Refunded, Happened::Refunded)
            }
        };
        block.swaps.insert(id, (terms, next));
        block.told.push(Told {
            event: Event {
                id,
                lock: terms.lock,
                happened,
                block: number,
                transaction: B256::ZERO,
            },
            ms: block.ms,
        });
        Ok(())
    }
}

/// Everything.
pub struct World {
    pub dice: StdRng,
    pub trouble: Trouble,
    pub now_ms: u64,
    pub native: Chain,
    pub ethereum: Chain,
    /// What people will do, and when.
    pub agenda: Vec<(u64, End, Action)>,
    /// Locks whose secret any block ever showed, taken back or not.
    pub shown: BTreeSet<B256>,
    /// What the relayer was told in this tick of the newest blocks' states, and what it may send for that.
    pub view: BTreeMap<(End, B256), State>,
    /// What is told in blocks from then on is hidden by every endpoint.
    pub masked_from: Option<u64>,
    pub crashed: bool,
    salt: u64,
}

impl World {
    pub fn roll(&mut self, in_a_thousand: u32) -> bool {
        self.dice.random_ratio(in_a_thousand.min(1000), 1000)
    }

    pub const fn chain(&self, end: End) -> &Chain {
        match end {
            End::Ethereum => &self.ethereum,
            End::Native | End::Peer => &self.native,
        }
    }

    pub const fn chain_mut(&mut self, end: End) -> &mut Chain {
        match end {
            End::Ethereum => &mut self.ethereum,
            End::Native | End::Peer => &mut self.native,
        }
    }

    /// Time passes and blocks come.
    pub fn step(&mut self, least_ms: u64, most_ms: u64) {
        self.now_ms += self.dice.random_range(least_ms..=most_ms);
        let now = self.now_ms;
        let (due, later) = std::mem::take(&mut self.agenda)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.agenda = later;
        let due: Vec<(u64, End, Action)> = due;
        for (_, end, action) in due {
            self.chain_mut(end).people.push(action);
        }
        self.block(End::Native);
        if self.roll(600) {
            self.block(End::Ethereum);
        }
        let take_back = self.trouble.take_back;
        if self.roll(take_back) {
            self.take_back();
        }
    }

    /// The next block of a chain: people first, then who pays enough.
    pub fn block(&mut self, end: End) {
        self.salt += 1;
        if self.roll(200) {
            let lag = self.dice.random_range(0..40);
            self.chain_mut(end).lag = lag;
        }
        let price = match end {
            End::Ethereum => self.dice.random_range(50..400),
            End::Native | End::Peer => self.chain(end).price,
        };
        let rival = self.trouble.rival;
        let (vanish, poison) = (self.trouble.vanish, self.trouble.poison);
        let poisoned: Vec<_> = self.chain(end).head().swaps.keys().copied().collect();
        let poisoned = poisoned.into_iter().filter(|_| self.roll(poison));
        self.chain_mut(end).poisoned = poisoned.collect();
        if self.roll(rival) {
            self.rival(end);
        }
        let (salt, now_ms) = (self.salt, self.now_ms);
        let chain = self.chain_mut(end);
        chain.price = price;
        let before = chain.head();
        let step = u64::from(end == End::Ethereum);
        let mut block = Block {
            time_s: (now_ms / 1_000 - chain.lag).max(before.time_s + step),
            ms: now_ms,
            salt,
            ..before.clone()
        };
        let number = chain.height() + 1;
        for action in std::mem::take(&mut chain.people) {
            let _ = chain.execute(&mut block, number, action);
        }
        let mut pool = std::mem::take(&mut chain.pool);
        if vanish > 0 {
            pool.retain(|_| !self.roll(vanish));
        }
        let chain = self.chain_mut(end);
        while let Some(at) = pool.iter().position(|waiting| {
            let next = block.nonces.get(&waiting.sender).copied().unwrap_or(0);
            waiting.nonce == next && waiting.max_fee >= price
        }) {
            let waiting = pool.remove(at);
            assert_eq!(waiting.chain_id, Some(chain_id(end)), "for another chain");
            assert_eq!(waiting.to, Some(CONTRACT), "to another contract");
            let success = chain.execute(&mut block, number, waiting.action).is_ok();
            chain.counted.0 += 1;
            chain.counted.1 += usize::from(!success);
            *block.nonces.entry(waiting.sender).or_default() += 1;
            block.included.insert(
                waiting.hash,
                Inclusion {
                    block: number,
                    success,
                    gas_used: 60_000,
                    cost_wei: 60_000 * price,
                },
            );
        }
        chain.pool = pool;
        let shown: Vec<_> = block
            .told
            .iter()
            .filter(|told| matches!(told.event.happened, Happened::Claimed { .. }))
            .map(|told| told.event.lock)
            .collect();
        chain.blocks.push(block);
        self.shown.extend(shown);
    }

    /// Whether anything is still to be claimed, by people or with a secret that was shown.
    pub fn has_claims(&self) -> bool {
        let claimable = [&self.native, &self.ethereum].into_iter().any(|chain| {
            let head = chain.head();
            head.swaps.values().any(|(terms, state)| {
                *state == State::Open
                    && self.shown.contains(&terms.lock)
                    && head.time_s <= terms.deadline
            })
        });
        claimable || !self.agenda.is_empty()
    }

    /// Another relayer claims one of those that can be.
    fn rival(&mut self, end: End) {
        let secrets = [&self.native, &self.ethereum]
            .into_iter()
            .flat_map(|chain| {
                let told = chain.head().told.iter();
                told.filter_map(|told| match told.event.happened {
                    Happened::Claimed { secret } => Some((told.event.lock, secret)),
                    _ => None,
                })
            });
        let secrets: BTreeMap<_, _> = secrets.collect();
        let chain = self.chain_mut(end);
        let open = chain.head().swaps.values();
        let claim = open
            .filter(|(_, state)| *state == State::Open)
            .find_map(|(terms, _)| Some(Action::Claim(*terms, *secrets.get(&terms.lock)?)));
        chain.people.extend(claim);
    }

    /// Takes back some of Ethereum's blocks that are not final. What people did in them mostly comes again;
    /// the relayer's transactions are lost to the pool.
    pub fn take_back(&mut self) {
        let newest = self.ethereum.height();
        let kept = self.dice.random_range(self.ethereum.finalized()..=newest);
        let lost: Vec<_> = self
            .ethereum
            .head()
            .told
            .iter()
            .filter(|told| told.event.block > kept)
            .map(|told| told.event)
            .collect();
        let terms = self.ethereum.head().swaps.clone();
        self.ethereum.blocks.truncate(kept as usize + 1);
        for event in lost {
            let Some((terms, _)) = terms.get(&event.id) else {
                continue;
            };
            let again = match event.happened {
                Happened::Opened(terms) => Action::Open(terms),
                Happened::Claimed { secret } => Action::Claim(*terms, secret),
                Happened::Refunded => continue,
            };
            if self.roll(600) {
                self.ethereum.people.push(again);
            }
        }
        // As many blocks come instead, so that what is final stays final.
        let (now_ms, people) = (self.now_ms, std::mem::take(&mut self.ethereum.people));
        for _ in kept..newest {
            self.salt += 1;
            let mut block = self.ethereum.head().clone();
            block.salt = self.salt;
            block.time_s += 1;
            block.ms = now_ms;
            self.ethereum.blocks.push(block);
        }
        self.ethereum.people = people;
    }

    /// Two people agree on a trade; each does what was agreed on, or does not.
    pub fn trade(&mut self) {
        let secret = B256::from(self.dice.random::<[u8; 32]>());
        let lock = lock_of(secret);
        let [first, second] = if self.roll(500) {
            [End::Native, End::Ethereum]
        } else {
            [End::Ethereum, End::Native]
        };
        let short = self.roll(300);
        let near = if short {
            self.dice.random_range(10..150)
        } else {
            self.dice.random_range(200..1_500)
        };
        let far = near + self.dice.random_range(0..1_500);
        let terms = |amount: u64, deadline: u64| Terms {
            token: Address::repeat_byte(1),
            amount: U256::from(amount),
            opener: Address::repeat_byte(2),
            claimer: Address::repeat_byte(3),
            lock,
            deadline,
        };
        let now_s = self.now_ms / 1_000;
        let at = |after: u64| (now_s + after) * 1_000;
        let mine = terms(1, now_s + far);
        self.agenda.push((at(0), first, Action::Open(mine)));
        if self.roll(150) {
            return;
        }
        let answered = self.dice.random_range(0..20);
        let theirs = terms(2, now_s + near);
        self.agenda
            .push((at(answered), second, Action::Open(theirs)));
        if self.roll(200) {
            // In two parts.
            let part = terms(3, now_s + near + 7);
            self.agenda.push((at(answered), second, Action::Open(part)));
        }
        if self.roll(700) {
            let shows = answered + self.dice.random_range(1..near.max(3));
            self.agenda
                .push((at(shows), second, Action::Claim(theirs, secret)));
        }
    }
}

/// The world as the relayer's chains share it.
#[derive(Clone)]
pub struct Shared {
    world: Arc<Mutex<World>>,
    pub crash: Arc<Notify>,
}

impl Shared {
    pub fn new(seed: u64, trouble: Trouble) -> Self {
        let world = World {
            dice: StdRng::seed_from_u64(seed),
            trouble,
            now_ms: BEGIN_MS,
            native: Chain::new(End::Native),
            ethereum: Chain::new(End::Ethereum),
            agenda: Vec::new(),
            shown: BTreeSet::new(),
            view: BTreeMap::new(),
            masked_from: None,
            crashed: false,
            salt: 0,
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            crash: Arc::new(Notify::new()),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// One call of a node: may be lost on the way there, on the way back, or be the last.
    pub async fn call<T>(
        &self,
        end: End,
        work: impl FnOnce(&mut World) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let lost = |what: &str| RpcError::Unreachable {
            chain: end.kind(),
            url: "world".into(),
            reason: what.into(),
        };
        let outcome = {
            let mut world = self.lock();
            let trouble = world.trouble;
            if world.roll(trouble.lost_question) {
                return Err(lost("the question was lost"));
            }
            let before = world.roll(trouble.crash);
            let outcome = (!before).then(|| work(&mut world));
            let after = world.roll(trouble.crash);
            if before || after {
                world.crashed = true;
                None
            } else if world.roll(trouble.lost_answer) {
                Some(Err(lost("the answer was lost")))
            } else {
                outcome
            }
        };
        match outcome {
            Some(outcome) => outcome,
            None => {
                self.crash.notify_one();
                std::future::pending().await
            }
        }
    }
}

/// What a call of the contract does.
pub fn action_of(input: &Bytes) -> Action {
    use alloy::sol_types::SolCall as _;
    use mileverse_primitives::exchange::HashedTimelock::{claimCall, refundCall};
    if let Ok(call) = claimCall::abi_decode(input) {
        return Action::Claim(call.terms.into(), call.secret);
    }
    Action::Refund(refundCall::abi_decode(input).unwrap().terms.into())
}
