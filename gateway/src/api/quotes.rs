//! `POST /v1/quotes`

use super::conversions::{FeeView, fee_view};
use super::idempotent::{self, Done};
use super::input::{self, Body, MemberInput};
use super::{App, Shared};
use crate::clock::rfc3339;
use crate::conversion::ask::Asked;
use crate::keys::{Credentials, Scope};
use crate::problem::{Problem, ProblemBody};
use crate::store::idempotency::Key;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What to quote.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// Whose miles.
    #[schema(examples("airline"))]
    programme: String,
    member: MemberInput,
    /// Whole miles, as a decimal string.
    #[schema(examples("10000"))]
    miles: String,
}

/// What a conversion would come to. Holds until it expires or is used, once.
#[derive(Serialize, ToSchema)]
pub struct Quote {
    /// Name of the quote.
    #[schema(examples("quote_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))]
    id: String,
    programme: String,
    /// The partner's id of the member.
    #[schema(examples("SKY-1001"))]
    member_id: String,
    /// Whole miles.
    #[schema(examples("10000"))]
    miles: String,
    /// Points per mile, exact.
    #[schema(examples("12"))]
    rate: String,
    /// MVP that the member receives: miles times rate, less the fee if the member pays it.
    #[schema(examples("120000"))]
    points: String,
    /// MVP in millionths, as on the chain.
    #[schema(examples("120000000000"))]
    points_micro: String,
    fee: FeeView,
    /// What the member has now.
    #[schema(examples("12345"))]
    balance: String,
    /// RFC 3339.
    expires_at: String,
}

/// Quote a conversion
///
/// Authenticates the member with the partner and reads the balance. Moves nothing.
#[utoipa::path(
    post,
    path = "/v1/quotes",
    tag = "conversions",
    security(("api_key" = ["conversions:write"])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters; a new one for each effect")),
    request_body = QuoteRequest,
    responses(
        (status = 201, description = "A quote", body = Quote),
        (status = 400, description = "Malformed, or no Idempotency-Key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing, or the partner does not accept the member", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The float is short, or the same request is still running", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The amount or the programme cannot be used, or the key belongs to another body", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The partner cannot be asked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn create(
    State(app): Shared,
    credentials: Credentials,
    Body(request): Body<QuoteRequest>,
) -> Result<Response, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsWrite).await?;
    let key = input::idempotency_key(&credentials.headers)?;
    let member = request.member.check()?;
    let fingerprint = caller.fingerprint(
        "quote",
        &[
            &request.programme,
            &member.login,
            member.password.expose_secret(),
            &request.miles,
        ],
    );
    let key = Key {
        partner: caller.partner.to_string(),
        key,
        operation: "quote",
        fingerprint,
    };
    let funding = caller.funding;
    let (programme, miles) = (request.programme, request.miles);
    let work_app: Arc<App> = Arc::clone(&app);
    idempotent::once(&app, key, move |key, _| async move {
        let lifetime = work_app.quote_lifetime;
        let answer = work_app
            .machine
            .quote(
                &Asked {
                    key: &key,
                    funding,
                    programme: &programme,
                    member: &member,
                    miles: &miles,
                },
                lifetime,
                |quote, balance| {
                    let received = quote.fee.received(quote.points).unwrap_or_default();
                    let body = Quote {
                        id: quote.id.clone(),
                        programme: quote.programme.clone(),
                        member_id: quote.member_id.clone(),
                        miles: quote.miles.to_string(),
                        rate: quote.rate.to_string(),
                        points: received.to_string(),
                        points_micro: received.0.to_string(),
                        fee: fee_view(quote.fee),
                        balance: balance.to_string(),
                        expires_at: rfc3339(quote.expires_at),
                    };
                    idempotent::stored(StatusCode::CREATED, &body)
                },
            )
            .await?;
        Ok(Done::Recorded(answer))
    })
    .await
}
