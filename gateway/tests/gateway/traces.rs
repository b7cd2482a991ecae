//! One conversion is one trace: from the caller's request through the partner to the chain and the
//! partner's endpoint, also if the gateway dies in between; and nothing depends on who collects it.

use crate::support::collector::{Collector, Span, drawn};
use crate::support::{Databases, Gateway, KEY, RECEIVER, Settings, World, until};
use crate::together::wait_for;
use crate::webhooks::Endpoint;
use futures::future;
use mileverse_gateway::config::Batches;
use mileverse_gateway::webhook::deliver::Rules;
use mileverse_trace::Config;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

crate::on_both! {
    a_conversion_is_one_trace_from_the_request_to_the_chain_and_the_webhook,
    a_conversion_that_outlives_its_gateway_goes_on_in_its_trace,
    each_of_a_batch_sees_the_chain_in_its_own_trace,
    what_a_caller_does_not_record_is_not_recorded,
    nobody_waits_for_a_collector_that_is_not_there,
    nothing_is_traced_unless_it_is_wanted,
}

const MINJI: (&str, &str) = ("minji@sky.example", "blue-heron-41");

fn settings(endpoint: &str) -> Settings {
    Settings {
        telemetry: Some(Config {
            endpoint: endpoint.parse().unwrap(),
            service_name: "gateway-of-the-test".to_owned(),
            sample_ratio: 1.0,
        }),
        webhooks: Rules {
            private: true,
            ..Rules::default()
        },
        ..Settings::default()
    }
}

/// A caller's own span.
struct Caller {
    trace: String,
    span: &'static str,
}

impl Caller {
    fn new() -> Self {
        Self {
            trace: uuid::Uuid::now_v7().simple().to_string(),
            span: "b7ad6b7169203331",
        }
    }

    fn header(&self, flags: &str) -> String {
        format!("00-{}-{}-{flags}", self.trace, self.span)
    }
}

/// Asks for a conversion of miles that were quoted, as part of a caller's trace.
async fn convert(
    world: &World,
    gateway: &Gateway,
    body: &Value,
    parent: &str,
) -> (StatusCode, Value) {
    let key = format!("convert-{}", uuid::Uuid::now_v7());
    let request = world.post(gateway, "/v1/conversions", &key, body);
    let answer = request.header("traceparent", parent).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(
        found.len(),
        1,
        "{name} in {:#?}",
        drawn(spans, "b7ad6b7169203331")
    );
    found[0]
}

async fn metric(world: &World, gateway: &Gateway, name: &str) -> f64 {
    let request = world.client.get(format!("{}/metrics", gateway.url));
    let text = request.bearer_auth(KEY).send().await.unwrap();
    let text = text.text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} is not in {text}"))
        .trim()
        .parse()
        .unwrap()
}

