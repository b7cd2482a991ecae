//! The journey's view of the gateway and of the airline: what a partner's application sends, and
//! what the airline's operator sees.

use super::error::Error;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// Longest wait for one answer: above the gateway's own wait for a conversion.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer.
const MAX_BYTES: usize = 1024 * 1024;

/// The gateway, called with a key.
#[derive(Clone, Debug)]
pub struct Gateway {
    http: reqwest::Client,
    url: Url,
    key: String,
}

/// The airline's operator view.
#[derive(Clone, Debug)]
pub struct Airline {
    http: reqwest::Client,
    url: Url,
}

/// An answer, byte for byte.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Whether the gateway says that this is an earlier answer.
    pub replayed: bool,
    /// The body.
    pub body: String,
}

/// One member at the airline.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Account {
    /// Miles left.
    pub miles: u64,
    /// Debits ever made.
    pub debits: Vec<Value>,
}

/// All of the airline.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub struct AirlineTotals {
    /// Miles taken and not given back.
    pub miles_taken: u64,
}

impl Answer {
    /// Reads the body, or says what the gateway refused.
    pub fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T, Error> {
        if !(200..300).contains(&self.status) {
            let problem: Value = serde_json::from_str(&self.body).unwrap_or_default();
            let words = problem
                .get("detail")
                .or_else(|| problem.get("title"))
                .and_then(Value::as_str)
                .unwrap_or("no reason given");
            return Err(Error::refused(what, format!("{} ({words})", self.status)));
        }
        serde_json::from_str(&self.body).map_err(|error| Error::refused(what, error))
    }
}

impl Gateway {
    /// A client for the gateway at `url`.
    pub fn new(url: Url, key: String) -> Result<Self, Error> {
        Ok(Self {
            http: http()?,
            url,
            key,
        })
    }

    /// Sends a mutation under an idempotency key.
    pub async fn post(&self, path: &str, idempotency: &str, body: &Value) -> Result<Answer, Error> {
        let request = self
            .request(Method::POST, path)?
            .header("idempotency-key", idempotency)
            .json(body);
        answer(request, path).await
    }

    /// Looks something up.
    pub async fn get(&self, path: &str) -> Result<Answer, Error> {
        answer(self.request(Method::GET, path)?, path).await
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Error> {
        let url = join(&self.url, path)?;
        Ok(self.http.request(method, url).bearer_auth(&self.key))
    }
}

impl Airline {
    /// A client for the airline at `url`.
    pub fn new(url: Url) -> Result<Self, Error> {
        Ok(Self { http: http()?, url })
    }

    /// A member's account.
    pub async fn account(&self, member: &str) -> Result<Account, Error> {
        self.get(&format!("/sandbox/members/{member}")).await
    }

    /// The airline's own totals.
    pub async fn totals(&self) -> Result<AirlineTotals, Error> {
        self.get("/sandbox/totals").await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let url = join(&self.url, path)?;
        answer(self.http.get(url), path).await?.json(path)
    }
}

fn http() -> Result<reqwest::Client, Error> {
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .no_proxy()
        .build()
        .map_err(|error| Error::refused("an HTTP client", error))
}

fn join(url: &Url, path: &str) -> Result<Url, Error> {
    url.join(path).map_err(|error| Error::refused(path, error))
}

async fn answer(request: RequestBuilder, what: &str) -> Result<Answer, Error> {
    let failed = |error| Error::refused(format!("asking for {what}"), error);
    let mut response = request.send().await.map_err(failed)?;
    let status: StatusCode = response.status();
    let replayed = response
        .headers()
        .get("idempotency-replayed")
        .is_some_and(|value| value == "true");
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if bytes.len().saturating_add(chunk.len()) > MAX_BYTES {
            return Err(Error::refused(what, "the answer is larger than 1 MiB"));
        }
        bytes.extend_from_slice(&chunk);
    }
    let body =
        String::from_utf8(bytes).map_err(|_| Error::refused(what, "the answer is not text"))?;
    Ok(Answer {
        status: status.as_u16(),
        replayed,
        body,
    })
}
