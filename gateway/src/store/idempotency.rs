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
use super::{Store, replicas};
use crate::store::Connection;
use sqlx::Row;
use sqlx::any::{AnyQueryResult, AnyRow};

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

const KEY_SQLITE: &str = "SELECT operation, fingerprint, owner, resource_id, status, body
     FROM idempotency_keys WHERE partner = $1 AND key = $2";
const KEY_POSTGRES: &str = "SELECT operation, fingerprint, owner, resource_id, status, body
     FROM idempotency_keys WHERE partner = $1 AND key = $2 FOR UPDATE";

impl Store {
    /// Claims a key for a run of the gateway.
    pub async fn claim_key(&self, key: &Key, claimant: Claimant<'_>) -> Result<Claim, sqlx::Error> {
        let mut write = self.write().await?;
        // Inserting first makes everybody else with this key wait here until it is decided.
        let inserted = sqlx::query(
            "INSERT INTO idempotency_keys (partner, key, operation, fingerprint, owner, created_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (partner, key) DO NOTHING",
        )
        .bind(&key.partner)
        .bind(&key.key)
        .bind(key.operation)
        .bind(&key.fingerprint)
        .bind(claimant.run)
        .bind(claimant.now)
        .execute(&mut *write)
        .await?;
        if inserted.rows_affected() == 1 {
            // If it is forgotten, so is all that was done under it.
            write.commit_lazily().await?;
            return Ok(Claim::Begin);
        }
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

/// Records what the request made, in the transaction that makes it.
pub async fn made(
    connection: &mut Connection,
    key: &Key,
    resource: &str,
) -> Result<(), sqlx::Error> {
    update(
        sqlx::query("UPDATE idempotency_keys SET resource_id = $1 WHERE partner = $2 AND key = $3 AND status IS NULL")
            .bind(resource)
            .bind(&key.partner)
            .bind(&key.key)
            .execute(connection)
            .await?,
    )
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

/// Records the answer unless there is one; gives the one that there is then.
pub async fn answer_once(
    connection: &mut Connection,
    key: &Key,
    answer: &Stored,
) -> Result<Stored, sqlx::Error> {
    let done = record_answer(&mut *connection, key, answer).await?;
    if done.rows_affected() == 1 {
        return Ok(answer.clone());
    }
    let row = sqlx::query(ANSWER)
        .bind(&key.partner)
        .bind(&key.key)
        .fetch_one(connection)
        .await?;
    stored(&row)
}

async fn record_answer(
    connection: &mut Connection,
    key: &Key,
    answer: &Stored,
) -> Result<AnyQueryResult, sqlx::Error> {
    sqlx::query("UPDATE idempotency_keys SET status = $1, body = $2, owner = '' WHERE partner = $3 AND key = $4 AND status IS NULL")
        .bind(i64::from(answer.status))
        .bind(answer.body.as_slice())
        .bind(&key.partner)
        .bind(&key.key)
        .execute(connection)
        .await
}

/// Records the answer; the first is the only one.
pub async fn answered(
    connection: &mut Connection,
    key: &Key,
    answer: &Stored,
) -> Result<(), sqlx::Error> {
    update(record_answer(connection, key, answer).await?)
}

fn update(done: AnyQueryResult) -> Result<(), sqlx::Error> {
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(sqlx::Error::RowNotFound)
    }
}
