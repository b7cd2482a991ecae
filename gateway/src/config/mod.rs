//! The configuration file: TOML, read once at the start. Paths are relative to the file. Each part of it has
//! a module of its own, in which its limits and defaults stand.
//!
//! ```toml
//! listen = "127.0.0.1:8080"              # port 0 takes a free one
//! sandbox = false                        # true: for tests, with a clock that can be moved
//! master_key_file = "master.key"         # optional: what other secrets follow from
//! previous_master_key_files = []         # optional: those before it, until all is rewrapped
//! master_key = { command = ["kms-decrypt", "master.key.enc"] }   # instead of a file; or environment
//! previous_master_keys = []              # as master_key, beside the files
//! database = "gateway.sqlite"            # made if missing; or postgres://user@host/database
//! database_password_file = "pg.password" # optional, for PostgreSQL
//! quote_lifetime_seconds = 300           # optional
//! conversion_wait_seconds = 20           # optional: how long POST /v1/conversions waits
//! replica_timeout_milliseconds = 10000   # optional: a replica silent for so long is dead
//!
//! [tls]                                  # optional: HTTPS instead of HTTP
//! certificate_file = "gateway.pem"       # PEM, the gateway's own first; read again when it changes
//! key_file = "gateway.key"               # PEM, PKCS #8
//!
//! [chain]
//! rpc_url = "http://127.0.0.1:8545"
//! issuer_keystore = "issuer.json"        # V3 keystore
//! issuer_password_file = "issuer.password"
//! more_issuers = [{ keystore = "b.json", password_file = "b.password" }]   # optional
//! issues_in_batch = 64                   # optional: most conversions issued by one transaction
//! issues_in_flight = 16                  # optional: most transactions of a key not final yet
//!
//! [retry]                                # optional, as is each of its fields
//! first_milliseconds = 250               # doubled after each try …
//! longest_milliseconds = 60000           # … up to this
//! inquiries = 20                         # unanswered inquiries before the debit is reversed
//! absent_reads = 3                       # "not found" answers in a row before it is believed
//! reversals = 100                        # unanswered reversals before an operator is needed
//!
//! [float]                                # optional: sell points to prepaid partners
//! ethereum_rpc_url = "http://127.0.0.1:8546"
//! ethereum_chain_id = 1
//! pay_to = "0x…"                         # the operator's address on Ethereum
//! payment_hours = 24                     # optional: how long a top-up waits for its payment
//! price_maximum_age_minutes = 60         # optional: an older market price is none
//! average_minimum_days = 90              # optional: history that the average needs
//! price = "recorded"                     # optional: or "pool": MVP for one MVC is what the native chain's pool says,
//!                                        # and only wei for one MVC is recorded
//!
//! [app]                                  # optional, as is each of its fields: the page at /app
//! native_public_rpc_url = "https://…"    # what people's wallets are told; chain.rpc_url if not said
//! native_explorer_url = "https://…"      # tx/{hash} below it shows a transaction
//! ethereum_rpc_url = "http://127.0.0.1:8546"   # without it the page has no bridge; told to nobody
//! ethereum_public_rpc_url = "https://…"  # for wallets that do not know the network
//! ethereum_explorer_url = "https://etherscan.io"
//!
//! [webhooks]                             # optional, as is each of its fields
//! timeout_milliseconds = 15000           # one attempt
//! pauses_seconds = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]   # between attempts
//! disable_after_hours = 120              # an endpoint without success for so long is disabled
//! allow_private_targets = false          # true: endpoints on private networks, and without TLS
//!
//! [reconciliation]                       # optional, as is each of its fields
//! after_minutes = 240                    # a day's run is due so long after the day's end, UTC
//! cut_off_minutes = 60                   # how far apart in time partner and gateway may book
//!
//! [rewards]                              # optional: see to the quarterly rewards of MVC
//! ethereum_rpc_url = "http://127.0.0.1:8546"
//! ethereum_chain_id = 1
//! keystore = "rewards.json"              # V3 keystore; its account pays for gas on Ethereum, and
//! password_file = "rewards.password"     # sends nothing else
//! custodial = ["0x…"]                    # optional: holders that are claimed for on Ethereum
//! custodial_file = "custodial.txt"       # optional: more of them, one a line
//! max_fee_gwei = 200                     # optional: wait while a unit of gas costs more
//! close_late_minutes = 10                # optional, as are all below: an alarm is raised if the
//! open_late_hours = 2                    # native chain has not closed, Ethereum not opened, the
//! forward_late_hours = 9                 # share not crossed, the custodial holders not got theirs, …
//! claim_late_hours = 24                  # … so long after the quarter's end, …
//! pay_late_hours = 12                    # … or the native chain not paid everybody
//!
//! [telemetry]                            # optional, as is each of its fields: traces, off without an endpoint
//! otlp_endpoint = "http://127.0.0.1:4318"   # a collector's, OTLP over HTTP; or OTEL_EXPORTER_OTLP_ENDPOINT
//! service_name = "mileverse-gateway"     # or OTEL_SERVICE_NAME
//! sample_ratio = 1.0                     # the share of traces that is recorded, 0 to 1
//!
//! [custody]                              # optional: keep wallets for members; needs a master key
//! daily_member_points = "300000"         # optional: most that one member withdraws in a UTC day
//! daily_partner_points = "100000000"     # optional: most that one partner's members do
//!
//! [[programmes]]
//! name = "airline"
//! adapter = "airline"
//! base_url = "http://127.0.0.1:9001"
//! client_id = "mileverse-gateway"
//! client_secret_file = "airline.secret"
//! points_per_mile = "12"                 # exact, at most six decimals
//! minimum_miles = 1
//! maximum_miles = 1000000
//! daily_member_miles = 100000            # optional: most of one member in a UTC day
//! daily_caller_miles = 10000000          # optional: most of one caller in a UTC day
//! fee_basis_points = 30                  # optional: of the points, rounded down; 30 is 0.3 %
//! fee_payer = "member"                   # optional: or "partner"
//! dispute_days = 14                      # optional: how long a conversion can be disputed; 0: not at all
//! timeout_milliseconds = 5000            # optional: one call to the partner
//! visibility_milliseconds = 30000        # optional: how long "not found" proves nothing
//!
//! [[programmes]]
//! name = "card"
//! adapter = "card"                       # or "telecom", or "template"
//! partner_file = "card.toml"             # all about the partner; docs/adapters.md draws it
//! points_per_mile = "10"
//! minimum_miles = 1
//! maximum_miles = 1000000
//!
//! [[api_keys]]
//! name = "demo"                          # the partner; several keys may share a name
//! sha256 = "…64 hex digits…"             # printf %s "$KEY" | sha256sum
//! scopes = ["conversions:write", "conversions:read", "books:read"]
//! ```

