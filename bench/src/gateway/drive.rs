//! Clients: each quotes and converts, one after another, until time is up.

use super::system::System;
use crate::error::Error;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const RECEIVER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Idempotency keys of all runs of this process are unlike each other.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Milliseconds of each quote.
    pub quotes: Vec<f64>,
    /// Milliseconds of each conversion, until its points exist.
    pub conversions: Vec<f64>,
    /// How long it took in all.
    pub elapsed: Duration,
}

fn failed(why: impl std::fmt::Display) -> Error {
    Error::Setup(format!("a client of the gateway: {why}"))
}

async fn post(client: &Client, url: &str, key: &str, body: &Value) -> Result<(Value, f64), Error> {
    let began = Instant::now();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let answer = client
        .post(url)
        .bearer_auth(key)
        .header("idempotency-key", format!("bench-{number}"))
        .json(body)
        .send()
        .await
        .map_err(failed)?;
    let status = answer.status();
    let body = answer.json().await.map_err(failed)?;
    if status != StatusCode::CREATED {
        return Err(failed(format!("{url} answered {status}: {body}")));
    }
    Ok((body, began.elapsed().as_secs_f64() * 1000.0))
}

async fn client(number: u64, url: String, key: String, until: Instant) -> Result<Seen, Error> {
    let http = Client::builder()
        .timeout(PATIENCE)
        .build()
        .map_err(failed)?;
    let member = json!({ "login": format!("member-{number}"), "password": "password" });
    let (quotes, conversions) = (format!("{url}/v1/quotes"), format!("{url}/v1/conversions"));
    let mut seen = Seen::default();
    while Instant::now() < until {
        let body = json!({ "programme": "stub", "member": member, "miles": "10" });
        let (quote, took) = post(&http, &quotes, &key, &body).await?;
        seen.quotes.push(took);
        let body = json!({ "quote_id": quote.get("id"), "member": member, "receiver": RECEIVER });
        let (_, took) = post(&http, &conversions, &key, &body).await?;
        seen.conversions.push(took);
    }
    Ok(seen)
}

/// Lets so many clients work for a while, spread over the gateways.
pub async fn drive(system: &System, clients: u64, time: Duration) -> Result<Seen, Error> {
    let began = Instant::now();
    let until = began + time;
    let mut working = JoinSet::new();
    for (number, url) in (0..clients).zip(system.urls.iter().cycle()) {
        working.spawn(client(number, url.clone(), system.key.clone(), until));
    }
    let mut all = Seen::default();
    while let Some(done) = working.join_next().await {
        let seen = done.map_err(failed)??;
        all.quotes.extend(seen.quotes);
        all.conversions.extend(seen.conversions);
    }
    all.elapsed = began.elapsed();
    Ok(all)
}
