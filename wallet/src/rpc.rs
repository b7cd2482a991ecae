//! One JSON-RPC endpoint of one chain, and plain sentences for what goes wrong there.
//!
//! A call ends in at most [`TIMEOUT`]. What a contract answers when it refuses is translated: a
//! `require` sentence as it is, a custom error by its name and values.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes, U256},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::TransactionRequest,
    sol_types::{Panic, Revert, SolCall, SolError, SolInterface},
    transports::{RpcError as TransportFault, TransportErrorKind},
};
use mileverse_bindings::{Bridge, LightClient, QuarterlyRewards, WrappedPoints};
use mileverse_primitives::exchange::{HashedTimelock, Pool};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use thiserror::Error;
use url::Url;

/// Longest time one call may take.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// Longest sentence of a node that is repeated to people.
const MAX_MESSAGE: usize = 300;

/// Which of the two chains.
#[derive(
    Clone,
    Copy,
    Debug,
    Deserialize,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Chain {
    /// The project's own chain.
    Native,
    /// Ethereum.
    Ethereum,
}

impl Chain {
    /// The chain on the other side of the bridge.
    pub const fn other(self) -> Self {
        match self {
            Self::Native => Self::Ethereum,
            Self::Ethereum => Self::Native,
        }
    }

    /// In one word, as the command line has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Ethereum => "ethereum",
        }
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "the native chain",
            Self::Ethereum => "Ethereum",
        })
    }
}

/// What an endpoint did instead of answering.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum RpcError {
    /// Not an address of an endpoint.
    #[error(
        "{url:?} is not the URL of an endpoint of {chain}; give one such as http://127.0.0.1:8545"
    )]
    Url {
        /// The chain.
        chain: Chain,
        /// What was given.
        url: String,
    },
    /// No answer, or none that can be trusted to be the node's. What was asked may have been done.
    #[error("{chain} does not answer at {url} ({reason}); check that its node runs")]
    Unreachable {
        /// The chain.
        chain: Chain,
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The node answered with an error.
    #[error("the node of {chain} refuses: {message}")]
    Refused {
        /// The chain.
        chain: Chain,
        /// The node's words.
        message: String,
    },
    /// The contract or module that was called refused.
    #[error("{chain} refuses: {reason}")]
    Reverted {
        /// The chain.
        chain: Chain,
        /// The contract's words.
        reason: String,
    },
    /// An answer that cannot be right.
    #[error("the node of {chain} answers nonsense ({what}); check that its URL is right")]
    Nonsense {
        /// The chain.
        chain: Chain,
        /// What is wrong with it.
        what: String,
    },
}

impl RpcError {
    /// Whether the contract itself said no, as against any trouble on the way to it.
    pub const fn is_revert(&self) -> bool {
        matches!(self, Self::Reverted { .. })
    }
}

/// One endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    chain: Chain,
    url: String,
    provider: DynProvider,
}

