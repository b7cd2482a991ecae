//! One attempt to tell one endpoint, and what follows from it.
//!
//! | answer | what follows |
//! |---|---|
//! | 2xx | delivered |
//! | 410 | the endpoint is disabled: it says that it is gone |
//! | anything else, or none in time | tried again after the next pause, a little later at random; not before `Retry-After` |
//! | after the last pause | failed; it can be sent again by a call |
//! | no success for so long | the endpoint is disabled |

use super::sign::Signer;
use super::target::{self, Guard};
use super::{Kind, News, announce, job_name};
use crate::clock::now_ms;
use crate::secrets::Secrets;
use crate::store::Store;
use crate::store::jobs::{self, Job, Kind as JobKind};
use crate::store::webhooks::{self, Attempt, Delivery, Endpoint};
use crate::webhook::Event;
use mileverse_gateway_api::message::Message;
use mileverse_trace::{SpanKind, Spec, Tracer, note};
use rand::Rng;
use reqwest::{Client, StatusCode, header, redirect};
use serde_json::json;
use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Attempts at once to one endpoint.
const AT_ONCE: usize = 4;
/// Whoever comes when there are as many looks again after this.
const CROWDED: Duration = Duration::from_millis(250);
/// A `Retry-After` is heeded up to here.
const LONGEST_WISH: Duration = Duration::from_secs(60 * 60);
/// An error is noted up to here.
const MAX_ERROR_CHARS: usize = 200;

/// How webhooks are sent.
#[derive(Clone, Debug)]
pub struct Rules {
    /// For one attempt.
    pub timeout: Duration,
    /// Between attempts.
    pub pauses: Vec<Duration>,
    /// An endpoint without success for so long is disabled.
    pub patience: Duration,
    /// Whether private networks, and HTTP without TLS, may be sent to.
    pub private: bool,
}

impl Default for Rules {
    /// As Standard Webhooks proposes: about three days in all.
    fn default() -> Self {
        let minutes = [5, 30, 120, 300, 600, 840, 1200, 1440];
        let pauses = minutes.map(|minutes| Duration::from_secs(minutes * 60));
        Self {
            timeout: Duration::from_secs(15),
            pauses: [vec![Duration::from_secs(5)], pauses.to_vec()].concat(),
            patience: Duration::from_secs(5 * 24 * 60 * 60),
            private: false,
        }
    }
}

/// Sends webhooks.
#[derive(Debug)]
pub struct Sender {
    client: Client,
    /// Makes the secrets.
    pub signer: Signer,
    /// How.
    pub rules: Rules,
    busy: Mutex<HashMap<String, usize>>,
}

/// A place among the attempts at once to one endpoint.
struct Place<'a>(&'a Sender, &'a str);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut busy = self.0.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(many) = busy.get_mut(self.1) {
            *many = many.saturating_sub(1);
            if *many == 0 {
                busy.remove(self.1);
            }
        }
    }
}

/// What came back.
struct Answer {
    status: Option<StatusCode>,
    error: Option<String>,
    retry_after: Duration,
}

