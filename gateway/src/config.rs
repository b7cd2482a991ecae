//! The configuration file: TOML, read once at the start. Paths are relative to the file.
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

use crate::conversion::ask::parse_receiver;
use crate::custody::Rules as Custody;
use crate::float::price::PriceRules;
use crate::key_source::KeySource;
use crate::keys::{ApiKey, Scope};
use crate::reconcile::run::Rules as Reconciliation;
use crate::rewards::{MAX_CUSTODIAL, Rules as RewardRules};
use crate::store::{Location, Witness};
use crate::telemetry::TelemetryFile;
use crate::units::{
    BASIS_POINTS, FeeRule, MAX_AMOUNT, MicroPoints, Payer, Rate, RateError, parse_rate,
};
use crate::webhook::deliver::Rules;
use alloy::primitives::Address;
use mileverse_adapters::airline::AirlineConfig;
use mileverse_adapters::{Adapter, PartnerConfig, PartnerKind, SettingsError};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::collections::HashSet;
use std::env;
use std::fs;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use url::Url;

/// Largest configuration or secret file, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
const MAX_NAME_BYTES: usize = 64;
const MAX_ISSUERS: usize = 64;
const DISPUTE_DAYS: u32 = 14;
const MAX_DISPUTE_DAYS: u32 = 366;
const MAX_WEBHOOK_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_PAUSES: usize = 32;
const MAX_MASTER_KEYS: usize = 16;
const MIN_MASTER_KEY_BYTES: usize = 32;
/// No configured wait is longer than a day.
const MAX_SECONDS: u64 = 24 * 60 * 60;

/// Everything the gateway runs on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether it is for tests: its clock can be moved.
    pub sandbox: bool,
    /// Address of the API.
    pub listen: SocketAddr,
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

/// The chain and the issuer's key.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// JSON-RPC endpoint.
    pub rpc_url: Url,
    /// The issuers' keys; conversions are spread over them.
    pub issuers: Vec<IssuerConfig>,
    /// How many at once.
    pub batches: Batches,
}

/// How conversions are issued together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Batches {
    /// Conversions that one signed transaction issues for, at most.
    pub entries: usize,
    /// Transactions of one key that a replica watches at once, at most. While there are so many,
    /// those who come wait and become a batch.
    pub in_flight: usize,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            entries: 64,
            in_flight: 16,
        }
    }
}

impl Batches {
    /// The points module does no more in one call.
    pub const MOST_ENTRIES: usize = 1_000;
    /// A node keeps at least so many of one sender.
    pub const MOST_IN_FLIGHT: usize = 64;
}

/// One issuer's key.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// V3 keystore.
    pub keystore: PathBuf,
    /// Its password.
    pub password: SecretString,
}

/// What the page at `/app` is told beside the chain.
#[derive(Clone, Debug, Default)]
pub struct AppConfig {
    /// What people's wallets are told; the chain's own endpoint if there is none.
    pub native_public_rpc: Option<Url>,
    /// A block explorer of the chain.
    pub native_explorer: Option<Url>,
    /// Ethereum; without it the page has no bridge.
    pub ethereum: Option<mileverse_app::Network>,
}

/// How points are sold to prepaid partners.
#[derive(Clone, Debug)]
pub struct FloatConfig {
    /// JSON-RPC endpoint of Ethereum.
    pub ethereum_rpc_url: Url,
    /// The network that it must be of.
    pub ethereum_chain_id: u64,
    /// Who is paid.
    pub pay_to: Address,
    /// How long a top-up waits for its payment.
    pub payment: Duration,
    /// A node of the native chain, if its pool says what an MVC is worth in points; without it all is recorded.
    pub pool: Option<Url>,
    /// What prices may be based on.
    pub rules: PriceRules,
}

