//! One random history, beside the naive recomputation.
//!
//! Users transfer, pay gas, stake, vote, unbond, withdraw, claim, are slashed, send over the bridge
//! and receive from it, fund the pool, and are excluded and readmitted, most of it in the seconds
//! around quarters' ends. Blocks pay so few holders that quarters end while others are being paid;
//! some chains sleep through several. On a third of the chains pots come from Ethereum, which is a few
//! numbers here: shares come late, in any order, twice, and from others than the source.

use super::naive::{Closed, Copy, Fault, Naive, Share};
use crate::{
    economy::dice::Dice,
    ethereum::{Ethereum, coin_token},
    staking::{
        evidence::double,
        support::{MEMBERS, USERS, member_keys, net_genesis, rules},
    },
    support::{BENEFICIARY, Chain, Send, outcomes},
};
use alloy::primitives::{Address, TxKind, U256, keccak256};
use alloy::sol_types::{SolCall, SolEvent as _};
use mileverse_execution::state;
use mileverse_primitives::{
    abi::{IBridge, ICoin, IRewards, IStaking, IValves},
    address::{ALL, BRIDGE, COIN, REWARDS, STAKING},
    bridge::{BridgeRules, Limits},
    packet::{Packet, Transfer},
    quarter::Quarter,
    rewards::{QuarterAccount, RewardRules},
    staking::StakingRules,
};
use std::collections::{BTreeMap, BTreeSet};

const GOVERNOR: usize = 11;
const DELAY: u64 = 3_600;
/// Pays from Ethereum.
const SOURCE: Address = Address::repeat_byte(0x50);
const FUNDS: u64 = 1_000_000_000;
/// Gas of one transaction, and the highest price.
const GAS: u64 = 3_000_000;

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Story {
    pub quarters: u64,
    pub together: u64,
    pub overlapping: u64,
    pub at_epoch_ends: u64,
    pub slashed: u64,
    pub minted: u64,
    pub burned: u64,
    pub listed: u64,
    pub carried: u64,
    pub released: u64,
    pub short: u64,
    pub paid: u128,
    pub done: u64,
    pub failed: u64,
    /// Shares that came, that were refused, and that came before an earlier quarter's.
    pub shares: u64,
    pub refused: u64,
    pub out_of_order: u64,
}

impl Story {
    pub fn add(&mut self, other: &Self) {
        self.quarters += other.quarters;
        self.together += other.together;
        self.overlapping += other.overlapping;
        self.at_epoch_ends += other.at_epoch_ends;
        self.slashed += other.slashed;
        self.minted += other.minted;
        self.burned += other.burned;
        self.listed += other.listed;
        self.carried += other.carried;
        self.released += other.released;
        self.short += other.short;
        self.paid += other.paid;
        self.done += other.done;
        self.failed += other.failed;
        self.shares += other.shares;
        self.refused += other.refused;
        self.out_of_order += other.out_of_order;
    }
}

/// Where the chain and the naive recomputation differ.
pub type Difference = String;

macro_rules! same {
    ($what:expr, $chain:expr, $naive:expr) => {{
        let (chain, naive) = (&$chain, &$naive);
        if chain != naive {
            return Err(format!("{}: chain {chain:?}, naive {naive:?}", $what));
        }
    }};
}

pub struct World {
    pub chain: Chain,
    pub story: Story,
    naive: Naive,
    dice: Dice,
    ethereum: Ethereum,
    /// Everybody who ever may have had coin.
    holders: BTreeSet<Address>,
    /// What was paid, as seen in blocks without their transactions.
    credits: BTreeMap<Address, u128>,
    /// Coin made and destroyed since the genesis.
    supply: u128,
    /// What the governor announced, and from when on it may be made.
    announced: Option<(IRewardsCall, u64)>,
    /// Units that slashes may have rounded away.
    slack: u128,
}

#[derive(Clone)]
enum IRewardsCall {
    Exclude(Address),
    Readmit(Address),
}

impl IRewardsCall {
    fn data(&self) -> Vec<u8> {
        match self {
            Self::Exclude(account) => IRewards::excludeCall { account: *account }.abi_encode(),
            Self::Readmit(account) => IRewards::readmitCall { account: *account }.abi_encode(),
        }
    }
}

