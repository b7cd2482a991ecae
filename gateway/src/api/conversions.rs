//! `/v1/conversions`

use super::idempotent::{self, Done};
use super::input::{self, Body, PathOf, QueryOf, check_member};
use super::{App, Shared, page};
use crate::clock::rfc3339;
use crate::conversion::ask::Begin;
use crate::conversion::recall::Stays;
use crate::conversion::state::State as Stage;
use crate::conversion::waiter::Answer;
use crate::ids;
use crate::keys::{Credentials, Scope};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::conversions::{Conversion as Row, Page};
use crate::store::idempotency::{Key, Stored};
use crate::units::{Fee, MicroPoints};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use mileverse_gateway_api::conversions::{
    Conversion, ConversionPage, ConversionRequest, DebitView, DisputeRequest, FeeView, IssueView,
    PageQuery, ReasonView,
};
use std::sync::Arc;
use tokio::time::Instant;

const MAX_REFERENCE_BYTES: usize = 64;
const MAX_FILTER_BYTES: usize = 128;
const MAX_WHY_CHARS: usize = 200;

pub(super) fn fee_view(fee: Fee) -> FeeView {
    FeeView {
        points: fee.points,
        payer: fee.payer,
    }
}

fn view(row: Row) -> Conversion {
    let name = crate::issuer::conversion_name(&row.id).to_string();
    let received = row.fee.received(row.points).unwrap_or_default();
    Conversion {
        state: row.state.name().to_owned(),
        is_final: row.state.is_final(),
        quote_id: row.quote_id,
        programme: row.programme,
        member_id: row.member_id,
        receiver: row.receiver,
        miles: row.miles,
        rate: MicroPoints(row.rate.0),
        points: received,
        points_micro: received.0,
        fee: fee_view(row.fee),
        reference: row.reference,
        debit: DebitView {
            reference: row.debit_reference,
            partner_reference: row.partner_reference,
        },
        issue: IssueView {
            conversion_name: name,
            transaction_hash: row.issue_hash,
            block_number: row.issue_block,
        },
        reason: row
            .reason_code
            .zip(row.reason)
            .map(|(code, message)| ReasonView { code, message }),
        created_at: rfc3339(row.created_at),
        updated_at: rfc3339(row.updated_at),
        id: row.id,
    }
}

