//! `/v1/sandbox/clock`: only in a sandbox. See [`crate::store::clock`].

use super::idempotent::{self, Done};
use super::input::{self, Body};
use super::{App, Shared};
use crate::clock::rfc3339;
use crate::conversion::worker;
use crate::keys::{Credentials, Scope};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::clock::{self, FURTHEST, LONGEST_MOVE};
use crate::store::idempotency::{self, Answered, Key};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use mileverse_gateway_api::sandbox::{AdvanceRequest, Clock};
use std::sync::Arc;
use std::time::Duration;

const DAY_SECONDS: u64 = 24 * 60 * 60;

fn view(ahead_ms: i64) -> Clock {
    Clock {
        now: rfc3339(crate::clock::now_ms().saturating_add(ahead_ms)),
        ahead_seconds: u64::try_from(ahead_ms).unwrap_or(0) / 1000,
    }
}

fn too_far() -> Problem {
    Problem::new(
        problem::Invalid,
        format!(
            "The advance_seconds must be between 1 and {} ({} days), and all moves together at most {} days.",
            LONGEST_MOVE.as_secs(),
            LONGEST_MOVE.as_secs() / DAY_SECONDS,
            FURTHEST.as_secs() / DAY_SECONDS
        ),
    )
}

/// Read the sandbox's clock
///
/// Only in a sandbox.
#[utoipa::path(
    get,
    path = "/v1/sandbox/clock",
    tag = "sandbox",
    security(("api_key" = ["conversions:read"])),
    responses(
        (status = 200, description = "The clock", body = Clock),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn read(State(app): Shared, credentials: Credentials) -> Result<Json<Clock>, Problem> {
    app.authorize(&credentials, Scope::ConversionsRead).await?;
    Ok(Json(view(app.machine.store.ahead())))
}

/// Move the sandbox's clock ahead
///
/// Only in a sandbox, for all its callers, never back. Quotes expire, days and windows for disputes
/// end, what waits for its time comes due. How long keys, tokens and signatures are good does not
/// change; partners and chains have clocks of their own.
#[utoipa::path(
    post,
    path = "/v1/sandbox/clock",
    tag = "sandbox",
    security(("api_key" = ["sandbox:write"])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters; a new one for each effect")),
    request_body = AdvanceRequest,
    responses(
        (status = 200, description = "The clock as it is now", body = Clock),
        (status = 400, description = "Malformed, or no Idempotency-Key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The same request is still running", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Too far, or the key belongs to another body", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn advance(
    State(app): Shared,
    credentials: Credentials,
    Body(request): Body<AdvanceRequest>,
) -> Result<Response, Problem> {
    let caller = app.authorize(&credentials, Scope::SandboxWrite).await?;
    let key = input::idempotency_key(&credentials.headers)?;
    let by = Duration::from_secs(request.advance_seconds);
    if by.is_zero() || by > LONGEST_MOVE {
        return Err(too_far());
    }
    let parts = [request.advance_seconds.to_string()];
    let key = Key {
        partner: caller.partner.to_string(),
        key,
        operation: "sandbox_clock",
        fingerprint: caller.fingerprint("sandbox_clock", &[parts[0].as_str()]),
    };
    let work_app: Arc<App> = Arc::clone(&app);
    idempotent::once(&app, key, move |key, _| async move {
        let store = &work_app.machine.store;
        let mut write = store.write().await?;
        let ahead = clock::advance(&mut write, by).await?.ok_or_else(too_far)?;
        let stored = idempotent::stored(StatusCode::OK, &view(ahead))?;
        let answered = Answered {
            key: &key,
            made: Some("sandbox clock"),
            answer: &stored,
        };
        idempotency::answered(&mut write, &[answered]).await?;
        write.commit().await?;
        store.saw_clock(ahead);
        tracing::info!(
            seconds = by.as_secs(),
            partner = key.partner,
            "the sandbox's clock was moved"
        );
        worker::put_in(&work_app.machine).await;
        Ok(Done::Recorded(stored))
    })
    .await
}
