//! The genesis file: everything that all nodes of one network must share.
//!
//! JSON, camelCase. Its hash ([`Genesis::hash`]) stands in the first block, so two nets with any
//! difference here never share a block. Public data only: keys live in each node's directory.

use crate::{
    address,
    bridge::BridgeRules,
    contracts::{self, Contract, ContractError},
    fees::FeeRules,
    limits::{BLOCK_GAS, BlockLimits},
    peers::{self, Peer},
    points::PointsRules,
    rewards::RewardRules,
    staking::{Allocation, StakingRules, max_coins},
};
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::SocketAddr};
use thiserror::Error;

/// Most delegates one committee holds.
pub const MAX_VALIDATORS: usize = 99;
/// Fewest delegates of which one may fail. A committee of one is a development net.
pub const LEAST_COMMITTEE: usize = 4;
/// Fewest and most blocks of an epoch.
pub const EPOCH_BLOCKS: std::ops::RangeInclusive<u64> = 16..=100_000;
/// Blocks that an epoch needs for each delegate: each must lead one in the epoch's second half,
/// and some turns are missed.
pub const EPOCH_BLOCKS_PER_MEMBER: u64 = 4;
/// Basis points of a whole.
pub const BASIS_POINTS: u16 = 10_000;
/// Longest encoding of the dealing's outcome.
const MAX_OUTPUT_LENGTH: usize = 32 * 1024;

/// A network's beginning.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Genesis {
    /// EIP-155 chain id, unique among the user's networks.
    pub chain_id: u64,
    /// Time of block 0, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Gas that one block may use. All limits of blocks follow from it ([`BlockLimits`]).
    pub gas_limit: u64,
    /// Least time between two blocks, milliseconds.
    pub block_time_ms: u64,
    /// Longest time without a block when there is nothing to put in it, milliseconds.
    pub idle_block_time_ms: u64,
    /// Blocks of an epoch; its last one decides who signs the next.
    pub epoch_blocks: u64,
    /// Who confirms blocks in the first epochs.
    pub committee: Committee,
    /// Who may make points.
    pub issuers: Vec<Issuer>,
    /// The points token: its guardian, its fees.
    pub points: PointsRules,
    /// What gas costs outside of the points lane.
    #[serde(default)]
    pub fees: FeeRules,
    /// The other side of the bridge.
    pub ethereum: EthereumSide,
    /// Who may stop the bridge, and how much may cross it.
    #[serde(default)]
    pub bridge: BridgeRules,
    /// Staking, election and rewards.
    pub staking: StakingRules,
    /// What holders of the coin are paid each quarter.
    #[serde(default)]
    pub rewards: RewardRules,
    /// Coin that accounts hold from the start.
    pub allocations: Vec<Allocation>,
    /// Contracts that stand from the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contracts: Vec<Contract>,
    /// Other native chains that are peers from the start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Peer>,
}

/// The first delegates and their common key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Committee {
    /// Ascending by consensus key, each once: one (a development net), or 4 to 99.
    pub members: Vec<Member>,
    /// The dealing's public outcome: commonware's encoding of the Feldman-Desmedt output, whose
    /// players are the members.
    pub output: Bytes,
}

impl Committee {
    /// Of `keys`, ascending, with one seat each; `output` is the public outcome of their dealing.
    pub fn seated(
        keys: impl IntoIterator<Item = B256>,
        output: Bytes,
        seats: impl IntoIterator<Item = Seat>,
    ) -> Self {
        let members = keys
            .into_iter()
            .zip(seats)
            .map(|(consensus_key, seat)| Member {
                consensus_key,
                owner: seat.owner,
                address: seat.address,
                stake: seat.stake,
                commission_bp: seat.commission_bp,
            })
            .collect();
        Self { members, output }
    }
}

/// What a genesis file says of a member beside its key.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// Who owns the candidacy.
    pub owner: Address,
    /// Where other validators reach it.
    pub address: SocketAddr,
    /// The owner's own stake, in the coin's smallest unit.
    pub stake: U256,
    /// Its commission, in basis points.
    pub commission_bp: u16,
}

/// A first delegate.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// ed25519 public key: its name in consensus.
    pub consensus_key: B256,
    /// The account that owns the candidacy.
    pub owner: Address,
    /// Where other validators reach it.
    pub address: SocketAddr,
    /// The owner's own stake, in the coin's smallest unit.
    pub stake: U256,
    /// Its share of its voters' rewards, in basis points.
    pub commission_bp: u16,
}

