//! The HTTP API. `openapi.json` beside the crate is generated from here.
//!
//! ```txt
//! POST /v1/quotes              conversions:write, Idempotency-Key
//! POST /v1/conversions         conversions:write, Idempotency-Key
//! GET  /v1/conversions         conversions:read
//! GET  /v1/conversions/{id}    conversions:read
//! POST /v1/conversions/{id}/cancel   /dispute   conversions:write
//! POST /v1/members             conversions:write, Idempotency-Key
//! GET  /v1/members/{id}  /balance    conversions:read; DELETE: conversions:write
//! PUT, GET /v1/members/{id}/wallet     conversions:write; conversions:read, also /wallet/terms
//! POST /v1/members/{id}/wallet/withdrawals   wallets:write, Idempotency-Key
//! GET  /v1/withdrawals  /v1/withdrawals/{id}   conversions:read
//! GET  /v1/programmes  /v1/statement   conversions:read
//! GET  /v1/books               books:read
//! POST /v1/oauth/token         client id and secret
//! GET  /v1/signing-keys        keys:write; PUT, DELETE /v1/signing-keys/{name}, PUT /v1/signature-rule
//! GET  /v1/float               float:read
//! GET  /v1/price               float:read
//! POST /v1/top-ups             float:write, Idempotency-Key
//! GET  /v1/top-ups             float:read
//! GET  /v1/top-ups/{id}        float:read
//! POST /v1/top-ups/{id}/payment    float:write
//! POST /v1/webhooks            webhooks:write, Idempotency-Key
//! GET  /v1/webhooks            webhooks:read; PATCH, DELETE, /secret, /test, /replay: webhooks:write
//! GET  /v1/webhooks/{id}/deliveries   /v1/events   /v1/events/{id}   webhooks:read
//! POST /v1/events/{id}/resend  webhooks:write
//! GET  /metrics                books:read
//! GET  /v1/sandbox/clock       conversions:read; POST: sandbox:write, Idempotency-Key. Only in a sandbox
//! /v1/operator/cases  /actions  /reconciliations  /statements  /operators  /audit   an operator's key
//! POST /v1/listeners/{programme}/{secret}  and below it   the secret, for partners' hubs
//! GET  /health  /ready         nobody's key
//! GET  /openapi.json  /docs
//! ```
//!
//! Limits: a body of 16 KiB (a partner's statement 8 MiB), a request of 60 seconds, 256 requests at once.

mod books;
mod conversions;
mod document;
mod float;
mod guard;
mod health;
mod idempotent;
mod input;
mod listeners;
mod members;
mod metrics;
mod oauth;
mod operator;
mod page;
mod programmes;
mod quotes;
mod refusal;
mod sandbox;
mod signing;
mod statement;
mod wallets;
mod webhooks;

use crate::conversion::Machine;
use crate::keys::{Caller, Credentials, Keys, Scope};
use crate::problem::{self, Problem};
use crate::reconcile::statement as partner_statement;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use utoipa::openapi::OpenApi as Specification;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

/// Largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
/// Longest request.
pub const MAX_REQUEST: Duration = Duration::from_secs(60);
/// Most requests at once.
pub const MAX_REQUESTS: usize = 256;

/// What every handler sees.
#[derive(Debug)]
pub struct App {
    /// Moves conversions.
    pub machine: Arc<Machine>,
    /// Who may call.
    pub keys: Keys,
    /// How long a quote holds.
    pub quote_lifetime: Duration,
    /// How long making a conversion waits for its end.
    pub conversion_wait: Duration,
    /// Whether there are routes that only a sandbox has.
    pub sandbox: bool,
}

impl App {
    /// Who calls, if they may do this.
    async fn authorize(&self, credentials: &Credentials, scope: Scope) -> Result<Caller, Problem> {
        let store = &self.machine.store;
        let caller = self.keys.authorize(store, credentials, scope).await?;
        self.check_signature(credentials, &caller).await?;
        Ok(caller)
    }
}

