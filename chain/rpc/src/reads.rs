//! The state after a block, and the door through which transactions come in.
//!
//! A reader is bound to one height. A value is looked up in the newest state first and then among
//! what later blocks overwrote ([`History`]), so an answer never mixes two states, blocks may become
//! final meanwhile, and no reader holds up the chain. The look at the history is always at least as
//! new as the state beside it, because the index is written before a block's state is applied.
//!
//! The state of block 0 is what genesis says. No database holds it until block 1 is final, so it is kept
//! here: a node answers right from the first moment.

use crate::{
    failure, find,
    limits::{MAX_CALL_TIME, MAX_CALL_WAIT},
    register::Answer,
};
use bytes::Bytes;
use commonware_glue::stateful::db::DatabaseSet as _;
use commonware_runtime::tokio::Context as Runtime;
use mileverse_consensus::watch;
use mileverse_consensus::{
    application::Tip,
    index::{History, Index, IndexError},
    mempool::{Mempool, Purse, Refusal, Sender, journal::Journal},
    proof::{self, Proven},
    stages::{self, Stage},
    state::{Batch, BatchReader, Databases},
};
use mileverse_execution::{
    BlockError, Changes, Executor, Fare, OverrideError, ReadError, RewardsStanding, Rotations,
    Transaction,
    state::{self, Key, StateReader, Value},
};
use mileverse_primitives::{Address, B256, U256, keccak256};
use std::{
    future::Future,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

/// How often a read is asked again when blocks become final under it.
const ATTEMPTS: usize = 16;

/// The states that this node can read.
#[derive(Clone)]
pub struct Reads {
    /// State transitions.
    pub executor: Executor,
    /// The newest final block.
    pub tip: watch::Receiver<Tip>,
    databases: Databases<Runtime>,
    index: Index,
    genesis: Arc<Changes>,
    calls: Arc<Semaphore>,
    disk: Arc<Semaphore>,
}

impl Reads {
    /// A reader over the node's state and what its index says of earlier ones.
    pub fn new(
        executor: Executor,
        databases: Databases<Runtime>,
        index: Index,
        tip: watch::Receiver<Tip>,
    ) -> Self {
        // Half of the machine is left to consensus.
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            genesis: Arc::new(executor.genesis_changes()),
            executor,
            tip,
            databases,
            index,
            calls: Arc::new(Semaphore::new((cores / 2).max(1))),
            disk: Arc::new(Semaphore::new(cores.saturating_mul(2))),
        }
    }

    /// A turn to read the index.
    pub async fn disk_turn(&self) -> Answer<OwnedSemaphorePermit> {
        turn(&self.disk).await
    }

    /// The newest final block.
    pub fn tip(&self) -> Tip {
        self.tip.borrow().clone()
    }

    /// The state after the block at `height`.
    pub fn at(&self, height: u64) -> Result<StateAt, IndexError> {
        let first = self.index.history()?.first();
        if height < first {
            return Err(IndexError::Pruned { height, first });
        }
        Ok(StateAt {
            databases: self.databases.clone(),
            index: self.index.clone(),
            genesis: (height == 0).then(|| Arc::clone(&self.genesis)),
            height,
            held: Arc::default(),
        })
    }

    fn newest(&self) -> Answer<StateAt> {
        self.at(self.tip().header.height).map_err(failure::index)
    }

    /// What the chain knows of an account now.
    pub async fn sender(&self, address: Address) -> Answer<Sender> {
        let found = state::account(&self.newest()?, address).await;
        Ok(known_of(found.map_err(|error| failure::internal(&error))?))
    }

    /// Number of the newest Ethereum block that the chain agreed on; 0 if none.
    pub async fn latest_checkpoint(&self) -> Answer<u64> {
        let state = self.newest()?;
        let found = self.executor.latest_checkpoint(&state).await;
        found.map_err(|error| failure::internal(&error))
    }

    /// What the chain says of its group key.
    pub async fn rotations(&self) -> Answer<Rotations> {
        let state = self.newest()?;
        let found = self.executor.rotations(&state).await;
        found.map_err(|error| failure::internal(&error))
    }

    /// Who signs an epoch, ascending, as far as the newest state knows it.
    pub async fn committee(&self, epoch: u64) -> Option<Vec<B256>> {
        let state = self.newest().ok()?;
        self.executor.committee(&state, epoch).await.ok()
    }

    /// What a transaction may cost and what the chain knows of its sender, both in the newest state; or
    /// why no block takes it.
    ///
    /// This is asked of every transaction that comes, so it looks at nothing past: it reads one batch, which
    /// knows one state only, and asks again if a block became final under it.
    async fn weigh(&self, transaction: &Transaction) -> Answer<(Fare, Sender)> {
        let mut last = ReadError("no attempt was made".into());
        for _ in 0..ATTEMPTS {
            let tip = self.tip();
            let batch = self.databases.new_batches().await;
            let newest = BatchReader::<Runtime> {
                batch: &batch,
                overlay: (tip.header.height == 0).then(|| self.genesis.as_ref()),
            };
            match self.weigh_in(&newest, tip, transaction).await {
                Err(BlockError::Read(error)) => last = error,
                Err(error) => return Err(failure::internal(&error)),
                Ok((fare, sender)) => return Ok((fare.map_err(failure::refused)?, sender)),
            }
        }
        Err(failure::internal(&last))
    }

    async fn weigh_in(
        &self,
        newest: &BatchReader<'_, Runtime>,
        Tip { header, digest }: Tip,
        transaction: &Transaction,
    ) -> Result<(Result<Fare, String>, Sender), BlockError> {
        let next = || find::next_block(&header, digest);
        let fare = self.executor.admit(newest, next, transaction).await?;
        let account = state::account(newest, transaction.sender()).await;
        Ok((fare, known_of(account?)))
    }

    /// Proves what stands at a key in the newest state; `None` if nothing does.
    pub async fn prove(&self, key: Key) -> Answer<Option<Proven>> {
        let proven = proof::prove(&self.databases, key).await;
        proven.map_err(|error| failure::internal(&error))
    }

    /// Where the quarterly rewards stand, as far as the newest state can be read.
    pub async fn rewards(&self) -> Option<RewardsStanding> {
        let state = self.newest().ok()?;
        self.executor.rewards(&state).await.ok()
    }

    /// Coin deposited for gas, as far as the newest state can be read.
    pub async fn gas_deposits(&self) -> Option<U256> {
        let state = self.newest().ok()?;
        self.executor.gas_deposits(&state).await.ok()
    }

    /// Whether a candidate is out for good.
    pub async fn tombstoned(&self, key: B256) -> Answer<bool> {
        let state = self.newest()?;
        let found = self.executor.tombstoned(&state, key).await;
        found.map_err(|error| failure::internal(&error))
    }

    /// Whether the chain has recorded a false result of `key` at `height`.
    pub async fn reported(&self, key: B256, height: u64) -> Answer<bool> {
        let state = self.newest()?;
        let found = self.executor.reported(&state, key, height).await;
        found.map_err(|error| failure::internal(&error))
    }

    /// Asks the state after `height` on a thread where that may take long, when it is this
    /// question's turn and for a bounded time.
    pub async fn ask<T, F, Q>(&self, height: u64, question: Q) -> Answer<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BlockError>>,
        Q: FnOnce(Blocking) -> F + Send + 'static,
    {
        let state = self.at(height).map_err(failure::index)?;
        let turn = turn(&self.calls).await?;
        let runtime = Handle::current();
        let answer = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let until = Instant::now().checked_add(MAX_CALL_TIME);
            let state = Blocking {
                state,
                runtime,
                until,
            };
            let late = state.clone();
            let answer = futures::executor::block_on(question(state));
            (answer, late.is_late())
        });
        match answer.await.map_err(|error| failure::internal(&error))? {
            (Err(BlockError::Read(_)), true) => Err(failure::refused(format!(
                "execution aborted (timeout = {}s)",
                MAX_CALL_TIME.as_secs()
            ))),
            (answer, _) => answer.map_err(failure::execution),
        }
    }
}

