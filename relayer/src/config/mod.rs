//! The configuration file.
//!
//! ```toml
//! database = "relayer.sqlite"        # a file, or postgres://user:password@host/database
//! poll_interval_ms = 500             # 50 to 60,000
//! listen = "127.0.0.1:9464"          # metrics, health and pages; none if left out
//!
//! [route.main]                       # as many routes as you like, each with a name
//! [route.main.native]
//! rpc = ["http://127.0.0.1:8545"]    # one or several, 16 at most
//! quorum = 1                         # how many must agree on what is for ever
//! keys = [{ keystore = "keys/relayer.json", password_file = "keys/password" }]
//! batch = 256                        # packets in one transaction, 1 to 256
//! in_flight = 4                      # transactions of one key in no block yet, 1 to 16
//! max_gas = 25000000
//!
//! [route.main.ethereum]
//! rpc = ["http://127.0.0.1:8546", "https://…"]
//! quorum = 2
//! bridge = "0x…"
//! keys = [                           # each works on packets of its own; 16 at most
//!     { keystore = "keys/relayer.json", password_file = "keys/password" },
//!     { signer = "http://127.0.0.1:9000", address = "0x…" },   # Web3Signer
//! ]
//! batch = 128                        # 1 to 128
//! in_flight = 4                      # 1 to 16
//! max_gas = 15000000
//! max_fee_gwei = 500                 # waits while gas costs more
//! replace_after_s = 60               # offers more for a transaction that waits so long
//! start_block = 0                    # block of the bridge's deployment
//! log_range = 2000                   # blocks that one search for logs covers, 1 to 100,000
//!
//! [route.main.ethereum.profit]       # off if left out; delays packets, never drops one
//! most_gwei_per_packet = 2000000
//! longest_wait_s = 3600
//!
//! [route.main.rules]                 # see `crate::rules`; carries all if left out
//! deny_senders = ["0x…"]
//! least_amount = "1000000"
//!
//! [route.main.swaps]                 # hashed-timelock swaps on both chains; none are completed if left out
//! ethereum = "0x…"                   # the contract on Ethereum; the native chain's is 0x4d56…0105
//! native_keys = [{ keystore = "keys/swaps.json", password_file = "keys/password" }]
//! ethereum_keys = [{ keystore = "keys/swaps.json", password_file = "keys/password" }]
//!                                    # accounts of their own: none of the route's on the same chain
//! start_block = 0                    # block of the contract's deployment on Ethereum
//! max_gas = 500000                   # for one claim or refund, 100,000 to 10,000,000
//!
//! [route.main.swaps.rules]           # as `rules`, for opener (sender), claimer (receiver), token by its
//! least_amount = "1000000"           # contract where the swap is; MVP and MVC if allow_tokens is left out
//!
//! [route.branch.native]              # a route between two native chains, which are peers
//! chain_id = 7001                    # must be given here; on routes to Ethereum it is checked if given
//! rpc = ["http://127.0.0.1:8545"]
//! keys = [{ keystore = "keys/relayer.json", password_file = "keys/password" }]
//!
//! [route.branch.peer]                # in the place of `ethereum`; everything as in `native`
//! chain_id = 7002
//! rpc = ["http://127.0.0.1:9545"]
//! keys = [{ keystore = "keys/relayer.json", password_file = "keys/password" }]
//! ```
//!
//! Paths are relative to the file. Everything with a default may be left out; a name that is not
//! known is an error. Any value can be given in the environment instead ([`environment`]).

mod environment;

use crate::{
    Error,
    chain::End,
    rules::Rules,
    store::{Database, Direction, Lane},
    transaction::Profit,
};
use mileverse_primitives::Address;
use serde::{Deserialize, Deserializer, de};
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

const MAX_FILE_LENGTH: u64 = 1024 * 1024;
/// Most packets that Ethereum's bridge takes in one call.
pub const MAX_BATCH_TO_ETHEREUM: usize = 128;
/// Most packets that the native bridge takes in one call.
pub const MAX_BATCH_TO_NATIVE: usize = 256;
/// Most keys of one direction.
pub const MAX_KEYS: usize = 16;
/// Most transactions of one key that are in no block yet: what nodes keep of one account.
pub const MAX_IN_FLIGHT: usize = 16;
/// Most routes.
pub const MAX_ROUTES: usize = 64;
const GWEI: u128 = 1_000_000_000;

