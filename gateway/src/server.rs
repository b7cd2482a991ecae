//! The gateway put together: started, and stopped by its handle.

use crate::api::{self, App};
use crate::clock::now_ms;
use crate::config::{Config, FloatConfig};
use crate::conversion::machine::Parts;
use crate::conversion::programme::Programme;
use crate::conversion::{Machine, hint, worker};
use crate::float::ethereum::Ethereum;
use crate::float::pool::{self, Pool};
use crate::float::top_up::Seller;
use crate::issuer::chain::{Chain, ChainError, Identity};
use crate::issuer::signer::{Issuer, SignerError};
use crate::keys::Keys;
use crate::listen::{Listening, TlsError};
use crate::page_index::PageIndex;
use crate::rewards::{Rewards, RewardsSetup};
use crate::secrets::Secrets;
use crate::store::jobs::Lane;
use crate::store::{OpenError, PURPOSE, Purpose, Store};
use crate::vault::{Vault, VaultError};
use crate::webhook::deliver::Sender;
use mileverse_adapters::airline::SetupError;
use mileverse_primitives::address::POINTS;
use mileverse_trace::Tracer;
use secrecy::ExposeSecret;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{self, JoinHandle};
use tokio::time::{self, Instant};
use url::Url;

/// How long the start waits for the chain.
const CHAIN_PATIENCE: Duration = Duration::from_secs(10);
/// How long a stop waits for what is going on. Whatever it leaves is resumed from its row.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// How long a stop waits for the collector of traces, when all else is done.
const FLUSH_PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(20);

