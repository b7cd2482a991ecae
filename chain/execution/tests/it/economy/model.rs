//! Staking as one would write it without caring for cost: every list is looped over.

use alloy::primitives::{B256, U256};
use mileverse_primitives::staking::{ELECTION_LAG, MAX_VOTES, StakingRules};
use std::collections::BTreeMap;

/// A call that the rules refuse.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused;

pub type Done = Result<(), Refused>;

/// Bits after the point of what rounding leaves.
pub const FRACTION: usize = 96;

#[derive(Clone, Debug)]
pub struct Delegation {
    pub candidate: usize,
    pub active: u128,
    pub joining: u128,
    /// Earned and not yet counted as rewards, times 2^96.
    pub scaled: U256,
}

impl Delegation {
    pub fn amount(&self) -> u128 {
        self.active + self.joining
    }
}

#[derive(Clone, Debug)]
pub struct Liability {
    pub candidate: usize,
    pub left: u64,
    pub amount: u128,
}

#[derive(Clone, Debug, Default)]
pub struct Account {
    pub free: u128,
    pub rewards: u128,
    pub delegations: Vec<Delegation>,
    /// Ready epoch and amount.
    pub unbondings: Vec<(u64, u128)>,
    pub liabilities: Vec<Liability>,
    /// What it ever earned from votes, as an exact fraction times 2^128, and in units.
    pub exact: U256,
    pub earned: u128,
}

#[derive(Clone, Copy, Debug)]
pub struct Slash {
    pub infraction: u64,
    pub proven: u64,
    pub reporter: usize,
}

#[derive(Clone, Debug)]
pub struct Candidate {
    pub owner: usize,
    pub key: B256,
    pub commission_bp: u16,
    pub listed: bool,
    pub jailed: bool,
    pub jailed_until: u64,
    pub slash: Option<Slash>,
    /// After a slash: what is left of the votes that nobody took home yet.
    pub held: u128,
    /// What rounding left, times 2^96.
    pub carry: U256,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Record {
    pub due: u64,
    pub kept: u64,
    pub valid: u64,
    pub invalid: u64,
    pub reward: u128,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub rules: StakingRules,
    pub epoch_blocks: u64,
    pub now: u64,
    pub accounts: Vec<Account>,
    /// In the order of registration.
    pub candidates: Vec<Candidate>,
    pub pool: u128,
    pub fees: u128,
    /// Candidates by epoch, ascending by key.
    pub elected: BTreeMap<u64, Vec<usize>>,
    /// Who signs the current epoch, ascending by key.
    pub committee: Vec<usize>,
    pub records: Vec<Record>,
    /// Delegations that ended and left dust to others.
    pub ended: u128,
}

impl Model {
    pub fn votes(&self, candidate: usize) -> u128 {
        if self.candidates[candidate].slash.is_some() {
            return 0;
        }
        self.raw_votes(candidate)
    }

    fn raw_votes(&self, candidate: usize) -> u128 {
        self.accounts
            .iter()
            .flat_map(|account| &account.delegations)
            .filter(|one| one.candidate == candidate)
            .map(Delegation::amount)
            .sum()
    }

    pub fn own(&self, candidate: usize) -> u128 {
        let owner = &self.accounts[self.candidates[candidate].owner];
        let own = owner.delegations.iter();
        own.filter(|one| one.candidate == candidate)
            .map(Delegation::amount)
            .sum()
    }

    pub fn least_own(&self) -> u128 {
        self.rules.least_own_stake.to()
    }

    pub fn candidate_of(&self, user: usize) -> Option<usize> {
        self.candidates.iter().position(|one| one.owner == user)
    }

    fn keep(&self, amount: u128) -> u128 {
        amount * u128::from(10_000 - self.rules.double_sign_slash_bp) / 10_000
    }

    /// Ends a delegation: its dust is the candidate's, and after the last one the pool's.
    fn sweep(&mut self, candidate: usize, scaled: U256) {
        let is_last = self.raw_votes(candidate) == 0;
        let one = &mut self.candidates[candidate];
        one.carry += scaled;
        self.ended += 1;
        if is_last {
            self.pool += (one.carry >> FRACTION).to::<u128>();
            one.carry &= (U256::ONE << FRACTION) - U256::ONE;
        }
    }

