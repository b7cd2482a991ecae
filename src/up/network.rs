//! The native network: its keys, its genesis, and its validators as processes.

use super::{
    error::Error, ethereum::Contracts, files, keys::Keys, layout::Layout, process::Recipe,
    settings::Settings,
};
use alloy::primitives::{Address, B256, Bytes, U256};
use mileverse_fixtures::genesis::{self as sample, Network};
use mileverse_node::{
    dealer::deal,
    secrets::{Cost, Passphrase},
};
use mileverse_primitives::{
    bridge::BridgeRules,
    exchange,
    fees::FeeRules,
    genesis::{Committee, EthereumSide, Genesis, Issuer, Seat},
    points::{PointsRules, TransferFee},
    rewards::RewardRules,
    staking::{StakingRules, coins},
};
use serde::{Deserialize, Serialize};
use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};
use url::Url;

/// What the dealing told everybody.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dealt {
    /// The validators' keys, ascending; their directories have the same order.
    pub consensus_keys: Vec<B256>,
    /// The dealing's outcome, for the genesis.
    pub output: Bytes,
    /// The committee's one key, as the Ethereum contract takes it.
    pub group_key: Bytes,
}

/// A validator's configuration file.
#[derive(Debug, Serialize)]
struct NodeConfig {
    genesis: &'static str,
    data_dir: &'static str,
    keys: &'static str,
    passphrase_file: &'static str,
    listen: String,
    rpc: String,
    ethereum_rpc: Url,
}

/// The dealing of this directory; deals new keys if there was none yet.
pub fn dealing(layout: &Layout, settings: &Settings) -> Result<Dealt, Error> {
    if let Some(dealt) = files::read_json::<Dealt>(&layout.dealing())? {
        return Ok(dealt);
    }
    let dealing = deal(settings.validators).map_err(|error| Error::Genesis(error.to_string()))?;
    let passphrase = passphrase(layout)?;
    for (index, keys) in dealing.keys.iter().enumerate() {
        let path = layout.validator(index).join("keys.json");
        files::directory(&layout.validator(index))?;
        files::remove(&path)?;
        keys.write(&path, &passphrase, Cost::LIGHT)
            .map_err(|error| Error::Genesis(error.to_string()))?;
    }
    let dealt = Dealt {
        consensus_keys: dealing.public_keys(),
        output: dealing.output,
        group_key: dealing.group_key,
    };
    // Last: a dealing that stopped halfway is dealt again.
    files::write_json(&layout.dealing(), &dealt)?;
    Ok(dealt)
}

/// Coin that exists on the native chain from its block 0; as much is locked on Ethereum when the
/// bridge is deployed, before the genesis file can name it.
pub fn genesis_coins(settings: &Settings, dealt: &Dealt, keys: &Keys) -> Result<U256, Error> {
    let nowhere = EthereumSide {
        chain_id: 0,
        bridge: Address::ZERO,
        coin: Address::ZERO,
        points: Address::ZERO,
        hashed_timelock: None,
    };
    draft(settings, dealt, keys, nowhere, None, 0)?
        .coins()
        .map_err(|error| Error::Genesis(error.to_string()))
}

/// The passphrase that seals all validators' keys; made at the first start. It is random, so a light
/// cost of guessing is enough.
fn passphrase(layout: &Layout) -> Result<Passphrase, Error> {
    let path = layout.passphrase();
    let found = if path.exists() {
        Passphrase::read(&path)
    } else {
        Passphrase::random_file(&path)
    };
    found.map_err(|error| Error::Genesis(error.to_string()))
}

/// The numbers of the network that `up` makes.
pub fn numbers() -> Result<Network, Error> {
    sample::sample().map_err(|error| Error::Genesis(error.to_string()))
}

/// The genesis of this directory; writes it if there is none yet.
pub fn genesis(
    layout: &Layout,
    settings: &Settings,
    dealt: &Dealt,
    contracts: &Contracts,
    keys: &Keys,
    now_ms: u64,
) -> Result<Genesis, Error> {
    let ethereum = EthereumSide {
        chain_id: contracts.chain_id,
        bridge: contracts.bridge,
        coin: contracts.coin,
        points: contracts.points,
        hashed_timelock: Some(contracts.hashed_timelock),
    };
    let source = Some(contracts.rewards);
    let genesis = draft(settings, dealt, keys, ethereum, source, now_ms)?;
    if let Some(text) = files::read(&layout.genesis())? {
        let written = Genesis::parse(&text).map_err(|error| Error::Genesis(error.to_string()))?;
        let other = |what| Error::OtherGenesis {
            path: layout.genesis(),
            what,
        };
        if written.committee != genesis.committee {
            return Err(other("its committee"));
        }
        if written.ethereum != genesis.ethereum {
            return Err(other("its side of Ethereum"));
        }
        return Ok(written);
    }
    genesis
        .check()
        .map_err(|error| Error::Genesis(error.to_string()))?;
    files::write_json(&layout.genesis(), &genesis)?;
    Ok(genesis)
}

