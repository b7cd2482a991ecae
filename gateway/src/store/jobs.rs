//! Due work: one row for each thing that is still to be done.
//!
//! ```txt
//! (kind, name)   what; unique, so that the same slot is never filled twice
//! due_at         not before
//! owner          the run that does it; empty when nobody does
//! owned_until    after this anybody may take it
//! ```
//!
//! A job is put in by the transaction that makes the work, claimed for [`CLAIM_MS`], and taken out
//! by the transaction that does it. A claim of a run that is dead counts for nothing. PostgreSQL
//! skips rows that another replica is claiming at that moment.

use super::Store;
use super::rows::{self, OverRows, over_tuples};
use crate::store::Connection;
use serde::Serialize;
use sqlx::Row;

/// How long a claim holds. Longer than any one step takes.
pub const CLAIM_MS: i64 = 120_000;
/// An error is noted up to here.
const MAX_ERROR_CHARS: usize = 300;

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Move a conversion.
    Conversion,
    /// Begin a top-up of a partner's float, which is low.
    TopUp,
    /// Tell an endpoint of an event.
    Webhook,
    /// Set partner, journal and chain beside each other.
    Reconciliation,
    /// Do what a quarter's rewards need.
    Reward,
    /// Send points out of a wallet that the gateway keeps.
    Withdrawal,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Conversion,
        Self::TopUp,
        Self::Webhook,
        Self::Reconciliation,
        Self::Reward,
        Self::Withdrawal,
    ];

    /// As stored and as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conversion => "conversion",
            Self::TopUp => "top_up",
            Self::Webhook => "webhook",
            Self::Reconciliation => "reconciliation",
            Self::Reward => "reward",
            Self::Withdrawal => "withdrawal",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Which jobs somebody does: what partners' endpoints take their time for must not hold up money.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lane {
    /// All but webhooks.
    Money,
    /// Webhooks.
    Webhooks,
}

/// One job that was claimed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Job {
    /// What.
    pub kind: Kind,
    /// Of which.
    pub name: String,
    /// Tries so far that led nowhere.
    pub attempts: u32,
}

/// One job as an operator sees it.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// What.
    pub kind: String,
    /// Of which.
    pub name: String,
    /// Not before.
    pub due_at: i64,
    /// Tries so far that led nowhere.
    pub attempts: i64,
    /// The run that does it.
    pub owner: String,
    /// Why the last try led nowhere.
    pub last_error: Option<String>,
}

/// Who claims, and when.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// The run.
    pub run: &'a str,
    /// Now.
    pub now: i64,
    /// Runs not heard of since then are dead.
    pub alive_since: i64,
}

/// Puts a job in. If it is there already, it stays as it is.
pub async fn add(
    connection: &mut Connection,
    kind: Kind,
    name: &str,
    due_at: i64,
    now: i64,
) -> Result<(), sqlx::Error> {
    add_all(connection, kind, &[name], due_at, now).await
}

/// Puts several jobs of a kind in. One that is there already stays as it is.
pub async fn add_all(
    connection: &mut Connection,
    kind: Kind,
    names: &[impl Serialize],
    due_at: i64,
    now: i64,
) -> Result<(), sqlx::Error> {
    insert(connection, kind, names, (due_at, now), ("", 0)).await
}

/// Puts jobs in that this run does at once.
pub async fn add_claimed(
    connection: &mut Connection,
    kind: Kind,
    names: &[impl Serialize],
    run: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    insert(
        connection,
        kind,
        names,
        (now, now),
        (run, claimed_until(now)),
    )
    .await
}

/// Until when a claim of this moment holds.
pub const fn claimed_until(now: i64) -> i64 {
    now.saturating_add(CLAIM_MS)
}

const INSERT: OverRows = over_tuples!(
    "INSERT INTO jobs (kind, name, due_at, created_at, owner, owned_until)
     SELECT $2, value ->> 0, $3, $4, $5, $6 FROM",
    "WHERE true ON CONFLICT (kind, name) DO NOTHING"
);

