//! This validator's own view of Ethereum.
//!
//! A leader offers [`EthereumView::newest`] in its block; every other validator asks
//! [`EthereumView::check`] before it votes. Two thirds of the validators' own endpoints must agree
//! before the chain believes a header, and no single endpoint is trusted by anybody but its owner.
//!
//! What is finalized stays so. A header that this endpoint itself has shown as finalized is
//! therefore confirmed from memory, and an endpoint without news is asked less and less often:
//! asking costs both sides, all day long.

use alloy::{
    eips::BlockNumberOrTag,
    providers::{DynProvider, Provider as _, ProviderBuilder},
};
use mileverse_primitives::checkpoint::Checkpoint;
use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a header must have been known as finalized before it is offered, so that the other
/// validators' endpoints have it too.
const SETTLE: Duration = Duration::from_millis(1500);
/// How soon the endpoint is asked again after it had a new finalized header.
const POLL: Duration = Duration::from_millis(500);
/// How soon at the latest: the pause doubles while there is nothing new.
const LONGEST_POLL: Duration = Duration::from_secs(4);
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
    /// Whether it has said which chain it serves since it last failed.
    right_chain: Arc<AtomicBool>,
}

impl Endpoint {
    /// An endpoint that must serve `chain_id`.
    pub fn new(url: alloy::transports::http::reqwest::Url, chain_id: u64) -> Self {
        Self {
            provider: ProviderBuilder::new().connect_http(url).erased(),
            chain_id,
            seen: Arc::default(),
            right_chain: Arc::default(),
        }
    }

