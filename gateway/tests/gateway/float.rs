//! Prepaid points: a partner converts what it holds and no more, and buys more with ether.

use crate::support::ethereum::{CHAIN_ID, Ethereum, Payment};
use crate::support::{Databases, Gateway, Settings, World};
use alloy::primitives::{Address, B256};
use futures::future;
use mileverse_gateway::clock::now_ms;
use mileverse_gateway::config::FloatConfig;
use mileverse_gateway::float::price::{Basis, Price, PriceRules, window_begin};
use mileverse_gateway::store::partners::Funding;
use mileverse_gateway::units::MicroPoints;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

crate::on_both! {
    a_short_float_is_said_before_anything_moves,
    a_float_is_topped_up_with_ether_and_spent,
    a_float_never_goes_below_zero,
    a_low_float_asks_for_a_top_up_by_itself,
    there_is_no_price_without_a_history,
}

const DANIEL: (&str, &str) = ("daniel@sky.example", "quiet-pine-07");
/// 250 gwei for a point.
const PRICE: u64 = 250_000_000_000;

struct Till {
    world: World,
    ethereum: Ethereum,
    pay_to: Address,
}

/// A world whose partner is prepaid, with three months of prices and nothing in the float.
async fn till(on: &Databases) -> Till {
    let ethereum = Ethereum::start().await;
    ethereum.ledger.lock().unwrap().time = now_ms() / 1000;
    let pay_to = Address::repeat_byte(0x77);
    let settings = Settings {
        float: Some(FloatConfig {
            ethereum_rpc_url: ethereum.url.parse().unwrap(),
            ethereum_chain_id: CHAIN_ID,
            pay_to,
            payment: Duration::from_secs(3600),
            pool: None,
            rules: PriceRules {
                maximum_age_ms: 600_000,
                minimum_days: 90,
            },
        }),
        ..Settings::default()
    };
    let world = World::with(on, settings).await;
    world
        .partner("demo", |partner| partner.funding = Funding::Prepaid)
        .await;
    Till {
        world,
        ethereum,
        pay_to,
    }
}

impl Till {
    async fn prices(&self) {
        let store = self.world.store().await;
        let now = now_ms();
        for (at, wei_per_point) in [(window_begin(now) - 1000, 2 * PRICE), (now - 1000, PRICE)] {
            let price = Price {
                at,
                wei: wei_per_point,
            };
            assert!(store.record_price(price, "test").await.unwrap());
        }
        store.close().await;
    }

