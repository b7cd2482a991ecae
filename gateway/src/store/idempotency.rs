//! Idempotency keys: one key, one effect, one answer.
//!
//! ```txt
//! no row      -> claimed by this run        (do the work)
//! answered    -> the stored answer          (byte for byte, for ever)
//! other body  -> refused
//! running, this run                         -> refused: wait
//! running, another run that is alive        -> refused: wait
//! running, a dead run or nobody             -> taken over: resume what it made, or begin anew
//! ```
//!
//! A request that ended without effect and without a definite answer gives its key back.

use super::jobs::Claimant;
use super::rows::{self, OverRows, given, over_rows};
use super::write::Commit;
use super::{Store, replicas};
use crate::store::Connection;
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::collections::HashSet;
use std::future::ready;

/// What a key names.
#[derive(Clone, Debug)]
pub struct Key {
    /// Whose it is; partners do not share keys.
    pub partner: String,
    /// As the caller sent it.
    pub key: String,
    /// Which operation.
    pub operation: &'static str,
    /// Of the request; see [`Caller::fingerprint`](crate::keys::Caller::fingerprint).
    pub fingerprint: String,
}

/// An answer as it was first given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// HTTP status.
    pub status: u16,
    /// The very bytes.
    pub body: Vec<u8>,
}

/// What a claim came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Claim {
    /// The caller of this function does the work now.
    Begin,
    /// Work was begun by somebody who is gone; it made this.
    Resume(String),
    /// Answered before.
    Answered(Stored),
    /// Somebody works on it now.
    Running,
    /// The key belongs to another request.
    Other,
}

#[derive(Serialize)]
struct NewRow<'a> {
    partner: &'a str,
    key: &'a str,
    operation: &'static str,
    fingerprint: &'a str,
}

macro_rules! insert {
    ($rows:expr) => {
        concat!(
            "INSERT INTO idempotency_keys (partner, key, operation, fingerprint, owner, created_at)
             SELECT value ->> 'partner', value ->> 'key', value ->> 'operation', value ->> 'fingerprint', $2, $3
             FROM ",
            $rows,
            " WHERE true ON CONFLICT (partner, key) DO NOTHING RETURNING partner, key"
        )
    };
}
const INSERT_SQLITE: &str = insert!("json_each($1)");
/// A transaction of its own, and not waited for the disk.
const INSERT_POSTGRES: &str = insert!(concat!(
    given!("object"),
    ", (SELECT set_config('synchronous_commit', 'off', true)) AS lazily"
));
const KEY_SQLITE: &str = "SELECT operation, fingerprint, owner, resource_id, status, body
     FROM idempotency_keys WHERE partner = $1 AND key = $2";
const KEY_POSTGRES: &str = "SELECT operation, fingerprint, owner, resource_id, status, body
     FROM idempotency_keys WHERE partner = $1 AND key = $2 FOR UPDATE";

impl Store {
    /// Claims keys that are new for a run of the gateway: for each whether it was, and the
    /// commit. Of one that is there twice, the first.
    pub async fn claim_new_keys(
        &self,
        keys: &[&Key],
        claimant: Claimant<'_>,
    ) -> Result<(Vec<bool>, Commit<sqlx::Error>), sqlx::Error> {
        let mut rows: Vec<_> = keys
            .iter()
            .map(|key| NewRow {
                partner: &key.partner,
                key: &key.key,
                operation: key.operation,
                fingerprint: &key.fingerprint,
            })
            .collect();
        // In one order everywhere, so that no two replicas wait for each other. The sort keeps the order of
        // equals: the first of them is stored.
        rows.sort_by_key(|row| (row.partner, row.key));
        let text = rows::json(&rows)?;
        // Inserting makes everybody else with such a key wait here until it is decided. If it is forgotten,
        // so is all that was done under it.
        let (found, last): (_, Commit<sqlx::Error>) = if self.is_shared() {
            let statement = sqlx::query(INSERT_POSTGRES)
                .bind(text)
                .bind(claimant.run)
                .bind(claimant.now);
            let found = self.alone(statement);
            (found.await?, Box::pin(ready(Ok(()))))
        } else {
            let mut write = self.write().await?;
            let found = sqlx::query(INSERT_SQLITE)
                .bind(text)
                .bind(claimant.run)
                .bind(claimant.now)
                .fetch_all(&mut *write)
                .await?;
            (found, Box::pin(write.commit_lazily()))
        };
        let mut new = named(&found)?;
        let name = |key: &Key| (key.partner.clone(), key.key.clone());
        let new = keys.iter().map(|key| new.remove(&name(key))).collect();
        Ok((new, last))
    }

