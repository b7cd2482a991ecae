//! Packets seen, and how far each direction has looked.

use super::{Direction, Store, from_sql, hash_from_sql, to_sql};
use crate::Error;
use mileverse_primitives::{B256, Bytes};
use serde::Serialize;
use sqlx::{Row as _, sqlite::SqliteRow};

/// How far a direction has looked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// Next outbox index (to Ethereum) or next sequence (to the native chain).
    pub next: u64,
    /// To the native chain: first block that was not searched.
    pub search_block: u64,
    /// To the native chain: block of the last packet found.
    pub packet_block: u64,
}

/// A packet just found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewPacket {
    /// Sequence on its route.
    pub sequence: u64,
    /// Outbox index, or Ethereum block.
    pub place: u64,
    /// Its hash.
    pub commitment: B256,
    /// The packet.
    pub bytes: Bytes,
}

/// Whether a packet is delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RowState {
    /// No receipt.
    Waiting,
    /// A receipt that is not final.
    Landed,
    /// A receipt for ever.
    Done,
}

impl RowState {
    const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Landed => "landed",
            Self::Done => "done",
        }
    }
}

/// A packet that is not done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Row {
    /// Sequence on its route.
    pub sequence: u64,
    /// Outbox index, or Ethereum block.
    pub place: u64,
    /// Its hash.
    pub commitment: B256,
    /// The packet.
    pub bytes: Bytes,
    /// How often it was refused.
    pub attempts: u32,
}

/// How many packets a direction has, by state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// No receipt yet.
    pub waiting: u64,
    /// A receipt that is not final yet.
    pub landed: u64,
    /// Received, finally.
    pub received: u64,
    /// Expired, finally.
    pub expired: u64,
}

/// A packet that was refused and waits for another attempt.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetAside {
    /// Sequence on its route.
    pub sequence: u64,
    /// How often it was refused.
    pub attempts: u64,
    /// When it is tried again, milliseconds since 1970.
    pub not_before_ms: u64,
    /// Why it was refused.
    pub reason: String,
}

