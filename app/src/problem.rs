//! Every error of the API: RFC 9457 problem details with a sentence that says what to do.
//!
//! | type `urn:mileverse:problem:…` | status | |
//! |---|---|---|
//! | `invalid-request` | 422 | cannot be meant |
//! | `permit-refused` | 422 | a permit that is late, or not signed by the account: go on without one |
//! | `balance-too-low`, `gas-too-low` | 409 | the account has less than is needed |
//! | `sponsor-limit` | 409 | the operator pays for such calls, and not for this one now |
//! | `refused-by-the-chain` | 409 | tried, and refused |
//! | `not-offered` | 409 | a route that there is not |
//! | `no-ethereum` | 409 | this server was given no Ethereum |
//! | `not-proven-yet` | 409 | the other chain cannot check it yet |
//! | `settled` | 409 | a packet that has come to its end |
//! | `not-found` | 404 | no such packet, no such path |
//! | `wrong-method` | 405 | |
//! | `busy` | 429 | |
//! | `chain-away` | 503 | |
//! | `request-timeout` | 504 | |

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use mileverse_wallet::{client::ClientError, rpc::RpcError, units::AmountError};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, response},
};

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

/// Every refusal that a path may answer, as the document has them.
pub(crate) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<response::Response>> {
        let all = [
            ("404", "There is no such thing"),
            ("405", "Another method"),
            ("409", "The chain would refuse this, or it is not offered"),
            ("422", "The request cannot be meant"),
            ("429", "Too much at once"),
            ("503", "A chain is away"),
            ("504", "It took too long"),
        ];
        all.into_iter()
            .map(|(status, what)| {
                let schema = Ref::from_schema_name(Problem::name());
                let content = ContentBuilder::new().schema(Some(schema)).build();
                let response = ResponseBuilder::new()
                    .description(what)
                    .content(MEDIA_TYPE, content)
                    .build();
                (status.to_owned(), RefOr::T(response))
            })
            .collect()
    }
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

    /// What it says.
    pub(crate) fn sentence(&self) -> &str {
        &self.detail
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

    /// A permit that cannot be used.
    pub(crate) fn permit(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "permit-refused",
            "The permit cannot be used",
            detail,
        )
    }

    /// A route that there is not.
    pub(crate) fn not_offered(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "not-offered",
            "This route is not offered",
            detail,
        )
    }

    /// This server was given no Ethereum.
    pub(crate) fn no_ethereum() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "no-ethereum",
            "The bridge is not offered here",
            "This server was given no Ethereum node, so nothing can cross here; use another one, or the wallet on the command line.",
        )
    }

    fn conflict(name: &str, title: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, name, title, detail)
    }

    pub(crate) fn away(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "chain-away",
            "The chain does not answer",
            detail,
        )
    }

    fn missing(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "There is nothing here",
            detail,
        )
    }

    pub(crate) fn not_found() -> Self {
        Self::missing("There is nothing at this path; see openapi.json.")
    }

    pub(crate) fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "wrong-method",
            "Another method",
            "This path is asked in another way; see openapi.json.",
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
        let text = sentence(&error);
        match &error {
            ClientError::Rpc(RpcError::Refused { message, .. })
                if message.contains("insufficient funds") =>
            {
                Self::conflict("gas-too-low", "The account has too little for gas", text)
            }
            ClientError::Rpc(RpcError::Reverted { .. } | RpcError::Refused { .. }) => {
                Self::conflict("refused-by-the-chain", "The chain would refuse this", text)
            }
            ClientError::Balance { .. } => {
                Self::conflict("balance-too-low", "The account has too little", text)
            }
            ClientError::Gas { .. } => {
                Self::conflict("gas-too-low", "The account has too little for gas", text)
            }
            ClientError::Sponsor { .. } => {
                Self::conflict("sponsor-limit", "What is paid for others is used up", text)
            }
            ClientError::NotProven { .. } => Self::conflict(
                "not-proven-yet",
                "The other chain does not know it yet",
                text,
            ),
            ClientError::Settled(..) => {
                Self::conflict("settled", "The packet has come to its end", text)
            }
            ClientError::PacketUnknown { .. }
            | ClientError::TransactionUnknown(_)
            | ClientError::NoPacket { .. } => Self::missing(text),
            ClientError::Permit => Self::permit(text),
            ClientError::Slippage(_)
            | ClientError::ZeroAmount
            | ClientError::ZeroReceiver
            | ClientError::CoinMemo
            | ClientError::Deadline(_)
            | ClientError::NoPool
            | ClientError::NoSuchToken { .. } => Self::invalid(text),
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
