//! An Ethereum endpoint for the measured validators, so that what asking it costs them is counted.
//!
//! It knows two methods, and finalizes a block every twelve seconds.

use super::files::ETHEREUM_CHAIN_ID;
use crate::error::Error;
use alloy::primitives::{B256, U64, keccak256};
use jsonrpsee::{
    RpcModule,
    server::{Server, ServerHandle},
};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const SECONDS_PER_BLOCK: u64 = 12;
const ZERO_ADDRESS: &str = "0x0000000000000000000000000000000000000000";

/// A running endpoint; it ends when dropped.
pub struct Ethereum {
    /// Where it is.
    pub url: String,
    _server: ServerHandle,
}

impl Ethereum {
    /// Starts on a free port of the loopback.
    pub async fn start() -> Result<Self, Error> {
        let failed = |reason: String| Error::Setup(format!("the bench's Ethereum: {reason}"));
        let server = Server::builder()
            .build("127.0.0.1:0")
            .await
            .map_err(|error| failed(error.to_string()))?;
        let address = server
            .local_addr()
            .map_err(|error| failed(error.to_string()))?;
        let mut module = RpcModule::new(());
        module
            .register_method("eth_chainId", |_, (), _| format!("{ETHEREUM_CHAIN_ID:#x}"))
            .map_err(|error| failed(error.to_string()))?;
        module
            .register_method("eth_getBlockByNumber", |params, (), _| {
                let newest = newest();
                let asked: Option<Value> = params.sequence().next().ok();
                let number = asked
                    .and_then(|asked| serde_json::from_value::<U64>(asked).ok())
                    .map_or(newest, |number| number.to::<u64>());
                (number <= newest).then(|| block(number))
            })
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            url: format!("http://{address}"),
            _server: server.start(module),
        })
    }
}

fn newest() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs() / SECONDS_PER_BLOCK
}

/// A block of Ethereum as far as the validators look at it.
fn block(number: u64) -> Value {
    let word = |name: &str| keccak256([name.as_bytes(), &number.to_be_bytes()].concat());
    let zero = B256::ZERO;
    json!({
        "number": U64::from(number),
        "hash": word("hash"),
        "parentHash": zero,
        "stateRoot": word("state"),
        "timestamp": U64::from(number.saturating_mul(SECONDS_PER_BLOCK)),
        "sha3Uncles": zero,
        "miner": ZERO_ADDRESS,
        "transactionsRoot": zero,
        "receiptsRoot": zero,
        "logsBloom": format!("0x{}", "00".repeat(256)),
        "difficulty": "0x0",
        "gasLimit": "0x1c9c380",
        "gasUsed": "0x0",
        "extraData": "0x",
        "mixHash": zero,
        "nonce": "0x0000000000000000",
        "size": "0x0",
        "uncles": [],
        "transactions": [],
    })
}
