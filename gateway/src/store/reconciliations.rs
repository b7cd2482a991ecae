//! Partners' statements, what the chain issued, and the reports of reconciliations.

use super::audit::{self, Event};
use super::cases::{self, Opening};
use super::jobs::{self, Kind as JobKind};
use super::{Store, from_sql};
use crate::conversion::state::State;
use crate::ids;
use crate::reconcile::compare::{Ours, Pair, Theirs};
use crate::reconcile::statement::Line;
use crate::reconcile::{Difference, Kind};
use crate::store::Connection;
use crate::store::to_sql;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};
use std::fmt::Write as _;

/// Lines that are stored by one statement of SQL: PostgreSQL takes 65,535 parameters, SQLite 32,766.
const LINES_AT_ONCE: usize = 500;
const LINE_COLUMNS: usize = 8;

/// A partner's statement that was received.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    /// `stm_…`
    pub id: String,
    /// Of which programme.
    pub programme: String,
    /// Of which UTC day, counted from 1970.
    pub day: i64,
    /// Of the file, in hex.
    pub sha256: String,
    /// Lines without the header.
    pub lines: i64,
    /// Whether no later one took its place.
    pub current: bool,
    /// When it came.
    pub received_at: i64,
    /// Who sent it.
    pub received_by: String,
}

/// One event of the chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChainIssue {
    /// The name that was issued under, `0x…`.
    pub name: String,
    /// By which transaction.
    pub transaction_hash: String,
    /// In which block.
    pub block: u64,
    /// How much, a decimal.
    pub micro_points: String,
}

/// One reconciliation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reconciliation {
    /// `rec_…`
    pub id: String,
    /// Of which UTC day, counted from 1970.
    pub day: i64,
    /// Whether it is the day's own.
    pub daily: bool,
    /// Who asked for it.
    pub requested_by: String,
    /// When.
    pub requested_at: i64,
    /// What came of it, once it is done.
    pub report: Option<Report>,
}

/// What a run found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// When.
    pub finished_at: i64,
    /// Whether nothing differs.
    pub agrees: bool,
    /// How many differences there are, also those that were not kept.
    pub differences: i64,
    /// JSON: the totals.
    pub totals: String,
}

/// A window of the journal: from, up to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// The UTC day that it is about.
    pub day: i64,
    /// Postings then or later …
    pub from: i64,
    /// … and before this.
    pub to: i64,
}

/// What the chain has of one conversion, and what we have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Minted {
    /// The conversion.
    pub id: String,
    /// Of which programme.
    pub programme: String,
    /// Where it stands.
    pub state: State,
    /// When it last moved.
    pub updated_at: i64,
    /// Points that were agreed.
    pub micro_points: u64,
    /// Whether the journal has them as issued.
    pub posted: bool,
    /// What the chain issued, if it did.
    pub issued: Option<String>,
}

fn statement(row: &AnyRow) -> Result<Statement, sqlx::Error> {
    Ok(Statement {
        id: row.try_get("id")?,
        programme: row.try_get("programme")?,
        day: row.try_get("day")?,
        sha256: row.try_get("sha256")?,
        lines: row.try_get("lines")?,
        current: row.try_get::<i64, _>("current")? == 1,
        received_at: row.try_get("received_at")?,
        received_by: row.try_get("received_by")?,
    })
}

fn reconciliation(row: &AnyRow) -> Result<Reconciliation, sqlx::Error> {
    let report = match row.try_get::<Option<i64>, _>("finished_at")? {
        None => None,
        Some(finished_at) => Some(Report {
            finished_at,
            agrees: row.try_get::<i64, _>("agrees")? == 1,
            differences: row.try_get("differences")?,
            totals: row.try_get("totals")?,
        }),
    };
    Ok(Reconciliation {
        id: row.try_get("id")?,
        day: row.try_get("day")?,
        daily: row.try_get::<i64, _>("daily")? == 1,
        requested_by: row.try_get("requested_by")?,
        requested_at: row.try_get("requested_at")?,
        report,
    })
}