async fn insert(
    connection: &mut Connection,
    kind: Kind,
    names: &[impl Serialize],
    (due_at, now): (i64, i64),
    (owner, owned_until): (&str, i64),
) -> Result<(), sqlx::Error> {
    let names: Vec<_> = names.iter().map(|name| [name]).collect();
    let statement = sqlx::query(connection.over(INSERT))
        .bind(rows::json(&names)?)
        .bind(kind.name())
        .bind(due_at)
        .bind(now)
        .bind(owner)
        .bind(owned_until);
    connection.tell(statement).await
}

// The kind is in the rows, so that each job is looked up by both.
const DONE: OverRows = over_tuples!(
    "DELETE FROM jobs WHERE (kind, name) IN (SELECT value ->> 0, value ->> 1 FROM",
    ")"
);

/// Takes a job out: it is done.
pub async fn done(connection: &mut Connection, kind: Kind, name: &str) -> Result<(), sqlx::Error> {
    done_all(connection, kind, &[name]).await
}

/// Takes several jobs of a kind out.
pub async fn done_all(
    connection: &mut Connection,
    kind: Kind,
    names: &[impl Serialize],
) -> Result<(), sqlx::Error> {
    let names: Vec<_> = names.iter().map(|name| (kind.name(), name)).collect();
    let statement = sqlx::query(connection.over(DONE)).bind(rows::json(&names)?);
    connection.tell(statement).await
}

/// Puts a claimed job back, to be done later.
pub async fn put_back(
    connection: &mut Connection,
    kind: Kind,
    name: &str,
    run: &str,
    due_at: i64,
    error: Option<&str>,
) -> Result<(), sqlx::Error> {
    let error: Option<String> = error.map(|error| error.chars().take(MAX_ERROR_CHARS).collect());
    sqlx::query(
        "UPDATE jobs SET owner = '', owned_until = 0, due_at = $4, attempts = attempts + 1, last_error = $5
         WHERE kind = $1 AND name = $2 AND owner = $3",
    )
    .bind(kind.name())
    .bind(name)
    .bind(run)
    .bind(due_at)
    .bind(error)
    .execute(connection)
    .await?;
    Ok(())
}

const FREE: &str = "SELECT 1 FROM jobs
     WHERE due_at <= $1 AND (kind = 'webhook') = $3 AND (owner = '' OR owned_until < $1
        OR owner NOT IN (SELECT run FROM replicas WHERE seen_at >= $2)) LIMIT 1";
const CLAIM_SQLITE: &str = "UPDATE jobs SET owner = $3, owned_until = $4
     WHERE (kind, name) IN (SELECT kind, name FROM jobs
         WHERE due_at <= $1 AND (kind = 'webhook') = $6 AND (owner = '' OR owned_until < $1
            OR owner NOT IN (SELECT run FROM replicas WHERE seen_at >= $2))
         ORDER BY due_at LIMIT $5)
     RETURNING kind, name, attempts";
const CLAIM_POSTGRES: &str = "UPDATE jobs SET owner = $3, owned_until = $4
     WHERE (kind, name) IN (SELECT kind, name FROM jobs
         WHERE due_at <= $1 AND (kind = 'webhook') = $6 AND (owner = '' OR owned_until < $1
            OR owner NOT IN (SELECT run FROM replicas WHERE seen_at >= $2))
         ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED)
     RETURNING kind, name, attempts";