    /// Claims a key that was there for a run of the gateway.
    pub async fn claim_key(&self, key: &Key, claimant: Claimant<'_>) -> Result<Claim, sqlx::Error> {
        let mut write = self.write().await?;
        let row = sqlx::query(self.dialect(KEY_SQLITE, KEY_POSTGRES))
            .bind(&key.partner)
            .bind(&key.key)
            .fetch_optional(&mut *write)
            .await?;
        let Some(row) = row else {
            // It was given back this moment; the caller asks again.
            return Ok(Claim::Running);
        };
        let operation: String = row.try_get("operation")?;
        let fingerprint: String = row.try_get("fingerprint")?;
        if operation != key.operation || fingerprint != key.fingerprint {
            return Ok(Claim::Other);
        }
        if row.try_get::<Option<i64>, _>("status")?.is_some() {
            // The answer may share this commit: nobody hears it before it is on the disk.
            write.commit().await?;
            return Ok(Claim::Answered(stored(&row)?));
        }
        let owner: String = row.try_get("owner")?;
        if owner == claimant.run
            || replicas::is_alive(&mut write, &owner, claimant.alive_since).await?
        {
            return Ok(Claim::Running);
        }
        sqlx::query("UPDATE idempotency_keys SET owner = $1 WHERE partner = $2 AND key = $3")
            .bind(claimant.run)
            .bind(&key.partner)
            .bind(&key.key)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        let resource: Option<String> = row.try_get("resource_id")?;
        Ok(resource.map_or(Claim::Begin, Claim::Resume))
    }

    /// The answer to a key, if there is one.
    pub async fn stored_answer(&self, key: &Key) -> Result<Option<Stored>, sqlx::Error> {
        let row = sqlx::query(ANSWER)
            .bind(&key.partner)
            .bind(&key.key)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| stored(&row)).transpose()
    }

    /// Gives back a key that this run holds: forgotten if it made nothing, otherwise free to be
    /// resumed.
    pub async fn release_key(&self, key: &Key, run: &str) -> Result<(), sqlx::Error> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "DELETE FROM idempotency_keys
             WHERE partner = $1 AND key = $2 AND owner = $3 AND status IS NULL AND resource_id IS NULL",
        )
        .bind(&key.partner)
        .bind(&key.key)
        .bind(run)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE idempotency_keys SET owner = ''
             WHERE partner = $1 AND key = $2 AND owner = $3 AND status IS NULL",
        )
        .bind(&key.partner)
        .bind(&key.key)
        .bind(run)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }
}

fn named(rows: &[AnyRow]) -> Result<HashSet<(String, String)>, sqlx::Error> {
    rows.iter()
        .map(|row| Ok((row.try_get("partner")?, row.try_get("key")?)))
        .collect()
}

#[derive(Serialize)]
struct MadeRow<'a> {
    partner: &'a str,
    key: &'a str,
    resource: &'a str,
}

const MADE: OverRows = over_rows!(
    "UPDATE idempotency_keys SET resource_id = value ->> 'resource' FROM",
    "WHERE idempotency_keys.partner = value ->> 'partner' AND idempotency_keys.key = value ->> 'key'
         AND idempotency_keys.status IS NULL"
);

