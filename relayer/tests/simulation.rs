//! The relayer's promise, tried in a simulated world: no packet is lost, none takes effect twice,
//! no gap is skipped, whatever happens in between and whenever the relayer is cut off.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::missing_docs_in_private_items,
    missing_docs
)]

mod world;

use alloy::signers::local::PrivateKeySigner;
use mileverse_primitives::{
    Address, B256,
    packet::{ACKNOWLEDGED, Packet, REFUNDED},
};
use mileverse_relayer::{
    Error,
    clock::Clock,
    keys::Signer,
    metrics::Metrics,
    rules::Rules,
    store::{Database, Direction, Mark, Network, Position, RouteStore, Store},
    transaction::{Limits, Profit, Sender},
    worker::{Delivery, FromEthereum, FromOutbox, Orders, Worker},
};
use mileverse_wallet::rpc::Chain;
use rand::Rng as _;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use world::{ETHEREUM, NATIVE, Shared, Trouble, ethereum::FakeEthereum, native::FakeNative};

/// A running relayer: gone when dropped, as after a crash.
struct Relayer {
    store: Store,
    rows: RouteStore,
    to_ethereum: FromOutbox<FakeNative, FakeEthereum>,
    to_native: FromEthereum<FakeNative, FakeEthereum>,
}

const NETWORK: Network = Network {
    native_chain: NATIVE,
    native_genesis: B256::ZERO,
    far_chain: ETHEREUM,
    far_mark: Mark::Bridge(Address::ZERO),
};

/// How a relayer is set up.
#[derive(Clone)]
struct Setup {
    batch: usize,
    /// Keys for each direction.
    keys: u8,
    /// Transactions of one key that are in no block yet.
    in_flight: usize,
    rules: Rules,
    profit: Option<Profit>,
}

impl Setup {
    fn of(batch: usize) -> Self {
        Self {
            batch,
            keys: 1,
            in_flight: 1,
            rules: Rules::default(),
            profit: None,
        }
    }
}

fn limits(profit: Option<Profit>, in_flight: usize) -> Limits {
    Limits {
        profit,
        max_gas: world::ledger::MAX_GAS,
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
        let rows = store.bind("main", &NETWORK).await.unwrap();
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
        Self {
            to_ethereum: FromOutbox::new(
                shared.native(),
                shared.ethereum(),
                delivery(Direction::ToEthereum, ETHEREUM),
                NATIVE,
                ETHEREUM,
            ),
            to_native: FromEthereum::new(
                shared.native(),
                shared.ethereum(),
                delivery(Direction::ToNative, NATIVE),
                (NATIVE, ETHEREUM),
                0,
                7,
            ),
            store,
            rows,
        }
    }

    async fn tick(&mut self, direction: Direction) -> Result<bool, Error> {
        match direction {
            Direction::ToEthereum => self.to_ethereum.tick().await,
            Direction::ToNative => self.to_native.tick().await,
            Direction::ToPeer => unreachable!("this world has no peers"),
        }
    }
}

/// Where databases are made: in memory if the machine offers that, since a storm opens thousands.
fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// A world, a relayer in it, and its database.
struct Run {
    shared: Shared,
    relayer: Option<Relayer>,
    directory: tempfile::TempDir,
    setup: Setup,
    seed: u64,
}

impl Run {
    fn new(seed: u64, trouble: Trouble, setup: Setup) -> Self {
        Self {
            shared: Shared::new(seed, trouble),
            relayer: None,
            directory: directory(),
            setup,
            seed,
        }
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("relayer.sqlite")
    }

