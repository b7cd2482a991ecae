//! The genesis file's rules of the quarterly rewards. `docs/rewards.md` says what each does.

use crate::{
    address::{self, REWARDS},
    genesis::GenesisError,
    quarter::Quarter,
    staking::{coins, max_coins},
};
use alloy::primitives::{Address, U256, aliases::U96};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most accounts that the list of excluded ones holds.
pub const MAX_EXCLUDED: usize = 64;
/// Most holders that one block visits.
pub const MAX_HOLDERS_PER_BLOCK: u32 = 10_000;

/// The rules of the quarterly rewards. Amounts in the coin's smallest unit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RewardRules {
    /// What is shared for a quarter, as long as the pool has it.
    pub pot: U256,
    /// A smaller amount than this is carried until it has grown.
    pub least_payment: U256,
    /// Holders that one block visits while a quarter is paid: 1 to 10,000.
    pub holders_per_block: u32,
    /// Coin in the pool from the start.
    pub pool: U256,
    /// Accounts that never earn: exchange pools, treasuries, lock-ups. At most 64. The zero address
    /// and the system modules never earn anyway.
    pub excluded: Vec<Address>,
    /// The contract on Ethereum whose share of each pot is shared here (`QuarterlyRewards`). Without one
    /// pots come out of the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Address>,
}

/// Where the share of a quarter comes to: an account of the rewards module for each quarter, whose
/// address also says how much coin the bridge had locked on Ethereum at the close.
///
/// ```txt
/// 0x 4d56 | locked (12 bytes, big-endian) | quarter (4 bytes, big-endian) | 0006
/// ```
///
/// With zeros for both it is the module itself, and no such account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QuarterAccount {
    /// The quarter.
    pub quarter: Quarter,
    /// Coin locked at its close, in the coin's smallest unit; all there is fits in 92 bits.
    pub locked: u128,
}

impl QuarterAccount {
    /// What an address says, if it is one of these.
    pub fn of(address: Address) -> Option<Self> {
        let [a, b, locked @ .., q0, q1, q2, q3, y, z] = address.into_array();
        let is_here = REWARDS.starts_with(&[a, b]) && REWARDS.ends_with(&[y, z]);
        if !is_here || address == REWARDS {
            return None;
        }
        Some(Self {
            quarter: Quarter::new(u32::from_be_bytes([q0, q1, q2, q3]).into()),
            locked: U96::from_be_bytes(locked).to(),
        })
    }
}

impl Default for RewardRules {
    fn default() -> Self {
        Self {
            pot: coins(4_500_000),
            least_payment: coins(1) / U256::from(1_000),
            holders_per_block: 1_000,
            pool: U256::ZERO,
            excluded: Vec::new(),
            source: None,
        }
    }
}

impl RewardRules {
    /// The rules that the rules must keep.
    ///
    /// # Errors
    ///
    /// When one is out of range, or the list names an account twice or one that never earns.
    pub fn check(&self) -> Result<(), GenesisError> {
        let within = [
            (
                self.pot <= max_coins(),
                "rewards.pot (at most 3,000,000,000 MVC)",
            ),
            (
                self.least_payment <= coins(1),
                "rewards.leastPayment (at most 1 MVC)",
            ),
            (
                (1..=MAX_HOLDERS_PER_BLOCK).contains(&self.holders_per_block),
                "rewards.holdersPerBlock (1 to 10,000)",
            ),
            (
                self.excluded.len() <= MAX_EXCLUDED,
                "rewards.excluded (at most 64 accounts)",
            ),
        ];
        if let Some((_, name)) = within.into_iter().find(|(holds, _)| !holds) {
            return Err(GenesisError::Range(name));
        }
        if self.source.is_some_and(|source| source.is_zero()) {
            return Err(GenesisError::ZeroAddress("rewards.source"));
        }
        let mut seen = BTreeSet::new();
        for account in &self.excluded {
            let is_nobody = account.is_zero() || address::ALL.contains(account);
            if is_nobody || !seen.insert(*account) {
                return Err(GenesisError::Excluded(*account));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloy::primitives::address;

    #[test]
    fn rules_out_of_range_are_refused() {
        assert_eq!(RewardRules::default().check(), Ok(()));
        let with = |change: fn(&mut RewardRules)| {
            let mut rules = RewardRules::default();
            change(&mut rules);
            rules.check()
        };
        let range = |result| matches!(result, Err(GenesisError::Range(_)));
        assert!(range(with(|rules| rules.pot = U256::MAX)));
        assert!(range(with(|rules| rules.least_payment = coins(2))));
        assert!(range(with(|rules| rules.holders_per_block = 0)));
        assert!(range(with(|rules| rules.holders_per_block = 10_001)));
        assert!(range(with(|rules| {
            rules.excluded = (0u8..65).map(|n| Address::repeat_byte(n + 1)).collect();
        })));
        for account in [Address::ZERO, address::REWARDS] {
            let rules = RewardRules {
                excluded: vec![account],
                ..RewardRules::default()
            };
            assert_eq!(rules.check(), Err(GenesisError::Excluded(account)));
        }
        let rules = RewardRules {
            source: Some(Address::ZERO),
            ..RewardRules::default()
        };
        assert_eq!(
            rules.check(),
            Err(GenesisError::ZeroAddress("rewards.source"))
        );
        let twice = Address::repeat_byte(1);
        let rules = RewardRules {
            excluded: vec![twice, twice],
            ..RewardRules::default()
        };
        assert_eq!(rules.check(), Err(GenesisError::Excluded(twice)));
    }

    #[test]
    fn a_quarters_account_says_what_the_contract_says() {
        // As contracts/test/Rewards.t.sol has it: 2027Q1, 500,000,000 MVC.
        let address = address!("4D56019d971e4fe8401E7400000000001fac0006");
        let account = QuarterAccount::of(address).unwrap();
        assert_eq!(account.quarter, "2027Q1".parse().unwrap());
        assert_eq!(U256::from(account.locked), coins(500_000_000));
        for other in address::ALL.into_iter().chain([
            Address::ZERO,
            address!("4D56019d971e4fe8401E7400000000001fac0005"),
            address!("4D57019d971e4fe8401E7400000000001fac0006"),
        ]) {
            assert_eq!(QuarterAccount::of(other), None, "{other}");
        }
    }
}
