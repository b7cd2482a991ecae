//! One random history of deposits, terms, claims, withdrawals, stake and calls, in real blocks, beside
//! a naive book. Blocks are built from what is offered: what a leader takes, leaves out and lets go of
//! is compared, and then every unit of coin.

use super::{
    BASE, FUNDS, PENNILESS, fee_rules,
    naive::{Deposit, Fault, Naive, Offered, Payer, When},
    net, terms,
};
use crate::{
    contracts::{COUNTER, code, deployment},
    economy::dice::Dice,
    staking::support::EPOCH_BLOCKS,
    support::{BENEFICIARY, CHAIN_ID, Chain, Send},
};
use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::{Address, Bytes, TxKind, U256, keccak256},
    signers::SignerSync as _,
    sol_types::SolCall,
};
use futures::executor::block_on;
use mileverse_execution::{Transaction, TransactionOutcome, sender_price};
use mileverse_primitives::{
    abi::{IFees, IStaking},
    address::{FEES, STAKING},
    fees::FeeRules,
    staking::coins,
};

/// Users who do something; the first two create contracts.
const CROWD: std::ops::RangeInclusive<usize> = 4..=PENNILESS;
const MAKERS: [usize; 2] = [4, 5];
const COIN: u128 = 1_000_000_000_000_000_000;
/// What a call of a counter may cost, about.
const CALL: u128 = 60_000 * BASE as u128;
/// Gas of a block that may be free: some do not fit.
const FREE_BP: u16 = 100;
const FREE_ROOM: u64 = 300_000;

pub type Difference = String;

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Story {
    pub alone: u64,
    pub free: u64,
    pub sponsored: u64,
    pub shared: u64,
    pub failed: u64,
    pub left_out: u64,
    pub let_go: u64,
    pub withdrawn: u64,
    pub lowered: u64,
}

impl Story {
    pub fn add(&mut self, other: &Self) {
        self.alone += other.alone;
        self.free += other.free;
        self.sponsored += other.sponsored;
        self.shared += other.shared;
        self.failed += other.failed;
        self.left_out += other.left_out;
        self.let_go += other.let_go;
        self.withdrawn += other.withdrawn;
        self.lowered += other.lowered;
    }

    /// A history in which nothing of note happened proves nothing.
    pub fn assert_rich(&self) {
        let few = [
            self.alone,
            self.free,
            self.sponsored,
            self.shared,
            self.failed,
            self.left_out,
            self.let_go,
        ];
        assert!(few.iter().all(|count| *count > 20), "{self:?}");
        assert!(self.withdrawn > 3 && self.lowered > 3, "{self:?}");
    }
}

macro_rules! same {
    ($what:expr, $chain:expr, $naive:expr) => {{
        let (chain, naive) = (&$chain, &$naive);
        if chain != naive {
            return Err(format!("{}: chain {chain:?}, naive {naive:?}", $what));
        }
    }};
}

/// What a transaction does beside costing gas.
#[derive(Clone, Debug)]
enum Deed {
    Count { fails: bool },
    Pay,
    Claim(Address),
    SetOperator(Address, Address),
    Deposit(Address),
    SetTerms(Address, IFees::Terms),
    Announce(Address, u128),
    Withdraw(Address),
    Stake,
    Unstake(u128),
    TakeStake,
}

struct Wish {
    offered: Offered,
    deed: Deed,
    transaction: Transaction,
}

pub struct World {
    chain: Chain,
    naive: Naive,
    dice: Dice,
    story: Story,
    /// Contracts, who created them and with which nonce.
    counters: Vec<(Address, usize, u64)>,
}

impl World {
    pub fn new(seed: u64, fault: Option<Fault>) -> Self {
        let mut chain = net(FeeRules {
            free_gas_bp: FREE_BP,
            ..fee_rules()
        });
        chain.thorough = seed.is_multiple_of(5) && fault.is_none();
        let mut counters = Vec::new();
        for maker in MAKERS.into_iter().chain(MAKERS) {
            let nonce = chain.nonces[maker];
            let create = Send::create(maker, deployment(&code(COUNTER))).gas(200_000);
            let output = chain.block(&[create.gas_price(BASE.into())]);
            let address = output.receipts[0].contract_address.unwrap();
            counters.push((address, maker, nonce));
        }
        let mut naive = Naive::with(fault);
        let known = CROWD.map(|user| chain.user(user)).chain([BENEFICIARY]);
        for address in known {
            let balance = chain.account(address).balance.to::<u128>();
            naive.coin.insert(address, balance);
        }
        Self {
            chain,
            naive,
            dice: Dice(seed.wrapping_mul(0x1234_5679).wrapping_add(1)),
            story: Story::default(),
            counters,
        }
    }

