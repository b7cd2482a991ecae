//! What a partner's conversions and its float came to in a time, added up from the journal.

use super::{Store, from_sql};
use crate::store::Connection;
use crate::units::MicroPoints;
use sqlx::Row;

/// One programme in a time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProgrammeLine {
    /// Programme.
    pub programme: String,
    /// Conversions whose points were issued.
    pub issued: Sum,
    /// Conversions that were disputed and whose miles went back.
    pub returned: Sum,
}

/// Several conversions added up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sum {
    /// How many.
    pub conversions: u64,
    /// Whole miles.
    pub miles: u64,
    /// Points that members received.
    pub points: MicroPoints,
    /// Fees.
    pub fees: MicroPoints,
}

/// A float in a time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FloatLine {
    /// What there was, available and held.
    pub opening: MicroPoints,
    /// Bought.
    pub topped_up: MicroPoints,
    /// Used by conversions, fees included.
    pub used: MicroPoints,
    /// What there was at the end.
    pub closing: MicroPoints,
}

/// A statement.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Statement {
    /// By programme.
    pub programmes: Vec<ProgrammeLine>,
    /// The float; all zero without one.
    pub float: FloatLine,
}

impl Store {
    /// What a partner's things came to in `[from, to)`, as of one moment.
    pub async fn statement(
        &self,
        partner: &str,
        from: i64,
        to: i64,
    ) -> Result<Statement, sqlx::Error> {
        let mut snapshot = self.snapshot().await?;
        let rows = sqlx::query(
            "SELECT c.programme AS programme, t.kind AS kind, COUNT(*) AS conversions,
                 CAST(SUM(c.miles) AS BIGINT) AS miles,
                 CAST(SUM(CASE c.fee_payer WHEN 'member'
                     THEN c.micro_points - c.fee_micro_points ELSE c.micro_points END) AS BIGINT) AS points,
                 CAST(SUM(c.fee_micro_points) AS BIGINT) AS fees
             FROM journal_transactions t JOIN conversions c ON c.id = t.subject
             WHERE c.partner = $1 AND t.posted_at >= $2 AND t.posted_at < $3
                 AND t.kind IN ('issued', 'returned')
             GROUP BY c.programme, t.kind ORDER BY c.programme",
        )
        .bind(partner)
        .bind(from)
        .bind(to)
        .fetch_all(&mut snapshot)
        .await?;
        let mut statement = Statement::default();
        for row in rows {
            let programme: String = row.try_get("programme")?;
            let sum = Sum {
                conversions: from_sql(row.try_get("conversions")?)?,
                miles: from_sql(row.try_get("miles")?)?,
                points: MicroPoints(from_sql(row.try_get("points")?)?),
                fees: MicroPoints(from_sql(row.try_get("fees")?)?),
            };
            if statement
                .programmes
                .last()
                .is_none_or(|line| line.programme != programme)
            {
                statement.programmes.push(ProgrammeLine {
                    programme,
                    issued: Sum::default(),
                    returned: Sum::default(),
                });
            }
            if let Some(line) = statement.programmes.last_mut() {
                match row.try_get::<String, _>("kind")?.as_str() {
                    "issued" => line.issued = sum,
                    _ => line.returned = sum,
                }
            }
        }
        let mut float = async |kind: Option<&str>, from: i64, to: i64| {
            float_change(&mut snapshot, partner, kind, from, to).await
        };
        statement.float = FloatLine {
            opening: MicroPoints(from_sql(float(None, i64::MIN, from).await?)?),
            topped_up: MicroPoints(from_sql(float(Some("topped_up"), from, to).await?)?),
            used: MicroPoints(from_sql(
                float(Some("issued"), from, to).await?.saturating_neg(),
            )?),
            closing: MicroPoints(from_sql(float(None, i64::MIN, to).await?)?),
        };
        Ok(statement)
    }
}

/// How much more a float held, available and set aside, after a time than before.
async fn float_change(
    connection: &mut Connection,
    partner: &str,
    kind: Option<&str>,
    from: i64,
    to: i64,
) -> Result<i64, sqlx::Error> {
    let change: i64 = sqlx::query_scalar(
        "SELECT CAST(COALESCE(SUM(e.amount), 0) AS BIGINT)
         FROM journal_entries e JOIN journal_transactions t ON t.id = e.transaction_id
         WHERE e.account IN ($1, $2) AND t.posted_at >= $3 AND t.posted_at < $4
             AND ($5 IS NULL OR t.kind = $5)",
    )
    .bind(format!("{partner}:float"))
    .bind(format!("{partner}:float_held"))
    .bind(from)
    .bind(to)
    .bind(kind)
    .fetch_one(connection)
    .await?;
    change
        .checked_neg()
        .ok_or_else(|| sqlx::Error::Decode("out of range".into()))
}
