//! The page's API over a real node: quote, prepare, sign elsewhere, follow, remember.

use super::{
    fees::{BASE, Operator, rules, user},
    node::{Node, balance, cast_alone, issue},
    wallet::{open_pool, open_pool_at, send},
};
use alloy::{
    network::{EthereumWallet, TransactionBuilder as _},
    primitives::{Address, Bytes, U256},
    providers::{Provider as _, ProviderBuilder},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use mileverse_app::{Network, Settings};
use mileverse_primitives::{address::POINTS, exchange::POOL};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const API: &str = "/app/api/v1";

struct Server {
    url: String,
    http: Client,
}

impl Server {
    async fn start(rpc: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = mileverse_app::router(Settings {
            native: Network {
                rpc: rpc.parse().unwrap(),
                public_rpc: None,
                explorer: Some("https://explorer.example/native/".parse().unwrap()),
            },
            ethereum: None,
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            http: Client::new(),
        }
    }

    async fn get(&self, path: &str) -> Value {
        let response = self
            .http
            .get(format!("{}{API}{path}", self.url))
            .send()
            .await
            .unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn prepare(&self, order: &Value) -> Value {
        let response = self.post(order).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{order}: {body}");
        body
    }

    async fn post(&self, order: &Value) -> reqwest::Response {
        self.post_to("/prepare", order).await
    }

    async fn post_to(&self, path: &str, order: &Value) -> reqwest::Response {
        let url = format!("{}{API}{path}", self.url);
        self.http.post(url).json(order).send().await.unwrap()
    }
}

/// Checks a refusal's form; answers its sentence.
async fn problem(response: reqwest::Response, status: StatusCode) -> String {
    assert_eq!(response.status(), status);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status.as_u16());
    assert!(
        body["type"]
            .as_str()
            .unwrap()
            .starts_with("urn:mileverse:problem:")
    );
    body["detail"].as_str().unwrap().to_owned()
}

/// What a wallet makes of a prepared transaction.
fn request(step: &Value) -> TransactionRequest {
    let transaction = &step["transaction"];
    let text = |name: &str| transaction[name].as_str().unwrap();
    let number = |name: &str| text(name).parse::<U256>().unwrap();
    TransactionRequest::default()
        .with_from(text("from").parse().unwrap())
        .with_to(text("to").parse().unwrap())
        .with_value(number("value"))
        .with_input(text("data").parse::<Bytes>().unwrap())
        .with_gas_limit(number("gas").to())
        .with_gas_price(number("gasPrice").to())
        .with_chain_id(number("chainId").to())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_is_quoted_prepared_signed_elsewhere_and_followed() {
    let node = Node::start().await;
    let issuer = node.provider();
    let server = Server::start(&node.url).await;
    open_pool(&node, &issuer).await;
    let signer = PrivateKeySigner::random();
    let account = signer.address();
    send(&issuer, issue(account, 200_000, "member")).await;
    let wallet = ProviderBuilder::new()
        .wallet(EthereumWallet::from(signer))
        .connect_http(node.url.parse().unwrap())
        .erased();

    let chain = server.get("/chain").await;
    assert_eq!(chain["chainId"], format!("{:#x}", super::node::CHAIN_ID));
    assert_eq!(chain["pool"], POOL.to_string().to_lowercase());
    assert_eq!(chain["explorerUrl"], "https://explorer.example/native");
    assert_eq!(chain["ethereum"], Value::Null);

    // Somebody listens from before.
    let mut stream = server
        .http
        .get(format!("{}{API}/accounts/{account}/events", server.url))
        .send()
        .await
        .unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");

    let quote = server
        .get("/quote?give=mvp&amount=0.1&slippageBp=100")
        .await;
    assert_eq!(quote["receive"]["amount"], "0.831248957812239453");
    let order = json!({ "account": account, "give": "mvp", "amount": "0.1", "slippageBp": 100 });
    let plan = server.prepare(&order).await;
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 2, "points need an allowance: {plan}");
    assert_eq!(
        (&steps[0]["kind"], &steps[0]["simulated"]),
        (&json!("allow"), &json!(true))
    );
    assert_eq!(
        (&steps[1]["kind"], &steps[1]["simulated"]),
        (&json!("swap"), &json!(false))
    );
    assert_eq!(
        steps[0]["transaction"]["to"],
        POINTS.to_string().to_lowercase()
    );
    assert!(steps[0]["lines"].to_string().contains("up to 0.1 MVP"));
    send(&wallet, request(&steps[0])).await;

    let plan = server.prepare(&order).await;
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1, "{plan}");
    assert_eq!(steps[0]["simulated"], true);
    let lines = steps[0]["lines"].to_string();
    assert!(
        lines.contains("receive at least") && lines.contains("0.1 MVP"),
        "{lines}"
    );
    let hash = *wallet
        .send_transaction(request(&steps[0]))
        .await
        .unwrap()
        .tx_hash();
    let found = loop {
        let found = server.get(&format!("/transactions/{hash}")).await;
        if found["stage"] != "pending" && found["stage"] != "unknown" {
            break found;
        }
    };
    assert_eq!(found["stage"], "final");

    let balances = server.get(&format!("/accounts/{account}/balances")).await;
    assert_eq!(balances["points"]["amount"], "0.1");
    assert_eq!(balances["coin"]["amount"], "0.831248957812239453");
    let history = server
        .get(&format!("/accounts/{account}/history?limit=1"))
        .await;
    let entry = &history["entries"][0];
    assert_eq!(entry["kind"], "swapped");
    assert_eq!(entry["transaction"], hash.to_string());
    let mut heard = String::new();
    while !heard.contains("swapped") {
        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
        heard.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(
        heard.contains("event: entry") && heard.contains(&hash.to_string()),
        "{heard}"
    );

    // Page by page: each entry once, until there is no next one. This server has no index: null.
    let first = &history["nextCursor"];
    let rest = server
        .get(&format!(
            "/accounts/{account}/history?cursor={}",
            first.as_str().unwrap()
        ))
        .await;
    let entries = rest["entries"].as_array().unwrap();
    let kinds: Vec<_> = entries
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["made"], "{rest}");
    assert_eq!(
        (&rest["nextCursor"], &rest["since"], &rest["indexed"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    let bad = server
        .http
        .get(format!(
            "{}{API}/accounts/{account}/history?cursor=7",
            server.url
        ))
        .send()
        .await
        .unwrap();
    let said = problem(bad, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(said.contains("nextCursor"), "{said}");

    // The other way needs no allowance: the coin goes along.
    let back = json!({ "account": account, "give": "mvc", "fixed": "receive", "amount": "0.05" });
    let plan = server.prepare(&back).await;
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1);
    assert_ne!(steps[0]["transaction"]["value"], "0x0");
    send(&wallet, request(&steps[0])).await;
    let balances = server.get(&format!("/accounts/{account}/balances")).await;
    assert_eq!(balances["points"]["amount"], "0.15");
}

/// The gas that a step is sent with.
fn gas(step: &Value) -> u64 {
    let gas = step["transaction"]["gas"].as_str().unwrap();
    u64::from_str_radix(gas.trim_start_matches("0x"), 16).unwrap()
}

/// What `eth_signTypedData_v4` of a wallet answers; here cast's.
fn signed(key: &str, asked: &Value) -> Value {
    let data = asked["typedData"].to_string();
    let signature = cast_alone(&["wallet", "sign", "--private-key", key, "--data", &data]);
    json!({ "deadline": asked["deadline"], "value": asked["value"], "signature": signature })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_points_and_no_coin_swaps_and_the_operator_pays_within_its_limits() {
    let node = Node::charging(rules()).await;
    let issuer = node.provider();
    let server = Server::start(&node.url).await;
    open_pool_at(&node, &issuer, BASE).await;
    let (member, account, key) = user(&node);
    send(&issuer, issue(account, 200_000, "member")).await;
    let with = |mut order: Value, permit: Value| {
        order["permit"] = permit;
        order
    };

    // Nobody pays for it yet, and the account cannot.
    let order = json!({ "account": account, "give": "mvp", "amount": "0.000001" });
    let said = problem(server.post(&order).await, StatusCode::CONFLICT).await;
    assert!(said.contains("gas and value may cost"), "{said}");

    // The operator that the genesis file names pays, so much for a user in a day.
    let operator = Operator::new(&node);
    let pool = POOL.to_string();
    operator.run(&["fees", "deposit", "--contract", &pool, "--amount", "1"]);
    operator.run(&[
        "fees",
        "share",
        "--contract",
        &pool,
        "--basis-points",
        "10000",
        "--per-transaction",
        "0.0005",
        "--per-user-day",
        "0.0012",
        "--per-day",
        "0.1",
    ]);

    // Two steps for wallets that sign no typed data: the first is paid with points.
    let plan = server.prepare(&order).await;
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 2, "{plan}");
    assert_eq!(steps[0]["gasPaidBy"], "nobody");
    assert_eq!(steps[1]["gasPaidBy"], "operator");
    // What cannot be tried yet asks for about as much room under the limits as the swap with a permit.
    let untried = gas(&steps[1]);
    let who = plan["permit"]["lines"].to_string();
    assert!(who.contains("the pool of MVP and MVC"), "{who}");

    // A signature and one transaction for the others.
    let permit = signed(&key, &plan["permit"]);
    let plan = server.prepare(&with(order.clone(), permit.clone())).await;
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1, "{plan}");
    assert_eq!(
        (&steps[0]["kind"], &steps[0]["simulated"]),
        (&json!("swap"), &json!(true))
    );
    assert_eq!(steps[0]["gasPaidBy"], "operator");
    assert_eq!(steps[0]["transaction"]["gasPrice"], "0x0");
    assert!(plan["permit"].is_null());
    let needed = gas(&steps[0]);
    assert!(needed <= untried && untried <= needed + needed / 10);
    let before = operator.run(&["fees", "show", "--contract", &pool]);
    let sent = member.send_transaction(request(&steps[0])).await.unwrap();
    let receipt = sent.get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(receipt.effective_gas_price, 0);
    // As docs/swap.md says: about 200,000, and 72,000 less if the pool's last change was in the same second,
    // which has noted the price.
    assert!(
        (115_000..220_000).contains(&receipt.gas_used),
        "{receipt:?}"
    );
    assert_eq!(balance(&issuer, account).await, U256::from(199_999));
    let coin = member.get_balance(account).await.unwrap();
    let least: U256 = plan["quote"]["least"]["units"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(coin >= least && !coin.is_zero());
    let after = operator.run(&["fees", "show", "--contract", &pool]);
    let spent = |shown: &Value| {
        shown["contract"]["spentToday"]["units"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_ne!(spent(&before), spent(&after));

    // A permit is used once: what is signed anew is good, the old one is not.
    let said = problem(
        server.post(&with(order.clone(), permit)).await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    assert!(said.contains("sign it again"), "{said}");
    let stranger = user(&node).2;
    let asked = server.prepare(&order).await["permit"].clone();
    let other = signed(&stranger, &asked);
    let response = server.post(&with(order.clone(), other)).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let kind: Value = response.json().await.unwrap();
    assert_eq!(kind["type"], "urn:mileverse:problem:permit-refused");
    let mut late = signed(&key, &asked);
    late["deadline"] = json!(1);
    let response = server.post(&with(order.clone(), late)).await;
    let said = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(said.contains("deadline has passed"), "{said}");

    // What a millionth point brings is too little to pay for gas, so the operator pays until its limit for this user ends.
    let mut swaps = 1;
    let refused = loop {
        let response = server.post(&order).await;
        if response.status() != StatusCode::OK {
            break response;
        }
        let plan: Value = response.json().await.unwrap();
        let permit = signed(&key, &plan["permit"]);
        let response = server.post(&with(order.clone(), permit)).await;
        if response.status() != StatusCode::OK {
            break response;
        }
        let plan: Value = response.json().await.unwrap();
        send(&member, request(&plan["steps"][0])).await;
        swaps += 1;
        assert!(swaps < 10, "no limit was met");
    };
    let kind: Value = refused.json().await.unwrap();
    assert_eq!(
        kind["type"], "urn:mileverse:problem:sponsor-limit",
        "{kind}"
    );
    assert!(
        kind["detail"]
            .as_str()
            .unwrap()
            .contains("after midnight UTC"),
        "{kind}"
    );
    assert_eq!(balance(&issuer, account).await, U256::from(200_000 - swaps));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_is_paid_points_or_coin_out_of_either() {
    let node = Node::start().await;
    let issuer = node.provider();
    let server = Server::start(&node.url).await;
    open_pool(&node, &issuer).await;
    let (member, account, key) = user(&node);
    send(&issuer, issue(account, 300_000, "member")).await;
    let gift = TransactionRequest::default()
        .with_to(account)
        .with_value(U256::from(10).pow(U256::from(18)));
    send(&issuer, super::node::free(gift)).await;
    let shop = Address::repeat_byte(0x5b);
    let order = |with: &str| json!({ "account": account, "shop": shop, "points": "0.04", "with": with, "memo": "bill 7" });
    for (with, give) in [("mvp", "MVP"), ("mvc", "MVC")] {
        let response = server.post_to("/payments", &order(with)).await;
        let status = response.status();
        let plan: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{plan}");
        assert_eq!(plan["receive"]["amount"], "0.04");
        assert_eq!(plan["give"]["token"], give);
        assert_eq!(plan["steps"].as_array().unwrap().len(), 1, "{plan}");
        let step = &plan["steps"][0];
        assert_eq!(
            (&step["kind"], &step["simulated"]),
            (&json!("pay"), &json!(true))
        );
        let before = balance(&issuer, shop).await;
        let coin = member.get_balance(account).await.unwrap();
        let sent = member.send_transaction(request(step)).await.unwrap();
        let receipt = sent.get_receipt().await.unwrap();
        assert!(receipt.status());
        assert_eq!(balance(&issuer, shop).await, before + U256::from(40_000));
        // The shop sees a transfer with its memo, whatever it was paid with.
        let memo = alloy::primitives::B256::right_padding_from(b"bill 7");
        assert!(
            receipt
                .logs()
                .iter()
                .any(|log| log.address() == POINTS && log.topics().contains(&memo))
        );
        let spent = coin - member.get_balance(account).await.unwrap();
        let most: U256 = plan["most"]["units"].as_str().unwrap().parse().unwrap();
        assert!(if with == "mvc" {
            spent <= most && !spent.is_zero()
        } else {
            spent.is_zero()
        });
    }

    // Coin out of points: one signature, one transaction.
    let order_coin = json!({ "account": account, "shop": shop, "coin": "0.3", "with": "mvp", "slippageBp": 100 });
    let plan: Value = server
        .post_to("/payments", &order_coin)
        .await
        .json()
        .await
        .unwrap();
    let kinds: Vec<_> = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["allow", "pay"], "{plan}");
    assert_eq!(plan["permit"]["value"], plan["most"]["units"]);
    let mut with_permit = order_coin.clone();
    with_permit["permit"] = signed(&key, &plan["permit"]);
    // The price moves meanwhile: what was signed for stays what may be taken.
    let dearer = json!({ "account": account, "give": "mvc", "fixed": "receive", "amount": "0.002", "slippageBp": 500 });
    let moved = server.prepare(&dearer).await;
    send(&member, request(&moved["steps"][0])).await;
    let response = server.post_to("/payments", &with_permit).await;
    let paying: Value = response.json().await.unwrap();
    assert_eq!(paying["steps"].as_array().unwrap().len(), 1, "{paying}");
    assert!(paying["permit"].is_null());
    assert_eq!(paying["most"], plan["most"]);
    let step = &paying["steps"][0];
    assert_eq!(
        (&step["kind"], &step["simulated"]),
        (&json!("pay"), &json!(true))
    );
    let lines = step["lines"].to_string();
    assert!(
        lines.contains("give at most") && lines.contains("0.3 MVC"),
        "{lines}"
    );
    let before = member.get_balance(shop).await.unwrap();
    let points = balance(&issuer, account).await;
    send(&member, request(step)).await;
    let received = member.get_balance(shop).await.unwrap() - before;
    assert_eq!(received, U256::from(300_000_000_000_000_000_u64));
    let spent = points - balance(&issuer, account).await;
    assert_eq!(paying["give"]["units"], spent.to_string());
    // Coin out of coin is a transfer; it has no memo.
    let mut plain = order_coin.clone();
    plain["with"] = json!("mvc");
    let response = server.post_to("/payments", &plain).await;
    let plan: Value = response.json().await.unwrap();
    send(&member, request(&plan["steps"][0])).await;
    assert_eq!(
        member.get_balance(shop).await.unwrap() - before,
        U256::from(600_000_000_000_000_000_u64)
    );
    for (name, value, word) in [
        ("memo", json!("bill 8"), "no memo"),
        ("points", json!("1"), "points or coin"),
    ] {
        let mut bad = order_coin.clone();
        bad[name] = value;
        let response = server.post_to("/payments", &bad).await;
        let said = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
        assert!(said.contains(word), "{said}");
    }

    // A swap for exactly so much coin, likewise.
    let order_exact = json!({ "account": account, "give": "mvp", "receive": "mvc", "fixed": "receive", "amount": "0.1" });
    let plan = server.prepare(&order_exact).await;
    // What the last permit allowed and did not take suffices for nothing this dear.
    assert_eq!(plan["steps"].as_array().unwrap().len(), 2, "{plan}");
    let mut with_permit = order_exact.clone();
    with_permit["permit"] = signed(&key, &plan["permit"]);
    let mut nameless = with_permit.clone();
    nameless["permit"].as_object_mut().unwrap().remove("value");
    let said = problem(
        server.post(&nameless).await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    assert!(said.contains("value"), "{said}");
    let before = member.get_balance(account).await.unwrap();
    let plan = server.prepare(&with_permit).await;
    assert_eq!(plan["steps"].as_array().unwrap().len(), 1, "{plan}");
    send(&member, request(&plan["steps"][0])).await;
    assert_eq!(
        member.get_balance(account).await.unwrap() - before,
        U256::from(100_000_000_000_000_000_u64)
    );

    let mut bad = order("mvc");
    bad["memo"] = json!("x".repeat(33));
    let response = server.post_to("/payments", &bad).await;
    let said = problem(response, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(said.contains("32 bytes"), "{said}");
    let mut dear = order("mvp");
    dear["points"] = json!("5");
    let response = server.post_to("/payments", &dear).await;
    problem(response, StatusCode::CONFLICT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_a_sentence() {
    let node = Node::start().await;
    let server = Server::start(&node.url).await;
    let account = Address::repeat_byte(9).to_string();
    // An empty pool, and what cannot be meant.
    for (query, status, word) in [
        ("give=mvp&amount=1", StatusCode::CONFLICT, "PoolEmpty"),
        (
            "give=mvp&amount=-1",
            StatusCode::UNPROCESSABLE_ENTITY,
            "negative",
        ),
        (
            "give=mvp&amount=1e5",
            StatusCode::UNPROCESSABLE_ENTITY,
            "not an amount",
        ),
        (
            "give=mvp&amount=0",
            StatusCode::UNPROCESSABLE_ENTITY,
            "zero",
        ),
        (
            "give=mvp&amount=0.0000001",
            StatusCode::UNPROCESSABLE_ENTITY,
            "decimals",
        ),
        ("give=eth&amount=1", StatusCode::UNPROCESSABLE_ENTITY, "eth"),
        ("amount=1", StatusCode::UNPROCESSABLE_ENTITY, "give"),
        (
            "give=mvp&receive=mvp&amount=1",
            StatusCode::UNPROCESSABLE_ENTITY,
            "ends where it begins",
        ),
        (
            "give=mvp&from=ethereum&receive=mvc&amount=1",
            StatusCode::CONFLICT,
            "native chain only",
        ),
        (
            "give=mvp&to=ethereum&receive=mvc&amount=1",
            StatusCode::CONFLICT,
            "no Ethereum node",
        ),
        // This server was given no Ethereum.
        (
            "give=mvp&to=ethereum&amount=1",
            StatusCode::CONFLICT,
            "no Ethereum node",
        ),
        ("give=mvp", StatusCode::UNPROCESSABLE_ENTITY, "amount"),
        (
            "give=mvp&amount=1&slippageBp=5001",
            StatusCode::UNPROCESSABLE_ENTITY,
            "slippage",
        ),
        (
            "give=mvp&amount=1&slippageBp=70000",
            StatusCode::UNPROCESSABLE_ENTITY,
            "slippageBp",
        ),
        (
            "give=mvp&amount=1&other=2",
            StatusCode::UNPROCESSABLE_ENTITY,
            "other",
        ),
    ] {
        let url = format!("{}{API}/quote?{query}", server.url);
        let said = problem(server.http.get(url).send().await.unwrap(), status).await;
        assert!(said.contains(word), "{query}: {said}");
    }
    for order in [
        json!({ "account": "0x1", "give": "mvp", "amount": "1" }),
        json!({ "account": account, "give": "mvp", "amount": 1 }),
        json!({ "account": account, "give": "mvp", "amount": "1", "receiver": "0x1" }),
        json!([]),
    ] {
        problem(server.post(&order).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    open_pool(&node, &node.provider()).await;
    let late = json!({ "account": account, "give": "mvp", "amount": "1", "minutes": 61 });
    let said = problem(server.post(&late).await, StatusCode::UNPROCESSABLE_ENTITY).await;
    assert!(said.contains("60 minutes"), "{said}");
    let poor = json!({ "account": account, "give": "mvp", "amount": "1" });
    let said = problem(server.post(&poor).await, StatusCode::CONFLICT).await;
    assert!(said.contains("less than 1 MVP"), "{said}");
    for path in [
        "/transactions/0x12",
        "/accounts/me/balances",
        "/accounts/0x1/history",
        "/accounts/%ff/history",
        "/packets/native:0",
        "/packets/%ff",
    ] {
        let url = format!("{}{API}{path}", server.url);
        problem(
            server.http.get(url).send().await.unwrap(),
            StatusCode::UNPROCESSABLE_ENTITY,
        )
        .await;
    }
    for path in [
        "/packets/native:1".to_owned(),
        format!("/accounts/{account}/packets"),
    ] {
        let url = format!("{}{API}{path}", server.url);
        let said = problem(
            server.http.get(url).send().await.unwrap(),
            StatusCode::CONFLICT,
        )
        .await;
        assert!(said.contains("no Ethereum node"), "{said}");
    }
    let url = format!("{}{API}/quote", server.url);
    problem(
        server.http.delete(url).send().await.unwrap(),
        StatusCode::METHOD_NOT_ALLOWED,
    )
    .await;
    let url = format!("{}{API}/nothing", server.url);
    problem(
        server.http.get(url).send().await.unwrap(),
        StatusCode::NOT_FOUND,
    )
    .await;
    let unknown = server
        .get(&format!("/transactions/0x{}", "11".repeat(32)))
        .await;
    assert_eq!(unknown["stage"], "unknown");

    // A chain that is away is no secret, its address is.
    let lost = Server::start("http://127.0.0.1:1").await;
    let url = format!("{}{API}/quote?give=mvp&amount=1", lost.url);
    let said = problem(
        lost.http.get(url).send().await.unwrap(),
        StatusCode::SERVICE_UNAVAILABLE,
    )
    .await;
    assert!(!said.contains("127.0.0.1"), "{said}");

    // The page: nothing inline, nothing from elsewhere.
    let page = server
        .http
        .get(format!("{}/app", server.url))
        .send()
        .await
        .unwrap();
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let html = page.text().await.unwrap();
    assert!(!html.contains("style=") && !html.contains("onclick") && !html.contains("://"));
    let mut files: Vec<_> = html
        .split('"')
        .filter(|part| part.starts_with("/app/page/"))
        .map(str::to_owned)
        .collect();
    let scripts = [
        "api", "dom", "progress", "review", "state", "wallets", "words",
    ];
    files.extend(scripts.map(|name| format!("/app/page/{name}.js")));
    for file in files {
        let response = server
            .http
            .get(format!("{}{file}", server.url))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{file}");
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(
            ["text/css", "text/javascript", "image/svg+xml"]
                .iter()
                .any(|good| kind.starts_with(good)),
            "{file}"
        );
    }
    let document = server.get("/openapi.json").await;
    assert_eq!(document["paths"].as_object().unwrap().len(), 12);
}
