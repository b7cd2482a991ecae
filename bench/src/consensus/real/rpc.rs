//! A client of one validator's JSON-RPC.

use crate::error::Error;
use mileverse_primitives::{Address, Bytes, rpc::Status};
use reqwest::Client;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);

/// One validator's JSON-RPC.
#[derive(Clone, Debug)]
pub struct Rpc {
    url: String,
    client: Client,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: Option<T>,
    error: Option<Value>,
}

impl Rpc {
    /// A client for `url`.
    pub fn new(url: String) -> Result<Self, Error> {
        let client = Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .build()
            .map_err(|error| Error::Setup(error.to_string()))?;
        Ok(Self { url, client })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, Error> {
        let failed = |reason: String| Error::Rpc {
            url: self.url.clone(),
            method,
            reason,
        };
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer: Answer<T> = async {
            let response = self.client.post(&self.url).json(&body).send().await?;
            response.json().await
        }
        .await
        .map_err(|error| failed(error.to_string()))?;
        match (answer.result, answer.error) {
            (Some(result), None) => Ok(result),
            (_, Some(error)) => {
                let message = error.get("message").and_then(Value::as_str);
                Err(failed(message.unwrap_or("an error").to_owned()))
            }
            (None, None) => Err(failed("neither a result nor an error".into())),
        }
    }

    /// Where the validator is.
    pub async fn status(&self) -> Result<Status, Error> {
        self.ask("mileverse_status", json!([])).await
    }

    /// An account's next nonce.
    pub async fn nonce(&self, account: Address) -> Result<u64, Error> {
        let nonce: alloy::primitives::U64 = self
            .ask("eth_getTransactionCount", json!([account, "latest"]))
            .await?;
        Ok(nonce.to())
    }

    /// Hands in a transaction.
    pub async fn submit(&self, raw: &Bytes) -> Result<(), Error> {
        let _: Value = self.ask("eth_sendRawTransaction", json!([raw])).await?;
        Ok(())
    }
}
