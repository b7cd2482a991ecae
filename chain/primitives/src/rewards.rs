//! The genesis file's rules of the quarterly rewards. `docs/rewards.md` says what each does.

use crate::{
    address,
    genesis::GenesisError,
    staking::{coins, max_coins},
};
use alloy::primitives::{Address, U256};
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
}

impl Default for RewardRules {
    fn default() -> Self {
        Self {
            pot: coins(4_500_000),
            least_payment: coins(1) / U256::from(1_000),
            holders_per_block: 1_000,
            pool: U256::ZERO,
            excluded: Vec::new(),
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
    use super::*;

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
        let twice = Address::repeat_byte(1);
        let rules = RewardRules {
            excluded: vec![twice, twice],
            ..RewardRules::default()
        };
        assert_eq!(rules.check(), Err(GenesisError::Excluded(twice)));
    }
}
