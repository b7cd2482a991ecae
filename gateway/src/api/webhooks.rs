//! `/v1/webhooks`: where a partner is told what happened. See [`crate::webhook`].

use super::idempotent::{self, Done};
use super::input::{self, Body, PathOf, QueryOf};
use super::{App, Shared, page};
use crate::clock::{now_ms, rfc3339};
use crate::ids;
use crate::keys::{Caller, Credentials, Scope};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::idempotency::{self, Answered, Key};
use crate::store::webhooks::{
    self, Delivery as DeliveryRow, DeliveryPage, Endpoint, MAX_ENDPOINTS,
};
use crate::webhook::{self, Event as EventRow, Kind, News, target};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use mileverse_gateway_api::webhooks::{
    Delivery, DeliveryList, DeliveryQuery, Event, EventList, EventQuery, Replay, ReplayRequest,
    ResendRequest, RotateRequest, Webhook, WebhookChange, WebhookList, WebhookRequest,
    WebhookSecret,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::sync::Arc;

const MAX_DESCRIPTION_CHARS: usize = 200;
const MAX_KINDS: usize = 32;
/// Events that one replay queues.
const MAX_REPLAY: u32 = 500;
const MAX_OVERLAP_HOURS: u32 = 24 * 30;
const HOUR_MS: i64 = 60 * 60 * 1000;

fn view(endpoint: &Endpoint) -> Webhook {
    Webhook {
        id: endpoint.id.clone(),
        url: endpoint.url.clone(),
        event_types: endpoint
            .kinds
            .split_whitespace()
            .map(ToOwned::to_owned)
            .collect(),
        description: endpoint.description.clone(),
        status: endpoint.status.clone(),
        disabled_because: endpoint.disabled_because.clone(),
        failing_since: endpoint.failing_since.map(rfc3339),
        created_at: rfc3339(endpoint.created_at),
        updated_at: rfc3339(endpoint.updated_at),
    }
}

fn delivery_view(row: DeliveryRow) -> Delivery {
    Delivery {
        event_id: row.event_id,
        webhook_id: row.endpoint_id,
        state: row.state,
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        status: row.status.and_then(|status| u16::try_from(status).ok()),
        error: row.error,
        attempted_at: row.attempted_at.map(rfc3339),
        created_at: rfc3339(row.created_at),
    }
}

fn event_view(row: EventRow) -> Event {
    Event {
        id: row.id,
        kind: row.kind,
        subject: row.subject,
        body: serde_json::from_str(&row.body).unwrap_or(Value::Null),
        created_at: rfc3339(row.at),
    }
}

fn invalid(sentence: impl Into<String>) -> Problem {
    Problem::new(problem::Invalid, sentence)
}

fn check_url(app: &App, url: &str) -> Result<String, Problem> {
    target::parse(url, app.machine.sender.rules.private)
        .map(String::from)
        .map_err(|why| invalid(format!("The url cannot be used: {why}.")))
}

fn check_kinds(kinds: &[String]) -> Result<String, Problem> {
    let known = kinds.len() <= MAX_KINDS && kinds.iter().all(|kind| Kind::parse(kind).is_some());
    if !known {
        let all: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        return Err(invalid(format!(
            "The event_types must be among {}.",
            all.join(", ")
        )));
    }
    Ok(kinds.join(" "))
}

fn check_description(description: String) -> Result<String, Problem> {
    if description.chars().count() > MAX_DESCRIPTION_CHARS {
        return Err(invalid("The description must have at most 200 characters."));
    }
    Ok(description)
}

async fn find(app: &App, caller: &Caller, id: &str) -> Result<Endpoint, Problem> {
    let found = match ids::plausible(id, "whk") {
        true => app.machine.store.endpoint(&caller.partner, id).await?,
        false => None,
    };
    found.ok_or_else(|| {
        Problem::new(
            problem::NotFound,
            "There is no such webhook of yours; GET /v1/webhooks lists them.",
        )
    })
}

/// Add an endpoint
///
/// Its secret is at `GET /v1/webhooks/{id}/secret`.
#[utoipa::path(
    post,
    path = "/v1/webhooks",
    tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters; a new one for each effect")),
    request_body = WebhookRequest,
    responses(
        (status = 201, description = "Events are sent to it from now on", body = Webhook),
        (status = 400, description = "Malformed, or no Idempotency-Key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "There are ten already, or the same request is still running", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The URL or a type of events cannot be used, or the key belongs to another body", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn create(
    State(app): Shared,
    credentials: Credentials,
    Body(request): Body<WebhookRequest>,
) -> Result<Response, Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksWrite).await?;
    let key = input::idempotency_key(&credentials.headers)?;
    let kinds = check_kinds(&request.event_types)?;
    let url = check_url(&app, &request.url)?;
    let description = check_description(request.description)?;
    let key = Key {
        partner: caller.partner.to_string(),
        key,
        operation: "webhook",
        fingerprint: caller.fingerprint("webhook", &[&url, &kinds, &description]),
    };
    let work_app: Arc<App> = Arc::clone(&app);
    idempotent::once(&app, key, move |key, _| async move {
        let now = work_app.machine.store.now();
        let endpoint = Endpoint {
            id: ids::webhook(),
            partner: key.partner.clone(),
            url,
            kinds,
            description,
            status: "enabled".to_owned(),
            disabled_because: None,
            failing_since: None,
            secret_version: 1,
            previous_secret_until: 0,
            created_at: now,
            updated_at: now,
        };
        let stored = idempotent::stored(StatusCode::CREATED, &view(&endpoint))?;
        let mut write = work_app.machine.store.write().await?;
        if !webhooks::insert_endpoint(&mut write, &endpoint).await? {
            return Err(Problem::new(
                problem::TooManyWebhooks,
                format!("You have {MAX_ENDPOINTS} webhooks; delete one first."),
            ));
        }
        let answered = Answered {
            key: &key,
            made: Some(&endpoint.id),
            answer: &stored,
        };
        idempotency::answered(&mut write, &[answered]).await?;
        write.commit().await?;
        Ok(Done::Recorded(stored))
    })
    .await
}

/// List endpoints
#[utoipa::path(
    get,
    path = "/v1/webhooks",
    tag = "webhooks",
    security(("api_key" = ["webhooks:read"])),
    responses(
        (status = 200, description = "The caller's endpoints", body = WebhookList),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    State(app): Shared,
    credentials: Credentials,
) -> Result<Json<WebhookList>, Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksRead).await?;
    let endpoints = app.machine.store.endpoints(&caller.partner).await?;
    Ok(Json(WebhookList {
        items: endpoints.iter().map(view).collect(),
    }))
}

