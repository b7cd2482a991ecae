//! Buying points for a float.
//!
//! ```txt
//! awaiting_payment ──> paid       the transaction is final: the points are in the float
//!        └──────────> expired     nobody paid in time
//! ```
//!
//! The amount to pay is the points times the price, rounded up to a whole gwei, and a few gwei
//! more (fewer than [`TAGS`]) that make it unlike every other top-up's amount: so a payment names
//! its top-up, and nobody can claim another's. A transfer that is older than the top-up is not its
//! payment, whatever it sends.

use super::ethereum::{Ethereum, Payment};
use super::pool::Pool;
use super::price::{Average, Basis, PriceError, PriceRules};
use super::{GWEI, account, changed};
use crate::clock::rfc3339;
use crate::ids;
use crate::issuer::chain::ChainError;
use crate::journal::{self, GATEWAY, POINTS, Posting, pair};
use crate::store::Connection;
use crate::store::idempotency::{self, Answered, Key, Stored};
use crate::store::jobs::{self, Kind};
use crate::store::{Store, from_sql, to_sql};
use crate::units::{MAX_AMOUNT, MICRO_PER_POINT, MicroPoints};
use crate::webhook::{self, Kind as Event, News};
use alloy::primitives::B256;
use rand::Rng;
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;
use thiserror::Error;

/// Amounts are told apart by fewer gwei than this.
pub const TAGS: u64 = 10_000;
/// Ethereum's blocks and the gateway's clock may differ by so much.
const CLOCKS_MS: i64 = 120_000;
const WEI_PER_GWEI: u128 = 1_000_000_000;
/// Tries to find an amount that nobody was asked for.
const TRIES: u32 = 20;

/// What buying points needs.
#[derive(Clone, Debug)]
pub struct Seller {
    /// Where payments are looked for.
    pub ethereum: Ethereum,
    /// Where MVP for one MVC comes from; without it prices of points are recorded.
    pub pool: Option<Pool>,
    /// What prices may be based on.
    pub rules: PriceRules,
    /// How long a top-up waits for its payment, in milliseconds.
    pub patience_ms: i64,
}

/// One top-up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TopUp {
    /// `top_…`
    pub id: String,
    /// Whose float.
    pub partner: String,
    /// How many points.
    pub points: MicroPoints,
    /// At what price …
    pub basis: Basis,
    /// … in wei for one MVP.
    pub wei_per_point: u64,
    /// What is to be paid, in billionths of an ether.
    pub gwei: u64,
    /// To whom.
    pub pay_to: String,
    /// `awaiting_payment`, `paid` or `expired`.
    pub state: String,
    /// Begun by the gateway because the float fell below its threshold.
    pub automatic: bool,
    /// The payment.
    pub transaction_hash: Option<String>,
    /// Until when the payment must be in a block.
    pub expires_at: i64,
    /// When it was begun.
    pub created_at: i64,
}

