//! `debug_`: what a transaction or a call did, step by step, as geth's built-in tracers tell it.
//!
//! A transaction is run again on the state that it met, so the state before its block must still be
//! kept: an archive traces everything, any other node its recent blocks.

use crate::{
    arguments::Arguments,
    context::Context,
    eth::calls::{Scene, lay},
    failure, find,
    register::{Answer, disk, quick, slow},
};
use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    rpc::types::TransactionRequest,
};
use alloy_rpc_types_trace::geth::{
    GethDebugTracingCallOptions, GethDebugTracingOptions, GethTrace,
};
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use mileverse_consensus::{index::IndexError, mempool::recover};
use mileverse_primitives::B256;
use serde_json::{Value, json};
use std::{ops::Range, sync::Arc};

/// Adds the methods.
pub fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    slow(module, "debug_traceTransaction", transaction)?;
    slow(
        module,
        "debug_traceBlockByNumber",
        |context, mut arguments| async move {
            let tag: BlockNumberOrTag = arguments.next()?;
            block(context, tag.into(), arguments).await
        },
    )?;
    slow(
        module,
        "debug_traceBlockByHash",
        |context, mut arguments| async move {
            let hash: B256 = arguments.next()?;
            block(context, hash.into(), arguments).await
        },
    )?;
    slow(module, "debug_traceCall", call)?;
    // A block that breaks a rule is never kept.
    quick(module, "debug_getBadBlocks", |_, _| Ok(Vec::<Value>::new()))?;
    for name in [
        "debug_getRawBlock",
        "debug_getRawHeader",
        "debug_getRawReceipts",
    ] {
        quick(module, name, |_, _| not_rlp())?;
    }
    disk(
        module,
        "debug_getRawTransaction",
        crate::eth::raw_transaction,
    )
}

fn not_rlp() -> Answer<()> {
    Err(failure::unsupported(
        "blocks of this chain have no RLP form; ask eth_getBlockByNumber and eth_getBlockReceipts",
    ))
}

async fn look<T: Send + 'static>(
    context: &Arc<Context>,
    look: impl FnOnce(&Context) -> Answer<T> + Send + 'static,
) -> Answer<T> {
    let context = Arc::clone(context);
    tokio::task::spawn_blocking(move || look(&context))
        .await
        .map_err(|error| failure::internal(&error))?
}

async fn transaction(context: Arc<Context>, mut arguments: Arguments) -> Answer<GethTrace> {
    let hash: B256 = arguments.next()?;
    let options = arguments.optional()?.unwrap_or_default();
    let found = look(&context, move |context| find::transaction(context, hash)).await?;
    let (found, position) = found.ok_or_else(|| failure::refused("transaction not found"))?;
    let positions = position..position.saturating_add(1);
    let traces = traces(&context, found, positions, options).await?;
    traces
        .into_iter()
        .next()
        .ok_or_else(|| failure::internal(&"a trace is missing"))
}

async fn block(context: Arc<Context>, id: BlockId, mut arguments: Arguments) -> Answer<Vec<Value>> {
    let options = arguments.optional()?.unwrap_or_default();
    let found = look(&context, move |context| find::block(context, id)).await?;
    let found = found.ok_or_else(|| failure::refused("block not found"))?;
    if found.block.header.height == 0 {
        return Err(failure::refused("genesis is not traceable"));
    }
    let hashes: Vec<B256> = found
        .block
        .transactions
        .iter()
        .map(mileverse_primitives::keccak256)
        .collect();
    let traces = traces(&context, found, 0..hashes.len(), options).await?;
    let named = hashes.into_iter().zip(traces);
    Ok(named
        .map(|(hash, trace)| json!({ "txHash": hash, "result": trace }))
        .collect())
}

async fn traces(
    context: &Arc<Context>,
    found: find::Found,
    positions: Range<usize>,
    options: GethDebugTracingOptions,
) -> Answer<Vec<GethTrace>> {
    let parent = found.block.header.height.saturating_sub(1);
    let executor = context.reads.executor.clone();
    let (mempool, chain_id) = (context.admission.mempool.clone(), context.genesis.chain_id);
    let run = move |state| async move {
        let needed = found.block.transactions.get(..positions.end);
        let damaged = |_| {
            let error = IndexError::Damaged("transactions").to_string();
            mileverse_execution::BlockError::Fatal(error)
        };
        let height = found.block.header.height;
        let transactions = recover::all(needed.unwrap_or_default(), chain_id, height, &mempool)
            .map_err(damaged)?;
        let (block, digest) = (found.block.input(), found.digest);
        executor
            .trace_block(&state, block, digest, &transactions, positions, &options)
            .await
    };
    context.reads.ask(parent, run).await
}

async fn call(context: Arc<Context>, mut arguments: Arguments) -> Answer<GethTrace> {
    let (request, id): (TransactionRequest, Option<BlockId>) =
        (arguments.next()?, arguments.optional()?);
    let options: GethDebugTracingCallOptions = arguments.optional()?.unwrap_or_default();
    if options.tx_index.is_some() {
        return Err(failure::unsupported(
            "txIndex is not offered; trace the call after a whole block",
        ));
    }
    let scene = Scene::new(
        &context,
        request,
        id,
        options.state_overrides,
        options.block_overrides,
    )?;
    let (executor, tracing) = (context.reads.executor.clone(), options.tracing_options);
    let run = move |state| async move {
        let state = lay(state, scene.overrides).await?;
        executor
            .trace_call(&state, scene.block, scene.request, &tracing)
            .await
    };
    context.reads.ask(scene.height, run).await
}
