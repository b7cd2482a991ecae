//! Partners, their keys, and the access tokens of OAuth 2.0 clients.

use super::Store;
use crate::store::Connection;
use sqlx::Row;
use sqlx::any::AnyRow;

/// How a partner pays for the points.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Funding {
    /// Converts only as many points as its float holds.
    Prepaid,
    /// Settles afterwards.
    Postpaid,
}

impl Funding {
    /// As stored and as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepaid => "prepaid",
            Self::Postpaid => "postpaid",
        }
    }

    /// The funding of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Prepaid, Self::Postpaid]
            .into_iter()
            .find(|funding| funding.name() == name)
    }
}

/// One partner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Partner {
    /// Its name: what its rows carry.
    pub name: String,
    /// How it pays.
    pub funding: Funding,
    /// Whether it may call.
    pub active: bool,
    /// Networks that may call, as CIDR, separated by commas; empty allows all.
    pub networks: String,
    /// Requests a second that each of its keys may send, to each replica.
    pub requests_per_second: u32,
}

/// One key of a partner. The key itself is nowhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRow {
    /// `key_…`; also the OAuth 2.0 client id.
    pub id: String,
    /// Whose.
    pub partner: String,
    /// Separated by spaces.
    pub scopes: String,
    /// When it was made.
    pub created_at: i64,
    /// Refused from then on.
    pub expires_at: Option<i64>,
    /// To the minute.
    pub last_used_at: Option<i64>,
    /// Whether every request with it must be signed.
    pub signed_only: bool,
}

fn partner(row: &AnyRow) -> Result<Partner, sqlx::Error> {
    let funding: String = row.try_get("funding")?;
    let limit: i64 = row.try_get("requests_per_second")?;
    Ok(Partner {
        name: row.try_get("name")?,
        funding: Funding::parse(&funding)
            .ok_or_else(|| sqlx::Error::Decode(format!("unknown funding {funding}").into()))?,
        active: row.try_get::<String, _>("status")? == "active",
        networks: row.try_get("networks")?,
        requests_per_second: u32::try_from(limit).unwrap_or(u32::MAX),
    })
}

fn key(row: &AnyRow) -> Result<KeyRow, sqlx::Error> {
    Ok(KeyRow {
        id: row.try_get("id")?,
        partner: row.try_get("partner")?,
        scopes: row.try_get("scopes")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        last_used_at: row.try_get("last_used_at")?,
        signed_only: row.try_get::<String, _>("signatures")? == "required",
    })
}

