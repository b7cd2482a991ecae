//! Listens for JSON-RPC over HTTP and WebSocket.
//!
//! Limits: requests of 512 KiB, answers of 16 MiB, batches of 100, 512 connections.

use super::{Admission, Reads, eth, own};
use crate::{consensus::Marshal, error::Error, index::Index};
use jsonrpsee::{
    RpcModule,
    server::{BatchRequestConfig, Server, ServerConfig, ServerHandle},
};
use mileverse_primitives::{B256, Bytes, genesis::Genesis};
use std::{net::SocketAddr, sync::Arc};

const MAX_REQUEST_BYTES: u32 = 512 * 1024;
const MAX_RESPONSE_BYTES: u32 = 16 * 1024 * 1024;
const MAX_BATCH: u32 = 100;
const MAX_CONNECTIONS: u32 = 512;

/// What the methods answer from.
pub struct Context {
    /// The newest state.
    pub reads: Reads,
    /// Transactions on their way in.
    pub admission: Admission,
    /// Blocks and receipts.
    pub index: Index,
    /// Certificates.
    pub marshal: Marshal,
    /// The network.
    pub genesis: Genesis,
    /// Its hash.
    pub genesis_hash: B256,
    /// The group key as Ethereum takes it.
    pub group_key: Bytes,
    /// This validator.
    pub validator: B256,
}

/// Starts serving; returns the address and a handle that stops it.
pub async fn serve(
    context: Context,
    address: SocketAddr,
) -> Result<(SocketAddr, ServerHandle), Error> {
    let listen = |source| Error::Listen {
        address,
        purpose: "JSON-RPC",
        source,
    };
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
    let mut module = RpcModule::from_arc(Arc::new(context));
    eth::register(&mut module)
        .and_then(|()| own::register(&mut module))
        .map_err(|error| Error::Stopped(format!("JSON-RPC methods: {error}")))?;
    Ok((bound, server.start(module)))
}
