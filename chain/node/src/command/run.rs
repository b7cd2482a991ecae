//! `mileverse node run`: a node, from its files to its last signal.

use crate::{
    config::Config,
    error::Error,
    leftovers, memory, metrics,
    secrets::{self, Cost, Passphrase, Secrets, Setup, ValidatorKeys},
};
use alloy::transports::http::reqwest::Url;
use commonware_cryptography::bls12381::primitives::variant::MinSig;
use commonware_glue::stateful::db::DatabaseSet as _;
use commonware_p2p::Address;
use commonware_runtime::{Metrics as _, Runner as _, Supervisor as _, tokio as runtime};
use commonware_utils::ordered::Quorum as _;
use mileverse_consensus::watch;
use mileverse_consensus::{
    application::{self, Application, Parts, Tip},
    block::{self, PublicKey},
    bls,
    committee::{self, CommitteeError, First, MAX_PARTICIPANTS},
    duties::{self, Duties},
    engine::{
        self, Start,
        connections::{Connections, Registry},
        network,
        schemes::Schemes,
    },
    ethereum::Endpoint,
    index::{Index, IndexError},
    mempool::{Mempool, gossip, journal::Journal},
    rotation::{self, secrets::Shared},
    stages::{self, Stage},
    state::{self, Databases},
    sync::{Progress, visit},
};
use mileverse_execution::Executor;
use mileverse_primitives::{B256, certificate, genesis::Genesis};
use mileverse_rpc::{Admission, Filters, Reads, Waiting};
use std::{io::Write as _, net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Blocks of transactions waiting to be gossiped.
const GOSSIP_QUEUE: usize = 4096;
/// The journal of transactions that came in here, in the data directory.
const JOURNAL: &str = "transactions.journal";
/// Begins the names of the folders of blocks and state, below [`Config::storage`].
const PREFIX: &str = "chain";
/// Added to the idle block time before a silent leader loses its turn.
const LEADER_GRACE: Duration = Duration::from_millis(2000);

/// A node's files, read and checked before anything starts.
struct Ready {
    config: Config,
    genesis: Genesis,
    genesis_hash: B256,
    keys: ValidatorKeys,
    passphrase: Passphrase,
    cost: Cost,
    first: First,
    guests: Vec<(PublicKey, Address)>,
    group_key: mileverse_primitives::Bytes,
    index: Index,
    ethereum: Endpoint,
    hosts: Vec<Url>,
}

fn prepare(config: Config, passphrase: Passphrase) -> Result<Ready, Error> {
    let genesis = config.read_genesis()?;
    let genesis_hash = genesis.hash().map_err(|source| Error::Genesis {
        path: config.genesis.clone(),
        source,
    })?;
    let (keys, cost) = ValidatorKeys::read(&config.keys, &passphrase)?;
    let first = First::read(&genesis.committee)?;
    let sharing = first.output.public();
    let me = keys.public_key();
    let dealt = keys.share.as_ref().map(|share| share.public::<MinSig>());
    let expected = first
        .output
        .players()
        .index(&me)
        .and_then(|index| sharing.partial_public(index).ok());
    if dealt.is_some() && dealt != expected {
        return Err(Error::Keys {
            path: config.keys.clone(),
            message: "its share is of another committee".into(),
        });
    }
    let group_key = bls::public_key(sharing.public())
        .map_err(|error| CommitteeError::Output(error.to_string()))?;
    let guests = config
        .peers
        .iter()
        .map(|peer| {
            let key = committee::key(peer.public_key).map_err(|_| Error::Peer(peer.public_key))?;
            Ok((key, peer.address.into()))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let url = config
        .ethereum_rpc
        .parse()
        .map_err(|_| Error::EthereumUrl(config.ethereum_rpc.clone()))?;
    let ethereum = Endpoint::new(url, genesis.ethereum.chain_id);
    let hosts = config
        .introduce
        .iter()
        .enumerate()
        .map(|(position, host)| match host.parse() {
            Ok(url) if position < visit::MAX_HOSTS => Ok(url),
            _ => Err(Error::Introduce(host.clone())),
        })
        .collect::<Result<Vec<Url>, _>>()?;

    std::fs::create_dir_all(&config.data_dir).map_err(|source| Error::File {
        path: config.data_dir.clone(),
        source,
    })?;
    let path = config.data_dir.join("index.redb");
    let retention = config.history.retention();
    let index = Index::keeping(&path, genesis_hash, retention).map_err(|error| match error {
        IndexError::OtherGenesis(found) => Error::OtherGenesis {
            path: config.data_dir.clone(),
            found: found.to_string(),
            expected: genesis_hash.to_string(),
        },
        other => Error::Index {
            path,
            message: other.to_string(),
        },
    })?;
    // The network's listener reports a taken port only by panicking, so it is tried here first.
    std::net::TcpListener::bind(config.listen).map_err(|source| Error::Listen {
        address: config.listen,
        purpose: "other validators",
        source,
    })?;
    Ok(Ready {
        config,
        genesis,
        genesis_hash,
        keys,
        passphrase,
        cost,
        first,
        guests,
        group_key,
        index,
        ethereum,
        hosts,
    })
}

/// Runs a node until it is stopped. `start` says how it gets a state if it has none.
pub(super) fn run(config: Config, passphrase: Passphrase, start: Start) -> Result<(), Error> {
    let ready = prepare(config, passphrase)?;
    let storage = ready.config.storage();
    let runner = runtime::Runner::new(
        runtime::Config::new()
            .with_worker_threads(2)
            .with_storage_directory(storage)
            .with_tcp_nodelay(Some(true)),
    );
    runner.start(|context| serve(context, ready, start))
}

async fn serve(context: runtime::Context, ready: Ready, start: Start) -> Result<(), Error> {
    let Ready {
        config,
        genesis,
        genesis_hash,
        keys,
        passphrase,
        cost,
        first,
        guests,
        group_key,
        index,
        ethereum,
        hosts,
    } = ready;
    let me = keys.public_key();
    let executor = Executor::new(&genesis);
    let initial = Databases::<runtime::Context>::initial_sync_targets();
    let genesis_block = application::genesis_block(
        &genesis,
        &executor,
        &first,
        state::initial::<runtime::Context>(),
    )?;
    let newest = index
        .newest()
        .map_err(|error| Error::Stopped(error.to_string()))?;
    let fresh = newest.is_none();
    let newest = newest.unwrap_or_else(|| genesis_block.clone());
    let newest_state = block::digest(newest.header.state.operations_root);
    let (tip, tips) = watch::channel(Tip {
        digest: newest.header.digest(),
        header: newest.header,
    });
    let (fatal, mut failed) = mpsc::unbounded_channel();
    let secrets = Secrets::open(
        Setup {
            path: config.data_dir.join(secrets::FILE),
            identity: keys.consensus_key(),
            chain: genesis_hash,
            dealt: keys.share.clone(),
            cost,
        },
        &passphrase,
        fatal.clone(),
    )?;
    // Rotations must not write into the chain's own store.
    let rotation_secrets = Shared::new(Secrets::open(
        Setup {
            path: config.data_dir.join(rotation::SECRETS_FILE),
            identity: keys.consensus_key(),
            chain: genesis_hash,
            dealt: None,
            cost,
        },
        &passphrase,
        fatal.clone(),
    )?);
    drop(passphrase);
    let mempool = Mempool::new(genesis.gas_limit);
    let following = tokio::spawn(ethereum.clone().follow());

    let namespace = certificate::namespace(genesis.chain_id);
    let private = first
        .members
        .iter()
        .any(|(_, address)| !network::is_public(address));
    let joined = network::join(
        &context,
        network::Setup {
            identity: keys.identity.clone(),
            namespace: &namespace,
            listen: config.listen,
            seats: genesis.staking.seats,
            limits: genesis.limits(),
            private,
            guests,
        },
    );
    let (rotation, _) = rotation::actor::start(
        context.child("key_rotation"),
        rotation::Config {
            chain_id: genesis.chain_id,
            signer: keys.identity.clone(),
            secrets: rotation_secrets.clone(),
            prefix: leftovers::PREFIX.into(),
            most: MAX_PARTICIPANTS,
        },
        joined.rotation,
    );
    let duties = Duties::open(
        &context,
        duties::Setup {
            genesis: &genesis,
            genesis_hash,
            genesis_block: &genesis_block,
            identity: keys.identity.clone(),
            directory: &config.data_dir,
            index: &index,
        },
    )?;
    let progress = Progress::default();
    let mut address = config.rpc;
    let waiting = if fresh && start == Start::Sync {
        let waiting = Waiting {
            genesis: genesis.clone(),
            genesis_hash,
            group_key: group_key.clone(),
            validator: B256::from_slice(&me),
            progress: progress.clone(),
        };
        let (bound, server) =
            mileverse_rpc::serve_waiting(waiting, address, config.rpc_limits).await?;
        address = bound;
        tracing::info!(%address, "JSON-RPC tells how far the sync is");
        Some(server)
    } else {
        None
    };
    let visitor = visit::Visitor {
        identity: keys.identity.clone(),
        chain_id: genesis.chain_id,
        address: config.public_address.unwrap_or(config.listen),
    };
    let visiting = tokio::spawn(visit::run(visitor, hosts));
    let door = joined.peers.clone();
    let cache_mib = config
        .cache_mib
        .unwrap_or_else(|| memory::for_state(&config.storage(), PREFIX));
    let starting = Box::pin(engine::start(
        context.child("consensus"),
        engine::Config {
            identity: keys.identity,
            named: joined.peers.named(),
            peers: joined.peers,
            blocker: joined.blocker,
            prefix: PREFIX.into(),
            genesis: genesis.clone(),
            genesis_hash,
            genesis_block: genesis_block.clone(),
            application: Application::new(Parts {
                duties: duties.clone(),
                executor: executor.clone(),
                genesis: genesis.clone(),
                genesis_block: genesis_block.clone(),
                ethereum: ethereum.clone(),
                mempool: mempool.clone(),
                index: index.clone(),
                rotation: rotation.clone(),
                tip,
                fatal,
            }),
            duties: duties.clone(),
            ethereum,
            elections: executor.clone(),
            secrets,
            rotation_secrets,
            rotation: rotation.clone(),
            tip: tips.clone(),
            schemes: Schemes::new(&namespace, *first.output.public().public()),
            leader_timeout: Duration::from_millis(genesis.idle_block_time_ms) + LEADER_GRACE,
            cache_mib,
            start,
            progress: progress.clone(),
        },
        joined.channels,
    ));
    let mut network = joined.network;
    let starting = async {
        let running = starting.await.map_err(Error::Stopped)?;
        let committed = running.databases.committed_targets().await;
        if !fresh && committed.root != newest_state {
            // The index is written first, so a crash may leave the state one block behind it; that
            // block is applied again.
            let mut tips = tips.clone();
            let _ = tips.changed().await;
        }
        if fresh && committed != initial {
            // A fetched state belongs to a block that was not executed here; the next one is.
            let mut tips = tips.clone();
            let _ = tips.wait_for(|tip| tip.header.height > 0).await;
        }
        Ok::<_, Error>(running)
    };
    // A new node may look for peers for long.
    let running = tokio::select! {
        running = starting => running?,
        signal = stop_signal() => return signal,
        reason = failed.recv() => return Err(Error::Stopped(reason.unwrap_or_else(|| "the application ended".into()))),
        ended = &mut network => return Err(Error::Stopped(format!("the network ended: {ended:?}"))),
    };
    if let Some(waiting) = waiting {
        let _ = waiting.stop();
        waiting.stopped().await;
    }

    let reads = Reads::new(executor, running.databases, index.clone(), tips.clone());
    let registry: Registry = {
        let context = context.child("metrics");
        Arc::new(move || context.encode())
    };
    let connections = Connections::new(registry.clone());
    let instruments = metrics::Instruments::default();
    let observer = metrics::Observer::new(
        genesis_hash,
        B256::from_slice(&me),
        metrics::now_ms(),
        instruments.clone(),
    );
    let course = gossip::Course::new(duties.committees(), tips.clone(), genesis.epoch_blocks);
    let sweeping = tokio::spawn(leftovers::run(
        config.storage(),
        genesis.epoch_blocks,
        tips.clone(),
    ));
    let watching = tokio::spawn(metrics::watch::run(
        index.clone(),
        tips,
        observer.clone(),
        metrics::watch::committees(
            index.clone(),
            genesis_block.clone(),
            genesis.epoch_blocks,
            reads.clone(),
        ),
        reads.clone(),
    ));
    let metering = match config.metrics {
        Some(address) => {
            let sources = metrics::Sources {
                instruments,
                observer,
                registry,
                connections: connections.clone(),
                mempool: mempool.clone(),
                idle: Duration::from_millis(genesis.idle_block_time_ms),
            };
            Some(metrics::serve(sources, address).await?)
        }
        None => None,
    };

    let path = config.data_dir.join(JOURNAL);
    let (journal, waited) = Journal::open(&path).map_err(|source| Error::File { path, source })?;
    let (gossip, outgoing) = mpsc::channel(GOSSIP_QUEUE);
    let admission = Admission {
        reads: reads.clone(),
        mempool,
        chain_id: genesis.chain_id,
        gossip,
        journal,
    };
    admission.resume(waited).await;
    let (pool, from_peers) = (admission.mempool.clone(), admission.clone());
    let waiting = move |hashes: &[B256]| {
        let found = pool.still_waiting(hashes).into_iter();
        found.map(|(hash, raw)| (hash, raw.0)).collect()
    };
    let gossiping = gossip::run(joined.gossip, outgoing, course, waiting, move |raw| {
        let admission = from_peers.clone();
        async move {
            if let Err(refusal) = admission.admit(&raw).await {
                tracing::debug!(
                    reason = refusal.message(),
                    "a gossiped transaction was not taken"
                );
            }
        }
    });
    let gossiping = tokio::spawn(stages::during(Stage::Receive, gossiping));
    let (address, server) = mileverse_rpc::serve(
        mileverse_rpc::Context {
            reads,
            admission,
            index,
            connections,
            marshal: running.marshal,
            evidence: duties.evidence,
            validator: B256::from_slice(&me),
            genesis,
            genesis_hash,
            genesis_block,
            group_key,
            rotation,
            door,
            progress,
            filters: Filters::default(),
        },
        address,
        config.rpc_limits,
    )
    .await?;
    announce(address, metering.as_ref().map(|(address, _)| *address))?;

    let stopped = tokio::select! {
        signal = stop_signal() => signal,
        reason = failed.recv() => Err(Error::Stopped(reason.unwrap_or_else(|| "the application ended".into()))),
        ended = running.engine => Err(Error::Stopped(format!("consensus ended: {ended:?}"))),
        ended = network => Err(Error::Stopped(format!("the network ended: {ended:?}"))),
    };
    let _ = server.stop();
    gossiping.abort();
    following.abort();
    visiting.abort();
    watching.abort();
    sweeping.abort();
    if let Some((_, metering)) = metering {
        metering.abort();
    }
    stopped
}

/// The one line on standard output that says where JSON-RPC is, and metrics if they are served.
fn announce(address: SocketAddr, metrics: Option<SocketAddr>) -> Result<(), Error> {
    let mut line = serde_json::json!({ "ready": true, "url": format!("http://{address}") });
    if let Some(address) = metrics {
        line["metrics"] = format!("http://{address}").into();
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|source| Error::Stopped(format!("standard output: {source}")))
}

async fn stop_signal() -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |source| Error::Stopped(format!("signals: {source}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
