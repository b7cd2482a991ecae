//! When a call is sent again, and when not; what is believed and what is not.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use futures_util::TryStreamExt;
use mileverse_gateway_client::conversions::{PageQuery, QuoteRequest};
use mileverse_gateway_client::members::MemberInput;
use mileverse_gateway_client::problem::Kind;
use mileverse_gateway_client::{Client, Error, IdempotencyKey, MAX_ANSWER_BYTES, Retry};
use serde_json::{Value, json};
use std::time::Duration;
use wiremock::matchers::{header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const KEY: &str = "mvk_a-key-that-nobody-may-see";

fn client(server: &MockServer) -> Client {
    let retry = Retry {
        first: Duration::from_millis(2),
        longest: Duration::from_millis(8),
        ..Retry::default()
    };
    Client::builder(server.uri(), KEY.into())
        .retry(retry)
        .timeout(Duration::from_secs(5))
        .without_proxy()
        .build()
        .unwrap()
}

fn problem(kind: Kind) -> ResponseTemplate {
    let body = json!({
        "type": kind.urn(), "title": kind.title(), "status": kind.status().as_u16(),
        "detail": "Do something else.", "conversion_id": "conv_1",
    });
    ResponseTemplate::new(kind.status().as_u16())
        .set_body_raw(body.to_string(), "application/problem+json")
}

fn quote() -> Value {
    json!({
        "id": "quote_1", "programme": "airline", "member_id": "SKY-1", "miles": "100",
        "rate": "12.5", "points": "1250", "points_micro": "1250000000",
        "fee": { "points": "0", "payer": "member" }, "balance": "100",
        "expires_at": "2026-11-22T00:00:00.000Z", "something_new": true,
    })
}

fn asked() -> QuoteRequest {
    QuoteRequest {
        programme: "airline".into(),
        member: MemberInput::login("minji@sky.example", "blue-heron-41".to_owned().into()),
        miles: "100".into(),
    }
}

async fn answering(server: &MockServer, verb: &str, at: &str, answers: Vec<ResponseTemplate>) {
    let last = answers.len();
    for (priority, answer) in answers.into_iter().enumerate() {
        let mock = Mock::given(method(verb)).and(path(at)).respond_with(answer);
        let mock = mock.with_priority(u8::try_from(priority + 1).unwrap());
        let mock = if priority + 1 < last {
            mock.up_to_n_times(1)
        } else {
            mock
        };
        mock.mount(server).await;
    }
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

#[tokio::test]
async fn what_has_a_key_is_sent_again_under_the_same_key() {
    let server = MockServer::start().await;
    let answers = vec![
        problem(Kind::NotReady),
        problem(Kind::KeyRunning).insert_header("retry-after", "0"),
        ResponseTemplate::new(502).set_body_string("<html>bad gateway</html>"),
        ResponseTemplate::new(201).set_body_json(quote()),
    ];
    answering(&server, "POST", "/v1/quotes", answers).await;
    let key = IdempotencyKey::new("quote-1").unwrap();
    let quote = client(&server).quote(&key, &asked()).await.unwrap();
    assert_eq!((quote.miles, quote.points.0), (100, 1_250_000_000));
    assert_eq!(quote.rate.to_string(), "12.5");
    let requests = requests(&server).await;
    assert_eq!(requests.len(), 4);
    for request in &requests {
        assert_eq!(request.headers["idempotency-key"], "quote-1");
        assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(request.body, requests[0].body);
    }
    let sent: Value = serde_json::from_slice(&requests[0].body).unwrap();
    let member = json!({ "login": "minji@sky.example", "password": "blue-heron-41" });
    assert_eq!(sent["member"], member);
}

#[tokio::test]
async fn a_problem_that_does_not_pass_is_said_at_once_and_by_its_kind() {
    let server = MockServer::start().await;
    answering(
        &server,
        "POST",
        "/v1/quotes",
        vec![problem(Kind::FloatShort)],
    )
    .await;
    let error = client(&server)
        .quote(&IdempotencyKey::random(), &asked())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Some(Kind::FloatShort));
    assert!(!error.may_have_happened());
    let Error::Problem(problem) = &error else {
        panic!("{error}");
    };
    assert_eq!(problem.conversion_id(), Some("conv_1"));
    assert!(error.to_string().contains("Do something else."));
    assert_eq!(requests(&server).await.len(), 1);
}

#[tokio::test]
async fn what_would_happen_twice_is_sent_once() {
    let server = MockServer::start().await;
    let at = "/v1/webhooks/whk_1/test";
    answering(&server, "POST", at, vec![problem(Kind::Internal)]).await;
    let error = client(&server).test_webhook("whk_1").await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::Internal));
    assert!(error.may_have_happened());
    assert_eq!(requests(&server).await.len(), 1);

    // Turned away before anything was done: that may be sent again.
    let server = MockServer::start().await;
    let event = json!({ "id": "evt_1", "type": "webhook.test", "subject": "whk_1", "body": {},
        "created_at": "2026-11-22T00:00:00.000Z" });
    let answers = vec![
        problem(Kind::RateLimited),
        ResponseTemplate::new(202).set_body_json(event),
    ];
    answering(&server, "POST", at, answers).await;
    let event = client(&server).test_webhook("whk_1").await.unwrap();
    assert_eq!(event.kind, "webhook.test");
    assert_eq!(requests(&server).await.len(), 2);
}

