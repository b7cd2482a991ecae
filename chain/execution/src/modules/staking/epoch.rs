//! The end of an epoch, in its last block: rewards, jail, election, the next committee.
//!
//! What is shared is `rewardPerEpoch` from the pool (what is left of it, at the end), the fees of
//! the epoch, and coin that somebody forced upon the module. Each delegate's part is
//! `shared x its score / all scores`, rounded down; what rounding leaves stays in the pool. Of its
//! part a delegate takes its commission, rounded down; its voters share the rest (`rewards`). If no
//! votes earn yet, the rest stays in the pool.
//!
//! A delegate whose record is below the floor is jailed and is not paid for the epoch; nor is one
//! that was slashed.

use super::{
    Context,
    account::credit,
    candidate::{self, Standing, Times, Votes},
    committee::{self, Committee},
    election, rewards, score,
    totals::{self, Sum},
    word::{amount, broken, minus, part, plus},
};
use crate::{
    executor::NextEpoch,
    modules::{host::Fault, ledger::Ledger},
};
use alloy::primitives::U256;
use mileverse_primitives::genesis::{BASIS_POINTS, MAX_VALIDATORS};

pub(super) fn end(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    next: &NextEpoch,
) -> Result<(), Fault> {
    let members = check(ledger, context, next)?;
    finish(ledger, context, next, &members).map_err(|fault| match fault {
        // Nothing here refuses: a contradiction is one of the books.
        Fault::Revert(reason) => Fault::Fatal(reason),
        other => other,
    })
}

/// The next committee, with the number of each member's candidacy. Only candidates are ever
/// elected; a member that is none has number 0, keeps a record and earns nothing.
fn check(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    next: &NextEpoch,
) -> Result<Vec<(alloy::primitives::B256, u64)>, Fault> {
    if next.epoch != context.now.saturating_add(1) {
        return Err(Fault::revert("the committee is not the next epoch's"));
    }
    let keys = &next.committee;
    if keys.is_empty() || keys.len() > MAX_VALIDATORS || !keys.is_sorted_by(|a, b| a < b) {
        return Err(Fault::revert(format!(
            "the next committee must have 1 to {MAX_VALIDATORS} members in ascending order"
        )));
    }
    keys.iter()
        .map(|key| {
            let id = candidate::by_key(ledger, *key)?;
            Ok((*key, id.unwrap_or_default()))
        })
        .collect()
}

fn finish(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    next: &NextEpoch,
    members: &[(alloy::primitives::B256, u64)],
) -> Result<(), Fault> {
    let committee = committee::get(ledger, context.now)?.ok_or_else(broken)?;
    gather(ledger)?;
    pay(ledger, context, committee)?;
    election::elect(ledger, context)?;
    committee::set(ledger, context, next.epoch, next.succeeded, members)?;
    if totals::owed(ledger)? == totals::balance(ledger)? {
        Ok(())
    } else {
        Err(broken())
    }
}

/// What came in during the epoch is whatever is there beyond what is owed otherwise: the fees
/// counted block by block, and coin that somebody forced upon the module.
fn gather(ledger: &mut impl Ledger) -> Result<(), Fault> {
    let counted = amount(totals::get(ledger, Sum::Fees)?)?;
    totals::subtract(ledger, Sum::Fees, counted)?;
    let income = totals::balance(ledger)?
        .checked_sub(totals::owed(ledger)?)
        .ok_or_else(broken)?;
    totals::add(ledger, Sum::Fees, amount(income)?)
}

struct Delegate {
    position: u64,
    id: u64,
    standing: Standing,
    votes: u128,
    score: U256,
}

fn pay(ledger: &mut impl Ledger, context: &Context<'_>, committee: Committee) -> Result<(), Fault> {
    let fees = amount(totals::get(ledger, Sum::Fees)?)?;
    totals::transfer(ledger, Sum::Fees, Sum::Pool, fees)?;
    let pool = totals::get(ledger, Sum::Pool)?;
    // The pool holds the fees by now; they come on top of the epoch's reward.
    let shared = context
        .rules
        .reward_per_epoch
        .saturating_add(U256::from(fees))
        .min(pool);
    let shared = amount(shared)?;

    let delegates = judge(ledger, context, committee)?;
    let all_scores = delegates
        .iter()
        .try_fold(U256::ZERO, |sum, one| sum.checked_add(one.score))
        .ok_or_else(broken)?;
    for delegate in delegates {
        let share = U256::from(shared)
            .checked_mul(delegate.score)
            .ok_or_else(broken)?
            .checked_div(all_scores)
            .unwrap_or_default();
        let share = amount(share)?;
        let paid = pay_one(ledger, context, &delegate, share)?;
        totals::transfer(ledger, Sum::Pool, Sum::Unpaid, paid)?;
        committee.set_result(
            ledger,
            delegate.position,
            delegate.votes,
            paid,
            delegate.score,
        )?;
    }
    Ok(())
}

