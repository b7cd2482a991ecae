//! `/v1/listeners`: where partners' systems tell that something has changed.
//!
//! What they say is a hint and nothing more: the partner is asked about that debit now rather than
//! later, and what it answers then decides.

use super::Shared;
use super::input::{PathOf, unread};
use crate::problem::{self, Problem, ProblemBody};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use mileverse_adapters::Notice;

fn unknown() -> Problem {
    Problem::new(
        problem::NotFound,
        "There is nothing at this path; see /docs.",
    )
}

/// Hear of a change
///
/// For a partner's hub (TM Forum TMF658), which the gateway has given this URL. An event of a burn makes
/// the gateway ask about it; any other is taken and nothing follows.
#[utoipa::path(
    post,
    path = "/v1/listeners/{programme}/{secret}",
    tag = "listeners",
    params(
        ("programme" = String, Path, description = "Whose"),
        ("secret" = String, Path, description = "What the partner was told"),
    ),
    request_body(content = Object, description = "An event of the partner's: at most 16 KiB"),
    responses(
        (status = 204, description = "Heard; nothing is said of what follows"),
        (status = 400, description = "Not an event", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such listener", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn hear(
    state: Shared,
    PathOf((programme, secret)): PathOf<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    heard(state, &programme, &secret, body).await
}

/// Hear of a change, where the standard puts it
#[utoipa::path(
    post,
    path = "/v1/listeners/{programme}/{secret}/listener/{event}",
    tag = "listeners",
    params(
        ("programme" = String, Path, description = "Whose"),
        ("secret" = String, Path, description = "What the partner was told"),
        ("event" = String, Path, description = "Its type; the body says it too, and counts"),
    ),
    request_body(content = Object, description = "An event of the partner's: at most 16 KiB"),
    responses(
        (status = 204, description = "Heard; nothing is said of what follows"),
        (status = 400, description = "Not an event", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such listener", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn hear_of(
    state: Shared,
    PathOf((programme, secret, _event)): PathOf<(String, String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    heard(state, &programme, &secret, body).await
}

async fn heard(
    State(app): Shared,
    programme: &str,
    secret: &str,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let body = body.map_err(unread)?;
    let machine = &app.machine;
    let known = machine.programmes.get(programme).ok_or_else(unknown)?;
    match known.adapter.notice(secret, &body) {
        Notice::Refused => Err(unknown()),
        Notice::Malformed => Err(Problem::new(
            problem::Malformed,
            "This is not an event; send it as TM Forum TMF658 draws it.",
        )),
        Notice::Other => Ok(StatusCode::NO_CONTENT),
        Notice::About(reference) => {
            machine.hint(programme, reference.as_str()).await?;
            Ok(StatusCode::NO_CONTENT)
        }
    }
}