    /// One tick of one direction; a crash in it ends the relayer, and the next tick starts it.
    async fn tick(&mut self, direction: Direction) -> Option<bool> {
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

    async fn stop(&mut self) {
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
        let (sent_native, sent_ethereum) = {
            let world = self.shared.lock();
            let ethereum = world.ethereum.final_state();
            let there = world.ethereum.head().bridge.sent.len();
            let native_done = world.native.bridge.sent.iter().all(|packet| {
                let receipts = &ethereum.bridge.receipts;
                receipts.contains_key(&packet.id().sequence)
            });
            let ethereum_done = world.ethereum.head().bridge.sent.iter().all(|packet| {
                let receipts = &world.native.bridge.receipts;
                receipts.contains_key(&packet.id().sequence)
            });
            if !native_done || !ethereum_done {
                return false;
            }
            (world.native.bridge.sent.len(), there)
        };
        let Some(relayer) = &self.relayer else {
            return false;
        };
        for (direction, sent) in [
            (Direction::ToEthereum, sent_native),
            (Direction::ToNative, sent_ethereum),
        ] {
            let counts = relayer.rows.counts(direction).await.unwrap();
            if counts.received + counts.expired != sent as u64 || counts.waiting + counts.landed > 0
            {
                return false;
            }
        }
        true
    }

    /// Lets the world go on quietly until everything is delivered.
    async fn finish(&mut self) {
        {
            let mut world = self.shared.lock();
            world.trouble = Trouble::default();
            world.poisoned.clear();
        }
        for round in 0..4_000 {
            for direction in NETWORK.directions() {
                while self.tick(direction).await == Some(true) {}
            }
            if self.complete().await {
                return;
            }
            // Later rounds are longer, so that the longest back-off passes.
            let step = if round < 3_000 { 500 } else { 30_000 };
            self.shared.lock().step(step, step);
        }
        let counts = self.relayer.as_ref().unwrap().rows.clone();
        panic!(
            "seed {}: not everything was delivered: {:?} {:?}",
            self.seed,
            counts.counts(Direction::ToEthereum).await.unwrap(),
            counts.counts(Direction::ToNative).await.unwrap()
        );
    }

    /// What must be true of the world in the end.
    fn check(&self) {
        let world = self.shared.lock();
        let sides = [
            (&world.native.bridge, &world.ethereum.final_state().bridge),
            (&world.ethereum.head().bridge, &world.native.bridge),
        ];
        for (source, destination) in sides {
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

async fn storm(seed: u64, trouble: Trouble, lose: bool) {
    let batch = [1, 3, 128][seed as usize / 2 % 3];
    let setup = Setup {
        keys: 1 + (seed % 3) as u8,
        in_flight: 1 + (seed % 4) as usize,
        ..Setup::of(batch)
    };
    let mut run = Run::new(seed, trouble, setup);
    for _ in 0..250 {
        let (direction, sends, poison, loses) = {
            let mut world = run.shared.lock();
            if world.roll(40) {
                world.guard();
            }
            world.step(20, 900);
            let sends: Vec<_> = [Chain::Native, Chain::Ethereum]
                .into_iter()
                .filter(|_| world.roll(250))
                .collect();
            let poison = world.roll(30);
            let direction = NETWORK.directions()[world.dice.random_range(0..2)];
            (direction, sends, poison, lose && world.roll(10))
        };
        for chain in sends {
            let mut world = run.shared.lock();
            let many = world.dice.random_range(1..4);
            for _ in 0..many {
                world.send(chain);
            }
        }
        {
            let mut world = run.shared.lock();
            if world.roll(12) {
                world::native::rotate(&mut world);
            }
        }
        if poison {
            let mut world = run.shared.lock();
            let sequence = world.dice.random_range(1..60);
            let chain = [Chain::Native, Chain::Ethereum][world.dice.random_range(0..2)];
            world.poisoned.insert((chain, sequence));
        }
        if loses {
            run.lose_database().await;
        }
        run.tick(direction).await;
    }
    run.finish().await;
    run.check();
    let world = run.shared.lock();
    let (announced, believed) = (world.native.key, world.ethereum.head().bridge.key);
    assert_eq!(
        announced, believed,
        "seed {seed}: the newest key is in force"
    );
}

const TROUBLE: Trouble = Trouble {
    lost_question: 25,
    lost_answer: 25,
    crash: 6,
    bad_logs: 100,
    vanish: 50,
    take_back: 60,
    wrong_number: 15,
    delays: true,
    asks: true,
};

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

#[test]
fn nothing_is_lost_or_doubled_in_any_storm() {
    block_on(async {
        for seed in 0..12 {
            storm(seed, TROUBLE, false).await;
        }
    });
}

#[test]
fn losing_the_database_loses_nothing_but_time() {
    block_on(async {
        for seed in 100..106 {
            storm(seed, TROUBLE, true).await;
        }
    });
}

#[test]
fn a_crash_at_every_single_call_is_survived() {
    block_on(async {
        let trouble = Trouble {
            crash: 150,
            ..Trouble::default()
        };
        for seed in 200..204 {
            storm(seed, trouble, false).await;
        }
    });
}

#[test]
fn a_quiet_world_takes_few_transactions_and_no_repeats() {
    block_on(async {
        let mut run = Run::new(1, Trouble::default(), Setup::of(128));
        for _ in 0..300 {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 100_000;
            world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            let head = world.ethereum.head_mut();
            head.bridge.transfer(ETHEREUM, NATIVE, deadline);
        }
        run.finish().await;
        run.check();
        let world = run.shared.lock();
        assert_eq!(world.ethereum.batches, [128, 128, 44]);
        assert_eq!(world.native.batches, [128, 128, 44]);
    });
}

#[test]
fn who_asks_is_told_and_nobody_else() {
    block_on(async {
        let trouble = Trouble {
            asks: true,
            ..Trouble::default()
        };
        let mut run = Run::new(13, trouble, Setup::of(128));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..9 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
                let head = world.ethereum.head_mut();
                head.bridge.transfer(ETHEREUM, NATIVE, deadline);
            }
        }
        run.finish().await;
        run.check();
        let rows = &run.relayer.as_ref().unwrap().rows;
        for direction in NETWORK.directions() {
            let packets = rows.newest(direction, u64::MAX, 100).await.unwrap();
            let kinds = |kind: &str| packets.iter().filter(|row| row.kind == kind).count();
            let asked = packets.iter().filter(|row| row.acknowledge).count();
            assert_eq!((kinds("transfer"), asked), (9, 3));
            // Those of the transfers that went the other way.
            assert_eq!(kinds("acknowledgement"), 3);
            assert_eq!(rows.counts(direction).await.unwrap().acknowledgements, 0);
        }
    });
}

#[test]
fn one_refused_packet_does_not_hold_up_the_others() {
    block_on(async {
        let mut run = Run::new(2, Trouble::default(), Setup::of(128));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..20 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            }
            world.poisoned.insert((Chain::Ethereum, 1));
            world.poisoned.insert((Chain::Ethereum, 13));
        }
        for _ in 0..200 {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(100, 100);
        }
        {
            let store = &run.relayer.as_ref().unwrap().rows;
            let counts = store.counts(Direction::ToEthereum).await.unwrap();
            assert_eq!((counts.received, counts.waiting), (18, 2));
            let aside = store.set_asides(Direction::ToEthereum, 10).await.unwrap();
            let sequences: Vec<_> = aside.iter().map(|one| one.sequence).collect();
            assert_eq!(sequences, [1, 13]);
            assert!(aside.iter().all(|one| one.attempts >= 2));
            assert_eq!(aside[0].reason, "the receiver refuses");
        }
        run.finish().await;
        run.check();
    });
}

