//! The model's end of an epoch: rewards, jail, election, by looping over everybody.

use super::model::{FRACTION, Model, Record};
use alloy::primitives::U256;
use mileverse_primitives::{
    genesis::LEAST_COMMITTEE,
    staking::{ELECTION_LAG, Weight},
};
use std::cmp::Reverse;

const ONE: u128 = 1_000_000_000;

fn term(criterion: u128, weight: Weight) -> U256 {
    U256::from(criterion)
        * U256::from(10_000 + u32::from(weight.growth_bp))
        * U256::from(weight.weight_bp)
        * U256::from(weight.alpha_bp)
}

fn ratio(part: u128, whole: u128) -> u128 {
    (part * ONE).checked_div(whole).unwrap_or(ONE)
}

impl Model {
    /// Heights of this epoch that are attested early enough to be due.
    fn results_due(&self) -> u64 {
        let interval = self.rules.attestation_interval;
        let first = self.now * self.epoch_blocks;
        let last = first + self.epoch_blocks - 1;
        (first..=last)
            .filter(|height| *height > 0 && height.is_multiple_of(interval))
            .filter(|height| height + 2 * interval <= last)
            .count() as u64
    }

    /// Ends the epoch; `succeeded` says whether its ceremony did.
    pub fn end_epoch(&mut self, succeeded: bool) -> Vec<Record> {
        self.share_out();
        self.elect();
        let records = std::mem::take(&mut self.records);
        // Votes that came in this epoch earn from now on.
        for one in self
            .accounts
            .iter_mut()
            .flat_map(|one| &mut one.delegations)
        {
            one.active += std::mem::take(&mut one.joining);
        }
        if succeeded {
            self.committee = self.elected[&self.now].clone();
        }
        self.records = vec![Record::default(); self.committee.len()];
        self.now += 1;
        records
    }

    fn share_out(&mut self) {
        let per_epoch: u128 = self.rules.reward_per_epoch.to();
        let shared = per_epoch.min(self.pool) + self.fees;
        self.pool += std::mem::take(&mut self.fees);
        let due = self.results_due();
        let members = self.committee.clone();
        let all_votes: u128 = members.iter().map(|one| self.votes(*one)).sum();
        let weights = self.rules.weights;
        let mut scores = Vec::new();
        for (candidate, record) in members.iter().zip(self.records.clone()) {
            if self.candidates[*candidate].slash.is_some() {
                scores.push(U256::ZERO);
                continue;
            }
            let invalid = term(
                ratio(record.invalid.min(due.max(1)).into(), due.max(1).into()),
                weights.invalid,
            );
            let record_score = term(ratio(record.kept.into(), record.due.into()), weights.turns)
                + term(
                    ratio(record.valid.min(due).into(), due.into()),
                    weights.results,
                );
            let best = term(ONE, weights.turns) + term(ONE, weights.results);
            let quality = record_score.saturating_sub(invalid) * U256::from(10_000) / best;
            if quality < U256::from(self.rules.record_floor_bp) {
                self.jail(*candidate);
                scores.push(U256::ZERO);
                continue;
            }
            let stake = ratio(self.votes(*candidate) * members.len() as u128, all_votes);
            scores.push((record_score + term(stake, weights.stake)).saturating_sub(invalid));
        }
        let all: U256 = scores.iter().sum();
        for (position, candidate) in members.into_iter().enumerate() {
            let share = (U256::from(shared) * scores[position])
                .checked_div(all)
                .unwrap_or_default()
                .to::<u128>();
            let paid = self.pay_delegate(candidate, share);
            self.pool -= paid;
            self.records[position].reward = paid;
        }
    }

    fn pay_delegate(&mut self, candidate: usize, share: u128) -> u128 {
        let one = &self.candidates[candidate];
        let commission = share * u128::from(one.commission_bp) / 10_000;
        let (owner, rest) = (one.owner, share - commission);
        if share == 0 {
            return 0;
        }
        self.accounts[owner].rewards += commission;
        let voters = || {
            self.accounts
                .iter()
                .flat_map(|account| &account.delegations)
                .filter(|one| one.candidate == candidate)
        };
        let earning: u128 = voters().map(|one| one.active).sum();
        if earning == 0 {
            return commission;
        }
        let scaled = (U256::from(rest) << FRACTION) + one.carry;
        let (step, carry) = scaled.div_rem(U256::from(earning));
        self.candidates[candidate].carry = carry;
        for account in &mut self.accounts {
            for one in &mut account.delegations {
                if one.candidate == candidate {
                    one.scaled += step * U256::from(one.active);
                    account.exact += ((U256::from(rest) * U256::from(one.active)) << 128usize)
                        / U256::from(earning);
                }
            }
        }
        share
    }

    fn elect(&mut self) {
        let least = LEAST_COMMITTEE;
        let mut ranking: Vec<(Reverse<u128>, usize)> = (0..self.candidates.len())
            .filter(|index| {
                let one = &self.candidates[*index];
                one.listed && !one.jailed && one.slash.is_none()
            })
            .filter(|index| self.own(*index) >= self.least_own())
            .map(|index| (Reverse(self.votes(index)), index))
            .collect();
        ranking.sort_unstable();
        ranking.truncate(self.rules.seats as usize);
        let mut elected: Vec<usize> = ranking.into_iter().map(|(_, index)| index).collect();
        let target = self.now + ELECTION_LAG;
        let mut before: Vec<(bool, Reverse<u128>, usize)> = self.elected[&(target - 1)]
            .iter()
            .filter(|index| !elected.contains(index))
            .map(|index| {
                let is_slashed = self.candidates[*index].slash.is_some();
                (is_slashed, Reverse(self.votes(*index)), *index)
            })
            .collect();
        before.sort_unstable();
        while elected.len() < least {
            elected.push(before.remove(0).2);
        }
        elected.sort_unstable_by_key(|index| self.candidates[*index].key);
        self.elected.insert(target, elected);
    }
}
