//! The gateway is killed at every effect it has, calls to others and commits, before the effect and
//! after it, and started again on the same database; also killed again while it recovers. Whatever
//! was going on ends as completed once or as not at all, and the repeated request says which.

use crate::support::gate::Kill;
use crate::support::{Databases, Gateway, KEY, PATIENCE, RECEIVER, World};
use futures::future;
use mileverse_gateway::clock::now_ms;
use mileverse_gateway::conversion::state::State;
use mileverse_gateway::ids;
use mileverse_gateway::store::conversions::{self, Conversion, New};
use mileverse_gateway::store::quotes::{self, Quote};
use mileverse_gateway::store::{OpenError, Purpose, Store};
use mileverse_gateway::units::{Fee, MicroPoints, Rate};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

crate::on_both! {
    killed_at_every_call_when_the_answer_was_lost,
    created_and_never_sent_is_refused,
    a_caller_who_hangs_up_changes_nothing,
}

/// What is the same on either database, and long.
mod only_on_sqlite {
    use crate::support::Databases;

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_at_every_call_of_a_plain_conversion() {
        super::killed_at_every_call_of_a_plain_conversion(&Databases::sqlite()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_at_every_call_when_the_debit_never_arrived() {
        super::killed_at_every_call_when_the_debit_never_arrived(&Databases::sqlite()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_again_while_recovering() {
        super::killed_again_while_recovering(&Databases::sqlite()).await;
    }
}

/// More effects than any of these conversions has.
const MOST_CALLS: u32 = 40;
/// Cases that run side by side.
const AT_ONCE: usize = 5;

/// Opens the database of a gateway that is gone.
pub async fn database(world: &World) -> Store {
    loop {
        match Store::open(&world.database, Purpose::Serve).await {
            Ok(store) => return store,
            Err(OpenError::InUse(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn states(world: &World) -> Vec<State> {
    let store = database(world).await;
    let counts = store.counts().await.unwrap();
    store.close().await;
    counts.into_iter().map(|(state, _)| state).collect()
}

/// Sends the conversion and waits until it is answered or the gateway is to die.
async fn send_or_die(world: &World, gateway: &Gateway, body: &Value) -> bool {
    let answered = async {
        // Until the database believes the replica before to be dead, this one says to wait.
        while let Ok(answer) = world
            .post(gateway, "/v1/conversions", "crash", body)
            .send()
            .await
        {
            if answer.status() != StatusCode::CONFLICT {
                let _ = answer.bytes().await;
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        biased;
        () = world.gate.tripped() => true,
        () = answered => false,
    }
}

/// After the last start: the repeated request is answered, and all sums hold.
async fn assert_settled(world: &World, gateway: &Gateway, body: &Value, member: &str, name: &str) {
    let until = Instant::now() + PATIENCE;
    let (status, view) = loop {
        let answer = world
            .post(gateway, "/v1/conversions", "crash", body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let view: Value = answer.json().await.unwrap();
        // A server that others share does not know at once that the dead replica is dead.
        let waits = view["type"] == "urn:mileverse:problem:request-in-progress";
        if !waits || Instant::now() > until {
            break (status, view);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let start = if member == "SKY-1001" { 12_345 } else { 50_000 };
    let taken = start - world.miles(member).await;
    let issues = world.chain.ledger.lock().unwrap().issued.len();
    match status {
        StatusCode::CREATED => {
            assert_eq!((taken, issues), (100, 1), "{name}: {view}");
        }
        StatusCode::UNPROCESSABLE_ENTITY => {
            let kind = view["type"].as_str().unwrap();
            let ended = ["conversion-reversed", "conversion-refused"];
            assert!(
                ended.iter().any(|end| kind.ends_with(end)),
                "{name}: {view}"
            );
            assert_eq!((taken, issues), (0, 0), "{name}: {view}");
        }
        other => panic!("{name}: {other} {view}"),
    }
    assert!(world.chain.most_signatures() <= 1, "{name}: signed twice");
    world.assert_books(gateway).await;
}

/// Kills at each call in turn. Gives the states the database was found in.
async fn kill_at_every_call(
    on: &Databases,
    login: &str,
    password: &str,
    member: &str,
) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for kill in [Kill::Before as fn(u32) -> Kill, Kill::After] {
        // Side by side: a case mostly waits.
        for first in (1..MOST_CALLS).step_by(AT_ONCE) {
            let cases = (first..).take(AT_ONCE).map(|call| async move {
                let world = World::new(on).await;
                let gateway = world.gateway().await;
                let body = world.quoted(&gateway, login, password, "100").await;
                world.gate.arm(kill(call));
                let died = send_or_die(&world, &gateway, &body).await;
                gateway.kill().await;
                world.gate.disarm();
                if !died {
                    return None;
                }
                let found = states(&world).await;
                let gateway = world.gateway().await;
                let name = format!("{member} killed {:?}", kill(call));
                assert_settled(&world, &gateway, &body, member, &name).await;
                gateway.stop().await;
                Some(found)
            });
            let cases = future::join_all(cases).await;
            let ended = cases.iter().any(Option::is_none);
            found.extend(cases.into_iter().flatten().flatten().map(State::name));
            if ended {
                break;
            }
            assert!(first < MOST_CALLS, "{member} does not end");
        }
    }
    found
}

async fn killed_at_every_call_of_a_plain_conversion(on: &Databases) {
    let found = kill_at_every_call(on, "minji@sky.example", "blue-heron-41", "SKY-1001").await;
    for state in ["debiting", "debited", "issuing"] {
        assert!(found.contains(state), "{found:?}");
    }
}

async fn killed_at_every_call_when_the_answer_was_lost(on: &Databases) {
    let found = kill_at_every_call(on, "500@sky.example", "fault", "SKY-500").await;
    for state in ["debiting", "debit_unknown", "debited", "issuing"] {
        assert!(found.contains(state), "{found:?}");
    }
}

async fn killed_at_every_call_when_the_debit_never_arrived(on: &Databases) {
    let found = kill_at_every_call(on, "lost@sky.example", "fault", "SKY-LOST").await;
    for state in ["debiting", "debit_unknown", "reversing"] {
        assert!(found.contains(state), "{found:?}");
    }
}

async fn killed_again_while_recovering(on: &Databases) {
    for first in [
        Kill::Before(3),
        Kill::After(3),
        Kill::Before(8),
        Kill::After(8),
    ] {
        for second in 1..=4 {
            let cases = [Kill::Before(second), Kill::After(second)].map(|kill| async move {
                let world = World::new(on).await;
                let gateway = world.gateway().await;
                let body = world
                    .quoted(&gateway, "500@sky.example", "fault", "100")
                    .await;
                world.gate.arm(first);
                assert!(send_or_die(&world, &gateway, &body).await);
                gateway.kill().await;
                world.gate.arm(kill);
                let gateway = world.gateway().await;
                // Recovery may need fewer calls than this; then the request is simply answered.
                send_or_die(&world, &gateway, &body).await;
                gateway.kill().await;
                world.gate.disarm();
                let gateway = world.gateway().await;
                let name = format!("killed {first:?} and {kill:?}");
                assert_settled(&world, &gateway, &body, "SKY-500", &name).await;
                gateway.stop().await;
            });
            future::join_all(cases).await;
        }
    }
}

/// A conversion's row and its debit's intent are one commit now, so the row is made by hand: a
/// version before this one may have left it.
async fn created_and_never_sent_is_refused(on: &Databases) {
    let world = World::new(on).await;
    let store = database(&world).await;
    let (id, quote_id, now) = (ids::conversion(), ids::quote(), now_ms());
    let quote = Quote {
        id: quote_id.clone(),
        partner: "demo".to_owned(),
        programme: "airline".to_owned(),
        member_id: "SKY-1001".to_owned(),
        miles: 100,
        rate: Rate(12_000_000),
        points: MicroPoints(1_200_000_000),
        fee: Fee::default(),
        created_at: now,
        expires_at: now + 1000,
        used_by: None,
    };
    let conversion = Conversion {
        id: id.clone(),
        partner: "demo".to_owned(),
        quote_id: quote_id.clone(),
        programme: "airline".to_owned(),
        member_id: "SKY-1001".to_owned(),
        receiver: RECEIVER.to_owned(),
        miles: 100,
        rate: quote.rate,
        points: quote.points,
        fee: Fee::default(),
        reference: None,
        held: MicroPoints(0),
        state: State::Created,
        debit_reference: id.clone(),
        debit_sent_at: None,
        partner_reference: None,
        absent_reads: 0,
        issue_hash: None,
        issue_block: None,
        reason_code: None,
        reason: None,
        attempts: 0,
        created_at: now,
        updated_at: now,
    };
    let new = New {
        conversion: &conversion,
        trace: None,
    };
    let mut transaction = store.write().await.unwrap();
    quotes::insert(&mut transaction, &[&quote]).await.unwrap();
    conversions::insert(&mut transaction, &[new], "run_gone", now)
        .await
        .unwrap();
    assert!(
        quotes::claim(&mut transaction, &[(&quote_id, &id)], now)
            .await
            .unwrap()
    );
    transaction.commit().await.unwrap();
    store.close().await;
    drop(store);

    let gateway = world.gateway().await;
    let view = world.until(&gateway, &id, &["refused"]).await;
    assert_eq!(view["reason"]["code"], "interrupted");
    assert_eq!(world.proxy.count("POST /v1/debits"), 0);
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

/// A caller who hangs up does not stop what it began.
async fn a_caller_who_hangs_up_changes_nothing(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let body = world
        .quoted(&gateway, "500@sky.example", "fault", "100")
        .await;
    let impatient = reqwest::Client::builder()
        .timeout(Duration::from_millis(5))
        .build()
        .unwrap();
    let request = impatient
        .post(format!("{}/v1/conversions", gateway.url))
        .bearer_auth(KEY)
        .header("idempotency-key", "crash")
        .json(&body);
    let _ = request.send().await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "its key is held for ever");
        let answer = world
            .post(&gateway, "/v1/conversions", "crash", &body)
            .send()
            .await
            .unwrap();
        if answer.status() == StatusCode::CREATED {
            break;
        }
        assert_eq!(
            answer.status(),
            StatusCode::CONFLICT,
            "{}",
            answer.text().await.unwrap()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.miles("SKY-500").await, 49_900);
    let list = world.get(&gateway, "/v1/conversions").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["next_cursor"], json!(null));
    world.assert_books(&gateway).await;
    gateway.stop().await;
}
