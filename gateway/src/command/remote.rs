//! What an operator asks of a running gateway, over its API, with the operator's own key.

use super::Error;
use crate::keys::digest;
use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(65);

/// Which gateway, and who asks.
#[derive(Args, Clone, Debug)]
pub struct Remote {
    /// Where the gateway listens.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A file with the operator's key.
    #[arg(long)]
    key_file: PathBuf,
    /// JSON instead of a table.
    #[arg(long)]
    pub(super) json: bool,
}

/// What is sent.
pub(super) enum Body {
    /// Nothing.
    None,
    /// JSON.
    Json(Value),
    /// A statement.
    Csv(Vec<u8>),
}

impl Remote {
    /// Asks, and gives the answer's JSON; a problem is an error with its sentence.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Body) -> Result<Value, Error> {
        let key = fs::read_to_string(&self.key_file).map_err(|error| {
            Error::Argument(format!(
                "the key file {} cannot be read: {error}",
                self.key_file.display()
            ))
        })?;
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let unreachable = |error: reqwest::Error| {
            Error::Argument(format!(
                "the gateway at {} cannot be asked ({error}); check --url and that it runs",
                self.url
            ))
        };
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(unreachable)?;
        let request = client.request(method, &url).bearer_auth(key.trim());
        let request = match body {
            Body::None => request,
            Body::Json(value) => request.json(&value),
            Body::Csv(bytes) => request.header("content-type", "text/csv").body(bytes),
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let text = answer.text().await.map_err(unreachable)?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let detail = value.get("detail").and_then(Value::as_str);
        let detail = detail.unwrap_or("it is no gateway's answer").to_owned();
        Err(Error::Argument(match status {
            StatusCode::UNAUTHORIZED => format!("the gateway does not know this key: {detail}"),
            status => format!("the gateway answered {status}: {detail}"),
        }))
    }

    /// Asks for something.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Error> {
        self.ask(Method::GET, path, Body::None).await
    }
}

/// The digest of a key, as the database has it.
pub(super) fn hex_digest(key: &str) -> String {
    crate::keys::hex(&digest(key))
}
