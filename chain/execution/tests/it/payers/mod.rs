//! Who pays for gas: operators' deposits, the free gas of stake, the sender.

mod naive;
mod rules;
mod story;

use crate::{
    staking::support::{net_genesis, rules as staking_rules},
    support::{Chain, Send},
};
use alloy::{primitives::Address, signers::local::PrivateKeySigner, sol_types::SolCall};
use mileverse_primitives::{
    abi::IFees::{self, Terms},
    address::FEES,
    fees::FeeRules,
    genesis::Genesis,
    staking::{Allocation, StakingRules, coins},
};
use naive::Fault;
use story::World;

/// Blocks of a history.
const BLOCKS: u64 = 120;

/// Base fee.
pub const BASE: u64 = 1_000;
/// Coin of each user at the start.
pub const FUNDS: u64 = 1_000;
pub const NOTICE: u64 = 100;
/// Gas that a coin of stake has free in a window of two epochs.
pub const PER_COIN: u64 = 10_000;

pub fn fee_rules() -> FeeRules {
    FeeRules {
        base_price: BASE,
        notice_seconds: NOTICE,
        free_gas_per_coin: PER_COIN,
        free_gas_epochs: 2,
        ..FeeRules::default()
    }
}

/// A net where gas costs [`BASE`]; user 11 has nothing at all.
pub fn net(fees: FeeRules) -> Chain {
    net_with(fees, |_, _| ())
}

/// The same with another genesis file, which may name the users.
pub fn net_with(fees: FeeRules, change: impl FnOnce(&mut Genesis, &[Address])) -> Chain {
    let staking = StakingRules {
        reward_pool: coins(0),
        reward_per_epoch: coins(0),
        ..staking_rules()
    };
    let mut genesis = net_genesis(staking);
    genesis.fees = fees;
    genesis.allocations.pop();
    for Allocation { amount, .. } in &mut genesis.allocations {
        *amount = coins(FUNDS);
    }
    let users = Chain::some_users(12);
    let addresses: Vec<_> = users.iter().map(PrivateKeySigner::address).collect();
    change(&mut genesis, &addresses);
    genesis.check().unwrap();
    Chain::with(genesis, users)
}

/// Who has no coin.
pub const PENNILESS: usize = 11;

/// A call of the fees module that pays for itself.
pub fn ask(user: usize, call: &impl SolCall) -> Send {
    Send::call(user, FEES, call)
        .gas(300_000)
        .gas_price(BASE.into())
}

pub fn terms(share_bp: u16, per_transaction: u128, per_user_day: u128, per_day: u128) -> Terms {
    Terms {
        shareBp: share_bp,
        perTransaction: per_transaction,
        perUserDay: per_user_day,
        perDay: per_day,
    }
}

pub fn sponsor(chain: &Chain, callee: Address, operator: usize) -> IFees::Sponsor {
    let operator = chain.user(operator);
    chain.view(FEES, IFees::sponsorCall { callee, operator })
}

pub fn quota(chain: &Chain, user: usize) -> IFees::Quota {
    let account = chain.user(user);
    chain.view(FEES, IFees::quotaCall { account })
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// `MILEVERSE_SEEDS=1000 cargo test --release -p mileverse-execution --test it payers` runs more
/// histories, `MILEVERSE_SEED` a single one.
#[test]
fn every_history_charges_what_a_naive_book_says() {
    let seeds = match setting("MILEVERSE_SEED", u64::MAX) {
        u64::MAX => 0..setting("MILEVERSE_SEEDS", 10),
        one => one..one + 1,
    };
    let many = seeds.end - seeds.start >= 10;
    let mut all = story::Story::default();
    for seed in seeds {
        match World::new(seed, None).run(BLOCKS) {
            Ok(story) => all.add(&story),
            Err(what) => panic!(
                "seed {seed}: {what}; replay: MILEVERSE_SEED={seed} cargo test --release -p mileverse-execution --test it payers"
            ),
        }
    }
    eprintln!("{all:?}");
    if many {
        all.assert_rich();
    }
}

/// What would go unnoticed here would go unnoticed in the chain.
#[test]
fn planted_faults_are_found() {
    for fault in [
        Fault::RoundedUp,
        Fault::NothingPutBack,
        Fault::NoUserLimit,
        Fault::NoNotice,
        Fault::OperatorFirst,
        Fault::ByLimit,
        Fault::UnbondingCounts,
        Fault::TipCovered,
    ] {
        let found = (0..20).find(|seed| World::new(*seed, Some(fault)).run(BLOCKS).is_err());
        assert!(found.is_some(), "{fault:?} is not found");
    }
}
