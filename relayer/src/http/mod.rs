//! What a relayer shows over HTTP. Read only; nothing here moves a packet.
//!
//! | path | |
//! |---|---|
//! | `/` | a page: routes, endpoints, accounts, the latest packets |
//! | `/metrics` | for Prometheus |
//! | `/health` | 200 as long as the process answers |
//! | `/ready` | 200 if every route makes progress, else 503; with a reason for each direction and the swaps of each chain |
//! | `/api/routes` | the routes with counts, health, endpoints, accounts, tokens |
//! | `/api/packets/{route}/{direction}?below=N&limit=N` | packets, newest first; 200 at most |
//! | `/api/packets/{route}/{direction}/{sequence}` | one packet |
//!
//! *Progress* of a direction: it went well within [`QUIET_MS`], and no packet whose time has come
//! has waited longer than [`STUCK_MS`] while nothing landed for as long. Of swaps the same: none has been
//! due for so long while none ended.
//!
//! Limits: [`MAX_AT_ONCE`] requests at a time, each ends within [`TIMEOUT`].

mod board;
mod page;

pub(crate) use board::{AccountView, Board, RouteView, TokenView};

use crate::{
    Error,
    store::{Direction, Health, Lane},
};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use board::{DirectionView, SwapsView};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// A direction that has not gone well for so long makes no progress.
pub const QUIET_MS: u64 = 60_000;
/// A packet that waited so long while nothing landed is stuck.
pub const STUCK_MS: u64 = 15 * 60_000;
/// Most requests at a time.
pub const MAX_AT_ONCE: usize = 32;
/// Longest time for one answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Most packets of one answer.
const MAX_PACKETS: usize = 200;

/// Takes the address.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address, source })
}

/// Serves for ever; returns only what ends the process.
pub(crate) async fn serve(listener: TcpListener, board: Board) -> Error {
    let app = router(board);
    match axum::serve(listener, app).await {
        Ok(()) => Error::Start(std::io::Error::other("the HTTP server ended")),
        Err(error) => Error::Start(error),
    }
}

fn router(board: Board) -> Router {
    let gate = Arc::new(Semaphore::new(MAX_AT_ONCE));
    Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .route("/api/routes", get(routes))
        .route("/api/packets/{route}/{direction}", get(packets))
        .route("/api/packets/{route}/{direction}/{sequence}", get(packet))
        .layer(axum::middleware::from_fn(
            move |request, next: axum::middleware::Next| {
                let gate = Arc::clone(&gate);
                async move {
                    let Ok(_permit) = gate.try_acquire() else {
                        return refusal(StatusCode::SERVICE_UNAVAILABLE, "too many requests");
                    };
                    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
                        Ok(answer) => answer,
                        Err(_) => refusal(StatusCode::GATEWAY_TIMEOUT, "this takes too long"),
                    }
                }
            },
        ))
        .with_state(board)
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'a str,
}

fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(Refusal { error })).into_response()
}

fn failed(error: &Error) -> Response {
    refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
}

async fn page(State(board): State<Board>) -> Response {
    let shown = match board.routes().await {
        Ok(shown) => shown,
        Err(error) => return failed(&error),
    };
    let mut latest = Vec::new();
    for route in &shown {
        let rows = match board.rows(&route.route).await {
            Ok(Some(rows)) => rows,
            Ok(None) => continue,
            Err(error) => return failed(&error),
        };
        for view in &route.directions {
            let direction = view.direction;
            let packets = match rows.newest(direction, u64::MAX, page::LATEST).await {
                Ok(packets) => packets,
                Err(error) => return failed(&error),
            };
            let named = packets
                .into_iter()
                .map(|packet| (rows.packet_name(direction, packet.sequence), packet));
            latest.push(page::Latest {
                route: route.route.clone(),
                title: page::title(direction, rows.directions()),
                packets: named.collect(),
            });
        }
    }
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    (
        [(header::CONTENT_SECURITY_POLICY, policy)],
        Html(page::render(&shown, &latest, board.now_ms())),
    )
        .into_response()
}

async fn metrics(State(board): State<Board>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], board.metrics().text()).into_response()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    ready: bool,
    directions: Vec<DirectionReady>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DirectionReady {
    route: String,
    direction: Lane,
    ready: bool,
    reason: Option<String>,
}

