//! A node's configuration file (TOML). Paths are relative to the file.
//!
//! ```toml
//! genesis = "../genesis.json"
//! data_dir = "data"
//! keys = "keys.json"               # the node's identity, sealed under its operator's passphrase
//! passphrase_file = "passphrase"   # optional; see `secrets::passphrase` for the other ways
//! listen = "127.0.0.1:9000"        # other validators
//! rpc = "127.0.0.1:8545"           # JSON-RPC; port 0 takes a free one
//! ethereum_rpc = "http://127.0.0.1:8546"
//! metrics = "127.0.0.1:9100"       # optional: Prometheus metrics, /health, /ready
//! cache_mib = 1024                 # optional: memory for pages of the state; see docs/operations.md
//!
//! public_address = "203.0.113.7:9000"     # where others see this node, if not at `listen`
//! introduce = ["http://203.0.113.1:8545"] # nodes that are asked, over JSON-RPC, to let it in
//!
//! [history]                        # optional: states of the past, for eth_call and traces
//! blocks = 256                     # after each of so many newest blocks
//! archive = false                  # or after every block
//!
//! [rpc_limits]                     # optional: what one client may ask for; see docs/rpc.md
//! per_second = 500
//! burst = 5000
//! connections = 64
//! limit_loopback = false           # whether clients on this machine are held to it too
//!
//! [[peers]]                        # optional: nodes beside the chain's own delegates and players,
//!                                  # or another way to reach one of them
//! public_key = "0x…"               # ed25519, 32 bytes
//! address = "127.0.0.1:9001"
//! ```

use crate::error::Error;
use mileverse_consensus::{
    bls,
    index::{RECENT, Retention},
    pages,
};
use mileverse_primitives::{
    B256,
    genesis::{Genesis, GenesisError},
};
use mileverse_rpc::Limits;
use serde::Deserialize;
use std::{
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

/// Largest configuration or genesis file, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What a node is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Genesis file.
    pub genesis: PathBuf,
    /// Directory of this node's state.
    pub data_dir: PathBuf,
    /// Key file.
    pub keys: PathBuf,
    /// File with the passphrase that opens the keys.
    pub passphrase_file: Option<PathBuf>,
    /// Where other validators connect.
    pub listen: SocketAddr,
    /// Where JSON-RPC listens.
    pub rpc: SocketAddr,
    /// This validator's own Ethereum endpoint.
    pub ethereum_rpc: String,
    /// Where others see this node connect from; `listen` if it is not said.
    #[serde(default)]
    pub public_address: Option<SocketAddr>,
    /// JSON-RPC URLs of nodes that are asked to let this one in. A node that the chain names, or
    /// that the others' configurations name, needs none.
    #[serde(default)]
    pub introduce: Vec<String>,
    /// Where metrics are served, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// Memory for pages of the state, MiB: 1 to [`pages::MOST_MIB`]. If it is not said, what fits the state
    /// that is there at the node's start ([`pages::fitting`]).
    pub cache_mib: Option<NonZeroU32>,
    /// How many states of the past are kept.
    #[serde(default)]
    pub history: History,
    /// What one client of JSON-RPC may ask for.
    #[serde(default)]
    pub rpc_limits: Limits,
    /// Nodes to talk to beside those that the chain names, or other addresses for some of those.
    #[serde(default)]
    pub peers: Vec<Peer>,
}

/// How many states of the past are kept.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// Those after each of so many newest blocks.
    pub blocks: u64,
    /// All of them.
    pub archive: bool,
}

impl Default for History {
    fn default() -> Self {
        Self {
            blocks: RECENT,
            archive: false,
        }
    }
}

impl History {
    /// The same for the index.
    pub const fn retention(self) -> Retention {
        if self.archive {
            Retention::Archive
        } else {
            Retention::Recent(self.blocks)
        }
    }
}

/// Another node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its ed25519 public key.
    pub public_key: B256,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Config {
    /// Where consensus keeps its files.
    pub fn storage(&self) -> PathBuf {
        self.data_dir.join("consensus")
    }

    /// Reads a configuration file and makes its paths absolute to the file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = read_limited(path)?;
        let mut config: Self = toml::from_str(&text).map_err(|error| Error::Config {
            path: path.into(),
            message: error.message().into(),
        })?;
        if config.cache_mib > Some(pages::MOST_MIB) {
            return Err(Error::Config {
                path: path.into(),
                message: format!("cache_mib is at most {}", pages::MOST_MIB),
            });
        }
        let base = path.parent().unwrap_or_else(|| Path::new("."));
        let paths = [&mut config.genesis, &mut config.data_dir, &mut config.keys];
        for relative in paths.into_iter().chain(&mut config.passphrase_file) {
            *relative = base.join(&relative);
        }
        Ok(config)
    }

    /// Reads and checks the genesis file.
    pub fn read_genesis(&self) -> Result<Genesis, Error> {
        let text = read_limited(&self.genesis)?;
        Genesis::parse(&text)
            .and_then(|genesis| check_peers(&genesis).map(|()| genesis))
            .map_err(|source| Error::Genesis {
                path: self.genesis.clone(),
                source,
            })
    }
}

/// Refuses a genesis file with a peer whose group key is no point of the group: nothing that comes
/// from there could ever be proven.
pub(crate) fn check_peers(genesis: &Genesis) -> Result<(), GenesisError> {
    let mut peers = genesis.peers.iter();
    match peers.find(|peer| bls::read_group_key(&peer.group_key).is_err()) {
        Some(peer) => Err(GenesisError::Peer(peer.chain_id)),
        None => Ok(()),
    }
}

/// Reads a text file of at most 1 MiB.
pub(crate) fn read_limited(path: &Path) -> Result<String, Error> {
    let failed = |source| Error::File {
        path: path.into(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE_BYTES {
        return Err(failed(std::io::Error::other("larger than 1 MiB")));
    }
    std::fs::read_to_string(path).map_err(failed)
}
