//! Cases that wait for operators, and the actions that are proposed about them.

use super::Store;
use super::audit::{self, Event};
use crate::ids;
use crate::operator::{Decision, Verb};
use crate::store::Connection;
use sqlx::Row;
use sqlx::any::AnyRow;

/// One case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Case {
    /// `case_…`
    pub id: String,
    /// [`crate::operator::CaseKind`]
    pub kind: String,
    /// Of which programme, if of one.
    pub programme: Option<String>,
    /// What it is about.
    pub subject: String,
    /// What was seen.
    pub facts: String,
    /// Whether it still waits.
    pub open: bool,
    /// When it was opened.
    pub opened_at: i64,
    /// When it was closed.
    pub closed_at: Option<i64>,
    /// How it ended.
    pub resolution: Option<String>,
    /// Who ended it.
    pub closed_by: Option<String>,
}

/// One action.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Action {
    /// `act_…`
    pub id: String,
    /// About which case.
    pub case_id: String,
    /// What is to be done.
    pub verb: Verb,
    /// Why.
    pub evidence: String,
    /// What the verb needs more, as JSON.
    pub details: String,
    /// `proposed`, `approved`, `rejected` or `withdrawn`
    pub state: String,
    /// Who proposed it.
    pub proposed_by: String,
    /// When.
    pub proposed_at: i64,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<i64>,
    /// What they said.
    pub note: Option<String>,
}

/// Which cases to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page<'a> {
    /// Older than this one.
    pub before: Option<&'a str>,
    /// Only open ones, or only closed ones.
    pub open: Option<bool>,
    /// Of this kind.
    pub kind: Option<&'a str>,
    /// About this.
    pub subject: Option<&'a str>,
    /// At most so many.
    pub limit: u32,
}

/// A case to open.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// What is wrong.
    pub kind: &'a str,
    /// In which programme.
    pub programme: Option<&'a str>,
    /// About which.
    pub subject: &'a str,
    /// What was seen.
    pub facts: &'a str,
}

fn case(row: &AnyRow) -> Result<Case, sqlx::Error> {
    Ok(Case {
        id: row.try_get("id")?,
        kind: row.try_get("kind")?,
        programme: row.try_get("programme")?,
        subject: row.try_get("subject")?,
        facts: row.try_get("facts")?,
        open: row.try_get::<String, _>("state")? == "open",
        opened_at: row.try_get("opened_at")?,
        closed_at: row.try_get("closed_at")?,
        resolution: row.try_get("resolution")?,
        closed_by: row.try_get("closed_by")?,
    })
}

fn action(row: &AnyRow) -> Result<Action, sqlx::Error> {
    let verb: String = row.try_get("verb")?;
    Ok(Action {
        id: row.try_get("id")?,
        case_id: row.try_get("case_id")?,
        verb: Verb::parse(&verb)
            .ok_or_else(|| sqlx::Error::Decode(format!("unknown verb {verb}").into()))?,
        evidence: row.try_get("evidence")?,
        details: row.try_get("details")?,
        state: row.try_get("state")?,
        proposed_by: row.try_get("proposed_by")?,
        proposed_at: row.try_get("proposed_at")?,
        decided_by: row.try_get("decided_by")?,
        decided_at: row.try_get("decided_at")?,
        note: row.try_get("note")?,
    })
}

/// Stores a case, unless one is open. Its id, if it was stored; then the audit log must hear of it
/// ([`log_opened`]).
pub async fn insert(
    connection: &mut Connection,
    opening: &Opening<'_>,
    now: i64,
) -> Result<Option<String>, sqlx::Error> {
    let id = ids::case();
    let done = sqlx::query(
        "INSERT INTO cases (id, kind, programme, subject, facts, state, opened_at)
         VALUES ($1, $2, $3, $4, $5, 'open', $6)
         ON CONFLICT (kind, subject) WHERE state = 'open' DO NOTHING",
    )
    .bind(&id)
    .bind(opening.kind)
    .bind(opening.programme)
    .bind(opening.subject)
    .bind(opening.facts)
    .bind(now)
    .execute(connection)
    .await?;
    Ok((done.rows_affected() == 1).then_some(id))
}

/// Logs that a case was opened.
pub async fn log_opened(
    connection: &mut Connection,
    id: &str,
    opening: &Opening<'_>,
    by: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    let detail = format!("{} {}: {}", opening.kind, opening.subject, opening.facts);
    let event = Event {
        actor: by,
        verb: "case.opened",
        subject: id,
        detail: &detail,
    };
    audit::log(connection, &event, now).await
}

