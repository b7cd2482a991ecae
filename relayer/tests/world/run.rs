//! A relayer in its world: what starts, crashes and restarts it, lets the world go on, and checks what
//! must be true in the end.

use super::{
    ETHEREUM, NATIVE, PEER, Shared, Trouble, chain_id,
    ethereum::FakeEthereum,
    ledger::MAX_GAS,
    native::{self, FakeNative},
};
use alloy::signers::local::PrivateKeySigner;
use mileverse_primitives::{
    Address, B256,
    packet::{ACKNOWLEDGED, Packet, REFUNDED},
};
use mileverse_relayer::{
    Error,
    chain::End,
    clock::Clock,
    keys::Signer,
    metrics::Metrics,
    rules::Rules,
    store::{Database, Direction, Mark, Network, RouteStore, Store},
    transaction::{Limits, Profit, Sender},
    worker::{Delivery, FromEthereum, FromOutbox, Orders, Worker as _},
};
use rand::Rng as _;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// A running relayer: gone when dropped, as after a crash.
struct Relayer {
    store: Store,
    rows: RouteStore,
    carriers: [Carrier; 2],
}

/// The worker of one direction.
enum Carrier {
    ToEthereum(FromOutbox<FakeNative, FakeEthereum>),
    FromEthereum(FromEthereum<FakeNative, FakeEthereum>),
    BetweenNatives(FromOutbox<FakeNative, FakeNative>),
}

/// How a relayer is set up.
#[derive(Clone)]
pub struct Setup {
    /// The other end of its route.
    pub far: End,
    pub batch: usize,
    /// Keys for each direction.
    pub keys: u8,
    /// Transactions of one key that are in no block yet.
    pub in_flight: usize,
    pub rules: Rules,
    pub profit: Option<Profit>,
}

impl Setup {
    /// To Ethereum and back.
    pub fn of(batch: usize) -> Self {
        Self::between(End::Ethereum, batch)
    }

    /// Between the native chain and this end.
    pub fn between(far: End, batch: usize) -> Self {
        Self {
            far,
            batch,
            keys: 1,
            in_flight: 1,
            rules: Rules::default(),
            profit: None,
        }
    }

    const fn network(&self) -> Network {
        Network {
            native_chain: NATIVE,
            native_genesis: B256::ZERO,
            far_chain: chain_id(self.far),
            far_mark: match self.far {
                End::Peer => Mark::Genesis(B256::repeat_byte(1)),
                End::Native | End::Ethereum => Mark::Bridge(Address::ZERO),
            },
        }
    }
}

fn limits(profit: Option<Profit>, in_flight: usize) -> Limits {
    Limits {
        profit,
        max_gas: MAX_GAS,
        max_fee: 1_000_000,
        in_flight,
        rebroadcast: Duration::from_secs(3),
        replace: Duration::from_secs(20),
    }
}

impl Relayer {
    async fn start(shared: &Shared, database: &Path, setup: &Setup) -> Self {
        let store = Store::open(&Database::Sqlite(database.to_owned()))
            .await
            .unwrap();
        let rows = store.bind("main", &setup.network()).await.unwrap();
        let clock = {
            let shared = shared.clone();
            Clock::from_fn(move || shared.lock().now_ms)
        };
        let metrics = Metrics::default();
        let delivery = |direction, chain_id| {
            let senders = (0..setup.keys).map(|number| {
                let key = PrivateKeySigner::from_bytes(&B256::repeat_byte(7 + number)).unwrap();
                Sender::new(
                    rows.clone(),
                    direction,
                    Signer::Local(key),
                    chain_id,
                    limits(setup.profit, setup.in_flight),
                    clock.clone(),
                    metrics.clone(),
                )
            });
            let orders = Orders {
                batch: setup.batch,
                rules: setup.rules.clone(),
                only: None,
            };
            Delivery::new(
                rows.clone(),
                senders.collect(),
                direction,
                orders,
                clock.clone(),
                metrics.clone(),
            )
        };
        let carriers = match setup.far {
            End::Peer => [
                Carrier::BetweenNatives(FromOutbox::new(
                    shared.native(),
                    shared.peer(),
                    delivery(Direction::ToPeer, PEER),
                    NATIVE,
                    PEER,
                )),
                Carrier::BetweenNatives(FromOutbox::new(
                    shared.peer(),
                    shared.native(),
                    delivery(Direction::ToNative, NATIVE),
                    PEER,
                    NATIVE,
                )),
            ],
            End::Native | End::Ethereum => [
                Carrier::ToEthereum(FromOutbox::new(
                    shared.native(),
                    shared.ethereum(),
                    delivery(Direction::ToEthereum, ETHEREUM),
                    NATIVE,
                    ETHEREUM,
                )),
                Carrier::FromEthereum(FromEthereum::new(
                    shared.native(),
                    shared.ethereum(),
                    delivery(Direction::ToNative, NATIVE),
                    (NATIVE, ETHEREUM),
                    0,
                    7,
                )),
            ],
        };
        Self {
            store,
            rows,
            carriers,
        }
    }

