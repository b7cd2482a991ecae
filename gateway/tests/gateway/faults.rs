//! What goes wrong outside: nothing is guessed, nothing is taken twice, nothing is made twice.

use crate::support::chain::Trouble;
use crate::support::proxy::Wrong;
use crate::support::{Databases, Gateway, Settings, World};
use mileverse_adapters::airline::{Airline, AirlineConfig};
use mileverse_adapters::{Adapter, Debit, Miles, Reference, Refusal};
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;

crate::on_both! {
    a_debit_whose_answer_is_lost_is_found_and_completed,
    a_debit_that_never_arrived_is_reversed_and_cannot_arrive_late,
    a_refused_debit_is_refused_with_its_reason,
    not_found_is_not_believed_at_once,
    not_found_within_the_visibility_window_proves_nothing,
    a_partner_that_cannot_be_asked_is_asked_to_reverse,
    a_reversal_that_is_never_acknowledged_goes_to_an_operator,
    a_debit_of_other_miles_goes_to_an_operator,
    a_partner_that_is_away_moves_nothing_and_the_key_stays_good,
    an_issue_whose_broadcast_goes_wrong_is_made_once,
    an_issue_that_the_chain_refuses_gives_the_miles_back,
    a_nonce_that_went_elsewhere_is_replaced_and_the_issue_made_once,
    a_conversion_that_takes_long_is_answered_before_its_end,
}

