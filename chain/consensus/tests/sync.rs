//! State sync between real databases over a simulated network: lossy links, a peer that lies, one
//! that vanishes, a target that moves, and strangers that ask for too much.
//!
//! `MILEVERSE_SEEDS=100 cargo test --release -p mileverse-consensus --test sync` runs more seeds.

#![recursion_limit = "512"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::{Buf as _, BufMut as _, BytesMut};
use commonware_codec::Encode as _;
use commonware_cryptography::{Signer as _, ed25519};
use commonware_glue::stateful::db::{
    AttachableResolver as _, DatabaseSet as _, ManagedDb, Shared, StateSyncDb, SyncEngineConfig,
    Unmerkleized as _,
};
use commonware_p2p::{
    Receiver as _, Recipients, Sender as _,
    simulated::{self, Link, Network, Oracle},
};
use commonware_runtime::{
    Clock as _, IoBuf, Quota, Runner as _, Spawner as _, Supervisor as _, deterministic,
};
use commonware_storage::mmr::Location;
use commonware_utils::{NZU32, NZU64, NZUsize, Probability, channel::ring, probability};
use mileverse_consensus::{
    block::PublicKey,
    state::{self, BatchReader, Databases, StateDb},
    sync::{self, Actor, Mailbox, Progress, Request},
};
use mileverse_execution::state::{Changes, MAX_VALUE_LENGTH, StateReader as _};
use mileverse_primitives::{B256, keccak256};
use std::{future::Future, time::Duration};

type Context = deterministic::Context;
type Db = StateDb<Context>;
type Target = sync::Target<Context>;

const CHANNEL: u64 = 9;
const KEYS: u64 = 10_000;
const BATCH: u64 = 500;

fn key(n: u64) -> B256 {
    keccak256(n.to_be_bytes())
}

/// Mostly accounts and words; now and then code of the largest size.
fn value(n: u64, version: u8) -> Vec<u8> {
    let length = match n % 400 {
        0 => MAX_VALUE_LENGTH,
        n if n % 2 == 0 => 72,
        _ => 32,
    };
    let mut value = vec![version; length];
    value[..8].copy_from_slice(&n.to_be_bytes());
    value
}

fn config(prefix: &str) -> <Db as ManagedDb<Context>>::Config {
    state::config(prefix, mileverse_consensus::pages::cache(NZU32!(4)))
}

async fn open(context: &Context, prefix: &str) -> Databases<Context> {
    let db = <Db as ManagedDb<Context>>::init(context.child("db"), config(prefix), None)
        .await
        .unwrap_or_else(|_| panic!("the database does not open"));
    Shared::new("state", db)
}

/// Writes values for a range of keys, in one block.
async fn block(databases: &Databases<Context>, keys: impl Iterator<Item = u64>, version: u8) {
    let changes: Changes = keys.map(|n| (key(n), Some(value(n, version)))).collect();
    let batch = databases.new_batches().await;
    let merkleized = state::write::<Context>(batch, &changes)
        .merkleize()
        .await
        .unwrap();
    databases.apply(merkleized).await;
    assert!(databases.finalize().await.durable().await);
}

async fn fill(databases: &Databases<Context>, version: u8) {
    for first in (0..KEYS).step_by(usize::try_from(BATCH).unwrap()) {
        block(databases, first..first + BATCH, version).await;
    }
}

/// A simulated network of peers that all know each other.
struct Net {
    context: Context,
    oracle: Oracle<PublicKey, Context>,
    peers: Vec<PublicKey>,
}

impl Net {
    async fn new(context: &Context, size: u64, success: Probability) -> Self {
        let mut peers: Vec<_> = (0..size)
            .map(|seed| ed25519::PrivateKey::from_seed(seed).public_key())
            .collect();
        peers.sort();
        let (network, oracle) = Network::new_with_peers(
            context.child("network"),
            simulated::Config {
                max_size: u32::try_from(sync::MAX_MESSAGE_BYTES).unwrap(),
                max_peers_per_set: NZUsize!(16),
                disconnect_on_block: true,
                tracked_peer_sets: NZUsize!(1),
            },
            peers.clone(),
        )
        .await;
        network.start();
        let net = Self {
            context: context.child("net"),
            oracle,
            peers,
        };
        for from in &net.peers {
            for to in net.peers.iter().filter(|to| *to != from) {
                let link = Link {
                    latency: Duration::from_millis(10),
                    jitter: Duration::from_millis(3),
                    success_rate: success,
                };
                net.oracle
                    .add_link(from.clone(), to.clone(), link)
                    .await
                    .unwrap();
            }
        }
        net
    }

