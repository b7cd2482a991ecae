//! `/v1/float`, `/v1/price`, `/v1/top-ups`

use super::idempotent::{self, Done};
use super::input::{self, Body, PathOf, QueryOf};
use super::{App, Shared, page};
use crate::clock::rfc3339;
use crate::float::price::{Average, Basis, PriceError};
use crate::float::top_up::{Seller, TopUp as Row, TopUpError};
use crate::ids;
use crate::keys::{Credentials, Scope};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::idempotency::Key;
use crate::units::{MicroPoints, parse_points};
use alloy::primitives::B256;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use mileverse_gateway_api::float::{
    Float, PaymentRequest, PriceView, TopUp, TopUpPage, TopUpQuery, TopUpRequest,
};
use std::sync::Arc;

fn view(row: Row, now: i64) -> TopUp {
    let late = row.state == "awaiting_payment" && row.expires_at <= now;
    TopUp {
        state: if late {
            "expired".to_owned()
        } else {
            row.state
        },
        points: row.points,
        basis: row.basis.name().to_owned(),
        wei_per_point: row.wei_per_point.to_string(),
        wei: format!("{}000000000", row.gwei),
        pay_to: row.pay_to,
        automatic: row.automatic,
        transaction_hash: row.transaction_hash,
        expires_at: rfc3339(row.expires_at),
        created_at: rfc3339(row.created_at),
        id: row.id,
    }
}

impl From<TopUpError> for Problem {
    fn from(error: TopUpError) -> Self {
        let later =
            |problem: Self| problem.header(header::RETRY_AFTER, HeaderValue::from_static("15"));
        match error {
            TopUpError::Price(PriceError::Store(error)) | TopUpError::Store(error) => {
                Self::internal(&error)
            }
            TopUpError::Price(error) => Self::new(
                problem::PriceUnknown,
                format!(
                    "Points cannot be bought now: {error}; use the other basis, or try again later."
                ),
            ),
            TopUpError::Range => Self::new(
                problem::Invalid,
                "That is more than can be bought at once; ask for fewer points.",
            ),
            TopUpError::Unknown => Self::new(
                problem::NotFound,
                "There is no such top-up of yours; GET /v1/top-ups lists them.",
            ),
            TopUpError::Pending => later(Self::new(
                problem::PaymentPending,
                "The transaction is not in a finalized block yet; send the same request again in a few minutes.",
            )),
            TopUpError::Wrong(why) => Self::new(
                problem::PaymentWrong,
                format!("This transaction does not pay this top-up: {why}."),
            ),
            TopUpError::Ethereum(error) => {
                tracing::warn!(%error, "Ethereum cannot be asked about a payment");
                later(Self::new(
                    problem::PaymentPending,
                    "Ethereum cannot be asked at the moment; send the same request again later.",
                ))
            }
        }
    }
}

fn seller(app: &App) -> Result<&Seller, Problem> {
    app.machine.seller.as_ref().ok_or_else(|| {
        Problem::new(
            problem::TopUpsOff,
            "This gateway sells no points; ask its operator.",
        )
    })
}

