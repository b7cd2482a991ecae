//! The genesis file: everything that all nodes of one network must share.
//!
//! JSON, camelCase. Its hash ([`Genesis::hash`]) stands in the first block, so two nets with any
//! difference here never share a block. Public data only: keys live in each node's directory.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// Most validators one committee holds.
pub const MAX_VALIDATORS: usize = 99;

/// A network's beginning.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Genesis {
    /// EIP-155 chain id, unique among the user's networks.
    pub chain_id: u64,
    /// Time of block 0, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Gas that one block may use.
    pub gas_limit: u64,
    /// Least time between two blocks, milliseconds.
    pub block_time_ms: u64,
    /// Longest time without a block when there is nothing to put in it, milliseconds.
    pub idle_block_time_ms: u64,
    /// Who confirms blocks.
    pub committee: Committee,
    /// Who may make points.
    pub issuers: Vec<Issuer>,
    /// The other side of the bridge.
    pub ethereum: EthereumSide,
}

/// The validators and their common key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Committee {
    /// ed25519 public keys, ascending, no two alike.
    pub validators: Vec<B256>,
    /// The dealing's public outcome (commonware's encoding of the public polynomial).
    pub sharing: Bytes,
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
    /// Too few or too many validators, or not ascending.
    #[error("the committee needs 1 to {MAX_VALIDATORS} validators in ascending order, each once")]
    Validators,
    /// A contract or issuer address is zero.
    #[error("the genesis file names the zero address as {0}")]
    ZeroAddress(&'static str),
    /// The same issuer twice.
    #[error("issuer {0} stands in the genesis file twice")]
    IssuerTwice(Address),
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
        let validators = &self.committee.validators;
        if validators.is_empty()
            || validators.len() > MAX_VALIDATORS
            || !validators.is_sorted_by(|a, b| a < b)
        {
            return Err(GenesisError::Validators);
        }
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
        if !(1_000_000..=1_000_000_000).contains(&self.gas_limit) {
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
        Ok(())
    }

    /// keccak256 of the file's canonical JSON (no white space, fields in the order declared).
    pub fn hash(&self) -> Result<B256, GenesisError> {
        serde_json::to_vec(self)
            .map(keccak256)
            .map_err(|error| GenesisError::Json(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn genesis() -> Genesis {
        Genesis {
            chain_id: 8217,
            timestamp_ms: 1,
            gas_limit: 30_000_000,
            block_time_ms: 200,
            idle_block_time_ms: 1000,
            committee: Committee {
                validators: vec![B256::repeat_byte(1), B256::repeat_byte(2)],
                sharing: Bytes::from_static(&[1]),
            },
            issuers: vec![Issuer {
                address: Address::repeat_byte(3),
                daily_quota: U256::from(5),
            }],
            ethereum: EthereumSide {
                chain_id: 31337,
                bridge: Address::repeat_byte(4),
                coin: Address::repeat_byte(5),
                points: Address::repeat_byte(6),
            },
        }
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
        let breakers: [fn(&mut Genesis); 8] = [
            |g| g.ethereum.chain_id = g.chain_id,
            |g| g.chain_id = 0,
            |g| g.committee.validators.reverse(),
            |g| g.committee.validators.clear(),
            |g| g.ethereum.bridge = Address::ZERO,
            |g| g.issuers.push(g.issuers[0]),
            |g| g.gas_limit = 0,
            |g| g.idle_block_time_ms = g.block_time_ms - 1,
        ];
        for break_it in breakers {
            let mut bad = genesis();
            break_it(&mut bad);
            assert!(Genesis::parse(&serde_json::to_string(&bad).unwrap()).is_err());
        }
        assert!(Genesis::parse("{}").is_err());
    }
}