    async fn channel(
        &self,
        peer: usize,
    ) -> (
        simulated::Sender<PublicKey, Context>,
        simulated::Receiver<PublicKey>,
    ) {
        self.oracle
            .control(self.peers[peer].clone())
            .register(CHANNEL, Quota::per_second(NZU32!(1024)))
            .await
            .unwrap()
    }

    /// Starts a peer that asks and serves.
    async fn start(&self, peer: usize) -> (Mailbox<Context>, Progress) {
        let progress = Progress::default();
        let (actor, mailbox) = Actor::new(
            self.context.child("sync"),
            sync::Config {
                me: self.peers[peer].clone(),
                peers: self.oracle.manager(),
                blocker: self.oracle.control(self.peers[peer].clone()),
                progress: progress.clone(),
            },
        );
        actor.start(self.channel(peer).await);
        (mailbox, progress)
    }

    async fn serve(&self, peer: usize, databases: &Databases<Context>) {
        let (mailbox, _) = self.start(peer).await;
        mailbox.attach_database(databases.clone()).await;
    }

    async fn vanish(&self, peer: usize) {
        let gone = &self.peers[peer];
        for other in self.peers.iter().filter(|other| *other != gone) {
            self.oracle
                .remove_link(gone.clone(), other.clone())
                .await
                .unwrap();
            self.oracle
                .remove_link(other.clone(), gone.clone())
                .await
                .unwrap();
        }
    }
}

/// Fetches the state of `target`, or of a later one that comes by `updates`.
async fn fetch(
    context: Context,
    prefix: &str,
    mailbox: Mailbox<Context>,
    target: Target,
    updates: ring::Receiver<Target>,
) -> Databases<Context> {
    let db = <Db as StateSyncDb<Context, Mailbox<Context>>>::sync_db(
        context,
        config(prefix),
        mailbox,
        target,
        updates,
        None,
        None,
        SyncEngineConfig {
            apply_batch_size: NZU64!(512),
            ..sync::ENGINE
        },
    )
    .await
    .unwrap();
    Shared::new("state", db)
}

async fn expect(databases: &Databases<Context>, target: &Target, versions: impl Fn(u64) -> u8) {
    assert_eq!(databases.committed_targets().await.root, target.root);
    let batch = databases.new_batches().await;
    let reader = BatchReader::<Context> {
        batch: &batch,
        overlay: None,
    };
    for n in (0..KEYS).step_by(97).chain([0, KEYS - 1]) {
        let found = reader.get(key(n)).await.unwrap();
        assert_eq!(found, Some(value(n, versions(n))), "key {n}");
    }
}

