//! Packets seen, and how far each direction has looked.
//!
//! Whoever asks for packets to deliver gets them in two *lanes*: the oldest, and the newest. A
//! batch takes from both, so that a backlog does not keep fresh packets waiting, nor they it.

use super::{Direction, RouteStore, from_sql, hash_from_sql, limit_to_sql, to_sql};
use crate::Error;
use mileverse_primitives::{B256, Bytes, packet};
use serde::Serialize;
use sqlx::{Row as _, any::AnyRow};
use std::collections::HashSet;

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
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RowState {
    /// No receipt.
    Waiting,
    /// A receipt that is not final.
    Landed,
    /// A receipt for ever.
    Done,
}

impl RowState {
    fn from_word(word: &str) -> Self {
        match word {
            "waiting" => Self::Waiting,
            "landed" => Self::Landed,
            _ => Self::Done,
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
    /// When it was found, milliseconds since 1970.
    pub found_ms: u64,
}

/// Everything that is known of a packet, for people who ask.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PacketRow {
    /// Sequence on its route.
    pub sequence: u64,
    /// Outbox index, or Ethereum block.
    pub place: u64,
    /// `transfer`, `swap` (a transfer that is swapped where it arrives), `expiry`, `swapExpiry`,
    /// `acknowledgement` or `rotation`.
    pub kind: &'static str,
    /// Whether its sender wants an acknowledgement.
    pub acknowledge: bool,
    /// Its hash.
    pub commitment: B256,
    /// Where it is.
    pub state: RowState,
    /// Its receipt: 0 none, 1 received, 2 expired.
    pub outcome: u8,
    /// How often it was refused.
    pub attempts: u64,
    /// Not tried before this, milliseconds since 1970.
    pub not_before_ms: u64,
    /// Why it waits, if the relayer knows.
    pub reason: Option<String>,
    /// When it was found.
    pub found_ms: u64,
    /// When its receipt was first seen; 0 = never.
    pub landed_ms: u64,
    /// When its receipt was final; 0 = not yet.
    pub done_ms: u64,
}

/// A packet that has just got its receipt for ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Done {
    /// Sequence on its route.
    pub sequence: u64,
    /// 1 received, 2 expired.
    pub outcome: u8,
    /// As of a packet.
    pub kind: &'static str,
    /// When it was found, milliseconds since 1970.
    pub found_ms: u64,
    /// When its receipt was first seen.
    pub landed_ms: u64,
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
    /// Acknowledgements among those that wait.
    pub acknowledgements: u64,
}

/// A packet that was refused and waits for another attempt.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SetAside {
    /// Sequence on its route.
    pub sequence: u64,
    /// As of a packet.
    pub kind: &'static str,
    /// How often it was refused.
    pub attempts: u64,
    /// When it is tried again, milliseconds since 1970.
    pub not_before_ms: u64,
    /// Why it was refused.
    pub reason: String,
}

/// Packets that are stored by one statement: a backlog is found as fast as it is read.
const TOGETHER: usize = 64;

/// The statement that stores so many packets: `$1` to `$3` are route, direction and moment, then come six
/// for each.
fn insertion(packets: usize) -> String {
    let rows = (0..packets).map(|at| {
        let first = at.saturating_mul(6).saturating_add(4);
        let [sequence, place, commitment, bytes, size, kind] =
            [0, 1, 2, 3, 4, 5].map(|more| first.saturating_add(more));
        format!("($1, $2, ${sequence}, ${place}, ${commitment}, ${bytes}, ${size}, $3, ${kind})")
    });
    format!(
        "INSERT INTO packet
             (route, direction, sequence, place, commitment, bytes, size, found_ms, kind)
         VALUES {}
         ON CONFLICT (route, direction, sequence) DO NOTHING",
        rows.collect::<Vec<_>>().join(", ")
    )
}

const ROW: &str = "sequence, place, commitment, bytes, attempts, found_ms";
const PACKET_ROW: &str = "sequence, place, commitment, state, outcome, attempts, not_before_ms, \
                          reason, found_ms, landed_ms, done_ms, size, kind";