/// Look an endpoint up
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}",
    tag = "webhooks",
    security(("api_key" = ["webhooks:read"])),
    params(("id" = String, Path, description = "`whk_…`")),
    responses(
        (status = 200, description = "The endpoint as it stands", body = Webhook),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such endpoint of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn look_up(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<Webhook>, Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksRead).await?;
    Ok(Json(view(&find(&app, &caller, &id).await?)))
}

/// Change an endpoint
#[utoipa::path(
    patch,
    path = "/v1/webhooks/{id}",
    tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "`whk_…`")),
    request_body = WebhookChange,
    responses(
        (status = 200, description = "The endpoint as it stands now", body = Webhook),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such endpoint of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The URL or a type of events cannot be used", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn change(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
    Body(change): Body<WebhookChange>,
) -> Result<Json<Webhook>, Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksWrite).await?;
    let mut endpoint = find(&app, &caller, &id).await?;
    if let Some(url) = change.url {
        endpoint.url = check_url(&app, &url)?;
    }
    if let Some(kinds) = change.event_types {
        endpoint.kinds = check_kinds(&kinds)?;
    }
    if let Some(description) = change.description {
        endpoint.description = check_description(description)?;
    }
    if let Some(enabled) = change.enabled {
        endpoint.status = if enabled { "enabled" } else { "disabled" }.to_owned();
        endpoint.disabled_because = (!enabled).then(|| "its partner disabled it".to_owned());
        endpoint.failing_since = None;
    }
    store(&app, &mut endpoint).await?;
    Ok(Json(view(&endpoint)))
}

async fn store(app: &App, endpoint: &mut Endpoint) -> Result<(), sqlx::Error> {
    endpoint.updated_at = app.machine.store.now();
    let mut write = app.machine.store.write().await?;
    webhooks::update_endpoint(&mut write, endpoint).await?;
    write.commit().await
}