type Shared = axum::extract::State<Arc<App>>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "MileVerse gateway",
        description = "Turns partners' miles into points (MVP) on the native chain. Amounts are decimal strings. Every error is problem+json (RFC 9457). Every POST needs an Idempotency-Key: the same key with the same body gives the same answer and moves nothing twice.",
    ),
    modifiers(&BearerKey),
    tags(
        (name = "conversions", description = "Quote, convert, look up"),
        (name = "members", description = "Linked once, with consent"),
        (name = "wallets", description = "Kept by the gateway for members without an address of their own; moving points out of them"),
        (name = "keys", description = "Access tokens for OAuth 2.0 clients; keys that sign requests (RFC 9421)"),
        (name = "float", description = "Prepaid points: what is left, and how to buy more"),
        (name = "webhooks", description = "Being told what happened (Standard Webhooks)"),
        (name = "books", description = "The journal against the chain"),
        (name = "sandbox", description = "Only in a sandbox: its clock. Elsewhere these paths do not exist"),
        (name = "operator", description = "For the people who run the gateway: cases, four eyes, reconciliation, audit"),
        (name = "listeners", description = "For partners' systems that tell of changes"),
        (name = "health", description = "For whoever runs the gateway"),
    )
)]
struct Document;

struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, document: &mut Specification) {
        let components = document.components.get_or_insert_default();
        for name in ["api_key", "operator_key"] {
            let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
            components.add_security_scheme(name, scheme);
        }
    }
}

fn routes(sandbox: bool) -> OpenApiRouter<Arc<App>> {
    let router = OpenApiRouter::with_openapi(Document::openapi());
    let router = match sandbox {
        true => router.routes(routes!(sandbox::read, sandbox::advance)),
        false => router,
    };
    router
        .routes(routes!(quotes::create))
        .routes(routes!(conversions::create, conversions::list))
        .routes(routes!(conversions::look_up))
        .routes(routes!(conversions::cancel))
        .routes(routes!(conversions::dispute))
        .routes(routes!(programmes::list))
        .routes(routes!(statement::read))
        .routes(routes!(members::create))
        .routes(routes!(members::look_up, members::erase))
        .routes(routes!(members::balance))
        .routes(routes!(wallets::make, wallets::look))
        .routes(routes!(wallets::terms))
        .routes(routes!(wallets::withdraw))
        .routes(routes!(wallets::list))
        .routes(routes!(wallets::look_up))
        .routes(routes!(books::read))
        .routes(routes!(oauth::token))
        .routes(routes!(signing::list))
        .routes(routes!(signing::register, signing::delete))
        .routes(routes!(signing::rule))
        .routes(routes!(float::read))
        .routes(routes!(float::create, float::list))
        .routes(routes!(float::look_up))
        .routes(routes!(float::pay))
        .routes(routes!(float::price))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(
            webhooks::look_up,
            webhooks::change,
            webhooks::delete
        ))
        .routes(routes!(webhooks::secret, webhooks::rotate))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::replay))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::events))
        .routes(routes!(webhooks::event))
        .routes(routes!(webhooks::resend))
        .routes(routes!(operator::cases::list))
        .routes(routes!(operator::cases::look_up))
        .routes(routes!(operator::cases::propose))
        .routes(routes!(operator::cases::decide))
        .routes(routes!(
            operator::reconciliations::request,
            operator::reconciliations::list
        ))
        .routes(routes!(operator::reconciliations::look_up))
        .routes(routes!(operator::reconciliations::statements))
        .merge(
            OpenApiRouter::new()
                .routes(routes!(operator::reconciliations::hand_in))
                .layer(DefaultBodyLimit::max(partner_statement::MAX_BYTES)),
        )
        .routes(routes!(operator::people::list, operator::people::add))
        .routes(routes!(operator::people::change))
        .routes(routes!(operator::people::replace_key))
        .routes(routes!(operator::people::audit))
        .routes(routes!(operator::people::verify))
        .routes(routes!(listeners::hear))
        .routes(routes!(listeners::hear_of))
        .routes(routes!(metrics::read))
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
}

/// The OpenAPI document, with what only a sandbox has.
pub fn specification() -> Specification {
    described(true).1
}

fn described(sandbox: bool) -> (Router<Arc<App>>, Specification) {
    let (router, mut specification) = routes(sandbox).split_for_parts();
    document::complete(&mut specification);
    (router, specification)
}

/// The whole API.
pub fn router(app: App) -> Router {
    let (router, specification) = described(app.sandbox);
    let slots = Arc::new(Semaphore::new(MAX_REQUESTS));
    let app = Arc::new(app);
    router
        .merge(SwaggerUi::new("/docs").url("/openapi.json", specification))
        .fallback(|| async {
            Problem::new(
                problem::NotFound,
                "There is nothing at this path; see /docs.",
            )
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                problem::MethodNotAllowed,
                "This path does not take this method; see the Allow header and /docs.",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(signing::read))
        .layer(middleware::from_fn_with_state(
            (slots, Arc::clone(&app)),
            guard::guard,
        ))
        .with_state(app)
}