#[test]
fn a_packet_that_the_endpoint_hides_stops_the_count_until_it_shows() {
    block_on(async {
        let mut run = Run::new(3, Trouble::default(), Setup::of(128));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..10 {
                let head = world.ethereum.head_mut();
                head.bridge.transfer(ETHEREUM, NATIVE, deadline);
            }
            // Every answer to a search misses, doubles or mixes up something.
            world.trouble.bad_logs = 1000;
        }
        for _ in 0..400 {
            run.tick(Direction::ToNative).await;
            let position = {
                let store = &run.relayer.as_ref().unwrap().rows;
                let first = Position {
                    next: 1,
                    search_block: 0,
                    packet_block: 0,
                };
                let position = store.position(Direction::ToNative, first).await.unwrap();
                let counts = store.counts(Direction::ToNative).await.unwrap();
                let known = counts.waiting + counts.received + counts.expired;
                assert_eq!(known, position.next - 1, "a gap was skipped");
                position
            };
            if position.next == 11 {
                break;
            }
            run.shared.lock().step(300, 300);
        }
        run.finish().await;
        run.check();
    });
}

#[test]
fn several_keys_work_side_by_side_on_packets_of_their_own() {
    block_on(async {
        let setup = Setup {
            keys: 3,
            ..Setup::of(20)
        };
        let mut run = Run::new(4, Trouble::default(), setup);
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..60 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            }
        }
        // Found, and all three keys sign in one look, before any block comes.
        run.tick(Direction::ToEthereum).await;
        {
            let rows = &run.relayer.as_ref().unwrap().rows;
            let signed = rows.signed(Direction::ToEthereum).await.unwrap();
            let mut packets: Vec<_> = signed.iter().flat_map(|row| row.packets.clone()).collect();
            packets.sort_unstable();
            assert_eq!(signed.len(), 3);
            assert_eq!(packets, (1..=60).collect::<Vec<_>>(), "none twice");
        }
        run.finish().await;
        run.check();
        assert_eq!(run.shared.lock().ethereum.batches, [20, 20, 20]);
    });
}