impl Store {
    /// How far a direction has looked; `first` if it never has.
    pub async fn position(&self, direction: Direction, first: Position) -> Result<Position, Error> {
        let row = sqlx::query(
            "SELECT next, search_block, packet_block FROM position WHERE direction = ?",
        )
        .bind(direction.word())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(first) };
        Ok(Position {
            next: from_sql(row.try_get(0)?)?,
            search_block: from_sql(row.try_get(1)?)?,
            packet_block: from_sql(row.try_get(2)?)?,
        })
    }

    /// Stores what was found and how far it was looked, both or neither.
    pub async fn advance(
        &self,
        direction: Direction,
        position: Position,
        found: &[NewPacket],
    ) -> Result<(), Error> {
        let mut transaction = self.pool.begin().await?;
        for packet in found {
            sqlx::query(
                "INSERT INTO packet (direction, sequence, place, commitment, bytes)
                 VALUES (?, ?, ?, ?, ?) ON CONFLICT (direction, sequence) DO NOTHING",
            )
            .bind(direction.word())
            .bind(to_sql(packet.sequence)?)
            .bind(to_sql(packet.place)?)
            .bind(packet.commitment.to_vec())
            .bind(packet.bytes.to_vec())
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query(
            "INSERT INTO position (direction, next, search_block, packet_block)
             VALUES (?, ?, ?, ?)
             ON CONFLICT (direction) DO UPDATE SET next = excluded.next,
                 search_block = excluded.search_block, packet_block = excluded.packet_block",
        )
        .bind(direction.word())
        .bind(to_sql(position.next)?)
        .bind(to_sql(position.search_block)?)
        .bind(to_sql(position.packet_block)?)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Packets without a receipt whose time has come, oldest first, and no later than `place`.
    pub async fn ready(
        &self,
        direction: Direction,
        place: u64,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        let rows = sqlx::query(
            "SELECT sequence, place, commitment, bytes, attempts FROM packet
             WHERE direction = ? AND state = 'waiting' AND state != 'done'
                 AND place <= ? AND not_before_ms <= ?
             ORDER BY sequence LIMIT ?",
        )
        .bind(direction.word())
        .bind(i64::try_from(place).unwrap_or(i64::MAX))
        .bind(to_sql(now_ms)?)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(row).collect()
    }

    /// Packets of exactly this length that are not done, oldest first.
    pub async fn of_length(&self, direction: Direction, length: usize) -> Result<Vec<Row>, Error> {
        let rows = sqlx::query(
            "SELECT sequence, place, commitment, bytes, attempts FROM packet
             WHERE direction = ? AND state != 'done' AND length(bytes) = ?
             ORDER BY sequence",
        )
        .bind(direction.word())
        .bind(i64::try_from(length).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(row).collect()
    }

    /// Sequences with a receipt that is not final yet, oldest first.
    pub async fn landed(&self, direction: Direction, limit: usize) -> Result<Vec<u64>, Error> {
        let rows = sqlx::query(
            "SELECT sequence FROM packet
             WHERE direction = ? AND state = 'landed' AND state != 'done'
             ORDER BY sequence LIMIT ?",
        )
        .bind(direction.word())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| from_sql(row.try_get(0)?)).collect()
    }

    /// Notes a packet's receipt (0 none, 1 received, 2 expired). What is done stays done.
    pub async fn note(
        &self,
        direction: Direction,
        sequence: u64,
        state: RowState,
        outcome: u8,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE packet SET state = ?1, outcome = ?2,
                 bytes = CASE ?1 WHEN 'done' THEN NULL ELSE bytes END,
                 reason = CASE ?1 WHEN 'waiting' THEN reason ELSE NULL END
             WHERE direction = ?3 AND sequence = ?4 AND state != 'done'",
        )
        .bind(state.word())
        .bind(i64::from(outcome))
        .bind(direction.word())
        .bind(to_sql(sequence)?)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Puts a refused packet aside until `not_before_ms`.
    pub async fn set_aside(
        &self,
        direction: Direction,
        sequence: u64,
        not_before_ms: u64,
        reason: &str,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE packet SET attempts = attempts + 1, not_before_ms = ?, reason = ?
             WHERE direction = ? AND sequence = ? AND state != 'done'",
        )
        .bind(to_sql(not_before_ms)?)
        .bind(reason)
        .bind(direction.word())
        .bind(to_sql(sequence)?)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// How often a packet was refused so far.
    pub async fn attempts(&self, direction: Direction, sequence: u64) -> Result<u32, Error> {
        let row = sqlx::query("SELECT attempts FROM packet WHERE direction = ? AND sequence = ?")
            .bind(direction.word())
            .bind(to_sql(sequence)?)
            .fetch_optional(&self.pool)
            .await?;
        let attempts = row.map(|row| row.try_get::<i64, _>(0)).transpose()?;
        Ok(u32::try_from(attempts.unwrap_or(0)).unwrap_or(u32::MAX))
    }

    /// Packets by state.
    pub async fn counts(&self, direction: Direction) -> Result<Counts, Error> {
        let rows = sqlx::query(
            "SELECT state, outcome, COUNT(*) FROM packet WHERE direction = ?
             GROUP BY state, outcome",
        )
        .bind(direction.word())
        .fetch_all(&self.pool)
        .await?;
        let mut counts = Counts::default();
        for row in rows {
            let number = from_sql(row.try_get(2)?)?;
            let slot = match (row.try_get::<&str, _>(0)?, row.try_get::<i64, _>(1)?) {
                ("waiting", _) => &mut counts.waiting,
                ("landed", _) => &mut counts.landed,
                (_, 2) => &mut counts.expired,
                _ => &mut counts.received,
            };
            *slot = slot.saturating_add(number);
        }
        Ok(counts)
    }

    /// Packets that were refused and wait, oldest first.
    pub async fn set_asides(
        &self,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<SetAside>, Error> {
        let rows = sqlx::query(
            "SELECT sequence, attempts, not_before_ms, reason FROM packet
             WHERE direction = ? AND state = 'waiting' AND reason IS NOT NULL
             ORDER BY sequence LIMIT ?",
        )
        .bind(direction.word())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(SetAside {
                    sequence: from_sql(row.try_get(0)?)?,
                    attempts: from_sql(row.try_get(1)?)?,
                    not_before_ms: from_sql(row.try_get(2)?)?,
                    reason: row.try_get(3)?,
                })
            })
            .collect()
    }
}

fn row(row: &SqliteRow) -> Result<Row, Error> {
    let bytes: Option<Vec<u8>> = row.try_get(3)?;
    Ok(Row {
        sequence: from_sql(row.try_get(0)?)?,
        place: from_sql(row.try_get(1)?)?,
        commitment: hash_from_sql(row.try_get(2)?)?,
        bytes: bytes
            .ok_or_else(|| Error::Damaged("an open packet has no bytes".into()))?
            .into(),
        attempts: u32::try_from(row.try_get::<i64, _>(4)?).unwrap_or(u32::MAX),
    })
}
