//! Conversions: rows, transitions, and what is due.

use super::jobs::{self, Kind};
use super::quotes::fee;
use super::rows::{self, OverRows, given, over_tuples};
use super::traces;
use super::{Store, from_sql, to_sql};
use crate::conversion::state::State;
use crate::store::Connection;
use crate::units::{Fee, MicroPoints, Rate};
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::collections::HashMap;

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

const BY_REFERENCES: OverRows = over_tuples!(
    "SELECT conversions.id FROM",
    "JOIN conversions ON conversions.partner = value ->> 0 AND conversions.reference = value ->> 1
     ORDER BY conversions.id LIMIT 1"
);

/// A conversion that one of these partners calls so, `(partner, reference)`, also if it is not committed yet.
pub async fn by_references(
    connection: &mut Connection,
    references: &[(&str, &str)],
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(connection.over(BY_REFERENCES))
        .bind(rows::json(references)?)
        .fetch_optional(connection)
        .await
}

/// A conversion that is new.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// As it is stored, in state `created`, or `debiting` with its intent.
    pub conversion: &'a Conversion,
    /// The trace that it belongs to, if it is traced.
    pub trace: Option<&'a str>,
}

#[derive(Serialize)]
struct NewRow<'a> {
    id: &'a str,
    partner: &'a str,
    quote_id: &'a str,
    programme: &'a str,
    member_id: &'a str,
    receiver: &'a str,
    miles: i64,
    rate: i64,
    points: i64,
    state: &'static str,
    debit_reference: &'a str,
    debit_sent_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    held: i64,
    fee: i64,
    fee_payer: &'static str,
    reference: Option<&'a str>,
}

macro_rules! events {
    ($rows:expr) => {
        concat!(
            "INSERT INTO conversion_events (conversion_id, from_state, to_state, note, at)
             SELECT value ->> 'id', value ->> 'from', value ->> 'to', value ->> 'note', $2 FROM ",
            $rows
        )
    };
}
macro_rules! insert {
    ($rows:expr) => {
        concat!(
            "INSERT INTO conversions (id, partner, quote_id, programme, member_id, receiver, miles,
                 micro_points_per_mile, micro_points, state, debit_reference, debit_sent_at,
                 created_at, updated_at, held_micro_points, fee_micro_points, fee_payer, reference)
             SELECT value ->> 'id', value ->> 'partner', value ->> 'quote_id', value ->> 'programme',
                 value ->> 'member_id', value ->> 'receiver', CAST(value ->> 'miles' AS BIGINT),
                 CAST(value ->> 'rate' AS BIGINT), CAST(value ->> 'points' AS BIGINT), value ->> 'state',
                 value ->> 'debit_reference', CAST(value ->> 'debit_sent_at' AS BIGINT),
                 CAST(value ->> 'created_at' AS BIGINT), CAST(value ->> 'updated_at' AS BIGINT),
                 CAST(value ->> 'held' AS BIGINT), CAST(value ->> 'fee' AS BIGINT), value ->> 'fee_payer', value ->> 'reference'
             FROM ",
            $rows
        )
    };
}
const INSERT_SQLITE: &str = insert!("json_each($1)");
/// With their jobs and their events: one message to the server.
const INSERT_POSTGRES: &str = concat!(
    "WITH given AS MATERIALIZED (SELECT value FROM ",
    given!("object"),
    "), new AS (",
    insert!("given"),
    "), jobs_of_them AS (
         INSERT INTO jobs (kind, name, due_at, created_at, owner, owned_until)
         SELECT $5, value ->> 'id', $2, $2, $3, $4 FROM given) ",
    events!("jsonb_array_elements($6::jsonb)")
);

