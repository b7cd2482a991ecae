//! Where a node starts: from genesis, from what it has, or from a state that its peers have.
//!
//! A new node may skip the past. It asks everybody it reaches for their newest final block, learns
//! which group keys there were since genesis, takes the highest block whose certificate holds, and
//! makes that block its *floor*: marshal delivers blocks from there on, and the state is fetched
//! (`crate::sync`) instead of computed.
//!
//! ```txt
//! new node                                          its peers
//!    | ── what is your newest final block? ───────────> |
//!    | <── certificate of epoch 57; keys of 12, 40 ──── |    keys are proven in order:
//!    | ── what opened epoch 12? ──────────────────────> |
//!    | <── opening of 12 ────────────────────────────── |    certified under the key of epoch 11,
//!    | ── what opened epoch 40? ──────────────────────> |    which is the genesis key
//!    | <── opening of 40 ────────────────────────────── |    under the key of 12
//!    |         the certificate of epoch 57 is verified under the key of 40
//!    | ── what opened epoch 57? ──────────────────────> |
//!    | <── opening of 57 ────────────────────────────── |    who takes part in epoch 57; they are
//!    |         asked too, until f + 1 of them, or of the first committee, have answered
//! ```
//!
//! | file | idea |
//! |---|---|
//! | `wire` | messages |
//! | `opening` | the proof of who takes part in an epoch, under which key |
//! | `search` | what is believed of what peers tell |
//! | `discovery` | asks them until that is enough |
//! | `history` | the openings of all epochs that began with a new key, on disk |
//! | `service` | answers others |
//!
//! # What is believed, and whom
//!
//! - **Validity**: nobody. The genesis file fixes the first group key, resharing keeps it, and each
//!   rotation (`crate::rotation`) hands over to the next in a block that is certified under the one
//!   before. A floor is a block that this chain finalized, however old the genesis file is, as long
//!   as no quorum of a key's holders was corrupted while that key was the newest or after.
//! - **Recency**: one of `f + 1` members of the first committee, or of the committee of the highest
//!   block that anybody proved. With an honest one who is up to date among them the floor is no
//!   older than its newest block. Otherwise it may be old; the node then catches up from there like
//!   one that was switched off meanwhile. An old committee cannot take the node elsewhere, only
//!   leave it behind.
//!
//! Who answers late, not at all, or with an old block is not blocked; who is proven to lie is.
//!
//! Openings of new keys are durable before the floor is, floor and participants are durable before
//! anything starts. A sync that is interrupted searches again after a restart, with the keys it has
//! proven and for no floor of an earlier epoch than the one it had. A sync is done once; later
//! starts go on from what is there.
//!
//! # Wire
//!
//! Channel 10. Epochs are LEB128 varints.
//!
//! ```txt
//! ask latest    0x00 ‖ epoch                      names keys that began after it
//! ask opening   0x01 ‖ epoch
//! latest        0x02 ‖ finalization ‖ varint(n) ‖ n epochs, ascending
//! opening       0x03 ‖ finalization ‖ varint(length) ‖ header ‖ system section
//!
//! finalization  varint(epoch) ‖ varint(view) ‖ varint(parent view) ‖ digest (32) ‖ certificate (48)
//! ```
//!
//! # Limits
//!
//! [`MAX_KEYS`](wire::MAX_KEYS) epochs in an answer; who needs more asks again. One claim per peer,
//! of at most 1,024 peers; one claim of a peer is judged a second, one opening for each question. A
//! message is at most [`max_payload_size`]. A server reads at most one block and one certificate for
//! a question.

mod discovery;
mod history;
mod opening;
mod search;
mod service;
#[cfg(test)]
mod tests;
mod wire;

use self::{
    discovery::Circle, history::History, opening::Opening, search::Search, service::Service,
};
use super::{Channel, Marshal, schemes::Schemes};
use crate::watch;
use crate::{
    application::{Scheme, Tip},
    block::{Block, Digest, Directory, EpochInfo, PublicKey},
    committee::{MAX_PARTICIPANTS, SHARING_MODES},
    sync::{Phase, Progress},
};
use commonware_consensus::{marshal::standard::Standard, simplex::types};
use commonware_cryptography::bls12381::primitives::variant::MinSig;
use commonware_glue::{
    dkg::{
        network::Manager,
        state_sync::{self, StateSync},
    },
    stateful::SyncPlan,
};
use commonware_p2p::{Blocker, Receiver, Sender};
use commonware_runtime::{Clock, Handle, Metrics, Spawner};
use commonware_storage::Context as StorageContext;
use commonware_utils::{channel::oneshot, ordered::Set};
use rand::CryptoRng;
use std::{collections::VecDeque, num::NonZeroU64};

pub(super) use self::wire::max_payload_size;

