//! One consistent look at the newest state, and the door through which transactions come in.
//!
//! A read goes through a batch that is valid for one state only. When a block becomes final
//! meanwhile the batch refuses, and the whole question is asked again: an answer never mixes two
//! states, and no reader holds up the chain.

use crate::failure;
use bytes::Bytes;
use commonware_glue::stateful::db::DatabaseSet as _;
use commonware_runtime::tokio::Context as Runtime;
use jsonrpsee::types::ErrorObjectOwned;
use mileverse_consensus::{
    application::Tip,
    mempool::{Mempool, Refusal, Sender},
    state::{BatchReader, Databases},
};
use mileverse_execution::{
    BlockError, BlockInput, Executor, ReadError, Rotations, Transaction,
    state::{self, StateReader},
};
use mileverse_primitives::{Address, B256};
use std::{future::Future, sync::Arc};
use tokio::sync::{Semaphore, mpsc, watch};

/// How often a read is asked again when blocks become final under it.
const ATTEMPTS: usize = 8;
/// Simulated calls at one time; more wait.
const CALLS: usize = 4;

/// The newest state.
#[derive(Clone)]
pub struct Reads {
    /// State transitions.
    pub executor: Executor,
    /// The database.
    pub databases: Databases<Runtime>,
    /// The newest final block.
    pub tip: watch::Receiver<Tip>,
    calls: Arc<Semaphore>,
}

impl Reads {
    /// A reader over the node's state.
    pub fn new(
        executor: Executor,
        databases: Databases<Runtime>,
        tip: watch::Receiver<Tip>,
    ) -> Self {
        Self {
            executor,
            databases,
            tip,
            calls: Arc::new(Semaphore::new(CALLS)),
        }
    }

    /// The newest final block.
    pub fn tip(&self) -> Tip {
        self.tip.borrow().clone()
    }

    /// What a block on top of the newest would be given.
    pub fn next_block(&self) -> BlockInput {
        let tip = self.tip();
        BlockInput {
            height: tip.header.height.saturating_add(1),
            timestamp_ms: tip.header.timestamp_ms,
            gas_limit: tip.header.gas_limit,
            parent: tip.digest,
            beneficiary: Address::ZERO,
            checkpoint: None,
            turn: tip.header.turn,
            attestations: Vec::new(),
            next_epoch: None,
            new_key: None,
        }
    }

