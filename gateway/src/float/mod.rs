//! Floats: points that a partner has bought and not yet converted.
//!
//! A prepaid partner converts only as many points as its float holds. The points of a conversion
//! are set aside when it begins, used when they are issued, and put back if it comes to nothing.
//! Each step is posted to the journal in the transaction that makes it:
//!
//! | kind | debit | credit | currency |
//! |---|---|---|---|
//! | topped_up | `points_prepaid` | `{partner}:float` | `MVP` (micro-points) |
//! | | `treasury:ether` | `{partner}:ether_paid` | `GWEI` |
//! | held | `{partner}:float` | `{partner}:float_held` | `MVP` |
//! | released | `{partner}:float_held` | `{partner}:float` | `MVP` |
//! | issued, beside its usual entries | `{partner}:float_held` | `{programme}:points_prepaid_used` | `MVP` |
//!
//! The table `floats` holds the sums, so that two conversions cannot spend the same points, and
//! the database refuses to let one fall below zero.
//!
//! ```txt
//! price      the price of a point in ether: market, and the exact average of three months
//! pool       the native chain's pool as that price, with the reasons for which it is refused
//! top_up     buying points
//! ethereum   the payment, once it is final
//! ```

pub mod ethereum;
pub mod pool;
pub mod price;
pub mod top_up;

use crate::journal::{Entry, GATEWAY, POINTS, Posting, pair};
use crate::store::Connection;
use crate::store::conversions::Conversion;
use crate::store::{Store, from_sql, to_sql};
use crate::units::MicroPoints;
use price::Basis;
use sqlx::Row;

/// Currency of ether in the journal, counted in billionths.
pub const GWEI: &str = "GWEI";

/// One partner's float.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Float {
    /// Can be converted.
    pub available: MicroPoints,
    /// Set aside for conversions that are on their way.
    pub held: MicroPoints,
    /// Below this a top-up is begun; never if zero.
    pub threshold: MicroPoints,
    /// Of so many points.
    pub top_up: MicroPoints,
    /// At this price.
    pub basis: Basis,
}

fn account(partner: &str, name: &str) -> String {
    format!("{partner}:{name}")
}

/// What setting points aside came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// They are set aside, and the float is above its threshold, or has none.
    Enough,
    /// They are set aside, and the float is below its threshold now.
    Low,
    /// They are not: the float holds only so many.
    Short(MicroPoints),
}

/// Sets points aside for a conversion, if there are enough. [`held`] is to be posted with it.
pub async fn hold(
    connection: &mut Connection,
    conversion: &Conversion,
) -> Result<Held, sqlx::Error> {
    let points = to_sql(conversion.held.0)?;
    let row = sqlx::query(
        "UPDATE floats SET available = available - $2, held = held + $2
         WHERE partner = $1 AND available >= $2
         RETURNING available, threshold, top_up",
    )
    .bind(&conversion.partner)
    .bind(points)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        let available: Option<i64> =
            sqlx::query_scalar("SELECT available FROM floats WHERE partner = $1")
                .bind(&conversion.partner)
                .fetch_optional(connection)
                .await?;
        return from_sql(available.unwrap_or(0)).map(|there| Held::Short(MicroPoints(there)));
    };
    let left: i64 = row.try_get("available")?;
    let wanted: i64 = row.try_get("top_up")?;
    let low = wanted > 0 && left < row.try_get("threshold")?;
    Ok(if low { Held::Low } else { Held::Enough })
}

/// Puts back what was set aside: the conversion came to nothing. [`released`] is to be posted with it.
pub async fn release(
    connection: &mut Connection,
    conversion: &Conversion,
) -> Result<(), sqlx::Error> {
    changed(
        sqlx::query(
            "UPDATE floats SET available = available + $2, held = held - $2
             WHERE partner = $1 AND held >= $2",
        )
        .bind(&conversion.partner)
        .bind(to_sql(conversion.held.0)?)
        .execute(connection)
        .await?,
    )
}

/// Uses what was set aside: the points are issued. [`spent`] belongs to the issue's posting.
pub async fn spend(
    connection: &mut Connection,
    conversion: &Conversion,
) -> Result<(), sqlx::Error> {
    changed(
        sqlx::query("UPDATE floats SET held = held - $2 WHERE partner = $1 AND held >= $2")
            .bind(&conversion.partner)
            .bind(to_sql(conversion.held.0)?)
            .execute(connection)
            .await?,
    )
}

/// That points were set aside for a conversion.
pub fn held(conversion: &Conversion) -> Result<Posting<'_>, sqlx::Error> {
    between(conversion, "held", "float", "float_held")
}

/// That they were put back.
pub fn released(conversion: &Conversion) -> Result<Posting<'_>, sqlx::Error> {
    between(conversion, "released", "float_held", "float")
}

/// The entries of an issue that used what was set aside.
pub fn spent(conversion: &Conversion) -> Result<[Entry; 2], sqlx::Error> {
    pair(
        &account(&conversion.partner, "float_held"),
        &account(&conversion.programme, "points_prepaid_used"),
        POINTS,
        to_sql(conversion.held.0)?,
    )
}

fn between<'a>(
    conversion: &'a Conversion,
    kind: &'static str,
    debit: &str,
    credit: &str,
) -> Result<Posting<'a>, sqlx::Error> {
    let partner = &conversion.partner;
    let (debit, credit) = (account(partner, debit), account(partner, credit));
    Ok(Posting {
        subject: &conversion.id,
        kind,
        by: GATEWAY,
        note: None,
        entries: pair(&debit, &credit, POINTS, to_sql(conversion.held.0)?)?.to_vec(),
    })
}

fn changed(done: sqlx::any::AnyQueryResult) -> Result<(), sqlx::Error> {
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(sqlx::Error::RowNotFound)
    }
}

impl Store {
    /// A partner's float; none if it settles afterwards and never had one.
    pub async fn float(&self, partner: &str) -> Result<Option<Float>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM floats WHERE partner = $1")
            .bind(partner)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| {
            let points = |column: &str| -> Result<MicroPoints, sqlx::Error> {
                from_sql(row.try_get(column)?).map(MicroPoints)
            };
            let basis: String = row.try_get("top_up_basis")?;
            Ok(Float {
                available: points("available")?,
                held: points("held")?,
                threshold: points("threshold")?,
                top_up: points("top_up")?,
                basis: Basis::parse(&basis)
                    .ok_or_else(|| sqlx::Error::Decode(format!("unknown basis {basis}").into()))?,
            })
        })
        .transpose()
    }

    /// Sets when a float is topped up by itself. Whether there is such a float.
    pub async fn set_automatic_top_up(
        &self,
        partner: &str,
        threshold: MicroPoints,
        top_up: MicroPoints,
        basis: Basis,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let done = sqlx::query(
            "UPDATE floats SET threshold = $2, top_up = $3, top_up_basis = $4 WHERE partner = $1",
        )
        .bind(partner)
        .bind(to_sql(threshold.0)?)
        .bind(to_sql(top_up.0)?)
        .bind(basis.name())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}

/// Whether every float is what the journal says of it.
pub async fn agree(connection: &mut Connection) -> Result<bool, sqlx::Error> {
    let odd: Option<String> = sqlx::query_scalar(
        "SELECT partner FROM floats f
         WHERE available <> -COALESCE((SELECT SUM(amount) FROM journal_entries
                                       WHERE account = f.partner || ':float'), 0)
            OR held <> -COALESCE((SELECT SUM(amount) FROM journal_entries
                                  WHERE account = f.partner || ':float_held'), 0)
         LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    Ok(odd.is_none())
}
