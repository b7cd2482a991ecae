//! A voter's account: its stake, its votes, what it takes out, and what it is liable for.
//!
//! It is read whole, brought up to date ([`Account::settle`]), changed, and written whole. Each of
//! its lists is short: [`MAX_VOTES`] delegations, [`MAX_UNBONDINGS`], [`MAX_LIABILITIES`].
//!
//! A **liability** is what left a candidate: it stays slashable for the unbonding period, wherever
//! the coin went meanwhile. If the candidate is slashed, the voter owes its share of it, and the
//! account pays from its free stake first, then from what unbonds, then from its votes, last come
//! first. Votes that return to the candidate end their liability, the youngest first.

use super::{
    ACCOUNTS, Context,
    candidate::{self, Joining, Remains, Reporter, Slash, Standing, Votes, get, put},
    refusal::Refusal,
    rewards,
    totals::{self, Sum},
    word::{broken, halves, limbs, minus, pack, part, plus, split, unpack},
};
use crate::modules::{host::Fault, ledger::Ledger, rewards::remember, slot::Slot};
use alloy::primitives::{Address, U256};
use mileverse_primitives::{
    genesis::BASIS_POINTS,
    staking::{ELECTION_LAG, MAX_VOTES},
};

/// Unbondings of one account at a time; those of one epoch are one.
pub(super) const MAX_UNBONDINGS: usize = 32;
/// Liabilities of one account at a time; those to one candidate of one epoch are one.
pub(super) const MAX_LIABILITIES: usize = 64;

const WHOLE: u64 = BASIS_POINTS as u64;

/// Votes of one voter for one candidate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delegation {
    pub(super) id: u64,
    /// Votes that earn.
    pub(super) active: u128,
    /// Votes that came in epoch `joined` and earn from the next one on.
    pub(super) joining: u128,
    pub(super) joined: u64,
    /// The candidate's ratio when the voter last looked.
    pub(super) ratio: U256,
    /// What rounding left, times 2^96.
    pub(super) dust: u128,
}

impl Delegation {
    pub(super) fn amount(&self) -> Result<u128, Fault> {
        plus(self.active, self.joining)
    }
}

/// Stake on its way out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unbonding {
    /// First epoch in which it can be withdrawn.
    pub(super) ready: u64,
    pub(super) amount: u128,
}

/// What left a candidate.
#[derive(Clone, Copy, Debug)]
struct Liability {
    id: u64,
    /// When.
    left: u64,
    amount: u128,
}

/// Coin that an account lost because a candidate was slashed after it had left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    pub(super) candidate: Address,
    pub(super) amount: u128,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) address: Address,
    /// Staked and voted for nobody.
    pub(super) free: u128,
    /// Earned and not claimed.
    pub(super) rewards: u128,
    pub(super) delegations: Vec<Delegation>,
    pub(super) unbondings: Vec<Unbonding>,
    liabilities: Vec<Liability>,
    /// Lengths of the lists as they are stored.
    stored: [u64; 3],
}

pub(super) fn place(address: Address) -> Slot {
    ACCOUNTS.entry(address)
}

pub(super) fn delegation_place(address: Address, index: u64) -> Slot {
    place(address).field(2).entry(index)
}

pub(super) fn unbonding_place(address: Address, index: u64) -> Slot {
    place(address).field(3).entry(index)
}

fn liability_place(address: Address, index: u64) -> Slot {
    place(address).field(4).entry(index)
}

/// Adds to an account's rewards without reading the rest of it.
pub(super) fn credit(
    ledger: &mut impl Ledger,
    address: Address,
    amount: u128,
) -> Result<(), Fault> {
    if amount == 0 {
        return Ok(());
    }
    let (free, rewards) = split(ledger.load(place(address))?);
    ledger.store(place(address), halves(free, plus(rewards, amount)?))
}