    /// Brings an account up to date.
    pub fn settle(&mut self, user: usize) {
        let account = &mut self.accounts[user];
        for one in &mut account.delegations {
            let units = (one.scaled >> FRACTION).to::<u128>();
            account.rewards += units;
            account.earned += units;
            one.scaled &= (U256::ONE << FRACTION) - U256::ONE;
        }
        let mut index = 0;
        while index < self.accounts[user].delegations.len() {
            let candidate = self.accounts[user].delegations[index].candidate;
            if self.candidates[candidate].slash.is_none() {
                index += 1;
                continue;
            }
            let one = self.accounts[user].delegations.remove(index);
            let rest = self.keep(one.amount());
            self.accounts[user].free += rest;
            self.candidates[candidate].held -= rest;
            if self.raw_votes(candidate) == 0 {
                self.pool += std::mem::take(&mut self.candidates[candidate].held);
            }
            self.sweep(candidate, one.scaled);
        }
        for liability in std::mem::take(&mut self.accounts[user].liabilities) {
            let free_at = liability.left + self.rules.unbonding_epochs;
            match self.candidates[liability.candidate].slash {
                None if self.now < free_at => self.accounts[user].liabilities.push(liability),
                None => {}
                Some(slash) => {
                    let is_owner = self.candidates[liability.candidate].owner == user;
                    let counts = is_owner || liability.left + ELECTION_LAG >= slash.infraction;
                    if counts && slash.proven < free_at {
                        let debt = liability.amount - self.keep(liability.amount);
                        let paid = self.pay(user, debt);
                        self.pool += paid;
                        if is_owner {
                            self.pay_reporter(slash.reporter, paid);
                        }
                    }
                }
            }
        }
    }

    fn pay_reporter(&mut self, reporter: usize, lost: u128) {
        let share = lost * u128::from(self.rules.reporter_share_bp) / 10_000;
        self.pool -= share;
        self.accounts[reporter].rewards += share;
    }

    fn pay(&mut self, user: usize, debt: u128) -> u128 {
        let mut left = debt;
        let account = &mut self.accounts[user];
        let free = left.min(account.free);
        account.free -= free;
        left -= free;
        while left > 0 && !account.unbondings.is_empty() {
            let last = account.unbondings.len() - 1;
            let taken = left.min(account.unbondings[last].1);
            account.unbondings[last].1 -= taken;
            left -= taken;
            if account.unbondings[last].1 == 0 {
                account.unbondings.pop();
            }
        }
        while left > 0 && !self.accounts[user].delegations.is_empty() {
            let last = self.accounts[user].delegations.len() - 1;
            let taken = left.min(self.accounts[user].delegations[last].amount());
            self.reduce(user, last, taken);
            left -= taken;
        }
        debt - left
    }

    fn reduce(&mut self, user: usize, index: usize, amount: u128) {
        let one = &mut self.accounts[user].delegations[index];
        let fresh = amount.min(one.joining);
        one.joining -= fresh;
        one.active -= amount - fresh;
        if one.amount() == 0 {
            let one = self.accounts[user].delegations.remove(index);
            self.sweep(one.candidate, one.scaled);
        }
    }

    pub fn stake(&mut self, user: usize, amount: u128) -> Done {
        if amount == 0 {
            return Err(Refused);
        }
        self.settle(user);
        self.accounts[user].free += amount;
        Ok(())
    }

    pub fn give(&mut self, user: usize, candidate: usize, amount: u128) -> Done {
        let standing = &self.candidates[candidate];
        let account = &mut self.accounts[user];
        if amount == 0 || standing.slash.is_some() || !standing.listed || account.free < amount {
            return Err(Refused);
        }
        let is_full = account.delegations.len() >= MAX_VOTES;
        let found = account
            .delegations
            .iter_mut()
            .find(|one| one.candidate == candidate);
        match found {
            Some(one) => one.joining += amount,
            None if is_full => return Err(Refused),
            None => account.delegations.push(Delegation {
                candidate,
                active: 0,
                joining: amount,
                scaled: U256::ZERO,
            }),
        }
        account.free -= amount;
        let mut left = amount;
        for liability in account.liabilities.iter_mut().rev() {
            if liability.candidate == candidate {
                let ended = left.min(liability.amount);
                liability.amount -= ended;
                left -= ended;
            }
        }
        account.liabilities.retain(|one| one.amount > 0);
        Ok(())
    }

    pub fn take(&mut self, user: usize, candidate: usize, amount: u128) -> Done {
        let index = self.accounts[user]
            .delegations
            .iter()
            .position(|one| one.candidate == candidate)
            .ok_or(Refused)?;
        if amount == 0 || self.accounts[user].delegations[index].amount() < amount {
            return Err(Refused);
        }
        self.reduce(user, index, amount);
        let left = self.now;
        let account = &mut self.accounts[user];
        account.free += amount;
        let is_full = account.liabilities.len() >= 64;
        let same = account
            .liabilities
            .iter_mut()
            .find(|one| one.candidate == candidate && one.left == left);
        match same {
            Some(one) => one.amount += amount,
            None if is_full => return Err(Refused),
            None => account.liabilities.push(Liability {
                candidate,
                left,
                amount,
            }),
        }
        Ok(())
    }

