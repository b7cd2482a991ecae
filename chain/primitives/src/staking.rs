//! The genesis file's rules of staking, and the coin that exists from the start.
//!
//! Shares are in basis points (10,000 are the whole), coin in its smallest unit (18 decimals), times
//! in epochs. `docs/staking.md` says what each rule does. The defaults fit epochs of five minutes.

use crate::genesis::{BASIS_POINTS, GenesisError, LEAST_COMMITTEE, MAX_VALIDATORS};
use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Epochs between an election and the epoch it elects for: an election at the end of epoch E
/// fills the seats of E + 3.
pub const ELECTION_LAG: u64 = 3;
/// Candidates that one voter may vote for at a time.
pub const MAX_VOTES: usize = 30;
/// Coin that an account holds from the start.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Allocation {
    /// The account.
    pub address: Address,
    /// How much.
    pub amount: U256,
}

/// How much one criterion of a delegate's record counts: `(1 + growth) x weight x alpha`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Weight {
    /// `w`, in basis points.
    pub weight_bp: u16,
    /// `g`, in basis points.
    pub growth_bp: u16,
    /// `alpha`, in basis points.
    pub alpha_bp: u16,
}

/// The criteria of a delegate's score.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Weights {
    /// Stake voted for it, beside the committee's mean.
    pub stake: Weight,
    /// Turns kept over turns due.
    pub turns: Weight,
    /// Valid results over results due.
    pub results: Weight,
    /// Invalid results over results due; subtracted.
    pub invalid: Weight,
}

/// The rules of staking.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StakingRules {
    /// Delegates that an election elects, if there are as many: one, or 4 to 99.
    pub seats: u32,
    /// Candidates that may be listed at a time.
    pub max_candidates: u32,
    /// Votes that a candidate's owner must have on it for it to be elected.
    pub least_own_stake: U256,
    /// Epochs that stake takes to be free, and stays liable after it left a candidate.
    pub unbonding_epochs: u64,
    /// Epochs that a jail lasts at least.
    pub jail_epochs: u64,
    /// A record below this is jailed.
    pub record_floor_bp: u16,
    /// Share that a double proposal costs.
    pub double_sign_slash_bp: u16,
    /// Share of what the candidate's owner loses that goes to who proved it.
    pub reporter_share_bp: u16,
    /// Highest commission.
    pub max_commission_bp: u16,
    /// Most that a commission may rise at a time.
    pub commission_rise_bp: u16,
    /// Least epochs between two rises of a commission.
    pub commission_rise_epochs: u64,
    /// Coin for rewards, there from the start.
    pub reward_pool: U256,
    /// What an epoch pays out of the pool, until it is empty.
    pub reward_per_epoch: U256,
    /// Every so many blocks each delegate attests the result.
    pub attestation_interval: u64,
    /// What a delegate's share of the rewards depends on.
    pub weights: Weights,
}

impl Default for StakingRules {
    fn default() -> Self {
        let weight = |weight_bp| Weight {
            weight_bp,
            growth_bp: 0,
            alpha_bp: BASIS_POINTS,
        };
        Self {
            seats: 99,
            max_candidates: 1_000,
            least_own_stake: coins(10_000),
            unbonding_epochs: 2_016,
            jail_epochs: 288,
            record_floor_bp: 3_000,
            double_sign_slash_bp: 500,
            reporter_share_bp: 1_000,
            max_commission_bp: 5_000,
            commission_rise_bp: 100,
            commission_rise_epochs: 288,
            reward_pool: U256::ZERO,
            reward_per_epoch: U256::ZERO,
            attestation_interval: 8,
            weights: Weights {
                stake: weight(4_000),
                turns: weight(3_000),
                results: weight(3_000),
                invalid: weight(10_000),
            },
        }
    }
}

/// Whole coins in the smallest unit.
pub fn coins(whole: u64) -> U256 {
    U256::from(whole) * U256::from(1_000_000_000_000_000_000_u64)
}

impl StakingRules {
    /// Fewest members that an election may leave a committee which began with `members`.
    pub const fn least_seats(members: usize) -> usize {
        if members <= 1 { 1 } else { LEAST_COMMITTEE }
    }

