//! A relayer in its world: what starts, crashes and restarts it, lets the world go on, and checks what must be
//! true in the end.

use super::{Action, ETHEREUM, NATIVE, Shared, Trouble, ledger::Fake};
use alloy::signers::local::PrivateKeySigner;
use mileverse_primitives::{Address, B256};
use mileverse_relayer::{
    chain::End,
    clock::Clock,
    keys::Signer,
    metrics::Metrics,
    rules::Rules,
    store::{Database, Lane, Mark, Network, RouteStore, Store},
    swaps::{Orders, Swaps},
    transaction::{Limits, Sender},
    worker::Worker as _,
};
use mileverse_wallet::timelock::{Happened, State};
use rand::Rng as _;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

pub const ENDS: [End; 2] = [End::Native, End::Ethereum];

/// A secret that was shown so long before a swap's deadline is always used for it, whatever goes wrong here.
pub const ENOUGH_MS: u64 = 300_000;

struct Relayer {
    store: Store,
    rows: RouteStore,
    workers: [Swaps<Fake>; 2],
}

/// How a relayer is set up.
#[derive(Clone)]
pub struct Setup {
    pub keys: u8,
    pub in_flight: usize,
    pub rules: Rules,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            keys: 1,
            in_flight: 1,
            rules: Rules::default(),
        }
    }
}

impl Relayer {
    async fn start(shared: &Shared, database: &Path, setup: &Setup) -> Self {
        let database = Database::Sqlite(database.to_owned());
        let store = Store::open(&database).await.unwrap();
        let network = Network {
            native_chain: NATIVE,
            native_genesis: B256::ZERO,
            far_chain: ETHEREUM,
            far_mark: Mark::Bridge(Address::ZERO),
        };
        let rows = store.bind("main", &network).await.unwrap();
        let clock = {
            let shared = shared.clone();
            Clock::from_fn(move || shared.lock().now_ms)
        };
        let metrics = Metrics::default();
        let workers = [(End::Native, NATIVE), (End::Ethereum, ETHEREUM)].map(|(end, chain_id)| {
            let senders = (0..setup.keys).map(|number| {
                let key = PrivateKeySigner::from_bytes(&B256::repeat_byte(7 + number)).unwrap();
                let limits = Limits {
                    max_gas: 500_000,
                    max_fee: 1_000_000,
                    in_flight: setup.in_flight,
                    rebroadcast: Duration::from_secs(3),
                    replace: Duration::from_secs(20),
                    profit: None,
                };
                Sender::new(
                    rows.clone(),
                    Lane::Swaps(end),
                    Signer::Local(key),
                    chain_id,
                    limits,
                    clock.clone(),
                    metrics.clone(),
                )
            });
            Swaps::new(
                Fake {
                    shared: shared.clone(),
                    end,
                },
                end,
                rows.clone(),
                senders.collect(),
                Orders {
                    rules: setup.rules.clone(),
                    start_block: 0,
                    log_range: 30,
                },
                clock.clone(),
                metrics.clone(),
            )
        });
        Self {
            store,
            rows,
            workers,
        }
    }
}

/// A world, a relayer in it, and its database.
pub struct Run {
    pub shared: Shared,
    relayer: Option<Relayer>,
    directory: tempfile::TempDir,
    pub setup: Setup,
    pub seed: u64,
}

impl Run {
    pub fn new(seed: u64, trouble: Trouble, setup: Setup) -> Self {
        // In memory if the machine offers that, since a storm opens thousands of databases.
        let memory = tempfile::tempdir_in("/dev/shm");
        Self {
            shared: Shared::new(seed, trouble),
            relayer: None,
            directory: memory.unwrap_or_else(|_| tempfile::tempdir().unwrap()),
            setup,
            seed,
        }
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("relayer.sqlite")
    }

    /// What the relayer remembers; it runs.
    pub fn rows(&self) -> &RouteStore {
        &self.relayer.as_ref().unwrap().rows
    }

    /// One tick of one end's worker; a crash in it ends the relayer, and the next tick starts it.
    pub async fn tick(&mut self, end: End) -> Option<bool> {
        if self.relayer.is_none() {
            let database = self.database();
            self.relayer = Some(Relayer::start(&self.shared, &database, &self.setup).await);
        }
        self.shared.lock().view.clear();
        let [native, ethereum] = &mut self.relayer.as_mut().unwrap().workers;
        let worker = match end {
            End::Ethereum => ethereum,
            End::Native | End::Peer => native,
        };
        let crash = self.shared.crash.clone();
        let outcome = tokio::select! {
            biased;
            outcome = worker.tick() => Some(outcome),
            () = crash.notified() => None,
        };
        match outcome {
            Some(Ok(more)) => Some(more),
            Some(Err(error)) if error.passes() => Some(false),
            Some(Err(error)) => panic!("seed {}: {error}", self.seed),
            None => {
                self.stop().await;
                None
            }
        }
    }