/// Opens a case, unless one is open. Writes to the audit log, so call it last.
pub async fn open(
    connection: &mut Connection,
    opening: &Opening<'_>,
    by: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    match insert(connection, opening, now).await? {
        Some(id) => log_opened(connection, &id, opening, by, now).await,
        None => Ok(()),
    }
}

/// Whether two operators closed a case with these very facts.
pub async fn is_accepted(
    connection: &mut Connection,
    opening: &Opening<'_>,
) -> Result<bool, sqlx::Error> {
    let found: Option<String> = sqlx::query_scalar(
        "SELECT id FROM cases WHERE subject = $1 AND kind = $2 AND facts = $3 AND state = 'closed'
             AND closed_by <> 'gateway' LIMIT 1",
    )
    .bind(opening.subject)
    .bind(opening.kind)
    .bind(opening.facts)
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// Closes a case. Whether it was open.
pub async fn close(
    connection: &mut Connection,
    id: &str,
    resolution: &str,
    by: &str,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE cases SET state = 'closed', closed_at = $2, resolution = $3, closed_by = $4
         WHERE id = $1 AND state = 'open'",
    )
    .bind(id)
    .bind(now)
    .bind(resolution)
    .bind(by)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Closes the open case of a kind about a subject, if there is one: what it waited for came by
/// itself. Writes to the audit log, so call it last.
pub async fn close_about(
    connection: &mut Connection,
    kind: &str,
    subject: &str,
    resolution: &str,
    by: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    let id: Option<String> = sqlx::query_scalar(
        "UPDATE cases SET state = 'closed', closed_at = $3, resolution = $4, closed_by = $5
         WHERE kind = $1 AND subject = $2 AND state = 'open' RETURNING id",
    )
    .bind(kind)
    .bind(subject)
    .bind(now)
    .bind(resolution)
    .bind(by)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(id) = id else {
        return Ok(());
    };
    let event = Event {
        actor: by,
        verb: "case.closed",
        subject: &id,
        detail: resolution,
    };
    audit::log(connection, &event, now).await
}

/// An open proposal that nobody decided meanwhile takes a decision. Whether it did.
pub async fn decide(
    connection: &mut Connection,
    id: &str,
    decision: Decision,
    by: &str,
    note: Option<&str>,
    now: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE actions SET state = $2, decided_by = $3, decided_at = $4, note = $5
         WHERE id = $1 AND state = 'proposed'",
    )
    .bind(id)
    .bind(decision.name())
    .bind(by)
    .bind(now)
    .bind(note)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores a proposal. Whether its case had none open.
pub async fn propose(connection: &mut Connection, action: &Action) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO actions (id, case_id, verb, evidence, details, state, proposed_by, proposed_at)
         VALUES ($1, $2, $3, $4, $5, 'proposed', $6, $7)
         ON CONFLICT (case_id) WHERE state = 'proposed' DO NOTHING",
    )
    .bind(&action.id)
    .bind(&action.case_id)
    .bind(action.verb.name())
    .bind(&action.evidence)
    .bind(&action.details)
    .bind(&action.proposed_by)
    .bind(action.proposed_at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

impl Store {
    /// One case.
    pub async fn case(&self, id: &str) -> Result<Option<Case>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM cases WHERE id = $1")
            .bind(id)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| case(&row)).transpose()
    }

    /// A page of cases, newest first.
    pub async fn cases(&self, page: &Page<'_>) -> Result<Vec<Case>, sqlx::Error> {
        let state = page.open.map(|open| if open { "open" } else { "closed" });
        let rows = sqlx::query(
            "SELECT * FROM cases WHERE ($1 IS NULL OR id < $1) AND ($2 IS NULL OR state = $2)
                 AND ($3 IS NULL OR kind = $3) AND ($4 IS NULL OR subject = $4)
             ORDER BY id DESC LIMIT $5",
        )
        .bind(page.before)
        .bind(state)
        .bind(page.kind)
        .bind(page.subject)
        .bind(i64::from(page.limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(case).collect()
    }

    /// How many cases of each kind are open.
    pub async fn open_cases(&self) -> Result<Vec<(String, i64)>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT kind, COUNT(*) AS many FROM cases WHERE state = 'open' GROUP BY kind ORDER BY kind",
        )
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get("kind")?, row.try_get("many")?)))
            .collect()
    }

    /// One action.
    pub async fn action(&self, id: &str) -> Result<Option<Action>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM actions WHERE id = $1")
            .bind(id)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| action(&row)).transpose()
    }

    /// The actions about a case, oldest first.
    pub async fn actions_of(&self, case: &str) -> Result<Vec<Action>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM actions WHERE case_id = $1 ORDER BY id")
            .bind(case)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(action).collect()
    }
}
