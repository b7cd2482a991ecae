//! `eth_`, `net_` and `web3_`: what wallets, alloy, `cast` and ethers ask.

use crate::{
    context::Context,
    convert::{self, Found},
    failure,
};
use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    primitives::{TxKind, U64},
    rpc::types::{
        Block, FeeHistory, Filter, FilterBlockOption, Log, Transaction, TransactionReceipt,
        TransactionRequest,
    },
};
use jsonrpsee::{
    RpcModule,
    core::RegisterMethodError,
    types::{ErrorObjectOwned, Params},
};
use mileverse_execution::{CallOutcome, CallRequest, EstimateOutcome};
use mileverse_primitives::{Address, B256, Bytes, U256};
use std::sync::Arc;

/// Most blocks that one `eth_getLogs` looks at.
const MAX_LOG_BLOCKS: u64 = 10_000;
/// Most logs that one answer holds.
const MAX_LOGS: usize = 10_000;
/// Most blocks that `eth_feeHistory` reports on.
const MAX_FEE_BLOCKS: u64 = 1024;

type Answer<T> = Result<T, ErrorObjectOwned>;

/// Adds the methods.
pub fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    module.register_method("web3_clientVersion", |_, _, _| {
        concat!("mileverse/v", env!("CARGO_PKG_VERSION"))
    })?;
    module.register_method("net_version", |_, context, _| {
        context.genesis.chain_id.to_string()
    })?;
    module.register_method("net_listening", |_, _, _| true)?;
    module.register_method("eth_chainId", |_, context, _| {
        Answer::Ok(U64::from(context.genesis.chain_id))
    })?;
    module.register_method("eth_syncing", |_, _, _| false)?;
    module.register_method("eth_accounts", |_, _, _| Vec::<Address>::new())?;
    module.register_method("eth_gasPrice", |_, _, _| Answer::Ok(U256::ZERO))?;
    module.register_method("eth_maxPriorityFeePerGas", |_, _, _| Answer::Ok(U256::ZERO))?;
    module.register_method("eth_blockNumber", |_, context, _| {
        Answer::Ok(U64::from(context.reads.tip().header.height))
    })?;
    module.register_method("eth_feeHistory", |params, context, _| {
        fee_history(&params, context)
    })?;

    module.register_async_method("eth_getBalance", |params, context, _| async move {
        let (address, _) = at_newest::<Address>(&params, &context)?;
        context
            .reads
            .account(address)
            .await
            .map(|account| account.balance)
    })?;
    module.register_async_method("eth_getTransactionCount", |params, context, _| async move {
        let (address, block) = at_newest::<Address>(&params, &context)?;
        let account = context.reads.account(address).await?;
        Answer::Ok(U64::from(if block == Some(BlockId::pending()) {
            context.admission.mempool.next_nonce(address, account.nonce)
        } else {
            account.nonce
        }))
    })?;
    module.register_async_method("eth_getCode", |params, context, _| async move {
        let (address, _) = at_newest::<Address>(&params, &context)?;
        context.reads.code(address).await
    })?;
    module.register_async_method("eth_getStorageAt", |params, context, _| async move {
        let mut sequence = params.sequence();
        let (address, slot): (Address, U256) = (sequence.next()?, sequence.next()?);
        newest_only(sequence.optional_next()?, &context)?;
        context.reads.storage(address, slot.into()).await
    })?;
    module.register_async_method("eth_call", |params, context, _| async move {
        let (request, _) = at_newest::<TransactionRequest>(&params, &context)?;
        call(&context, request).await
    })?;
    module.register_async_method("eth_estimateGas", |params, context, _| async move {
        let (request, _) = at_newest::<TransactionRequest>(&params, &context)?;
        estimate(&context, request).await
    })?;
    module.register_async_method("eth_sendRawTransaction", |params, context, _| async move {
        let raw: Bytes = params.one()?;
        context.admission.submit(raw.0).await
    })?;

    // These read the index from disk, some of them for long: not on the threads of consensus.
    module.register_blocking_method("eth_getBlockByNumber", |params, context, _| {
        let mut sequence = params.sequence();
        let (tag, full): (BlockNumberOrTag, Option<bool>) =
            (sequence.next()?, sequence.optional_next()?);
        block(&context, BlockId::Number(tag), full.unwrap_or_default())
    })?;
    module.register_blocking_method("eth_getBlockByHash", |params, context, _| {
        let mut sequence = params.sequence();
        let (hash, full): (B256, Option<bool>) = (sequence.next()?, sequence.optional_next()?);
        block(
            &context,
            BlockId::Hash(hash.into()),
            full.unwrap_or_default(),
        )
    })?;
    module.register_blocking_method(
        "eth_getBlockTransactionCountByNumber",
        |params, context, _| count(&context, BlockId::Number(params.one()?)),
    )?;
    module.register_blocking_method(
        "eth_getBlockTransactionCountByHash",
        |params, context, _| count(&context, BlockId::Hash(params.one::<B256>()?.into())),
    )?;
    module.register_blocking_method("eth_getBlockReceipts", |params, context, _| {
        receipts(&context, params.one()?)
    })?;
    module.register_blocking_method("eth_getTransactionByHash", |params, context, _| {
        transaction(&context, params.one()?)
    })?;
    module.register_blocking_method("eth_getTransactionReceipt", |params, context, _| {
        receipt(&context, params.one()?)
    })?;
    module.register_blocking_method("eth_getLogs", |params, context, _| {
        logs(&context, &params.one()?)
    })?;
    Ok(())
}

