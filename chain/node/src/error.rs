//! What can stop a node from starting, each said so that its operator knows what to do.

use crate::{command::genesis::SpecError, secrets::SecretError};
use mileverse_consensus::{application::GenesisBlockError, committee::CommitteeError};
use mileverse_primitives::{B256, genesis::GenesisError};
use std::path::PathBuf;
use thiserror::Error;

/// Why a node cannot start or had to stop.
#[derive(Debug, Error)]
pub enum Error {
    /// A file that cannot be read or written.
    #[error("cannot access {path}: {source}; check the path and its permissions")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A configuration file that says something else than expected.
    #[error("{path} is not a valid node configuration: {message}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A key file that cannot be used.
    #[error("{path} does not hold keys for this network: {message}")]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A sealed file, or the passphrase that opens it.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A genesis file that breaks a rule.
    #[error("{path}: {source}")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// The rule.
        source: GenesisError,
    },
    /// The genesis file's committee cannot be read.
    #[error(
        "the genesis file's committee is damaged: {0}; get the file again from whoever runs the network"
    )]
    Committee(#[from] CommitteeError),
    /// Keys that cannot be dealt.
    #[error("the keys cannot be dealt: {0}")]
    Deal(String),
    /// A new node's files that cannot be made.
    #[error("the node cannot be initialised: {0}")]
    Init(String),
    /// A description of a network that gives no genesis file.
    #[error("{path} describes no network: {source}")]
    Spec {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SpecError,
    },
    /// What an account holds could not be proven.
    #[error("nothing is proven: {0}")]
    Proof(String),
    /// Standard output is closed.
    #[error("the answer could not be written to standard output: {0}")]
    Output(std::io::Error),
    /// A `[[peers]]` entry that cannot be one.
    #[error("the configuration's [[peers]] entry {0} is not an ed25519 public key")]
    Peer(B256),
    /// There is no first block.
    #[error("the genesis file gives no first block: {0}")]
    GenesisBlock(#[from] GenesisBlockError),
    /// State of another network.
    #[error(
        "{path} belongs to the network with genesis {found}, not {expected}; use another data_dir or the right genesis file"
    )]
    OtherGenesis {
        /// The data directory.
        path: PathBuf,
        /// Its genesis hash.
        found: String,
        /// The configured one.
        expected: String,
    },
    /// A port that something else has.
    #[error(
        "cannot listen on {address} for {purpose}: {source}; free the port or choose another in the configuration"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What it is for.
        purpose: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// JSON-RPC cannot be served.
    #[error(transparent)]
    Rpc(#[from] mileverse_rpc::ServeError),
    /// The index database failed.
    #[error("the block index in {path} cannot be opened: {message}")]
    Index {
        /// The file.
        path: PathBuf,
        /// What it said.
        message: String,
    },
    /// What the node signed or found before.
    #[error(transparent)]
    Duties(#[from] mileverse_consensus::duties::DutiesError),
    /// An Ethereum endpoint that cannot be one.
    #[error("ethereum_rpc {0:?} is not a URL; give one such as http://127.0.0.1:8545")]
    EthereumUrl(String),
    /// A node to visit that cannot be one.
    #[error(
        "introduce has {0:?}, which is not a URL; give JSON-RPC URLs such as http://203.0.113.1:8545, at most 16"
    )]
    Introduce(String),
    /// A part of the node stopped.
    #[error("the node stopped: {0}")]
    Stopped(String),
}
