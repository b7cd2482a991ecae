//! Reading requests strictly, and saying what is wrong with them.

use super::MAX_BODY_BYTES;
use crate::conversion::ask::Member;
use crate::problem::{self, Problem};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use mileverse_gateway_api::members::MemberInput;
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

const NUL: &str = "A text has the character NUL (U+0000) in it; send it without.";
const ENCODED_NUL: &str = "%00";
const MAX_KEY_BYTES: usize = 255;
const MAX_LOGIN_BYTES: usize = 254;
const MAX_PASSWORD_BYTES: usize = 256;

/// A JSON body of a known shape.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
        if !json {
            return Err(Problem::new(
                problem::MediaTypeUnsupported,
                "Send the body as JSON with \"Content-Type: application/json\".",
            ));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        if has_nul(&bytes) {
            return Err(Problem::new(problem::Invalid, NUL));
        }
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| match error.classify() {
                Category::Data => Problem::new(
                    problem::Invalid,
                    format!("The body does not have the expected form: {error}; see /docs."),
                ),
                Category::Io | Category::Syntax | Category::Eof => Problem::new(
                    problem::Malformed,
                    format!("The body is not valid JSON: {error}."),
                ),
            })
    }
}

/// Whether a text of the body has the character NUL, which not every database can hold.
fn has_nul(body: &[u8]) -> bool {
    fn inside(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(inside),
            Value::Object(members) => members
                .iter()
                .any(|(name, member)| name.contains('\0') || inside(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    // Raw it is no JSON; escaped it looks so, as other texts may.
    let escaped = br"\u0000";
    let looks = body.windows(escaped.len()).any(|part| part == escaped);
    looks && serde_json::from_slice(body).is_ok_and(|body: Value| inside(&body))
}

pub(super) fn unread(rejection: BytesRejection) -> Problem {
    if rejection.status() == problem::TooLarge.status() {
        Problem::new(
            problem::TooLarge,
            format!("The body is larger than {MAX_BODY_BYTES} bytes; send a smaller one."),
        )
    } else {
        Problem::new(
            problem::Malformed,
            "The body could not be read; send it again.",
        )
    }
}

/// Path parameters.
pub struct PathOf<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.path().contains(ENCODED_NUL) {
            return Err(Problem::new(problem::Malformed, NUL));
        }
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value))
            .map_err(|_| Problem::new(problem::Malformed, "The path is not well formed."))
    }
}

/// Query parameters.
pub struct QueryOf<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let nul = |query: &str| query.contains(ENCODED_NUL);
        if parts.uri.query().is_some_and(nul) {
            return Err(Problem::new(problem::Malformed, NUL));
        }
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|error| {
            let detail = format!(
                "The query does not have the expected form: {}; see /docs.",
                error.body_text()
            );
            Problem::new(problem::Malformed, detail)
        })
    }
}

/// The caller's key for this effect.
pub fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let value = values.next().ok_or_else(|| {
        Problem::new(
            problem::KeyMissing,
            "Send an Idempotency-Key header: a new random value for each effect, the same value when repeating a request.",
        )
    })?;
    let usable = value
        .to_str()
        .ok()
        .filter(|_| values.next().is_none())
        .filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()))
        .filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()));
    usable.map(ToOwned::to_owned).ok_or_else(|| {
        Problem::new(
            problem::KeyInvalid,
            format!("Send one Idempotency-Key of 1 to {MAX_KEY_BYTES} printable ASCII characters without spaces."),
        )
    })
}

/// A member by login and password, or linked before.
pub fn check_member(member: MemberInput) -> Result<Member, Problem> {
    match member {
        MemberInput {
            login: None,
            password: None,
            id: Some(id),
        } => Ok(Member::Linked { id }),
        other => check_login(other),
    }
}

/// A member by login and password.
pub fn check_login(member: MemberInput) -> Result<Member, Problem> {
    let (Some(login), Some(password), None) = (member.login, member.password, member.id) else {
        return Err(Problem::new(
            problem::Invalid,
            "Name the member by login and password, or, once linked, by id.",
        ));
    };
    let fits = |length: usize, most: usize| (1..=most).contains(&length);
    if !fits(login.len(), MAX_LOGIN_BYTES)
        || !fits(password.expose_secret().len(), MAX_PASSWORD_BYTES)
    {
        return Err(Problem::new(
            problem::Invalid,
            format!(
                "A member's login has 1 to {MAX_LOGIN_BYTES} bytes and a password 1 to {MAX_PASSWORD_BYTES}."
            ),
        ));
    }
    Ok(Member::Login { login, password })
}
