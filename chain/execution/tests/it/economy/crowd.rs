//! The crowd: what its members try in each block, on the chain and in the model.

use super::{
    EPOCH_BLOCKS, check, coin,
    dice::{Dice, Story},
    model::{Account, Candidate, Model, Record, Refused},
    totals,
};
use crate::{
    staking::{
        evidence::{double, false_result},
        support::{account, elected, key, member_keys, net_genesis, records, register_call},
    },
    support::{Chain, Send, consensus_key},
};
use alloy::primitives::{B256, TxKind, U256, keccak256};
use commonware_cryptography::ed25519;
use mileverse_execution::{BlockInput, NextEpoch};
use mileverse_primitives::{
    abi::IStaking::{self, Vote},
    address::STAKING,
    schedule::Schedule,
    staking::{Allocation, StakingRules},
    vote::Attestation,
};
use std::collections::{BTreeMap, BTreeSet};

const USERS: u8 = 24;
const MEMBERS: usize = 4;
const INTERVAL: u64 = 2;
const FUNDS: u64 = 1_000_000_000;

pub struct Crowd {
    pub chain: Chain,
    pub story: Story,
    model: Model,
    dice: Dice,
    keys: BTreeMap<usize, ed25519::PrivateKey>,
    /// A delegate that is down for an epoch.
    down: Option<B256>,
    /// Final digests of attested heights of the current epoch.
    digests: BTreeMap<u64, B256>,
    reported: BTreeSet<(usize, u64)>,
    wallets: Vec<u128>,
}

fn rules(dice: &mut Dice) -> StakingRules {
    let mut rules = StakingRules {
        seats: 7,
        max_candidates: 12,
        least_own_stake: U256::from(1_000),
        unbonding_epochs: 4 + dice.next() % 8,
        jail_epochs: 1 + dice.next() % 4,
        double_sign_slash_bp: [500, 3_333, 10_000][dice.below(3)],
        reporter_share_bp: 1_000,
        reward_pool: U256::from(FUNDS),
        reward_per_epoch: U256::from(1 + dice.next() % 9_999_999),
        attestation_interval: INTERVAL,
        ..StakingRules::default()
    };
    rules.weights.stake.growth_bp = 700;
    rules.weights.turns.alpha_bp = 9_001;
    rules
}