/// Why the gateway did not start, or stopped badly.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address.
    #[error("the gateway cannot listen on {address} ({source}); set \"listen\" to a free address")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The key.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// A partner.
    #[error(transparent)]
    Partner(#[from] SetupError),
    /// The chain.
    #[error(
        "the native chain at {url} cannot be used ({source}); check \"chain.rpc_url\" and that the node runs"
    )]
    Chain {
        /// Where.
        url: String,
        /// Why.
        source: ChainError,
    },
    /// No key.
    #[error("there is no issuer's key; set \"chain.issuer_keystore\"")]
    NoIssuer,
    /// The keys for personal data.
    #[error("personal data cannot be sealed: {0}")]
    Vault(#[from] VaultError),
    /// Quarterly rewards.
    #[error(transparent)]
    Rewards(#[from] RewardsSetup),
    /// Traces.
    #[error(transparent)]
    Traces(#[from] mileverse_trace::SetupError),
    /// HTTPS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client for webhooks.
    #[error("webhooks cannot be set up: {0}")]
    Webhooks(reqwest::Error),
    /// The server itself.
    #[error("the gateway stopped: {0}")]
    Serve(io::Error),
}

/// A running gateway.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    machine: Arc<Machine>,
    stop: watch::Sender<bool>,
    http: Listening,
    lanes: [JoinHandle<()>; 2],
    beat: JoinHandle<()>,
    calendar: JoinHandle<()>,
    listening: JoinHandle<()>,
    index: JoinHandle<()>,
    prices: Option<JoinHandle<()>>,
}

impl Server {
    /// Opens everything, binds the database to the chain, resumes what was left, and listens.
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        let listen = |source| ServerError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let store = Store::open(&config.database, Purpose::Serve).await?;
        let keys = config.chain.issuers.clone();
        let issuers = task::spawn_blocking(move || {
            keys.iter()
                .map(|key| Issuer::open(&key.keystore, &key.password))
                .collect::<Result<Vec<_>, _>>()
        })
        .await
        .map_err(|error| ServerError::Serve(io::Error::other(error)))??;
        let first = issuers.first().ok_or(ServerError::NoIssuer)?;
        let secrets = master(&config, first);
        let vault = vault(&config, first)?;
        let sender = Sender::new(config.webhooks, &secrets).map_err(ServerError::Webhooks)?;
        let seller = config.float.map(seller).transpose()?;
        let rewards = match config.rewards {
            Some(config) => Some(
                task::spawn_blocking(move || Rewards::open(config))
                    .await
                    .map_err(|error| ServerError::Serve(io::Error::other(error)))??,
            ),
            None => None,
        };
        let programmes = config
            .programmes
            .into_iter()
            .map(Programme::new)
            .collect::<Result<Vec<_>, _>>()?;
        let url = config.chain.rpc_url;
        let chain = Chain::new(url.clone()).map_err(|source| ServerError::Chain {
            url: url.to_string(),
            source,
        })?;
        let identity = identify(&chain, &url).await?;
        store
            .bind(&[
                ("chain id", identity.chain_id.to_string()),
                ("genesis", identity.genesis),
                ("points module", POINTS.to_string()),
            ])
            .await?;
        if let Some(rewards) = &rewards {
            // Nonces and finished slots mean nothing on another network.
            store
                .bind(&[("ethereum of rewards", rewards.chain_id().to_string())])
                .await?;
        }
        let chain_id = identity.chain_id;
        let purpose = if config.sandbox {
            "sandbox"
        } else {
            "production"
        };
        store.bind(&[(PURPOSE, purpose.to_owned())]).await?;
        let run = crate::ids::run();
        let tracer = match &config.telemetry {
            Some(telemetry) => Tracer::start(telemetry, env!("CARGO_PKG_VERSION"), &run)?,
            None => Tracer::default(),
        };
        let has_wallets = store
            .keeps_wallets()
            .await
            .map_err(|source| OpenError::Database {
                location: store.location().to_string(),
                source,
            })?;
        let machine = Arc::new(Machine::new(Parts {
            run,
            tracer,
            store,
            chain,
            chain_id,
            issuers,
            batches: config.chain.batches,
            programmes,
            retry: config.retry,
            seller,
            sender,
            vault,
            reconciliation: config.reconciliation,
            rewards,
            custody: config.custody,
            has_wallets,
            replica_timeout: config.replica_timeout,
        }));
        machine.announce().await?;
        if let Some(witness) = config.witness {
            machine.store.watch(witness);
        }
        let (stop, stopped) = watch::channel(false);
        let settings = mileverse_app::Settings {
            native: mileverse_app::Network {
                rpc: url,
                public_rpc: config.app.native_public_rpc,
                explorer: config.app.native_explorer,
            },
            ethereum: config.app.ethereum,
        };
        let shelf = Arc::new(PageIndex(Arc::clone(&machine)));
        let (page, index) = mileverse_app::indexed(settings, shelf);
        let app = api::router(App {
            machine: Arc::clone(&machine),
            keys: Keys::new(config.api_keys, &secrets),
            quote_lifetime: config.quote_lifetime,
            conversion_wait: config.conversion_wait,
            sandbox: config.sandbox,
        })
        .merge(page);
        let calendar = tokio::spawn(worker::calendar(Arc::clone(&machine), stopped.clone()));
        let listening = tokio::spawn(hint::keep_listening(Arc::clone(&machine), stopped.clone()));
        let index = tokio::spawn(index.run());
        let beat = tokio::spawn(worker::beat(Arc::clone(&machine), stopped.clone()));
        let prices = machine.seller.as_ref().and_then(|seller| {
            let (pool, rules) = (seller.pool.clone()?, seller.rules);
            let (machine, stopped) = (Arc::clone(&machine), stopped.clone());
            Some(tokio::spawn(async move {
                pool::keep_history(&pool, &machine.store, rules, stopped).await;
            }))
        });
        let lanes = [Lane::Money, Lane::Webhooks]
            .map(|lane| tokio::spawn(worker::run(Arc::clone(&machine), lane, stopped.clone())));
        let http = Listening::start(listener, config.tls, app).await?;
        Ok(Self {
            address,
            machine,
            stop,
            http,
            lanes,
            beat,
            calendar,
            listening,
            index,
            prices,
        })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("{}://{}", self.http.scheme, self.address)
    }

    /// What moves conversions, for who embeds the gateway.
    pub fn machine(&self) -> Arc<Machine> {
        Arc::clone(&self.machine)
    }

    /// Stops: no new requests, what is going on is finished or left to its row.
    pub async fn stop(self) -> Result<(), ServerError> {
        self.stop.send_replace(true);
        self.http.stop();
        let until = Instant::now() + STOP_PATIENCE;
        let served = self.http.ended(until).await;
        for mut lane in self.lanes {
            if time::timeout_at(until, &mut lane).await.is_err() {
                lane.abort();
            }
        }
        while !self.machine.is_quiet() && Instant::now() < until {
            time::sleep(LOOK).await;
        }
        // Each holds the database until it is gone.
        let others = [self.beat, self.calendar, self.listening, self.index];
        for other in others.into_iter().chain(self.prices) {
            other.abort();
            let _ = time::timeout_at(until.max(Instant::now() + LOOK), other).await;
        }
        // What is left is free for others at once, not only when this run is taken for dead.
        let run = &self.machine.run;
        if let Err(error) = self.machine.store.forget_replicas(run, 0).await {
            tracing::warn!(%error, "this replica could not say that it ends");
        }
        self.machine.store.close().await;
        self.machine.tracer.finish(FLUSH_PATIENCE).await;
        served.map_err(ServerError::Serve)
    }
}

