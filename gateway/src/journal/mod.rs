//! The journal, in double entry: what happened to miles and points, for ever.
//!
//! A positive amount is a debit, a negative one a credit. Each posting names its conversion and
//! its kind, and there is one of each at most, so posting twice is impossible, not only unlikely.
//! The database refuses change, removal and anything that does not balance.
//!
//! | kind | debit | credit | currency |
//! |---|---|---|---|
//! | taken | `{programme}:miles_taken` | `{programme}:miles_to_convert` | `MILES:{programme}` |
//! | issued | `{programme}:miles_to_convert` | `{programme}:miles_converted` | `MILES:{programme}` |
//! | | `{programme}:points_owed_by_partner` | `points_in_circulation` | `MVP` (micro-points) |
//! | | `{programme}:points_owed_by_partner` | `{programme}:fees` | `MVP`, if there is a fee |
//! | given_back | `{programme}:miles_to_convert` | `{programme}:miles_taken` | `MILES:{programme}` |
//! | corrected | as two operators agreed ([`crate::operator::entry`]) | | |
//! | returned | `{programme}:miles_converted` | `{programme}:miles_taken` | `MILES:{programme}` |
//! | | `{partner}:points_claimed` | `{programme}:points_owed_by_partner` | `MVP` |
//!
//! A disputed conversion returns the miles and leaves the points where they are, for they are
//! money by then: what they are worth is a claim on the partner, covered by its float if it is
//! prepaid. The fee stays owed.
//!
//! So at any time `miles_taken` is what the partner took and did not give back, the credit of
//! `miles_to_convert` is what points are still owed for, and the credit of
//! `points_in_circulation` is what was issued.

use crate::float;
use crate::ids;
use crate::store::Connection;
use crate::store::conversions::Conversion;
use crate::store::rows;
use crate::store::{Store, from_sql, to_sql};
use serde::Serialize;
use sqlx::Row;
use std::collections::BTreeSet;

/// Currency of points, counted in micro-points.
pub const POINTS: &str = "MVP";
const CIRCULATION: &str = "points_in_circulation";
/// Who posts what no person decided.
pub const GATEWAY: &str = "gateway";

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The partner took the miles.
    Taken,
    /// The points were issued.
    Issued,
    /// The partner gave the miles back.
    GivenBack,
    /// The partner disputed it and gave the miles back.
    Returned,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Issued => "issued",
            Self::GivenBack => "given_back",
            Self::Returned => "returned",
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

/// A debit of one account and a credit of another.
pub(crate) fn pair(
    debit: &str,
    credit: &str,
    currency: &str,
    amount: i64,
) -> Result<[Entry; 2], sqlx::Error> {
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
            let points = to_sql(conversion.received()?.0)?;
            let fee = to_sql(conversion.fee.points.0)?;
            let owed = account("points_owed_by_partner");
            let mut entries = [
                pair(&to_convert, &account("miles_converted"), &currency, miles)?,
                pair(&owed, CIRCULATION, POINTS, points)?,
            ]
            .concat();
            if fee > 0 {
                entries.extend(pair(&owed, &account("fees"), POINTS, fee)?);
            }
            entries
        }
        Kind::Returned => {
            let points = to_sql(conversion.received()?.0)?;
            let claimed = format!("{}:points_claimed", conversion.partner);
            let owed = account("points_owed_by_partner");
            [
                pair(&account("miles_converted"), &taken, &currency, miles)?,
                pair(&claimed, &owed, POINTS, points)?,
            ]
            .concat()
        }
    })
}

/// A journal transaction that is to be written.
#[derive(Clone, Debug)]
pub struct Posting<'a> {
    /// What it is about; with the kind, unique.
    pub subject: &'a str,
    /// One of the table `journal_kinds`.
    pub kind: &'static str,
    /// Who posts it.
    pub by: &'a str,
    /// Why, if the kind does not say all.
    pub note: Option<&'a str>,
    /// What it debits and credits.
    pub entries: Vec<Entry>,
}

impl<'a> Posting<'a> {
    /// What happened to a conversion, to be written in the transaction that changes its state.
    pub fn of(conversion: &'a Conversion, kind: Kind, by: &'a str) -> Result<Self, sqlx::Error> {
        let mut entries = entries(conversion, kind)?;
        if kind == Kind::Issued && conversion.held.0 > 0 {
            entries.extend(float::spent(conversion)?);
        }
        Ok(Self {
            subject: &conversion.id,
            kind: kind.name(),
            by,
            note: None,
            entries,
        })
    }
}

#[derive(Serialize)]
struct EntryRow<'a> {
    transaction: &'a str,
    account: &'a str,
    currency: &'a str,
    amount: i64,
}

#[derive(Serialize)]
struct SealRow<'a> {
    id: &'a str,
    subject: &'a str,
    kind: &'static str,
    by: &'a str,
    note: Option<&'a str>,
}

