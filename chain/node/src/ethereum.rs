//! This validator's own view of Ethereum.
//!
//! A leader offers [`EthereumView::newest`] in its block; every other validator asks
//! [`EthereumView::check`] before it votes. Two thirds of the validators' own endpoints must agree
//! before the chain believes a header, and no single endpoint is trusted by anybody but its owner.

use alloy::{
    eips::BlockNumberOrTag,
    providers::{DynProvider, Provider as _, ProviderBuilder},
};
use mileverse_primitives::checkpoint::Checkpoint;
use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a header must have been known as finalized before it is offered, so that the other
/// validators' endpoints have it too.
const SETTLE: Duration = Duration::from_millis(1500);
/// How often the endpoint is asked for its finalized header.
const POLL: Duration = Duration::from_millis(500);
/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Finalized headers remembered while they settle.
const REMEMBERED: usize = 64;

/// What this validator's endpoint says of a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is finalized there, exactly so.
    Confirmed,
    /// Another header is finalized at that number.
    Denied,
    /// Not finalized there yet, or the endpoint does not answer.
    Unknown,
}

/// Ethereum as one validator sees it.
pub trait EthereumView: Clone + Send + Sync + 'static {
    /// The newest finalized header fit to be offered.
    fn newest(&self) -> Option<Checkpoint>;
    /// Checks another validator's offer.
    fn check(&self, checkpoint: Checkpoint) -> impl Future<Output = Verdict> + Send;
}

/// Ethereum behind a JSON-RPC endpoint.
#[derive(Clone)]
pub struct Endpoint {
    provider: DynProvider,
    chain_id: u64,
    seen: Arc<Mutex<VecDeque<(Instant, Checkpoint)>>>,
}

impl Endpoint {
    /// An endpoint that must serve `chain_id`.
    pub fn new(url: alloy::transports::http::reqwest::Url, chain_id: u64) -> Self {
        Self {
            provider: ProviderBuilder::new().connect_http(url).erased(),
            chain_id,
            seen: Arc::default(),
        }
    }

    /// Follows the endpoint's finalized header until dropped.
    pub async fn follow(self) {
        let mut reachable = true;
        loop {
            match self.finalized().await {
                Ok(checkpoint) => {
                    if !reachable {
                        tracing::info!("the Ethereum endpoint answers again");
                    }
                    reachable = true;
                    self.remember(checkpoint);
                }
                Err(reason) => {
                    if reachable {
                        tracing::warn!(%reason, "the Ethereum endpoint gives no finalized header; this validator votes for no checkpoint until it does");
                    }
                    reachable = false;
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn remember(&self, checkpoint: Checkpoint) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen
            .back()
            .is_none_or(|(_, last)| last.number < checkpoint.number)
        {
            seen.push_back((Instant::now(), checkpoint));
        }
        while seen.len() > REMEMBERED {
            seen.pop_front();
        }
    }

    async fn finalized(&self) -> Result<Checkpoint, String> {
        let chain_id = self.bounded(self.provider.get_chain_id()).await?;
        if chain_id != self.chain_id {
            return Err(format!(
                "it serves chain {chain_id}, the genesis file names {}",
                self.chain_id
            ));
        }
        self.header(BlockNumberOrTag::Finalized)
            .await?
            .ok_or_else(|| "it has no finalized block".into())
    }

    async fn header(&self, tag: BlockNumberOrTag) -> Result<Option<Checkpoint>, String> {
        let block = self
            .bounded(self.provider.get_block_by_number(tag).into_future())
            .await?;
        Ok(block.map(|block| Checkpoint {
            number: block.header.number,
            hash: block.header.hash,
            state_root: block.header.state_root,
            timestamp: block.header.timestamp,
        }))
    }

    async fn bounded<T, E: std::fmt::Display>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, String> {
        match tokio::time::timeout(TIMEOUT, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
        }
    }
}

impl EthereumView for Endpoint {
    fn newest(&self) -> Option<Checkpoint> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter()
            .rev()
            .find(|(since, _)| since.elapsed() >= SETTLE)
            .map(|(_, checkpoint)| *checkpoint)
    }

    async fn check(&self, checkpoint: Checkpoint) -> Verdict {
        let Ok(newest) = self.finalized().await else {
            return Verdict::Unknown;
        };
        if newest.number < checkpoint.number {
            return Verdict::Unknown;
        }
        match self
            .header(BlockNumberOrTag::Number(checkpoint.number))
            .await
        {
            Ok(Some(header)) if header == checkpoint => Verdict::Confirmed,
            Ok(Some(_)) => Verdict::Denied,
            Ok(None) | Err(_) => Verdict::Unknown,
        }
    }
}
