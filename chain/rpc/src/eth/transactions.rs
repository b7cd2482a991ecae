//! Transactions, receipts, and sending.

use super::blocks::{hash, number};
use crate::{
    arguments::Arguments,
    context::Context,
    convert, failure, find,
    limits::{MAX_SYNC_WAIT, SYNC_WAIT},
    register::{Answer, disk, slow},
};
use alloy::{
    eips::BlockId,
    primitives::U64,
    rpc::types::{Transaction, TransactionReceipt},
};
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use mileverse_primitives::{B256, Bytes};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// Code of a synchronous sending that took too long (EIP-7966).
const NOT_IN_TIME: i32 = 4;

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    disk(module, "eth_getTransactionByHash", transaction)?;
    disk(module, "eth_getRawTransactionByHash", raw_transaction)?;
    disk(
        module,
        "eth_getTransactionByBlockNumberAndIndex",
        |context, mut arguments| placed(context, number(&mut arguments)?, arguments),
    )?;
    disk(
        module,
        "eth_getTransactionByBlockHashAndIndex",
        |context, mut arguments| placed(context, hash(&mut arguments)?, arguments),
    )?;
    disk(
        module,
        "eth_getRawTransactionByBlockNumberAndIndex",
        |context, mut arguments| placed_raw(context, number(&mut arguments)?, arguments),
    )?;
    disk(
        module,
        "eth_getRawTransactionByBlockHashAndIndex",
        |context, mut arguments| placed_raw(context, hash(&mut arguments)?, arguments),
    )?;
    disk(
        module,
        "eth_getTransactionReceipt",
        |context, mut arguments| receipt(context, arguments.next()?),
    )?;
    slow(module, "eth_sendRawTransaction", send)?;
    slow(module, "eth_sendRawTransactionSync", send_and_wait)
}

fn transaction(context: &Context, mut arguments: Arguments) -> Answer<Option<Transaction>> {
    let hash = arguments.next()?;
    match find::transaction(context, hash)? {
        Some((found, position)) => convert::transaction(&found, position, context.base_fee())
            .map(Some)
            .map_err(failure::index),
        None => Ok(context
            .admission
            .mempool
            .get(hash)
            .map(|waiting| convert::pending(&waiting, context.base_fee()))),
    }
}

/// A transaction as it was signed, final or waiting.
pub fn raw_transaction(context: &Context, mut arguments: Arguments) -> Answer<Option<Bytes>> {
    let hash = arguments.next()?;
    Ok(match find::transaction(context, hash)? {
        Some((found, position)) => convert::raw(&found, position),
        None => {
            let waiting = context.admission.mempool.get(hash);
            waiting.map(|waiting| waiting.raw().clone())
        }
    })
}

fn position(arguments: &mut Arguments) -> Answer<usize> {
    let index: U64 = arguments.next()?;
    Ok(index.saturating_to())
}

fn placed(context: &Context, id: BlockId, mut arguments: Arguments) -> Answer<Option<Transaction>> {
    let position = position(&mut arguments)?;
    find::block(context, id)?
        .filter(|found| position < found.block.transactions.len())
        .map(|found| convert::transaction(&found, position, context.base_fee()))
        .transpose()
        .map_err(failure::index)
}

fn placed_raw(context: &Context, id: BlockId, mut arguments: Arguments) -> Answer<Option<Bytes>> {
    let position = position(&mut arguments)?;
    let found = find::block(context, id)?;
    Ok(found.and_then(|found| convert::raw(&found, position)))
}

fn receipt(context: &Context, hash: B256) -> Answer<Option<TransactionReceipt>> {
    find::transaction(context, hash)?
        .map(|(found, position)| convert::receipt(&found, position, context.base_fee()))
        .transpose()
        .map_err(failure::index)
}

async fn send(context: Arc<Context>, mut arguments: Arguments) -> Answer<B256> {
    let raw: Bytes = arguments.next()?;
    context.admission.submit(raw.0).await
}

async fn send_and_wait(
    context: Arc<Context>,
    mut arguments: Arguments,
) -> Answer<TransactionReceipt> {
    let raw: Bytes = arguments.next()?;
    let wait = arguments
        .optional::<U64>()?
        .map_or(SYNC_WAIT, |asked| Duration::from_millis(asked.to()))
        .min(MAX_SYNC_WAIT);
    let hash = context.admission.submit(raw.0).await?;
    timeout(wait, included(context, hash))
        .await
        .unwrap_or_else(|_| {
            let text = format!(
                "The transaction was added to the mempool but wasn't processed in {} ms.",
                wait.as_millis()
            );
            Err(failure::coded(NOT_IN_TIME, text, hash))
        })
}

/// Waits until a transaction is final.
async fn included(context: Arc<Context>, hash: B256) -> Answer<TransactionReceipt> {
    let mut tips = context.reads.tip.clone();
    loop {
        tips.borrow_and_update();
        let asked = Arc::clone(&context);
        let found = tokio::task::spawn_blocking(move || receipt(&asked, hash)).await;
        if let Some(receipt) = found.map_err(|error| failure::internal(&error))?? {
            return Ok(receipt);
        }
        if tips.changed().await.is_err() {
            return Err(failure::refused("this node is stopping"));
        }
    }
}
