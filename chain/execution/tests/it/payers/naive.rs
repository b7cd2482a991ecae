//! The same rules once more, over plain lists: every payment ever made is kept, and each sum is made
//! anew from all of them.

use super::{BASE, NOTICE, PER_COIN};
use crate::staking::support::EPOCH_BLOCKS;
use alloy::primitives::Address;
use mileverse_primitives::abi::IFees::Terms;
use std::collections::BTreeMap;

const WINDOW_BLOCKS: u64 = 2 * EPOCH_BLOCKS;
const COIN: u128 = 1_000_000_000_000_000_000;

/// Something wrong that the comparison must find.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// A share is rounded up.
    RoundedUp,
    /// What a transaction did not use is not put back.
    NothingPutBack,
    /// The limit of a user's day is forgotten.
    NoUserLimit,
    /// Lower terms hold at once.
    NoNotice,
    /// The operator pays before free gas is used.
    OperatorFirst,
    /// Free gas is counted by the limit.
    ByLimit,
    /// What unbonds has free gas.
    UnbondingCounts,
    /// The tip is the operator's, too.
    TipCovered,
}

/// A transaction as it is offered.
#[derive(Clone, Copy, Debug)]
pub struct Offered {
    pub user: Address,
    pub to: Address,
    pub value: u128,
    pub gas: u64,
    pub cap: u64,
    pub tip: u64,
}

