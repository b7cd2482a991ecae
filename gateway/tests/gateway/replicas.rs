//! Many gateways on one PostgreSQL database: any of them may die at any time.

use crate::support::{Databases, Gateway, World};
use futures::future;
use mileverse_gateway::conversion::state::State;
use mileverse_gateway::store::{Purpose, Store};
use reqwest::StatusCode;
use serde_json::Value;
use std::time::{Duration, Instant};

const LOGIN: (&str, &str) = ("daniel@sky.example", "quiet-pine-07");

/// Sends one conversion, to whichever replica answers, until it is answered for good.
async fn insist(world: &World, replicas: &[&Gateway], at: usize, body: &Value) -> StatusCode {
    let until = Instant::now() + crate::support::PATIENCE;
    let key = format!("replica-{at}");
    for turn in at.. {
        assert!(Instant::now() < until, "{key} is never answered");
        let replica = replicas[turn % replicas.len()];
        let request = world.post(replica, "/v1/conversions", &key, body);
        // A replica that died says nothing, one that recovers says to wait.
        if let Ok(answer) = request.timeout(Duration::from_secs(5)).send().await
            && answer.status() != StatusCode::CONFLICT
        {
            return answer.status();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_sent_to_all_replicas_moves_once() {
    let on = Databases::postgres();
    let world = World::new(&on).await;
    let replicas = future::join_all((0..3).map(|_| world.gateway())).await;
    let body = world
        .quoted(&replicas[0], "minji@sky.example", "blue-heron-41", "100")
        .await;
    let requests = (0..100).map(|at| {
        let replica = &replicas[at % replicas.len()];
        let request = world.post(replica, "/v1/conversions", "same", &body);
        async move { request.send().await.unwrap().status() }
    });
    let statuses = future::join_all(requests).await;
    assert!(statuses.contains(&StatusCode::CREATED), "{statuses:?}");
    for status in statuses {
        assert!(
            matches!(status, StatusCode::CREATED | StatusCode::CONFLICT),
            "{status}"
        );
    }
    assert_eq!(world.proxy.count("POST /v1/debits"), 1);
    assert_eq!(world.miles("SKY-1001").await, 12_245);
    world.assert_books(&replicas[1]).await;
    for replica in replicas {
        replica.stop().await;
    }
}

/// Two of three replicas die while they work; what they left is finished by the third.
#[tokio::test(flavor = "multi_thread")]
async fn what_dead_replicas_leave_is_finished_by_the_living() {
    let on = Databases::postgres();
    let world = World::new(&on).await;
    let mut replicas = future::join_all((0..3).map(|_| world.gateway())).await;
    let living = replicas.pop().unwrap();
    let mut bodies = Vec::new();
    for _ in 0..30 {
        bodies.push(world.quoted(&living, LOGIN.0, LOGIN.1, "10").await);
    }
    let started: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| {
            let replica = &replicas[at % replicas.len()];
            world
                .post(replica, "/v1/conversions", &format!("replica-{at}"), body)
                .timeout(Duration::from_secs(5))
        })
        .collect();
    let sending = tokio::spawn(future::join_all(
        started.into_iter().map(reqwest::RequestBuilder::send),
    ));
    // Dies once the first of their debits is at the airline.
    while world.proxy.count("POST /v1/debits") < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for replica in replicas {
        replica.kill().await;
    }
    let _ = sending.await;
    let alive = [&living];
    let answers = bodies
        .iter()
        .enumerate()
        .map(|(at, body)| insist(&world, &alive, at, body));
    for status in future::join_all(answers).await {
        assert!(
            matches!(
                status,
                StatusCode::CREATED | StatusCode::UNPROCESSABLE_ENTITY
            ),
            "{status}"
        );
    }
    let store = Store::open(&world.database, Purpose::Administer)
        .await
        .unwrap();
    for (state, many) in store.counts().await.unwrap() {
        assert!(
            matches!(state, State::Completed | State::Refused | State::Reversed),
            "{many} are {state}"
        );
    }
    assert!(store.waiting_jobs(10).await.unwrap().is_empty());
    store.close().await;
    world.assert_books(&living).await;
    living.stop().await;
}
