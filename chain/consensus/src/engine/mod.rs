//! Consensus of a living committee, over commonware: simplex with threshold certificates, epochs,
//! and the resharing of the group key from each committee to the next.
//!
//! ```txt
//!   votes, certificates, resolver ─> orchestrator ─> simplex of this epoch
//!                                        │               │
//!                                        │            witness ─> deferred ─> ceremony's rules ─> stateful ─> application
//!                                        │               │                        │
//!   ceremony ────────────────────────> reshare actor <───┼────────────────────────┘
//!                                        │ schemes       │
//!   backfill, broadcast ─> marshal ──────┴── final blocks┘
//! ```
//!
//! | file | idea |
//! |---|---|
//! | `schemes` | what each epoch's certificates are signed and verified with |
//! | `turns` | the fixed order of turns |
//! | `connections` | how many peers are connected |
//! | `participants` | who takes part in coming ceremonies, read from final state |
//! | `witness` | what a node must see with its own eyes before it votes |
//! | `peers` | which peers each epoch has |
//! | `floor` | where a node starts: genesis, what it has, or a state that its peers have |
//! | `network` | the TCP network |
//! | `limits` | how large messages can be |
//! | `sweep` | deletes what past epochs' engines left on disk |
//! | `memory` | a store of ceremonies' secrets for simulations |
//!
//! An epoch has `epochBlocks` blocks. In its first half its delegates deal shares of their shares to
//! the players; in the second half each delegate puts its log of that into a block that it leads;
//! the last block carries the outcome, and with it the committee of the next epoch. A ceremony that
//! fails leaves the committee as it is. A node that holds no share follows: it verifies, executes
//! and serves, and signs once it was elected and took part in a ceremony.
//!
//! Generic over the runtime and the network, so that the same wiring runs over TCP and in a seeded
//! simulation. The engine's crates are ALPHA; nothing outside this folder, `application` and
//! `block` knows them.

pub mod connections;
pub mod floor;
pub mod limits;
pub mod memory;
pub mod network;
pub mod participants;
pub mod peers;
pub mod schemes;
pub mod sweep;
pub mod turns;
pub mod witness;

