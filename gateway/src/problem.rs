//! Every error the API gives: RFC 9457 problem details, as the gateway makes them. The kinds are in
//! [`mileverse_gateway_api::problem`].

use axum::Json;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
pub use mileverse_gateway_api::problem::Kind::*;
pub use mileverse_gateway_api::problem::{Kind, MEDIA_TYPE, ProblemBody};
use serde_json::{Map, Value};

/// One problem.
#[derive(Debug)]
pub struct Problem {
    /// What kind.
    pub kind: Kind,
    detail: String,
    /// Boxed: how large a map is depends on what else the build turns on in serde_json.
    more: Box<Map<String, Value>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with a sentence that says what to do.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            more: Box::default(),
            headers: Vec::new(),
        }
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Something of ours broke. What exactly goes to the log, not to the caller.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(%error, "a request failed inside the gateway");
        Self::new(
            Internal,
            "The gateway failed; send the same request with the same Idempotency-Key again.",
        )
    }

    /// The body as it travels.
    pub fn body(&self) -> ProblemBody {
        ProblemBody {
            kind: self.kind.urn(),
            title: self.kind.title().to_owned(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
            more: *self.more.clone(),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.kind.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.extend(self.headers);
        response
    }
}