/// The whole file.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the relayer's memory is.
    #[serde(deserialize_with = "database")]
    pub database: Database,
    /// Between two looks, milliseconds.
    #[serde(default = "defaults::poll_interval_ms")]
    pub poll_interval_ms: u64,
    /// Where people and Prometheus look.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// The routes, by name.
    #[serde(rename = "route")]
    pub routes: BTreeMap<String, Route>,
}

/// One route: a native chain, and its bridge on Ethereum or another native chain that is its peer.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(try_from = "Given")]
pub struct Route {
    /// The native chain.
    pub native: Native,
    /// The chain at the other end.
    pub far: Far,
    /// What is carried.
    pub rules: Rules,
    /// Hashed-timelock swaps, if they are completed.
    pub swaps: Option<Box<Swaps>>,
}

/// The chain at the other end of a route.
#[derive(Clone, Debug, PartialEq)]
pub enum Far {
    /// Ethereum.
    Ethereum(Box<Ethereum>),
    /// Another native chain.
    Peer(Native),
}

/// A route as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    native: Native,
    ethereum: Option<Box<Ethereum>>,
    peer: Option<Native>,
    #[serde(default)]
    rules: Rules,
    swaps: Option<Box<Swaps>>,
}

impl TryFrom<Given> for Route {
    type Error = &'static str;

    fn try_from(given: Given) -> Result<Self, Self::Error> {
        let far = match (given.ethereum, given.peer) {
            (Some(ethereum), None) => Far::Ethereum(ethereum),
            (None, Some(peer)) => Far::Peer(peer),
            _ => {
                return Err(
                    "a route has a table `native` and one of `ethereum` and `peer`, the chain at its other end",
                );
            }
        };
        if given.swaps.is_some() && matches!(far, Far::Peer(_)) {
            return Err(
                "hashed-timelock swaps are completed between the native chain and Ethereum only; leave the table `swaps` out of a route with `peer`",
            );
        }
        Ok(Self {
            native: given.native,
            far,
            rules: given.rules,
            swaps: given.swaps,
        })
    }
}

/// Who signs.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Key {
    /// An encrypted file here.
    Keystore(Keystore),
    /// A signer elsewhere.
    Signer(ExternalSigner),
}

/// An eth-keystore file, version 3.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Keystore {
    /// The file.
    pub keystore: PathBuf,
    /// Its password.
    pub password_file: PathBuf,
}

/// A signer over HTTP, by Web3Signer's protocol.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ExternalSigner {
    /// Its URL.
    pub signer: String,
    /// The account it signs for.
    pub address: Address,
}

/// A native chain.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Native {
    /// What its nodes must call it. Peers know each other by it, so a route between them must say it.
    #[serde(default)]
    pub chain_id: Option<u64>,
    /// JSON-RPC endpoints.
    #[serde(deserialize_with = "one_or_more")]
    pub rpc: Vec<String>,
    /// How many must agree on what is for ever.
    #[serde(default = "defaults::quorum")]
    pub quorum: usize,
    /// The accounts that deliver there.
    pub keys: Vec<Key>,
    /// Most packets in one transaction.
    #[serde(default = "defaults::batch_to_native")]
    pub batch: usize,
    /// Most transactions of one key that are in no block yet.
    #[serde(default = "defaults::in_flight")]
    pub in_flight: usize,
    /// Most gas for one transaction.
    #[serde(default = "defaults::max_gas_native")]
    pub max_gas: u64,
}

/// Ethereum.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Ethereum {
    /// JSON-RPC endpoints.
    #[serde(deserialize_with = "one_or_more")]
    pub rpc: Vec<String>,
    /// How many must agree on what is for ever.
    #[serde(default = "defaults::quorum")]
    pub quorum: usize,
    /// The bridge contract.
    pub bridge: Address,
    /// The accounts that deliver and pay there.
    pub keys: Vec<Key>,
    /// Most packets in one transaction.
    #[serde(default = "defaults::batch_to_ethereum")]
    pub batch: usize,
    /// Most transactions of one key that are in no block yet.
    #[serde(default = "defaults::in_flight")]
    pub in_flight: usize,
    /// Most gas for one transaction.
    #[serde(default = "defaults::max_gas_ethereum")]
    pub max_gas: u64,
    /// Most that a unit of gas may cost, in gwei.
    #[serde(default = "defaults::max_fee_gwei")]
    pub max_fee_gwei: u64,
    /// After so many seconds in no block, more is offered for a transaction.
    #[serde(default = "defaults::replace_after_s")]
    pub replace_after_s: u64,
    /// First block that can hold a packet.
    #[serde(default)]
    pub start_block: u64,
    /// Blocks that one search covers.
    #[serde(default = "defaults::log_range")]
    pub log_range: u64,
    /// When a batch is worth its gas; always if left out.
    #[serde(default)]
    pub profit: Option<ProfitRule>,
}

