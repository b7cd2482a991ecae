//! The pool of the native chain as the price of points: read over public JSON-RPC, believed as far as
//! its oracle answers.
//!
//! ```txt
//! MVP for one MVC    the oracle at 0x4d56…0103: the mean over each second of a window, rounded down
//! wei for one MVC    recorded: `mileverse gateway prices add --wei-per-coin`
//!
//! wei for one MVP = ceil( wei for one MVC × 1,000,000 / micro-points for one MVC )
//! ```
//!
//! | basis | micro-points for one MVC | wei for one MVC |
//! |---|---|---|
//! | market | mean of 30 minutes | the newest, not older than the rules say |
//! | average | mean of three calendar months | mean of the same time, each for as long as it held, rounded up |
//!
//! Nobody pays ether into the pool, so it cannot know the second column. It is the mean of one over the mean of the
//! other, not the mean of their quotients. If the pool is younger than three months, the window begins with it, as long as it has the days that
//! the rules ask for.
//!
//! There is no other price behind it: what the oracle refuses is refused here, with its reason
//! ([`Refusal`]). All that is read is read at one block, which must be as young as a market price must be.
//! Every market price at which somebody buys is recorded among the prices, and one in every [`SLOT_MS`] beside,
//! with what it was made of as its source.

use super::price::{
    Average, Basis, Price, PriceError, PriceRules, average, minimum_seconds, window_begin,
};
use crate::issuer::chain::{Chain, ChainError};
use crate::store::Store;
use alloy::primitives::U256;
use alloy::sol_types::{SolError as _, SolInterface as _};
use mileverse_primitives::exchange::{ORACLE, Oracle, POOL, Pool as Contract};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time;

/// Over what the market price is taken, in seconds: the oracle's own short window.
pub const MARKET_SECONDS: u64 = 30 * 60;
/// One price is recorded in each of these, whether it is used or not, in milliseconds.
pub const SLOT_MS: i64 = 10 * 60 * 1000;
/// How often is looked whether a slot has no price yet.
const LOOK: Duration = Duration::from_secs(60);
/// Micro-points of a point.
const MICRO: u128 = 1_000_000;

/// The pool, and its oracle.
#[derive(Clone, Debug)]
pub struct Pool {
    /// A node of the native chain.
    pub node: Chain,
}

/// Why the pool gives no price.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Too young.
    #[error(
        "the pool has been watched for {watched} seconds, and the price is taken over {window}"
    )]
    TooYoung {
        /// Seconds that were wanted.
        window: U256,
        /// Seconds that there are.
        watched: U256,
    },
    /// Too thin.
    #[error("the pool held {} points in the mean, and must hold {}", points(*depth), points(*least))]
    TooThin {
        /// Micro-points that it held, in the harmonic mean.
        depth: U256,
        /// Micro-points that it must hold.
        least: U256,
    },
    /// Too far from its own average.
    #[error(
        "an MVC costs {} points at this moment and {} in the mean of 30 minutes, which is too far apart",
        points(*spot),
        points(*average)
    )]
    TooFar {
        /// Micro-points for one MVC by the reserves.
        spot: U256,
        /// Micro-points for one MVC in the mean.
        average: U256,
    },
    /// Behind.
    #[error("the node's newest block is {0} seconds old; the chain stands, or the node is behind")]
    Behind(i64),
    /// No pool, or nothing in it, or another contract.
    #[error("there is no pool that has a price on this chain")]
    NoPool,
    /// The node.
    #[error("the native chain cannot be asked: {0}")]
    Away(#[from] ChainError),
}

/// What the pool says at one block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reading {
    /// Micro-points for one MVC, rounded down; not zero.
    pub coin: u64,
    /// Over how many seconds.
    pub seconds: u64,
    /// The block.
    pub block: u64,
    /// When it was made, in milliseconds.
    pub at: i64,
}

#[derive(Debug, Deserialize)]
struct Block {
    number: U256,
    timestamp: U256,
}