/// The first parameter, and the block that the second names; refuses any but the newest.
fn at_newest<T: serde::de::DeserializeOwned>(
    params: &Params<'_>,
    context: &Context,
) -> Answer<(T, Option<BlockId>)> {
    let mut sequence = params.sequence();
    let first = sequence.next()?;
    let block = sequence.optional_next()?;
    newest_only(block, context)?;
    Ok((first, block))
}

fn newest_only(block: Option<BlockId>, context: &Context) -> Answer<()> {
    let tip = context.reads.tip();
    match block {
        None
        | Some(BlockId::Number(
            BlockNumberOrTag::Latest
            | BlockNumberOrTag::Pending
            | BlockNumberOrTag::Safe
            | BlockNumberOrTag::Finalized,
        )) => Ok(()),
        Some(BlockId::Number(BlockNumberOrTag::Number(number))) if number == tip.header.height => {
            Ok(())
        }
        Some(BlockId::Hash(hash)) if hash.block_hash == tip.digest => Ok(()),
        Some(_) => Err(failure::refused(
            "only the newest state is kept here; ask with the block tag \"latest\"",
        )),
    }
}

fn fee_history(params: &Params<'_>, context: &Context) -> Answer<FeeHistory> {
    let mut sequence = params.sequence();
    let (count, newest): (U64, BlockNumberOrTag) = (sequence.next()?, sequence.next()?);
    let percentiles: Option<Vec<f64>> = sequence.optional_next()?;
    if percentiles.as_ref().is_some_and(|asked| asked.len() > 100) {
        return Err(failure::invalid("at most 100 percentiles"));
    }
    let newest = height(context, newest);
    let count = count
        .to::<u64>()
        .clamp(1, MAX_FEE_BLOCKS)
        .min(newest.saturating_add(1));
    let blocks = usize::try_from(count).unwrap_or(usize::MAX);
    Ok(FeeHistory {
        base_fee_per_gas: vec![0; blocks.saturating_add(1)],
        gas_used_ratio: vec![0.0; blocks],
        base_fee_per_blob_gas: vec![0; blocks.saturating_add(1)],
        blob_gas_used_ratio: vec![0.0; blocks],
        oldest_block: newest.saturating_add(1).saturating_sub(count),
        reward: percentiles.map(|asked| vec![vec![0; asked.len()]; blocks]),
    })
}

fn height(context: &Context, tag: BlockNumberOrTag) -> u64 {
    let tip = context.reads.tip().header.height;
    match tag {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        _ => tip,
    }
}

fn find(context: &Context, id: BlockId) -> Answer<Option<Found>> {
    let height = match id {
        BlockId::Number(tag) => Some(height(context, tag)),
        BlockId::Hash(hash) => context
            .index
            .height_of(hash.block_hash)
            .map_err(failure::index)?,
    };
    let Some(height) = height else {
        return Ok(None);
    };
    at_height(context, height)
}

fn at_height(context: &Context, height: u64) -> Answer<Option<Found>> {
    // A block is shown once it is the tip or below, so that state and blocks agree.
    if height > context.reads.tip().header.height {
        return Ok(None);
    }
    let block = context.index.block(height).map_err(failure::index)?;
    let results = context.index.results(height).map_err(failure::index)?;
    Ok(block.zip(results).map(|(block, results)| Found {
        digest: block.header.digest(),
        block,
        results,
    }))
}

fn placed(context: &Context, hash: B256) -> Answer<Option<(Found, usize)>> {
    let Some((height, position)) = context.index.transaction(hash).map_err(failure::index)? else {
        return Ok(None);
    };
    let position = usize::try_from(position).map_err(|error| failure::internal(&error))?;
    Ok(at_height(context, height)?.map(|found| (found, position)))
}

