//! Partners are told what happened, over real sockets, whatever their endpoints do.

use crate::support::{Databases, Gateway, KEY, PATIENCE, STRANGER, Settings, World};
use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mileverse_gateway::webhook::deliver::Rules;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{self, Instant};

crate::on_both! {
    what_happened_is_told_and_signed,
    an_endpoint_that_fails_is_told_again_and_at_last_disabled,
    a_slow_endpoint_holds_up_nothing,
    a_killed_gateway_tells_after_its_restart,
    targets_that_are_not_public_are_refused,
}

/// What an endpoint does with the next messages, in order; then it takes them.
#[derive(Clone, Copy)]
enum Trick {
    Status(u16),
    Redirect,
    Hang,
}

#[derive(Default)]
struct Inbox {
    messages: Vec<(HeaderMap, Bytes)>,
    tricks: Vec<Trick>,
    /// What it does when there is no trick left.
    always: Option<Trick>,
}

pub struct Endpoint {
    pub url: String,
    inbox: Arc<Mutex<Inbox>>,
    server: JoinHandle<()>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(inbox): State<Arc<Mutex<Inbox>>>, headers: HeaderMap, body: Bytes) -> Response {
    let trick = {
        let mut inbox = inbox.lock().unwrap();
        inbox.messages.push((headers, body));
        match inbox.tricks.is_empty() {
            true => inbox.always,
            false => Some(inbox.tricks.remove(0)),
        }
    };
    match trick {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(Trick::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Trick::Redirect) => {
            (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response()
        }
        Some(Trick::Hang) => std::future::pending().await,
    }
}

impl Endpoint {
    pub async fn start() -> Self {
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let app = Router::new().fallback(take).with_state(Arc::clone(&inbox));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, inbox, server }
    }

    fn tricks(&self, tricks: &[Trick]) {
        self.inbox.lock().unwrap().tricks = tricks.to_vec();
    }

    /// Waits for so many messages.
    pub async fn messages(&self, many: usize) -> Vec<(HeaderMap, Bytes)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let messages = self.inbox.lock().unwrap().messages.clone();
            if messages.len() >= many {
                return messages;
            }
            assert!(
                Instant::now() < deadline,
                "only {} messages",
                messages.len()
            );
            time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub async fn world(on: &Databases, patience: Duration) -> World {
    let pauses = [10, 20, 20].map(Duration::from_millis).to_vec();
    World::with(
        on,
        Settings {
            webhooks: Rules {
                timeout: Duration::from_millis(500),
                pauses,
                patience,
                private: true,
            },
            ..Settings::default()
        },
    )
    .await
}

pub const LONG: Duration = Duration::from_secs(3600);

async fn listen(world: &World, gateway: &Gateway, url: &str, kinds: &[&str]) -> String {
    let body = json!({ "url": url, "event_types": kinds });
    let key = format!("webhook-{url}");
    let answer = world.post(gateway, "/v1/webhooks", &key, &body);
    let answer = answer.send().await.unwrap();
    let status = answer.status();
    let view: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{view}");
    view["id"].as_str().unwrap().to_owned()
}

async fn post(world: &World, gateway: &Gateway, path: &str, body: Value) -> (StatusCode, Value) {
    let answer = world.post(gateway, path, "unused", &body);
    let answer = answer.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn convert(world: &World, gateway: &Gateway, login: &str, password: &str) -> StatusCode {
    let body = world.quoted(gateway, login, password, "10").await;
    let key = body["quote_id"].as_str().unwrap().to_owned();
    let answer = world.post(gateway, "/v1/conversions", &key, &body);
    answer.send().await.unwrap().status()
}

async fn minji(world: &World, gateway: &Gateway) {
    let status = convert(world, gateway, "minji@sky.example", "blue-heron-41").await;
    assert_eq!(status, StatusCode::CREATED);
}

/// Waits until a delivery is in a state.
async fn until(
    world: &World,
    gateway: &Gateway,
    endpoint: &str,
    event: &str,
    state: &str,
) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = world
            .get(gateway, &format!("/v1/webhooks/{endpoint}/deliveries"))
            .await;
        let items = list["items"].as_array().unwrap();
        let found = items.iter().find(|item| item["event_id"] == event);
        if let Some(found) = found.filter(|found| found["state"] == state) {
            return found.clone();
        }
        assert!(Instant::now() < deadline, "no {state} of {event} in {list}");
        time::sleep(Duration::from_millis(10)).await;
    }
}

/// The signatures a message should have, as its receiver computes them.
fn expected(secret: &str, headers: &HeaderMap, body: &Bytes) -> String {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let key = STANDARD
        .decode(secret.strip_prefix("whsec_").unwrap())
        .unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let mut signed = format!("{}.{}.", text("webhook-id"), text("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(body);
    format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)))
}

