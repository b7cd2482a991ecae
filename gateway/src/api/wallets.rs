//! `/v1/members/{id}/wallet` and `/v1/withdrawals`.

use super::idempotent::{self, Done};
use super::input::{self, Body, PathOf, QueryOf};
use super::{App, Shared, members, page};
use crate::clock::rfc3339;
use crate::custody::{Amount, Asked};
use crate::ids;
use crate::keys::{Credentials, Scope};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::idempotency::{Key, Stored};
use crate::store::wallets::WalletRow;
use crate::store::withdrawals::{Page, Withdrawal as Row};
use crate::units::MicroPoints;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use mileverse_gateway_api::wallets::{
    TermsQuery, Wallet, Withdrawal, WithdrawalPage, WithdrawalQuery, WithdrawalReason,
    WithdrawalRequest, WithdrawalState as Stage, WithdrawalTerms,
};
use std::sync::Arc;
use tokio::time::Instant;

async fn shown(app: &App, row: WalletRow) -> Result<Wallet, Problem> {
    let holdings = app.machine.holdings(&row).await?;
    Ok(Wallet {
        member_id: row.member_id,
        address: row.address,
        points: holdings.balance,
        points_micro: holdings.balance.0,
        movable: holdings.movable,
        movable_fee: holdings.fee,
        withdrawal: holdings.withdrawal,
        created_at: rfc3339(row.created_at),
    })
}

fn view(row: Row) -> Withdrawal {
    let fee = match (row.state, row.paid) {
        (Stage::Completed, Some(paid)) => MicroPoints(paid.0.saturating_sub(row.points.0)),
        (Stage::Failed, Some(paid)) => paid,
        _ => row.fee,
    };
    Withdrawal {
        state: row.state.name().to_owned(),
        is_final: row.state.is_final(),
        member_id: row.member_id,
        wallet: row.wallet,
        receiver: row.receiver,
        points: row.points,
        points_micro: row.points.0,
        fee,
        transaction_hash: row.hash,
        block_number: row.block,
        reason: row
            .reason_code
            .zip(row.reason)
            .map(|(code, message)| WithdrawalReason { code, message }),
        created_at: rfc3339(row.created_at),
        updated_at: rfc3339(row.updated_at),
        id: row.id,
    }
}

/// Make a member's wallet
///
/// For a member without an address of its own: the gateway keeps the key, sealed, and shows the address.
/// A member has one wallet; said again, nothing changes, so no Idempotency-Key is needed. A conversion to
/// `custodial` makes it too.
#[utoipa::path(
    put,
    path = "/v1/members/{id}/wallet",
    tag = "wallets",
    security(("api_key" = ["conversions:write"])),
    params(("id" = String, Path, description = "`mem_…`")),
    responses(
        (status = 200, description = "The wallet", body = Wallet),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such member of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "This gateway keeps no wallets, or the member has left", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The chain cannot be asked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn make(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<Wallet>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsWrite).await?;
    let member = members::find(&app, &caller, &id).await?;
    let wallet = app.machine.make_wallet(&caller.partner, &member.id).await?;
    shown(&app, wallet).await.map(Json)
}

/// See what a member's wallet holds
///
/// As the chain has it now, at one confirmation.
#[utoipa::path(
    get,
    path = "/v1/members/{id}/wallet",
    tag = "wallets",
    security(("api_key" = ["conversions:read"])),
    params(("id" = String, Path, description = "`mem_…`")),
    responses(
        (status = 200, description = "The wallet", body = Wallet),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such member of the caller's, or it has no wallet", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The chain cannot be asked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn look(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<Wallet>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsRead).await?;
    let member = members::find(&app, &caller, &id).await?;
    let wallet = app.machine.wallet(&caller.partner, &member.id).await?;
    shown(&app, wallet).await.map(Json)
}

/// See what a withdrawal costs
///
/// The chain's transfer fee, on top of the points. Holds nothing and moves nothing.
#[utoipa::path(
    get,
    path = "/v1/members/{id}/wallet/terms",
    tag = "wallets",
    security(("api_key" = ["conversions:read"])),
    params(("id" = String, Path, description = "`mem_…`"), TermsQuery),
    responses(
        (status = 200, description = "What it costs now", body = WithdrawalTerms),
        (status = 400, description = "Malformed query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such member of the caller's, or it has no wallet", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not a receiver, not an amount, or more than can be moved", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The chain cannot be asked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn terms(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<TermsQuery>,
) -> Result<Json<WithdrawalTerms>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsRead).await?;
    let amount = Amount::parse(&query.points)?;
    let member = members::find(&app, &caller, &id).await?;
    let machine = &app.machine;
    let wallet = machine.wallet(&caller.partner, &member.id).await?;
    let terms = machine
        .withdrawal_terms(&wallet, &query.receiver, amount)
        .await?;
    Ok(Json(WithdrawalTerms {
        receiver: terms.receiver.to_string(),
        points: terms.points,
        points_micro: terms.points.0,
        fee: terms.fee,
        total: MicroPoints(terms.points.0.saturating_add(terms.fee.0)),
        balance: terms.balance,
    }))
}

