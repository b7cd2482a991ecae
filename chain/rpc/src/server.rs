//! Listens for JSON-RPC over HTTP and WebSocket.
//!
//! Limits: requests of 512 KiB, answers of 16 MiB, batches of 100, 512 connections.

use crate::{Context, Waiting, eth, own, waiting};
use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    server::{BatchRequestConfig, Server, ServerConfig, ServerHandle},
};
use std::{net::SocketAddr, sync::Arc};
use thiserror::Error;

const MAX_REQUEST_BYTES: u32 = 512 * 1024;
const MAX_RESPONSE_BYTES: u32 = 16 * 1024 * 1024;
const MAX_BATCH: u32 = 100;
const MAX_CONNECTIONS: u32 = 512;

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
) -> Result<(SocketAddr, ServerHandle), ServeError> {
    let mut module = RpcModule::from_arc(Arc::new(context));
    eth::register(&mut module).and_then(|()| own::register(&mut module))?;
    listen(module, address).await
}

/// Starts serving what a node can say that has no state yet; see [`Waiting`].
pub async fn serve_waiting(
    waiting: Waiting,
    address: SocketAddr,
) -> Result<(SocketAddr, ServerHandle), ServeError> {
    let mut module = RpcModule::new(waiting);
    waiting::register(&mut module)?;
    listen(module, address).await
}

async fn listen<C: Send + Sync + 'static>(
    module: RpcModule<C>,
    address: SocketAddr,
) -> Result<(SocketAddr, ServerHandle), ServeError> {
    let listen = |source| ServeError::Listen { address, source };
    let server = Server::builder()
        .set_config(
            ServerConfig::builder()
                .max_request_body_size(MAX_REQUEST_BYTES)
                .max_response_body_size(MAX_RESPONSE_BYTES)
                .max_connections(MAX_CONNECTIONS)
                .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH))
                .build(),
        )
        .build(address)
        .await
        .map_err(listen)?;
    let bound = server.local_addr().map_err(listen)?;
    Ok((bound, server.start(module)))
}