async fn what_happened_is_told_and_signed(on: &Databases) {
    let world = world(on, LONG).await;
    let gateway = world.gateway().await;
    let all = Endpoint::start().await;
    let refusals = Endpoint::start().await;
    let id = listen(&world, &gateway, &all.url, &[]).await;
    listen(&world, &gateway, &refusals.url, &["conversion.refused"]).await;
    // The same key: the same endpoint.
    assert_eq!(listen(&world, &gateway, &all.url, &[]).await, id);

    minji(&world, &gateway).await;
    let status = convert(&world, &gateway, "refuse@sky.example", "fault").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let messages = all.messages(2).await;
    let refused = refusals.messages(1).await;

    let secret = world
        .get(&gateway, &format!("/v1/webhooks/{id}/secret"))
        .await;
    let secret = secret["secret"].as_str().unwrap().to_owned();
    let mut kinds = Vec::new();
    for (headers, body) in &messages {
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(
            headers["webhook-signature"].to_str().unwrap(),
            expected(&secret, headers, body)
        );
        let body: Value = serde_json::from_slice(body).unwrap();
        let text = body.to_string();
        assert!(!text.contains("SKY-"), "personal data in {text}");
        kinds.push(body["type"].as_str().unwrap().to_owned());
        let event = headers["webhook-id"].to_str().unwrap();
        until(&world, &gateway, &id, event, "delivered").await;
        let logged = world.get(&gateway, &format!("/v1/events/{event}")).await;
        assert_eq!(logged["body"], body);
    }
    kinds.sort();
    assert_eq!(kinds, ["conversion.completed", "conversion.refused"]);
    let told: Value = serde_json::from_slice(&refused[0].1).unwrap();
    assert_eq!(told["type"], "conversion.refused");
    assert_eq!(told["data"]["state"], "refused");

    // A new secret: both sign until the overlap ends.
    let path = format!("/v1/webhooks/{id}/secret");
    let body = json!({ "secret": secret, "overlap_hours": 1 });
    let (status, rotated) = post(&world, &gateway, &path, body.clone()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(rotated["previous"], secret);
    // Said again, it is not replaced again.
    assert_eq!(post(&world, &gateway, &path, body).await.1, rotated);
    let (status, _) = post(
        &world,
        &gateway,
        &format!("/v1/webhooks/{id}/test"),
        json!({}),
    )
    .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (headers, body) = all.messages(3).await[2].clone();
    let signatures = headers["webhook-signature"].to_str().unwrap();
    let new = rotated["secret"].as_str().unwrap();
    let both = [new, &secret].map(|secret| expected(secret, &headers, &body));
    assert_eq!(signatures, both.join(" "));
    assert_eq!(refusals.inbox.lock().unwrap().messages.len(), 1);

    // Nobody sees another's.
    for path in [
        format!("/v1/webhooks/{id}"),
        format!("/v1/webhooks/{id}/secret"),
    ] {
        let answer = world.client.get(format!("{}{path}", gateway.url));
        let answer = answer.bearer_auth(STRANGER).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
    let deleted = world
        .client
        .delete(format!("{}/v1/webhooks/{id}", gateway.url));
    let deleted = deleted.bearer_auth(KEY).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let list = world.get(&gateway, "/v1/webhooks").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    gateway.stop().await;
}

async fn an_endpoint_that_fails_is_told_again_and_at_last_disabled(on: &Databases) {
    let world = world(on, Duration::from_millis(300)).await;
    let gateway = world.gateway().await;
    let endpoint = Endpoint::start().await;
    let id = listen(&world, &gateway, &endpoint.url, &[]).await;
    endpoint.tricks(&[Trick::Status(500), Trick::Redirect, Trick::Status(404)]);
    minji(&world, &gateway).await;
    let messages = endpoint.messages(4).await;
    let event = messages[0].0["webhook-id"].to_str().unwrap().to_owned();
    for (headers, body) in &messages {
        // The same message each time, and never to where a redirect points.
        assert_eq!(headers["webhook-id"], *event);
        assert_eq!(body, &messages[0].1);
    }
    let delivery = until(&world, &gateway, &id, &event, "delivered").await;
    assert_eq!(delivery["attempts"], 4);
    let view = world.get(&gateway, &format!("/v1/webhooks/{id}")).await;
    assert_eq!(view["failing_since"], Value::Null, "a success ends it");

    // It never answers again: some events fail, then the endpoint is disabled.
    endpoint.inbox.lock().unwrap().always = Some(Trick::Status(503));
    let deadline = Instant::now() + PATIENCE;
    loop {
        post(
            &world,
            &gateway,
            &format!("/v1/webhooks/{id}/test"),
            json!({}),
        )
        .await;
        let view = world.get(&gateway, &format!("/v1/webhooks/{id}")).await;
        if view["status"] == "disabled" {
            assert!(view["failing_since"].is_string());
            break;
        }
        assert!(Instant::now() < deadline, "{view}");
        time::sleep(Duration::from_millis(50)).await;
    }
    let events = world.get(&gateway, "/v1/events?limit=100").await;
    let items = events["items"].as_array().unwrap();
    assert!(items.iter().any(|item| item["type"] == "webhook.disabled"));
    // What happens meanwhile is in the log, and comes with a replay once it is enabled again.
    minji(&world, &gateway).await;
    let since = json!({ "since": "2020-01-01T00:00:00Z" });
    let replay = format!("/v1/webhooks/{id}/replay");
    let (status, _) = post(&world, &gateway, &replay, since.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    endpoint.inbox.lock().unwrap().always = None;
    let enabled = world
        .client
        .patch(format!("{}/v1/webhooks/{id}", gateway.url));
    let enabled = enabled.bearer_auth(KEY).json(&json!({ "enabled": true }));
    assert_eq!(enabled.send().await.unwrap().status(), StatusCode::OK);
    let before = endpoint.inbox.lock().unwrap().messages.len();
    let (status, queued) = post(&world, &gateway, &replay, since.clone()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    // The missed conversion and the news of the endpoint itself.
    assert_eq!(queued, json!({ "queued": 2, "more": false }));
    let messages = endpoint.messages(before + 2).await;
    let told = messages[before..]
        .iter()
        .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap()["type"].clone());
    let told: Vec<_> = told.collect();
    assert!(told.contains(&json!("conversion.completed")), "{told:?}");
    let (_, queued) = post(&world, &gateway, &replay, since).await;
    assert_eq!(queued["queued"], 0, "nothing is missed any more");

    // The first one again, on demand.
    let body = json!({ "webhook_id": id });
    let (status, _) = post(
        &world,
        &gateway,
        &format!("/v1/events/{event}/resend"),
        body,
    )
    .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    // Others may be on their way beside it.
    let is_it = |(headers, _): &(HeaderMap, Bytes)| headers["webhook-id"] == *event;
    let mut count = before + 3;
    while !endpoint.messages(count).await[before..].iter().any(is_it) {
        count += 1;
    }
    gateway.stop().await;
}

async fn a_slow_endpoint_holds_up_nothing(on: &Databases) {
    let world = world(on, LONG).await;
    let gateway = world.gateway().await;
    let slow = Endpoint::start().await;
    slow.inbox.lock().unwrap().always = Some(Trick::Hang);
    let quick = Endpoint::start().await;
    let id = listen(&world, &gateway, &slow.url, &[]).await;
    listen(&world, &gateway, &quick.url, &[]).await;
    for _ in 0..6 {
        minji(&world, &gateway).await;
    }
    quick.messages(6).await;
    // The slow one is asked again and again, and given up event by event.
    let (headers, _) = slow.messages(1).await[0].clone();
    let event = headers["webhook-id"].to_str().unwrap().to_owned();
    let failed = until(&world, &gateway, &id, &event, "failed").await;
    assert_eq!(failed["attempts"], 4);
    assert_eq!(failed["status"], Value::Null);
    assert!(
        !failed["error"].as_str().unwrap().contains("http://"),
        "{failed}"
    );
    gateway.stop().await;
}

async fn a_killed_gateway_tells_after_its_restart(on: &Databases) {
    let world = world(on, LONG).await;
    let gateway = world.gateway().await;
    let endpoint = Endpoint::start().await;
    listen(&world, &gateway, &endpoint.url, &[]).await;
    endpoint.tricks(&[Trick::Hang]);
    minji(&world, &gateway).await;
    endpoint.messages(1).await;
    gateway.kill().await;
    let gateway = world.gateway().await;
    let messages = endpoint.messages(2).await;
    assert_eq!(messages[0].0["webhook-id"], messages[1].0["webhook-id"]);
    assert_eq!(messages[0].1, messages[1].1);
    gateway.stop().await;
}

async fn targets_that_are_not_public_are_refused(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let secret = Endpoint::start().await;
    let port = secret.url.rsplit_once(':').unwrap().1.to_owned();
    for url in [
        secret.url.clone(),
        format!("https://127.0.0.1:{port}"),
        format!("https://[::ffff:127.0.0.1]:{port}"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let body = json!({ "url": url });
        let answer = world.post(&gateway, "/v1/webhooks", &format!("bad-{url}"), &body);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{url}");
    }
    // A name may be given; where it points is looked at when something is sent.
    let url = format!("https://localhost:{port}");
    let id = listen(&world, &gateway, &url, &[]).await;
    let test = format!("/v1/webhooks/{id}/test");
    let (_, event) = post(&world, &gateway, &test, json!({})).await;
    let event = event["id"].as_str().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = world
            .get(&gateway, &format!("/v1/webhooks/{id}/deliveries"))
            .await;
        let found = &list["items"][0];
        assert_eq!(found["event_id"], event);
        if let Some(error) = found["error"].as_str() {
            assert!(error.contains("public internet"), "{error}");
            break;
        }
        assert!(Instant::now() < deadline, "{list}");
        time::sleep(Duration::from_millis(20)).await;
    }
    assert!(secret.inbox.lock().unwrap().messages.is_empty());
    gateway.stop().await;
}