/// Move points out of a member's wallet
///
/// Because the member says so: to an address on the native chain, some or all. The chain's fee comes on
/// top. Waits for the end for a while; if it takes longer, answers 202 and goes on. A wallet has one
/// withdrawal at a time.
#[utoipa::path(
    post,
    path = "/v1/members/{id}/wallet/withdrawals",
    tag = "wallets",
    security(("api_key" = ["wallets:write"])),
    params(
        ("id" = String, Path, description = "`mem_…`"),
        ("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters; a new one for each effect"),
    ),
    request_body = WithdrawalRequest,
    responses(
        (status = 201, description = "Completed: the points are the receiver's", body = Withdrawal),
        (status = 202, description = "Signed and not final; look it up", body = Withdrawal),
        (status = 400, description = "Malformed, or no Idempotency-Key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such member of the caller's, or it has no wallet", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "One is under way, the fee is more than was agreed to, or the same request is still running", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Cannot be withdrawn; if it was begun and failed, with `withdrawal_id`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The chain cannot be asked; nothing has moved", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn withdraw(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
    Body(request): Body<WithdrawalRequest>,
) -> Result<Response, Problem> {
    let caller = app.authorize(&credentials, Scope::WalletsWrite).await?;
    let key = input::idempotency_key(&credentials.headers)?;
    let member = members::find(&app, &caller, &id).await?;
    let most = request.maximum_fee.map(|fee| fee.to_string());
    let mut parts = vec![
        member.id.as_str(),
        request.receiver.as_str(),
        request.points.as_str(),
    ];
    parts.extend(most.as_deref());
    let key = Key {
        partner: caller.partner.to_string(),
        key,
        operation: "withdrawal",
        fingerprint: caller.fingerprint("withdrawal", &parts),
    };
    let work_app: Arc<App> = Arc::clone(&app);
    idempotent::once(&app, key, move |key, begun| async move {
        let machine = &work_app.machine;
        let id = match begun {
            Some(id) => id,
            None => {
                let asked = Asked {
                    key: &key,
                    member_id: &member.id,
                    receiver: &request.receiver,
                    amount: Amount::parse(&request.points)?,
                    maximum_fee: request.maximum_fee,
                };
                machine.withdraw(&asked).await?
            }
        };
        let deadline = Instant::now() + work_app.conversion_wait;
        let row = machine.withdrawn(&id, deadline).await?;
        answer(row.ok_or(sqlx::Error::RowNotFound)?).map(Done::New)
    })
    .await
}

/// How a withdrawal is answered to whoever began it.
fn answer(row: Row) -> Result<Stored, Problem> {
    let status = match row.state {
        Stage::Completed => StatusCode::CREATED,
        Stage::Sending => StatusCode::ACCEPTED,
        Stage::Failed => {
            let reason = row.reason.as_deref().unwrap_or("no reason is known");
            let detail = format!(
                "The points are still in the wallet: {reason}. Look at the wallet, then withdraw anew."
            );
            return Err(Problem::new(problem::WithdrawalFailed, detail)
                .with("withdrawal_id", row.id.clone())
                .with("code", row.reason_code));
        }
    };
    Ok(idempotent::stored(status, &view(row))?)
}

fn unknown() -> Problem {
    Problem::new(
        problem::NotFound,
        "There is no such withdrawal of yours; GET /v1/withdrawals lists them.",
    )
}

/// Look a withdrawal up
#[utoipa::path(
    get,
    path = "/v1/withdrawals/{id}",
    tag = "wallets",
    security(("api_key" = ["conversions:read"])),
    params(("id" = String, Path, description = "`wdr_…`")),
    responses(
        (status = 200, description = "The withdrawal as it stands", body = Withdrawal),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such withdrawal of the caller's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn look_up(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<Withdrawal>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsRead).await?;
    let row = match ids::plausible(&id, "wdr") {
        true => app.machine.store.withdrawal(&id).await?,
        false => None,
    };
    row.filter(|row| row.partner == *caller.partner)
        .map(view)
        .map(Json)
        .ok_or_else(unknown)
}

/// List withdrawals
#[utoipa::path(
    get,
    path = "/v1/withdrawals",
    tag = "wallets",
    security(("api_key" = ["conversions:read"])),
    params(WithdrawalQuery),
    responses(
        (status = 200, description = "The caller's withdrawals, newest first", body = WithdrawalPage),
        (status = 400, description = "Malformed query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    State(app): Shared,
    credentials: Credentials,
    QueryOf(query): QueryOf<WithdrawalQuery>,
) -> Result<Json<WithdrawalPage>, Problem> {
    let caller = app.authorize(&credentials, Scope::ConversionsRead).await?;
    let size = page::size(query.limit, query.cursor.as_deref(), "wdr")?;
    let state = query
        .state
        .as_deref()
        .map(|name| {
            Stage::parse(name).ok_or_else(|| {
                let all = Stage::ALL.map(Stage::name).join(", ");
                Problem::new(
                    problem::Malformed,
                    format!("The state must be one of {all}."),
                )
            })
        })
        .transpose()?;
    let member_id = query.member_id.as_deref();
    if member_id.is_some_and(|id| !ids::plausible(id, "mem")) {
        let detail = "The member_id must be that of a linked member: mem_….";
        return Err(Problem::new(problem::Malformed, detail));
    }
    let page = Page {
        before: query.cursor.as_deref(),
        member_id,
        state,
        limit: page::rows(size),
    };
    let store = &app.machine.store;
    let mut rows = store.withdrawals_of(&caller.partner, &page).await?;
    let next_cursor = page::next(&mut rows, size, |row| &row.id);
    Ok(Json(WithdrawalPage {
        items: rows.into_iter().map(view).collect(),
        next_cursor,
    }))
}