/// The genesis of a new directory.
fn draft(
    settings: &Settings,
    dealt: &Dealt,
    keys: &Keys,
    ethereum: EthereumSide,
    source: Option<Address>,
    now_ms: u64,
) -> Result<Genesis, Error> {
    let network = numbers()?;
    let mut points = PointsRules {
        guardian: keys.treasury.address(),
        fee: TransferFee {
            basis_points: network.transfer_fee_bp,
            cap: U256::from(network.transfer_fee_cap),
            receiver: keys.treasury.address(),
            exempt: Vec::new(),
        },
        lane: network.lane,
    };
    exchange::exempt(&mut points);
    let mut rewards = RewardRules {
        source,
        ..RewardRules::default()
    };
    exchange::exclude(&mut rewards);
    let mut contracts = exchange::contracts();
    // The gateway pays for those who have no coin yet.
    exchange::operate(&mut contracts, keys.treasury.address());
    Ok(Genesis {
        chain_id: network.chain_id,
        timestamp_ms: now_ms,
        gas_limit: network.gas_limit,
        block_time_ms: network.block_time_ms,
        idle_block_time_ms: network.idle_block_time_ms,
        epoch_blocks: network.epoch_blocks,
        committee: committee(settings, dealt, keys, &network),
        issuers: vec![Issuer {
            address: keys.issuer.address(),
            daily_quota: U256::from(network.issuer_daily_quota),
        }],
        points,
        fees: FeeRules {
            base_price: settings.base_price,
            ..network.fees
        },
        ethereum,
        // A development net has nobody else to watch it.
        bridge: BridgeRules {
            guardian: keys.issuer.address(),
            governor: keys.issuer.address(),
            ..BridgeRules::default()
        },
        staking: StakingRules {
            seats: u32::try_from(settings.validators).unwrap_or(u32::MAX),
            reward_pool: coins(network.reward_pool),
            reward_per_epoch: coins(network.reward_per_epoch),
            ..StakingRules::default()
        },
        rewards,
        allocations: Vec::new(),
        contracts,
        peers: Vec::new(),
    })
}

/// The first committee: who owns each validator, where it is reached, what it stakes.
fn committee(settings: &Settings, dealt: &Dealt, keys: &Keys, network: &Network) -> Committee {
    let seats = settings
        .ports
        .consensus
        .iter()
        .zip(&keys.owners)
        .map(|(port, owner)| Seat {
            owner: owner.address(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, *port)),
            stake: coins(network.delegate_stake),
            commission_bp: network.delegate_commission_bp,
        });
    Committee::seated(
        dealt.consensus_keys.iter().copied(),
        dealt.output.clone(),
        seats,
    )
}

/// Writes the validators' configuration files and says how to start each.
pub fn validators(
    layout: &Layout,
    settings: &Settings,
    ethereum: &Url,
) -> Result<Vec<Recipe>, Error> {
    let program = this_program()?;
    let ports = settings.ports.consensus.iter().zip(&settings.ports.rpc);
    ports
        .enumerate()
        .map(|(index, (consensus, rpc))| {
            let directory = layout.validator(index);
            let config = NodeConfig {
                genesis: "../../genesis.json",
                data_dir: "data",
                keys: "keys.json",
                passphrase_file: "../../passphrase",
                listen: format!("127.0.0.1:{consensus}"),
                rpc: format!("127.0.0.1:{rpc}"),
                ethereum_rpc: ethereum.clone(),
            };
            let path = directory.join("node.toml");
            write_toml(&path, &config)?;
            let name = format!("validator-{index}");
            Ok(Recipe {
                log: layout.log(&name),
                name,
                program: program.clone(),
                arguments: vec![
                    "--exit-with-stdin".into(),
                    "node".into(),
                    "run".into(),
                    "--config".into(),
                    path.into(),
                ],
                directory,
            })
        })
        .collect()
}

/// This program, to be started again as a child.
pub fn this_program() -> Result<PathBuf, Error> {
    env::current_exe().map_err(|source| Error::System {
        what: "the path of this program",
        source,
    })
}

/// Writes a configuration file.
pub fn write_toml<T: Serialize>(path: &std::path::Path, value: &T) -> Result<(), Error> {
    let text = toml::to_string(value).map_err(|error| Error::Content {
        path: path.into(),
        reason: error.to_string(),
    })?;
    files::write(path, &text)
}