/// A maker of points.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issuer {
    /// Its account.
    pub address: Address,
    /// Micro-MVP it may issue per UTC day of block time.
    pub daily_quota: U256,
}

/// Where the bridge ends on Ethereum.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EthereumSide {
    /// Chain id of that Ethereum network.
    pub chain_id: u64,
    /// The bridge contract.
    pub bridge: Address,
    /// MVC, the ERC-20.
    pub coin: Address,
    /// Wrapped MVP.
    pub points: Address,
    /// Hashed-timelock swaps, for those who look for them; the chain itself never asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashed_timelock: Option<Address>,
}

/// What is wrong with a genesis file.
#[derive(Debug, Error, Eq, PartialEq)]
pub enum GenesisError {
    /// Not JSON of this shape.
    #[error("the genesis file is not valid: {0}")]
    Json(String),
    /// Chain ids must be there and differ.
    #[error("the genesis file needs two different, nonzero chain ids, has {native} and {ethereum}")]
    ChainIds {
        /// Native chain id.
        native: u64,
        /// Ethereum's chain id.
        ethereum: u64,
    },
    /// A committee of a size that cannot lose a member.
    #[error(
        "a committee has one member (a development net) or {LEAST_COMMITTEE} to {MAX_VALIDATORS}, not {0}"
    )]
    CommitteeSize(usize),
    /// Members out of order, or one twice.
    #[error(
        "the committee's members must stand in ascending order of their keys, each once; {0} does not"
    )]
    CommitteeOrder(B256),
    /// A member that nobody could reach.
    #[error(
        "{address} is no address for committee member {key}; give an IP address and a port other than 0"
    )]
    MemberAddress {
        /// The member.
        key: B256,
        /// Its address.
        address: SocketAddr,
    },
    /// A commission above the whole.
    #[error("the commission of committee member {0} is above 10,000 basis points")]
    Commission(B256),
    /// An owner of two members.
    #[error("{0} owns two members of the committee; each needs an owner of its own")]
    OwnerTwice(Address),
    /// An epoch too short for its ceremony.
    #[error(
        "epochBlocks is {blocks}; a committee of {members} needs {least} to 100,000, so that every member leads in an epoch's second half"
    )]
    EpochBlocks {
        /// What it is.
        blocks: u64,
        /// Members of the committee.
        members: usize,
        /// What it must be at least.
        least: u64,
    },
    /// A contract or issuer address is zero.
    #[error("the genesis file names the zero address as {0}")]
    ZeroAddress(&'static str),
    /// The same issuer twice.
    #[error("issuer {0} stands in the genesis file twice")]
    IssuerTwice(Address),
    /// An account of the points token's rules that is none.
    #[error("points.{0} is a system module; name an account")]
    PointsAccount(&'static str),
    /// An exempt account twice, or nobody.
    #[error("points.fee.exempt names {0} twice, or it is the zero address")]
    ExemptTwice(Address),
    /// The same account twice.
    #[error("account {0} stands in the allocations twice")]
    AllocationTwice(Address),
    /// Coin for an account that could never spend it, or no coin.
    #[error(
        "the allocation for {0} is nothing, or for the zero address or a system module; leave it out"
    )]
    Allocation(Address),
    /// A first delegate that could not be elected.
    #[error(
        "the stake of committee member {0} is below staking.leastOwnStake, or its commission above staking.maxCommissionBp"
    )]
    MemberStake(B256),
    /// A member's owner that can sign nothing.
    #[error("committee member {0} is owned by a system module")]
    MemberOwner(B256),
    /// More coin than there is.
    #[error(
        "allocations, stakes and the pools of staking and rewards are more than the 3,000,000,000 MVC there are"
    )]
    Coins,
    /// An account of the rewards' list that is excluded anyway, or twice.
    #[error(
        "rewards.excluded names {0} twice, or it is the zero address or a system module, which never earn"
    )]
    Excluded(Address),
    /// A role that nobody could act in.
    #[error("the bridge's guardian or governor is the system module {0}")]
    BridgeRole(Address),
    /// A peer that is none, or twice, or without a key.
    #[error(
        "peers names chain {0} twice or without a good group key (256 bytes), or it is zero, this chain or Ethereum"
    )]
    Peer(u64),
    /// A contract that cannot be placed.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// A time or a limit that no chain can run with.
    #[error("the genesis file's {0} is out of range")]
    Range(&'static str),
}

