//! One request and one bounded answer.

use super::pause;
use crate::Unknown;
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
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
    let mut response = request
        .send()
        .await
        .map_err(|error| Unknown(describe(&error)))?;
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let pause = pause::asked(status, &headers, SystemTime::now());
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Unknown(describe(&error)))?
    {
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
fn describe(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "the partner cannot be reached"
    } else {
        "the connection broke"
    };
    what.to_owned()
}
