//! What goes right: a mile becomes a point, once.

use crate::support::{Databases, KEY, READER, RECEIVER, STRANGER, World};
use alloy::primitives::Address;
use futures::future;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;

crate::on_both! {
    ten_thousand_miles_become_points_once,
    fifty_at_once_with_one_key_move_once,
    many_at_once_are_each_issued_once,
    one_quote_and_many_keys_convert_once,
    health_and_the_document_need_no_key,
}

/// The states that each conversion went through, in their order, by conversion.
async fn histories(world: &World) -> BTreeMap<String, Vec<String>> {
    let store = world.store().await;
    let events: Vec<(String, Option<String>, String)> = sqlx::query_as(
        "SELECT conversion_id, from_state, to_state FROM conversion_events ORDER BY id",
    )
    .fetch_all(store.read())
    .await
    .unwrap();
    store.close().await;
    let mut histories = BTreeMap::<String, Vec<String>>::new();
    for (conversion, from, to) in events {
        let history = histories.entry(conversion).or_default();
        assert_eq!(
            history.last(),
            from.as_ref(),
            "each begins where the one before ended"
        );
        history.push(to);
    }
    histories
}

/// Also what is passed within one commit is told.
const STRAIGHT: [&str; 5] = ["created", "debiting", "debited", "issuing", "completed"];

