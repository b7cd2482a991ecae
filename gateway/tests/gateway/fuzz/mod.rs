//! Requests made from the API's own document, good ones and wrong ones, from a seed, by several
//! clients at once. Every answer must be one that the document promises: its status, its media type,
//! its body's schema. Nothing may be a fault of the gateway. Every operation must have worked, and
//! have refused who may not.
//!
//! `FUZZ_SEED` replays a run as far as chance goes, `FUZZ_REQUESTS` says how many each client sends.

mod document;
mod requests;

use crate::support::ethereum::{CHAIN_ID, Ethereum, Payment};
use crate::support::{Databases, Gateway, KEY, PATIENCE, READER, STRANGER, Settings, World, until};
use crate::webhooks::Endpoint;
use alloy::primitives::{Address, U256};
use document::{Document, METHODS, Operation};
use futures::future;
use mileverse_gateway::clock::now_ms;
use mileverse_gateway::config::FloatConfig;
use mileverse_gateway::custody::Rules as Custody;
use mileverse_gateway::float::price::{Price, PriceRules, window_begin};
use mileverse_gateway::keys::{digest, hex};
use mileverse_gateway::operator::Role;
use mileverse_gateway::problem::{self, Kind};
use mileverse_gateway::store::partners::Funding;
use mileverse_gateway::webhook::deliver::Rules;
use rand::Rng;
use requests::{Care, Maker, Sent, payment};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{self, Instant};

crate::on_both! {
    every_answer_is_one_that_the_document_promises,
}

const CLIENTS: usize = 4;
const REQUESTS: usize = 300;
/// Faults that may be: somebody else's, or the gateway's own choice.
const FAULTS: [Kind; 5] = [
    problem::PriceUnknown,
    problem::TopUpsOff,
    problem::PartnerUnavailable,
    problem::NotReady,
    problem::Busy,
];

/// What takes more than a good request: a signature (`signatures.rs` makes one), a partner with a hub
/// (`hints.rs` has one).
const ELSEWHERE: [&str; 2] = ["/v1/signature-rule", "/v1/listeners"];

/// Whether a good request alone is enough for it.
fn works(operation: &&Operation) -> bool {
    !ELSEWHERE.iter().any(|one| operation.path.starts_with(one))
}

/// What somebody may have sent to a wallet, in micro-points.
const SENT: u64 = 1_000_000_000_000;

/// Keys of the two partners, with every scope.
const SHOP: &str = "mvk_test_shop-with-every-scope-0123456789";
const PREPAID: &str = "mvk_test_prepaid-with-every-scope-012345";
const OPERATORS: [(&str, Role); 4] = [
    ("vera", Role::Viewer),
    ("olaf", Role::Operator),
    ("anna", Role::Approver),
    ("adam", Role::Admin),
];

struct Stage {
    world: World,
    ethereum: Ethereum,
    gateway: Gateway,
    document: Document,
    operations: Vec<Operation>,
    pay_to: Address,
    seed: u64,
}

struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// How often each status came, by operation.
type Seen = BTreeMap<String, BTreeMap<u16, u32>>;

struct Client<'a> {
    stage: &'a Stage,
    maker: Maker,
    token: Option<String>,
    seen: Seen,
}

/// The key that may do this.
fn right_key(operation: &Operation) -> Option<&'static str> {
    let deciding = operation.path.contains("/actions/{id}");
    match operation.key.as_deref()? {
        "operator_key" => Some(match operation.method.as_str() {
            "GET" => "vera",
            _ if deciding => "anna",
            _ if operation.path.contains("/operators") => "adam",
            _ => "olaf",
        }),
        _ if operation.path.starts_with("/v1/top-ups") => Some(PREPAID),
        _ => Some(SHOP),
    }
}

impl Stage {
    async fn set(on: &Databases, sink: &Endpoint, seed: u64) -> (Self, (String, String)) {
        let ethereum = Ethereum::start().await;
        ethereum.ledger.lock().unwrap().time = now_ms() / 1000;
        let pay_to = Address::repeat_byte(0x77);
        let world = World::with(
            on,
            Settings {
                sandbox: true,
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
                custody: Some(Custody::default()),
                webhooks: Rules {
                    private: true,
                    ..Rules::default()
                },
                ..Settings::default()
            },
        )
        .await;
        world.partner("shop", |_| {}).await;
        world
            .partner("prepaid", |partner| partner.funding = Funding::Prepaid)
            .await;
        let client = (world.full_key("shop", SHOP).await, SHOP.to_owned());
        world.full_key("prepaid", PREPAID).await;
        let store = world.store().await;
        for (name, role) in OPERATORS {
            let digest = hex(&digest(name));
            let by = "command line";
            let added = store.add_operator(name, role, &digest, by, now_ms()).await;
            assert!(added.unwrap());
        }
        let now = now_ms();
        for (at, wei) in [
            (window_begin(now) - 1000, 2_000_000),
            (now - 1000, 1_000_000),
        ] {
            let price = Price { at, wei };
            assert!(store.record_price(price, "test").await.unwrap());
        }
        store.close().await;
        assert!(sink.url.starts_with("http://127.0.0.1:"));
        let gateway = world.gateway().await;
        let url = format!("{}/openapi.json", gateway.url);
        let document = world.client.get(url).send().await.unwrap();
        let document = Document(document.json().await.unwrap());
        let stage = Self {
            operations: document.operations(),
            document,
            world,
            ethereum,
            gateway,
            pay_to,
            seed,
        };
        (stage, client)
    }

