//! Runs an epoch's rotation on one node.
//!
//! ```txt
//!  assignment (epoch, players) ──> ceremony ──> own share stored ──> testimony ──> all peers
//!                                                                        │
//!        state (for the last block's leader, RPC, metrics) <── pool <────┴──── testimonies
//! ```
//!
//! A node that is no player gathers testimonies only, for it may lead the epoch's last block. What
//! is gathered lives in memory: after a restart the others' testimonies come again within
//! [`RESEND`], and the node's own ceremony ends again from its files. The engine is stopped as soon
//! as every player has endorsed, [`GRACE`] after enough have, or when the assignment changes.

use super::{
    ENDORSEMENTS, GRACE, Output, RESEND, adopt,
    ceremony::{Ceremony, Ending, Setup},
    pool::{Handover, Pool},
    proof,
    wire::Testimony,
};
use crate::block::PublicKey;
use crate::watch;
use commonware_codec::{Decode as _, Encode as _};
use commonware_consensus::types::Epoch;
use commonware_cryptography::{Signer as _, ed25519};
use commonware_glue::dkg::SecretStore;
use commonware_p2p::{
    Message, Receiver, Recipients, Sender,
    utils::mux::{MuxHandle, Muxer, SubReceiver, SubSender},
};
use commonware_runtime::{
    Clock, Handle, Metrics, Spawner, Storage,
    telemetry::metrics::{Gauge, GaugeExt as _, MetricsExt as _},
};
use commonware_utils::ordered::{Quorum as _, Set};
use rand::CryptoRng;
use std::{num::NonZeroU32, sync::Arc};

/// What one node rotates with.
pub struct Config<S> {
    /// Binds every signature to the chain.
    pub chain_id: u64,
    /// This node's identity.
    pub signer: ed25519::PrivateKey,
    /// Rotations' own secrets; not the store of resharing.
    pub secrets: S,
    /// Names the ceremonies' files.
    pub prefix: String,
    /// Most players that a message may name.
    pub most: NonZeroU32,
}

/// The ceremony that an epoch runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Assignment {
    /// The epoch.
    pub epoch: u64,
    /// Its players, who sign the next epoch.
    pub players: Set<PublicKey>,
}

/// How far a rotation is, as one node sees it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Phase {
    /// No rotation in this epoch.
    #[default]
    Idle,
    /// Others generate a key; this node is none of its players.
    Watching,
    /// The ceremony runs, and this node is one of its players.
    Dealing,
    /// This node holds its share of the new key.
    Endorsed,
    /// The ceremony made no key, or none that this node can sign with.
    Failed,
}

impl Phase {
    /// The word for it in answers to people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Watching => "watching",
            Self::Dealing => "dealing",
            Self::Endorsed => "endorsed",
            Self::Failed => "failed",
        }
    }

    const fn number(self) -> i64 {
        match self {
            Self::Idle => 0,
            Self::Watching => 1,
            Self::Dealing => 2,
            Self::Endorsed => 3,
            Self::Failed => 4,
        }
    }
}

/// The state of the newest rotation.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Its epoch; none when idle.
    pub epoch: Option<u64>,
    /// How far it is here.
    pub phase: Phase,
    /// Players who endorsed the key that most endorsed.
    pub endorsements: usize,
    /// How many must.
    pub needed: usize,
    /// What the epoch's last block may carry, once enough have.
    pub handover: Option<Arc<Handover>>,
}

/// A node's rotations, as the rest of it sees them.
#[derive(Clone, Debug)]
pub struct Rotation {
    assignment: Arc<watch::Sender<Option<Assignment>>>,
    state: watch::Receiver<State>,
}

impl Rotation {
    /// Of a node that takes no part in rotations.
    pub fn none() -> Self {
        Self {
            assignment: Arc::new(watch::channel(None).0),
            state: watch::channel(State::default()).1,
        }
    }

    /// Says what the current epoch runs: a ceremony, or none.
    pub fn assign(&self, assignment: Option<Assignment>) {
        self.assignment.send_if_modified(|current| {
            let changed = *current != assignment;
            if changed {
                *current = assignment;
            }
            changed
        });
    }

    /// How far the newest rotation is.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// To wait for changes.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// What the last block of `epoch` may carry.
    pub fn handover(&self, epoch: u64) -> Option<Handover> {
        let state = self.state.borrow();
        state
            .handover
            .as_deref()
            .filter(|handover| handover.epoch == epoch)
            .cloned()
    }
}

struct Gauges {
    epoch: Gauge,
    phase: Gauge,
    endorsements: Gauge,
}

