//! The clock that everything in the books goes by.
//!
//! A sandbox's clock can be moved ahead, so that its callers need not wait for quotes to expire or
//! days to end. How far is one row, `sandbox_clock`, that only a sandbox's database takes and that
//! never goes back; replicas read it with each of their beats. Any other gateway has no such row, and
//! its clock is the machine's.
//!
//! By the machine's own clock ([`crate::clock::now_ms`]) go things between machines: whether a replica
//! is alive, signatures of requests and messages, how long keys, tokens and secrets are good.

use super::Store;
use crate::clock::now_ms;
use crate::store::Connection;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One move, at most.
pub const LONGEST_MOVE: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// All of them together; the database says so too.
pub const FURTHEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

impl Store {
    /// Now, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        now_ms().saturating_add(self.ahead())
    }

    /// How far ahead of the machine's clock that is, in milliseconds. 0 but in a sandbox.
    pub fn ahead(&self) -> i64 {
        self.ahead_ms.load(Ordering::Acquire)
    }

    /// Sees how far the clock was moved, by whomever.
    pub async fn read_clock(&self) -> Result<(), sqlx::Error> {
        let ahead: Option<i64> = sqlx::query_scalar("SELECT ahead_ms FROM sandbox_clock")
            .fetch_optional(self.read())
            .await?;
        self.saw_clock(ahead.unwrap_or(0));
        Ok(())
    }

    /// The clock is ahead so far. It never goes back, whoever saw it first.
    pub fn saw_clock(&self, ahead_ms: i64) {
        self.ahead_ms.fetch_max(ahead_ms, Ordering::AcqRel);
    }
}

/// Moves the clock ahead. How far it is ahead then; `None` if that were too far. Other replicas see it
/// with their next beat; this one when it is told, once all is committed.
pub async fn advance(
    connection: &mut Connection,
    by: Duration,
) -> Result<Option<i64>, sqlx::Error> {
    let millis = |long: Duration| i64::try_from(long.as_millis()).unwrap_or(i64::MAX);
    let ahead: i64 = sqlx::query_scalar(
        "INSERT INTO sandbox_clock (one, ahead_ms) VALUES (1, 0)
         ON CONFLICT (one) DO UPDATE SET ahead_ms = sandbox_clock.ahead_ms RETURNING ahead_ms",
    )
    .fetch_one(&mut *connection)
    .await?;
    let ahead = ahead.saturating_add(millis(by));
    if by > LONGEST_MOVE || ahead > millis(FURTHEST) {
        return Ok(None);
    }
    sqlx::query("UPDATE sandbox_clock SET ahead_ms = $1")
        .bind(ahead)
        .execute(connection)
        .await?;
    Ok(Some(ahead))
}
