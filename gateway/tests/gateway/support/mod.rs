//! A whole world on loopback: the real sandbox airline behind a proxy, a fake chain, the gateway
//! in a runtime of its own so that it can be killed like a process.

pub mod anvil;
pub mod chain;
pub mod collector;
pub mod databases;
pub mod ethereum;
pub mod gate;
pub mod proxy;

use alloy::primitives::U256;
use alloy::signers::local::PrivateKeySigner;
use chain::Chain;
pub use databases::Databases;
use gate::Gate;
use mileverse_adapters::airline::AirlineConfig as AdapterSettings;
use mileverse_fixtures::sandbox::airline::{Airline, AirlineConfig};
use mileverse_gateway::clock::now_ms;
use mileverse_gateway::config::{
    AdapterConfig, Batches, ChainConfig, Config, FloatConfig, IssuerConfig, ProgrammeConfig, Retry,
    RewardsConfig,
};
use mileverse_gateway::conversion::Machine;
use mileverse_gateway::custody::Rules as Custody;
use mileverse_gateway::ids;
use mileverse_gateway::keys::{ApiKey, Scope, digest, hex};
use mileverse_gateway::reconcile::run::Rules as Reconciliation;
use mileverse_gateway::server::Server;
use mileverse_gateway::store::partners::{self, Funding, KeyRow, Partner};
use mileverse_gateway::store::{Location, Purpose, Store};
use mileverse_gateway::units::{FeeRule, parse_rate};
use mileverse_gateway::webhook::deliver::Rules;
use proxy::Proxy;
use reqwest::{RequestBuilder, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::{self, Instant};

pub const KEY: &str = "test-key-with-all-scopes-0123456789";
pub const READER: &str = "test-key-that-only-reads-0123456789";
pub const STRANGER: &str = "test-key-of-another-partner-0123456";
pub const RECEIVER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
/// No test waits longer for a condition; reaching it fails the test.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Long enough for a busy machine, short enough for tests that wait for it.
pub const REPLICA_TIMEOUT: Duration = Duration::from_millis(600);

/// Looks until it is there; what was seen instead is told if it never is.
pub async fn until<T, S: Debug>(what: &str, mut look: impl AsyncFnMut() -> Result<T, S>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "{what}: still {seen:?}"),
        }
        time::sleep(Duration::from_millis(20)).await;
    }
}

pub struct World {
    pub directory: TempDir,
    pub database: Location,
    pub gate: Arc<Gate>,
    pub chain: Chain,
    pub proxy: Proxy,
    pub airline: Airline,
    pub client: reqwest::Client,
    pub settings: Settings,
    /// Another partner than the airline.
    pub adapter: Option<AdapterConfig>,
}

#[derive(Clone)]
pub struct Settings {
    pub wait: Duration,
    pub quote_lifetime: Duration,
    pub visibility: Duration,
    pub timeout: Duration,
    pub retry: Retry,
    pub float: Option<FloatConfig>,
    pub webhooks: Rules,
    pub daily_member_miles: Option<u64>,
    pub daily_caller_miles: Option<u64>,
    pub fee: FeeRule,
    pub dispute_window: Duration,
    pub reconciliation: Reconciliation,
    pub rewards: Option<RewardsConfig>,
    pub custody: Option<Custody>,
    pub batches: Batches,
    pub sandbox: bool,
    pub telemetry: Option<mileverse_trace::Config>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(20),
            quote_lifetime: Duration::from_secs(300),
            visibility: Duration::from_millis(50),
            timeout: Duration::from_secs(5),
            retry: Retry {
                first: Duration::from_millis(20),
                longest: Duration::from_millis(100),
                inquiries: 5,
                absent_reads: 3,
                reversals: 5,
            },
            float: None,
            webhooks: Rules::default(),
            daily_member_miles: None,
            daily_caller_miles: None,
            fee: FeeRule::default(),
            dispute_window: Duration::from_secs(3600),
            reconciliation: Reconciliation::default(),
            rewards: None,
            custody: None,
            batches: Batches::default(),
            sandbox: false,
            telemetry: None,
        }
    }
}

/// A running gateway that can be stopped in order or killed.
pub struct Gateway {
    pub url: String,
    server: Option<Server>,
    runtime: Option<Runtime>,
}