/// Delete an endpoint
///
/// Nothing is sent to it any more; its deliveries can no longer be listed.
#[utoipa::path(
    delete,
    path = "/v1/webhooks/{id}",
    tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "`whk_…`")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such endpoint of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn delete(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<StatusCode, Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksWrite).await?;
    let mut endpoint = find(&app, &caller, &id).await?;
    endpoint.status = "deleted".to_owned();
    store(&app, &mut endpoint).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn secret_view(app: &App, endpoint: &Endpoint) -> WebhookSecret {
    let signer = &app.machine.sender.signer;
    let versions = endpoint.secret_versions(now_ms());
    let previous = versions.get(1);
    let shown = |version| SecretString::from(signer.shown(&endpoint.id, version));
    WebhookSecret {
        secret: shown(endpoint.secret_version),
        previous: previous.map(|version| shown(*version)),
        previous_until: previous.map(|_| rfc3339(endpoint.previous_secret_until)),
    }
}

/// See an endpoint's secret
///
/// Messages are verified with it, as Standard Webhooks says; any of its libraries will do.
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}/secret",
    tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "`whk_…`")),
    responses(
        (status = 200, description = "The secret", body = WebhookSecret),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such endpoint of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn secret(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<WebhookSecret>, Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksWrite).await?;
    let endpoint = find(&app, &caller, &id).await?;
    Ok(Json(secret_view(&app, &endpoint)))
}

/// Replace an endpoint's secret
///
/// Messages are signed with both until the overlap ends. Saying it again with the same secret
/// changes nothing, so no Idempotency-Key is needed.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{id}/secret",
    tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "`whk_…`")),
    request_body = RotateRequest,
    responses(
        (status = 200, description = "The new secret and the one before", body = WebhookSecret),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such endpoint of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The overlap is too long", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn rotate(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
    Body(request): Body<RotateRequest>,
) -> Result<Json<WebhookSecret>, Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksWrite).await?;
    let mut endpoint = find(&app, &caller, &id).await?;
    let hours = request.overlap_hours.unwrap_or(24);
    if hours > MAX_OVERLAP_HOURS {
        return Err(invalid("The overlap_hours must be at most 720."));
    }
    let signer = &app.machine.sender.signer;
    if *request.secret.expose_secret() == signer.shown(&endpoint.id, endpoint.secret_version) {
        // How long a secret is good is no matter of the sandbox's clock.
        let now = now_ms();
        endpoint.updated_at = app.machine.store.now();
        let until = now.saturating_add(i64::from(hours).saturating_mul(HOUR_MS));
        let mut write = app.machine.store.write().await?;
        webhooks::rotate_secret(&mut write, &endpoint, until).await?;
        write.commit().await?;
        endpoint = find(&app, &caller, &id).await?;
    }
    Ok(Json(secret_view(&app, &endpoint)))
}

/// Try an endpoint
///
/// Sends it an event of type `webhook.test`, whichever types it asked for.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{id}/test",
    tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "`whk_…`")),
    responses(
        (status = 202, description = "On its way", body = Event),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such endpoint of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn test(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<(StatusCode, Json<Event>), Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksWrite).await?;
    let endpoint = find(&app, &caller, &id).await?;
    let now = app.machine.store.now();
    let data = json!({ "id": endpoint.id });
    let mut write = app.machine.store.write().await?;
    let kind = Kind::WebhookTest;
    let made = webhook::record(
        &mut write,
        News::here(&caller.partner, kind, &id, data),
        now,
    )
    .await?;
    webhook::queue(&mut write, &made, &endpoint.id, now).await?;
    write.commit().await?;
    let event = app.machine.store.event(&caller.partner, &made).await?;
    let event = event.ok_or(sqlx::Error::RowNotFound)?;
    Ok((StatusCode::ACCEPTED, Json(event_view(event))))
}

/// Send what was missed
///
/// Queues the events that the endpoint asks for and has not taken, the oldest first. Saying it
/// again queues nothing twice, so no Idempotency-Key is needed.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{id}/replay",
    tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "`whk_…`")),
    request_body = ReplayRequest,
    responses(
        (status = 202, description = "On their way", body = Replay),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such endpoint of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The endpoint is disabled; enable it first", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not a moment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn replay(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
    Body(request): Body<ReplayRequest>,
) -> Result<(StatusCode, Json<Replay>), Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksWrite).await?;
    let endpoint = find(&app, &caller, &id).await?;
    enabled(&endpoint)?;
    let since: jiff::Timestamp = request
        .since
        .parse()
        .map_err(|_| invalid("The since must be a moment such as 2026-11-21T00:00:00Z."))?;
    let since = since.as_millisecond();
    let store = &app.machine.store;
    let missed = store.missed(&endpoint, since, MAX_REPLAY + 1).await?;
    let most = usize::try_from(MAX_REPLAY).unwrap_or(usize::MAX);
    let more = missed.len() > most;
    let now = store.now();
    let mut queued = 0u32;
    let mut write = store.write().await?;
    for event in missed.iter().take(most) {
        webhook::queue(&mut write, &event.id, &endpoint.id, now).await?;
        queued = queued.saturating_add(1);
    }
    write.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(Replay { queued, more })))
}