    /// Follows the endpoint's finalized header until dropped.
    pub async fn follow(self) {
        let mut reachable = true;
        let mut pause = POLL;
        loop {
            match self.finalized().await {
                Ok(checkpoint) => {
                    if !reachable {
                        tracing::info!("the Ethereum endpoint answers again");
                    }
                    reachable = true;
                    pause = if self.remember(checkpoint) {
                        POLL
                    } else {
                        longer(pause)
                    };
                }
                Err(reason) => {
                    if reachable {
                        tracing::warn!(%reason, "the Ethereum endpoint gives no finalized header; this validator votes for no checkpoint until it does");
                    }
                    reachable = false;
                    pause = longer(pause);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether it is a newer one.
    fn remember(&self, checkpoint: Checkpoint) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = seen
            .back()
            .is_none_or(|(_, last)| last.number < checkpoint.number);
        if newer {
            seen.push_back((Instant::now(), checkpoint));
        }
        while seen.len() > REMEMBERED {
            seen.pop_front();
        }
        newer
    }

    /// What this endpoint has shown as finalized at a number.
    fn recall(&self, number: u64) -> Option<Checkpoint> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter()
            .map(|(_, checkpoint)| *checkpoint)
            .find(|checkpoint| checkpoint.number == number)
    }

    /// Asks which chain the endpoint serves, once and again after every failure.
    async fn serves_the_right_chain(&self) -> Result<(), String> {
        if self.right_chain.load(Ordering::Relaxed) {
            return Ok(());
        }
        let chain_id = self.bounded(self.provider.get_chain_id()).await?;
        if chain_id != self.chain_id {
            return Err(format!(
                "it serves chain {chain_id}, the genesis file names {}",
                self.chain_id
            ));
        }
        self.right_chain.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn finalized(&self) -> Result<Checkpoint, String> {
        self.serves_the_right_chain().await?;
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
        let answer = match tokio::time::timeout(TIMEOUT, call).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        // Another process may answer there next time.
        self.right_chain.store(false, Ordering::Relaxed);
        Err(answer)
    }
}

/// Twice as long, up to [`LONGEST_POLL`].
fn longer(pause: Duration) -> Duration {
    pause.saturating_mul(2).min(LONGEST_POLL)
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
        match self.recall(checkpoint.number) {
            Some(known) if known == checkpoint => return Verdict::Confirmed,
            Some(_) => return Verdict::Denied,
            None => {}
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use jsonrpsee::{RpcModule, server::Server};
    use mileverse_primitives::{B256, keccak256};
    use serde_json::{Value, json};
    use std::sync::atomic::AtomicU64;

    const CHAIN: u64 = 5;
    const NEWEST: u64 = 9;

    fn hash(number: u64) -> B256 {
        keccak256(number.to_be_bytes())
    }

    fn real(number: u64) -> Checkpoint {
        Checkpoint {
            number,
            hash: hash(number),
            state_root: B256::repeat_byte(3),
            timestamp: number,
        }
    }

    fn block(number: u64) -> Value {
        let zero = B256::ZERO;
        json!({
            "number": format!("{number:#x}"), "hash": hash(number), "parentHash": zero,
            "stateRoot": B256::repeat_byte(3), "timestamp": format!("{number:#x}"),
            "sha3Uncles": zero, "miner": format!("0x{}", "00".repeat(20)),
            "transactionsRoot": zero, "receiptsRoot": zero,
            "logsBloom": format!("0x{}", "00".repeat(256)), "difficulty": "0x0",
            "gasLimit": "0x1", "gasUsed": "0x0", "extraData": "0x", "mixHash": zero,
            "nonce": "0x0000000000000000", "size": "0x0", "uncles": [], "transactions": [],
        })
    }

    /// An endpoint of `chain` that counts what it is asked, and its URL.
    async fn serve(chain: u64) -> (String, Arc<AtomicU64>, jsonrpsee::server::ServerHandle) {
        let asked = Arc::new(AtomicU64::new(0));
        let mut module = RpcModule::from_arc(asked.clone());
        module
            .register_method("eth_chainId", move |_, asked, _| {
                asked.fetch_add(1, Ordering::Relaxed);
                format!("{chain:#x}")
            })
            .unwrap();
        module
            .register_method("eth_getBlockByNumber", |params, asked, _| {
                asked.fetch_add(1, Ordering::Relaxed);
                let tag: String = params.sequence().next().unwrap();
                let number = tag
                    .strip_prefix("0x")
                    .map_or(NEWEST, |hex| u64::from_str_radix(hex, 16).unwrap());
                (number <= NEWEST).then(|| block(number))
            })
            .unwrap();
        let server = Server::builder().build("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", server.local_addr().unwrap());
        (url, asked, server.start(module))
    }

    #[tokio::test]
    async fn what_the_endpoint_has_shown_is_confirmed_without_asking_again() {
        let (url, asked, _server) = serve(CHAIN).await;
        let endpoint = Endpoint::new(url.parse().unwrap(), CHAIN);
        assert_eq!(endpoint.check(real(NEWEST)).await, Verdict::Confirmed);
        // Chain, newest, and the very header; the chain is not asked for again.
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        assert!(endpoint.remember(endpoint.finalized().await.unwrap()));
        assert_eq!(asked.load(Ordering::Relaxed), 4);

        let lie = Checkpoint {
            state_root: B256::ZERO,
            ..real(NEWEST)
        };
        assert_eq!(endpoint.check(real(NEWEST)).await, Verdict::Confirmed);
        assert_eq!(endpoint.check(lie).await, Verdict::Denied);
        assert_eq!(asked.load(Ordering::Relaxed), 4);

        // An older one was never seen here, one above the newest is not finalized yet.
        assert_eq!(endpoint.check(real(7)).await, Verdict::Confirmed);
        let lie = Checkpoint {
            hash: B256::ZERO,
            ..real(7)
        };
        assert_eq!(endpoint.check(lie).await, Verdict::Denied);
        assert_eq!(endpoint.check(real(NEWEST + 1)).await, Verdict::Unknown);
    }

    #[tokio::test]
    async fn another_chain_confirms_nothing() {
        let (url, _, _server) = serve(CHAIN + 1).await;
        let endpoint = Endpoint::new(url.parse().unwrap(), CHAIN);
        assert_eq!(endpoint.check(real(7)).await, Verdict::Unknown);
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut pause = POLL;
        for _ in 0..10 {
            assert!(longer(pause) >= pause);
            pause = longer(pause);
        }
        assert_eq!(pause, LONGEST_POLL);
    }
}