async fn a_conversion_is_one_trace_from_the_request_to_the_chain_and_the_webhook(on: &Databases) {
    let collector = Collector::start().await;
    let endpoint = Endpoint::start().await;
    let world = World::with(on, settings(&collector.url)).await;
    let gateway = world.gateway().await;
    let hook = json!({ "url": endpoint.url });
    let hook = world
        .post(&gateway, "/v1/webhooks", "hook", &hook)
        .send()
        .await;
    assert_eq!(hook.unwrap().status(), StatusCode::CREATED);
    let body = world.quoted(&gateway, MINJI.0, MINJI.1, "100").await;
    let caller = Caller::new();
    let (status, view) = convert(&world, &gateway, &body, &caller.header("01")).await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    let messages = endpoint.messages(1).await;
    // Stopping sends what was not sent.
    gateway.stop().await;

    let spans = collector.trace(&caller.trace);
    let tree = [
        "POST /v1/conversions (server)",
        "  idempotency.claim",
        "  partner.authenticate",
        "    POST (client)",
        "  partner.balance",
        "    GET (client)",
        "  conversion.carry_out",
        "    partner.debit",
        "      POST (client)",
        "    issue.sign",
        "    issue.broadcast (client)",
        "    issue.confirm (client)",
        "    POST (client)",
    ];
    assert_eq!(drawn(&spans, caller.span), tree);
    assert_eq!(spans.len(), tree.len());

    // What they say.
    let server = one(&spans, "POST /v1/conversions");
    assert_eq!(server.attributes["http.request.method"], "POST");
    assert_eq!(server.attributes["http.route"], "/v1/conversions");
    assert_eq!(server.attributes["http.response.status_code"], "201");
    assert_eq!(server.resource["service.name"], "gateway-of-the-test");
    assert!(server.resource["service.instance.id"].starts_with("run_"));
    assert_eq!(
        one(&spans, "idempotency.claim").attributes["mileverse.outcome"],
        "begin"
    );
    let debit = one(&spans, "partner.debit");
    assert_eq!(debit.attributes["mileverse.outcome"], "applied");
    assert_eq!(debit.attributes["mileverse.programme"], "airline");
    let work = one(&spans, "conversion.carry_out");
    assert_eq!(work.attributes["mileverse.conversion.id"], view["id"]);
    assert_eq!(work.attributes["mileverse.conversion.state"], "completed");
    let confirm = one(&spans, "issue.confirm");
    assert_eq!(
        confirm.attributes["rpc.method"],
        "eth_getTransactionReceipt"
    );
    assert_eq!(
        confirm.attributes["mileverse.transaction.hash"],
        view["issue"]["transaction_hash"]
    );
    let block = view["issue"]["block_number"].as_u64().unwrap().to_string();
    assert_eq!(confirm.attributes["mileverse.block.number"], block);
    for span in &spans {
        assert!(span.began <= span.ended && !span.failed, "{span:?}");
    }

    // Who was called was told which call it is.
    let call = spans.iter().find(|span| span.parent == debit.id).unwrap();
    assert_eq!(call.attributes["http.response.status_code"], "200");
    let told = format!("00-{}-{}-01", caller.trace, call.id);
    assert_eq!(world.proxy.parents("POST /v1/debits"), [told]);
    let sent = spans
        .iter()
        .find(|span| span.attributes.contains_key("mileverse.event.type"));
    let sent = sent.unwrap();
    assert_eq!(
        sent.attributes["mileverse.event.type"],
        "conversion.completed"
    );
    assert_eq!(sent.attributes["http.response.status_code"], "204");
    let told = format!("00-{}-{}-01", caller.trace, sent.id);
    assert_eq!(messages[0].0["traceparent"], told);

    // No secret and nobody's data, in any trace at all: the quote, too, has one.
    let all = collector.all();
    assert!(all.iter().any(|span| span.name == "POST /v1/quotes"));
    let text = format!("{all:?}").to_lowercase();
    let hook = endpoint.url.as_str();
    for secret in [
        MINJI.0,
        "minji",
        MINJI.1,
        "sky-1001",
        KEY,
        RECEIVER,
        "sandbox-airline-secret",
        "bearer",
        hook,
    ] {
        assert!(
            !text.contains(&secret.to_lowercase()),
            "{secret} is in {text}"
        );
    }
}

async fn a_conversion_that_outlives_its_gateway_goes_on_in_its_trace(on: &Databases) {
    let collector = Collector::start().await;
    let settings = Settings {
        wait: Duration::from_millis(50),
        ..settings(&collector.url)
    };
    let world = World::with(on, settings).await;
    let gateway = world.gateway().await;
    let body = world.quoted(&gateway, MINJI.0, MINJI.1, "100").await;
    let caller = Caller::new();
    world.chain.ledger.lock().unwrap().frozen = true;
    let (status, view) = convert(&world, &gateway, &body, &caller.header("01")).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{view}");
    let id = view["id"].as_str().unwrap();
    world.until(&gateway, id, &["issuing"]).await;
    let server = until("the request's span", async || {
        let spans = collector.trace(&caller.trace);
        let found = spans
            .iter()
            .find(|span| span.name == "POST /v1/conversions");
        found.cloned().ok_or(spans)
    })
    .await;
    gateway.kill().await;
    world.chain.ledger.lock().unwrap().thaw();
    let gateway = world.gateway().await;
    world.until(&gateway, id, &["completed"]).await;
    gateway.stop().await;

    let spans = collector.trace(&caller.trace);
    let resumed = spans.iter().filter(|span| span.name == "conversion.resume");
    let last = resumed.max_by_key(|span| span.began).unwrap();
    assert_eq!(last.parent, server.id);
    assert_eq!(last.attributes["mileverse.conversion.id"], id);
    assert_eq!(last.attributes["mileverse.conversion.state"], "completed");
    let instance = "service.instance.id";
    assert_ne!(last.resource[instance], server.resource[instance]);
    let seen = spans
        .iter()
        .find(|span| span.name == "issue.confirm" && span.parent == last.id);
    assert_eq!(seen.unwrap().attributes["mileverse.outcome"], "final");
}