impl Account {
    pub(super) fn load(ledger: &mut impl Ledger, address: Address) -> Result<Self, Fault> {
        let (free, rewards) = split(ledger.load(place(address))?);
        let [delegations, unbondings, liabilities, _] =
            *ledger.load(place(address).field(1))?.as_limbs();
        let mut account = Self {
            address,
            free,
            rewards,
            delegations: Vec::new(),
            unbondings: Vec::new(),
            liabilities: Vec::new(),
            stored: [delegations, unbondings, liabilities],
        };
        for index in 0..delegations {
            let place = delegation_place(address, index);
            let (id, joined, active) = unpack(ledger.load(place)?);
            let (joining, dust) = split(ledger.load(place.field(1))?);
            let ratio = ledger.load(place.field(2))?;
            account.delegations.push(Delegation {
                id,
                active,
                joining,
                joined,
                ratio,
                dust,
            });
        }
        for index in 0..unbondings {
            let (ready, _, amount) = unpack(ledger.load(unbonding_place(address, index))?);
            account.unbondings.push(Unbonding { ready, amount });
        }
        for index in 0..liabilities {
            let (id, left, amount) = unpack(ledger.load(liability_place(address, index))?);
            account.liabilities.push(Liability { id, left, amount });
        }
        Ok(account)
    }

    /// Writes the account back. The rewards module first writes down what it was, if a quarter was
    /// closed meanwhile.
    pub(super) fn save(self, ledger: &mut impl Ledger) -> Result<(), Fault> {
        let address = self.address;
        remember::stake(ledger, address)?;
        ledger.store(place(address), halves(self.free, self.rewards))?;
        let lengths = [
            self.delegations.len() as u64,
            self.unbondings.len() as u64,
            self.liabilities.len() as u64,
        ];
        let [delegations, unbondings, liabilities] = lengths;
        ledger.store(
            place(address).field(1),
            limbs([delegations, unbondings, liabilities, 0]),
        )?;
        for (index, one) in (0..).zip(&self.delegations) {
            let place = delegation_place(address, index);
            ledger.store(place, pack(one.id, one.joined, one.active))?;
            ledger.store(place.field(1), halves(one.joining, one.dust))?;
            ledger.store(place.field(2), one.ratio)?;
        }
        for (index, one) in (0..).zip(&self.unbondings) {
            ledger.store(
                unbonding_place(address, index),
                pack(one.ready, 0, one.amount),
            )?;
        }
        for (index, one) in (0..).zip(&self.liabilities) {
            ledger.store(
                liability_place(address, index),
                pack(one.id, one.left, one.amount),
            )?;
        }
        let [old_delegations, old_unbondings, old_liabilities] = self.stored;
        for index in delegations..old_delegations {
            for field in 0..3 {
                ledger.store(delegation_place(address, index).field(field), U256::ZERO)?;
            }
        }
        for index in unbondings..old_unbondings {
            ledger.store(unbonding_place(address, index), U256::ZERO)?;
        }
        for index in liabilities..old_liabilities {
            ledger.store(liability_place(address, index), U256::ZERO)?;
        }
        Ok(())
    }

    /// Brings the account up to date: rewards earned, votes of slashed candidates brought home,
    /// what it owes taken. Every change of an account begins with this.
    pub(super) fn settle(
        &mut self,
        ledger: &mut impl Ledger,
        context: &Context<'_>,
    ) -> Result<Vec<Loss>, Fault> {
        for delegation in &mut self.delegations {
            let earned = rewards::accrue(ledger, context.now, delegation)?;
            self.rewards = plus(self.rewards, earned)?;
        }
        self.bring_home(ledger)?;
        self.pay_for_slashes(ledger, context)
    }

    /// Votes for all candidates together.
    pub(super) fn voted(&self) -> Result<u128, Fault> {
        self.delegations
            .iter()
            .try_fold(0, |sum, delegation| plus(sum, delegation.amount()?))
    }

    /// What is unbonding.
    pub(super) fn unbonding(&self) -> Result<u128, Fault> {
        self.unbondings
            .iter()
            .try_fold(0, |sum, unbonding| plus(sum, unbonding.amount))
    }

