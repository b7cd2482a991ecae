//! Quarterly rewards: slots of quarters, transactions for Ethereum, who was paid and who was told.

use super::jobs::{self, Kind};
use super::members::MemberRow;
use super::{Store, from_sql, members, to_sql};
use crate::rewards::slot::Slot;
use crate::store::Connection;
use mileverse_primitives::quarter::Quarter;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::collections::HashSet;

/// One slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotRow {
    /// Of which quarter.
    pub quarter: Quarter,
    /// What.
    pub slot: Slot,
    /// If it is not done by then it is late.
    pub late_at: i64,
    /// Operators have heard that it is late.
    pub alarmed: bool,
    /// `tell`: the last member who was looked at.
    pub reached: String,
    /// When it was done.
    pub done_at: Option<i64>,
}

/// What became of a transaction for Ethereum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Not known to be final.
    Pending,
    /// It succeeded, in a finalized block.
    Final,
    /// The chain ran and refused it, in a finalized block.
    Reverted,
    /// Its nonce went to another transaction, in a finalized block.
    Dead,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Final => "final",
            Self::Reverted => "reverted",
            Self::Dead => "dead",
        }
    }
}

/// One signed transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    /// Whose nonce.
    pub sender: String,
    /// Which.
    pub nonce: u64,
    /// 0, or how often the same was signed before, cheaper.
    pub attempt: u64,
    /// For which quarter.
    pub quarter: Quarter,
    /// For which slot.
    pub slot: Slot,
    /// `0x…`
    pub hash: String,
    /// What is broadcast, the same bytes every time.
    pub raw: Vec<u8>,
    /// When it was signed.
    pub created_at: i64,
}

/// Where a member's points went.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// Who linked it.
    pub partner: &'a str,
    /// Whose miles.
    pub programme: &'a str,
    /// The partner's id of the member.
    pub member: &'a str,
}

fn quarter(row: &AnyRow) -> Result<Quarter, sqlx::Error> {
    from_sql(row.try_get("quarter")?).map(Quarter::new)
}

fn slot(row: &AnyRow) -> Result<Slot, sqlx::Error> {
    let name: String = row.try_get("slot")?;
    Slot::parse(&name).ok_or_else(|| sqlx::Error::Decode(format!("unknown slot {name}").into()))
}

fn slot_row(row: &AnyRow) -> Result<SlotRow, sqlx::Error> {
    Ok(SlotRow {
        quarter: quarter(row)?,
        slot: slot(row)?,
        late_at: row.try_get("late_at")?,
        alarmed: row.try_get::<i64, _>("alarmed")? == 1,
        reached: row.try_get("reached")?,
        done_at: row.try_get("done_at")?,
    })
}

fn signed(row: &AnyRow) -> Result<Signed, sqlx::Error> {
    Ok(Signed {
        sender: row.try_get("sender")?,
        nonce: from_sql(row.try_get("nonce")?)?,
        attempt: from_sql(row.try_get("attempt")?)?,
        quarter: quarter(row)?,
        slot: slot(row)?,
        hash: row.try_get("hash")?,
        raw: row.try_get("raw")?,
        created_at: row.try_get("created_at")?,
    })
}

