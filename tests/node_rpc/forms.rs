//! Blocks, transactions and receipts as the specification wants them.

use super::{
    asking::{has, is, issued, refusal, result},
    node::Node,
};
use alloy::primitives::{B256, hex, keccak256};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn blocks_transactions_and_receipts_have_the_specifications_form() {
    let node = Node::start().await;
    let receipt = issued(&node, "form").await;
    let (number, block_hash, hash) = (
        &receipt["blockNumber"],
        &receipt["blockHash"],
        &receipt["transactionHash"],
    );
    has(&receipt, "hash", &["transactionHash", "blockHash"]);
    has(&receipt, "address", &["from", "to"]);
    has(&receipt, "bloom", &["logsBloom"]);
    has(&receipt, "null", &["contractAddress"]);
    let quantities = [
        "transactionIndex",
        "blockNumber",
        "gasUsed",
        "cumulativeGasUsed",
        "effectiveGasPrice",
        "status",
        "type",
    ];
    has(&receipt, "quantity", &quantities);
    let logs = receipt["logs"].as_array().unwrap();
    assert_eq!(logs.len(), 2);
    for (index, log) in logs.iter().enumerate() {
        has(log, "hash", &["transactionHash", "blockHash"]);
        has(
            log,
            "quantity",
            &[
                "blockNumber",
                "transactionIndex",
                "logIndex",
                "blockTimestamp",
            ],
        );
        has(log, "bytes", &["data"]);
        assert_eq!(log["logIndex"], format!("{index:#x}"));
        assert_eq!(log["removed"], false);
    }

    let full = result(&node, "eth_getBlockByNumber", json!([number, true])).await;
    let by_hash = result(&node, "eth_getBlockByHash", json!([block_hash, false])).await;
    let hashes = [
        "hash",
        "parentHash",
        "sha3Uncles",
        "stateRoot",
        "transactionsRoot",
        "receiptsRoot",
        "mixHash",
    ];
    let quantities = [
        "number",
        "gasLimit",
        "gasUsed",
        "timestamp",
        "size",
        "baseFeePerGas",
        "difficulty",
    ];
    for block in [&full, &by_hash] {
        has(block, "hash", &hashes);
        has(block, "quantity", &quantities);
        has(block, "address", &["miner"]);
        has(block, "bloom", &["logsBloom"]);
        has(block, "bytes", &["extraData", "nonce"]);
        assert_eq!(block["uncles"], json!([]));
        assert_eq!(block["hash"], *block_hash);
    }
    assert_eq!(by_hash["transactions"], json!([hash]));
    let transaction = &full["transactions"][0];
    has(transaction, "hash", &["hash", "blockHash"]);
    has(
        transaction,
        "quantity",
        &["nonce", "value", "gas", "gasPrice", "type", "v", "chainId"],
    );
    for (method, params) in [
        ("eth_getTransactionByHash", json!([hash])),
        (
            "eth_getTransactionByBlockHashAndIndex",
            json!([block_hash, "0x0"]),
        ),
        (
            "eth_getTransactionByBlockNumberAndIndex",
            json!([number, "0x0"]),
        ),
    ] {
        assert_eq!(result(&node, method, params).await, *transaction);
    }
    let receipts = result(&node, "eth_getBlockReceipts", json!([number])).await;
    assert_eq!(receipts, json!([receipt]));
    let raw = result(&node, "eth_getRawTransactionByHash", json!([hash])).await;
    let bytes = hex::decode(raw.as_str().unwrap()).unwrap();
    assert_eq!(json!(keccak256(bytes)), *hash);
    for (method, params) in [
        ("debug_getRawTransaction", json!([hash])),
        (
            "eth_getRawTransactionByBlockHashAndIndex",
            json!([block_hash, "0x0"]),
        ),
        (
            "eth_getRawTransactionByBlockNumberAndIndex",
            json!([number, "0x0"]),
        ),
    ] {
        assert_eq!(result(&node, method, params).await, raw);
    }
    for (method, place) in [
        ("eth_getBlockTransactionCountByNumber", number),
        ("eth_getBlockTransactionCountByHash", block_hash),
    ] {
        assert_eq!(result(&node, method, json!([place])).await, "0x1");
    }

    // What is not there is null; what there never is, is empty.
    let nowhere = B256::repeat_byte(9);
    for (method, params) in [
        ("eth_getBlockByHash", json!([nowhere, false])),
        ("eth_getBlockByNumber", json!(["0xffffffff", false])),
        ("eth_getHeaderByNumber", json!(["0xffffffff"])),
        ("eth_getBlockReceipts", json!(["0xffffffff"])),
        ("eth_getTransactionByHash", json!([nowhere])),
        ("eth_getTransactionReceipt", json!([nowhere])),
        (
            "eth_getTransactionByBlockHashAndIndex",
            json!([block_hash, "0x7"]),
        ),
        ("eth_getBlockTransactionCountByHash", json!([nowhere])),
        (
            "eth_getUncleByBlockHashAndIndex",
            json!([block_hash, "0x0"]),
        ),
        ("eth_getUncleCountByBlockHash", json!([nowhere])),
    ] {
        assert!(result(&node, method, params).await.is_null(), "{method}");
    }
    assert_eq!(
        result(&node, "eth_getUncleCountByBlockNumber", json!([number])).await,
        "0x0"
    );

    // Tags.
    let genesis = result(&node, "eth_getBlockByNumber", json!(["earliest", true])).await;
    assert_eq!(
        (&genesis["number"], &genesis["transactions"]),
        (&json!("0x0"), &json!([]))
    );
    let first = result(&node, "eth_getHeaderByNumber", json!(["0x1"])).await;
    assert_eq!(first["parentHash"], genesis["hash"]);
    assert_eq!(
        result(&node, "eth_getHeaderByHash", json!([genesis["hash"]])).await["number"],
        "0x0"
    );
    for tag in ["latest", "safe", "finalized", "pending"] {
        let block = result(&node, "eth_getBlockByNumber", json!([tag, false])).await;
        assert!(is(&block["number"], "quantity"), "{tag}");
    }
    let fees = result(&node, "eth_feeHistory", json!(["0x5", "latest", [10, 90]])).await;
    assert_eq!(
        fees["baseFeePerGas"].as_array().unwrap().len(),
        fees["gasUsedRatio"].as_array().unwrap().len() + 1
    );
    assert_eq!(fees["reward"][0].as_array().unwrap().len(), 2);
    assert_eq!(
        refusal(&node, "eth_feeHistory", json!(["0x1", "latest", [9, 1]]))
            .await
            .0,
        -32602
    );
}
