//! How a verb reaches a chain and a key: the options that all verbs of the wallet share, once.
//!
//! | option | environment |
//! |---|---|
//! | `--native-rpc` | `MILEVERSE_NATIVE_RPC` |
//! | `--ethereum-rpc` | `MILEVERSE_ETHEREUM_RPC` |
//! | `--keystore` | `MILEVERSE_KEYSTORE` |
//! | `--password-file` | `MILEVERSE_PASSWORD` holds the password itself |

use crate::{
    keystore::{self, KeystoreError},
    rpc::Chain,
};
use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use clap::Args;
use std::{future::Future, io, path::PathBuf};
use thiserror::Error;

/// An endpoint that nobody named.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("no endpoint of {chain} is known; use {} or set {}", self.option(), self.variable())]
pub struct NoEndpoint {
    /// Which chain.
    pub chain: Chain,
}

impl NoEndpoint {
    const fn option(self) -> &'static str {
        match self.chain {
            Chain::Native => "--native-rpc",
            Chain::Ethereum => "--ethereum-rpc",
        }
    }

    const fn variable(self) -> &'static str {
        match self.chain {
            Chain::Native => "MILEVERSE_NATIVE_RPC",
            Chain::Ethereum => "MILEVERSE_ETHEREUM_RPC",
        }
    }
}

/// Where the native chain is.
#[derive(Args, Debug)]
pub(crate) struct Native {
    /// JSON-RPC endpoint of the native chain.
    #[arg(long, env = "MILEVERSE_NATIVE_RPC", global = true, value_name = "URL")]
    native_rpc: Option<String>,
}

impl Native {
    pub(crate) fn url(&self) -> Result<&str, NoEndpoint> {
        let chain = Chain::Native;
        self.native_rpc.as_deref().ok_or(NoEndpoint { chain })
    }
}

/// Where Ethereum is.
#[derive(Args, Debug)]
pub(crate) struct Ethereum {
    /// JSON-RPC endpoint of Ethereum.
    #[arg(
        long,
        env = "MILEVERSE_ETHEREUM_RPC",
        global = true,
        value_name = "URL"
    )]
    ethereum_rpc: Option<String>,
}

impl Ethereum {
    pub(crate) fn url(&self) -> Result<&str, NoEndpoint> {
        let chain = Chain::Ethereum;
        self.ethereum_rpc.as_deref().ok_or(NoEndpoint { chain })
    }
}

/// Whose key signs.
#[derive(Args, Debug)]
pub(crate) struct Key {
    /// Keystore file (eth-keystore, version 3).
    #[arg(
        long,
        env = "MILEVERSE_KEYSTORE",
        global = true,
        value_name = "FILE",
        default_value = "mileverse.json"
    )]
    pub(crate) keystore: PathBuf,
    /// File with the keystore's password; without it, MILEVERSE_PASSWORD is used.
    #[arg(long, global = true, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Key {
    pub(crate) fn password(&self) -> Result<String, KeystoreError> {
        keystore::password(self.password_file.as_deref())
    }

    pub(crate) fn signer(&self) -> Result<PrivateKeySigner, KeystoreError> {
        keystore::open(&self.keystore, &self.password()?)
    }

    /// The account named, or the keystore's own.
    pub(crate) fn account(&self, named: Option<Address>) -> Result<Address, KeystoreError> {
        named.map_or_else(|| self.signer().map(|signer| signer.address()), Ok)
    }
}

/// Runs a verb to its end on this thread.
///
/// # Errors
///
/// The runtime could not be made.
pub(crate) fn block_on<F: Future>(verb: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(verb))
}