/// Convert
///
/// Authenticates, queries, decreases the miles at the partner, then issues the points to the
/// receiver. Waits for the end for a while; if it takes longer, answers 202 and goes on.
#[utoipa::path(
    post,
    path = "/v1/conversions",
    tag = "conversions",
    security(("api_key" = ["conversions:write"])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters; a new one for each effect")),
    request_body = ConversionRequest,
    responses(
        (status = 201, description = "Completed: the miles are gone and the points exist", body = Conversion),
        (status = 202, description = "Begun and not finished; look it up", body = Conversion),
        (status = 400, description = "Malformed, or no Idempotency-Key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing, or the partner does not accept the member", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Quote used or expired, the float is short, or the same request is still running", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Cannot be converted; if a conversion was made and refused or reversed, with `conversion_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The partner cannot be asked; nothing has moved", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn create(
    State(app): Shared,
    credentials: Credentials,
    Body(request): Body<ConversionRequest>,
) -> Result<Response, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsWrite).await?;
    let key = input::idempotency_key(&credentials.headers)?;
    let member = check_member(request.member)?;
    if let Some(reference) = &request.reference {
        check_reference(reference)?;
    }
    let mut parts = vec![request.quote_id.as_str()];
    parts.extend(member.parts());
    parts.push(&request.receiver);
    // Left out if there is none: so it was before there were references.
    parts.extend(request.reference.as_deref());
    let fingerprint = caller.fingerprint("conversion", &parts);
    let key = Key {
        partner: caller.partner.to_string(),
        key,
        operation: "conversion",
        fingerprint,
    };
    let funding = caller.funding;
    let (quote_id, receiver, reference) = (request.quote_id, request.receiver, request.reference);
    let work_app: Arc<App> = Arc::clone(&app);
    idempotent::once(&app, key, move |key, begun| async move {
        let machine = &work_app.machine;
        let mut waiter = match begun {
            Some(id) => {
                let make = kept;
                let key = key.clone();
                machine.wait_for(&id, Answer { key, make })
            }
            None => {
                let asked = Begin {
                    key: &key,
                    funding,
                    quote_id: &quote_id,
                    receiver: &receiver,
                    reference: reference.as_deref(),
                    answer: kept,
                };
                machine.begin(&asked, &member).await?
            }
        };
        // From here on nothing of the member is needed.
        drop(member);
        let deadline = Instant::now() + work_app.conversion_wait;
        let settled = waiter.settled(deadline).await?;
        drop(waiter);
        let settled = settled.ok_or(sqlx::Error::RowNotFound)?;
        // Stored by the very transaction that settled it, mostly.
        let stored = match settled.answer {
            Some(stored) => Some(stored),
            None => machine.store.stored_answer(&key).await?,
        };
        match stored {
            Some(stored) => Ok(Done::Recorded(stored)),
            None => answer(settled.conversion).map(Done::New),
        }
    })
    .await
}

/// The answer to a conversion that came to its end.
fn kept(row: Row) -> Result<Option<Stored>, sqlx::Error> {
    if !row.state.is_final() {
        return Ok(None);
    }
    match answer(row) {
        Ok(stored) => Ok(Some(stored)),
        Err(problem) => idempotent::stored(problem.kind.status(), &problem.body()).map(Some),
    }
}

/// How a conversion is answered to whoever began it.
fn answer(row: Row) -> Result<Stored, Problem> {
    let ended = |kind, sentence: &str, row: &Row| {
        let reason = row.reason.as_deref().unwrap_or("no reason is known");
        Err(Problem::new(kind, format!("{sentence}: {reason}."))
            .with("conversion_id", row.id.clone())
            .with("code", row.reason_code.clone()))
    };
    match row.state {
        Stage::Completed => Ok(idempotent::stored(StatusCode::CREATED, &view(row))?),
        Stage::Refused => ended(
            problem::ConversionRefused,
            "No miles were taken; make a new quote",
            &row,
        ),
        Stage::Reversed => ended(
            problem::ConversionReversed,
            "The miles were given back; make a new quote",
            &row,
        ),
        _ => Ok(idempotent::stored(StatusCode::ACCEPTED, &view(row))?),
    }
}

fn check_reference(reference: &str) -> Result<(), Problem> {
    let plain = (1..=MAX_REFERENCE_BYTES).contains(&reference.len())
        && reference.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain {
        return Err(Problem::new(
            problem::Invalid,
            "The reference must be 1 to 64 printable ASCII characters without spaces.",
        ));
    }
    Ok(())
}

fn unknown() -> Problem {
    Problem::new(
        problem::NotFound,
        "There is no such conversion of yours; GET /v1/conversions lists them.",
    )
}

/// Why a conversion is neither cancelled nor disputed.
fn stays(error: Stays, kind: problem::Kind) -> Problem {
    let detail = match error {
        Stays::NotNow => {
            return Problem::new(
                kind,
                "The partner is being asked for the miles at this moment; ask again in a moment.",
            )
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Stays::State(state) => {
            format!("The conversion is {state}; docs/gateway.md says what can be done then.")
        }
        Stays::TooLate => "The time in which it could be disputed is over.".to_owned(),
        Stays::NotReversible => "This partner's system cannot give miles back.".to_owned(),
        Stays::Step(error) => return Problem::internal(&error),
        Stays::Store(error) => return error.into(),
    };
    Problem::new(kind, detail)
}

/// Cancel a conversion
///
/// As long as no issue is signed: the miles are not taken, or go back. Saying it again changes
/// nothing, so no Idempotency-Key is needed.
#[utoipa::path(
    post,
    path = "/v1/conversions/{id}/cancel",
    tag = "conversions",
    security(("api_key" = ["conversions:write"])),
    params(("id" = String, Path, description = "`conv_…`")),
    responses(
        (status = 200, description = "`refused`, `reversing` or `reversed`", body = Conversion),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such conversion of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Too late, or not at this moment (with Retry-After)", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn cancel(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<Conversion>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsWrite).await?;
    if !ids::plausible(&id, "conv") {
        return Err(unknown());
    }
    let cancelled = app.machine.cancel(&caller.partner, &id).await;
    let row = cancelled.map_err(|error| stays(error, problem::NotCancellable))?;
    row.map(view).map(Json).ok_or_else(unknown)
}

/// Dispute a conversion
///
/// A completed one, in the programme's time: the miles go back to the member, the points stay
/// where they are and become a claim on you. Saying it again changes nothing, so no
/// Idempotency-Key is needed.
#[utoipa::path(
    post,
    path = "/v1/conversions/{id}/dispute",
    tag = "conversions",
    security(("api_key" = ["conversions:write"])),
    params(("id" = String, Path, description = "`conv_…`")),
    request_body = DisputeRequest,
    responses(
        (status = 200, description = "`disputed` or `returned`", body = Conversion),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such conversion of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Not completed, too late, or the partner's system cannot give miles back", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not a reason", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn dispute(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
    Body(request): Body<DisputeRequest>,
) -> Result<Json<Conversion>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsWrite).await?;
    if !ids::plausible(&id, "conv") {
        return Err(unknown());
    }
    let why = request.why.trim();
    if why.is_empty() || why.chars().count() > MAX_WHY_CHARS {
        let detail = "The why must be 1 to 200 characters.";
        return Err(Problem::new(problem::Invalid, detail));
    }
    let disputed = app.machine.dispute(&caller.partner, &id, why).await;
    let row = disputed.map_err(|error| stays(error, problem::NotDisputable))?;
    row.map(view).map(Json).ok_or_else(unknown)
}

