//! Conversions: rows, transitions, and what is due.

use super::jobs::{self, Kind};
use super::quotes::fee;
use super::traces;
use super::{Store, from_sql, to_sql};
use crate::conversion::state::State;
use crate::store::Connection;
use crate::units::{Fee, MicroPoints, Rate};
use sqlx::Row;
use sqlx::any::AnyRow;
use std::collections::HashSet;

/// Those not at their end: the condition of the index `conversions_open`, word for word.
macro_rules! open {
    () => {
        "state NOT IN ('completed', 'refused', 'returned', 'reversed')"
    };
}

/// One conversion.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// `conv_…`
    pub id: String,
    /// Whose API key asked.
    pub partner: String,
    /// The quote it used.
    pub quote_id: String,
    /// Programme.
    pub programme: String,
    /// The partner's id of the member.
    pub member_id: String,
    /// Who gets the points, `0x…` with checksum.
    pub receiver: String,
    /// Whole miles.
    pub miles: u64,
    /// The agreed rate.
    pub rate: Rate,
    /// Miles times rate.
    pub points: MicroPoints,
    /// What is taken for it.
    pub fee: Fee,
    /// What the caller calls it.
    pub reference: Option<String>,
    /// Points that its partner's float set aside for it; none if the partner settles afterwards.
    pub held: MicroPoints,
    /// Where it stands.
    pub state: State,
    /// Our name for the debit.
    pub debit_reference: String,
    /// When the debit's intent was committed.
    pub debit_sent_at: Option<i64>,
    /// The partner's name for the debit.
    pub partner_reference: Option<String>,
    /// "Not found" answers in a row that count.
    pub absent_reads: u32,
    /// The transaction that issued.
    pub issue_hash: Option<String>,
    /// Its block.
    pub issue_block: Option<u64>,
    /// Why it was refused, reversed or needs attention: a stable code …
    pub reason_code: Option<String>,
    /// … and a sentence.
    pub reason: Option<String>,
    /// Steps tried in this state.
    pub attempts: u32,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed state.
    pub updated_at: i64,
}

impl Conversion {
    /// The points that the member receives: those that are issued.
    pub fn received(&self) -> Result<MicroPoints, sqlx::Error> {
        countable(self.fee.received(self.points))
    }

    /// The points that the partner owes: those received, and the fee.
    pub fn owed(&self) -> Result<MicroPoints, sqlx::Error> {
        countable(self.fee.owed(self.points))
    }
}

fn countable(points: Option<MicroPoints>) -> Result<MicroPoints, sqlx::Error> {
    points.ok_or_else(|| sqlx::Error::Decode("a fee that cannot be".into()))
}

/// Which conversions to list. `None` leaves a column open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// Older than this one.
    pub before: Option<&'a str>,
    /// In this state.
    pub state: Option<State>,
    /// Of this programme.
    pub programme: Option<&'a str>,
    /// Of this member.
    pub member_id: Option<&'a str>,
    /// That the caller calls so.
    pub reference: Option<&'a str>,
    /// Whose debit the partner calls so.
    pub partner_reference: Option<&'a str>,
    /// Made then or later.
    pub from: Option<i64>,
    /// Made before.
    pub to: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// What changes together with a state. `None` leaves a column as it is.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The debit's intent was committed now.
    pub debit_sent: bool,
    /// The partner's name for the debit.
    pub partner_reference: Option<String>,
    /// The transaction that issued.
    pub issue_hash: Option<String>,
    /// Its block.
    pub issue_block: Option<u64>,
    /// A stable code and a sentence.
    pub reason: Option<(&'static str, String)>,
}

