//! `/health`: the process answers. `/ready`: so does everything it needs.

use super::Shared;
use crate::problem::{self, Problem, ProblemBody};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The process answers.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// What the gateway needs, and whether it answers.
#[derive(Serialize, ToSchema)]
pub struct Ready {
    ready: bool,
    /// `database`, `chain`, and each programme's partner.
    checks: BTreeMap<String, bool>,
}

/// Whether the process answers
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = Health)))]
pub async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether everything needed answers
#[utoipa::path(
    get,
    path = "/ready",
    tag = "health",
    responses(
        (status = 200, description = "Ready", body = Ready),
        (status = 503, description = "Something does not answer; `checks` says what", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn ready(State(app): Shared) -> Result<Json<Ready>, Problem> {
    let machine = &app.machine;
    let mut checks = BTreeMap::new();
    checks.insert(
        "database".to_owned(),
        machine.store.reachable().await.is_ok(),
    );
    let chain = machine.chain.identity().await;
    let same = chain.is_ok_and(|identity| identity.chain_id == machine.chain_id);
    checks.insert("chain".to_owned(), same);
    for (name, programme) in &machine.programmes {
        checks.insert(
            format!("partner:{name}"),
            programme.adapter.reachable().await.is_ok(),
        );
    }
    if checks.values().all(|ok| *ok) {
        return Ok(Json(Ready {
            ready: true,
            checks,
        }));
    }
    let failed: Vec<&str> = checks
        .iter()
        .filter(|(_, ok)| !**ok)
        .map(|(name, _)| name.as_str())
        .collect();
    let detail = format!(
        "Not answering: {}; check that it runs and can be reached.",
        failed.join(", ")
    );
    let checks: Map<String, Value> = checks
        .into_iter()
        .map(|(name, ok)| (name, Value::Bool(ok)))
        .collect();
    Err(Problem::new(problem::NotReady, detail).with("checks", checks))
}
