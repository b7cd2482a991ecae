//! Quotes: what was offered, to whom, until when.

use super::{Store, from_sql, to_sql};
use crate::store::Connection;
use crate::units::{Fee, MicroPoints, Payer, Rate};
use sqlx::Row;
use sqlx::any::AnyRow;

/// One quote.
#[derive(Clone, Debug)]
pub struct Quote {
    /// `quote_…`
    pub id: String,
    /// Whose API key asked.
    pub partner: String,
    /// Programme.
    pub programme: String,
    /// The partner's id of the member.
    pub member_id: String,
    /// Whole miles.
    pub miles: u64,
    /// The rate that was offered.
    pub rate: Rate,
    /// Miles times rate.
    pub points: MicroPoints,
    /// What is taken for it.
    pub fee: Fee,
    /// When it was made.
    pub created_at: i64,
    /// Until when it holds.
    pub expires_at: i64,
    /// The conversion that used it.
    pub used_by: Option<String>,
}

/// The fee of a row that has one.
pub(super) fn fee(row: &AnyRow) -> Result<Fee, sqlx::Error> {
    let payer: String = row.try_get("fee_payer")?;
    Ok(Fee {
        points: MicroPoints(from_sql(row.try_get("fee_micro_points")?)?),
        payer: Payer::parse(&payer)
            .ok_or_else(|| sqlx::Error::Decode(format!("unknown payer {payer}").into()))?,
    })
}

/// Stores a new quote.
pub async fn insert(connection: &mut Connection, quote: &Quote) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO quotes (id, partner, programme, member_id, miles, micro_points_per_mile,
                             micro_points, created_at, expires_at, fee_micro_points, fee_payer)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&quote.id)
    .bind(&quote.partner)
    .bind(&quote.programme)
    .bind(&quote.member_id)
    .bind(to_sql(quote.miles)?)
    .bind(to_sql(quote.rate.0)?)
    .bind(to_sql(quote.points.0)?)
    .bind(quote.created_at)
    .bind(quote.expires_at)
    .bind(to_sql(quote.fee.points.0)?)
    .bind(quote.fee.payer.name())
    .execute(connection)
    .await?;
    Ok(())
}

/// Uses a quote for a conversion, if it is unused and still holds. Whether it was.
pub async fn claim(
    connection: &mut Connection,
    id: &str,
    conversion: &str,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE quotes SET used_by = $1 WHERE id = $2 AND used_by IS NULL AND expires_at > $3",
    )
    .bind(conversion)
    .bind(id)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

impl Store {
    /// A partner's own quote.
    pub async fn quote(&self, partner: &str, id: &str) -> Result<Option<Quote>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM quotes WHERE id = $1 AND partner = $2")
            .bind(id)
            .bind(partner)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| {
            Ok(Quote {
                id: row.try_get("id")?,
                partner: row.try_get("partner")?,
                programme: row.try_get("programme")?,
                member_id: row.try_get("member_id")?,
                miles: from_sql(row.try_get("miles")?)?,
                rate: Rate(from_sql(row.try_get("micro_points_per_mile")?)?),
                points: MicroPoints(from_sql(row.try_get("micro_points")?)?),
                fee: fee(&row)?,
                created_at: row.try_get("created_at")?,
                expires_at: row.try_get("expires_at")?,
                used_by: row.try_get("used_by")?,
            })
        })
        .transpose()
    }
}
