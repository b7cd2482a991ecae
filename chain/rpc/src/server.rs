//! Listens for JSON-RPC over HTTP and WebSocket, with the limits of `limits`.
//!
//! Each connection is told apart by its client's address before the first byte of a request is read;
//! a client with too many connections is not served.

use crate::{
    Context, Limits, Waiting, debug, eth,
    guard::{Guard, Shares, Socket},
    limits::{MAX_BATCH, MAX_CONNECTIONS, MAX_REQUEST_BYTES, MAX_SUBSCRIPTIONS, response_bytes},
    net, own, txpool, waiting,
};
use futures::{FutureExt as _, TryFutureExt as _};
use jsonrpsee::{
    Methods, RpcModule,
    core::{RegisterMethodError, traits::IdProvider},
    server::{
        BatchRequestConfig, HttpRequest, PingConfig, Server, ServerConfig, ServerHandle,
        StopHandle, middleware::rpc::RpcServiceBuilder, serve_with_graceful_shutdown, stop_channel,
        ws,
    },
    types::SubscriptionId,
};
use mileverse_consensus::stages::{self, Stage};
use mileverse_primitives::limits::BlockLimits;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::Service as _;

/// How long a connection may take to send the head of its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// Messages that wait for a slow subscriber before its subscription waits too.
const MESSAGE_BUFFER: u32 = 256;
/// Pause after the system could not hand out a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why JSON-RPC cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address} for JSON-RPC: {source}; free the port or choose another in the configuration"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two methods have one name.
    #[error("JSON-RPC methods: {0}")]
    Methods(#[from] RegisterMethodError),
}

/// Starts serving; returns the address and a handle that stops it.
pub async fn serve(
    context: Context,
    address: SocketAddr,
    limits: Limits,
) -> Result<(SocketAddr, ServerHandle), ServeError> {
    let blocks = context.genesis.limits();
    let mut module = RpcModule::from_arc(Arc::new(context));
    eth::register(&mut module)?;
    debug::register(&mut module)?;
    net::register(&mut module)?;
    own::register(&mut module)?;
    txpool::register(&mut module)?;
    listen(module.into(), address, limits, blocks).await
}

/// Starts serving what a node can say that has no state yet; see [`Waiting`].
pub async fn serve_waiting(
    waiting: Waiting,
    address: SocketAddr,
    limits: Limits,
) -> Result<(SocketAddr, ServerHandle), ServeError> {
    let blocks = waiting.genesis.limits();
    let mut module = RpcModule::new(waiting);
    waiting::register(&mut module)?;
    listen(module.into(), address, limits, blocks).await
}

/// Subscriptions have ids as geth's: 16 random bytes in hex.
#[derive(Debug)]
struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(random_id().into())
    }
}

/// An id that nobody guesses: a number, so without zeros before it.
pub(crate) fn random_id() -> String {
    format!("{:#x}", rand::random::<u128>())
}

fn config(blocks: BlockLimits) -> ServerConfig {
    ServerConfig::builder()
        .max_request_body_size(MAX_REQUEST_BYTES)
        .max_response_body_size(response_bytes(blocks))
        // Counted where connections are accepted.
        .max_connections(u32::MAX)
        .max_subscriptions_per_connection(MAX_SUBSCRIPTIONS)
        .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH))
        .set_message_buffer_capacity(MESSAGE_BUFFER)
        .enable_ws_ping(PingConfig::new())
        .set_id_provider(HexIds)
        .set_first_request_timeout(Some(FIRST_REQUEST))
        .build()
}

async fn listen(
    methods: Methods,
    address: SocketAddr,
    limits: Limits,
    blocks: BlockLimits,
) -> Result<(SocketAddr, ServerHandle), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let (stop, handle) = stop_channel();
    let door = Door {
        methods,
        stop,
        shares: Shares::new(limits),
        config: config(blocks),
    };
    tokio::spawn(door.accept(listener));
    Ok((bound, handle))
}

#[derive(Clone)]
struct Door {
    methods: Methods,
    stop: StopHandle,
    shares: Shares,
    config: ServerConfig,
}

impl Door {
    async fn accept(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.clone().shutdown() => return,
            };
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a JSON-RPC connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Who finds no place is closed without an answer, which costs least.
            if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                self.clone().admit(socket, peer, place);
            }
        }
    }

    fn admit(self, socket: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        let Some(client) = self.shares.enter(peer.ip()) else {
            return;
        };
        let _ = socket.set_nodelay(true);
        let stop = self.stop.clone();
        let guarded = client.clone();
        let middleware =
            RpcServiceBuilder::new().layer_fn(move |service| Guard::new(service, guarded.clone()));
        let builder = Server::builder()
            .set_config(self.config)
            .set_rpc_middleware(middleware)
            .to_service_builder();
        // A WebSocket lives on after its request; the place is kept by the request's extensions.
        let place = Arc::new(place);
        let methods = self.methods;
        let stopped = stop.clone();
        let service = tower::service_fn(move |mut request: HttpRequest<_>| {
            request.extensions_mut().insert(client.clone());
            request.extensions_mut().insert(Arc::clone(&place));
            if ws::is_upgrade_request(&request) {
                request.extensions_mut().insert(Socket);
            }
            builder
                .clone()
                .build(methods.clone(), stopped.clone())
                .call(request)
                // A type of its own: rustc cannot prove that a boxed error becomes itself.
                .map_err(|error| std::io::Error::other(error.to_string()))
        });
        let serving = serve_with_graceful_shutdown(socket, service, stop.shutdown());
        // Answers are made as part of this.
        let serving = stages::during(Stage::Receive, serving);
        tokio::spawn(serving.map(|ended| {
            if let Err(error) = ended {
                tracing::debug!(%error, "a JSON-RPC connection ended");
            }
        }));
    }
}
