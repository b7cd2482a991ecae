//! The API's table of contents, and what its parts have in common.

use crate::{accounts, chains, packets, pay, problem::Problem, state::App, stream, trade};
use axum::{
    extract::{FromRequest, FromRequestParts, rejection::JsonRejection},
    http::request::Parts,
};
use mileverse_primitives::Address;
use mileverse_wallet::units::{Amount, Token};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::Arc;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) type Shared = axum::extract::State<Arc<App>>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "MileVerse app",
        description = "Quote and prepare swaps of points (MVP) and coin (MVC) on the native chain and transfers between it and Ethereum, and follow them. Nothing here holds a key: prepared transactions are signed by the person's own wallet. Amounts are decimal text, with whole numbers of the smallest unit beside it. Every error is problem+json (RFC 9457).",
    ),
    components(schemas(Problem)),
    servers((url = "/app/api/v1")),
    tags(
        (name = "swap", description = "Quote, prepare, look up"),
        (name = "packets", description = "Transfers between the chains: look up, deliver by hand"),
        (name = "accounts", description = "What is at an address, balances, history, transfers, events"),
    )
)]
struct Document;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(chains::chain))
        .routes(routes!(trade::quote))
        .routes(routes!(trade::prepare))
        .routes(routes!(pay::prepare))
        .routes(routes!(trade::look_up))
        .routes(routes!(packets::look_up))
        .routes(routes!(packets::deliver))
        .routes(routes!(accounts::facts))
        .routes(routes!(accounts::balances))
        .routes(routes!(accounts::history))
        .routes(routes!(accounts::packets))
        .routes(routes!(stream::events))
}

/// What can be moved.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// Points.
    Mvp,
    /// The coin.
    Mvc,
}

impl Side {
    /// The other one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Mvp => Self::Mvc,
            Self::Mvc => Self::Mvp,
        }
    }
}

impl From<Side> for Token {
    fn from(side: Side) -> Self {
        match side {
            Side::Mvp => Self::Mvp,
            Side::Mvc => Self::Mvc,
        }
    }
}

/// So much of a token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Money {
    /// Its symbol.
    #[schema(example = "MVP")]
    token: String,
    /// As people write it.
    #[schema(example = "12.5")]
    amount: String,
    /// In its smallest unit.
    #[schema(example = "12500000")]
    units: String,
}

impl From<Amount> for Money {
    fn from(amount: Amount) -> Self {
        Self {
            token: amount.token().to_string(),
            amount: amount.decimal(),
            units: amount.units().to_string(),
        }
    }
}

/// A JSON body; what is wrong with it is a problem.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Problem> {
        axum::Json::<T>::from_request(request, state)
            .await
            .map(|axum::Json(body)| Self(body))
            .map_err(|error: JsonRejection| Problem::invalid(format!("{}.", error.body_text())))
    }
}

/// A query string; the same.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| Problem::invalid(format!("{}.", error.body_text())))
    }
}

/// A part of the path; the same.
pub(crate) struct Part(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Part {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(part)| Self(part))
            .map_err(|error| Problem::invalid(format!("{}.", error.body_text())))
    }
}

/// An account out of a path or a body.
pub(crate) fn account(text: &str) -> Result<Address, Problem> {
    mileverse_wallet::parse_address(text).map_err(|advice| Problem::invalid(format!("{advice}.")))
}
