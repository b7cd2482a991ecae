//! Blocks, headers, and uncles, of which there are none.

use crate::{
    arguments::Arguments,
    context::Context,
    convert, failure, find,
    register::{Answer, disk},
};
use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::U64,
    rpc::types::{Block, Header, TransactionReceipt},
};
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use mileverse_primitives::B256;

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    disk(module, "eth_getBlockByNumber", |context, mut arguments| {
        block(context, number(&mut arguments)?, arguments)
    })?;
    disk(module, "eth_getBlockByHash", |context, mut arguments| {
        block(context, hash(&mut arguments)?, arguments)
    })?;
    disk(module, "eth_getHeaderByNumber", |context, mut arguments| {
        header(context, number(&mut arguments)?)
    })?;
    disk(module, "eth_getHeaderByHash", |context, mut arguments| {
        header(context, hash(&mut arguments)?)
    })?;
    disk(module, "eth_getBlockReceipts", |context, mut arguments| {
        receipts(context, arguments.next()?)
    })?;
    disk(
        module,
        "eth_getBlockTransactionCountByNumber",
        |context, mut arguments| count(context, number(&mut arguments)?),
    )?;
    disk(
        module,
        "eth_getBlockTransactionCountByHash",
        |context, mut arguments| count(context, hash(&mut arguments)?),
    )?;
    disk(
        module,
        "eth_getUncleCountByBlockNumber",
        |context, mut arguments| uncles(context, number(&mut arguments)?),
    )?;
    disk(
        module,
        "eth_getUncleCountByBlockHash",
        |context, mut arguments| uncles(context, hash(&mut arguments)?),
    )?;
    disk(
        module,
        "eth_getUncleByBlockNumberAndIndex",
        |_, mut arguments| no_uncle(number(&mut arguments)?, arguments),
    )?;
    disk(
        module,
        "eth_getUncleByBlockHashAndIndex",
        |_, mut arguments| no_uncle(hash(&mut arguments)?, arguments),
    )
}

/// A block named by its number or a tag.
pub(super) fn number(arguments: &mut Arguments) -> Answer<BlockId> {
    arguments.next::<BlockNumberOrTag>().map(BlockId::Number)
}

/// A block named by its hash.
pub(super) fn hash(arguments: &mut Arguments) -> Answer<BlockId> {
    arguments
        .next::<B256>()
        .map(|hash| BlockId::Hash(hash.into()))
}

fn block(context: &Context, id: BlockId, mut arguments: Arguments) -> Answer<Option<Block>> {
    let full = arguments.optional()?.unwrap_or_default();
    find::block(context, id)?
        .map(|found| convert::block(&found, full, context.base_fee()))
        .transpose()
        .map_err(failure::index)
}

fn header(context: &Context, id: BlockId) -> Answer<Option<Header>> {
    let found = find::block(context, id)?;
    Ok(found.map(|found| convert::header(&found.block, found.digest, context.base_fee())))
}

fn receipts(context: &Context, id: BlockId) -> Answer<Option<Vec<TransactionReceipt>>> {
    find::block(context, id)?
        .map(|found| convert::receipts(&found, context.base_fee()))
        .transpose()
        .map_err(failure::index)
}

fn count(context: &Context, id: BlockId) -> Answer<Option<U64>> {
    let found = find::block(context, id)?;
    Ok(found.map(|found| U64::from(found.block.transactions.len())))
}

fn uncles(context: &Context, id: BlockId) -> Answer<Option<U64>> {
    Ok(find::place(context, id)?.map(|_| U64::ZERO))
}

fn no_uncle(_: BlockId, mut arguments: Arguments) -> Answer<Option<Block>> {
    arguments.next::<U64>()?;
    Ok(None)
}
