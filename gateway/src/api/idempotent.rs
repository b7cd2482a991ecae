//! One key, one effect, one answer; see [`crate::store::idempotency`].
//!
//! All of it runs in a task of its own: a caller who hangs up does not stop it half way.

use super::App;
use crate::conversion::Machine;
use crate::problem::{self, Problem};
use crate::store::idempotency::{self, Claim, Key, Stored};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mileverse_trace::{Spec, carried, note, span};
use serde::Serialize;
use std::future::{Future, ready};
use std::sync::Arc;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What work came to.
pub enum Done {
    /// The answer was stored together with the effect.
    Recorded(Stored),
    /// The answer is still to be stored.
    New(Stored),
}

/// An answer of JSON.
pub fn stored(status: StatusCode, body: &impl Serialize) -> Result<Stored, sqlx::Error> {
    let body = serde_json::to_vec(body).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    Ok(Stored {
        status: status.as_u16(),
        body,
    })
}

/// Does `work` once per key. It is given what an interrupted predecessor made, if anything.
pub async fn once<F, W>(app: &Arc<App>, key: Key, work: W) -> Result<Response, Problem>
where
    F: Future<Output = Result<Done, Problem>> + Send + 'static,
    W: FnOnce(Key, Option<String>) -> F + Send + 'static,
{
    let machine = Arc::clone(&app.machine);
    // The claim too: a caller who hangs up while it is being committed must not leave it behind,
    // claimed by a run that is alive and does nothing.
    let task = tokio::spawn(carried(perform(machine, key, work)));
    task.await.map_err(|error| Problem::internal(&error))?
}

async fn perform<F, W>(machine: Arc<Machine>, key: Key, work: W) -> Result<Response, Problem>
where
    F: Future<Output = Result<Done, Problem>> + Send + 'static,
    W: FnOnce(Key, Option<String>) -> F + Send + 'static,
{
    let resumed = match claim(&machine, &key).await? {
        Claim::Answered(answer) => return Ok(respond(answer, true)),
        Claim::Running => {
            return Err(Problem::new(
                problem::KeyRunning,
                "A request with this Idempotency-Key is still running; send it again in a moment.",
            )
            .header(header::RETRY_AFTER, HeaderValue::from_static("1")));
        }
        Claim::Other => {
            return Err(Problem::new(
                problem::KeyReused,
                "This Idempotency-Key was used for another request; use a new one for a new request.",
            ));
        }
        Claim::Begin => None,
        Claim::Resume(resource) => Some(resource),
    };
    // In a task of its own, so that the key is given back even if the work panics.
    let outcome = match tokio::spawn(carried(work(key.clone(), resumed))).await {
        Ok(outcome) => finish(&machine, &key, outcome).await,
        Err(error) => Err(Problem::internal(&error)),
    };
    // The gateway or the partner failed: nothing is decided, so the key is given back.
    if outcome.is_err() {
        machine.store.release_key(&key, &machine.run).await?;
    }
    outcome.map(|answer| respond(answer, false))
}

async fn claim(machine: &Machine, key: &Key) -> Result<Claim, sqlx::Error> {
    let work = async {
        let pass = || ready(Ok(()));
        let claims = |(), all: Vec<Arc<Key>>| async move {
            let keys: Vec<_> = all.iter().map(Arc::as_ref).collect();
            machine
                .store
                .claim_new_keys(&keys, machine.claimant())
                .await
        };
        let claim = match machine.keys.join(key.clone(), pass, claims).await? {
            true => Claim::Begin,
            false => machine.store.claim_key(key, machine.claimant()).await?,
        };
        let outcome = match &claim {
            Claim::Answered(_) => "answered",
            Claim::Running => "running",
            Claim::Other => "other",
            Claim::Begin => "begin",
            Claim::Resume(_) => "resume",
        };
        note("mileverse.outcome", outcome);
        Ok(claim)
    };
    span(|| Spec::inside("idempotency.claim"), work).await
}

/// Stores the answer to a request that was decided; an error means that it was not.
async fn finish(
    machine: &Machine,
    key: &Key,
    outcome: Result<Done, Problem>,
) -> Result<Stored, Problem> {
    let answer = match outcome {
        Ok(Done::Recorded(answer)) => return Ok(answer),
        Ok(Done::New(answer)) => answer,
        Err(problem) if problem.kind.status().is_server_error() => return Err(problem),
        Err(problem) => stored(problem.kind.status(), &problem.body())?,
    };
    let mut transaction = machine.store.write().await?;
    let answer = idempotency::answer_once(&mut transaction, key, &answer).await?;
    transaction.commit().await?;
    Ok(answer)
}

/// An answer as it travels, the first time and every time.
fn respond(answer: Stored, replayed: bool) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let media_type = if status.is_success() {
        "application/json"
    } else {
        problem::MEDIA_TYPE
    };
    let location = status
        .is_success()
        .then(|| location(&answer.body))
        .flatten();
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(location) = location {
        headers.insert(header::LOCATION, location);
    }
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Where a conversion or a withdrawal can be looked up.
fn location(body: &[u8]) -> Option<HeaderValue> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let id = body.get("id")?.as_str()?;
    let list = match id.split_once('_')?.0 {
        "conv" => "conversions",
        "wdr" => "withdrawals",
        _ => return None,
    };
    HeaderValue::from_str(&format!("/v1/{list}/{id}")).ok()
}
