//! The native chain over its public JSON-RPC: read what is final, broadcast what is signed.
//!
//! The chain is final at one confirmation, so `latest` is final. Nothing here retries: every
//! failure is one answer that is missing, and the worker comes again.

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{Provider, ProviderBuilder, RootProvider};
use alloy::sol_types::{SolCall, SolEvent};
use alloy::transports::{RpcError, TransportErrorKind};
use mileverse_primitives::abi::IPoints;
use mileverse_primitives::address::POINTS;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use thiserror::Error;
use tokio::time;
use url::Url;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// An error message from the node is quoted up to here.
const MAX_MESSAGE: usize = 200;

/// Why the chain gave no answer.
#[derive(Debug, Error)]
pub enum ChainError {
    /// Set-up.
    #[error("the HTTP client for the chain cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
    /// No answer in time.
    #[error("the chain did not answer {0} in time")]
    Timeout(&'static str),
    /// The node answered an error.
    #[error("the chain answered {method} with an error: {message}")]
    Refused {
        /// Method.
        method: &'static str,
        /// What the node said.
        message: String,
    },
    /// The call failed on its way, or the answer is not one.
    #[error("the call {method} to the chain failed: {message}")]
    Transport {
        /// Method.
        method: &'static str,
        /// What happened.
        message: String,
    },
    /// The answer is not what the method promises.
    #[error("the chain's answer to {0} makes no sense")]
    Nonsense(&'static str),
}

/// What names a chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Chain id.
    pub chain_id: u64,
    /// Hash of its genesis.
    pub genesis: String,
}

/// A transaction that is in a final block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// Whether it did what it says.
    pub succeeded: bool,
    /// Its block.
    pub block: u64,
    /// What it says of each name that it was to issue for.
    entries: HashMap<B256, Entry>,
    /// Points that it moved from one account to another, in its order.
    moved: Vec<Moved>,
}

/// Points that went from one account to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Moved {
    from: Address,
    to: Address,
    amount: U256,
}

/// What a receipt says of one name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entry {
    /// This transaction issued so many micro-points.
    Issued(U256),
    /// An earlier one had.
    IssuedBefore,
    /// This entry of a batch was left out, and nothing was issued.
    LeftOut,
}

impl Receipt {
    /// What it says of a name; `None` if nothing.
    pub fn entry(&self, name: B256) -> Option<Entry> {
        self.entries.get(&name).copied()
    }

    /// Micro-points that it took from an account, fees included.
    pub fn taken_from(&self, account: Address) -> U256 {
        self.sum(|moved| moved.from == account)
    }

    /// Micro-points that it moved from one account to another.
    pub fn moved(&self, from: Address, to: Address) -> U256 {
        self.sum(|moved| moved.from == from && moved.to == to)
    }

    fn sum(&self, which: impl Fn(&Moved) -> bool) -> U256 {
        let amounts = self.moved.iter().filter(|moved| which(moved));
        amounts.fold(U256::ZERO, |sum, moved| sum.saturating_add(moved.amount))
    }
}

/// Points that were issued.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Issue {
    /// Under this name.
    pub name: B256,
    /// By this transaction.
    pub transaction_hash: B256,
    /// In this block.
    pub block: u64,
    /// Micro-points.
    pub amount: U256,
}

/// The chain.
#[derive(Clone, Debug)]
pub struct Chain {
    provider: RootProvider,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChainAnswer {
    chain_id: u64,
    genesis_hash: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptAnswer {
    status: U256,
    block_number: U256,
    transaction_hash: B256,
    logs: Vec<ReceiptLog>,
}

#[derive(Deserialize)]
struct ReceiptLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogAnswer {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: U256,
    transaction_hash: B256,
}

impl Chain {
    /// Sets the client up; nothing is sent yet.
    pub fn new(url: Url) -> Result<Self, ChainError> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let provider = ProviderBuilder::new()
            .disable_recommended_fillers()
            .connect_reqwest(client, url);
        Ok(Self { provider })
    }

    /// Asks one thing of the node.
    pub(crate) async fn ask<T>(
        &self,
        method: &'static str,
        parameters: Value,
    ) -> Result<T, ChainError>
    where
        T: serde::de::DeserializeOwned + std::fmt::Debug + Send + Sync + Unpin + 'static,
    {
        let call = self
            .provider
            .client()
            .request::<Value, T>(method, parameters);
        match time::timeout(TIMEOUT, call).await {
            Err(_) => Err(ChainError::Timeout(method)),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(describe(method, &error)),
        }
    }

    /// Asks for something that may not be there.
    pub(crate) async fn find<T: serde::de::DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: Value,
    ) -> Result<Option<T>, ChainError> {
        let answer: Value = self.ask(method, parameters).await?;
        if answer.is_null() {
            return Ok(None);
        }
        serde_json::from_value(answer)
            .map(Some)
            .map_err(|_| ChainError::Nonsense(method))
    }

