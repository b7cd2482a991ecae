//! The rewards as one would compute them with a full copy of the state: no checkpoints, no cursor,
//! every holder looped over. Words of staking are read from the copy by the layout that the module's
//! documentation draws, with none of its code.

use alloy::primitives::{Address, B256, U256, keccak256};
use mileverse_execution::{Account, Key, Value, state};
use mileverse_primitives::{
    address::{ALL, REWARDS, STAKING},
    quarter::Quarter,
    rewards::RewardRules,
};
use std::collections::{BTreeMap, BTreeSet};

/// A mistake planted here, to see that the histories tell it from the truth. The comparison has two
/// sides, so a chain that made it would be found out as well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Balances as they are after the closing block.
    AfterTheBlock,
    /// Stake is nobody's.
    NoStake,
    /// What unbonds is nobody's.
    NoUnbonding,
    /// Votes for a slashed candidate count whole.
    NoSlash,
    /// Each of several quarters is closed on what the one before has paid.
    OneAfterAnother,
    /// The list as it is when the quarter is paid.
    ListWhenPaid,
    /// Dust is given at once.
    NoDust,
    /// Dust is forgotten.
    LostDust,
    /// Amounts are rounded up.
    RoundedUp,
    /// What is left of a pot never comes back.
    LostRemainder,
    /// The part of a share from Ethereum that is nobody's here is spread over the others.
    Spread,
}

/// A full copy of the state.
pub struct Copy {
    pub values: BTreeMap<Key, Value>,
}

impl Copy {
    pub fn balance(&self, address: Address) -> u128 {
        let stored = self.values.get(&state::account_key(address));
        stored.map_or(0, |bytes| Account::decode(bytes).unwrap().balance.to())
    }

    fn word(&self, slot: U256) -> U256 {
        let stored = self.values.get(&state::storage_key(STAKING, slot));
        stored.map_or(U256::ZERO, |bytes| U256::from_be_slice(bytes))
    }

    /// What an account has in staking: free, voted, unbonding.
    fn stake(&self, address: Address, fault: Option<Fault>) -> u128 {
        let account = entry(address.into_word(), U256::from(10));
        let mut sum = low(self.word(account));
        let [votes, unbondings, ..] = *self.word(account + U256::from(1)).as_limbs();
        for index in 0..votes {
            let place = number(index, account + U256::from(2));
            let first = self.word(place);
            let votes = high(first) + low(self.word(place + U256::from(1)));
            let candidate = number(first.as_limbs()[0], U256::from(9));
            let slash = self.word(candidate + U256::from(8)).as_limbs()[2];
            sum += if fault == Some(Fault::NoSlash) {
                votes
            } else {
                votes * u128::from(10_000 - slash) / 10_000
            };
        }
        if fault != Some(Fault::NoUnbonding) {
            for index in 0..unbondings {
                sum += high(self.word(number(index, account + U256::from(3))));
            }
        }
        sum
    }

    /// What an account holds.
    pub fn holding(&self, address: Address, fault: Option<Fault>) -> u128 {
        let stake = if fault == Some(Fault::NoStake) {
            0
        } else {
            self.stake(address, fault)
        };
        self.balance(address) + stake
    }
}

fn entry(key: B256, slot: U256) -> U256 {
    let mut bytes = key.to_vec();
    bytes.extend(slot.to_be_bytes::<32>());
    keccak256(bytes).into()
}

fn number(key: u64, slot: U256) -> U256 {
    entry(U256::from(key).into(), slot)
}

fn low(word: U256) -> u128 {
    let [a, b, ..] = word.into_limbs();
    u128::from(a) | u128::from(b) << 64
}

fn high(word: U256) -> u128 {
    low(word >> 128)
}

/// A quarter that is closed and not settled yet.
#[derive(Clone, Debug)]
pub struct Closed {
    pub quarter: Quarter,
    pub pot: u128,
    pub eligible: u128,
    pub holdings: BTreeMap<Address, u128>,
    /// What it waits for, or had, from Ethereum.
    pub share: Option<Share>,
    excluded: BTreeSet<Address>,
}

/// What Ethereum computes of a quarter from its own numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Share {
    pub pot: u128,
    pub eligible: u128,
    pub locked: u128,
    pub has_come: bool,
}

impl Share {
    /// What crosses.
    pub fn amount(&self) -> u128 {
        let product = U256::from(self.pot) * U256::from(self.locked);
        (product / U256::from(self.eligible)).to()
    }

    /// What a holding earns there.
    pub fn earns(&self, holding: u128) -> u128 {
        let product = U256::from(self.pot) * U256::from(holding);
        (product / U256::from(self.eligible)).to()
    }
}

/// What a quarter came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settled {
    pub earned: BTreeMap<Address, u128>,
    pub paid: u128,
    pub carried: u128,
    pub released: u128,
    pub remainder: u128,
    pub credited: u64,
    pub waiting: u64,
}