impl Gateway {
    /// As a crash: nothing is finished, nothing is said.
    pub async fn kill(mut self) {
        let runtime = self.runtime.take().unwrap();
        let server = self.server.take();
        tokio::task::spawn_blocking(move || {
            runtime.shutdown_timeout(PATIENCE);
            drop(server);
        })
        .await
        .unwrap();
    }

    /// What it is made of, to see it at work.
    pub fn machine(&self) -> Arc<Machine> {
        self.server.as_ref().unwrap().machine()
    }

    pub async fn stop(mut self) {
        let runtime = self.runtime.take().unwrap();
        let server = self.server.take().unwrap();
        runtime.spawn(server.stop()).await.unwrap().unwrap();
        runtime.shutdown_background();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn api_key(name: &str, key: &str, scopes: &[Scope]) -> ApiKey {
    ApiKey {
        name: name.into(),
        digest: Sha256::digest(key.as_bytes()).into(),
        scopes: scopes.to_vec(),
    }
}

impl World {
    pub async fn new(on: &Databases) -> Self {
        Self::with(on, Settings::default()).await
    }

    pub async fn with(on: &Databases, settings: Settings) -> Self {
        let directory = TempDir::new().unwrap();
        let database = on.fresh(directory.path()).await;
        let gate = Arc::new(Gate::default());
        let chain = Chain::start(Arc::clone(&gate)).await;
        let airline = Airline::start(AirlineConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            data_dir: directory.path().join("airline"),
            members: None,
        })
        .await
        .unwrap();
        let proxy = Proxy::start(airline.url(), Arc::clone(&gate)).await;
        PrivateKeySigner::encrypt_keystore(
            directory.path(),
            &mut rand_keystore::thread_rng(),
            [7u8; 32],
            "secret",
            Some("issuer.json"),
        )
        .unwrap();
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self {
            directory,
            database,
            gate,
            chain,
            proxy,
            airline,
            client,
            settings,
            adapter: None,
        }
    }

    pub fn config(&self) -> Config {
        let all = [
            Scope::ConversionsWrite,
            Scope::ConversionsRead,
            Scope::WalletsWrite,
            Scope::BooksRead,
            Scope::FloatRead,
            Scope::FloatWrite,
            Scope::WebhooksRead,
            Scope::WebhooksWrite,
            Scope::SandboxWrite,
        ];
        let settings = &self.settings;
        Config {
            sandbox: settings.sandbox,
            app: mileverse_gateway::config::AppConfig::default(),
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            database: self.database.clone(),
            replica_timeout: REPLICA_TIMEOUT,
            quote_lifetime: settings.quote_lifetime,
            conversion_wait: settings.wait,
            chain: ChainConfig {
                rpc_url: self.chain.url.parse().unwrap(),
                issuers: vec![IssuerConfig {
                    keystore: self.directory.path().join("issuer.json"),
                    password: SecretString::from("secret"),
                }],
                batches: settings.batches,
            },
            retry: settings.retry.clone(),
            master_key: None,
            previous_master_keys: Vec::new(),
            float: settings.float.clone(),
            webhooks: settings.webhooks.clone(),
            reconciliation: settings.reconciliation,
            rewards: settings.rewards.clone(),
            telemetry: settings.telemetry.clone(),
            custody: settings.custody,
            programmes: vec![ProgrammeConfig {
                name: "airline".to_owned(),
                rate: parse_rate("12").unwrap(),
                minimum_miles: 1,
                maximum_miles: 100_000,
                daily_member_miles: settings.daily_member_miles,
                daily_caller_miles: settings.daily_caller_miles,
                fee: settings.fee,
                dispute_window: settings.dispute_window,
                adapter: self.adapter.clone().unwrap_or_else(|| {
                    AdapterConfig::Airline(AdapterSettings {
                        base_url: self.proxy.url.parse().unwrap(),
                        client_id: "mileverse-gateway".to_owned(),
                        client_secret: SecretString::from("sandbox-airline-secret"),
                        timeout: settings.timeout,
                        visibility_window: settings.visibility,
                    })
                }),
            }],
            api_keys: vec![
                api_key("demo", KEY, &all),
                api_key("demo", READER, &[Scope::ConversionsRead]),
                api_key("stranger", STRANGER, &all),
            ],
            witness: Some(Arc::clone(&self.gate) as _),
        }
    }

    /// Starts the gateway, on the database that is there.
    pub async fn gateway(&self) -> Gateway {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime
            .spawn(Server::start(self.config()))
            .await
            .unwrap()
            .unwrap();
        Gateway {
            url: server.url(),
            server: Some(server),
            runtime: Some(runtime),
        }
    }

    /// The database, beside the gateway.
    pub async fn store(&self) -> Store {
        Store::open(&self.database, Purpose::Administer)
            .await
            .unwrap()
    }

    /// Makes or changes a partner.
    pub async fn partner(&self, name: &str, change: impl FnOnce(&mut Partner)) {
        let mut partner = Partner {
            name: name.to_owned(),
            funding: Funding::Postpaid,
            active: true,
            networks: String::new(),
            requests_per_second: 10_000,
        };
        change(&mut partner);
        let store = self.store().await;
        store.put_partner(&partner, now_ms()).await.unwrap();
        store.close().await;
    }

    pub fn post(&self, gateway: &Gateway, path: &str, key: &str, body: &Value) -> RequestBuilder {
        self.client
            .post(format!("{}{path}", gateway.url))
            .bearer_auth(KEY)
            .header("idempotency-key", key)
            .json(body)
    }

    pub async fn get(&self, gateway: &Gateway, path: &str) -> Value {
        let url = format!("{}{path}", gateway.url);
        let answer = self.client.get(url).bearer_auth(KEY).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }

    /// A quote, and the body that converts it.
    pub async fn quoted(
        &self,
        gateway: &Gateway,
        login: &str,
        password: &str,
        miles: &str,
    ) -> Value {
        let member = json!({ "login": login, "password": password });
        let body = json!({ "programme": "airline", "member": member, "miles": miles });
        let key = format!("quote-{}", uuid::Uuid::now_v7());
        let answer = self
            .post(gateway, "/v1/quotes", &key, &body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let quote: Value = answer.json().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{quote}");
        json!({ "quote_id": quote["id"], "member": member, "receiver": RECEIVER })
    }

    pub async fn miles(&self, member: &str) -> u64 {
        let url = format!("{}/sandbox/members/{member}", self.airline.url());
        let view: Value = self
            .client
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        view["miles"].as_u64().unwrap()
    }

    pub async fn miles_taken(&self) -> u64 {
        let url = format!("{}/sandbox/totals", self.airline.url());
        let view: Value = self
            .client
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        view["miles_taken"].as_u64().unwrap()
    }

    /// Stores a key of a partner. Gives its id.
    pub async fn key(&self, partner: &str, key: &str, scopes: &str) -> String {
        let row = KeyRow {
            id: ids::key(),
            partner: partner.to_owned(),
            scopes: scopes.to_owned(),
            created_at: now_ms(),
            expires_at: None,
            last_used_at: None,
            signed_only: false,
        };
        let store = self.store().await;
        let mut write = store.write().await.unwrap();
        partners::insert_key(&mut write, &row, &hex(&digest(key)))
            .await
            .unwrap();
        write.commit().await.unwrap();
        store.close().await;
        row.id
    }

    /// The same with every scope.
    pub async fn full_key(&self, partner: &str, key: &str) -> String {
        let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        self.key(partner, key, &all.join(" ")).await
    }

    /// Waits until a conversion is in one of these states.
    pub async fn until(&self, gateway: &Gateway, id: &str, states: &[&str]) -> Value {
        until("the conversion", async || {
            let view = self.get(gateway, &format!("/v1/conversions/{id}")).await;
            let is_there = states.contains(&view["state"].as_str().unwrap());
            if is_there { Ok(view) } else { Err(view) }
        })
        .await
    }

    /// The books hold: miles taken at the airline, journal and chain say the same.
    pub async fn assert_books(&self, gateway: &Gateway) -> Value {
        let books = self.get(gateway, "/v1/books").await;
        assert_eq!(books["agrees"], json!(true), "{books}");
        assert_eq!(books["journal"]["balanced"], json!(true), "{books}");
        let taken = self.miles_taken().await;
        let issued = self.chain.ledger.lock().unwrap().total();
        assert_eq!(
            issued,
            U256::from(taken) * U256::from(12_000_000u64),
            "{books}"
        );
        assert_eq!(
            books["journal"]["points_issued_micro"],
            json!(issued.to_string()),
            "{books}"
        );
        assert_eq!(
            self.chain.ledger.lock().unwrap().refused_repeats,
            0,
            "issued twice"
        );
        books
    }
}