/// Pays one delegate and its voters; answers how much of the share found somebody.
fn pay_one(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    delegate: &Delegate,
    share: u128,
) -> Result<u128, Fault> {
    if share == 0 {
        return Ok(0);
    }
    let commission = part(
        share,
        delegate.standing.commission_bp.into(),
        BASIS_POINTS.into(),
    )?;
    credit(ledger, delegate.standing.owner, commission)?;
    let rest = minus(share, commission)?;
    if rewards::share(ledger, delegate.id, context.now, rest)? {
        Ok(share)
    } else {
        Ok(commission)
    }
}

/// Scores every delegate of the epoch, and jails those below the floor.
fn judge(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    committee: Committee,
) -> Result<Vec<Delegate>, Fault> {
    let mut delegates = Vec::new();
    let mut all_votes = 0;
    for position in 0..committee.size {
        let id = committee.id(ledger, position)?;
        let standing: Standing = candidate::get(ledger, id)?;
        let votes: Votes = candidate::get(ledger, id)?;
        all_votes = plus(all_votes, votes.total)?;
        delegates.push(Delegate {
            position,
            id,
            standing,
            votes: votes.total,
            score: U256::ZERO,
        });
    }
    for delegate in &mut delegates {
        let case = score::Case {
            record: committee.record(ledger, delegate.position)?,
            results_due: committee.results_due,
            votes: delegate.votes,
            all_votes,
            members: committee.size,
        };
        if delegate.standing.tombstoned || delegate.id == 0 {
            continue;
        }
        let weights = &context.rules.weights;
        if case.quality_bp(weights)? < u64::from(context.rules.record_floor_bp) {
            jail(ledger, context, delegate.id)?;
        } else {
            delegate.score = case.score(weights)?;
        }
    }
    Ok(delegates)
}

/// Jails a candidate from now on.
pub(super) fn jail(ledger: &mut impl Ledger, context: &Context<'_>, id: u64) -> Result<(), Fault> {
    let mut standing: Standing = candidate::get(ledger, id)?;
    let mut times: Times = candidate::get(ledger, id)?;
    standing.jailed = true;
    times.jailed_until = context
        .now
        .saturating_add(1)
        .saturating_add(context.rules.jail_epochs);
    candidate::put(ledger, id, &standing)?;
    candidate::put(ledger, id, &times)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::modules::{
        ledger::{Blank, Ledger},
        slot::Slot,
        staking::register::{Offer, enlist},
    };
    use alloy::primitives::{Address, B256, keccak256};
    use mileverse_primitives::staking::StakingRules;

    /// Counts what an epoch's end touches.
    struct Counting {
        words: Blank,
        balance: U256,
        loads: usize,
        stores: usize,
    }

    impl Ledger for Counting {
        fn load(&mut self, slot: Slot) -> Result<U256, Fault> {
            self.loads += 1;
            self.words.load(slot)
        }

        fn store(&mut self, slot: Slot, word: U256) -> Result<(), Fault> {
            self.stores += 1;
            self.words.store(slot, word)
        }

        fn balance(&mut self, _: Address) -> Result<U256, Fault> {
            Ok(self.balance)
        }
    }

    #[test]
    fn the_largest_epoch_ends_with_bounded_work() {
        let rules = StakingRules {
            least_own_stake: U256::from(1_000),
            reward_per_epoch: U256::from(1_000_000),
            ..StakingRules::default()
        };
        let context = Context {
            rules: &rules,
            epoch_blocks: 300,
            least_seats: 4,
            genesis_hash: B256::repeat_byte(7),
            now: 0,
        };
        let mut ledger = Counting {
            words: Blank::default(),
            balance: U256::ZERO,
            loads: 0,
            stores: 0,
        };
        totals::add(&mut ledger, Sum::Pool, 1_000_000_000).unwrap();
        let mut members = Vec::new();
        for number in 1u64..=1_000 {
            let key = keccak256(number.to_be_bytes());
            let owner = Address::from_word(key);
            let offer = Offer {
                key,
                address: ([10, 0, 0, 1], 9_000).into(),
                commission_bp: 100,
                name: "one of many",
                website: "",
            };
            let own = 1_000 + u128::from(number * 7_919 % 1_000);
            enlist(&mut ledger, &context, owner, &offer, own).unwrap();
            members.push((key, number));
        }
        members.truncate(99);
        members.sort_unstable();
        let seats: Vec<_> = members
            .iter()
            .map(|(_, id)| committee::seat(&mut ledger, *id).unwrap())
            .collect();
        for epoch in 0..3 {
            committee::set_elected(&mut ledger, epoch, &seats).unwrap();
        }
        committee::set(&mut ledger, &context, 0, true, &members).unwrap();
        ledger.balance = totals::owed(&mut ledger.words).unwrap();
        (ledger.loads, ledger.stores) = (0, 0);
        let next = NextEpoch {
            epoch: 1,
            succeeded: true,
            committee: members.iter().map(|(key, _)| *key).collect(),
        };
        end(&mut ledger, &context, &next).unwrap();
        let elected = committee::elected(&mut ledger, 3).unwrap().unwrap();
        assert_eq!(elected.len(), 99);
        // Three words for each candidate, some dozens for each delegate.
        assert!(ledger.loads < 3 * 1_000 + 99 * 40, "{}", ledger.loads);
        assert!(ledger.stores < 99 * 30, "{}", ledger.stores);
    }
}
