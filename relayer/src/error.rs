//! What ends the relayer, and what it only waits out.

use crate::{keys::SignerError, store::Database};
use mileverse_primitives::Address;
use mileverse_wallet::{
    client::ClientError,
    keystore::KeystoreError,
    rpc::{Chain, RpcError},
};
use std::path::PathBuf;
use thiserror::Error;

/// Any failure of the relayer.
#[derive(Debug, Error)]
pub enum Error {
    /// The configuration file cannot be used.
    #[error("the configuration {path} cannot be used: {reason}")]
    Config {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A key.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The database cannot be opened.
    #[error(
        "the database {database} cannot be opened ({reason}); check its place and its permissions"
    )]
    Database {
        /// Which.
        database: Database,
        /// Why.
        reason: String,
    },
    /// Another relayer has it.
    #[error(
        "another relayer is running on the database {0}; stop it first, or use another database"
    )]
    Locked(Database),
    /// The database failed while running.
    #[error("the relayer's database failed: {0}; check the disk, then start the relayer again")]
    Store(#[from] sqlx::Error),
    /// The database holds something it never should.
    #[error(
        "the relayer's database is damaged ({0}); move it away and start again, nothing is lost but time"
    )]
    Damaged(String),
    /// The database was made on other chains.
    #[error(
        "the database knows the route {0} on another network; name the route differently, or use another database"
    )]
    OtherNetwork(String),
    /// The two ends of a route do not know each other.
    #[error("{0}; check the endpoints, chain ids and addresses in the configuration")]
    Mismatch(String),
    /// An endpoint; passes.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The chain's gas costs more than allowed; passes.
    #[error(
        "gas on {chain} costs {needed} wei, more than max_fee_gwei allows ({allowed} wei); waiting for it to fall"
    )]
    TooDear {
        /// Which chain.
        chain: Chain,
        /// Now.
        needed: u128,
        /// Allowed.
        allowed: u128,
    },
    /// An answer of an endpoint leaves out a packet that must be there; passes.
    #[error(
        "the endpoint of {chain} leaves out {missing}; asking again (if this goes on, check the endpoint, and ethereum.start_block)"
    )]
    Gap {
        /// Which chain.
        chain: Chain,
        /// The first packet that is missing, as people call it.
        missing: String,
    },
    /// Bytes that an endpoint gave are not what the chain holds; found again. Passes.
    #[error("the source holds another packet {sequence} than its endpoint said; finding it again")]
    Rewound {
        /// The first such packet.
        sequence: u64,
    },
    /// A signature.
    #[error(transparent)]
    Sign(#[from] SignerError),
    /// A question about a packet or an account.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No such route.
    #[error("the configuration has no route {name:?}; it has {known}")]
    Route {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A packet did not come to its end in time.
    #[error("{0}")]
    Unfinished(String),
    /// `check` found something wrong.
    #[error("{0} of the checks failed; what to do stands beside each")]
    Checks(usize),
    /// The HTTP server.
    #[error("the relayer cannot listen on {address} ({source}); choose another listen address")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The runtime or the signal handlers.
    #[error("the relayer could not start: {0}")]
    Start(std::io::Error),
    /// Standard output is closed.
    #[error("the answer could not be written to standard output: {0}")]
    Output(std::io::Error),
}

impl Error {
    /// Whether waiting may help. What does not pass ends the process.
    pub const fn passes(&self) -> bool {
        matches!(
            self,
            Self::Rpc(_)
                | Self::TooDear { .. }
                | Self::Gap { .. }
                | Self::Rewound { .. }
                | Self::Sign(SignerError::Remote { .. })
        )
    }

    /// On which kind of chain endpoints said something that cannot be right, if that is what went wrong.
    pub(crate) const fn doubtful(&self) -> Option<Chain> {
        match self {
            Self::Rpc(RpcError::Nonsense { chain, .. } | RpcError::Refused { chain, .. })
            | Self::Gap { chain, .. } => Some(*chain),
            _ => None,
        }
    }

    /// The bridge in the configuration is not the one that the native chain names.
    pub(crate) fn bridge(configured: Address, named: Address) -> Self {
        Self::Mismatch(format!(
            "the native chain's bridge on Ethereum is {named}, the configuration says {configured}"
        ))
    }
}