impl Genesis {
    /// Reads and checks a genesis file's text.
    pub fn parse(text: &str) -> Result<Self, GenesisError> {
        let genesis: Self =
            serde_json::from_str(text).map_err(|error| GenesisError::Json(error.to_string()))?;
        genesis.check()?;
        Ok(genesis)
    }

    /// The rules that a file must keep.
    pub fn check(&self) -> Result<(), GenesisError> {
        if self.chain_id == 0
            || self.ethereum.chain_id == 0
            || self.chain_id == self.ethereum.chain_id
        {
            return Err(GenesisError::ChainIds {
                native: self.chain_id,
                ethereum: self.ethereum.chain_id,
            });
        }
        self.committee.check()?;
        self.check_epochs()?;
        for (name, address) in [
            ("the Ethereum bridge", self.ethereum.bridge),
            ("the Ethereum coin", self.ethereum.coin),
            ("the Ethereum points", self.ethereum.points),
        ] {
            if address.is_zero() {
                return Err(GenesisError::ZeroAddress(name));
            }
        }
        let mut seen = BTreeSet::new();
        for issuer in &self.issuers {
            if issuer.address.is_zero() {
                return Err(GenesisError::ZeroAddress("an issuer"));
            }
            if !seen.insert(issuer.address) {
                return Err(GenesisError::IssuerTwice(issuer.address));
            }
        }
        if !BLOCK_GAS.contains(&self.gas_limit) {
            return Err(GenesisError::Range("gasLimit (1,000,000 to 1,000,000,000)"));
        }
        if !(10..=60_000).contains(&self.block_time_ms) {
            return Err(GenesisError::Range("blockTimeMs (10 to 60,000)"));
        }
        if !(self.block_time_ms..=60_000).contains(&self.idle_block_time_ms) {
            return Err(GenesisError::Range(
                "idleBlockTimeMs (blockTimeMs to 60,000)",
            ));
        }
        self.points.check()?;
        self.fees.check(self.staking.unbonding_epochs)?;
        self.bridge.check()?;
        peers::check(&self.peers, self.chain_id, self.ethereum.chain_id)?;
        self.staking.check(self.committee.members.len())?;
        self.rewards.check()?;
        self.check_coins()?;
        let allocated = self.allocations.iter().map(|allocation| allocation.address);
        let owners = self.committee.members.iter().map(|member| member.owner);
        let issuers = self.issuers.iter().map(|issuer| issuer.address);
        contracts::check(&self.contracts, allocated.chain(owners).chain(issuers))?;
        Ok(())
    }

    /// What one block may hold.
    pub const fn limits(&self) -> BlockLimits {
        BlockLimits::of(self.gas_limit)
    }

    /// All coin of block 0: allocations, the members' stakes and the two pools. As much must be
    /// locked in the bridge on Ethereum.
    ///
    /// # Errors
    ///
    /// When it is more than there is.
    pub fn coins(&self) -> Result<U256, GenesisError> {
        let stakes = self.committee.members.iter().map(|member| member.stake);
        let allocations = self.allocations.iter().map(|allocation| allocation.amount);
        stakes
            .chain(allocations)
            .chain([self.rewards.pool])
            .try_fold(self.staking.reward_pool, U256::checked_add)
            .filter(|sum| *sum <= max_coins())
            .ok_or(GenesisError::Coins)
    }

    fn check_coins(&self) -> Result<(), GenesisError> {
        for member in &self.committee.members {
            if member.stake < self.staking.least_own_stake
                || member.commission_bp > self.staking.max_commission_bp
            {
                return Err(GenesisError::MemberStake(member.consensus_key));
            }
            if address::is_native_code(member.owner) {
                return Err(GenesisError::MemberOwner(member.consensus_key));
            }
        }
        let mut seen = BTreeSet::new();
        for Allocation { address, amount } in &self.allocations {
            if amount.is_zero() || address.is_zero() || address::is_native_code(*address) {
                return Err(GenesisError::Allocation(*address));
            }
            if !seen.insert(*address) {
                return Err(GenesisError::AllocationTwice(*address));
            }
        }
        self.coins().map(|_| ())
    }

    fn check_epochs(&self) -> Result<(), GenesisError> {
        let members = self.committee.members.len();
        let least = (members as u64)
            .saturating_mul(EPOCH_BLOCKS_PER_MEMBER)
            .max(*EPOCH_BLOCKS.start());
        if !(least..=*EPOCH_BLOCKS.end()).contains(&self.epoch_blocks) {
            return Err(GenesisError::EpochBlocks {
                blocks: self.epoch_blocks,
                members,
                least,
            });
        }
        Ok(())
    }