/// A slot is done, unless it was. Whether it was not; takes its job out either way.
pub async fn finish(
    connection: &mut Connection,
    quarter: Quarter,
    slot: Slot,
    now: i64,
) -> Result<bool, sqlx::Error> {
    jobs::done(connection, Kind::Reward, &slot.job(quarter)).await?;
    let done = sqlx::query(
        "UPDATE reward_slots SET done_at = $3 WHERE quarter = $1 AND slot = $2 AND done_at IS NULL",
    )
    .bind(to_sql(quarter.number())?)
    .bind(slot.name())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that operators hear of a slot that is late. Whether they had not yet.
pub async fn alarm(
    connection: &mut Connection,
    quarter: Quarter,
    slot: Slot,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE reward_slots SET alarmed = 1
         WHERE quarter = $1 AND slot = $2 AND alarmed = 0 AND done_at IS NULL",
    )
    .bind(to_sql(quarter.number())?)
    .bind(slot.name())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The highest nonce that is stored of a sender.
pub async fn last_nonce(
    connection: &mut Connection,
    sender: &str,
) -> Result<Option<u64>, sqlx::Error> {
    let last: Option<i64> =
        sqlx::query_scalar("SELECT MAX(nonce) FROM reward_transactions WHERE sender = $1")
            .bind(sender)
            .fetch_one(connection)
            .await?;
    last.map(from_sql).transpose()
}

/// Stores a signed transaction, before anybody else sees it. Whether its place was free.
pub async fn insert(
    connection: &mut Connection,
    transaction: &Signed,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO reward_transactions (sender, nonce, attempt, quarter, slot, hash, raw, outcome, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8) ON CONFLICT DO NOTHING",
    )
    .bind(&transaction.sender)
    .bind(to_sql(transaction.nonce)?)
    .bind(to_sql(transaction.attempt)?)
    .bind(to_sql(transaction.quarter.number())?)
    .bind(transaction.slot.name())
    .bind(&transaction.hash)
    .bind(transaction.raw.as_slice())
    .bind(transaction.created_at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that a member is told, unless it was told before or has left. Whether it is told now.
pub async fn tell(
    connection: &mut Connection,
    quarter: Quarter,
    member: &str,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO reward_told (quarter, member_id, at)
         SELECT CAST($1 AS BIGINT), id, CAST($3 AS BIGINT) FROM members WHERE id = $2 AND status <> 'left'
         ON CONFLICT DO NOTHING",
    )
    .bind(to_sql(quarter.number())?)
    .bind(member)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes how far telling members has come.
pub async fn reach(
    connection: &mut Connection,
    quarter: Quarter,
    member: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE reward_slots SET reached = $2
         WHERE quarter = $1 AND slot = 'tell' AND done_at IS NULL AND reached < $2",
    )
    .bind(to_sql(quarter.number())?)
    .bind(member)
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// The last quarter that has slots.
    pub async fn last_reward_quarter(&self) -> Result<Option<Quarter>, sqlx::Error> {
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(quarter) FROM reward_slots")
            .fetch_one(self.read())
            .await?;
        last.map(|last| from_sql(last).map(Quarter::new))
            .transpose()
    }

    /// Puts in the slots of a quarter, each with its job, due when the quarter ends. Slots that are
    /// there stay as they are. Whether there were none.
    pub async fn schedule_rewards(
        &self,
        quarter: Quarter,
        due_at: i64,
        late: &[(Slot, i64)],
        now: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut new = false;
        let mut write = self.write().await?;
        for (slot, late_at) in late {
            let done = sqlx::query(
                "INSERT INTO reward_slots (quarter, slot, late_at) VALUES ($1, $2, $3)
                 ON CONFLICT (quarter, slot) DO NOTHING",
            )
            .bind(to_sql(quarter.number())?)
            .bind(slot.name())
            .bind(*late_at)
            .execute(&mut *write)
            .await?;
            if done.rows_affected() == 1 {
                new = true;
                jobs::add(&mut write, Kind::Reward, &slot.job(quarter), due_at, now).await?;
            }
        }
        write.commit().await?;
        Ok(new)
    }

    /// One slot.
    pub async fn reward_slot(
        &self,
        quarter: Quarter,
        slot: Slot,
    ) -> Result<Option<SlotRow>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM reward_slots WHERE quarter = $1 AND slot = $2")
            .bind(to_sql(quarter.number())?)
            .bind(slot.name())
            .fetch_optional(self.read())
            .await?;
        row.map(|row| slot_row(&row)).transpose()
    }

    /// The slots of the newest quarters, by quarter and name.
    pub async fn reward_slots(&self, limit: u32) -> Result<Vec<SlotRow>, sqlx::Error> {
        let rows =
            sqlx::query("SELECT * FROM reward_slots ORDER BY quarter DESC, slot ASC LIMIT $1")
                .bind(i64::from(limit))
                .fetch_all(self.read())
                .await?;
        rows.iter().map(slot_row).collect()
    }

    /// How many slots of each kind are late now.
    pub async fn late_rewards(&self, now: i64) -> Result<Vec<(String, i64)>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT slot, COUNT(*) AS many FROM reward_slots
             WHERE done_at IS NULL AND late_at <= $1 GROUP BY slot",
        )
        .bind(now)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get("slot")?, row.try_get("many")?)))
            .collect()
    }

    /// The highest nonce that is stored of a sender, and its transactions whose outcome is not
    /// known, by nonce and attempt.
    pub async fn pending_rewards(
        &self,
        sender: &str,
    ) -> Result<(Option<u64>, Vec<Signed>), sqlx::Error> {
        let mut snapshot = self.snapshot().await?;
        let last = last_nonce(&mut snapshot, sender).await?;
        let rows = sqlx::query(
            "SELECT * FROM reward_transactions WHERE sender = $1 AND outcome = 'pending'
             ORDER BY nonce, attempt",
        )
        .bind(sender)
        .fetch_all(&mut snapshot)
        .await?;
        let pending = rows.iter().map(signed).collect::<Result<_, _>>()?;
        Ok((last, pending))
    }

    /// Notes what became of transactions.
    pub async fn settle_rewards(&self, settled: &[(String, Outcome)]) -> Result<(), sqlx::Error> {
        if settled.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        for (hash, outcome) in settled {
            sqlx::query(
                "UPDATE reward_transactions SET outcome = $2 WHERE hash = $1 AND outcome = 'pending'",
            )
            .bind(hash)
            .bind(outcome.name())
            .execute(&mut *write)
            .await?;
        }
        write.commit().await
    }

    /// How many transactions there are of each outcome.
    pub async fn reward_transactions(&self) -> Result<Vec<(String, i64)>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT outcome, COUNT(*) AS many FROM reward_transactions GROUP BY outcome ORDER BY outcome",
        )
        .fetch_all(self.scan())
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get("outcome")?, row.try_get("many")?)))
            .collect()
    }

    /// Holders who have what they earned on Ethereum for a quarter.
    pub async fn claimed_rewards(&self, quarter: Quarter) -> Result<HashSet<String>, sqlx::Error> {
        let holders: Vec<String> =
            sqlx::query_scalar("SELECT holder FROM reward_claims WHERE quarter = $1")
                .bind(to_sql(quarter.number())?)
                .fetch_all(self.scan())
                .await?;
        Ok(holders.into_iter().collect())
    }

    /// Notes who has what it earned on Ethereum: holder and wei. Who was noted before stays so.
    pub async fn store_reward_claims(
        &self,
        quarter: Quarter,
        claims: &[(String, String)],
        now: i64,
    ) -> Result<(), sqlx::Error> {
        if claims.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        for (holder, amount) in claims {
            sqlx::query(
                "INSERT INTO reward_claims (quarter, holder, amount, at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (quarter, holder) DO NOTHING",
            )
            .bind(to_sql(quarter.number())?)
            .bind(holder)
            .bind(amount)
            .bind(now)
            .execute(&mut *write)
            .await?;
        }
        write.commit().await
    }

    /// Members that have not left, by id, after one of them.
    pub async fn members_after(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<MemberRow>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM members WHERE id > $1 AND status <> 'left' ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(members::read).collect()
    }

    /// The addresses that a member's points went to, by address.
    pub async fn receivers_of(
        &self,
        whose: Whose<'_>,
        limit: u32,
    ) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT DISTINCT receiver FROM conversions
             WHERE partner = $1 AND programme = $2 AND member_id = $3
                 AND state IN ('completed', 'disputed', 'returned')
             ORDER BY receiver LIMIT $4",
        )
        .bind(whose.partner)
        .bind(whose.programme)
        .bind(whose.member)
        .bind(i64::from(limit))
        .fetch_all(self.scan())
        .await
    }
}