#[tokio::test]
async fn a_lost_answer_stays_unknown_whatever_is_said_at_the_door_later() {
    let server = MockServer::start().await;
    let answers = vec![
        ResponseTemplate::new(504).set_body_string("late"),
        problem(Kind::RateLimited),
    ];
    answering(&server, "POST", "/v1/quotes", answers).await;
    let error = client(&server)
        .quote(&IdempotencyKey::random(), &asked())
        .await
        .unwrap_err();
    assert!(error.may_have_happened(), "{error}");
    assert!(matches!(error, Error::NotUnderstood { status: 504, .. }));
    assert_eq!(requests(&server).await.len(), 5);

    // What is said about the request itself holds for all attempts.
    let server = MockServer::start().await;
    let answers = vec![
        ResponseTemplate::new(504).set_body_string("late"),
        problem(Kind::AmountAboveBalance),
    ];
    answering(&server, "POST", "/v1/quotes", answers).await;
    let error = client(&server)
        .quote(&IdempotencyKey::random(), &asked())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Some(Kind::AmountAboveBalance));
    assert!(!error.may_have_happened());
}

#[tokio::test]
async fn a_wish_to_wait_longer_than_our_patience_is_handed_on() {
    let server = MockServer::start().await;
    let answer = problem(Kind::RateLimited).insert_header("retry-after", "3600");
    answering(&server, "GET", "/v1/programmes", vec![answer]).await;
    let error = client(&server).programmes().await.unwrap_err();
    let Error::Problem(problem) = error else {
        panic!("{error}");
    };
    assert_eq!(problem.retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(requests(&server).await.len(), 1);
}

#[tokio::test]
async fn nobody_there_is_no_answer_and_nothing_happened() {
    // A mock server goes back to its pool and would go on answering.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::builder(format!("http://{address}"), KEY.into())
        .retry(Retry::NEVER)
        .without_proxy()
        .build()
        .unwrap();
    let error = client.programmes().await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer(_)), "{error}");
    assert!(!error.may_have_happened());
}

#[tokio::test]
async fn what_is_too_large_or_redirects_is_not_believed() {
    let server = MockServer::start().await;
    let large = ResponseTemplate::new(200).set_body_string("x".repeat(MAX_ANSWER_BYTES + 1));
    answering(&server, "GET", "/v1/programmes", vec![large]).await;
    let moved = ResponseTemplate::new(307).insert_header("location", "https://thief.example/");
    answering(&server, "GET", "/v1/float", vec![moved]).await;
    let client = client(&server);
    let error = client.programmes().await.unwrap_err();
    assert!(error.to_string().contains("larger"), "{error}");
    let error = client.float().await.unwrap_err();
    assert!(matches!(error, Error::NotUnderstood { status: 307, .. }));
    assert_eq!(requests(&server).await.len(), 2);
}

