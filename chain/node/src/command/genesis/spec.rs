//! `mileverse genesis new`: from a short description to a genesis file.
//!
//! ```toml
//! chain_id = 8217
//! epoch_blocks = 300
//! dealing = "dealing.json"        # as `mileverse node deal` wrote it; relative to this file
//! block_time_ms = 200             # optional, as are the next four
//! idle_block_time_ms = 1000
//! gas_limit = 30000000
//! timestamp_ms = 1795236221000    # now, if left out
//! exchange = true                 # place the exchange (docs/swap.md), unless this says false
//! exchange_operator = "0x…"       # who may pay the gas of swaps (docs/fees.md); nobody, if left out
//!
//! [ethereum]
//! chain_id = 1
//! bridge = "0x…"
//! coin = "0x…"
//! points = "0x…"
//! hashed_timelock = "0x…"         # swaps without the bridge (docs/swap.md); not known, if left out
//!
//! [[members]]                     # in the order of validator-0, validator-1, …
//! owner = "0x…"
//! address = "203.0.113.5:9000"
//! stake = "10000"                 # MVC with decimals
//! commission_bp = 500
//!
//! [[issuers]]                     # any number
//! address = "0x…"
//! daily_quota = "1000000"         # MVP with decimals
//!
//! [points]                        # no fees and no guardian, if left out; as in the genesis file
//! guardian = "0x…"
//! fee = { basisPoints = 30, cap = "300000000", receiver = "0x…", exempt = [] }
//! lane = { shareBp = 9000, price = 1, least = 3000 }
//!
//! [fees]                          # gas is free and contracts may use the whole block, if left out
//! basePrice = 1000000000          # least price of a gas, in the coin's smallest unit
//! contractBp = 1000
//! noticeSeconds = 3600            # of operators who pay for their contract's users
//! freeGasPerCoin = 100            # for each MVC of stake in a window; none if left out
//! freeGasEpochs = 288             # a window, at most staking.unbondingEpochs
//! freeGasBp = 2500                # of the contracts' part of a block
//!
//! [[allocations]]                 # any number
//! address = "0x…"
//! amount = "250.5"                # MVC with decimals
//!
//! [staking]                       # any of the rules, by their names in the genesis file
//! seats = 21
//! rewardPool = "4500000"          # coin in MVC with decimals, all else as in the genesis file
//!
//! [rewards]                       # the same for the quarterly rewards
//! pool = "18000000"
//! excluded = ["0x…"]
//! source = "0x…"                  # QuarterlyRewards on Ethereum; without it pots come out of the pool
//!
//! [bridge]                        # who may stop the bridge and open it again, and what may cross
//! guardian = "0x…"
//! governor = "0x…"
//! points = { sendPerHour = "10000000000000000" }   # smallest units, as in the genesis file
//!
//! [[peers]]                       # any number: other native chains; the governor may add some later
//! chainId = 8218
//! groupKey = "0x…"                # 256 bytes, as `mileverse_groupKeys` says, or that chain's dealing.json
//! points = { sendPerHour = "1000000000" }          # limits of this chain's points, if any
//! peerPoints = { receivePerDay = "1000000000" }    # and of the peer's
//! ```
//!
//! Everything is checked as `genesis check` does, before anything is written.

use crate::{config::read_limited, dealer, error::Error};
use alloy::primitives::utils::parse_units;
use mileverse_primitives::{
    Address, U256,
    bridge::BridgeRules,
    exchange,
    fees::FeeRules,
    genesis::{Committee, EthereumSide, Genesis, Issuer, Seat},
    peers::Peer,
    points::PointsRules,
    staking::Allocation,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    fs::OpenOptions,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};
use thiserror::Error;

/// Rules that are nothing unless given: section and name.
const OPTIONAL_RULES: [(&str, &str); 1] = [("rewards", "source")];

const MVC_DECIMALS: u8 = 18;
const MVP_DECIMALS: u8 = 6;
/// The rules of staking that are amounts of coin.
const COIN_RULES: [&str; 6] = [
    "leastOwnStake",
    "rewardPool",
    "rewardPerEpoch",
    "pot",
    "leastPayment",
    "pool",
];

