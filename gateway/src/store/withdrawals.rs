//! Withdrawals: points that are moved out of wallets which the gateway keeps. A row holds its signed
//! transaction from its first moment on.

use super::jobs::{self, Kind};
use super::{Store, from_sql, to_sql};
use crate::store::Connection;
use crate::units::MicroPoints;
use mileverse_gateway_api::wallets::WithdrawalState as State;
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row};

/// One withdrawal.
#[derive(Clone, Debug)]
pub struct Withdrawal {
    /// `wdr_…`
    pub id: String,
    /// Whose member's.
    pub partner: String,
    /// `mem_…`
    pub member_id: String,
    /// Where the points are.
    pub wallet: String,
    /// Who gets them.
    pub receiver: String,
    /// What the receiver gets.
    pub points: MicroPoints,
    /// The transfer's fee, as it was stated before.
    pub fee: MicroPoints,
    /// The wallet's nonce.
    pub nonce: u64,
    /// Hash of the transaction.
    pub hash: String,
    /// What is broadcast, the same bytes every time.
    pub raw: Vec<u8>,
    /// Where it stands.
    pub state: State,
    /// All that the wallet paid, once that is known.
    pub paid: Option<MicroPoints>,
    /// The block that decided.
    pub block: Option<u64>,
    /// Why it failed, for machines …
    pub reason_code: Option<String>,
    /// … and for people.
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When its state last changed.
    pub updated_at: i64,
}

/// How a withdrawal ends.
#[derive(Clone, Debug)]
pub struct End<'a> {
    /// Where it goes.
    pub to: State,
    /// All that the wallet paid.
    pub paid: MicroPoints,
    /// The block that decided, if one did.
    pub block: Option<u64>,
    /// Why it failed.
    pub reason: Option<(&'static str, &'a str)>,
}

/// Which withdrawals, and which page of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// After this one.
    pub before: Option<&'a str>,
    /// Only this member's.
    pub member_id: Option<&'a str>,
    /// Only in this state.
    pub state: Option<State>,
    /// At most so many.
    pub limit: u32,
}

fn read(row: &AnyRow) -> Result<Withdrawal, sqlx::Error> {
    let points = |column: &str| from_sql(row.try_get(column)?).map(MicroPoints);
    let state: String = row.try_get("state")?;
    let paid: Option<i64> = row.try_get("paid_micro_points")?;
    let block: Option<i64> = row.try_get("block")?;
    Ok(Withdrawal {
        id: row.try_get("id")?,
        partner: row.try_get("partner")?,
        member_id: row.try_get("member_id")?,
        wallet: row.try_get("wallet")?,
        receiver: row.try_get("receiver")?,
        points: points("micro_points")?,
        fee: points("fee_micro_points")?,
        nonce: from_sql(row.try_get("nonce")?)?,
        hash: row.try_get("hash")?,
        raw: row.try_get("raw")?,
        state: State::parse(&state)
            .ok_or_else(|| sqlx::Error::Decode(format!("unknown state {state}").into()))?,
        paid: paid.map(from_sql).transpose()?.map(MicroPoints),
        block: block.map(from_sql).transpose()?,
        reason_code: row.try_get("reason_code")?,
        reason: row.try_get("reason")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// The withdrawal of a wallet that is under way, also if it is not committed yet.
pub async fn open_of<'c>(
    connection: impl Executor<'c, Database = Any>,
    wallet: &str,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM withdrawals WHERE wallet = $1 AND state = 'sending'")
        .bind(wallet)
        .fetch_optional(connection)
        .await
}

/// The nonce after the last one that was stored for a wallet; 0 if none was.
pub async fn next_nonce(connection: &mut Connection, wallet: &str) -> Result<u64, sqlx::Error> {
    let next: i64 = sqlx::query_scalar(
        "SELECT CAST(COALESCE(MAX(nonce) + 1, 0) AS BIGINT) FROM withdrawals WHERE wallet = $1",
    )
    .bind(wallet)
    .fetch_one(connection)
    .await?;
    from_sql(next)
}

/// Stores a new withdrawal, and the job of sending it, claimed by a run.
pub async fn insert(
    connection: &mut Connection,
    withdrawal: &Withdrawal,
    run: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO withdrawals (id, partner, member_id, wallet, receiver, micro_points,
             fee_micro_points, nonce, hash, raw, state, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'sending', $11, $11)",
    )
    .bind(&withdrawal.id)
    .bind(&withdrawal.partner)
    .bind(&withdrawal.member_id)
    .bind(&withdrawal.wallet)
    .bind(&withdrawal.receiver)
    .bind(to_sql(withdrawal.points.0)?)
    .bind(to_sql(withdrawal.fee.0)?)
    .bind(to_sql(withdrawal.nonce)?)
    .bind(&withdrawal.hash)
    .bind(withdrawal.raw.as_slice())
    .bind(withdrawal.created_at)
    .execute(&mut *connection)
    .await?;
    let (id, now) = (&withdrawal.id, withdrawal.created_at);
    jobs::add_claimed(connection, Kind::Withdrawal, &[id], run, now).await
}

/// Ends a withdrawal that is under way, and takes its job out. Whether it was under way.
pub async fn settle(
    connection: &mut Connection,
    id: &str,
    end: &End<'_>,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE withdrawals SET state = $2, paid_micro_points = $3, block = $4, reason_code = $5,
             reason = $6, updated_at = $7
         WHERE id = $1 AND state = 'sending'",
    )
    .bind(id)
    .bind(end.to.name())
    .bind(to_sql(end.paid.0)?)
    .bind(end.block.map(to_sql).transpose()?)
    .bind(end.reason.map(|(code, _)| code))
    .bind(end.reason.map(|(_, why)| why))
    .bind(now)
    .execute(&mut *connection)
    .await?;
    jobs::done(connection, Kind::Withdrawal, id).await?;
    Ok(done.rows_affected() == 1)
}

impl Store {
    /// One withdrawal.
    pub async fn withdrawal(&self, id: &str) -> Result<Option<Withdrawal>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM withdrawals WHERE id = $1")
            .bind(id)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| read(&row)).transpose()
    }

    /// The withdrawal of a wallet that is under way.
    pub async fn open_withdrawal(&self, wallet: &str) -> Result<Option<String>, sqlx::Error> {
        open_of(self.read(), wallet).await
    }

    /// A page of a partner's withdrawals, newest first.
    pub async fn withdrawals_of(
        &self,
        partner: &str,
        page: &Page<'_>,
    ) -> Result<Vec<Withdrawal>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM withdrawals
             WHERE partner = $1 AND ($2 = '' OR id < $2) AND ($3 = '' OR member_id = $3)
               AND ($4 = '' OR state = $4)
             ORDER BY id DESC LIMIT $5",
        )
        .bind(partner)
        .bind(page.before.unwrap_or_default())
        .bind(page.member_id.unwrap_or_default())
        .bind(page.state.map_or("", State::name))
        .bind(i64::from(page.limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(read).collect()
    }
}
