//! Fees, references, filters, cancelling, disputing and statements.

use crate::support::chain::Trouble;
use crate::support::{Databases, Gateway, PATIENCE, STRANGER, Settings, World};
use futures::future;
use mileverse_gateway::units::{FeeRule, Payer};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

crate::on_both! {
    a_fee_is_taken_from_whoever_pays_it,
    one_that_is_refused_spoils_no_other_that_begins_with_it,
    a_reference_names_one_conversion,
    conversions_are_found_by_what_they_are,
    a_conversion_is_cancelled_while_nothing_is_signed,
    a_disputed_conversion_gives_the_miles_back_and_keeps_the_points,
    a_dispute_that_comes_too_late_is_refused,
}

const MINJI: (&str, &str) = ("minji@sky.example", "blue-heron-41");
const DANIEL: (&str, &str) = ("daniel@sky.example", "quiet-pine-07");

async fn convert(
    world: &World,
    gateway: &Gateway,
    who: (&str, &str),
    reference: Option<&str>,
) -> (StatusCode, Value) {
    let mut body = world.quoted(gateway, who.0, who.1, "100").await;
    if let Some(reference) = reference {
        body["reference"] = json!(reference);
    }
    let key = body["quote_id"].as_str().unwrap().to_owned();
    let answer = world.post(gateway, "/v1/conversions", &key, &body);
    let answer = answer.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

async fn post(world: &World, gateway: &Gateway, path: &str, body: Value) -> (StatusCode, Value) {
    let answer = world.post(gateway, path, "unused", &body);
    let answer = answer.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn id(view: &Value) -> &str {
    view["id"].as_str().unwrap_or_else(|| panic!("{view}"))
}

async fn a_fee_is_taken_from_whoever_pays_it(on: &Databases) {
    for (payer, received) in [(Payer::Member, "1196.4"), (Payer::Partner, "1200")] {
        let settings = Settings {
            fee: FeeRule {
                basis_points: 30,
                payer,
            },
            ..Settings::default()
        };
        let world = World::with(on, settings).await;
        let gateway = world.gateway().await;
        let (status, view) = convert(&world, &gateway, MINJI, None).await;
        assert_eq!(status, StatusCode::CREATED, "{view}");
        assert_eq!(view["points"], received);
        assert_eq!(
            view["fee"],
            json!({ "points": "3.6", "payer": payer.name() })
        );
        let issued = world.chain.ledger.lock().unwrap().total().to_string();
        assert_eq!(view["points_micro"], issued);
        let books = world.get(&gateway, "/v1/books").await;
        assert_eq!(books["agrees"], json!(true), "{books}");
        assert_eq!(books["journal"]["points_issued"], received);
        let terms = world.get(&gateway, "/v1/programmes").await;
        assert_eq!(terms["items"][0]["fee"]["basis_points"], 30);
        gateway.stop().await;
    }
}

async fn a_reference_names_one_conversion(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    // Many at once with one reference, each with a quote and a key of its own.
    let many = (0..8).map(|_| convert(&world, &gateway, DANIEL, Some("order-1")));
    let answers = future::join_all(many).await;
    let made = answers
        .iter()
        .filter(|(status, _)| *status == StatusCode::CREATED);
    let made: Vec<_> = made.map(|(_, view)| id(view).to_owned()).collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    for (status, view) in &answers {
        if *status != StatusCode::CREATED {
            assert_eq!(*status, StatusCode::CONFLICT, "{view}");
            assert_eq!(view["type"], "urn:mileverse:problem:reference-used");
            assert_eq!(view["conversion_id"], made[0]);
        }
    }
    assert_eq!(world.miles("SKY-1002").await, 800_000 - 100);
    let found = world
        .get(&gateway, "/v1/conversions?reference=order-1")
        .await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(found["items"][0]["id"], made[0]);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

/// Those that begin at once share a transaction; what is refused to one of them is refused to no other.
async fn one_that_is_refused_spoils_no_other_that_begins_with_it(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let shared = world.quoted(&gateway, DANIEL.0, DANIEL.1, "100").await;
    let same_quote = (0..6).map(|at| {
        let key = format!("shared-{at}");
        let request = world.post(&gateway, "/v1/conversions", &key, &shared);
        async move { request.send().await.unwrap().status() }
    });
    let converted = async |reference| convert(&world, &gateway, DANIEL, reference).await.0;
    let same_reference = (0..6).map(|_| converted(Some("order-1")));
    let good = (0..12).map(|_| converted(None));
    let (same_quote, same_reference, good) = future::join3(
        future::join_all(same_quote),
        future::join_all(same_reference),
        future::join_all(good),
    )
    .await;
    for statuses in [&same_quote, &same_reference] {
        let of = |wanted| statuses.iter().filter(|status| **status == wanted).count();
        assert_eq!(of(StatusCode::CREATED), 1, "{statuses:?}");
        assert_eq!(of(StatusCode::CONFLICT), 5, "{statuses:?}");
    }
    assert_eq!(good, [StatusCode::CREATED; 12]);
    assert_eq!(world.miles("SKY-1002").await, 800_000 - 14 * 100);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn conversions_are_found_by_what_they_are(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let (_, first) = convert(&world, &gateway, MINJI, None).await;
    let (_, second) = convert(&world, &gateway, DANIEL, Some("b")).await;
    let (_, refused) = convert(&world, &gateway, ("refuse@sky.example", "fault"), None).await;
    let refused = refused["conversion_id"].as_str().unwrap().to_owned();
    let find = async |query: String| -> Vec<String> {
        let list = world
            .get(&gateway, &format!("/v1/conversions?{query}"))
            .await;
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| id(item).to_owned()).collect()
    };
    let (first_id, second_id) = (id(&first).to_owned(), id(&second).to_owned());
    assert_eq!(find("state=refused".into()).await, [refused.as_str()]);
    assert_eq!(find("member_id=SKY-1001".into()).await, [first_id.as_str()]);
    let at_partner = second["debit"]["partner_reference"].as_str().unwrap();
    let query = format!("partner_reference={at_partner}&programme=airline");
    assert_eq!(find(query).await, [second_id.as_str()]);
    let query = format!("created_to={}", second["created_at"].as_str().unwrap());
    assert_eq!(find(query).await, [first_id.as_str()]);
    let query = "created_from=2020-01-01T00:00:00Z&state=completed&limit=1".to_owned();
    assert_eq!(find(query.clone()).await, [second_id.as_str()]);
    let query = format!("{query}&cursor={second_id}");
    assert_eq!(find(query).await, [first_id.as_str()]);
    assert!(find("programme=nothing".into()).await.is_empty());
    for bad in ["state=done", "created_from=yesterday", "colour=red"] {
        let url = format!("{}/v1/conversions?{bad}", gateway.url);
        let answer = world.client.get(url).bearer_auth(crate::support::KEY);
        let status = answer.send().await.unwrap().status();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
    gateway.stop().await;
}

async fn a_conversion_is_cancelled_while_nothing_is_signed(on: &Databases) {
    let settings = Settings {
        wait: Duration::from_millis(1),
        ..Settings::default()
    };
    let world = World::with(on, settings).await;
    let gateway = world.gateway().await;
    // The chain cannot be reached, so the conversion stays debited.
    world.chain.ledger.lock().unwrap().down = true;
    let (status, view) = convert(&world, &gateway, MINJI, None).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{view}");
    let conversion = id(&view).to_owned();
    world.until(&gateway, &conversion, &["debited"]).await;
    let path = format!("/v1/conversions/{conversion}/cancel");
    let stranger = world.client.post(format!("{}{path}", gateway.url));
    let stranger = stranger.bearer_auth(STRANGER).send().await.unwrap();
    assert_eq!(stranger.status(), StatusCode::NOT_FOUND);
    let sayings = (0..5).map(|_| post(&world, &gateway, &path, json!({})));
    for (status, view) in future::join_all(sayings).await {
        assert_eq!(status, StatusCode::OK, "{view}");
        assert_eq!(view["reason"]["code"], "cancelled");
    }
    world.until(&gateway, &conversion, &["reversed"]).await;
    world.chain.ledger.lock().unwrap().down = false;
    assert_eq!(world.miles("SKY-1001").await, 12_345);
    assert_eq!(world.chain.ledger.lock().unwrap().broadcasts, 0);

    // Signed is signed: the node lost it, and still it may come.
    world.chain.trouble(std::iter::repeat_n(Trouble::Lose, 3));
    let (_, view) = convert(&world, &gateway, MINJI, None).await;
    let conversion = id(&view).to_owned();
    world
        .until(&gateway, &conversion, &["issuing", "completed"])
        .await;
    let path = format!("/v1/conversions/{conversion}/cancel");
    let (status, problem) = post(&world, &gateway, &path, json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    assert_eq!(problem["type"], "urn:mileverse:problem:not-cancellable");
    world.until(&gateway, &conversion, &["completed"]).await;
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_disputed_conversion_gives_the_miles_back_and_keeps_the_points(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let (_, kept) = convert(&world, &gateway, DANIEL, None).await;
    let (status, view) = convert(&world, &gateway, MINJI, None).await;
    assert_eq!(status, StatusCode::CREATED, "{view}");
    let conversion = id(&view).to_owned();
    let path = format!("/v1/conversions/{conversion}/dispute");
    let body = json!({ "why": "the account was taken over" });
    let sayings = (0..5).map(|_| post(&world, &gateway, &path, body.clone()));
    for (status, view) in future::join_all(sayings).await {
        assert_eq!(status, StatusCode::OK, "{view}");
    }
    let view = world.until(&gateway, &conversion, &["returned"]).await;
    assert_eq!(view["final"], true);
    assert_eq!(view["reason"]["message"], "the account was taken over");
    assert_eq!(world.miles("SKY-1001").await, 12_345);
    let issued = world.chain.ledger.lock().unwrap().total();
    assert_eq!(issued.to_string(), (2 * 100 * 12_000_000u64).to_string());
    let books = world.get(&gateway, "/v1/books").await;
    assert_eq!(books["agrees"], json!(true), "{books}");
    assert_eq!(books["programmes"][0]["miles_taken"], "100", "{books}");

    let today = jiff::Timestamp::now().to_string()[..10].to_owned();
    let statement = world
        .get(&gateway, &format!("/v1/statement?from={today}&to={today}"))
        .await;
    let line = &statement["programmes"][0];
    assert_eq!(line["issued"]["conversions"], 2, "{statement}");
    assert_eq!(line["issued"]["points"], "2400");
    assert_eq!(line["returned"]["miles"], "100");
    let metrics = world.client.get(format!("{}/metrics", gateway.url));
    let metrics = metrics
        .bearer_auth(crate::support::KEY)
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [
        "gateway_conversions{state=\"debit_unknown\"} 0",
        "gateway_conversion_moves_total{to=\"returned\"} 1",
        "gateway_conversion_moves_total{to=\"debited\"} 2",
        "gateway_jobs_waiting{kind=\"conversion\"} 0",
        "gateway_requests_total{route=\"/v1/conversions\",status=\"201\"} 2",
        "gateway_slo_counted_total{slo=\"conversion\"} 2",
        "gateway_slo_missed_total{slo=\"conversion\"} 0",
        "gateway_slo_missed_total{slo=\"availability\"} 0",
        "gateway_slo_budget_ratio{slo=\"availability\"} 0.001",
        "gateway_slo_burn{slo=\"availability\",window=\"1h\"} 0.0",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
    assert!(!metrics.contains(&conversion), "{metrics}");
    let closed = world.client.get(format!("{}/metrics", gateway.url));
    let status = closed.send().await.unwrap().status();
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    // The other one stands, and a second dispute of the first changes nothing.
    let view = world.until(&gateway, id(&kept), &["completed"]).await;
    assert_eq!(view["reason"], Value::Null);
    let (status, view) = post(&world, &gateway, &path, body).await;
    assert_eq!(
        (status, &view["state"]),
        (StatusCode::OK, &json!("returned"))
    );
    let deadline = Instant::now() + PATIENCE;
    loop {
        let events = world.get(&gateway, "/v1/events").await;
        let items = events["items"].as_array().unwrap();
        if items
            .iter()
            .any(|item| item["type"] == "conversion.returned")
        {
            break;
        }
        assert!(Instant::now() < deadline, "{events}");
        time::sleep(Duration::from_millis(10)).await;
    }
    gateway.stop().await;
}

async fn a_dispute_that_comes_too_late_is_refused(on: &Databases) {
    let settings = Settings {
        dispute_window: Duration::ZERO,
        ..Settings::default()
    };
    let world = World::with(on, settings).await;
    let gateway = world.gateway().await;
    let (_, view) = convert(&world, &gateway, MINJI, None).await;
    let path = format!("/v1/conversions/{}/dispute", id(&view));
    let (status, problem) = post(&world, &gateway, &path, json!({ "why": "late" })).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["type"], "urn:mileverse:problem:not-disputable");
    let (status, _) = post(&world, &gateway, &path, json!({ "why": "" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let cancel = format!("/v1/conversions/{}/cancel", id(&view));
    let (status, _) = post(&world, &gateway, &cancel, json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}
