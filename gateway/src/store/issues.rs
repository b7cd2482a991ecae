//! Signed issue transactions. Storing one takes its nonce.
//!
//! One that issues for several conversions has an entry for each in `issue_entries`; what became of
//! an entry is its conversion's state, what became of the whole is the transaction's outcome.

use super::rows::{self, OverRows, over_rows};
use super::{Store, from_sql, to_sql};
use crate::store::Connection;
use serde::Serialize;
use sqlx::Row;

/// What became of a signed transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Not known yet.
    Pending,
    /// It issued.
    Mined,
    /// The chain ran it and refused it.
    Reverted,
    /// Its nonce went to another transaction.
    Dead,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Mined => "mined",
            Self::Reverted => "reverted",
            Self::Dead => "dead",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Mined, Self::Reverted, Self::Dead]
            .into_iter()
            .find(|outcome| outcome.name() == name)
    }
}

/// One signed transaction.
#[derive(Clone, Debug)]
pub struct IssueTransaction {
    /// Whose nonce.
    pub issuer: String,
    /// Which.
    pub nonce: u64,
    /// `0x…`
    pub hash: String,
    /// What is broadcast, the same bytes every time.
    pub raw: Vec<u8>,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether it issues for several conversions, each by itself.
    pub batch: bool,
}

/// One conversion of those that a transaction issues for.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Which.
    pub id: String,
    /// Its name on the chain, `0x…`.
    pub name: String,
}

/// Takes the next nonce of an issuer: after every one that was taken, and not before the chain's.
/// The issuer's row stays locked until the transaction ends, so nonces are stored in order.
pub async fn take_nonce(
    connection: &mut Connection,
    issuer: &str,
    chain_nonce: u64,
) -> Result<u64, sqlx::Error> {
    let taken: i64 = sqlx::query_scalar(
        "INSERT INTO issuers (address, next_nonce) VALUES ($1, $2 + 1)
         ON CONFLICT (address) DO UPDATE SET next_nonce =
             CASE WHEN issuers.next_nonce > $2 THEN issuers.next_nonce ELSE $2 END + 1
         RETURNING next_nonce - 1",
    )
    .bind(issuer)
    .bind(to_sql(chain_nonce)?)
    .fetch_one(connection)
    .await?;
    from_sql(taken)
}

/// Stores a signed transaction and the conversions that it issues for, before anybody else sees it.
pub async fn insert(
    connection: &mut Connection,
    transaction: &IssueTransaction,
    entries: &[Entry],
    now: i64,
) -> Result<(), sqlx::Error> {
    let conversion = match entries.first() {
        Some(first) => &first.id,
        None => return Err(sqlx::Error::Encode("an issue for nobody".into())),
    };
    let statement = sqlx::query(
        "INSERT INTO issue_transactions (issuer, nonce, conversion_id, hash, raw, outcome, created_at)
         VALUES ($1, $2, $3, $4, $5, 'pending', $6)",
    )
    .bind(&transaction.issuer)
    .bind(to_sql(transaction.nonce)?)
    .bind(conversion)
    .bind(&transaction.hash)
    .bind(transaction.raw.as_slice())
    .bind(now);
    connection.tell(statement).await?;
    if entries.len() > 1 {
        let statement = sqlx::query(connection.over(ENTRIES))
            .bind(rows::json(entries)?)
            .bind(&transaction.hash);
        connection.tell(statement).await?;
    }
    Ok(())
}

const ENTRIES: OverRows = over_rows!(
    "INSERT INTO issue_entries (hash, name, conversion_id)
     SELECT $2, value ->> 'name', value ->> 'id' FROM"
);

/// Notes what became of one. Where it is noted already nothing is written: many conversions may say
/// so of one transaction at once, and none must wait for another's commit.
pub async fn settle(
    connection: &mut Connection,
    hash: &str,
    outcome: Outcome,
) -> Result<(), sqlx::Error> {
    let statement =
        sqlx::query("UPDATE issue_transactions SET outcome = $1 WHERE hash = $2 AND outcome <> $1")
            .bind(outcome.name())
            .bind(hash);
    connection.tell(statement).await
}

impl Store {
    /// The signed transactions of a conversion, by nonce.
    pub async fn issue_transactions(
        &self,
        conversion: &str,
    ) -> Result<Vec<IssueTransaction>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT t.issuer, t.nonce, t.hash, t.raw, t.outcome,
                 CAST(CASE WHEN EXISTS (SELECT 1 FROM issue_entries e WHERE e.hash = t.hash)
                     THEN 1 ELSE 0 END AS BIGINT) AS batch
             FROM issue_transactions t WHERE t.hash IN (
                 SELECT hash FROM issue_transactions WHERE conversion_id = $1
                 UNION SELECT hash FROM issue_entries WHERE conversion_id = $1)
             ORDER BY t.nonce",
        )
        .bind(conversion)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                let outcome: String = row.try_get("outcome")?;
                let batch: i64 = row.try_get("batch")?;
                Ok(IssueTransaction {
                    issuer: row.try_get("issuer")?,
                    nonce: from_sql(row.try_get("nonce")?)?,
                    hash: row.try_get("hash")?,
                    raw: row.try_get("raw")?,
                    outcome: Outcome::parse(&outcome).ok_or_else(|| {
                        sqlx::Error::Decode(format!("unknown outcome {outcome}").into())
                    })?,
                    batch: batch == 1,
                })
            })
            .collect()
    }
}
