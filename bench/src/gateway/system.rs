//! The gateways under test, on a database of their own.

use super::chain::Chain;
use super::stubs::Partner;
use super::{Command, Database};
use crate::error::Error;
use alloy::primitives::U256;
use mileverse_fixtures::postgres::{Durability, Postgres};
use mileverse_gateway::clock::now_ms;
use mileverse_gateway::config::{
    AdapterConfig, AppConfig, Batches, ChainConfig, Config, IssuerConfig, ProgrammeConfig, Retry,
};
use mileverse_gateway::conversion::state::State;
use mileverse_gateway::keys::{ApiKey, Scope, digest};
use mileverse_gateway::reconcile::run::Rules as Reconciliation;
use mileverse_gateway::server::Server;
use mileverse_gateway::store::partners::{Funding, Partner as PartnerRow};
use mileverse_gateway::store::{Location, Purpose, Store};
use mileverse_gateway::units::{FeeRule, MICRO_PER_POINT, Rate};
use mileverse_gateway::webhook::deliver::Rules;
use mileverse_wallet::keystore;
use reqwest::Url;
use secrecy::SecretString;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tempfile::TempDir;

/// Points for a mile.
const POINTS: u64 = 12;
const PARTNER: &str = "bench";
const PASSWORD: &str = "bench";

/// All of it.
pub struct System {
    /// Where the gateways are, without a slash.
    pub urls: Vec<String>,
    /// What opens them.
    pub key: String,
    location: Location,
    partner: Arc<Partner>,
    chain: Chain,
    servers: Vec<Server>,
    _postgres: Option<Postgres>,
    _directory: TempDir,
}

fn setup(what: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Error {
    move |why| Error::Setup(format!("{what}: {why}"))
}

impl System {
    /// Starts everything; the database is empty and waits for the disk at every commit.
    pub async fn start(command: &Command) -> Result<Self, Error> {
        let system = |what| move |source| Error::System { what, source };
        let directory = tempfile::tempdir().map_err(system("a temporary directory"))?;
        let (location, postgres) = match command.database {
            Database::Sqlite => {
                let file = directory.path().join("gateway.sqlite");
                (Location::Sqlite(file), None)
            }
            Database::Postgres => {
                let failed = setup("PostgreSQL");
                let server = tokio::task::block_in_place(|| Postgres::start(Durability::Full))
                    .map_err(|why| failed(&why))?;
                let url = server.create("bench", None).map_err(|why| failed(&why))?;
                let url = url.parse::<Url>().map_err(|why| failed(&why))?;
                (Location::Postgres(url), Some(server))
            }
        };
        let partner = Arc::new(Partner::default());
        let key = "bench-key-of-a-gateway-that-is-measured".to_owned();
        let issuer = directory.path().join("issuer.json");
        let failed = setup("the issuer's key");
        let signer = keystore::create(&issuer, PASSWORD).map_err(|why| failed(&why))?;
        let chain = match command.stubs {
            true => Chain::stub().await?,
            false => Chain::net(command.validators, directory.path(), signer.address()).await?,
        };
        unlimited(&location).await?;
        let mut servers = Vec::new();
        for _ in 0..command.replicas {
            let rpc_url = chain.url()?.parse::<Url>().map_err(|why| failed(&why))?;
            let config = Config {
                listen: ([127, 0, 0, 1], 0).into(),
                tls: None,
                database: location.clone(),
                replica_timeout: Duration::from_secs(10),
                quote_lifetime: Duration::from_secs(300),
                conversion_wait: Duration::from_secs(20),
                chain: ChainConfig {
                    rpc_url,
                    issuers: vec![IssuerConfig {
                        keystore: issuer.clone(),
                        password: SecretString::from(PASSWORD),
                    }],
                    batches: Batches::default(),
                },
                retry: Retry::default(),
                master_key: None,
                previous_master_keys: Vec::new(),
                sandbox: false,
                app: AppConfig::default(),
                float: None,
                webhooks: Rules::default(),
                reconciliation: Reconciliation::default(),
                rewards: None,
                custody: None,
                telemetry: None,
                programmes: vec![ProgrammeConfig {
                    name: "stub".to_owned(),
                    rate: Rate(POINTS.saturating_mul(MICRO_PER_POINT)),
                    minimum_miles: 1,
                    maximum_miles: 1_000,
                    daily_member_miles: None,
                    daily_caller_miles: None,
                    fee: FeeRule::default(),
                    dispute_window: Duration::ZERO,
                    adapter: AdapterConfig::Own(Arc::clone(&partner) as _),
                }],
                api_keys: vec![ApiKey {
                    name: PARTNER.into(),
                    digest: digest(&key),
                    scopes: Scope::ALL.to_vec(),
                }],
                witness: None,
            };
            let failed = setup("the gateway");
            let started = Server::start(config).await;
            servers.push(started.map_err(|why| failed(&why))?);
        }
        Ok(Self {
            urls: servers.iter().map(Server::url).collect(),
            key,
            location,
            partner,
            chain,
            servers,
            _postgres: postgres,
            _directory: directory,
        })
    }

    /// Partner, journal and chain say the same, to the unit.
    pub async fn agree(&self) -> Result<(), Error> {
        let failed = setup("the books");
        let url = self.urls.first().map(|url| format!("{url}/v1/books"));
        let books = reqwest::Client::new()
            .get(url.unwrap_or_default())
            .bearer_auth(&self.key)
            .send()
            .await
            .map_err(|why| failed(&why))?;
        let books: Value = books.json().await.map_err(|why| failed(&why))?;
        let taken = U256::from(self.partner.taken.load(Ordering::Relaxed));
        let due = taken.saturating_mul(U256::from(POINTS.saturating_mul(MICRO_PER_POINT)));
        let journal = books.pointer("/journal/points_issued_micro");
        let issued = self.chain.issued().await?;
        let agrees = books.get("agrees") == Some(&Value::Bool(true))
            && issued == due
            && journal.and_then(Value::as_str) == Some(due.to_string().as_str());
        if agrees {
            return Ok(());
        }
        Err(failed(&format!(
            "the partner took {taken} miles, the chain issued {issued}, the gateway says {books}"
        )))
    }

    /// How long each conversion made since a moment (milliseconds since 1970) stayed in each state that it
    /// left, milliseconds.
    pub async fn stages(&self, since: i64) -> Result<Vec<(State, i64)>, Error> {
        let failed = setup("the conversions' events");
        let store = Store::open(&self.location, Purpose::Administer)
            .await
            .map_err(|why| failed(&why))?;
        let stages = store.stages(since).await.map_err(|why| failed(&why));
        store.close().await;
        stages
    }

    /// Stops the gateways in order, and then the chain.
    pub async fn stop(self) -> Result<(), Error> {
        let failed = setup("stopping the gateway");
        for server in self.servers {
            server.stop().await.map_err(|why| failed(&why))?;
        }
        self.chain.stop().await;
        Ok(())
    }
}

/// The most requests a second that a partner can be allowed.
async fn unlimited(location: &Location) -> Result<(), Error> {
    let failed = setup("the database");
    let store = Store::open(location, Purpose::Administer)
        .await
        .map_err(|why| failed(&why))?;
    let partner = PartnerRow {
        name: PARTNER.to_owned(),
        funding: Funding::Postpaid,
        active: true,
        networks: String::new(),
        requests_per_second: 10_000,
    };
    let put = store.put_partner(&partner, now_ms()).await;
    put.map_err(|why| failed(&why))?;
    store.close().await;
    Ok(())
}
