//! Every error of the API: RFC 9457 problem details with a sentence that says what to do.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use mileverse_wallet::{client::ClientError, rpc::RpcError, units::AmountError};
use serde::Serialize;
use utoipa::ToSchema;

const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A stable name of the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// What this kind is called.
    title: String,
    /// HTTP status.
    status: u16,
    /// What to do about this one.
    detail: String,
}

impl Problem {
    fn new(status: StatusCode, name: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:mileverse:problem:{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
        }
    }

    /// The request cannot be meant.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-request",
            "The request does not fit what is asked for",
            detail,
        )
    }

    /// The chain says no.
    pub(crate) fn refused(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "refused-by-the-chain",
            "The chain would refuse this",
            detail,
        )
    }

    fn away(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "chain-away",
            "The chain does not answer",
            detail,
        )
    }

    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "There is nothing here",
            "There is nothing at this path; see openapi.json.",
        )
    }

    pub(crate) fn busy() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "busy",
            "Too much at once",
            "Too many requests run at once; send this one again in a moment.",
        )
    }

    pub(crate) fn timeout() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "request-timeout",
            "The request took too long",
            "The chain took too long to answer; nothing was sent, ask again.",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(self)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static(MEDIA_TYPE),
        );
        response
    }
}

impl From<AmountError> for Problem {
    fn from(error: AmountError) -> Self {
        Self::invalid(sentence(&error))
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Rpc(RpcError::Reverted { .. } | RpcError::Refused { .. })
            | ClientError::Balance { .. } => Self::refused(sentence(&error)),
            ClientError::Slippage(_)
            | ClientError::ZeroAmount
            | ClientError::NoSuchToken { .. } => Self::invalid(sentence(&error)),
            // Nothing of the endpoint's own address is told to strangers.
            _ => Self::away("The chain does not answer as it should; try again in a moment."),
        }
    }
}

/// An error as a sentence.
fn sentence(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}