impl Crowd {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let rules = rules(&mut dice);
        let users = Chain::some_users(USERS);
        let mut genesis = net_genesis(rules);
        genesis.allocations = users
            .iter()
            .map(|user| Allocation {
                address: user.address(),
                amount: U256::from(FUNDS),
            })
            .collect();
        genesis.check().unwrap();
        let members = genesis.committee.members.clone();
        let mut chain = Chain::with(genesis, users);
        chain.beneficiary = STAKING;
        chain.thorough = false;
        let mut model = Model {
            rules,
            epoch_blocks: EPOCH_BLOCKS,
            now: 0,
            accounts: vec![Account::default(); USERS.into()],
            candidates: vec![],
            pool: rules.reward_pool.to(),
            fees: 0,
            elected: BTreeMap::new(),
            committee: (0..MEMBERS).collect(),
            records: vec![Record::default(); MEMBERS],
            ended: 0,
        };
        let mut keys = BTreeMap::new();
        for (user, (member, key)) in members.iter().zip(member_keys()).enumerate() {
            let stake: u128 = member.stake.to();
            model.candidates.push(Candidate {
                owner: user,
                key: member.consensus_key,
                commission_bp: member.commission_bp,
                listed: true,
                jailed: false,
                jailed_until: 0,
                slash: None,
                held: 0,
                carry: U256::ZERO,
            });
            model.accounts[user].free = stake;
            model.give(user, user, stake).unwrap();
            let one = &mut model.accounts[user].delegations[0];
            one.active = std::mem::take(&mut one.joining);
            keys.insert(user, key);
        }
        for epoch in 0..3 {
            model.elected.insert(epoch, (0..MEMBERS).collect());
        }
        for user in MEMBERS..USERS.into() {
            keys.insert(user, key(200 + user as u64));
        }
        Self {
            chain,
            story: Story::default(),
            model,
            dice,
            keys,
            down: None,
            digests: BTreeMap::new(),
            reported: BTreeSet::new(),
            wallets: vec![FUNDS.into(); USERS.into()],
        }
    }

    /// One block with what some of the crowd try in it.
    pub fn block(&mut self) {
        let is_first = (self.chain.height + 1).is_multiple_of(EPOCH_BLOCKS);
        if is_first || self.chain.height == 0 {
            self.digests.clear();
            self.down = self.dice.chance(20).then(|| {
                let position = self.dice.below(self.chain.committee.len());
                self.chain.committee[position]
            });
        }
        self.skip_views();
        let attestations = self.attest();
        let mut input = self.chain.input(None);
        input.attestations = attestations;
        let succeeded = self.decide_ceremony(&mut input);
        let mut sends = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..self.dice.below(4) {
            let (send, outcome) = self.try_something();
            sends.push(send);
            expected.push(outcome);
        }
        let output = self.chain.block_of(&sends, input);
        for ((send, outcome), receipt) in sends.iter().zip(expected).zip(&output.receipts) {
            assert_eq!(
                receipt.success, outcome,
                "the model and the chain disagree on {send:?}"
            );
            let fee = u128::from(receipt.gas_used) * send.gas_price;
            self.wallets[send.user] -= fee;
            self.model.fees += fee;
            if outcome {
                self.story.done += 1;
            } else {
                self.story.refused += 1;
            }
        }
        if let Some(succeeded) = succeeded {
            self.end_epoch(succeeded);
        }
    }

    /// Skips views, and counts what each leader kept or missed.
    fn skip_views(&mut self) {
        if self.dice.chance(5) {
            self.chain.skip = self.dice.next() % 40;
        }
        while Some(self.chain.turn().leader) == self.down {
            self.chain.skip += 1;
        }
        let turn = self.chain.turn();
        let hash = self.chain.genesis_hash;
        let schedule = Schedule::new(hash, turn.epoch, &self.chain.committee).unwrap();
        let counted = 4 * self.chain.committee.len() as u64;
        for view in (turn.parent_view + 1).max(turn.view.saturating_sub(counted))..=turn.view {
            let record = &mut self.model.records[schedule.position(view)];
            record.due += 1;
            record.kept += u64::from(view == turn.view);
        }
    }

    /// Most delegates attest the height below, if it is attested.
    fn attest(&mut self) -> Vec<Attestation> {
        let height = self.chain.height;
        let epoch = height / EPOCH_BLOCKS;
        if height == 0 || !height.is_multiple_of(INTERVAL) || epoch != self.chain.epoch() {
            return vec![];
        }
        self.digests.insert(height, self.chain.parent);
        let mut all = Vec::new();
        for (position, delegate) in self.chain.committee.clone().into_iter().enumerate() {
            if Some(delegate) != self.down && self.dice.chance(90) {
                self.model.records[position].valid += 1;
                all.push(Attestation {
                    epoch,
                    height,
                    digest: self.chain.parent,
                    delegate,
                    signature: [0; 64],
                });
            }
        }
        all
    }

    /// In an epoch's last block: says who signs next. Some ceremonies fail.
    fn decide_ceremony(&mut self, input: &mut BlockInput) -> Option<bool> {
        input.next_epoch.as_ref()?;
        let succeeded = !self.dice.chance(10);
        let epoch = self.chain.epoch();
        let committee = if succeeded {
            let elected = &self.model.elected[&epoch];
            elected
                .iter()
                .map(|one| self.model.candidates[*one].key)
                .collect()
        } else {
            self.chain.committee.clone()
        };
        input.next_epoch = Some(NextEpoch {
            epoch: epoch + 1,
            succeeded,
            committee,
        });
        Some(succeeded)
    }

    fn end_epoch(&mut self, succeeded: bool) {
        let jailed = |model: &Model| model.candidates.iter().filter(|one| one.jailed).count();
        let before = jailed(&self.model);
        let epoch = self.model.now;
        let members = self.model.committee.clone();
        let expected = self.model.end_epoch(succeeded);
        self.story.epochs += 1;
        self.story.jailed += jailed(&self.model).saturating_sub(before) as u64;
        self.story.failed_ceremonies += u64::from(!succeeded);
        let shown = records(&self.chain, epoch);
        assert_eq!(shown.len(), expected.len());
        for ((record, shown), member) in expected.iter().zip(shown).zip(members) {
            assert_eq!(shown.consensusKey, self.model.candidates[member].key);
            let shown = Record {
                due: shown.turnsDue,
                kept: shown.turnsKept,
                valid: shown.validResults,
                invalid: shown.invalidResults,
                reward: shown.reward.to(),
            };
            assert_eq!(shown, *record);
            self.story.paid += record.reward;
        }
    }

    /// One random call by one random user; whether it succeeds, the model knows.
    fn try_something(&mut self) -> (Send, bool) {
        let user = self.dice.below(USERS.into());
        let other = self.some_candidate(user);
        let owner = self.chain.user(self.model.candidates[other].owner);
        let mut next = self.model.clone();
        let mut wallet = i128::from(0u8);
        let call = |call: &dyn Fn() -> Vec<u8>| Send::data(user, STAKING, call());
        use alloy::sol_types::SolCall as _;
        let (mut send, done) = match self.dice.below(20) {
            0..=2 => {
                let amount = self.dice.amount(self.wallets[user] / 4);
                wallet -= i128::try_from(amount).unwrap();
                let send = call(&|| IStaking::stakeCall {}.abi_encode()).value(U256::from(amount));
                (send, next.stake(user, amount))
            }
            3..=6 => {
                let amount = self.dice.amount(next.accounts[user].free);
                let send = call(&|| {
                    IStaking::voteForCall {
                        candidate: owner,
                        amount: U256::from(amount),
                    }
                    .abi_encode()
                });
                next.settle(user);
                (send, next.give(user, other, amount))
            }
            7 | 8 => {
                let voted = voted(&next, user, other);
                let amount = self.dice.amount(voted);
                let send = call(&|| {
                    IStaking::unvoteCall {
                        candidate: owner,
                        amount: U256::from(amount),
                    }
                    .abi_encode()
                });
                next.settle(user);
                (send, next.take(user, other, amount))
            }
            9 | 10 => self.try_move(user, other, &mut next),
            11 => self.try_split(user, &mut next),
            12 | 13 => {
                let amount = self.dice.amount(next.accounts[user].free);
                let send = call(&|| {
                    IStaking::unstakeCall {
                        amount: U256::from(amount),
                    }
                    .abi_encode()
                });
                (send, next.unstake(user, amount))
            }
            14 => {
                let paid = next.withdraw(user);
                wallet += i128::try_from(paid.unwrap_or(0)).unwrap();
                let send = call(&|| IStaking::withdrawCall {}.abi_encode());
                (send, paid.map(|_| ()))
            }
            15 | 16 => {
                let paid = next.claim(user);
                wallet += i128::try_from(paid.unwrap_or(0)).unwrap();
                let send = call(&|| IStaking::claimCall {}.abi_encode());
                (send, paid.map(|_| ()))
            }
            17 => {
                let amount = self.dice.amount((self.wallets[user] / 4).min(100_000));
                wallet -= i128::try_from(amount).unwrap();
                let key = self.keys[&user].clone();
                let mut offer = register_call(&self.chain, user, &key);
                if let Some(index) = next.candidate_of(user) {
                    offer.commissionBp = next.candidates[index].commission_bp;
                }
                let done = next.register(user, consensus_key(&key), amount);
                let send = call(&|| offer.abi_encode()).value(U256::from(amount));
                (send, done)
            }
            18 => self.try_standing(user, other, &mut next),
            _ => self.try_evidence(user, other, &mut next),
        };
        if self.dice.chance(30) && self.wallets[user] > 200_000_000 {
            send.gas_price = self.dice.next().into();
            send.gas_price %= 4;
        }
        if done.is_ok() {
            self.wallets[user] = self.wallets[user].checked_add_signed(wallet).unwrap();
            self.model = next;
        }
        (send, done.is_ok())
    }

    /// Any candidate, more often one that the user votes for.
    fn some_candidate(&mut self, user: usize) -> usize {
        let delegations = &self.model.accounts[user].delegations;
        if !delegations.is_empty() && self.dice.chance(60) {
            delegations[self.dice.below(delegations.len())].candidate
        } else {
            self.dice.below(self.model.candidates.len())
        }
    }

    fn try_move(
        &mut self,
        user: usize,
        from: usize,
        next: &mut Model,
    ) -> (Send, Result<(), Refused>) {
        let to = self.dice.below(next.candidates.len());
        let amount = self.dice.amount(voted(next, user, from));
        let owner = |index: usize| self.chain.user(self.model.candidates[index].owner);
        let call = IStaking::moveCall {
            from: owner(from),
            to: owner(to),
            amount: U256::from(amount),
        };
        let done = if from == to {
            Err(Refused)
        } else {
            next.settle(user);
            next.take(user, from, amount)
                .and_then(|()| next.give(user, to, amount))
        };
        (Send::call(user, STAKING, &call), done)
    }

    fn try_split(&mut self, user: usize, next: &mut Model) -> (Send, Result<(), Refused>) {
        let mut wanted = BTreeMap::new();
        let have = next.accounts[user].free;
        for _ in 0..self.dice.below(5) {
            let candidate = self.dice.below(next.candidates.len());
            wanted.insert(candidate, 1 + self.dice.amount(have / 2));
        }
        let call = IStaking::voteCall {
            votes: wanted
                .iter()
                .map(|(candidate, amount)| Vote {
                    candidate: self.chain.user(next.candidates[*candidate].owner),
                    amount: U256::from(*amount),
                })
                .collect(),
        };
        let done = next.split(user, &wanted);
        (Send::call(user, STAKING, &call), done)
    }

    fn try_standing(
        &mut self,
        user: usize,
        other: usize,
        next: &mut Model,
    ) -> (Send, Result<(), Refused>) {
        let owner = next.candidates[other].owner;
        match self.dice.below(4) {
            0 => {
                let call = IStaking::retireCall {
                    candidate: self.chain.user(owner),
                };
                // Its owner sometimes, anybody else often in vain.
                let user = if self.dice.chance(10) { owner } else { user };
                let done = next.retire(user, other);
                (Send::call(user, STAKING, &call), done)
            }
            1 => {
                let voter = self.dice.below(USERS.into());
                let call = IStaking::collectCall {
                    voter: self.chain.user(voter),
                };
                next.settle(voter);
                (Send::call(user, STAKING, &call), Ok(()))
            }
            _ => {
                let done = next.unjail(owner);
                (Send::call(owner, STAKING, &IStaking::unjailCall {}), done)
            }
        }
    }

    fn try_evidence(
        &mut self,
        user: usize,
        other: usize,
        next: &mut Model,
    ) -> (Send, Result<(), Refused>) {
        let key = &self.keys[&next.candidates[other].owner];
        let heights: Vec<u64> = self.digests.keys().copied().collect();
        if self.dice.chance(25) {
            // Three of four proofs are of epochs that count.
            let back = self.dice.next() % (next.rules.unbonding_epochs + 2);
            let epoch = next.now.saturating_sub(back) + u64::from(self.dice.chance(10));
            // Not too often, or nobody is left.
            let standing = next.candidates.iter().filter(|one| one.slash.is_none());
            if standing.count() > 6 {
                let done = next.double_proposal(user, other, epoch);
                self.story.slashed += u64::from(done.is_ok());
                return (Send::call(user, STAKING, &double(key, epoch)), done);
            }
        } else if let Some(height) = heights.get(self.dice.below(heights.len() + 1))
            && next.committee.contains(&other)
            && self.dice.chance(20)
        {
            let call = false_result(key, next.now, *height, keccak256(height.to_be_bytes()));
            let done = if self.reported.insert((other, *height)) {
                next.false_result(other);
                Ok(())
            } else {
                Err(Refused)
            };
            return (Send::call(user, STAKING, &call), done);
        }
        // Coin changes hands outside of staking.
        let to = self.chain.user(other);
        let mut send = Send::data(user, to, vec![]).gas(21_000);
        send.to = TxKind::Call(to);
        (send, Ok(()))
    }

    /// The chain against the model, to the unit.
    pub fn compare(&mut self) {
        let chain = &self.chain;
        check(chain);
        assert_eq!(coin(chain), chain.genesis.coins().unwrap());
        let model = &self.model;
        let target = model.now + 2;
        let mut expected: Vec<usize> = model.elected[&target]
            .iter()
            .map(|one| model.candidates[*one].owner)
            .collect();
        expected.sort_unstable();
        assert_eq!(elected(chain, target), expected);

        let (mut staked, mut unbonding, mut rewards, mut scaled) =
            (0u128, 0u128, 0u128, U256::ZERO);
        for account in &model.accounts {
            staked += account.free;
            for one in &account.delegations {
                if model.candidates[one.candidate].slash.is_none() {
                    staked += one.amount();
                }
                scaled += one.scaled;
            }
            unbonding += account.unbondings.iter().map(|one| one.1).sum::<u128>();
            rewards += account.rewards;
        }
        for one in &model.candidates {
            staked += one.held;
            scaled += one.carry;
        }
        // Carry and dust are whole units together.
        assert_eq!(scaled & ((U256::ONE << 96) - U256::ONE), U256::ZERO);
        let shown = totals(chain);
        assert_eq!(shown.staked, U256::from(staked));
        assert_eq!(shown.unbonding, U256::from(unbonding));
        assert_eq!(shown.unpaidRewards, U256::from(rewards) + (scaled >> 96));
        assert_eq!(shown.pool, U256::from(model.pool));
        assert_eq!(shown.fees, U256::from(model.fees));

        for user in 0..usize::from(USERS) {
            let balance = chain.account(chain.user(user)).balance;
            assert_eq!(balance, U256::from(self.wallets[user]), "wallet of {user}");
            let mut settled = model.clone();
            settled.settle(user);
            let expected = &settled.accounts[user];
            let shown = account(chain, user);
            assert_eq!(shown.free, U256::from(expected.free));
            assert_eq!(shown.rewards, U256::from(expected.rewards));
            let voted: u128 = expected.delegations.iter().map(|one| one.amount()).sum();
            assert_eq!(shown.voted, U256::from(voted));
            let unbonding: u128 = expected.unbondings.iter().map(|one| one.1).sum();
            assert_eq!(shown.unbonding, U256::from(unbonding));
            // And with real fractions: no more than rounding apart.
            let exact = (expected.exact >> 128usize).to::<u128>();
            let bound = 1 + expected.delegations.len() as u128 + settled.ended;
            assert!(
                exact.abs_diff(expected.earned) <= bound,
                "{exact} {} {bound}",
                expected.earned
            );
        }
    }
}

fn voted(model: &Model, user: usize, candidate: usize) -> u128 {
    let delegations = model.accounts[user].delegations.iter();
    delegations
        .filter(|one| one.candidate == candidate)
        .map(|one| one.amount())
        .sum()
}
