//! All methods, and what a call of each costs a client.
//!
//! A unit is about what a look into memory costs. A client has so many units a second
//! ([`Limits`](crate::Limits)).

/// A look into memory.
const LOOK: u32 = 1;
/// A read from the disk.
const READ: u32 = 2;
/// A run of the EVM.
const RUN: u32 = 10;
/// A search through many blocks.
const SEARCH: u32 = 20;
/// A run of the EVM that tells every step.
const TRACE: u32 = 100;

/// Every method and its cost, in units.
pub const METHODS: &[(&str, u32)] = &[
    ("debug_getBadBlocks", LOOK),
    ("debug_getRawBlock", LOOK),
    ("debug_getRawHeader", LOOK),
    ("debug_getRawReceipts", LOOK),
    ("debug_getRawTransaction", READ),
    ("debug_traceBlockByHash", TRACE),
    ("debug_traceBlockByNumber", TRACE),
    ("debug_traceCall", TRACE),
    ("debug_traceTransaction", TRACE),
    ("eth_accounts", LOOK),
    ("eth_baseFee", LOOK),
    ("eth_blobBaseFee", LOOK),
    ("eth_blockNumber", LOOK),
    ("eth_call", RUN),
    ("eth_capabilities", READ),
    ("eth_chainId", LOOK),
    ("eth_coinbase", LOOK),
    ("eth_config", LOOK),
    ("eth_createAccessList", RUN),
    ("eth_estimateGas", RUN),
    ("eth_feeHistory", SEARCH),
    ("eth_fillTransaction", RUN),
    ("eth_gasPrice", LOOK),
    ("eth_getBalance", READ),
    ("eth_getBlockByHash", READ),
    ("eth_getBlockByNumber", READ),
    ("eth_getBlockReceipts", READ),
    ("eth_getBlockTransactionCountByHash", READ),
    ("eth_getBlockTransactionCountByNumber", READ),
    ("eth_getCode", READ),
    ("eth_getFilterChanges", SEARCH),
    ("eth_getFilterLogs", SEARCH),
    ("eth_getHeaderByHash", READ),
    ("eth_getHeaderByNumber", READ),
    ("eth_getLogs", SEARCH),
    ("eth_getProof", LOOK),
    ("eth_getRawTransactionByBlockHashAndIndex", READ),
    ("eth_getRawTransactionByBlockNumberAndIndex", READ),
    ("eth_getRawTransactionByHash", READ),
    ("eth_getStorageAt", READ),
    ("eth_getStorageValues", SEARCH),
    ("eth_getTransactionByBlockHashAndIndex", READ),
    ("eth_getTransactionByBlockNumberAndIndex", READ),
    ("eth_getTransactionByHash", READ),
    ("eth_getTransactionCount", READ),
    ("eth_getTransactionReceipt", READ),
    ("eth_getUncleByBlockHashAndIndex", READ),
    ("eth_getUncleByBlockNumberAndIndex", READ),
    ("eth_getUncleCountByBlockHash", READ),
    ("eth_getUncleCountByBlockNumber", READ),
    ("eth_maxPriorityFeePerGas", LOOK),
    ("eth_newBlockFilter", LOOK),
    ("eth_newFilter", LOOK),
    ("eth_newPendingTransactionFilter", LOOK),
    ("eth_sendRawTransaction", READ),
    ("eth_sendRawTransactionSync", READ),
    ("eth_sendTransaction", LOOK),
    ("eth_sign", LOOK),
    ("eth_signTransaction", LOOK),
    ("eth_signTypedData_v4", LOOK),
    ("eth_simulateV1", SEARCH),
    ("eth_subscribe", LOOK),
    ("eth_syncing", LOOK),
    ("eth_uninstallFilter", LOOK),
    ("eth_unsubscribe", LOOK),
    ("mileverse_certificate", READ),
    ("mileverse_chain", LOOK),
    ("mileverse_epoch", READ),
    ("mileverse_evidence", READ),
    ("mileverse_gasQuote", RUN),
    ("mileverse_groupKeys", READ),
    ("mileverse_outboxProof", READ),
    ("mileverse_packets", READ),
    ("mileverse_stateProof", RUN),
    ("mileverse_status", READ),
    ("mileverse_visit", READ),
    ("net_listening", LOOK),
    ("net_peerCount", LOOK),
    ("net_version", LOOK),
    ("txpool_content", SEARCH),
    ("txpool_contentFrom", LOOK),
    ("txpool_inspect", SEARCH),
    ("txpool_status", LOOK),
    ("web3_clientVersion", LOOK),
    ("web3_sha3", LOOK),
];

/// What a call costs, known method or not.
pub fn cost(method: &str) -> u32 {
    METHODS
        .binary_search_by_key(&method, |(name, _)| name)
        .ok()
        .and_then(|at| METHODS.get(at))
        .map_or(LOOK, |(_, cost)| *cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_once_in_order_and_costs_what_it_says() {
        assert!(METHODS.is_sorted_by(|one, next| one.0 < next.0));
        for (name, units) in METHODS {
            assert_eq!(cost(name), *units);
        }
        assert_eq!(cost("eth_nothing"), LOOK);
    }

    #[test]
    fn each_is_documented() {
        let document = include_str!("../../../docs/rpc.md");
        for (name, _) in METHODS {
            assert!(document.contains(&format!("`{name}`")), "{name}");
        }
    }
}
