//! The pool as the price of points: the real pool and the real oracle on a chain, against walking through the
//! seconds; and every reason for which there is no price.

use crate::support::anvil::{Anvil, TRADER};
use crate::support::ethereum::{CHAIN_ID, Ethereum};
use crate::support::{Databases, Settings, World};
use alloy::primitives::{Address, U256};
use mileverse_gateway::clock::now_ms;
use mileverse_gateway::config::FloatConfig;
use mileverse_gateway::float::pool::{Pool, Refusal, point};
use mileverse_gateway::float::price::{
    Basis, Price, PriceError, PriceRules, average, window_begin,
};
use mileverse_gateway::issuer::chain::Chain;
use mileverse_gateway::store::partners::Funding;
use mileverse_primitives::exchange::{POOL, Pool as Contract};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

crate::on_both! {
    the_pools_price_is_the_platforms,
}

const RULES: PriceRules = PriceRules {
    maximum_age_ms: 600_000,
    minimum_days: 90,
};
const DAY: u64 = 24 * 60 * 60;
/// Wei for one MVC: an MVC of 100 points at 250 gwei each.
const ETHER: u64 = 25_000_000_000_000;

/// What the pool was at each change of its reserves, and what counted in each second: naively.
struct Naive {
    changes: Vec<(u64, [U256; 2])>,
}

impl Naive {
    /// Micro-points for one MVC, the mean of the `window` seconds that end with `now`, rounded down.
    fn coin(&self, now: u64, window: u64) -> u64 {
        let price = |[points, coins]: [U256; 2]| -> U256 { (points << 96) / coins };
        let mut sum = U256::ZERO;
        let mut counted: U256 = price(self.changes[0].1);
        let ends = self.changes.iter().skip(1).map(|change| change.0);
        for ((since, reserves), until) in self.changes.iter().zip(ends.chain([now])) {
            let (target, step) = (price(*reserves), (counted / U256::from(100)).max(U256::ONE));
            for second in since + 1..=until {
                counted = if target > counted {
                    target.min(counted + step)
                } else {
                    target.max(counted.saturating_sub(step))
                };
                if second > now - window {
                    sum += counted;
                }
            }
        }
        let one = U256::from(10u64).pow(U256::from(18u64));
        let mean: U256 = sum / U256::from(window);
        let coin: U256 = (mean * one) >> 96;
        coin.to()
    }
}

struct Market {
    anvil: Anvil,
    naive: Naive,
    pool: Pool,
}

impl Market {
    /// Provided for at `begin + 10` with so many points, at 100 points for a coin.
    async fn open(begin: u64, points: u64) -> Self {
        let anvil = Anvil::start(begin).await;
        let second = begin + 10;
        let provide = Contract::provideCall {
            most0: U256::from(points) * U256::from(1_000_000),
            most1: U256::from(points / 100) * U256::from(10u64).pow(U256::from(18u64)),
            leastShares: U256::ONE,
            receiver: TRADER,
            deadline: U256::MAX,
        };
        anvil.call(POOL, &provide, second).await;
        let changes = vec![(second, anvil.reserves().await)];
        let node = Chain::new(anvil.url.parse().unwrap()).unwrap();
        Self {
            anvil,
            naive: Naive { changes },
            pool: Pool { node },
        }
    }

    /// Gives a part of one side's reserve, in parts of 10,000.
    async fn trade(&mut self, side: usize, parts: u64, second: u64) {
        let [_, (_, reserves)] = [self.naive.changes[0], *self.naive.changes.last().unwrap()];
        let call = Contract::exactInCall {
            tokenIn: self.anvil.tokens[side],
            amountIn: reserves[side] * U256::from(parts) / U256::from(10_000),
            leastOut: U256::ZERO,
            receiver: TRADER,
            deadline: U256::MAX,
        };
        self.anvil.call(POOL, &call, second).await;
        self.naive
            .changes
            .push((second, self.anvil.reserves().await));
    }
}

