//! Members that were linked. Whatever is personal is sealed ([`crate::vault`]).

use super::Store;
use crate::store::Connection;
use crate::vault::Sealed;
use sqlx::Row;
use sqlx::any::AnyRow;

/// One member of a programme, linked by one caller.
#[derive(Clone, Debug)]
pub struct MemberRow {
    /// `mem_…`
    pub id: String,
    /// Who linked it.
    pub partner: String,
    /// Whose miles.
    pub programme: String,
    /// Finds the member again and tells nothing: an HMAC. Gone once the member has left.
    pub digest: Option<String>,
    /// The partner's id of the member, and what it accepts calls in its name with. Gone once the
    /// member has left.
    pub sealed: Option<Sealed>,
    /// Which text the member agreed to …
    pub consent: String,
    /// … and when.
    pub consented_at: i64,
    /// `linked`, `relink` or `left`.
    pub status: String,
    /// When it was first linked.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

pub(super) fn read(row: &AnyRow) -> Result<MemberRow, sqlx::Error> {
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
    Ok(MemberRow {
        id: row.try_get("id")?,
        partner: row.try_get("partner")?,
        programme: row.try_get("programme")?,
        digest: row.try_get("digest")?,
        sealed,
        consent: row.try_get("consent")?,
        consented_at: row.try_get("consented_at")?,
        status: row.try_get("status")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// Links a member, or links it again. Gives the id it has and when it was first linked.
pub async fn link(
    connection: &mut Connection,
    member: &MemberRow,
) -> Result<(String, i64), sqlx::Error> {
    let sealed = member.sealed.as_ref();
    let row = sqlx::query(
        "INSERT INTO members (id, partner, programme, digest, key_id, wrapped_key, data, consent,
             consented_at, status, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'linked', $10, $10)
         ON CONFLICT (partner, programme, digest) DO UPDATE SET updated_at = $10
         RETURNING id, created_at",
    )
    .bind(&member.id)
    .bind(&member.partner)
    .bind(&member.programme)
    .bind(&member.digest)
    .bind(sealed.map(|sealed| sealed.key_id.as_str()))
    .bind(sealed.map(|sealed| sealed.wrapped_key.as_slice()))
    .bind(sealed.map(|sealed| sealed.data.as_slice()))
    .bind(&member.consent)
    .bind(member.consented_at)
    .bind(member.updated_at)
    .fetch_one(connection)
    .await?;
    Ok((row.try_get("id")?, row.try_get("created_at")?))
}

/// Stores what a link that was made anew brought.
pub async fn renew(connection: &mut Connection, member: &MemberRow) -> Result<(), sqlx::Error> {
    let sealed = member.sealed.as_ref();
    sqlx::query(
        "UPDATE members SET key_id = $2, wrapped_key = $3, data = $4, consent = $5,
             consented_at = $6, status = 'linked', updated_at = $7
         WHERE id = $1 AND status <> 'left'",
    )
    .bind(&member.id)
    .bind(sealed.map(|sealed| sealed.key_id.as_str()))
    .bind(sealed.map(|sealed| sealed.wrapped_key.as_slice()))
    .bind(sealed.map(|sealed| sealed.data.as_slice()))
    .bind(&member.consent)
    .bind(member.consented_at)
    .bind(member.updated_at)
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// One member of a partner's, also one that has left.
    pub async fn member(&self, partner: &str, id: &str) -> Result<Option<MemberRow>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM members WHERE id = $1 AND partner = $2")
            .bind(id)
            .bind(partner)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// Notes that the partner does not accept a link any more.
    pub async fn unlink(&self, id: &str, now: i64) -> Result<(), sqlx::Error> {
        let mut write = self.write().await?;
        sqlx::query(
            "UPDATE members SET status = 'relink', updated_at = $2 WHERE id = $1 AND status = 'linked'",
        )
        .bind(id)
        .bind(now)
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Members whose key is wrapped by another master key than this.
    pub async fn members_under_other_keys(
        &self,
        key_id: &str,
        limit: u32,
    ) -> Result<Vec<MemberRow>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM members WHERE key_id IS NOT NULL AND key_id <> $1 ORDER BY id LIMIT $2",
        )
        .bind(key_id)
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(read).collect()
    }

    /// Stores a member's key as it is wrapped now, if it is still the one it was. Whether it was.
    pub async fn rewrap_member(
        &self,
        id: &str,
        from: &Sealed,
        to: &Sealed,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let done = sqlx::query(
            "UPDATE members SET key_id = $3, wrapped_key = $4 WHERE id = $1 AND wrapped_key = $2",
        )
        .bind(id)
        .bind(from.wrapped_key.as_slice())
        .bind(&to.key_id)
        .bind(to.wrapped_key.as_slice())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}