    pub fn run(mut self, blocks: u64) -> Result<Story, Difference> {
        for _ in 0..blocks {
            self.block()?;
            self.compare()?;
        }
        Ok(self.story)
    }

    fn any_user(&mut self) -> usize {
        CROWD.start() + self.dice.below(CROWD.count())
    }

    fn any_counter(&mut self) -> Address {
        let at = self.dice.below(self.counters.len());
        self.counters[at].0
    }

    /// Mostly one of the user's own.
    fn own_counter(&mut self, user: usize) -> Address {
        let own = self.counters.iter().filter(|(_, maker, _)| *maker == user);
        let own: Vec<_> = own.map(|(counter, _, _)| *counter).collect();
        if own.is_empty() || self.dice.chance(20) {
            return self.any_counter();
        }
        own[self.dice.below(own.len())]
    }

    fn any_terms(&mut self) -> IFees::Terms {
        let share = [0, 2_500, 3_333, 9_999, 10_000, 10_000, 10_000][self.dice.below(7)];
        let mut most = |calls: usize| match self.dice.below(5) {
            0..=2 => u128::MAX,
            _ => CALL * self.dice.below(calls) as u128 + self.dice.below(1_000) as u128,
        };
        let (one, user, day) = (most(4), most(8), most(30));
        terms(share, one, user, day)
    }

    /// Something that a user wants.
    fn wish(&mut self, user: usize) -> Wish {
        let me = self.chain.user(user);
        let have = self.naive.coin.get(&me).copied().unwrap_or_default();
        let counter = self.any_counter();
        // Makers see to their contracts.
        let is_maker = MAKERS.contains(&user);
        let what = if is_maker && self.dice.chance(60) {
            55 + self.dice.below(33)
        } else {
            self.dice.below(100)
        };
        let own = self.own_counter(user);
        let (mut value, mut gas) = (0, 300_000);
        let (to, deed) = match what {
            0..=49 => {
                gas = [50_000, 60_000, 80_000, 250_000][self.dice.below(4)];
                let fails = self.dice.chance(15);
                (counter, Deed::Count { fails })
            }
            50..=54 => {
                let other = self.any_user();
                value = self.dice.amount(have + 5);
                gas = 21_000;
                (self.chain.user(other), Deed::Pay)
            }
            55..=59 => (FEES, Deed::Claim(own)),
            60..=62 => {
                let other = MAKERS[self.dice.below(2)];
                (FEES, Deed::SetOperator(own, self.chain.user(other)))
            }
            63..=70 => {
                value = match self.dice.below(3) {
                    0 => self.dice.amount(have / 1_000),
                    calls => CALL * calls as u128 * 20,
                };
                (FEES, Deed::Deposit(own))
            }
            71..=78 => (FEES, Deed::SetTerms(own, self.any_terms())),
            79..=82 => {
                let held = self.deposit_of(own, me).held;
                (FEES, Deed::Announce(own, self.dice.amount(held)))
            }
            83..=87 => (FEES, Deed::Withdraw(own)),
            88..=94 => {
                value = COIN * self.dice.below(12) as u128 + self.dice.below(3) as u128;
                (STAKING, Deed::Stake)
            }
            95..=97 => {
                let staked = self.naive.stakes.get(&me).copied().unwrap_or_default();
                (STAKING, Deed::Unstake(self.dice.amount(staked)))
            }
            _ => (STAKING, Deed::TakeStake),
        };
        if to == STAKING {
            gas = 1_000_000;
        }
        let caps = [0, 0, 667, BASE - 1, BASE, BASE, BASE + 5, 2 * BASE];
        let cap = if is_maker {
            BASE
        } else {
            caps[self.dice.below(8)]
        };
        let tip = [0, 0, 3, cap][self.dice.below(4)].min(cap);
        let offered = Offered {
            user: me,
            to,
            value,
            gas,
            cap,
            tip,
        };
        let data = self.data(user, &deed);
        let transaction = self.sign(user, offered, data);
        Wish {
            offered,
            deed,
            transaction,
        }
    }

    fn data(&self, user: usize, deed: &Deed) -> Bytes {
        let nonce_of = |callee: Address| {
            let found = self.counters.iter().find(|(one, _, _)| *one == callee);
            found.map_or(0, |(_, _, nonce)| *nonce)
        };
        let _ = user;
        match deed {
            Deed::Count { fails: false } | Deed::Pay => Vec::new(),
            Deed::Count { fails: true } => vec![1],
            Deed::Claim(callee) => IFees::claimCall {
                callee: *callee,
                nonce: nonce_of(*callee),
            }
            .abi_encode(),
            Deed::SetOperator(callee, operator) => IFees::setOperatorCall {
                callee: *callee,
                operator: *operator,
            }
            .abi_encode(),
            Deed::Deposit(callee) => IFees::depositCall { callee: *callee }.abi_encode(),
            Deed::SetTerms(callee, terms) => IFees::setTermsCall {
                callee: *callee,
                terms: terms.clone(),
            }
            .abi_encode(),
            Deed::Announce(callee, amount) => IFees::announceWithdrawalCall {
                callee: *callee,
                amount: U256::from(*amount),
            }
            .abi_encode(),
            Deed::Withdraw(callee) => IFees::withdrawCall { callee: *callee }.abi_encode(),
            Deed::Stake => IStaking::stakeCall {}.abi_encode(),
            Deed::Unstake(amount) => IStaking::unstakeCall {
                amount: U256::from(*amount),
            }
            .abi_encode(),
            Deed::TakeStake => IStaking::withdrawCall {}.abi_encode(),
        }
        .into()
    }