fn block(context: &Context, id: BlockId, full: bool) -> Answer<Option<Block>> {
    find(context, id)?
        .map(|found| convert::block(&found, full, context.genesis.chain_id))
        .transpose()
        .map_err(failure::index)
}

fn count(context: &Context, id: BlockId) -> Answer<Option<U64>> {
    Ok(find(context, id)?.map(|found| U64::from(found.results.receipts.len())))
}

fn receipts(context: &Context, id: BlockId) -> Answer<Option<Vec<TransactionReceipt>>> {
    find(context, id)?
        .map(|found| {
            (0..found.results.receipts.len())
                .map(|position| convert::receipt(&found, position))
                .collect()
        })
        .transpose()
        .map_err(failure::index)
}

fn transaction(context: &Context, hash: B256) -> Answer<Option<Transaction>> {
    match placed(context, hash)? {
        Some((found, position)) => convert::transaction(&found, position, context.genesis.chain_id)
            .map(Some)
            .map_err(failure::index),
        None => Ok(context
            .admission
            .mempool
            .get(hash)
            .map(|waiting| convert::pending(&waiting))),
    }
}

fn receipt(context: &Context, hash: B256) -> Answer<Option<TransactionReceipt>> {
    placed(context, hash)?
        .map(|(found, position)| convert::receipt(&found, position))
        .transpose()
        .map_err(failure::index)
}

fn logs(context: &Context, filter: &Filter) -> Answer<Vec<Log>> {
    let (from, to) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let height = context
                .index
                .height_of(hash)
                .map_err(failure::index)?
                .ok_or_else(|| failure::refused("unknown block"))?;
            (height, height)
        }
        FilterBlockOption::Range {
            from_block,
            to_block,
        } => (
            height(context, from_block.unwrap_or_default()),
            height(context, to_block.unwrap_or_default()),
        ),
    };
    let to = to.min(context.reads.tip().header.height);
    if to.saturating_sub(from) >= MAX_LOG_BLOCKS {
        return Err(failure::refused(format!(
            "a query may span at most {MAX_LOG_BLOCKS} blocks"
        )));
    }
    let mut answer = Vec::new();
    for height in from.max(1)..=to {
        let Some(found) = at_height(context, height)? else {
            continue;
        };
        if !filter.matches_bloom(found.block.header.logs_bloom) {
            continue;
        }
        for position in 0..found.results.receipts.len() {
            answer.extend(
                convert::logs(&found, position)
                    .into_iter()
                    .filter(|log| filter.matches(&log.inner)),
            );
            if answer.len() > MAX_LOGS {
                return Err(failure::refused(format!(
                    "a query may return at most {MAX_LOGS} logs; ask for fewer blocks"
                )));
            }
        }
    }
    Ok(answer)
}

fn request(context: &Context, request: TransactionRequest) -> Answer<CallRequest> {
    let limit = context.genesis.gas_limit;
    let input = request.input.into_input().unwrap_or_default();
    Ok(CallRequest {
        from: request.from.unwrap_or_default(),
        to: match request.to {
            Some(TxKind::Call(to)) => Some(to),
            Some(TxKind::Create) | None => None,
        },
        value: request.value.unwrap_or_default(),
        gas: Some(request.gas.unwrap_or(limit).min(limit)),
        data: input,
        access_list: request.access_list.unwrap_or_default(),
    })
}

async fn call(context: &Arc<Context>, asked: TransactionRequest) -> Answer<Bytes> {
    let request = request(context, asked)?;
    let executor = &context.reads.executor;
    let outcome = context
        .reads
        .simulate(|reader, block| {
            let request = request.clone();
            async move { executor.call(&reader, block, request).await }
        })
        .await?;
    match outcome {
        CallOutcome::Success { output, .. } => Ok(output),
        failed => Err(failure(failed)),
    }
}

fn failure(outcome: CallOutcome) -> ErrorObjectOwned {
    match outcome {
        CallOutcome::Revert { output, .. } => failure::reverted(output),
        CallOutcome::Halt { reason, .. } => failure::refused(reason),
        CallOutcome::Success { .. } => failure::internal(&"a success is no failure"),
    }
}

async fn estimate(context: &Arc<Context>, asked: TransactionRequest) -> Answer<U64> {
    let request = request(context, asked)?;
    let executor = &context.reads.executor;
    let outcome = context
        .reads
        .simulate(|reader, block| {
            let request = request.clone();
            async move { executor.estimate_gas(&reader, block, request).await }
        })
        .await?;
    match outcome {
        EstimateOutcome::Gas(gas) => Ok(U64::from(gas)),
        EstimateOutcome::Failed(outcome) => Err(failure(outcome)),
    }
}
