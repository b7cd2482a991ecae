//! Clients that mean harm: nothing that they send stops the node, and nobody gets more than a share.

use super::node::{Node, free};
use alloy::{
    network::TransactionBuilder as _,
    primitives::{Address, hex},
    providers::Provider as _,
    rpc::types::TransactionRequest,
};
use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

/// Sends a body as it is; the answer's text, empty if the node closed the connection.
async fn post(node: &Node, body: Vec<u8>) -> String {
    let sent = reqwest::Client::new()
        .post(&node.url)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await;
    match sent {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    }
}

async fn code(node: &Node, request: Value) -> i64 {
    let answer = post(node, request.to_string().into_bytes()).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["error"]["code"].as_i64().unwrap_or_default()
}

fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

/// Random and bent bytes at the door of every decoder behind it: JSON, parameters, transactions.
#[tokio::test(flavor = "multi_thread")]
async fn nonsense_gets_an_answer_and_the_chain_goes_on() {
    let node = Node::start().await;
    let seed = std::env::var("MILEVERSE_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse::<u64>().unwrap());
    eprintln!("replay with MILEVERSE_SEED={seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let good = request("eth_call", json!([{ "to": Address::ZERO }, "latest"])).to_string();
    for _ in 0..300 {
        let mut body = good.clone().into_bytes();
        for _ in 0..dice.random_range(1..4) {
            let at = dice.random_range(0..body.len());
            body[at] = dice.random();
        }
        post(&node, body).await;
    }
    let methods = mileverse_rpc::METHODS;
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!([null, null, null]),
        json!([{}, {}, {}, {}]),
        json!(["0x", "0x", "0x"]),
        json!(["latest", -1]),
        json!([[[[[[]]]]]]),
        json!([
            "0x0000000000000000000000000000000000000000",
            "0xffffffffffffffffffffff"
        ]),
        json!([{ "fromBlock": "0x0", "toBlock": "0xffffffffffffffff", "topics": [[], null, [[]]] }]),
        json!([1e300, true]),
    ];
    for (method, _) in methods {
        for params in &odd {
            // Subscriptions live on WebSocket alone, and that is said.
            let body = request(method, params.clone()).to_string();
            let answer = post(&node, body.into_bytes()).await;
            let answer: Value = serde_json::from_str(&answer)
                .unwrap_or_else(|_| panic!("{method} {params}: {answer}"));
            assert!(
                answer.get("result").is_some() || answer.get("error").is_some(),
                "{method} {params}: {answer}"
            );
            assert_ne!(
                answer["error"]["code"], -32603,
                "{method} {params}: {answer}"
            );
        }
    }
    for _ in 0..300 {
        let mut raw = vec![0; dice.random_range(0..300)];
        dice.fill_bytes(&mut raw);
        if let Some(kind) = raw.first_mut() {
            *kind %= 5;
        }
        let request = request(
            "eth_sendRawTransaction",
            json!([hex::encode_prefixed(&raw)]),
        );
        assert!(code(&node, request).await < 0);
    }
    let height = node.provider().get_block_number().await.unwrap();
    node.reaches(height + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_and_costs_the_node_nothing() {
    let node = Node::start().await;
    let provider = node.provider();
    // A body and a batch over their limits.
    let long = request(
        "web3_sha3",
        json!(["0x".to_owned() + &"00".repeat(3 << 20)]),
    );
    assert!(post(&node, long.to_string().into_bytes()).await.len() < 1000);
    let batch = vec![request("eth_chainId", json!([])); 1001];
    let refused = post(&node, json!(batch).to_string().into_bytes()).await;
    assert!(refused.contains("batch"), "{refused}");
    // Logs of too many blocks, and of too many addresses.
    let range = json!([{ "fromBlock": "0x0", "toBlock": "0xffffff" }]);
    assert_eq!(
        code(&node, request("eth_getLogs", range)).await,
        0,
        "there are few blocks"
    );
    let many = json!([{ "address": vec![Address::ZERO; 2], "topics": [] }]);
    assert_eq!(code(&node, request("eth_getLogs", many)).await, 0);
    let addresses: Vec<_> = (0..1001u64)
        .map(|number| Address::left_padding_from(&number.to_be_bytes()))
        .collect();
    let many = json!([{ "address": addresses }]);
    assert_eq!(code(&node, request("eth_getLogs", many)).await, -32602);
    // A call that never ends: JUMPDEST PUSH1 0 JUMP. Many at once, and blocks go on meanwhile.
    let forever = json!({ "data": "0x5b600056", "gas": "0xffffffffffff" });
    let calls = (0..12).map(|_| code(&node, request("eth_call", json!([forever, "latest"]))));
    let height = provider.get_block_number().await.unwrap();
    let (codes, ()) = tokio::join!(futures::future::join_all(calls), node.reaches(height + 2));
    assert!(codes.iter().all(|code| *code == -32000));
    // A trace of it.
    let trace = request("debug_traceCall", json!([forever, "latest", {}]));
    assert_eq!(code(&node, trace).await, -32000);
    // More filters than a client may have.
    let filter = request("eth_newBlockFilter", json!([]));
    let answer = post(&node, json!(vec![filter; 70]).to_string().into_bytes()).await;
    let answers: Vec<Value> = serde_json::from_str(&answer).unwrap();
    let refused = answers.iter().filter(|one| one["error"]["code"] == -32000);
    assert_eq!(refused.count(), 6);
    // A transaction that can never run does not make empty blocks come faster or stay.
    let junk = free(TransactionRequest::default().with_to(Address::ZERO)).with_gas_limit(20_000);
    let refused = provider.send_transaction(junk).await.unwrap_err();
    assert!(refused.to_string().contains("intrinsic gas too low"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_its_share_of_work_and_connections() {
    let mut node = Node::start().await;
    node.configure(
        "[rpc_limits]\nper_second = 1\nburst = 30\nconnections = 4\nlimit_loopback = true\n",
    );
    node.restart().await;
    let batch = vec![request("eth_chainId", json!([])); 60];
    let answer = post(&node, json!(batch).to_string().into_bytes()).await;
    let answers: Vec<Value> = serde_json::from_str(&answer).unwrap();
    let (done, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|one| one.get("result").is_some());
    assert!(!refused.is_empty(), "60 calls with a share of 30");
    assert!(refused.iter().all(|one| one["error"]["code"] == -32005));
    assert!(done.len() <= 60 - refused.len());
    // Connections that say nothing.
    let address = node.url.trim_start_matches("http://");
    let held: Vec<_> = (0..16)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut closed = 0;
    for mut socket in held.iter() {
        socket.set_nonblocking(false).unwrap();
        socket
            .set_read_timeout(Some(std::time::Duration::from_millis(200)))
            .unwrap();
        let _ = socket.write_all(b"");
        closed += usize::from(matches!(socket.read(&mut [0]), Ok(0)));
    }
    assert!(closed >= 12, "{closed} of 16 were closed");
}