/// Look a conversion up
#[utoipa::path(
    get,
    path = "/v1/conversions/{id}",
    tag = "conversions",
    security(("api_key" = ["conversions:read"])),
    params(("id" = String, Path, description = "`conv_…`")),
    responses(
        (status = 200, description = "The conversion as it stands", body = Conversion),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such conversion of the caller's", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn look_up(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<Conversion>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsRead).await?;
    let row = match ids::plausible(&id, "conv") {
        true => app.machine.store.conversion(&id).await?,
        false => None,
    };
    row.filter(|row| row.partner == *caller.partner)
        .map(view)
        .map(Json)
        .ok_or_else(unknown)
}

fn moment(text: &str) -> Result<i64, Problem> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed.map(jiff::Timestamp::as_millisecond).map_err(|_| {
        let detail =
            "The created_from and created_to must be moments such as 2026-11-21T00:00:00Z.";
        Problem::new(problem::Malformed, detail)
    })
}

/// List conversions
#[utoipa::path(
    get,
    path = "/v1/conversions",
    tag = "conversions",
    security(("api_key" = ["conversions:read"])),
    params(PageQuery),
    responses(
        (status = 200, description = "The caller's conversions, newest first", body = ConversionPage),
        (status = 400, description = "Malformed query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    State(app): Shared,
    credentials: Credentials,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<ConversionPage>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsRead).await?;
    let size = page::size(query.limit, query.cursor.as_deref(), "conv")?;
    let state = query
        .state
        .as_deref()
        .map(|name| {
            Stage::parse(name).ok_or_else(|| {
                let all: Vec<_> = Stage::ALL.iter().map(|state| state.name()).collect();
                let detail = format!("The state must be one of {}.", all.join(", "));
                Problem::new(problem::Malformed, detail)
            })
        })
        .transpose()?;
    let names = [
        &query.programme,
        &query.member_id,
        &query.reference,
        &query.partner_reference,
    ];
    if names
        .into_iter()
        .flatten()
        .any(|name| name.len() > MAX_FILTER_BYTES)
    {
        let detail = "A filter is longer than 128 bytes; names are not.";
        return Err(Problem::new(problem::Malformed, detail));
    }
    let mut rows = app
        .machine
        .store
        .conversions_of(
            &caller.partner,
            &Page {
                before: query.cursor.as_deref(),
                state,
                programme: query.programme.as_deref(),
                member_id: query.member_id.as_deref(),
                reference: query.reference.as_deref(),
                partner_reference: query.partner_reference.as_deref(),
                from: query.created_from.as_deref().map(moment).transpose()?,
                to: query.created_to.as_deref().map(moment).transpose()?,
                limit: page::rows(size),
            },
        )
        .await?;
    let next_cursor = page::next(&mut rows, size, |row| &row.id);
    Ok(Json(ConversionPage {
        items: rows.into_iter().map(view).collect(),
        next_cursor,
    }))
}