/// Hashed-timelock swaps on both chains of a route to Ethereum. Caps of fees, transactions in flight and
/// blocks of one search are the route's.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Swaps {
    /// The contract on Ethereum.
    pub ethereum: Address,
    /// The accounts that claim and refund on the native chain.
    pub native_keys: Vec<Key>,
    /// The accounts that claim, refund and pay on Ethereum.
    pub ethereum_keys: Vec<Key>,
    /// First block of Ethereum that can hold a swap.
    #[serde(default)]
    pub start_block: u64,
    /// Most gas for one claim or refund.
    #[serde(default = "defaults::max_gas_swap")]
    pub max_gas: u64,
    /// Which swaps are completed.
    #[serde(default)]
    pub rules: Rules,
}

/// What a packet may cost, and for how long it is held back for that.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ProfitRule {
    /// Most gwei for one packet.
    pub most_gwei_per_packet: u64,
    /// Longest wait for cheaper gas, in seconds.
    pub longest_wait_s: u64,
}

impl Ethereum {
    /// Most wei for a unit of gas.
    pub fn max_fee(&self) -> u128 {
        u128::from(self.max_fee_gwei).saturating_mul(GWEI)
    }
}

impl From<ProfitRule> for Profit {
    fn from(rule: ProfitRule) -> Self {
        Self {
            most_per_packet: u128::from(rule.most_gwei_per_packet).saturating_mul(GWEI),
            longest_wait: Duration::from_secs(rule.longest_wait_s),
        }
    }
}

mod defaults {
    pub(super) const fn poll_interval_ms() -> u64 {
        500
    }
    pub(super) const fn quorum() -> usize {
        1
    }
    pub(super) const fn batch_to_native() -> usize {
        super::MAX_BATCH_TO_NATIVE
    }
    pub(super) const fn batch_to_ethereum() -> usize {
        super::MAX_BATCH_TO_ETHEREUM
    }
    pub(super) const fn in_flight() -> usize {
        4
    }
    pub(super) const fn max_gas_native() -> u64 {
        25_000_000
    }
    pub(super) const fn max_gas_ethereum() -> u64 {
        15_000_000
    }
    pub(super) const fn max_gas_swap() -> u64 {
        500_000
    }
    pub(super) const fn max_fee_gwei() -> u64 {
        500
    }
    pub(super) const fn replace_after_s() -> u64 {
        60
    }
    pub(super) const fn log_range() -> u64 {
        2_000
    }
}

fn database<'de, D: Deserializer<'de>>(from: D) -> Result<Database, D::Error> {
    Database::parse(&String::deserialize(from)?).map_err(de::Error::custom)
}

fn one_or_more<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        More(Vec<String>),
    }
    Ok(match Given::deserialize(from)? {
        Given::One(one) => vec![one],
        Given::More(more) => more,
    })
}

