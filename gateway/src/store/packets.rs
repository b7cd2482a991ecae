//! The packets of both chains by who sent them: the page's index, as `mileverse_app::index` fills it.

use super::{Store, from_sql, to_sql};
use alloy::primitives::Address;
use mileverse_app::index::{Chain, Cursor, Listed};
use sqlx::{Row, any::AnyRow};

fn read(row: &AnyRow) -> Result<Listed, sqlx::Error> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let sender: Option<String> = row.try_get("sender")?;
    let bad = |error: String| sqlx::Error::Decode(error.into());
    Ok(Listed {
        sequence: from_sql(row.try_get("sequence")?)?,
        sender: sender
            .map(|sender| sender.parse().map_err(|error| bad(format!("{error}"))))
            .transpose()?,
        block: from_sql(row.try_get("block")?)?,
        time: from_sql(row.try_get("time")?)?,
        transaction: text("hash")?
            .parse()
            .map_err(|error| bad(format!("{error}")))?,
        packet: text("packet")?
            .parse()
            .map_err(|error| bad(format!("{error}")))?,
    })
}

impl Store {
    /// How far a chain was read.
    pub async fn packet_cursor(&self, chain: Chain) -> Result<Option<Cursor>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM packet_cursors WHERE chain = $1")
            .bind(chain.word())
            .fetch_optional(self.read())
            .await?;
        row.map(|row| {
            Ok(Cursor {
                next_block: from_sql(row.try_get("next_block")?)?,
                next_sequence: from_sql(row.try_get("next_sequence")?)?,
            })
        })
        .transpose()
    }

    /// Keeps packets and moves the cursor, if it is still where the caller saw it. Whether it was.
    pub async fn put_packets(
        &self,
        chain: Chain,
        from: Option<Cursor>,
        to: Cursor,
        packets: &[Listed],
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let query = match from {
            None => sqlx::query(
                "INSERT INTO packet_cursors (chain, next_block, next_sequence)
                 VALUES ($1, $2, $3) ON CONFLICT (chain) DO NOTHING",
            ),
            Some(_) => sqlx::query(
                "UPDATE packet_cursors SET next_block = $2, next_sequence = $3
                 WHERE chain = $1 AND next_block = $4 AND next_sequence = $5",
            ),
        };
        let mut query = query
            .bind(chain.word())
            .bind(to_sql(to.next_block)?)
            .bind(to_sql(to.next_sequence)?);
        if let Some(from) = from {
            query = query
                .bind(to_sql(from.next_block)?)
                .bind(to_sql(from.next_sequence)?);
        }
        let is_moved = query.execute(&mut *write).await?.rows_affected() == 1;
        if is_moved {
            for packet in packets {
                sqlx::query(
                    "INSERT INTO packets (chain, sequence, sender, block, time, hash, packet)
                     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (chain, sequence) DO NOTHING",
                )
                .bind(chain.word())
                .bind(to_sql(packet.sequence)?)
                .bind(packet.sender.map(|sender| format!("{sender:#x}")))
                .bind(to_sql(packet.block)?)
                .bind(to_sql(packet.time)?)
                .bind(format!("{:#x}", packet.transaction))
                .bind(packet.packet.to_string())
                .execute(&mut *write)
                .await?;
            }
        }
        write.commit().await?;
        Ok(is_moved)
    }

    /// The newest packets that an account sent from a chain in blocks below one, newest first.
    pub async fn packets_sent_by(
        &self,
        chain: Chain,
        account: Address,
        below: u64,
        limit: usize,
    ) -> Result<Vec<Listed>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM packets WHERE sender = $1 AND chain = $2 AND block < $3
             ORDER BY sequence DESC LIMIT $4",
        )
        .bind(format!("{account:#x}"))
        .bind(chain.word())
        .bind(i64::try_from(below).unwrap_or(i64::MAX))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(read).collect()
    }

    /// The block of the newest packet of a chain.
    pub async fn newest_packet(&self, chain: Chain) -> Result<Option<u64>, sqlx::Error> {
        let block: Option<i64> =
            sqlx::query_scalar("SELECT MAX(block) FROM packets WHERE chain = $1")
                .bind(chain.word())
                .fetch_one(self.read())
                .await?;
        block.map(from_sql).transpose()
    }
}