/// What other secrets follow from: the master key, or the first issuer's.
pub fn master(config: &Config, issuer: &Issuer) -> Secrets {
    match &config.master_key {
        Some(key) => Secrets::new(key.expose_secret().as_bytes()),
        None => issuer.secrets(),
    }
}

/// What seals personal data. Without a list of earlier master keys, what was sealed before there
/// was one opens too.
pub fn vault(config: &Config, issuer: &Issuer) -> Result<Vault, ServerError> {
    let previous = config
        .previous_master_keys
        .iter()
        .map(|key| Secrets::new(key.expose_secret().as_bytes()))
        .chain([issuer.secrets()])
        .collect::<Vec<_>>();
    Ok(Vault::new(&master(config, issuer), &previous)?)
}

/// Sets up the sale of points; nothing is asked of Ethereum yet.
pub fn seller(config: FloatConfig) -> Result<Seller, ServerError> {
    let node = |url: Url| {
        Chain::new(url.clone()).map_err(|source| ServerError::Chain {
            url: url.to_string(),
            source,
        })
    };
    let pool = config.pool.map(node).transpose()?;
    Ok(Seller {
        pool: pool.map(|node| Pool { node }),
        ethereum: Ethereum {
            node: node(config.ethereum_rpc_url)?,
            chain_id: config.ethereum_chain_id,
            pay_to: config.pay_to,
        },
        rules: config.rules,
        patience_ms: i64::try_from(config.payment.as_millis()).unwrap_or(i64::MAX),
    })
}

impl Machine {
    /// Says that this run is alive, before it claims anything.
    async fn announce(&self) -> Result<(), ServerError> {
        let announced = async {
            // Of a file this run is the only gateway, so whoever was alive on it is dead.
            if !self.store.is_shared() {
                self.store.forget_all_replicas().await?;
            }
            self.store.beat(&self.run, now_ms()).await
        };
        announced.await.map_err(|source| {
            ServerError::Store(OpenError::Database {
                location: self.store.location().to_string(),
                source,
            })
        })
    }
}

/// Asks the chain who it is, for a while: it may be starting too.
async fn identify(chain: &Chain, url: &Url) -> Result<Identity, ServerError> {
    let until = Instant::now() + CHAIN_PATIENCE;
    loop {
        match chain.identity().await {
            Ok(identity) => return Ok(identity),
            Err(source) if Instant::now() >= until => {
                return Err(ServerError::Chain {
                    url: url.to_string(),
                    source,
                });
            }
            Err(_) => time::sleep(Duration::from_millis(250)).await,
        }
    }
}