struct Actor<E, S> {
    context: E,
    config: Config<S>,
    assignment: watch::Receiver<Option<Assignment>>,
    state: watch::Sender<State>,
    gauges: Gauges,
}

/// Starts the actor on the validators' [channel](super::CHANNEL).
pub fn start<E, S, N, R>(context: E, config: Config<S>, channel: (N, R)) -> (Rotation, Handle<()>)
where
    E: CryptoRng + Spawner + Metrics + Clock + Storage,
    S: SecretStore + Clone,
    N: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let gauges = Gauges {
        epoch: context.gauge("epoch", "epoch of the newest rotation ceremony"),
        phase: context.gauge(
            "phase",
            "0 idle, 1 watching, 2 dealing, 3 endorsed, 4 failed",
        ),
        endorsements: context.gauge("endorsements", "players who endorsed the new group key"),
    };
    let (assign, assignment) = watch::channel(None);
    let (state, watch) = watch::channel(State::default());
    let handle = context.spawn(move |context| {
        Actor {
            context,
            config,
            assignment,
            state,
            gauges,
        }
        .run(channel)
    });
    let rotation = Rotation {
        assignment: Arc::new(assign),
        state: watch,
    };
    (rotation, handle)
}

/// One epoch's work.
struct Round {
    epoch: u64,
    players: Set<PublicKey>,
    pool: Pool,
    phase: Phase,
    /// Encoded, once this node holds its share.
    own: Option<commonware_runtime::IoBuf>,
}

