//! `mileverse relayer run` and `mileverse relayer status`.

use crate::{
    Error,
    chain::{
        EthereumChain as _, Ledger as _, NativeChain as _, ethereum::Ethereum, native::Native,
    },
    clock::{Clock, back_off_ms},
    config::Config,
    status,
    store::{Direction, Network, Store},
    transaction::{Limits, Sender},
    worker::{self, Delivery, ToEthereum, ToNative},
};
use alloy::signers::local::PrivateKeySigner;
use clap::{Args, Subcommand};
use mileverse_wallet::keystore;
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

const GWEI: u128 = 1_000_000_000;

/// Carries packets between the native chain and Ethereum.
#[derive(Args, Debug)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs until it is told to stop.
    Run {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Says what a relayer has done and what it waits for; a running one is not disturbed.
    Status {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the verb.
pub fn run(command: Command) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    runtime.block_on(async {
        match command.verb {
            Verb::Run { config } => relay(&Config::read(&config)?).await,
            Verb::Status { config, json } => status::show(&Config::read(&config)?, json).await,
        }
    })
}

async fn relay(config: &Config) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Start)?;
    let native_key = open(&config.native.keystore, &config.native.password_file)?;
    let ethereum_key = open(&config.ethereum.keystore, &config.ethereum.password_file)?;
    let chains = (
        Native::new(&config.native.rpc)?,
        Ethereum::new(&config.ethereum.rpc, config.ethereum.bridge)?,
    );
    let store = Store::open(&config.database).await?;
    tracing::info!(
        native = %native_key.address(), ethereum = %ethereum_key.address(),
        database = %config.database.display(), "relayer starts"
    );
    writeln!(std::io::stdout(), "{{\"ready\":true}}").map_err(Error::Output)?;

    let ended = tokio::select! {
        error = work(config, &chains, native_key, ethereum_key, &store) => Err(error),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    // Whatever was cut off stands in the database or on a chain.
    store.close().await;
    tracing::info!("relayer stops");
    ended
}

/// Both workers, for ever; returns only what waiting cannot cure.
async fn work(
    config: &Config,
    (native, ethereum): &(Native, Ethereum),
    native_key: PrivateKeySigner,
    ethereum_key: PrivateKeySigner,
    store: &Store,
) -> Error {
    let clock = Clock::system();
    let poll = Duration::from_millis(config.poll_interval_ms);
    let network = match identify(config, native, ethereum, store, &clock).await {
        Ok(network) => network,
        Err(error) => return error,
    };
    let rebroadcast = Duration::from_secs(10);
    let to_ethereum = Sender::new(
        store.clone(),
        Direction::ToEthereum,
        ethereum_key,
        network.ethereum_chain,
        Limits {
            max_gas: config.ethereum.max_gas,
            max_fee: u128::from(config.ethereum.max_fee_gwei).saturating_mul(GWEI),
            rebroadcast,
            replace: Duration::from_secs(config.ethereum.replace_after_s),
        },
        clock.clone(),
    );
    let to_native = Sender::new(
        store.clone(),
        Direction::ToNative,
        native_key,
        network.native_chain,
        Limits {
            max_gas: config.native.max_gas,
            max_fee: 0,
            rebroadcast: Duration::from_secs(2),
            replace: Duration::MAX,
        },
        clock.clone(),
    );
    let mut to_ethereum = ToEthereum::new(
        native.clone(),
        ethereum.clone(),
        Delivery::new(
            store.clone(),
            to_ethereum,
            Direction::ToEthereum,
            config.ethereum.batch,
            clock.clone(),
        ),
        network.native_chain,
        network.ethereum_chain,
    );
    let mut to_native = ToNative::new(
        native.clone(),
        ethereum.clone(),
        Delivery::new(
            store.clone(),
            to_native,
            Direction::ToNative,
            config.native.batch,
            clock.clone(),
        ),
        (network.native_chain, network.ethereum_chain),
        config.ethereum.start_block,
        config.ethereum.log_range,
    );
    tokio::select! {
        error = worker::run(&mut to_ethereum, store, &clock, poll) => error,
        error = worker::run(&mut to_native, store, &clock, poll) => error,
    }
}

/// Makes sure that both endpoints and the database belong together; waits while one is down.
async fn identify(
    config: &Config,
    native: &Native,
    ethereum: &Ethereum,
    store: &Store,
    clock: &Clock,
) -> Result<Network, Error> {
    let mut failures = 0;
    loop {
        match network(config, native, ethereum).await {
            Ok(network) => {
                store.bind(&network).await?;
                return Ok(network);
            }
            Err(error) if error.passes() => {
                tracing::warn!(%error, "waiting for both chains");
                for direction in Direction::ALL {
                    store
                        .note_error(direction, clock.now_ms(), &error.to_string())
                        .await?;
                }
                let wait = back_off_ms(failures, config.poll_interval_ms, 10_000, clock.now_ms());
                failures = failures.saturating_add(1);
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn network(config: &Config, native: &Native, ethereum: &Ethereum) -> Result<Network, Error> {
    let facts = native.facts().await?;
    let bridge = config.ethereum.bridge;
    if facts.ethereum.bridge != bridge {
        return Err(Error::bridge(bridge, facts.ethereum.bridge));
    }
    let signed_for = native.ledger().chain_id().await?;
    if signed_for != facts.chain_id {
        return Err(Error::Mismatch(format!(
            "the native node calls its chain {} and {signed_for}",
            facts.chain_id
        )));
    }
    let ethereum_chain = ethereum.ledger().chain_id().await?;
    if ethereum_chain != facts.ethereum.chain_id {
        return Err(Error::Mismatch(format!(
            "the Ethereum node is of chain {ethereum_chain}, the bridge ends on chain {}",
            facts.ethereum.chain_id
        )));
    }
    let peer = ethereum.peer_chain_id(bridge).await?;
    if peer != facts.chain_id {
        return Err(Error::Mismatch(format!(
            "the bridge at {bridge} belongs to native chain {peer}, the native node is of chain {}",
            facts.chain_id
        )));
    }
    Ok(Network {
        native_chain: facts.chain_id,
        native_genesis: facts.genesis_hash,
        ethereum_chain,
        ethereum_bridge: bridge,
    })
}

fn open(keystore: &Path, password: &Path) -> Result<PrivateKeySigner, Error> {
    let password = keystore::password(Some(password))?;
    Ok(keystore::open(keystore, &password)?)
}
