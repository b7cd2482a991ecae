//! Conversions that are issued together: one transaction for many, each with an end of its own, and
//! all of them taken up from their rows when the gateway is killed in the midst.

use crate::crash::database;
use crate::support::gate::Kill;
use crate::support::{Databases, Gateway, PATIENCE, RECEIVER, Settings, World};
use alloy::primitives::Address;
use futures::future;
use mileverse_gateway::config::Batches;
use mileverse_gateway::conversion::state::State;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

crate::on_both! {
    many_at_once_become_few_transactions,
    an_entry_that_is_left_out_spoils_no_other,
    a_batch_that_fails_as_a_whole_is_tried_one_by_one,
    one_that_is_cancelled_while_it_waits_is_not_signed_for,
    the_chain_s_issues_of_a_batch_are_each_their_conversion_s,
}

mod only_on_sqlite {
    use crate::support::Databases;

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_at_every_effect_of_a_batch() {
        super::killed_at_every_effect_of_a_batch(&Databases::sqlite()).await;
    }
}

const OTHER: &str = "0x00000000000000000000000000000000000000B0";
const MANY: usize = 6;

/// One transaction at a time, so that whoever comes meanwhile waits and is issued together.
async fn world(on: &Databases) -> World {
    let settings = Settings {
        batches: Batches {
            entries: 64,
            in_flight: 1,
        },
        ..Settings::default()
    };
    World::with(on, settings).await
}

async fn bodies(world: &World, gateway: &Gateway, many: usize) -> Vec<Value> {
    let quotes =
        (0..many).map(|_| world.quoted(gateway, "daniel@sky.example", "quiet-pine-07", "10"));
    future::join_all(quotes).await
}