/// Stores a key by its digest.
pub async fn insert_key(
    connection: &mut Connection,
    key: &KeyRow,
    digest: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO api_keys (id, partner, digest, scopes, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&key.id)
    .bind(&key.partner)
    .bind(digest)
    .bind(&key.scopes)
    .bind(key.created_at)
    .bind(key.expires_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets a key end, not later than it would anyway. Whether there was one that had not ended.
pub async fn end_key(
    connection: &mut Connection,
    id: &str,
    at: i64,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE api_keys SET expires_at = $2
         WHERE id = $1 AND (expires_at IS NULL OR expires_at > $3)
           AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(id)
    .bind(at)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

impl Store {
    /// Makes a partner, or changes one.
    pub async fn put_partner(&self, partner: &Partner, now: i64) -> Result<(), sqlx::Error> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO partners (name, funding, status, networks, requests_per_second, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $6)
             ON CONFLICT (name) DO UPDATE SET funding = $2, status = $3, networks = $4,
                 requests_per_second = $5, updated_at = $6",
        )
        .bind(&partner.name)
        .bind(partner.funding.name())
        .bind(if partner.active { "active" } else { "suspended" })
        .bind(&partner.networks)
        .bind(i64::from(partner.requests_per_second))
        .bind(now)
        .execute(&mut *write)
        .await?;
        sqlx::query("INSERT INTO floats (partner) VALUES ($1) ON CONFLICT (partner) DO NOTHING")
            .bind(&partner.name)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// One partner.
    pub async fn partner(&self, name: &str) -> Result<Option<Partner>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM partners WHERE name = $1")
            .bind(name)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| partner(&row)).transpose()
    }

    /// All partners.
    pub async fn partners(&self) -> Result<Vec<Partner>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM partners ORDER BY name")
            .fetch_all(self.read())
            .await?;
        rows.iter().map(partner).collect()
    }

    /// The keys of a partner, or all.
    pub async fn keys(&self, of: Option<&str>) -> Result<Vec<KeyRow>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM api_keys WHERE $1 IS NULL OR partner = $1 ORDER BY partner, id",
        )
        .bind(of)
        .fetch_all(self.read())
        .await?;
        rows.iter().map(key).collect()
    }

    /// A key by its id.
    pub async fn key(&self, id: &str) -> Result<Option<KeyRow>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE id = $1")
            .bind(id)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| key(&row)).transpose()
    }

    /// The key with this digest, or the key that an access token with this digest was made for,
    /// with the token's scopes and end.
    pub async fn key_by_digest(
        &self,
        digest: &str,
        now: i64,
    ) -> Result<Option<KeyRow>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT id, partner, scopes, created_at, expires_at, last_used_at, signatures
             FROM api_keys WHERE digest = $1 AND (expires_at IS NULL OR expires_at > $2)
             UNION ALL
             SELECT k.id, k.partner, t.scopes, k.created_at, t.expires_at, k.last_used_at, k.signatures
             FROM access_tokens t JOIN api_keys k ON k.id = t.key_id
             WHERE t.digest = $1 AND t.expires_at > $2
               AND (k.expires_at IS NULL OR k.expires_at > $2)
             LIMIT 1",
        )
        .bind(digest)
        .bind(now)
        .fetch_optional(self.read())
        .await?;
        row.map(|row| key(&row)).transpose()
    }

    /// Notes that a key was used.
    pub async fn touch_key(&self, id: &str, now: i64) -> Result<(), sqlx::Error> {
        let mut write = self.write().await?;
        sqlx::query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1")
            .bind(id)
            .bind(now)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Stores an access token by its digest, and forgets those that have ended.
    pub async fn insert_token(
        &self,
        digest: &str,
        key_id: &str,
        scopes: &str,
        expires_at: i64,
        now: i64,
    ) -> Result<(), sqlx::Error> {
        let mut write = self.write().await?;
        sqlx::query("DELETE FROM access_tokens WHERE expires_at <= $1")
            .bind(now)
            .execute(&mut *write)
            .await?;
        sqlx::query(
            "INSERT INTO access_tokens (digest, key_id, scopes, expires_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(digest)
        .bind(key_id)
        .bind(scopes)
        .bind(expires_at)
        .execute(&mut *write)
        .await?;
        write.commit().await
    }
}

/// Adds miles to what a name converted on a day, if that stays within the limit. Whether it did.
pub async fn use_day(
    connection: &mut Connection,
    day: i64,
    name: &str,
    miles: i64,
    limit: i64,
) -> Result<bool, sqlx::Error> {
    if miles > limit {
        return Ok(false);
    }
    let done = sqlx::query(
        "INSERT INTO daily_miles (day, name, miles) VALUES ($1, $2, $3)
         ON CONFLICT (day, name) DO UPDATE SET miles = daily_miles.miles + $3
         WHERE daily_miles.miles <= $4",
    )
    .bind(day)
    .bind(name)
    .bind(miles)
    .bind(limit.saturating_sub(miles))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes miles off again: their conversion came to nothing.
pub async fn free_day(
    connection: &mut Connection,
    day: i64,
    name: &str,
    miles: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE daily_miles SET miles = miles - $3 WHERE day = $1 AND name = $2 AND miles >= $3",
    )
    .bind(day)
    .bind(name)
    .bind(miles)
    .execute(connection)
    .await?;
    Ok(())
}
