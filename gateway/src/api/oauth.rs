//! `POST /v1/oauth/token`: OAuth 2.0 client credentials (RFC 6749, section 4.4).
//!
//! The client id is a key's id and the client secret is the key. The token stands for the key for
//! an hour, with all its scopes or fewer, and ends when the key ends.

use super::Shared;
use crate::clock::now_ms;
use crate::ids;
use crate::keys::{self, parse_scopes};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::RngCore;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long a token stands for its key.
const LIFETIME_SECONDS: i64 = 3600;
const MAX_PARAMETER_BYTES: usize = 256;

/// What a client sends, as a form. The client may also authenticate with HTTP Basic.
#[derive(Deserialize, ToSchema)]
pub struct TokenRequest {
    /// `client_credentials`
    grant_type: String,
    /// The key's id.
    client_id: Option<String>,
    /// The key.
    #[schema(value_type = Option<String>, format = Password)]
    client_secret: Option<SecretString>,
    /// Scopes separated by spaces; all of the key's if not given.
    scope: Option<String>,
}

/// A token.
#[derive(Serialize, ToSchema)]
pub struct Token {
    /// Send it as `Authorization: Bearer …`.
    access_token: String,
    /// `Bearer`
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    /// What it allows.
    scope: String,
}

/// Why there is no token (RFC 6749, section 5.2).
#[derive(Serialize, ToSchema)]
pub struct TokenRefusal {
    /// `invalid_request`, `invalid_client`, `unsupported_grant_type`, `invalid_scope` or
    /// `server_error`.
    error: &'static str,
    /// What to do.
    error_description: &'static str,
}

fn refuse(status: StatusCode, error: &'static str, error_description: &'static str) -> Response {
    let body = TokenRefusal {
        error,
        error_description,
    };
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let basic = HeaderValue::from_static("Basic realm=\"mileverse\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, basic);
    }
    response
}

fn invalid_client() -> Response {
    refuse(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "send the id of a key as client_id and the key itself as client_secret",
    )
}

/// Client id and secret from HTTP Basic.
fn basic(headers: &HeaderMap) -> Option<(String, SecretString)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), SecretString::from(secret.to_owned())))
}

/// Get an access token
#[utoipa::path(
    post,
    path = "/v1/oauth/token",
    tag = "keys",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "A token for an hour", body = Token),
        (status = 400, description = "Not a request for client credentials, or a scope that the key lacks", body = TokenRefusal),
        (status = 401, description = "No such key", body = TokenRefusal),
        (status = 500, description = "The gateway failed; ask again", body = TokenRefusal),
    )
)]
pub async fn token(
    State(app): Shared,
    headers: HeaderMap,
    form: Result<axum::Form<TokenRequest>, axum::extract::rejection::FormRejection>,
) -> Response {
    let Ok(axum::Form(request)) = form else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "send grant_type, client_id and client_secret as a form",
        );
    };
    if request.grant_type != "client_credentials" {
        return refuse(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "use grant_type=client_credentials",
        );
    }
    let named = basic(&headers).or(request.client_id.zip(request.client_secret));
    let Some((id, secret)) = named.filter(|(id, secret)| {
        id.len() <= MAX_PARAMETER_BYTES && secret.expose_secret().len() <= MAX_PARAMETER_BYTES
    }) else {
        return invalid_client();
    };
    let failed = |error: sqlx::Error| {
        tracing::error!(%error, "a token cannot be made");
        refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "the gateway failed; ask again",
        )
    };
    let store = &app.machine.store;
    let now = now_ms();
    let digest = keys::hex(&keys::digest(secret.expose_secret()));
    let key = match store.key_by_digest(&digest, now).await {
        // A token stands for its key's id too, and must not beget tokens.
        Ok(Some(key)) if key.id == id && secret.expose_secret().starts_with(ids::KEY_PREFIX) => key,
        Ok(_) => return invalid_client(),
        Err(error) => return failed(error),
    };
    let held = parse_scopes(&key.scopes).unwrap_or_default();
    let asked = request.scope.unwrap_or_else(|| key.scopes.clone());
    let Some(asked) = parse_scopes(&asked)
        .filter(|asked| !asked.is_empty() && asked.iter().all(|scope| held.contains(scope)))
    else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            "ask only for scopes that the key has",
        );
    };
    let scope: Vec<_> = asked.iter().map(|scope| scope.name()).collect();
    let scope = scope.join(" ");
    let mut random = [0u8; 32];
    rand::rng().fill_bytes(&mut random);
    let access_token = format!("{}{}", ids::TOKEN_PREFIX, URL_SAFE_NO_PAD.encode(random));
    let digest = keys::hex(&keys::digest(&access_token));
    let ends = now.saturating_add(LIFETIME_SECONDS.saturating_mul(1000));
    if let Err(error) = store
        .insert_token(&digest, &key.id, &scope, ends, now)
        .await
    {
        return failed(error);
    }
    let body = Token {
        access_token,
        token_type: "Bearer",
        expires_in: LIFETIME_SECONDS,
        scope,
    };
    let mut response = Json(body).into_response();
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}