    /// Votes for one candidate.
    pub(super) fn voted_for(&self, id: u64) -> Result<u128, Fault> {
        self.delegations
            .iter()
            .find(|delegation| delegation.id == id)
            .map_or(Ok(0), Delegation::amount)
    }

    /// Votes `amount` of the free stake for a candidate that takes votes.
    pub(super) fn vote(
        &mut self,
        ledger: &mut impl Ledger,
        context: &Context<'_>,
        id: u64,
        amount: u128,
    ) -> Result<(), Fault> {
        if amount == 0 {
            return Err(Refusal::ZeroAmount.into());
        }
        let standing: Standing = get(ledger, id)?;
        if standing.tombstoned {
            return Err(Refusal::Tombstoned(standing.owner).into());
        }
        if !standing.listed {
            return Err(Refusal::NotListed(standing.owner).into());
        }
        self.free = self
            .free
            .checked_sub(amount)
            .ok_or(Refusal::FreeStake(self.free))?;
        let now = context.now;
        let found = self.delegations.iter().position(|one| one.id == id);
        let index = match found {
            Some(index) => index,
            None if self.delegations.len() >= MAX_VOTES => {
                return Err(Refusal::TooManyVotes.into());
            }
            None => {
                let candidate::Ratio(ratio) = get(ledger, id)?;
                self.delegations.push(Delegation {
                    id,
                    ratio,
                    ..Delegation::default()
                });
                self.delegations.len().saturating_sub(1)
            }
        };
        let delegation = self.delegations.get_mut(index).ok_or_else(broken)?;
        if delegation.joining == 0 {
            rewards::remember(ledger, id, now)?;
            delegation.joined = now;
        }
        delegation.joining = plus(delegation.joining, amount)?;

        let mut votes: Votes = get(ledger, id)?;
        votes.total = plus(votes.total, amount)?;
        if standing.owner == self.address {
            votes.own = plus(votes.own, amount)?;
        }
        put(ledger, id, &votes)?;
        let joining: Joining = get(ledger, id)?;
        let before = if joining.epoch == now {
            joining.amount
        } else {
            0
        };
        put(
            ledger,
            id,
            &Joining {
                epoch: now,
                amount: plus(before, amount)?,
            },
        )?;
        self.end_liability(id, amount);
        Ok(())
    }

    /// Takes `amount` back from a candidate; it stays liable.
    pub(super) fn unvote(
        &mut self,
        ledger: &mut impl Ledger,
        context: &Context<'_>,
        id: u64,
        amount: u128,
    ) -> Result<(), Fault> {
        if amount == 0 {
            return Err(Refusal::ZeroAmount.into());
        }
        let voted = self.voted_for(id)?;
        if voted < amount {
            return Err(Refusal::VotedLess {
                voter: self.address,
                amount: voted,
            }
            .into());
        }
        self.reduce(ledger, context, id, amount)?;
        self.free = plus(self.free, amount)?;
        self.begin_liability(context, id, amount)
    }

    /// Begins to unbond `amount` of the free stake; answers the epoch in which it is ready.
    pub(super) fn unstake(&mut self, context: &Context<'_>, amount: u128) -> Result<u64, Fault> {
        if amount == 0 {
            return Err(Refusal::ZeroAmount.into());
        }
        self.free = self
            .free
            .checked_sub(amount)
            .ok_or(Refusal::FreeStake(self.free))?;
        let ready = context
            .now
            .checked_add(context.rules.unbonding_epochs)
            .ok_or_else(broken)?;
        let is_full = self.unbondings.len() >= MAX_UNBONDINGS;
        match self.unbondings.iter_mut().find(|one| one.ready == ready) {
            Some(one) => one.amount = plus(one.amount, amount)?,
            None if is_full => {
                return Err(Refusal::TooManyUnbondings.into());
            }
            None => self.unbondings.push(Unbonding { ready, amount }),
        }
        Ok(ready)
    }