impl Endpoint {
    /// Prepares an endpoint; nothing is sent yet.
    pub fn new(chain: Chain, url: &str) -> Result<Self, RpcError> {
        let bad = || RpcError::Url {
            chain,
            url: url.to_owned(),
        };
        let parsed: Url = url.parse().map_err(|_| bad())?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
            return Err(bad());
        }
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(|_| bad())?;
        let provider = ProviderBuilder::new()
            .disable_recommended_fillers()
            .connect_reqwest(client, parsed)
            .erased();
        Ok(Self {
            chain,
            url: url.to_owned(),
            provider,
        })
    }

    /// An endpoint over a connection made elsewhere.
    pub fn over(chain: Chain, url: String, provider: DynProvider) -> Self {
        Self {
            chain,
            url,
            provider,
        }
    }

    /// The chain it serves.
    pub const fn chain(&self) -> Chain {
        self.chain
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// alloy's view of it.
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Turns a failure of a call into a sentence.
    pub fn fault(&self, fault: TransportFault<TransportErrorKind>) -> RpcError {
        match fault {
            TransportFault::ErrorResp(payload) => {
                let data = payload.as_revert_data();
                let message = payload.message.to_string();
                if data.is_some() || payload.code == 3 || message.contains("revert") {
                    let reason = data
                        .as_ref()
                        .and_then(|data| reason(data))
                        .unwrap_or_else(|| shorten(&message));
                    return RpcError::Reverted {
                        chain: self.chain,
                        reason,
                    };
                }
                RpcError::Refused {
                    chain: self.chain,
                    message: shorten(&message),
                }
            }
            TransportFault::NullResp => self.nonsense("nothing"),
            TransportFault::DeserError { err, .. } => self.nonsense(&err.to_string()),
            other => RpcError::Unreachable {
                chain: self.chain,
                url: self.url.clone(),
                reason: shorten(&innermost(&other)),
            },
        }
    }

    /// An answer that cannot be right.
    pub fn nonsense(&self, what: &str) -> RpcError {
        RpcError::Nonsense {
            chain: self.chain,
            what: shorten(what),
        }
    }

    /// Calls a view at the newest block.
    pub async fn view<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, RpcError> {
        self.view_at(to, call, BlockNumberOrTag::Latest).await
    }

    /// Calls a view at the newest finalized block.
    pub async fn view_finalized<C: SolCall>(
        &self,
        to: Address,
        call: &C,
    ) -> Result<C::Return, RpcError> {
        self.view_at(to, call, BlockNumberOrTag::Finalized).await
    }

    /// Calls a view as of a block.
    pub async fn view_at<C: SolCall>(
        &self,
        to: Address,
        call: &C,
        at: BlockNumberOrTag,
    ) -> Result<C::Return, RpcError> {
        let request = request(Address::ZERO, to, U256::ZERO, call.abi_encode().into());
        let output = self
            .provider
            .call(request)
            .block(at.into())
            .await
            .map_err(|fault| self.fault(fault))?;
        C::abi_decode_returns(&output).map_err(|_| self.nonsense(&no_contract(to)))
    }

    /// What the native chain says of itself. A node that does not know the question is of another
    /// chain.
    pub async fn facts(&self) -> Result<mileverse_primitives::rpc::Chain, RpcError> {
        match self.method("mileverse_chain", ()).await {
            Err(RpcError::Refused { .. }) => Err(self.nonsense("it does not know mileverse_chain")),
            other => other,
        }
    }

    /// Calls a method of the node by name.
    pub async fn method<P, R>(&self, name: &'static str, parameters: P) -> Result<R, RpcError>
    where
        P: alloy::rpc::json_rpc::RpcSend,
        R: alloy::rpc::json_rpc::RpcRecv,
    {
        self.provider
            .raw_request(name.into(), parameters)
            .await
            .map_err(|fault| self.fault(fault))
    }
}

/// A call as `eth_call` and `eth_estimateGas` want it.
pub fn request(from: Address, to: Address, value: U256, input: Bytes) -> TransactionRequest {
    TransactionRequest {
        from: Some(from),
        to: Some(to.into()),
        value: Some(value),
        input: input.into(),
        ..TransactionRequest::default()
    }
}

/// What a refusing contract said, in words; `None` if it said nothing that is known here.
pub fn reason(data: &[u8]) -> Option<String> {
    Revert::abi_decode(data)
        .map(|revert| revert.reason)
        .or_else(|_| Panic::abi_decode(data).map(|panic| panic.to_string()))
        .or_else(|_| Bridge::BridgeErrors::abi_decode(data).map(|error| format!("{error:?}")))
        .or_else(|_| {
            LightClient::LightClientErrors::abi_decode(data).map(|error| format!("{error:?}"))
        })
        .or_else(|_| {
            WrappedPoints::WrappedPointsErrors::abi_decode(data).map(|error| format!("{error:?}"))
        })
        .or_else(|_| {
            QuarterlyRewards::QuarterlyRewardsErrors::abi_decode(data)
                .map(|error| format!("{error:?}"))
        })
        .or_else(|_| Pool::PoolErrors::abi_decode(data).map(|error| format!("{error:?}")))
        .or_else(|_| {
            HashedTimelock::HashedTimelockErrors::abi_decode(data).map(|error| format!("{error:?}"))
        })
        .map(|text| shorten(&text))
        .ok()
}

fn no_contract(address: Address) -> String {
    format!("no such function at {address}")
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

fn shorten(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_MESSAGE)
        .collect();
    line.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reasons_are_words() {
        let said = Revert::from("the bridge is closed").abi_encode();
        assert_eq!(reason(&said).unwrap(), "the bridge is closed");
        let custom = Bridge::BridgeErrors::AmountZero(Bridge::AmountZero {}).abi_encode();
        assert!(reason(&custom).unwrap().contains("AmountZero"));
        assert_eq!(reason(&[]), None);
        assert_eq!(reason(&[1, 2, 3, 4]), None);
    }

    #[test]
    fn only_urls_of_endpoints_are_taken() {
        for bad in ["", "localhost", "ftp://x", "http://", "127.0.0.1:8545"] {
            assert!(
                matches!(Endpoint::new(Chain::Native, bad), Err(RpcError::Url { .. })),
                "{bad}"
            );
        }
        assert!(Endpoint::new(Chain::Native, "http://127.0.0.1:8545").is_ok());
    }
}
