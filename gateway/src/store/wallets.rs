//! Wallets that the gateway keeps for members. Their keys are sealed ([`crate::vault`]).

use super::rows::{self, OverRows, over_tuples};
use super::{Store, from_sql, to_sql};
use crate::store::Connection;
use crate::vault::Sealed;
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};
use std::collections::HashMap;

/// One wallet.
#[derive(Clone, Debug)]
pub struct WalletRow {
    /// Whose: `mem_…`
    pub member_id: String,
    /// Who linked the member.
    pub partner: String,
    /// On the native chain, with its checksum.
    pub address: String,
    /// Its private key. Gone once the wallet is closed.
    pub sealed: Option<Sealed>,
    /// Counts what was begun with it.
    pub uses: i64,
    /// When it was made.
    pub created_at: i64,
}

fn read(row: &AnyRow) -> Result<WalletRow, sqlx::Error> {
    let data: Option<Vec<u8>> = row.try_get("data")?;
    let wrapped_key: Option<Vec<u8>> = row.try_get("wrapped_key")?;
    let key_id: Option<String> = row.try_get("key_id")?;
    let sealed = match (key_id, wrapped_key, data) {
        (Some(key_id), Some(wrapped_key), Some(data)) => Some(Sealed {
            key_id,
            wrapped_key,
            data,
        }),
        _ => None,
    };
    Ok(WalletRow {
        member_id: row.try_get("member_id")?,
        partner: row.try_get("partner")?,
        address: row.try_get("address")?,
        sealed,
        uses: row.try_get("uses")?,
        created_at: row.try_get("created_at")?,
    })
}

/// What became of closing a member's wallet while the member is erased.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Erased {
    /// The member is erased, and its wallet, if there was one, is closed.
    Done,
    /// Something was begun with the wallet since it was looked at: nothing is erased.
    Used,
}

/// Counts one more use of an open wallet, and keeps everybody else from it until the transaction ends.
/// Whether it is open.
pub async fn use_open(connection: &mut Connection, member_id: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE wallets SET uses = uses + 1 WHERE member_id = $1 AND closed_at IS NULL",
    )
    .bind(member_id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whose wallet an address is, if the gateway keeps it.
pub async fn keeper<'c>(
    connection: impl Executor<'c, Database = Any>,
    address: &str,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT partner FROM wallets WHERE address = $1")
        .bind(address)
        .fetch_optional(connection)
        .await
}

const KEEPERS: OverRows = over_tuples!(
    "SELECT partner, address FROM wallets WHERE address IN (SELECT value ->> 0 FROM",
    ")"
);

/// Whose wallets addresses are, those that the gateway keeps, by address.
pub async fn keepers(
    connection: &mut Connection,
    addresses: &[&str],
) -> Result<HashMap<String, String>, sqlx::Error> {
    let addresses: Vec<_> = addresses.iter().map(|address| [address]).collect();
    let found = sqlx::query(connection.over(KEEPERS))
        .bind(rows::json(&addresses)?)
        .fetch_all(connection)
        .await?;
    found
        .iter()
        .map(|row| Ok((row.try_get("address")?, row.try_get("partner")?)))
        .collect()
}

