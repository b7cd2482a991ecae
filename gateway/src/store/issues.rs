//! Signed issue transactions. Storing one takes its nonce.

use super::{Store, from_sql, to_sql};
use sqlx::{AnyConnection, Row};

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
}

/// Takes the next nonce of an issuer: after every one that was taken, and not before the chain's.
/// The issuer's row stays locked until the transaction ends, so nonces are stored in order.
pub async fn take_nonce(
    connection: &mut AnyConnection,
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

/// Stores a signed transaction, before anybody else sees it.
pub async fn insert(
    connection: &mut AnyConnection,
    conversion: &str,
    transaction: &IssueTransaction,
    now: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO issue_transactions (issuer, nonce, conversion_id, hash, raw, outcome, created_at)
         VALUES ($1, $2, $3, $4, $5, 'pending', $6)",
    )
    .bind(&transaction.issuer)
    .bind(to_sql(transaction.nonce)?)
    .bind(conversion)
    .bind(&transaction.hash)
    .bind(transaction.raw.as_slice())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes what became of one.
pub async fn settle(
    connection: &mut AnyConnection,
    hash: &str,
    outcome: Outcome,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE issue_transactions SET outcome = $1 WHERE hash = $2")
        .bind(outcome.name())
        .bind(hash)
        .execute(connection)
        .await?;
    Ok(())
}

impl Store {
    /// The signed transactions of a conversion, by nonce.
    pub async fn issue_transactions(
        &self,
        conversion: &str,
    ) -> Result<Vec<IssueTransaction>, sqlx::Error> {
        let rows =
            sqlx::query("SELECT * FROM issue_transactions WHERE conversion_id = $1 ORDER BY nonce")
                .bind(conversion)
                .fetch_all(self.read())
                .await?;
        rows.iter()
            .map(|row| {
                let outcome: String = row.try_get("outcome")?;
                Ok(IssueTransaction {
                    issuer: row.try_get("issuer")?,
                    nonce: from_sql(row.try_get("nonce")?)?,
                    hash: row.try_get("hash")?,
                    raw: row.try_get("raw")?,
                    outcome: Outcome::parse(&outcome).ok_or_else(|| {
                        sqlx::Error::Decode(format!("unknown outcome {outcome}").into())
                    })?,
                })
            })
            .collect()
    }
}