fn enabled(endpoint: &Endpoint) -> Result<(), Problem> {
    if endpoint.status == "enabled" {
        return Ok(());
    }
    Err(Problem::new(
        problem::WebhookDisabled,
        "The webhook is disabled; enable it with PATCH and \"enabled\": true first.",
    ))
}

/// List deliveries
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}/deliveries",
    tag = "webhooks",
    security(("api_key" = ["webhooks:read"])),
    params(("id" = String, Path, description = "`whk_…`"), DeliveryQuery),
    responses(
        (status = 200, description = "What was sent to the endpoint, newest event first", body = DeliveryList),
        (status = 400, description = "Malformed query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such endpoint of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn deliveries(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<DeliveryQuery>,
) -> Result<Json<DeliveryList>, Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksRead).await?;
    let endpoint = find(&app, &caller, &id).await?;
    let size = page::size(query.limit, query.cursor.as_deref(), "evt")?;
    let state = query.state.as_deref();
    if state.is_some_and(|state| !["pending", "delivered", "failed"].contains(&state)) {
        let detail = "The state must be pending, delivered or failed.";
        return Err(Problem::new(problem::Malformed, detail));
    }
    let page = DeliveryPage {
        state,
        before: query.cursor.as_deref(),
        limit: page::rows(size),
    };
    let mut rows = app.machine.store.deliveries(&endpoint.id, page).await?;
    let next_cursor = page::next(&mut rows, size, |row| &row.event_id);
    Ok(Json(DeliveryList {
        items: rows.into_iter().map(delivery_view).collect(),
        next_cursor,
    }))
}

/// List events
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "webhooks",
    security(("api_key" = ["webhooks:read"])),
    params(EventQuery),
    responses(
        (status = 200, description = "What happened to the caller's things, newest first", body = EventList),
        (status = 400, description = "Malformed query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn events(
    State(app): Shared,
    credentials: Credentials,
    QueryOf(query): QueryOf<EventQuery>,
) -> Result<Json<EventList>, Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksRead).await?;
    let cursor = query.cursor.as_deref();
    let size = page::size(query.limit, cursor, "evt")?;
    let store = &app.machine.store;
    let more = page::rows(size);
    let mut rows = store.events(&caller.partner, cursor, more).await?;
    let next_cursor = page::next(&mut rows, size, |row| &row.id);
    Ok(Json(EventList {
        items: rows.into_iter().map(event_view).collect(),
        next_cursor,
    }))
}

async fn find_event(app: &App, caller: &Caller, id: &str) -> Result<EventRow, Problem> {
    let found = match ids::plausible(id, "evt") {
        true => app.machine.store.event(&caller.partner, id).await?,
        false => None,
    };
    found.ok_or_else(|| {
        Problem::new(
            problem::NotFound,
            "There is no such event of yours; GET /v1/events lists them.",
        )
    })
}

/// Look an event up
#[utoipa::path(
    get,
    path = "/v1/events/{id}",
    tag = "webhooks",
    security(("api_key" = ["webhooks:read"])),
    params(("id" = String, Path, description = "`evt_…`: a message's `webhook-id`")),
    responses(
        (status = 200, description = "The event", body = Event),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such event of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn event(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<Event>, Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksRead).await?;
    Ok(Json(event_view(find_event(&app, &caller, &id).await?)))
}

/// Send an event again
///
/// Whether or not it was taken before. The message has the same `webhook-id`.
#[utoipa::path(
    post,
    path = "/v1/events/{id}/resend",
    tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "`evt_…`")),
    request_body = ResendRequest,
    responses(
        (status = 202, description = "On its way", body = Event),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such event or endpoint of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The endpoint is disabled; enable it first", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not what is asked for", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn resend(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
    Body(request): Body<ResendRequest>,
) -> Result<(StatusCode, Json<Event>), Problem> {
    let caller = app.authorize(&credentials, Scope::WebhooksWrite).await?;
    let event = find_event(&app, &caller, &id).await?;
    let endpoint = find(&app, &caller, &request.webhook_id).await?;
    enabled(&endpoint)?;
    let mut write = app.machine.store.write().await?;
    webhook::queue(&mut write, &event.id, &endpoint.id, app.machine.store.now()).await?;
    write.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(event_view(event))))
}