fn count(row: &AnyRow, column: &str) -> Result<u32, sqlx::Error> {
    let count: i64 = row.try_get(column)?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

fn read(row: &AnyRow) -> Result<Conversion, sqlx::Error> {
    let state = state_of(row)?;
    let block: Option<i64> = row.try_get("issue_block")?;
    Ok(Conversion {
        id: row.try_get("id")?,
        partner: row.try_get("partner")?,
        quote_id: row.try_get("quote_id")?,
        programme: row.try_get("programme")?,
        member_id: row.try_get("member_id")?,
        receiver: row.try_get("receiver")?,
        miles: from_sql(row.try_get("miles")?)?,
        rate: Rate(from_sql(row.try_get("micro_points_per_mile")?)?),
        points: MicroPoints(from_sql(row.try_get("micro_points")?)?),
        fee: fee(row)?,
        reference: row.try_get("reference")?,
        held: MicroPoints(from_sql(row.try_get("held_micro_points")?)?),
        state,
        debit_reference: row.try_get("debit_reference")?,
        debit_sent_at: row.try_get("debit_sent_at")?,
        partner_reference: row.try_get("partner_reference")?,
        absent_reads: count(row, "absent_reads")?,
        issue_hash: row.try_get("issue_hash")?,
        issue_block: block.map(from_sql).transpose()?,
        reason_code: row.try_get("reason_code")?,
        reason: row.try_get("reason")?,
        attempts: count(row, "attempts")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// The conversion that a partner calls so, also if it is not committed yet.
pub async fn by_reference(
    connection: &mut Connection,
    partner: &str,
    reference: &str,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM conversions WHERE partner = $1 AND reference = $2")
        .bind(partner)
        .bind(reference)
        .fetch_optional(connection)
        .await
}

/// A conversion as it is inside a transaction.
pub async fn row(connection: &mut Connection, id: &str) -> Result<Conversion, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM conversions WHERE id = $1")
        .bind(id)
        .fetch_one(connection)
        .await?;
    read(&row)
}

/// Stores a new conversion, in state `created`, and the job of moving it, claimed by a run.
pub async fn insert(
    connection: &mut Connection,
    conversion: &Conversion,
    run: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO conversions (id, partner, quote_id, programme, member_id, receiver, miles,
             micro_points_per_mile, micro_points, state, debit_reference, created_at, updated_at, held_micro_points,
             fee_micro_points, fee_payer, reference)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'created', $10, $11, $11, $12, $13, $14, $15)",
    )
    .bind(&conversion.id)
    .bind(&conversion.partner)
    .bind(&conversion.quote_id)
    .bind(&conversion.programme)
    .bind(&conversion.member_id)
    .bind(&conversion.receiver)
    .bind(to_sql(conversion.miles)?)
    .bind(to_sql(conversion.rate.0)?)
    .bind(to_sql(conversion.points.0)?)
    .bind(&conversion.debit_reference)
    .bind(conversion.created_at)
    .bind(to_sql(conversion.held.0)?)
    .bind(to_sql(conversion.fee.points.0)?)
    .bind(conversion.fee.payer.name())
    .bind(&conversion.reference)
    .execute(&mut *connection)
    .await?;
    let (id, now) = (&conversion.id, conversion.created_at);
    jobs::add_claimed(connection, Kind::Conversion, id, run, now).await?;
    traces::remember(connection, id).await?;
    event(
        connection,
        &conversion.id,
        None,
        State::Created,
        None,
        conversion.created_at,
    )
    .await
}

/// Moves a conversion from one state to another, if it is still in the first. Whether it was.
pub async fn transition(
    connection: &mut Connection,
    id: &str,
    from: State,
    to: State,
    change: &Change,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let block = change.issue_block.map(to_sql).transpose()?;
    let (code, reason) = match &change.reason {
        Some((code, reason)) => (Some(*code), Some(reason.as_str())),
        None => (None, None),
    };
    let done = sqlx::query(
        "UPDATE conversions SET
             state = $3,
             debit_sent_at = CASE WHEN $4 THEN $10 ELSE debit_sent_at END,
             partner_reference = COALESCE($5, partner_reference),
             issue_hash = COALESCE($6, issue_hash),
             issue_block = COALESCE($7, issue_block),
             reason_code = COALESCE($8, reason_code),
             reason = COALESCE($9, reason),
             attempts = 0, absent_reads = 0, updated_at = $10
         WHERE id = $1 AND state = $2",
    )
    .bind(id)
    .bind(from.name())
    .bind(to.name())
    .bind(change.debit_sent)
    .bind(&change.partner_reference)
    .bind(&change.issue_hash)
    .bind(block)
    .bind(code)
    .bind(reason)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    event(connection, id, Some(from), to, reason, now).await?;
    if to.is_settled() {
        jobs::done(connection, Kind::Conversion, id).await?;
    }
    Ok(true)
}

const ISSUING_SQLITE: &str = "UPDATE conversions
     SET state = 'issuing', attempts = 0, absent_reads = 0, updated_at = $2
     WHERE state = 'debited' AND id IN (SELECT value FROM json_each($1)) RETURNING id";
const ISSUING_POSTGRES: &str = "UPDATE conversions
     SET state = 'issuing', attempts = 0, absent_reads = 0, updated_at = $2
     WHERE state = 'debited' AND id IN (SELECT jsonb_array_elements_text($1::jsonb)) RETURNING id";
const ISSUING_EVENTS_SQLITE: &str =
    "INSERT INTO conversion_events (conversion_id, from_state, to_state, at)
     SELECT value, 'debited', 'issuing', $2 FROM json_each($1)";
const ISSUING_EVENTS_POSTGRES: &str =
    "INSERT INTO conversion_events (conversion_id, from_state, to_state, at)
     SELECT id, 'debited', 'issuing', $2 FROM jsonb_array_elements_text($1::jsonb) AS id";

/// Moves those of these conversions that are still `debited` to `issuing`; gives which they were.
pub async fn begin_issuing(
    connection: &mut Connection,
    store: &Store,
    ids: &[&str],
    now: i64,
) -> Result<HashSet<String>, sqlx::Error> {
    let json = |ids: &[&str]| {
        serde_json::to_string(ids).map_err(|error| sqlx::Error::Encode(error.into()))
    };
    let moved: Vec<String> = sqlx::query_scalar(store.dialect(ISSUING_SQLITE, ISSUING_POSTGRES))
        .bind(json(ids)?)
        .bind(now)
        .fetch_all(&mut *connection)
        .await?;
    let moved: HashSet<_> = moved.into_iter().collect();
    let of_them: Vec<_> = ids
        .iter()
        .copied()
        .filter(|id| moved.contains(*id))
        .collect();
    if !of_them.is_empty() {
        sqlx::query(store.dialect(ISSUING_EVENTS_SQLITE, ISSUING_EVENTS_POSTGRES))
            .bind(json(&of_them)?)
            .bind(now)
            .execute(connection)
            .await?;
    }
    Ok(moved)
}

/// Takes out the job of a conversion that is settled; one that was disputed meanwhile keeps its.
pub async fn forget_settled(connection: &mut Connection, id: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM jobs WHERE kind = 'conversion' AND name = $1 AND EXISTS (
             SELECT 1 FROM conversions c JOIN states s ON s.state = c.state
             WHERE c.id = $1 AND s.settled = 1)",
    )
    .bind(id)
    .execute(connection)
    .await?;
    Ok(())
}