/// Stores new conversions, what happened to them until now, and the jobs of moving them, claimed by a run.
pub async fn insert(
    connection: &mut Connection,
    new: &[New<'_>],
    run: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    let mut rows = Vec::with_capacity(new.len());
    for New { conversion, .. } in new {
        rows.push(NewRow {
            id: &conversion.id,
            partner: &conversion.partner,
            quote_id: &conversion.quote_id,
            programme: &conversion.programme,
            member_id: &conversion.member_id,
            receiver: &conversion.receiver,
            miles: to_sql(conversion.miles)?,
            rate: to_sql(conversion.rate.0)?,
            points: to_sql(conversion.points.0)?,
            state: conversion.state.name(),
            debit_reference: &conversion.debit_reference,
            debit_sent_at: conversion.debit_sent_at,
            created_at: conversion.created_at,
            updated_at: conversion.updated_at,
            held: to_sql(conversion.held.0)?,
            fee: to_sql(conversion.fee.points.0)?,
            fee_payer: conversion.fee.payer.name(),
            reference: conversion.reference.as_deref(),
        });
    }
    let traced: Vec<_> = new
        .iter()
        .map(|one| (one.conversion.id.as_str(), one.trace))
        .collect();
    traces::remember(connection, &traced).await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        let created = State::Created.name();
        events.push(Event::of(row.id, None, created));
        if row.state != created {
            events.push(Event::of(row.id, Some(created), row.state));
        }
    }
    let text = rows::json(&rows)?;
    if connection.is_postgres() {
        let statement = sqlx::query(INSERT_POSTGRES)
            .bind(text)
            .bind(now)
            .bind(run)
            .bind(jobs::claimed_until(now))
            .bind(Kind::Conversion.name())
            .bind(rows::json(&events)?);
        connection.tell(statement).await?;
        return Ok(());
    }
    let statement = sqlx::query(INSERT_SQLITE).bind(text);
    connection.tell(statement).await?;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    jobs::add_claimed(connection, Kind::Conversion, &ids, run, now).await?;
    add_events(connection, &events, now).await
}

/// A move of one conversion from one state to another, and what changes with it.
#[derive(Clone, Copy, Debug)]
pub struct Transition<'a> {
    /// Which; no other move of the same statement is of the same.
    pub id: &'a str,
    /// Where it must be.
    pub from: State,
    /// Through which it goes at the same moment, if not straight: an event tells of it, no row is ever there.
    pub via: Option<State>,
    /// Where it goes.
    pub to: State,
    /// What changes with it.
    pub change: &'a Change,
}

#[derive(Serialize)]
struct TransitionRow<'a> {
    id: &'a str,
    from: &'static str,
    via: Option<&'static str>,
    to: &'static str,
    partner_reference: Option<&'a str>,
    hash: Option<&'a str>,
    block: Option<i64>,
    code: Option<&'static str>,
    reason: Option<&'a str>,
    /// The kind of the job that is done with it, if it is.
    job: Option<&'static str>,
}

macro_rules! transition {
    ($rows:expr, $row:literal) => {
        concat!(
            "UPDATE conversions SET
                 state = value ->> 'to',
                 partner_reference = COALESCE(value ->> 'partner_reference', conversions.partner_reference),
                 issue_hash = COALESCE(value ->> 'hash', conversions.issue_hash),
                 issue_block = COALESCE(CAST(value ->> 'block' AS BIGINT), conversions.issue_block),
                 reason_code = COALESCE(value ->> 'code', conversions.reason_code),
                 reason = COALESCE(value ->> 'reason', conversions.reason),
                 attempts = 0, absent_reads = 0, updated_at = $2
             FROM ",
            $rows,
            " WHERE conversions.id = value ->> 'id' AND conversions.state = value ->> 'from' RETURNING ",
            $row
        )
    };
}
const TRANSITION_SQLITE: &str = transition!("json_each($1)", "*");
/// With the events, and without the jobs of those that are settled: one message to the server. What was asked for
/// stays beside each row that moved, so that it is read once.
const TRANSITION_POSTGRES: &str = concat!(
    "WITH moved AS (",
    transition!(given!("object"), "conversions AS row, value"),
    "), events_of_them AS (
         INSERT INTO conversion_events (conversion_id, from_state, to_state, note, at)
         SELECT id, from_state, to_state, note, $2 FROM (
             SELECT value ->> 'id' AS id, 1 AS step, value ->> 'from' AS from_state, value ->> 'via' AS to_state,
                 NULL AS note
             FROM moved WHERE value ->> 'via' IS NOT NULL
             UNION ALL
             SELECT value ->> 'id', 2, COALESCE(value ->> 'via', value ->> 'from'), value ->> 'to',
                 value ->> 'reason'
             FROM moved) AS steps ORDER BY step
     ), done AS (
         DELETE FROM jobs USING moved WHERE jobs.kind = value ->> 'job' AND jobs.name = value ->> 'id'
     ) SELECT (row).* FROM moved"
);

