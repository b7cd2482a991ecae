//! Rotation's parts alone: key generation among players over a simulated network, endorsements,
//! what a last block may carry, and the adoption of shares. A failure names its seed.
//!
//! `MILEVERSE_SEEDS=100 cargo test --release -p mileverse-node --test rotation` runs more.

#![recursion_limit = "512"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use commonware_codec::{Decode as _, DecodeExt as _, Encode as _};
use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    Signer as _,
    bls12381::{
        dkg::feldman_desmedt::{self, DealerPrivMsg},
        primitives::{group::Share, sharing::Mode, variant::MinSig},
    },
    ed25519,
    transcript::Summary,
};
use commonware_glue::{
    dkg::{
        Registrar, SecretStore,
        types::{EpochInfo, EpochOutcome, Payload, SchemeInfo},
    },
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
use commonware_runtime::{
    Clock as _, Handle, Quota, Runner as _, Spawner as _, Supervisor as _, deterministic,
};
use commonware_utils::{
    N3f1, NZU32, TestRng, TryCollect as _,
    ordered::{Map, Quorum as _, Set},
    probability,
    sequence::Unit,
};
use mileverse_node::{
    block::PublicKey,
    rotation::{
        self, Assignment, Endorsement, Output, Phase, Refused, Rotation,
        adopt::Adopting,
        handover::{self, Misplaced},
        pool::{Handover, Pool},
        proof,
        wire::Testimony,
    },
};
use std::{
    collections::BTreeMap,
    future::Future,
    num::NonZeroU32,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

const CHAIN_ID: u64 = 77_771;
const EPOCH: u64 = 5;
const MOST: NonZeroU32 = NZU32!(16);

fn seeds() -> u64 {
    std::env::var("MILEVERSE_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(2)
}

/// A store of secrets that outlives its node's crashes, as a file does.
#[derive(Clone, Default)]
struct Secrets(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    shares: BTreeMap<Epoch, Share>,
    seeds: BTreeMap<Epoch, Summary>,
    dealings: BTreeMap<(Epoch, Vec<u8>), DealerPrivMsg>,
}

impl SecretStore for Secrets {
    async fn put_share(&mut self, epoch: Epoch, share: Share) {
        self.0.lock().unwrap().shares.insert(epoch, share);
    }

    async fn get_share(&mut self, epoch: Epoch) -> Option<Share> {
        self.0.lock().unwrap().shares.get(&epoch).cloned()
    }

    async fn put_seed(&mut self, epoch: Epoch, seed: Summary) {
        self.0.lock().unwrap().seeds.insert(epoch, seed);
    }

    async fn get_seed(&mut self, epoch: Epoch) -> Option<Summary> {
        self.0.lock().unwrap().seeds.get(&epoch).cloned()
    }

    async fn put_dealing<P: commonware_cryptography::PublicKey>(
        &mut self,
        epoch: Epoch,
        dealer: P,
        private: DealerPrivMsg,
    ) {
        let key = (epoch, dealer.encode().to_vec());
        self.0.lock().unwrap().dealings.insert(key, private);
    }

    async fn get_dealing<P: commonware_cryptography::PublicKey>(
        &mut self,
        epoch: Epoch,
        dealer: &P,
    ) -> Option<DealerPrivMsg> {
        let key = (epoch, dealer.encode().to_vec());
        self.0.lock().unwrap().dealings.get(&key).cloned()
    }

    async fn prune(&mut self, min: Epoch) {
        let mut held = self.0.lock().unwrap();
        held.shares.retain(|epoch, _| *epoch >= min);
        held.seeds.retain(|epoch, _| *epoch >= min);
        held.dealings.retain(|(epoch, _), _| *epoch >= min);
    }
}

/// Players, and one node beside them that only watches.
#[derive(Clone)]
struct Net {
    signers: Vec<ed25519::PrivateKey>,
    players: usize,
    silent: usize,
    /// Judged no earlier than this after its own start.
    at_least: Duration,
    secrets: Arc<Mutex<BTreeMap<usize, Secrets>>>,
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
    secrets: Secrets,
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
    fn judge(&self, nodes: &[&Node]) -> Result<(), String> {
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
            let held = node.secrets.0.lock().unwrap();
            let share = held.shares.get(&Epoch::new(EPOCH));
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
        Box::pin(async move { self.judge(nodes) })
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

// What is below needs no network.

struct Deal {
    signers: Vec<ed25519::PrivateKey>,
    players: Set<PublicKey>,
    output: Output,
    shares: Map<PublicKey, Share>,
}

/// A trusted deal stands for a ceremony.
fn deal(seed: u64, players: u64) -> Deal {
    let mut signers: Vec<_> = (0..players).map(ed25519::PrivateKey::from_seed).collect();
    signers.sort_by_key(|signer| signer.public_key());
    let set: Set<PublicKey> = signers
        .iter()
        .map(|signer| signer.public_key())
        .try_collect()
        .unwrap();
    let (output, shares) = feldman_desmedt::deal::<MinSig, _, N3f1>(
        &mut TestRng::new(seed),
        Mode::NonZeroCounter,
        set.clone(),
    )
    .unwrap();
    Deal {
        signers,
        players: set,
        output,
        shares,
    }
}

fn endorsements(deal: &Deal, epoch: u64, count: usize) -> Vec<Endorsement> {
    deal.signers[..count]
        .iter()
        .map(|signer| proof::endorse(signer, CHAIN_ID, epoch, proof::hash(&deal.output)))
        .collect()
}

type Info = EpochInfo<MinSig, PublicKey>;

fn artifact(deal: &Deal, outcome: EpochOutcome) -> Info {
    EpochInfo {
        outcome,
        epoch: Epoch::new(EPOCH + 1),
        output: deal.output.clone(),
        players: deal.players.clone(),
        next_players: deal.players.clone(),
        directory: Unit,
    }
}

fn judge(derived: &Info, carried: &Info, endorsements: &[Endorsement]) -> Result<(), Misplaced> {
    handover::check(
        CHAIN_ID,
        Some(&Payload::EpochInfo(derived.clone())),
        Some(&Payload::EpochInfo(carried.clone())),
        endorsements,
    )
}

#[test]
fn a_last_block_hands_over_with_a_quorum_only() {
    let old = deal(1, 4);
    let new = deal(2, 4);
    let derived = artifact(&old, EpochOutcome::Success);
    let offer = |count| Handover {
        epoch: EPOCH,
        output: new.output.clone(),
        endorsements: endorsements(&new, EPOCH, count),
    };

    // As derived, with nothing endorsed.
    assert_eq!(judge(&derived, &derived, &[]), Ok(()));
    assert_eq!(
        judge(&derived, &derived, &endorsements(&new, EPOCH, 3)),
        Err(Misplaced::Endorsements)
    );

    // Three and four of four endorse; two do not suffice.
    for count in [3, 4] {
        let (carried, endorsed) = handover::apply(derived.clone(), Some(offer(count)));
        assert_eq!(carried.output, new.output);
        assert_eq!(judge(&derived, &carried, &endorsed), Ok(()));
        assert_ne!(judge(&derived, &carried, &[]), Ok(()));
    }
    let (carried, endorsed) = handover::apply(derived.clone(), Some(offer(2)));
    assert_eq!(
        judge(&derived, &carried, &endorsed),
        Err(Refused::TooFew { have: 2, need: 3 }.into())
    );

    // After a failed resharing that keeps the same committee it hands over too.
    let failed = artifact(&old, EpochOutcome::Failure);
    let (carried, endorsed) = handover::apply(failed.clone(), Some(offer(3)));
    assert_eq!(carried.outcome, EpochOutcome::Success);
    assert_eq!(judge(&failed, &carried, &endorsed), Ok(()));

    // Nothing but the output may differ.
    let (mut carried, endorsed) = handover::apply(derived.clone(), Some(offer(3)));
    carried.players = deal(3, 7).players;
    assert_eq!(
        judge(&derived, &carried, &endorsed),
        Err(Misplaced::Artifact)
    );
    assert_eq!(
        handover::check(
            CHAIN_ID,
            Some(&Payload::EpochInfo(derived.clone())),
            None,
            &[]
        ),
        Err(Misplaced::Artifact)
    );

    // A leader does not offer a key of another epoch or other players, nor the same key.
    let late = Handover {
        epoch: EPOCH - 1,
        ..offer(3)
    };
    let others = Handover {
        output: deal(3, 7).output,
        ..offer(3)
    };
    let same = Handover {
        output: old.output.clone(),
        ..offer(3)
    };
    for useless in [late, others, same] {
        let (carried, endorsed) = handover::apply(derived.clone(), Some(useless));
        assert_eq!(carried, derived);
        assert!(endorsed.is_empty());
    }
}

#[test]
fn endorsements_that_lie_admit_no_key() {
    let new = deal(2, 4);
    let check = |endorsements: &[Endorsement]| {
        proof::check(CHAIN_ID, EPOCH, &new.output, &new.players, endorsements)
    };
    let good = endorsements(&new, EPOCH, 3);
    assert_eq!(check(&good), Ok(()));

    // Of another epoch, chain or output.
    assert_eq!(
        check(&endorsements(&new, EPOCH + 1, 3)),
        Err(Refused::Forged)
    );
    assert_eq!(
        proof::check(CHAIN_ID + 1, EPOCH, &new.output, &new.players, &good),
        Err(Refused::Forged)
    );
    let other = deal(4, 4);
    assert_eq!(
        proof::check(CHAIN_ID, EPOCH, &other.output, &new.players, &good),
        Err(Refused::Forged)
    );

    // Twice the same player, and out of order.
    let mut twice = good.clone();
    twice[1] = twice[0].clone();
    assert_eq!(check(&twice), Err(Refused::Order));
    let mut turned = good.clone();
    turned.swap(0, 2);
    assert_eq!(check(&turned), Err(Refused::Order));

    // Somebody else's, and one player's under another's name.
    let stranger = ed25519::PrivateKey::from_seed(999);
    let mut foreign = good.clone();
    foreign.push(proof::endorse(
        &stranger,
        CHAIN_ID,
        EPOCH,
        proof::hash(&new.output),
    ));
    foreign.sort_by(|a, b| a.player.cmp(&b.player));
    assert_eq!(check(&foreign), Err(Refused::Stranger));
    let mut forged = good.clone();
    forged[1].signature = forged[0].signature.clone();
    assert_eq!(check(&forged), Err(Refused::Forged));

    // A key for other players.
    assert_eq!(
        proof::check(CHAIN_ID, EPOCH, &new.output, &deal(3, 7).players, &good),
        Err(Refused::Players)
    );
    assert_eq!(check(&[]), Err(Refused::TooFew { have: 0, need: 3 }));
}

#[test]
fn a_pool_keeps_one_word_of_each_player() {
    let new = deal(2, 4);
    let other = deal(3, 4);
    let mut pool = Pool::new(CHAIN_ID, EPOCH, new.players.clone());
    let say = |deal: &Deal, epoch, player: usize| Testimony {
        epoch,
        endorsement: endorsements(deal, epoch, 4)[player].clone(),
        output: deal.output.clone(),
    };

    assert_eq!(pool.add(say(&new, EPOCH + 1, 0)), Ok(false));
    assert_eq!(pool.add(say(&new, EPOCH, 0)), Ok(true));
    assert_eq!(pool.add(say(&new, EPOCH, 0)), Ok(false));
    // A second word, for another key, is not heard.
    assert_eq!(pool.add(say(&other, EPOCH, 0)), Ok(false));
    assert_eq!(pool.add(say(&other, EPOCH, 3)), Ok(true));
    assert_eq!(pool.count(), 1);
    assert_eq!(pool.add(say(&new, EPOCH, 1)), Ok(true));
    assert_eq!(pool.handover(), None);
    let mut forged = say(&new, EPOCH, 2);
    forged.output = other.output.clone();
    assert_eq!(pool.add(forged), Err(Refused::Forged));
    assert_eq!(
        pool.add(Testimony {
            endorsement: proof::endorse(
                &ed25519::PrivateKey::from_seed(999),
                CHAIN_ID,
                EPOCH,
                proof::hash(&new.output)
            ),
            ..say(&new, EPOCH, 2)
        }),
        Err(Refused::Stranger)
    );
    assert_eq!(pool.add(say(&new, EPOCH, 2)), Ok(true));
    let handover = pool.handover().unwrap();
    assert_eq!(handover.output, new.output);
    assert_eq!(handover.endorsements, endorsements(&new, EPOCH, 3));
}

#[test]
fn testimonies_are_decoded_exactly() {
    let new = deal(2, 7);
    let testimony = Testimony {
        epoch: EPOCH,
        endorsement: endorsements(&new, EPOCH, 1)[0].clone(),
        output: new.output,
    };
    let bytes = testimony.encode();
    assert!(bytes.len() <= rotation::max_payload_size(NZU32!(7)));
    assert_eq!(
        Testimony::decode_cfg(bytes.clone(), &MOST).unwrap(),
        testimony
    );
    assert!(Testimony::decode_cfg(bytes.clone(), &NZU32!(4)).is_err());
    for short in 0..bytes.len() {
        assert!(Testimony::decode_cfg(bytes.slice(..short), &MOST).is_err());
    }
    let longer = [bytes.as_ref(), &[0]].concat();
    assert!(Testimony::decode_cfg(bytes::Bytes::from(longer), &MOST).is_err());
    let endorsement = testimony.endorsement.encode();
    assert_eq!(endorsement.len(), 96);
    assert_eq!(
        Endorsement::decode(endorsement).unwrap(),
        testimony.endorsement
    );
}

#[derive(Clone, Default)]
struct Registered(Arc<Mutex<Vec<SchemeInfo<MinSig, PublicKey>>>>);

impl Registrar for Registered {
    type Variant = MinSig;
    type PublicKey = PublicKey;

    async fn register(&self, _: Epoch, info: SchemeInfo<MinSig, PublicKey>) {
        self.0.lock().unwrap().push(info);
    }
}

#[test]
fn a_share_is_adopted_with_its_own_key_only() {
    deterministic::Runner::default().start(|_| async move {
        let old = deal(1, 4);
        let new = deal(2, 4);
        let me = new.signers[2].public_key();
        let share = new.shares.get_value(&me).unwrap().clone();
        let next = Epoch::new(EPOCH + 1);
        let member = |deal: &Deal| {
            SchemeInfo::new(
                &me,
                deal.players.clone(),
                deal.output.public().clone(),
                None,
            )
        };
        let signer = SchemeInfo::new(
            &me,
            new.players.clone(),
            new.output.public().clone(),
            Some(share.clone()),
        );
        let mut rotations = Secrets::default();
        rotations.put_share(Epoch::new(EPOCH), share.clone()).await;
        let mut chain = Secrets::default();
        let registered = Registered::default();
        let registrar = Adopting::new(registered.clone(), chain.clone(), rotations.clone());
        let last = || registered.0.lock().unwrap().last().unwrap().clone();

        // The rotation came to nothing: the old key goes on, and this node has no share of it.
        registrar.register(next, member(&old)).await;
        assert_eq!(last(), member(&old));
        assert_eq!(chain.get_share(next).await, None);
        // A share of the ceremony of another epoch is not looked for.
        registrar.register(next.next(), member(&new)).await;
        assert_eq!(last(), member(&new));

        // The handover is final; delivered again after a crash, it ends the same way.
        for _ in 0..2 {
            registrar.register(next, member(&new)).await;
            assert_eq!(last(), signer);
            assert_eq!(chain.get_share(next).await, Some(share.clone()));
            assert_eq!(rotations.get_share(Epoch::new(EPOCH)).await, None);
        }

        // Others pass through.
        let stranger = SchemeInfo::Verifier {
            participants: new.players.clone(),
            sharing: new.output.public().clone(),
        };
        registrar.register(next, stranger.clone()).await;
        assert_eq!(last(), stranger);
    });
}