async fn event(
    connection: &mut Connection,
    id: &str,
    from: Option<State>,
    to: State,
    note: Option<&str>,
    now: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO conversion_events (conversion_id, from_state, to_state, note, at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id)
    .bind(from.map(State::name))
    .bind(to.name())
    .bind(note)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// Any conversion.
    pub async fn conversion(&self, id: &str) -> Result<Option<Conversion>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM conversions WHERE id = $1")
            .bind(id)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// A page of a partner's conversions, newest first.
    pub async fn conversions_of(
        &self,
        partner: &str,
        page: &Page<'_>,
    ) -> Result<Vec<Conversion>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM conversions WHERE partner = $1 AND ($2 IS NULL OR id < $2)
                 AND ($3 IS NULL OR state = $3) AND ($4 IS NULL OR programme = $4)
                 AND ($5 IS NULL OR member_id = $5) AND ($6 IS NULL OR reference = $6)
                 AND ($7 IS NULL OR partner_reference = $7)
                 AND ($8 IS NULL OR created_at >= $8) AND ($9 IS NULL OR created_at < $9)
             ORDER BY id DESC LIMIT $10",
        )
        .bind(partner)
        .bind(page.before)
        .bind(page.state.map(State::name))
        .bind(page.programme)
        .bind(page.member_id)
        .bind(page.reference)
        .bind(page.partner_reference)
        .bind(page.from)
        .bind(page.to)
        .bind(i64::from(page.limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(read).collect()
    }

    /// Notes a try that led nowhere yet, and puts its job back until the next.
    pub async fn defer(
        &self,
        conversion: &Conversion,
        run: &str,
        absent_reads: u32,
        due_at: i64,
        error: Option<&str>,
    ) -> Result<(), sqlx::Error> {
        let mut write = self.write().await?;
        sqlx::query(
            "UPDATE conversions SET attempts = $1, absent_reads = $2 WHERE id = $3 AND state = $4",
        )
        .bind(i64::from(conversion.attempts.saturating_add(1)))
        .bind(i64::from(absent_reads))
        .bind(&conversion.id)
        .bind(conversion.state.name())
        .execute(&mut *write)
        .await?;
        let id = &conversion.id;
        jobs::put_back(&mut write, Kind::Conversion, id, run, due_at, error).await?;
        write.commit().await
    }

    /// How many conversions are in each state.
    pub async fn counts(&self) -> Result<Vec<(State, u64)>, sqlx::Error> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS many FROM conversions GROUP BY state")
            .fetch_all(self.scan())
            .await?;
        rows.iter().map(state_count).collect()
    }

    /// Conversions that are not at their end, by state.
    pub async fn open_counts(&self) -> Result<Vec<(State, u64)>, sqlx::Error> {
        let rows = sqlx::query(concat!(
            "SELECT state, COUNT(*) AS many FROM conversions WHERE ",
            open!(),
            " GROUP BY state"
        ))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(state_count).collect()
    }

    /// How long each conversion made since a moment stayed in each state that it has left, milliseconds.
    pub async fn stages(&self, since: i64) -> Result<Vec<(State, i64)>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT from_state AS state, CAST(at - entered AS BIGINT) AS ms FROM (
                 SELECT e.from_state, e.at,
                     LAG(e.at) OVER (PARTITION BY e.conversion_id ORDER BY e.id) AS entered
                 FROM conversion_events e JOIN conversions c ON c.id = e.conversion_id
                 WHERE c.created_at >= $1) AS steps
             WHERE from_state IS NOT NULL",
        )
        .bind(since)
        .fetch_all(self.scan())
        .await?;
        rows.iter()
            .map(|row| Ok((state_of(row)?, row.try_get("ms")?)))
            .collect()
    }

    /// Conversions with a signed issue whose end is not recorded yet.
    pub async fn issuing(&self, limit: u32) -> Result<Vec<Conversion>, sqlx::Error> {
        let rows = sqlx::query(concat!(
            "SELECT * FROM conversions WHERE state = 'issuing' AND ",
            open!(),
            " ORDER BY id LIMIT $1"
        ))
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(read).collect()
    }
}

fn state_count(row: &AnyRow) -> Result<(State, u64), sqlx::Error> {
    Ok((state_of(row)?, from_sql(row.try_get("many")?)?))
}

fn state_of(row: &AnyRow) -> Result<State, sqlx::Error> {
    let name: String = row.try_get("state")?;
    State::parse(&name).ok_or_else(|| sqlx::Error::Decode(format!("unknown state {name}").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_is_what_is_not_final() {
        let mut ends: Vec<_> = State::ALL
            .into_iter()
            .filter(|state| state.is_final())
            .map(|state| format!("'{}'", state.name()))
            .collect();
        ends.sort();
        assert_eq!(open!(), format!("state NOT IN ({})", ends.join(", ")));
        for migration in [
            include_str!("../../migrations/sqlite/0021_open_conversions.sql"),
            include_str!("../../migrations/postgres/0021_open_conversions.sql"),
        ] {
            assert!(migration.contains(open!()), "{migration}");
        }
    }
}