async fn each_of_a_batch_sees_the_chain_in_its_own_trace(on: &Databases) {
    let collector = Collector::start().await;
    let settings = Settings {
        // One transaction at a time: who comes meanwhile waits, and is issued together.
        batches: Batches {
            entries: 64,
            in_flight: 1,
        },
        ..settings(&collector.url)
    };
    let world = World::with(on, settings).await;
    let gateway = world.gateway().await;
    let mut bodies = Vec::new();
    for _ in 0..8 {
        bodies.push(world.quoted(&gateway, MINJI.0, MINJI.1, "10").await);
    }
    let callers: Vec<_> = bodies.iter().map(|_| Caller::new()).collect();
    let all = bodies.iter().zip(&callers).map(|(body, caller)| {
        let (world, gateway) = (&world, &gateway);
        async move { convert(world, gateway, body, &caller.header("01")).await }
    });
    world.chain.ledger.lock().unwrap().frozen = true;
    let thaw = async {
        wait_for(&world, |debited, issuing| {
            debited + issuing == 8 && issuing > 0
        })
        .await;
        world.chain.ledger.lock().unwrap().thaw();
    };
    let (answers, ()) = future::join(future::join_all(all), thaw).await;
    gateway.stop().await;
    assert!(!world.chain.ledger.lock().unwrap().batches.is_empty());
    for ((status, view), caller) in answers.iter().zip(&callers) {
        assert_eq!(*status, StatusCode::CREATED, "{view}");
        let spans = collector.trace(&caller.trace);
        let work = one(&spans, "conversion.carry_out");
        for name in ["issue.sign", "issue.broadcast", "issue.confirm"] {
            let span = one(&spans, name);
            assert_eq!(span.parent, work.id);
            let hash = &span.attributes["mileverse.transaction.hash"];
            assert_eq!(*hash, view["issue"]["transaction_hash"]);
        }
    }
}

async fn what_a_caller_does_not_record_is_not_recorded(on: &Databases) {
    let collector = Collector::start().await;
    let world = World::with(on, settings(&collector.url)).await;
    let gateway = world.gateway().await;
    let body = world.quoted(&gateway, MINJI.0, MINJI.1, "100").await;
    let caller = Caller::new();
    let (status, view) = convert(&world, &gateway, &body, &caller.header("00")).await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    gateway.stop().await;
    assert!(collector.trace(&caller.trace).is_empty());
    // The partner is told so, too.
    let told = world.proxy.parents("POST /v1/debits");
    assert!(
        told[0].starts_with(&format!("00-{}-", caller.trace)),
        "{told:?}"
    );
    assert!(told[0].ends_with("-00"), "{told:?}");
    // A header that says nothing begins a trace of its own.
    assert!(
        collector
            .all()
            .iter()
            .any(|span| span.name == "POST /v1/quotes" && span.parent.is_empty())
    );
}

async fn nobody_waits_for_a_collector_that_is_not_there(on: &Databases) {
    let world = World::with(on, settings("http://127.0.0.1:1/v1/traces")).await;
    let gateway = world.gateway().await;
    let body = world.quoted(&gateway, MINJI.0, MINJI.1, "100").await;
    let (status, view) = convert(&world, &gateway, &body, "nonsense").await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    until("the figure of spans that were lost", async || {
        let lost = metric(&world, &gateway, "gateway_trace_spans_failed_total").await;
        if lost > 0.0 { Ok(()) } else { Err(lost) }
    })
    .await;
    assert_eq!(
        metric(&world, &gateway, "gateway_trace_spans_exported_total")
            .await
            .to_string(),
        "0"
    );
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn nothing_is_traced_unless_it_is_wanted(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let body = world.quoted(&gateway, MINJI.0, MINJI.1, "100").await;
    let caller = Caller::new();
    let (status, view) = convert(&world, &gateway, &body, &caller.header("01")).await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    assert_eq!(world.proxy.parents("POST /v1/debits"), [""]);
    let store = world.store().await;
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM traces")
        .fetch_one(store.read())
        .await
        .unwrap();
    assert_eq!(rows, 0);
    store.close().await;
    gateway.stop().await;
}