impl World {
    pub fn new(seed: u64, fault: Option<Fault>) -> Self {
        let mut dice = Dice(seed);
        let rewards = RewardRules {
            pot: U256::from(1 + dice.next() % 9_999_999),
            least_payment: U256::from([0, 1, 10_000, 100_000][dice.below(4)]),
            holders_per_block: 1 + u32::try_from(dice.below(6)).unwrap(),
            pool: U256::from(dice.next() % 60_000_000),
            excluded: vec![],
            source: seed.is_multiple_of(3).then_some(SOURCE),
        };
        let mut genesis = net_genesis(StakingRules {
            double_sign_slash_bp: [500, 3_333, 10_000][dice.below(3)],
            reward_pool: U256::from(FUNDS),
            ..rules()
        });
        let users = Chain::some_users(USERS);
        for allocation in &mut genesis.allocations {
            allocation.amount = U256::from(1 + dice.next() % FUNDS);
        }
        genesis
            .allocations
            .push(mileverse_primitives::staking::Allocation {
                address: BENEFICIARY,
                amount: U256::from(7),
            });
        genesis.rewards = RewardRules {
            excluded: vec![users[10].address()],
            ..rewards.clone()
        };
        genesis.bridge = BridgeRules {
            governor: users[GOVERNOR].address(),
            delay_seconds: u32::try_from(DELAY).unwrap(),
            points: Limits::default(),
            coin: Limits::default(),
            ..BridgeRules::default()
        };
        genesis.check().unwrap();
        let supply = genesis.coins().unwrap().to();
        let mut chain = Chain::with(genesis, users);
        chain.beneficiary = STAKING;
        chain.thorough = false;
        let mut holders: BTreeSet<Address> =
            chain.users.iter().map(|user| user.address()).collect();
        holders.insert(BENEFICIARY);
        holders.extend(ALL);
        let naive = Naive {
            fault,
            open: Quarter::containing(chain.now * 1000).unwrap(),
            excluded: BTreeSet::from([chain.user(10)]),
            closed: vec![],
            reserved: 0,
            carried: BTreeMap::new(),
            credits: BTreeMap::new(),
            rules: rewards,
        };
        Self {
            chain,
            story: Story::default(),
            naive,
            dice,
            ethereum: Ethereum::new(),
            holders,
            credits: BTreeMap::new(),
            supply,
            announced: None,
            slack: 0,
        }
    }

    /// Some blocks, a quarter's end, or several.
    pub fn quarter(&mut self) -> Result<(), Difference> {
        for _ in 0..self.dice.below(30) {
            self.block()?;
        }
        for _ in 0..[1, 1, 1, 2, 4][self.dice.below(5)] - 1 {
            // Slept through.
            self.chain.now = self.ends() + self.dice.next() % 1_000;
            if self.dice.chance(50) {
                self.block()?;
            }
        }
        let ends = self.ends();
        let early = self.dice.next() % 5;
        self.chain.now = self.chain.now.max(ends - early);
        for _ in 0..early + 1 + self.dice.next() % 4 {
            self.block()?;
        }
        Ok(())
    }

    /// The quarter's end that is next for the block's time.
    fn ends(&self) -> u64 {
        let now = Quarter::containing(self.chain.now * 1000).unwrap();
        now.ends_ms().unwrap() / 1000
    }

    /// Blocks until everybody is paid.
    pub fn finish(&mut self) -> Result<(), Difference> {
        let mut blocks = 0;
        while !self.naive.closed.is_empty() {
            self.block()?;
            blocks += 1;
            assert!(blocks < 2_000, "the paying never ends");
        }
        Ok(())
    }