type Finalization = types::Finalization<Scheme, Digest>;

/// The epoch of a certificate.
const fn epoch(finalization: &Finalization) -> u64 {
    finalization.proposal.round.epoch().get()
}

/// How a node without a state gets one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Start {
    /// It executes every block since genesis.
    #[default]
    Replay,
    /// It fetches a recent state from its peers.
    Sync,
}

/// Participants of the floor's epoch, for the parts that need them before the next begins.
pub(super) type EpochPlan = state_sync::Plan<Scheme, Digest, MinSig, Directory>;

/// A final block to start from, with all that proves it.
#[derive(Clone, Debug)]
struct Floor {
    finalization: Finalization,
    /// Who takes part in its epoch.
    info: EpochInfo,
    /// The openings of new group keys up to that epoch that this search proved, ascending.
    keys: Vec<Opening>,
}

/// What finding a floor needs.
pub(super) struct Config<'a, M, B> {
    pub(super) start: Start,
    pub(super) prefix: &'a str,
    pub(super) peers: M,
    pub(super) blocker: B,
    /// Verify certificates; told of the keys that are proven here.
    pub(super) schemes: &'a Schemes,
    /// Who takes part in epoch 0: they are asked.
    pub(super) first: EpochInfo,
    /// Whom the operator named: they are called and asked too.
    pub(super) named: Set<PublicKey>,
    pub(super) epoch_blocks: NonZeroU64,
    pub(super) tip: watch::Receiver<Tip>,
    pub(super) progress: &'a Progress,
}

/// Where the node starts.
pub(super) struct Found<E: StorageContext> {
    pub(super) plan: SyncPlan<E, Scheme, Standard<Block>>,
    pub(super) epochs: EpochPlan,
    /// Takes marshal, for others to be answered.
    pub(super) attach: oneshot::Sender<Marshal>,
    pub(super) handle: Handle<()>,
}

/// Decides where to start. Waits for peers if they must be asked.
///
/// # Errors
///
/// A sentence, when the search ends without an answer or the disk fails.
pub(super) async fn find<E, M, B, S, R>(
    mut context: E,
    config: Config<'_, M, B>,
    (mut sender, mut receiver): Channel<S, R>,
) -> Result<Found<E>, String>
where
    E: CryptoRng + Spawner + Metrics + Clock + StorageContext,
    M: Manager<PublicKey = PublicKey, Directory = Directory>,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let Config {
        start,
        prefix,
        peers,
        blocker,
        schemes,
        first,
        named,
        epoch_blocks,
        tip,
        progress,
    } = config;
    let mut plan = SyncPlan::init(context.child("plan"), prefix).await;
    let disk = context.child("history");
    let mut history = History::open(disk, &mut context, prefix, schemes, epoch_blocks).await?;

    let mut found = None;
    if plan.should_sync(start == Start::Sync) {
        progress.enter(Phase::Discovering);
        tracing::info!("asking peers for a final block to start from");
        let minimum = plan.floor().map(epoch).unwrap_or_default();
        let search = Search::new(schemes.clone(), first.clone(), minimum, epoch_blocks);
        let circle = Circle {
            peers,
            blocker: blocker.clone(),
            first: &first,
            named: &named,
        };
        let floor =
            discovery::run(&mut context, circle, search, &mut sender, &mut receiver).await?;
        tracing::info!(
            epoch = epoch(&floor.finalization),
            view = %floor.finalization.proposal.round.view(),
            new_keys = floor.keys.len(),
            "starting from a final block that peers told of"
        );
        let keys: Vec<_> = floor
            .keys
            .iter()
            .filter_map(|opening| Some((opening.epoch()?, opening.key()?)))
            .collect();
        history = history.keep(floor.keys).await?;
        schemes.learn(keys, epoch(&floor.finalization));
        plan = plan.set_floor(floor.finalization.clone()).await;
        // A floor of an earlier start may be the later one; it is of the same epoch then, since
        // the search looks for none below.
        found = Some(StateSync {
            info: floor.info,
            floor: plan.floor().cloned().unwrap_or(floor.finalization),
        });
        progress.enter(Phase::Syncing);
    }
    let epochs = EpochPlan::init(
        context.child("epoch_plan"),
        state_sync::Config {
            partition_prefix: prefix.to_owned(),
            max_participants: MAX_PARTICIPANTS,
            max_supported_mode: SHARING_MODES,
        },
        found,
    )
    .await;
    let (attach, attached) = oneshot::channel();
    let service = Service {
        schemes: schemes.clone(),
        history,
        blocker,
        epoch_blocks,
        tip,
        attached,
        kept: VecDeque::new(),
    };
    let handle = context
        .child("service")
        .spawn(move |_| service.run((sender, receiver)));
    Ok(Found {
        plan,
        epochs,
        attach,
        handle,
    })
}
