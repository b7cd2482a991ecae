//! How each lane is doing, for people who ask.

use super::{Lane, RouteStore, from_sql, to_sql};
use crate::Error;
use serde::Serialize;
use sqlx::Row as _;

/// How a lane is doing.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// When it last went well, milliseconds since 1970; 0 = never.
    pub ok_ms: u64,
    /// What is wrong now, if anything is.
    pub error: Option<String>,
    /// Since when.
    pub error_ms: u64,
}

impl RouteStore {
    /// All went well.
    pub async fn note_ok(&self, lane: impl Into<Lane>, now_ms: u64) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO health (route, lane, ok_ms) VALUES ($1, $2, $3)
             ON CONFLICT (route, lane) DO UPDATE SET ok_ms = excluded.ok_ms, error = NULL",
        )
        .bind(self.id)
        .bind(lane.into().word())
        .bind(to_sql(now_ms)?)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Something is wrong.
    pub async fn note_error(
        &self,
        lane: impl Into<Lane>,
        now_ms: u64,
        error: &str,
    ) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO health (route, lane, error, error_ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (route, lane) DO UPDATE SET
                 error_ms = CASE WHEN health.error IS NULL THEN excluded.error_ms ELSE health.error_ms END,
                 error = excluded.error",
        )
        .bind(self.id)
        .bind(lane.into().word())
        .bind(error)
        .bind(to_sql(now_ms)?)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// How it is.
    pub async fn health(&self, lane: impl Into<Lane>) -> Result<Health, Error> {
        let row =
            sqlx::query("SELECT ok_ms, error, error_ms FROM health WHERE route = $1 AND lane = $2")
                .bind(self.id)
                .bind(lane.into().word())
                .fetch_optional(self.pool())
                .await?;
        let Some(row) = row else {
            return Ok(Health::default());
        };
        Ok(Health {
            ok_ms: from_sql(row.try_get(0)?)?,
            error: row.try_get(1)?,
            error_ms: from_sql(row.try_get(2)?)?,
        })
    }
}