/// What the pool asks of an account; one that was never written has nothing.
fn known_of(account: Option<state::Account>) -> Sender {
    account.map_or_else(Sender::default, |account| Sender {
        nonce: account.nonce,
        balance: account.balance,
        ..Sender::default()
    })
}

async fn turn(turns: &Arc<Semaphore>) -> Answer<OwnedSemaphorePermit> {
    timeout(MAX_CALL_WAIT, Arc::clone(turns).acquire_owned())
        .await
        .map_err(|_| failure::refused("this node is busy with other requests; ask again"))?
        .map_err(|error| failure::internal(&error))
}

/// Overrides that cannot be laid over a state, as an execution that cannot be done.
pub fn overriding(error: OverrideError) -> BlockError {
    match error {
        OverrideError::Read(error) => BlockError::Read(error),
        other => BlockError::Invalid(other.to_string()),
    }
}

/// The state after one block.
#[derive(Clone)]
pub struct StateAt {
    databases: Databases<Runtime>,
    index: Index,
    /// The whole state, if this is the one of block 0.
    genesis: Option<Arc<Changes>>,
    height: u64,
    held: Arc<Mutex<Option<Arc<Held>>>>,
}

/// The newest state, and what was overwritten up to it or a little beyond.
struct Held {
    batch: Batch<Runtime>,
    history: History,
}

