//! The price of a point in ether, and its history.
//!
//! A price is wei for one MVP, or, where the [pool](super::pool) says what an MVC is worth in points, wei for one
//! MVC. It holds from its moment until the next one's. The **market** price
//! is the newest. The **average** is taken over three calendar months (UTC) that end now: each
//! price counts for as long as it held,
//!
//! ```txt
//! average = ceil( sum of price × milliseconds it held  /  milliseconds of the window )
//! ```
//!
//! computed in 128-bit integers, so that it is exact before the one rounding, which is up to a
//! whole wei. The history must reach back to the window's begin, or to as many days as are
//! configured; then the window begins with the history.

use super::pool::Refusal;
use crate::store::{Store, from_sql, to_sql};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use thiserror::Error;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Most prices in one window: one every ten seconds or so.
const MAX_PRICES: i64 = 1_000_000;

/// At what price points are bought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Basis {
    /// The newest price.
    Market,
    /// The operator's price: the average of three months.
    Average,
}

impl Basis {
    /// As stored and as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Average => "average",
        }
    }

    /// The basis of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Market, Self::Average]
            .into_iter()
            .find(|basis| basis.name() == name)
    }
}

/// What a price may be based on.
#[derive(Clone, Copy, Debug)]
pub struct PriceRules {
    /// A market price older than this is not one, in milliseconds.
    pub maximum_age_ms: i64,
    /// Days of history that the average needs at least.
    pub minimum_days: u32,
}

/// Why there is no price.
#[derive(Debug, Error)]
pub enum PriceError {
    /// Nothing was ever recorded, or not for long.
    #[error("the market price is too old or was never recorded")]
    Stale,
    /// Too short.
    #[error("the recorded history is too short for the three-month average")]
    History,
    /// What the pool says cannot be relied on.
    #[error(transparent)]
    Pool(#[from] Refusal),
    /// A sum that cannot be.
    #[error("the prices are more than can be counted")]
    Range,
    /// The database.
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

/// The seconds of history that the average needs at least.
pub fn minimum_seconds(rules: PriceRules) -> u64 {
    u64::from(rules.minimum_days).saturating_mul(24 * 60 * 60)
}

/// One recorded price.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Price {
    /// From when on it holds.
    pub at: i64,
    /// Wei for one MVP, or for one MVC.
    pub wei: u64,
}

/// An average, and over what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Average {
    /// Wei for one MVP, or for one MVC.
    pub wei: u64,
    /// Where its window begins.
    pub since: i64,
}

/// Three calendar months before a moment.
pub fn window_begin(now: i64) -> i64 {
    Timestamp::from_millisecond(now)
        .ok()
        .and_then(|now| {
            let then = now.to_zoned(TimeZone::UTC).checked_sub(3.months()).ok()?;
            Some(then.timestamp().as_millisecond())
        })
        .unwrap_or_else(|| now.saturating_sub(DAY_MS.saturating_mul(92)))
}

/// The average over `[begin, now)` of prices in order of time; the first may lie before `begin`.
pub fn average(
    prices: &[Price],
    begin: i64,
    now: i64,
    rules: PriceRules,
) -> Result<Average, PriceError> {
    let first = prices.first().ok_or(PriceError::History)?;
    let since = begin.max(first.at);
    let enough = now.saturating_sub(DAY_MS.saturating_mul(i64::from(rules.minimum_days)));
    if since > begin && since > enough {
        return Err(PriceError::History);
    }
    let (mut sum, mut total) = (0u128, 0u128);
    let ends = prices.iter().skip(1).map(|price| price.at).chain([now]);
    for (price, end) in prices.iter().zip(ends) {
        let held = end.min(now).saturating_sub(price.at.max(since));
        let Ok(held) = u128::try_from(held) else {
            continue;
        };
        let weight = u128::from(price.wei).checked_mul(held);
        sum = weight
            .and_then(|weight| sum.checked_add(weight))
            .ok_or(PriceError::Range)?;
        total = total.checked_add(held).ok_or(PriceError::Range)?;
    }
    if total == 0 {
        return Err(PriceError::History);
    }
    let wei = u64::try_from(sum.div_ceil(total)).map_err(|_| PriceError::Range)?;
    Ok(Average { wei, since })
}

/// Whose price a table holds. The names are parts of statements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Of {
    Point,
    Coin,
}

impl Of {
    const fn table(self) -> (&'static str, &'static str) {
        match self {
            Self::Point => ("prices", "wei_per_point"),
            Self::Coin => ("coin_prices", "wei_per_coin"),
        }
    }
}

impl Store {
    /// Records the price of a point. Whether it is new: of one moment there is one price.
    pub async fn record_price(&self, price: Price, source: &str) -> Result<bool, sqlx::Error> {
        self.record(Of::Point, price, source).await
    }

    /// Records the price of a coin: the same.
    pub async fn record_coin_price(&self, price: Price, source: &str) -> Result<bool, sqlx::Error> {
        self.record(Of::Coin, price, source).await
    }

