//! Which runs of the gateway are alive.
//!
//! Each says so every so often; who is silent for longer than the time-out is taken for dead and
//! its work is taken over. A clock that is wrong, or a replica that hangs and comes back, costs
//! double work and never money: every row says from which state it moves.

use super::Store;
use crate::store::Connection;

impl Store {
    /// Says that a run is alive.
    pub async fn beat(&self, run: &str, now: i64) -> Result<(), sqlx::Error> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO replicas (run, seen_at) VALUES ($1, $2)
             ON CONFLICT (run) DO UPDATE SET seen_at = $2",
        )
        .bind(run)
        .bind(now)
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Forgets a run that ends in order, or runs that were silent since before `silent_since`.
    pub async fn forget_replicas(&self, run: &str, silent_since: i64) -> Result<(), sqlx::Error> {
        let mut write = self.write().await?;
        sqlx::query("DELETE FROM replicas WHERE run = $1 OR seen_at < $2")
            .bind(run)
            .bind(silent_since)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// The file is ours alone: whoever was alive on it is not any more.
    pub async fn forget_all_replicas(&self) -> Result<(), sqlx::Error> {
        self.forget_replicas("", i64::MAX).await
    }
}

/// Whether a run was heard of since then.
pub async fn is_alive(
    connection: &mut Connection,
    run: &str,
    since: i64,
) -> Result<bool, sqlx::Error> {
    let seen: Option<i64> =
        sqlx::query_scalar("SELECT seen_at FROM replicas WHERE run = $1 AND seen_at >= $2")
            .bind(run)
            .bind(since)
            .fetch_optional(connection)
            .await?;
    Ok(seen.is_some())
}
