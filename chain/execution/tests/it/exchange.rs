//! The exchange that a genesis file places, with the real modules: nothing is made, nothing is lost.

use super::support::{Chain, ISSUER, Send, TREASURY};
use alloy::{
    primitives::{Address, B256, U256},
    sol_types::{SolCall, SolError, SolEvent},
};
use mileverse_execution::{Account, CallOutcome, state};
use mileverse_primitives::{
    abi::{ICoin, IPoints},
    address::{COIN, POINTS, STAKING},
    exchange::{
        self, FACTORY, ORACLE, Oracle, POOL,
        Pool::{self, payExactPointsCall, provideCall, reservesCall, withdrawCall},
        PoolFactory,
    },
    genesis::Genesis,
    points::{Lane, PointsRules},
    staking::{Allocation, coins},
};
use proptest::prelude::*;

pub const PROVIDER: usize = 1;
pub const TRADER: usize = 2;
const SHOP: Address = Address::repeat_byte(0x55);
const POINT: u64 = 1_000_000;
const EVER: U256 = U256::MAX;
/// 0.30 % on transfers, beside the pool's own.
const QUOTA: u64 = 1_000_000_000 * POINT;

pub fn points(whole: u64) -> U256 {
    U256::from(whole) * U256::from(POINT)
}

/// A chain with the product's fees and the exchange; the provider and the trader hold both tokens.
fn chain() -> Chain {
    chain_with(|_| ())
}

/// The same, its genesis file changed before it begins.
pub fn chain_with(change: impl FnOnce(&mut Genesis)) -> Chain {
    let users = Chain::some_users(5);
    let mut genesis = super::support::genesis(users[ISSUER].address());
    genesis.issuers[0].daily_quota = U256::from(QUOTA);
    genesis.points = PointsRules {
        lane: Lane::default(),
        ..PointsRules::paid_to(TREASURY)
    };
    exchange::exempt(&mut genesis.points);
    genesis.contracts = exchange::contracts();
    genesis.allocations = [PROVIDER, TRADER]
        .map(|user| Allocation {
            address: users[user].address(),
            amount: coins(10_000_000),
        })
        .into();
    change(&mut genesis);
    let mut chain = Chain::with(genesis, users);
    for (id, user) in [PROVIDER, TRADER].into_iter().enumerate() {
        let call = IPoints::issueCall {
            to: chain.user(user),
            amount: points(400_000_000),
            conversionId: B256::from(U256::from(id + 1)),
        };
        chain.send(Send::call(ISSUER, POINTS, &call));
        let call = IPoints::approveCall {
            spender: POOL,
            amount: EVER,
        };
        chain.send(Send::call(user, POINTS, &call));
    }
    chain
}

/// With 100,000,000 points and 1,000,000 coins in the pool: 100 points for a coin.
pub fn open() -> Chain {
    open_with(|_| ())
}

pub fn open_with(change: impl FnOnce(&mut Genesis)) -> Chain {
    let mut chain = chain_with(change);
    let call = provideCall {
        most0: points(100_000_000),
        most1: coins(1_000_000),
        leastShares: U256::ONE,
        receiver: chain.user(PROVIDER),
        deadline: EVER,
    };
    chain.send(Send::call(PROVIDER, POOL, &call).value(coins(1_000_000)));
    chain
}

fn exact_in(chain: &Chain, token: Address, amount: U256, least: U256) -> Send {
    let call = Pool::exactInCall {
        tokenIn: token,
        amountIn: amount,
        leastOut: least,
        receiver: chain.user(TRADER),
        deadline: U256::from(chain.now),
    };
    let value = if token == COIN { amount } else { U256::ZERO };
    Send::call(TRADER, POOL, &call).value(value)
}

/// Every point and every coin is somebody's, and the pool has at least what it books.
fn check_supply(chain: &Chain) {
    let holders: Vec<Address> = chain
        .users
        .iter()
        .map(|user| user.address())
        .chain([POOL, SHOP, TREASURY, STAKING])
        .collect();
    let all: U256 = holders.iter().map(|one| chain.points(*one)).sum();
    assert_eq!(all, chain.view(POINTS, IPoints::totalSupplyCall {}));
    assert_eq!(all, points(800_000_000));
    let all: U256 = holders.iter().map(|one| chain.account(*one).balance).sum();
    assert_eq!(all, chain.view(COIN, ICoin::totalSupplyCall {}));
    assert_eq!(all, coins(20_000_000));
    let reserves = chain.view(POOL, reservesCall {});
    assert_eq!(reserves.reserve0, chain.points(POOL));
    assert_eq!(reserves.reserve1, chain.account(POOL).balance);
}

