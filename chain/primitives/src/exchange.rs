//! The exchange of the native chain: Solidity that a genesis file places at fixed addresses.
//!
//! | address | what it is |
//! |---|---|
//! | [`FACTORY`] | makes pools of two tokens |
//! | [`POOL`] | the pool of MVP (token 0) and MVC (token 1) |
//! | [`ORACLE`] | what an MVC is worth in MVP: the platform's price |
//! | [`ROUTER`] | swaps what comes over the bridge, and sends over the bridge what was swapped |
//! | [`HASHED_TIMELOCK`] | two people trade across two chains without the bridge |
//!
//! `docs/swap.md` explains them. Code and interfaces are made from `artifacts/*.json`, which
//! `contracts/tools/artifacts` writes from `contracts/src/exchange` and `contracts/src/swaps`.

use crate::{
    address::{COIN, POINTS},
    contracts::Contract,
    points::{Exempt, ExemptClass, PointsRules},
    rewards::RewardRules,
};
use alloy::primitives::{Address, B256, Bytes, U256, address};

pub use abi::{HashedTimelock, Oracle, Pool, PoolFactory, SwapRouter};

/// Makes pools.
pub const FACTORY: Address = address!("4d56000000000000000000000000000000000101");
/// The pool of points and coin.
pub const POOL: Address = address!("4d56000000000000000000000000000000000102");
/// The platform's price.
pub const ORACLE: Address = address!("4d56000000000000000000000000000000000103");
/// Swaps across chains.
pub const ROUTER: Address = address!("4d56000000000000000000000000000000000104");
/// Hashed-timelock swaps.
pub const HASHED_TIMELOCK: Address = address!("4d56000000000000000000000000000000000105");

/// Where a pool keeps the addresses of its two tokens.
const TOKEN_SLOTS: [u64; 2] = [5, 6];

mod abi {
    #![allow(
        missing_docs,
        clippy::too_many_arguments,
        reason = "sol! expands to undocumented items; the Solidity carries the docs"
    )]

    pub use factory::PoolFactory;
    pub use oracle::Oracle;
    pub use pool::Pool;
    pub use router::SwapRouter;
    pub use swaps::HashedTimelock;

    // Errors that two contracts share appear in each one's ABI.
    mod factory {
        alloy::sol!(
            #[derive(Debug, PartialEq, Eq)]
            PoolFactory,
            "artifacts/PoolFactory.json"
        );
    }
    mod oracle {
        alloy::sol!(
            #[derive(Debug, PartialEq, Eq)]
            Oracle,
            "artifacts/Oracle.json"
        );
    }
    mod pool {
        alloy::sol!(
            #[derive(Debug, PartialEq, Eq)]
            Pool,
            "artifacts/Pool.json"
        );
    }
    mod router {
        alloy::sol!(
            #[derive(Debug, PartialEq, Eq)]
            SwapRouter,
            "artifacts/SwapRouter.json"
        );
    }
    mod swaps {
        alloy::sol!(
            #[derive(Debug, PartialEq, Eq)]
            HashedTimelock,
            "artifacts/HashedTimelock.json"
        );
    }
}

/// What a genesis file places for the exchange.
pub fn contracts() -> Vec<Contract> {
    let place = |address, code: &Bytes| Contract {
        address,
        code: code.clone(),
        storage: Default::default(),
        operator: None,
    };
    let mut pool = place(POOL, &Pool::DEPLOYED_BYTECODE);
    pool.storage = TOKEN_SLOTS
        .into_iter()
        .map(|slot| B256::from(U256::from(slot)))
        .zip([POINTS, COIN].map(|token| token.into_word()))
        .collect();
    vec![
        place(FACTORY, &PoolFactory::DEPLOYED_BYTECODE),
        pool,
        place(ORACLE, &Oracle::DEPLOYED_BYTECODE),
        place(ROUTER, &SwapRouter::DEPLOYED_BYTECODE),
        place(HASHED_TIMELOCK, &HashedTimelock::DEPLOYED_BYTECODE),
    ]
}

/// Names who may pay for the gas of calls to the pool, the router and the hashed-timelock swaps, where they
/// are among the contracts.
pub fn operate(contracts: &mut [Contract], operator: Address) {
    for contract in contracts {
        if matches!(contract.address, POOL | ROUTER | HASHED_TIMELOCK) {
            contract.operator = Some(operator);
        }
    }
}

/// Frees the pool from the points' own transfer fee: its trades pay the pool's, and it could not pay
/// out exactly what it books otherwise. What the router is given goes on to the pool or comes from it,
/// so giving it is free, too. A hashed-timelock swap costs the fee once, when it is opened: paying out what
/// was taken in is free, or it could not pay all of it. (If opening were free as well, two people could
/// send each other points past the fee.) An exemption that is there already is made whole.
pub fn exempt(points: &mut PointsRules) {
    let exempt = &mut points.fee.exempt;
    for (address, class) in [
        (POOL, ExemptClass::Both),
        (ROUTER, ExemptClass::Receiver),
        (HASHED_TIMELOCK, ExemptClass::Sender),
    ] {
        exempt.retain(|one| one.address != address);
        exempt.push(Exempt { address, class });
    }
}

/// Puts the pool and the hashed-timelock swaps on the list of those who earn no quarterly rewards: their coin
/// is the traders', not their own, and they could do nothing with what they are paid.
pub fn exclude(rewards: &mut RewardRules) {
    for holder in [POOL, HASHED_TIMELOCK] {
        if !rewards.excluded.contains(&holder) {
            rewards.excluded.push(holder);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_exchange_can_be_placed() {
        let contracts = contracts();
        assert_eq!(crate::contracts::check(&contracts, [].into_iter()), Ok(()));
        assert_eq!(contracts.len(), 5);
        let pool = contracts.iter().find(|one| one.address == POOL).unwrap();
        let words: Vec<_> = pool.storage.values().copied().collect();
        assert_eq!(words, [POINTS.into_word(), COIN.into_word()]);
    }

    #[test]
    fn what_people_call_can_have_an_operator() {
        let mut contracts = contracts();
        operate(&mut contracts, Address::repeat_byte(3));
        let named = contracts.iter().filter(|one| one.operator.is_some());
        assert_eq!(
            named.map(|one| one.address).collect::<Vec<_>>(),
            [POOL, ROUTER, HASHED_TIMELOCK]
        );
        assert_eq!(crate::contracts::check(&contracts, [].into_iter()), Ok(()));
    }

    #[test]
    fn the_pool_is_exempt_once() {
        let mut rules = PointsRules::paid_to(Address::repeat_byte(1));
        rules.fee.exempt.push(Exempt {
            address: POOL,
            class: ExemptClass::Sender,
        });
        exempt(&mut rules);
        exempt(&mut rules);
        let classes: Vec<_> = rules.fee.exempt.iter().map(|one| one.class).collect();
        let expected = [
            ExemptClass::Both,
            ExemptClass::Receiver,
            ExemptClass::Sender,
        ];
        assert_eq!(classes, expected);
        assert_eq!(rules.check(), Ok(()));
    }

    #[test]
    fn traders_coin_is_excluded_once() {
        let mut rules = RewardRules::default();
        exclude(&mut rules);
        exclude(&mut rules);
        assert_eq!(rules.excluded, [POOL, HASHED_TIMELOCK]);
        assert_eq!(rules.check(), Ok(()));
    }
}
