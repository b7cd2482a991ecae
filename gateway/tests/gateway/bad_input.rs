//! Every request that must be refused: its own problem, and nothing moves.

use crate::support::{Databases, KEY, READER, RECEIVER, STRANGER, Settings, World};
use mileverse_gateway::clock::now_ms;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::io::ErrorKind::NotFound;
use std::time::Duration;

crate::on_both! {
    amounts_that_cannot_be_converted,
    requests_that_are_not_well_formed,
    members_the_partner_does_not_accept,
    conversions_that_cannot_begin,
    a_quote_expires,
}

async fn assert_problem(name: &str, request: RequestBuilder, status: u16, kind: &str) -> Value {
    let answer = request.send().await.unwrap();
    let got = answer.status().as_u16();
    let media_type = answer.headers().get("content-type").cloned();
    let text = answer.text().await.unwrap();
    assert_eq!(got, status, "{name}: {text}");
    assert_eq!(media_type.unwrap(), "application/problem+json", "{name}");
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        problem["type"],
        format!("urn:mileverse:problem:{kind}"),
        "{name}: {text}"
    );
    assert_eq!(problem["status"], status, "{name}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.len() > 15 && !detail.contains('\n'),
        "{name}: {detail}"
    );
    problem
}

fn quote(miles: Value) -> Value {
    json!({
        "programme": "airline",
        "member": { "login": "minji@sky.example", "password": "blue-heron-41" },
        "miles": miles,
    })
}

