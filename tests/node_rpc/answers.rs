//! What explorers and tools rely on: errors, history, filters, what waits, traces.

use super::{
    asking::{ask, is, issued, refusal, result},
    node::{ANSWER, CHAIN_ID, Node, free},
};
use alloy::{
    eips::{Encodable2718 as _, eip7702::Authorization},
    network::{
        EthereumWallet, NetworkTransactionBuilder as _, TransactionBuilder as _,
        TransactionBuilder7702 as _,
    },
    primitives::{Address, B256, U256, hex},
    providers::Provider as _,
    rpc::types::{AccessList, TransactionRequest},
    signers::SignerSync as _,
};
use mileverse_primitives::{address::POINTS, exchange::ROUTER, staking::coins};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_block_0_is_there_before_block_1() {
    let node = Node::at_genesis();
    let provider = node.provider();
    let me = node.issuer.address();
    assert_eq!(provider.get_block_number().await.unwrap(), 0);
    assert_eq!(provider.get_balance(me).await.unwrap(), coins(10));
    assert!(!provider.get_code_at(ROUTER).await.unwrap().is_empty());
    let gift = TransactionRequest::default()
        .with_from(me)
        .with_to(Address::repeat_byte(0x55))
        .with_value(coins(10));
    assert_eq!(provider.estimate_gas(gift.clone()).await.unwrap(), 21_000);
    let too_much = gift.with_value(coins(11));
    let refused = provider.estimate_gas(too_much).await.unwrap_err();
    assert!(
        refused.to_string().contains("insufficient funds"),
        "{refused}"
    );
    assert_eq!(
        provider.get_block_number().await.unwrap(),
        0,
        "a block came"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_transaction_is_taken_and_shown() {
    let node = Node::start().await;
    let provider = node.provider();
    let wallet = EthereumWallet::from(node.issuer.clone());
    let me = node.issuer.address();
    let authorization = Authorization {
        chain_id: U256::from(CHAIN_ID),
        address: Address::repeat_byte(0x44),
        nonce: 4,
    };
    let signature = node
        .issuer
        .sign_hash_sync(&authorization.signature_hash())
        .unwrap();
    let base = TransactionRequest::default()
        .with_to(me)
        .with_gas_limit(200_000)
        .with_chain_id(CHAIN_ID);
    let dynamic = base
        .clone()
        .with_max_fee_per_gas(9)
        .with_max_priority_fee_per_gas(2);
    let requests = [
        base.clone().with_gas_price(1),
        base.clone()
            .with_gas_price(1)
            .with_access_list(AccessList::from(vec![])),
        dynamic.clone(),
        dynamic.with_authorization_list(vec![authorization.into_signed(signature)]),
    ];
    for ((nonce, request), kind) in (0..).zip(requests).zip([0, 1, 2, 4]) {
        let raw = request
            .with_nonce(nonce)
            .build(&wallet)
            .await
            .unwrap()
            .encoded_2718();
        let raw = json!([hex::encode_prefixed(raw), "0x7530"]);
        let receipt = result(&node, "eth_sendRawTransactionSync", raw).await;
        assert_eq!(receipt["status"], "0x1");
        assert_eq!(receipt["type"], format!("{kind:#x}"));
        let price = if kind < 2 { "0x1" } else { "0x2" };
        assert_eq!(receipt["effectiveGasPrice"], price);
        let hash = &receipt["transactionHash"];
        let shown = result(&node, "eth_getTransactionByHash", json!([hash])).await;
        assert_eq!(shown["type"], receipt["type"]);
    }
    let code = provider.get_code_at(me).await.unwrap();
    assert!(
        code.starts_with(&hex!("ef0100")),
        "the delegation took effect"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn past_states_are_kept_for_a_while_or_for_ever() {
    let mut node = Node::with("[history]\nblocks = 30\n").await;
    let count = async |node: &Node, height: u64| {
        let data = json!([{ "to": POINTS, "data": "0x18160ddd" }, format!("{height:#x}")]);
        ask(node, "eth_call", data).await
    };
    let supply = |amount: u64| json!(B256::from(U256::from(amount)));
    let number = |receipt: &Value| {
        let text = receipt["blockNumber"]
            .as_str()
            .unwrap()
            .trim_start_matches("0x");
        u64::from_str_radix(text, 16).unwrap()
    };
    let first = number(&issued(&node, "one").await);
    assert_eq!(count(&node, first).await["result"], supply(5));
    assert_eq!(count(&node, first - 1).await["result"], supply(0));
    let nonce = json!([node.issuer.address(), format!("{:#x}", first - 1)]);
    assert_eq!(result(&node, "eth_getTransactionCount", nonce).await, "0x0");
    node.reaches(first + 32).await;
    let gone = count(&node, first - 1).await;
    assert_eq!(gone["error"]["code"], -32000);
    let said = gone["error"]["message"].as_str().unwrap();
    assert!(said.contains("is not available"), "{said}");

    // As an archive from now on, and after a crash.
    node.configure("[history]\narchive = true\n");
    node.restart().await;
    let second = number(&issued(&node, "two").await);
    node.reaches(second + 8).await;
    assert_eq!(count(&node, second).await["result"], supply(10));
    assert_eq!(count(&node, second - 1).await["result"], supply(5));
    node.restart().await;
    assert_eq!(count(&node, second).await["result"], supply(10));
    assert_eq!(count(&node, second - 1).await["result"], supply(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_shown_replaced_and_kept_over_a_crash() {
    let mut node = Node::start().await;
    let provider = node.provider();
    let wallet = EthereumWallet::from(node.issuer.clone());
    let signed = async |nonce: u64, price: u128| {
        let request = free(TransactionRequest::default().with_to(Address::ZERO))
            .with_gas_price(price)
            .with_nonce(nonce)
            .with_chain_id(CHAIN_ID);
        let transaction = request.build(&wallet).await.unwrap();
        (transaction.encoded_2718(), *transaction.tx_hash())
    };
    let filter = result(&node, "eth_newPendingTransactionFilter", json!([])).await;
    let (later, hash) = signed(2, 100).await;
    let _ = provider.send_raw_transaction(&later).await.unwrap();
    let news = result(&node, "eth_getFilterChanges", json!([filter])).await;
    assert_eq!(news, json!([hash]));
    assert_eq!(
        result(&node, "eth_getFilterChanges", json!([filter])).await,
        json!([])
    );
    let waiting = json!({ "pending": "0x0", "queued": "0x1" });
    assert_eq!(result(&node, "txpool_status", json!([])).await, waiting);
    let me = node.issuer.address();
    let content = result(&node, "txpool_content", json!([])).await;
    assert_eq!(content["queued"][me.to_string()]["2"]["hash"], json!(hash));
    let own = result(&node, "txpool_contentFrom", json!([me])).await;
    assert_eq!(own["queued"]["2"]["hash"], json!(hash));
    let lines = result(&node, "txpool_inspect", json!([])).await;
    let line = lines["queued"][me.to_string()]["2"].as_str().unwrap();
    assert!(line.ends_with(": 0 wei + 1000000 gas × 100 wei"), "{line}");
    let shown = result(&node, "eth_getTransactionByHash", json!([hash])).await;
    assert!(shown["blockHash"].is_null());
    let send = |raw: Vec<u8>| json!([hex::encode_prefixed(raw)]);
    let known = refusal(&node, "eth_sendRawTransaction", send(later)).await;
    assert_eq!(known, (-32000, "already known".into()));
    let (cheap, _) = signed(2, 109).await;
    let refused = refusal(&node, "eth_sendRawTransaction", send(cheap)).await;
    assert_eq!(
        refused,
        (-32000, "replacement transaction underpriced".into())
    );
    let (better, hash) = signed(2, 110).await;
    result(&node, "eth_sendRawTransaction", send(better)).await;

    node.restart().await;
    assert_eq!(result(&node, "txpool_status", json!([])).await, waiting);
    for nonce in [0, 1] {
        let (raw, _) = signed(nonce, 0).await;
        result(&node, "eth_sendRawTransaction", send(raw)).await;
    }
    let receipt = node.provider().get_transaction_receipt(hash);
    let mut receipt = receipt.await.unwrap();
    while receipt.is_none() {
        receipt = node.provider().get_transaction_receipt(hash).await.unwrap();
    }
    assert!(receipt.unwrap().status());
    let nothing = json!({ "pending": "0x0", "queued": "0x0" });
    assert_eq!(result(&node, "txpool_status", json!([])).await, nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_logs() {
    let node = Node::start().await;
    let blocks = result(&node, "eth_newBlockFilter", json!([])).await;
    let logs = result(&node, "eth_newFilter", json!([{ "address": POINTS }])).await;
    let receipt = issued(&node, "log").await;
    let height = receipt["blockNumber"].clone();
    let news = result(&node, "eth_getFilterChanges", json!([logs])).await;
    assert_eq!(news, receipt["logs"]);
    assert_eq!(
        result(&node, "eth_getFilterChanges", json!([logs])).await,
        json!([])
    );
    let hashes = result(&node, "eth_getFilterChanges", json!([blocks])).await;
    assert!(hashes.as_array().unwrap().contains(&receipt["blockHash"]));
    let all = json!([{ "fromBlock": "earliest", "topics": [receipt["logs"][0]["topics"][0]] }]);
    let found = result(&node, "eth_getLogs", all.clone()).await;
    assert_eq!(found, json!([receipt["logs"][0]]));
    let again = result(&node, "eth_newFilter", all).await;
    assert_eq!(
        result(&node, "eth_getFilterLogs", json!([again])).await,
        found
    );
    let either = json!([{
        "blockHash": receipt["blockHash"],
        "topics": [[B256::ZERO, receipt["logs"][1]["topics"][0]]],
    }]);
    assert_eq!(
        result(&node, "eth_getLogs", either).await,
        json!([receipt["logs"][1]])
    );
    let elsewhere = json!([{ "fromBlock": height, "toBlock": height, "address": Address::ZERO }]);
    assert_eq!(result(&node, "eth_getLogs", elsewhere).await, json!([]));

    let backwards = json!([{ "fromBlock": "0x2", "toBlock": "0x1" }]);
    assert_eq!(
        refusal(&node, "eth_getLogs", backwards).await,
        (-32602, "invalid block range params".into())
    );
    let unknown = json!([{ "blockHash": B256::ZERO }]);
    assert_eq!(
        refusal(&node, "eth_getLogs", unknown).await,
        (-32000, "unknown block".into())
    );
    assert_eq!(
        result(&node, "eth_uninstallFilter", json!([logs])).await,
        true
    );
    assert_eq!(
        result(&node, "eth_uninstallFilter", json!([logs])).await,
        false
    );
    assert_eq!(
        refusal(&node, "eth_getFilterChanges", json!([logs])).await,
        (-32000, "filter not found".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_estimates_and_traces() {
    let node = Node::start().await;
    let provider = node.provider();
    let create = free(TransactionRequest::default().with_deploy_code(ANSWER.to_vec()));
    let sent = provider.send_transaction(create).await.unwrap();
    let created = sent.get_receipt().await.unwrap();
    let (contract, hash) = (created.contract_address.unwrap(), created.transaction_hash);

    let trace = result(
        &node,
        "debug_traceTransaction",
        json!([hash, { "tracer": "callTracer" }]),
    )
    .await;
    assert_eq!(
        (&trace["type"], &trace["to"]),
        (&json!("CREATE"), &json!(contract))
    );
    assert_eq!(trace["gasUsed"], format!("{:#x}", created.gas_used));
    let steps = result(&node, "debug_traceTransaction", json!([hash])).await;
    assert_eq!(steps["gas"], created.gas_used);
    assert_eq!(steps["structLogs"][0]["op"], "PUSH1");
    let before = json!([hash, { "tracer": "prestateTracer" }]);
    let before = result(&node, "debug_traceTransaction", before).await;
    assert!(
        before
            .get(node.issuer.address().to_string().to_lowercase())
            .is_some()
    );
    let block =
        json!([format!("{:#x}", created.block_number.unwrap()), { "tracer": "callTracer" }]);
    let traces = result(&node, "debug_traceBlockByNumber", block).await;
    assert_eq!(traces, json!([{ "txHash": hash, "result": trace }]));
    let block = json!([created.block_hash.unwrap(), { "tracer": "callTracer" }]);
    assert_eq!(result(&node, "debug_traceBlockByHash", block).await, traces);
    let nothing = refusal(&node, "debug_traceTransaction", json!([B256::ZERO])).await;
    assert_eq!(nothing, (-32000, "transaction not found".into()));

    let call = json!({ "to": contract });
    let called = result(&node, "eth_call", json!([call, "latest"])).await;
    assert_eq!(called, json!(B256::with_last_byte(42)));
    let traced = json!([call, "latest", { "tracer": "callTracer" }]);
    assert_eq!(
        result(&node, "debug_traceCall", traced).await["output"],
        called
    );
    // Other code, which returns NUMBER, in another block.
    let overrides = json!({ contract.to_string(): { "code": "0x4360005260206000f3" } });
    let other = json!([call, "latest", overrides, { "number": "0x1234" }]);
    assert_eq!(
        result(&node, "eth_call", other).await,
        json!(B256::from(U256::from(0x1234)))
    );
    // `latest` is the block itself, `pending` the one that would come.
    let tell = async |tag: &str| {
        let answer = result(&node, "eth_call", json!([call, tag, overrides])).await;
        U256::from_be_slice(&hex::decode(answer.as_str().unwrap()).unwrap()).to::<u64>()
    };
    assert_eq!(tell("0x1").await, 1);
    assert!(tell("pending").await > 1);
    let list = result(
        &node,
        "eth_createAccessList",
        json!([{ "to": POINTS, "data": "0x18160ddd" }]),
    )
    .await;
    assert!(list["accessList"].is_array() && is(&list["gasUsed"], "quantity"));

    let poor = json!([{ "from": Address::repeat_byte(8), "to": contract, "value": "0x1" }]);
    let (code, said) = refusal(&node, "eth_estimateGas", poor).await;
    assert_eq!(code, -32000);
    assert!(said.starts_with("insufficient funds for"), "{said}");
    let other_chain = json!([{ "to": contract, "chainId": "0x1" }]);
    assert_eq!(refusal(&node, "eth_call", other_chain).await.0, -32000);
    let reverts = json!([{ "data": "0x60006000fd" }, "latest"]);
    let answer = ask(&node, "eth_call", reverts).await;
    assert_eq!(answer["error"]["code"], 3);
    assert_eq!(answer["error"]["data"], "0x");
    assert_eq!(
        refusal(&node, "eth_call", json!([call, "0xffffffff"])).await,
        (-32000, "header not found".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_offered_says_so() {
    let node = Node::start().await;
    let nobody = Address::ZERO;
    for (method, params) in [
        ("eth_getProof", json!([nobody, [], "latest"])),
        ("eth_blobBaseFee", json!([])),
        ("eth_sendTransaction", json!([{ "from": nobody }])),
        ("eth_sign", json!([nobody, "0x00"])),
        ("eth_signTransaction", json!([{ "from": nobody }])),
        ("eth_signTypedData_v4", json!([nobody, {}])),
    ] {
        assert_eq!(refusal(&node, method, params).await.0, -32004, "{method}");
    }
    assert_eq!(refusal(&node, "eth_nothing", json!([])).await.0, -32601);
    assert_eq!(
        refusal(&node, "eth_getBalance", json!([])).await,
        (-32602, "missing value for required argument 0".into())
    );
    assert_eq!(
        refusal(&node, "eth_subscribe", json!(["newHeads"])).await,
        (-32601, "notifications not supported".into())
    );
    assert_eq!(result(&node, "eth_syncing", json!([])).await, false);
    assert_eq!(result(&node, "eth_accounts", json!([])).await, json!([]));
    assert_eq!(result(&node, "net_peerCount", json!([])).await, "0x0");
    assert_eq!(
        result(&node, "web3_sha3", json!(["0x68656c6c6f20776f726c64"])).await,
        "0x47173285a8d7341e5e972fc677286384f802f8ef42a5ec5f03bbfa254cb01fad"
    );
    // Every method is known: none answers that it is not there.
    for (method, _) in mileverse_rpc::METHODS {
        let answer = ask(&node, method, json!([])).await;
        let there = answer["error"]["code"] != -32601 || method.contains("subscribe");
        assert!(there, "{method}: {answer}");
    }
}
