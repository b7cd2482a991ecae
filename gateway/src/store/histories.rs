//! Who has entries in which block of a chain: the page's index, as `mileverse_app::index` fills it.

use super::{Store, from_sql, to_sql};
use alloy::primitives::Address;
use mileverse_app::index::{Chain, Known, Touched};
use sqlx::{AssertSqlSafe, Row};
use std::fmt::Write as _;

/// Rows of one statement: two parameters each, of at most 999.
const ROWS: usize = 300;

impl Store {
    /// Of which blocks of a chain it is known who has entries in them.
    pub async fn history_known(&self, chain: Chain) -> Result<Option<Known>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM history_cursors WHERE chain = $1")
            .bind(chain.word())
            .fetch_optional(self.read())
            .await?;
        row.map(|row| {
            Ok(Known {
                first_block: from_sql(row.try_get("first_block")?)?,
                next_block: from_sql(row.try_get("next_block")?)?,
            })
        })
        .transpose()
    }

    /// Keeps who has entries in which block and moves the cursor, if it is still where the caller saw it.
    /// Whether it was.
    pub async fn put_touched(
        &self,
        chain: Chain,
        from: Option<Known>,
        to: Known,
        touched: &[Touched],
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let query = match from {
            None => sqlx::query(
                "INSERT INTO history_cursors (chain, first_block, next_block)
                 VALUES ($1, $2, $3) ON CONFLICT (chain) DO NOTHING",
            ),
            Some(_) => sqlx::query(
                "UPDATE history_cursors SET first_block = $2, next_block = $3
                 WHERE chain = $1 AND first_block = $4 AND next_block = $5",
            ),
        };
        let mut query = query
            .bind(chain.word())
            .bind(to_sql(to.first_block)?)
            .bind(to_sql(to.next_block)?);
        if let Some(from) = from {
            query = query
                .bind(to_sql(from.first_block)?)
                .bind(to_sql(from.next_block)?);
        }
        let is_moved = query.execute(&mut *write).await?.rows_affected() == 1;
        if is_moved {
            for part in touched.chunks(ROWS) {
                let mut text =
                    "INSERT INTO history_blocks (chain, account, block) VALUES ".to_owned();
                for row in 0..part.len() {
                    let (account, block) = (2 * row + 2, 2 * row + 3);
                    let comma = if row == 0 { "" } else { ", " };
                    let _ = write!(text, "{comma}($1, ${account}, ${block})");
                }
                text.push_str(" ON CONFLICT (chain, account, block) DO NOTHING");
                let mut insert = sqlx::query(AssertSqlSafe(text)).bind(chain.word());
                for row in part {
                    insert = insert.bind(row.account.to_vec()).bind(to_sql(row.block)?);
                }
                insert.execute(&mut *write).await?;
            }
        }
        write.commit().await?;
        Ok(is_moved)
    }

    /// The newest blocks below one in which an account has entries, newest first.
    pub async fn history_blocks(
        &self,
        chain: Chain,
        account: Address,
        below: u64,
        limit: usize,
    ) -> Result<Vec<u64>, sqlx::Error> {
        let blocks: Vec<i64> = sqlx::query_scalar(
            "SELECT block FROM history_blocks WHERE chain = $1 AND account = $2 AND block < $3
             ORDER BY block DESC LIMIT $4",
        )
        .bind(chain.word())
        .bind(account.to_vec())
        .bind(i64::try_from(below).unwrap_or(i64::MAX))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.read())
        .await?;
        blocks.into_iter().map(from_sql).collect()
    }
}