    async fn tick(&mut self, direction: Direction) -> Result<bool, Error> {
        let [there, back] = &mut self.carriers;
        let carrier = match direction {
            Direction::ToNative => back,
            Direction::ToEthereum | Direction::ToPeer => there,
        };
        match carrier {
            Carrier::ToEthereum(worker) => worker.tick().await,
            Carrier::FromEthereum(worker) => worker.tick().await,
            Carrier::BetweenNatives(worker) => worker.tick().await,
        }
    }
}

/// Where databases are made: in memory if the machine offers that, since a storm opens thousands.
fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// A world, a relayer in it, and its database.
pub struct Run {
    pub shared: Shared,
    relayer: Option<Relayer>,
    directory: tempfile::TempDir,
    pub setup: Setup,
    seed: u64,
}

impl Run {
    pub fn new(seed: u64, trouble: Trouble, setup: Setup) -> Self {
        Self {
            shared: Shared::new(seed, trouble, setup.far),
            relayer: None,
            directory: directory(),
            setup,
            seed,
        }
    }

    /// What the relayer remembers; it runs.
    pub fn rows(&self) -> &RouteStore {
        &self.relayer.as_ref().unwrap().rows
    }

    /// The two ways of its route.
    pub const fn directions(&self) -> [Direction; 2] {
        self.setup.network().directions()
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("relayer.sqlite")
    }