impl RouteStore {
    /// How far a direction has looked; `first` if it never has.
    pub async fn position(&self, direction: Direction, first: Position) -> Result<Position, Error> {
        let row = sqlx::query(
            "SELECT next, search_block, packet_block FROM position
             WHERE route = $1 AND direction = $2",
        )
        .bind(self.id)
        .bind(direction.word())
        .fetch_optional(self.pool())
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
        now_ms: u64,
    ) -> Result<(), Error> {
        let mut transaction = self.pool().begin().await?;
        for found in found.chunks(TOGETHER) {
            let statement = insertion(found.len());
            let mut query = sqlx::query(sqlx::AssertSqlSafe(statement))
                .bind(self.id)
                .bind(direction.word())
                .bind(to_sql(now_ms)?);
            for packet in found {
                query = query
                    .bind(to_sql(packet.sequence)?)
                    .bind(to_sql(packet.place)?)
                    .bind(packet.commitment.to_vec())
                    .bind(packet.bytes.to_vec())
                    .bind(limit_to_sql(packet.bytes.len()))
                    .bind(i64::from(packet.bytes.get(1).copied().unwrap_or(0)));
            }
            query.execute(&mut *transaction).await?;
        }
        sqlx::query(
            "INSERT INTO position (route, direction, next, search_block, packet_block)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (route, direction) DO UPDATE SET next = excluded.next,
                 search_block = excluded.search_block, packet_block = excluded.packet_block",
        )
        .bind(self.id)
        .bind(direction.word())
        .bind(to_sql(position.next)?)
        .bind(to_sql(position.search_block)?)
        .bind(to_sql(position.packet_block)?)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets a packet and all after it, to find them again from `position` on. For a packet whose
    /// bytes turned out not to be what the source chain holds. After it is what has a higher sequence and
    /// stands at its `place` or a later one: a peer's rotations have sequences above all others, wherever
    /// they stand.
    pub async fn rewind(
        &self,
        direction: Direction,
        sequence: u64,
        place: u64,
        position: Position,
    ) -> Result<(), Error> {
        let mut transaction = self.pool().begin().await?;
        sqlx::query(
            "DELETE FROM packet
             WHERE route = $1 AND direction = $2 AND sequence >= $3 AND place >= $4",
        )
        .bind(self.id)
        .bind(direction.word())
        .bind(to_sql(sequence)?)
        .bind(to_sql(place)?)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE tally SET
                 received = (SELECT COUNT(*) FROM packet WHERE route = $1 AND direction = $2
                     AND state = 'done' AND outcome = 1),
                 expired = (SELECT COUNT(*) FROM packet WHERE route = $1 AND direction = $2
                     AND state = 'done' AND outcome = 2)
             WHERE route = $1 AND direction = $2",
        )
        .bind(self.id)
        .bind(direction.word())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.advance(direction, position, &[], 0).await
    }

    /// Packets without a receipt whose time has come, no later than `place` and not among
    /// `reserved`: half of them from the newest on, the rest from the oldest on.
    pub async fn ready(
        &self,
        direction: Direction,
        place: u64,
        now_ms: u64,
        limit: usize,
        reserved: &HashSet<u64>,
    ) -> Result<Vec<Row>, Error> {
        let wide = limit.saturating_add(reserved.len());
        let mut oldest = self.lane(direction, place, now_ms, wide, "ASC").await?;
        // Fewer than were asked for: these are all.
        let all = oldest.len() < wide;
        oldest.retain(|row| !reserved.contains(&row.sequence));
        if all && oldest.len() <= limit {
            return Ok(oldest);
        }
        let mut rows = self.lane(direction, place, now_ms, wide, "DESC").await?;
        rows.retain(|row| !reserved.contains(&row.sequence));
        rows.truncate(limit / 2);
        let fresh: HashSet<_> = rows.iter().map(|row| row.sequence).collect();
        let left = limit.saturating_sub(rows.len());
        rows.extend(
            oldest
                .into_iter()
                .filter(|row| !fresh.contains(&row.sequence))
                .take(left),
        );
        rows.sort_by_key(|row| row.sequence);
        Ok(rows)
    }

    async fn lane(
        &self,
        direction: Direction,
        place: u64,
        now_ms: u64,
        limit: usize,
        order: &'static str,
    ) -> Result<Vec<Row>, Error> {
        let query = format!(
            "SELECT {ROW} FROM packet
             WHERE route = $1 AND direction = $2 AND state = 'waiting' AND state != 'done'
                 AND place <= $3 AND not_before_ms <= $4
             ORDER BY sequence {order} LIMIT $5"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.id)
            .bind(direction.word())
            .bind(i64::try_from(place).unwrap_or(i64::MAX))
            .bind(to_sql(now_ms)?)
            .bind(limit_to_sql(limit))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(row).collect()
    }

    /// One packet that has no receipt yet, whenever its time comes.
    pub async fn waiting(&self, direction: Direction, sequence: u64) -> Result<Option<Row>, Error> {
        let query = format!(
            "SELECT {ROW} FROM packet
             WHERE route = $1 AND direction = $2 AND state = 'waiting' AND sequence = $3"
        );
        let found = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.id)
            .bind(direction.word())
            .bind(to_sql(sequence)?)
            .fetch_optional(self.pool())
            .await?;
        found.as_ref().map(row).transpose()
    }