/// How the quarterly rewards are seen to.
#[derive(Clone, Debug)]
pub struct RewardsConfig {
    /// JSON-RPC endpoint of Ethereum.
    pub ethereum_rpc_url: Url,
    /// The network that it must be of.
    pub ethereum_chain_id: u64,
    /// V3 keystore of the account that pays for gas there.
    pub keystore: PathBuf,
    /// Its password.
    pub password: SecretString,
    /// Whom to claim for, and when a quarter is late.
    pub rules: RewardRules,
}

/// When to try again, and when to stop.
#[derive(Clone, Debug)]
pub struct Retry {
    /// After the first failure.
    pub first: Duration,
    /// Never longer than this.
    pub longest: Duration,
    /// Unanswered inquiries before the debit is reversed.
    pub inquiries: u32,
    /// "Not found" answers in a row, after the visibility window, before it is believed.
    pub absent_reads: u32,
    /// Unanswered reversals before an operator is needed.
    pub reversals: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(60),
            inquiries: 20,
            absent_reads: 3,
            reversals: 100,
        }
    }
}

/// One programme whose miles can be converted.
#[derive(Clone, Debug)]
pub struct ProgrammeConfig {
    /// Its name in the API.
    pub name: String,
    /// Points per mile.
    pub rate: Rate,
    /// Fewest miles in one conversion.
    pub minimum_miles: u64,
    /// Most miles in one conversion.
    pub maximum_miles: u64,
    /// Most miles of one member in a UTC day.
    pub daily_member_miles: Option<u64>,
    /// Most miles of one caller in a UTC day.
    pub daily_caller_miles: Option<u64>,
    /// What is taken for a conversion.
    pub fee: FeeRule,
    /// For so long after it was made a completed conversion can be disputed.
    pub dispute_window: Duration,
    /// How its partner is spoken to.
    pub adapter: AdapterConfig,
}