    pub fn block(&mut self) -> Result<(), Difference> {
        self.chain.beneficiary = match self.dice.below(4) {
            0 => BENEFICIARY,
            1 => self.chain.user(5),
            _ => STAKING,
        };
        let sends = match self.announced.clone() {
            // The delay goes by, perhaps over a quarter's end.
            Some((call, from)) if self.dice.chance(30) => {
                self.announced = None;
                self.chain.now = self.chain.now.max(from);
                vec![Send::data(GOVERNOR, REWARDS, call.data()).gas(GAS)]
            }
            _ => self.some_sends(),
        };
        let mut input = self.chain.input(None);
        if let Some(sequence) = self.share() {
            let snapshot = self.ethereum.snapshot();
            input.checkpoint = Some(snapshot.checkpoint());
            let call = Send::call(4, BRIDGE, &snapshot.deliver(&[sequence])).gas(10_000_000);
            return self.execute(vec![call], input);
        }
        if let Some((sequence, true)) = self.inbound() {
            let snapshot = self.ethereum.snapshot();
            input.checkpoint = Some(snapshot.checkpoint());
            let call = Send::call(4, BRIDGE, &snapshot.deliver(&[sequence])).gas(10_000_000);
            return self.execute(vec![call], input);
        }
        self.execute(sends, input)
    }

    /// The share of some closed quarter, sometimes; now and then one that is not due.
    fn share(&mut self) -> Option<u64> {
        if self.naive.closed.is_empty() || !self.dice.chance(25) {
            return None;
        }
        let closed = &self.naive.closed[self.dice.below(self.naive.closed.len())];
        let (quarter, share) = (closed.quarter, closed.share?);
        let odd = self.dice.chance(20);
        if share.has_come && !odd {
            return None;
        }
        let sender = if odd && self.dice.chance(50) {
            Address::repeat_byte(0x66)
        } else {
            SOURCE
        };
        let mut receiver = REWARDS.into_array();
        receiver[2..14].copy_from_slice(&share.locked.to_be_bytes()[4..]);
        let number = u32::try_from(quarter.number()).unwrap();
        receiver[14..18].copy_from_slice(&number.to_be_bytes());
        self.ethereum.now = self.chain.now;
        let deadline = self.chain.now + 1_000_000;
        Some(self.ethereum.commit(|id| {
            Packet::Transfer(Transfer {
                id,
                deadline,
                token: coin_token(),
                sender,
                receiver: receiver.into(),
                amount: U256::from(share.amount()),
                action: None,
                acknowledge: false,
            })
        }))
    }

    /// What Ethereum says of the quarters that have just closed: more is locked there than there is
    /// coin here, by what is on its way.
    fn close_there(&mut self, supply: u128, count: usize) {
        let on_its_way = u128::from([0, 1, self.dice.next() % FUNDS][self.dice.below(3)]);
        let locked = supply + on_its_way;
        let first = self.naive.closed.len() - count;
        for closed in &mut self.naive.closed[first..] {
            closed.share = Some(Share {
                // Enough for a share of one unit at least.
                pot: 1_000 + u128::from(self.dice.next() % 9_999_999),
                eligible: locked + u128::from(self.dice.next()) % (locked * 20),
                locked,
                has_come: false,
            });
        }
    }

    /// A packet from Ethereum was delivered.
    fn arrive(&mut self, transfer: &Transfer) {
        let Some(account) = QuarterAccount::of(transfer.receiver) else {
            self.supply += transfer.amount.to::<u128>();
            self.story.minted += 1;
            return;
        };
        let quarter = account.quarter;
        let waits = |one: &Closed| one.share.is_some_and(|share| !share.has_come);
        let found = self
            .naive
            .closed
            .iter()
            .position(|one| one.quarter == quarter);
        let is_due = found.is_some_and(|index| waits(&self.naive.closed[index]));
        if transfer.sender != SOURCE || !is_due {
            self.story.refused += 1;
            return;
        }
        self.supply += transfer.amount.to::<u128>();
        self.story.shares += 1;
        let earlier = &self.naive.closed[..found.unwrap_or_default()];
        self.story.out_of_order += u64::from(earlier.iter().any(waits));
        let number = quarter.number();
        let call = IRewards::reportCall { quarter: number };
        let eligible = self.chain.view(REWARDS, call).eligible.to();
        self.naive.fund(quarter, eligible);
    }