    /// Packets of exactly this length that are not done, oldest first.
    pub async fn of_length(&self, direction: Direction, length: usize) -> Result<Vec<Row>, Error> {
        let query = format!(
            "SELECT {ROW} FROM packet
             WHERE route = $1 AND direction = $2 AND state != 'done' AND size = $3
             ORDER BY sequence"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.id)
            .bind(direction.word())
            .bind(limit_to_sql(length))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(row).collect()
    }

    /// Sequences whose receipt was seen no later than in this block and is not known to be final,
    /// oldest first.
    pub async fn landed(
        &self,
        direction: Direction,
        block: u64,
        limit: usize,
    ) -> Result<Vec<u64>, Error> {
        let rows = sqlx::query(
            "SELECT sequence FROM packet
             WHERE route = $1 AND direction = $2 AND state = 'landed' AND state != 'done'
                 AND landed_block <= $3
             ORDER BY sequence LIMIT $4",
        )
        .bind(self.id)
        .bind(direction.word())
        .bind(i64::try_from(block).unwrap_or(i64::MAX))
        .bind(limit_to_sql(limit))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| from_sql(row.try_get(0)?)).collect()
    }

    /// A packet's receipt is gone again.
    pub async fn taken_back(&self, direction: Direction, sequence: u64) -> Result<(), Error> {
        sqlx::query(
            "UPDATE packet SET state = 'waiting', outcome = 0, landed_ms = 0, landed_block = 0
             WHERE route = $1 AND direction = $2 AND sequence = $3 AND state = 'landed'",
        )
        .bind(self.id)
        .bind(direction.word())
        .bind(to_sql(sequence)?)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Packets have receipts (1 received, 2 expired), no younger than this block.
    pub async fn note_landed(
        &self,
        direction: Direction,
        receipts: &[(u64, u8)],
        block: u64,
        now_ms: u64,
    ) -> Result<(), Error> {
        let mut transaction = self.pool().begin().await?;
        for (sequence, outcome) in receipts {
            sqlx::query(
                "UPDATE packet SET state = 'landed', outcome = $1, reason = NULL,
                     landed_block = $2,
                     landed_ms = CASE landed_ms WHEN 0 THEN $3 ELSE landed_ms END
                 WHERE route = $4 AND direction = $5 AND sequence = $6 AND state != 'done'",
            )
            .bind(i64::from(*outcome))
            .bind(to_sql(block)?)
            .bind(to_sql(now_ms)?)
            .bind(self.id)
            .bind(direction.word())
            .bind(to_sql(*sequence)?)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Packets have receipts for ever. Answers those to which this is news.
    pub async fn note_done(
        &self,
        direction: Direction,
        receipts: &[(u64, u8)],
        now_ms: u64,
    ) -> Result<Vec<Done>, Error> {
        let mut news = Vec::with_capacity(receipts.len());
        let mut transaction = self.pool().begin().await?;
        for (sequence, outcome) in receipts {
            let row = sqlx::query(
                "UPDATE packet SET state = 'done', outcome = $1, bytes = NULL, reason = NULL,
                     landed_ms = CASE landed_ms WHEN 0 THEN $2 ELSE landed_ms END, done_ms = $2
                 WHERE route = $3 AND direction = $4 AND sequence = $5 AND state != 'done'
                 RETURNING found_ms, landed_ms, kind, size",
            )
            .bind(i64::from(*outcome))
            .bind(to_sql(now_ms)?)
            .bind(self.id)
            .bind(direction.word())
            .bind(to_sql(*sequence)?)
            .fetch_optional(&mut *transaction)
            .await?;
            if let Some(row) = row {
                news.push(Done {
                    sequence: *sequence,
                    outcome: *outcome,
                    found_ms: from_sql(row.try_get(0)?)?,
                    landed_ms: from_sql(row.try_get(1)?)?,
                    kind: kind(row.try_get(2)?, row.try_get(3)?),
                });
            }
        }
        let expired = news.iter().filter(|done| done.outcome == 2).count();
        let received = news.len().saturating_sub(expired);
        sqlx::query(
            "INSERT INTO tally (route, direction, received, expired) VALUES ($1, $2, $3, $4)
             ON CONFLICT (route, direction) DO UPDATE SET
                 received = tally.received + excluded.received,
                 expired = tally.expired + excluded.expired",
        )
        .bind(self.id)
        .bind(direction.word())
        .bind(limit_to_sql(received))
        .bind(limit_to_sql(expired))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(news)
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
            "UPDATE packet SET attempts = attempts + 1, not_before_ms = $1, reason = $2
             WHERE route = $3 AND direction = $4 AND sequence = $5 AND state != 'done'",
        )
        .bind(to_sql(not_before_ms)?)
        .bind(reason)
        .bind(self.id)
        .bind(direction.word())
        .bind(to_sql(sequence)?)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// How often a packet was refused so far.
    pub async fn attempts(&self, direction: Direction, sequence: u64) -> Result<u32, Error> {
        let row = sqlx::query(
            "SELECT attempts FROM packet WHERE route = $1 AND direction = $2 AND sequence = $3",
        )
        .bind(self.id)
        .bind(direction.word())
        .bind(to_sql(sequence)?)
        .fetch_optional(self.pool())
        .await?;
        let attempts = row.map(|row| row.try_get::<i64, _>(0)).transpose()?;
        Ok(u32::try_from(attempts.unwrap_or(0)).unwrap_or(u32::MAX))
    }

    /// Packets by state.
    pub async fn counts(&self, direction: Direction) -> Result<Counts, Error> {
        let rows = sqlx::query(
            "SELECT state, COUNT(*), COUNT(CASE kind WHEN $3 THEN 1 END) FROM packet
             WHERE route = $1 AND direction = $2 AND state != 'done' GROUP BY state",
        )
        .bind(self.id)
        .bind(direction.word())
        .bind(i64::from(packet::KIND_ACKNOWLEDGEMENT))
        .fetch_all(self.pool())
        .await?;
        let mut counts = Counts::default();
        for row in rows {
            let number = from_sql(row.try_get(1)?)?;
            match RowState::from_word(row.try_get::<&str, _>(0)?) {
                RowState::Waiting => {
                    counts.waiting = number;
                    counts.acknowledgements = from_sql(row.try_get(2)?)?;
                }
                RowState::Landed => counts.landed = number,
                RowState::Done => {}
            }
        }
        let tally =
            sqlx::query("SELECT received, expired FROM tally WHERE route = $1 AND direction = $2")
                .bind(self.id)
                .bind(direction.word())
                .fetch_optional(self.pool())
                .await?;
        if let Some(row) = tally {
            counts.received = from_sql(row.try_get(0)?)?;
            counts.expired = from_sql(row.try_get(1)?)?;
        }
        Ok(counts)
    }

    /// When the oldest packet without a receipt was found, milliseconds since 1970.
    pub async fn oldest_waiting_ms(&self, direction: Direction) -> Result<Option<u64>, Error> {
        let row = sqlx::query(
            "SELECT found_ms FROM packet WHERE route = $1 AND direction = $2 AND state = 'waiting'
                 AND state != 'done'
             ORDER BY sequence LIMIT 1",
        )
        .bind(self.id)
        .bind(direction.word())
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| from_sql(row.try_get(0)?)).transpose()
    }

    /// When the oldest packet was found that has no receipt and whose time has come.
    pub async fn oldest_due_ms(
        &self,
        direction: Direction,
        now_ms: u64,
    ) -> Result<Option<u64>, Error> {
        let row = sqlx::query(
            "SELECT found_ms FROM packet
             WHERE route = $1 AND direction = $2 AND state = 'waiting' AND state != 'done'
                 AND not_before_ms <= $3
             ORDER BY sequence LIMIT 1",
        )
        .bind(self.id)
        .bind(direction.word())
        .bind(to_sql(now_ms)?)
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| from_sql(row.try_get(0)?)).transpose()
    }

    /// When a packet last got a receipt, milliseconds since 1970; 0 if none ever did.
    pub async fn newest_landed_ms(&self, direction: Direction) -> Result<u64, Error> {
        let row = sqlx::query(
            "SELECT COALESCE(MAX(landed_ms), 0) FROM packet WHERE route = $1 AND direction = $2",
        )
        .bind(self.id)
        .bind(direction.word())
        .fetch_one(self.pool())
        .await?;
        from_sql(row.try_get(0)?)
    }

    /// Packets that were refused and wait, oldest first.
    pub async fn set_asides(
        &self,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<SetAside>, Error> {
        let rows = sqlx::query(
            "SELECT sequence, attempts, not_before_ms, reason, size, kind FROM packet
             WHERE route = $1 AND direction = $2 AND state = 'waiting' AND reason IS NOT NULL
             ORDER BY sequence LIMIT $3",
        )
        .bind(self.id)
        .bind(direction.word())
        .bind(limit_to_sql(limit))
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(SetAside {
                    sequence: from_sql(row.try_get(0)?)?,
                    attempts: from_sql(row.try_get(1)?)?,
                    not_before_ms: from_sql(row.try_get(2)?)?,
                    reason: row.try_get(3)?,
                    kind: kind(row.try_get(5)?, row.try_get(4)?),
                })
            })
            .collect()
    }

