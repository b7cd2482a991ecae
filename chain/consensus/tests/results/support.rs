//! A simulated network of nodes that have no consensus: the test says what is final.

use commonware_cryptography::{Signer as _, ed25519};
use commonware_p2p::simulated::{Config, Control, Link, Network, Oracle, Receiver, Sender};
use commonware_runtime::{Clock as _, Quota, Runner as _, Supervisor as _, deterministic};
use commonware_utils::{NZU32, NZUsize, Probability};
use mileverse_consensus::{block::PublicKey, committees::Committees, evidence::Store};
use mileverse_primitives::{
    B256,
    header::{Header, StateCommitment, Turn},
    keccak256,
};
use std::{future::Future, time::Duration};

pub const CHAIN_ID: u64 = 77_771;
pub const EPOCH_BLOCKS: u64 = 32;
pub const INTERVAL: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(10);

pub type Context = deterministic::Context;
pub type Channel = (Sender<PublicKey, Context>, Receiver<PublicKey>);

/// Keys of a net, and its network.
pub struct Net {
    pub context: Context,
    pub keys: Vec<ed25519::PrivateKey>,
    pub oracle: Oracle<PublicKey, Context>,
    pub committees: Committees,
    directory: tempfile::TempDir,
}

impl Net {
    /// `members` delegates of epochs 0 to 2, ascending, and `strangers` after them.
    pub async fn new(context: Context, members: usize, strangers: usize, loss: f64) -> Self {
        let mut keys: Vec<_> = (0..members as u64)
            .map(ed25519::PrivateKey::from_seed)
            .collect();
        keys.sort_by_key(|key| key.public_key());
        let committee: Vec<B256> = keys.iter().map(word).collect();
        keys.extend((0..strangers as u64).map(|n| ed25519::PrivateKey::from_seed(1000 + n)));
        let names: Vec<PublicKey> = keys.iter().map(|key| key.public_key()).collect();
        let (network, oracle) = Network::new_with_peers(
            context.child("network"),
            Config {
                max_size: 1 << 16,
                max_peers_per_set: NZUsize!(128),
                disconnect_on_block: true,
                tracked_peer_sets: NZUsize!(2),
            },
            names.clone(),
        )
        .await;
        network.start();
        for from in &names {
            for to in names.iter().filter(|to| *to != from) {
                let link = Link {
                    latency: Duration::from_millis(20),
                    jitter: Duration::from_millis(10),
                    success_rate: Probability::from_f64(1.0 - loss).unwrap(),
                };
                oracle
                    .add_link(from.clone(), to.clone(), link)
                    .await
                    .unwrap();
            }
        }
        let committees = Committees::new(B256::repeat_byte(9));
        for epoch in 0..3 {
            committees.enter(epoch, &committee).unwrap();
        }
        Self {
            context,
            keys,
            oracle,
            committees,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn control(&self, node: usize) -> Control<PublicKey, Context> {
        self.oracle.control(self.keys[node].public_key())
    }

    pub async fn channel(&self, node: usize, number: u64) -> Channel {
        let quota = Quota::per_second(NZU32!(1024));
        self.control(node).register(number, quota).await.unwrap()
    }

    pub fn store(&self, node: usize) -> Store {
        let path = self.directory.path().join(format!("{node}.json"));
        Store::open(&path, CHAIN_ID).unwrap()
    }

    /// Lets simulated time pass until `condition` is true.
    pub async fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let end = self.context.current() + PATIENCE;
        while !condition() {
            assert!(self.context.current() < end, "never came true: {what}");
            self.context.sleep(STEP).await;
        }
    }

    /// Lets simulated time pass until everything sent has arrived or is lost.
    pub async fn quiet(&self) {
        self.context.sleep(Duration::from_secs(1)).await;
    }

    /// Pairs of (who blocked, whom).
    pub async fn blocked(&self) -> Vec<(PublicKey, PublicKey)> {
        self.oracle.blocked().await.unwrap()
    }
}

pub fn word(key: &ed25519::PrivateKey) -> B256 {
    B256::from_slice(&key.public_key())
}

/// The final digest at a height.
pub fn truth(height: u64) -> B256 {
    keccak256(height.to_be_bytes())
}

/// A header of `leader` for a view; `salt` makes it differ.
pub fn header(leader: B256, epoch: u64, view: u64, salt: u8) -> Header {
    Header {
        outbox_root: B256::repeat_byte(salt),
        parent: B256::repeat_byte(2),
        height: view,
        timestamp_ms: 3,
        gas_limit: 4,
        gas_used: 5,
        transactions_root: B256::repeat_byte(6),
        receipts_root: B256::repeat_byte(7),
        system_root: B256::ZERO,
        logs_bloom: Default::default(),
        state: StateCommitment {
            root: B256::repeat_byte(8),
            operations_root: B256::repeat_byte(8),
            start: 9,
            end: 10,
        },
        turn: Turn {
            epoch,
            view,
            parent_view: view.saturating_sub(1),
            leader,
        },
        checkpoint: None,
    }
}

/// Runs a test for each seed.
pub fn seeds<F: Future<Output = ()>>(test: impl Fn(Context) -> F) {
    let count = std::env::var("MILEVERSE_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(5u64);
    for seed in 0..count {
        let _named = Named(seed);
        deterministic::Runner::seeded(seed).start(&test);
    }
}

/// Says which seed failed.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "seed {} failed; MILEVERSE_SEEDS={} runs it last",
                self.0,
                self.0 + 1
            );
        }
    }
}
