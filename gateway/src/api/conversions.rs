//! `/v1/conversions`

use super::idempotent::{self, Done};
use super::input::{self, Body, MemberInput, PathOf, QueryOf};
use super::{App, Shared, page};
use crate::clock::rfc3339;
use crate::conversion::ask::Begin;
use crate::conversion::machine::Answer;
use crate::conversion::recall::Stays;
use crate::conversion::state::State as Stage;
use crate::ids;
use crate::keys::{Credentials, Scope};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::conversions::{Conversion as Row, Page};
use crate::store::idempotency::{Key, Stored};
use crate::units::Fee;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

const MAX_REFERENCE_BYTES: usize = 64;
const MAX_FILTER_BYTES: usize = 128;
const MAX_WHY_CHARS: usize = 200;

/// What to convert.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConversionRequest {
    /// A quote that is neither used nor expired.
    quote_id: String,
    member: MemberInput,
    /// The member's own address on the native chain.
    #[schema(examples("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"))]
    receiver: String,
    /// What you call it: 1 to 64 printable ASCII characters without spaces, unlike all your other
    /// conversions'. It can be looked up by it.
    #[serde(default)]
    #[schema(max_length = 64, examples("order-4711"))]
    reference: Option<String>,
}

/// The fee of a conversion.
#[derive(Serialize, ToSchema)]
pub struct FeeView {
    /// MVP.
    #[schema(examples("360"))]
    points: String,
    /// `member`: it was kept back of the points. `partner`: it is owed on top of them.
    payer: &'static str,
}

pub(super) fn fee_view(fee: Fee) -> FeeView {
    FeeView {
        points: fee.points.to_string(),
        payer: fee.payer.name(),
    }
}

/// Why a conversion is disputed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeRequest {
    /// For the books: 1 to 200 characters.
    #[schema(max_length = 200, examples("the member's account was taken over"))]
    why: String,
}

/// The debit at the partner.
#[derive(Serialize, ToSchema)]
pub struct DebitView {
    /// Our name for it, which the partner knows too.
    reference: String,
    /// The partner's name for it.
    #[schema(required)]
    partner_reference: Option<String>,
}

/// The issue on the chain.
#[derive(Serialize, ToSchema)]
pub struct IssueView {
    /// The conversion's name on the chain, 32 bytes.
    conversion_name: String,
    #[schema(required)]
    transaction_hash: Option<String>,
    #[schema(required)]
    block_number: Option<u64>,
}

/// Why a conversion did not complete.
#[derive(Serialize, ToSchema)]
pub struct ReasonView {
    /// Stable.
    code: String,
    /// For people.
    message: String,
}

/// One conversion.
#[derive(Serialize, ToSchema)]
pub struct Conversion {
    /// Name of the conversion.
    #[schema(examples("conv_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))]
    id: String,
    /// `created`, `debiting`, `debit_unknown`, `debited`, `issuing`, `completed`, `refused`,
    /// `reversing`, `reversed`, `disputed`, `returned` or `attention`.
    state: String,
    /// Whether the state is the last.
    #[serde(rename = "final")]
    is_final: bool,
    quote_id: String,
    programme: String,
    member_id: String,
    receiver: String,
    /// Whole miles.
    miles: String,
    /// Points per mile, exact.
    rate: String,
    /// MVP that the member receives.
    points: String,
    /// MVP in millionths, as on the chain.
    points_micro: String,
    fee: FeeView,
    /// What you call it.
    #[schema(required)]
    reference: Option<String>,
    debit: DebitView,
    issue: IssueView,
    #[schema(required)]
    reason: Option<ReasonView>,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339; when the state last changed.
    updated_at: String,
}

/// A page, newest first.
#[derive(Serialize, ToSchema)]
pub struct ConversionPage {
    items: Vec<Conversion>,
    /// Send it as `cursor` for the next page; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Which conversions, and which page of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Only in this state.
    state: Option<String>,
    /// Only of this programme.
    programme: Option<String>,
    /// Only of this member, by the partner's id.
    member_id: Option<String>,
    /// Only the one that you call so.
    reference: Option<String>,
    /// Only the one whose debit the partner calls so.
    partner_reference: Option<String>,
    /// RFC 3339: only those made then or later.
    created_from: Option<String>,
    /// RFC 3339: only those made before.
    created_to: Option<String>,
    /// `next_cursor` of the page before; send the same filters with it.
    cursor: Option<String>,
    /// 1 to 100; 20 if not given.
    limit: Option<u32>,
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
        miles: row.miles.to_string(),
        rate: row.rate.to_string(),
        points: received.to_string(),
        points_micro: received.0.to_string(),
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
    let member = request.member.check()?;
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
        let id = match begun {
            Some(id) => id,
            None => {
                let asked = Begin {
                    key: &key,
                    funding,
                    quote_id: &quote_id,
                    receiver: &receiver,
                    reference: reference.as_deref(),
                };
                machine.begin(&asked, &member).await?
            }
        };
        // From here on nothing of the member is needed.
        drop(member);
        let kept = Answer {
            key: key.clone(),
            make: kept,
        };
        machine.answer_later(&id, kept);
        let deadline = Instant::now() + work_app.conversion_wait;
        let settled = machine.wait_settled(&id, deadline).await;
        machine.answer_no_more(&id);
        let row = settled?.ok_or(sqlx::Error::RowNotFound)?;
        // Stored by the very transaction that settled it, mostly.
        if let Some(stored) = machine.store.stored_answer(&key).await? {
            return Ok(Done::Recorded(stored));
        }
        answer(row).map(Done::New)
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
        Err(problem) => idempotent::stored(problem.kind.status, &problem.body()).map(Some),
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
            problem::CONVERSION_REFUSED,
            "No miles were taken; make a new quote",
            &row,
        ),
        Stage::Reversed => ended(
            problem::CONVERSION_REVERSED,
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
            problem::INVALID,
            "The reference must be 1 to 64 printable ASCII characters without spaces.",
        ));
    }
    Ok(())
}

fn unknown() -> Problem {
    Problem::new(
        problem::NOT_FOUND,
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
    let row = cancelled.map_err(|error| stays(error, problem::NOT_CANCELLABLE))?;
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
        return Err(Problem::new(problem::INVALID, detail));
    }
    let disputed = app.machine.dispute(&caller.partner, &id, why).await;
    let row = disputed.map_err(|error| stays(error, problem::NOT_DISPUTABLE))?;
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
        Problem::new(problem::MALFORMED, detail)
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
                Problem::new(problem::MALFORMED, detail)
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
        .any(|name| name.len() > MAX_FILTER_BYTES || name.contains('\0'))
    {
        let detail = "A filter is longer than 128 bytes; names are not.";
        return Err(Problem::new(problem::MALFORMED, detail));
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
