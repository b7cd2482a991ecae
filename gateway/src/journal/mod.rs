//! The journal, in double entry: what happened to miles and points, for ever.
//!
//! A positive amount is a debit, a negative one a credit. Each posting names its conversion and
//! its kind, and there is one of each at most, so posting twice is impossible, not only unlikely.
//! `migrations/0002_journal.sql` refuses change, removal and anything that does not balance.
//!
//! | kind | debit | credit | currency |
//! |---|---|---|---|
//! | taken | `{programme}:miles_taken` | `{programme}:miles_to_convert` | `MILES:{programme}` |
//! | issued | `{programme}:miles_to_convert` | `{programme}:miles_converted` | `MILES:{programme}` |
//! | | `{programme}:points_owed_by_partner` | `points_in_circulation` | `MVP` (micro-points) |
//! | given_back | `{programme}:miles_to_convert` | `{programme}:miles_taken` | `MILES:{programme}` |
//!
//! So at any time `miles_taken` is what the partner took and did not give back, the credit of
//! `miles_to_convert` is what points are still owed for, and the credit of
//! `points_in_circulation` is what was issued.

use crate::ids;
use crate::store::conversions::Conversion;
use crate::store::{Store, from_sql, to_sql};
use sqlx::{Row, SqliteConnection};

/// Currency of points, counted in micro-points.
pub const POINTS: &str = "MVP";
const CIRCULATION: &str = "points_in_circulation";

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The partner took the miles.
    Taken,
    /// The points were issued.
    Issued,
    /// The partner gave the miles back.
    GivenBack,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Issued => "issued",
            Self::GivenBack => "given_back",
        }
    }
}

/// One side of a posting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Account.
    pub account: String,
    /// Its currency.
    pub currency: String,
    /// Positive debits, negative credits.
    pub amount: i64,
}

fn pair(debit: &str, credit: &str, currency: &str, amount: i64) -> Result<[Entry; 2], sqlx::Error> {
    let overflow = || sqlx::Error::Encode("an amount that cannot be negated".into());
    let opposite = amount.checked_neg().ok_or_else(overflow)?;
    let entry = |account: &str, amount| Entry {
        account: account.to_owned(),
        currency: currency.to_owned(),
        amount,
    };
    Ok([entry(debit, amount), entry(credit, opposite)])
}

/// The entries of one kind for one conversion.
pub fn entries(conversion: &Conversion, kind: Kind) -> Result<Vec<Entry>, sqlx::Error> {
    let programme = &conversion.programme;
    let account = |name: &str| format!("{programme}:{name}");
    let currency = format!("MILES:{programme}");
    let miles = to_sql(conversion.miles)?;
    let (taken, to_convert) = (account("miles_taken"), account("miles_to_convert"));
    Ok(match kind {
        Kind::Taken => pair(&taken, &to_convert, &currency, miles)?.to_vec(),
        Kind::GivenBack => pair(&to_convert, &taken, &currency, miles)?.to_vec(),
        Kind::Issued => {
            let points = to_sql(conversion.points.0)?;
            let owed = account("points_owed_by_partner");
            [
                pair(&to_convert, &account("miles_converted"), &currency, miles)?,
                pair(&owed, CIRCULATION, POINTS, points)?,
            ]
            .concat()
        }
    })
}

/// Posts what happened to a conversion, in the transaction that changes its state.
pub async fn post(
    connection: &mut SqliteConnection,
    conversion: &Conversion,
    kind: Kind,
    now: i64,
) -> Result<(), sqlx::Error> {
    let entries = entries(conversion, kind)?;
    write(connection, &conversion.id, kind.name(), &entries, now).await
}

/// Writes entries and seals them. The database refuses what does not balance.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    conversion: &str,
    kind: &str,
    entries: &[Entry],
    now: i64,
) -> Result<(), sqlx::Error> {
    let id = ids::journal();
    for entry in entries {
        sqlx::query(
            "INSERT INTO accounts (id, currency) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&entry.account)
        .bind(&entry.currency)
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "INSERT INTO journal_entries (transaction_id, account, currency, amount) VALUES (?, ?, ?, ?)",
        )
        .bind(&id)
        .bind(&entry.account)
        .bind(&entry.currency)
        .bind(entry.amount)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query(
        "INSERT INTO journal_transactions (id, conversion_id, kind, posted_at) VALUES (?, ?, ?, ?)",
    )
    .bind(&id)
    .bind(conversion)
    .bind(kind)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// What the journal says about one programme.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProgrammeBooks {
    /// Programme.
    pub programme: String,
    /// Miles taken at the partner and not given back.
    pub miles_taken: u64,
    /// Of those, miles that points were issued for.
    pub miles_converted: u64,
    /// Micro-points issued for them.
    pub micro_points_issued: u64,
    /// Micro-points that the converted miles come to at their agreed rates.
    pub micro_points_by_rate: u64,
}

/// What the journal says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Books {
    /// By programme.
    pub programmes: Vec<ProgrammeBooks>,
    /// Micro-points in circulation.
    pub micro_points_issued: u64,
    /// Every currency sums to zero over all accounts.
    pub balanced: bool,
}

async fn balance(connection: &mut SqliteConnection, account: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT COALESCE(SUM(amount), 0) FROM journal_entries WHERE account = ?")
        .bind(account)
        .fetch_one(connection)
        .await
}

fn magnitude(amount: i64) -> Result<u64, sqlx::Error> {
    amount
        .checked_neg()
        .ok_or_else(|| sqlx::Error::Decode("out of range".into()))
        .and_then(from_sql)
}

impl Store {
    /// Adds the journal up, all of it as of one moment.
    pub async fn books(&self) -> Result<Books, sqlx::Error> {
        let mut snapshot = self.read().begin().await?;
        let programmes: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT programme FROM conversions ORDER BY programme")
                .fetch_all(&mut *snapshot)
                .await?;
        let mut books = Books::default();
        for programme in programmes {
            let taken = balance(&mut snapshot, &format!("{programme}:miles_taken")).await?;
            let converted = balance(&mut snapshot, &format!("{programme}:miles_converted")).await?;
            let issued = balance(
                &mut snapshot,
                &format!("{programme}:points_owed_by_partner"),
            )
            .await?;
            let row = sqlx::query(
                "SELECT COALESCE(SUM(miles * micro_points_per_mile), 0) AS by_rate
                 FROM conversions WHERE programme = ? AND state = 'completed'",
            )
            .bind(&programme)
            .fetch_one(&mut *snapshot)
            .await?;
            books.programmes.push(ProgrammeBooks {
                programme,
                miles_taken: from_sql(taken)?,
                miles_converted: magnitude(converted)?,
                micro_points_issued: from_sql(issued)?,
                micro_points_by_rate: from_sql(row.try_get("by_rate")?)?,
            });
        }
        books.micro_points_issued = magnitude(balance(&mut snapshot, CIRCULATION).await?)?;
        let unbalanced: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM (SELECT 1 FROM journal_entries GROUP BY currency HAVING SUM(amount) <> 0)",
        )
        .fetch_one(&mut *snapshot)
        .await?;
        books.balanced = unbalanced == 0;
        Ok(books)
    }
}

#[cfg(test)]
mod tests;