    /// Packets below a sequence, newest first.
    pub async fn newest(
        &self,
        direction: Direction,
        below: u64,
        limit: usize,
    ) -> Result<Vec<PacketRow>, Error> {
        let query = format!(
            "SELECT {PACKET_ROW} FROM packet WHERE route = $1 AND direction = $2 AND sequence < $3
             ORDER BY sequence DESC LIMIT $4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.id)
            .bind(direction.word())
            .bind(i64::try_from(below).unwrap_or(i64::MAX))
            .bind(limit_to_sql(limit))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(packet_row).collect()
    }

    /// What is known of one packet.
    pub async fn packet(
        &self,
        direction: Direction,
        sequence: u64,
    ) -> Result<Option<PacketRow>, Error> {
        let rows = self
            .newest(direction, sequence.saturating_add(1), 1)
            .await?;
        Ok(rows.into_iter().find(|row| row.sequence == sequence))
    }
}

fn row(row: &AnyRow) -> Result<Row, Error> {
    let bytes: Option<Vec<u8>> = row.try_get(3)?;
    Ok(Row {
        sequence: from_sql(row.try_get(0)?)?,
        place: from_sql(row.try_get(1)?)?,
        commitment: hash_from_sql(row.try_get(2)?)?,
        bytes: bytes
            .ok_or_else(|| Error::Damaged("an open packet has no bytes".into()))?
            .into(),
        attempts: u32::try_from(row.try_get::<i64, _>(4)?).unwrap_or(u32::MAX),
        found_ms: from_sql(row.try_get(5)?)?,
    })
}

