//! Sending, and sending again.

use crate::call::{Answer, Call, Repeat};
use crate::error::{Error, Problem};
use crate::setup::Client;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use mileverse_gateway_api::problem::{Kind, MEDIA_TYPE, ProblemBody};
use rand::Rng;
use serde::de::DeserializeOwned;
use std::time::{Duration, SystemTime};
use tokio::time::{self, Instant};
use url::Url;
use uuid::Uuid;

/// Largest answer that is read.
pub const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// How often and how long to try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// Attempts at most; 1 is never again.
    pub attempts: u32,
    /// The first pause is at most so long; each further one at most twice the one before.
    pub first: Duration,
    /// No pause of our own is longer.
    pub longest: Duration,
    /// No attempt begins later than this after the first. A `Retry-After` that goes beyond it is not
    /// waited for: the error says how long it is.
    pub patience: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_millis(250),
            longest: Duration::from_secs(8),
            patience: Duration::from_secs(120),
        }
    }
}

impl Retry {
    /// Never again.
    pub const NEVER: Self = Self {
        attempts: 1,
        first: Duration::ZERO,
        longest: Duration::ZERO,
        patience: Duration::ZERO,
    };

    /// The longest pause after so many attempts.
    fn pause(&self, attempts: u32) -> Duration {
        let factor = 2u32.saturating_pow(attempts.saturating_sub(1));
        self.first.saturating_mul(factor).min(self.longest)
    }
}

/// Somewhere between half a pause and all of it, so that not all come back at once.
fn jittered(pause: Duration) -> Duration {
    let most = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rand::rng().random_range(most / 2..=most))
}

/// Whether to send a call again after this.
fn again(call: &Call<'_>, error: &Error) -> bool {
    let safe = call.repeat == Repeat::Safe;
    match error {
        Error::NoAnswer(error) => error.is_connect() || safe,
        Error::NotUnderstood { status, .. } => safe && passing(*status),
        Error::Problem(problem) => match problem.kind {
            // Refused before anything was done.
            Some(Kind::RateLimited) => true,
            Some(Kind::KeyRunning) => safe,
            // These do not pass in seconds.
            Some(Kind::TopUpsOff | Kind::PriceUnknown) => false,
            _ => safe && passing(problem.body.status),
        },
        Error::Unsettled { .. } | Error::Signature(_) | Error::Setup(_) => false,
    }
}

/// Whether an answer says what became of all attempts, and not of the last one alone: that one may
/// have been turned away at the door while an earlier one is still at work.
fn decides(error: &Error) -> bool {
    let at_the_door = |status: u16| matches!(status, 401 | 403 | 408 | 429 | 500..);
    match error {
        Error::Problem(problem) => !error.may_have_happened() && !at_the_door(problem.body.status),
        _ => false,
    }
}

/// Statuses that pass by themselves.
const fn passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

const fn wish(error: &Error) -> Option<Duration> {
    match error {
        Error::Problem(problem) => problem.retry_after,
        _ => None,
    }
}

impl Client {
    /// Sends a call, again if that is safe, and gives the answer byte for byte. Problems are errors.
    pub async fn send(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let retry = self.0.retry;
        let until = Instant::now() + retry.patience;
        let mut attempts = 1u32;
        // An attempt of which nobody knows what became.
        let mut unknown = None;
        loop {
            let error = match self.attempt(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wish = wish(&error).unwrap_or_default();
            let pause = jittered(retry.pause(attempts)).max(wish);
            let over = attempts >= retry.attempts || Instant::now() + pause > until;
            if over || !again(call, &error) {
                return Err(unknown.filter(|_| !decides(&error)).unwrap_or(error));
            }
            if error.may_have_happened() {
                unknown = Some(error);
            }
            time::sleep(pause).await;
            attempts = attempts.saturating_add(1);
        }
    }

    pub(crate) async fn ask<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Error> {
        self.send(&call).await?.json()
    }

    fn url(&self, call: &Call<'_>) -> Result<Url, Error> {
        let mut url = self.0.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::Setup("the gateway's URL cannot have a path".to_owned()))?
            .pop_if_empty()
            .extend(&call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        Ok(url)
    }

    /// Once.
    async fn attempt(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let unfit = |error: http::Error| Error::Setup(format!("the request is none: {error}"));
        let mut request = http::Request::builder()
            .method(call.method.clone())
            .uri(self.url(call)?.as_str())
            .header(header::AUTHORIZATION, self.0.authorization.clone())
            .header(header::ACCEPT, HeaderValue::from_static("application/json"));
        if !call.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = call.key {
            request = request.header("idempotency-key", key.as_str());
        }
        let (mut parts, body) = request.body(call.body.clone()).map_err(unfit)?.into_parts();
        if let Some(key) = &self.0.signing_key {
            let nonce = Uuid::now_v7().to_string();
            key.sign(&mut parts, &body, now_ms(), &nonce)?;
        }
        let lost = |error: reqwest::Error| Error::NoAnswer(error.without_url());
        let request = http::Request::from_parts(parts, body);
        let request = reqwest::Request::try_from(request).map_err(lost)?;
        let mut response = self.0.http.execute(request).await.map_err(lost)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                return Err(Error::NotUnderstood {
                    status: status.as_u16(),
                    why: format!("it is larger than {MAX_ANSWER_BYTES} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        let headers = response.headers();
        if status.is_success() {
            return Ok(Answer {
                status: status.as_u16(),
                replayed: text(headers, "idempotency-replayed") == Some("true"),
                body,
            });
        }
        Err(refused(status, headers, &body))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let is_problem =
        text(headers, "content-type").is_some_and(|media_type| media_type.starts_with(MEDIA_TYPE));
    let body: Option<ProblemBody> = serde_json::from_slice(body).ok();
    match body.filter(|_| is_problem) {
        Some(body) => Error::Problem(Box::new(Problem {
            kind: Kind::of_urn(&body.kind),
            retry_after: text(headers, "retry-after")
                .and_then(|seconds| seconds.trim().parse().ok())
                .map(Duration::from_secs),
            body,
        })),
        None => Error::NotUnderstood {
            status: status.as_u16(),
            why: "it is not a problem of RFC 9457".to_owned(),
        },
    }
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}
