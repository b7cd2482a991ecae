//! What alloy and `cast` do all day, and what the chain's own methods answer.

use super::node::{ANSWER, CHAIN_ID, Node, balance, free, issue};
use alloy::{
    network::{EthereumWallet, NetworkTransactionBuilder as _, TransactionBuilder as _},
    primitives::{Address, B256, Bytes, U256, hex, keccak256},
    providers::Provider as _,
    rpc::types::{Filter, TransactionRequest},
    sol_types::{SolCall as _, SolEvent as _},
};
use mileverse_primitives::{
    abi::IPoints,
    address::POINTS,
    certificate,
    rpc::{Certificate, Chain, Epoch, Status},
};

#[tokio::test(flavor = "multi_thread")]
async fn alloy_sends_calls_and_reads_receipts_and_logs() {
    let mut node = Node::start().await;
    let provider = node.provider();
    let member = Address::repeat_byte(0x77);
    assert_eq!(provider.get_chain_id().await.unwrap(), CHAIN_ID);

    let sent = provider
        .send_transaction(issue(member, 1000, "one"))
        .await
        .unwrap();
    let receipt = sent.get_receipt().await.unwrap();
    assert!(receipt.status());
    let issued = receipt.decoded_log::<IPoints::Issued>().unwrap();
    assert_eq!((issued.to, issued.amount), (member, U256::from(1000)));
    assert_eq!(balance(&provider, member).await, U256::from(1000));

    let filter = Filter::new()
        .address(POINTS)
        .event_signature(IPoints::Issued::SIGNATURE_HASH)
        .topic2(member.into_word())
        .from_block(0);
    let logs = provider.get_logs(&filter).await.unwrap();
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0].transaction_hash, Some(receipt.transaction_hash));
    let elsewhere = filter.topic2(Address::repeat_byte(0x78).into_word());
    assert!(provider.get_logs(&elsewhere).await.unwrap().is_empty());

    let block = provider
        .get_block_by_hash(receipt.block_hash.unwrap())
        .full()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(block.header.number, receipt.block_number.unwrap());
    assert_eq!(
        block.transactions.hashes().next(),
        Some(receipt.transaction_hash)
    );
    let found = provider
        .get_transaction_by_hash(receipt.transaction_hash)
        .await
        .unwrap();
    assert_eq!(found.unwrap().block_hash, receipt.block_hash);

    // A contract of anybody's, as on Ethereum.
    let create = free(TransactionRequest::default().with_deploy_code(ANSWER.to_vec()));
    let receipt = provider
        .send_transaction(create)
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    let contract = receipt.contract_address.unwrap();
    let ask = TransactionRequest::default().with_to(contract);
    assert_eq!(
        provider.call(ask.clone()).await.unwrap(),
        B256::with_last_byte(42).to_vec()
    );
    assert!(provider.estimate_gas(ask).await.unwrap() >= 21_000);
    assert_eq!(provider.get_code_at(contract).await.unwrap().len(), 10);

    // What is final stays, whatever happens to the process.
    node.restart().await;
    let provider = node.provider();
    assert_eq!(balance(&provider, member).await, U256::from(1000));
    let again = provider
        .get_transaction_receipt(receipt.transaction_hash)
        .await
        .unwrap();
    assert_eq!(again.unwrap().block_hash, receipt.block_hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn alloy_subscribes_replaces_and_fails() {
    let node = Node::start().await;
    let socket = node.socket().await;
    let me = node.issuer.address();
    let member = Address::repeat_byte(0x79);
    let mut heads = socket.subscribe_blocks().await.unwrap();
    let issued = Filter::new()
        .address(POINTS)
        .event_signature(IPoints::Issued::SIGNATURE_HASH);
    let mut logs = socket.subscribe_logs(&issued).await.unwrap();
    let mut waiting = socket.subscribe_pending_transactions().await.unwrap();

    // Subscribe: the transaction is told while it waits, its event and its block when it is final.
    let sent = socket
        .send_transaction(issue(member, 7, "subscribed"))
        .await
        .unwrap();
    let hash = *sent.tx_hash();
    while waiting.recv().await.unwrap() != hash {}
    let receipt = sent.get_receipt().await.unwrap();
    let log = logs.recv().await.unwrap();
    assert_eq!(log.transaction_hash, Some(hash));
    assert_eq!(IPoints::Issued::decode_log(&log.inner).unwrap().to, member);
    loop {
        let head = heads.recv().await.unwrap();
        assert!(head.number <= receipt.block_number.unwrap());
        if Some(head.hash) == receipt.block_hash {
            break;
        }
    }

    // Replace: a tenth more, while the one before it is missing.
    let nonce = socket.get_transaction_count(me).pending().await.unwrap();
    let priced = |price: u128, value: u64| {
        TransactionRequest::default()
            .with_to(me)
            .with_value(U256::from(value))
            .with_nonce(nonce + 1)
            .with_gas_limit(21_000)
            .with_gas_price(price)
    };
    let _held = socket.send_transaction(priced(100, 0)).await.unwrap();
    let cheap = socket.send_transaction(priced(105, 1)).await.unwrap_err();
    assert!(
        cheap
            .to_string()
            .contains("replacement transaction underpriced"),
        "{cheap}"
    );
    let better = socket.send_transaction(priced(110, 1)).await.unwrap();
    let gap = free(TransactionRequest::default().with_to(me)).with_nonce(nonce);
    let gap = socket.send_transaction(gap).await.unwrap();
    assert!(gap.get_receipt().await.unwrap().status());
    let replaced = better.get_receipt().await.unwrap();
    assert_eq!(replaced.effective_gas_price, 110);

    // Fail: in a call with the reason, in a block with a receipt that says so.
    let burn = IPoints::burnCall {
        amount: U256::from(1),
    };
    let burn = free(
        TransactionRequest::default()
            .with_to(POINTS)
            .with_input(burn.abi_encode()),
    );
    let refused = socket
        .call(burn.clone().with_from(Address::repeat_byte(0x7a)))
        .await
        .unwrap_err();
    let reason = refused.as_error_resp().unwrap();
    assert_eq!(reason.code, 3, "{reason:?}");
    assert!(reason.as_revert_data().is_some());
    // Alloy counts by itself, and does not know of the two whose nonces were given.
    let burn = burn.with_nonce(nonce + 2);
    let failed = socket.send_transaction(burn).await.unwrap();
    assert!(!failed.get_receipt().await.unwrap().status());
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_transactions_are_refused_in_geths_words_and_move_nothing() {
    let node = Node::start().await;
    let provider = node.provider();
    let refusal = async |raw: &[u8]| {
        let error = provider.send_raw_transaction(raw).await.unwrap_err();
        error
            .as_error_resp()
            .expect("an answer")
            .message
            .to_string()
    };
    assert!(!refusal(&[]).await.is_empty());
    assert!(!refusal(&[2, 1, 2, 3]).await.is_empty());

    let wallet = EthereumWallet::from(node.issuer.clone());
    let signed = async |request: TransactionRequest| {
        use alloy::eips::Encodable2718 as _;
        request.build(&wallet).await.unwrap().encoded_2718()
    };
    let base = issue(Address::repeat_byte(1), 5, "x").with_chain_id(CHAIN_ID);
    let other_chain = signed(base.clone().with_nonce(0).with_chain_id(CHAIN_ID + 1)).await;
    assert!(
        refusal(&other_chain).await.contains("chain"),
        "{}",
        refusal(&other_chain).await
    );
    let short = |said: String| said.starts_with("insufficient funds for gas * price + value: ");
    let paid = signed(base.clone().with_nonce(0).with_gas_price(u128::MAX / 2)).await;
    assert!(short(refusal(&paid).await));
    let rich = signed(base.clone().with_nonce(0).with_value(U256::MAX >> 1)).await;
    assert!(short(refusal(&rich).await));
    let far = signed(base.clone().with_nonce(1_000)).await;
    assert!(refusal(&far).await.starts_with("nonce too high"));
    // Not to the points module: there the lane says how much gas it has left.
    let elsewhere = base.clone().with_to(Address::repeat_byte(2));
    let huge = signed(elsewhere.with_nonce(0).with_gas_limit(30_000_001)).await;
    assert_eq!(refusal(&huge).await, "exceeds block gas limit");

    let good = signed(base.clone().with_nonce(0)).await;
    let receipt = provider
        .send_raw_transaction(&good)
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    assert!(receipt.status());
    assert!(refusal(&good).await.starts_with("nonce too low"));

    // The same conversion a second time is included and fails.
    let twice = provider
        .send_transaction(issue(Address::repeat_byte(1), 5, "x"))
        .await
        .unwrap();
    assert!(!twice.get_receipt().await.unwrap().status());
    assert_eq!(
        balance(&provider, Address::repeat_byte(1)).await,
        U256::from(5)
    );

    // A stranger's issue reverts with a sentence.
    let call = issue(Address::repeat_byte(1), 5, "y").with_from(Address::repeat_byte(9));
    let error = provider.call(call).await.unwrap_err();
    let answer = error.as_error_resp().unwrap();
    assert_eq!(answer.code, 3);
    assert!(
        answer.message.starts_with("execution reverted: "),
        "{}",
        answer.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cast_sends_and_reads() {
    let node = Node::start().await;
    let key = hex::encode_prefixed(node.issuer.to_bytes());
    let points = POINTS.to_string();
    let member = Address::repeat_byte(0x55).to_string();
    let id = keccak256("cast").to_string();
    assert_eq!(node.cast(&["chain-id"]), CHAIN_ID.to_string());
    let receipt = node.cast(&[
        "send",
        &points,
        "issue(address,uint256,bytes32)",
        &member,
        "77",
        &id,
        "--private-key",
        &key,
        "--legacy",
        "--gas-price",
        "0",
        "--json",
    ]);
    let receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!(receipt["status"], "0x1");
    let hash = receipt["transactionHash"].as_str().unwrap();
    assert_eq!(
        node.cast(&["call", &points, "balanceOf(address)(uint256)", &member]),
        "77"
    );
    assert_eq!(node.cast(&["receipt", hash, "status"]), "true");
    let logs = node.cast(&["logs", "--from-block", "0", "--address", &points, "--json"]);
    let logs: Vec<serde_json::Value> = serde_json::from_str(&logs).unwrap();
    assert_eq!(logs.len(), 2, "a Transfer and an Issued");
    let slot = node.cast(&["storage", &points, "0"]);
    assert_eq!(slot.len(), 66);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_killed_in_a_later_epoch_has_its_new_share_again() {
    let mut node = Node::start().await;
    // Two epochs in, the share of the genesis dealing is no longer any good.
    node.reaches(33).await;
    node.restart().await;
    node.reaches(50).await;
    let client = node.provider();
    let epoch: Epoch = client
        .raw_request("mileverse_epoch".into(), ())
        .await
        .unwrap();
    let status: Status = client
        .raw_request("mileverse_status".into(), ())
        .await
        .unwrap();
    assert!(epoch.epoch >= 3);
    assert_eq!(epoch.first_height, epoch.epoch * 16);
    assert_eq!(epoch.last_height, epoch.first_height + 15);
    assert!(epoch.ceremony_succeeded);
    assert_eq!(epoch.committee, [status.validator]);
    assert_eq!(epoch.players, [status.validator]);
    assert_eq!(epoch.next_players, [status.validator]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chains_own_methods() {
    let node = Node::start().await;
    let client = node.provider();
    let chain: Chain = client
        .raw_request("mileverse_chain".into(), ())
        .await
        .unwrap();
    assert_eq!(chain.chain_id, CHAIN_ID);
    assert_eq!(chain.group_key.len(), certificate::G2_LENGTH);
    let status: Status = client
        .raw_request("mileverse_status".into(), ())
        .await
        .unwrap();
    assert!(status.height >= 1);
    assert_eq!((status.peers, status.ethereum_checkpoint), (0, 0));
    let newest: Certificate = client
        .raw_request("mileverse_certificate".into(), ())
        .await
        .unwrap();
    let first: Certificate = client
        .raw_request("mileverse_certificate".into(), (1,))
        .await
        .unwrap();
    assert_eq!(first.signature.len(), certificate::G1_LENGTH);
    assert!(newest.height >= first.height);
    assert_eq!(
        mileverse_primitives::header::digest(first.outbox_root, first.rest_hash),
        first.digest
    );
    let none: Vec<Bytes> = client
        .raw_request("mileverse_packets".into(), (0, 10))
        .await
        .unwrap();
    assert!(none.is_empty());
    for (method, parameters) in [
        ("mileverse_packets", (0, 257)),
        ("mileverse_outboxProof", (0, 1)),
    ] {
        let error = client
            .raw_request::<_, serde_json::Value>(method.into(), parameters)
            .await
            .unwrap_err();
        assert_eq!(error.as_error_resp().unwrap().code, -32602);
    }
}