    /// keccak256 of the file's canonical JSON (no white space, fields in the order declared).
    pub fn hash(&self) -> Result<B256, GenesisError> {
        serde_json::to_vec(self)
            .map(keccak256)
            .map_err(|error| GenesisError::Json(error.to_string()))
    }
}

impl Committee {
    /// The members' keys, ascending.
    pub fn keys(&self) -> Vec<B256> {
        self.members
            .iter()
            .map(|member| member.consensus_key)
            .collect()
    }

    fn check(&self) -> Result<(), GenesisError> {
        let members = &self.members;
        if members.len() != 1 && !(LEAST_COMMITTEE..=MAX_VALIDATORS).contains(&members.len()) {
            return Err(GenesisError::CommitteeSize(members.len()));
        }
        for (one, next) in members.iter().zip(members.iter().skip(1)) {
            if one.consensus_key >= next.consensus_key {
                return Err(GenesisError::CommitteeOrder(next.consensus_key));
            }
        }
        let mut owners = BTreeSet::new();
        for member in members {
            if member.owner.is_zero() {
                return Err(GenesisError::ZeroAddress("a committee member's owner"));
            }
            if !owners.insert(member.owner) {
                return Err(GenesisError::OwnerTwice(member.owner));
            }
            if member.address.port() == 0 || member.address.ip().is_unspecified() {
                return Err(GenesisError::MemberAddress {
                    key: member.consensus_key,
                    address: member.address,
                });
            }
            if member.commission_bp > BASIS_POINTS {
                return Err(GenesisError::Commission(member.consensus_key));
            }
        }
        if self.output.len() > MAX_OUTPUT_LENGTH {
            return Err(GenesisError::Range("committee.output (at most 32 KiB)"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::exchange;

    fn member(number: u8) -> Member {
        Member {
            consensus_key: B256::repeat_byte(number),
            owner: Address::repeat_byte(number),
            address: SocketAddr::from(([127, 0, 0, 1], 9000 + u16::from(number))),
            stake: U256::from(1000),
            commission_bp: 500,
        }
    }

    fn genesis() -> Genesis {
        Genesis {
            chain_id: 8217,
            timestamp_ms: 1,
            gas_limit: 30_000_000,
            block_time_ms: 200,
            idle_block_time_ms: 1000,
            epoch_blocks: 32,
            committee: Committee {
                members: (1..=4).map(member).collect(),
                output: Bytes::from_static(&[1]),
            },
            issuers: vec![Issuer {
                address: Address::repeat_byte(3),
                daily_quota: U256::from(5),
            }],
            points: PointsRules::default(),
            fees: FeeRules::default(),
            ethereum: EthereumSide {
                chain_id: 31337,
                bridge: Address::repeat_byte(4),
                coin: Address::repeat_byte(5),
                points: Address::repeat_byte(6),
                hashed_timelock: None,
            },
            bridge: BridgeRules::default(),
            staking: StakingRules {
                least_own_stake: U256::from(1_000),
                ..StakingRules::default()
            },
            rewards: RewardRules::default(),
            allocations: vec![Allocation {
                address: Address::repeat_byte(7),
                amount: U256::from(77),
            }],
            contracts: exchange::contracts(),
            peers: Vec::new(),
        }
    }

    #[test]
    fn coin_of_the_start_is_counted_and_bounded() {
        let mut genesis = genesis();
        assert_eq!(genesis.coins(), Ok(U256::from(4 * 1_000 + 77)));
        genesis.staking.reward_pool = max_coins() - U256::from(4_077);
        assert_eq!(genesis.coins(), Ok(max_coins()));
        genesis.staking.reward_pool += U256::ONE;
        assert_eq!(genesis.check(), Err(GenesisError::Coins));
        genesis.staking.reward_pool = U256::MAX;
        assert_eq!(genesis.check(), Err(GenesisError::Coins));
    }

    #[test]
    fn bad_coin_is_refused_by_name() {
        let mut one = genesis();
        one.allocations.push(one.allocations[0]);
        assert_eq!(
            one.check(),
            Err(GenesisError::AllocationTwice(Address::repeat_byte(7)))
        );
        for (address, amount) in [
            (Address::ZERO, 1),
            (address::STAKING, 1),
            (Address::repeat_byte(8), 0),
        ] {
            let mut one = genesis();
            let amount = U256::from(amount);
            one.allocations.push(Allocation { address, amount });
            assert_eq!(one.check(), Err(GenesisError::Allocation(address)));
        }
        let mut one = genesis();
        one.committee.members[1].stake = U256::from(999);
        assert_eq!(
            one.check(),
            Err(GenesisError::MemberStake(B256::repeat_byte(2)))
        );
        let mut one = genesis();
        one.committee.members[2].commission_bp = 5_001;
        assert_eq!(
            one.check(),
            Err(GenesisError::MemberStake(B256::repeat_byte(3)))
        );
        let mut one = genesis();
        one.committee.members[0].owner = address::COIN;
        assert_eq!(
            one.check(),
            Err(GenesisError::MemberOwner(B256::repeat_byte(1)))
        );
    }

    #[test]
    fn a_file_round_trips_and_any_change_changes_the_hash() {
        let one = genesis();
        let text = serde_json::to_string_pretty(&one).unwrap();
        assert_eq!(Genesis::parse(&text).unwrap(), one);
        let mut other = one.clone();
        other.ethereum.bridge = Address::repeat_byte(9);
        assert_ne!(one.hash().unwrap(), other.hash().unwrap());
    }

    #[test]
    fn bad_files_are_refused() {
        type Breaker = (&'static str, fn(&mut Genesis));
        let breakers: [Breaker; 19] = [
            ("two different", |g| g.ethereum.chain_id = g.chain_id),
            ("two different", |g| g.chain_id = 0),
            ("ascending", |g| g.committee.members.reverse()),
            ("ascending", |g| {
                g.committee.members[1] = g.committee.members[0]
            }),
            ("not 0", |g| g.committee.members.clear()),
            ("not 2", |g| g.committee.members.truncate(2)),
            ("not 3", |g| g.committee.members.truncate(3)),
            ("not 100", |g| {
                g.epoch_blocks = 1000;
                g.committee.members = (1..=100).map(member).collect();
            }),
            ("owns two", |g| {
                g.committee.members[1].owner = g.committee.members[0].owner;
            }),
            ("owner", |g| g.committee.members[1].owner = Address::ZERO),
            ("no address", |g| g.committee.members[1].address.set_port(0)),
            ("no address", |g| {
                g.committee.members[1].address = SocketAddr::from(([0, 0, 0, 0], 1));
            }),
            ("commission", |g| {
                g.committee.members[1].commission_bp = 10_001
            }),
            ("epochBlocks is 15", |g| g.epoch_blocks = 15),
            ("epochBlocks is 39", |g| {
                g.epoch_blocks = 39;
                g.committee.members = (1..=10).map(member).collect();
            }),
            ("Ethereum bridge", |g| g.ethereum.bridge = Address::ZERO),
            ("twice", |g| g.issuers.push(g.issuers[0])),
            ("gasLimit", |g| g.gas_limit = 0),
            ("idleBlockTimeMs", |g| {
                g.idle_block_time_ms = g.block_time_ms - 1;
            }),
        ];
        for (word, break_it) in breakers {
            let mut bad = genesis();
            break_it(&mut bad);
            let error = Genesis::parse(&serde_json::to_string(&bad).unwrap()).unwrap_err();
            assert!(error.to_string().contains(word), "{error} lacks {word:?}");
        }
        assert!(Genesis::parse("{}").is_err());
    }

    #[test]
    fn contracts_stand_where_nobody_else_does() {
        let accounts = [
            Address::repeat_byte(7),
            Address::repeat_byte(1),
            Address::repeat_byte(3),
        ];
        for address in accounts {
            let mut bad = genesis();
            bad.contracts[0].address = address;
            let error = GenesisError::Contract(ContractError::Address(address));
            assert_eq!(bad.check(), Err(error));
        }
        // Without any, the file is as it was before there were any.
        let mut none = genesis();
        none.contracts.clear();
        let text = serde_json::to_string(&none).unwrap();
        assert!(!text.contains("contracts"));
        assert!(!text.contains("peers"));
        assert_eq!(Genesis::parse(&text).unwrap(), none);
    }

    #[test]
    fn a_committee_of_one_is_a_development_net() {
        let mut one = genesis();
        one.epoch_blocks = 16;
        one.committee.members.truncate(1);
        assert_eq!(one.check(), Ok(()));
    }
}
