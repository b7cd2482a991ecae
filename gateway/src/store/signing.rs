//! Signing keys of API keys, and the nonces that were used with them. A nonce belongs to the public
//! key, so that a request that was seen is not good for another API key with the same pair.

use super::Store;
use crate::store::Connection;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mileverse_gateway_api::signature::PUBLIC_KEY_BYTES;
use sqlx::Row;
use sqlx::any::AnyRow;

/// Signing keys of one API key, at most.
pub const MOST: i64 = 16;

/// One signing key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningKey {
    /// The partner's name of it: `keyid`.
    pub name: String,
    /// Ed25519.
    pub public_key: [u8; PUBLIC_KEY_BYTES],
    /// When it was registered.
    pub created_at: i64,
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Registered {
    /// It is new.
    New,
    /// It was there already, the same.
    Same,
    /// Another key has this name.
    Other,
    /// There are too many.
    TooMany,
}

fn read(row: &AnyRow) -> Result<SigningKey, sqlx::Error> {
    let key: String = row.try_get("public_key")?;
    let key = STANDARD
        .decode(key)
        .ok()
        .and_then(|key| key.try_into().ok())
        .ok_or_else(|| sqlx::Error::Decode("a public key that is none".into()))?;
    Ok(SigningKey {
        name: row.try_get("name")?,
        public_key: key,
        created_at: row.try_get("created_at")?,
    })
}

/// Gives a key that replaces another the other's signing keys, and its rule.
pub async fn inherit(connection: &mut Connection, from: &str, to: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO signing_keys (key_id, name, public_key, created_at)
         SELECT $2, name, public_key, created_at FROM signing_keys WHERE key_id = $1",
    )
    .bind(from)
    .bind(to)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE api_keys SET signatures = (SELECT signatures FROM api_keys WHERE id = $1) WHERE id = $2",
    )
    .bind(from)
    .bind(to)
    .execute(connection)
    .await?;
    Ok(())
}

/// Says whether every request with a key must be signed. Whether there is such a key.
async fn set_rule(
    connection: &mut Connection,
    key_id: &str,
    required: bool,
) -> Result<bool, sqlx::Error> {
    // The row is locked by this, so that no signing key comes or goes meanwhile.
    let done = sqlx::query("UPDATE api_keys SET signatures = $2 WHERE id = $1")
        .bind(key_id)
        .bind(if required { "required" } else { "optional" })
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets nobody else change the signing keys of a key before this transaction ends.
async fn lock(connection: &mut Connection, key_id: &str) -> Result<bool, sqlx::Error> {
    let rule: Option<String> = sqlx::query_scalar(
        "UPDATE api_keys SET signatures = signatures WHERE id = $1 RETURNING signatures",
    )
    .bind(key_id)
    .fetch_optional(connection)
    .await?;
    Ok(rule.is_some_and(|rule| rule == "required"))
}

impl Store {
    /// The signing keys of an API key, by name.
    pub async fn signing_keys(&self, key_id: &str) -> Result<Vec<SigningKey>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM signing_keys WHERE key_id = $1 ORDER BY name")
            .bind(key_id)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(read).collect()
    }

    /// One of them.
    pub async fn signing_key(
        &self,
        key_id: &str,
        name: &str,
    ) -> Result<Option<SigningKey>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM signing_keys WHERE key_id = $1 AND name = $2")
            .bind(key_id)
            .bind(name)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// Registers a signing key.
    pub async fn register_signing_key(
        &self,
        key_id: &str,
        key: &SigningKey,
    ) -> Result<Registered, sqlx::Error> {
        let mut write = self.write().await?;
        lock(&mut write, key_id).await?;
        let public_key = STANDARD.encode(key.public_key);
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT name, public_key FROM signing_keys WHERE key_id = $1")
                .bind(key_id)
                .fetch_all(&mut *write)
                .await?;
        let there = rows.iter().find(|(name, _)| *name == key.name);
        let registered = match there {
            Some((_, same)) if *same == public_key => Registered::Same,
            Some(_) => Registered::Other,
            None if i64::try_from(rows.len()).unwrap_or(i64::MAX) >= MOST => Registered::TooMany,
            None => Registered::New,
        };
        if registered == Registered::New {
            sqlx::query(
                "INSERT INTO signing_keys (key_id, name, public_key, created_at)
                 VALUES ($1, $2, $3, $4)",
            )
            .bind(key_id)
            .bind(&key.name)
            .bind(public_key)
            .bind(key.created_at)
            .execute(&mut *write)
            .await?;
        }
        write.commit().await?;
        Ok(registered)
    }

    /// Takes a signing key out, unless it is the last of a key that needs one. `None` if there is
    /// none; otherwise whether it is gone.
    pub async fn remove_signing_key(
        &self,
        key_id: &str,
        name: &str,
    ) -> Result<Option<bool>, sqlx::Error> {
        let mut write = self.write().await?;
        let required = lock(&mut write, key_id).await?;
        let names: Vec<String> =
            sqlx::query_scalar("SELECT name FROM signing_keys WHERE key_id = $1")
                .bind(key_id)
                .fetch_all(&mut *write)
                .await?;
        let found = names.iter().any(|one| one == name);
        let may = !required || names.len() > 1;
        if found && may {
            sqlx::query("DELETE FROM signing_keys WHERE key_id = $1 AND name = $2")
                .bind(key_id)
                .bind(name)
                .execute(&mut *write)
                .await?;
        }
        write.commit().await?;
        Ok(found.then_some(may))
    }

    /// Says whether every request with a key must be signed. Whether there is such a key.
    pub async fn require_signatures(
        &self,
        key_id: &str,
        required: bool,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let done = set_rule(&mut write, key_id, required).await?;
        write.commit().await?;
        Ok(done)
    }

    /// Uses a nonce of a signing key, once. Whether it was not used before.
    pub async fn use_nonce(
        &self,
        public_key: &[u8; PUBLIC_KEY_BYTES],
        nonce: &str,
        ends_at: i64,
        now: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        sqlx::query("DELETE FROM signature_nonces WHERE ends_at <= $1")
            .bind(now)
            .execute(&mut *write)
            .await?;
        let done = sqlx::query(
            "INSERT INTO signature_nonces (public_key, nonce, ends_at) VALUES ($1, $2, $3)
             ON CONFLICT (public_key, nonce) DO NOTHING",
        )
        .bind(STANDARD.encode(public_key))
        .bind(nonce)
        .bind(ends_at)
        .execute(&mut *write)
        .await?;
        write.commit_lazily().await?;
        Ok(done.rows_affected() == 1)
    }
}