async fn amounts_that_cannot_be_converted(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    for (at, (miles, kind)) in [
        (json!("0"), "amount-zero"),
        (json!("-0"), "amount-zero"),
        (json!("-1"), "amount-negative"),
        (json!("-1.5"), "amount-negative"),
        (json!("10.5"), "amount-fractional"),
        (json!("10.000000000000000001"), "amount-fractional"),
        (json!("ten"), "amount-malformed"),
        (json!(""), "amount-malformed"),
        (json!("1e4"), "amount-malformed"),
        (json!("0x10"), "amount-malformed"),
        (json!("12346"), "amount-above-balance"),
        (json!("100001"), "amount-above-maximum"),
        (json!("999999999999999999999999999"), "amount-above-maximum"),
        (json!(10_000), "invalid-request"),
        (Value::Null, "invalid-request"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = miles.to_string();
        let key = format!("amount-{at}");
        let request = || world.post(&gateway, "/v1/quotes", &key, &quote(miles.clone()));
        let first = assert_problem(&name, request(), 422, kind).await;
        // The same again: the same answer.
        assert_eq!(
            assert_problem(&name, request(), 422, kind).await,
            first,
            "{name}"
        );
    }
    assert_eq!(world.miles("SKY-1001").await, 12_345);
    assert_eq!(world.proxy.count("POST /v1/debits"), 0);
    gateway.stop().await;
}

async fn requests_that_are_not_well_formed(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let good = quote(json!("10"));
    let raw = |method: Method, path: &str| {
        world
            .client
            .request(method, format!("{}{path}", gateway.url))
    };
    let post = |path: &str, body: String| {
        raw(Method::POST, path)
            .bearer_auth(KEY)
            .header("idempotency-key", "form")
            .header("content-type", "application/json")
            .body(body)
    };
    let text = good.to_string();
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body.to_string()
    };
    let cases: Vec<(&str, RequestBuilder, u16, &str)> = vec![
        (
            "no such path",
            raw(Method::GET, "/v2/quotes"),
            404,
            "not-found",
        ),
        (
            "no such method",
            raw(Method::DELETE, "/v1/quotes"),
            405,
            "method-not-allowed",
        ),
        (
            "get of a post",
            raw(Method::GET, "/v1/quotes"),
            405,
            "method-not-allowed",
        ),
        (
            "not JSON",
            post("/v1/quotes", "miles=10".to_owned()),
            400,
            "malformed-request",
        ),
        (
            "cut off",
            post("/v1/quotes", text[..text.len() - 1].to_owned()),
            400,
            "malformed-request",
        ),
        (
            "empty",
            post("/v1/quotes", String::new()),
            400,
            "malformed-request",
        ),
        (
            "an array",
            post("/v1/quotes", "[]".to_owned()),
            422,
            "invalid-request",
        ),
        (
            "unknown field",
            post("/v1/quotes", with("tip", json!("5"))),
            422,
            "invalid-request",
        ),
        (
            "no member",
            post("/v1/quotes", with("member", Value::Null)),
            422,
            "invalid-request",
        ),
        (
            "too large",
            post("/v1/quotes", with("programme", json!("x".repeat(20_000)))),
            413,
            "request-too-large",
        ),
        (
            "unknown partner",
            post("/v1/quotes", with("programme", json!("railway"))),
            422,
            "programme-unknown",
        ),
        (
            "empty login",
            post(
                "/v1/quotes",
                with("member", json!({ "login": "", "password": "x" })),
            ),
            422,
            "invalid-request",
        ),
        (
            "long password",
            post(
                "/v1/quotes",
                with(
                    "member",
                    json!({ "login": "a", "password": "x".repeat(257) }),
                ),
            ),
            422,
            "invalid-request",
        ),
        (
            "form data",
            raw(Method::POST, "/v1/quotes")
                .bearer_auth(KEY)
                .header("idempotency-key", "f")
                .form(&[("miles", "1")]),
            415,
            "media-type-unsupported",
        ),
        (
            "no key of API",
            raw(Method::POST, "/v1/quotes")
                .header("idempotency-key", "f")
                .json(&good),
            401,
            "api-key-required",
        ),
        (
            "wrong key of API",
            raw(Method::POST, "/v1/quotes")
                .bearer_auth("wrong")
                .header("idempotency-key", "f")
                .json(&good),
            401,
            "api-key-required",
        ),
        (
            "key without the scope",
            raw(Method::POST, "/v1/quotes")
                .bearer_auth(READER)
                .header("idempotency-key", "f")
                .json(&good),
            403,
            "scope-missing",
        ),
        (
            "no idempotency key",
            raw(Method::POST, "/v1/quotes").bearer_auth(KEY).json(&good),
            400,
            "idempotency-key-missing",
        ),
        (
            "idempotency key with spaces",
            raw(Method::POST, "/v1/quotes")
                .bearer_auth(KEY)
                .header("idempotency-key", "a b")
                .json(&good),
            400,
            "idempotency-key-invalid",
        ),
        (
            "two idempotency keys",
            raw(Method::POST, "/v1/quotes")
                .bearer_auth(KEY)
                .header("idempotency-key", "a")
                .header("idempotency-key", "b")
                .json(&good),
            400,
            "idempotency-key-invalid",
        ),
        (
            "long idempotency key",
            raw(Method::POST, "/v1/quotes")
                .bearer_auth(KEY)
                .header("idempotency-key", "k".repeat(256))
                .json(&good),
            400,
            "idempotency-key-invalid",
        ),
        (
            "no such conversion",
            raw(
                Method::GET,
                "/v1/conversions/conv_0190b2e8d6f07c3a8f3e5d1c2b4a6978",
            )
            .bearer_auth(KEY),
            404,
            "not-found",
        ),
        (
            "not an id",
            raw(Method::GET, "/v1/conversions/%27%20OR%201=1").bearer_auth(KEY),
            404,
            "not-found",
        ),
        (
            "not UTF-8",
            raw(Method::GET, "/v1/conversions/%ff").bearer_auth(KEY),
            400,
            "malformed-request",
        ),
        (
            "limit zero",
            raw(Method::GET, "/v1/conversions?limit=0").bearer_auth(KEY),
            400,
            "malformed-request",
        ),
        (
            "limit too large",
            raw(Method::GET, "/v1/conversions?limit=101").bearer_auth(KEY),
            400,
            "malformed-request",
        ),
        (
            "limit of text",
            raw(Method::GET, "/v1/conversions?limit=all").bearer_auth(KEY),
            400,
            "malformed-request",
        ),
        (
            "cursor of one's own",
            raw(Method::GET, "/v1/conversions?cursor=zzz").bearer_auth(KEY),
            400,
            "malformed-request",
        ),
        (
            "unknown query",
            raw(Method::GET, "/v1/conversions?page=2").bearer_auth(KEY),
            400,
            "malformed-request",
        ),
    ];
    for (name, request, status, kind) in cases {
        assert_problem(name, request, status, kind).await;
    }
    // None of these took the key that some of them used.
    let answer = post("/v1/quotes", text).send().await.unwrap();
    assert!(matches!(
        answer.status(),
        StatusCode::CREATED | StatusCode::UNPROCESSABLE_ENTITY
    ));
    assert_eq!(world.miles("SKY-1001").await, 12_345);
    gateway.stop().await;
}