#[test]
fn a_backlog_does_not_keep_fresh_packets_waiting() {
    block_on(async {
        let mut run = Run::new(5, Trouble::default(), Setup::of(10));
        let deadline = run.shared.lock().now_s() + 1_000_000;
        for _ in 0..400 {
            let mut world = run.shared.lock();
            world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
        }
        for _ in 0..60 {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(100, 100);
        }
        let fresh = {
            let mut world = run.shared.lock();
            world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            world.native.bridge.sent.len() as u64
        };
        let arrived = |run: &Run| {
            let world = run.shared.lock();
            let receipts = &world.ethereum.head().bridge.receipts;
            receipts.contains_key(&fresh)
        };
        // A block may be too dear for the first offer, so it can take a while.
        while !arrived(&run) {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(100, 100);
        }
        {
            let world = run.shared.lock();
            let receipts = &world.ethereum.head().bridge.receipts;
            assert!(receipts.len() < 390, "it came with the last");
            assert!(receipts.contains_key(&1), "the oldest waits");
        }
        run.finish().await;
        run.check();
    });
}

#[test]
fn what_the_rules_pass_over_waits_for_others_and_holds_up_nobody() {
    block_on(async {
        let rules = Rules {
            least_amount: Some(mileverse_primitives::U256::from(6)),
            ..Rules::default()
        };
        let setup = Setup {
            rules,
            ..Setup::of(3)
        };
        let mut run = Run::new(6, Trouble::default(), setup);
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            // The amount is the sequence, in this world.
            for _ in 0..10 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            }
        }
        for _ in 0..2_000 {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(100, 100);
            let rows = &run.relayer.as_ref().unwrap().rows;
            if rows.counts(Direction::ToEthereum).await.unwrap().received == 5 {
                break;
            }
        }
        {
            let rows = &run.relayer.as_ref().unwrap().rows;
            let counts = rows.counts(Direction::ToEthereum).await.unwrap();
            assert_eq!((counts.received, counts.waiting), (5, 5));
            let aside = rows.set_asides(Direction::ToEthereum, 10).await.unwrap();
            assert!(aside.iter().all(|one| one.reason.contains("is below 6")));
        }
        run.stop().await;
        // Without the rule they are carried, once their time comes.
        run.setup.rules = Rules::default();
        run.finish().await;
        run.check();
    });
}

#[test]
fn a_packet_waits_for_cheaper_gas_but_not_for_ever() {
    block_on(async {
        let longest_wait = Duration::from_secs(600);
        let setup = Setup {
            profit: Some(Profit {
                most_per_packet: 1,
                longest_wait,
            }),
            ..Setup::of(128)
        };
        let mut run = Run::new(7, Trouble::default(), setup);
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
        }
        for _ in 0..50 {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(1_000, 1_000);
        }
        assert!(run.shared.lock().ethereum.head().bridge.receipts.is_empty());
        run.shared.lock().now_ms += 600_000;
        run.finish().await;
        run.check();
    });
}