impl Pool {
    /// The mean over `window` seconds at the newest block; over what the pool has been watched if that is less, but not
    /// over less than `least` seconds.
    pub async fn read(
        &self,
        now: i64,
        window: u64,
        least: u64,
        rules: PriceRules,
    ) -> Result<Reading, Refusal> {
        const BLOCK: &str = "eth_getBlockByNumber";
        let nonsense = || Refusal::Away(ChainError::Nonsense(BLOCK));
        let newest: Value = self.node.ask(BLOCK, json!(["latest", false])).await?;
        let newest: Block = serde_json::from_value(newest).map_err(|_| nonsense())?;
        let block = u64::try_from(newest.number).map_err(|_| nonsense())?;
        let at = i64::try_from(newest.timestamp)
            .ok()
            .and_then(|seconds| seconds.checked_mul(1000))
            .ok_or_else(nonsense)?;
        let age = now.saturating_sub(at);
        if age > rules.maximum_age_ms {
            return Err(Refusal::Behind(age / 1000));
        }
        let mut seconds = window;
        if least < window {
            let watched = self.node.call_at(POOL, &Contract::watchedCall {}, block);
            let watched = watched.await?.map_err(|_| Refusal::NoPool)?;
            seconds = u64::try_from(watched)
                .unwrap_or(u64::MAX)
                .clamp(least, window);
        }
        let call = Oracle::coinPriceCall {
            window: U256::from(seconds),
        };
        let coin = match self.node.call_at(ORACLE, &call, block).await? {
            Ok(coin) => coin,
            Err(why) => return Err(refusal(&why)),
        };
        match u64::try_from(coin) {
            Ok(coin @ 1..) => Ok(Reading {
                coin,
                seconds,
                block,
                at,
            }),
            _ => Err(Refusal::NoPool),
        }
    }

    /// Wei for one MVP on a basis, and since when it is taken.
    pub async fn price(
        &self,
        store: &Store,
        basis: Basis,
        now: i64,
        rules: PriceRules,
    ) -> Result<Average, PriceError> {
        let (reading, ether, since) = self.legs(store, basis, now, rules).await?;
        let wei = point(ether, reading.coin).ok_or(PriceError::Range)?;
        Ok(Average { wei, since })
    }

    /// Micro-points and wei for one MVC, and since when both are taken.
    async fn legs(
        &self,
        store: &Store,
        basis: Basis,
        now: i64,
        rules: PriceRules,
    ) -> Result<(Reading, u64, i64), PriceError> {
        match basis {
            Basis::Market => {
                let reading = self
                    .read(now, MARKET_SECONDS, MARKET_SECONDS, rules)
                    .await?;
                let ether = store.coin_price(now, rules).await?;
                Ok((reading, ether.wei, ether.at))
            }
            Basis::Average => {
                let begin = window_begin(now);
                let window = u64::try_from(now.saturating_sub(begin) / 1000).unwrap_or(0);
                let least = minimum_seconds(rules).min(window);
                let reading = self.read(now, window, least, rules).await?;
                let seconds = i64::try_from(reading.seconds).unwrap_or(i64::MAX);
                let since = now.saturating_sub(seconds.saturating_mul(1000));
                let prices = store.coin_prices(since, now).await?;
                let ether = average(&prices, since, now, rules)?;
                Ok((reading, ether.wei, ether.since.max(since)))
            }
        }
    }

    /// The market price, and a record of it under `at`: one for each moment.
    pub async fn record(
        &self,
        store: &Store,
        at: i64,
        now: i64,
        rules: PriceRules,
    ) -> Result<u64, PriceError> {
        let (reading, ether, _) = self.legs(store, Basis::Market, now, rules).await?;
        let wei = point(ether, reading.coin).ok_or(PriceError::Range)?;
        let source = format!(
            "pool at block {}: {} micro-points for one MVC over {} seconds, {ether} wei for one MVC",
            reading.block, reading.coin, reading.seconds
        );
        store.record_price(Price { at, wei }, &source).await?;
        Ok(wei)
    }
}