    async fn send(&self, sent: &Sent, key: Option<&str>) -> Got {
        let url = format!("{}{}", self.gateway.url, sent.path);
        let method = sent.method.parse().unwrap();
        let mut request = self.world.client.request(method, url);
        for (name, value) in &sent.headers {
            // What no client can send is not sent.
            if let Ok(value) = HeaderValue::from_bytes(value) {
                request = request.header(*name, value);
            }
        }
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = &sent.body {
            request = request.body(body.clone());
        }
        let answer = request.send().await;
        let answer = answer.unwrap_or_else(|error| panic!("{error}: {}", self.told(sent, key)));
        Got {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await.unwrap().to_vec(),
        }
    }

    fn told(&self, sent: &Sent, key: Option<&str>) -> String {
        let headers: Vec<_> = sent
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
            .collect();
        let body = sent.body.as_deref().unwrap_or_default();
        let body = &body[..body.len().min(400)];
        format!(
            "{} {} as {key:?} with {headers:?} and {} (FUZZ_SEED={})",
            sent.method,
            sent.path,
            body.escape_ascii(),
            self.seed
        )
    }

    /// What every answer must be, whatever was asked.
    fn check(&self, operation: Option<&Operation>, sent: &Sent, key: Option<&str>, got: &Got) {
        let told = || {
            let body = String::from_utf8_lossy(&got.body);
            let body: String = body.chars().take(400).collect();
            format!("{} {body} to {}", got.status, self.told(sent, key))
        };
        assert!(got.headers.contains_key("x-request-id"), "{}", told());
        let media = got.headers.get("content-type");
        let media = media.and_then(|media| media.to_str().ok()?.split(';').next());
        if let Some(operation) = operation {
            let allowed = self
                .document
                .allows(operation, got.status, media, &got.body);
            assert_eq!(allowed, Ok(()), "{}", told());
        }
        let problem = got.json();
        if media == Some(problem::MEDIA_TYPE) {
            let kind = problem["type"].as_str().and_then(Kind::of_urn);
            let kind = kind.unwrap_or_else(|| panic!("an unknown problem: {}", told()));
            assert_eq!(kind.status().as_u16(), got.status, "{}", told());
            assert_eq!(problem["status"], got.status, "{}", told());
            assert!(got.status < 500 || FAULTS.contains(&kind), "{}", told());
        } else {
            // A token is refused in the words of OAuth.
            let refused = got.status < 500 && sent.path.starts_with("/v1/oauth/token");
            assert!(got.status < 400 || refused, "{}", told());
        }
    }

    /// A top-up that was begun is paid on Ethereum at once.
    fn pay(&self, answer: &Value) {
        let (Some(id), Some(wei)) = (answer["id"].as_str(), answer["wei"].as_str()) else {
            return;
        };
        let mut ledger = self.ethereum.ledger.lock().unwrap();
        let paid = Payment {
            to: self.pay_to,
            wei: wei.parse().unwrap(),
            block: 1,
            succeeded: true,
        };
        ledger.payments.insert(payment(id).parse().unwrap(), paid);
        ledger.finalized = 5;
    }

    /// Somebody sends points to a wallet.
    fn fill(&self, answer: &Value) {
        let Some(address) = answer["address"].as_str() else {
            return;
        };
        let mut ledger = self.world.chain.ledger.lock().unwrap();
        let held = ledger.balances.entry(address.parse().unwrap());
        *held.or_default() = U256::from(SENT);
    }
}