async fn ten_thousand_miles_become_points_once(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let body = world
        .quoted(&gateway, "minji@sky.example", "blue-heron-41", "10000")
        .await;
    let first = world
        .post(&gateway, "/v1/conversions", "k1", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(first.status(), StatusCode::CREATED);
    assert!(first.headers().get("idempotency-replayed").is_none());
    let location = first.headers()["location"].to_str().unwrap().to_owned();
    let first = first.bytes().await.unwrap();
    let view: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!(view["state"], "completed");
    assert_eq!(view["points"], "120000");
    assert_eq!(view["points_micro"], "120000000000");
    assert_eq!(view["receiver"], RECEIVER);
    assert_eq!(
        location,
        format!("/v1/conversions/{}", view["id"].as_str().unwrap())
    );
    assert_eq!(world.miles("SKY-1001").await, 2_345);

    // The same request with the same key: the same bytes, and nothing moves.
    let again = world
        .post(&gateway, "/v1/conversions", "k1", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.headers()["location"].to_str().unwrap(), location);
    assert_eq!(again.bytes().await.unwrap(), first);
    assert_eq!(world.miles("SKY-1001").await, 2_345);
    assert_eq!(world.chain.ledger.lock().unwrap().broadcasts, 1);
    let receiver: Address = RECEIVER.parse().unwrap();
    let balance = world.chain.ledger.lock().unwrap().balances[&receiver];
    assert_eq!(balance.to_string(), "120000000000");

    // It can be looked up, and only by its partner.
    assert_eq!(world.get(&gateway, &location).await, view);
    let stranger = world
        .client
        .get(format!("{}{location}", gateway.url))
        .bearer_auth(STRANGER);
    assert_eq!(
        stranger.send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    let books = world.assert_books(&gateway).await;
    assert_eq!(books["programmes"][0]["miles_taken"], "10000");
    assert_eq!(books["conversions"], json!({ "completed": 1 }));
    let id = view["id"].as_str().unwrap();
    assert_eq!(histories(&world).await[id], STRAIGHT);

    // A quote is used once, whatever the key.
    let used = world
        .post(&gateway, "/v1/conversions", "k2", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(used.status(), StatusCode::CONFLICT);
    let problem: Value = used.json().await.unwrap();
    assert_eq!(problem["type"], "urn:mileverse:problem:quote-used");
    assert_eq!(problem["conversion_id"], view["id"]);

    // All of it survives a restart, the replay included.
    gateway.stop().await;
    let gateway = world.gateway().await;
    let again = world
        .post(&gateway, "/v1/conversions", "k1", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.bytes().await.unwrap(), first);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn fifty_at_once_with_one_key_move_once(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let body = world
        .quoted(&gateway, "minji@sky.example", "blue-heron-41", "100")
        .await;
    let requests = (0..50).map(|_| async {
        let answer = world
            .post(&gateway, "/v1/conversions", "same", &body)
            .send()
            .await
            .unwrap();
        (answer.status(), answer.bytes().await.unwrap())
    });
    let answers = future::join_all(requests).await;
    let made: Vec<_> = answers
        .iter()
        .filter(|(status, _)| *status == StatusCode::CREATED)
        .collect();
    assert!(!made.is_empty());
    assert!(made.iter().all(|(_, bytes)| *bytes == made[0].1));
    for (status, _) in &answers {
        assert!(
            matches!(*status, StatusCode::CREATED | StatusCode::CONFLICT),
            "{status}"
        );
    }
    assert_eq!(world.proxy.count("POST /v1/debits"), 1);
    assert_eq!(world.chain.ledger.lock().unwrap().signatures.len(), 1);
    assert_eq!(world.miles("SKY-1001").await, 12_245);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn many_at_once_are_each_issued_once(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let conversions = (0..20).map(|at| {
        let (world, gateway) = (&world, &gateway);
        async move {
            let body = world
                .quoted(gateway, "daniel@sky.example", "quiet-pine-07", "10")
                .await;
            let key = format!("many-{at}");
            let answer = world
                .post(gateway, "/v1/conversions", &key, &body)
                .send()
                .await
                .unwrap();
            assert_eq!(
                answer.status(),
                StatusCode::CREATED,
                "{}",
                answer.text().await.unwrap()
            );
        }
    });
    future::join_all(conversions).await;
    assert_eq!(world.miles("SKY-1002").await, 800_000 - 200);
    {
        // Alone or together: every signature has a nonce, and every conversion one signature.
        let ledger = world.chain.ledger.lock().unwrap();
        let alone = 20 - ledger.batches.iter().sum::<usize>();
        let transactions = u64::try_from(alone + ledger.batches.len()).unwrap();
        assert_eq!(ledger.nonces.values().copied().max(), Some(transactions));
        assert_eq!(ledger.issued.len(), 20);
    }
    assert!(world.chain.most_signatures() <= 1);
    world.assert_books(&gateway).await;
    let histories = histories(&world).await;
    assert_eq!(histories.len(), 20);
    for (id, history) in histories {
        assert_eq!(history, STRAIGHT, "{id}");
    }

    // Pages: newest first, all of them, none twice.
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world
            .get(&gateway, &format!("/v1/conversions?limit=7{cursor}"))
            .await;
        let ids = page["items"].as_array().unwrap().iter();
        seen.extend(ids.map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 20);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]));
    gateway.stop().await;
}

async fn one_quote_and_many_keys_convert_once(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let body = world
        .quoted(&gateway, "minji@sky.example", "blue-heron-41", "12345")
        .await;
    let requests = (0..20).map(|at| {
        let (world, gateway, body) = (&world, &gateway, &body);
        async move {
            let key = format!("key-{at}");
            world
                .post(gateway, "/v1/conversions", &key, body)
                .send()
                .await
                .unwrap()
                .status()
        }
    });
    let statuses = future::join_all(requests).await;
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == StatusCode::CREATED)
            .count(),
        1
    );
    assert_eq!(world.miles("SKY-1001").await, 0);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn health_and_the_document_need_no_key(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    for path in ["/health", "/ready", "/openapi.json", "/docs/"] {
        let answer = world
            .client
            .get(format!("{}{path}", gateway.url))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert!(answer.headers().contains_key("x-request-id"), "{path}");
    }
    let books = world.client.get(format!("{}/v1/books", gateway.url));
    assert_eq!(
        books.bearer_auth(READER).send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    let list = world.client.get(format!("{}/v1/conversions", gateway.url));
    assert_eq!(
        list.bearer_auth(READER).send().await.unwrap().status(),
        StatusCode::OK
    );
    assert_ne!(KEY, READER);
    // An airline that does not answer is said by name.
    world.airline.stop().await.unwrap();
    let answer = world
        .client
        .get(format!("{}/ready", gateway.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(
        problem["checks"],
        json!({ "chain": true, "database": true, "partner:airline": false })
    );
    gateway.stop().await;
}
