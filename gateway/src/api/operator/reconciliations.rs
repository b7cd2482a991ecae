//! `/v1/operator/statements`, `/v1/operator/reconciliations`

use super::{May, Shared, limit, nothing, who};
use crate::api::input::{Body, PathOf, QueryOf};
use crate::clock::{day, rfc3339};
use crate::ids;
use crate::keys::{Credentials, hex};
use crate::problem::{self, Problem, ProblemBody};
use crate::reconcile::Difference as Found;
use crate::reconcile::run::{Totals, date};
use crate::reconcile::statement;
use crate::store::reconciliations::{Reconciliation as Row, Statement as StatementRow};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

/// A partner's statement of a day.
#[derive(Serialize, ToSchema)]
// The callers' own statement has the plain name.
#[schema(as = PartnerStatement)]
pub struct Statement {
    #[schema(examples("stm_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))]
    id: String,
    programme: String,
    /// UTC
    #[schema(examples("2026-11-20"))]
    day: String,
    /// Of the file, in hex.
    sha256: String,
    /// Without the header.
    lines: i64,
    /// False: a later one took its place.
    current: bool,
    /// RFC 3339
    received_at: String,
    received_by: String,
    /// The reconciliation of that day that was asked for; left out of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    reconciliation_id: Option<String>,
}

/// A day for which partner, journal and chain are set beside each other.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconciliationRequest {
    /// UTC; today at the latest.
    #[schema(examples("2026-11-20"))]
    day: String,
}

/// One difference.
#[derive(Serialize, ToSchema)]
pub struct Difference {
    /// Such as `missing_at_partner`; the documentation has them all.
    #[schema(examples("missing_at_partner"))]
    kind: &'static str,
    #[schema(required)]
    programme: Option<String>,
    /// The debit's reference, the name on the chain, or the day.
    subject: String,
    /// What each side says.
    facts: String,
}

/// One reconciliation.
#[derive(Serialize, ToSchema)]
pub struct Reconciliation {
    #[schema(examples("rec_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))]
    id: String,
    /// UTC
    #[schema(examples("2026-11-20"))]
    day: String,
    /// The day's own, not one that somebody asked for.
    daily: bool,
    /// `waiting` or `done`
    state: &'static str,
    /// `gateway` or an operator.
    requested_by: String,
    /// RFC 3339
    requested_at: String,
    /// RFC 3339
    #[schema(required)]
    finished_at: Option<String>,
    /// Whether nothing differs.
    #[schema(required)]
    agrees: Option<bool>,
    /// How many differences there are, also those beyond the 10,000 that are kept.
    #[schema(required)]
    difference_count: Option<i64>,
    #[schema(required)]
    totals: Option<Totals>,
    /// Left out of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<Vec<Difference>>,
}

/// How many.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NewestQuery {
    /// 1 to 100; 20 if not given.
    limit: Option<u32>,
}

fn statement_view(row: StatementRow, reconciliation_id: Option<String>) -> Statement {
    Statement {
        id: row.id,
        programme: row.programme,
        day: date(row.day),
        sha256: row.sha256,
        lines: row.lines,
        current: row.current,
        received_at: rfc3339(row.received_at),
        received_by: row.received_by,
        reconciliation_id,
    }
}

fn view(row: Row, differences: Option<Vec<Found>>) -> Reconciliation {
    let report = row.report;
    let done = report.as_ref();
    Reconciliation {
        id: row.id,
        day: date(row.day),
        daily: row.daily,
        state: if done.is_some() { "done" } else { "waiting" },
        requested_by: row.requested_by,
        requested_at: rfc3339(row.requested_at),
        finished_at: done.map(|report| rfc3339(report.finished_at)),
        agrees: done.map(|report| report.agrees),
        difference_count: done.map(|report| report.differences),
        totals: done.and_then(|report| serde_json::from_str(&report.totals).ok()),
        differences: differences.map(|found| {
            found
                .into_iter()
                .map(|found| Difference {
                    kind: found.kind.name(),
                    programme: found.programme,
                    subject: found.subject,
                    facts: found.facts,
                })
                .collect()
        }),
    }
}

/// A day that has begun, counted from 1970.
fn begun(text: &str, now: i64) -> Result<i64, Problem> {
    let wrong = || {
        Problem::new(
            problem::Malformed,
            "The day must be one such as 2026-11-20, UTC, and not in the future.",
        )
    };
    let date: Date = text.parse().map_err(|_| wrong())?;
    let zoned = date.to_zoned(TimeZone::UTC).map_err(|_| wrong())?;
    let day_of = day(zoned.timestamp().as_millisecond());
    if day_of < 0 || day_of > day(now) {
        return Err(wrong());
    }
    Ok(day_of)
}