/// Sends them all at once while the chain makes no block, until all are debited and the first is
/// signed; then lets the chain go on. Gives each one's status and answer.
async fn at_once(world: &World, gateway: &Gateway, bodies: &[Value]) -> Vec<(StatusCode, Value)> {
    world.chain.ledger.lock().unwrap().frozen = true;
    let thaw = async {
        wait_for(world, |debited, issuing| {
            debited + issuing == bodies.len() as u64 && issuing > 0
        })
        .await;
        world.chain.ledger.lock().unwrap().thaw();
    };
    let all = future::join_all(bodies.iter().enumerate().map(|(at, body)| async move {
        let request = world.post(gateway, "/v1/conversions", &format!("together-{at}"), body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }));
    future::join(thaw, all).await.1
}

/// Waits until so many are `debited` and so many `issuing`.
pub async fn wait_for(world: &World, enough: impl Fn(u64, u64) -> bool) {
    let until = Instant::now() + PATIENCE;
    let store = world.store().await;
    loop {
        let counts = store.counts().await.unwrap();
        let of = |state| {
            counts
                .iter()
                .find(|(found, _)| *found == state)
                .map_or(0, |(_, many)| *many)
        };
        if enough(of(State::Debited), of(State::Issuing)) {
            break;
        }
        assert!(Instant::now() < until, "{counts:?}");
        time::sleep(Duration::from_millis(5)).await;
    }
    store.close().await;
}

async fn many_at_once_become_few_transactions(on: &Databases) {
    let world = world(on).await;
    let gateway = world.gateway().await;
    let bodies = bodies(&world, &gateway, 12).await;
    for (status, view) in at_once(&world, &gateway, &bodies).await {
        assert_eq!(status, StatusCode::CREATED, "{view}");
        assert_eq!(view["state"], "completed", "{view}");
    }
    {
        let ledger = world.chain.ledger.lock().unwrap();
        let together: usize = ledger.batches.iter().sum();
        assert!(
            ledger.batches.iter().any(|entries| *entries > 1),
            "{:?}",
            ledger.batches
        );
        assert!(together > 6, "{:?}", ledger.batches);
        assert_eq!(ledger.issued.len(), 12);
    }
    assert!(world.chain.most_signatures() <= 1);
    let metrics = world.client.get(format!("{}/metrics", gateway.url));
    let metrics = metrics
        .bearer_auth(crate::support::KEY)
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    let sum = metrics
        .lines()
        .find(|line| line.starts_with("gateway_issue_entries_sum"));
    assert_eq!(sum, Some("gateway_issue_entries_sum 12.0"), "{metrics}");
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

/// The chain does the others; the one that it leaves out gets its miles back.
async fn an_entry_that_is_left_out_spoils_no_other(on: &Databases) {
    let world = world(on).await;
    let gateway = world.gateway().await;
    world.chain.ledger.lock().unwrap().barred = Some(OTHER.parse::<Address>().unwrap());
    let mut bodies = bodies(&world, &gateway, MANY).await;
    bodies[MANY - 1]["receiver"] = json!(OTHER);
    bodies[2]["receiver"] = json!(OTHER);
    for (body, (status, view)) in bodies.iter().zip(at_once(&world, &gateway, &bodies).await) {
        if body["receiver"] == json!(RECEIVER) {
            assert_eq!(status, StatusCode::CREATED, "{view}");
        } else {
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{view}");
            assert_eq!(view["code"], "issue_refused", "{view}");
        }
    }
    assert_eq!(world.miles_taken().await, 10 * (MANY as u64 - 2));
    assert!(world.chain.most_signatures() <= 1);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

/// That the whole failed says nothing of any entry: none is given back, each is issued alone.
async fn a_batch_that_fails_as_a_whole_is_tried_one_by_one(on: &Databases) {
    let world = world(on).await;
    let gateway = world.gateway().await;
    let bodies = bodies(&world, &gateway, MANY).await;
    // It is the batches that fail: those who come alone do not.
    world.chain.ledger.lock().unwrap().no_batches = true;
    for (status, view) in at_once(&world, &gateway, &bodies).await {
        assert_eq!(status, StatusCode::CREATED, "{view}");
    }
    assert_eq!(world.chain.ledger.lock().unwrap().issued.len(), MANY);
    assert_eq!(world.chain.most_signatures(), 2);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn one_that_is_cancelled_while_it_waits_is_not_signed_for(on: &Databases) {
    let world = world(on).await;
    let gateway = world.gateway().await;
    let bodies = bodies(&world, &gateway, MANY).await;
    world.chain.ledger.lock().unwrap().frozen = true;
    let sending = future::join_all(bodies.iter().enumerate().map(|(at, body)| {
        let request = world.post(&gateway, "/v1/conversions", &format!("cancel-{at}"), body);
        async { request.send().await.unwrap().json::<Value>().await.unwrap() }
    }));
    let cancelling = async {
        wait_for(&world, |debited, issuing| {
            debited > 0 && debited + issuing == MANY as u64
        })
        .await;
        let waiting = world.get(&gateway, "/v1/conversions?state=debited").await;
        let id = waiting["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/conversions/{id}/cancel");
        let answer = world
            .post(&gateway, &path, "cancel", &json!({}))
            .send()
            .await
            .unwrap();
        let status = answer.status();
        // Its batch may have been signed at this very moment; then it is too late.
        world.chain.ledger.lock().unwrap().thaw();
        (id, status)
    };
    let (_, (id, status)) = future::join(sending, cancelling).await;
    let view = world.until(&gateway, &id, &["reversed", "completed"]).await;
    let cancelled = status.is_success();
    assert_eq!(view["state"] == "reversed", cancelled, "{status} {view}");
    let issued = world.chain.ledger.lock().unwrap().issued.len();
    assert_eq!(issued, MANY - usize::from(cancelled));
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

/// What reconciling reads of the chain is told apart by name: one transaction issued for many.
async fn the_chain_s_issues_of_a_batch_are_each_their_conversion_s(on: &Databases) {
    let world = world(on).await;
    let gateway = world.gateway().await;
    let bodies = bodies(&world, &gateway, MANY).await;
    let answers = at_once(&world, &gateway, &bodies).await;
    gateway.machine().read_chain_issues().await.unwrap();
    let store = world.store().await;
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT conversion_id, name FROM chain_issues")
            .fetch_all(store.read())
            .await
            .unwrap();
    store.close().await;
    assert_eq!(rows.len(), MANY);
    for (_, view) in answers {
        let id = view["id"].as_str().unwrap();
        let name = mileverse_gateway::issuer::conversion_name(id).to_string();
        assert!(
            rows.contains(&(id.to_owned(), name)),
            "{id} is not among {rows:?}"
        );
    }
    gateway.stop().await;
}

/// More effects than so many conversions have.
const MOST_EFFECTS: u32 = 120;
const AT_ONCE: usize = 6;

async fn killed_at_every_effect_of_a_batch(on: &Databases) {
    let mut batches = 0;
    'all: for kill in [Kill::Before as fn(u32) -> Kill, Kill::After] {
        for first in (1..MOST_EFFECTS).step_by(AT_ONCE) {
            let cases = (first..)
                .take(AT_ONCE)
                .map(|at| killed_in_a_batch(on, kill(at)));
            let ended = future::join_all(cases).await;
            batches += ended.iter().flatten().sum::<usize>();
            if ended.iter().any(Option::is_none) {
                continue 'all;
            }
        }
        panic!("it does not end");
    }
    assert!(
        batches > 20,
        "hardly anything was issued together: {batches}"
    );
}

async fn send_all(
    world: &World,
    gateway: &Gateway,
    bodies: &[Value],
) -> Vec<Option<(StatusCode, Value)>> {
    let send = |(at, body)| {
        let request = world.post(gateway, "/v1/conversions", &format!("batch-{at}"), body);
        async move {
            let answer = request.send().await.ok()?;
            let status = answer.status();
            Some((status, answer.json::<Value>().await.ok()?))
        }
    };
    future::join_all(bodies.iter().enumerate().map(send)).await
}

/// Gives how many batches the chain carried out; `None` if everything was over before the moment.
async fn killed_in_a_batch(on: &Databases, kill: Kill) -> Option<usize> {
    let world = world(on).await;
    let gateway = world.gateway().await;
    let bodies = bodies(&world, &gateway, MANY).await;
    world.gate.arm(kill);
    let died = tokio::select! {
        biased;
        () = world.gate.tripped() => true,
        _ = send_all(&world, &gateway, &bodies) => false,
    };
    gateway.kill().await;
    world.gate.disarm();
    if !died {
        return None;
    }
    // A gateway that dies lets go of its file a moment later.
    database(&world).await.close().await;
    let gateway = world.gateway().await;
    let until = Instant::now() + PATIENCE;
    loop {
        let answers = send_all(&world, &gateway, &bodies).await;
        let waits = answers
            .iter()
            .flatten()
            .any(|(status, _)| matches!(*status, StatusCode::CONFLICT | StatusCode::ACCEPTED));
        if !waits {
            for answer in answers {
                let (status, view) = answer.unwrap();
                let ended = status == StatusCode::CREATED
                    || ["conversion-reversed", "conversion-refused"]
                        .iter()
                        .any(|end| {
                            view["type"]
                                .as_str()
                                .is_some_and(|kind| kind.ends_with(end))
                        });
                assert!(ended, "{kill:?}: {status} {view}");
            }
            break;
        }
        assert!(Instant::now() < until, "{kill:?}: {answers:?}");
        time::sleep(Duration::from_millis(20)).await;
    }
    assert!(world.chain.most_signatures() <= 1, "{kill:?}: signed twice");
    world.assert_books(&gateway).await;
    gateway.stop().await;
    Some(world.chain.ledger.lock().unwrap().batches.len())
}