use self::{
    participants::{Elections, Participants},
    schemes::Schemes,
    turns::TurnOrder,
    witness::Witness,
};
use crate::watch;
use crate::{
    application::{Application, Scheme, Tip},
    attestation,
    block::{Block, Directory, PublicKey},
    bls,
    committee::MAX_PARTICIPANTS,
    duties::Duties,
    equivocation,
    ethereum::EthereumView,
    pages,
    rotation::{Rotation, adopt::Adopting, application::Rotating, driver, secrets::Shared},
    state::{self, Databases},
    sync::{self, Phase, Progress},
};
use commonware_broadcast::buffered;
use commonware_consensus::{
    Reporters,
    marshal::{
        self, Identifier,
        core::{Actor as MarshalActor, Mailbox as MarshalMailbox},
        resolver::p2p as marshal_resolver,
        standard::{Deferred, Standard},
    },
    simplex::{
        self,
        config::{ForwardPolicy, SkipPolicy},
    },
    types::{FixedEpocher, ViewDelta},
};
use commonware_cryptography::{
    Digested, Digestible as _, Signer as _,
    bls12381::{dkg::feldman_desmedt::Reveal, primitives::sharing::Mode},
    ed25519,
};
use commonware_glue::{
    dkg::{SecretStore, fence::Fence, network::Manager, orchestrator, reshare},
    stateful::{Config as StatefulConfig, PruneConfig, Stateful},
};
use commonware_p2p::{Blocker, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::{
    Clock, Handle, Metrics, Network as RuntimeNetwork, Spawner, buffer::paged::CacheRef,
};
use commonware_storage::{Context as StorageContext, archive::immutable};
use commonware_utils::{NZDuration, NZU64, NZUsize, ordered::Set};
use futures::future::{Either, select};
use mileverse_primitives::{B256, genesis::Genesis};
use rand::CryptoRng;
use std::{
    future::Future,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    pin::pin,
    time::Duration,
};

pub use floor::Start;
pub use limits::largest_message;

/// Everything that finalized blocks can be asked of.
pub type Marshal = MarshalMailbox<Scheme, Standard<Block>>;

/// Separates the ceremonies' transcripts from those of other users of the same library.
const CEREMONY_NAMESPACE: &[u8] = b"mileverse/ceremony";
const MAILBOX: NonZeroUsize = NZUsize!(1024);
const BUFFER: NonZeroUsize = NZUsize!(64 * 1024);
/// Newest blocks of each validator that are held in memory. A block is needed there for the few views in which
/// it is voted on: marshal writes it down before it certifies it, and whoever misses one asks for it. Of 99
/// validators with the largest blocks, four each are 2.5 GB.
const BLOCKS_OF_ONE: usize = 4;
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
const FETCH_RETRY: Duration = Duration::from_millis(200);
/// How often a node that syncs says how far it is.
const REPORT: Duration = Duration::from_secs(1);
/// Blocks that marshal keeps behind the newest. A restart reads the block that opened its epoch, so
/// at least an epoch of them must be there.
const RETAINED_BLOCKS: usize = 1 << 20;
const RETAINED_EPOCHS: u64 = 4;

/// One network channel.
pub type Channel<S, R> = (S, R);

/// The channels that consensus speaks on. Their numbers are part of the protocol.
pub struct Channels<S, R> {
    /// 0: votes.
    pub votes: Channel<S, R>,
    /// 1: certificates.
    pub certificates: Channel<S, R>,
    /// 2: missing certificates.
    pub resolver: Channel<S, R>,
    /// 3: missing blocks.
    pub backfill: Channel<S, R>,
    /// 4: new blocks.
    pub broadcast: Channel<S, R>,
    /// 6: the ceremony.
    pub ceremony: Channel<S, R>,
    /// 7: attestations.
    pub attestations: Channel<S, R>,
    /// 8: signed headers.
    pub headers: Channel<S, R>,
    /// 9: the state, for nodes that sync.
    pub sync: Channel<S, R>,
    /// 10: final blocks for them to start from.
    pub floor: Channel<S, R>,
}

/// What one node's engine is made of.
pub struct Config<V, M, B, L, K> {
    /// This node's own key.
    pub identity: ed25519::PrivateKey,
    /// Activates each epoch's peers.
    pub peers: M,
    /// Peers that the operator named. A node that looks for a state calls them too.
    pub named: Set<PublicKey>,
    /// Blocks a peer that misbehaves.
    pub blocker: B,
    /// Names its partitions on disk.
    pub prefix: String,
    /// The network's beginning.
    pub genesis: Genesis,
    /// Its hash.
    pub genesis_hash: B256,
    /// Block 0.
    pub genesis_block: Block,
    /// What is agreed on.
    pub application: Application<V>,
    /// What this node answers for with its own key; the application's own.
    pub duties: Duties,
    /// This node's own Ethereum.
    pub ethereum: V,
    /// Who is elected.
    pub elections: L,
    /// Where ceremonies' secrets are kept; a member of the first committee has its dealt share there.
    pub secrets: K,
    /// Where rotations keep theirs: another store.
    pub rotation_secrets: Shared<K>,
    /// New group keys, as this node makes them with others.
    pub rotation: Rotation,
    /// The newest final block; moves with every other.
    pub tip: watch::Receiver<Tip>,
    /// What each epoch's certificates are signed and verified with.
    pub schemes: Schemes,
    /// A leader that is silent for so long loses its turn.
    pub leader_timeout: Duration,
    /// Memory for pages of the disk, MiB.
    pub cache_mib: NonZeroU32,
    /// How this node gets a state if it has none.
    pub start: Start,
    /// Told how far it is with that.
    pub progress: Progress,
}

/// A running engine.
pub struct Running<E: StorageContext + Spawner + Clock> {
    /// Finalized blocks and certificates.
    pub marshal: Marshal,
    /// The state.
    pub databases: Databases<E>,
    /// Ends when any part of the engine does; aborting it stops all of them.
    pub engine: Handle<()>,
}

fn archive<C>(prefix: &str, name: &str, cache: CacheRef, codec: C) -> immutable::Config<C> {
    immutable::Config {
        metadata_partition: format!("{prefix}-{name}-metadata"),
        freezer_table_partition: format!("{prefix}-{name}-table"),
        freezer_table_initial_size: 1 << 14,
        freezer_table_resize_frequency: 4,
        freezer_table_resize_chunk_size: 1 << 14,
        freezer_key_partition: format!("{prefix}-{name}-key"),
        freezer_key_page_cache: cache,
        freezer_value_partition: format!("{prefix}-{name}-value"),
        freezer_value_target_size: 1 << 28,
        freezer_value_compression: None,
        ordinal_partition: format!("{prefix}-{name}-ordinal"),
        items_per_section: NZU64!(65_536),
        freezer_key_write_buffer: BUFFER,
        freezer_value_write_buffer: BUFFER,
        ordinal_write_buffer: BUFFER,
        replay_buffer: BUFFER,
        codec_config: codec,
    }
}

/// Tells `schemes` every group key that there was, from final state.
async fn learn_keys<E: StorageContext + Spawner, L: Elections>(
    schemes: &Schemes,
    elections: &L,
    databases: &Databases<E>,
    tip: &watch::Receiver<Tip>,
    epoch_blocks: u64,
) {
    loop {
        let next = tip.borrow().header.height.saturating_add(1);
        match driver::rotations(elections, databases).await {
            Ok(state) => {
                let keys = state.keys.iter().filter_map(|new| {
                    let key = bls::read_group_key(&new.key).ok()?;
                    Some((new.first_epoch, key))
                });
                schemes.learn(keys, next / epoch_blocks.max(1));
                return;
            }
            // Only a state that moved meanwhile refuses.
            Err(error) => tracing::debug!(%error, "the history of group keys is read again"),
        }
    }
}

/// Starts a node's engine and returns once its state is open.
///
/// # Errors
///
/// A sentence, when an archive on disk cannot be opened.
pub async fn start<E, V, M, B, L, K, S, R>(
    context: E,
    config: Config<V, M, B, L, K>,
    channels: Channels<S, R>,
) -> Result<Running<E>, String>
where
    E: CryptoRng + Spawner + Metrics + Clock + StorageContext + RuntimeNetwork,
    V: EthereumView,
    M: Manager<PublicKey = PublicKey, Directory = Directory> + Sync,
    B: Blocker<PublicKey = PublicKey>,
    L: Elections,
    K: SecretStore,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let Config {
        identity,
        peers,
        named,
        blocker,
        prefix,
        genesis,
        genesis_hash,
        genesis_block,
        application,
        duties,
        ethereum,
        elections,
        secrets,
        rotation_secrets,
        rotation,
        tip,
        schemes,
        leader_timeout,
        cache_mib,
        start,
        progress,
    } = config;
    let secrets = Shared::new(secrets);
    let limits = genesis.limits();
    let public_key = identity.public_key();
    let cache = pages::cache(cache_mib);
    let epoch_blocks = NonZeroU64::new(genesis.epoch_blocks)
        .ok_or_else(|| "the genesis file has epochs without blocks".to_owned())?;
    let epocher = FixedEpocher::new(epoch_blocks);

    let resolver = marshal_resolver::init(
        context.child("marshal_resolver"),
        marshal_resolver::Config {
            public_key: public_key.clone(),
            peer_provider: peers.clone(),
            blocker: blocker.clone(),
            mailbox_size: MAILBOX,
            fetch_timeout: NZDuration!(FETCH_TIMEOUT),
            fetch_retry_delay: FETCH_RETRY,
            priority_requests: false,
            priority_responses: false,
        },
        channels.backfill,
    );
    let (broadcast, buffer) = buffered::Engine::new(
        context.child("broadcast"),
        buffered::Config {
            public_key: public_key.clone(),
            mailbox_size: MAILBOX,
            deque_size: BLOCKS_OF_ONE,
            priority: true,
            codec_config: limits,
            peer_provider: peers.clone(),
            strategy: Sequential,
        },
    );
    let broadcast = broadcast.start(channels.broadcast);
    let attestations = attestation::Actor::new(
        context.child("attestations"),
        attestation::Config {
            pool: duties.pool.clone(),
            blocker: blocker.clone(),
        },
    )
    .start(channels.attestations);
    let headers = equivocation::Actor::new(
        context.child("headers"),
        duties.watch.clone(),
        blocker.clone(),
    )
    .start(channels.headers);

    let finalizations = immutable::Archive::init(
        context.child("finalizations"),
        archive(&prefix, "finalizations", cache.clone(), ()),
    )
    .await
    .map_err(|error| format!("the archive of certificates cannot be opened: {error}"))?;
    let blocks = immutable::Archive::init(
        context.child("blocks"),
        archive(&prefix, "blocks", cache.clone(), limits),
    )
    .await
    .map_err(|error| format!("the archive of blocks cannot be opened: {error}"))?;

    let first = genesis_block
        .opens()
        .cloned()
        .ok_or_else(|| "the genesis block names no committee".to_owned())?;
    let floor::Found {
        plan,
        epochs: epoch_plan,
        attach,
        handle: serving,
    } = floor::find(
        context.child("floor"),
        floor::Config {
            start,
            prefix: &prefix,
            peers: peers.clone(),
            blocker: blocker.clone(),
            schemes: &schemes,
            first,
            named,
            epoch_blocks,
            tip: tip.clone(),
            progress: &progress,
        },
        channels.floor,
    )
    .await?;
    let (syncing, resolver_of_state) = sync::Actor::new(
        context.child("state_sync"),
        sync::Config {
            me: public_key.clone(),
            peers: peers.clone(),
            blocker: blocker.clone(),
            progress: progress.clone(),
        },
    );
    let syncing = syncing.start(channels.sync);

    let (marshal_actor, marshal, floor) = MarshalActor::<_, Standard<Block>, _, _, _, _, _>::init(
        context.child("marshal"),
        finalizations,
        blocks,
        marshal::Config {
            provider: schemes.clone(),
            epocher: epocher.clone(),
            start: plan.marshal_start(Digested::precomputed(
                genesis_block.clone(),
                genesis_block.digest(),
            )),
            partition_prefix: prefix.clone(),
            mailbox_size: MAILBOX,
            view_retention: ViewDelta::new(256),
            prunable_items_per_section: NZU64!(4096),
            page_cache: cache.clone(),
            replay_buffer: BUFFER,
            key_write_buffer: BUFFER,
            value_write_buffer: BUFFER,
            block_codec_config: limits,
            max_repair: NZUsize!(32),
            max_pending_acks: NZUsize!(4),
            strategy: Sequential,
        },
    )
    .await;

    let retained = usize::try_from(genesis.epoch_blocks.saturating_mul(RETAINED_EPOCHS))
        .unwrap_or(usize::MAX)
        .max(RETAINED_BLOCKS);
    let (stateful, stateful_mailbox) = Stateful::new(
        context.child("stateful"),
        StatefulConfig {
            application,
            db_config: state::config(&prefix, cache.clone()),
            provider: (),
            marshal: (marshal.clone(), floor),
            mailbox_size: MAILBOX,
            plan,
            resolvers: resolver_of_state,
            sync_config: sync::ENGINE,
            prune_config: Some(PruneConfig {
                maintenance_interval: NZUsize!(256),
                retained_marshal_blocks: retained,
                retained_qmdb_blocks: 256,
            }),
            strategy: Sequential,
        },
    );

    // The orchestrator enters an epoch only after the reshare actor has registered its scheme.
    let (fence, gate) = Fence::new();
    let (open, opened) = watch::channel(None);
    let (reshare_actor, reshare_mailbox) = reshare::Actor::new(
        context.child("reshare"),
        reshare::Config {
            signer: identity,
            manager: peers.clone(),
            blocker: blocker.clone(),
            participants_provider: Participants::new(elections.clone(), opened, tip.clone()),
            secret_store: secrets.clone(),
            strategy: Sequential,
            registrar: Adopting::new(schemes.clone(), secrets, rotation_secrets),
            marshal: marshal.clone(),
            state_sync: epoch_plan.clone(),
            fence,
            namespace: CEREMONY_NAMESPACE,
            sharing_mode: Mode::NonZeroCounter,
            reveal: Reveal::V1,
            mailbox_size: MAILBOX,
            partition_prefix: format!("{prefix}-ceremony"),
            page_cache: cache.clone(),
            write_buffer: BUFFER,
            replay_buffer: BUFFER,
            max_participants: MAX_PARTICIPANTS,
            blocks_per_epoch: epoch_blocks,
        },
    );
    let deferred = Deferred::new(
        context.child("deferred"),
        Rotating::new(
            genesis.chain_id,
            stateful_mailbox.clone(),
            reshare_mailbox.clone(),
            epoch_blocks,
        ),
        marshal.clone(),
        epocher,
    );
    let witness = Witness::new(
        context.child("votes"),
        genesis.chain_id,
        duties.clone(),
        ethereum,
        marshal.clone(),
        deferred,
    );
    let engines = format!("{prefix}-epochs");
    let (orchestrator_actor, orchestrator_mailbox) = orchestrator::Actor::new(
        context.child("orchestrator"),
        orchestrator::Config {
            oracle: blocker,
            manager: peers,
            provider: schemes.clone(),
            marshal: marshal.clone(),
            application: witness,
            strategy: Sequential,
            simplex: orchestrator::SimplexConfig {
                elector: TurnOrder::new(genesis_hash),
                mailbox_size: MAILBOX,
                replay_buffer: BUFFER,
                write_buffer: BUFFER,
                page_cache: cache,
                leader_timeout,
                certification_timeout: leader_timeout.saturating_mul(2),
                timeout_retry: Duration::from_millis(1000),
                fetch_timeout: NZDuration!(FETCH_TIMEOUT),
                fetch_retry_delay: FETCH_RETRY,
                view_retention: ViewDelta::new(256),
                skip: SkipPolicy::Enabled {
                    timeout: leader_timeout.saturating_mul(4),
                    budget: simplex::SkipBudget::Participants,
                },
                track_historical_votes: false,
                forward: ForwardPolicy::Disabled,
            },
            gate,
            state_sync: epoch_plan,
            blocks_per_epoch: epoch_blocks,
            mailbox_size: MAILBOX,
            partition_prefix: engines.clone(),
        },
    );

    let reshare = reshare_actor.start(channels.ceremony);
    let orchestrator =
        orchestrator_actor.start(channels.votes, channels.certificates, channels.resolver);
    let reporters = Reporters::from((
        stateful_mailbox.clone(),
        Reporters::from((orchestrator_mailbox, reshare_mailbox)),
    ));
    let marshal_handle = marshal_actor.start(reporters, buffer, resolver);
    let stateful = stateful.start();
    context.child("sweep").spawn({
        let tip = tip.clone();
        move |storage| sweep::run(storage, engines, genesis.epoch_blocks, tip)
    });
    // Without its receiver the service has ended, and the engine does too.
    let _ = attach.send(marshal.clone());
    let databases = report_until(
        &context,
        &marshal,
        &progress,
        stateful_mailbox.subscribe_databases(),
    )
    .await;
    progress.enter(Phase::Following);
    open.send_replace(Some(databases.clone()));
    learn_keys(&schemes, &elections, &databases, &tip, genesis.epoch_blocks).await;
    context.child("rotation").spawn({
        let (databases, marshal) = (databases.clone(), marshal.clone());
        move |_| {
            driver::drive(
                rotation,
                elections,
                databases,
                marshal,
                tip,
                genesis.epoch_blocks,
            )
        }
    });

    // All parts are children of this context, so they end with it.
    let engine = context.spawn(move |_| async move {
        // As long as this task lives the provider of participants can read the state.
        let _open = open;
        let parts = [
            broadcast,
            attestations,
            headers,
            marshal_handle,
            stateful,
            reshare,
            orchestrator,
            syncing,
            serving,
        ];
        if let Err(error) = Handle::select(parts).await {
            tracing::error!(%error, "a part of consensus ended");
        }
    });
    Ok(Running {
        marshal,
        databases,
        engine,
    })
}

/// Waits for the state and tells meanwhile how far it is.
async fn report_until<T>(
    clock: &impl Clock,
    marshal: &Marshal,
    progress: &Progress,
    state: impl Future<Output = T>,
) -> T {
    let mut state = pin!(state);
    loop {
        match select(&mut state, pin!(clock.sleep(REPORT))).await {
            Either::Left((state, _)) => return state,
            Either::Right(_) => {}
        }
        let shown = progress.now();
        if shown.phase != Phase::Syncing {
            continue;
        }
        if let Some((height, _)) = marshal.get_info(Identifier::Latest).await {
            progress.aim(height.get());
        }
        tracing::info!(
            target_height = shown.target_height,
            operations = shown.operations,
            of = shown.of,
            "fetching the state"
        );
    }
}
