//! `mileverse node init`: the files of a new node.
//!
//! ```txt
//! OUT/keys.json           the node's identity, sealed
//! OUT/genesis.json        a copy of the network's genesis file
//! OUT/node.toml           the configuration for `mileverse node run`
//! OUT/registration.json   public: what `mileverse delegate register` needs
//! ```
//!
//! Nothing is overwritten. The private key is made here, is written sealed, and is never shown.

use super::{Sealing, answer};
use crate::{config::read_limited, error::Error, secrets::ValidatorKeys};
use clap::Args;
use commonware_cryptography::Signer as _;
use mileverse_primitives::{
    Address, B256, Bytes, genesis::Genesis, registration::Registration, vote::possession_namespace,
};
use serde::Serialize;
use serde_json::json;
use std::{
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Directory of the new node.
    #[arg(long)]
    out: PathBuf,
    /// The network's genesis file.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// The account that will own the candidacy: it holds the stake; its key stays elsewhere.
    #[arg(long)]
    owner: Address,
    /// Where other validators will reach this node.
    #[arg(long, value_name = "IP:PORT")]
    address: SocketAddr,
    /// Where this node listens for them, if not on the same port of every interface.
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Where JSON-RPC listens.
    #[arg(long, default_value = "127.0.0.1:8545", value_name = "IP:PORT")]
    rpc: SocketAddr,
    /// Where metrics are served.
    #[arg(long, default_value = "127.0.0.1:9100", value_name = "IP:PORT")]
    metrics: SocketAddr,
    /// This node's own Ethereum endpoint.
    #[arg(long, value_name = "URL")]
    ethereum_rpc: String,
    /// Nodes to talk to beside those that the chain names: KEY@IP:PORT, any number of times.
    #[arg(long = "peer", value_name = "KEY@IP:PORT", value_parser = parse_peer)]
    peers: Vec<Peer>,
    /// JSON-RPC URL of a node that is asked to let this one in; any number of times.
    #[arg(long = "introduce", value_name = "URL")]
    introduce: Vec<String>,
    #[command(flatten)]
    sealing: Sealing,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Peer {
    public_key: B256,
    address: SocketAddr,
}

#[derive(Serialize)]
struct NodeFile<'a> {
    genesis: &'static str,
    data_dir: &'static str,
    keys: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    passphrase_file: Option<PathBuf>,
    listen: SocketAddr,
    rpc: SocketAddr,
    ethereum_rpc: &'a str,
    metrics: SocketAddr,
    public_address: SocketAddr,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    introduce: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    peers: &'a [Peer],
}

fn parse_peer(text: &str) -> Result<Peer, String> {
    let (key, address) = text.split_once('@').ok_or("a peer is KEY@IP:PORT")?;
    Ok(Peer {
        public_key: key
            .parse()
            .map_err(|_| "a peer's key is 0x and 64 hex digits")?,
        address: address.parse().map_err(|_| "a peer's address is IP:PORT")?,
    })
}