#[test]
fn several_transactions_of_one_key_are_under_way_at_once() {
    block_on(async {
        let setup = Setup {
            in_flight: 3,
            ..Setup::of(10)
        };
        let mut run = Run::new(9, Trouble::default(), setup);
        let deadline = run.shared.lock().now_s() + 1_000_000;
        for _ in 0..50 {
            let mut world = run.shared.lock();
            world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
        }
        for _ in 0..3 {
            run.tick(Direction::ToEthereum).await;
        }
        {
            let rows = &run.relayer.as_ref().unwrap().rows;
            let signed = rows.signed(Direction::ToEthereum).await.unwrap();
            let nonces: Vec<_> = signed.iter().map(|row| row.nonce).collect();
            assert_eq!(nonces, [0, 1, 2], "no more than three");
            let packets: std::collections::BTreeSet<_> =
                signed.iter().flat_map(|row| row.packets.clone()).collect();
            assert_eq!(packets.len(), 30, "none twice");
        }
        run.finish().await;
        run.check();
        assert_eq!(run.shared.lock().ethereum.batches, [10; 5]);
    });
}

#[test]
fn a_wrong_nonce_strands_no_packet() {
    block_on(async {
        let mut above = 0;
        for seed in 10..20 {
            let mut run = Run::new(seed, Trouble::default(), Setup::of(10));
            {
                let mut world = run.shared.lock();
                let deadline = world.now_s() + 1_000_000;
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
                world.trouble.wrong_number = 1_000;
            }
            run.tick(Direction::ToEthereum).await;
            {
                let mut world = run.shared.lock();
                world.trouble.wrong_number = 0;
                assert_eq!(world.ethereum.pool.len(), 1);
                above += world.ethereum.pool[0].nonce.min(1);
            }
            run.finish().await;
            run.check();
        }
        assert!(above > 0, "none was signed above a gap");
    });
}

#[test]
fn what_another_relayer_delivered_first_wedges_nobody() {
    block_on(async {
        let mut run = Run::new(12, Trouble::default(), Setup::of(10));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            let head = world.ethereum.head_mut();
            head.bridge.transfer(ETHEREUM, NATIVE, deadline);
            // Until it is final, and the native chain knows.
            for _ in 0..8 {
                let now_s = world.now_s();
                world::ethereum::block(&mut world, now_s);
            }
            world.native.checkpoint = world.ethereum.finalized();
        }
        while run.shared.lock().native.pool.is_empty() {
            run.tick(Direction::ToNative).await;
        }
        {
            // Another relayer's delivery is in the next block, before ours.
            let mut world = run.shared.lock();
            world.native.pool.clear();
            world.native.bridge.receipts.insert(1, 1);
            *world.native.bridge.effects.entry(1).or_default() += 1;
            let deadline = world.now_s() + 1_000_000;
            let head = world.ethereum.head_mut();
            head.bridge.transfer(ETHEREUM, NATIVE, deadline);
        }
        run.finish().await;
        run.check();
    });
}

#[test]
fn a_large_transfer_waits_for_its_delay_and_holds_up_nobody() {
    block_on(async {
        let trouble = Trouble {
            delays: true,
            ..Trouble::default()
        };
        let mut run = Run::new(11, trouble, Setup::of(20));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..14 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            }
        }
        for _ in 0..40 {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(300, 300);
        }
        {
            let rows = &run.relayer.as_ref().unwrap().rows;
            let aside = rows.set_asides(Direction::ToEthereum, 10).await.unwrap();
            let sequences: Vec<_> = aside.iter().map(|one| one.sequence).collect();
            assert_eq!(sequences, [7, 14]);
            assert!(
                aside
                    .iter()
                    .all(|one| one.reason.contains("it is held until"))
            );
            let world = run.shared.lock();
            assert_eq!(world.ethereum.head().bridge.receipts.len(), 12);
            // Nothing is tried again before its time.
            assert_eq!(world.ethereum.batches, [14]);
        }
        run.finish().await;
        run.check();
        assert_eq!(run.shared.lock().ethereum.batches, [14, 2]);
    });
}

#[test]
fn a_packet_that_an_endpoint_made_up_is_found_again() {
    block_on(async {
        let mut run = Run::new(8, Trouble::default(), Setup::of(128));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..5 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
                let head = world.ethereum.head_mut();
                head.bridge.transfer(ETHEREUM, NATIVE, deadline);
            }
            world.lies = 2;
        }
        run.finish().await;
        run.check();
        assert_eq!(run.shared.lock().lies, 0, "nobody lied");
    });
}