/// Records one market price in every slot until told to stop. Replicas do it beside each other: of one moment
/// there is one price.
pub async fn keep_history(
    pool: &Pool,
    store: &Store,
    rules: PriceRules,
    mut stop: watch::Receiver<bool>,
) {
    let mut last = None;
    while !*stop.borrow() {
        let now = store.now();
        let slot = now.saturating_sub(now.rem_euclid(SLOT_MS));
        if last != Some(slot) {
            match pool.record(store, slot, now, rules).await {
                Ok(_) => last = Some(slot),
                // It is no price until it is one again; whoever would buy is told the same.
                Err(error) => tracing::warn!(%error, "the pool gives no price to record"),
            }
        }
        tokio::select! {
            () = time::sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

/// Wei for one MVP out of wei and micro-points for one MVC: rounded up.
pub fn point(wei_per_coin: u64, micro_per_coin: u64) -> Option<u64> {
    let wei = u128::from(wei_per_coin).checked_mul(MICRO)?;
    let coin = u128::from(micro_per_coin);
    (coin > 0).then(|| wei.div_ceil(coin))?.try_into().ok()
}

/// What the oracle said when it refused.
fn refusal(why: &[u8]) -> Refusal {
    use Oracle::OracleErrors as Error;
    // That one is the pool's own, passed on.
    if let Ok(young) = Contract::PriceTooYoung::abi_decode(why) {
        return Refusal::TooYoung {
            window: young.window,
            watched: young.watched,
        };
    }
    match Error::abi_decode(why) {
        Ok(Error::PriceTooThin(why)) => Refusal::TooThin {
            depth: why.depth,
            least: why.least,
        },
        Ok(Error::PriceTooFar(why)) => Refusal::TooFar {
            spot: why.spot,
            average: why.average,
        },
        _ => Refusal::NoPool,
    }
}

/// Micro-points as points, for people.
fn points(micro: U256) -> String {
    let (whole, rest) = micro.div_rem(U256::from(MICRO));
    let text = format!("{whole}.{rest:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_point_costs_its_part_of_a_coin_rounded_up() {
        // 100 points for an MVC, 25,000 gwei for an MVC.
        assert_eq!(
            point(25_000_000_000_000, 100_000_000),
            Some(250_000_000_000)
        );
        assert_eq!(point(1, 3_000_000), Some(1));
        assert_eq!(point(1, 0), None);
        assert_eq!(point(u64::MAX, 1), None);
    }

    #[test]
    fn the_oracles_reasons_are_sentences() {
        let young = Contract::PriceTooYoung {
            window: U256::from(1_800),
            watched: U256::from(7),
        };
        assert_eq!(
            refusal(&young.abi_encode()).to_string(),
            "the pool has been watched for 7 seconds, and the price is taken over 1800"
        );
        let thin = Oracle::PriceTooThin {
            depth: U256::from(1_500_000),
            least: U256::from(10_000_000_000_000u64),
        };
        let said = refusal(&thin.abi_encode()).to_string();
        assert!(
            said.contains("1.5 points") && said.contains("10000000"),
            "{said}"
        );
        let far = Oracle::PriceTooFar {
            spot: U256::from(106_000_000),
            average: U256::from(100_000_000),
        };
        let said = refusal(&far.abi_encode()).to_string();
        assert!(
            said.contains("106 points") && said.contains("100 in the mean"),
            "{said}"
        );
        assert!(matches!(refusal(&[]), Refusal::NoPool));
    }

    proptest! {
        #[test]
        fn a_point_is_never_cheaper_than_exact_and_less_than_a_wei_dearer(
            wei in 1u64..=i64::MAX.unsigned_abs(),
            coin in 1_000_000u64..=u64::MAX,
        ) {
            let paid = u128::from(point(wei, coin).unwrap());
            let exact = u128::from(wei) * MICRO;
            prop_assert!(paid * u128::from(coin) >= exact);
            prop_assert!((paid - 1) * u128::from(coin) < exact);
        }
    }
}