async fn convert(
    world: &World,
    gateway: &Gateway,
    login: &str,
    miles: &str,
) -> (StatusCode, Value) {
    let password = if login.starts_with("minji") {
        "blue-heron-41"
    } else {
        "fault"
    };
    let body = world.quoted(gateway, login, password, miles).await;
    let key = format!("convert-{}", uuid::Uuid::now_v7());
    let answer = world
        .post(gateway, "/v1/conversions", &key, &body)
        .send()
        .await
        .unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn debits(world: &World) -> usize {
    world.proxy.count("POST /v1/debits") - world.proxy.count("POST /v1/debits/")
}

async fn a_debit_whose_answer_is_lost_is_found_and_completed(on: &Databases) {
    let settings = Settings {
        timeout: Duration::from_millis(400),
        ..Settings::default()
    };
    for (login, member) in [
        ("timeout@sky.example", "SKY-TIMEOUT"),
        ("500@sky.example", "SKY-500"),
        ("nonsense@sky.example", "SKY-NONSENSE"),
        ("status@sky.example", "SKY-STATUS"),
    ] {
        let world = World::with(on, settings.clone()).await;
        let gateway = world.gateway().await;
        let (status, view) = convert(&world, &gateway, login, "100").await;
        assert_eq!(status, StatusCode::CREATED, "{member}: {view}");
        assert_eq!(world.miles(member).await, 49_900, "{member}");
        assert_eq!(debits(&world), 1, "{member}");
        world.assert_books(&gateway).await;
        gateway.stop().await;
    }
}

async fn a_debit_that_never_arrived_is_reversed_and_cannot_arrive_late(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let (status, problem) = convert(&world, &gateway, "lost@sky.example", "100").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["type"], "urn:mileverse:problem:conversion-reversed");
    let id = problem["conversion_id"].as_str().unwrap();
    assert!(
        world.proxy.count(&format!("GET /v1/debits/{id}")) >= 3,
        "believed too soon"
    );
    assert_eq!(
        world.proxy.count(&format!("POST /v1/debits/{id}/reversal")),
        1
    );
    assert_eq!(world.miles("SKY-LOST").await, 50_000);
    assert_eq!(world.chain.ledger.lock().unwrap().broadcasts, 0);
    assert_eq!(
        world.get(&gateway, &format!("/v1/conversions/{id}")).await["state"],
        "reversed"
    );

    // The debit comes after all, from somewhere: the tombstone refuses it.
    let airline = Airline::new(AirlineConfig {
        base_url: world.airline.url().parse().unwrap(),
        client_id: "mileverse-gateway".to_owned(),
        client_secret: SecretString::from("sandbox-airline-secret"),
        timeout: Duration::from_secs(5),
        visibility_window: Duration::ZERO,
    })
    .unwrap();
    let secret = SecretString::from("blue-heron-41");
    let session = airline
        .authenticate("minji@sky.example", &secret)
        .await
        .unwrap();
    let late = airline
        .debit(&session, &Reference::new(id).unwrap(), Miles::new(100))
        .await;
    assert_eq!(late, Debit::Refused(Refusal::Reversed));
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_refused_debit_is_refused_with_its_reason(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    for (login, member, code) in [
        ("refuse@sky.example", "SKY-REFUSE", "insufficient_miles"),
        ("blocked@sky.example", "SKY-BLOCKED", "account_blocked"),
    ] {
        let (status, problem) = convert(&world, &gateway, login, "100").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["type"], "urn:mileverse:problem:conversion-refused");
        assert_eq!(problem["code"], code);
        assert_eq!(world.miles(member).await, 50_000);
    }
    assert_eq!(world.chain.ledger.lock().unwrap().broadcasts, 0);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn not_found_is_not_believed_at_once(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let not_found = Wrong::Instead(404, r#"{"error":"debit_not_found"}"#);
    world.proxy.fault("GET", "/v1/debits/", 2, not_found);
    let (status, view) = convert(&world, &gateway, "500@sky.example", "100").await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    assert_eq!(world.miles("SKY-500").await, 49_900);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn not_found_within_the_visibility_window_proves_nothing(on: &Databases) {
    let settings = Settings {
        visibility: Duration::from_secs(3600),
        ..Settings::default()
    };
    let world = World::with(on, settings).await;
    let gateway = world.gateway().await;
    let not_found = Wrong::Instead(404, r#"{"error":"debit_not_found"}"#);
    // Far more often than it would take after the window.
    world.proxy.fault("GET", "/v1/debits/", 12, not_found);
    let (status, view) = convert(&world, &gateway, "500@sky.example", "100").await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    assert_eq!(world.proxy.count("POST /v1/debits/"), 0);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_partner_that_cannot_be_asked_is_asked_to_reverse(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    world.proxy.fault(
        "GET",
        "/v1/debits/",
        1000,
        Wrong::Instead(404, "<html>no route</html>"),
    );
    // The first acknowledgement is lost; the second counts.
    world
        .proxy
        .fault("POST", "/v1/debits/", 1, Wrong::After(502, ""));
    let (status, problem) = convert(&world, &gateway, "500@sky.example", "100").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert_eq!(problem["type"], "urn:mileverse:problem:conversion-reversed");
    assert_eq!(world.miles("SKY-500").await, 50_000);
    assert_eq!(world.chain.ledger.lock().unwrap().broadcasts, 0);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_reversal_that_is_never_acknowledged_goes_to_an_operator(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    world
        .proxy
        .fault("GET", "/v1/debits/", 1000, Wrong::Instead(503, ""));
    world
        .proxy
        .fault("POST", "/v1/debits/", 1000, Wrong::Instead(503, ""));
    let (status, view) = convert(&world, &gateway, "500@sky.example", "100").await;
    assert_eq!(status, StatusCode::ACCEPTED, "{view}");
    assert_eq!(view["state"], "attention");
    assert_eq!(view["final"], false);
    assert_eq!(view["reason"]["code"], "reversal_unanswered");
    assert_eq!(world.chain.ledger.lock().unwrap().broadcasts, 0);
    let books = world.get(&gateway, "/v1/books").await;
    assert_eq!(books["conversions"]["attention"], 1);
    gateway.stop().await;
}

async fn a_debit_of_other_miles_goes_to_an_operator(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    world.proxy.fault(
        "GET",
        "/v1/debits/",
        1,
        Wrong::Replace("\"miles\":100", "\"miles\":90"),
    );
    let (status, view) = convert(&world, &gateway, "500@sky.example", "100").await;
    assert_eq!(status, StatusCode::ACCEPTED, "{view}");
    assert_eq!(view["state"], "attention");
    assert_eq!(view["reason"]["code"], "debit_mismatch");
    assert_eq!(world.chain.ledger.lock().unwrap().broadcasts, 0);
    gateway.stop().await;
}

async fn a_partner_that_is_away_moves_nothing_and_the_key_stays_good(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let body = world
        .quoted(&gateway, "minji@sky.example", "blue-heron-41", "10")
        .await;
    world
        .proxy
        .fault("POST", "/v1/members/login", 1, Wrong::Instead(503, ""));
    let away = world
        .post(&gateway, "/v1/conversions", "again", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(away.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(away.headers().contains_key("retry-after"));
    let problem: Value = away.json().await.unwrap();
    assert_eq!(problem["type"], "urn:mileverse:problem:partner-unavailable");
    let back = world
        .post(&gateway, "/v1/conversions", "again", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(back.status(), StatusCode::CREATED);
    assert!(back.headers().get("idempotency-replayed").is_none());
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn an_issue_whose_broadcast_goes_wrong_is_made_once(on: &Databases) {
    for trouble in [
        vec![Trouble::TakeButRefuse],
        vec![Trouble::TakeButFail],
        vec![Trouble::Refuse, Trouble::Refuse],
        vec![Trouble::Lose],
        vec![Trouble::Refuse, Trouble::Lose, Trouble::TakeButFail],
    ] {
        let world = World::new(on).await;
        let gateway = world.gateway().await;
        world.chain.trouble(trouble.iter().copied());
        let (status, view) = convert(&world, &gateway, "minji@sky.example", "100").await;
        assert_eq!(status, StatusCode::CREATED, "{trouble:?}: {view}");
        let books = world.assert_books(&gateway).await;
        assert_eq!(books["conversions"]["completed"], 1);
        assert!(
            world.chain.most_signatures() <= 1,
            "{trouble:?}: signed twice"
        );
        gateway.stop().await;
    }
}

async fn an_issue_that_the_chain_refuses_gives_the_miles_back(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    world.chain.trouble([Trouble::Revert]);
    let (status, problem) = convert(&world, &gateway, "minji@sky.example", "100").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    assert_eq!(problem["type"], "urn:mileverse:problem:conversion-reversed");
    assert_eq!(problem["code"], "issue_refused");
    assert_eq!(world.miles("SKY-1001").await, 12_345);
    let books = world.assert_books(&gateway).await;
    assert_eq!(books["programmes"][0]["miles_taken"], "0");
    // The nonce is used up; the next conversion takes the next.
    let (status, view) = convert(&world, &gateway, "minji@sky.example", "100").await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_nonce_that_went_elsewhere_is_replaced_and_the_issue_made_once(on: &Databases) {
    let world = World::new(on).await;
    let issuer: alloy::primitives::Address =
        alloy::signers::local::PrivateKeySigner::from_bytes(&[7u8; 32].into())
            .unwrap()
            .address();
    // The chain is ahead of an empty database: its nonce counts.
    world.chain.ledger.lock().unwrap().nonces.insert(issuer, 7);
    let gateway = world.gateway().await;
    let (status, _) = convert(&world, &gateway, "minji@sky.example", "100").await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(world.chain.ledger.lock().unwrap().nonces[&issuer], 8);

    // The broadcast is lost, and meanwhile another use of the key takes the nonce.
    let ledger = std::sync::Arc::clone(&world.chain.ledger);
    world.chain.trouble([Trouble::Lose]);
    let taker = tokio::spawn(async move {
        loop {
            {
                let mut ledger = ledger.lock().unwrap();
                if ledger.trouble.is_empty() {
                    ledger.nonces.insert(issuer, 9);
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let (status, view) = convert(&world, &gateway, "minji@sky.example", "100").await;
    taker.await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{view}");
    assert_eq!(world.chain.ledger.lock().unwrap().nonces[&issuer], 10);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_conversion_that_takes_long_is_answered_before_its_end(on: &Databases) {
    let settings = Settings {
        wait: Duration::from_millis(1),
        ..Settings::default()
    };
    let world = World::with(on, settings).await;
    let gateway = world.gateway().await;
    let body = world
        .quoted(&gateway, "500@sky.example", "fault", "100")
        .await;
    let first = world
        .post(&gateway, "/v1/conversions", "slow", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(first.status(), StatusCode::ACCEPTED);
    let first = first.bytes().await.unwrap();
    let view: Value = serde_json::from_slice(&first).unwrap();
    let id = view["id"].as_str().unwrap();
    world.until(&gateway, id, &["completed"]).await;
    // The answer once given stays the same; the look-up tells how it went on.
    let again = world
        .post(&gateway, "/v1/conversions", "slow", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), StatusCode::ACCEPTED);
    assert_eq!(again.bytes().await.unwrap(), first);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}