impl Client<'_> {
    async fn ask(&mut self, operation: &Operation, care: Care) -> u16 {
        let stage = self.stage;
        let sent = self.maker.request(&stage.document, operation, care);
        let key = match care {
            Care::Good => right_key(operation).map(ToOwned::to_owned),
            Care::Any => self.some_key(operation),
        };
        let got = self.answered(operation, &sent, key.as_deref()).await;
        let again = operation.method == "POST" && got.status < 300 && self.maker.chance(0.1);
        if again {
            self.again(operation, &sent, key.as_deref(), &got).await;
        }
        got.status
    }

    async fn answered(&mut self, operation: &Operation, sent: &Sent, key: Option<&str>) -> Got {
        let got = self.stage.send(sent, key).await;
        self.stage.check(Some(operation), sent, key, &got);
        let seen = self.seen.entry(operation.name.clone()).or_default();
        *seen.entry(got.status).or_default() += 1;
        // What another partner was told is not ours to use.
        let ours = key.is_none_or(|key| ![KEY, READER, STRANGER].contains(&key));
        if ours {
            let answer = got.json();
            self.maker.learn(&sent.path, &answer);
            if let Some(token) = answer["access_token"].as_str() {
                self.token = Some(token.to_owned());
            }
            if operation.path == "/v1/top-ups" {
                self.stage.pay(&answer);
            }
            // Members whose wallets are empty can leave.
            if operation.path.ends_with("/wallet") && self.maker.chance(0.5) {
                self.stage.fill(&answer);
            }
        }
        got
    }

    /// The same request with the same Idempotency-Key: the same answer, where the document has one. (A
    /// token is another each time.)
    async fn again(&mut self, operation: &Operation, sent: &Sent, key: Option<&str>, first: &Got) {
        let named = operation
            .parameters
            .iter()
            .any(|parameter| parameter["in"] == "header");
        let got = self.answered(operation, sent, key).await;
        // A conversion that was not settled is told as it stands.
        if named && first.status != 202 {
            let told = self.stage.told(sent, key);
            assert_eq!(got.status, first.status, "{told}");
            assert_eq!(got.body, first.body, "{told}");
        }
    }

    fn some_key(&mut self, operation: &Operation) -> Option<String> {
        if self.maker.chance(0.8) {
            let right = right_key(operation).map(ToOwned::to_owned);
            let token = self.token.clone().filter(|_| self.maker.chance(0.1));
            return token.filter(|_| right.is_some()).or(right);
        }
        let keys = [
            SHOP, PREPAID, KEY, READER, STRANGER, "vera", "olaf", "anna", "adam", "nobody", "",
        ];
        match self.maker.chance(0.2) {
            true => None,
            false => Some((*self.maker.pick(&keys)).to_owned()),
        }
    }

    /// Every operation works: ids that one needs come from another's answer, some a moment later.
    async fn reach_everything(&mut self) {
        let stage = self.stage;
        let deadline = Instant::now() + PATIENCE;
        let mut left: Vec<_> = stage.operations.iter().filter(works).collect();
        loop {
            let mut last = Vec::new();
            for operation in std::mem::take(&mut left) {
                let status = self.ask(operation, Care::Good).await;
                if !(200..300).contains(&status) {
                    last.push(format!("{} ({status})", operation.name));
                    left.push(operation);
                }
            }
            if left.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "these never worked: {last:?} (FUZZ_SEED={})",
                stage.seed
            );
            // More of what the others need.
            for operation in &stage.operations {
                let makes = operation.method == "POST" && !operation.path.contains('{');
                let moves = operation.path.starts_with("/v1/sandbox");
                if (makes || operation.method == "GET") && !moves {
                    self.ask(operation, Care::Good).await;
                }
            }
            time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every operation that asks for a key refuses who has none, a wrong one, or one for something else.
    async fn refuse_strangers(&mut self) {
        let stage = self.stage;
        for operation in stage
            .operations
            .iter()
            .filter(|operation| operation.key.is_some())
        {
            let operators = operation.key.as_deref() == Some("operator_key");
            let reads = operation.path.starts_with("/v1/conversions") && operation.method == "GET";
            let reads = reads || operation.path.starts_with("/v1/programmes");
            let reads = reads || operation.path.starts_with("/v1/statement");
            let reads = reads || operation.path.starts_with("/v1/withdrawals");
            let reads =
                reads || operation.path.starts_with("/v1/members/") && operation.method == "GET";
            let reads =
                reads || operation.path.starts_with("/v1/sandbox") && operation.method == "GET";
            let mut cases = vec![(None, 401), (Some("nobody"), 401), (Some(""), 401)];
            match operators {
                true => cases.push((Some(SHOP), 401)),
                false => cases.push((Some("adam"), 401)),
            }
            match operators {
                // Each of them may look.
                true if operation.method == "GET" => {}
                true => cases.push((Some("vera"), 403)),
                false if reads => {}
                false => cases.push((Some(READER), 403)),
            }
            if !operators && operation.path.contains("{id}") {
                cases.push((Some(STRANGER), 404));
            }
            for (key, status) in cases {
                let sent = self.maker.request(&stage.document, operation, Care::Good);
                let got = self.answered(operation, &sent, key).await;
                assert_eq!(got.status, status, "{}", stage.told(&sent, key));
            }
        }
    }

    /// A method that a path does not take is refused, and the ones that it takes are named.
    async fn wrong_method(&mut self) {
        let stage = self.stage;
        let operation = self.maker.pick(&stage.operations).clone();
        let offered = stage.document.methods(&operation.path);
        let method = self.maker.pick(&METHODS).to_uppercase();
        if offered.contains(&method) {
            return;
        }
        let mut sent = self.maker.request(&stage.document, &operation, Care::Good);
        sent.method = method;
        let key = right_key(&operation);
        let got = stage.send(&sent, key).await;
        stage.check(None, &sent, key, &got);
        let told = stage.told(&sent, key);
        assert_eq!(got.status, 405, "{told}");
        let allow = got
            .headers
            .get("allow")
            .and_then(|allow| allow.to_str().ok());
        let allow = allow.unwrap_or_else(|| panic!("no Allow: {told}"));
        for method in offered {
            assert!(
                allow.split(',').any(|one| one.trim() == method),
                "{allow}: {told}"
            );
        }
    }

    async fn fuzz(&mut self, requests: usize) {
        for _ in 0..requests {
            if self.maker.chance(0.03) {
                self.wrong_method().await;
                continue;
            }
            let operation = self.maker.pick(&self.stage.operations).clone();
            self.ask(&operation, Care::Any).await;
        }
    }
}