/// Hand in a partner's statement
///
/// CSV with the columns `reference`, `partner_reference`, `kind` (`debit` or `reversal`), `member`,
/// `miles`, `at`; at most 8 MiB and 100,000 lines. It takes the place of an earlier one of that
/// day, and the day is reconciled.
#[utoipa::path(
    put,
    path = "/v1/operator/statements/{programme}/{day}",
    tag = "operator",
    security(("operator_key" = [])),
    params(
        ("programme" = String, Path, description = "Whose"),
        ("day" = String, Path, description = "UTC, such as `2026-11-20`"),
    ),
    request_body(content = String, content_type = "text/csv"),
    responses(
        (status = 200, description = "Stored; the same file again is the same statement", body = Statement),
        (status = 400, description = "Not a day", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Larger than 8 MiB", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "No such programme, or a line is wrong; nothing of it was taken", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn hand_in(
    State(app): Shared,
    credentials: Credentials,
    PathOf((programme, of)): PathOf<(String, String)>,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<Statement>, Problem> {
    let operator = who(&app, &credentials, May::Propose).await?;
    let of = begun(&of, app.machine.store.now())?;
    if !app.machine.programmes.contains_key(&programme) {
        let detail = "There is no such programme; GET /v1/programmes lists them.";
        return Err(Problem::new(problem::ProgrammeUnknown, detail));
    }
    let body = body.map_err(|_| {
        Problem::new(
            problem::TooLarge,
            "A statement has at most 8 MiB; ask for the partner's file of one day.",
        )
    })?;
    let lines = statement::parse(&body, of).map_err(|error| {
        let detail = format!("The file is no statement of that day: {error}.");
        Problem::new(problem::StatementInvalid, detail)
    })?;
    let now = app.machine.store.now();
    let row = StatementRow {
        id: ids::statement(),
        programme,
        day: of,
        sha256: hex(&Sha256::digest(&body)),
        lines: i64::try_from(lines.len()).unwrap_or(i64::MAX),
        current: true,
        received_at: now,
        received_by: operator.name.clone(),
    };
    let store = &app.machine.store;
    let stored = store.put_statement(&row, &lines, now).await?;
    let run = store
        .request_reconciliation(of, &operator.name, now)
        .await?;
    Ok(Json(statement_view(stored, Some(run))))
}

/// List statements
#[utoipa::path(
    get,
    path = "/v1/operator/statements",
    tag = "operator",
    security(("operator_key" = [])),
    params(NewestQuery),
    responses(
        (status = 200, description = "The newest", body = Vec<Statement>),
        (status = 400, description = "Malformed query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn statements(
    State(app): Shared,
    credentials: Credentials,
    QueryOf(query): QueryOf<NewestQuery>,
) -> Result<Json<Vec<Statement>>, Problem> {
    who(&app, &credentials, May::Read).await?;
    let rows = app.machine.store.statements(limit(query.limit)?).await?;
    let shown = rows.into_iter().map(|row| statement_view(row, None));
    Ok(Json(shown.collect()))
}

/// Ask for a reconciliation
///
/// Done in a moment: look it up until its state is `done`. Of today, what is older than the
/// cut-off is judged.
#[utoipa::path(
    post,
    path = "/v1/operator/reconciliations",
    tag = "operator",
    security(("operator_key" = [])),
    request_body = ReconciliationRequest,
    responses(
        (status = 202, description = "It will be done; one that waits already is the same", body = Reconciliation),
        (status = 400, description = "Not a day", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not the expected form", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn request(
    State(app): Shared,
    credentials: Credentials,
    Body(request): Body<ReconciliationRequest>,
) -> Result<(StatusCode, Json<Reconciliation>), Problem> {
    let operator = who(&app, &credentials, May::Propose).await?;
    let of = begun(&request.day, app.machine.store.now())?;
    let store = &app.machine.store;
    let id = store
        .request_reconciliation(of, &operator.name, app.machine.store.now())
        .await?;
    let row = store.reconciliation(&id).await?;
    let row = row.ok_or_else(|| nothing("reconciliation"))?;
    Ok((StatusCode::ACCEPTED, Json(view(row, None))))
}

/// List reconciliations
#[utoipa::path(
    get,
    path = "/v1/operator/reconciliations",
    tag = "operator",
    security(("operator_key" = [])),
    params(NewestQuery),
    responses(
        (status = 200, description = "The newest", body = Vec<Reconciliation>),
        (status = 400, description = "Malformed query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    State(app): Shared,
    credentials: Credentials,
    QueryOf(query): QueryOf<NewestQuery>,
) -> Result<Json<Vec<Reconciliation>>, Problem> {
    who(&app, &credentials, May::Read).await?;
    let rows = app
        .machine
        .store
        .reconciliations(limit(query.limit)?)
        .await?;
    Ok(Json(rows.into_iter().map(|row| view(row, None)).collect()))
}

/// Read a report
#[utoipa::path(
    get,
    path = "/v1/operator/reconciliations/{id}",
    tag = "operator",
    security(("operator_key" = [])),
    params(("id" = String, Path, description = "`rec_…`")),
    responses(
        (status = 200, description = "The report, with every difference", body = Reconciliation),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such reconciliation", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn look_up(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<Reconciliation>, Problem> {
    who(&app, &credentials, May::Read).await?;
    let store = &app.machine.store;
    let row = match ids::plausible(&id, "rec") {
        true => store.reconciliation(&id).await?,
        false => None,
    };
    let row = row.ok_or_else(|| nothing("reconciliation"))?;
    let differences = store.differences(&id).await?;
    Ok(Json(view(row, Some(differences))))
}