    /// A transfer from Ethereum, sometimes.
    fn inbound(&mut self) -> Option<(u64, bool)> {
        if !self.dice.chance(6) {
            return None;
        }
        let to = match self.dice.below(5) {
            0 => REWARDS,
            1 => self.newcomer(),
            _ => self.somebody(),
        };
        let amount = 1 + self.dice.next() % FUNDS;
        self.ethereum.now = self.chain.now;
        let far = self.chain.now + 1_000_000;
        Some((self.ethereum.send(coin_token(), to, amount, far), true))
    }

    fn execute(
        &mut self,
        sends: Vec<Send>,
        input: mileverse_execution::BlockInput,
    ) -> Result<(), Difference> {
        let closes = input.timestamp_ms >= self.naive.open.ends_ms().unwrap();
        let before = closes.then(|| self.copy());
        let is_paying = !self.naive.closed.is_empty();
        let time = input.timestamp_ms;
        let ends_epoch = input.next_epoch.is_some();
        let seen: u128 = self.credits.values().sum();
        let paid_ahead = seen.saturating_sub(self.naive.credits.values().sum());
        self.watch_payments(&input);
        let output = self.chain.block_of(&sends, input);
        if let Some(before) = before {
            let copy = if self.naive.fault == Some(Fault::AfterTheBlock) {
                self.copy()
            } else {
                before
            };
            let count = self.naive.close(&copy, &self.holders, time, paid_ahead);
            if self.naive.rules.source.is_some() {
                self.close_there(self.supply, count);
            }
            self.story.quarters += count as u64;
            self.story.together += u64::from(count > 1);
            self.story.overlapping += u64::from(is_paying);
            self.story.at_epoch_ends += u64::from(ends_epoch);
        }
        for (send, receipt) in sends.iter().zip(outcomes(&output)) {
            if receipt.success {
                self.story.done += 1;
                self.note(send);
            } else {
                self.story.failed += 1;
            }
        }
        self.settle()?;
        self.conserve()
    }

    fn copy(&self) -> Copy {
        Copy {
            values: self.chain.state.values.clone(),
        }
    }

    fn balance(&self, address: Address) -> u128 {
        self.chain.account(address).balance.to()
    }

    /// What the block would do without its transactions: pay.
    fn watch_payments(&mut self, input: &mileverse_execution::BlockInput) {
        let idle = self.chain.alone(input.clone());
        let mut told: BTreeMap<Address, u128> = BTreeMap::new();
        for log in idle.receipts.iter().flat_map(|one| &one.logs) {
            if let Ok(paid) = IRewards::RewardPaid::decode_log(log) {
                *told.entry(paid.account).or_default() += paid.amount.to::<u128>();
            }
        }
        for address in &self.holders {
            let told = told.get(address).copied().unwrap_or_default();
            let key = state::account_key(*address);
            let Some(Some(value)) = idle.changes.get(&key) else {
                continue;
            };
            if ALL.contains(address) {
                continue;
            }
            let now: u128 = mileverse_execution::Account::decode(value)
                .unwrap()
                .balance
                .to();
            let paid = now - self.balance(*address);
            // An epoch's last block pays delegates, too.
            if input.next_epoch.is_none() {
                assert_eq!(told, paid, "what the events tell that {address} was paid");
            }
            *self.credits.entry(*address).or_default() += paid;
        }
    }

    /// What a call that succeeded means for who counts.
    fn note(&mut self, send: &Send) {
        let data = send.data.as_ref();
        let to = send.to.to().copied();
        if to == Some(REWARDS) {
            if let Ok(call) = IRewards::excludeCall::abi_decode(data) {
                self.naive.excluded.insert(call.account);
                self.story.listed += 1;
            } else if let Ok(call) = IRewards::readmitCall::abi_decode(data) {
                self.naive.excluded.remove(&call.account);
                self.story.listed += 1;
            }
        } else if to == Some(BRIDGE) {
            if let Ok(call) = IBridge::sendCall::abi_decode(data) {
                self.supply -= call.amount.to::<u128>();
                self.story.burned += 1;
            } else if let Ok(call) = IBridge::deliverCall::abi_decode(data) {
                for item in call.items {
                    if let Ok(Packet::Transfer(one)) = Packet::decode(&item.packet) {
                        self.arrive(&one);
                    }
                }
            }
        } else if to == Some(STAKING)
            && IStaking::submitDoubleProposalCall::abi_decode(data).is_ok()
        {
            self.story.slashed += 1;
            // Each voter's rest is rounded down.
            self.slack += u128::from(USERS);
        }
    }

