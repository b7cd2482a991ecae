//! The chain, the issuers' keys, and how conversions are issued together.

use super::ConfigError;
use super::read::{http_url, read_secret, wrong};
use secrecy::SecretString;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use url::Url;

const MAX_ISSUERS: usize = 64;

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChainFile {
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
pub(super) struct IssuerFile {
    keystore: PathBuf,
    password_file: PathBuf,
}

impl ChainFile {
    pub(super) fn check(self, folder: &Path) -> Result<ChainConfig, ConfigError> {
        let first = IssuerFile {
            keystore: self.issuer_keystore,
            password_file: self.issuer_password_file,
        };
        let mut issuers = Vec::new();
        for key in [first].into_iter().chain(self.more_issuers) {
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
        Ok(ChainConfig {
            rpc_url: http_url("chain.rpc_url".to_owned(), self.rpc_url)?,
            issuers,
            batches: Batches {
                entries: within(
                    "chain.issues_in_batch",
                    self.issues_in_batch,
                    Batches::default().entries,
                    Batches::MOST_ENTRIES,
                )?,
                in_flight: within(
                    "chain.issues_in_flight",
                    self.issues_in_flight,
                    Batches::default().in_flight,
                    Batches::MOST_IN_FLIGHT,
                )?,
            },
        })
    }
}