impl StateAt {
    async fn held(&self) -> Result<Arc<Held>, ReadError> {
        let held = || self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held().clone() {
            return Ok(held);
        }
        // In this order: the history must not be older than the state.
        let batch = self.databases.new_batches().await;
        let history = self.index.history().map_err(unread)?;
        let new = Arc::new(Held { batch, history });
        *held() = Some(Arc::clone(&new));
        Ok(new)
    }

    fn let_go(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn unread(error: IndexError) -> ReadError {
    ReadError(error.to_string())
}

impl StateReader for StateAt {
    async fn get(&self, key: Key) -> Result<Option<Value>, ReadError> {
        if let Some(genesis) = &self.genesis {
            return Ok(genesis.get(&key).cloned().flatten());
        }
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let held = self.held().await?;
            let newest = BatchReader::<Runtime> {
                batch: &held.batch,
                overlay: None,
            };
            match newest.get(key).await {
                Ok(now) => {
                    let before = held.history.overwritten(key, self.height);
                    return Ok(before.map_err(unread)?.unwrap_or(now));
                }
                // The state moved on; a batch knows one state only.
                Err(error) => last = Some(error),
            }
            self.let_go();
        }
        Err(last.unwrap_or_else(|| ReadError("no attempt was made".into())))
    }
}

/// The same for a thread that may wait: every read is answered on the spot, so that the EVM runs
/// once and not once more for each value it lacks.
#[derive(Clone)]
pub struct Blocking {
    state: StateAt,
    runtime: Handle,
    until: Option<Instant>,
}

impl Blocking {
    fn is_late(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() > until)
    }
}

impl StateReader for Blocking {
    async fn get(&self, key: Key) -> Result<Option<Value>, ReadError> {
        if self.is_late() {
            return Err(ReadError("the time for this question is over".into()));
        }
        self.runtime.block_on(self.state.get(key))
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
    /// To the validators whose turn comes.
    pub gossip: mpsc::Sender<(B256, Bytes)>,
    /// Keeps what came in here over a restart.
    pub journal: Journal,
}

impl Admission {
    /// Takes a transaction from a client, writes it down and tells the other validators.
    pub async fn submit(&self, raw: Bytes) -> Answer<B256> {
        let (transaction, sender) = self.read(&raw).await?;
        let hash = self
            .mempool
            .add_local(transaction, sender)
            .map_err(failure::pool)?;
        self.write_down(&raw);
        if self.gossip.try_send((hash, raw)).is_err() {
            tracing::warn!(%hash, "gossip is full; this validator keeps the transaction for its own turn");
        }
        Ok(hash)
    }

    /// Takes a transaction that another validator passed on.
    pub async fn admit(&self, raw: &[u8]) -> Answer<B256> {
        let (transaction, sender) = self.read(raw).await?;
        self.mempool.add(transaction, sender).map_err(failure::pool)
    }

    /// Takes what came in before a restart; what has become final or false meanwhile is left out.
    pub async fn resume(&self, journal: Vec<mileverse_primitives::Bytes>) {
        for raw in journal {
            if let Ok((transaction, sender)) = self.read(&raw).await
                && let Ok(hash) = self.mempool.add_local(transaction, sender)
                && self.gossip.try_send((hash, raw.0)).is_err()
            {
                tracing::debug!("gossip is full; a transaction from before the restart waits here");
            }
        }
        self.tidy();
    }

    async fn read(&self, raw: &[u8]) -> Answer<(Transaction, Sender)> {
        // A sender is recovered once, however often the transaction comes.
        if self.mempool.get(keccak256(raw)).is_some() {
            return Err(failure::pool(Refusal::Known));
        }
        let transaction =
            stages::within(Stage::Recover, || Transaction::decode(raw, self.chain_id))
                .map_err(|error| failure::refused(error.to_string()))?;
        let (fare, known) = self.reads.weigh(&transaction).await?;
        let sender = Sender {
            purse: Purse {
                held: fare.held,
                cost: fare.cost,
            },
            help: fare.help,
            needs_help: fare.needs_help,
            ..known
        };
        Ok((transaction, sender))
    }

    fn write_down(&self, raw: &[u8]) {
        match self.journal.append(raw) {
            Ok(false) => {}
            Ok(true) => self.tidy(),
            Err(error) => {
                tracing::warn!(%error, "a transaction would not survive a restart of this node");
            }
        }
    }

    /// Writes the journal anew with what still waits.
    fn tidy(&self) {
        if let Err(error) = self.journal.rewrite(&self.mempool.locals()) {
            tracing::warn!(%error, "the journal of transactions cannot be rewritten");
        }
    }
}