async fn ready(State(board): State<Board>) -> Response {
    let shown = match board.routes().await {
        Ok(shown) => shown,
        Err(error) => return failed(&error),
    };
    let now = board.now_ms();
    let mut directions = Vec::new();
    for route in shown {
        let packets = route.directions.iter();
        let packets = packets.map(|view| (Lane::from(view.direction), stuck(view, now)));
        let swaps = route.swaps.iter();
        let swaps = swaps.map(|view| (view.lane, overdue(view, now)));
        for (direction, stuck) in packets.chain(swaps) {
            let reason = route.trouble.clone().or(stuck);
            directions.push(DirectionReady {
                route: route.route.clone(),
                direction,
                ready: reason.is_none(),
                reason,
            });
        }
    }
    let ready = directions.iter().all(|direction| direction.ready);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Ready { ready, directions })).into_response()
}

/// Why a direction makes no progress.
fn stuck(view: &DirectionView, now_ms: u64) -> Option<String> {
    if let Some(reason) = quiet(&view.health, now_ms) {
        return Some(reason);
    }
    let due = now_ms.saturating_sub(view.oldest_due_ms?);
    let landed = now_ms.saturating_sub(view.newest_landed_ms);
    (due > STUCK_MS && landed > STUCK_MS).then(|| {
        format!(
            "a packet has waited for {} s, and nothing landed for as long",
            due / 1_000
        )
    })
}

/// Why the swaps of a chain make no progress.
fn overdue(view: &SwapsView, now_ms: u64) -> Option<String> {
    if let Some(reason) = quiet(&view.health, now_ms) {
        return Some(reason);
    }
    let due = now_ms.saturating_sub(view.oldest_due_ms?);
    let settled = now_ms.saturating_sub(view.newest_settled_ms);
    (due > STUCK_MS && settled > STUCK_MS).then(|| {
        format!(
            "a swap has been due for {} s, and none ended for as long",
            due / 1_000
        )
    })
}

/// Since when nothing went well, if that is too long.
fn quiet(health: &Health, now_ms: u64) -> Option<String> {
    let quiet = now_ms.saturating_sub(health.ok_ms);
    let why = health.error.as_deref().unwrap_or("no tick ended");
    (quiet > QUIET_MS).then(|| format!("nothing went well for {} s: {why}", quiet / 1_000))
}

