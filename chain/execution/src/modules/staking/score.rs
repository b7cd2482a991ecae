//! What a delegate's record is worth: the IISS formula, `score = sum of C (1 + g) w alpha`, in
//! integers.
//!
//! | criterion | C, times [`ONE`] |
//! |---|---|
//! | stake | its votes x delegates / votes of all of them: [`ONE`] on average |
//! | turns | turns kept / turns due |
//! | results | valid results / results due, at most [`ONE`] |
//! | invalid | invalid results / results due, at most [`ONE`]; subtracted |
//!
//! Nothing due counts as done. Quotients are rounded down. `(1 + g)`, `w` and `alpha` are basis
//! points, so a score is at most `(3 + 99) x 10^9 x 2 x 10^4 x 10^4 x 10^4`, far inside 256 bits.

use super::{committee::Record, word::broken};
use crate::modules::host::Fault;
use alloy::primitives::U256;
use mileverse_primitives::{
    genesis::BASIS_POINTS,
    staking::{Weight, Weights},
};

/// A criterion that is wholly met.
const ONE: u64 = 1_000_000_000;

/// What a record's score is computed from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) record: Record,
    pub(super) results_due: u64,
    /// Votes for the delegate.
    pub(super) votes: u128,
    /// Votes for the whole committee.
    pub(super) all_votes: u128,
    pub(super) members: u64,
}

fn ratio(part: U256, whole: U256) -> U256 {
    part.saturating_mul(U256::from(ONE))
        .checked_div(whole)
        .unwrap_or_else(|| U256::from(ONE))
}

fn term(criterion: U256, weight: Weight) -> Result<U256, Fault> {
    let growth = U256::from(BASIS_POINTS).saturating_add(U256::from(weight.growth_bp));
    criterion
        .checked_mul(growth)
        .and_then(|term| term.checked_mul(U256::from(weight.weight_bp)))
        .and_then(|term| term.checked_mul(U256::from(weight.alpha_bp)))
        .ok_or_else(broken)
}

impl Case {
    fn turns(&self) -> U256 {
        ratio(
            U256::from(self.record.turns_kept),
            U256::from(self.record.turns_due),
        )
    }

    fn results(&self) -> U256 {
        let valid = self.record.valid.min(self.results_due);
        ratio(U256::from(valid), U256::from(self.results_due))
    }

    fn invalid(&self) -> U256 {
        let due = self.results_due.max(1);
        ratio(U256::from(self.record.invalid.min(due)), U256::from(due))
    }

    fn stake(&self) -> Result<U256, Fault> {
        let votes = U256::from(self.votes)
            .checked_mul(U256::from(self.members))
            .ok_or_else(broken)?;
        Ok(ratio(votes, U256::from(self.all_votes)))
    }

    /// Its weight among the others'.
    pub(super) fn score(&self, weights: &Weights) -> Result<U256, Fault> {
        let good = [
            term(self.stake()?, weights.stake)?,
            term(self.turns(), weights.turns)?,
            term(self.results(), weights.results)?,
        ]
        .into_iter()
        .fold(U256::ZERO, U256::saturating_add);
        Ok(good.saturating_sub(term(self.invalid(), weights.invalid)?))
    }

    /// How good the record alone is, without the stake, in basis points.
    pub(super) fn quality_bp(&self, weights: &Weights) -> Result<u64, Fault> {
        let one = U256::from(ONE);
        let best = term(one, weights.turns)?.saturating_add(term(one, weights.results)?);
        let reached = term(self.turns(), weights.turns)?
            .saturating_add(term(self.results(), weights.results)?)
            .saturating_sub(term(self.invalid(), weights.invalid)?);
        Ok(reached
            .saturating_mul(U256::from(BASIS_POINTS))
            .checked_div(best)
            .map_or(u64::from(BASIS_POINTS), |quality| quality.saturating_to()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mileverse_primitives::staking::StakingRules;

    fn case(kept: u64, valid: u64, invalid: u64, votes: u128) -> Case {
        Case {
            record: Record {
                turns_due: 10,
                turns_kept: kept,
                valid,
                invalid,
            },
            results_due: 4,
            votes,
            all_votes: 400,
            members: 4,
        }
    }

    #[test]
    fn better_in_any_criterion_scores_more() {
        let weights = StakingRules::default().weights;
        let score = |case: Case| case.score(&weights).unwrap();
        let middle = score(case(5, 2, 1, 100));
        assert!(score(case(6, 2, 1, 100)) > middle);
        assert!(score(case(5, 3, 1, 100)) > middle);
        assert!(score(case(5, 2, 0, 100)) > middle);
        assert!(score(case(5, 2, 1, 101)) > middle);
        // Results beyond what was due change nothing.
        assert_eq!(score(case(5, 4, 1, 100)), score(case(5, 9, 1, 100)));
    }

    #[test]
    fn quality_is_the_share_of_what_was_due() {
        let weights = StakingRules::default().weights;
        let quality =
            |kept, valid, invalid| case(kept, valid, invalid, 1).quality_bp(&weights).unwrap();
        assert_eq!(quality(10, 4, 0), 10_000);
        assert_eq!(quality(0, 0, 0), 0);
        assert_eq!(quality(10, 0, 0), 5_000);
        assert_eq!(quality(5, 2, 0), 5_000);
        assert_eq!(quality(10, 4, 4), 0);
        let idle = Case {
            record: Record::default(),
            results_due: 0,
            ..case(0, 0, 0, 1)
        };
        assert_eq!(idle.quality_bp(&weights).unwrap(), 10_000);
    }
}
