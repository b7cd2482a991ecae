//! `/v1/operator/operators`, `/v1/operator/audit`

use super::{May, Shared, limit, nothing, who};
use crate::api::input::{Body, PathOf, QueryOf};
use crate::clock::rfc3339;
use crate::config::plain_name;
use crate::keys::{Credentials, digest, hex, random_key};
use crate::operator::{KEY_PREFIX, Role};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::audit::Entry;
use crate::store::operators::Operator as Row;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A person who runs the gateway.
#[derive(Serialize, ToSchema)]
pub struct Operator {
    #[schema(examples("alice"))]
    name: String,
    /// `viewer`, `operator`, `approver` or `admin`
    role: &'static str,
    /// Whether they may do anything now.
    active: bool,
    /// RFC 3339
    created_at: String,
    /// RFC 3339, to the minute.
    #[schema(required)]
    last_used_at: Option<String>,
    /// Their new key: shown once, kept nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// A new operator.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorRequest {
    /// 1 to 64 letters, digits, `-` or `_`
    #[schema(examples("alice"))]
    name: String,
    /// `viewer`, `operator`, `approver` or `admin`; it never changes.
    #[schema(examples("operator"))]
    role: String,
}

/// What changes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorChange {
    /// False: suspended at once.
    active: bool,
}

/// One row of the audit log.
#[derive(Serialize, ToSchema)]
pub struct AuditEntry {
    seq: i64,
    /// RFC 3339
    at: String,
    /// An operator, `gateway` or `command line`.
    actor: String,
    verb: String,
    subject: String,
    detail: String,
    /// SHA-256, covers the row before; see the documentation.
    hash: String,
}

/// The log, newest first.
#[derive(Serialize, ToSchema)]
pub struct AuditPage {
    items: Vec<AuditEntry>,
    /// Send it as `before` for the next page; null on the last.
    #[schema(required)]
    next_before: Option<i64>,
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Rows before this number.
    before: Option<i64>,
    /// 1 to 100; 20 if not given.
    limit: Option<u32>,
}

/// Whether the log is whole.
#[derive(Serialize, ToSchema)]
pub struct AuditProof {
    /// Rows that hold, from the first.
    rows: i64,
    /// The hash of the last of them. Write it down elsewhere: it vouches for all before.
    hash: String,
    /// The first row that does not hold; null if all do.
    #[schema(required)]
    broken_at: Option<i64>,
}

fn view(row: Row, key: Option<String>) -> Operator {
    Operator {
        name: row.name,
        role: row.role.name(),
        active: row.active,
        created_at: rfc3339(row.created_at),
        last_used_at: row.last_used_at.map(rfc3339),
        key,
    }
}

fn entry(row: Entry) -> AuditEntry {
    AuditEntry {
        seq: row.seq,
        at: rfc3339(row.at),
        actor: row.actor,
        verb: row.verb,
        subject: row.subject,
        detail: row.detail,
        hash: row.hash,
    }
}

/// List operators
#[utoipa::path(
    get,
    path = "/v1/operator/operators",
    tag = "operator",
    security(("operator_key" = [])),
    responses(
        (status = 200, description = "All operators, by name", body = Vec<Operator>),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    State(app): Shared,
    credentials: Credentials,
) -> Result<Json<Vec<Operator>>, Problem> {
    who(&app, &credentials, May::Read).await?;
    let rows = app.machine.store.operators().await?;
    Ok(Json(rows.into_iter().map(|row| view(row, None)).collect()))
}