    /// What names this chain.
    pub async fn identity(&self) -> Result<Identity, ChainError> {
        const CHAIN: &str = "mileverse_chain";
        let answer: Value = self.ask(CHAIN, json!([])).await?;
        let answer: ChainAnswer =
            serde_json::from_value(answer).map_err(|_| ChainError::Nonsense(CHAIN))?;
        let ethereum: U256 = self.ask("eth_chainId", json!([])).await?;
        // Signatures are bound to what eth_chainId says; both must mean the same chain.
        if ethereum != U256::from(answer.chain_id) {
            return Err(ChainError::Nonsense("eth_chainId"));
        }
        Ok(Identity {
            chain_id: answer.chain_id,
            genesis: answer.genesis_hash.to_lowercase(),
        })
    }

    /// The nonce after the last final transaction of an account.
    pub async fn next_nonce(&self, account: Address) -> Result<u64, ChainError> {
        const METHOD: &str = "eth_getTransactionCount";
        let nonce: U256 = self
            .ask(METHOD, json!([account, BlockNumberOrTag::Latest]))
            .await?;
        nonce.try_into().map_err(|_| ChainError::Nonsense(METHOD))
    }

    /// The receipt of a transaction, once it is final.
    pub async fn receipt(&self, hash: &str) -> Result<Option<Receipt>, ChainError> {
        const METHOD: &str = "eth_getTransactionReceipt";
        let found: Option<ReceiptAnswer> = self.find(METHOD, json!([hash])).await?;
        let Some(answer) = found else {
            return Ok(None);
        };
        let nonsense = || ChainError::Nonsense(METHOD);
        if answer.transaction_hash.to_string() != hash || answer.status > U256::from(1) {
            return Err(nonsense());
        }
        let block = answer.block_number.try_into().map_err(|_| nonsense())?;
        let (entries, moved) = told(answer.logs).ok_or_else(nonsense)?;
        Ok(Some(Receipt {
            succeeded: answer.status == U256::from(1),
            block,
            entries,
            moved,
        }))
    }

    /// Hands a signed transaction to the network. An error proves nothing: it may have gone out.
    pub async fn broadcast(&self, raw: &[u8]) -> Result<(), ChainError> {
        let raw = Bytes::copy_from_slice(raw);
        self.ask::<Value>("eth_sendRawTransaction", json!([raw]))
            .await
            .map(|_| ())
    }

    /// What was issued under a name; zero if nothing was.
    pub async fn issued(&self, name: B256) -> Result<U256, ChainError> {
        self.view(&IPoints::issuedCall { conversionId: name }).await
    }

    /// Micro-points that an account holds as of a block.
    pub async fn points_of(&self, account: Address, block: u64) -> Result<U256, ChainError> {
        self.view_at(&IPoints::balanceOfCall { account }, block)
            .await
    }

    /// What moving so many micro-points costs on top of them, as of a block.
    pub async fn transfer_fee(
        &self,
        from: Address,
        to: Address,
        amount: U256,
        block: u64,
    ) -> Result<U256, ChainError> {
        self.view_at(&IPoints::transferFeeCall { from, to, amount }, block)
            .await
    }

    /// A view of the points module at a block.
    async fn view_at<C: SolCall<Return = U256>>(
        &self,
        call: &C,
        block: u64,
    ) -> Result<U256, ChainError> {
        const METHOD: &str = "eth_call";
        let answer = self.call_at(POINTS, call, block).await?;
        answer.map_err(|_| ChainError::Nonsense(METHOD))
    }

    /// The last final block.
    pub async fn height(&self) -> Result<u64, ChainError> {
        const METHOD: &str = "eth_blockNumber";
        let height: U256 = self.ask(METHOD, json!([])).await?;
        height.try_into().map_err(|_| ChainError::Nonsense(METHOD))
    }

    /// What was issued in these blocks, both included, in the chain's order.
    pub async fn issues(&self, from: u64, to: u64) -> Result<Vec<Issue>, ChainError> {
        const METHOD: &str = "eth_getLogs";
        let filter = json!([{
            "address": POINTS,
            "fromBlock": format!("{from:#x}"),
            "toBlock": format!("{to:#x}"),
            "topics": [IPoints::Issued::SIGNATURE_HASH],
        }]);
        let logs: Vec<LogAnswer> = self.ask(METHOD, filter).await?;
        let nonsense = || ChainError::Nonsense(METHOD);
        logs.into_iter()
            .map(|log| {
                let event = IPoints::Issued::decode_raw_log(log.topics, &log.data)
                    .map_err(|_| nonsense())?;
                let block: u64 = log.block_number.try_into().map_err(|_| nonsense())?;
                // What was not asked for would be counted twice.
                if log.address != POINTS || !(from..=to).contains(&block) {
                    return Err(nonsense());
                }
                Ok(Issue {
                    name: event.conversionId,
                    transaction_hash: log.transaction_hash,
                    block,
                    amount: event.amount,
                })
            })
            .collect()
    }

