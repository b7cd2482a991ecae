//! The election at an epoch's end.
//!
//! Listed candidates that are not jailed or tombstoned, and whose owner votes enough for them, are
//! ranked by votes, then by age (lower number: registered earlier). The first `seats` are elected.
//! Numbers never repeat, so there is never a tie left. At most `maxCandidates` are listed, which
//! bounds the work: three words each, and a sort.
//!
//! A committee has one member or at least four. If fewer can be elected than the least (four; one
//! in a net that began with one), members elected for the epoch before keep seats until the least
//! is reached: first those that were never slashed, among them those with more votes, then the
//! older. In a net whose least is one, two or three that can be elected leave one seat filled.

use super::{
    Context,
    candidate::{self, Standing, Votes},
    committee::{self, Seat},
    word::broken,
};
use crate::modules::{host::Fault, ledger::Ledger};
use mileverse_primitives::{
    genesis::LEAST_COMMITTEE,
    staking::{ELECTION_LAG, StakingRules},
};
use std::{cmp::Reverse, collections::BTreeSet};

/// A candidate in the order of an election: the first is the best.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Rank {
    not_eligible: bool,
    votes: Reverse<u128>,
    pub(super) id: u64,
}

/// Whether an election could elect a candidate.
pub(super) fn is_eligible(rules: &StakingRules, standing: &Standing, votes: &Votes) -> bool {
    standing.listed
        && !standing.jailed
        && !standing.tombstoned
        && alloy::primitives::U256::from(votes.own) >= rules.least_own_stake
}

/// All listed candidates, the best first.
pub(super) fn ranking(ledger: &mut impl Ledger, context: &Context<'_>) -> Result<Vec<Rank>, Fault> {
    let mut ranks = Vec::new();
    for id in candidate::listed(ledger)? {
        let standing: Standing = candidate::get(ledger, id)?;
        let votes: Votes = candidate::get(ledger, id)?;
        ranks.push(Rank {
            not_eligible: !is_eligible(context.rules, &standing, &votes),
            votes: Reverse(votes.total),
            id,
        });
    }
    ranks.sort_unstable();
    Ok(ranks)
}

/// Elects for the epoch that comes [`ELECTION_LAG`] after the one that ends.
pub(super) fn elect(ledger: &mut impl Ledger, context: &Context<'_>) -> Result<(), Fault> {
    let seats = usize::try_from(context.rules.seats).map_err(|_| broken())?;
    let mut elected: Vec<u64> = ranking(ledger, context)?
        .into_iter()
        .filter(|rank| !rank.not_eligible)
        .take(seats)
        .map(|rank| rank.id)
        .collect();
    let target = context.now.checked_add(ELECTION_LAG).ok_or_else(broken)?;
    let before = target.checked_sub(1).ok_or_else(broken)?;
    let mut kept = Vec::new();
    if elected.len() < context.least_seats {
        let chosen: BTreeSet<u64> = elected.iter().copied().collect();
        for seat in committee::elected(ledger, before)?.ok_or_else(broken)? {
            if !chosen.contains(&seat.id) {
                let standing: Standing = candidate::get(ledger, seat.id)?;
                let votes: Votes = candidate::get(ledger, seat.id)?;
                kept.push((standing.tombstoned, Reverse(votes.total), seat.id, seat));
            }
        }
        kept.sort_unstable_by_key(|(tombstoned, votes, id, _)| (*tombstoned, *votes, *id));
        kept.truncate(context.least_seats.saturating_sub(elected.len()));
    } else if elected.len() < LEAST_COMMITTEE {
        elected.truncate(1);
    }
    let mut filled: Vec<Seat> = elected
        .into_iter()
        .map(|id| committee::seat(ledger, id))
        .collect::<Result<_, _>>()?;
    filled.extend(kept.into_iter().map(|(_, _, _, seat)| seat));
    filled.sort_unstable_by_key(|seat| seat.key);
    committee::set_elected(ledger, target, &filled)
}