async fn members_the_partner_does_not_accept(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let body = world
        .quoted(&gateway, "minji@sky.example", "blue-heron-41", "10")
        .await;
    let wrong = json!({ "login": "minji@sky.example", "password": "guess" });
    let mut quote = quote(json!("10"));
    quote["member"] = wrong.clone();
    let request = world.post(&gateway, "/v1/quotes", "w1", &quote);
    assert_problem("wrong password", request, 403, "member-not-authenticated").await;

    let mut other = body.clone();
    other["member"] = wrong;
    let request = world.post(&gateway, "/v1/conversions", "w2", &other);
    assert_problem("wrong password", request, 403, "member-not-authenticated").await;
    other["member"] = json!({ "login": "daniel@sky.example", "password": "quiet-pine-07" });
    let request = world.post(&gateway, "/v1/conversions", "w3", &other);
    assert_problem("another member", request, 422, "member-mismatch").await;
    assert_eq!(world.proxy.count("POST /v1/debits"), 0);

    // None of it used the quote.
    let answer = world
        .post(&gateway, "/v1/conversions", "w4", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);

    // Passwords are nowhere in the database.
    gateway.stop().await;
    let files = std::fs::read_dir(world.directory.path()).unwrap();
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    // The database itself last: what its last connection merges into it and deletes is there then.
    paths.sort_unstable();
    paths.reverse();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("gateway.sqlite") {
            let bytes = match std::fs::read(&path) {
                Err(error) if name != "gateway.sqlite" && error.kind() == NotFound => continue,
                read => read.unwrap(),
            };
            for secret in ["blue-heron-41", KEY, "sandbox-airline-secret"] {
                let found = bytes
                    .windows(secret.len())
                    .any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is in {name}");
            }
        }
    }
}

async fn conversions_that_cannot_begin(on: &Databases) {
    let world = World::with(
        on,
        Settings {
            quote_lifetime: Duration::from_secs(300),
            ..Settings::default()
        },
    )
    .await;
    let gateway = world.gateway().await;
    let good = world
        .quoted(&gateway, "minji@sky.example", "blue-heron-41", "10")
        .await;
    let with = |field: &str, value: &str| {
        let mut body = good.clone();
        body[field] = json!(value);
        body
    };
    for (at, (name, body, status, kind)) in [
        (
            "no such quote",
            with("quote_id", "quote_0190b2e8d6f07c3a8f3e5d1c2b4a6978"),
            422,
            "quote-unknown",
        ),
        (
            "not a quote",
            with("quote_id", "'; DROP TABLE quotes; --"),
            422,
            "quote-unknown",
        ),
        (
            "receiver zero",
            with("receiver", "0x0000000000000000000000000000000000000000"),
            422,
            "receiver-invalid",
        ),
        (
            "receiver a module",
            with("receiver", "0x4d56000000000000000000000000000000000001"),
            422,
            "receiver-invalid",
        ),
        (
            "receiver mistyped",
            with("receiver", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD"),
            422,
            "receiver-invalid",
        ),
        (
            "receiver short",
            with("receiver", "0x5aAeb6"),
            422,
            "receiver-invalid",
        ),
        (
            "receiver empty",
            with("receiver", ""),
            422,
            "receiver-invalid",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let request = world.post(&gateway, "/v1/conversions", &format!("c{at}"), &body);
        assert_problem(name, request, status, kind).await;
    }
    // Another partner cannot use this quote.
    let stranger = world
        .client
        .post(format!("{}/v1/conversions", gateway.url))
        .bearer_auth(STRANGER)
        .header("idempotency-key", "s")
        .json(&good);
    assert_problem("another partner's quote", stranger, 422, "quote-unknown").await;

    // The balance is asked for again: it may have gone since the quote.
    let all = world
        .quoted(&gateway, "minji@sky.example", "blue-heron-41", "12345")
        .await;
    let done = world
        .post(&gateway, "/v1/conversions", "ok", &good)
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), StatusCode::CREATED);
    let request = world.post(&gateway, "/v1/conversions", "late", &all);
    let problem = assert_problem("balance gone", request, 422, "amount-above-balance").await;
    assert_eq!(problem["balance"], "12335");

    // One key, another body: whether in the receiver, the password or the operation.
    let request = world.post(
        &gateway,
        "/v1/conversions",
        "ok",
        &with("receiver", &RECEIVER.to_lowercase()),
    );
    assert_problem("another receiver", request, 422, "idempotency-key-reused").await;
    let mut other = good.clone();
    other["member"]["password"] = json!("another");
    let request = world.post(&gateway, "/v1/conversions", "ok", &other);
    assert_problem("another password", request, 422, "idempotency-key-reused").await;
    let request = world.post(&gateway, "/v1/quotes", "ok", &quote(json!("10")));
    assert_problem("another operation", request, 422, "idempotency-key-reused").await;
    assert_eq!(world.miles("SKY-1001").await, 12_335);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_quote_expires(on: &Databases) {
    let settings = Settings {
        quote_lifetime: Duration::from_millis(1),
        ..Settings::default()
    };
    let world = World::with(on, settings).await;
    let gateway = world.gateway().await;
    let body = world
        .quoted(&gateway, "minji@sky.example", "blue-heron-41", "10")
        .await;
    let quoted = now_ms();
    while now_ms() <= quoted + 1 {
        tokio::task::yield_now().await;
    }
    let request = world.post(&gateway, "/v1/conversions", "late", &body);
    assert_problem("expired", request, 409, "quote-expired").await;
    assert_eq!(world.miles("SKY-1001").await, 12_345);
    gateway.stop().await;
}
