//! `eth_simulateV1`, as clients ask it.

use super::{
    asking::{has, refusal, result},
    node::Node,
};
use alloy::{
    primitives::{Address, B256, U64, U256, address},
    providers::Provider as _,
    rpc::types::TransactionRequest,
};
use mileverse_primitives::address::POINTS;
use serde_json::{Value, json};

/// Adds one to slot 0 and returns it.
const COUNTER: &str = "0x600054600101806000556000526020 6000f3";

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_calls_are_simulated_as_the_specification_wants_them() {
    let node = Node::start().await;
    let (rich, poor, counter) = (
        Address::repeat_byte(0xc0),
        Address::repeat_byte(0xc1),
        Address::repeat_byte(0xc2),
    );
    let count = json!({ "from": rich, "to": counter });
    let payload = json!({
        "blockStateCalls": [
            {
                "stateOverrides": {
                    rich.to_string(): { "balance": "0x7d0" },
                    counter.to_string(): { "code": COUNTER.replace(' ', "") },
                },
                "calls": [{ "from": rich, "to": poor, "value": "0x3e8" }, count],
            },
            { "blockOverrides": { "number": "0xff", "time": "0x70000000" }, "calls": [count] },
            { "calls": [count, { "from": poor, "to": rich, "data": "0x60006000fd" }] },
        ],
        "traceTransfers": true,
    });
    let short = |payload: &Value, change: Value| {
        let mut payload = payload.clone();
        payload["blockStateCalls"][1]["blockOverrides"] = change;
        json!([payload, "earliest"])
    };
    let told = result(&node, "eth_simulateV1", json!([payload, "earliest"])).await;
    let blocks = told.as_array().unwrap();
    // Those between are told too.
    assert_eq!(blocks.len(), 0x100);
    for (before, block) in blocks.iter().zip(&blocks[1..]) {
        assert_eq!(block["parentHash"], before["hash"]);
        has(
            block,
            "hash",
            &["hash", "stateRoot", "transactionsRoot", "receiptsRoot"],
        );
        has(
            block,
            "quantity",
            &["number", "timestamp", "gasUsed", "gasLimit", "size"],
        );
    }
    let genesis = result(&node, "eth_getBlockByNumber", json!(["0x0", false])).await;
    assert_eq!(blocks[0]["parentHash"], genesis["hash"]);
    let (first, second, third) = (&blocks[0], &blocks[0xfe], &blocks[0xff]);
    assert_eq!(
        (&first["number"], &second["number"]),
        (&json!("0x1"), &json!("0xff"))
    );
    assert_eq!(second["timestamp"], "0x70000000");
    assert_eq!(
        (&third["number"], &third["timestamp"]),
        (&json!("0x100"), &json!("0x70000001"))
    );

    let log = &first["calls"][0]["logs"][0];
    assert_eq!(log["address"], "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
    assert_eq!(log["data"], json!(B256::from(U256::from(1_000))));
    assert_eq!(log["transactionHash"], first["transactions"][0]);
    assert_eq!(log["blockHash"], first["hash"]);
    assert_eq!(
        first["logsBloom"]
            .as_str()
            .unwrap()
            .trim_matches(['0', 'x']),
        ""
    );
    let counted = |block: &Value, at: usize| block["calls"][at]["returnData"].clone();
    assert_eq!(counted(first, 1), json!(B256::with_last_byte(1)));
    assert_eq!(counted(second, 0), json!(B256::with_last_byte(2)));
    assert_eq!(counted(third, 0), json!(B256::with_last_byte(3)));
    assert_eq!(first["calls"][0]["gasUsed"], "0x5208");
    // A plain transfer takes what is sent along as data.
    assert_eq!(third["calls"][1]["status"], "0x1");

    let order = short(&payload, json!({ "number": "0x1" }));
    assert_eq!(
        refusal(&node, "eth_simulateV1", order).await,
        (-38020, "block numbers must be in order: 1 <= 1".into())
    );
    let time = short(&payload, json!({ "time": "0x1" }));
    assert_eq!(refusal(&node, "eth_simulateV1", time).await.0, -38021);
    let far = short(&payload, json!({ "number": "0x101" }));
    assert_eq!(refusal(&node, "eth_simulateV1", far).await.0, -38026);
    let one = |call: Value, validation: bool| json!([{ "blockStateCalls": [{ "calls": [call] }], "validation": validation }]);
    for (code, validation, call) in [
        (
            -38014,
            false,
            json!({ "from": poor, "to": rich, "value": "0x1" }),
        ),
        (
            -38011,
            true,
            json!({ "from": poor, "to": rich, "nonce": "0x5" }),
        ),
        (
            -38013,
            false,
            json!({ "from": poor, "to": rich, "gas": "0x10" }),
        ),
        (
            -38015,
            false,
            json!({ "from": poor, "to": rich, "gas": "0xffffffffffff" }),
        ),
    ] {
        let (found, said) = refusal(&node, "eth_simulateV1", one(call, validation)).await;
        assert_eq!(found, code, "{said}");
    }
    let nothing = json!([{ "blockStateCalls": [] }]);
    assert_eq!(refusal(&node, "eth_simulateV1", nothing).await.0, -32602);

    // Calls that fail are told, and stop nothing.
    let reverts = json!({ "from": poor, "data": "0x60006000fd" });
    let breaks = json!({ "from": poor, "data": "0xfe", "gas": "0x20000" });
    let failing = json!([{
        "blockStateCalls": [{ "calls": [reverts, breaks, { "from": poor, "to": rich }] }],
        "returnFullTransactions": true,
    }]);
    let told = result(&node, "eth_simulateV1", failing).await;
    let calls = told[0]["calls"].as_array().unwrap();
    assert_eq!(calls[0]["error"]["code"], 3);
    assert_eq!(calls[0]["error"]["message"], "execution reverted");
    assert_eq!(calls[1]["error"]["code"], -32015);
    let said = calls[1]["error"]["message"].as_str().unwrap();
    assert!(
        said.starts_with("vm execution error: invalid opcode"),
        "{said}"
    );
    assert_eq!(
        calls.iter().map(|call| &call["status"]).collect::<Vec<_>>(),
        ["0x0", "0x0", "0x1"]
    );
    for (index, nonce) in ["0x0", "0x1", "0x2"].iter().enumerate() {
        let transaction = &told[0]["transactions"][index];
        assert_eq!(
            (&transaction["nonce"], &transaction["type"]),
            (&json!(nonce), &json!("0x2"))
        );
        assert_eq!(transaction["blockHash"], told[0]["hash"]);
        assert_eq!(transaction["from"], json!(poor));
    }

    // alloy reads it.
    let call = TransactionRequest::default()
        .from(node.issuer.address())
        .to(poor);
    let payload = alloy::rpc::types::simulate::SimulatePayload::default().extend(
        alloy::rpc::types::simulate::SimBlock::default().extend_calls([call.clone(), call]),
    );
    let told = node.provider().simulate(&payload).await.unwrap();
    assert_eq!((told.len(), told[0].calls.len()), (1, 2));
    assert!(told[0].calls.iter().all(|call| call.status));

    // And what this node can tell of the past.
    let known = result(&node, "eth_capabilities", json!([])).await;
    assert_eq!(
        known["blocks"],
        json!({ "disabled": false, "oldestBlock": "0x0" })
    );
    assert_eq!(known["state"]["deleteStrategy"]["retentionBlocks"], "0x100");
    assert_eq!(known["stateproofs"], json!({ "disabled": true }));
    has(&known["head"], "quantity", &["number"]);
    // And by which rules it goes (EIP-7910).
    let rules = result(&node, "eth_config", json!([])).await;
    let first = result(&node, "eth_getBlockByNumber", json!(["0x0", false])).await;
    let chain_id = result(&node, "eth_chainId", json!([])).await;
    let now = &rules["current"];
    assert_eq!(now["chainId"], chain_id);
    let begun = first["timestamp"].as_str().unwrap().parse::<U64>().unwrap();
    assert_eq!(now["activationTime"], begun.to::<u64>());
    let ecrecover = address!("0000000000000000000000000000000000000001");
    assert_eq!(now["precompiles"]["ECREC"], json!(ecrecover));
    assert_eq!(now["precompiles"].as_object().unwrap().len(), 18);
    assert_eq!(now["systemContracts"]["POINTS_ADDRESS"], json!(POINTS));
    assert_eq!(now["forkId"].as_str().unwrap().len(), 10);
    assert!(rules["next"].is_null() && rules["last"].is_null());

    let fees = result(&node, "eth_coinbase", json!([])).await;
    let newest = result(&node, "eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(fees, newest["miner"]);
}