    fn sign(&self, user: usize, offered: Offered, input: Bytes) -> Transaction {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.chain.nonces[user],
            gas_limit: offered.gas,
            max_fee_per_gas: offered.cap.into(),
            max_priority_fee_per_gas: offered.tip.into(),
            to: TxKind::Call(offered.to),
            value: U256::from(offered.value),
            input,
            ..TxEip1559::default()
        };
        let signature = self.chain.users[user].sign_hash_sync(&transaction.signature_hash());
        let envelope = TxEnvelope::from(transaction.into_signed(signature.unwrap()));
        Transaction::decode(&envelope.encoded_2718(), CHAIN_ID).unwrap()
    }

    fn deposit_of(&self, callee: Address, operator: Address) -> Deposit {
        let found = self.naive.deposits.get(&(callee, operator));
        found.cloned().unwrap_or_default()
    }

    fn block(&mut self) -> Result<(), Difference> {
        let mut wishes = Vec::new();
        for user in CROWD {
            if self.dice.chance(60) {
                wishes.push((user, self.wish(user)));
            }
        }
        let chain = &self.chain;
        let input = chain.input(None);
        let when = When {
            height: input.height,
            now: input.timestamp_ms / 1000,
        };
        let candidates = wishes.iter().map(|(_, wish)| wish.transaction.clone());
        let candidates: Vec<_> = candidates.collect();
        let built = chain
            .executor
            .build(&chain.state, input.clone(), candidates);
        let (taken, output, dead) = block_on(built).unwrap();
        let executed = block_on(chain.executor.execute(&chain.state, input.clone(), &taken));
        same!("building and executing", executed.unwrap(), output);
        if chain.thorough {
            let slow = chain.executor.interpreted();
            let slow = block_on(slow.execute(&chain.state, input.clone(), &taken));
            same!("the interpreter", slow.unwrap(), output);
        }
        let mut receipts = output.receipts.iter();
        let mut room = FREE_ROOM;
        for (user, wish) in &wishes {
            let plan = self.naive.plan(wish.offered, when, room);
            let is_taken = taken.contains(&wish.transaction);
            same!(
                format!("{:?} {:?}", wish.offered, wish.deed),
                is_taken,
                plan.is_ok()
            );
            match plan {
                Err(for_good) => {
                    let is_dead = dead.contains(&wish.transaction.hash());
                    same!(format!("let go of {:?}", wish.offered), is_dead, for_good);
                    self.story.left_out += 1;
                    self.story.let_go += u64::from(for_good);
                }
                Ok(plan) => {
                    let receipt = receipts.next().unwrap();
                    same!(
                        wish.transaction.hash(),
                        receipt.effective_gas_price,
                        u128::from(plan.price)
                    );
                    let envelope = wish.transaction.envelope();
                    let told = sender_price(envelope, BASE, &receipt.logs);
                    same!("by its receipt", told, receipt.effective_gas_price);
                    let used = receipt.gas_used;
                    if plan.payer == Payer::Stake {
                        room -= used;
                    }
                    match plan.payer {
                        Payer::Sender => self.story.alone += 1,
                        Payer::Stake => self.story.free += 1,
                        Payer::Operator(_) if plan.covered == BASE => self.story.sponsored += 1,
                        Payer::Operator(_) => self.story.shared += 1,
                    }
                    self.do_deed(wish, receipt, when)?;
                    self.naive
                        .charge(wish.offered, plan, used, when, BENEFICIARY);
                    self.chain.nonces[*user] += 1;
                }
            }
        }
        self.chain.state.apply(&output.changes);
        self.chain.height += 1;
        self.chain.view = input.turn.view;
        self.chain.parent = keccak256(self.chain.parent);
        if let Some(next) = input.next_epoch {
            self.chain.committee = next.committee;
        }
        self.chain.now += match self.dice.below(40) {
            0 => 86_400,
            1..=5 => super::NOTICE / 2,
            _ => 1,
        };
        Ok(())
    }

    fn do_deed(
        &mut self,
        wish: &Wish,
        receipt: &TransactionOutcome,
        when: When,
    ) -> Result<(), Difference> {
        let Offered {
            user, value, to, ..
        } = wish.offered;
        let epoch = when.height / EPOCH_BLOCKS;
        let naive = &mut self.naive;
        let done = match &wish.deed {
            Deed::Count { fails } => !fails,
            Deed::Pay => {
                *naive.coin.entry(to).or_default() += value;
                true
            }
            Deed::Claim(callee) => {
                let found = self.counters.iter().find(|(one, _, _)| one == callee);
                let (_, maker, _) = found.unwrap();
                let mine = self.chain.user(*maker) == user;
                let claimed = naive.operators.get(callee).is_some_and(|found| found.1);
                if mine && !claimed {
                    naive.operators.insert(*callee, (user, true));
                }
                mine && !claimed
            }
            Deed::SetOperator(callee, next) => {
                let found = naive.operators.get(callee).copied();
                let mine = found.is_some_and(|found| found.0 == user);
                if mine {
                    naive.operators.insert(*callee, (*next, true));
                }
                mine
            }
            Deed::Deposit(callee) => {
                if value > 0 {
                    naive.deposits.entry((*callee, user)).or_default().held += value;
                }
                value > 0
            }
            Deed::SetTerms(callee, terms) => {
                let old = naive.terms(*callee, user, when.now);
                naive.set_terms(*callee, user, terms.clone(), when.now);
                self.story.lowered += u64::from(terms.shareBp < old.shareBp);
                true
            }
            Deed::Announce(callee, amount) => {
                let deposit = naive.deposits.entry((*callee, user)).or_default();
                let there = *amount <= deposit.held;
                if there {
                    deposit.leaving = *amount;
                    deposit.ready = when.now + super::NOTICE;
                }
                there
            }
            Deed::Withdraw(callee) => {
                let deposit = naive.deposits.entry((*callee, user)).or_default();
                let ready = deposit.leaving > 0 && deposit.ready <= when.now;
                if ready {
                    let paid = deposit.leaving.min(deposit.held);
                    deposit.held -= paid;
                    deposit.leaving = 0;
                    *naive.coin.entry(user).or_default() += paid;
                    self.story.withdrawn += 1;
                }
                ready
            }
            Deed::Stake => {
                if value > 0 {
                    *naive.stakes.entry(user).or_default() += value;
                }
                value > 0
            }
            Deed::Unstake(amount) => {
                let stake = naive.stakes.entry(user).or_default();
                let there = *amount > 0 && *amount <= *stake;
                if there {
                    *stake -= amount;
                    naive.unbonding.push((user, *amount, epoch + 4));
                }
                there
            }
            Deed::TakeStake => {
                let is_ready = |one: &(Address, u128, u64)| one.0 == user && one.2 <= epoch;
                let ready = naive.unbonding.iter().filter(|one| is_ready(one));
                let paid: u128 = ready.map(|(_, amount, _)| amount).sum();
                naive.unbonding.retain(|one| !is_ready(one));
                *naive.coin.entry(user).or_default() += paid;
                paid > 0
            }
        };
        if done {
            *naive.coin.entry(user).or_default() -= value;
        } else {
            self.story.failed += 1;
        }
        same!(format!("{:?} of {user}", wish.deed), receipt.success, done);
        Ok(())
    }

    fn compare(&self) -> Result<(), Difference> {
        let (chain, naive) = (&self.chain, &self.naive);
        for (address, coin) in &naive.coin {
            same!(address, chain.account(*address).balance, U256::from(*coin));
        }
        let all = U256::from(naive.all_deposits());
        same!("the module", chain.account(FEES).balance, all);
        same!(
            "deposits",
            chain.view(FEES, IFees::totalDepositsCall {}),
            all
        );
        let now = chain.now;
        for ((callee, operator), deposit) in &naive.deposits {
            let (callee, operator) = (*callee, *operator);
            let found = chain.view(FEES, IFees::sponsorCall { callee, operator });
            same!("a deposit", found.deposit, U256::from(deposit.held));
            same!("leaving", found.leaving, U256::from(deposit.leaving));
            same!("terms", found.terms, naive.terms(callee, operator, now));
            let spent = naive.spent(callee, operator, now / 86_400);
            same!("spent", found.spentToday, U256::from(spent));
        }
        for user in CROWD {
            let found = super::quota(chain, user);
            let account = chain.user(user);
            same!("free gas", found.gas, naive.quota(account));
            same!("used", found.used, naive.used(account, chain.height + 1));
        }
        Ok(())
    }
}

#[test]
fn everybody_begins_with_the_same() {
    let world = World::new(1, None);
    let user = world.chain.user(6);
    assert_eq!(U256::from(world.naive.coin[&user]), coins(FUNDS));
    assert_eq!(world.naive.coin[&world.chain.user(PENNILESS)], 0);
}