impl Sender {
    /// Sets it up; nothing is sent yet.
    pub fn new(rules: Rules, secrets: &Secrets) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent("MileVerse-Webhooks/1")
            .timeout(rules.timeout)
            .connect_timeout(rules.timeout)
            .redirect(redirect::Policy::none())
            // A proxy would resolve names itself, past the guard.
            .no_proxy();
        let client = match rules.private {
            true => client,
            false => client.dns_resolver(Guard).https_only(true),
        };
        Ok(Self {
            client: client.build()?,
            signer: Signer::new(secrets),
            rules,
            busy: Mutex::default(),
        })
    }

    fn place<'a>(&'a self, endpoint: &'a str) -> Option<Place<'a>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let many = busy.entry(endpoint.to_owned()).or_default();
        if *many >= AT_ONCE {
            return None;
        }
        *many = many.saturating_add(1);
        Some(Place(self, endpoint))
    }

    /// Does a job: one attempt. Whether the endpoint took it, if it was made.
    pub async fn work(
        &self,
        store: &Store,
        tracer: &Tracer,
        run: &str,
        job: &Job,
    ) -> Result<Option<bool>, sqlx::Error> {
        let found = match job.name.split_once(':') {
            Some((event, endpoint)) => store.delivery(event, endpoint).await?,
            None => None,
        };
        let Some((delivery, event, endpoint)) =
            found.filter(|(delivery, ..)| delivery.state == "pending")
        else {
            return forget(store, &job.name).await.map(|()| None);
        };
        if endpoint.status != "enabled" {
            let attempt = Attempt {
                state: "failed",
                status: None,
                error: Some("the endpoint is disabled"),
                at: store.now(),
            };
            let mut write = store.write().await?;
            webhooks::note_attempt(&mut write, &delivery, &attempt).await?;
            jobs::done(&mut write, JobKind::Webhook, &job.name).await?;
            return write.commit().await.map(|()| None);
        }
        let Some(_place) = self.place(&endpoint.id) else {
            let due = later(store.now(), CROWDED);
            let kind = JobKind::Webhook;
            let back = store.put_job_back(kind, &job.name, run, due, None).await;
            return back.map(|()| None);
        };
        let answer = match tracer.is_on() {
            true => {
                let parent = store.trace_of(&event.id).await;
                let spec = || {
                    Spec::new("POST", SpanKind::Client)
                        .with("http.request.method", "POST")
                        .with("mileverse.event.id", event.id.clone())
                        .with("mileverse.event.type", event.kind.clone())
                        .with("mileverse.webhook.id", endpoint.id.clone())
                };
                let send = self.send(&event, &endpoint);
                tracer.tree(parent.as_ref(), spec, send).await
            }
            false => self.send(&event, &endpoint).await,
        };
        self.note(store, run, &delivery, &endpoint, &answer).await?;
        Ok(Some(answer.error.is_none()))
    }

    async fn send(&self, event: &Event, endpoint: &Endpoint) -> Answer {
        let failed = |why: String| Answer {
            status: None,
            error: Some(why.chars().take(MAX_ERROR_CHARS).collect()),
            retry_after: Duration::ZERO,
        };
        // Again: the rules may have been made stricter since the URL was given.
        let url = match target::parse(&endpoint.url, self.rules.private) {
            Ok(url) => url,
            Err(why) => return failed(format!("the URL cannot be used: {why}")),
        };
        // Receivers compare it with their own clocks, and secrets end by ours.
        let now = now_ms();
        let message = Message {
            id: &event.id,
            seconds: now.div_euclid(1000),
            body: event.body.as_bytes(),
        };
        let signatures: Vec<_> = endpoint
            .secret_versions(now)
            .into_iter()
            .map(|version| self.signer.sign(&endpoint.id, version, &message))
            .collect();
        let mut request = self.client.post(url);
        if let Some(parent) = mileverse_trace::here() {
            request = request.header(mileverse_trace::HEADER, parent);
        }
        let sent = request
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.seconds)
            .header("webhook-signature", signatures.join(" "))
            .body(event.body.clone())
            .send()
            .await;
        match sent {
            Ok(answer) => {
                let status = answer.status();
                note("http.response.status_code", i64::from(status.as_u16()));
                if !status.is_success() {
                    mileverse_trace::failed(status.as_str().to_owned());
                }
                let wish = answer
                    .headers()
                    .get(header::RETRY_AFTER)
                    .and_then(|value| value.to_str().ok()?.parse().ok())
                    .map_or(Duration::ZERO, Duration::from_secs);
                Answer {
                    error: (!status.is_success()).then(|| format!("it answered {status}")),
                    status: Some(status),
                    retry_after: wish.min(LONGEST_WISH),
                }
            }
            Err(error) => {
                // The URL may hold a secret of the partner's: the reason is noted without it.
                let error = error.without_url();
                mileverse_trace::failed(if error.is_timeout() {
                    "timeout"
                } else {
                    "no_answer"
                });
                let mut why = error.to_string();
                let mut source = error.source();
                while let Some(inner) = source {
                    why = format!("{why}: {inner}");
                    source = inner.source();
                }
                failed(why)
            }
        }
    }

    async fn note(
        &self,
        store: &Store,
        run: &str,
        delivery: &Delivery,
        endpoint: &Endpoint,
        answer: &Answer,
    ) -> Result<(), sqlx::Error> {
        let now = store.now();
        let name = job_name(&delivery.event_id, &delivery.endpoint_id);
        let mut write = store.write().await?;
        let mut attempt = Attempt {
            state: "delivered",
            status: answer.status.map(|status| i64::from(status.as_u16())),
            error: answer.error.as_deref(),
            at: now,
        };
        if answer.error.is_none() {
            if webhooks::note_attempt(&mut write, delivery, &attempt).await? {
                webhooks::note_health(&mut write, &endpoint.id, None).await?;
                jobs::done(&mut write, JobKind::Webhook, &name).await?;
            }
            return write.commit().await;
        }
        let gone = answer.status == Some(StatusCode::GONE);
        let failing = now.saturating_sub(endpoint.failing_since.unwrap_or(now));
        let patience = i64::try_from(self.rules.patience.as_millis()).unwrap_or(i64::MAX);
        let given_up = gone || failing >= patience;
        let at = usize::try_from(delivery.attempts).unwrap_or(usize::MAX);
        let pause = self.rules.pauses.get(at).filter(|_| !given_up);
        attempt.state = if pause.is_some() { "pending" } else { "failed" };
        if !webhooks::note_attempt(&mut write, delivery, &attempt).await? {
            return Ok(());
        }
        webhooks::note_health(&mut write, &endpoint.id, Some(now)).await?;
        match pause {
            Some(pause) => {
                let due = later(now, (*pause).max(answer.retry_after));
                let error = answer.error.as_deref();
                jobs::put_back(&mut write, JobKind::Webhook, &name, run, due, error).await?;
            }
            None => jobs::done(&mut write, JobKind::Webhook, &name).await?,
        }
        if given_up {
            let because = match gone {
                true => "it answered 410: it is gone",
                false => "no attempt succeeded for too long",
            };
            if webhooks::disable(&mut write, &endpoint.id, because).await? {
                tracing::warn!(
                    id = endpoint.id,
                    partner = endpoint.partner,
                    because,
                    "a webhook endpoint is disabled"
                );
                let data = json!({ "id": endpoint.id, "reason": because });
                let (partner, id) = (&endpoint.partner, &endpoint.id);
                let news = News::here(partner, Kind::WebhookDisabled, id, data);
                announce(&mut write, vec![news], now).await?;
            }
        }
        write.commit().await
    }
}

/// After a pause and up to an eighth of it, so that not all come back at once.
fn later(now: i64, pause: Duration) -> i64 {
    let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    let pause = pause.saturating_add(rand::rng().random_range(0..=pause / 8));
    now.saturating_add(i64::try_from(pause).unwrap_or(i64::MAX))
}

async fn forget(store: &Store, name: &str) -> Result<(), sqlx::Error> {
    let mut write = store.write().await?;
    jobs::done(&mut write, JobKind::Webhook, name).await?;
    write.commit().await
}