    pub async fn tick_both(&mut self) {
        for end in ENDS {
            self.tick(end).await;
        }
    }

    pub async fn stop(&mut self) {
        if let Some(relayer) = self.relayer.take() {
            relayer.store.close().await;
        }
        self.shared.lock().crashed = false;
    }

    /// Loses the database, as a disk does.
    pub async fn lose_database(&mut self) {
        self.stop().await;
        for entry in std::fs::read_dir(self.directory.path()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    /// Whether every swap has its end for ever and the relayer has nothing left to do.
    async fn complete(&self) -> bool {
        {
            let world = self.shared.lock();
            let open = ENDS.iter().any(|end| {
                let chain = world.chain(*end);
                let ended = chain.final_block().swaps.values();
                let ended = ended.filter(|(_, state)| *state != State::Open).count();
                ended < chain.head().swaps.len() || !chain.people.is_empty()
            });
            if open || !world.agenda.is_empty() {
                return false;
            }
        }
        let Some(relayer) = &self.relayer else {
            return false;
        };
        for end in ENDS {
            let counts = relayer.rows.swap_counts(end, 0).await.unwrap();
            if counts.open + counts.settling > 0 {
                return false;
            }
        }
        true
    }

    /// Lets the world go on quietly until everything has its end.
    pub async fn finish(&mut self) {
        self.shared.lock().trouble = Trouble::default();
        for _ in 0..4_000 {
            for end in ENDS {
                while self.tick(end).await == Some(true) {}
            }
            if self.complete().await {
                return;
            }
            let mut world = self.shared.lock();
            // In long steps once only deadlines are waited for.
            let step = if world.has_claims() { 4_000 } else { 60_000 };
            world.step(step, step);
        }
        let mut counts = Vec::new();
        for end in ENDS {
            counts.push(self.rows().swap_counts(end, 0).await.unwrap());
        }
        panic!("seed {}: not every swap has an end: {counts:?}", self.seed);
    }

    /// What must be true of the world in the end. Answers how many swaps had to be claimed, and how many
    /// to be refunded.
    pub fn check(&self) -> (usize, usize) {
        let (world, seed) = (self.shared.lock(), self.seed);
        let mut shown: BTreeMap<B256, u64> = BTreeMap::new();
        for end in ENDS {
            for told in &world.chain(end).head().told {
                if matches!(told.event.happened, Happened::Claimed { .. }) {
                    let first = shown.entry(told.event.lock).or_insert(told.ms);
                    *first = told.ms.min(*first);
                }
            }
        }
        let mut had_to = (0, 0);
        for end in ENDS {
            let chain = world.chain(end);
            for (id, (terms, state)) in &chain.head().swaps {
                let told: Vec<_> = chain
                    .head()
                    .told
                    .iter()
                    .filter(|told| told.event.id == *id)
                    .collect();
                assert_eq!(
                    told.len(),
                    2,
                    "seed {seed}: {id} has one beginning and one end"
                );
                assert_ne!(*state, State::Open, "seed {seed}: {id} has no end");
                let over = chain
                    .blocks
                    .iter()
                    .find(|block| block.time_s > terms.deadline)
                    .map_or(u64::MAX, |block| block.ms);
                let known = shown.get(&terms.lock).map(|shown| told[0].ms.max(*shown));
                if known.is_some_and(|known| known.saturating_add(ENOUGH_MS) <= over) {
                    had_to.0 += 1;
                    assert_eq!(
                        *state,
                        State::Claimed,
                        "seed {seed}: {id} on {end:?}, opened at {}, its secret shown at {known:?}, over at {over}",
                        told[0].ms
                    );
                }
                if !world.shown.contains(&terms.lock) {
                    had_to.1 += 1;
                    assert_eq!(*state, State::Refunded, "seed {seed}: {id} on {end:?}");
                }
            }
        }
        had_to
    }
}

/// Everything at once, from a seed. Answers as [`Run::check`] does.
pub async fn storm(seed: u64, trouble: Trouble, lose: bool) -> (usize, usize) {
    let setup = Setup {
        keys: 1 + (seed % 2) as u8,
        in_flight: 1 + (seed % 3) as usize,
        ..Setup::default()
    };
    let mut run = Run::new(seed, trouble, setup);
    for _ in 0..500 {
        let (end, loses) = {
            let mut world = run.shared.lock();
            world.step(100, 3_000);
            if world.roll(100) {
                world.trade();
            }
            if world.roll(5) {
                // Gas costs nothing on the native chain, or something.
                world.native.price = world.dice.random_range(0..3);
            }
            let end = ENDS[world.dice.random_range(0..2)];
            (end, lose && world.roll(8))
        };
        if loses {
            run.lose_database().await;
        }
        run.tick(end).await;
    }
    run.finish().await;
    run.check()
}

/// Somebody does this in the next block.
pub fn people(run: &Run, end: End, action: Action) {
    run.shared.lock().chain_mut(end).people.push(action);
}
