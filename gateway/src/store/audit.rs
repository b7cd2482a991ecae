//! The audit log: what was done, by whom, for ever.
//!
//! Each row's hash is SHA-256 over its number, time, actor, verb, subject, detail and the hash
//! before it, each after its length in eight bytes, so that nothing can be changed, left out or put
//! in between without all later hashes being other ones. The database refuses changes too; the
//! chain shows those that went past it. Write a hash down elsewhere now and then: it vouches for
//! all before it.
//!
//! A row is the last thing that a transaction writes, for writers wait for each other here.

use super::Store;
use crate::keys::hex;
use crate::store::Connection;
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;

/// Rows that are verified at once.
const PAGE: i64 = 1_000;

/// One row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its number, from 1.
    pub seq: i64,
    /// When.
    pub at: i64,
    /// Who: an operator's name, or `gateway`, or `command line`.
    pub actor: String,
    /// What.
    pub verb: String,
    /// To which.
    pub subject: String,
    /// The rest, as it reads best.
    pub detail: String,
    /// Of the row before; empty for the first.
    pub previous_hash: String,
    /// Of this row.
    pub hash: String,
}

/// What is to be logged.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Who.
    pub actor: &'a str,
    /// What.
    pub verb: &'a str,
    /// To which.
    pub subject: &'a str,
    /// The rest.
    pub detail: &'a str,
}

fn hash(entry: &Entry) -> String {
    let mut hasher = Sha256::new();
    let (seq, at) = (entry.seq.to_string(), entry.at.to_string());
    for part in [
        seq.as_str(),
        &at,
        &entry.actor,
        &entry.verb,
        &entry.subject,
        &entry.detail,
        &entry.previous_hash,
    ] {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        hasher.update(length.to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex(&hasher.finalize())
}

fn read(row: &AnyRow) -> Result<Entry, sqlx::Error> {
    Ok(Entry {
        seq: row.try_get("seq")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        verb: row.try_get("verb")?,
        subject: row.try_get("subject")?,
        detail: row.try_get("detail")?,
        previous_hash: row.try_get("previous_hash")?,
        hash: row.try_get("hash")?,
    })
}

/// Logs something, in the transaction that does it, and after all else that it writes.
pub async fn log(
    connection: &mut Connection,
    event: &Event<'_>,
    now: i64,
) -> Result<(), sqlx::Error> {
    let head = sqlx::query("UPDATE audit_head SET seq = seq + 1 RETURNING seq, hash")
        .fetch_one(&mut *connection)
        .await?;
    let mut entry = Entry {
        seq: head.try_get("seq")?,
        at: now,
        actor: event.actor.to_owned(),
        verb: event.verb.to_owned(),
        subject: event.subject.to_owned(),
        detail: event.detail.to_owned(),
        previous_hash: head.try_get("hash")?,
        hash: String::new(),
    };
    entry.hash = hash(&entry);
    sqlx::query(
        "INSERT INTO audit_log (seq, at, actor, verb, subject, detail, previous_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(entry.seq)
    .bind(entry.at)
    .bind(&entry.actor)
    .bind(&entry.verb)
    .bind(&entry.subject)
    .bind(&entry.detail)
    .bind(&entry.previous_hash)
    .bind(&entry.hash)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE audit_head SET hash = $1")
        .bind(&entry.hash)
        .execute(connection)
        .await?;
    Ok(())
}

/// What verifying the log came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// Rows that hold, from the first.
    pub rows: i64,
    /// The hash of the last of them.
    pub hash: String,
    /// The first row that does not hold, if any.
    pub broken_at: Option<i64>,
}

impl Store {
    /// A page of the log, newest first.
    pub async fn audit_log(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Entry>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM audit_log WHERE seq < $1 ORDER BY seq DESC LIMIT $2")
            .bind(before.unwrap_or(i64::MAX))
            .bind(i64::from(limit))
            .fetch_all(self.read())
            .await?;
        rows.iter().map(read).collect()
    }

    /// Computes every hash anew.
    pub async fn verify_audit_log(&self) -> Result<Verified, sqlx::Error> {
        let mut snapshot = self.snapshot().await?;
        let mut verified = Verified {
            rows: 0,
            hash: String::new(),
            broken_at: None,
        };
        loop {
            let rows = sqlx::query("SELECT * FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2")
                .bind(verified.rows)
                .bind(PAGE)
                .fetch_all(&mut snapshot)
                .await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let entry = read(row)?;
                let next = verified.rows.saturating_add(1);
                let holds = entry.seq == next
                    && entry.previous_hash == verified.hash
                    && entry.hash == hash(&entry);
                if !holds {
                    verified.broken_at = Some(next);
                    return Ok(verified);
                }
                verified.rows = next;
                verified.hash = entry.hash;
            }
        }
        // Rows that were cut off at the end.
        let head = sqlx::query("SELECT seq, hash FROM audit_head")
            .fetch_one(&mut snapshot)
            .await?;
        let (seq, hash): (i64, String) = (head.try_get("seq")?, head.try_get("hash")?);
        if (seq, &hash) != (verified.rows, &verified.hash) {
            verified.broken_at = Some(verified.rows.saturating_add(1));
        }
        Ok(verified)
    }
}