/// When it runs.
#[derive(Clone, Copy, Debug)]
pub struct When {
    pub height: u64,
    pub now: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Payer {
    Sender,
    Stake,
    Operator(Address),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Plan {
    pub payer: Payer,
    /// What the sender pays for one gas.
    pub price: u64,
    /// What the operator pays.
    pub covered: u64,
}

struct Payment {
    day: u64,
    callee: Address,
    operator: Address,
    user: Address,
    amount: u128,
}

#[derive(Clone, Debug, Default)]
pub struct Deposit {
    pub held: u128,
    pub leaving: u128,
    pub ready: u64,
    /// Terms and since when they hold; the last that holds counts.
    terms: Vec<(u64, Terms)>,
}

#[derive(Default)]
pub struct Naive {
    fault: Option<Fault>,
    pub coin: BTreeMap<Address, u128>,
    pub deposits: BTreeMap<(Address, Address), Deposit>,
    pub operators: BTreeMap<Address, (Address, bool)>,
    payments: Vec<Payment>,
    /// Window, user, gas.
    free: Vec<(u64, Address, u64)>,
    pub stakes: BTreeMap<Address, u128>,
    /// User, amount, first epoch in which it is free.
    pub unbonding: Vec<(Address, u128, u64)>,
}

impl Naive {
    pub fn with(fault: Option<Fault>) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub fn terms(&self, callee: Address, operator: Address, now: u64) -> Terms {
        let none = Terms {
            shareBp: 0,
            perTransaction: 0,
            perUserDay: 0,
            perDay: 0,
        };
        let Some(deposit) = self.deposits.get(&(callee, operator)) else {
            return none;
        };
        let holding = deposit.terms.iter().rev().find(|(since, _)| *since <= now);
        holding.map_or(none, |(_, terms)| terms.clone())
    }

    pub fn set_terms(&mut self, callee: Address, operator: Address, next: Terms, now: u64) {
        let old = self.terms(callee, operator, now);
        let lower = next.shareBp < old.shareBp
            || next.perTransaction < old.perTransaction
            || next.perUserDay < old.perUserDay
            || next.perDay < old.perDay;
        let since = if lower && !self.has(Fault::NoNotice) {
            now + NOTICE
        } else {
            now
        };
        let deposit = self.deposits.entry((callee, operator)).or_default();
        // Only one change is under way.
        deposit.terms.retain(|(since, _)| *since <= now);
        deposit.terms.push((since, next));
    }

    pub fn spent(&self, callee: Address, operator: Address, day: u64) -> u128 {
        let payments = self.payments.iter();
        payments
            .filter(|one| (one.callee, one.operator, one.day) == (callee, operator, day))
            .map(|one| one.amount)
            .sum()
    }

    fn spent_for(&self, callee: Address, operator: Address, user: Address, day: u64) -> u128 {
        let payments = self.payments.iter();
        payments
            .filter(|one| (one.callee, one.operator, one.day) == (callee, operator, day))
            .filter(|one| one.user == user)
            .map(|one| one.amount)
            .sum()
    }

    pub fn used(&self, user: Address, height: u64) -> u64 {
        let window = height / WINDOW_BLOCKS;
        let free = self.free.iter();
        free.filter(|(at, who, _)| (*at, *who) == (window, user))
            .map(|(_, _, gas)| gas)
            .sum()
    }

    pub fn quota(&self, user: Address) -> u64 {
        let mut stake = self.stakes.get(&user).copied().unwrap_or_default();
        if self.has(Fault::UnbondingCounts) {
            let unbonding = self.unbonding.iter().filter(|(who, _, _)| *who == user);
            stake += unbonding.map(|(_, amount, _)| amount).sum::<u128>();
        }
        u64::try_from(stake / COIN).unwrap() * PER_COIN
    }

    /// Who pays, or whether a leader lets go of it for good.
    pub fn plan(&self, offered: Offered, when: When, free_room: u64) -> Result<Plan, bool> {
        let Offered { user, to, gas, .. } = offered;
        let tip = offered.tip.min(offered.cap.saturating_sub(BASE));
        let left = self
            .quota(user)
            .saturating_sub(self.used(user, when.height));
        let free = (gas <= left && gas <= free_room).then_some(Plan {
            payer: Payer::Stake,
            price: tip,
            covered: 0,
        });
        let day = when.now / 86_400;
        let operator = self.operators.get(&to).map(|(operator, _)| *operator);
        let covered = operator.map_or(0, |operator| {
            let share = u64::from(self.terms(to, operator, when.now).shareBp);
            if self.has(Fault::RoundedUp) {
                (BASE * share).div_ceil(10_000)
            } else {
                BASE * share / 10_000
            }
        });
        let paid = operator.and_then(|operator| {
            let terms = self.terms(to, operator, when.now);
            let takes = u128::from(gas) * u128::from(covered);
            let for_user = takes + self.spent_for(to, operator, user, day);
            let fits = covered > 0
                && takes <= terms.perTransaction
                && (for_user <= terms.perUserDay || self.has(Fault::NoUserLimit))
                && takes + self.spent(to, operator, day) <= terms.perDay
                && takes <= self.held(to, operator)
                && offered.cap >= BASE - covered;
            let tip = if self.has(Fault::TipCovered) { 0 } else { tip };
            fits.then_some(Plan {
                payer: Payer::Operator(operator),
                price: BASE - covered + tip,
                covered,
            })
        });
        let helped = if self.has(Fault::OperatorFirst) {
            paid.or(free)
        } else {
            free.or(paid)
        };
        let coin = self.coin.get(&user).copied().unwrap_or_default();
        let affords = |price: u64| u128::from(gas) * u128::from(price) + offered.value <= coin;
        match helped {
            Some(plan) if affords(plan.price) => Ok(plan),
            Some(_) => Err(false),
            None if offered.cap < BASE => Err(gas > left),
            None if affords(offered.cap) => Ok(Plan {
                payer: Payer::Sender,
                price: BASE + tip,
                covered: 0,
            }),
            None => Err(covered > 0 && gas > left),
        }
    }

    fn held(&self, callee: Address, operator: Address) -> u128 {
        let found = self.deposits.get(&(callee, operator));
        found.map_or(0, |deposit| deposit.held)
    }

    /// What the gas of a transaction cost, and whom; `beneficiary` gets it.
    pub fn charge(
        &mut self,
        offered: Offered,
        plan: Plan,
        used: u64,
        when: When,
        beneficiary: Address,
    ) {
        let own = u128::from(used) * u128::from(plan.price);
        let covered = u128::from(used) * u128::from(plan.covered);
        *self.coin.entry(offered.user).or_default() -= own;
        *self.coin.entry(beneficiary).or_default() += own + covered;
        match plan.payer {
            Payer::Sender => {}
            Payer::Stake => {
                let gas = if self.has(Fault::ByLimit) {
                    offered.gas
                } else {
                    used
                };
                let window = when.height / WINDOW_BLOCKS;
                self.free.push((window, offered.user, gas));
            }
            Payer::Operator(operator) => {
                let taken = if self.has(Fault::NothingPutBack) {
                    u128::from(offered.gas) * u128::from(plan.covered)
                } else {
                    covered
                };
                let deposit = self.deposits.get_mut(&(offered.to, operator)).unwrap();
                deposit.held = deposit.held.saturating_sub(taken);
                self.payments.push(Payment {
                    day: when.now / 86_400,
                    callee: offered.to,
                    operator,
                    user: offered.user,
                    amount: covered,
                });
            }
        }
    }

    pub fn all_deposits(&self) -> u128 {
        self.deposits.values().map(|deposit| deposit.held).sum()
    }
}
