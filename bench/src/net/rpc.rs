//! A client of one validator's JSON-RPC.

use crate::error::Error;
use alloy::{
    primitives::{B256, U64, U256},
    rpc::types::TransactionReceipt,
    sol_types::SolCall,
};
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

/// One answer of many.
#[derive(Deserialize)]
struct Numbered<T> {
    id: usize,
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

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
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
        let nonce: U64 = self
            .ask("eth_getTransactionCount", json!([account, "latest"]))
            .await?;
        Ok(nonce.to())
    }

    /// Its newest block.
    pub async fn height(&self) -> Result<u64, Error> {
        let height: U64 = self.ask("eth_blockNumber", json!([])).await?;
        Ok(height.to())
    }

    /// The transactions of a block.
    pub async fn transactions(&self, height: u64) -> Result<Vec<B256>, Error> {
        #[derive(Deserialize)]
        struct Block {
            transactions: Vec<B256>,
        }
        let number = U64::from(height);
        let block: Block = self
            .ask("eth_getBlockByNumber", json!([number, false]))
            .await?;
        Ok(block.transactions)
    }

    /// The receipts of a block.
    pub async fn receipts(&self, height: u64) -> Result<Vec<TransactionReceipt>, Error> {
        self.ask("eth_getBlockReceipts", json!([U64::from(height)]))
            .await
    }

    /// What a view of a contract answers.
    pub async fn view<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, Error> {
        let data = Bytes::from(call.abi_encode());
        let answer: Bytes = self
            .ask("eth_call", json!([{ "to": to, "data": data }, "latest"]))
            .await?;
        C::abi_decode_returns(&answer).map_err(|error| Error::Rpc {
            url: self.url.clone(),
            method: "eth_call",
            reason: error.to_string(),
        })
    }

    /// What accounts hold of the coin, at most a thousand of them.
    pub async fn balances(&self, accounts: &[Address]) -> Result<Vec<U256>, Error> {
        const METHOD: &str = "eth_getBalance";
        let answers: Vec<Numbered<U256>> = self
            .many(
                METHOD,
                accounts.iter().map(|account| json!([account, "latest"])),
            )
            .await?;
        let mut found = vec![None; accounts.len()];
        for answer in answers {
            if let Some(found) = found.get_mut(answer.id) {
                *found = answer.result;
            }
        }
        found
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Error::Rpc {
                url: self.url.clone(),
                method: METHOD,
                reason: "a balance is missing".into(),
            })
    }

    /// Many calls of one method in one request.
    async fn many<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Iterator<Item = Value>,
    ) -> Result<Vec<Numbered<T>>, Error> {
        let calls: Vec<Value> = params
            .enumerate()
            .map(|(id, params)| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .collect();
        let answers = async {
            let response = self.client.post(&self.url).json(&calls).send().await?;
            response.json().await
        };
        answers.await.map_err(|error: reqwest::Error| Error::Rpc {
            url: self.url.clone(),
            method,
            reason: error.to_string(),
        })
    }

    /// Hands in transactions in one request; for each, why it was refused if it was.
    pub async fn submit_many(
        &self,
        raw: impl Iterator<Item = &Bytes>,
    ) -> Result<Vec<Result<(), String>>, Error> {
        let calls: Vec<Value> = raw.map(|raw| json!([raw])).collect();
        let mut taken = vec![Err("no answer".to_owned()); calls.len()];
        let answers: Vec<Numbered<B256>> = self
            .many("eth_sendRawTransaction", calls.into_iter())
            .await?;
        for answer in answers {
            if let Some(taken) = taken.get_mut(answer.id) {
                *taken = answer.error.map_or(Ok(()), |error| {
                    let message = error.get("message").and_then(Value::as_str);
                    Err(message.unwrap_or("an error").to_owned())
                });
            }
        }
        Ok(taken)
    }

    /// Hands in a transaction.
    pub async fn submit(&self, raw: &Bytes) -> Result<(), Error> {
        let _: Value = self.ask("eth_sendRawTransaction", json!([raw])).await?;
        Ok(())
    }
}