    async fn begin(&self, gateway: &Gateway, key: &str, points: &str, basis: &str) -> Value {
        let body = json!({ "points": points, "basis": basis });
        let request = self.world.post(gateway, "/v1/top-ups", key, &body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let view: Value = answer.json().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{view}");
        view
    }

    async fn pay(&self, gateway: &Gateway, id: &Value, hash: B256) -> (StatusCode, Value) {
        let path = format!("/v1/top-ups/{}/payment", id.as_str().unwrap());
        let body = json!({ "transaction_hash": hash });
        let request = self.world.post(gateway, &path, "unused", &body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Begins and pays a top-up.
    async fn fill(&self, gateway: &Gateway, points: &str) {
        let top_up = self.begin(gateway, "fill", points, "market").await;
        let hash = B256::repeat_byte(0xf1);
        let payment = Payment {
            to: self.pay_to,
            wei: top_up["wei"].as_str().unwrap().parse().unwrap(),
            block: 1,
            succeeded: true,
        };
        {
            let mut ledger = self.ethereum.ledger.lock().unwrap();
            ledger.payments.insert(hash, payment);
            ledger.finalized = 5;
        }
        let (status, view) = self.pay(gateway, &top_up["id"], hash).await;
        assert_eq!(status, StatusCode::OK, "{view}");
    }
}

async fn a_short_float_is_said_before_anything_moves(on: &Databases) {
    let till = till(on).await;
    till.prices().await;
    let gateway = till.world.gateway().await;
    let quote = json!({
        "programme": "airline",
        "member": { "login": DANIEL.0, "password": DANIEL.1 },
        "miles": "100",
    });
    let short = till.world.post(&gateway, "/v1/quotes", "short", &quote);
    let short = short.send().await.unwrap();
    assert_eq!(short.status(), StatusCode::CONFLICT);
    let problem: Value = short.json().await.unwrap();
    assert_eq!(problem["type"], "urn:mileverse:problem:float-short");
    assert_eq!(problem["available"], "0");
    assert_eq!(problem["needed"], "1200");

    // Two quotes fit into the float, two conversions do not.
    till.fill(&gateway, "1500").await;
    let first = till.world.quoted(&gateway, DANIEL.0, DANIEL.1, "100").await;
    let second = till.world.quoted(&gateway, DANIEL.0, DANIEL.1, "100").await;
    let world = &till.world;
    let made = world.post(&gateway, "/v1/conversions", "first", &first);
    assert_eq!(made.send().await.unwrap().status(), StatusCode::CREATED);
    let short = world.post(&gateway, "/v1/conversions", "second", &second);
    assert_eq!(short.send().await.unwrap().status(), StatusCode::CONFLICT);
    assert_eq!(world.miles("SKY-1002").await, 800_000 - 100);
    let float = world.get(&gateway, "/v1/float").await;
    assert_eq!(float["available"], "300");
    assert_eq!(float["held"], "0");
    assert_eq!(float["funding"], "prepaid");

    // What comes to nothing is put back.
    let refused = world
        .quoted(&gateway, "refuse@sky.example", "fault", "10")
        .await;
    let refused = world.post(&gateway, "/v1/conversions", "refused", &refused);
    let status = refused.send().await.unwrap().status();
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let float = world.get(&gateway, "/v1/float").await;
    assert_eq!(
        (&float["available"], &float["held"]),
        (&json!("300"), &json!("0"))
    );
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_float_is_topped_up_with_ether_and_spent(on: &Databases) {
    let till = till(on).await;
    till.prices().await;
    let gateway = till.world.gateway().await;
    let price = till.world.get(&gateway, "/v1/price").await;
    assert_eq!(price["market"], PRICE.to_string());
    // The old price held for all of the window but the last moments.
    let average: u64 = price["average"].as_str().unwrap().parse().unwrap();
    assert!((PRICE * 19 / 10..2 * PRICE).contains(&average), "{average}");

    let top_up = till.begin(&gateway, "buy", "1000", "market").await;
    assert_eq!(top_up["state"], "awaiting_payment");
    assert_eq!(top_up["wei_per_point"], PRICE.to_string());
    let wei: u128 = top_up["wei"].as_str().unwrap().parse().unwrap();
    let least = u128::from(PRICE) * 1000;
    assert!(
        (least..least + 10_000 * 1_000_000_000).contains(&wei),
        "{wei}"
    );
    // The same key: the same top-up.
    assert_eq!(till.begin(&gateway, "buy", "1000", "market").await, top_up);

    let hash = B256::repeat_byte(1);
    let (status, problem) = till.pay(&gateway, &top_up["id"], hash).await;
    assert_eq!(status, StatusCode::CONFLICT, "not known yet: {problem}");
    let good = Payment {
        to: till.pay_to,
        wei,
        block: 10,
        succeeded: true,
    };
    let elsewhere = Payment {
        to: Address::ZERO,
        ..good.clone()
    };
    let less = Payment {
        wei: wei - 1,
        ..good.clone()
    };
    let failed = Payment {
        succeeded: false,
        ..good.clone()
    };
    till.ethereum.ledger.lock().unwrap().finalized = 20;
    for wrong in [elsewhere, less, failed] {
        till.ethereum
            .ledger
            .lock()
            .unwrap()
            .payments
            .insert(hash, wrong);
        let (status, problem) = till.pay(&gateway, &top_up["id"], hash).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        assert_eq!(problem["type"], "urn:mileverse:problem:payment-wrong");
    }
    till.ethereum
        .ledger
        .lock()
        .unwrap()
        .payments
        .insert(hash, good);
    till.ethereum.ledger.lock().unwrap().finalized = 9;
    let (status, problem) = till.pay(&gateway, &top_up["id"], hash).await;
    assert_eq!(status, StatusCode::CONFLICT, "not final yet: {problem}");
    assert_eq!(
        till.world.get(&gateway, "/v1/float").await["available"],
        "0"
    );

    till.ethereum.ledger.lock().unwrap().finalized = 10;
    let now = till.ethereum.ledger.lock().unwrap().time;
    till.ethereum.ledger.lock().unwrap().time = now - 3600;
    let (status, problem) = till.pay(&gateway, &top_up["id"], hash).await;
    assert_eq!(
        status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "too old: {problem}"
    );
    till.ethereum.ledger.lock().unwrap().time = now;
    // Said many times at once, it counts once.
    let sayings = (0..10).map(|_| till.pay(&gateway, &top_up["id"], hash));
    for (status, view) in future::join_all(sayings).await {
        assert_eq!(status, StatusCode::OK, "{view}");
        assert_eq!(view["state"], "paid");
    }
    assert_eq!(
        till.world.get(&gateway, "/v1/float").await["available"],
        "1000"
    );
    let list = till.world.get(&gateway, "/v1/top-ups?limit=1").await;
    assert_eq!(list["items"][0]["id"], top_up["id"]);
    assert_eq!(list["next_cursor"], Value::Null);

    let body = till.world.quoted(&gateway, DANIEL.0, DANIEL.1, "50").await;
    let made = till.world.post(&gateway, "/v1/conversions", "spend", &body);
    assert_eq!(made.send().await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(
        till.world.get(&gateway, "/v1/float").await["available"],
        "400"
    );
    till.world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_float_never_goes_below_zero(on: &Databases) {
    let till = till(on).await;
    till.prices().await;
    let gateway = till.world.gateway().await;
    till.fill(&gateway, "600").await;
    let mut bodies = Vec::new();
    for _ in 0..12 {
        bodies.push(till.world.quoted(&gateway, DANIEL.0, DANIEL.1, "10").await);
    }
    let requests = bodies.iter().enumerate().map(|(at, body)| {
        let key = format!("race-{at}");
        let request = till.world.post(&gateway, "/v1/conversions", &key, body);
        async move { request.send().await.unwrap().status() }
    });
    let statuses = future::join_all(requests).await;
    let made = statuses
        .iter()
        .filter(|status| **status == StatusCode::CREATED);
    assert_eq!(made.count(), 5, "{statuses:?}");
    assert!(
        !statuses.iter().any(StatusCode::is_server_error),
        "{statuses:?}"
    );
    let float = till.world.get(&gateway, "/v1/float").await;
    assert_eq!(
        (&float["available"], &float["held"]),
        (&json!("0"), &json!("0"))
    );
    till.world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_low_float_asks_for_a_top_up_by_itself(on: &Databases) {
    let till = till(on).await;
    till.prices().await;
    let gateway = till.world.gateway().await;
    till.fill(&gateway, "600").await;
    let store = till.world.store().await;
    let mvp = |points: u64| MicroPoints(points * 1_000_000);
    let set = store.set_automatic_top_up("demo", mvp(500), mvp(2_000), Basis::Market);
    assert!(set.await.unwrap());
    store.close().await;
    for at in 0..2 {
        let body = till.world.quoted(&gateway, DANIEL.0, DANIEL.1, "10").await;
        let key = format!("low-{at}");
        let made = till.world.post(&gateway, "/v1/conversions", &key, &body);
        assert_eq!(made.send().await.unwrap().status(), StatusCode::CREATED);
    }
    let until = Instant::now() + crate::support::PATIENCE;
    let automatic = loop {
        let list = till.world.get(&gateway, "/v1/top-ups").await;
        let items = list["items"].as_array().unwrap();
        let found: Vec<_> = items
            .iter()
            .filter(|item| item["automatic"] == true)
            .cloned()
            .collect();
        if !found.is_empty() {
            break found;
        }
        assert!(Instant::now() < until, "no top-up was begun");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(automatic.len(), 1);
    assert_eq!(automatic[0]["points"], "2000");
    assert_eq!(automatic[0]["state"], "awaiting_payment");
    gateway.stop().await;
}

async fn there_is_no_price_without_a_history(on: &Databases) {
    let till = till(on).await;
    let gateway = till.world.gateway().await;
    let price = till.world.get(&gateway, "/v1/price").await;
    assert_eq!(price["market"], Value::Null);
    for (at, basis) in ["market", "average"].into_iter().enumerate() {
        let body = json!({ "points": "10", "basis": basis });
        let key = format!("none-{at}");
        let request = till.world.post(&gateway, "/v1/top-ups", &key, &body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], "urn:mileverse:problem:price-unknown");
    }
    for (at, body) in [
        json!({ "points": "0", "basis": "market" }),
        json!({ "points": "1.0000001", "basis": "market" }),
        json!({ "points": "10", "basis": "best" }),
    ]
    .iter()
    .enumerate()
    {
        let key = format!("bad-{at}");
        let request = till.world.post(&gateway, "/v1/top-ups", &key, body);
        let status = request.send().await.unwrap().status();
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    gateway.stop().await;
}
