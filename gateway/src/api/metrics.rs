//! `GET /metrics`: figures for Prometheus. See [`crate::metrics`].

use super::Shared;
use crate::keys::{Credentials, Scope};
use crate::problem::{Problem, ProblemBody};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Read figures for Prometheus
///
/// OpenMetrics text. They tell how much business there is, so they need a key.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    security(("api_key" = ["books:read"])),
    responses(
        (status = 200, description = "OpenMetrics", body = String, content_type = "application/openmetrics-text"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn read(State(app): Shared, credentials: Credentials) -> Result<Response, Problem> {
    app.authorize(&credentials, Scope::BooksRead).await?;
    let machine = &app.machine;
    let text = machine.metrics.text(&machine.store).await?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}