    /// Compares each quarter that the chain has paid to everybody.
    fn settle(&mut self) -> Result<(), Difference> {
        while let Some(closed) = self.naive.closed.first() {
            let quarter = closed.quarter.number();
            let report = self.chain.view(REWARDS, IRewards::reportCall { quarter });
            same!("pot", report.pot.to::<u128>(), closed.pot);
            let eligible: u128 = report.eligible.to();
            match eligible.checked_sub(closed.eligible) {
                Some(more) if more <= self.slack => {}
                _ => same!("eligible", eligible, closed.eligible),
            }
            if report.paidHeight == 0 {
                break;
            }
            let (closed, settled) = self.naive.settle(eligible);
            let quarter = closed.quarter;
            for address in &self.holders {
                let call = IRewards::earnedCall {
                    account: *address,
                    quarter: quarter.number(),
                };
                let earned: u128 = self.chain.view(REWARDS, call).to();
                let naive = settled.earned.get(address).copied().unwrap_or_default();
                same!(format!("{quarter} {address}"), earned, naive);
                // A coin earns here what it earns there; each of three divisions rounds down.
                if let Some(share) = closed.share.filter(|_| earned > 0) {
                    let there = share.earns(closed.holdings[address]);
                    if there < earned || there - earned > 3 {
                        return Err(format!("{quarter} {address}: {earned} here, {there} there"));
                    }
                }
            }
            if let Some(share) = closed.share {
                assert!(settled.paid + settled.carried <= share.amount());
                same!("share", report.share.to::<u128>(), share.amount());
            }
            same!("paid", report.paid.to::<u128>(), settled.paid);
            same!("carried", report.carried.to::<u128>(), settled.carried);
            same!("released", report.released.to::<u128>(), settled.released);
            same!(
                "remainder",
                report.remainder.to::<u128>(),
                settled.remainder
            );
            same!("credited", report.credited, settled.credited);
            same!("waiting", report.waiting, settled.waiting);
            assert!(report.paid + report.carried <= report.pot);
            self.story.paid += settled.paid + settled.released;
            self.story.carried += settled.waiting;
            self.story.released += u64::from(settled.released > 0);
            self.story.short += u64::from(closed.pot < self.naive.rules.pot.to::<u128>());
        }
        if self.naive.closed.is_empty() {
            let paid: BTreeMap<_, _> = self.credits.iter().filter(|(_, paid)| **paid > 0).collect();
            let naive: BTreeMap<_, _> = self.naive.credits.iter().collect();
            same!("all that was ever paid", paid, naive);
            let pool = self.chain.view(REWARDS, IRewards::poolCall {});
            same!("reserved", pool.reserved.to::<u128>(), self.naive.reserved);
            let carried: u128 = self.naive.carried.values().sum();
            same!("carried in all", pool.carried.to::<u128>(), carried);
        }
        Ok(())
    }

    fn conserve(&self) -> Result<(), Difference> {
        let all: u128 = self.holders.iter().map(|one| self.balance(*one)).sum();
        same!("all coin", all, self.supply);
        let supply: u128 = self.chain.view(COIN, ICoin::totalSupplyCall {}).to();
        same!("supply", supply, self.supply);
        assert!(self.chain.view(REWARDS, IRewards::solventCall {}));
        Ok(())
    }

    fn somebody(&mut self) -> Address {
        let holders: Vec<Address> = self
            .holders
            .iter()
            .filter(|one| !ALL.contains(one))
            .copied()
            .collect();
        holders[self.dice.below(holders.len())]
    }

    fn newcomer(&mut self) -> Address {
        let address = Address::from_word(keccak256(self.dice.next().to_be_bytes()));
        self.holders.insert(address);
        address
    }

