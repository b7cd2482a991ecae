//! `POST /v1/quotes`

use super::conversions::fee_view;
use super::idempotent::{self, Done};
use super::input::{self, Body, check_member};
use super::{App, Shared};
use crate::clock::rfc3339;
use crate::conversion::ask::Asked;
use crate::keys::{Credentials, Scope};
use crate::problem::{Problem, ProblemBody};
use crate::store::idempotency::Key;
use crate::units::MicroPoints;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use mileverse_gateway_api::conversions::{Quote, QuoteRequest};
use std::sync::Arc;

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
    let member = check_member(request.member)?;
    let mut parts = vec![request.programme.as_str()];
    parts.extend(member.parts());
    parts.push(&request.miles);
    let fingerprint = caller.fingerprint("quote", &parts);
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
                        miles: quote.miles,
                        rate: MicroPoints(quote.rate.0),
                        points: received,
                        points_micro: received.0,
                        fee: fee_view(quote.fee),
                        balance: balance.get(),
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
