//! The chain and this node; and what neither has.

use crate::{
    arguments::Arguments,
    context::Context,
    failure,
    register::{Answer, disk, quick},
};
use alloy::{eips::eip2124::ForkHash, primitives::U64};
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use mileverse_consensus::index::Retention;
use mileverse_execution::Executor;
use mileverse_primitives::{
    Address, Bytes,
    address::{ALL, NAMES, STAKING},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    quick(module, "eth_chainId", |context, _| {
        Ok(U64::from(context.genesis.chain_id))
    })?;
    quick(module, "eth_blockNumber", |context, _| {
        Ok(U64::from(context.reads.tip().header.height))
    })?;
    // Whoever answers these methods has the state already.
    quick(module, "eth_syncing", |_, _| Ok(false))?;
    // Who receives the fees of every block, as COINBASE says.
    quick(module, "eth_coinbase", |_, _| Ok(STAKING))?;
    disk(module, "eth_capabilities", capabilities)?;
    quick(module, "eth_config", config)?;
    quick(module, "eth_accounts", |_, _| Ok(Vec::<Address>::new()))?;
    quick(module, "eth_blobBaseFee", |_, _| no_blobs())?;
    quick(module, "eth_getProof", |_, _| no_proof())?;
    for method in [
        "eth_sendTransaction",
        "eth_sign",
        "eth_signTransaction",
        "eth_signTypedData_v4",
    ] {
        quick(module, method, no_keys)?;
    }
    Ok(())
}

/// The rules in force (EIP-7910). All there are began with block 0, so there is no other configuration,
/// and the fork's hash (EIP-6122) is that of block 0 alone. There are no blobs.
fn config(context: &Context, _: Arguments) -> Answer<Value> {
    let genesis = &context.genesis_block;
    let system: BTreeMap<_, _> = NAMES.into_iter().zip(ALL).collect();
    let precompiles: BTreeMap<_, _> = Executor::precompiles().into_iter().collect();
    let current = json!({
        "activationTime": genesis.header.timestamp_ms / 1_000,
        "blobSchedule": { "target": 0, "max": 0, "baseFeeUpdateFraction": 0 },
        "chainId": U64::from(context.genesis.chain_id),
        "forkId": Bytes::from(ForkHash::from(genesis.header.digest()).0),
        "precompiles": precompiles,
        "systemContracts": system,
    });
    Ok(json!({ "current": current, "next": null, "last": null }))
}

/// What this node can tell of the past.
fn capabilities(context: &Context, _: Arguments) -> Answer<Value> {
    let tip = context.reads.tip();
    let first = context.index.first().map_err(failure::index)?;
    let history = context.index.history().map_err(failure::index)?;
    // Blocks from this node's first on are never let go of, and block 0 is known to all.
    let oldest = first.filter(|first| *first > 1).unwrap_or_default();
    let blocks = json!({ "disabled": false, "oldestBlock": U64::from(oldest) });
    let mut state = json!({ "disabled": false, "oldestBlock": U64::from(history.first()) });
    if let (Retention::Recent(blocks), Some(fields)) =
        (context.index.retention(), state.as_object_mut())
    {
        let window = json!({ "type": "window", "retentionBlocks": U64::from(blocks) });
        fields.insert("deleteStrategy".into(), window);
    }
    Ok(json!({
        "head": { "number": U64::from(tip.header.height), "hash": tip.digest },
        "state": state,
        "tx": blocks,
        "logs": blocks,
        "receipts": blocks,
        "blocks": blocks,
        // The state is no Merkle-Patricia trie.
        "stateproofs": { "disabled": true },
    }))
}

fn no_blobs() -> Answer<()> {
    Err(failure::unsupported("this chain has no blobs"))
}

fn no_proof() -> Answer<()> {
    Err(failure::unsupported(
        "the state of this chain is no Merkle-Patricia trie, so eth_getProof is not offered; mileverse_stateProof proves what stands in the state, and mileverse_outboxProof what leaves the chain",
    ))
}

fn no_keys(_: &Context, _: Arguments) -> Answer<()> {
    Err(failure::unsupported(
        "this node holds no keys of users; sign in a wallet and send with eth_sendRawTransaction",
    ))
}
