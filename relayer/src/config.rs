//! The configuration file.
//!
//! ```toml
//! database = "relayer.sqlite"        # paths are relative to this file
//! poll_interval_ms = 500             # 50 to 60,000
//!
//! [native]
//! rpc = "http://127.0.0.1:8545"
//! keystore = "keys/relayer.json"     # eth-keystore, version 3
//! password_file = "keys/password"
//! batch = 256                        # packets in one transaction, 1 to 256
//! max_gas = 25000000
//!
//! [ethereum]
//! rpc = "http://127.0.0.1:8546"
//! bridge = "0x…"
//! keystore = "keys/relayer.json"
//! password_file = "keys/password"
//! batch = 128                        # 1 to 128
//! max_gas = 15000000
//! max_fee_gwei = 500                 # waits while gas costs more
//! replace_after_s = 60               # offers more for a transaction that waits so long
//! start_block = 0                    # block of the bridge's deployment
//! log_range = 2000                   # blocks that one search for logs covers, 1 to 100,000
//! ```
//!
//! Everything with a default may be left out; a name that is not known is an error.

use crate::Error;
use mileverse_primitives::Address;
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

const MAX_FILE_LENGTH: u64 = 64 * 1024;
/// Most packets that Ethereum's bridge takes in one call.
pub const MAX_BATCH_TO_ETHEREUM: usize = 128;
/// Most packets that the native bridge takes in one call.
pub const MAX_BATCH_TO_NATIVE: usize = 256;

/// The whole file.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// SQLite file.
    pub database: PathBuf,
    /// Between two looks, milliseconds.
    #[serde(default = "defaults::poll_interval_ms")]
    pub poll_interval_ms: u64,
    /// The native chain.
    pub native: Native,
    /// Ethereum.
    pub ethereum: Ethereum,
}

/// The native chain.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Native {
    /// JSON-RPC endpoint.
    pub rpc: String,
    /// Keystore of the account that delivers there.
    pub keystore: PathBuf,
    /// Its password.
    pub password_file: PathBuf,
    /// Most packets in one transaction.
    #[serde(default = "defaults::batch_to_native")]
    pub batch: usize,
    /// Most gas for one transaction.
    #[serde(default = "defaults::max_gas_native")]
    pub max_gas: u64,
}

/// Ethereum.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Ethereum {
    /// JSON-RPC endpoint.
    pub rpc: String,
    /// The bridge contract.
    pub bridge: Address,
    /// Keystore of the account that delivers and pays there.
    pub keystore: PathBuf,
    /// Its password.
    pub password_file: PathBuf,
    /// Most packets in one transaction.
    #[serde(default = "defaults::batch_to_ethereum")]
    pub batch: usize,
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
}

mod defaults {
    pub(super) const fn poll_interval_ms() -> u64 {
        500
    }
    pub(super) const fn batch_to_native() -> usize {
        super::MAX_BATCH_TO_NATIVE
    }
    pub(super) const fn batch_to_ethereum() -> usize {
        super::MAX_BATCH_TO_ETHEREUM
    }
    pub(super) const fn max_gas_native() -> u64 {
        25_000_000
    }
    pub(super) const fn max_gas_ethereum() -> u64 {
        15_000_000
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

impl Config {
    /// Reads and checks a file; its paths become relative to nothing but the current directory.
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
        let mut config = Self::parse(&text).map_err(refuse)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        for file in [
            &mut config.database,
            &mut config.native.keystore,
            &mut config.native.password_file,
            &mut config.ethereum.keystore,
            &mut config.ethereum.password_file,
        ] {
            *file = directory.join(&*file);
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.lines().count().max(1));
            format!("near line {line}, {}", error.message())
        })?;
        let range = |name: &str, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(format!("{name} must be {low} to {high}, it is {value}"))
            }
        };
        let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        range("poll_interval_ms", config.poll_interval_ms, 50, 60_000)?;
        range(
            "native.batch",
            count(config.native.batch),
            1,
            count(MAX_BATCH_TO_NATIVE),
        )?;
        range(
            "ethereum.batch",
            count(config.ethereum.batch),
            1,
            count(MAX_BATCH_TO_ETHEREUM),
        )?;
        range(
            "native.max_gas",
            config.native.max_gas,
            100_000,
            1_000_000_000,
        )?;
        range(
            "ethereum.max_gas",
            config.ethereum.max_gas,
            500_000,
            1_000_000_000,
        )?;
        range(
            "ethereum.max_fee_gwei",
            config.ethereum.max_fee_gwei,
            1,
            1_000_000,
        )?;
        range(
            "ethereum.replace_after_s",
            config.ethereum.replace_after_s,
            5,
            86_400,
        )?;
        range("ethereum.log_range", config.ethereum.log_range, 1, 100_000)?;
        if config.ethereum.bridge.is_zero() {
            return Err("ethereum.bridge is the zero address; give the bridge contract's".into());
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SMALL: &str = r#"
        database = "relayer.sqlite"
        [native]
        rpc = "http://127.0.0.1:1"
        keystore = "a.json"
        password_file = "/abs/password"
        [ethereum]
        rpc = "http://127.0.0.1:2"
        bridge = "0x0404040404040404040404040404040404040404"
        keystore = "b.json"
        password_file = "password"
    "#;

    #[test]
    fn a_small_file_has_defaults_and_paths_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relayer.toml");
        fs::write(&path, SMALL).unwrap();
        let config = Config::read(&path).unwrap();
        assert_eq!(config.poll_interval_ms, 500);
        assert_eq!(config.ethereum.batch, 128);
        assert_eq!(config.native.batch, 256);
        assert_eq!(config.database, directory.path().join("relayer.sqlite"));
        assert_eq!(config.native.password_file, Path::new("/abs/password"));
    }

    #[test]
    fn bad_files_say_what_is_wrong() {
        for (from, to, sentence) in [
            ("database", "databse", "unknown field"),
            (
                "[ethereum]",
                "[ethereum]\nbatch = 129",
                "ethereum.batch must be 1 to 128",
            ),
            (
                "[native]",
                "[native]\nbatch = 0",
                "native.batch must be 1 to 256",
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
            ("[native]", "[native", "near line"),
        ] {
            let error = Config::parse(&SMALL.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(sentence), "{error}");
        }
        let missing = Config::read(Path::new("/nowhere/relayer.toml")).unwrap_err();
        assert!(missing.to_string().contains("--config"), "{missing}");
    }
}
