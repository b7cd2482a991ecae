//! Which trace a row belongs to: so that who goes on with it later, after a crash or at another replica,
//! goes on with its trace too. Written only while something is traced.

use super::Store;
use mileverse_trace::{Parent, here};
use sqlx::AnyConnection;

/// Notes that a new row belongs to the trace that runs, if one does.
pub async fn remember(connection: &mut AnyConnection, subject: &str) -> Result<(), sqlx::Error> {
    let Some(parent) = here() else {
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO traces (subject, parent) VALUES ($1, $2) ON CONFLICT (subject) DO NOTHING",
    )
    .bind(subject)
    .bind(parent)
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
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
