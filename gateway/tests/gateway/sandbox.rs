//! The sandbox's clock: moved ahead by its callers, kept, the same for all replicas, and nowhere else.

use crate::client::{client, convert, minji, quote};
use crate::support::{Databases, KEY, PATIENCE, READER, RECEIVER, Settings, World, until};
use mileverse_gateway::server::{Server, ServerError};
use mileverse_gateway::store::OpenError;
use mileverse_gateway_client::conversions::{ConversionRequest, State};
use mileverse_gateway_client::problem::Kind;
use mileverse_gateway_client::{Client, IdempotencyKey};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

crate::on_both! {
    time_passes_in_a_sandbox_when_it_is_told_to,
    a_moved_clock_is_kept_and_seen_by_all_replicas,
    no_other_gateway_has_a_clock_that_can_be_moved,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn settings() -> Settings {
    Settings {
        sandbox: true,
        daily_member_miles: Some(100),
        dispute_window: DAY,
        ..Settings::default()
    }
}

async fn advance(client: &Client, by: Duration) -> u64 {
    let key = IdempotencyKey::random();
    let moved = client.advance_sandbox_clock(&key, by).await.unwrap();
    // Said again under the same key it moves nothing.
    let again = client.advance_sandbox_clock(&key, by).await.unwrap();
    assert_eq!(again, moved);
    let now = client.sandbox_clock().await.unwrap();
    assert_eq!(now.ahead_seconds, moved.ahead_seconds);
    moved.ahead_seconds
}

async fn time_passes_in_a_sandbox_when_it_is_told_to(on: &Databases) {
    let world = World::with(on, settings()).await;
    let gateway = world.gateway().await;
    let client = client(&gateway, KEY);
    assert_eq!(client.sandbox_clock().await.unwrap().ahead_seconds, 0);

    // A quote expires.
    let key = IdempotencyKey::random();
    let quoted = client.quote(&key, &quote(minji(), "10")).await.unwrap();
    assert_eq!(advance(&client, Duration::from_secs(301)).await, 301);
    let request = ConversionRequest {
        quote_id: quoted.id,
        member: minji(),
        receiver: RECEIVER.into(),
        reference: None,
    };
    let expired = client.convert(&IdempotencyKey::random(), &request).await;
    assert_eq!(expired.unwrap_err().kind(), Some(Kind::QuoteExpired));

    // A day's limit is used up, and is there again on the next day.
    let first = convert(&client, minji(), "100", "order-1").await;
    let refused = client.quote(&key_of("more"), &quote(minji(), "1")).await;
    let used_up = match refused {
        Err(error) => error,
        Ok(quoted) => {
            let request = ConversionRequest {
                quote_id: quoted.id,
                ..request.clone()
            };
            let refused = client.convert(&IdempotencyKey::random(), &request).await;
            refused.unwrap_err()
        }
    };
    assert_eq!(used_up.kind(), Some(Kind::DailyLimit), "{used_up}");
    let store = world.store().await;
    let reconciled = async || -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM reconciliations")
            .fetch_one(store.read())
            .await
            .unwrap()
    };
    let before = reconciled().await;
    advance(&client, DAY * 2).await;
    // The days that are over by that clock are put in to be reconciled.
    assert!(reconciled().await > before);
    store.close().await;
    let second = convert(&client, minji(), "100", "order-2").await;

    // The time for a dispute ends.
    let late = client.dispute(&first, "too late").await.unwrap_err();
    assert_eq!(late.kind(), Some(Kind::NotDisputable), "{late}");
    let disputed = client.dispute(&second, "in time").await.unwrap();
    let returned = client.settled(&disputed.id, PATIENCE).await.unwrap();
    assert_eq!(returned.state(), Some(State::Returned));

    // What was done is as consistent as ever.
    assert!(client.books().await.unwrap().journal.balanced);
    let list = world.get(&gateway, "/v1/conversions").await;
    let ahead = client.sandbox_clock().await.unwrap();
    assert!(list["items"][0]["created_at"].as_str() <= Some(ahead.now.as_str()));
    gateway.stop().await;
}

fn key_of(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name).unwrap()
}

