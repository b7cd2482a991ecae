//! One request and one bounded answer.

use super::pause;
use crate::Unknown;
use mileverse_trace::{SpanKind, Spec, failed, note, span};
use reqwest::header::HeaderMap;
use reqwest::{Client, Request, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use std::time::{Duration, SystemTime};

/// Largest answer that is read, in bytes. Answers are a few hundred.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Status and body of an answer that arrived whole.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The pause that the partner asks for.
    pub pause: Option<Duration>,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Sends a request and reads its answer, at most [`MAX_ANSWER_BYTES`] of it.
pub async fn send(request: RequestBuilder) -> Result<Answer, Unknown> {
    let (client, request) = request.build_split();
    let request = request.map_err(|error| Unknown(describe(&error).to_owned()))?;
    // Neither path nor query: they hold members' numbers.
    let (method, url) = (request.method().to_string(), request.url());
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port_or_known_default().map_or(0, i64::from);
    let spec = || {
        Spec::new(method.clone(), SpanKind::Client)
            .with("http.request.method", method)
            .with("server.address", host)
            .with("server.port", port)
    };
    span(spec, exchange(client, request)).await
}

async fn exchange(client: Client, mut request: Request) -> Result<Answer, Unknown> {
    if let Some(parent) = mileverse_trace::here().and_then(|here| here.parse().ok()) {
        request
            .headers_mut()
            .insert(mileverse_trace::HEADER, parent);
    }
    let unknown = |error: reqwest::Error| {
        let why = describe(&error);
        failed(why);
        Unknown(why.to_owned())
    };
    let mut response = client.execute(request).await.map_err(unknown)?;
    let status = response.status();
    note("http.response.status_code", i64::from(status.as_u16()));
    if status.is_client_error() || status.is_server_error() {
        failed(status.as_str().to_owned());
    }
    let headers = std::mem::take(response.headers_mut());
    let pause = pause::asked(status, &headers, SystemTime::now());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unknown)? {
        if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
            return Err(Unknown(format!(
                "the answer is longer than {MAX_ANSWER_BYTES} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status,
        pause,
        headers,
        body,
    })
}

impl Answer {
    /// The body as JSON of a known shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Unknown> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Unknown(format!(
                "status {} with a body that makes no sense: {error}",
                self.status
            ))
        })
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The answer as something unknown, by its status only.
    pub fn unknown(&self) -> Unknown {
        Unknown(format!("unexpected status {}", self.status))
    }
}

/// What went wrong, without the URL and so without anything a URL might hold.
fn describe(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "the partner cannot be reached"
    } else {
        "the connection broke"
    }
}