    /// Takes out what has unbonded.
    pub(super) fn withdraw(&mut self, context: &Context<'_>) -> Result<u128, Fault> {
        let Some(first) = self.unbondings.iter().map(|one| one.ready).min() else {
            return Err(Refusal::NothingUnbonding.into());
        };
        if context.now < first {
            return Err(Refusal::StillBonded(first).into());
        }
        let before = self.unbonding()?;
        self.unbondings.retain(|one| context.now < one.ready);
        minus(before, self.unbonding()?)
    }

    /// Takes votes away from a candidate that is not slashed, those that do not earn yet first.
    fn reduce(
        &mut self,
        ledger: &mut impl Ledger,
        context: &Context<'_>,
        id: u64,
        amount: u128,
    ) -> Result<(), Fault> {
        let index = self
            .delegations
            .iter()
            .position(|one| one.id == id)
            .ok_or_else(broken)?;
        let delegation = self.delegations.get_mut(index).ok_or_else(broken)?;
        let fresh = amount.min(delegation.joining);
        if fresh > 0 {
            delegation.joining = minus(delegation.joining, fresh)?;
            if delegation.joining == 0 {
                rewards::forget(ledger, id, delegation.joined)?;
            }
            // The account is settled, so what joins came in this epoch.
            let joining: Joining = get(ledger, id)?;
            if joining.epoch != context.now {
                return Err(broken());
            }
            let joining = Joining {
                epoch: joining.epoch,
                amount: minus(joining.amount, fresh)?,
            };
            put(ledger, id, &joining)?;
        }
        delegation.active = minus(delegation.active, minus(amount, fresh)?)?;
        let ended = (delegation.amount()? == 0).then_some(delegation.dust);

        let standing: Standing = get(ledger, id)?;
        let mut votes: Votes = get(ledger, id)?;
        votes.total = minus(votes.total, amount)?;
        if standing.owner == self.address {
            votes.own = minus(votes.own, amount)?;
        }
        put(ledger, id, &votes)?;
        if let Some(dust) = ended {
            self.delegations.remove(index);
            rewards::sweep(ledger, id, dust, votes.total == 0)?;
        }
        Ok(())
    }

    /// Takes what is left of votes for slashed candidates back into the free stake.
    fn bring_home(&mut self, ledger: &mut impl Ledger) -> Result<(), Fault> {
        let mut kept = Vec::with_capacity(self.delegations.len());
        for delegation in std::mem::take(&mut self.delegations) {
            let id = delegation.id;
            let slash: Slash = get(ledger, id)?;
            if slash.share_bp == 0 {
                kept.push(delegation);
                continue;
            }
            if delegation.joining > 0 {
                rewards::forget(ledger, id, delegation.joined)?;
            }
            let nominal = delegation.amount()?;
            let rest = keep(nominal, slash.share_bp)?;
            let mut remains: Remains = get(ledger, id)?;
            remains.nominal = minus(remains.nominal, nominal)?;
            remains.held = minus(remains.held, rest)?;
            let was_last = remains.nominal == 0;
            if was_last {
                // Each voter's rest is rounded down; what that left over is nobody's.
                totals::transfer(ledger, Sum::Staked, Sum::Pool, remains.held)?;
                remains.held = 0;
            }
            put(ledger, id, &remains)?;
            rewards::sweep(ledger, id, delegation.dust, was_last)?;
            self.free = plus(self.free, rest)?;
        }
        self.delegations = kept;
        Ok(())
    }

    /// Ends the liabilities that are over, and pays those that fell due.
    fn pay_for_slashes(
        &mut self,
        ledger: &mut impl Ledger,
        context: &Context<'_>,
    ) -> Result<Vec<Loss>, Fault> {
        let mut losses = Vec::new();
        for liability in std::mem::take(&mut self.liabilities) {
            let free_at = liability
                .left
                .saturating_add(context.rules.unbonding_epochs);
            let slash: Slash = get(ledger, liability.id)?;
            if slash.share_bp == 0 {
                if context.now < free_at {
                    self.liabilities.push(liability);
                }
                continue;
            }
            let standing: Standing = get(ledger, liability.id)?;
            let is_owner = standing.owner == self.address;
            // Votes elect for an epoch that comes ELECTION_LAG later. The owner has the key.
            let was_behind =
                is_owner || liability.left.saturating_add(ELECTION_LAG) >= slash.infraction;
            if was_behind && slash.proven < free_at {
                let debt = minus(liability.amount, keep(liability.amount, slash.share_bp)?)?;
                let amount = self.pay(ledger, context, debt)?;
                self.share_with_reporter(ledger, context, liability.id, is_owner, amount)?;
                if amount > 0 {
                    losses.push(Loss {
                        candidate: standing.owner,
                        amount,
                    });
                }
            }
        }
        Ok(losses)
    }