async fn insert_lines(
    connection: &mut Connection,
    statement: &str,
    lines: &[Line],
) -> Result<(), sqlx::Error> {
    let mut number = 0i64;
    for chunk in lines.chunks(LINES_AT_ONCE) {
        let mut text = "INSERT INTO statement_lines
            (statement_id, line, reference, partner_reference, kind, member, miles, at) VALUES "
            .to_owned();
        for row in 0..chunk.len() {
            let first = row.saturating_mul(LINE_COLUMNS);
            text.push_str(if row == 0 { "(" } else { ", (" });
            for column in 1..=LINE_COLUMNS {
                let separator = if column == 1 { "" } else { ", " };
                let _ = write!(text, "{separator}${}", first.saturating_add(column));
            }
            text.push(')');
        }
        let mut query = sqlx::query(AssertSqlSafe(text));
        for line in chunk {
            number = number.saturating_add(1);
            query = query
                .bind(statement)
                .bind(number)
                .bind(&line.reference)
                .bind(&line.partner_reference)
                .bind(line.booking.name())
                .bind(&line.member)
                .bind(to_sql(line.miles)?)
                .bind(line.at);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Both sides of every reference that a run for a window judges. CROSS JOIN keeps SQLite to the order
/// as written, from the few references to their rows; it has no figures of the tables to know better.
const PAIRS: &str = "WITH scope (reference) AS (
        SELECT l.reference FROM statement_lines l JOIN partner_statements s ON s.id = l.statement_id
        WHERE s.programme = $1 AND s.day = $2 AND s.current = 1
        UNION
        SELECT c.debit_reference FROM journal_transactions t JOIN conversions c ON c.id = t.subject
        WHERE t.posted_at >= $3 AND t.posted_at < $4 AND c.programme = $1
            AND t.kind IN ('taken', 'given_back', 'returned')
        UNION
        SELECT k.subject FROM cases k WHERE k.state = 'open' AND k.programme = $1
            AND k.kind IN ('missing_at_partner', 'missing_here', 'amount_differs', 'member_differs',
                'taken_twice', 'reversal_missing', 'late')
    ), theirs AS (
        SELECT l.reference,
            CAST(SUM(CASE l.kind WHEN 'debit' THEN l.miles ELSE -l.miles END) AS BIGINT) AS net,
            CAST(SUM(CASE l.kind WHEN 'debit' THEN 1 ELSE 0 END) AS BIGINT) AS debits,
            CAST(SUM(CASE l.kind WHEN 'debit' THEN 0 ELSE 1 END) AS BIGINT) AS reversals,
            MIN(l.member) AS least, MAX(l.member) AS greatest, MIN(l.at) AS first_at
        FROM scope p CROSS JOIN statement_lines l CROSS JOIN partner_statements s
        WHERE l.reference = p.reference AND s.id = l.statement_id
            AND s.programme = $1 AND s.current = 1 GROUP BY l.reference
    ), posted AS (
        SELECT p.reference, CAST(SUM(e.amount) AS BIGINT) AS net
        FROM scope p CROSS JOIN journal_transactions t CROSS JOIN journal_entries e
        WHERE t.subject = p.reference AND e.transaction_id = t.id
            AND (e.account || '') = $5 GROUP BY p.reference
    ), corrected AS (
        SELECT p.reference, CAST(SUM(e.amount) AS BIGINT) AS net
        FROM scope p CROSS JOIN cases k CROSS JOIN actions a CROSS JOIN journal_transactions t
            CROSS JOIN journal_entries e
        WHERE k.subject = p.reference AND a.case_id = k.id AND t.subject = a.id
            AND e.transaction_id = t.id AND (e.account || '') = $5 GROUP BY p.reference
    )
    SELECT p.reference, theirs.net, theirs.debits, theirs.reversals, theirs.least, theirs.greatest,
        theirs.first_at, c.state, c.member_id, COALESCE(c.debit_sent_at, c.created_at) AS sent_at,
        CAST(COALESCE(posted.net, 0) + COALESCE(corrected.net, 0) AS BIGINT) AS journal
    FROM scope p LEFT JOIN theirs ON theirs.reference = p.reference
        LEFT JOIN posted ON posted.reference = p.reference
        LEFT JOIN corrected ON corrected.reference = p.reference
        LEFT JOIN conversions c ON c.debit_reference = p.reference AND c.programme = $1
    ORDER BY p.reference";

fn pair(row: &AnyRow) -> Result<Pair, sqlx::Error> {
    let theirs = match row.try_get::<Option<i64>, _>("net")? {
        None => None,
        Some(net) => Some(Theirs {
            net,
            debits: row.try_get("debits")?,
            reversals: row.try_get("reversals")?,
            members: (row.try_get("least")?, row.try_get("greatest")?),
            first_at: row.try_get("first_at")?,
        }),
    };
    let ours = match row.try_get::<Option<String>, _>("state")? {
        None => None,
        Some(state) => Some(Ours {
            state: State::parse(&state)
                .ok_or_else(|| sqlx::Error::Decode(format!("unknown state {state}").into()))?,
            member: row.try_get("member_id")?,
            sent_at: row.try_get("sent_at")?,
        }),
    };
    Ok(Pair {
        reference: row.try_get("reference")?,
        theirs,
        ours,
        journal: row.try_get("journal")?,
    })
}

/// Conversions that a run for a window looks for on the chain, and what it issued for them.
const MINTED: &str = "SELECT c.id, c.programme, c.state, c.updated_at,
        CASE c.fee_payer WHEN 'member' THEN c.micro_points - c.fee_micro_points
            ELSE c.micro_points END AS agreed,
        CAST(CASE WHEN t.id IS NULL THEN 0 ELSE 1 END AS BIGINT) AS posted, i.micro_points AS issued
    FROM (
        SELECT subject AS id FROM journal_transactions
        WHERE posted_at >= $1 AND posted_at < $2 AND kind = 'issued'
        UNION
        SELECT i.conversion_id FROM conversions c JOIN chain_issues i ON i.conversion_id = c.id
        WHERE c.state NOT IN ('completed', 'disputed', 'returned')
        UNION
        SELECT subject FROM cases WHERE state = 'open'
            AND kind IN ('row_without_mint', 'mint_not_recorded', 'mint_amount_differs')
    ) p CROSS JOIN conversions c
        LEFT JOIN journal_transactions t ON t.subject = c.id AND t.kind = 'issued'
        LEFT JOIN chain_issues i ON i.conversion_id = c.id
    WHERE c.id = p.id ORDER BY c.id";

impl Store {
    /// Stores a statement, in the place of an earlier one of that day. The same file again is the
    /// statement that is there already.
    pub async fn put_statement(
        &self,
        statement: &Statement,
        lines: &[Line],
        now: i64,
    ) -> Result<Statement, sqlx::Error> {
        let mut write = self.write().await?;
        // Two statements of one day come one after the other; SQLite has one writer anyway.
        if self.is_shared() {
            sqlx::query("LOCK TABLE partner_statements IN SHARE ROW EXCLUSIVE MODE")
                .execute(&mut *write)
                .await?;
        }
        let there = sqlx::query(
            "SELECT * FROM partner_statements WHERE programme = $1 AND day = $2 AND current = 1",
        )
        .bind(&statement.programme)
        .bind(statement.day)
        .fetch_optional(&mut *write)
        .await?;
        if let Some(row) = there {
            let there = self::statement(&row)?;
            if there.sha256 == statement.sha256 {
                write.commit().await?;
                return Ok(there);
            }
            sqlx::query("UPDATE partner_statements SET current = 0 WHERE id = $1")
                .bind(&there.id)
                .execute(&mut *write)
                .await?;
        }
        sqlx::query(
            "INSERT INTO partner_statements (id, programme, day, sha256, lines, current, received_at, received_by)
             VALUES ($1, $2, $3, $4, $5, 1, $6, $7)",
        )
        .bind(&statement.id)
        .bind(&statement.programme)
        .bind(statement.day)
        .bind(&statement.sha256)
        .bind(statement.lines)
        .bind(statement.received_at)
        .bind(&statement.received_by)
        .execute(&mut *write)
        .await?;
        insert_lines(&mut write, &statement.id, lines).await?;
        let detail = format!(
            "{} day {}, {} lines, SHA-256 {}",
            statement.programme, statement.day, statement.lines, statement.sha256
        );
        let event = Event {
            actor: &statement.received_by,
            verb: "statement.received",
            subject: &statement.id,
            detail: &detail,
        };
        audit::log(&mut write, &event, now).await?;
        write.commit().await?;
        Ok(statement.clone())
    }

    /// The newest statements.
    pub async fn statements(&self, limit: u32) -> Result<Vec<Statement>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM partner_statements ORDER BY id DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(self.read())
            .await?;
        rows.iter().map(statement).collect()
    }

    /// A day's statement of a programme.
    pub async fn statement_of(
        &self,
        programme: &str,
        day: i64,
    ) -> Result<Option<Statement>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT * FROM partner_statements WHERE programme = $1 AND day = $2 AND current = 1",
        )
        .bind(programme)
        .bind(day)
        .fetch_optional(self.read())
        .await?;
        row.map(|row| statement(&row)).transpose()
    }

    /// The block up to which the chain's issues are stored.
    pub async fn chain_read(&self) -> Result<u64, sqlx::Error> {
        let block: i64 = sqlx::query_scalar("SELECT block FROM chain_read")
            .fetch_one(self.read())
            .await?;
        from_sql(block)
    }

    /// Stores what the chain issued from one block to another, unless somebody else did.
    pub async fn store_chain_issues(
        &self,
        from: u64,
        to: u64,
        issues: &[ChainIssue],
    ) -> Result<(), sqlx::Error> {
        let mut write = self.write().await?;
        let done = sqlx::query("UPDATE chain_read SET block = $2 WHERE block = $1")
            .bind(to_sql(from)?)
            .bind(to_sql(to)?)
            .execute(&mut *write)
            .await?;
        if done.rows_affected() == 1 {
            for issue in issues {
                sqlx::query(
                    "INSERT INTO chain_issues (name, transaction_hash, block, micro_points, conversion_id)
                     VALUES ($1, $2, $3, $4,
                         COALESCE(
                             (SELECT conversion_id FROM issue_entries WHERE hash = $2 AND name = $1),
                             (SELECT t.conversion_id FROM issue_transactions t WHERE t.hash = $2
                                 AND NOT EXISTS (SELECT 1 FROM issue_entries e WHERE e.hash = $2))))",
                )
                .bind(&issue.name)
                .bind(&issue.transaction_hash)
                .bind(to_sql(issue.block)?)
                .bind(&issue.micro_points)
                .execute(&mut *write)
                .await?;
            }
        }
        write.commit().await
    }

    /// Asks for a reconciliation of a day; one that waits already and was not taken up yet is the same.
    /// Gives its id.
    pub async fn request_reconciliation(
        &self,
        day: i64,
        by: &str,
        now: i64,
    ) -> Result<String, sqlx::Error> {
        let mut write = self.write().await?;
        let id = ids::reconciliation();
        // One statement that finds or makes: between two, a worker could take up what was found. The
        // update changes nothing; it locks the row, so that it is not taken up before this commit.
        let waits: String = sqlx::query_scalar(
            "INSERT INTO reconciliations (id, day, daily, state, requested_by, requested_at)
             VALUES ($1, $2, 0, 'waiting', $3, $4)
             ON CONFLICT (day) WHERE daily = 0 AND state = 'waiting' AND begun_at IS NULL
                 DO UPDATE SET state = 'waiting'
             RETURNING id",
        )
        .bind(&id)
        .bind(day)
        .bind(by)
        .bind(now)
        .fetch_one(&mut *write)
        .await?;
        if waits != id {
            write.commit().await?;
            return Ok(waits);
        }
        jobs::add(&mut write, JobKind::Reconciliation, &id, now, now).await?;
        let detail = format!("day {day}");
        let event = Event {
            actor: by,
            verb: "reconciliation.requested",
            subject: &id,
            detail: &detail,
        };
        audit::log(&mut write, &event, now).await?;
        write.commit().await?;
        Ok(id)
    }

    /// Takes up a run that waits, for the first time or again: what is handed in from now on may not be
    /// in its report. Whether it waits.
    pub async fn begin_reconciliation(&self, id: &str, now: i64) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let done = sqlx::query(
            "UPDATE reconciliations SET begun_at = $2 WHERE id = $1 AND state = 'waiting'",
        )
        .bind(id)
        .bind(now)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Puts in the daily run of a day that has none. Whether it had none.
    pub async fn schedule_reconciliation(
        &self,
        day: i64,
        due_at: i64,
        now: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.write().await?;
        let id = ids::reconciliation();
        let done = sqlx::query(
            "INSERT INTO reconciliations (id, day, daily, state, requested_by, requested_at)
             VALUES ($1, $2, 1, 'waiting', 'gateway', $3) ON CONFLICT (day) WHERE daily = 1 DO NOTHING",
        )
        .bind(&id)
        .bind(day)
        .bind(now)
        .execute(&mut *write)
        .await?;
        let new = done.rows_affected() == 1;
        if new {
            jobs::add(&mut write, JobKind::Reconciliation, &id, due_at, now).await?;
        }
        write.commit().await?;
        Ok(new)
    }

    /// The day after the last daily run, or the day of the first conversion.
    pub async fn next_reconciliation_day(&self) -> Result<Option<i64>, sqlx::Error> {
        let last: Option<i64> =
            sqlx::query_scalar("SELECT MAX(day) FROM reconciliations WHERE daily = 1")
                .fetch_one(self.read())
                .await?;
        if let Some(last) = last {
            return Ok(last.checked_add(1));
        }
        let first: Option<i64> =
            sqlx::query_scalar("SELECT MIN(created_at) FROM (SELECT created_at FROM conversions ORDER BY id LIMIT 1) AS first")
                .fetch_one(self.read())
                .await?;
        Ok(first.map(crate::clock::day))
    }

    /// One reconciliation.
    pub async fn reconciliation(&self, id: &str) -> Result<Option<Reconciliation>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM reconciliations WHERE id = $1")
            .bind(id)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| reconciliation(&row)).transpose()
    }

    /// The newest reconciliations.
    pub async fn reconciliations(&self, limit: u32) -> Result<Vec<Reconciliation>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM reconciliations ORDER BY id DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(self.read())
            .await?;
        rows.iter().map(reconciliation).collect()
    }

    /// The differences of a reconciliation that were kept.
    pub async fn differences(&self, id: &str) -> Result<Vec<Difference>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT kind, programme, subject, facts FROM differences
             WHERE reconciliation_id = $1 ORDER BY number",
        )
        .bind(id)
        .fetch_all(self.scan())
        .await?;
        rows.iter()
            .map(|row| {
                let kind: String = row.try_get("kind")?;
                Ok(Difference {
                    kind: Kind::parse(&kind).ok_or_else(|| {
                        sqlx::Error::Decode(format!("unknown difference {kind}").into())
                    })?,
                    programme: row.try_get("programme")?,
                    subject: row.try_get("subject")?,
                    facts: row.try_get("facts")?,
                })
            })
            .collect()
    }

    /// Programmes that anything moved in during a window.
    pub async fn programmes_moved(&self, window: Window) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT DISTINCT c.programme FROM journal_transactions t JOIN conversions c ON c.id = t.subject
             WHERE t.posted_at >= $1 AND t.posted_at < $2 AND t.kind IN ('taken', 'given_back', 'returned')
             ORDER BY c.programme",
        )
        .bind(window.from)
        .bind(window.to)
        .fetch_all(self.scan())
        .await
    }

    /// Both sides of every reference of a programme that a run for a window judges.
    pub async fn pairs(&self, programme: &str, window: Window) -> Result<Vec<Pair>, sqlx::Error> {
        let rows = sqlx::query(PAIRS)
            .bind(programme)
            .bind(window.day)
            .bind(window.from)
            .bind(window.to)
            .bind(format!("{programme}:miles_taken"))
            .fetch_all(self.scan())
            .await?;
        rows.iter().map(pair).collect()
    }

    /// Conversions that a run looks for on the chain: those of the window, those that the chain
    /// issued for and that do not say so, and those of open cases.
    pub async fn minted(&self, window: Window) -> Result<Vec<Minted>, sqlx::Error> {
        let rows = sqlx::query(MINTED)
            .bind(window.from)
            .bind(window.to)
            .fetch_all(self.scan())
            .await?;
        rows.iter()
            .map(|row| {
                let state: String = row.try_get("state")?;
                Ok(Minted {
                    id: row.try_get("id")?,
                    programme: row.try_get("programme")?,
                    state: State::parse(&state).ok_or_else(|| {
                        sqlx::Error::Decode(format!("unknown state {state}").into())
                    })?,
                    updated_at: row.try_get("updated_at")?,
                    micro_points: from_sql(row.try_get("agreed")?)?,
                    posted: row.try_get::<i64, _>("posted")? == 1,
                    issued: row.try_get("issued")?,
                })
            })
            .collect()
    }

    /// What the chain issued by transactions that are not ours, and that no operators have closed.
    pub async fn foreign_issues(&self) -> Result<Vec<ChainIssue>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT name, transaction_hash, block, micro_points FROM chain_issues
             WHERE conversion_id IS NULL AND NOT EXISTS (SELECT 1 FROM cases k
                 WHERE k.kind = 'minted_without_row' AND k.subject = chain_issues.name
                     AND k.state = 'closed')
             ORDER BY block, name",
        )
        .fetch_all(self.scan())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(ChainIssue {
                    name: row.try_get("name")?,
                    transaction_hash: row.try_get("transaction_hash")?,
                    block: from_sql(row.try_get("block")?)?,
                    micro_points: row.try_get("micro_points")?,
                })
            })
            .collect()
    }

    /// Stores a report, opens a case for each new difference, closes those that agree again, and
    /// takes the job out; all or nothing. Whether it was still waiting.
    pub async fn store_report(
        &self,
        id: &str,
        report: &Report,
        differences: &[Difference],
        settled: &[String],
    ) -> Result<bool, sqlx::Error> {
        let now = report.finished_at;
        let mut write = self.write().await?;
        jobs::done(&mut write, JobKind::Reconciliation, id).await?;
        let done = sqlx::query(
            "UPDATE reconciliations SET state = 'done', finished_at = $2, agrees = $3,
                 differences = $4, totals = $5 WHERE id = $1 AND state = 'waiting'",
        )
        .bind(id)
        .bind(now)
        .bind(i64::from(report.agrees))
        .bind(report.differences)
        .bind(&report.totals)
        .execute(&mut *write)
        .await?;
        if done.rows_affected() != 1 {
            write.commit().await?;
            return Ok(false);
        }
        for (number, difference) in (1i64..).zip(differences) {
            sqlx::query(
                "INSERT INTO differences (reconciliation_id, number, kind, programme, subject, facts)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(id)
            .bind(number)
            .bind(difference.kind.name())
            .bind(&difference.programme)
            .bind(&difference.subject)
            .bind(&difference.facts)
            .execute(&mut *write)
            .await?;
        }
        let mut closed = Vec::new();
        for case in settled {
            if cases::close(&mut write, case, "agrees", "gateway", now).await? {
                closed.push(case);
            }
        }
        let mut opened = Vec::new();
        for difference in differences {
            let opening = Opening {
                kind: difference.kind.name(),
                programme: difference.programme.as_deref(),
                subject: &difference.subject,
                facts: &difference.facts,
            };
            if cases::is_accepted(&mut write, &opening).await? {
                continue;
            }
            if let Some(id) = cases::insert(&mut write, &opening, now).await? {
                opened.push((id, opening));
            }
        }
        // After all else: whoever has logged is waited for by everybody who logs (`audit`).
        for case in closed {
            let event = Event {
                actor: "gateway",
                verb: "case.closed",
                subject: case,
                detail: "both sides agree again",
            };
            audit::log(&mut write, &event, now).await?;
        }
        for (id, opening) in &opened {
            cases::log_opened(&mut write, id, opening, "gateway", now).await?;
        }
        write.commit().await?;
        Ok(true)
    }

    /// Open cases of differences: id, kind and subject.
    pub async fn open_differences(&self) -> Result<Vec<(String, Kind, String)>, sqlx::Error> {
        let rows =
            sqlx::query("SELECT id, kind, subject FROM cases WHERE state = 'open' ORDER BY id")
                .fetch_all(self.scan())
                .await?;
        let mut open = Vec::new();
        for row in rows {
            let kind: String = row.try_get("kind")?;
            if let Some(kind) = Kind::parse(&kind) {
                open.push((row.try_get("id")?, kind, row.try_get("subject")?));
            }
        }
        Ok(open)
    }
}
