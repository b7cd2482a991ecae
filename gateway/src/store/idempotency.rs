//! Idempotency keys: one key, one effect, one answer.
//!
//! ```txt
//! no row      -> claimed by this run        (do the work)
//! answered    -> the stored answer          (byte for byte, for ever)
//! other body  -> refused
//! running, this run                         -> refused: wait
//! running, another run or nobody            -> taken over: resume what it made, or begin anew
//! ```
//!
//! A request that ended without effect and without a definite answer gives its key back.

use super::Store;
use sqlx::{Row, SqliteConnection};

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

impl Store {
    /// Claims a key for a run of the gateway.
    pub async fn claim_key(&self, key: &Key, run: &str, now: i64) -> Result<Claim, sqlx::Error> {
        let mut transaction = self.write().await?;
        let row = sqlx::query(
            "SELECT operation, fingerprint, owner, resource_id, status, body
             FROM idempotency_keys WHERE partner = ? AND key = ?",
        )
        .bind(&key.partner)
        .bind(&key.key)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else {
            sqlx::query(
                "INSERT INTO idempotency_keys (partner, key, operation, fingerprint, owner, created_at)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(&key.partner)
            .bind(&key.key)
            .bind(key.operation)
            .bind(&key.fingerprint)
            .bind(run)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            return Ok(Claim::Begin);
        };
        let operation: String = row.try_get("operation")?;
        let fingerprint: String = row.try_get("fingerprint")?;
        if operation != key.operation || fingerprint != key.fingerprint {
            return Ok(Claim::Other);
        }
        if let Some(status) = row.try_get::<Option<u16>, _>("status")? {
            return Ok(Claim::Answered(Stored {
                status,
                body: row.try_get("body")?,
            }));
        }
        if row.try_get::<String, _>("owner")? == run {
            return Ok(Claim::Running);
        }
        sqlx::query("UPDATE idempotency_keys SET owner = ? WHERE partner = ? AND key = ?")
            .bind(run)
            .bind(&key.partner)
            .bind(&key.key)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let resource: Option<String> = row.try_get("resource_id")?;
        Ok(resource.map_or(Claim::Begin, Claim::Resume))
    }

    /// Gives back a key that this run holds: forgotten if it made nothing, otherwise free to be
    /// resumed.
    pub async fn release_key(&self, key: &Key, run: &str) -> Result<(), sqlx::Error> {
        let mut transaction = self.write().await?;
        sqlx::query(
            "DELETE FROM idempotency_keys
             WHERE partner = ? AND key = ? AND owner = ? AND status IS NULL AND resource_id IS NULL",
        )
        .bind(&key.partner)
        .bind(&key.key)
        .bind(run)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE idempotency_keys SET owner = ''
             WHERE partner = ? AND key = ? AND owner = ? AND status IS NULL",
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
    connection: &mut SqliteConnection,
    key: &Key,
    resource: &str,
) -> Result<(), sqlx::Error> {
    update(
        sqlx::query("UPDATE idempotency_keys SET resource_id = ? WHERE partner = ? AND key = ? AND status IS NULL")
            .bind(resource)
            .bind(&key.partner)
            .bind(&key.key)
            .execute(connection)
            .await?,
    )
}

/// Records the answer; the first is the only one.
pub async fn answered(
    connection: &mut SqliteConnection,
    key: &Key,
    answer: &Stored,
) -> Result<(), sqlx::Error> {
    update(
        sqlx::query("UPDATE idempotency_keys SET status = ?, body = ?, owner = '' WHERE partner = ? AND key = ? AND status IS NULL")
            .bind(answer.status)
            .bind(&answer.body)
            .bind(&key.partner)
            .bind(&key.key)
            .execute(connection)
            .await?,
    )
}

fn update(done: sqlx::sqlite::SqliteQueryResult) -> Result<(), sqlx::Error> {
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(sqlx::Error::RowNotFound)
    }
}
