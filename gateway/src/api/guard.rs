//! What every request passes: a request id, a limit on how many run, a limit on how long, a span if it is
//! one of the API.

use super::{App, MAX_REQUEST};
use crate::ids;
use crate::objectives::Answered;
use crate::problem::{self, Problem};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mileverse_trace::{Parent, SpanKind, Spec, failed, note};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::{self, Instant};
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub async fn guard(
    State((slots, app)): State<(Arc<Semaphore>, Arc<App>)>,
    request: Request,
    next: Next,
) -> Response {
    // As the route is written: a path with an id in it would be a figure of its own.
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "other".to_owned(), |route| route.as_str().to_owned());
    let id = ids::request();
    // A secret that stands in a path is not for logs.
    let path = match route.contains("{secret}") {
        true => route.clone(),
        false => request.uri().path().to_owned(),
    };
    let method = request.method().clone();
    let parent = Parent::of(request.headers());
    let began = Instant::now();
    let span = tracing::info_span!("request", id, %method, path);
    let response = async {
        let Ok(_slot) = slots.try_acquire() else {
            let detail = "Too many requests run at once; send this one again in a moment.";
            return Problem::new(problem::Busy, detail)
                .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
                .into_response();
        };
        time::timeout(MAX_REQUEST, next.run(request)).await.unwrap_or_else(|_| {
            let detail = "The request took too long; look up what it began, or send it again with the same Idempotency-Key.";
            Problem::new(problem::Timeout, detail).into_response()
        })
    };
    let response = response.instrument(span);
    // What looks after the gateway would only be noise.
    let mut response = match app.machine.tracer.is_on() && route.starts_with("/v1/") {
        true => {
            let spec = || {
                Spec::new(format!("{method} {route}"), SpanKind::Server)
                    .with("http.request.method", method.to_string())
                    .with("http.route", route.clone())
                    .with("mileverse.request.id", id.clone())
            };
            let noted = async {
                let response = response.await;
                note_status(response.status());
                response
            };
            app.machine.tracer.tree(parent.as_ref(), spec, noted).await
        }
        false => response.await,
    };
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let took = began.elapsed();
    let status = response.status().as_u16();
    app.machine.metrics.answered(&Answered {
        method: &method,
        route: &route,
        status,
        took,
    });
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(id, %method, path, status, ms, "answered");
    response
}

/// What is refused is the caller's fault, and no failure of ours.
fn note_status(status: StatusCode) {
    note("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        failed(status.as_str().to_owned());
    }
}
