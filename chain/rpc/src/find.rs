//! Which block a request means, and what is known of it.
//!
//! `latest`, `safe` and `finalized` name the newest final block: it cannot be taken back. `pending`
//! names it too, but for calls, which then run in the block that would come next. Block 0 stands in
//! no index and is answered from the genesis.

use crate::{context::Context, failure, register::Answer};
use alloy::eips::{BlockId, BlockNumberOrTag, RpcBlockHash};
use mileverse_consensus::{
    block::Block,
    index::{IndexError, Results},
};
use mileverse_execution::BlockInput;
use mileverse_primitives::{B256, address::STAKING, header::Header};

/// A block whose header and results are at hand.
pub struct Found {
    /// The block.
    pub block: Block,
    /// Its digest.
    pub digest: B256,
    /// What it did.
    pub results: Results,
}

/// The height that a number or tag names, not above the newest block but for a number.
pub fn height(context: &Context, tag: BlockNumberOrTag) -> u64 {
    match tag {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        _ => context.reads.tip().header.height,
    }
}

/// The height of the block that is meant; `None` if there is no such block here.
pub fn place(context: &Context, id: BlockId) -> Answer<Option<u64>> {
    let tip = context.reads.tip().header.height;
    let height = match id {
        BlockId::Number(tag) => Some(height(context, tag)),
        BlockId::Hash(RpcBlockHash { block_hash, .. }) => of_digest(context, block_hash)?,
    };
    // A block is shown once it is the tip or below, so that state and blocks agree.
    Ok(height.filter(|height| *height <= tip))
}

fn of_digest(context: &Context, digest: B256) -> Answer<Option<u64>> {
    if digest == context.genesis_block.header.digest() {
        return Ok(Some(0));
    }
    context.index.height_of(digest).map_err(failure::index)
}

/// The same where there must be one; the newest if none is named.
pub fn state(context: &Context, id: Option<BlockId>) -> Answer<u64> {
    place(context, id.unwrap_or_default())?.ok_or_else(|| failure::refused("header not found"))
}

/// The block that is meant, if it is here.
pub fn block(context: &Context, id: BlockId) -> Answer<Option<Found>> {
    place(context, id)?.map_or(Ok(None), |height| at(context, height))
}

/// The block at a height that is not above the tip.
pub fn at(context: &Context, height: u64) -> Answer<Option<Found>> {
    if height == 0 {
        let block = context.genesis_block.clone();
        let results = Results {
            outbox_size: 0,
            outbox_tree: B256::ZERO,
            receipts: Vec::new(),
        };
        return Ok(Some(Found {
            digest: block.header.digest(),
            block,
            results,
        }));
    }
    let block = context.index.block(height).map_err(failure::index)?;
    let results = context.index.results(height).map_err(failure::index)?;
    match (block, results) {
        (Some(block), Some(results)) if block.transactions.len() == results.receipts.len() => {
            Ok(Some(Found {
                digest: block.header.digest(),
                block,
                results,
            }))
        }
        (None, None) => Ok(None),
        _ => Err(failure::index(IndexError::Damaged("results"))),
    }
}

/// The block in which a transaction stands, and where in it.
pub fn transaction(context: &Context, hash: B256) -> Answer<Option<(Found, usize)>> {
    let Some((height, position)) = context.index.transaction(hash).map_err(failure::index)? else {
        return Ok(None);
    };
    if height > context.reads.tip().header.height {
        return Ok(None);
    }
    let position = usize::try_from(position).map_err(|error| failure::internal(&error))?;
    let found = at(context, height)?;
    Ok(found.map(|found| (found, position)))
}

/// What the block after this one is executed with, as far as that can be known.
pub fn next_block(header: &Header, digest: B256) -> BlockInput {
    BlockInput {
        height: header.height.saturating_add(1),
        timestamp_ms: header.timestamp_ms,
        gas_limit: header.gas_limit,
        parent: digest,
        beneficiary: STAKING,
        // The state has it already.
        checkpoint: None,
        turn: header.turn,
        attestations: Vec::new(),
        next_epoch: None,
        new_key: None,
    }
}

/// The header and digest of the block that is meant; the newest if none is named.
pub fn header(context: &Context, id: Option<BlockId>) -> Answer<(Header, B256)> {
    let height = state(context, id)?;
    let tip = context.reads.tip();
    if tip.header.height == height {
        return Ok((tip.header, tip.digest));
    }
    let found = at(context, height)?.ok_or_else(|| failure::refused("header not found"))?;
    Ok((found.block.header, found.digest))
}

/// The height whose state a call sees, and the block that it runs in: the named one itself, or for
/// `pending` the one that would come next.
pub fn scene(context: &Context, id: Option<BlockId>) -> Answer<(u64, BlockInput)> {
    let (header, digest) = header(context, id)?;
    let mut block = next_block(&header, digest);
    if id != Some(BlockId::pending()) {
        block.height = header.height;
        block.parent = header.parent;
    }
    Ok((header.height, block))
}
