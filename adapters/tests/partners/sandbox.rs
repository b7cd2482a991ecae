//! Every adapter through the test-kit, against its sandbox partner on its real protocol.

use async_trait::async_trait;
use mileverse_adapters::airline::{Airline, AirlineConfig};
use mileverse_adapters::testkit::{self, Bench, Login, Part};
use mileverse_adapters::{
    Adapter, AskError, Inquiry, Miles, PartnerConfig, PartnerKind, Reference,
};
use mileverse_fixtures::sandbox::{self, Members, PartnerConfig as Place};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// One call. `SLOW` needs less, however busy the machine is.
const TIMEOUT_MS: u64 = 1500;

/// A sandbox partner as the test-kit sees it: they differ in protocol only.
struct SandboxBench {
    operator_url: String,
    adapter: Arc<dyn Adapter>,
    members: Members,
    next: AtomicU64,
}

impl SandboxBench {
    fn new(operator_url: String, adapter: Arc<dyn Adapter>, members: Members) -> Self {
        Self {
            operator_url,
            adapter,
            members,
            next: AtomicU64::new(0),
        }
    }

    async fn run(&self) {
        if let Err(failures) = testkit::run(self).await {
            panic!("{}", testkit::describe(&failures));
        }
    }

    async fn view(&self, member: &str) -> Result<Value, String> {
        let url = format!("{}/sandbox/members/{member}", self.operator_url);
        let answer = reqwest::get(url).await.map_err(|error| error.to_string())?;
        answer.json().await.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Bench for SandboxBench {
    fn adapter(&self) -> &dyn Adapter {
        self.adapter.as_ref()
    }

    fn login(&self, part: Part) -> Login {
        let member = self
            .members
            .members
            .iter()
            .find(|member| member.id.split_once('-').unwrap().1 == part.name())
            .unwrap_or_else(|| panic!("no member plays {part:?}"));
        Login {
            login: member.login.clone(),
            secret: SecretString::from(member.password.clone()),
        }
    }

    async fn balance_seen_by_operator(&self, member: &str) -> Result<Miles, String> {
        let view = self.view(member).await?;
        view["miles"]
            .as_u64()
            .map(Miles::new)
            .ok_or_else(|| view.to_string())
    }

    async fn advance_clock(&self, by: Duration) -> Result<(), String> {
        let url = format!("{}/sandbox/clock", self.operator_url);
        let body = json!({ "advance_seconds": by.as_secs() });
        let answer = reqwest::Client::new().post(url).json(&body).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        answer
            .error_for_status()
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    fn reference(&self) -> Reference {
        Reference::new(format!(
            "test-{}",
            self.next.fetch_add(1, Ordering::Relaxed)
        ))
        .unwrap()
    }
}

fn place(directory: &TempDir) -> Place {
    Place {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: directory.path().to_owned(),
        members: None,
    }
}

/// Writes files beside each other and reads the first as a partner's configuration.
fn configured(kind: PartnerKind, directory: &TempDir, files: &[(&str, &str)]) -> Arc<dyn Adapter> {
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let path = directory.path().join(files.first().unwrap().0);
    PartnerConfig::read(kind, &path)
        .unwrap_or_else(|error| panic!("{error}"))
        .build()
        .unwrap()
}

fn airline_adapter(url: &str, secret: &str) -> Airline {
    Airline::new(AirlineConfig {
        base_url: url.parse().unwrap(),
        client_id: "mileverse-gateway".to_owned(),
        client_secret: SecretString::from(secret),
        timeout: Duration::from_millis(TIMEOUT_MS),
        visibility_window: Duration::from_millis(1),
    })
    .unwrap()
}

async fn airline(directory: &Path) -> sandbox::airline::Airline {
    let listen = "127.0.0.1:0".parse().unwrap();
    let place = Place {
        listen,
        data_dir: directory.to_owned(),
        members: None,
    };
    sandbox::airline::Airline::start(place).await.unwrap()
}

#[tokio::test]
async fn the_airline() {
    let directory = tempfile::tempdir().unwrap();
    let partner = airline(directory.path()).await;
    let adapter = airline_adapter(&partner.url(), "sandbox-airline-secret");
    let members = sandbox::airline::sample().unwrap();
    SandboxBench::new(partner.url(), Arc::new(adapter), members)
        .run()
        .await;
    partner.stop().await.unwrap();
}

async fn card(table: &str, mac: sandbox::card::Mac, mac_name: &str, more: &str) {
    let directory = tempfile::tempdir().unwrap();
    let table_path = directory.path().join("table.toml");
    std::fs::write(&table_path, table).unwrap();
    let partner = sandbox::card::Card::start(sandbox::card::CardConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        operator: place(&directory),
        table: Some(table_path),
        mac,
    })
    .await
    .unwrap();
    let members = sandbox::card::sample().unwrap();
    let config = format!(
        "address = \"{}\"\ninstitution = \"{}\"\ntable_file = \"table.toml\"\nmac = \"{mac_name}\"\nmac_key_file = \"mac\"\npin_key_file = \"pin\"\ntimeout_milliseconds = {TIMEOUT_MS}\n{more}",
        partner.address(),
        members.client_id,
    );
    let pin = members.pin_key.clone().unwrap();
    let files = [
        ("card.toml", config.as_str()),
        ("mac", &members.client_secret),
        ("pin", &pin),
    ];
    let adapter = configured(PartnerKind::Card, &directory, &files);
    SandboxBench::new(partner.operator_url(), adapter, members)
        .run()
        .await;
    partner.stop().await.unwrap();
}

#[tokio::test]
async fn the_card_issuer_in_ascii() {
    card(
        sandbox::card::TABLE_ASCII,
        sandbox::card::Mac::Retail,
        "x9.19",
        "",
    )
    .await;
}

#[tokio::test]
async fn the_card_issuer_in_bcd() {
    let more = "debit = \"0100\"\nreversal = \"request\"\nrepeats = 1\nin_flight = 32\n";
    card(
        sandbox::card::TABLE_BCD,
        sandbox::card::Mac::Hmac,
        "hmac-sha-256",
        more,
    )
    .await;
}

async fn telecom(credentials: &str) {
    let directory = tempfile::tempdir().unwrap();
    let partner = sandbox::telecom::Telecom::start(place(&directory))
        .await
        .unwrap();
    let members = sandbox::telecom::sample().unwrap();
    let config = format!(
        "base_url = \"{}\"\n{credentials}\ntimeout_milliseconds = {TIMEOUT_MS}\n",
        partner.url()
    );
    let files = [
        ("telecom.toml", config.as_str()),
        ("telecom.secret", &members.client_secret),
    ];
    let adapter = configured(PartnerKind::Telecom, &directory, &files);
    SandboxBench::new(partner.url(), adapter, members)
        .run()
        .await;
    partner.stop().await.unwrap();
}

#[tokio::test]
async fn the_telecom() {
    telecom("client_id = \"mileverse-gateway\"\nclient_secret_file = \"telecom.secret\"").await;
}

#[tokio::test]
async fn the_shop_by_configuration_alone() {
    let directory = tempfile::tempdir().unwrap();
    let partner = sandbox::shop::Shop::start(place(&directory)).await.unwrap();
    let members = sandbox::shop::sample().unwrap();
    let config = sandbox::shop::TEMPLATE.replace("http://127.0.0.1:9004", &partner.url());
    let config = format!("timeout_milliseconds = {TIMEOUT_MS}\n{config}");
    let files = [
        ("shop.toml", config.as_str()),
        ("shop.key", &members.client_secret),
    ];
    let adapter = configured(PartnerKind::Template, &directory, &files);
    SandboxBench::new(partner.url(), adapter, members)
        .run()
        .await;
    partner.stop().await.unwrap();
}

#[tokio::test]
async fn a_partner_remembers_debits_and_forgets_tokens_when_it_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let first = airline(directory.path()).await;
    let before = airline_adapter(&first.url(), "sandbox-airline-secret");
    let secret = SecretString::from("blue-heron-41");
    let session = before
        .authenticate("minji@sky.example", &secret)
        .await
        .unwrap();
    let reference = Reference::new("kept").unwrap();
    before.debit(&session, &reference, Miles::new(345)).await;
    first.stop().await.unwrap();

    let second = airline(directory.path()).await;
    let adapter = Arc::new(airline_adapter(&second.url(), "sandbox-airline-secret"));
    let bench = SandboxBench::new(second.url(), adapter, sandbox::airline::sample().unwrap());
    let balance = bench.balance_seen_by_operator("SKY-1001").await.unwrap();
    assert_eq!(balance, Miles::new(12_000));
    let inquiry = bench.adapter.inquire(&reference).await;
    assert!(matches!(inquiry, Inquiry::Found(_)), "{inquiry:?}");
    // The member's token was the first one's.
    assert_eq!(
        bench.adapter.balance(&session).await,
        Err(AskError::MemberRefused)
    );
    second.stop().await.unwrap();
}

#[tokio::test]
async fn tokens_end_by_the_partners_clock_and_are_fetched_anew() {
    let directory = tempfile::tempdir().unwrap();
    let partner = airline(directory.path()).await;
    let adapter = Arc::new(airline_adapter(&partner.url(), "sandbox-airline-secret"));
    let bench = SandboxBench::new(partner.url(), adapter, sandbox::airline::sample().unwrap());
    bench.adapter.reachable().await.unwrap();
    bench
        .advance_clock(Duration::from_secs(3600))
        .await
        .unwrap();
    // The gateway's own token has ended too, and nobody notices.
    bench.adapter.reachable().await.unwrap();
    bench.run().await;
    partner.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_client_secret_is_the_gateways_fault() {
    let directory = tempfile::tempdir().unwrap();
    let partner = airline(directory.path()).await;
    let adapter = airline_adapter(&partner.url(), "wrong");
    let outcome = adapter
        .authenticate("minji@sky.example", &SecretString::from("x"))
        .await;
    assert_eq!(outcome.unwrap_err(), AskError::GatewayRefused);
    partner.stop().await.unwrap();
}