/// The adapters there are.
#[derive(Clone, Debug)]
pub enum AdapterConfig {
    /// JSON over OAuth 2.0.
    Airline(AirlineConfig),
    /// One that was made elsewhere: for measurements, and for who embeds the gateway.
    Own(Arc<dyn Adapter>),
    /// Whatever the partner's own file says.
    Partner(PartnerConfig),
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainFile {
    rpc_url: Url,
    issuer_keystore: PathBuf,
    issuer_password_file: PathBuf,
    #[serde(default)]
    more_issuers: Vec<IssuerFile>,
    issues_in_batch: Option<usize>,
    issues_in_flight: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerFile {
    keystore: PathBuf,
    password_file: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppFile {
    native_public_rpc_url: Option<Url>,
    native_explorer_url: Option<Url>,
    ethereum_rpc_url: Option<Url>,
    ethereum_public_rpc_url: Option<Url>,
    ethereum_explorer_url: Option<Url>,
}

impl AppFile {
    fn check(self) -> Result<AppConfig, ConfigError> {
        let http = |name: &str, url: Option<Url>| {
            url.map(|url| http_url(format!("app.{name}"), url))
                .transpose()
        };
        let rpc = http("ethereum_rpc_url", self.ethereum_rpc_url)?;
        let public_rpc = http("ethereum_public_rpc_url", self.ethereum_public_rpc_url)?;
        let explorer = http("ethereum_explorer_url", self.ethereum_explorer_url)?;
        if rpc.is_none() && (public_rpc.is_some() || explorer.is_some()) {
            let why = "is needed beside the other URLs of Ethereum";
            return Err(wrong("app.ethereum_rpc_url", why));
        }
        Ok(AppConfig {
            native_public_rpc: http("native_public_rpc_url", self.native_public_rpc_url)?,
            native_explorer: http("native_explorer_url", self.native_explorer_url)?,
            ethereum: rpc.map(|rpc| mileverse_app::Network {
                rpc,
                public_rpc,
                explorer,
            }),
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReconciliationFile {
    after_minutes: Option<u32>,
    cut_off_minutes: Option<u32>,
}

impl ReconciliationFile {
    fn check(self) -> Result<Reconciliation, ConfigError> {
        let (after, cut_off) = (
            within(
                "reconciliation.after_minutes",
                self.after_minutes,
                240,
                60 * 24,
            )?,
            within(
                "reconciliation.cut_off_minutes",
                self.cut_off_minutes,
                60,
                60 * 12,
            )?,
        );
        let minutes = |many: u32| Duration::from_secs(u64::from(many).saturating_mul(60));
        Ok(Reconciliation {
            after: minutes(after),
            cut_off: minutes(cut_off),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CustodyFile {
    daily_member_points: Option<String>,
    daily_partner_points: Option<String>,
}

impl CustodyFile {
    fn check(self) -> Result<Custody, ConfigError> {
        let points = |what: &str, given: Option<String>| {
            let Some(text) = given else {
                return Ok(None);
            };
            let points: Result<MicroPoints, _> = text.parse();
            match points {
                Ok(points) if points.0 > 0 && points.0 <= MAX_AMOUNT => Ok(Some(points)),
                _ => Err(wrong(
                    format!("custody.{what}"),
                    "must be MVP above zero, as a decimal in quotes",
                )),
            }
        };
        Ok(Custody {
            daily_member: points("daily_member_points", self.daily_member_points)?,
            daily_partner: points("daily_partner_points", self.daily_partner_points)?,
            ..Custody::default()
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RewardsFile {
    ethereum_rpc_url: Url,
    ethereum_chain_id: u64,
    keystore: PathBuf,
    password_file: PathBuf,
    #[serde(default)]
    custodial: Vec<String>,
    custodial_file: Option<PathBuf>,
    max_fee_gwei: Option<u32>,
    close_late_minutes: Option<u32>,
    open_late_hours: Option<u32>,
    forward_late_hours: Option<u32>,
    claim_late_hours: Option<u32>,
    pay_late_hours: Option<u32>,
}

impl RewardsFile {
    fn check(self, folder: &Path) -> Result<RewardsConfig, ConfigError> {
        const MOST_HOURS: u32 = 24 * 60;
        let mut listed = self.custodial;
        if let Some(file) = &self.custodial_file {
            let text = read_text("the list of custodial holders", &folder.join(file))?;
            let lines = text.lines().map(str::trim);
            listed.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
        }
        let mut custodial = Vec::new();
        let mut known = HashSet::new();
        for text in listed {
            let holder = parse_receiver(&text)
                .map_err(|error| wrong("rewards.custodial", format!("has {text:?}: {error}")))?;
            if known.insert(holder) {
                custodial.push(holder);
            }
        }
        if custodial.len() > MAX_CUSTODIAL {
            let why = format!("has more than {MAX_CUSTODIAL} holders");
            return Err(wrong("rewards.custodial", why));
        }
        let default = RewardRules::default();
        let late = |what: &str, given: Option<u32>, unit: u64, default: Duration, most: u32| {
            let what = format!("rewards.{what}");
            match given {
                None => Ok(default),
                some => within(&what, some, most, most)
                    .map(|many| Duration::from_secs(u64::from(many).saturating_mul(unit))),
            }
        };
        let hours = |what, given, default| late(what, given, 3_600, default, MOST_HOURS);
        let gwei = within("rewards.max_fee_gwei", self.max_fee_gwei, 200, 1_000_000)?;
        Ok(RewardsConfig {
            ethereum_rpc_url: http_url(
                "rewards.ethereum_rpc_url".to_owned(),
                self.ethereum_rpc_url,
            )?,
            ethereum_chain_id: self.ethereum_chain_id,
            keystore: folder.join(self.keystore),
            password: read_secret(
                "the password file for rewards",
                &folder.join(self.password_file),
            )?,
            rules: RewardRules {
                custodial,
                max_fee: u64::from(gwei).saturating_mul(1_000_000_000),
                close: late(
                    "close_late_minutes",
                    self.close_late_minutes,
                    60,
                    default.close,
                    60 * 24,
                )?,
                open: hours("open_late_hours", self.open_late_hours, default.open)?,
                forward: hours(
                    "forward_late_hours",
                    self.forward_late_hours,
                    default.forward,
                )?,
                claim: hours("claim_late_hours", self.claim_late_hours, default.claim)?,
                pay: hours("pay_late_hours", self.pay_late_hours, default.pay)?,
                ..default
            },
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FloatFile {
    ethereum_rpc_url: Url,
    ethereum_chain_id: u64,
    pay_to: String,
    payment_hours: Option<u32>,
    price_maximum_age_minutes: Option<u32>,
    average_minimum_days: Option<u32>,
    price: Option<String>,
}

impl FloatFile {
    fn check(self, native: &Url) -> Result<FloatConfig, ConfigError> {
        let pool = match self.price.as_deref() {
            None | Some("recorded") => None,
            Some("pool") => Some(native.clone()),
            Some(_) => return Err(wrong("float.price", "must be \"recorded\" or \"pool\"")),
        };
        let pay_to = parse_receiver(&self.pay_to)
            .map_err(|error| wrong("float.pay_to", format!("cannot be paid: {error}")))?;
        let hours = within("float.payment_hours", self.payment_hours, 24, 24 * 30)?;
        let age = within(
            "float.price_maximum_age_minutes",
            self.price_maximum_age_minutes,
            60,
            60 * 24 * 7,
        )?;
        let minimum_days = within(
            "float.average_minimum_days",
            self.average_minimum_days,
            90,
            92,
        )?;
        Ok(FloatConfig {
            ethereum_rpc_url: http_url("float.ethereum_rpc_url".to_owned(), self.ethereum_rpc_url)?,
            ethereum_chain_id: self.ethereum_chain_id,
            pay_to,
            payment: Duration::from_secs(u64::from(hours).saturating_mul(3600)),
            pool,
            rules: PriceRules {
                maximum_age_ms: i64::from(age).saturating_mul(60_000),
                minimum_days,
            },
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhooksFile {
    timeout_milliseconds: Option<u64>,
    pauses_seconds: Option<Vec<u64>>,
    disable_after_hours: Option<u32>,
    #[serde(default)]
    allow_private_targets: bool,
}

impl WebhooksFile {
    fn check(self) -> Result<Rules, ConfigError> {
        let default = Rules::default();
        let what = "webhooks.timeout_milliseconds";
        let timeout = milliseconds(what, self.timeout_milliseconds, default.timeout)?;
        // A claim on a job must outlast the attempt.
        if timeout > MAX_WEBHOOK_TIMEOUT {
            return Err(wrong(what, "must be at most 60000"));
        }
        let pauses = match self.pauses_seconds {
            None => default.pauses,
            Some(pauses) if pauses.len() <= MAX_PAUSES => pauses
                .into_iter()
                .map(|pause| seconds("webhooks.pauses_seconds", Some(pause), 0))
                .collect::<Result<_, _>>()?,
            Some(_) => {
                let why = format!("must be at most {MAX_PAUSES} pauses");
                return Err(wrong("webhooks.pauses_seconds", why));
            }
        };
        let what = "webhooks.disable_after_hours";
        let hours = within(what, self.disable_after_hours, 120, 24 * 90)?;
        Ok(Rules {
            timeout,
            pauses,
            patience: Duration::from_secs(u64::from(hours).saturating_mul(3600)),
            private: self.allow_private_targets,
        })
    }
}

fn within(what: &str, given: Option<u32>, default: u32, most: u32) -> Result<u32, ConfigError> {
    let given = given.unwrap_or(default);
    if !(1..=most).contains(&given) {
        return Err(wrong(what, format!("must be between 1 and {most}")));
    }
    Ok(given)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryFile {
    first_milliseconds: Option<u64>,
    longest_milliseconds: Option<u64>,
    inquiries: Option<u32>,
    absent_reads: Option<u32>,
    reversals: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgrammeFile {
    name: String,
    adapter: String,
    base_url: Option<Url>,
    client_id: Option<String>,
    client_secret_file: Option<PathBuf>,
    partner_file: Option<PathBuf>,
    points_per_mile: String,
    minimum_miles: u64,
    maximum_miles: u64,
    daily_member_miles: Option<u64>,
    daily_caller_miles: Option<u64>,
    fee_basis_points: Option<u32>,
    fee_payer: Option<String>,
    dispute_days: Option<u32>,
    timeout_milliseconds: Option<u64>,
    visibility_milliseconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKeyFile {
    name: String,
    sha256: String,
    scopes: Vec<Scope>,
}

fn wrong(what: impl Into<String>, why: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        what: what.into(),
        why: why.into(),
    }
}

fn milliseconds(
    what: &str,
    given: Option<u64>,
    default: Duration,
) -> Result<Duration, ConfigError> {
    let Some(given) = given else {
        return Ok(default);
    };
    if !(1..=MAX_SECONDS * 1000).contains(&given) {
        return Err(wrong(what, "must be between 1 millisecond and one day"));
    }
    Ok(Duration::from_millis(given))
}

fn seconds(what: &str, given: Option<u64>, default: u64) -> Result<Duration, ConfigError> {
    let given = given.unwrap_or(default);
    if !(1..=MAX_SECONDS).contains(&given) {
        return Err(wrong(what, "must be between 1 second and one day"));
    }
    Ok(Duration::from_secs(given))
}

fn count(what: &str, given: Option<u32>, default: u32) -> Result<u32, ConfigError> {
    let given = given.unwrap_or(default);
    if given == 0 {
        return Err(wrong(what, "must be at least 1"));
    }
    Ok(given)
}

fn http_url(what: String, url: Url) -> Result<Url, ConfigError> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong(what, "must be an http or https URL"));
    }
    Ok(url)
}

impl File {
    fn check(self, folder: &Path) -> Result<Config, ConfigError> {
        let default = Retry::default();
        let retry = Retry {
            first: milliseconds(
                "retry.first_milliseconds",
                self.retry.first_milliseconds,
                default.first,
            )?,
            longest: milliseconds(
                "retry.longest_milliseconds",
                self.retry.longest_milliseconds,
                default.longest,
            )?,
            inquiries: count("retry.inquiries", self.retry.inquiries, default.inquiries)?,
            absent_reads: count(
                "retry.absent_reads",
                self.retry.absent_reads,
                default.absent_reads,
            )?,
            reversals: count("retry.reversals", self.retry.reversals, default.reversals)?,
        };
        let first = IssuerFile {
            keystore: self.chain.issuer_keystore,
            password_file: self.chain.issuer_password_file,
        };
        let mut issuers = Vec::new();
        for key in [first].into_iter().chain(self.chain.more_issuers) {
            let password_file = folder.join(key.password_file);
            issuers.push(IssuerConfig {
                keystore: folder.join(key.keystore),
                password: read_secret("the issuer's password file", &password_file)?,
            });
        }
        if issuers.len() > MAX_ISSUERS {
            return Err(wrong(
                "chain.more_issuers",
                format!("has too many keys; {MAX_ISSUERS} are enough"),
            ));
        }
        let within = |name: &str, value: Option<usize>, default: usize, most: usize| match value {
            Some(value) if !(1..=most).contains(&value) => {
                Err(wrong(name, format!("must be 1 to {most}")))
            }
            value => Ok(value.unwrap_or(default)),
        };
        let chain = ChainConfig {
            rpc_url: http_url("chain.rpc_url".to_owned(), self.chain.rpc_url)?,
            issuers,
            batches: Batches {
                entries: within(
                    "chain.issues_in_batch",
                    self.chain.issues_in_batch,
                    Batches::default().entries,
                    Batches::MOST_ENTRIES,
                )?,
                in_flight: within(
                    "chain.issues_in_flight",
                    self.chain.issues_in_flight,
                    Batches::default().in_flight,
                    Batches::MOST_IN_FLIGHT,
                )?,
            },
        };
        let read_key = |what: &str, source: KeySource| {
            let key = source.read(folder).map_err(|why| wrong(what, why))?;
            if key.expose_secret().len() < MIN_MASTER_KEY_BYTES {
                let why = format!(
                    "gives a key of fewer than {MIN_MASTER_KEY_BYTES} bytes; make one with: openssl rand -hex 32"
                );
                return Err(wrong(what, why));
            }
            Ok(key)
        };
        let master_key = match (self.master_key_file, self.master_key) {
            (Some(_), Some(_)) => {
                let why = "stands beside master_key; one of the two is enough".to_owned();
                return Err(wrong("master_key_file", why));
            }
            (Some(file), None) => Some(read_key("master_key_file", KeySource::File(file))?),
            (None, Some(source)) => Some(read_key("master_key", source)?),
            (None, None) => None,
        };
        let files = self.previous_master_key_files.into_iter();
        let files = files.map(|file| ("previous_master_key_files", KeySource::File(file)));
        let others = self.previous_master_keys.into_iter();
        let previous: Vec<_> = files
            .chain(others.map(|source| ("previous_master_keys", source)))
            .collect();
        if previous.len() > MAX_MASTER_KEYS {
            let why = format!("has too many keys; {MAX_MASTER_KEYS} are enough");
            return Err(wrong("previous_master_key_files", why));
        }
        let previous_master_keys = previous
            .into_iter()
            .map(|(what, source)| read_key(what, source))
            .collect::<Result<_, _>>()?;
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

/// Names are parts of account names and of rows: short and plain.
pub(crate) fn plain_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

impl ProgrammeFile {
    fn check(self, folder: &Path) -> Result<ProgrammeConfig, ConfigError> {
        let what = |field: &str| format!("{field} of programme {:?}", self.name);
        if !plain_name(&self.name) {
            return Err(wrong(
                what("the name"),
                "must be 1 to 64 letters, digits, '-' or '_'",
            ));
        }
        let rate = parse_rate(&self.points_per_mile).map_err(|error: RateError| {
            wrong(what("points_per_mile"), format!("cannot be used: {error}"))
        })?;
        if self.minimum_miles == 0 || self.minimum_miles > self.maximum_miles {
            return Err(wrong(
                what("minimum_miles"),
                "must be at least 1 and not above maximum_miles",
            ));
        }
        if self.maximum_miles > MAX_AMOUNT || rate.points(self.maximum_miles).is_none() {
            return Err(wrong(
                what("maximum_miles"),
                "is more than can be counted at this rate; lower it",
            ));
        }
        let fee = FeeRule {
            basis_points: self.fee_basis_points.unwrap_or(0),
            payer: match self.fee_payer.as_deref() {
                None => Payer::Member,
                Some(name) => Payer::parse(name)
                    .ok_or_else(|| wrong(what("fee_payer"), "must be \"member\" or \"partner\""))?,
            },
        };
        if fee.basis_points >= BASIS_POINTS {
            return Err(wrong(
                what("fee_basis_points"),
                format!("must be below {BASIS_POINTS}"),
            ));
        }
        let dispute_days = self.dispute_days.unwrap_or(DISPUTE_DAYS);
        if dispute_days > MAX_DISPUTE_DAYS {
            let why = format!("must be at most {MAX_DISPUTE_DAYS}");
            return Err(wrong(what("dispute_days"), why));
        }
        let adapter = self.adapter(folder)?;
        Ok(ProgrammeConfig {
            rate,
            minimum_miles: self.minimum_miles,
            maximum_miles: self.maximum_miles,
            daily_member_miles: self.daily_member_miles,
            daily_caller_miles: self.daily_caller_miles,
            fee,
            dispute_window: Duration::from_secs(u64::from(dispute_days).saturating_mul(86_400)),
            adapter,
            name: self.name,
        })
    }
}

impl ProgrammeFile {
    /// The adapter: the airline's settings stand here, the others' in a file of the partner's own.
    fn adapter(&self, folder: &Path) -> Result<AdapterConfig, ConfigError> {
        let what = |field: &str| format!("{field} of programme {:?}", self.name);
        let missing = |field: &str| wrong(what(field), "is missing");
        if self.adapter == "airline" {
            if self.partner_file.is_some() {
                return Err(wrong(
                    what("partner_file"),
                    "does not go with adapter \"airline\"; remove it",
                ));
            }
            let base_url = self.base_url.clone().ok_or_else(|| missing("base_url"))?;
            let client_id = self.client_id.clone().ok_or_else(|| missing("client_id"))?;
            let secret_file = self.client_secret_file.as_ref();
            let secret_file = secret_file.ok_or_else(|| missing("client_secret_file"))?;
            return Ok(AdapterConfig::Airline(AirlineConfig {
                base_url: http_url(what("base_url"), base_url)?,
                client_id,
                client_secret: read_secret("the client secret file", &folder.join(secret_file))?,
                timeout: milliseconds(
                    &what("timeout_milliseconds"),
                    self.timeout_milliseconds,
                    Duration::from_secs(5),
                )?,
                visibility_window: milliseconds(
                    &what("visibility_milliseconds"),
                    self.visibility_milliseconds,
                    Duration::from_secs(30),
                )?,
            }));
        }
        let kind = PartnerKind::named(&self.adapter).ok_or_else(|| {
            let why = format!(
                "is {:?}, which there is not; use \"airline\", \"card\", \"telecom\" or \"template\"",
                self.adapter
            );
            wrong(what("adapter"), why)
        })?;
        for (field, given) in [
            ("base_url", self.base_url.is_some()),
            ("client_id", self.client_id.is_some()),
            ("client_secret_file", self.client_secret_file.is_some()),
            ("timeout_milliseconds", self.timeout_milliseconds.is_some()),
            (
                "visibility_milliseconds",
                self.visibility_milliseconds.is_some(),
            ),
        ] {
            if given {
                return Err(wrong(what(field), "belongs into the partner_file"));
            }
        }
        let file = self
            .partner_file
            .as_ref()
            .ok_or_else(|| missing("partner_file"))?;
        let config = PartnerConfig::read(kind, &folder.join(file))?;
        Ok(AdapterConfig::Partner(config))
    }
}

impl ApiKeyFile {
    fn check(self) -> Result<ApiKey, ConfigError> {
        let what = |field: &str| format!("{field} of API key {:?}", self.name);
        if !plain_name(&self.name) {
            return Err(wrong(
                what("the name"),
                "must be 1 to 64 letters, digits, '-' or '_'",
            ));
        }
        let digest = unhex(&self.sha256)
            .ok_or_else(|| wrong(what("sha256"), "must be the 64 hex digits of a SHA-256"))?;
        if self.scopes.is_empty() {
            return Err(wrong(what("scopes"), "is empty; name at least one"));
        }
        Ok(ApiKey {
            name: self.name.into(),
            digest,
            scopes: self.scopes,
        })
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0u8; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}

fn read_text(what: &'static str, path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Read {
        what,
        path: path.to_owned(),
        source,
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
        return Err(ConfigError::Size {
            what,
            path: path.to_owned(),
        });
    }
    Ok(text)
}

/// A secret file: its text without the newline editors add.
fn read_secret(what: &'static str, path: &Path) -> Result<SecretString, ConfigError> {
    let text = read_text(what, path)?;
    Ok(SecretString::from(
        text.trim_end_matches(['\r', '\n']).to_owned(),
    ))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