    /// Asks the state, again if it moved meanwhile.
    async fn consistent<T, F>(&self, ask: impl Fn(BatchReaderOwned) -> F) -> Result<T, ReadError>
    where
        F: Future<Output = Result<T, ReadError>>,
    {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let reader = BatchReaderOwned(Arc::new(self.databases.new_batches().await));
            match ask(reader).await {
                Ok(answer) => return Ok(answer),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| ReadError("no attempt was made".into())))
    }

    /// An account; the default if there is none.
    pub async fn account(&self, address: Address) -> Result<Sender, ErrorObjectOwned> {
        let found = self
            .consistent(|reader| async move { state::account(&reader, address).await })
            .await
            .map_err(|error| failure::internal(&error))?;
        Ok(found.map_or_else(Sender::default, |account| Sender {
            nonce: account.nonce,
            balance: account.balance,
        }))
    }

    /// Why no block takes a transaction that pays its gas with points.
    pub async fn lane_refusal(
        &self,
        transaction: &Transaction,
    ) -> Result<Option<String>, ErrorObjectOwned> {
        self.consistent(|reader| async move { self.executor.admit(&reader, transaction).await })
            .await
            .map_err(|error| failure::internal(&error))
    }

    /// An account's code; empty if there is none.
    pub async fn code(
        &self,
        address: Address,
    ) -> Result<mileverse_primitives::Bytes, ErrorObjectOwned> {
        self.consistent(|reader| async move {
            match state::account(&reader, address).await? {
                Some(account) => state::code(&reader, account.code_hash).await,
                None => Ok(Default::default()),
            }
        })
        .await
        .map_err(|error| failure::internal(&error))
    }

    /// A storage slot.
    pub async fn storage(&self, address: Address, slot: B256) -> Result<B256, ErrorObjectOwned> {
        self.consistent(|reader| async move { state::storage(&reader, address, slot.into()).await })
            .await
            .map(Into::into)
            .map_err(|error| failure::internal(&error))
    }

    /// Number of the newest Ethereum block that the chain agreed on; 0 if none.
    pub async fn latest_checkpoint(&self) -> Result<u64, ErrorObjectOwned> {
        self.consistent(|reader| async move { self.executor.latest_checkpoint(&reader).await })
            .await
            .map_err(|error| failure::internal(&error))
    }

    /// What the chain says of its group key.
    pub async fn rotations(&self) -> Result<Rotations, ErrorObjectOwned> {
        self.consistent(|reader| async move { self.executor.rotations(&reader).await })
            .await
            .map_err(|error| failure::internal(&error))
    }

    /// Who signs an epoch, ascending, as far as the newest state knows it.
    pub async fn committee(&self, epoch: u64) -> Option<Vec<B256>> {
        self.consistent(|reader| async move { self.executor.committee(&reader, epoch).await })
            .await
            .ok()
    }

    /// Whether a candidate is out for good.
    pub async fn tombstoned(&self, key: B256) -> Result<bool, ErrorObjectOwned> {
        self.consistent(|reader| async move { self.executor.tombstoned(&reader, key).await })
            .await
            .map_err(|error| failure::internal(&error))
    }

    /// Whether the chain has recorded a false result of `key` at `height`.
    pub async fn reported(&self, key: B256, height: u64) -> Result<bool, ErrorObjectOwned> {
        self.consistent(|reader| async move { self.executor.reported(&reader, key, height).await })
            .await
            .map_err(|error| failure::internal(&error))
    }

    /// Runs `simulate` on the newest state, again if it moved meanwhile.
    pub async fn simulate<T, F>(
        &self,
        simulate: impl Fn(BatchReaderOwned, BlockInput) -> F,
    ) -> Result<T, ErrorObjectOwned>
    where
        F: Future<Output = Result<T, BlockError>>,
    {
        let _turn = self
            .calls
            .acquire()
            .await
            .map_err(|error| failure::internal(&error))?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let reader = BatchReaderOwned(Arc::new(self.databases.new_batches().await));
            match simulate(reader, self.next_block()).await {
                Err(BlockError::Read(error)) => last = Some(error),
                other => return other.map_err(failure::execution),
            }
        }
        Err(last.map_or_else(
            || failure::refused("the state is busy; ask again"),
            |error| failure::internal(&error),
        ))
    }
}

/// A reader that owns its batch.
#[derive(Clone)]
pub struct BatchReaderOwned(Arc<mileverse_consensus::state::Batch<Runtime>>);

impl StateReader for BatchReaderOwned {
    async fn get(&self, key: state::Key) -> Result<Option<state::Value>, ReadError> {
        BatchReader::<Runtime> {
            batch: &self.0,
            overlay: None,
        }
        .get(key)
        .await
    }
}

/// The one door for transactions, from JSON-RPC and from other validators.
#[derive(Clone)]
pub struct Admission {
    /// The newest state.
    pub reads: Reads,
    /// Where they wait.
    pub mempool: Mempool,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// To the other validators.
    pub gossip: mpsc::Sender<Bytes>,
}

impl Admission {
    /// Takes a transaction from a client and tells the other validators.
    pub async fn submit(&self, raw: Bytes) -> Result<B256, ErrorObjectOwned> {
        let hash = self.admit(&raw).await?;
        if self.gossip.try_send(raw).is_err() {
            tracing::warn!(%hash, "gossip is full; this validator keeps the transaction for its own turn");
        }
        Ok(hash)
    }

    /// Checks a transaction and puts it into the pool.
    pub async fn admit(&self, raw: &[u8]) -> Result<B256, ErrorObjectOwned> {
        let transaction = Transaction::decode(raw, self.chain_id)
            .map_err(|error| failure::refused(error.to_string()))?;
        if let Some(reason) = self.reads.lane_refusal(&transaction).await? {
            return Err(failure::refused(reason));
        }
        for _ in 0..ATTEMPTS {
            let seen = self.mempool.final_blocks();
            let sender = self.reads.account(transaction.sender()).await?;
            match self.mempool.add(transaction.clone(), sender, seen) {
                Err(Refusal::Moved) => {}
                done => return done.map_err(failure::pool),
            }
        }
        Err(failure::pool(Refusal::Moved))
    }
}
