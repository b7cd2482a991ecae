//! What a node answers while it has no state: who it is and how far it is.
//!
//! It stands in for the full set of methods until the state is there and the first final block was
//! executed on it. Whatever needs a state is refused with a sentence.

use crate::{failure, methods::METHODS, net, own};
use alloy::primitives::U64;
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::ErrorObjectOwned};
use mileverse_consensus::sync::Progress;
use mileverse_primitives::{
    B256, Bytes,
    genesis::Genesis,
    rpc::{Status, SyncPhase},
};

type Answer<T> = Result<T, ErrorObjectOwned>;

/// A node without a state.
pub struct Waiting {
    /// The network.
    pub genesis: Genesis,
    /// Its hash.
    pub genesis_hash: B256,
    /// The group key as Ethereum takes it.
    pub group_key: Bytes,
    /// This node.
    pub validator: B256,
    /// How far it is.
    pub progress: Progress,
}

/// Adds the methods.
pub fn register(module: &mut RpcModule<Waiting>) -> Result<(), RegisterMethodError> {
    module.register_method("web3_clientVersion", |_, _, _| net::CLIENT)?;
    module.register_method("net_version", |_, waiting, _| {
        waiting.genesis.chain_id.to_string()
    })?;
    module.register_method("net_listening", |_, _, _| true)?;
    module.register_method("eth_chainId", |_, waiting, _| {
        Answer::Ok(U64::from(waiting.genesis.chain_id))
    })?;
    module.register_method("eth_blockNumber", |_, _, _| Answer::Ok(U64::ZERO))?;
    module.register_method("eth_syncing", |_, waiting, _| {
        let shown = waiting.progress.now();
        serde_json::json!({
            "startingBlock": U64::ZERO,
            "currentBlock": U64::ZERO,
            "highestBlock": U64::from(shown.target_height.unwrap_or_default()),
            "phase": shown.phase,
            "operations": shown.operations,
            "of": shown.of,
        })
    })?;
    module.register_method("mileverse_chain", |_, waiting, _| {
        Answer::Ok(own::chain(
            &waiting.genesis,
            waiting.genesis_hash,
            &waiting.group_key,
        ))
    })?;
    module.register_method("mileverse_status", |_, waiting, _| {
        Answer::Ok(status(waiting))
    })?;
    let answered: Vec<&str> = module.method_names().collect();
    for (method, _) in METHODS.iter().filter(|(name, _)| !answered.contains(name)) {
        module.register_method(method, |_, waiting, _| Answer::<()>::Err(refusal(waiting)))?;
    }
    Ok(())
}

fn status(waiting: &Waiting) -> Status {
    Status {
        height: 0,
        digest: B256::ZERO,
        timestamp_ms: waiting.genesis.timestamp_ms,
        peers: 0,
        ethereum_checkpoint: 0,
        validator: waiting.validator,
        first_height: None,
        sync: waiting.progress.now(),
    }
}

fn refusal(waiting: &Waiting) -> ErrorObjectOwned {
    let shown = waiting.progress.now();
    failure::refused(match shown.phase {
        SyncPhase::Discovering => {
            "this node is new and looks for a final block to start from; ask again later".to_owned()
        }
        SyncPhase::Syncing => format!(
            "this node fetches the state, {} of {} operations so far; ask again later",
            shown.operations, shown.of
        ),
        SyncPhase::Following => {
            "this node has the state and waits for the next final block; ask again".to_owned()
        }
    })
}