    /// Moves up to `debt` from the account to the pool; answers how much.
    fn pay(
        &mut self,
        ledger: &mut impl Ledger,
        context: &Context<'_>,
        debt: u128,
    ) -> Result<u128, Fault> {
        let mut left = debt;
        let free = left.min(self.free);
        self.free = minus(self.free, free)?;
        left = minus(left, free)?;
        totals::transfer(ledger, Sum::Staked, Sum::Pool, free)?;
        while left > 0
            && let Some(last) = self.unbondings.last_mut()
        {
            let taken = left.min(last.amount);
            last.amount = minus(last.amount, taken)?;
            left = minus(left, taken)?;
            totals::transfer(ledger, Sum::Unbonding, Sum::Pool, taken)?;
            if last.amount == 0 {
                self.unbondings.pop();
            }
        }
        while left > 0
            && let Some(last) = self.delegations.last().copied()
        {
            let taken = left.min(last.amount()?);
            self.reduce(ledger, context, last.id, taken)?;
            left = minus(left, taken)?;
            totals::transfer(ledger, Sum::Staked, Sum::Pool, taken)?;
        }
        minus(debt, left)
    }

    /// Of what a slashed candidate's owner lost, the reporter has a share. Of voters' losses it
    /// has none: otherwise a delegate could gain by reporting itself.
    fn share_with_reporter(
        &mut self,
        ledger: &mut impl Ledger,
        context: &Context<'_>,
        id: u64,
        is_owner: bool,
        lost: u128,
    ) -> Result<(), Fault> {
        if !is_owner {
            return Ok(());
        }
        let share = part(lost, context.rules.reporter_share_bp.into(), WHOLE)?;
        totals::transfer(ledger, Sum::Pool, Sum::Unpaid, share)?;
        let Reporter(reporter) = get(ledger, id)?;
        if reporter == self.address {
            self.rewards = plus(self.rewards, share)?;
            Ok(())
        } else {
            credit(ledger, reporter, share)
        }
    }

    fn begin_liability(
        &mut self,
        context: &Context<'_>,
        id: u64,
        amount: u128,
    ) -> Result<(), Fault> {
        let left = context.now;
        let is_full = self.liabilities.len() >= MAX_LIABILITIES;
        let same = self
            .liabilities
            .iter_mut()
            .find(|one| one.id == id && one.left == left);
        match same {
            Some(one) => one.amount = plus(one.amount, amount)?,
            None if is_full => {
                return Err(Refusal::TooManyLiabilities.into());
            }
            None => self.liabilities.push(Liability { id, left, amount }),
        }
        Ok(())
    }

    /// Liabilities stand in the order of their epochs, so the youngest is the last.
    fn end_liability(&mut self, id: u64, amount: u128) {
        let mut left = amount;
        for liability in self.liabilities.iter_mut().rev() {
            if liability.id == id {
                let ended = left.min(liability.amount);
                liability.amount = liability.amount.saturating_sub(ended);
                left = left.saturating_sub(ended);
            }
        }
        self.liabilities.retain(|liability| liability.amount > 0);
    }
}

/// What a slash of `share_bp` leaves of `amount`, rounded down.
pub(super) fn keep(amount: u128, share_bp: u64) -> Result<u128, Fault> {
    let rest = WHOLE.checked_sub(share_bp).ok_or_else(broken)?;
    part(amount, rest, WHOLE)
}
