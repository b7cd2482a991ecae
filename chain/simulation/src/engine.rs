//! Starts the node's own engine on simulated parts.
//!
//! The one place where the engine is put together with the simulated network, disk and clock, so
//! that its code is generated once for everybody who simulates.

use crate::{
    deaf::Deaf, disk::SlowDisk, ethereum::Endpoint, rota::Rota, scenario::Disk, voice::Voice,
};
use commonware_cryptography::{Signer as _, ed25519};
use commonware_p2p::{
    Address,
    simulated::{Oracle, Receiver},
};
use commonware_runtime::{Handle, Supervisor as _, deterministic};
use mileverse_consensus::watch;
use mileverse_consensus::{
    application::{Application, Parts, Tip},
    block::{Block, PublicKey},
    committee::MAX_PARTICIPANTS,
    duties::Duties,
    engine::{
        self, Channels, Marshal, floor::Start, memory::MemorySecrets, peers::Peers,
        schemes::Schemes,
    },
    index::Index,
    mempool::Mempool,
    rotation::{self, secrets::Shared},
    sync::Progress,
};
use mileverse_execution::Executor;
use mileverse_primitives::{B256, genesis::Genesis};
use std::{collections::VecDeque, future::Future, num::NonZeroU32, pin::Pin, time::Duration};
use tokio::sync::mpsc;

/// The channels that an engine speaks on, in the order in which it takes them.
pub const CHANNELS: [u64; 11] = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, rotation::CHANNEL];

/// Many nodes share one machine's memory, and its disks are in memory too.
const CACHE_MIB: NonZeroU32 = NonZeroU32::MIN;

/// One channel.
pub type Line = (Voice, Deaf<Receiver<PublicKey>>);

/// What an engine is made of.
pub struct Launch {
    /// Everything of the engine runs below it.
    pub context: deterministic::Context,
    /// Its disk.
    pub disk: Disk,
    /// One for each of [`CHANNELS`].
    pub lines: VecDeque<Line>,
    /// The network.
    pub oracle: Oracle<PublicKey, deterministic::Context>,
    /// Peers beside those of the epoch.
    pub guests: Vec<(PublicKey, Address)>,
    /// Its key.
    pub identity: ed25519::PrivateKey,
    /// Names its partitions on the disk.
    pub prefix: String,
    /// The net's beginning.
    pub genesis: Genesis,
    /// Its hash.
    pub genesis_hash: B256,
    /// Block 0.
    pub genesis_block: Block,
    /// State transitions.
    pub executor: Executor,
    /// Its Ethereum.
    pub ethereum: Endpoint,
    /// Who sits when.
    pub elections: Rota,
    /// Secrets of resharing.
    pub secrets: MemorySecrets,
    /// Secrets of rotations.
    pub rotation_secrets: MemorySecrets,
    /// Whether it takes part in rotations.
    pub rotates: bool,
    /// What it answers for with its own key.
    pub duties: Duties,
    /// What waits.
    pub mempool: Mempool,
    /// Its final blocks.
    pub index: Index,
    /// Moved with every final block.
    pub tip: watch::Sender<Tip>,
    /// What it signs and verifies with.
    pub schemes: Schemes,
    /// Told when it cannot go on.
    pub fatal: mpsc::UnboundedSender<String>,
    /// A leader that is silent for so long loses its turn.
    pub leader_timeout: Duration,
    /// Whether it replays the chain or syncs its state.
    pub start: Start,
    /// How far it has come with that.
    pub progress: Progress,
}

/// A running engine.
pub struct Launched {
    /// Final blocks and certificates.
    pub marshal: Marshal,
    /// Ends when any part of the engine does.
    pub engine: Handle<()>,
}

/// Starts an engine; what comes back ends as soon as its state is open.
pub fn launch(launch: Launch) -> Pin<Box<dyn Future<Output = Result<Launched, String>> + Send>> {
    Box::pin(start(launch))
}

async fn start(launch: Launch) -> Result<Launched, String> {
    let Launch {
        context,
        disk,
        mut lines,
        oracle,
        guests,
        identity,
        prefix,
        genesis,
        genesis_hash,
        genesis_block,
        executor,
        ethereum,
        elections,
        secrets,
        rotation_secrets,
        rotates,
        duties,
        mempool,
        index,
        tip,
        schemes,
        fatal,
        leader_timeout,
        start,
        progress,
    } = launch;
    let context = SlowDisk::new(context, disk);
    let mut line = || {
        lines
            .pop_front()
            .ok_or_else(|| "a channel is missing".to_owned())
    };
    let channels = Channels {
        votes: line()?,
        certificates: line()?,
        resolver: line()?,
        backfill: line()?,
        broadcast: line()?,
        ceremony: line()?,
        attestations: line()?,
        headers: line()?,
        sync: line()?,
        floor: line()?,
    };
    let rotation_secrets = Shared::new(rotation_secrets);
    // Who does not deal and endorses nothing still hears what others endorse.
    let dealer = if rotates {
        identity.clone()
    } else {
        ed25519::PrivateKey::from_seed(u64::MAX)
    };
    let (rotation, _) = rotation::actor::start(
        context.child("rotation"),
        rotation::Config {
            chain_id: genesis.chain_id,
            signer: dealer,
            secrets: rotation_secrets.clone(),
            prefix: format!("{prefix}-rotation"),
            most: MAX_PARTICIPANTS,
        },
        line()?,
    );
    let peers = Peers::new(oracle.socket_manager(), guests);
    let running = engine::start(
        context.child("engine"),
        engine::Config {
            named: peers.named(),
            peers,
            blocker: oracle.control(identity.public_key()),
            identity,
            prefix,
            genesis: genesis.clone(),
            genesis_hash,
            genesis_block: genesis_block.clone(),
            tip: tip.subscribe(),
            application: Application::new(Parts {
                duties: duties.clone(),
                executor,
                genesis,
                genesis_block,
                ethereum: ethereum.clone(),
                mempool,
                index,
                rotation: rotation.clone(),
                tip,
                fatal,
            }),
            duties,
            ethereum,
            elections,
            secrets,
            rotation_secrets,
            rotation,
            schemes,
            leader_timeout,
            cache_mib: CACHE_MIB,
            start,
            progress,
        },
        channels,
    );
    let running = Box::pin(running).await?;
    Ok(Launched {
        marshal: running.marshal,
        engine: running.engine,
    })
}
