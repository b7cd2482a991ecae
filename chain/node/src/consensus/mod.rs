//! Simplex consensus with threshold certificates, over commonware.
//!
//! ```txt
//!  votes, certificates, resolver ─> simplex ─> witness ─> deferred ─> stateful ─> application
//!              backfill, broadcast ─> marshal ───────────────┘
//! ```
//!
//! Leaders take turns in a fixed rotation ([`RoundRobin`]) that nobody can change. One epoch: the
//! genesis committee stays. Generic over the runtime and the network, so that the same wiring runs
//! over TCP and in a seeded simulation. The engine's crates are ALPHA; nothing outside this folder
//! and `application` knows them.

pub mod network;
pub mod witness;

use self::witness::Witness;
use crate::{
    application::{Application, Scheme},
    block::{Block, Digest, PublicKey},
    ethereum::EthereumView,
    state::{self, Databases, Replay},
};
use commonware_broadcast::buffered;
use commonware_consensus::{
    marshal::{
        self,
        core::{Actor as MarshalActor, Mailbox as MarshalMailbox},
        resolver::p2p as marshal_resolver,
        standard::{Deferred, Standard},
    },
    simplex::{
        self,
        config::{ForwardPolicy, SkipPolicy},
        elector::RoundRobin,
    },
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{Digested, Digestible as _, Sha256, certificate::ConstantProvider};
use commonware_glue::stateful::{
    Config as StatefulConfig, PruneConfig, Stateful, SyncPlan, db::SyncEngineConfig,
};
use commonware_p2p::{Blocker, Provider, Receiver, Sender, max_message_size};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Handle, Metrics, Spawner, buffer::paged::CacheRef};
use commonware_storage::{Context as StorageContext, archive::immutable};
use commonware_utils::{NZDuration, NZU16, NZU64, NZUsize};
use rand::CryptoRng;
use std::{
    num::{NonZeroU16, NonZeroU64, NonZeroUsize},
    time::Duration,
};

/// Everything that finalized blocks can be asked of.
pub type Marshal = MarshalMailbox<Scheme, Standard<Block>>;

/// The committee of epoch 0 stays until elections replace it.
const EPOCH_LENGTH: NonZeroU64 = NZU64!(u64::MAX);
const MAILBOX: NonZeroUsize = NZUsize!(1024);
const BUFFER: NonZeroUsize = NZUsize!(64 * 1024);
const PAGE_SIZE: NonZeroU16 = NZU16!(4096);
const CACHED_PAGES: NonZeroUsize = NZUsize!(8192);
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
const FETCH_RETRY: Duration = Duration::from_millis(200);

/// One network channel.
pub type Channel<S, R> = (S, R);

/// The channels that consensus speaks on.
pub struct Channels<S, R> {
    /// Votes.
    pub votes: Channel<S, R>,
    /// Certificates.
    pub certificates: Channel<S, R>,
    /// Missing certificates.
    pub resolver: Channel<S, R>,
    /// Missing blocks.
    pub backfill: Channel<S, R>,
    /// New blocks.
    pub broadcast: Channel<S, R>,
}

/// What one validator's engine is made of.
pub struct Config<V, P, B> {
    /// This validator.
    pub public_key: PublicKey,
    /// Its signing scheme.
    pub scheme: Scheme,
    /// Who the peers are.
    pub peers: P,
    /// Blocks a peer that misbehaves.
    pub blocker: B,
    /// Names its partitions on disk.
    pub prefix: String,
    /// Block 0.
    pub genesis: Block,
    /// What is agreed on.
    pub application: Application<V>,
    /// This validator's own Ethereum.
    pub ethereum: V,
    /// A leader that is silent for so long loses its turn.
    pub leader_timeout: Duration,
}

/// A running engine.
pub struct Running<E: StorageContext + Spawner + Clock> {
    /// Finalized blocks and certificates.
    pub marshal: Marshal,
    /// The state.
    pub databases: Databases<E>,
    /// Ends when the engine does.
    pub engine: Handle<()>,
}

/// Largest message that any of the parts sends, for a committee of `participants`.
pub fn largest_message(participants: u32) -> u32 {
    max_message_size(&[
        simplex::max_payload_size::<Scheme, Digest>(participants),
        marshal::max_payload_size::<Standard<Block>, Scheme>(participants, &()),
        crate::mempool::gossip::MAX_MESSAGE_BYTES,
    ])
}

fn archive(prefix: &str, name: &str, cache: CacheRef) -> immutable::Config<()> {
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
        codec_config: (),
    }
}

