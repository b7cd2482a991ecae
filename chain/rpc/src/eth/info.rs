//! The chain and this node; and what neither has.

use crate::{
    arguments::Arguments,
    context::Context,
    failure,
    register::{Answer, quick},
};
use alloy::primitives::U64;
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use mileverse_primitives::Address;

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    quick(module, "eth_chainId", |context, _| {
        Ok(U64::from(context.genesis.chain_id))
    })?;
    quick(module, "eth_blockNumber", |context, _| {
        Ok(U64::from(context.reads.tip().header.height))
    })?;
    // Whoever answers these methods has the state already.
    quick(module, "eth_syncing", |_, _| Ok(false))?;
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