/// Records what requests made, in the transaction that makes it.
pub async fn made(connection: &mut Connection, made: &[(&Key, &str)]) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = made
        .iter()
        .map(|(key, resource)| MadeRow {
            partner: &key.partner,
            key: &key.key,
            resource,
        })
        .collect();
    let done = sqlx::query(connection.over(MADE))
        .bind(rows::json(&rows)?)
        .execute(connection)
        .await?;
    all_of(made.len(), done.rows_affected())
}

const ANSWER: &str = "SELECT status, body FROM idempotency_keys
     WHERE partner = $1 AND key = $2 AND status IS NOT NULL";

fn stored(row: &AnyRow) -> Result<Stored, sqlx::Error> {
    let status: i64 = row.try_get("status")?;
    Ok(Stored {
        status: u16::try_from(status).map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        body: row.try_get("body")?,
    })
}

/// An answer to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The request.
    pub key: &'a Key,
    /// What it made, if that is not recorded yet.
    pub made: Option<&'a str>,
    /// The answer: JSON.
    pub answer: &'a Stored,
}

#[derive(Serialize)]
struct AnswerRow<'a> {
    partner: &'a str,
    key: &'a str,
    resource: Option<&'a str>,
    status: u16,
    body: &'a str,
}

/// What both texts of the statement have; they differ in how text becomes bytes.
macro_rules! answers {
    ($body:literal, $rows:expr) => {
        concat!(
            "UPDATE idempotency_keys SET owner = '', status = CAST(value ->> 'status' AS BIGINT), body = ",
            $body,
            ", resource_id = COALESCE(value ->> 'resource', idempotency_keys.resource_id) FROM ",
            $rows,
            " WHERE idempotency_keys.partner = value ->> 'partner' AND idempotency_keys.key = value ->> 'key'
                 AND idempotency_keys.status IS NULL
             RETURNING partner, key"
        )
    };
}
const ANSWERS: OverRows = OverRows {
    sqlite: answers!("CAST(value ->> 'body' AS BLOB)", "json_each($1)"),
    postgres: answers!("convert_to(value ->> 'body', 'UTF8')", given!("object")),
};

/// Records answers, each unless there is one. Gives the keys, by partner and key, whose answers they are now.
pub async fn answer(
    connection: &mut Connection,
    answers: &[Answered<'_>],
) -> Result<HashSet<(String, String)>, sqlx::Error> {
    let mut rows = Vec::with_capacity(answers.len());
    for Answered { key, made, answer } in answers {
        rows.push(AnswerRow {
            partner: &key.partner,
            key: &key.key,
            resource: *made,
            status: answer.status,
            body: str::from_utf8(&answer.body)
                .map_err(|error| sqlx::Error::Encode(error.into()))?,
        });
    }
    let found = sqlx::query(connection.over(ANSWERS))
        .bind(rows::json(&rows)?)
        .fetch_all(connection)
        .await?;
    named(&found)
}

/// Records an answer unless there is one; gives the one that there is then.
pub async fn answer_once(
    connection: &mut Connection,
    key: &Key,
    answer: &Stored,
) -> Result<Stored, sqlx::Error> {
    let ours = Answered {
        key,
        made: None,
        answer,
    };
    if !self::answer(connection, &[ours]).await?.is_empty() {
        return Ok(answer.clone());
    }
    let row = sqlx::query(ANSWER)
        .bind(&key.partner)
        .bind(&key.key)
        .fetch_one(connection)
        .await?;
    stored(&row)
}

/// Records what requests made and their answers, in the transaction that makes it; the first is the only one.
pub async fn answered(
    connection: &mut Connection,
    answers: &[Answered<'_>],
) -> Result<(), sqlx::Error> {
    let done = answer(connection, answers).await?;
    all_of(answers.len(), done.len() as u64)
}

fn all_of(wanted: usize, done: u64) -> Result<(), sqlx::Error> {
    if done == wanted as u64 {
        Ok(())
    } else {
        Err(sqlx::Error::RowNotFound)
    }
}