mod app;
mod caller;
mod chain;
mod custody;
mod float;
mod master;
mod programme;
mod read;
mod reconciliation;
mod retry;
mod rewards;
mod tls;
mod webhooks;

pub use app::AppConfig;
pub use chain::{Batches, ChainConfig, IssuerConfig};
pub use float::FloatConfig;
pub use programme::{AdapterConfig, ProgrammeConfig};
pub(crate) use read::plain_name;
pub use retry::Retry;
pub use rewards::RewardsConfig;
pub use tls::TlsConfig;

use crate::custody::Rules as Custody;
use crate::key_source::KeySource;
use crate::keys::ApiKey;
use crate::reconcile::run::Rules as Reconciliation;
use crate::store::{Location, Witness};
use crate::telemetry::TelemetryFile;
use crate::webhook::deliver::Rules;
use app::AppFile;
use caller::ApiKeyFile;
use chain::ChainFile;
use custody::CustodyFile;
use float::FloatFile;
use master::MasterKeys;
use mileverse_adapters::SettingsError;
use programme::ProgrammeFile;
use read::{MAX_FILE_BYTES, milliseconds, one_line, read_secret, read_text, seconds, wrong};
use reconciliation::ReconciliationFile;
use retry::RetryFile;
use rewards::RewardsFile;
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::HashSet;
use std::env;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tls::TlsFile;
use webhooks::WebhooksFile;