/// New accounts, each unless it is there. No index is named for the conflict: two are unique, and of two writers
/// that open an account at once the second may meet the other's row in either.
macro_rules! accounts {
    ($rows:literal) => {
        concat!(
            "INSERT INTO accounts (id, currency) SELECT value ->> 0, value ->> 1 FROM ",
            $rows,
            " WHERE true ON CONFLICT DO NOTHING"
        )
    };
}
const ACCOUNTS_SQLITE: &str = accounts!("json_each($1)");
macro_rules! entries {
    ($rows:literal) => {
        concat!(
            "INSERT INTO journal_entries (transaction_id, account, currency, amount)
             SELECT value ->> 'transaction', value ->> 'account', value ->> 'currency',
                 CAST(value ->> 'amount' AS BIGINT)
             FROM ",
            $rows
        )
    };
}
const ENTRIES_SQLITE: &str = entries!("json_each($1)");
macro_rules! seals {
    ($rows:literal) => {
        concat!(
            "INSERT INTO journal_transactions (id, subject, kind, posted_at, posted_by, note)
             SELECT value ->> 'id', value ->> 'subject', value ->> 'kind', $2, value ->> 'by', value ->> 'note'
             FROM ",
            $rows
        )
    };
}
const SEALS_SQLITE: &str = seals!("json_each($1)");
/// All of a posting, as one message to the server. To count the entries makes it write all of them before the first
/// seal is looked at; that the accounts are there is looked at when the statement ends.
const POST_POSTGRES: &str = concat!(
    "WITH new AS (",
    accounts!("jsonb_array_elements($4::jsonb)"),
    "), entries AS (",
    entries!("jsonb_array_elements($3::jsonb)"),
    " RETURNING 1) ",
    seals!("jsonb_array_elements($1::jsonb)"),
    " WHERE (SELECT COUNT(*) FROM entries) >= 0"
);

/// Writes entries, and before them the accounts that are new, and seals them. The database refuses what
/// does not balance.
pub async fn write(
    connection: &mut Connection,
    postings: &[Posting<'_>],
    now: i64,
) -> Result<(), sqlx::Error> {
    if postings.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = postings.iter().map(|one| (ids::journal(), one)).collect();
    let entries: Vec<_> = named
        .iter()
        .flat_map(|(id, posting)| {
            posting.entries.iter().map(|entry| EntryRow {
                transaction: id,
                account: &entry.account,
                currency: &entry.currency,
                amount: entry.amount,
            })
        })
        .collect();
    // Each once and in one order, so that two writers never wait for each other.
    let accounts: BTreeSet<_> = entries
        .iter()
        .map(|entry| (entry.account, entry.currency))
        .collect();
    let accounts: Vec<_> = accounts.into_iter().collect();
    let seals: Vec<_> = named
        .iter()
        .map(|(id, posting)| SealRow {
            id,
            subject: posting.subject,
            kind: posting.kind,
            by: posting.by,
            note: posting.note,
        })
        .collect();
    let (accounts, entries) = (rows::json(&accounts)?, rows::json(&entries)?);
    let seals = rows::json(&seals)?;
    if connection.is_postgres() {
        let posted = sqlx::query(POST_POSTGRES)
            .bind(seals)
            .bind(now)
            .bind(entries)
            .bind(accounts);
        return connection.tell(posted).await;
    }
    let opened = sqlx::query(ACCOUNTS_SQLITE).bind(accounts);
    connection.tell(opened).await?;
    let written = sqlx::query(ENTRIES_SQLITE).bind(entries);
    connection.tell(written).await?;
    let sealed = sqlx::query(SEALS_SQLITE).bind(seals).bind(now);
    connection.tell(sealed).await
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
    /// Micro-points issued for them, without fees.
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
    /// Every float is what the journal says of it.
    pub floats_agree: bool,
}

async fn balance(connection: &mut Connection, account: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM journal_entries WHERE account = $1",
    )
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
    /// Whether something of this kind is posted about a subject.
    pub async fn is_posted(&self, subject: &str, kind: &str) -> Result<bool, sqlx::Error> {
        let found: Option<String> = sqlx::query_scalar(
            "SELECT id FROM journal_transactions WHERE subject = $1 AND kind = $2",
        )
        .bind(subject)
        .bind(kind)
        .fetch_optional(self.read())
        .await?;
        Ok(found.is_some())
    }

    /// Adds the journal up, all of it as of one moment.
    pub async fn books(&self) -> Result<Books, sqlx::Error> {
        let mut snapshot = self.snapshot().await?;
        let programmes: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT programme FROM conversions ORDER BY programme")
                .fetch_all(&mut snapshot)
                .await?;
        let mut books = Books::default();
        for programme in programmes {
            let taken = balance(&mut snapshot, &format!("{programme}:miles_taken")).await?;
            let converted = balance(&mut snapshot, &format!("{programme}:miles_converted")).await?;
            let owed = balance(
                &mut snapshot,
                &format!("{programme}:points_owed_by_partner"),
            )
            .await?;
            let fees = balance(&mut snapshot, &format!("{programme}:fees")).await?;
            let issued = owed
                .checked_add(fees)
                .ok_or_else(|| sqlx::Error::Decode("out of range".into()))?;
            let row = sqlx::query(
                "SELECT CAST(COALESCE(SUM(CASE fee_payer WHEN 'member'
                     THEN micro_points - fee_micro_points ELSE micro_points END), 0) AS BIGINT) AS by_rate
                 FROM conversions WHERE programme = $1 AND state IN ('completed', 'disputed')",
            )
            .bind(&programme)
            .fetch_one(&mut snapshot)
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
            "SELECT COUNT(*) FROM (SELECT 1 FROM journal_entries GROUP BY currency HAVING SUM(amount) <> 0) AS unbalanced",
        )
        .fetch_one(&mut snapshot)
        .await?;
        books.balanced = unbalanced == 0;
        books.floats_agree = float::agree(&mut snapshot).await?;
        Ok(books)
    }
}

#[cfg(test)]
mod tests;