    /// All that was ever issued.
    pub async fn total_issued(&self) -> Result<U256, ChainError> {
        self.view(&IPoints::totalIssuedCall {}).await
    }

    /// All points there are.
    pub async fn total_supply(&self) -> Result<U256, ChainError> {
        self.view(&IPoints::totalSupplyCall {}).await
    }

    /// A view of any contract at a block: its answer, or the bytes with which it refuses.
    pub async fn call_at<C: SolCall>(
        &self,
        to: Address,
        call: &C,
        block: u64,
    ) -> Result<Result<C::Return, Bytes>, ChainError> {
        const METHOD: &str = "eth_call";
        let request = json!({ "to": to, "data": Bytes::from(call.abi_encode()) });
        let parameters = json!([request, BlockNumberOrTag::Number(block)]);
        let asked = self
            .provider
            .client()
            .request::<Value, Bytes>(METHOD, parameters);
        match time::timeout(TIMEOUT, asked).await {
            Err(_) => Err(ChainError::Timeout(METHOD)),
            Ok(Ok(answer)) => C::abi_decode_returns(&answer)
                .map(Ok)
                .map_err(|_| ChainError::Nonsense(METHOD)),
            Ok(Err(error)) => {
                let refused = error.as_error_resp().and_then(|answer| {
                    let said = answer.as_revert_data();
                    // A revert need not say anything.
                    said.or_else(|| answer.message.contains("revert").then(Bytes::new))
                });
                refused.map(Err).ok_or_else(|| describe(METHOD, &error))
            }
        }
    }

    async fn view<C: SolCall<Return = U256>>(&self, call: &C) -> Result<U256, ChainError> {
        const METHOD: &str = "eth_call";
        let request = json!({ "to": POINTS, "data": Bytes::from(call.abi_encode()) });
        let answer: Bytes = self
            .ask(METHOD, json!([request, BlockNumberOrTag::Latest]))
            .await?;
        // An account without the module answers nothing, which must not be read as zero.
        if answer.len() != 32 {
            return Err(ChainError::Nonsense(METHOD));
        }
        C::abi_decode_returns(&answer).map_err(|_| ChainError::Nonsense(METHOD))
    }
}

/// What the points module's events say of each name, and of points that went from one account to
/// another. `None` if one cannot be read.
fn told(logs: Vec<ReceiptLog>) -> Option<(HashMap<B256, Entry>, Vec<Moved>)> {
    let (mut entries, mut moved) = (HashMap::new(), Vec::new());
    for log in logs.into_iter().filter(|log| log.address == POINTS) {
        let first = log.topics.first().copied();
        if first == Some(IPoints::Issued::SIGNATURE_HASH) {
            let event = IPoints::Issued::decode_raw_log(log.topics, &log.data).ok()?;
            entries.insert(event.conversionId, Entry::Issued(event.amount));
        } else if first == Some(IPoints::Transfer::SIGNATURE_HASH) {
            let event = IPoints::Transfer::decode_raw_log(log.topics, &log.data).ok()?;
            // Points that are made come from nobody.
            if !event.from.is_zero() {
                moved.push(Moved {
                    from: event.from,
                    to: event.to,
                    amount: event.value,
                });
            }
        } else if first == Some(IPoints::EntryDone::SIGNATURE_HASH) {
            let event = IPoints::EntryDone::decode_raw_log(log.topics, &log.data).ok()?;
            let entry = match event.outcome {
                // Its `Issued` says how much.
                IPoints::Outcome::Done => continue,
                IPoints::Outcome::AlreadyIssued => Entry::IssuedBefore,
                _ => Entry::LeftOut,
            };
            // What was issued stays issued, whatever a second entry of the name came to.
            entries.entry(event.memo).or_insert(entry);
        }
    }
    Some((entries, moved))
}

fn describe(method: &'static str, error: &RpcError<TransportErrorKind>) -> ChainError {
    match error.as_error_resp() {
        Some(answer) => {
            let message = answer.message.chars().take(MAX_MESSAGE).collect();
            ChainError::Refused { method, message }
        }
        None => {
            let message = error.to_string().chars().take(MAX_MESSAGE).collect();
            ChainError::Transport { method, message }
        }
    }
}
