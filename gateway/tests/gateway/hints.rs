//! A partner's hub tells of a burn: the gateway asks about it, and believes the answer only.

use crate::support::{Databases, RECEIVER, Settings, World, until};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use mileverse_adapters::{PartnerConfig, PartnerKind};
use mileverse_fixtures::sandbox;
use mileverse_gateway::config::{AdapterConfig, Retry};
use reqwest::Client;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

crate::on_both! {
    a_hint_brings_the_inquiry_forward_and_is_no_answer,
}

const SECRET: &str = "a-secret-of-the-hub-0123456789abcdef";

/// Stands where the hub reaches the gateway: passes on what comes, and keeps it.
#[derive(Default)]
struct Door {
    gateway: Option<String>,
    heard: Vec<(String, Bytes, u16)>,
}

async fn pass_on(State(door): State<Arc<Mutex<Door>>>, uri: Uri, body: Bytes) -> StatusCode {
    let gateway = door.lock().unwrap().gateway.clone();
    let Some(gateway) = gateway else {
        return StatusCode::SERVICE_UNAVAILABLE;
    };
    let url = format!("{gateway}{}", uri.path());
    let answer = Client::new()
        .post(url)
        .body(body.clone())
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let mut door = door.lock().unwrap();
    door.heard
        .push((uri.path().to_owned(), body, status.as_u16()));
    status
}

async fn a_hint_brings_the_inquiry_forward_and_is_no_answer(on: &Databases) {
    let door = Arc::new(Mutex::new(Door::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let outside = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .fallback(pass_on)
        .with_state(Arc::clone(&door));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    // Nothing is asked twice within an hour, unless somebody gives a hint.
    let mut world = World::with(
        on,
        Settings {
            wait: Duration::from_millis(100),
            retry: Retry {
                first: Duration::from_secs(3_600),
                longest: Duration::from_secs(3_600),
                inquiries: 20,
                absent_reads: 3,
                reversals: 20,
            },
            ..Settings::default()
        },
    )
    .await;
    let folder = world.directory.path().to_owned();
    let telecom = sandbox::telecom::Telecom::start(sandbox::PartnerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: folder.join("telecom"),
        members: None,
    })
    .await
    .unwrap();
    let sample = sandbox::telecom::sample().unwrap();
    std::fs::write(folder.join("telecom.secret"), &sample.client_secret).unwrap();
    std::fs::write(folder.join("hub.secret"), SECRET).unwrap();
    let file = format!(
        "base_url = \"{}\"\nclient_id = \"mileverse-gateway\"\n\
         client_secret_file = \"telecom.secret\"\ntimeout_milliseconds = 1000\n\
         visibility_milliseconds = 3600000\nhub_callback = \"{outside}\"\nhub_secret_file = \"hub.secret\"\n",
        telecom.url()
    );
    std::fs::write(folder.join("telecom.toml"), file).unwrap();
    let config = PartnerConfig::read(PartnerKind::Telecom, &folder.join("telecom.toml")).unwrap();
    world.adapter = Some(AdapterConfig::Partner(config));
    let gateway = world.gateway().await;
    door.lock().unwrap().gateway = Some(gateway.url.clone());

    // Burnt, not answered, and not found twice.
    let member = sample
        .members
        .iter()
        .find(|member| member.id == "TEL-UNSEEN")
        .unwrap();
    let told = until("the hub tells of the burn", async || {
        // The gateway asks the hub while it starts; a burn before that is told to nobody.
        let body = world
            .quoted(&gateway, &member.login, &member.password, "10")
            .await;
        let key = format!("k-{}", uuid::Uuid::now_v7());
        let begun = world
            .post(&gateway, "/v1/conversions", &key, &body)
            .send()
            .await
            .unwrap();
        let begun: Value = begun.json().await.unwrap();
        let id = begun["id"].as_str().unwrap().to_owned();
        world.until(&gateway, &id, &["debit_unknown"]).await;
        let door = door.lock().unwrap();
        let names = |body: &Bytes| String::from_utf8_lossy(body).contains(&id);
        let found = door.heard.iter().find(|(_, body, _)| names(body)).cloned();
        found.map(|heard| (id.clone(), heard)).ok_or(id)
    })
    .await;
    let (id, (path, event, status)) = told;
    assert_eq!(path, format!("/v1/listeners/airline/{SECRET}"));
    assert_eq!(status, 204);

    let tell = async |path: String, body: Vec<u8>| {
        let url = format!("{}{path}", gateway.url);
        let answer = world.client.post(url).body(body).send().await.unwrap();
        answer.status().as_u16()
    };
    let other = SECRET.replace('a', "b");
    let reverse = json!({
        "eventType": "LoyaltyBurnStateChangeEvent",
        "event": { "loyaltyBurn": { "id": id, "status": "cancelled" } },
    });
    for (path, body, expected) in [
        (
            format!("/v1/listeners/airline/{other}"),
            event.to_vec(),
            404,
        ),
        (
            format!("/v1/listeners/nobody/{SECRET}"),
            event.to_vec(),
            404,
        ),
        (path.clone(), b"{}".to_vec(), 400),
        (path.clone(), vec![b' '; 20_000], 413),
        (
            path.clone(),
            br#"{"eventType":"LoyaltyEarnCreateEvent","event":{}}"#.to_vec(),
            204,
        ),
        (
            path.clone(),
            br#"{"eventType":"LoyaltyBurnCreateEvent","event":{"loyaltyBurn":{"id":"conv_none"}}}"#
                .to_vec(),
            204,
        ),
    ] {
        assert_eq!(tell(path.clone(), body).await, expected, "{path}");
    }
    let view = world.get(&gateway, &format!("/v1/conversions/{id}")).await;
    assert_eq!(view["state"], "debit_unknown", "{view}");
    // A lie about the outcome is a hint like any other: what the partner answers counts.
    let standard = format!("{path}/listener/LoyaltyBurnStateChangeEvent");
    let done = until("hints lead to the end", async || {
        assert_eq!(
            tell(standard.clone(), reverse.to_string().into_bytes()).await,
            204
        );
        let view = world.get(&gateway, &format!("/v1/conversions/{id}")).await;
        match view["state"].as_str() {
            Some("completed") => Ok(view),
            _ => Err(view),
        }
    })
    .await;
    assert_eq!(done["receiver"], RECEIVER);
    assert_eq!(done["miles"], "10");

    // Of what never comes, hints use up no more than half of the inquiries.
    let lost = sample
        .members
        .iter()
        .find(|member| member.id == "TEL-LOST")
        .unwrap();
    let body = world
        .quoted(&gateway, &lost.login, &lost.password, "10")
        .await;
    let begun = world
        .post(&gateway, "/v1/conversions", "lost", &body)
        .send()
        .await
        .unwrap();
    let begun: Value = begun.json().await.unwrap();
    let id = begun["id"].as_str().unwrap().to_owned();
    world.until(&gateway, &id, &["debit_unknown"]).await;
    let machine = gateway.machine();
    until("hints are used up", async || {
        machine.hint("airline", &id).await.unwrap();
        let jobs = machine.store.waiting_jobs(100).await.unwrap();
        let job = jobs.into_iter().find(|job| job.name == id);
        match job {
            Some(job) if job.attempts >= 10 => Ok(()),
            job => Err(job),
        }
    })
    .await;
    assert!(!machine.hint("airline", &id).await.unwrap());
    let view = world.get(&gateway, &format!("/v1/conversions/{id}")).await;
    assert_eq!(view["state"], "debit_unknown", "{view}");
    drop(machine);
    gateway.stop().await;
    telecom.stop().await.unwrap();
    serving.abort();
}
