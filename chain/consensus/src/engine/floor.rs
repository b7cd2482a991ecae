//! Where a node starts: from genesis, from what it has, or from a state that its peers have.
//!
//! A new node may skip the past. It asks the delegates that it knows of for their newest final
//! block, believes `f + 1` of them, takes the highest, and makes that block its *floor*: marshal
//! delivers blocks from there on, and the state is fetched (`crate::sync`) instead of computed.
//!
//! What is believed, and whom:
//!
//! - **Validity**: nobody. Each answer carries a certificate, and resharing keeps the group key, so
//!   the key that the genesis file fixes verifies the certificate of any epoch. A floor is a block
//!   that this chain finalized, however old the genesis file is. No checkpoint needs to be trusted.
//!   A chain that rotated its key (`crate::rotation`) certifies later blocks under another; a new
//!   node then has to replay, block by block, from the key it knows to the key it learns.
//! - **Recency**: one of `f + 1` answering delegates. Without an honest one among them the floor may
//!   be old; the node then catches up from there like one that was switched off meanwhile.
//!
//! The epoch's participants come with the block that opened the epoch, whose digest a certificate
//! covers too. Floor and participants are durable before anything starts, so a sync that is
//! interrupted goes on after a restart. A sync is done once; later starts go on from what is there.

use super::{Channel, MAILBOX, schemes::Schemes};
use crate::{
    application::Scheme,
    block::{Block, Digest, Directory, EpochInfo, PublicKey},
    committee::{MAX_PARTICIPANTS, SHARING_MODES},
    sync::{Phase, Progress},
};
use commonware_consensus::marshal::standard::Standard;
use commonware_cryptography::bls12381::primitives::variant::MinSig;
use commonware_glue::{
    dkg::{
        network::Manager,
        probe,
        state_sync::{self, StateSync},
    },
    stateful::SyncPlan,
};
use commonware_p2p::{Blocker, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Handle, Metrics, Spawner};
use commonware_storage::Context as StorageContext;
use commonware_utils::NZDuration;
use rand::CryptoRng;
use std::{num::NonZeroU64, time::Duration};

/// How long delegates may take to answer before they are asked again.
const RETRY: Duration = Duration::from_secs(1);

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
/// Serves floors to others.
pub(super) type Probe = probe::Mailbox<Scheme, Standard<Block>>;

/// What finding a floor needs.
pub(super) struct Config<'a, M, B> {
    pub(super) start: Start,
    pub(super) prefix: &'a str,
    pub(super) peers: M,
    pub(super) blocker: B,
    /// Verify certificates; told which epochs the genesis key still signs.
    pub(super) schemes: &'a Schemes,
    /// Who takes part in epoch 0: they are asked.
    pub(super) first: EpochInfo,
    pub(super) epoch_blocks: NonZeroU64,
    pub(super) progress: &'a Progress,
}

/// Where the node starts.
pub(super) struct Found<E: StorageContext> {
    pub(super) plan: SyncPlan<E, Scheme, Standard<Block>>,
    pub(super) epochs: EpochPlan,
    pub(super) probe: Probe,
    pub(super) handle: Handle<()>,
}

/// Decides where to start. Waits for peers if they must be asked.
///
/// # Errors
///
/// A sentence, when the search ends without an answer.
pub(super) async fn find<E, M, B, S, R>(
    context: E,
    config: Config<'_, M, B>,
    channel: Channel<S, R>,
) -> Result<Found<E>, String>
where
    E: CryptoRng + Spawner + Metrics + Clock + StorageContext,
    M: Manager<PublicKey = PublicKey, Directory = Directory>,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let verifier = config
        .schemes
        .genesis()
        .ok_or_else(|| "the genesis key is not known".to_owned())?;
    let mut plan = SyncPlan::init(context.child("plan"), config.prefix).await;
    let (actor, probe) =
        probe::Actor::<E, M, Scheme, Standard<Block>, Sequential, B>::new(probe::Config {
            context: context.child("probe"),
            manager: config.peers,
            bootstrap: probe::Bootstrap {
                epoch: config.first.epoch,
                participants: config.first.participants(),
                directory: config.first.directory.clone(),
            },
            floor: plan.floor().cloned(),
            verifier,
            genesis: config.first,
            strategy: Sequential,
            blocker: config.blocker,
            blocks_per_epoch: config.epoch_blocks,
            retry_timeout: NZDuration!(RETRY),
            mailbox_size: MAILBOX,
            block_codec_config: (),
        });
    let handle = actor.start(channel);

    let mut found = None;
    if plan.should_sync(config.start == Start::Sync) {
        config.progress.enter(Phase::Discovering);
        tracing::info!("asking the delegates for a final block to start from");
        let artifact = probe
            .subscribe()
            .await
            .map_err(|_| "the search for a final block to start from ended".to_owned())?;
        tracing::info!(
            epoch = %artifact.info.epoch,
            view = %artifact.floor.proposal.round.view(),
            "starting from a final block that delegates told of"
        );
        // Floor and opening block are certified under the genesis key, so no other came before.
        config.schemes.learn([], artifact.info.epoch.get());
        plan = plan.set_floor(artifact.floor.clone()).await;
        // A floor of an earlier start may be the later one; it is of the same epoch then, since
        // the search looks for none below.
        found = Some(StateSync {
            info: artifact.info,
            floor: plan.floor().cloned().unwrap_or(artifact.floor),
        });
        config.progress.enter(Phase::Syncing);
    }
    let epochs = EpochPlan::init(
        context.child("epoch_plan"),
        state_sync::Config {
            partition_prefix: config.prefix.to_owned(),
            max_participants: MAX_PARTICIPANTS,
            max_supported_mode: SHARING_MODES,
        },
        found,
    )
    .await;
    Ok(Found {
        plan,
        epochs,
        probe,
        handle,
    })
}
