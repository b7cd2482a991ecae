//! `/v1/conversions`

use super::idempotent::{self, Done};
use super::input::{self, Body, MemberInput, PathOf, QueryOf};
use super::{App, Shared};
use crate::clock::rfc3339;
use crate::conversion::state::State as Stage;
use crate::ids;
use crate::keys::{Credentials, Scope};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::conversions::Conversion as Row;
use crate::store::idempotency::Key;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

const DEFAULT_PAGE: u32 = 20;
const MAX_PAGE: u32 = 100;

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
    /// `reversing`, `reversed` or `attention`.
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
    /// MVP.
    points: String,
    /// MVP in millionths, as on the chain.
    points_micro: String,
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

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 100; 20 if not given.
    limit: Option<u32>,
}

fn view(row: Row) -> Conversion {
    let name = crate::issuer::conversion_name(&row.id).to_string();
    Conversion {
        state: row.state.name().to_owned(),
        is_final: row.state.is_final(),
        quote_id: row.quote_id,
        programme: row.programme,
        member_id: row.member_id,
        receiver: row.receiver,
        miles: row.miles.to_string(),
        rate: row.rate.to_string(),
        points: row.points.to_string(),
        points_micro: row.points.0.to_string(),
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
    let fingerprint = caller.fingerprint(
        "conversion",
        &[
            &request.quote_id,
            &member.login,
            member.password.expose_secret(),
            &request.receiver,
        ],
    );
    let key = Key {
        partner: caller.partner.to_string(),
        key,
        operation: "conversion",
        fingerprint,
    };
    let funding = caller.funding;
    let (quote_id, receiver) = (request.quote_id, request.receiver);
    let work_app: Arc<App> = Arc::clone(&app);
    idempotent::once(&app, key, |key, begun| async move {
        let machine = &work_app.machine;
        let id = match begun {
            Some(id) => id,
            None => {
                machine
                    .begin(&key, funding, &quote_id, &member, &receiver)
                    .await?
            }
        };
        // From here on nothing of the member is needed.
        drop(member);
        let deadline = Instant::now() + work_app.conversion_wait;
        let row = machine
            .wait_settled(&id, deadline)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        answer(row).map(Done::New)
    })
    .await
}

/// How a conversion is answered to whoever began it.
fn answer(row: Row) -> Result<crate::store::idempotency::Stored, Problem> {
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
        .ok_or_else(|| {
            Problem::new(
                problem::NOT_FOUND,
                "There is no such conversion of yours; GET /v1/conversions lists them.",
            )
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
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<ConversionPage>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsRead).await?;
    let limit = page.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        let detail = format!("The limit must be between 1 and {MAX_PAGE}.");
        return Err(Problem::new(problem::MALFORMED, detail));
    }
    if page
        .cursor
        .as_deref()
        .is_some_and(|cursor| !ids::plausible(cursor, "conv"))
    {
        let detail = "The cursor must be the next_cursor of an earlier page.";
        return Err(Problem::new(problem::MALFORMED, detail));
    }
    let cursor = page.cursor.as_deref();
    // One more than asked for tells whether there is a next page.
    let mut rows = app
        .machine
        .store
        .conversions_of(&caller.partner, cursor, limit + 1)
        .await?;
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > size;
    rows.truncate(size);
    let next_cursor = rows.last().filter(|_| more).map(|row| row.id.clone());
    Ok(Json(ConversionPage {
        items: rows.into_iter().map(view).collect(),
        next_cursor,
    }))
}
