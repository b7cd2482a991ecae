//! Partners and their keys: who may call, from where, how often, and how much on a day.

use crate::support::{self, Databases, Gateway, KEY, Settings, World};
use mileverse_gateway::clock::now_ms;
use mileverse_gateway::keys::{digest, hex};
use mileverse_gateway::store::partners;
use reqwest::StatusCode;
use serde_json::{Value, json};

crate::on_both! {
    a_key_of_the_database_works_until_it_ends,
    a_client_gets_tokens_for_its_key,
    partners_are_held_to_their_networks_limits_and_status,
    a_days_limit_holds_and_refusals_do_not_count,
}

const FRESH: &str = "mvk_a-key-that-is-only-in-the-database";

async fn list(world: &World, gateway: &Gateway, key: &str) -> StatusCode {
    let url = format!("{}/v1/conversions", gateway.url);
    let answer = world.client.get(url).bearer_auth(key).send().await.unwrap();
    answer.status()
}

/// Asks until the answer is this one: changes are in force within a second or so.
async fn until(world: &World, gateway: &Gateway, key: &str, status: StatusCode) {
    support::until("what a key may do", async || {
        let got = list(world, gateway, key).await;
        if got == status { Ok(()) } else { Err(got) }
    })
    .await;
}

async fn a_key_of_the_database_works_until_it_ends(on: &Databases) {
    let world = World::new(on).await;
    world.partner("shop", |_| {}).await;
    let gateway = world.gateway().await;
    assert_eq!(
        list(&world, &gateway, FRESH).await,
        StatusCode::UNAUTHORIZED
    );
    let id = world.key("shop", FRESH, "conversions:read").await;
    assert_eq!(list(&world, &gateway, FRESH).await, StatusCode::OK);
    let books = world.client.get(format!("{}/v1/books", gateway.url));
    let books = books.bearer_auth(FRESH).send().await.unwrap();
    assert_eq!(books.status(), StatusCode::FORBIDDEN);
    let store = world.store().await;
    assert!(
        store
            .key(&id)
            .await
            .unwrap()
            .unwrap()
            .last_used_at
            .is_some()
    );
    // Only the digest is kept.
    let digests: Vec<String> = sqlx::query_scalar("SELECT digest FROM api_keys")
        .fetch_all(store.read())
        .await
        .unwrap();
    assert_eq!(digests, [hex(&digest(FRESH))]);
    let now = now_ms();
    let mut write = store.write().await.unwrap();
    assert!(partners::end_key(&mut write, &id, now, now).await.unwrap());
    write.commit().await.unwrap();
    store.close().await;
    until(&world, &gateway, FRESH, StatusCode::UNAUTHORIZED).await;
    gateway.stop().await;
}

