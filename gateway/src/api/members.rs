//! `/v1/members`: members that are linked once, with their consent.

use super::idempotent::{self, Done};
use super::input::{self, Body, PathOf, check_login};
use super::{App, Shared};
use crate::clock::rfc3339;
use crate::conversion::link::Link;
use crate::ids;
use crate::keys::{Caller, Credentials, Scope};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::idempotency::Key;
use crate::store::members::MemberRow;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use mileverse_gateway_api::members::{LinkRequest, LinkedMember, MemberBalance};
use std::sync::Arc;

const MAX_CONSENT_BYTES: usize = 128;

fn view(row: MemberRow) -> LinkedMember {
    LinkedMember {
        id: row.id,
        programme: row.programme,
        status: row.status,
        consent: row.consent,
        consented_at: rfc3339(row.consented_at),
        created_at: rfc3339(row.created_at),
        updated_at: rfc3339(row.updated_at),
    }
}

pub(super) async fn find(app: &App, caller: &Caller, id: &str) -> Result<MemberRow, Problem> {
    let found = match ids::plausible(id, "mem") {
        true => app.machine.store.member(&caller.partner, id).await?,
        false => None,
    };
    found.ok_or_else(|| {
        Problem::new(
            problem::NotFound,
            "There is no such member of yours; link one with POST /v1/members.",
        )
    })
}

/// Link a member
///
/// Authenticates the member with the partner once, and records the consent. Stored, encrypted, are
/// the partner's id of the member and the token that the partner gave; login and password are not.
/// Linked again, a member keeps its id.
#[utoipa::path(
    post,
    path = "/v1/members",
    tag = "members",
    security(("api_key" = ["conversions:write"])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters; a new one for each effect")),
    request_body = LinkRequest,
    responses(
        (status = 201, description = "Linked", body = LinkedMember),
        (status = 400, description = "Malformed, or no Idempotency-Key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing, or the partner does not accept the member", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The same request is still running", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The programme or the consent cannot be used, or the key belongs to another body", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The partner cannot be asked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn create(
    State(app): Shared,
    credentials: Credentials,
    Body(request): Body<LinkRequest>,
) -> Result<Response, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsWrite).await?;
    let key = input::idempotency_key(&credentials.headers)?;
    let member = check_login(request.member)?;
    let fits = (1..=MAX_CONSENT_BYTES).contains(&request.consent.len());
    if !fits
        || !request
            .consent
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~'))
    {
        return Err(Problem::new(
            problem::Invalid,
            "The consent must be 1 to 128 printable ASCII characters: the name and version of the text that the member agreed to.",
        ));
    }
    let mut parts = vec![request.programme.as_str(), request.consent.as_str()];
    parts.extend(member.parts());
    let key = Key {
        partner: caller.partner.to_string(),
        key,
        operation: "member",
        fingerprint: caller.fingerprint("member", &parts),
    };
    let (programme, consent) = (request.programme, request.consent);
    let work_app: Arc<App> = Arc::clone(&app);
    idempotent::once(&app, key, move |key, _| async move {
        let link = Link {
            key: &key,
            programme: &programme,
            member: &member,
            consent: &consent,
        };
        let stored = work_app
            .machine
            .link(&link, |row| {
                idempotent::stored(StatusCode::CREATED, &view(row))
            })
            .await?;
        Ok(Done::Recorded(stored))
    })
    .await
}

/// Look a member up
#[utoipa::path(
    get,
    path = "/v1/members/{id}",
    tag = "members",
    security(("api_key" = ["conversions:read"])),
    params(("id" = String, Path, description = "`mem_…`")),
    responses(
        (status = 200, description = "The member as it stands", body = LinkedMember),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such member of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn look_up(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<LinkedMember>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsRead).await?;
    Ok(Json(view(find(&app, &caller, &id).await?)))
}

/// See what a member has
///
/// Asks the partner. Moves nothing.
#[utoipa::path(
    get,
    path = "/v1/members/{id}/balance",
    tag = "members",
    security(("api_key" = ["conversions:read"])),
    params(("id" = String, Path, description = "`mem_…`")),
    responses(
        (status = 200, description = "The balance at the partner", body = MemberBalance),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing, or the member must be linked again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such member of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Its programme is not offered any more", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The partner cannot be asked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn balance(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<MemberBalance>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsRead).await?;
    let row = find(&app, &caller, &id).await?;
    let miles = app.machine.linked_balance(&row).await?;
    Ok(Json(MemberBalance { miles: miles.get() }))
}

/// Erase a member
///
/// It leaves: the partner's id of it and the token are erased, and the key they were sealed with.
/// Conversions and the journal stay; they hold what was converted, not who the member is to you. A
/// wallet that the gateway keeps for it is closed and its key erased; that is refused while it holds 0.1
/// MVP or more, or something is on its way.
#[utoipa::path(
    delete,
    path = "/v1/members/{id}",
    tag = "members",
    security(("api_key" = ["conversions:write"])),
    params(("id" = String, Path, description = "`mem_…`")),
    responses(
        (status = 204, description = "Erased"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such member of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Its wallet is not empty, or points are on their way", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The chain cannot be asked what its wallet holds", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn erase(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<StatusCode, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsWrite).await?;
    let row = find(&app, &caller, &id).await?;
    app.machine.erase(&row).await?;
    Ok(StatusCode::NO_CONTENT)
}