/// Why points cannot be bought, or a payment is not taken.
#[derive(Debug, Error)]
pub enum TopUpError {
    /// The price.
    #[error(transparent)]
    Price(#[from] PriceError),
    /// More than can be counted.
    #[error("the amount is more than can be counted")]
    Range,
    /// There is none.
    #[error("there is no such top-up")]
    Unknown,
    /// Not in a finalized block yet.
    #[error("the payment is not in a finalized block yet")]
    Pending,
    /// Something else.
    #[error("{0}")]
    Wrong(&'static str),
    /// The Ethereum node.
    #[error(transparent)]
    Ethereum(#[from] ChainError),
    /// The database.
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

/// What points cost, in gwei: rounded up.
pub fn cost(points: MicroPoints, wei_per_point: u64) -> Option<u64> {
    let micro_wei = u128::from(points.0).checked_mul(u128::from(wei_per_point))?;
    let divisor = u128::from(MICRO_PER_POINT).checked_mul(WEI_PER_GWEI)?;
    let gwei = u64::try_from(micro_wei.div_ceil(divisor)).ok()?;
    (gwei <= MAX_AMOUNT.saturating_sub(TAGS)).then_some(gwei)
}

fn read(row: &AnyRow) -> Result<TopUp, sqlx::Error> {
    let basis: String = row.try_get("basis")?;
    Ok(TopUp {
        id: row.try_get("id")?,
        partner: row.try_get("partner")?,
        points: MicroPoints(from_sql(row.try_get("micro_points")?)?),
        basis: Basis::parse(&basis)
            .ok_or_else(|| sqlx::Error::Decode(format!("unknown basis {basis}").into()))?,
        wei_per_point: from_sql(row.try_get("wei_per_point")?)?,
        gwei: from_sql(row.try_get("gwei")?)?,
        pay_to: row.try_get("pay_to")?,
        state: row.try_get("state")?,
        automatic: row.try_get::<i64, _>("automatic")? == 1,
        transaction_hash: row.try_get("transaction_hash")?,
        expires_at: row.try_get("expires_at")?,
        created_at: row.try_get("created_at")?,
    })
}

/// Stores a top-up with an amount of its own. Whether it could.
async fn insert(connection: &mut Connection, top_up: &mut TopUp) -> Result<bool, sqlx::Error> {
    let base = top_up.gwei;
    for _ in 0..TRIES {
        top_up.gwei = base.saturating_add(rand::rng().random_range(0..TAGS));
        // Also refused if an automatic one is waiting already.
        let done = sqlx::query(
            "INSERT INTO top_ups (id, partner, micro_points, basis, wei_per_point, gwei, pay_to,
                 state, automatic, expires_at, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'awaiting_payment', $8, $9, $10, $10)
             ON CONFLICT DO NOTHING",
        )
        .bind(&top_up.id)
        .bind(&top_up.partner)
        .bind(to_sql(top_up.points.0)?)
        .bind(top_up.basis.name())
        .bind(to_sql(top_up.wei_per_point)?)
        .bind(to_sql(top_up.gwei)?)
        .bind(&top_up.pay_to)
        .bind(i64::from(top_up.automatic))
        .bind(top_up.expires_at)
        .bind(top_up.created_at)
        .execute(&mut *connection)
        .await?;
        if done.rows_affected() == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Seller {
    /// Where prices come from, in a word.
    pub const fn source(&self) -> &'static str {
        match self.pool {
            None => "recorded",
            Some(_) => "pool",
        }
    }

    /// Wei for one MVP on a basis, and since when it is taken.
    pub async fn price(
        &self,
        store: &Store,
        basis: Basis,
        now: i64,
    ) -> Result<Average, PriceError> {
        match &self.pool {
            None => store.price(basis, now, self.rules).await,
            Some(pool) => pool.price(store, basis, now, self.rules).await,
        }
    }

    /// A top-up at the price of now, not stored yet.
    async fn offer(
        &self,
        store: &Store,
        partner: &str,
        points: MicroPoints,
        basis: Basis,
    ) -> Result<TopUp, TopUpError> {
        let now = store.now();
        let wei_per_point = match (&self.pool, basis) {
            (Some(pool), Basis::Market) => pool.record(store, now, now, self.rules).await?,
            _ => self.price(store, basis, now).await?.wei,
        };
        Ok(TopUp {
            id: ids::top_up(),
            partner: partner.to_owned(),
            points,
            basis,
            wei_per_point,
            gwei: cost(points, wei_per_point).ok_or(TopUpError::Range)?,
            pay_to: self.ethereum.pay_to.to_string(),
            state: "awaiting_payment".to_owned(),
            automatic: false,
            transaction_hash: None,
            expires_at: now.saturating_add(self.patience_ms),
            created_at: now,
        })
    }

    /// Begins a top-up, and stores it together with the answer that `answer` makes of it.
    pub async fn begin(
        &self,
        store: &Store,
        key: &Key,
        points: MicroPoints,
        basis: Basis,
        answer: impl FnOnce(&TopUp) -> Result<Stored, sqlx::Error>,
    ) -> Result<Stored, TopUpError> {
        let mut top_up = self.offer(store, &key.partner, points, basis).await?;
        let mut write = store.write().await?;
        if !insert(&mut write, &mut top_up).await? {
            return Err(TopUpError::Range);
        }
        let stored = answer(&top_up)?;
        let answered = Answered {
            key,
            made: Some(&top_up.id),
            answer: &stored,
        };
        idempotency::answered(&mut write, &[answered]).await?;
        write.commit().await?;
        Ok(stored)
    }

    /// Begins a top-up of a float that fell below its threshold, if none is waiting. The job that
    /// asked for it is done by this.
    pub async fn begin_automatic(&self, store: &Store, partner: &str) -> Result<(), TopUpError> {
        let float = store.float(partner).await?.ok_or(TopUpError::Unknown)?;
        let wanted = float.top_up.0 > 0 && float.available < float.threshold;
        let offered = match wanted {
            true => Some(
                self.offer(store, partner, float.top_up, float.basis)
                    .await?,
            ),
            false => None,
        };
        let now = store.now();
        let mut write = store.write().await?;
        sqlx::query(
            "UPDATE top_ups SET state = 'expired', updated_at = $2
             WHERE partner = $1 AND state = 'awaiting_payment' AND expires_at < $2",
        )
        .bind(partner)
        .bind(now)
        .execute(&mut *write)
        .await?;
        if let Some(mut top_up) = offered {
            top_up.automatic = true;
            if insert(&mut write, &mut top_up).await? {
                tell(&mut write, &top_up, Event::TopUpRequested, now).await?;
                tracing::warn!(
                    partner,
                    id = top_up.id,
                    "a float is low; a top-up waits for its payment"
                );
            }
        }
        jobs::done(&mut write, Kind::TopUp, partner).await?;
        write.commit().await?;
        Ok(())
    }

    /// Takes a payment: the points are in the float once it is final.
    pub async fn pay(
        &self,
        store: &Store,
        partner: &str,
        id: &str,
        hash: B256,
    ) -> Result<TopUp, TopUpError> {
        let found = store.top_up(partner, id).await?;
        let top_up = found.ok_or(TopUpError::Unknown)?;
        let text = hash.to_string();
        if top_up.state == "paid" {
            return match top_up.transaction_hash == Some(text) {
                true => Ok(top_up),
                false => Err(TopUpError::Wrong(
                    "the top-up was paid by another transaction",
                )),
            };
        }
        let payment = self.ethereum.payment(hash, top_up.gwei).await?;
        // Ethereum's clock is never moved; a sandbox's may be.
        let payment = match payment {
            Payment::Final { at } => Payment::Final {
                at: at.saturating_add(store.ahead()),
            },
            other => other,
        };
        match payment {
            // Nobody pays an amount before being asked for it: an older transfer is another matter,
            // whoever would like it to be this one.
            Payment::Final { at } if at.saturating_add(CLOCKS_MS) < top_up.created_at => {
                return Err(TopUpError::Wrong("it is older than the top-up"));
            }
            Payment::Final { at } if at <= top_up.expires_at => {}
            Payment::Final { .. } => {
                return Err(TopUpError::Wrong(
                    "it came after the top-up had expired; ask the gateway's operator",
                ));
            }
            Payment::Pending => return Err(TopUpError::Pending),
            Payment::Wrong(why) => return Err(TopUpError::Wrong(why)),
        }
        let now = store.now();
        let mut write = store.write().await?;
        let done = sqlx::query(
            "UPDATE top_ups SET state = 'paid', transaction_hash = $2, updated_at = $3
             WHERE id = $1 AND state <> 'paid'",
        )
        .bind(id)
        .bind(&text)
        .bind(now)
        .execute(&mut *write)
        .await?;
        if done.rows_affected() == 1 {
            book(&mut write, &top_up, now).await?;
            tell(&mut write, &top_up, Event::TopUpPaid, now).await?;
        }
        // Also if somebody else said so first: then this waits until what they wrote can be read.
        write.commit().await?;
        store.top_up(partner, id).await?.ok_or(TopUpError::Unknown)
    }
}

/// Tells the partner.
async fn tell(
    connection: &mut Connection,
    top_up: &TopUp,
    kind: Event,
    now: i64,
) -> Result<(), sqlx::Error> {
    let data = json!({
        "id": top_up.id,
        "points": top_up.points.to_string(),
        "wei": (u128::from(top_up.gwei).saturating_mul(WEI_PER_GWEI)).to_string(),
        "pay_to": top_up.pay_to,
        "automatic": top_up.automatic,
        "expires_at": rfc3339(top_up.expires_at),
    });
    let news = News::here(&top_up.partner, kind, &top_up.id, data);
    webhook::announce(connection, vec![news], now).await
}

/// Puts the points of a paid top-up into the float.
async fn book(connection: &mut Connection, top_up: &TopUp, now: i64) -> Result<(), sqlx::Error> {
    let points = to_sql(top_up.points.0)?;
    changed(
        sqlx::query("UPDATE floats SET available = available + $2 WHERE partner = $1")
            .bind(&top_up.partner)
            .bind(points)
            .execute(&mut *connection)
            .await?,
    )?;
    let float = account(&top_up.partner, "float");
    let paid = account(&top_up.partner, "ether_paid");
    let entries = [
        pair("points_prepaid", &float, POINTS, points)?,
        pair("treasury:ether", &paid, GWEI, to_sql(top_up.gwei)?)?,
    ]
    .concat();
    let posting = Posting {
        subject: &top_up.id,
        kind: "topped_up",
        by: GATEWAY,
        note: None,
        entries,
    };
    journal::write(connection, &[posting], now).await
}

impl Store {
    /// A partner's own top-up.
    pub async fn top_up(&self, partner: &str, id: &str) -> Result<Option<TopUp>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM top_ups WHERE id = $1 AND partner = $2")
            .bind(id)
            .bind(partner)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// A page of a partner's top-ups, newest first, older than `before`.
    pub async fn top_ups_of(
        &self,
        partner: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<TopUp>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM top_ups WHERE partner = $1 AND ($2 IS NULL OR id < $2)
             ORDER BY id DESC LIMIT $3",
        )
        .bind(partner)
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn points_cost_what_they_cost_rounded_up_to_a_gwei() {
        // 1 MVP at 250 gwei.
        let wei = 250_000_000_000;
        assert_eq!(cost(MicroPoints(1_000_000), wei), Some(250));
        assert_eq!(cost(MicroPoints(1), wei), Some(1));
        assert_eq!(cost(MicroPoints(1_000_000), wei + 1), Some(251));
        assert_eq!(cost(MicroPoints(MAX_AMOUNT), u64::MAX), None);
    }

    proptest! {
        #[test]
        fn a_cost_is_never_below_and_less_than_a_gwei_above(
            points in 1u64..1_000_000_000_000_000,
            wei in 1u64..1_000_000_000_000_000,
        ) {
            if let Some(gwei) = cost(MicroPoints(points), wei) {
                let exact = u128::from(points) * u128::from(wei);
                let paid = u128::from(gwei) * WEI_PER_GWEI * u128::from(MICRO_PER_POINT);
                prop_assert!(paid >= exact);
                prop_assert!(paid - exact < WEI_PER_GWEI * u128::from(MICRO_PER_POINT));
            }
        }
    }
}