async fn a_client_gets_tokens_for_its_key(on: &Databases) {
    let world = World::new(on).await;
    world.partner("shop", |_| {}).await;
    let id = world
        .key("shop", FRESH, "conversions:read books:read")
        .await;
    let gateway = world.gateway().await;
    let url = format!("{}/v1/oauth/token", gateway.url);
    let ask = |form: Vec<(&'static str, String)>| {
        let request = world.client.post(&url).form(&form);
        async move {
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let body: Value = answer.json().await.unwrap();
            (status, body)
        }
    };
    let form = |id: &str, secret: &str| {
        vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", id.to_owned()),
            ("client_secret", secret.to_owned()),
        ]
    };
    let (status, token) = ask(form(&id, FRESH)).await;
    assert_eq!(status, StatusCode::OK, "{token}");
    assert_eq!(token["token_type"], "Bearer");
    let token = token["access_token"].as_str().unwrap().to_owned();
    assert_eq!(list(&world, &gateway, &token).await, StatusCode::OK);

    let mut fewer = form(&id, FRESH);
    fewer.push(("scope", "books:read".to_owned()));
    let (status, narrow) = ask(fewer).await;
    assert_eq!(
        (status, &narrow["scope"]),
        (StatusCode::OK, &json!("books:read"))
    );
    let narrow = narrow["access_token"].as_str().unwrap();
    assert_eq!(list(&world, &gateway, narrow).await, StatusCode::FORBIDDEN);

    let mut more = form(&id, FRESH);
    more.push(("scope", "conversions:write".to_owned()));
    for (form, status, error) in [
        (more, 400, "invalid_scope"),
        (form(&id, "mvk_wrong"), 401, "invalid_client"),
        (form("key_wrong", FRESH), 401, "invalid_client"),
        (form(&id, &token), 401, "invalid_client"),
        (
            vec![("grant_type", "password".to_owned())],
            400,
            "unsupported_grant_type",
        ),
        (vec![], 400, "invalid_request"),
    ] {
        let (got, body) = ask(form).await;
        assert_eq!(got.as_u16(), status, "{body}");
        assert_eq!(body["error"], error);
    }
    // HTTP Basic does as well.
    let basic = world.client.post(&url).basic_auth(&id, Some(FRESH));
    let basic = basic.form(&[("grant_type", "client_credentials")]);
    assert_eq!(basic.send().await.unwrap().status(), StatusCode::OK);
    // A token ends with its key.
    let store = world.store().await;
    let now = now_ms();
    let mut write = store.write().await.unwrap();
    assert!(partners::end_key(&mut write, &id, now, now).await.unwrap());
    write.commit().await.unwrap();
    store.close().await;
    until(&world, &gateway, &token, StatusCode::UNAUTHORIZED).await;
    gateway.stop().await;
}

async fn partners_are_held_to_their_networks_limits_and_status(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    assert_eq!(list(&world, &gateway, KEY).await, StatusCode::OK);
    let elsewhere = "203.0.113.0/24".to_owned();
    world
        .partner("demo", |partner| partner.networks = elsewhere)
        .await;
    until(&world, &gateway, KEY, StatusCode::FORBIDDEN).await;
    let here = "203.0.113.0/24,127.0.0.0/8".to_owned();
    world
        .partner("demo", |partner| partner.networks = here)
        .await;
    until(&world, &gateway, KEY, StatusCode::OK).await;
    world
        .partner("demo", |partner| partner.active = false)
        .await;
    until(&world, &gateway, KEY, StatusCode::FORBIDDEN).await;
    world
        .partner("demo", |partner| partner.requests_per_second = 2)
        .await;
    // Faster than two a second: sooner or later there is no more.
    until(&world, &gateway, KEY, StatusCode::TOO_MANY_REQUESTS).await;
    until(&world, &gateway, KEY, StatusCode::OK).await;
    gateway.stop().await;
}

async fn a_days_limit_holds_and_refusals_do_not_count(on: &Databases) {
    let settings = Settings {
        daily_member_miles: Some(150),
        daily_caller_miles: Some(220),
        ..Settings::default()
    };
    let world = World::with(on, settings).await;
    let gateway = world.gateway().await;
    let mut turn = 0;
    let mut convert = async |login: &str, password: &str, miles: &str| {
        turn += 1;
        let body = world.quoted(&gateway, login, password, miles).await;
        let key = format!("day-{turn}");
        let answer = world.post(&gateway, "/v1/conversions", &key, &body);
        let answer = answer.send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let minji = ("minji@sky.example", "blue-heron-41");
    let (status, view) = convert(minji.0, minji.1, "100").await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    let (status, problem) = convert(minji.0, minji.1, "51").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["type"], "urn:mileverse:problem:daily-limit");
    assert_eq!(problem["daily_miles"], "150");
    // Refused by the partner, so its miles are free again.
    let (status, _) = convert("refuse@sky.example", "fault", "120").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, view) = convert(minji.0, minji.1, "50").await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    // Another member, but the same caller.
    let (status, problem) = convert("daniel@sky.example", "quiet-pine-07", "71").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["daily_miles"], "220");
    let (status, view) = convert("daniel@sky.example", "quiet-pine-07", "70").await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    world.assert_books(&gateway).await;
    gateway.stop().await;
}