    pub fn split(&mut self, user: usize, wanted: &BTreeMap<usize, u128>) -> Done {
        self.settle(user);
        let before: Vec<(usize, u128)> = self.accounts[user]
            .delegations
            .iter()
            .map(|one| (one.candidate, one.amount()))
            .collect();
        for (candidate, voted) in &before {
            let target = wanted.get(candidate).copied().unwrap_or(0);
            if *voted > target {
                self.take(user, *candidate, voted - target)?;
            }
        }
        for (candidate, target) in wanted {
            let voted = before.iter().find(|(one, _)| one == candidate);
            let voted = voted.map_or(0, |(_, voted)| *voted);
            if *target > voted {
                self.give(user, *candidate, target - voted)?;
            }
        }
        Ok(())
    }

    pub fn unstake(&mut self, user: usize, amount: u128) -> Done {
        self.settle(user);
        let account = &mut self.accounts[user];
        if amount == 0 || account.free < amount {
            return Err(Refused);
        }
        account.free -= amount;
        let ready = self.now + self.rules.unbonding_epochs;
        let is_full = account.unbondings.len() >= 32;
        match account.unbondings.iter_mut().find(|one| one.0 == ready) {
            Some(one) => one.1 += amount,
            None if is_full => return Err(Refused),
            None => account.unbondings.push((ready, amount)),
        }
        Ok(())
    }

    /// Answers what is paid out.
    pub fn withdraw(&mut self, user: usize) -> Result<u128, Refused> {
        self.settle(user);
        let now = self.now;
        let account = &mut self.accounts[user];
        let ripe = account.unbondings.iter().filter(|one| one.0 <= now);
        let amount = ripe.map(|one| one.1).sum();
        if !account.unbondings.iter().any(|one| one.0 <= now) {
            return Err(Refused);
        }
        account.unbondings.retain(|one| one.0 > now);
        Ok(amount)
    }

    /// Answers what is paid out.
    pub fn claim(&mut self, user: usize) -> Result<u128, Refused> {
        self.settle(user);
        match std::mem::take(&mut self.accounts[user].rewards) {
            0 => Err(Refused),
            rewards => Ok(rewards),
        }
    }

    pub fn register(&mut self, user: usize, key: B256, value: u128) -> Done {
        let listed = self.candidates.iter().filter(|one| one.listed).count();
        let index = match self.candidate_of(user) {
            Some(index) => index,
            None => {
                self.candidates.push(Candidate {
                    owner: user,
                    key,
                    commission_bp: 500,
                    listed: false,
                    jailed: false,
                    jailed_until: 0,
                    slash: None,
                    held: 0,
                    carry: U256::ZERO,
                });
                self.candidates.len() - 1
            }
        };
        let one = &mut self.candidates[index];
        if one.slash.is_some() || one.listed || listed >= self.rules.max_candidates as usize {
            return Err(Refused);
        }
        one.listed = true;
        self.settle(user);
        self.accounts[user].free += value;
        if value > 0 {
            self.give(user, index, value)?;
        }
        if self.own(index) < self.least_own() {
            return Err(Refused);
        }
        Ok(())
    }

    pub fn retire(&mut self, user: usize, candidate: usize) -> Done {
        let own = self.own(candidate);
        let least = self.least_own();
        let one = &mut self.candidates[candidate];
        if !one.listed || (one.owner != user && own >= least) {
            return Err(Refused);
        }
        one.listed = false;
        Ok(())
    }

    pub fn unjail(&mut self, user: usize) -> Done {
        let index = self.candidate_of(user).ok_or(Refused)?;
        let own = self.own(index);
        let least = self.least_own();
        let now = self.now;
        let one = &mut self.candidates[index];
        if one.slash.is_some() || !one.jailed || now < one.jailed_until || own < least {
            return Err(Refused);
        }
        one.jailed = false;
        Ok(())
    }

    pub fn double_proposal(&mut self, reporter: usize, candidate: usize, epoch: u64) -> Done {
        if epoch > self.now || self.now >= epoch + self.rules.unbonding_epochs {
            return Err(Refused);
        }
        if self.candidates[candidate].slash.is_some() {
            return Err(Refused);
        }
        let own = self.own(candidate);
        let votes = self.votes(candidate);
        let taken = votes * u128::from(self.rules.double_sign_slash_bp) / 10_000;
        let one = &mut self.candidates[candidate];
        one.listed = false;
        one.held = votes - taken;
        one.slash = Some(Slash {
            infraction: epoch,
            proven: self.now,
            reporter,
        });
        let owner = one.owner;
        self.pool += taken;
        self.pay_reporter(reporter, own - self.keep(own));
        self.settle(owner);
        Ok(())
    }

    pub fn false_result(&mut self, candidate: usize) {
        if let Some(position) = self.committee.iter().position(|one| *one == candidate) {
            self.records[position].invalid += 1;
        }
        self.jail(candidate);
    }

    pub fn jail(&mut self, candidate: usize) {
        let until = self.now + 1 + self.rules.jail_epochs;
        let one = &mut self.candidates[candidate];
        one.jailed = true;
        one.jailed_until = until;
    }
}