/// Everything the gateway runs on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether it is for tests: its clock can be moved.
    pub sandbox: bool,
    /// Address of the API.
    pub listen: SocketAddr,
    /// HTTPS instead of HTTP.
    pub tls: Option<TlsConfig>,
    /// The database.
    pub database: Location,
    /// A replica that is silent for so long is dead.
    pub replica_timeout: Duration,
    /// How long a quote holds.
    pub quote_lifetime: Duration,
    /// How long making a conversion waits for its end.
    pub conversion_wait: Duration,
    /// The chain.
    pub chain: ChainConfig,
    /// When to try again.
    pub retry: Retry,
    /// What other secrets follow from; the first issuer's key if there is none.
    pub master_key: Option<SecretString>,
    /// Those before it: what was sealed under them still opens.
    pub previous_master_keys: Vec<SecretString>,
    /// What the page at `/app` is told beside it.
    pub app: AppConfig,
    /// How points are sold.
    pub float: Option<FloatConfig>,
    /// How partners are told what happened.
    pub webhooks: Rules,
    /// When and how strictly partner, journal and chain are set beside each other.
    pub reconciliation: Reconciliation,
    /// How the quarterly rewards are seen to.
    pub rewards: Option<RewardsConfig>,
    /// Where traces are sent, if anywhere.
    pub telemetry: Option<mileverse_trace::Config>,
    /// What wallets may do, if the gateway keeps any.
    pub custody: Option<Custody>,
    /// What can be converted.
    pub programmes: Vec<ProgrammeConfig>,
    /// Who may call.
    pub api_keys: Vec<ApiKey>,
    /// Sees every commit; nobody but in tests.
    pub witness: Option<Arc<dyn Witness>>,
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file.
    #[error("{what} {path} cannot be read ({source}); give the path of a readable file", path = path.display())]
    Read {
        /// What it was to be.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that cannot be what it should.
    #[error("{what} {path} is larger than {MAX_FILE_BYTES} bytes; give the right file", path = path.display())]
    Size {
        /// What it was to be.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// Not the TOML that is expected.
    #[error("the configuration {path} is not right: {why}", path = path.display())]
    Form {
        /// Where.
        path: PathBuf,
        /// What is wrong, with its place.
        why: String,
    },
    /// A value.
    #[error("in the configuration, {what} {why}")]
    Value {
        /// Which.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A partner's own file.
    #[error(transparent)]
    Partner(#[from] SettingsError),
}

impl Config {
    /// Reads the file and every file it names, except the keystore and the database.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text("the configuration", path)?;
        let file: File = toml::from_str(&text).map_err(|error| ConfigError::Form {
            path: path.to_owned(),
            why: one_line(&error.to_string()),
        })?;
        file.check(path.parent().unwrap_or(Path::new("")))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    sandbox: bool,
    listen: SocketAddr,
    tls: Option<TlsFile>,
    database: String,
    database_password_file: Option<PathBuf>,
    replica_timeout_milliseconds: Option<u64>,
    quote_lifetime_seconds: Option<u64>,
    conversion_wait_seconds: Option<u64>,
    chain: ChainFile,
    #[serde(default)]
    retry: RetryFile,
    master_key_file: Option<PathBuf>,
    master_key: Option<KeySource>,
    #[serde(default)]
    previous_master_keys: Vec<KeySource>,
    #[serde(default)]
    previous_master_key_files: Vec<PathBuf>,
    #[serde(default)]
    app: AppFile,
    float: Option<FloatFile>,
    #[serde(default)]
    webhooks: WebhooksFile,
    #[serde(default)]
    reconciliation: ReconciliationFile,
    rewards: Option<RewardsFile>,
    #[serde(default)]
    telemetry: TelemetryFile,
    custody: Option<CustodyFile>,
    programmes: Vec<ProgrammeFile>,
    api_keys: Vec<ApiKeyFile>,
}

impl File {
    fn check(self, folder: &Path) -> Result<Config, ConfigError> {
        let retry = self.retry.check()?;
        let chain = self.chain.check(folder)?;
        let master_keys = MasterKeys {
            master_key_file: self.master_key_file,
            master_key: self.master_key,
            previous_master_keys: self.previous_master_keys,
            previous_master_key_files: self.previous_master_key_files,
        };
        let (master_key, previous_master_keys) = master_keys.read(folder)?;
        let database_password = match self.database_password_file {
            Some(file) => Some(read_secret(
                "the database's password file",
                &folder.join(file),
            )?),
            None => None,
        };
        let database = Location::parse(&self.database, folder, database_password.as_ref())
            .map_err(|error| wrong("database", error.to_string()))?;
        if self.programmes.is_empty() {
            return Err(wrong(
                "programmes",
                "is empty; add at least one [[programmes]]",
            ));
        }
        let mut names = HashSet::new();
        let mut programmes = Vec::new();
        for programme in self.programmes {
            if !names.insert(programme.name.clone()) {
                return Err(wrong(
                    format!("programme {:?}", programme.name),
                    "appears twice",
                ));
            }
            programmes.push(programme.check(folder)?);
        }
        if self.api_keys.is_empty() {
            return Err(wrong("api_keys", "is empty; add at least one [[api_keys]]"));
        }
        let mut digests = HashSet::new();
        let mut api_keys = Vec::new();
        for key in self.api_keys {
            let name = key.name.clone();
            let key = key.check()?;
            if !digests.insert(key.digest) {
                return Err(wrong(format!("the key of {name:?}"), "appears twice"));
            }
            api_keys.push(key);
        }
        if self.sandbox && self.rewards.is_some() {
            let why =
                "cannot have rewards: the quarters of a chain do not follow the sandbox's clock";
            return Err(wrong("sandbox", why.to_owned()));
        }
        if self.custody.is_some() && master_key.is_none() {
            let why = "needs a master key of its own (master_key_file or master_key): whoever loses what \
                       seals the wallets' keys loses the points";
            return Err(wrong("custody", why));
        }
        Ok(Config {
            sandbox: self.sandbox,
            listen: self.listen,
            tls: self.tls.map(|tls| tls.check(folder)),
            database,
            replica_timeout: milliseconds(
                "replica_timeout_milliseconds",
                self.replica_timeout_milliseconds,
                Duration::from_secs(10),
            )?,
            quote_lifetime: seconds("quote_lifetime_seconds", self.quote_lifetime_seconds, 300)?,
            conversion_wait: seconds("conversion_wait_seconds", self.conversion_wait_seconds, 20)?,
            float: self
                .float
                .map(|float| float.check(&chain.rpc_url))
                .transpose()?,
            chain,
            retry,
            master_key,
            previous_master_keys,
            app: self.app.check()?,
            webhooks: self.webhooks.check()?,
            reconciliation: self.reconciliation.check()?,
            rewards: self
                .rewards
                .map(|rewards| rewards.check(folder))
                .transpose()?,
            telemetry: self
                .telemetry
                .check(|name| env::var(name).ok())
                .map_err(|(field, why)| wrong(field, why))?,
            custody: self.custody.map(CustodyFile::check).transpose()?,
            programmes,
            api_keys,
            witness: None,
        })
    }
}