/// Add an operator
///
/// The first admin is made on the command line: `mileverse gateway operators add`.
#[utoipa::path(
    post,
    path = "/v1/operator/operators",
    tag = "operator",
    security(("operator_key" = [])),
    request_body = OperatorRequest,
    responses(
        (status = 201, description = "Added, with the key", body = Operator),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "There is one of this name", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not a name, or not a role", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn add(
    State(app): Shared,
    credentials: Credentials,
    Body(request): Body<OperatorRequest>,
) -> Result<(StatusCode, Json<Operator>), Problem> {
    let admin = who(&app, &credentials, May::Manage).await?;
    let role = Role::parse(&request.role)
        .filter(|_| plain_name(&request.name))
        .ok_or_else(|| {
            Problem::new(
                problem::Invalid,
                "A name has 1 to 64 letters, digits, '-' or '_', a role is viewer, operator, approver or admin.",
            )
        })?;
    let (key, now) = (random_key(KEY_PREFIX), app.machine.store.now());
    let store = &app.machine.store;
    let digest = hex(&digest(&key));
    if !store
        .add_operator(&request.name, role, &digest, &admin.name, now)
        .await?
    {
        return Err(Problem::new(
            problem::OperatorExists,
            "There is an operator of this name; names are not used again.",
        ));
    }
    let made = store.operator(&request.name).await?;
    let made = made.ok_or_else(|| nothing("operator"))?;
    Ok((StatusCode::CREATED, Json(view(made, Some(key)))))
}

/// Suspend an operator, or let them work again
#[utoipa::path(
    patch,
    path = "/v1/operator/operators/{name}",
    tag = "operator",
    security(("operator_key" = [])),
    params(("name" = String, Path, description = "Who")),
    request_body = OperatorChange,
    responses(
        (status = 200, description = "Changed, in force at once", body = Operator),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such operator", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn change(
    State(app): Shared,
    credentials: Credentials,
    PathOf(name): PathOf<String>,
    Body(request): Body<OperatorChange>,
) -> Result<Json<Operator>, Problem> {
    let admin = who(&app, &credentials, May::Manage).await?;
    let store = &app.machine.store;
    store
        .set_operator_active(&name, request.active, &admin.name, app.machine.store.now())
        .await?;
    let changed = store.operator(&name).await?;
    let changed = changed.ok_or_else(|| nothing("operator"))?;
    Ok(Json(view(changed, None)))
}

/// Give an operator another key
///
/// The one before ends at once.
#[utoipa::path(
    post,
    path = "/v1/operator/operators/{name}/key",
    tag = "operator",
    security(("operator_key" = [])),
    params(("name" = String, Path, description = "Who")),
    responses(
        (status = 200, description = "The new key", body = Operator),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such operator", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn replace_key(
    State(app): Shared,
    credentials: Credentials,
    PathOf(name): PathOf<String>,
) -> Result<Json<Operator>, Problem> {
    let admin = who(&app, &credentials, May::Manage).await?;
    let key = random_key(KEY_PREFIX);
    let digest = hex(&digest(&key));
    let store = &app.machine.store;
    let replaced = store
        .replace_operator_key(&name, &digest, &admin.name, app.machine.store.now())
        .await?;
    let changed = store.operator(&name).await?.filter(|_| replaced);
    let changed = changed.ok_or_else(|| nothing("operator"))?;
    Ok(Json(view(changed, Some(key))))
}

/// Read the audit log
#[utoipa::path(
    get,
    path = "/v1/operator/audit",
    tag = "operator",
    security(("operator_key" = [])),
    params(AuditQuery),
    responses(
        (status = 200, description = "What was done, newest first", body = AuditPage),
        (status = 400, description = "Malformed query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn audit(
    State(app): Shared,
    credentials: Credentials,
    QueryOf(query): QueryOf<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    who(&app, &credentials, May::Read).await?;
    let limit = limit(query.limit)?;
    let rows = app.machine.store.audit_log(query.before, limit).await?;
    let next_before = rows.last().map(|row| row.seq).filter(|seq| *seq > 1);
    Ok(Json(AuditPage {
        items: rows.into_iter().map(entry).collect(),
        next_before,
    }))
}

/// Verify the audit log
///
/// Computes every hash anew.
#[utoipa::path(
    get,
    path = "/v1/operator/audit/proof",
    tag = "operator",
    security(("operator_key" = [])),
    responses(
        (status = 200, description = "Whether it is whole", body = AuditProof),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn verify(
    State(app): Shared,
    credentials: Credentials,
) -> Result<Json<AuditProof>, Problem> {
    who(&app, &credentials, May::Read).await?;
    let found = app.machine.store.verify_audit_log().await?;
    Ok(Json(AuditProof {
        rows: found.rows,
        hash: found.hash,
        broken_at: found.broken_at,
    }))
}