    /// One tick of one direction; a crash in it ends the relayer, and the next tick starts it.
    pub async fn tick(&mut self, direction: Direction) -> Option<bool> {
        if self.relayer.is_none() {
            let database = self.database();
            self.relayer = Some(Relayer::start(&self.shared, &database, &self.setup).await);
        }
        let relayer = self.relayer.as_mut().unwrap();
        let crash = self.shared.crash.clone();
        let outcome = tokio::select! {
            biased;
            outcome = relayer.tick(direction) => Some(outcome),
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

    pub async fn stop(&mut self) {
        if let Some(relayer) = self.relayer.take() {
            relayer.store.close().await;
        }
        self.shared.lock().crashed = false;
    }

    /// Loses the database, as a disk does.
    async fn lose_database(&mut self) {
        self.stop().await;
        for entry in std::fs::read_dir(self.directory.path()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }

    /// Whether every packet of both chains has its final outcome and the relayer knows it.
    async fn complete(&self) -> bool {
        let expected: Vec<_> = {
            let world = self.shared.lock();
            let ways = world.ways().into_iter();
            ways.map(|(direction, from, to)| {
                let (sent, receipts) = (&world.bridge(from).sent, &world.final_bridge(to).receipts);
                let done = sent
                    .iter()
                    .all(|packet| receipts.contains_key(&packet.id().sequence));
                let packets = sent.len() as u64 + world.overheard(from, to);
                (direction, done, packets)
            })
            .collect()
        };
        let Some(relayer) = &self.relayer else {
            return false;
        };
        for (direction, done, packets) in expected {
            let counts = relayer.rows.counts(direction).await.unwrap();
            if !done
                || counts.received + counts.expired != packets
                || counts.waiting + counts.landed > 0
            {
                return false;
            }
        }
        true
    }

    /// Lets the world go on quietly until everything is delivered.
    pub async fn finish(&mut self) {
        {
            let mut world = self.shared.lock();
            world.trouble = Trouble::default();
            world.poisoned.clear();
        }
        for round in 0..4_000 {
            for direction in self.directions() {
                while self.tick(direction).await == Some(true) {}
            }
            if self.complete().await {
                return;
            }
            // Later rounds are longer, so that the longest back-off passes.
            let step = if round < 3_000 { 500 } else { 30_000 };
            self.shared.lock().step(step, step);
        }
        let [there, back] = self.directions();
        let rows = self.rows();
        panic!(
            "seed {}: not everything was delivered: {:?} {:?}",
            self.seed,
            rows.counts(there).await.unwrap(),
            rows.counts(back).await.unwrap()
        );
    }

    /// What must be true of the world in the end.
    pub fn check(&self) {
        let world = self.shared.lock();
        for (_, from, to) in world.ways() {
            let (source, destination) = (world.bridge(from), world.final_bridge(to));
            if from != End::Ethereum {
                assert_eq!(
                    world.native_at(from).key,
                    destination.key,
                    "seed {}: the newest key of {from:?} is in force",
                    self.seed
                );
            }
            for packet in &source.sent {
                let sequence = packet.id().sequence;
                let outcome = destination.receipts.get(&sequence).copied();
                let effects = destination.effects.get(&sequence).copied().unwrap_or(0);
                let stored = source.outbound.get(&sequence);
                let refunded = stored == Some(&REFUNDED);
                let seed = self.seed;
                match (packet, outcome) {
                    (Packet::Transfer(_), Some(2)) => {
                        assert_eq!(effects, 0, "seed {seed}: expired and received");
                        assert!(refunded, "seed {seed}: expired and never refunded");
                    }
                    (_, Some(1)) => {
                        assert_eq!(
                            effects, 1,
                            "seed {seed}: {sequence} took effect {effects} times"
                        );
                        assert!(!refunded, "seed {seed}: received and refunded");
                        assert_eq!(
                            stored == Some(&ACKNOWLEDGED),
                            packet.asks(),
                            "seed {seed}: {sequence} is acknowledged if its sender asked"
                        );
                    }
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
        }
    }
}

pub async fn storm(far: End, seed: u64, trouble: Trouble, lose: bool) {
    let most = if far == End::Peer { 256 } else { 128 };
    let batch = [1, 3, most][seed as usize / 2 % 3];
    let setup = Setup {
        keys: 1 + (seed % 3) as u8,
        in_flight: 1 + (seed % 4) as usize,
        ..Setup::between(far, batch)
    };
    let mut run = Run::new(seed, trouble, setup);
    for _ in 0..250 {
        let (direction, sends, poison, loses) = {
            let mut world = run.shared.lock();
            if world.roll(40) {
                world.guard();
            }
            world.step(20, 900);
            let sends: Vec<_> = [End::Native, far]
                .into_iter()
                .filter(|_| world.roll(250))
                .collect();
            let poison = world.roll(30);
            let direction = run.directions()[world.dice.random_range(0..2)];
            (direction, sends, poison, lose && world.roll(10))
        };
        for end in sends {
            let mut world = run.shared.lock();
            let many = world.dice.random_range(1..4);
            for _ in 0..many {
                world.send(end);
            }
        }
        {
            let mut world = run.shared.lock();
            for end in [End::Native, far] {
                if end == End::Ethereum {
                    continue;
                }
                if world.roll(50) {
                    world.send_elsewhere(end);
                }
                if world.roll(12) {
                    native::rotate(&mut world, end);
                }
            }
        }
        if poison {
            let mut world = run.shared.lock();
            let sequence = world.dice.random_range(1..60);
            let end = [End::Native, far][world.dice.random_range(0..2)];
            world.poisoned.insert((end, sequence));
        }
        if loses {
            run.lose_database().await;
        }
        run.tick(direction).await;
    }
    run.finish().await;
    run.check();
}

/// All of it.
pub const TROUBLE: Trouble = Trouble {
    lost_question: 25,
    lost_answer: 25,
    crash: 6,
    bad_logs: 100,
    elsewhere: 20,
    vanish: 50,
    take_back: 60,
    wrong_number: 15,
    delays: true,
    asks: true,
};

pub fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}
