//! `/v1/signing-keys`, `/v1/signature-rule`, and the reading of signed requests.
//!
//! A key that requires signatures can change this only by signed requests, so whoever finds the API
//! key alone can neither use it nor let it be used.

use super::input::{Body, PathOf};
use super::{App, MAX_BODY_BYTES, Shared};
use crate::clock::{now_ms, rfc3339};
use crate::config::plain_name;
use crate::keys::{Caller, Credentials, Scope};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::signing::{MOST, Registered, SigningKey as Row};
use axum::Json;
use axum::body::{self, Body as Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mileverse_gateway_api::signature::{Presented, SignatureError};
use mileverse_gateway_api::signing::{
    SignatureRule, SigningKey, SigningKeyList, SigningKeyRequest,
};

fn view(row: &Row) -> SigningKey {
    SigningKey {
        name: row.name.clone(),
        public_key: STANDARD.encode(row.public_key),
        created_at: rfc3339(row.created_at),
    }
}

/// Reads what a signed request presents, while its body is at hand. Who may sign is found out when
/// the key is known.
pub async fn read(request: Request, next: Next) -> Response {
    let signed = ["signature", "signature-input"]
        .iter()
        .any(|name| request.headers().contains_key(*name));
    if !signed {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(body) = body::to_bytes(body, MAX_BODY_BYTES).await else {
        return Problem::new(
            problem::TooLarge,
            format!("A signed request has a body of at most {MAX_BODY_BYTES} bytes."),
        )
        .into_response();
    };
    match Presented::of(&parts, &body, now_ms()) {
        Ok(Some(presented)) => {
            parts.extensions.insert(presented);
        }
        Ok(None) => {}
        Err(error) => return refused(&error).into_response(),
    }
    next.run(Request::from_parts(parts, Bytes::from(body)))
        .await
}

/// How a signature that is not accepted reads to a caller.
pub fn refused(error: &SignatureError) -> Problem {
    let text = error.to_string();
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    let sentence: String = first.into_iter().chain(chars).collect();
    Problem::new(problem::SignatureInvalid, format!("{sentence}."))
}

/// The id of the key that calls. A configured key has none, and no signing keys.
fn key_of(caller: &Caller) -> Result<&str, Problem> {
    caller.key_id.as_deref().ok_or_else(|| {
        Problem::new(
            problem::Forbidden,
            "A key of the configuration file has no signing keys; make one with 'mileverse gateway keys create'.",
        )
    })
}

/// Register a signing key
///
/// Under a name of your choice. Registering the same key again changes nothing.
#[utoipa::path(
    put,
    path = "/v1/signing-keys/{name}",
    tag = "keys",
    security(("api_key" = ["keys:write"])),
    params(("name" = String, Path, description = "1 to 64 letters, digits, `-` or `_`: the `keyid` of its signatures")),
    request_body = SigningKeyRequest,
    responses(
        (status = 200, description = "It was registered before", body = SigningKey),
        (status = 201, description = "Registered", body = SigningKey),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key, or no valid signature", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing, or a key of the configuration file", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Another key has this name, or there are too many", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not a name or not a public key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn register(
    State(app): Shared,
    credentials: Credentials,
    PathOf(name): PathOf<String>,
    Body(request): Body<SigningKeyRequest>,
) -> Result<(StatusCode, Json<SigningKey>), Problem> {
    let caller = app.authorize(&credentials, Scope::KeysWrite).await?;
    let key_id = key_of(&caller)?;
    if !plain_name(&name) {
        return Err(Problem::new(
            problem::Invalid,
            "The name of a signing key is 1 to 64 letters, digits, '-' or '_'.",
        ));
    }
    let public_key = STANDARD.decode(&request.public_key).ok();
    let public_key = public_key.and_then(|key| key.try_into().ok());
    let row = Row {
        name,
        public_key: public_key.ok_or_else(|| {
            Problem::new(
                problem::Invalid,
                "public_key must be the 32 bytes of an Ed25519 public key in base64.",
            )
        })?,
        created_at: now_ms(),
    };
    let registered = app.machine.store.register_signing_key(key_id, &row).await?;
    let status = match registered {
        Registered::New => StatusCode::CREATED,
        Registered::Same => StatusCode::OK,
        Registered::Other => {
            return Err(Problem::new(
                problem::SigningKeyTaken,
                "Another public key has this name; register this one under another name, then delete the other.",
            ));
        }
        Registered::TooMany => {
            return Err(Problem::new(
                problem::SigningKeyTaken,
                format!("You have {MOST} signing keys; delete one first."),
            ));
        }
    };
    Ok((status, Json(view(&row))))
}

/// List signing keys
#[utoipa::path(
    get,
    path = "/v1/signing-keys",
    tag = "keys",
    security(("api_key" = ["keys:write"])),
    responses(
        (status = 200, description = "The signing keys of this API key", body = SigningKeyList),
        (status = 401, description = "No valid API key, or no valid signature", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing, or a key of the configuration file", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    State(app): Shared,
    credentials: Credentials,
) -> Result<Json<SigningKeyList>, Problem> {
    let caller = app.authorize(&credentials, Scope::KeysWrite).await?;
    let rows = app.machine.store.signing_keys(key_of(&caller)?).await?;
    Ok(Json(SigningKeyList {
        required: caller.signed_only,
        items: rows.iter().map(view).collect(),
    }))
}

/// Delete a signing key
///
/// Requests that it signed are refused from then on, within a second.
#[utoipa::path(
    delete,
    path = "/v1/signing-keys/{name}",
    tag = "keys",
    security(("api_key" = ["keys:write"])),
    params(("name" = String, Path, description = "Your name of it")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "No valid API key, or no valid signature", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing, or a key of the configuration file", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such signing key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "It is the last one, and signatures are required", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn delete(
    State(app): Shared,
    credentials: Credentials,
    PathOf(name): PathOf<String>,
) -> Result<StatusCode, Problem> {
    let caller = app.authorize(&credentials, Scope::KeysWrite).await?;
    let store = &app.machine.store;
    match store.remove_signing_key(key_of(&caller)?, &name).await? {
        Some(true) => Ok(StatusCode::NO_CONTENT),
        Some(false) => Err(Problem::new(
            problem::SigningKeyTaken,
            "It is the last signing key, and every request must be signed; register another first.",
        )),
        None => Err(Problem::new(
            problem::NotFound,
            "There is no signing key of this name.",
        )),
    }
}

/// Say whether requests must be signed
///
/// The request that says so must itself be signed: that shows that it can be done.
#[utoipa::path(
    put,
    path = "/v1/signature-rule",
    tag = "keys",
    security(("api_key" = ["keys:write"])),
    request_body = SignatureRule,
    responses(
        (status = 200, description = "In force within a second", body = SignatureRule),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key, or no valid signature", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing, or a key of the configuration file", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not a rule", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn rule(
    State(app): Shared,
    credentials: Credentials,
    Body(rule): Body<SignatureRule>,
) -> Result<Json<SignatureRule>, Problem> {
    let caller = app.authorize(&credentials, Scope::KeysWrite).await?;
    let key_id = key_of(&caller)?;
    if credentials.signature.is_none() {
        return Err(unsigned());
    }
    let store = &app.machine.store;
    store.require_signatures(key_id, rule.required).await?;
    Ok(Json(rule))
}

/// A request that must be signed is not.
pub fn unsigned() -> Problem {
    Problem::new(
        problem::SignatureRequired,
        "This request must be signed (RFC 9421): send Signature-Input and Signature, made with one of the key's signing keys.",
    )
}

impl App {
    /// Checks the signature of a request with this key, if there is one or must be one.
    pub(super) async fn check_signature(
        &self,
        credentials: &Credentials,
        caller: &Caller,
    ) -> Result<(), Problem> {
        let Some(presented) = &credentials.signature else {
            return match caller.signed_only {
                true => Err(unsigned()),
                false => Ok(()),
            };
        };
        let key_id = key_of(caller)?;
        let (store, name) = (&self.machine.store, &presented.key_id);
        let key = store.signing_key(key_id, name).await?;
        let public_key = key
            .ok_or(SignatureError::Wrong)
            .and_then(|key| presented.verify(&key.public_key).map(|()| key.public_key))
            .map_err(|error| refused(&error))?;
        let now = now_ms();
        let nonce = &presented.nonce;
        if !store
            .use_nonce(&public_key, nonce, presented.ends(), now)
            .await?
        {
            return Err(Problem::new(
                problem::SignatureReplayed,
                "This nonce was used before; sign each request, also one that is sent again, with a nonce of its own.",
            ));
        }
        Ok(())
    }
}