/// Runs a test under several seeds; a failure names its own.
fn run<F: Future<Output = ()>>(test: impl Fn(Context) -> F) {
    let seeds = std::env::var("MILEVERSE_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(2u64);
    for seed in 0..seeds {
        let name = format!("seed {seed}");
        let runner = deterministic::Runner::new(
            deterministic::Config::default()
                .with_seed(seed)
                .with_timeout(Some(Duration::from_secs(3600))),
        );
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runner.start(&test);
        }));
        if let Err(panic) = outcome {
            eprintln!("failed with {name}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn ten_thousand_keys_over_lossy_links() {
    run(|context| async move {
        let net = Net::new(&context, 5, probability!(0.75)).await;
        let source = open(&context, "source").await;
        fill(&source, 1).await;
        let target = source.committed_targets().await;
        for peer in 1..5 {
            net.serve(peer, &source).await;
        }
        let (mailbox, progress) = net.start(0).await;
        let (_keep, updates) = ring::channel(NZUsize!(1));
        let synced = fetch(
            context.child("fresh"),
            "fresh",
            mailbox,
            target.clone(),
            updates,
        )
        .await;
        expect(&synced, &target, |_| 1).await;
        // The last verdicts reach the actor a moment after the engine is content.
        let shown = || progress.now();
        while shown().operations < shown().of {
            context.sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(shown().of, *target.range.end() - *target.range.start());
        // Loss is nobody's fault.
        assert_eq!(net.oracle.blocked().await.unwrap(), []);
    });
}

#[test]
fn a_liar_is_blocked_and_the_state_is_right() {
    run(|context| async move {
        let net = Net::new(&context, 4, probability!(1.0)).await;
        let source = open(&context, "source").await;
        fill(&source, 1).await;
        // Its log is as long and just as well proven, only not the chain's.
        let forged = open(&context, "forged").await;
        fill(&forged, 66).await;
        let target = source.committed_targets().await;
        net.serve(1, &forged).await;
        net.serve(2, &source).await;
        net.serve(3, &source).await;
        let (mailbox, _) = net.start(0).await;
        let (_keep, updates) = ring::channel(NZUsize!(1));
        let synced = fetch(
            context.child("fresh"),
            "fresh",
            mailbox,
            target.clone(),
            updates,
        )
        .await;
        expect(&synced, &target, |_| 1).await;
        assert_eq!(
            net.oracle.blocked().await.unwrap(),
            [(net.peers[0].clone(), net.peers[1].clone())]
        );
    });
}

#[test]
fn a_peer_that_vanishes_is_done_without() {
    run(|context| async move {
        let net = Net::new(&context, 3, probability!(1.0)).await;
        let source = open(&context, "source").await;
        fill(&source, 1).await;
        let target = source.committed_targets().await;
        net.serve(1, &source).await;
        net.serve(2, &source).await;
        let (mailbox, progress) = net.start(0).await;
        let (_keep, updates) = ring::channel(NZUsize!(1));
        let syncing = context.child("fresh").spawn({
            let target = target.clone();
            move |context| fetch(context, "fresh", mailbox, target, updates)
        });
        while progress.now().operations == 0 {
            context.sleep(Duration::from_millis(1)).await;
        }
        assert!(progress.now().operations < KEYS / 2, "vanishes too late");
        net.vanish(1).await;
        let synced = syncing.await.unwrap();
        expect(&synced, &target, |_| 1).await;
        assert_eq!(net.oracle.blocked().await.unwrap(), []);
    });
}

#[test]
fn nobody_to_ask_at_first() {
    run(|context| async move {
        let net = Net::new(&context, 2, probability!(1.0)).await;
        let source = open(&context, "source").await;
        fill(&source, 1).await;
        let target = source.committed_targets().await;
        // It refuses for as long as it has no state to serve.
        let (other, _) = net.start(1).await;
        let (mailbox, progress) = net.start(0).await;
        let (_keep, updates) = ring::channel(NZUsize!(1));
        let syncing = context.child("fresh").spawn({
            let target = target.clone();
            move |context| fetch(context, "fresh", mailbox, target, updates)
        });
        context.sleep(Duration::from_secs(60)).await;
        assert_eq!(progress.now().operations, 0);
        other.attach_database(source).await;
        let synced = syncing.await.unwrap();
        expect(&synced, &target, |_| 1).await;
    });
}

#[test]
fn the_target_moves_and_the_past_is_pruned() {
    run(|context| async move {
        let net = Net::new(&context, 4, probability!(0.9)).await;
        let source = open(&context, "source").await;
        fill(&source, 1).await;
        for peer in 1..4 {
            net.serve(peer, &source).await;
        }
        let (mailbox, progress) = net.start(0).await;
        let (newer, updates) = ring::channel(NZUsize!(1));
        let syncing = context.child("fresh").spawn({
            let target = source.committed_targets().await;
            move |context| fetch(context, "fresh", mailbox, target, updates)
        });
        while progress.now().operations == 0 {
            context.sleep(Duration::from_millis(1)).await;
        }
        // The chain goes on: every block rewrites some keys, and servers forget what is stale.
        let mut target = source.committed_targets().await;
        let mut last = 0;
        for moved in 0..20u64 {
            last = moved * BATCH;
            block(&source, last..last + BATCH, 2).await;
            target = source.committed_targets().await;
            source.prune(&target).await;
            assert!(newer.send_lossy(target.clone()));
            context.sleep(Duration::from_millis(20)).await;
        }
        drop(newer);
        let synced = syncing.await.unwrap();
        assert_eq!(last + BATCH, KEYS);
        expect(&synced, &target, |_| 2).await;
        assert_eq!(net.oracle.blocked().await.unwrap(), []);
    });
}

fn question(id: u64, request: &Request) -> IoBuf {
    let mut message = BytesMut::new();
    message.put_u8(0);
    message.put_u64(id);
    message.put_slice(&request.encode());
    message.freeze().into()
}

#[test]
fn a_server_keeps_its_limits() {
    run(|context| async move {
        let net = Net::new(&context, 3, probability!(1.0)).await;
        let source = open(&context, "source").await;
        // Code only: each operation has more than 24 KiB.
        block(&source, (0..60).map(|n| n * 400), 1).await;
        let size = source.committed_targets().await.range.end();
        net.serve(1, &source).await;
        let (mut sender, mut receiver) = net.channel(0).await;
        let server = || Recipients::One(net.peers[1].clone());
        let ask = |max_ops| Request::Operations {
            size,
            start: Location::new(0),
            max_ops,
        };

        // More operations than may be asked for: refused.
        sender.send(server(), question(7, &ask(NZU64!(257))), false);
        let (_, refusal) = receiver.recv().await.unwrap();
        assert_eq!(refusal.as_ref(), [2, 0, 0, 0, 0, 0, 0, 0, 7]);

        // A state that it does not have: refused.
        let beyond = Request::Operations {
            size: Location::new(*size + 1),
            start: Location::new(0),
            max_ops: NZU64!(1),
        };
        sender.send(server(), question(8, &beyond), false);
        let (_, refusal) = receiver.recv().await.unwrap();
        assert_eq!(refusal.as_ref(), [2, 0, 0, 0, 0, 0, 0, 0, 8]);

        // More bytes than fit: fewer operations.
        sender.send(server(), question(9, &ask(NZU64!(60))), false);
        let (_, answer) = receiver.recv().await.unwrap();
        assert_eq!(answer.as_ref()[0], 1);
        assert!(answer.remaining() <= sync::MAX_MESSAGE_BYTES);
        assert!(answer.remaining() > 4 * MAX_VALUE_LENGTH);

        // More questions at once than one peer may have served: the rest is refused, all are
        // answered.
        let flood = 100;
        let (slot, database) = source.write().await;
        for id in 0..flood {
            sender.send(server(), question(id, &ask(NZU64!(1))), false);
        }
        let refused = flood - u64::try_from(sync::MAX_SERVED).unwrap();
        for _ in 0..refused {
            let (_, refusal) = receiver.recv().await.unwrap();
            assert_eq!(refusal.as_ref()[0], 2);
        }
        slot.put(database);
        for _ in refused..flood {
            let (_, answer) = receiver.recv().await.unwrap();
            assert_eq!(answer.as_ref()[0], 1);
        }
        assert_eq!(net.oracle.blocked().await.unwrap(), []);

        // What cannot be read blocks its sender, and nobody else.
        sender.send(server(), IoBuf::from(vec![9u8; 40]), false);
        let expected = [(net.peers[1].clone(), net.peers[0].clone())];
        while net.oracle.blocked().await.unwrap() != expected {
            context.sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn an_answer_to_another_question_blocks() {
    run(|context| async move {
        let net = Net::new(&context, 3, probability!(1.0)).await;
        let source = open(&context, "source").await;
        fill(&source, 1).await;
        let target = source.committed_targets().await;
        net.serve(2, &source).await;
        // This one answers with no response at all.
        let (mut sender, mut receiver) = net.channel(1).await;
        net.context.child("confused").spawn(move |_| async move {
            while let Ok((peer, message)) = receiver.recv().await {
                let mut answer = BytesMut::from(&message.as_ref()[..9]);
                answer[0] = 1;
                sender.send(Recipients::One(peer), answer.freeze(), false);
            }
        });
        let (mailbox, _) = net.start(0).await;
        let (_keep, updates) = ring::channel(NZUsize!(1));
        let synced = fetch(
            context.child("fresh"),
            "fresh",
            mailbox,
            target.clone(),
            updates,
        )
        .await;
        expect(&synced, &target, |_| 1).await;
        assert_eq!(
            net.oracle.blocked().await.unwrap(),
            [(net.peers[0].clone(), net.peers[1].clone())]
        );
    });
}