async fn the_pools_price_is_the_platforms(on: &Databases) {
    let ethereum = Ethereum::start().await;
    let now = now_ms();
    let second = u64::try_from(now / 1000).unwrap();
    let mut market = Market::open(second - 95 * DAY, 20_000_000).await;
    let url = market.anvil.url.parse().unwrap();
    let settings = Settings {
        float: Some(FloatConfig {
            ethereum_rpc_url: ethereum.url.parse().unwrap(),
            ethereum_chain_id: CHAIN_ID,
            pay_to: Address::repeat_byte(0x77),
            payment: Duration::from_secs(3600),
            pool: Some(url),
            rules: RULES,
        }),
        ..Settings::default()
    };
    let world = World::with(on, settings).await;
    world
        .partner("demo", |partner| partner.funding = Funding::Prepaid)
        .await;
    let store = world.store().await;

    // Thirty trades at random moments of three months, some of them seconds apart.
    let seed = std::env::var("POOL_SEED").map_or(8, |seed| seed.parse().unwrap());
    eprintln!("replay: POOL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut at = second - 94 * DAY;
    for _ in 0..30 {
        at += match random.random_range(0..3) {
            0 => random.random_range(1..30),
            _ => random.random_range(DAY..4 * DAY),
        };
        at = at.min(second - 4_000);
        if at <= market.naive.changes.last().unwrap().0 {
            break;
        }
        let side = usize::from(random.random_bool(0.5));
        market.trade(side, random.random_range(1..400), at).await;
    }
    market.anvil.mine(second).await;

    // Without a price of the coin in ether there is none of points, on either basis.
    for basis in [Basis::Market, Basis::Average] {
        let none = market.pool.price(&store, basis, now, RULES).await;
        assert!(
            matches!(none, Err(PriceError::Stale | PriceError::History)),
            "{none:?}"
        );
    }
    let begin = window_begin(now);
    let ether = [
        (begin - 5_000, 2 * ETHER),
        (now - 40 * 86_400_000, ETHER / 2),
        (now - 900, ETHER),
    ];
    for (at, wei) in ether {
        assert!(
            store
                .record_coin_price(Price { at, wei }, "test")
                .await
                .unwrap()
        );
    }

    // Exactly what walking through the seconds gives, composed and rounded up once each.
    let found = market
        .pool
        .price(&store, Basis::Market, now, RULES)
        .await
        .unwrap();
    assert_eq!(
        Some(found.wei),
        point(ETHER, market.naive.coin(second, 1_800))
    );
    let window = u64::try_from((now - begin) / 1000).unwrap();
    let found = market
        .pool
        .price(&store, Basis::Average, now, RULES)
        .await
        .unwrap();
    let since = now - i64::try_from(window).unwrap() * 1000;
    let prices = ether.map(|(at, wei)| Price { at, wei });
    let ether = average(&prices, since, now, RULES).unwrap().wei;
    assert_eq!(
        Some(found.wei),
        point(ether, market.naive.coin(second, window))
    );
    assert_eq!(found.since, since);

    // The gateway sells at it, and keeps a history of what it sold at.
    let gateway = world.gateway().await;
    let price = world.get(&gateway, "/v1/price").await;
    assert_eq!(price["source"], "pool");
    assert_eq!(price["market_refused"], Value::Null);
    let buy = json!({ "points": "1000", "basis": "market" });
    let answer = world
        .post(&gateway, "/v1/top-ups", "buy", &buy)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let top_up: Value = answer.json().await.unwrap();
    assert_eq!(top_up["wei_per_point"], price["market"]);
    let kept = store.market_price(now_ms(), RULES).await.unwrap();
    assert_eq!(
        kept.wei.to_string(),
        top_up["wei_per_point"].as_str().unwrap()
    );

    // Pushed by more than 5 % in this moment, there is no price; nor is an older one taken.
    market.trade(0, 400, second + 1).await;
    let far = market.pool.price(&store, Basis::Average, now, RULES).await;
    assert!(
        matches!(far, Err(PriceError::Pool(Refusal::TooFar { .. }))),
        "{far:?}"
    );
    let answer = world
        .post(&gateway, "/v1/top-ups", "late", &buy)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["type"], "urn:mileverse:problem:price-unknown");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("too far apart"),
        "{problem}"
    );
    let price = world.get(&gateway, "/v1/price").await;
    assert_eq!(price["market"], Value::Null);
    assert!(
        price["average_refused"]
            .as_str()
            .unwrap()
            .contains("too far apart"),
        "{price}"
    );

    // A node that stands still says nothing of now.
    let later = now + RULES.maximum_age_ms + 60_000;
    let behind = market.pool.price(&store, Basis::Market, later, RULES).await;
    assert!(
        matches!(behind, Err(PriceError::Pool(Refusal::Behind(_)))),
        "{behind:?}"
    );
    // Nor does one that is away, or has no pool.
    let lost = Pool {
        node: Chain::new("http://127.0.0.1:1".parse().unwrap()).unwrap(),
    };
    let away = lost.price(&store, Basis::Market, now, RULES).await;
    assert!(
        matches!(away, Err(PriceError::Pool(Refusal::Away(_)))),
        "{away:?}"
    );
    market.anvil.ask("anvil_setCode", json!([POOL, "0x"])).await;
    let none = market.pool.price(&store, Basis::Market, now, RULES).await;
    assert!(
        matches!(none, Err(PriceError::Pool(Refusal::NoPool))),
        "{none:?}"
    );
    gateway.stop().await;
    store.close().await;
}

#[tokio::test]
async fn a_young_or_a_thin_pool_has_no_price() {
    let now = now_ms();
    let second = u64::try_from(now / 1000).unwrap();
    let read = |market: &Market, window| {
        let pool = market.pool.clone();
        async move { pool.read(now, window, window, RULES).await }
    };
    let young = Market::open(second - 1_000, 20_000_000).await;
    young.anvil.mine(second).await;
    let found = read(&young, 1_800).await;
    assert!(
        matches!(&found, Err(Refusal::TooYoung { window, watched })
            if *window == U256::from(1_800) && *watched == U256::from(990)),
        "{found:?}"
    );
    let thin = Market::open(second - 4_000, 1_000_000).await;
    thin.anvil.mine(second).await;
    let found = read(&thin, 1_800).await;
    assert!(matches!(found, Err(Refusal::TooThin { .. })), "{found:?}");
    // A pool of 91 days is enough for the average of three months where 90 days are asked for.
    let old = Market::open(second - 91 * DAY - 10, 20_000_000).await;
    old.anvil.mine(second).await;
    let window = 92 * DAY;
    let reading = old.pool.read(now, window, 90 * DAY, RULES).await.unwrap();
    assert_eq!(reading.seconds, 91 * DAY);
    assert_eq!(
        reading.coin, 99_999_999,
        "100 points for a coin, rounded down"
    );
    let found = old.pool.read(now, window, window, RULES).await;
    assert!(matches!(found, Err(Refusal::TooYoung { .. })), "{found:?}");
}