/// Starts a validator's engine and returns once its state is open.
///
/// # Errors
///
/// A sentence, when an archive on disk cannot be opened.
pub async fn start<E, V, P, B, S, R>(
    context: E,
    config: Config<V, P, B>,
    channels: Channels<S, R>,
) -> Result<Running<E>, String>
where
    E: CryptoRng + Spawner + Metrics + Clock + StorageContext,
    V: EthereumView,
    P: Provider<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let Config {
        public_key,
        scheme,
        peers,
        blocker,
        prefix,
        genesis,
        application,
        ethereum,
        leader_timeout,
    } = config;
    let cache = CacheRef::new(PAGE_SIZE, CACHED_PAGES);
    let epocher = FixedEpocher::new(EPOCH_LENGTH);
    let provider = ConstantProvider::new(scheme.clone());

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
            deque_size: 16,
            priority: true,
            codec_config: (),
            peer_provider: peers,
            strategy: Sequential,
        },
    );
    broadcast.start(channels.broadcast);

    let finalizations = immutable::Archive::init(
        context.child("finalizations"),
        archive(&prefix, "finalizations", cache.clone()),
    )
    .await
    .map_err(|error| format!("the archive of certificates cannot be opened: {error}"))?;
    let blocks = immutable::Archive::init(
        context.child("blocks"),
        archive(&prefix, "blocks", cache.clone()),
    )
    .await
    .map_err(|error| format!("the archive of blocks cannot be opened: {error}"))?;

    let plan = SyncPlan::init(context.child("plan"), prefix.clone()).await;

    let (marshal_actor, marshal, floor) = MarshalActor::<_, Standard<Block>, _, _, _, _, _>::init(
        context.child("marshal"),
        finalizations,
        blocks,
        marshal::Config {
            provider,
            epocher: epocher.clone(),
            start: plan.marshal_start(Digested::precomputed(genesis.clone(), genesis.digest())),
            partition_prefix: prefix.clone(),
            mailbox_size: MAILBOX,
            view_retention: ViewDelta::new(256),
            prunable_items_per_section: NZU64!(4096),
            page_cache: cache.clone(),
            replay_buffer: BUFFER,
            key_write_buffer: BUFFER,
            value_write_buffer: BUFFER,
            block_codec_config: (),
            max_repair: NZUsize!(32),
            max_pending_acks: NZUsize!(4),
            strategy: Sequential,
        },
    )
    .await;

    let (stateful, stateful_mailbox) = Stateful::new(
        context.child("stateful"),
        StatefulConfig {
            application,
            db_config: state::config(&prefix, cache.clone()),
            provider: (),
            marshal: (marshal.clone(), floor),
            mailbox_size: MAILBOX,
            plan,
            resolvers: Replay::default(),
            sync_config: SyncEngineConfig {
                fetch_batch_size: NZU64!(64),
                apply_batch_size: NZU64!(64),
                max_outstanding_requests: NZUsize!(8),
            },
            prune_config: Some(PruneConfig {
                maintenance_interval: NZUsize!(256),
                retained_marshal_blocks: 1 << 20,
                retained_qmdb_blocks: 256,
            }),
            strategy: Sequential,
        },
    );
    let deferred = Deferred::new(
        context.child("deferred"),
        stateful_mailbox.clone(),
        marshal.clone(),
        epocher,
    );
    let witness = Witness::new(context.child("votes"), ethereum, marshal.clone(), deferred);
    marshal_actor.start(stateful_mailbox.clone(), buffer, resolver);
    stateful.start();
    let databases = stateful_mailbox.subscribe_databases().await;

    let engine = simplex::Engine::new(
        context.child("simplex"),
        simplex::Config {
            scheme,
            elector: RoundRobin::<Sha256>::default(),
            blocker,
            automaton: witness.clone(),
            relay: witness.clone(),
            reporter: witness,
            strategy: Sequential,
            partition: format!("{prefix}-simplex"),
            mailbox_size: MAILBOX,
            epoch: Epoch::zero(),
            floor: simplex::config::Floor::Genesis(genesis.digest()),
            replay_buffer: BUFFER,
            write_buffer: BUFFER,
            page_cache: cache,
            leader_timeout,
            certification_timeout: leader_timeout.saturating_mul(2),
            timeout_retry: Duration::from_millis(1000),
            view_retention: ViewDelta::new(256),
            skip: SkipPolicy::Enabled {
                timeout: leader_timeout.saturating_mul(4),
                budget: simplex::SkipBudget::Participants,
            },
            fetch_timeout: NZDuration!(FETCH_TIMEOUT),
            fetch_retry_delay: FETCH_RETRY,
            forward: ForwardPolicy::Disabled,
            track_historical_votes: false,
        },
    )
    .start(channels.votes, channels.certificates, channels.resolver);

    Ok(Running {
        marshal,
        databases,
        engine,
    })
}
