//! `GET /v1/statement`: what the caller's conversions and its float came to in some days.

use super::Shared;
use crate::keys::{Credentials, Scope};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::statement::{ProgrammeLine, Sum as Row};
use axum::Json;
use axum::extract::State;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::input::QueryOf;

/// Longest statement, in days.
const MAX_DAYS: i32 = 366;

/// Which days.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatementQuery {
    /// First day, UTC.
    #[param(example = "2026-11-01")]
    from: String,
    /// Last day, UTC, included; at most 366 days.
    #[param(example = "2026-11-30")]
    to: String,
}

/// Several conversions added up.
#[derive(Serialize, ToSchema)]
pub struct Sum {
    conversions: u64,
    /// Whole miles.
    miles: String,
    /// MVP that members received.
    points: String,
    /// MVP of fees.
    fees: String,
}

/// One programme.
#[derive(Serialize, ToSchema)]
pub struct ProgrammeStatement {
    programme: String,
    /// Conversions whose points were issued in this time.
    issued: Sum,
    /// Disputed conversions whose miles went back in this time.
    returned: Sum,
}

/// A float, in MVP.
#[derive(Serialize, ToSchema)]
pub struct FloatStatement {
    /// Before the first day.
    opening: String,
    topped_up: String,
    /// By conversions, fees included.
    used: String,
    /// After the last day.
    closing: String,
}

/// A statement. What it is made of is in `GET /v1/conversions` and `GET /v1/top-ups`.
#[derive(Serialize, ToSchema)]
pub struct Statement {
    from: String,
    to: String,
    programmes: Vec<ProgrammeStatement>,
    /// All zero without a float.
    float: FloatStatement,
}

fn sum(row: &Row) -> Sum {
    Sum {
        conversions: row.conversions,
        miles: row.miles.to_string(),
        points: row.points.to_string(),
        fees: row.fees.to_string(),
    }
}

fn programme(line: &ProgrammeLine) -> ProgrammeStatement {
    ProgrammeStatement {
        programme: line.programme.clone(),
        issued: sum(&line.issued),
        returned: sum(&line.returned),
    }
}

/// First moment of the first day, first moment after the last.
fn days(query: &StatementQuery) -> Option<(i64, i64)> {
    let (from, to): (Date, Date) = (query.from.parse().ok()?, query.to.parse().ok()?);
    let days = from.until(to).ok()?.get_days();
    if !(0..MAX_DAYS).contains(&days) {
        return None;
    }
    let begin = |date: Date| {
        let zoned = date.to_zoned(TimeZone::UTC).ok()?;
        Some(zoned.timestamp().as_millisecond())
    };
    Some((begin(from)?, begin(to.checked_add(1.day()).ok()?)?))
}

/// Get a statement
#[utoipa::path(
    get,
    path = "/v1/statement",
    tag = "conversions",
    security(("api_key" = ["conversions:read"])),
    params(StatementQuery),
    responses(
        (status = 200, description = "What these days came to, from the journal", body = Statement),
        (status = 400, description = "Not two days, the first not after the last", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn read(
    State(app): Shared,
    credentials: Credentials,
    QueryOf(query): QueryOf<StatementQuery>,
) -> Result<Json<Statement>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsRead).await?;
    let (from, to) = days(&query).ok_or_else(|| {
        Problem::new(
            problem::MALFORMED,
            "The from and to must be days such as 2026-11-01, at most 366 days, the first not after the last.",
        )
    })?;
    let store = &app.machine.store;
    let found = store.statement(&caller.partner, from, to).await?;
    Ok(Json(Statement {
        programmes: found.programmes.iter().map(programme).collect(),
        float: FloatStatement {
            opening: found.float.opening.to_string(),
            topped_up: found.float.topped_up.to_string(),
            used: found.float.used.to_string(),
            closing: found.float.closing.to_string(),
        },
        from: query.from,
        to: query.to,
    }))
}