/// Moves conversions, each if it is still where it must be; takes out the jobs of those that are settled.
/// Gives those that moved, as they are now, by id.
pub async fn transition(
    connection: &mut Connection,
    moves: &[Transition<'_>],
    now: i64,
) -> Result<HashMap<String, Conversion>, sqlx::Error> {
    let mut rows = Vec::with_capacity(moves.len());
    for step in moves {
        let reason = step.change.reason.as_ref();
        let is_over = step.to.is_settled();
        rows.push(TransitionRow {
            id: step.id,
            from: step.from.name(),
            via: step.via.map(State::name),
            to: step.to.name(),
            partner_reference: step.change.partner_reference.as_deref(),
            hash: step.change.issue_hash.as_deref(),
            block: step.change.issue_block.map(to_sql).transpose()?,
            code: reason.map(|(code, _)| *code),
            reason: reason.map(|(_, reason)| reason.as_str()),
            job: is_over.then_some(Kind::Conversion.name()),
        });
    }
    let text = match connection.is_postgres() {
        true => TRANSITION_POSTGRES,
        false => TRANSITION_SQLITE,
    };
    let found = sqlx::query(text)
        .bind(rows::json(&rows)?)
        .bind(now)
        .fetch_all(&mut *connection)
        .await?;
    let mut moved = HashMap::with_capacity(found.len());
    for row in &found {
        let conversion = read(row)?;
        moved.insert(conversion.id.clone(), conversion);
    }
    if connection.is_postgres() {
        return Ok(moved);
    }
    let inside: Vec<_> = rows
        .iter()
        .filter(|row| moved.contains_key(row.id))
        .collect();
    let mut events = Vec::with_capacity(inside.len());
    for row in &inside {
        if let Some(via) = row.via {
            events.push(Event::of(row.id, Some(row.from), via));
        }
        events.push(Event {
            note: row.reason,
            ..Event::of(row.id, row.via.or(Some(row.from)), row.to)
        });
    }
    add_events(connection, &events, now).await?;
    let settled = inside.iter().filter(|row| row.job.is_some());
    let settled: Vec<_> = settled.map(|row| row.id).collect();
    if !settled.is_empty() {
        jobs::done_all(connection, Kind::Conversion, &settled).await?;
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

#[derive(Serialize)]
struct Event<'a> {
    id: &'a str,
    from: Option<&'static str>,
    to: &'static str,
    note: Option<&'a str>,
}

impl<'a> Event<'a> {
    const fn of(id: &'a str, from: Option<&'static str>, to: &'static str) -> Self {
        let note = None;
        Self { id, from, to, note }
    }
}

const EVENTS: &str = events!("json_each($1)");

/// On SQLite; on PostgreSQL they are written with what they tell of.
async fn add_events(
    connection: &mut Connection,
    events: &[Event<'_>],
    now: i64,
) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    let statement = sqlx::query(EVENTS).bind(rows::json(events)?).bind(now);
    connection.tell(statement).await
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
