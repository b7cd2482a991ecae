//! People who run the gateway.

use super::Store;
use super::audit::{self, Event};
use crate::operator::Role;
use sqlx::Row;
use sqlx::any::AnyRow;

/// The last use of a key is noted to this precision.
const USE_PRECISION_MS: i64 = 60_000;

/// One operator. The key is nowhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operator {
    /// Who.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether they may do it now.
    pub active: bool,
    /// When they were made.
    pub created_at: i64,
    /// To the minute.
    pub last_used_at: Option<i64>,
}

fn read(row: &AnyRow) -> Result<Operator, sqlx::Error> {
    let role: String = row.try_get("role")?;
    Ok(Operator {
        name: row.try_get("name")?,
        role: Role::parse(&role)
            .ok_or_else(|| sqlx::Error::Decode(format!("unknown role {role}").into()))?,
        active: row.try_get::<String, _>("status")? == "active",
        created_at: row.try_get("created_at")?,
        last_used_at: row.try_get("last_used_at")?,
    })
}

impl Store {
    /// All operators.
    pub async fn operators(&self) -> Result<Vec<Operator>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM operators ORDER BY name")
            .fetch_all(self.read())
            .await?;
        rows.iter().map(read).collect()
    }

    /// One operator.
    pub async fn operator(&self, name: &str) -> Result<Option<Operator>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM operators WHERE name = $1")
            .bind(name)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// The operator whose key has this digest; that the key was used is noted.
    pub async fn operator_by_digest(
        &self,
        digest: &str,
        now: i64,
    ) -> Result<Option<Operator>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM operators WHERE digest = $1")
            .bind(digest)
            .fetch_optional(self.read())
            .await?;
        let Some(found) = row.map(|row| read(&row)).transpose()? else {
            return Ok(None);
        };
        if found
            .last_used_at
            .is_none_or(|at| now.saturating_sub(at) > USE_PRECISION_MS)
        {
            let mut write = self.write().await?;
            sqlx::query("UPDATE operators SET last_used_at = $2 WHERE name = $1")
                .bind(&found.name)
                .bind(now)
                .execute(&mut *write)
                .await?;
            write.commit().await?;
        }
        Ok(Some(found))
    }

    /// Makes an operator. Whether the name was free.
    pub async fn add_operator(
        &self,
        name: &str,
        role: Role,
        digest: &str,
        by: &str,
        now: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let done = sqlx::query(
            "INSERT INTO operators (name, role, digest, status, created_at, updated_at)
             VALUES ($1, $2, $3, 'active', $4, $4) ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(role.name())
        .bind(digest)
        .bind(now)
        .execute(&mut *write)
        .await?;
        let made = done.rows_affected() == 1;
        if made {
            let event = Event {
                actor: by,
                verb: "operator.added",
                subject: name,
                detail: role.name(),
            };
            audit::log(&mut write, &event, now).await?;
        }
        write.commit().await?;
        Ok(made)
    }

    /// Gives an operator another key; the one before ends now. Whether there is such an operator.
    pub async fn replace_operator_key(
        &self,
        name: &str,
        digest: &str,
        by: &str,
        now: i64,
    ) -> Result<bool, sqlx::Error> {
        let change = "UPDATE operators SET digest = $2, updated_at = $3 WHERE name = $1";
        self.change_operator(change, name, digest, "operator.key_replaced", by, now)
            .await
    }

    /// Suspends an operator, or lets them work again. Whether there is such an operator.
    pub async fn set_operator_active(
        &self,
        name: &str,
        active: bool,
        by: &str,
        now: i64,
    ) -> Result<bool, sqlx::Error> {
        let (status, verb) = match active {
            true => ("active", "operator.resumed"),
            false => ("suspended", "operator.suspended"),
        };
        let change = "UPDATE operators SET status = $2, updated_at = $3 WHERE name = $1";
        self.change_operator(change, name, status, verb, by, now)
            .await
    }

    async fn change_operator(
        &self,
        change: &'static str,
        name: &str,
        value: &str,
        verb: &str,
        by: &str,
        now: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let done = sqlx::query(change)
            .bind(name)
            .bind(value)
            .bind(now)
            .execute(&mut *write)
            .await?;
        let changed = done.rows_affected() == 1;
        if changed {
            let event = Event {
                actor: by,
                verb,
                subject: name,
                detail: "",
            };
            audit::log(&mut write, &event, now).await?;
        }
        write.commit().await?;
        Ok(changed)
    }
}
