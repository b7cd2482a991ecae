//! Quotes: what was offered, to whom, until when.

use super::rows::{self, OverRows, over_rows, over_tuples};
use super::{Store, from_sql, to_sql};
use crate::store::Connection;
use crate::units::{Fee, MicroPoints, Payer, Rate};
use serde::Serialize;
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

#[derive(Serialize)]
struct QuoteRow<'a> {
    id: &'a str,
    partner: &'a str,
    programme: &'a str,
    member_id: &'a str,
    miles: i64,
    rate: i64,
    points: i64,
    created_at: i64,
    expires_at: i64,
    fee: i64,
    fee_payer: &'static str,
}

const INSERT: OverRows = over_rows!(
    "INSERT INTO quotes (id, partner, programme, member_id, miles, micro_points_per_mile,
                         micro_points, created_at, expires_at, fee_micro_points, fee_payer)
     SELECT value ->> 'id', value ->> 'partner', value ->> 'programme', value ->> 'member_id',
         CAST(value ->> 'miles' AS BIGINT), CAST(value ->> 'rate' AS BIGINT),
         CAST(value ->> 'points' AS BIGINT), CAST(value ->> 'created_at' AS BIGINT),
         CAST(value ->> 'expires_at' AS BIGINT), CAST(value ->> 'fee' AS BIGINT), value ->> 'fee_payer'
     FROM"
);

/// Stores new quotes.
pub async fn insert(connection: &mut Connection, quotes: &[&Quote]) -> Result<(), sqlx::Error> {
    let mut rows = Vec::with_capacity(quotes.len());
    for quote in quotes {
        rows.push(QuoteRow {
            id: &quote.id,
            partner: &quote.partner,
            programme: &quote.programme,
            member_id: &quote.member_id,
            miles: to_sql(quote.miles)?,
            rate: to_sql(quote.rate.0)?,
            points: to_sql(quote.points.0)?,
            created_at: quote.created_at,
            expires_at: quote.expires_at,
            fee: to_sql(quote.fee.points.0)?,
            fee_payer: quote.fee.payer.name(),
        });
    }
    let statement = sqlx::query(connection.over(INSERT)).bind(rows::json(&rows)?);
    connection.tell(statement).await
}

const CLAIM: OverRows = over_tuples!(
    "UPDATE quotes SET used_by = value ->> 1 FROM",
    // Not `IS NULL`: there is an index for that, in which all unused quotes are.
    "WHERE quotes.id = value ->> 0 AND COALESCE(quotes.used_by, '') = '' AND quotes.expires_at > $2"
);

/// Uses quotes for conversions, each if it is unused and still holds: `(quote, conversion)`, no quote twice.
/// Whether all were.
pub async fn claim(
    connection: &mut Connection,
    claims: &[(&str, &str)],
    now: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(connection.over(CLAIM))
        .bind(rows::json(claims)?)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == claims.len() as u64)
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