/// See what is left
#[utoipa::path(
    get,
    path = "/v1/float",
    tag = "float",
    security(("api_key" = ["float:read"])),
    responses(
        (status = 200, description = "The caller's float", body = Float),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn read(State(app): Shared, credentials: Credentials) -> Result<Json<Float>, Problem> {
    let caller = app.authorize(&credentials, Scope::FloatRead).await?;
    let float = app.machine.store.float(&caller.partner).await?;
    let shown = |points: fn(&crate::float::Float) -> MicroPoints| {
        float.as_ref().map_or(MicroPoints(0), points)
    };
    Ok(Json(Float {
        funding: caller.funding.name().to_owned(),
        available: shown(|float| float.available),
        held: shown(|float| float.held),
        threshold: shown(|float| float.threshold),
        automatic_top_up: shown(|float| float.top_up),
    }))
}

/// See what a point costs
#[utoipa::path(
    get,
    path = "/v1/price",
    tag = "float",
    security(("api_key" = ["float:read"])),
    responses(
        (status = 200, description = "Market price and three-month average", body = PriceView),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "This gateway sells no points", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn price(
    State(app): Shared,
    credentials: Credentials,
) -> Result<Json<PriceView>, Problem> {
    app.authorize(&credentials, Scope::FloatRead).await?;
    let seller = seller(&app)?;
    let store = &app.machine.store;
    let now = store.now();
    let known = |price| match price {
        Ok(price) => Ok((Some(price), None)),
        Err(PriceError::Store(error)) => Err(Problem::internal(&error)),
        Err(error) => Ok((None, Some(error.to_string()))),
    };
    let (market, market_refused) = known(seller.price(store, Basis::Market, now).await)?;
    let (average, average_refused) = known(seller.price(store, Basis::Average, now).await)?;
    let wei = |price: Option<Average>| price.map(|price| price.wei.to_string());
    Ok(Json(PriceView {
        source: seller.source().to_owned(),
        market: wei(market),
        market_refused,
        average: wei(average),
        average_refused,
        average_since: average.map(|average| rfc3339(average.since)),
    }))
}

/// Begin a top-up
///
/// Fixes the price and answers what to pay, in ether, to which address, until when.
#[utoipa::path(
    post,
    path = "/v1/top-ups",
    tag = "float",
    security(("api_key" = ["float:write"])),
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters; a new one for each effect")),
    request_body = TopUpRequest,
    responses(
        (status = 201, description = "Pay it, then send the transaction's hash", body = TopUp),
        (status = 400, description = "Malformed, or no Idempotency-Key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The partner has no float, or the same request is still running", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not an amount of points, not a basis, or the key belongs to another body", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "No price at the moment, or this gateway sells no points", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn create(
    State(app): Shared,
    credentials: Credentials,
    Body(request): Body<TopUpRequest>,
) -> Result<Response, Problem> {
    let caller = app.authorize(&credentials, Scope::FloatWrite).await?;
    let key = input::idempotency_key(&credentials.headers)?;
    let parts = [request.points.as_str(), request.basis.as_str()];
    let key = Key {
        partner: caller.partner.to_string(),
        key,
        operation: "top_up",
        fingerprint: caller.fingerprint("top_up", &parts),
    };
    let work_app: Arc<App> = Arc::clone(&app);
    idempotent::once(&app, key, move |key, _| async move {
        let store = &work_app.machine.store;
        let seller = seller(&work_app)?;
        if store.float(&key.partner).await?.is_none() {
            return Err(Problem::new(
                problem::NotPrepaid,
                "You settle afterwards and have no float; ask the gateway's operator for one.",
            ));
        }
        let points = parse_points(&request.points).ok_or_else(|| {
            Problem::new(
                problem::Invalid,
                "The points must be a decimal above zero with at most six decimals, such as \"100000\".",
            )
        })?;
        let basis = Basis::parse(&request.basis).ok_or_else(|| {
            Problem::new(problem::Invalid, "The basis must be \"market\" or \"average\".")
        })?;
        let answer = seller
            .begin(store, &key, points, basis, |top_up| {
                idempotent::stored(StatusCode::CREATED, &view(top_up.clone(), store.now()))
            })
            .await?;
        Ok(Done::Recorded(answer))
    })
    .await
}

/// Look a top-up up
#[utoipa::path(
    get,
    path = "/v1/top-ups/{id}",
    tag = "float",
    security(("api_key" = ["float:read"])),
    params(("id" = String, Path, description = "`top_…`")),
    responses(
        (status = 200, description = "The top-up as it stands", body = TopUp),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such top-up of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn look_up(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<TopUp>, Problem> {
    let caller = app.authorize(&credentials, Scope::FloatRead).await?;
    let row = match ids::plausible(&id, "top") {
        true => app.machine.store.top_up(&caller.partner, &id).await?,
        false => None,
    };
    let row = row.ok_or(TopUpError::Unknown)?;
    Ok(Json(view(row, app.machine.store.now())))
}

/// List top-ups
#[utoipa::path(
    get,
    path = "/v1/top-ups",
    tag = "float",
    security(("api_key" = ["float:read"])),
    params(TopUpQuery),
    responses(
        (status = 200, description = "The caller's top-ups, newest first", body = TopUpPage),
        (status = 400, description = "Malformed query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    State(app): Shared,
    credentials: Credentials,
    QueryOf(query): QueryOf<TopUpQuery>,
) -> Result<Json<TopUpPage>, Problem> {
    let caller = app.authorize(&credentials, Scope::FloatRead).await?;
    let cursor = query.cursor.as_deref();
    let size = page::size(query.limit, cursor, "top")?;
    let store = &app.machine.store;
    let rows = store.top_ups_of(&caller.partner, cursor, page::rows(size));
    let mut rows = rows.await?;
    let next_cursor = page::next(&mut rows, size, |row| &row.id);
    Ok(Json(TopUpPage {
        items: rows.into_iter().map(|row| view(row, store.now())).collect(),
        next_cursor,
    }))
}

/// Say that a top-up was paid
///
/// The points are in the float once the transaction is in a finalized block; until then the answer
/// is 409 with Retry-After. Saying it again changes nothing, so no Idempotency-Key is needed.
#[utoipa::path(
    post,
    path = "/v1/top-ups/{id}/payment",
    tag = "float",
    security(("api_key" = ["float:write"])),
    params(("id" = String, Path, description = "`top_…`")),
    request_body = PaymentRequest,
    responses(
        (status = 200, description = "Paid: the points are in the float", body = TopUp),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such top-up of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Not final yet; send it again later", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The transaction does not pay this top-up", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "This gateway sells no points", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn pay(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
    Body(request): Body<PaymentRequest>,
) -> Result<Json<TopUp>, Problem> {
    let caller = app.authorize(&credentials, Scope::FloatWrite).await?;
    if !ids::plausible(&id, "top") {
        return Err(TopUpError::Unknown.into());
    }
    let hash: B256 = request.transaction_hash.parse().map_err(|_| {
        Problem::new(
            problem::Invalid,
            "The transaction_hash must be \"0x\" and 64 hex digits.",
        )
    })?;
    let seller = seller(&app)?;
    let paid = seller
        .pay(&app.machine.store, &caller.partner, &id, hash)
        .await?;
    Ok(Json(view(paid, app.machine.store.now())))
}
