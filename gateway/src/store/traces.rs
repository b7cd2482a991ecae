//! Which trace a row belongs to: so that who goes on with it later, after a crash or at another replica,
//! goes on with its trace too. Written only while something is traced, and forgotten after [`KEPT_MS`]: by
//! then no collector knows the trace any more.

use super::Store;
use super::rows::{self, OverRows, over_tuples};
use crate::ids;
use crate::store::Connection;
use mileverse_trace::Parent;

/// How long a row's trace is known: 30 days.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

const REMEMBER: OverRows = over_tuples!(
    "INSERT INTO traces (subject, parent) SELECT value ->> 0, value ->> 1 FROM",
    "WHERE true ON CONFLICT (subject) DO NOTHING"
);

/// Notes which traces new rows belong to, those that belong to one.
pub async fn remember(
    connection: &mut Connection,
    rows: &[(&str, Option<&str>)],
) -> Result<(), sqlx::Error> {
    let traced = rows.iter().filter(|(_, trace)| trace.is_some());
    let traced: Vec<_> = traced.collect();
    if traced.is_empty() {
        return Ok(());
    }
    let statement = sqlx::query(connection.over(REMEMBER)).bind(rows::json(&traced)?);
    connection.tell(statement).await
}

impl Store {
    /// Forgets traces that are too old to be gone on with.
    pub async fn forget_traces(&self, now: i64) -> Result<(), sqlx::Error> {
        let before = now.saturating_sub(KEPT_MS);
        for prefix in ["conv", "evt"] {
            let (from, to) = (ids::since(prefix, 0), ids::since(prefix, before));
            let oldest: Option<String> = sqlx::query_scalar(
                "SELECT subject FROM traces WHERE subject >= $1 AND subject < $2 LIMIT 1",
            )
            .bind(&from)
            .bind(&to)
            .fetch_optional(self.read())
            .await?;
            if oldest.is_none() {
                continue;
            }
            let mut write = self.write().await?;
            sqlx::query("DELETE FROM traces WHERE subject >= $1 AND subject < $2")
                .bind(&from)
                .bind(&to)
                .execute(&mut *write)
                .await?;
            write.commit().await?;
        }
        Ok(())
    }

    /// What a conversion or an event is a part of. A trace is never worth a failure: `None` if it
    /// cannot be read.
    pub async fn trace_of(&self, subject: &str) -> Option<Parent> {
        let found = sqlx::query_scalar::<_, String>("SELECT parent FROM traces WHERE subject = $1")
            .bind(subject)
            .fetch_optional(self.read())
            .await;
        match found {
            Ok(parent) => Parent::parse(&parent?),
            Err(error) => {
                tracing::debug!(subject, %error, "a trace cannot be read");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::now_ms;
    use crate::store::{Location, Purpose};

    #[tokio::test]
    async fn a_trace_is_forgotten_when_it_is_old() {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(directory.path().join("traces"));
        let store = Store::open(&location, Purpose::Serve).await.unwrap();
        let rows = [ids::conversion(), ids::event()];
        let mut write = store.write().await.unwrap();
        for subject in &rows {
            sqlx::query("INSERT INTO traces (subject, parent) VALUES ($1, $2)")
                .bind(subject)
                .bind("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
                .execute(&mut *write)
                .await
                .unwrap();
        }
        write.commit().await.unwrap();
        let known = async || {
            let mut known = 0;
            for subject in &rows {
                known += u32::from(store.trace_of(subject).await.is_some());
            }
            known
        };
        let now = now_ms();
        store.forget_traces(now).await.unwrap();
        assert_eq!(known().await, 2);
        store.forget_traces(now + KEPT_MS - 60_000).await.unwrap();
        assert_eq!(known().await, 2);
        store.forget_traces(now + KEPT_MS + 60_000).await.unwrap();
        assert_eq!(known().await, 0);
    }
}