    /// The rules that the rules must keep, for a committee of `members`.
    pub fn check(&self, members: usize) -> Result<(), GenesisError> {
        let seats = usize::try_from(self.seats).unwrap_or(usize::MAX);
        let within = [
            (
                seats >= members
                    && (seats == 1 || (LEAST_COMMITTEE..=MAX_VALIDATORS).contains(&seats)),
                "staking.seats (1, or 4 to 99, and not below the committee)",
            ),
            (
                seats <= usize::try_from(self.max_candidates).unwrap_or(0)
                    && self.max_candidates <= 1_000,
                "staking.maxCandidates (seats to 1,000)",
            ),
            (
                !self.least_own_stake.is_zero() && self.least_own_stake <= max_coins(),
                "staking.leastOwnStake (1 unit to 3,000,000,000 MVC)",
            ),
            (
                epochs(ELECTION_LAG + 1, self.unbonding_epochs),
                "staking.unbondingEpochs (4 to 1,000,000)",
            ),
            (
                epochs(1, self.jail_epochs),
                "staking.jailEpochs (1 to 1,000,000)",
            ),
            (
                self.record_floor_bp <= BASIS_POINTS,
                "staking.recordFloorBp (0 to 10,000)",
            ),
            (
                share(1, self.double_sign_slash_bp),
                "staking.doubleSignSlashBp (1 to 10,000)",
            ),
            (
                share(0, self.reporter_share_bp) && self.reporter_share_bp <= BASIS_POINTS / 2,
                "staking.reporterShareBp (0 to 5,000)",
            ),
            (
                share(0, self.max_commission_bp),
                "staking.maxCommissionBp (0 to 10,000)",
            ),
            (
                share(0, self.commission_rise_bp),
                "staking.commissionRiseBp (0 to 10,000)",
            ),
            (
                epochs(1, self.commission_rise_epochs),
                "staking.commissionRiseEpochs (1 to 1,000,000)",
            ),
            (
                (1..=1_000).contains(&self.attestation_interval),
                "staking.attestationInterval (1 to 1,000)",
            ),
            (
                self.weights.check(),
                "staking.weights (each part at most 10,000, and stake, turns or results above 0)",
            ),
        ];
        match within.into_iter().find(|(good, _)| !good) {
            None => Ok(()),
            Some((_, what)) => Err(GenesisError::Range(what)),
        }
    }
}

impl Weights {
    fn check(&self) -> bool {
        let all = [self.stake, self.turns, self.results, self.invalid];
        let counts = |weight: &Weight| weight.weight_bp > 0 && weight.alpha_bp > 0;
        all.iter().all(|weight| {
            weight.weight_bp <= BASIS_POINTS
                && weight.growth_bp <= BASIS_POINTS
                && weight.alpha_bp <= BASIS_POINTS
        }) && [self.stake, self.turns, self.results].iter().any(counts)
    }
}

fn share(least: u16, share: u16) -> bool {
    (least..=BASIS_POINTS).contains(&share)
}

fn epochs(least: u64, epochs: u64) -> bool {
    RangeInclusive::new(least, 1_000_000).contains(&epochs)
}

/// Most coin there can be here: the whole supply on Ethereum.
pub fn max_coins() -> U256 {
    coins(3_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Breaker = fn(&mut StakingRules);

    #[test]
    fn the_defaults_keep_the_rules() {
        assert_eq!(StakingRules::default().check(4), Ok(()));
        assert_eq!(StakingRules::default().check(99), Ok(()));
        assert_eq!(StakingRules::default().check(1), Ok(()));
    }

    #[test]
    fn rules_out_of_range_are_refused_by_name() {
        let breakers: [(Breaker, &str); 14] = [
            (|r| r.seats = 3, "seats"),
            (|r| r.seats = 100, "seats"),
            (|r| r.seats = 5, "seats"),
            (|r| r.max_candidates = 98, "maxCandidates"),
            (|r| r.max_candidates = 1_001, "maxCandidates"),
            (|r| r.least_own_stake = U256::ZERO, "leastOwnStake"),
            (|r| r.unbonding_epochs = 3, "unbondingEpochs"),
            (|r| r.jail_epochs = 0, "jailEpochs"),
            (|r| r.record_floor_bp = 10_001, "recordFloorBp"),
            (|r| r.double_sign_slash_bp = 0, "doubleSignSlashBp"),
            (|r| r.reporter_share_bp = 5_001, "reporterShareBp"),
            (|r| r.attestation_interval = 0, "attestationInterval"),
            (|r| r.weights.invalid.growth_bp = 10_001, "weights"),
            (
                |r| {
                    r.weights.stake.weight_bp = 0;
                    r.weights.turns.alpha_bp = 0;
                    r.weights.results.weight_bp = 0;
                },
                "weights",
            ),
        ];
        for (break_it, name) in breakers {
            let mut rules = StakingRules::default();
            break_it(&mut rules);
            let error = rules.check(7).err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| error.contains(name)), "{name}");
        }
    }
}
