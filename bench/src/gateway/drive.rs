//! Clients: each quotes and converts, one after another, until time is up.
//!
//! With a rate, each conversion has a moment at which it is due, whatever became of those before,
//! and its time counts from that moment: a gateway that falls behind cannot hide it by being asked
//! less. Without one, each client asks as soon as it was answered.

use super::system::System;
use crate::error::Error;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

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

/// When one client's conversions are due.
#[derive(Clone, Copy, Debug)]
struct Pace {
    first: Instant,
    every: Duration,
}

async fn client(
    number: u64,
    url: String,
    key: String,
    pace: Option<Pace>,
    until: Instant,
) -> Result<Seen, Error> {
    let http = Client::builder()
        .timeout(PATIENCE)
        .build()
        .map_err(failed)?;
    let member = json!({ "login": format!("member-{number}"), "password": "password" });
    let (quotes, conversions) = (format!("{url}/v1/quotes"), format!("{url}/v1/conversions"));
    let mut seen = Seen::default();
    let mut turn = 0u32;
    while Instant::now() < until {
        let body = json!({ "programme": "stub", "member": member, "miles": "10" });
        let (quote, took) = post(&http, &quotes, &key, &body).await?;
        seen.quotes.push(took);
        let body = json!({ "quote_id": quote.get("id"), "member": member, "receiver": RECEIVER });
        let Some(pace) = pace else {
            let (_, took) = post(&http, &conversions, &key, &body).await?;
            seen.conversions.push(took);
            continue;
        };
        let due = pace.first + pace.every.saturating_mul(turn);
        turn = turn.saturating_add(1);
        if due >= until {
            break;
        }
        sleep_until(due.into()).await;
        post(&http, &conversions, &key, &body).await?;
        seen.conversions.push(due.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(seen)
}

/// Lets so many clients work for a while, spread over the gateways; at so many conversions a second
/// in all, if it is said how many.
pub async fn drive(
    system: &System,
    clients: u64,
    rate: Option<u64>,
    time: Duration,
) -> Result<Seen, Error> {
    let began = Instant::now();
    let until = began + time;
    let mut working = JoinSet::new();
    for (number, url) in (0..clients).zip(system.urls.iter().cycle()) {
        // Evenly spread, and each client a little after the one before.
        let pace = rate.map(|rate| {
            let apart = Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX).max(1);
            let share = |many: u64| apart.saturating_mul(u32::try_from(many).unwrap_or(u32::MAX));
            Pace {
                first: began + share(number),
                every: share(clients),
            }
        });
        let (url, key) = (url.clone(), system.key.clone());
        working.spawn(client(number, url, key, pace, until));
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
