//! `GET /metrics`, `/health`, `/ready` over HTTP.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | OpenMetrics text: commonware's registry, then ours |
//! | `/health` | 200 as long as the process can answer at all |
//! | `/ready` | 200 or 503, with the reasons as JSON |
//!
//! No authentication: listen on an address that only the monitoring can reach. Limits: GET only,
//! [`MAX_CONNECTIONS`] answers at one time, anything more gets 503 at once.

use super::{
    Instruments, Observer,
    instruments::signed,
    now_ms,
    observer::seconds_between,
    verdict::{self, Verdict},
};
use crate::error::Error;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use mileverse_consensus::{
    engine::connections::{self, Connections, Registry},
    mempool::Mempool,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

/// Most answers being written at one time.
pub const MAX_CONNECTIONS: usize = 16;
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the answers are made from.
#[derive(Clone)]
pub struct Sources {
    /// Our metrics.
    pub instruments: Instruments,
    /// The node's part in the chain.
    pub observer: Observer,
    /// Commonware's metrics.
    pub registry: Registry,
    /// Live connections.
    pub connections: Connections,
    /// Transactions that wait.
    pub mempool: Mempool,
    /// Longest time between blocks of an idle chain.
    pub idle: Duration,
}

impl Sources {
    fn judge(&self) -> Verdict {
        let verdict = verdict::judge(
            self.observer.part(),
            self.connections.count(),
            verdict::bound(self.idle),
            now_ms(),
        );
        let instruments = &self.instruments;
        instruments.ready.set(verdict.ready.into());
        instruments.peers.set(signed(verdict.peers));
        instruments.head_age.set(verdict.head_age_seconds);
        verdict
    }

    /// The text of one scrape.
    ///
    /// # Errors
    ///
    /// When formatting fails.
    pub fn scrape(&self) -> Result<String, std::fmt::Error> {
        self.judge();
        let others = (self.registry)();
        let instruments = &self.instruments;
        instruments.note_cpu();
        instruments.mempool.set(signed(self.mempool.len() as u64));
        instruments.checkpoint_age.set(seconds_between(
            self.observer.part().checkpoint_ms,
            now_ms(),
        ));
        if let Some(phase) = connections::samples(&others, |name| name.ends_with("reshare_phase"))
            .filter_map(|value| value.parse().ok())
            .last()
        {
            instruments.ceremony_phase.set(phase);
        }
        instruments.encode(&others)
    }
}

struct Shared {
    sources: Sources,
    answers: Semaphore,
}

/// Starts serving; returns the address and the task, which ends when it is aborted.
pub async fn serve(
    sources: Sources,
    address: SocketAddr,
) -> Result<(SocketAddr, JoinHandle<()>), Error> {
    let listen = |source| Error::Listen {
        address,
        purpose: "metrics",
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let shared = Arc::new(Shared {
        sources,
        answers: Semaphore::new(MAX_CONNECTIONS),
    });
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "alive\n" }))
        .route("/ready", get(ready))
        .with_state(shared);
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!(%error, "metrics are no longer served");
        }
    });
    Ok((bound, task))
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let Ok(_permit) = shared.answers.try_acquire() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    match shared.sources.scrape() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let verdict = shared.sources.judge();
    let status = if verdict.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(verdict)).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mileverse_primitives::B256;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn sources(started_ms: u64) -> Sources {
        let instruments = Instruments::default();
        let registry: Registry = Arc::new(|| {
            "network_tracker_directory_connected{peer=\"a\"} 1\nnode_reshare_phase 2\n# EOF\n"
                .into()
        });
        Sources {
            observer: Observer::new(
                B256::ZERO,
                B256::repeat_byte(1),
                started_ms,
                instruments.clone(),
            ),
            instruments,
            connections: Connections::new(registry.clone()),
            registry,
            mempool: Mempool::new(30_000_000),
            idle: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_fresh_node_answers_and_an_old_head_is_not_ready() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let (address, task) = serve(sources(now_ms()), any).await.unwrap();
            let metrics = ask(address, "/metrics").await;
            assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
            assert!(metrics.contains("openmetrics-text"));
            assert!(metrics.contains("mileverse_peers 1\n"));
            assert!(metrics.contains("mileverse_ceremony_phase 2\n"));
            assert!(metrics.contains("mileverse_ready 1\n"));
            assert!(ask(address, "/health").await.starts_with("HTTP/1.1 200"));
            assert!(ask(address, "/ready").await.starts_with("HTTP/1.1 200"));
            assert!(ask(address, "/other").await.starts_with("HTTP/1.1 404"));
            task.abort();

            let (address, task) = serve(sources(1), any).await.unwrap();
            let ready = ask(address, "/ready").await;
            assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
            assert!(ready.contains("seconds old"), "{ready}");
            assert!(ask(address, "/health").await.starts_with("HTTP/1.1 200"));
            // The port is taken now: one sentence.
            let taken = serve(sources(1), address).await.err().unwrap().to_string();
            assert!(taken.contains("for metrics"), "{taken}");
            task.abort();
        });
    }
}