pub struct Naive {
    pub fault: Option<Fault>,
    pub rules: RewardRules,
    pub open: Quarter,
    pub excluded: BTreeSet<Address>,
    pub closed: Vec<Closed>,
    /// Of the module's coin, what is for closed quarters and for holders.
    pub reserved: u128,
    pub carried: BTreeMap<Address, u128>,
    /// What each was paid since the beginning.
    pub credits: BTreeMap<Address, u128>,
}

impl Naive {
    /// Closes what a block of this time closes. `paid_ahead`: what holders have of quarters that are
    /// not settled here yet.
    pub fn close(
        &mut self,
        copy: &Copy,
        holders: &BTreeSet<Address>,
        now_ms: u64,
        paid_ahead: u128,
    ) -> usize {
        let fault = self.fault;
        let excluded = self.excluded.clone();
        let mut holdings: BTreeMap<Address, u128> = holders
            .iter()
            .filter(|address| !ALL.contains(address) && !address.is_zero())
            .map(|address| (*address, copy.holding(*address, fault)))
            .collect();
        let mut count = 0;
        while now_ms >= self.open.ends_ms().unwrap() {
            if count > 0 && fault == Some(Fault::OneAfterAnother) {
                let last = self.closed.last().unwrap().clone();
                for (address, holding) in &mut holdings {
                    *holding += self.amount(&last, *address);
                }
            }
            let eligible = holdings
                .iter()
                .filter(|(address, _)| !excluded.contains(*address))
                .map(|(_, holding)| holding)
                .sum();
            let owed = self.reserved + self.carried.values().sum::<u128>();
            let available = (copy.balance(REWARDS) + paid_ahead).saturating_sub(owed);
            let pot = if eligible == 0 || self.rules.source.is_some() {
                0
            } else {
                available.min(self.rules.pot.to())
            };
            self.reserved += pot;
            self.closed.push(Closed {
                quarter: self.open,
                pot,
                eligible,
                holdings: holdings.clone(),
                excluded: excluded.clone(),
                share: None,
            });
            self.open = self.open.next();
            count += 1;
        }
        count
    }

    /// The share of a quarter came; `eligible` is the chain's own sum.
    pub fn fund(&mut self, quarter: Quarter, eligible: u128) {
        let closed = self.closed.iter_mut().find(|one| one.quarter == quarter);
        let closed = closed.unwrap();
        let share = closed.share.as_mut().unwrap();
        share.has_come = true;
        let product = U256::from(share.amount()) * U256::from(eligible);
        closed.pot = if self.fault == Some(Fault::Spread) {
            share.amount()
        } else {
            (product / U256::from(share.locked)).to()
        };
        self.reserved += closed.pot;
    }

    fn amount(&self, closed: &Closed, address: Address) -> u128 {
        let excluded = if self.fault == Some(Fault::ListWhenPaid) {
            &self.excluded
        } else {
            &closed.excluded
        };
        let holding = closed.holdings.get(&address).copied().unwrap_or_default();
        if closed.eligible == 0 || excluded.contains(&address) {
            return 0;
        }
        let product = U256::from(closed.pot) * U256::from(holding);
        let eligible = U256::from(closed.eligible);
        let mut amount: u128 = (product / eligible).to();
        if self.fault == Some(Fault::RoundedUp) && !(product % eligible).is_zero() {
            amount += 1;
        }
        amount
    }

    /// Pays the oldest closed quarter to everybody at once; `eligible` is the chain's own sum, which
    /// was compared before.
    pub fn settle(&mut self, eligible: u128) -> (Closed, Settled) {
        let mut closed = self.closed.remove(0);
        closed.eligible = eligible;
        let mut settled = Settled::default();
        let mut least: u128 = self.rules.least_payment.to();
        if self.fault == Some(Fault::NoDust) {
            least = 0;
        }
        for address in closed.holdings.clone().keys() {
            let earned = self.amount(&closed, *address);
            if earned == 0 {
                continue;
            }
            settled.earned.insert(*address, earned);
            let carried = self.carried.remove(address).unwrap_or_default();
            if earned + carried < least {
                settled.carried += earned;
                settled.waiting += 1;
                if self.fault != Some(Fault::LostDust) {
                    self.carried.insert(*address, earned + carried);
                }
            } else {
                settled.paid += earned;
                settled.released += carried;
                settled.credited += 1;
                *self.credits.entry(*address).or_default() += earned + carried;
            }
        }
        settled.remainder = closed.pot.saturating_sub(settled.paid + settled.carried);
        self.reserved -= closed.pot;
        if self.fault == Some(Fault::LostRemainder) {
            self.reserved += settled.remainder;
        }
        (closed, settled)
    }
}
