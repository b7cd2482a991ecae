//! The files of a net on this machine: keys, genesis, a directory for each validator.

use crate::error::Error;
use mileverse_fixtures::ports;
use mileverse_node::{
    dealer::{self, Dealing},
    secrets::{Cost, Passphrase},
};
use mileverse_primitives::{
    Address, B256, U256,
    bridge::BridgeRules,
    genesis::{self, EPOCH_BLOCKS_PER_MEMBER, EthereumSide, Genesis, Issuer},
    points::PointsRules,
    rewards::RewardRules,
    staking::{StakingRules, coins},
};
use serde::Serialize;
use std::{
    fs,
    net::SocketAddr,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// EIP-155 chain id of measured nets.
pub const CHAIN_ID: u64 = 77_771;
/// Chain id of the Ethereum that they look at.
pub const ETHEREUM_CHAIN_ID: u64 = 31_337;

/// Who receives what transfers of points cost.
const FEES: Address = Address::repeat_byte(0xfe);

/// A validator about to be started.
pub struct Seat {
    /// Its consensus key.
    pub key: B256,
    /// Where it listens for the others.
    pub listen: SocketAddr,
    /// Its directory.
    pub directory: PathBuf,
    cache_mib: Option<NonZeroU32>,
}

#[derive(Serialize)]
struct Config {
    genesis: &'static str,
    data_dir: &'static str,
    keys: &'static str,
    passphrase_file: &'static str,
    listen: SocketAddr,
    rpc: &'static str,
    metrics: &'static str,
    ethereum_rpc: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_mib: Option<NonZeroU32>,
    peers: Vec<Peer>,
}

/// Another validator, as a configuration file names it.
#[derive(Clone, Serialize)]
pub struct Peer {
    /// Its consensus key.
    pub public_key: B256,
    /// Where to connect to it.
    pub address: SocketAddr,
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(file(path))
}

/// How often blocks are made, as in a genesis file.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Least time between two blocks, milliseconds.
    pub block_time_ms: u64,
    /// Longest time without a block when nothing waits, milliseconds.
    pub idle_block_time_ms: u64,
}

impl Pace {
    /// That of the sample network.
    pub fn sample() -> Result<Self, Error> {
        let sample = mileverse_fixtures::genesis::sample();
        let sample = sample.map_err(|error| Error::Setup(error.to_string()))?;
        Ok(Self {
            block_time_ms: sample.block_time_ms,
            idle_block_time_ms: sample.idle_block_time_ms,
        })
    }
}

/// A net about to be laid out: what may be changed before that is the genesis.
pub struct Plan {
    /// The genesis file.
    pub genesis: Genesis,
    /// Memory of each for pages of the state, if it is not the default.
    pub cache_mib: Option<NonZeroU32>,
    dealing: Dealing,
    listens: Vec<SocketAddr>,
}

impl Plan {
    /// Deals the keys of a net of `validators`, with one issuer of points.
    pub fn new(validators: usize, pace: Pace, issuer: Address) -> Result<Self, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Setup(error.to_string());
        let sample = mileverse_fixtures::genesis::sample().map_err(|error| failed(&error))?;
        let dealing = dealer::deal(validators).map_err(|error| failed(&error))?;
        let listens = ports::free_addresses(validators).map_err(|source| Error::System {
            what: "free ports",
            source,
        })?;
        let stake = coins(sample.delegate_stake);
        let seats = listens
            .iter()
            .zip(1u8..)
            .map(|(address, number)| genesis::Seat {
                owner: Address::repeat_byte(number),
                address: *address,
                stake,
                commission_bp: sample.delegate_commission_bp,
            });
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let genesis = Genesis {
            chain_id: CHAIN_ID,
            timestamp_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            gas_limit: sample.gas_limit,
            block_time_ms: pace.block_time_ms,
            idle_block_time_ms: pace.idle_block_time_ms,
            epoch_blocks: sample
                .epoch_blocks
                .max(EPOCH_BLOCKS_PER_MEMBER * validators as u64),
            committee: dealing.committee(seats),
            issuers: vec![Issuer {
                address: issuer,
                daily_quota: U256::from(u64::MAX),
            }],
            points: PointsRules::paid_to(FEES),
            fees: sample.fees,
            bridge: BridgeRules::default(),
            ethereum: EthereumSide {
                chain_id: ETHEREUM_CHAIN_ID,
                bridge: Address::repeat_byte(1),
                coin: Address::repeat_byte(2),
                points: Address::repeat_byte(3),
                hashed_timelock: None,
            },
            staking: StakingRules {
                seats: u32::try_from(validators).unwrap_or(u32::MAX),
                ..StakingRules::default()
            },
            contracts: Vec::new(),
            peers: Vec::new(),
            rewards: RewardRules::default(),
            allocations: Vec::new(),
        };
        Ok(Self {
            genesis,
            cache_mib: None,
            dealing,
            listens,
        })
    }

    /// Writes the files of all validators below `root`.
    pub(super) fn lay_out(self, root: &Path) -> Result<Vec<Seat>, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Setup(error.to_string());
        let Self {
            genesis,
            cache_mib,
            dealing,
            listens,
        } = self;
        genesis.check().map_err(|error| failed(&error))?;
        let text = serde_json::to_string(&genesis).map_err(|error| failed(&error))?;
        write(&root.join("genesis.json"), &text)?;
        // The keys are worth nothing once the measurement is over, so guessing may be cheap.
        let passphrase =
            Passphrase::random_file(&root.join("passphrase")).map_err(|error| failed(&error))?;
        let mut seats = Vec::new();
        for (number, (keys, listen)) in dealing.keys.iter().zip(listens).enumerate() {
            let directory = root.join(format!("validator-{number}"));
            fs::create_dir_all(&directory).map_err(file(&directory))?;
            keys.write(&directory.join("keys.json"), &passphrase, Cost::LIGHT)
                .map_err(|error| failed(&error))?;
            seats.push(Seat {
                key: keys.consensus_key(),
                listen,
                directory,
                cache_mib,
            });
        }
        Ok(seats)
    }
}

impl Seat {
    /// Where its configuration file is.
    pub fn config(&self) -> PathBuf {
        self.directory.join("node.toml")
    }

    /// Where it keeps its data.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Where its log is.
    pub fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Writes its configuration file.
    pub fn configure(&self, ethereum_rpc: &str, peers: Vec<Peer>) -> Result<(), Error> {
        let config = Config {
            genesis: "../genesis.json",
            data_dir: "data",
            keys: "keys.json",
            passphrase_file: "../passphrase",
            listen: self.listen,
            rpc: "127.0.0.1:0",
            metrics: "127.0.0.1:0",
            ethereum_rpc: ethereum_rpc.to_owned(),
            cache_mib: self.cache_mib,
            peers,
        };
        let text = toml::to_string(&config).map_err(|error| Error::Setup(error.to_string()))?;
        write(&self.config(), &text)
    }
}