impl<E, S> Actor<E, S>
where
    E: CryptoRng + Spawner + Metrics + Clock + Storage,
    S: SecretStore + Clone,
{
    async fn run<N, R>(mut self, (sender, receiver): (N, R))
    where
        N: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let (mux, mut network) = Muxer::new(self.context.child("mux"), sender, receiver);
        mux.start();
        let Ok((mut say, mut hear)) = network.register(ENDORSEMENTS).await else {
            tracing::error!("key rotation has no channel to speak on");
            return;
        };
        loop {
            let assignment = self.assignment.borrow_and_update().clone();
            let go_on = match assignment {
                None => self.idle(&mut hear).await,
                Some(assignment) => {
                    self.serve(assignment, &mut network, &mut say, &mut hear)
                        .await
                }
            };
            if !go_on {
                return;
            }
        }
    }

    /// Waits for work. What is heard meanwhile is of no use and must not pile up.
    async fn idle(&mut self, hear: &mut SubReceiver<PublicKey>) -> bool {
        self.state.send_replace(State::default());
        self.gauges.phase.set(Phase::Idle.number());
        loop {
            tokio::select! {
                biased;
                changed = self.assignment.changed() => return changed.is_ok(),
                heard = hear.recv() => if heard.is_err() { return false },
            }
        }
    }

    /// Runs one epoch's rotation until the assignment changes. False when the node stops.
    async fn serve<N>(
        &mut self,
        Assignment { epoch, players }: Assignment,
        network: &mut MuxHandle<N>,
        say: &mut SubSender<N>,
        hear: &mut SubReceiver<PublicKey>,
    ) -> bool
    where
        N: Sender<PublicKey = PublicKey>,
    {
        let mut round = Round {
            epoch,
            pool: Pool::new(self.config.chain_id, epoch, players.clone()),
            players,
            phase: Phase::Watching,
            own: None,
        };
        let mut ceremony = self.begin(&mut round, network).await;
        let mut dealing = ceremony.is_some();
        self.publish(&round);
        let mut again = self.context.current();
        let mut enough = None;
        loop {
            tokio::select! {
                biased;
                changed = self.assignment.changed() => return changed.is_ok(),
                ending = ending(&mut ceremony), if dealing => {
                    dealing = false;
                    self.end(&mut round, ending).await;
                    self.publish(&round);
                    again = self.context.current();
                }
                () = self.context.sleep_until(again), if round.own.is_some() => {
                    if let Some(own) = &round.own {
                        say.send(Recipients::All, own.clone(), false);
                    }
                    again = self.context.current().checked_add(RESEND).unwrap_or(again);
                }
                () = self.context.sleep_until(enough.unwrap_or(again)), if enough.is_some() => {
                    ceremony = None;
                    enough = None;
                }
                heard = hear.recv() => {
                    let Ok(message) = heard else { return false };
                    if self.hear(&mut round, message) {
                        self.publish(&round);
                    }
                }
            }
            if dealing || ceremony.is_none() {
                continue;
            }
            let endorsed = round.pool.count();
            if endorsed == round.players.len() {
                // All players are done, so nobody needs this engine to catch up.
                ceremony = None;
                enough = None;
            } else if endorsed >= proof::quorum(round.players.len()) && enough.is_none() {
                enough = self.context.current().checked_add(GRACE);
            }
        }
    }

    /// Starts the ceremony if this node is one of its players.
    async fn begin<N>(&mut self, round: &mut Round, network: &mut MuxHandle<N>) -> Option<Ceremony>
    where
        N: Sender<PublicKey = PublicKey>,
    {
        let me = self.config.signer.public_key();
        round.players.index(&me)?;
        // The share of the ceremony before this one may still wait for its adoption.
        let oldest = Epoch::new(round.epoch.saturating_sub(1));
        self.config.secrets.prune(oldest).await;
        tracing::info!(
            epoch = round.epoch,
            players = round.players.len(),
            "generating a new group key with the other players"
        );
        let started = Ceremony::start(
            self.context.child("ceremony"),
            Setup {
                signer: self.config.signer.clone(),
                chain_id: self.config.chain_id,
                epoch: round.epoch,
                players: round.players.clone(),
                secrets: self.config.secrets.clone(),
                prefix: self.config.prefix.clone(),
            },
            network,
        )
        .await;
        match started {
            Ok(ceremony) => {
                round.phase = Phase::Dealing;
                Some(ceremony)
            }
            Err(error) => {
                tracing::error!(epoch = round.epoch, %error, "the key rotation cannot start here");
                round.phase = Phase::Failed;
                None
            }
        }
    }

    /// Endorses what the ceremony made, if this node holds its share of it.
    async fn end(&mut self, round: &mut Round, ending: Ending) {
        let epoch = round.epoch;
        round.phase = Phase::Failed;
        let output = match ending {
            Ending::Made(output) => *output,
            Ending::Failed => {
                tracing::warn!(epoch, "the key rotation failed: too few players dealt");
                return;
            }
            Ending::Stopped => {
                tracing::error!(epoch, "the key rotation's engine stopped before its end");
                return;
            }
        };
        if !self.holds_share(round, &output).await {
            tracing::error!(
                epoch,
                "a new group key was made, but this node holds no share of it"
            );
            return;
        }
        let testimony = Testimony {
            epoch,
            endorsement: proof::endorse(
                &self.config.signer,
                self.config.chain_id,
                epoch,
                proof::hash(&output),
            ),
            output,
        };
        let encoded = testimony.encode();
        match round.pool.add(testimony) {
            Ok(_) => {
                round.phase = Phase::Endorsed;
                round.own = Some(encoded.into());
                tracing::info!(epoch, "this node holds its share of the new group key");
            }
            Err(reason) => tracing::error!(epoch, %reason, "the ceremony made an unusable key"),
        }
    }

    async fn holds_share(&mut self, round: &Round, output: &Output) -> bool {
        let me = self.config.signer.public_key();
        let share = self.config.secrets.get_share(Epoch::new(round.epoch)).await;
        share.is_some_and(|share| adopt::fits(&share, &me, output.players(), output.public()))
    }

    /// Takes a peer's testimony; true when it said something new.
    fn hear(&self, round: &mut Round, (from, bytes): Message<PublicKey>) -> bool {
        // Before the costly decoding of points: each player is heard once, and only for itself.
        if round.players.index(&from).is_none() || round.pool.heard(&from) {
            return false;
        }
        let Ok(testimony) = Testimony::decode_cfg(bytes, &self.config.most) else {
            tracing::warn!(%from, "an unreadable message about a key rotation");
            return false;
        };
        if testimony.endorsement.player != from {
            return false;
        }
        round.pool.add(testimony).unwrap_or_else(|reason| {
            tracing::warn!(%from, %reason, "a player's word for a new group key is refused");
            false
        })
    }

    fn publish(&self, round: &Round) {
        let endorsements = round.pool.count();
        let before = self.state.borrow().handover.is_some();
        let handover = round.pool.handover().map(Arc::new);
        if handover.is_some() && !before {
            tracing::info!(
                epoch = round.epoch,
                endorsements,
                "a new group key is ready for the epoch's last block"
            );
        }
        let _ = self.gauges.epoch.try_set(round.epoch);
        let _ = self.gauges.endorsements.try_set(endorsements);
        self.gauges.phase.set(round.phase.number());
        self.state.send_replace(State {
            epoch: Some(round.epoch),
            phase: round.phase,
            endorsements,
            needed: proof::quorum(round.players.len()),
            handover,
        });
    }
}

async fn ending(ceremony: &mut Option<Ceremony>) -> Ending {
    match ceremony {
        Some(ceremony) => ceremony.ending().await,
        None => Ending::Stopped,
    }
}
