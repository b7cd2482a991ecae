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
use mileverse_gateway_api::statement::{
    FloatStatement, ProgrammeStatement, Statement, StatementQuery, Sum,
};

use super::input::QueryOf;

/// Longest statement, in days.
const MAX_DAYS: i32 = 366;

fn sum(row: &Row) -> Sum {
    Sum {
        conversions: row.conversions,
        miles: row.miles,
        points: row.points,
        fees: row.fees,
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
            problem::Malformed,
            "The from and to must be days such as 2026-11-01, at most 366 days, the first not after the last.",
        )
    })?;
    let store = &app.machine.store;
    let found = store.statement(&caller.partner, from, to).await?;
    Ok(Json(Statement {
        programmes: found.programmes.iter().map(programme).collect(),
        float: FloatStatement {
            opening: found.float.opening,
            topped_up: found.float.topped_up,
            used: found.float.used,
            closing: found.float.closing,
        },
        from: query.from,
        to: query.to,
    }))
}