#[tokio::test]
async fn a_stream_follows_cursors_with_the_same_filters() {
    let server = MockServer::start().await;
    let event = |at: u32| {
        json!({ "id": format!("evt_{at}"), "type": "conversion.completed", "subject": "conv_1",
            "body": {}, "created_at": "2026-11-22T00:00:00.000Z" })
    };
    let page = |items: Vec<Value>, next: Option<&str>| {
        ResponseTemplate::new(200).set_body_json(json!({ "items": items, "next_cursor": next }))
    };
    let get = || Mock::given(method("GET")).and(path("/v1/events"));
    get()
        .and(query_param("limit", "2"))
        .and(query_param_is_missing("cursor"))
        .respond_with(page(vec![event(4), event(3)], Some("evt_3")))
        .mount(&server)
        .await;
    get()
        .and(query_param("limit", "2"))
        .and(query_param("cursor", "evt_3"))
        .respond_with(page(vec![event(2)], None))
        .mount(&server)
        .await;
    let query = mileverse_gateway_client::webhooks::EventQuery {
        limit: Some(2),
        cursor: None,
    };
    let client = client(&server);
    let events: Vec<_> = client.events(query).try_collect().await.unwrap();
    let ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["evt_4", "evt_3", "evt_2"]);
}

#[tokio::test]
async fn paths_and_queries_hold_whatever_is_put_into_them() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/v1/conversions"))
        .and(query_param("reference", "a&state=completed b"))
        .and(header("accept", "application/json"))
        .respond_with(
            ResponseTemplate::new(200).set_body_json(json!({ "items": [], "next_cursor": null })),
        )
        .mount(&server)
        .await;
    let client = client(&server);
    let found = client.conversion_by_reference("a&state=completed b");
    assert_eq!(found.await.unwrap(), None);
    let _ = client.conversion("../oauth/token?x=").await;
    let last = requests(&server).await.pop().unwrap();
    assert_eq!(last.url.path(), "/v1/conversions/..%2Foauth%2Ftoken%3Fx=");
    let all: Vec<_> = client
        .conversions(PageQuery {
            reference: Some("a&state=completed b".into()),
            ..PageQuery::default()
        })
        .try_collect()
        .await
        .unwrap();
    assert!(all.is_empty());
}

#[test]
fn keys_are_not_printed_and_do_not_travel_in_the_open() {
    let built = |url: &str| Client::builder(url, KEY.into()).build();
    let client = built("https://gateway.example/prefix/").unwrap();
    let builder = Client::builder("https://gateway.example", KEY.into());
    for text in [format!("{client:?}"), format!("{builder:?}")] {
        assert!(!text.contains(KEY), "{text}");
        assert!(text.contains("gateway.example"), "{text}");
    }
    assert!(!format!("{:?}", asked()).contains("blue-heron-41"));
    for url in [
        "http://127.0.0.1:8080",
        "http://localhost:1",
        "http://[::1]:1",
    ] {
        assert!(built(url).is_ok(), "{url}");
    }
    for url in [
        "http://gateway.example",
        "http://127.0.0.1.example",
        "ftp://gateway.example",
        "https://user:password@gateway.example",
        "gateway.example",
        "",
    ] {
        let said = built(url).unwrap_err().to_string();
        assert!(said.starts_with("the gateway's URL"), "{url}: {said}");
    }
    assert!(
        Client::builder("http://gateway.example", KEY.into())
            .allow_http()
            .build()
            .is_ok()
    );
    let newline = Client::builder("https://gateway.example", "a\nb".to_owned().into()).build();
    assert!(newline.is_err());
    for wrong in ["", "a b", "ü", &"x".repeat(256)] {
        assert!(IdempotencyKey::new(wrong).is_err(), "{wrong}");
    }
    assert_ne!(IdempotencyKey::random(), IdempotencyKey::random());
}