impl Config {
    /// Reads and checks a file, with what the environment says instead; its paths become relative
    /// to nothing but the current directory.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Config {
            path: path.to_owned(),
            reason,
        };
        let length = fs::metadata(path)
            .map_err(|error| refuse(format!("{error}; check the path given with --config")))?
            .len();
        if length > MAX_FILE_LENGTH {
            return Err(refuse(format!("it has more than {MAX_FILE_LENGTH} bytes")));
        }
        let text = fs::read_to_string(path)
            .map_err(|error| refuse(format!("{error}; check the path given with --config")))?;
        let overrides = environment::of(std::env::vars());
        let mut config = Self::parse(&text, &overrides).map_err(refuse)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        if let Database::Sqlite(file) = &mut config.database {
            *file = directory.join(&*file);
        }
        for route in config.routes.values_mut() {
            let far = match &mut route.far {
                Far::Ethereum(ethereum) => &mut ethereum.keys,
                Far::Peer(peer) => &mut peer.keys,
            };
            let swaps = route
                .swaps
                .iter_mut()
                .flat_map(|swaps| swaps.native_keys.iter_mut().chain(&mut swaps.ethereum_keys));
            for key in route.native.keys.iter_mut().chain(far).chain(swaps) {
                if let Key::Keystore(key) = key {
                    key.keystore = directory.join(&key.keystore);
                    key.password_file = directory.join(&key.password_file);
                }
            }
        }
        Ok(config)
    }

    /// The route of a name; the only one there is if none is named.
    pub fn route(&self, name: Option<&str>) -> Result<(&str, &Route), Error> {
        let found = match name {
            Some(name) => self.routes.get_key_value(name),
            None if self.routes.len() == 1 => self.routes.first_key_value(),
            None => None,
        };
        found
            .map(|(name, route)| (name.as_str(), route))
            .ok_or_else(|| Error::Route {
                name: name.unwrap_or_default().to_owned(),
                known: self.routes.keys().cloned().collect::<Vec<_>>().join(", "),
            })
    }

    fn parse(text: &str, overrides: &[environment::Override]) -> Result<Self, String> {
        let config: Self = if overrides.is_empty() {
            toml::from_str(text).map_err(|error| placed(text, &error))?
        } else {
            let mut table: toml::Table =
                toml::from_str(text).map_err(|error| placed(text, &error))?;
            for one in overrides {
                one.apply(&mut table)?;
            }
            table
                .try_into()
                .map_err(|error| format!("with the environment's values, {}", error.message()))?
        };
        range("poll_interval_ms", config.poll_interval_ms, 50, 60_000)?;
        range("routes", count(config.routes.len()), 1, count(MAX_ROUTES))?;
        for (name, route) in &config.routes {
            route
                .check(name)
                .map_err(|reason| format!("route.{name}: {reason}"))?;
        }
        Ok(config)
    }
}

impl Route {
    /// Which chain is at its other end.
    pub const fn far_end(&self) -> End {
        match self.far {
            Far::Ethereum(_) => End::Ethereum,
            Far::Peer(_) => End::Peer,
        }
    }

    /// Its two directions.
    pub const fn directions(&self) -> [Direction; 2] {
        Direction::of_route(self.far_end())
    }

    /// Its lanes: the two directions, and the swaps of both ends if they are completed.
    pub fn lanes(&self) -> Vec<Lane> {
        let mut lanes: Vec<_> = self.directions().map(Lane::from).into();
        if self.swaps.is_some() {
            lanes.extend([End::Native, End::Ethereum].map(Lane::Swaps));
        }
        lanes
    }

    fn check(&self, name: &str) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > 32 || !name.chars().all(plain) || name.contains("__") {
            return Err(
                "a route's name has 1 to 32 small letters, digits and single underscores".into(),
            );
        }
        self.native.check("native")?;
        match &self.far {
            Far::Ethereum(ethereum) => ethereum.check()?,
            Far::Peer(peer) => {
                peer.check("peer")?;
                let (Some(here), Some(there)) = (self.native.chain_id, peer.chain_id) else {
                    return Err(
                        "native.chain_id and peer.chain_id must be given: peers know each other by them"
                            .into(),
                    );
                };
                if here == there {
                    return Err(format!(
                        "native.chain_id and peer.chain_id are both {here}; a peer is another chain"
                    ));
                }
            }
        }
        if let Some(swaps) = &self.swaps {
            swaps.check()?;
        }
        self.rules.check("rules")
    }
}

impl Swaps {
    fn check(&self) -> Result<(), String> {
        let most = count(MAX_KEYS);
        for (name, keys) in [
            ("native_keys", &self.native_keys),
            ("ethereum_keys", &self.ethereum_keys),
        ] {
            range(
                &format!("entries of swaps.{name}"),
                count(keys.len()),
                1,
                most,
            )?;
        }
        range("swaps.max_gas", self.max_gas, 100_000, 10_000_000)?;
        if self.ethereum.is_zero() {
            return Err(
                "swaps.ethereum is the zero address; give the contract of hashed-timelock swaps"
                    .into(),
            );
        }
        self.rules.check("swaps.rules")
    }
}