/// What is wrong with a description.
#[derive(Debug, Error)]
pub enum SpecError {
    /// Not TOML of this shape.
    #[error("{0}")]
    Toml(String),
    /// Not an amount.
    #[error("{what} is {text:?}; give a decimal number with at most {decimals} decimals")]
    Amount {
        /// Of what.
        what: &'static str,
        /// What was written.
        text: String,
        /// Decimals of the token.
        decimals: u8,
    },
    /// As many members as keys.
    #[error("it has {members} [[members]], and {keys} keys were dealt")]
    Members {
        /// Members described.
        members: usize,
        /// Keys dealt.
        keys: usize,
    },
    /// Not a dealing.
    #[error("{path} is not a dealing ({reason}); make one with `mileverse node deal`")]
    Dealing {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A rule that there is not.
    #[error("[{section}] {reason}")]
    Rule {
        /// Of which section.
        section: &'static str,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    chain_id: u64,
    epoch_blocks: u64,
    dealing: PathBuf,
    #[serde(default = "block_time")]
    block_time_ms: u64,
    #[serde(default = "idle_block_time")]
    idle_block_time_ms: u64,
    #[serde(default = "gas_limit")]
    gas_limit: u64,
    timestamp_ms: Option<u64>,
    ethereum: Ethereum,
    #[serde(default)]
    bridge: BridgeRules,
    #[serde(default)]
    peers: Vec<Peer>,
    members: Vec<Member>,
    #[serde(default)]
    issuers: Vec<Quota>,
    #[serde(default)]
    points: PointsRules,
    #[serde(default)]
    fees: FeeRules,
    #[serde(default)]
    allocations: Vec<Amount>,
    #[serde(default = "yes")]
    exchange: bool,
    exchange_operator: Option<Address>,
    #[serde(default)]
    staking: toml::Table,
    #[serde(default)]
    rewards: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ethereum {
    chain_id: u64,
    bridge: Address,
    coin: Address,
    points: Address,
    hashed_timelock: Option<Address>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    owner: Address,
    address: SocketAddr,
    stake: String,
    commission_bp: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quota {
    address: Address,
    daily_quota: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    address: Address,
    amount: String,
}

const fn block_time() -> u64 {
    200
}

const fn idle_block_time() -> u64 {
    1000
}

const fn yes() -> bool {
    true
}

const fn gas_limit() -> u64 {
    30_000_000
}

/// Reads a description and the dealing that it names.
pub(super) fn read(path: &Path) -> Result<Genesis, Error> {
    let wrong = |source| Error::Spec {
        path: path.into(),
        source,
    };
    let spec: Spec = toml::from_str(&read_limited(path)?)
        .map_err(|error| wrong(SpecError::Toml(error.message().into())))?;
    let dealing = path
        .parent()
        .unwrap_or_else(|| Path::new("."))
        .join(&spec.dealing);
    let dealt: dealer::Public =
        serde_json::from_str(&read_limited(&dealing)?).map_err(|error| {
            wrong(SpecError::Dealing {
                path: dealing,
                reason: error.to_string(),
            })
        })?;
    spec.genesis(dealt).map_err(wrong)
}

impl Spec {
    fn genesis(self, dealt: dealer::Public) -> Result<Genesis, SpecError> {
        if self.members.len() != dealt.consensus_keys.len() {
            return Err(SpecError::Members {
                members: self.members.len(),
                keys: dealt.consensus_keys.len(),
            });
        }
        let seats = self
            .members
            .into_iter()
            .map(|member| {
                Ok(Seat {
                    owner: member.owner,
                    address: member.address,
                    stake: units("a member's stake", &member.stake, MVC_DECIMALS)?,
                    commission_bp: member.commission_bp,
                })
            })
            .collect::<Result<Vec<_>, SpecError>>()?;
        let issuers = self.issuers.into_iter().map(|issuer| {
            Ok(Issuer {
                address: issuer.address,
                daily_quota: units("an issuer's quota", &issuer.daily_quota, MVP_DECIMALS)?,
            })
        });
        let allocations = self.allocations.into_iter().map(|allocation| {
            Ok(Allocation {
                address: allocation.address,
                amount: units("an allocation", &allocation.amount, MVC_DECIMALS)?,
            })
        });
        let mut points = self.points;
        let mut rewards = rules("rewards", self.rewards)?;
        let mut contracts = Vec::new();
        if self.exchange {
            exchange::exempt(&mut points);
            exchange::exclude(&mut rewards);
            contracts = exchange::contracts();
            if let Some(operator) = self.exchange_operator {
                exchange::operate(&mut contracts, operator);
            }
        }
        Ok(Genesis {
            chain_id: self.chain_id,
            timestamp_ms: self.timestamp_ms.unwrap_or_else(now_ms),
            gas_limit: self.gas_limit,
            block_time_ms: self.block_time_ms,
            idle_block_time_ms: self.idle_block_time_ms,
            epoch_blocks: self.epoch_blocks,
            committee: Committee::seated(dealt.consensus_keys, dealt.output, seats),
            issuers: issuers.collect::<Result<_, SpecError>>()?,
            points,
            fees: self.fees,
            ethereum: EthereumSide {
                chain_id: self.ethereum.chain_id,
                bridge: self.ethereum.bridge,
                coin: self.ethereum.coin,
                points: self.ethereum.points,
                hashed_timelock: self.ethereum.hashed_timelock,
            },
            bridge: self.bridge,
            staking: rules("staking", self.staking)?,
            rewards,
            allocations: allocations.collect::<Result<_, SpecError>>()?,
            contracts,
            peers: self.peers,
        })
    }
}

/// A section's default rules with what is given in their place.
fn rules<R: Default + Serialize + DeserializeOwned>(
    section: &'static str,
    given: toml::Table,
) -> Result<R, SpecError> {
    let fault = |reason: String| SpecError::Rule { section, reason };
    let wrong = |error: serde_json::Error| fault(error.to_string());
    let mut rules = serde_json::to_value(R::default()).map_err(wrong)?;
    // What a section need not have is not among its defaults.
    if let Some(rules) = rules.as_object_mut() {
        for (_, rule) in OPTIONAL_RULES.iter().filter(|(of, _)| *of == section) {
            rules.entry(*rule).or_insert(Value::Null);
        }
    }
    let given = serde_json::to_value(given).map_err(wrong)?;
    overlay(&mut rules, given, "").map_err(fault)?;
    serde_json::from_value(rules).map_err(wrong)
}

fn overlay(rules: &mut Value, given: Value, name: &str) -> Result<(), String> {
    match (rules, given) {
        (Value::Object(rules), Value::Object(given)) => {
            for (name, value) in given {
                let rule = rules
                    .get_mut(&name)
                    .ok_or_else(|| format!("has no rule {name:?}"))?;
                overlay(rule, value, &name)?;
            }
            Ok(())
        }
        (rule, Value::String(text)) if COIN_RULES.contains(&name) => {
            let units = units("a rule", &text, MVC_DECIMALS).map_err(|error| error.to_string())?;
            *rule = Value::String(format!("{units:#x}"));
            Ok(())
        }
        (_, _) if COIN_RULES.contains(&name) => Err(format!(
            "{name} is an amount: write it as a text such as \"10000\""
        )),
        (rule, value) => {
            *rule = value;
            Ok(())
        }
    }
}

/// Decimal text in the smallest unit: digits and at most one point, never rounded.
fn units(what: &'static str, text: &str, decimals: u8) -> Result<U256, SpecError> {
    let wrong = || SpecError::Amount {
        what,
        text: text.chars().take(100).collect(),
        decimals,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > usize::from(decimals) {
        return Err(wrong());
    }
    parse_units(text, decimals)
        .map(|parsed| parsed.get_absolute())
        .map_err(|_| wrong())
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| since.as_millis().try_into().ok())
        .unwrap_or_default()
}

/// Writes a new genesis file.
pub(super) fn write(path: &Path, genesis: &Genesis) -> Result<(), Error> {
    let failed = |source| Error::File {
        path: path.into(),
        source,
    };
    let text = serde_json::to_string_pretty(genesis)
        .map_err(|error| failed(std::io::Error::other(error)))?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mileverse_primitives::staking::StakingRules;
    use mileverse_primitives::{Bytes, staking::coins};

    fn text() -> String {
        let mut text = "chain_id = 8217\nepoch_blocks = 32\ndealing = 'd.json'\n\
            [ethereum]\nchain_id = 1\n"
            .to_owned();
        for (name, digit) in [("bridge", '1'), ("coin", '2'), ("points", '3')] {
            text += &format!("{name} = '0x{}'\n", digit.to_string().repeat(40));
        }
        for digit in ['4', '5', '6', '7'] {
            text += &format!(
                "[[members]]\nowner = '0x{}'\naddress = '127.0.0.1:900{digit}'\nstake = '10000.5'\ncommission_bp = 500\n",
                digit.to_string().repeat(40)
            );
        }
        text += &format!(
            "[[issuers]]\naddress = '0x{}'\ndaily_quota = '1.5'\n",
            "8".repeat(40)
        );
        text += &format!(
            "[[allocations]]\naddress = '0x{}'\namount = '2'\n",
            "9".repeat(40)
        );
        text + "[staking]\nseats = 7\nrewardPool = '3'\n[staking.weights.turns]\nweightBp = 1\n"
    }

    fn dealt() -> dealer::Public {
        dealer::Public::of(&dealer::deal(4).unwrap())
    }

    fn genesis(text: &str) -> Result<Genesis, String> {
        toml::from_str::<Spec>(text)
            .map_err(|error| error.to_string())?
            .genesis(dealt())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_description_becomes_a_genesis_file_that_keeps_the_rules() {
        let genesis = genesis(&text()).unwrap();
        assert_eq!(genesis.check(), Ok(()));
        let stake = coins(10_000) + coins(1) / U256::from(2);
        assert!(
            genesis
                .committee
                .members
                .iter()
                .all(|member| member.stake == stake)
        );
        assert_eq!(genesis.issuers[0].daily_quota, U256::from(1_500_000));
        assert_eq!(genesis.allocations[0].amount, coins(2));
        assert_eq!(genesis.staking.seats, 7);
        assert_eq!(genesis.staking.reward_pool, coins(3));
        assert_eq!(genesis.staking.weights.turns.weight_bp, 1);
        let rest = StakingRules {
            seats: 99,
            reward_pool: U256::ZERO,
            weights: StakingRules::default().weights,
            ..genesis.staking
        };
        assert_eq!(rest, StakingRules::default());
        // What is written is read back the same.
        let text = serde_json::to_string(&genesis).unwrap();
        assert_eq!(Genesis::parse(&text), Ok(genesis));
    }

    #[test]
    fn rewards_may_come_from_a_contract_on_ethereum() {
        assert_eq!(genesis(&text()).unwrap().rewards.source, None);
        let source = Address::repeat_byte(0x5a);
        let with = |section| format!("{}\n[{section}]\nsource = '{source}'\n", text());
        let given = genesis(&with("rewards")).unwrap();
        assert_eq!(given.rewards.source, Some(source));
        let other = genesis(&with("bridge")).unwrap_err();
        assert!(other.contains("source"), "{other}");
    }

    #[test]
    fn peers_are_described_and_their_keys_checked() {
        let vector = include_str!("../../../../../fixtures/vectors/certificate.json");
        let vector: Value = serde_json::from_str(vector).unwrap();
        let key = vector["groupKey"].as_str().unwrap();
        let with = |key: &str| {
            let peer = format!(
                "\n[[peers]]\nchainId = 77771\ngroupKey = \"{key}\"\npoints = {{ sendPerHour = \"7\" }}\n"
            );
            genesis(&(text() + &peer)).unwrap()
        };
        let good = with(key);
        assert_eq!(
            (good.check(), crate::config::check_peers(&good)),
            (Ok(()), Ok(()))
        );
        assert_eq!(good.peers[0].chain_id, 77_771);
        assert_eq!(good.peers[0].points.send_per_hour.to::<u64>(), 7);
        // Padding that is none: no point of the group.
        let bad = with(&format!("0x{}", "01".repeat(256)));
        assert_eq!(
            crate::config::check_peers(&bad),
            Err(mileverse_primitives::genesis::GenesisError::Peer(77_771))
        );
    }

    #[test]
    fn the_exchange_is_placed_unless_it_is_not_wanted() {
        let with = genesis(&text()).unwrap();
        assert_eq!(with.contracts, exchange::contracts());
        assert_eq!(with.points.fee.exempt[0].address, exchange::POOL);
        let without = genesis(&format!("exchange = false\n{}", text())).unwrap();
        assert!(without.contracts.is_empty() && without.points.fee.exempt.is_empty());
    }

    #[test]
    fn bad_descriptions_are_named() {
        let replace = |from: &str, to: &str| genesis(&text().replace(from, to)).unwrap_err();
        assert!(replace("10000.5", "1e4").contains("a member's stake"));
        assert!(replace("10000.5", "-1").contains("a member's stake"));
        assert!(replace("'1.5'", "'0.0000001'").contains("at most 6 decimals"));
        assert!(replace("seats = 7", "chairs = 7").contains("no rule \"chairs\""));
        assert!(replace("'3'", "3").contains("rewardPool is an amount"));
        assert!(replace("seats = 7", "seats = 'x'").contains("[staking]"));
        assert!(replace("chain_id = 8217", "chainid = 1").contains("chain"));
        let mut other = dealt();
        other.consensus_keys.pop();
        let spec: Spec = toml::from_str(&text()).unwrap();
        let error = spec.genesis(other).unwrap_err();
        assert!(matches!(
            error,
            SpecError::Members {
                members: 4,
                keys: 3
            }
        ));
        let broken = dealer::Public {
            output: Bytes::new(),
            ..dealt()
        };
        let spec: Spec = toml::from_str(&text()).unwrap();
        let genesis = spec.genesis(broken).unwrap();
        assert!(super::super::checked(genesis, Path::new("x")).is_err());
    }
}
