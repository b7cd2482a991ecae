//! The page for people with points, and the API behind it, which other wallets may use as well.
//!
//! ```txt
//! GET  /app                                      the page; its files below /app/page/
//! GET  /app/api/v1/chain                         both networks, as a wallet adds them
//! GET  /app/api/v1/quote                         what a route would bring now
//! POST /app/api/v1/prepare                       the transactions for it: typed, decoded, simulated
//! POST /app/api/v1/payments                      what pays a shop exactly so much
//! GET  /app/api/v1/transactions/{hash}           pending, final, failed
//! GET  /app/api/v1/packets/{packet}              how far a transfer between the chains is
//! POST /app/api/v1/packets/{packet}/delivery     the transaction that brings it one stage further
//! GET  /app/api/v1/accounts/{address}            mistyped or not, a program or not
//! GET  /app/api/v1/accounts/{address}/balances
//! GET  /app/api/v1/accounts/{address}/history
//! GET  /app/api/v1/accounts/{address}/packets    transfers between the chains that it sent
//! GET  /app/api/v1/accounts/{address}/events     server-sent events: new entries, stages of packets
//! GET  /app/api/v1/openapi.json
//! ```
//!
//! A route leads from a token on a chain to a token on a chain: `swap` stays on the native chain,
//! `bridge` keeps the token, `bridge+swap` does both in one action.
//!
//! Nothing here holds a key or signs: `prepare` answers bytes, and the person's own wallet signs
//! them. Amounts are decimal text, and whole numbers of the smallest unit beside it. Errors are
//! problem details (RFC 9457).
//!
//! Limits: a body of 4 KiB, a request of 30 seconds, 128 requests and 256 streams at once, a stream
//! of one hour that follows 8 packets.

mod accounts;
mod api;
mod chains;
mod history;
pub mod index;
mod packets;
mod page;
mod pay;
mod problem;
mod route;
mod state;
mod stream;
mod trade;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use index::{Index, Shelf};
use problem::Problem;
use state::App;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use url::Url;

/// Largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 4 * 1024;
/// Longest request.
pub const MAX_REQUEST: Duration = Duration::from_secs(30);
/// Most requests at once.
pub const MAX_REQUESTS: usize = 128;
/// Most streams at once.
pub const MAX_STREAMS: usize = 256;
/// Longest stream; whoever wants more opens the next.
pub const MAX_STREAM: Duration = Duration::from_secs(3_600);

/// One chain, as this server reaches it and as people do.
#[derive(Clone, Debug)]
pub struct Network {
    /// JSON-RPC that this server asks. It is told to nobody.
    pub rpc: Url,
    /// JSON-RPC that people's wallets are told to use.
    pub public_rpc: Option<Url>,
    /// A block explorer: `tx/{hash}` below it shows a transaction.
    pub explorer: Option<Url>,
}

/// What the page runs on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The native chain.
    pub native: Network,
    /// Ethereum; without it nothing crosses, and the page says so.
    pub ethereum: Option<Network>,
}

/// The page and its API. To be merged into a server's router.
pub fn router(settings: Settings) -> Router {
    over(Arc::new(App::new(settings, None)))
}

/// The same over an index of packets and histories, and what fills that index: to be polled beside it.
pub fn indexed(settings: Settings, shelf: Arc<dyn Shelf>) -> (Router, Index) {
    let app = Arc::new(App::new(settings, Some(Arc::clone(&shelf))));
    (over(Arc::clone(&app)), Index::new(app, shelf))
}

fn over(app: Arc<App>) -> Router {
    let slots = Arc::new(Semaphore::new(MAX_REQUESTS));
    let (api, specification) = api::routes().split_for_parts();
    let document = axum::Json(specification);
    let api = api
        .route("/openapi.json", get(move || async move { document }))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::wrong_method() })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(slots, limit))
        .with_state(app);
    Router::new().nest("/app/api/v1", api).merge(page::router())
}

/// At most so many at once, none for too long.
async fn limit(State(slots): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_slot) = slots.try_acquire() else {
        return Problem::busy().into_response();
    };
    tokio::time::timeout(MAX_REQUEST, next.run(request))
        .await
        .unwrap_or_else(|_| Problem::timeout().into_response())
}