pub(super) fn init(arguments: &Arguments) -> Result<(), Error> {
    let text = read_limited(&arguments.genesis)?;
    let genesis = Genesis::parse(&text).map_err(|source| Error::Genesis {
        path: arguments.genesis.clone(),
        source,
    })?;
    let genesis_hash = genesis.hash().map_err(|source| Error::Genesis {
        path: arguments.genesis.clone(),
        source,
    })?;
    check_address(arguments.address)?;
    if arguments.owner.is_zero() {
        return Err(Error::Init("the owner is the zero address".into()));
    }
    let out = &arguments.out;
    let config = toml::to_string(&NodeFile {
        genesis: "genesis.json",
        data_dir: "data",
        keys: "keys.json",
        passphrase_file: absolute(arguments.sealing.passphrase_file.as_deref())?,
        listen: arguments.listen.unwrap_or_else(|| every(arguments.address)),
        rpc: arguments.rpc,
        ethereum_rpc: &arguments.ethereum_rpc,
        metrics: arguments.metrics,
        public_address: arguments.address,
        introduce: &arguments.introduce,
        peers: &arguments.peers,
    })
    .map_err(|error| Error::Init(error.to_string()))?;

    fs::create_dir_all(out).map_err(|source| Error::File {
        path: out.clone(),
        source,
    })?;
    let path = |name: &str| out.join(name);
    for name in [
        "keys.json",
        "genesis.json",
        "node.toml",
        "registration.json",
    ] {
        if path(name).exists() {
            return Err(Error::Init(format!(
                "{} is there already; choose an empty directory",
                path(name).display()
            )));
        }
    }
    let (passphrase, cost) = arguments.sealing.choose()?;
    let keys = ValidatorKeys::random();
    let possession = keys.identity.sign(
        &possession_namespace(genesis.chain_id),
        arguments.owner.as_slice(),
    );
    let registration = Registration {
        chain_id: genesis.chain_id,
        consensus_key: keys.consensus_key(),
        owner: arguments.owner,
        possession: Bytes::copy_from_slice(possession.as_ref()),
        address: arguments.address,
    };
    let described = serde_json::to_string_pretty(&registration)
        .map_err(|error| Error::Init(error.to_string()))?;
    keys.write(&path("keys.json"), &passphrase, cost)?;
    create(&path("genesis.json"), &text)?;
    create(&path("node.toml"), &config)?;
    create(&path("registration.json"), &described)?;

    let json = json!({
        "directory": out,
        "genesisHash": genesis_hash,
        "registration": registration,
    });
    let facts = vec![
        ("node", out.display().to_string()),
        ("genesis hash", genesis_hash.to_string()),
        ("consensus key", registration.consensus_key.to_string()),
        ("owner", registration.owner.to_string()),
        ("proof of possession", registration.possession.to_string()),
        ("address", registration.address.to_string()),
        (
            "run it",
            format!(
                "mileverse node run --config {}",
                path("node.toml").display()
            ),
        ),
        (
            "then register it",
            format!(
                "mileverse delegate register --registration {} --stake AMOUNT --commission-bp 500 --name NAME",
                path("registration.json").display()
            ),
        ),
    ];
    answer::print(facts, arguments.json.then_some(&json))
}

fn check_address(address: SocketAddr) -> Result<(), Error> {
    if address.port() == 0 || address.ip().is_unspecified() {
        return Err(Error::Init(format!(
            "nobody can reach {address}; give the IP address and port that others connect to"
        )));
    }
    Ok(())
}

/// The same port of every interface; of the loopback alone for an address there.
fn every(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if ip.is_loopback() => ip,
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, address.port())
}

fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    path.map(|path| {
        std::path::absolute(path).map_err(|source| Error::File {
            path: path.into(),
            source,
        })
    })
    .transpose()
}

fn create(path: &Path, text: &str) -> Result<(), Error> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| Error::File {
            path: path.into(),
            source,
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn peers_and_addresses_are_read_or_refused() {
        let key = B256::repeat_byte(7);
        let peer = parse_peer(&format!("{key}@203.0.113.5:9000")).unwrap();
        assert_eq!(peer.public_key, key);
        for bad in [
            "",
            "0x12@127.0.0.1:1",
            &format!("{key}"),
            &format!("{key}@host"),
        ] {
            assert!(parse_peer(bad).is_err(), "{bad}");
        }
        for bad in ["0.0.0.0:9000", "203.0.113.5:0", "[::]:9000"] {
            assert!(check_address(bad.parse().unwrap()).is_err(), "{bad}");
        }
        let listens = |address: &str| every(address.parse().unwrap()).to_string();
        assert_eq!(listens("203.0.113.5:9000"), "0.0.0.0:9000");
        assert_eq!(listens("127.0.0.1:9000"), "127.0.0.1:9000");
        assert_eq!(listens("[2001:db8::1]:9000"), "[::]:9000");
    }
}