fn packet_row(row: &AnyRow) -> Result<PacketRow, Error> {
    Ok(PacketRow {
        sequence: from_sql(row.try_get(0)?)?,
        place: from_sql(row.try_get(1)?)?,
        commitment: hash_from_sql(row.try_get(2)?)?,
        state: RowState::from_word(row.try_get::<&str, _>(3)?),
        outcome: u8::try_from(row.try_get::<i64, _>(4)?).unwrap_or(0),
        attempts: from_sql(row.try_get(5)?)?,
        not_before_ms: from_sql(row.try_get(6)?)?,
        reason: row.try_get(7)?,
        found_ms: from_sql(row.try_get(8)?)?,
        landed_ms: from_sql(row.try_get(9)?)?,
        done_ms: from_sql(row.try_get(10)?)?,
        kind: kind(row.try_get(12)?, row.try_get(11)?),
        acknowledge: row.try_get::<i64, _>(12)? & i64::from(packet::ACKNOWLEDGE) != 0,
    })
}

/// A packet's kind by its kind byte; an expiry's length tells what expired.
fn kind(byte: i64, size: i64) -> &'static str {
    let [_, with_action] = packet::NEWS_LENGTHS;
    match u8::try_from(byte).map(|byte| byte & !packet::ACKNOWLEDGE) {
        Ok(packet::KIND_TRANSFER) => "transfer",
        Ok(packet::KIND_EXPIRY) if usize::try_from(size) == Ok(with_action) => "swapExpiry",
        Ok(packet::KIND_EXPIRY) => "expiry",
        Ok(packet::KIND_ROTATION) => "rotation",
        Ok(packet::KIND_ACTION) => "swap",
        Ok(packet::KIND_ACKNOWLEDGEMENT) => "acknowledgement",
        _ => "unknown",
    }
}