fn refusal<E: SolError>(chain: &Chain, send: &Send) -> E {
    match chain.try_call(send) {
        CallOutcome::Revert { output, .. } => E::abi_decode(&output).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_genesis_file_places_code_and_storage() {
    let chain = chain();
    for contract in exchange::contracts() {
        let account: Account = chain.account(contract.address);
        assert_eq!((account.nonce, account.balance), (1, U256::ZERO));
        let key = state::code_key(account.code_hash);
        assert_eq!(chain.state.values[&key], contract.code.to_vec());
    }
    assert_eq!(chain.view(POOL, Pool::token0Call {}), POINTS);
    assert_eq!(chain.view(POOL, Pool::token1Call {}), COIN);
    let own = PoolFactory::poolOfCall {
        tokenA: COIN,
        tokenB: POINTS,
    };
    assert_eq!(chain.view(FACTORY, own), POOL);
    check_supply(&chain);
}

#[test]
fn coin_becomes_points_and_points_become_coin() {
    let mut chain = open();
    check_supply(&chain);
    let quote = chain.view(
        POOL,
        Pool::quoteExactInCall {
            tokenIn: COIN,
            amountIn: coins(10),
        },
    );
    // 1,000 points, less 0.30 %, less what ten coins move the price.
    assert_eq!(quote.amountOut, U256::from(996_990_060_u64));
    let before = chain.points(chain.user(TRADER));
    let logs = chain.send(exact_in(&chain, COIN, coins(10), quote.amountOut));
    assert_eq!(chain.points(chain.user(TRADER)), before + quote.amountOut);
    let swapped: Vec<_> = logs
        .iter()
        .filter_map(|log| Pool::Swapped::decode_log(log).ok())
        .collect();
    assert_eq!(swapped.len(), 1);
    assert_eq!(swapped[0].amountOut, quote.amountOut);
    check_supply(&chain);

    let coin_before = chain.account(chain.user(TRADER)).balance;
    let points_before = chain.points(chain.user(TRADER));
    chain.send(exact_in(&chain, POINTS, points(1_000), U256::ONE));
    // The trader pays no transfer fee beside: the pool is exempt.
    assert_eq!(
        chain.points(chain.user(TRADER)),
        points_before - points(1_000)
    );
    assert_eq!(chain.points(TREASURY), U256::ZERO);
    assert!(chain.account(chain.user(TRADER)).balance > coin_before);
    check_supply(&chain);
}

#[test]
fn a_limit_and_a_deadline_are_kept() {
    let mut chain = open();
    let send = exact_in(&chain, COIN, coins(10), points(997));
    let error: Pool::TooLittleOut = refusal(&chain, &send);
    assert_eq!(error.amount, U256::from(996_990_060_u64));
    let before = chain.account(chain.user(TRADER)).balance;
    let output = chain.block(&[send]);
    assert!(!output.receipts[0].success);
    assert_eq!(chain.account(chain.user(TRADER)).balance, before);
    let late = exact_in(&chain, COIN, coins(10), U256::ONE);
    chain.block(&[]);
    let _: Pool::DeadlineOver = refusal(&chain, &late);
    check_supply(&chain);
}

#[test]
fn a_shop_is_paid_points_from_coin() {
    let mut chain = open();
    let memo = B256::repeat_byte(7);
    let call = payExactPointsCall {
        shop: SHOP,
        points: points(12_300),
        mostIn: coins(130),
        memo,
        deadline: U256::from(chain.now),
    };
    let before = chain.account(chain.user(TRADER)).balance;
    let logs = chain.send(Send::call(TRADER, POOL, &call).value(coins(130)));
    assert_eq!(chain.points(SHOP), points(12_300));
    let spent = before - chain.account(chain.user(TRADER)).balance;
    assert!(spent > coins(123) && spent < coins(124), "{spent}");
    let memos: Vec<_> = logs
        .iter()
        .filter_map(|log| IPoints::Memo::decode_log(log).ok())
        .collect();
    assert_eq!(memos.len(), 1);
    assert_eq!((memos[0].to, memos[0].memo), (SHOP, memo));
    assert_eq!(memos[0].amount, points(12_300));
    check_supply(&chain);
}

#[test]
fn the_price_is_refused_until_it_can_be_relied_on() {
    let mut chain = open();
    let ask = |chain: &Chain, window: u64| {
        let call = Oracle::coinPriceCall {
            window: U256::from(window),
        };
        chain.try_call(&Send::data(TRADER, ORACLE, call.abi_encode()))
    };
    let CallOutcome::Revert { output, .. } = ask(&chain, 1_800) else {
        panic!("too young")
    };
    assert!(Pool::PriceTooYoung::abi_decode(&output).is_ok());
    chain.now += 1_800;
    let CallOutcome::Success { output, .. } = ask(&chain, 1_800) else {
        panic!("half an hour old")
    };
    let price = Oracle::coinPriceCall::abi_decode_returns(&output).unwrap();
    assert_eq!(price, points(100) - U256::ONE);
    // The price of the moment leaves its average.
    chain.send(exact_in(&chain, POINTS, points(5_000_000), U256::ONE));
    let CallOutcome::Revert { output, .. } = ask(&chain, 1_800) else {
        panic!("too far")
    };
    assert!(Oracle::PriceTooFar::abi_decode(&output).is_ok());
}

/// Where a genesis file forgot to exempt the pool, providers cannot be made to pay the fee.
#[test]
fn a_pool_that_is_charged_trades_nothing_away() {
    let users = Chain::some_users(5);
    let mut genesis = super::support::genesis(users[ISSUER].address());
    genesis.points = PointsRules {
        lane: Lane::default(),
        ..PointsRules::paid_to(TREASURY)
    };
    genesis.issuers[0].daily_quota = U256::from(QUOTA);
    genesis.contracts = exchange::contracts();
    let mut chain = Chain::with(genesis, users);
    let provider = chain.user(PROVIDER);
    chain.fund(provider, coins(100));
    let trader = chain.user(TRADER);
    chain.fund(trader, coins(1));
    let issue = IPoints::issueCall {
        to: provider,
        amount: points(20_000),
        conversionId: B256::repeat_byte(1),
    };
    chain.send(Send::call(ISSUER, POINTS, &issue));
    let approve = IPoints::approveCall {
        spender: POOL,
        amount: EVER,
    };
    chain.send(Send::call(PROVIDER, POINTS, &approve));
    let provide = provideCall {
        most0: points(10_000),
        most1: coins(100),
        leastShares: U256::ONE,
        receiver: provider,
        deadline: EVER,
    };
    chain.send(Send::call(PROVIDER, POOL, &provide).value(coins(100)));
    let send = exact_in(&chain, COIN, coins(1), U256::ONE);
    let error: Pool::AmountMoved = refusal(&chain, &send);
    assert!(error.actual > error.expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    /// Random trades, provisions and withdrawals, several a block.
    #[test]
    fn nothing_is_made_or_lost(moves in prop::collection::vec((0u8..5, 1u64..1_000_000), 1..14)) {
        let mut chain = open();
        chain.thorough = false;
        for pair in moves.chunks(2) {
            let sends: Vec<_> = pair.iter().map(|(kind, size)| {
                let trader = chain.user(TRADER);
                match kind {
                    0 => exact_in(&chain, COIN, coins(1) / U256::from(7) * U256::from(*size % 10_000 + 1), U256::ONE),
                    1 => exact_in(&chain, POINTS, U256::from(*size) * U256::from(7_919), U256::ONE),
                    2 => Send::call(TRADER, POOL, &provideCall {
                        most0: points(*size), most1: coins(*size), leastShares: U256::ONE,
                        receiver: trader, deadline: EVER,
                    }).value(coins(*size)),
                    3 => Send::call(PROVIDER, POOL, &withdrawCall {
                        shares: U256::from(*size) * U256::from(1_000_000_000_000_u64),
                        least0: U256::ZERO, least1: U256::ZERO, receiver: SHOP, deadline: EVER,
                    }),
                    _ => Send::call(TRADER, POOL, &payExactPointsCall {
                        shop: SHOP, points: U256::from(*size), mostIn: coins(1_000), memo: B256::ZERO,
                        deadline: EVER,
                    }).value(coins(1_000)),
                }
            }).collect();
            let before = chain.view(POOL, reservesCall {});
            let output = chain.block(&sends);
            let any = output.receipts.iter().any(|receipt| receipt.success);
            let after = chain.view(POOL, reservesCall {});
            prop_assert_eq!(any, before.reserve0 != after.reserve0);
            check_supply(&chain);
        }
    }
}