async fn a_moved_clock_is_kept_and_seen_by_all_replicas(on: &Databases) {
    let world = World::with(on, settings()).await;
    let gateway = world.gateway().await;
    let mine = client(&gateway, KEY);
    let other = match world.database.is_shared() {
        true => Some(world.gateway().await),
        false => None,
    };
    assert_eq!(advance(&mine, DAY * 3).await, 3 * 86_400);
    if let Some(other) = &other {
        let theirs = client(other, KEY);
        until("the clock of the other replica", async || {
            let seen = theirs.sandbox_clock().await.unwrap().ahead_seconds;
            if seen == 3 * 86_400 {
                Ok(())
            } else {
                Err(seen)
            }
        })
        .await;
        assert_eq!(advance(&theirs, DAY).await, 4 * 86_400);
        // From wherever it is moved, it adds up.
        assert_eq!(advance(&mine, DAY).await, 5 * 86_400);
    }
    for (seconds, status) in [
        (json!(0), 422),
        (json!(-1), 422),
        (json!(31_622_401), 422),
        (json!("1"), 422),
    ] {
        let body = json!({ "advance_seconds": seconds });
        let answer = world.post(&gateway, "/v1/sandbox/clock", "limits", &body);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{body}");
    }
    let reader = client(&gateway, READER);
    assert!(reader.sandbox_clock().await.is_ok());
    let refused = reader.advance_sandbox_clock(&key_of("reader"), DAY).await;
    assert_eq!(refused.unwrap_err().kind(), Some(Kind::Forbidden));
    let ahead = mine.sandbox_clock().await.unwrap().ahead_seconds;
    gateway.stop().await;
    if let Some(other) = other {
        other.stop().await;
    }

    let gateway = world.gateway().await;
    let mine = client(&gateway, KEY);
    assert_eq!(mine.sandbox_clock().await.unwrap().ahead_seconds, ahead);
    gateway.stop().await;

    // It never goes back, and what is a sandbox's stays one.
    let store = world.store().await;
    assert!(store.ahead() > 0);
    for statement in [
        "UPDATE sandbox_clock SET ahead_ms = ahead_ms - 1",
        "DELETE FROM sandbox_clock",
        "UPDATE meta SET value = 'production' WHERE name = 'purpose'",
        "DELETE FROM meta WHERE name = 'purpose'",
    ] {
        let mut write = store.write().await.unwrap();
        let done = sqlx::query(statement).execute(&mut *write).await;
        assert!(done.is_err(), "{statement}");
    }
    store.close().await;
    let mut config = world.config();
    config.sandbox = false;
    let refused = Server::start(config).await.unwrap_err();
    assert!(
        matches!(refused, ServerError::Store(OpenError::OtherPurpose { .. })),
        "{refused}"
    );
}

async fn no_other_gateway_has_a_clock_that_can_be_moved(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let body = json!({ "advance_seconds": 60 });
    let moved = world.post(&gateway, "/v1/sandbox/clock", "move", &body);
    let moved = moved.send().await.unwrap();
    assert_eq!(moved.status(), StatusCode::NOT_FOUND);
    let problem: Value = moved.json().await.unwrap();
    assert_eq!(problem["type"], "urn:mileverse:problem:not-found");
    let read = client(&gateway, KEY).sandbox_clock().await.unwrap_err();
    assert_eq!(read.kind(), Some(Kind::NotFound));
    let document = world.get(&gateway, "/openapi.json").await;
    assert!(document["paths"]["/v1/quotes"].is_object());
    assert!(document["paths"]["/v1/sandbox/clock"].is_null());
    gateway.stop().await;
    // Not even by hand.
    let store = world.store().await;
    let mut write = store.write().await.unwrap();
    let by_hand = sqlx::query("INSERT INTO sandbox_clock (one, ahead_ms) VALUES (1, 1)");
    let refused = by_hand.execute(&mut *write).await.unwrap_err();
    assert!(refused.to_string().contains("only a sandbox"), "{refused}");
    drop(write);
    assert_eq!(store.ahead(), 0);
    store.close().await;
    let mut config = world.config();
    config.sandbox = true;
    let refused = Server::start(config).await.unwrap_err();
    assert!(
        matches!(refused, ServerError::Store(OpenError::OtherPurpose { .. })),
        "{refused}"
    );
}
