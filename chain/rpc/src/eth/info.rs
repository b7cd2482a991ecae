//! The chain and this node; and what neither has.

use crate::{
    arguments::Arguments,
    context::Context,
    failure,
    register::{Answer, disk, quick},
};
use alloy::primitives::U64;
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use mileverse_consensus::index::Retention;
use mileverse_primitives::{Address, address::STAKING};
use serde_json::{Value, json};

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
        "the state of this chain is no Merkle-Patricia trie, so eth_getProof is not offered; mileverse_certificate and mileverse_outboxProof prove what leaves the chain",
    ))
}

fn no_keys(_: &Context, _: Arguments) -> Answer<()> {
    Err(failure::unsupported(
        "this node holds no keys of users; sign in a wallet and send with eth_sendRawTransaction",
    ))
}
