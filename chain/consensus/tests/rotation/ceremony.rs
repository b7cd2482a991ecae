//! Key generation among players over a simulated network, without the chain.

use crate::{CHAIN_ID, EPOCH, MOST, seeds};
use commonware_consensus::types::Epoch;
use commonware_cryptography::{Signer as _, bls12381::primitives::variant::MinSig, ed25519};
use commonware_glue::{
    dkg::SecretStore as _,
    simulate::{
        action::{Action, Crash, Schedule},
        engine::{EngineDefinition, InitContext},
        exit::ProcessedHeightAtLeast,
        plan::PlanBuilder,
        processed::ProcessedHeight,
        property::Property,
        tracker::ProgressTracker,
    },
};
use commonware_p2p::{max_message_size, simulated::Link};
use commonware_runtime::{Clock as _, Handle, Quota, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::{
    NZU32, TryCollect as _,
    ordered::{Quorum as _, Set},
    probability,
};
use mileverse_consensus::{
    block::PublicKey,
    engine::memory::MemorySecrets,
    rotation::{self, Assignment, Phase, Rotation, pool::Handover, proof},
};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

/// Players, and one node beside them that only watches.
#[derive(Clone)]
struct Net {
    signers: Vec<ed25519::PrivateKey>,
    players: usize,
    silent: usize,
    /// Judged no earlier than this after its own start.
    at_least: Duration,
    secrets: Arc<Mutex<BTreeMap<usize, MemorySecrets>>>,
}

impl Net {
    fn new(seed: u64, players: usize, silent: usize, at_least: Duration) -> Self {
        let mut signers: Vec<_> = (0..=players as u64)
            .map(|n| ed25519::PrivateKey::from_seed(seed * 1000 + n))
            .collect();
        signers.sort_by_key(|signer| signer.public_key());
        Self {
            signers,
            players,
            silent,
            at_least,
            secrets: Arc::default(),
        }
    }

    fn set(&self) -> Set<PublicKey> {
        self.signers[..self.players]
            .iter()
            .map(|signer| signer.public_key())
            .try_collect()
            .unwrap()
    }

    /// The first players are silent.
    fn speaks(&self, node: usize) -> bool {
        node >= self.silent
    }
}

struct Node {
    index: usize,
    speaks: bool,
    expected: usize,
    rotation: Option<Rotation>,
    secrets: MemorySecrets,
    context: deterministic::Context,
    since: SystemTime,
}

impl ProcessedHeight for Node {
    async fn processed_height(&self) -> u64 {
        let waited = self.context.current() >= self.since;
        let done = self
            .rotation
            .as_ref()
            .is_none_or(|rotation| rotation.state().endorsements == self.expected);
        u64::from(waited && done)
    }
}

impl EngineDefinition for Net {
    type PublicKey = PublicKey;
    type Engine = Handle<()>;
    type State = Node;

    fn participants(&self) -> Vec<PublicKey> {
        self.signers.iter().map(|key| key.public_key()).collect()
    }

    fn channels(&self) -> Vec<(u64, Quota)> {
        vec![(rotation::CHANNEL, Quota::per_second(NZU32!(2048)))]
    }

    fn max_message_size(&self) -> u32 {
        max_message_size(&[rotation::max_payload_size(MOST)])
    }

    async fn init(&self, mut ctx: InitContext<'_, PublicKey>) -> (Handle<()>, Node) {
        let speaks = self.speaks(ctx.index);
        let secrets = self
            .secrets
            .lock()
            .unwrap()
            .entry(ctx.index)
            .or_default()
            .clone();
        let mut node = Node {
            index: ctx.index,
            speaks,
            expected: self.players - self.silent,
            rotation: None,
            secrets: secrets.clone(),
            since: ctx.context.current() + self.at_least,
            context: ctx.context.child("state"),
        };
        if !speaks {
            let asleep = ctx.context.child("silent");
            return (asleep.spawn(|_| std::future::pending()), node);
        }
        let (rotation, handle) = rotation::actor::start(
            ctx.context.child("rotation"),
            rotation::Config {
                chain_id: CHAIN_ID,
                signer: self.signers[ctx.index].clone(),
                secrets,
                prefix: format!("node-{}", ctx.index),
                most: MOST,
            },
            ctx.channels.remove(0),
        );
        rotation.assign(Some(Assignment {
            epoch: EPOCH,
            players: self.set(),
        }));
        node.rotation = Some(rotation);
        (handle, node)
    }

    fn start(engine: Handle<()>) -> Handle<()> {
        engine
    }
}

/// One key at all who speak, endorsed by all of them, each with its share of it.
#[derive(Clone)]
struct OneKey(Net);

impl OneKey {
    async fn judge(&self, nodes: &[&Node]) -> Result<(), String> {
        let players = self.0.set();
        let mut first: Option<Handover> = None;
        for node in nodes.iter().filter(|node| node.speaks) {
            let state = node.rotation.as_ref().unwrap().state();
            let handover = node
                .rotation
                .as_ref()
                .unwrap()
                .handover(EPOCH)
                .ok_or("no key")?;
            let me = self.0.signers[node.index].public_key();
            proof::check(
                CHAIN_ID,
                EPOCH,
                &handover.output,
                &players,
                &handover.endorsements,
            )
            .map_err(|error| error.to_string())?;
            let watcher = node.index == self.0.players;
            let phase = if watcher {
                Phase::Watching
            } else {
                Phase::Endorsed
            };
            if state.phase != phase {
                return Err(format!("node {} is {:?}", node.index, state.phase));
            }
            let share = node.secrets.clone().get_share(Epoch::new(EPOCH)).await;
            if share.is_some() == watcher {
                return Err(format!("node {}: a share {share:?}", node.index));
            }
            if let Some(share) = share {
                let index = players.index(&me).unwrap();
                let public = handover.output.public().partial_public(index).unwrap();
                if share.public::<MinSig>() != public {
                    return Err(format!("node {} holds another key's share", node.index));
                }
            }
            match &first {
                Some(first) if first.output != handover.output => {
                    return Err("two keys".into());
                }
                _ => first = Some(handover),
            }
        }
        Ok(())
    }
}

impl Property<PublicKey, Node> for OneKey {
    fn name(&self) -> &str {
        "one key"
    }

    fn check<'a>(
        &'a self,
        _: &'a ProgressTracker<PublicKey>,
        nodes: &'a [&'a Node],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(self.judge(nodes))
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn link(latency: u64, success_rate: commonware_utils::Probability) -> Link {
    Link {
        latency: millis(latency),
        jitter: millis(latency / 4),
        success_rate,
    }
}

/// Runs a ceremony; `crashes` are (node, down at, up at) in milliseconds.
fn run(players: usize, silent: usize, link: &Link, crashes: &[(usize, u64, u64)]) {
    let last = crashes.iter().map(|(_, _, up)| *up).max().unwrap_or(0);
    for seed in 0..seeds() {
        let net = Net::new(seed, players, silent, millis(last));
        let mut events: Vec<(Duration, Action<PublicKey>)> = Vec::new();
        for (node, down, up) in crashes {
            let key = net.signers[*node].public_key();
            events.push((millis(*down), Action::Crash(key.clone())));
            events.push((millis(*up), Action::Restart(key)));
        }
        events.sort_by_key(|(at, _)| *at);
        let schedule = events
            .into_iter()
            .fold(Schedule::new(), |schedule, (at, action)| {
                schedule.at(at, action)
            });
        PlanBuilder::new(net.clone())
            .seed(seed)
            .link(link.clone())
            .required_finalizations(0)
            .timeout(Duration::from_secs(600))
            .crash(Crash::Schedule(schedule))
            .exit_condition(ProcessedHeightAtLeast::new(1))
            .property(OneKey(net))
            .run()
            .unwrap_or_else(|error| panic!("{error}; replay with seed {seed}"));
    }
}

#[test]
fn four_players_make_one_key() {
    run(4, 0, &link(20, probability!(1.0)), &[]);
}

#[test]
fn a_silent_player_of_four_stops_nothing() {
    run(4, 1, &link(20, probability!(1.0)), &[]);
}

#[test]
fn a_player_may_crash_at_any_moment_and_return() {
    for (down, up) in [(100, 900), (500, 1500), (900, 2500), (2500, 4000)] {
        run(4, 0, &link(20, probability!(1.0)), &[(2, down, up)]);
    }
}

#[test]
fn seven_players_one_silent_and_one_crashing() {
    run(7, 1, &link(20, probability!(1.0)), &[(4, 400, 2000)]);
}

#[test]
fn a_lossy_network_delays_it_only() {
    run(4, 0, &link(40, probability!(0.9)), &[]);
}