    fn some_sends(&mut self) -> Vec<Send> {
        let mut users: Vec<usize> = (0..self.dice.below(4))
            .map(|_| self.dice.below(USERS.into()))
            .collect();
        users.sort_unstable();
        users.dedup();
        users
            .into_iter()
            .filter_map(|user| self.some_send(user))
            .collect()
    }

    /// Something that one user tries; whether it succeeds does not matter.
    fn some_send(&mut self, user: usize) -> Option<Send> {
        let has: u128 = self.chain.account(self.chain.user(user)).balance.to();
        let mut price = self.dice.next() % 3;
        let mut fee = u128::from(GAS * price);
        if has < fee {
            (price, fee) = (0, 0);
        }
        let rest = has - fee;
        let part = self.dice.amount(rest).min(rest);
        let candidate = self.chain.user(self.dice.below(MEMBERS));
        let staked = crate::staking::support::account(&self.chain, user);
        let call = |call: Vec<u8>| Send::data(user, STAKING, call);
        let send = match self.dice.below(16) {
            0..=2 => {
                let to = if self.dice.chance(20) {
                    self.newcomer()
                } else {
                    self.somebody()
                };
                // All that there is, sometimes.
                let value = if self.dice.chance(15) { rest } else { part };
                Send::data(user, to, vec![]).value(U256::from(value))
            }
            3 => {
                let to = self.somebody();
                let amount = U256::from(part);
                Send::call(user, COIN, &ICoin::transferCall { to, amount })
            }
            4 | 5 => call(IStaking::stakeCall {}.abi_encode()).value(U256::from(part)),
            6 | 7 => {
                let free: u128 = staked.free.to();
                let amount = U256::from(self.dice.amount(free).min(free));
                call(IStaking::voteForCall { candidate, amount }.abi_encode())
            }
            8 => {
                let voted: u128 = staked.voted.to();
                let amount = U256::from(self.dice.amount(voted).min(voted));
                call(IStaking::unvoteCall { candidate, amount }.abi_encode())
            }
            9 => {
                let free: u128 = staked.free.to();
                let amount = U256::from(self.dice.amount(free).min(free));
                call(IStaking::unstakeCall { amount }.abi_encode())
            }
            10 => call(IStaking::withdrawCall {}.abi_encode()),
            11 => call(IStaking::claimCall {}.abi_encode()),
            12 => {
                let voter = self.chain.user(self.dice.below(USERS.into()));
                call(IStaking::collectCall { voter }.abi_encode())
            }
            13 if self.dice.chance(15) && self.story.slashed < 2 => {
                let keys = member_keys();
                let epoch = self.chain.epoch();
                let key = &keys[self.dice.below(MEMBERS)];
                call(double(key, epoch).abi_encode())
            }
            13 => Send::call(user, REWARDS, &IRewards::fundCall {})
                .value(U256::from(part.min(10_000_000))),
            14 => {
                let bridge = IBridge::sendCall {
                    token: COIN,
                    receiver: Address::repeat_byte(0x42),
                    amount: U256::from(part.min(1 << 60)),
                    deadline: self.chain.now + 10_000,
                };
                Send::call(user, BRIDGE, &bridge).value(bridge.amount)
            }
            _ => return self.govern(),
        };
        let mut send = send.gas(GAS).gas_price(price.into());
        if send.to == TxKind::Call(self.chain.user(user)) && send.value.is_zero() {
            send.gas = 30_000;
        }
        Some(send)
    }

    /// The governor announces a change of the list, or makes it.
    fn govern(&mut self) -> Option<Send> {
        if self.announced.is_some() {
            return None;
        }
        let listed: Vec<Address> = self.naive.excluded.iter().copied().collect();
        let call = if !listed.is_empty() && self.dice.chance(50) {
            IRewardsCall::Readmit(listed[self.dice.below(listed.len())])
        } else {
            IRewardsCall::Exclude(self.somebody())
        };
        let data = call.data().into();
        self.announced = Some((call, self.chain.now + DELAY));
        let schedule = IValves::scheduleCall { data };
        Some(Send::call(GOVERNOR, BRIDGE, &schedule).gas(GAS))
    }
}