impl Store {
    /// Claims jobs of a lane that are due and that nobody alive does, longest due first.
    pub async fn claim_jobs(
        &self,
        claimant: Claimant<'_>,
        lane: Lane,
        limit: u32,
    ) -> Result<Vec<Job>, sqlx::Error> {
        // Looking costs no writer's turn; mostly there is nothing.
        let free: Option<i32> = sqlx::query_scalar(FREE)
            .bind(claimant.now)
            .bind(claimant.alive_since)
            .bind(lane == Lane::Webhooks)
            .fetch_optional(self.read())
            .await?;
        if free.is_none() {
            return Ok(Vec::new());
        }
        let mut write = self.write().await?;
        let rows = sqlx::query(self.dialect(CLAIM_SQLITE, CLAIM_POSTGRES))
            .bind(claimant.now)
            .bind(claimant.alive_since)
            .bind(claimant.run)
            .bind(claimant.now.saturating_add(CLAIM_MS))
            .bind(i64::from(limit))
            .bind(lane == Lane::Webhooks)
            .fetch_all(&mut *write)
            .await?;
        write.commit().await?;
        rows.iter()
            .map(|row| {
                let kind: String = row.try_get("kind")?;
                let kind = Kind::parse(&kind).ok_or_else(|| {
                    sqlx::Error::Decode(format!("unknown kind of job {kind}").into())
                })?;
                let attempts: i64 = row.try_get("attempts")?;
                Ok(Job {
                    kind,
                    name: row.try_get("name")?,
                    attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                })
            })
            .collect()
    }

    /// Puts a claimed job back outside any other transaction.
    pub async fn put_job_back(
        &self,
        kind: Kind,
        name: &str,
        run: &str,
        due_at: i64,
        error: Option<&str>,
    ) -> Result<(), sqlx::Error> {
        let mut write = self.write().await?;
        put_back(&mut write, kind, name, run, due_at, error).await?;
        write.commit().await
    }

    /// Makes a job due now, for an operator who does not want to wait. Whether there is one.
    pub async fn hasten_job(&self, kind: Kind, name: &str, now: i64) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let done = sqlx::query("UPDATE jobs SET due_at = $3 WHERE kind = $1 AND name = $2")
            .bind(kind.name())
            .bind(name)
            .bind(now)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Makes the inquiry or the reversal of a conversion's debit due now, if it waits and has led nowhere
    /// fewer times than this. Whether it is.
    pub async fn hint_job(
        &self,
        kind: Kind,
        name: &str,
        programme: &str,
        tries: u32,
        now: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let done = sqlx::query(
            "UPDATE jobs SET due_at = $4
             WHERE kind = $1 AND name = $2 AND owner = '' AND due_at > $4 AND attempts < $5
               AND EXISTS (SELECT 1 FROM conversions WHERE id = $2 AND programme = $3
                   AND state IN ('debit_unknown', 'reversing', 'disputed'))",
        )
        .bind(kind.name())
        .bind(name)
        .bind(programme)
        .bind(now)
        .bind(i64::from(tries))
        .execute(&mut *write)
        .await?;
        // If it is forgotten, it is due later.
        write.commit_lazily().await?;
        Ok(done.rows_affected() == 1)
    }

    /// How many jobs of each kind wait, and how many of them were due before a moment.
    pub async fn job_counts(&self, before: i64) -> Result<Vec<(Kind, i64, i64)>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT kind, COUNT(*) AS waiting,
                 CAST(SUM(CASE WHEN due_at < $1 THEN 1 ELSE 0 END) AS BIGINT) AS late
             FROM jobs GROUP BY kind",
        )
        .bind(before)
        .fetch_all(self.scan())
        .await?;
        let mut counts: Vec<_> = Kind::ALL.into_iter().map(|kind| (kind, 0, 0)).collect();
        for row in rows {
            let name: String = row.try_get("kind")?;
            for (kind, waiting, late) in &mut counts {
                if kind.name() == name {
                    (*waiting, *late) = (row.try_get("waiting")?, row.try_get("late")?);
                }
            }
        }
        Ok(counts)
    }

    /// What waits, by when it is due.
    pub async fn waiting_jobs(&self, limit: u32) -> Result<Vec<Waiting>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT kind, name, due_at, attempts, owner, last_error FROM jobs
             ORDER BY due_at LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Waiting {
                    kind: row.try_get("kind")?,
                    name: row.try_get("name")?,
                    due_at: row.try_get("due_at")?,
                    attempts: row.try_get("attempts")?,
                    owner: row.try_get("owner")?,
                    last_error: row.try_get("last_error")?,
                })
            })
            .collect()
    }
}