/// What every end has.
fn check_end(end: &str, rpc: &[String], quorum: usize, keys: &[Key]) -> Result<(), String> {
    let endpoints = count(rpc.len());
    let most = count(crate::chain::MAX_ENDPOINTS);
    range(&format!("endpoints in {end}.rpc"), endpoints, 1, most)?;
    range(&format!("{end}.quorum"), count(quorum), 1, endpoints)?;
    let most = count(MAX_KEYS);
    range(
        &format!("entries of {end}.keys"),
        count(keys.len()),
        1,
        most,
    )
}

impl Native {
    fn check(&self, end: &str) -> Result<(), String> {
        check_end(end, &self.rpc, self.quorum, &self.keys)?;
        let most = count(MAX_BATCH_TO_NATIVE);
        range(&format!("{end}.batch"), count(self.batch), 1, most)?;
        let most = count(MAX_IN_FLIGHT);
        range(&format!("{end}.in_flight"), count(self.in_flight), 1, most)?;
        range(
            &format!("{end}.max_gas"),
            self.max_gas,
            100_000,
            1_000_000_000,
        )
    }
}

impl Ethereum {
    fn check(&self) -> Result<(), String> {
        check_end("ethereum", &self.rpc, self.quorum, &self.keys)?;
        let most = count(MAX_BATCH_TO_ETHEREUM);
        range("ethereum.batch", count(self.batch), 1, most)?;
        let most = count(MAX_IN_FLIGHT);
        range("ethereum.in_flight", count(self.in_flight), 1, most)?;
        range("ethereum.max_gas", self.max_gas, 500_000, 1_000_000_000)?;
        range("ethereum.max_fee_gwei", self.max_fee_gwei, 1, 1_000_000)?;
        range("ethereum.replace_after_s", self.replace_after_s, 5, 86_400)?;
        range("ethereum.log_range", self.log_range, 1, 100_000)?;
        if let Some(profit) = self.profit {
            range(
                "ethereum.profit.longest_wait_s",
                profit.longest_wait_s,
                1,
                30 * 86_400,
            )?;
        }
        if self.bridge.is_zero() {
            return Err("ethereum.bridge is the zero address; give the bridge contract's".into());
        }
        Ok(())
    }
}

fn placed(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map_or(1, |before| before.lines().count().max(1));
    format!("near line {line}, {}", error.message())
}

fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn range(name: &str, value: u64, low: u64, high: u64) -> Result<(), String> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(format!("{name} must be {low} to {high}, it is {value}"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SMALL: &str = r#"
        database = "relayer.sqlite"
        [route.main.native]
        rpc = "http://127.0.0.1:1"
        keys = [{ keystore = "a.json", password_file = "/abs/password" }]
        [route.main.ethereum]
        rpc = ["http://127.0.0.1:2", "http://127.0.0.1:3"]
        bridge = "0x0404040404040404040404040404040404040404"
        keys = [{ signer = "http://127.0.0.1:4", address = "0x0505050505050505050505050505050505050505" }]
    "#;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, &[])
    }

    fn ethereum(route: &Route) -> &Ethereum {
        match &route.far {
            Far::Ethereum(ethereum) => ethereum,
            Far::Peer(_) => unreachable!("Ethereum"),
        }
    }

    /// The same between two native chains.
    fn between() -> String {
        SMALL
            .replace(
                "[route.main.native]",
                "[route.main.native]\nchain_id = 7001",
            )
            .replace(
                "[route.main.ethereum]",
                "[route.main.peer]\nchain_id = 7002",
            )
            .replace(
                "bridge = \"0x0404040404040404040404040404040404040404\"",
                "",
            )
    }

    #[test]
    fn a_route_between_two_native_chains_names_both() {
        let config = parse(&between()).unwrap();
        let (_, route) = config.route(None).unwrap();
        assert_eq!(route.far_end(), End::Peer);
        assert_eq!(route.directions(), [Direction::ToPeer, Direction::ToNative]);
        let Far::Peer(peer) = &route.far else {
            unreachable!("a peer")
        };
        assert_eq!(
            (route.native.chain_id, peer.chain_id),
            (Some(7001), Some(7002))
        );
        assert_eq!((peer.batch, peer.rpc.len()), (256, 2));
        for (from, to, sentence) in [
            ("chain_id = 7002", "", "must be given"),
            ("7002", "7001", "another chain"),
            ("[route.main.peer]", "[route.main.far]", "unknown field"),
            (
                "chain_id = 7002",
                "batch = 257",
                "peer.batch must be 1 to 256",
            ),
            ("chain_id = 7002", "bridge = \"0x04\"", "unknown field"),
        ] {
            let error = parse(&between().replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(sentence), "{error}");
        }
        let both = format!("{SMALL}\n[route.main.peer]\nrpc = \"http://127.0.0.1:9\"\nkeys = []");
        assert!(
            parse(&both)
                .unwrap_err()
                .contains("one of `ethereum` and `peer`")
        );
    }

    #[test]
    fn a_small_file_has_defaults_and_paths_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relayer.toml");
        fs::write(&path, SMALL).unwrap();
        let config = Config::read(&path).unwrap();
        assert_eq!(config.poll_interval_ms, 500);
        assert_eq!(
            config.database,
            Database::Sqlite(directory.path().join("relayer.sqlite"))
        );
        let (name, route) = config.route(None).unwrap();
        assert_eq!(name, "main");
        let ethereum = ethereum(route);
        assert_eq!((ethereum.batch, route.native.batch), (128, 256));
        assert_eq!((ethereum.rpc.len(), route.native.rpc.len()), (2, 1));
        assert_eq!(
            route.directions(),
            [Direction::ToEthereum, Direction::ToNative]
        );
        assert_eq!(route.rules, Rules::default());
        let Key::Keystore(key) = &route.native.keys[0] else {
            unreachable!("a keystore")
        };
        assert_eq!(key.keystore, directory.path().join("a.json"));
        assert_eq!(key.password_file, Path::new("/abs/password"));
        assert!(
            matches!(&ethereum.keys[0], Key::Signer(key) if key.address == Address::repeat_byte(5))
        );
        assert!(config.route(Some("other")).is_err());
    }

    #[test]
    fn bad_files_say_what_is_wrong() {
        for (from, to, sentence) in [
            ("database", "databse", "unknown field"),
            ("relayer.sqlite", "mysql://x", "postgres:// URL"),
            (
                "[route.main.ethereum]",
                "[route.main.ethereum]\nbatch = 129",
                "ethereum.batch must be 1 to 128",
            ),
            (
                "[route.main.native]",
                "[route.main.native]\nbatch = 0",
                "native.batch must be 1 to 256",
            ),
            (
                "[route.main.ethereum]",
                "[route.main.ethereum]\nquorum = 3",
                "ethereum.quorum must be 1 to 2",
            ),
            (
                "0x0404040404040404040404040404040404040404",
                "0x0000000000000000000000000000000000000000",
                "zero address",
            ),
            (
                "0x0404040404040404040404040404040404040404",
                "0x04",
                "invalid",
            ),
            ("[route.main.native]", "[route.main.native", "near line"),
            (
                "[{ keystore",
                "[] # [{ keystore",
                "entries of native.keys must be 1 to 16",
            ),
        ] {
            let error = parse(&SMALL.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(sentence), "{error}");
        }
        let error = parse(&SMALL.replace("route.main.", "route.Main.")).unwrap_err();
        assert!(error.contains("small letters"), "{error}");
        let missing = Config::read(Path::new("/nowhere/relayer.toml")).unwrap_err();
        assert!(missing.to_string().contains("--config"), "{missing}");
    }

    /// With swaps.
    fn swapping() -> String {
        format!(
            r#"{SMALL}
            [route.main.swaps]
            ethereum = "0x0606060606060606060606060606060606060606"
            native_keys = [{{ keystore = "swaps.json", password_file = "/abs/password" }}]
            ethereum_keys = [{{ keystore = "swaps.json", password_file = "/abs/password" }}]
            "#
        )
    }

    #[test]
    fn swaps_are_completed_where_they_are_configured() {
        assert_eq!(parse(SMALL).unwrap().route(None).unwrap().1.swaps, None);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relayer.toml");
        let rules = "[route.main.swaps.rules]\nleast_amount = \"7\"";
        fs::write(&path, format!("{}\n{rules}", swapping())).unwrap();
        let config = Config::read(&path).unwrap();
        let swaps = config.route(None).unwrap().1.swaps.as_deref().unwrap();
        assert_eq!(swaps.ethereum, Address::repeat_byte(6));
        assert_eq!((swaps.start_block, swaps.max_gas), (0, 500_000));
        assert_eq!(swaps.rules.least_amount.unwrap().to_string(), "7");
        for keys in [&swaps.native_keys, &swaps.ethereum_keys] {
            assert!(
                matches!(&keys[0], Key::Keystore(key) if key.keystore == directory.path().join("swaps.json"))
            );
        }
        let overrides = environment::of(
            [
                ("MILEVERSE_RELAYER__ROUTE__MAIN__SWAPS__START_BLOCK", "19"),
                (
                    "MILEVERSE_RELAYER__ROUTE__MAIN__SWAPS__NATIVE_KEYS__0__PASSWORD_FILE",
                    "/run/password",
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let config = Config::parse(&swapping(), &overrides).unwrap();
        let swaps = config.route(None).unwrap().1.swaps.as_deref().unwrap();
        assert_eq!(swaps.start_block, 19);
        assert!(
            matches!(&swaps.native_keys[0], Key::Keystore(key) if key.password_file == Path::new("/run/password"))
        );
    }

    #[test]
    fn bad_swaps_say_what_is_wrong() {
        let many = "native_keys = [] #";
        let list = format!(
            "ethereum = \"0x{}\"",
            "0000000000000000000000000000000000000000"
        );
        for (from, to, sentence) in [
            (
                "ethereum = \"0x0606060606060606060606060606060606060606\"",
                list.as_str(),
                "swaps.ethereum is the zero address",
            ),
            (
                "ethereum = \"0x0606060606060606060606060606060606060606\"",
                "",
                "missing field `ethereum`",
            ),
            (
                "native_keys",
                many,
                "entries of swaps.native_keys must be 1 to 16",
            ),
            ("ethereum_keys", "keys", "unknown field"),
            (
                "[route.main.swaps]",
                "[route.main.swaps]\nmax_gas = 1",
                "swaps.max_gas must be 100000 to 10000000",
            ),
            ("[route.main.swaps]", "[route.main.swap]", "unknown field"),
        ] {
            let error = parse(&swapping().replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(sentence), "{error}");
        }
        let table = swapping();
        let table = table.split_once("[route.main.swaps]").unwrap().1;
        let error = parse(&format!("{}\n[route.main.swaps]{table}", between())).unwrap_err();
        assert!(error.contains("leave the table `swaps` out"), "{error}");
    }

    #[test]
    fn the_environment_wins() {
        let overrides = environment::of(
            [
                (
                    "MILEVERSE_RELAYER__DATABASE",
                    "postgres://u:secret@db/relayer",
                ),
                ("MILEVERSE_RELAYER__LISTEN", "127.0.0.1:9"),
                (
                    "MILEVERSE_RELAYER__ROUTE__MAIN__ETHEREUM__MAX_FEE_GWEI",
                    "30",
                ),
                (
                    "MILEVERSE_RELAYER__ROUTE__MAIN__NATIVE__RPC",
                    r#"["http://a", "http://b"]"#,
                ),
                (
                    "MILEVERSE_RELAYER__ROUTE__MAIN__NATIVE__KEYS__0__KEYSTORE",
                    "/other.json",
                ),
                (
                    "MILEVERSE_RELAYER__ROUTE__MAIN__RULES__LEAST_AMOUNT",
                    "\"7\"",
                ),
                ("PATH", "/bin"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let config = Config::parse(SMALL, &overrides).unwrap();
        assert_eq!(config.database.to_string(), "postgres://db/relayer");
        assert!(!format!("{config:?}").contains("secret"));
        let (_, route) = config.route(Some("main")).unwrap();
        assert_eq!(ethereum(route).max_fee_gwei, 30);
        assert_eq!(route.native.rpc, ["http://a", "http://b"]);
        assert!(
            matches!(&route.native.keys[0], Key::Keystore(key) if key.keystore == Path::new("/other.json"))
        );
        assert!(route.rules.least_amount.is_some());
        let wrong = environment::of([("MILEVERSE_RELAYER__DATABASE__X".into(), "1".into())]);
        assert!(
            Config::parse(SMALL, &wrong)
                .unwrap_err()
                .contains("MILEVERSE_RELAYER__DATABASE__X")
        );
    }
}
