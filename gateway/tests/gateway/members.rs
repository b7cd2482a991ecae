//! Members that are linked once.

use crate::support::{Databases, Gateway, RECEIVER, STRANGER, World};
use reqwest::StatusCode;
use serde_json::{Value, json};

crate::on_both! {
    a_linked_member_converts_without_a_password,
    nothing_personal_is_stored_in_the_clear,
    a_link_that_the_partner_forgot_is_made_again,
    a_member_that_leaves_is_erased,
}

const LOGIN: &str = "minji@sky.example";
const PASSWORD: &str = "blue-heron-41";

async fn post(
    world: &World,
    gateway: &Gateway,
    path: &str,
    key: &str,
    body: Value,
) -> (StatusCode, Value) {
    let answer = world.post(gateway, path, key, &body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn link(world: &World, gateway: &Gateway, key: &str) -> String {
    let body = json!({
        "programme": "airline",
        "member": { "login": LOGIN, "password": PASSWORD },
        "consent": "terms-1",
    });
    let (status, view) = post(world, gateway, "/v1/members", key, body).await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    assert_eq!(view["status"], "linked");
    view["id"].as_str().unwrap().to_owned()
}

async fn quote(world: &World, gateway: &Gateway, key: &str, id: &str) -> (StatusCode, Value) {
    let body = json!({ "programme": "airline", "member": { "id": id }, "miles": "100" });
    post(world, gateway, "/v1/quotes", key, body).await
}

async fn a_linked_member_converts_without_a_password(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let id = link(&world, &gateway, "first").await;
    // Said again: the same answer. Linked again: the same id.
    assert_eq!(link(&world, &gateway, "first").await, id);
    assert_eq!(link(&world, &gateway, "second").await, id);
    let balance = world
        .get(&gateway, &format!("/v1/members/{id}/balance"))
        .await;
    assert_eq!(balance["miles"], "12345");
    let (status, made) = quote(&world, &gateway, "quote", &id).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let body = json!({ "quote_id": made["id"], "member": { "id": id }, "receiver": RECEIVER });
    let (status, view) = post(&world, &gateway, "/v1/conversions", "conversion", body).await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    assert_eq!(view["member_id"], "SKY-1001");
    world.assert_books(&gateway).await;

    // Another caller cannot use it, and half of a member is none.
    let url = format!("{}/v1/members/{id}/balance", gateway.url);
    let stranger = world.client.get(url).bearer_auth(STRANGER);
    assert_eq!(
        stranger.send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    for (at, member) in [
        json!({}),
        json!({ "login": LOGIN }),
        json!({ "login": LOGIN, "password": PASSWORD, "id": id }),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({ "programme": "airline", "member": member, "miles": "100" });
        let (status, problem) =
            post(&world, &gateway, "/v1/quotes", &format!("half-{at}"), body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    }
    let (status, problem) = quote(&world, &gateway, "none", "mem_nobody").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["type"], "urn:mileverse:problem:member-unknown");
    gateway.stop().await;
}

async fn nothing_personal_is_stored_in_the_clear(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let id = link(&world, &gateway, "link").await;
    let store = world.store().await;
    let row = store.member("demo", &id).await.unwrap().unwrap();
    let sealed = row.sealed.clone().unwrap();
    let stored = format!(
        "{row:?}{}{}",
        String::from_utf8_lossy(&sealed.data),
        String::from_utf8_lossy(&sealed.wrapped_key)
    );
    for personal in [LOGIN, PASSWORD, "SKY-1001"] {
        assert!(!stored.contains(personal), "{personal}");
    }
    store.close().await;
    gateway.stop().await;
}

async fn a_link_that_the_partner_forgot_is_made_again(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let id = link(&world, &gateway, "link").await;
    // The airline's tokens live for minutes; its clock can be moved.
    let moved = world
        .client
        .post(format!("{}/sandbox/clock", world.airline.url()))
        .json(&json!({ "advance_seconds": 3600 }))
        .send()
        .await
        .unwrap();
    assert!(moved.status().is_success(), "{}", moved.status());
    let (status, problem) = quote(&world, &gateway, "stale", &id).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{problem}");
    assert_eq!(problem["type"], "urn:mileverse:problem:member-relink");
    let view = world.get(&gateway, &format!("/v1/members/{id}")).await;
    assert_eq!(view["status"], "relink");
    assert_eq!(link(&world, &gateway, "again").await, id);
    let (status, made) = quote(&world, &gateway, "fresh", &id).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    gateway.stop().await;
}

async fn a_member_that_leaves_is_erased(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let id = link(&world, &gateway, "link").await;
    let url = format!("{}/v1/members/{id}", gateway.url);
    let gone = world.client.delete(url).bearer_auth(crate::support::KEY);
    assert_eq!(gone.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let view = world.get(&gateway, &format!("/v1/members/{id}")).await;
    assert_eq!(view["status"], "left");
    assert_eq!(view["consent"], "terms-1");
    let (status, _) = quote(&world, &gateway, "left", &id).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let store = world.store().await;
    let row = store.member("demo", &id).await.unwrap().unwrap();
    assert!(row.sealed.is_none() && row.digest.is_none(), "{row:?}");
    store.close().await;
    // Who comes back is somebody new.
    assert_ne!(link(&world, &gateway, "back").await, id);
    gateway.stop().await;
}