async fn every_answer_is_one_that_the_document_promises(on: &Databases) {
    let read = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    let seed = read("FUZZ_SEED").unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let requests = read("FUZZ_REQUESTS").map_or(REQUESTS, |many| many.try_into().unwrap());
    eprintln!("FUZZ_SEED={seed}");
    let sink = Endpoint::start().await;
    let (stage, client) = Stage::set(on, &sink, seed).await;
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|at| Client {
            stage: &stage,
            maker: Maker::new(
                seed + at as u64,
                &format!("c{at}"),
                sink.url.clone(),
                client.clone(),
            ),
            token: None,
            seen: Seen::new(),
        })
        .collect();
    let store = stage.world.store().await;
    for at in 0..CLIENTS {
        let (name, digest) = (format!("c{at}-made"), hex(&digest(&format!("unused {at}"))));
        let added = store.add_operator(&name, Role::Viewer, &digest, "command line", now_ms());
        assert!(added.await.unwrap());
    }
    store.close().await;

    clients[0].reach_everything().await;
    clients[0].refuse_strangers().await;
    future::join_all(clients.iter_mut().map(|client| client.fuzz(requests))).await;

    let mut all = Seen::new();
    for (name, statuses) in clients.into_iter().flat_map(|client| client.seen) {
        let into = all.entry(name).or_default();
        for (status, many) in statuses {
            *into.entry(status).or_default() += many;
        }
    }
    let total: u32 = all.values().flat_map(|statuses| statuses.values()).sum();
    let good: u32 = all
        .values()
        .flatten()
        .filter(|(status, _)| **status < 300)
        .map(|(_, many)| many)
        .sum();
    eprintln!("{total} requests, {good} of them good: {all:?}");
    // Not by being refused alone: every operation worked, and a good part of all that was asked.
    for operation in stage.operations.iter().filter(works) {
        let statuses = &all[&operation.name];
        assert!(
            statuses.keys().any(|status| *status < 300),
            "{} {statuses:?}",
            operation.name
        );
    }
    assert!(
        good * 4 > total,
        "only {good} of {total} were good (FUZZ_SEED={seed})"
    );

    // After all of it the books hold.
    until("the books", async || {
        let books = stage.world.get(&stage.gateway, "/v1/books").await;
        match books["agrees"] == true && books["journal"]["balanced"] == true {
            true => Ok(()),
            false => Err(books),
        }
    })
    .await;
    stage.gateway.stop().await;
}

/// For other programs that make requests, such as schemathesis: `docs/gateway.md` has the commands.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "serves until it is interrupted"]
async fn a_gateway_to_be_tried() {
    let sink = Endpoint::start().await;
    let (stage, (id, _)) = Stage::set(&Databases::sqlite(), &sink, 0).await;
    // Something of everything is there.
    let mut client = Client {
        maker: Maker::new(0, "c0", sink.url.clone(), (id, SHOP.to_owned())),
        stage: &stage,
        token: None,
        seen: Seen::new(),
    };
    let store = stage.world.store().await;
    let digest = hex(&digest("unused"));
    let added = store.add_operator("c0-made", Role::Viewer, &digest, "command line", now_ms());
    assert!(added.await.unwrap());
    store.close().await;
    client.reach_everything().await;
    eprintln!("URL={}\nKEY={SHOP}\nOPERATOR=adam", stage.gateway.url);
    tokio::signal::ctrl_c().await.unwrap();
    stage.gateway.stop().await;
}