async fn routes(State(board): State<Board>) -> Response {
    match board.routes().await {
        Ok(routes) => Json(routes).into_response(),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
struct Range {
    below: Option<u64>,
    limit: Option<usize>,
}

async fn packets(
    State(board): State<Board>,
    Path((route, direction)): Path<(String, String)>,
    Query(range): Query<Range>,
) -> Response {
    let Some(direction) = Direction::from_word(&direction) else {
        return no_such();
    };
    let limit = range.limit.unwrap_or(50).min(MAX_PACKETS);
    let below = range.below.unwrap_or(u64::MAX);
    let packets = match board.rows(&route).await {
        Ok(Some(rows)) => rows.newest(direction, below, limit).await,
        Ok(None) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    match packets {
        Ok(packets) => Json(packets).into_response(),
        Err(error) => failed(&error),
    }
}

async fn packet(
    State(board): State<Board>,
    Path((route, direction, sequence)): Path<(String, String, u64)>,
) -> Response {
    let Some(direction) = Direction::from_word(&direction) else {
        return no_such();
    };
    let rows = match board.rows(&route).await {
        Ok(Some(rows)) => rows,
        Ok(None) => return no_such(),
        Err(error) => return failed(&error),
    };
    match rows.packet(direction, sequence).await {
        Ok(Some(row)) => Json(row).into_response(),
        Ok(None) => no_such(),
        Err(error) => failed(&error),
    }
}

fn no_such() -> Response {
    refusal(
        StatusCode::NOT_FOUND,
        "there is none; /api/routes names the routes, the directions are to_ethereum or to_peer, and to_native",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        chain::End,
        metrics::Metrics,
        store::{Database, Found, Mark, Network, NewPacket, NewSwap, Position, Searched, Store},
    };
    use mileverse_primitives::{Address, B256, U256};
    use mileverse_wallet::timelock::Terms;

    const NETWORK: Network = Network {
        native_chain: 1,
        native_genesis: B256::ZERO,
        far_chain: 2,
        far_mark: Mark::Bridge(Address::ZERO),
    };

    #[tokio::test]
    async fn it_shows_what_the_database_holds_and_says_when_nothing_moves() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(directory.path().join("relayer.sqlite"));
        let store = Store::open(&database).await.unwrap();
        let rows = store.bind("main", &NETWORK).await.unwrap();
        let board = Board::of(
            &[("main", NETWORK.directions(), true)],
            Store::look(&database).await.unwrap(),
            Metrics::default(),
        );
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(serve(listener, board.clone()));
        let ask = |path: &str| {
            let url = format!("{url}{path}");
            async move {
                let answer = reqwest::get(url).await.unwrap();
                (answer.status().as_u16(), answer.text().await.unwrap())
            }
        };

        assert_eq!(ask("/health").await.0, 200);
        let (status, text) = ask("/ready").await;
        assert_eq!(status, 503, "nothing went well yet: {text}");
        let now = board.now_ms();
        for direction in NETWORK.directions() {
            rows.note_ok(direction, now).await.unwrap();
        }
        let (status, text) = ask("/ready").await;
        assert_eq!(status, 503, "its swaps did not go well yet: {text}");
        assert!(text.contains("swaps_ethereum"), "{text}");
        for end in crate::route::SWAP_ENDS {
            rows.note_ok(Lane::Swaps(end), now).await.unwrap();
        }
        assert_eq!(ask("/ready").await.0, 200);

        let swap = NewSwap {
            id: B256::repeat_byte(5),
            terms: Terms {
                token: Address::ZERO,
                amount: U256::from(3),
                opener: Address::ZERO,
                claimer: Address::ZERO,
                lock: B256::repeat_byte(6),
                deadline: (now - STUCK_MS) / 1_000 - 60,
            },
            block: 1,
        };
        let found = Found {
            opened: vec![swap],
            ..Found::default()
        };
        let searched = Searched { next: 1, sweep: 0 };
        rows.note_found(End::Ethereum, searched, &found, 1)
            .await
            .unwrap();
        let (status, text) = ask("/ready").await;
        assert_eq!(status, 503);
        assert!(text.contains("a swap has been due"), "{text}");
        let (_, text) = ask("/api/routes").await;
        let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(shown[0]["swaps"][1]["chain"], "ethereum");
        assert_eq!(shown[0]["swaps"][1]["counts"]["due"], 1);
        rows.set_swap_aside(1, now + 1_000_000, "<b>a bad token</b>")
            .await
            .unwrap();
        assert_eq!(ask("/ready").await.0, 200, "its time has not come");

        let packet = NewPacket {
            sequence: 1,
            place: 0,
            commitment: B256::repeat_byte(7),
            bytes: vec![1; 134].into(),
        };
        let position = Position {
            next: 1,
            search_block: 0,
            packet_block: 0,
        };
        let long_ago = now - STUCK_MS - 60_000;
        rows.advance(Direction::ToEthereum, position, &[packet], long_ago)
            .await
            .unwrap();
        let (status, text) = ask("/ready").await;
        assert_eq!(status, 503);
        assert!(text.contains("a packet has waited"), "{text}");
        let refused = "<script>a bad receiver</script>";
        rows.set_aside(Direction::ToEthereum, 1, now + 1_000_000, refused)
            .await
            .unwrap();
        assert_eq!(ask("/ready").await.0, 200, "its time has not come");

        let (status, text) = ask("/").await;
        assert_eq!(status, 200);
        assert!(text.contains("native:1") && text.contains("&lt;script&gt;"));
        assert!(!text.contains("<script"), "{text}");
        assert!(text.contains("&lt;b&gt;a bad token") && text.contains("Swaps on Ethereum"));
        let (_, text) = ask("/api/packets/main/to_ethereum?limit=5").await;
        let listed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(listed[0]["sequence"], 1);
        assert_eq!(listed[0]["state"], "waiting");
        assert_eq!(ask("/api/packets/main/to_ethereum/1").await.0, 200);
        for path in [
            "/api/packets/main/to_ethereum/2",
            "/api/packets/main/sideways",
            "/api/packets/other/to_native/1",
        ] {
            assert_eq!(ask(path).await.0, 404, "{path}");
        }
        board.trouble("main", Some("the node is away".into()));
        let (status, text) = ask("/ready").await;
        assert_eq!(status, 503);
        assert!(text.contains("the node is away"), "{text}");
        assert!(ask("/metrics").await.1.ends_with("# EOF\n"));
        server.abort();
    }
}