    async fn record(&self, of: Of, price: Price, source: &str) -> Result<bool, sqlx::Error> {
        let (table, column) = of.table();
        let statement = format!(
            "INSERT INTO {table} (at, {column}, source) VALUES ($1, $2, $3)
             ON CONFLICT (at) DO NOTHING"
        );
        let mut write = self.write().await?;
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(price.at)
            .bind(to_sql(price.wei)?)
            .bind(source)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// The newest recorded price of a point.
    pub async fn market_price(&self, now: i64, rules: PriceRules) -> Result<Price, PriceError> {
        self.newest(Of::Point, now, rules).await
    }

    /// The newest recorded price of a coin.
    pub async fn coin_price(&self, now: i64, rules: PriceRules) -> Result<Price, PriceError> {
        self.newest(Of::Coin, now, rules).await
    }

    async fn newest(&self, of: Of, now: i64, rules: PriceRules) -> Result<Price, PriceError> {
        let (table, column) = of.table();
        let statement = format!(
            "SELECT at, {column} AS wei FROM {table} WHERE at <= $1 ORDER BY at DESC LIMIT 1"
        );
        let row = sqlx::query(AssertSqlSafe(statement))
            .bind(now)
            .fetch_optional(self.read())
            .await?
            .ok_or(PriceError::Stale)?;
        let price = read(&row)?;
        if now.saturating_sub(price.at) > rules.maximum_age_ms {
            return Err(PriceError::Stale);
        }
        Ok(price)
    }

    /// The average of a point's recorded prices over three months.
    pub async fn average_price(&self, now: i64, rules: PriceRules) -> Result<Average, PriceError> {
        let begin = window_begin(now);
        let prices = self.prices(Of::Point, begin, now).await?;
        average(&prices, begin, now, rules)
    }

    /// The recorded prices of a coin that held in `[begin, now)`.
    pub async fn coin_prices(&self, begin: i64, now: i64) -> Result<Vec<Price>, PriceError> {
        self.prices(Of::Coin, begin, now).await
    }

    /// In order of time; the first may be older than `begin`, and holds there.
    async fn prices(&self, of: Of, begin: i64, now: i64) -> Result<Vec<Price>, PriceError> {
        let (table, column) = of.table();
        let statement = format!(
            "SELECT at, {column} AS wei FROM {table}
             WHERE at < $2 AND at >= COALESCE((SELECT MAX(at) FROM {table} WHERE at <= $1), $1)
             ORDER BY at LIMIT $3"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(begin)
            .bind(now)
            .bind(MAX_PRICES)
            .fetch_all(self.scan())
            .await?;
        if i64::try_from(rows.len()).unwrap_or(i64::MAX) >= MAX_PRICES {
            return Err(PriceError::Range);
        }
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// The recorded price of a point on a basis, and since when it is taken.
    pub async fn price(
        &self,
        basis: Basis,
        now: i64,
        rules: PriceRules,
    ) -> Result<Average, PriceError> {
        match basis {
            Basis::Market => {
                let Price { at, wei } = self.market_price(now, rules).await?;
                Ok(Average { wei, since: at })
            }
            Basis::Average => self.average_price(now, rules).await,
        }
    }
}

fn read(row: &AnyRow) -> Result<Price, sqlx::Error> {
    Ok(Price {
        at: row.try_get("at")?,
        wei: from_sql(row.try_get("wei")?)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const RULES: PriceRules = PriceRules {
        maximum_age_ms: 1000,
        minimum_days: 90,
    };

    fn price(at: i64, wei: u64) -> Price {
        Price { at, wei }
    }

    #[test]
    fn each_price_counts_for_as_long_as_it_held() {
        // 100 for 25 of 100, 200 for 75 of 100; what was before the window counts from its begin.
        let prices = [price(-500, 100), price(25, 200)];
        let found = average(&prices, 0, 100, RULES).unwrap();
        assert_eq!((found.wei, found.since), (175, 0));
        // Rounded up, and only once.
        let thirds = [price(0, 1), price(1, 2)];
        assert_eq!(average(&thirds, 0, 3, RULES).unwrap().wei, 2);
        // Prices after the end do not count.
        let later = [price(0, 7), price(100, 1_000_000)];
        assert_eq!(average(&later, 0, 100, RULES).unwrap().wei, 7);
    }

    #[test]
    fn a_short_history_is_refused_or_shortens_the_window() {
        let day = DAY_MS;
        let prices = [price(10 * day, 5)];
        assert!(matches!(
            average(&prices, 0, 92 * day, RULES),
            Err(PriceError::History)
        ));
        let fewer = PriceRules {
            minimum_days: 82,
            ..RULES
        };
        let found = average(&prices, 0, 92 * day, fewer).unwrap();
        assert_eq!((found.wei, found.since), (5, 10 * day));
        assert!(matches!(
            average(&[], 0, day, fewer),
            Err(PriceError::History)
        ));
    }

    #[test]
    fn the_window_is_three_calendar_months() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        for (now, begin) in [
            ("2026-11-21T10:00:00Z", "2026-08-21T10:00:00Z"),
            ("2026-05-31T00:00:00Z", "2026-02-28T00:00:00Z"),
            ("2024-05-31T00:00:00Z", "2024-02-29T00:00:00Z"),
        ] {
            assert_eq!(window_begin(at(now)), at(begin), "{now}");
        }
    }

    proptest! {
        #[test]
        fn an_average_lies_between_its_prices(
            steps in prop::collection::vec((1i64..1_000_000, 1u64..=u64::MAX / 4), 1..50),
        ) {
            let mut at = 0;
            let mut prices = Vec::new();
            for (step, wei) in steps {
                prices.push(price(at, wei));
                at += step;
            }
            let found = average(&prices, 0, at, RULES).unwrap().wei;
            let least = prices.iter().map(|price| price.wei).min().unwrap();
            let most = prices.iter().map(|price| price.wei).max().unwrap();
            prop_assert!((least..=most).contains(&found));
        }
    }
}
