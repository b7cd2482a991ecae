//! Signed transactions, kept from before their broadcast until their nonce is used up for ever.

use super::{Lane, RouteStore, from_sql, hash_from_sql, to_sql};
use crate::Error;
use mileverse_primitives::{Address, B256, Bytes};
use mileverse_wallet::transaction::Fees;
use sqlx::{Row as _, any::AnyRow};

/// What became of a transaction whose nonce is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// In a block, with success.
    Included,
    /// In a block, and refused there.
    Reverted,
    /// Another transaction used its nonce.
    Gone,
}

impl Outcome {
    /// As the database has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Included => "included",
            Self::Reverted => "reverted",
            Self::Gone => "gone",
        }
    }
}

/// A stored transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedRow {
    /// Its hash.
    pub hash: B256,
    /// Whose it is.
    pub account: Address,
    /// Its nonce.
    pub nonce: u64,
    /// Its gas limit.
    pub gas_limit: u64,
    /// What it offers for gas.
    pub fees: Fees,
    /// What is in it: sequences of packets, or numbers of swaps.
    pub packets: Vec<u64>,
    /// When it was signed.
    pub created_ms: u64,
    /// When it was last broadcast; 0 = not yet.
    pub broadcast_ms: u64,
    /// What became of it, once its nonce is used.
    pub outcome: Option<Outcome>,
}

/// What a transaction consists of: up to 128 KiB each, so only read where they are needed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payload {
    /// Its exact bytes.
    pub raw: Bytes,
    /// Its call data.
    pub input: Bytes,
}

impl RouteStore {
    /// Stores a transaction that nobody has seen yet.
    pub async fn store_signed(
        &self,
        lane: impl Into<Lane>,
        row: &SignedRow,
        payload: &Payload,
    ) -> Result<(), Error> {
        let (max, tip) = match row.fees {
            Fees::Legacy { price } => (price, None),
            Fees::Dynamic { max, tip } => (max, Some(tip)),
        };
        let packets = serde_json::to_string(&row.packets)
            .map_err(|error| Error::Damaged(error.to_string()))?;
        sqlx::query(
            "INSERT INTO signed (hash, route, lane, account, nonce, raw, input, gas_limit, max_fee,
                 tip, packets, created_ms, broadcast_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0)
             ON CONFLICT (hash) DO NOTHING",
        )
        .bind(row.hash.to_vec())
        .bind(self.id)
        .bind(lane.into().word())
        .bind(row.account.to_vec())
        .bind(to_sql(row.nonce)?)
        .bind(payload.raw.to_vec())
        .bind(payload.input.to_vec())
        .bind(to_sql(row.gas_limit)?)
        .bind(max.to_string())
        .bind(tip.map(|tip| tip.to_string()).unwrap_or_default())
        .bind(packets)
        .bind(to_sql(row.created_ms)?)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// All that is stored, by account, then by nonce, then by age.
    pub async fn signed(&self, lane: impl Into<Lane>) -> Result<Vec<SignedRow>, Error> {
        let rows = sqlx::query(
            "SELECT hash, nonce, gas_limit, max_fee, tip, packets, created_ms, broadcast_ms, outcome,
                 account
             FROM signed WHERE route = $1 AND lane = $2 ORDER BY account, nonce, number",
        )
        .bind(self.id)
        .bind(lane.into().word())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(signed_row).collect()
    }

    /// What a stored transaction consists of.
    pub async fn payload(&self, hash: B256) -> Result<Payload, Error> {
        let row = sqlx::query("SELECT raw, input FROM signed WHERE hash = $1")
            .bind(hash.to_vec())
            .fetch_optional(self.pool())
            .await?
            .ok_or_else(|| Error::Damaged(format!("transaction {hash} is gone")))?;
        Ok(Payload {
            raw: row.try_get::<Vec<u8>, _>(0)?.into(),
            input: row.try_get::<Vec<u8>, _>(1)?.into(),
        })
    }

    /// Notes a broadcast.
    pub async fn note_broadcast(&self, hash: B256, now_ms: u64) -> Result<(), Error> {
        sqlx::query("UPDATE signed SET broadcast_ms = $1 WHERE hash = $2")
            .bind(to_sql(now_ms)?)
            .bind(hash.to_vec())
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Notes what became of a transaction.
    pub async fn note_outcome(&self, hash: B256, outcome: Outcome) -> Result<(), Error> {
        sqlx::query("UPDATE signed SET outcome = $1 WHERE hash = $2")
            .bind(outcome.word())
            .bind(hash.to_vec())
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Forgets one transaction that no block will have.
    pub async fn forget_transaction(&self, hash: B256) -> Result<(), Error> {
        sqlx::query("DELETE FROM signed WHERE hash = $1")
            .bind(hash.to_vec())
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Forgets an account's transactions below a nonce that is used up for ever.
    pub async fn forget_signed(
        &self,
        lane: impl Into<Lane>,
        account: Address,
        below: u64,
    ) -> Result<(), Error> {
        sqlx::query(
            "DELETE FROM signed
             WHERE route = $1 AND lane = $2 AND account = $3 AND nonce < $4",
        )
        .bind(self.id)
        .bind(lane.into().word())
        .bind(account.to_vec())
        .bind(to_sql(below)?)
        .execute(self.pool())
        .await?;
        Ok(())
    }
}

fn signed_row(row: &AnyRow) -> Result<SignedRow, Error> {
    let damaged = |what: &str| Error::Damaged(format!("a transaction's {what} cannot be read"));
    let number = |column: usize| -> Result<Option<u128>, Error> {
        let text: &str = row.try_get(column)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| damaged("fee"))
    };
    let max = number(3)?.ok_or_else(|| damaged("fee"))?;
    let fees = match number(4)? {
        Some(tip) => Fees::Dynamic { max, tip },
        None => Fees::Legacy { price: max },
    };
    let outcome = match row.try_get::<Option<&str>, _>(8)? {
        None => None,
        Some("included") => Some(Outcome::Included),
        Some("reverted") => Some(Outcome::Reverted),
        Some(_) => Some(Outcome::Gone),
    };
    Ok(SignedRow {
        hash: hash_from_sql(row.try_get(0)?)?,
        account: Address::try_from(row.try_get::<&[u8], _>(9)?).map_err(|_| damaged("account"))?,
        nonce: from_sql(row.try_get(1)?)?,
        gas_limit: from_sql(row.try_get(2)?)?,
        fees,
        packets: serde_json::from_str(row.try_get(5)?).map_err(|_| damaged("list of packets"))?,
        created_ms: from_sql(row.try_get(6)?)?,
        broadcast_ms: from_sql(row.try_get(7)?)?,
        outcome,
    })
}
