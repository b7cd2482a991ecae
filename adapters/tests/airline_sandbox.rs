//! The airline adapter through the test-kit, against the sandbox airline.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use async_trait::async_trait;
use mileverse_adapters::airline::{Airline, AirlineConfig};
use mileverse_adapters::testkit::{self, Bench, Login};
use mileverse_adapters::{Adapter, Miles, Reference, Refusal};
use mileverse_fixtures::sandbox::airline as sandbox;
use secrecy::SecretString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

struct Sandbox {
    url: String,
    adapter: Airline,
    next: AtomicU64,
}

fn login(login: &str, secret: &str) -> Login {
    Login {
        login: login.to_owned(),
        secret: SecretString::from(secret),
    }
}

#[async_trait]
impl Bench for Sandbox {
    fn adapter(&self) -> &dyn Adapter {
        &self.adapter
    }

    fn member(&self) -> Login {
        login("minji@sky.example", "blue-heron-41")
    }

    fn applied_without_answer(&self) -> Vec<Login> {
        ["timeout", "500", "nonsense", "status"]
            .map(|name| login(&format!("{name}@sky.example"), "fault"))
            .to_vec()
    }

    fn never_applied(&self) -> Vec<Login> {
        vec![login("lost@sky.example", "fault")]
    }

    fn refused(&self) -> Vec<(Login, Refusal)> {
        vec![
            (
                login("blocked@sky.example", "fault"),
                Refusal::AccountBlocked,
            ),
            (
                login("refuse@sky.example", "fault"),
                Refusal::InsufficientMiles,
            ),
            (
                login("newcomer@sky.example", "first-flight-0"),
                Refusal::InsufficientMiles,
            ),
        ]
    }

    async fn balance_seen_by_operator(&self, member: &str) -> Result<Miles, String> {
        let url = format!("{}/sandbox/members/{member}", self.url);
        let answer = reqwest::get(url).await.map_err(|error| error.to_string())?;
        let view: serde_json::Value = answer.json().await.map_err(|error| error.to_string())?;
        view["miles"]
            .as_u64()
            .map(Miles::new)
            .ok_or_else(|| view.to_string())
    }

    fn reference(&self) -> Reference {
        Reference::new(format!(
            "test-{}",
            self.next.fetch_add(1, Ordering::Relaxed)
        ))
        .unwrap()
    }
}

fn adapter(url: &str, secret: &str) -> Airline {
    Airline::new(AirlineConfig {
        base_url: url.parse().unwrap(),
        client_id: "mileverse-gateway".to_owned(),
        client_secret: SecretString::from(secret),
        timeout: Duration::from_secs(1),
        visibility_window: Duration::ZERO,
    })
    .unwrap()
}

async fn airline(data_dir: &std::path::Path) -> sandbox::Airline {
    sandbox::Airline::start(sandbox::AirlineConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: data_dir.to_owned(),
        members: None,
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn every_scenario_of_the_testkit() {
    let directory = tempfile::tempdir().unwrap();
    let airline = airline(directory.path()).await;
    let adapter = adapter(&airline.url(), "sandbox-airline-secret");
    let bench = Sandbox {
        url: airline.url(),
        adapter,
        next: AtomicU64::new(0),
    };
    if let Err(failures) = testkit::run(&bench).await {
        panic!("{}", testkit::describe(&failures));
    }
    airline.stop().await.unwrap();
}

#[tokio::test]
async fn the_airline_remembers_debits_and_forgets_tokens_when_it_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let first = airline(directory.path()).await;
    let before = adapter(&first.url(), "sandbox-airline-secret");
    let secret = SecretString::from("blue-heron-41");
    let session = before
        .authenticate("minji@sky.example", &secret)
        .await
        .unwrap();
    let reference = Reference::new("kept").unwrap();
    before.debit(&session, &reference, Miles::new(345)).await;
    first.stop().await.unwrap();

    let second = airline(directory.path()).await;
    let bench = Sandbox {
        url: second.url(),
        adapter: adapter(&second.url(), "sandbox-airline-secret"),
        next: AtomicU64::new(0),
    };
    let balance = bench.balance_seen_by_operator("SKY-1001").await.unwrap();
    assert_eq!(balance, Miles::new(12_000));
    let inquiry = bench.adapter.inquire(&reference).await;
    assert!(
        matches!(inquiry, mileverse_adapters::Inquiry::Found(_)),
        "{inquiry:?}"
    );
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_client_secret_is_the_gateways_fault() {
    let directory = tempfile::tempdir().unwrap();
    let airline = airline(directory.path()).await;
    let adapter = adapter(&airline.url(), "wrong");
    let outcome = adapter
        .authenticate("minji@sky.example", &SecretString::from("x"))
        .await;
    assert_eq!(
        outcome.unwrap_err(),
        mileverse_adapters::AskError::GatewayRefused
    );
    airline.stop().await.unwrap();
}