/// Takes micro-points of a day's limit. Whether they fit.
pub async fn use_day(
    connection: &mut Connection,
    day: i64,
    name: &str,
    points: u64,
    most: u64,
) -> Result<bool, sqlx::Error> {
    let Some(room) = most.checked_sub(points) else {
        return Ok(false);
    };
    let done = sqlx::query(
        "INSERT INTO daily_withdrawals (day, name, micro_points) VALUES ($1, $2, $3)
         ON CONFLICT (day, name) DO UPDATE SET micro_points = daily_withdrawals.micro_points + $3
         WHERE daily_withdrawals.micro_points <= $4",
    )
    .bind(day)
    .bind(name)
    .bind(to_sql(points)?)
    .bind(i64::try_from(room).unwrap_or(i64::MAX))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes micro-points off a day again: their withdrawal failed.
pub async fn free_day(
    connection: &mut Connection,
    day: i64,
    name: &str,
    points: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE daily_withdrawals SET micro_points =
             CASE WHEN micro_points > $3 THEN micro_points - $3 ELSE 0 END
         WHERE day = $1 AND name = $2",
    )
    .bind(day)
    .bind(name)
    .bind(to_sql(points)?)
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// A member's wallet, also one that is closed.
    pub async fn wallet(
        &self,
        partner: &str,
        member_id: &str,
    ) -> Result<Option<WalletRow>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM wallets WHERE member_id = $1 AND partner = $2")
            .bind(member_id)
            .bind(partner)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// Whether there is any wallet.
    pub async fn keeps_wallets(&self) -> Result<bool, sqlx::Error> {
        let any: Option<String> = sqlx::query_scalar("SELECT member_id FROM wallets LIMIT 1")
            .fetch_optional(self.read())
            .await?;
        Ok(any.is_some())
    }

    /// Stores a wallet, unless the member has one or has left. The one that there is then; none if the
    /// member has left.
    pub async fn put_wallet(&self, wallet: &WalletRow) -> Result<Option<WalletRow>, sqlx::Error> {
        let sealed = wallet.sealed.as_ref();
        let mut write = self.write().await?;
        // Whoever erases the member takes this row first, too.
        let here = sqlx::query(
            "UPDATE members SET updated_at = updated_at
             WHERE id = $1 AND partner = $2 AND status <> 'left'",
        )
        .bind(&wallet.member_id)
        .bind(&wallet.partner)
        .execute(&mut *write)
        .await?;
        if here.rows_affected() != 1 {
            return Ok(None);
        }
        sqlx::query(
            "INSERT INTO wallets (member_id, partner, address, key_id, wrapped_key, data, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (member_id) DO NOTHING",
        )
        .bind(&wallet.member_id)
        .bind(&wallet.partner)
        .bind(&wallet.address)
        .bind(sealed.map(|sealed| sealed.key_id.as_str()))
        .bind(sealed.map(|sealed| sealed.wrapped_key.as_slice()))
        .bind(sealed.map(|sealed| sealed.data.as_slice()))
        .bind(wallet.created_at)
        .execute(&mut *write)
        .await?;
        let row = sqlx::query("SELECT * FROM wallets WHERE member_id = $1")
            .bind(&wallet.member_id)
            .fetch_one(&mut *write)
            .await?;
        let stored = read(&row)?;
        write.commit().await?;
        Ok(Some(stored))
    }

    /// Whether something is under way that brings points to a wallet or takes them from it.
    pub async fn wallet_is_busy(
        &self,
        wallet: &WalletRow,
        programme: &str,
        partners_id: &str,
    ) -> Result<bool, sqlx::Error> {
        // One that waits for operators may still be issued.
        let conversion: Option<String> = sqlx::query_scalar(
            "SELECT id FROM conversions
             WHERE partner = $1 AND programme = $2 AND member_id = $3 AND receiver = $4
               AND state NOT IN ('completed', 'refused', 'reversed', 'returned') LIMIT 1",
        )
        .bind(&wallet.partner)
        .bind(programme)
        .bind(partners_id)
        .bind(&wallet.address)
        .fetch_optional(self.read())
        .await?;
        if conversion.is_some() {
            return Ok(true);
        }
        let withdrawal: Option<String> = sqlx::query_scalar(
            "SELECT id FROM withdrawals WHERE wallet = $1 AND state = 'sending' LIMIT 1",
        )
        .bind(&wallet.address)
        .fetch_optional(self.read())
        .await?;
        Ok(withdrawal.is_some())
    }

    /// The last block that is known to have changed what a wallet holds; 0 if none is.
    pub async fn wallet_block(
        &self,
        wallet: &WalletRow,
        programme: &str,
        partners_id: &str,
    ) -> Result<u64, sqlx::Error> {
        let block: i64 = sqlx::query_scalar(
            "SELECT CAST(COALESCE(MAX(block), 0) AS BIGINT) FROM (
                 SELECT issue_block AS block FROM conversions
                 WHERE partner = $1 AND programme = $2 AND member_id = $3 AND receiver = $4
                 UNION ALL SELECT block FROM withdrawals WHERE wallet = $4) AS known",
        )
        .bind(&wallet.partner)
        .bind(programme)
        .bind(partners_id)
        .bind(&wallet.address)
        .fetch_one(self.read())
        .await?;
        from_sql(block)
    }

    /// Erases a member, and closes its wallet if nothing was begun with it since `uses` were counted:
    /// what is left is that there was one, and that the member agreed.
    pub async fn erase_member(
        &self,
        id: &str,
        uses: Option<i64>,
        now: i64,
    ) -> Result<Erased, sqlx::Error> {
        let mut write = self.write().await?;
        sqlx::query(
            "UPDATE members SET status = 'left', digest = NULL, key_id = NULL, wrapped_key = NULL,
                 data = NULL, updated_at = $2
             WHERE id = $1",
        )
        .bind(id)
        .bind(now)
        .execute(&mut *write)
        .await?;
        if let Some(uses) = uses {
            sqlx::query(
                "UPDATE wallets SET key_id = NULL, wrapped_key = NULL, data = NULL, closed_at = $3
                 WHERE member_id = $1 AND uses = $2 AND closed_at IS NULL",
            )
            .bind(id)
            .bind(uses)
            .bind(now)
            .execute(&mut *write)
            .await?;
        }
        let open: Option<String> = sqlx::query_scalar(
            "SELECT member_id FROM wallets WHERE member_id = $1 AND closed_at IS NULL",
        )
        .bind(id)
        .fetch_optional(&mut *write)
        .await?;
        if open.is_some() {
            return Ok(Erased::Used);
        }
        write.commit().await?;
        Ok(Erased::Done)
    }

    /// Wallets whose key is wrapped by another master key than this.
    pub async fn wallets_under_other_keys(
        &self,
        key_id: &str,
        limit: u32,
    ) -> Result<Vec<WalletRow>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM wallets WHERE key_id IS NOT NULL AND key_id <> $1
             ORDER BY member_id LIMIT $2",
        )
        .bind(key_id)
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(read).collect()
    }

    /// Stores a wallet's key as it is wrapped now, if it is still the one it was. Whether it was.
    pub async fn rewrap_wallet(
        &self,
        member_id: &str,
        from: &Sealed,
        to: &Sealed,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let done = sqlx::query(
            "UPDATE wallets SET key_id = $3, wrapped_key = $4
             WHERE member_id = $1 AND wrapped_key = $2",
        )
        .bind(member_id)
        .bind(from.wrapped_key.as_slice())
        .bind(&to.key_id)
        .bind(to.wrapped_key.as_slice())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}
