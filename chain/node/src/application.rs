//! What the validators agree on: building, checking and observing blocks.
//!
//! | moment | what happens |
//! |---|---|
//! | propose | wait for the block's time, take candidates from the mempool and perhaps an Ethereum checkpoint, execute, commit to the result in the header |
//! | process | check the header against its parent, execute, compare every root |
//! | finalized | write the block to the index, clear the mempool, move the tip |
//!
//! Everything here is the same on every machine. What depends on this machine, its clock and its
//! Ethereum endpoint, is asked before the first vote, in `consensus::witness`.

use crate::{
    block::{self, Block, BlockContext, Digest, MAX_BLOCK_BYTES, MAX_TRANSACTIONS, PublicKey},
    ethereum::EthereumView,
    index::{Index, Record},
    mempool::Mempool,
    state::{self, Batch, BatchReader, Databases, Merkleized, StateDb},
};
use commonware_consensus::simplex::scheme::bls12381_threshold::standard;
use commonware_consensus::{Heightable as _, marshal::ancestry::Ancestry};
use commonware_cryptography::{Digestible as _, bls12381::primitives::variant::MinSig};
use commonware_glue::stateful::{
    Application as StatefulApplication, Finality, Input, Proposed,
    db::{DatabaseSet, Merkleized as _, Reader, Unmerkleized as _},
};
use commonware_runtime::{Clock, Spawner};
use commonware_storage::{Context as StorageContext, qmdb::sync::Target};
use commonware_utils::{SystemTimeExt as _, non_empty_range};
use futures::{StreamExt as _, future::select};
use mileverse_execution::{BlockError, BlockInput, BlockOutput, Changes, Executor, Transaction};
use mileverse_primitives::{
    Address, B256,
    checkpoint::Checkpoint,
    genesis::Genesis,
    header::{Header, StateCommitment, Turn},
};
use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// The certificates' signing scheme: BLS12-381 threshold signatures, 48 bytes each.
pub type Scheme = standard::Scheme<PublicKey, MinSig>;

/// The newest final block.
#[derive(Clone, Debug)]
pub struct Tip {
    /// Its header.
    pub header: Header,
    /// Its digest.
    pub digest: B256,
}

/// The application; clones share everything.
pub struct Application<V> {
    shared: Arc<Shared<V>>,
}

impl<V> Clone for Application<V> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

struct Shared<V> {
    executor: Executor,
    genesis: Genesis,
    genesis_block: Block,
    genesis_changes: Changes,
    ethereum: V,
    mempool: Mempool,
    index: Index,
    outputs: Mutex<HashMap<Digest, (u64, Arc<BlockOutput>)>>,
    tip: watch::Sender<Tip>,
    fatal: tokio::sync::mpsc::UnboundedSender<String>,
}

/// The first block: no transactions; the genesis state is written by block 1.
pub fn genesis_block(
    genesis: &Genesis,
    executor: &Executor,
    leader: PublicKey,
    state: StateCommitment,
) -> Result<Block, mileverse_primitives::genesis::GenesisError> {
    let empty = alloy::consensus::EMPTY_ROOT_HASH;
    let header = Header {
        outbox_root: executor.genesis_outbox_root(),
        parent: genesis.hash()?,
        height: 0,
        timestamp_ms: genesis.timestamp_ms,
        gas_limit: genesis.gas_limit,
        gas_used: 0,
        transactions_root: empty,
        receipts_root: empty,
        logs_bloom: Default::default(),
        state,
        turn: Turn {
            epoch: 0,
            view: 0,
            parent_view: 0,
            leader: B256::from_slice(&leader),
        },
        checkpoint: None,
    };
    Ok(Block::new(header, Vec::new(), leader))
}

/// What [`Application::new`] puts together.
pub struct Parts<V> {
    /// State transitions.
    pub executor: Executor,
    /// The network's beginning.
    pub genesis: Genesis,
    /// Block 0.
    pub genesis_block: Block,
    /// This validator's Ethereum.
    pub ethereum: V,
    /// Transactions that wait.
    pub mempool: Mempool,
    /// Derived data for JSON-RPC.
    pub index: Index,
    /// Moved with every final block.
    pub tip: watch::Sender<Tip>,
    /// Told when the node cannot go on.
    pub fatal: tokio::sync::mpsc::UnboundedSender<String>,
}

impl<V: EthereumView> Application<V> {
    /// An application over its parts.
    pub fn new(parts: Parts<V>) -> Self {
        Self {
            shared: Arc::new(Shared {
                genesis_changes: parts.executor.genesis_changes(),
                executor: parts.executor,
                genesis: parts.genesis,
                genesis_block: parts.genesis_block,
                ethereum: parts.ethereum,
                mempool: parts.mempool,
                index: parts.index,
                outputs: Mutex::default(),
                tip: parts.tip,
                fatal: parts.fatal,
            }),
        }
    }

    /// The genesis state, which block 1 finds below it and writes.
    fn overlay(&self, height: u64) -> Option<&Changes> {
        (height == 1).then_some(&self.shared.genesis_changes)
    }

    fn remember(&self, digest: Digest, height: u64, output: BlockOutput) {
        self.shared
            .outputs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(digest, (height, Arc::new(output)));
    }

    fn recall(&self, digest: &Digest, height: u64) -> Option<Arc<BlockOutput>> {
        let mut outputs = self
            .shared
            .outputs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = outputs.remove(digest).map(|(_, output)| output);
        outputs.retain(|_, (other, _)| *other > height);
        found
    }

    fn input(&self, parent: &Header, parent_digest: B256, block: &Plan) -> BlockInput {
        BlockInput {
            height: parent.height.saturating_add(1),
            timestamp_ms: block.timestamp_ms,
            gas_limit: self.shared.genesis.gas_limit,
            parent: parent_digest,
            beneficiary: beneficiary(block.leader),
            checkpoint: block.checkpoint,
            new_key: None,
        }
    }

    async fn seal<E: StorageContext + Spawner>(
        &self,
        batch: Batch<E>,
        height: u64,
        output: &BlockOutput,
    ) -> Option<Merkleized<E>> {
        let batch = match self.overlay(height) {
            Some(genesis) => state::write::<E>(batch, genesis),
            None => batch,
        };
        match state::write::<E>(batch, &output.changes).merkleize().await {
            Ok(merkleized) => Some(merkleized),
            Err(error) => {
                tracing::warn!(%error, height, "the state could not be merkleized");
                None
            }
        }
    }

    /// Waits until the block's time has come and there is something to put in it.
    async fn wait_for_turn<E: Clock>(&self, runtime: &E, parent: &Header) {
        let genesis = &self.shared.genesis;
        let until = |delay: u64| {
            let due = parent.timestamp_ms.saturating_add(delay);
            Duration::from_millis(due.saturating_sub(milliseconds(runtime)))
        };
        runtime.sleep(until(genesis.block_time_ms)).await;
        let idle = pin!(runtime.sleep(until(genesis.idle_block_time_ms)));
        let ready = pin!(self.shared.mempool.ready());
        select(ready, idle).await;
    }
}

struct Plan {
    timestamp_ms: u64,
    leader: B256,
    checkpoint: Option<Checkpoint>,
}

/// A validator's account for tips: the last 20 bytes of its key's keccak256.
fn beneficiary(leader: B256) -> Address {
    Address::from_word(mileverse_primitives::keccak256(leader))
}

fn milliseconds<E: Clock>(runtime: &E) -> u64 {
    runtime.current().epoch_millis()
}

impl<E, V> StatefulApplication<E> for Application<V>
where
    E: StorageContext + Spawner + Clock,
    V: EthereumView,
{
    type SigningScheme = Scheme;
    type Context = BlockContext;
    type Block = Block;
    type Databases = Databases<E>;
    type Captured = ();
    type Provider = ();
    type Input = ();

    fn sync_targets(block: &Block) -> <Databases<E> as DatabaseSet<E>>::SyncTargets {
        let state = block.header.state;
        Target::new(
            block::digest(state.root),
            non_empty_range!(state.start.into(), state.end.into()),
        )
    }

    async fn genesis(&mut self) -> Block {
        self.shared.genesis_block.clone()
    }

    async fn propose(
        &mut self,
        (runtime, context): (E, BlockContext),
        mut ancestry: impl Ancestry<Block>,
        batch: Batch<E>,
        _input: Input<(), ()>,
    ) -> Option<Proposed<Self, E>> {
        let parent = ancestry.next().await?;
        let parent = parent.inner();
        let parent_digest = block::word(&parent.digest());
        self.wait_for_turn(&runtime, &parent.header).await;

        let height = parent.header.height.checked_add(1)?;
        let reader = BatchReader::<E> {
            batch: &batch,
            overlay: self.overlay(height),
        };
        let known = self.shared.executor.latest_checkpoint(&reader).await.ok()?;
        let least = parent
            .header
            .timestamp_ms
            .saturating_add(self.shared.genesis.block_time_ms);
        let turn = Block::turn(&context);
        let mut plan = Plan {
            timestamp_ms: milliseconds(&runtime).max(least),
            leader: turn.leader,
            checkpoint: self
                .shared
                .ethereum
                .newest()
                .filter(|newest| newest.number > known),
        };
        let candidates = self
            .shared
            .mempool
            .candidates(MAX_TRANSACTIONS, MAX_BLOCK_BYTES);
        let executor = &self.shared.executor;
        let mut built = executor
            .build(
                &reader,
                self.input(&parent.header, parent_digest, &plan),
                candidates.clone(),
            )
            .await;
        // The chain may know better than this endpoint; its header is left out then.
        if let (Err(BlockError::Invalid(reason)), Some(offered)) = (&built, plan.checkpoint) {
            tracing::warn!(
                number = offered.number,
                reason,
                "the chain does not take this endpoint's checkpoint"
            );
            plan.checkpoint = None;
            built = executor
                .build(
                    &reader,
                    self.input(&parent.header, parent_digest, &plan),
                    candidates,
                )
                .await;
        }
        let (transactions, output, _) = match built {
            Ok(built) => built,
            Err(error) => {
                tracing::warn!(%error, height, "no block could be built");
                return None;
            }
        };
        let merkleized = self.seal::<E>(batch, height, &output).await?;
        let bounds = merkleized.bounds();
        let header = Header {
            outbox_root: output.outbox_root,
            parent: parent_digest,
            height,
            timestamp_ms: plan.timestamp_ms,
            gas_limit: self.shared.genesis.gas_limit,
            gas_used: output.gas_used,
            transactions_root: output.transactions_root,
            receipts_root: output.receipts_root,
            logs_bloom: output.logs_bloom,
            state: StateCommitment {
                root: block::word(&merkleized.root()),
                start: *bounds.inactivity_floor,
                end: *bounds.tip.size,
            },
            turn,
            checkpoint: plan.checkpoint,
        };
        let raw = transactions
            .iter()
            .map(|transaction| transaction.raw().0.clone())
            .collect();
        let block = Block::new(header, raw, context.leader);
        self.remember(block.digest(), height, output);
        Some(Proposed { block, merkleized })
    }

    async fn process(
        &mut self,
        (_, context): (E, BlockContext),
        mut ancestry: impl Ancestry<Block>,
        batch: Batch<E>,
        _finality: Finality,
    ) -> Option<Merkleized<E>> {
        let block = ancestry.next().await?;
        let block = block.inner();
        let parent = ancestry.next().await?;
        let parent = parent.inner();
        let header = &block.header;
        let genesis = &self.shared.genesis;
        let refuse = |reason: &str| {
            tracing::warn!(height = header.height, reason, "block refused");
        };
        if header.parent != block::word(&parent.digest())
            || header.height != parent.height().get().checked_add(1)?
            || header.turn != Block::turn(&context)
            || header.gas_limit != genesis.gas_limit
        {
            refuse("it does not follow its parent");
            return None;
        }
        let least = parent
            .header
            .timestamp_ms
            .checked_add(genesis.block_time_ms)?;
        if header.timestamp_ms < least {
            refuse("it comes too soon after its parent");
            return None;
        }
        let Ok(transactions) = block
            .transactions
            .iter()
            .map(|raw| Transaction::decode(raw, genesis.chain_id))
            .collect::<Result<Vec<_>, _>>()
        else {
            refuse("a transaction is not valid");
            return None;
        };
        let plan = Plan {
            timestamp_ms: header.timestamp_ms,
            leader: header.turn.leader,
            checkpoint: header.checkpoint,
        };
        let reader = BatchReader::<E> {
            batch: &batch,
            overlay: self.overlay(header.height),
        };
        let input = self.input(&parent.header, header.parent, &plan);
        let output = match self
            .shared
            .executor
            .execute(&reader, input, &transactions)
            .await
        {
            Ok(output) => output,
            Err(BlockError::Invalid(reason)) => {
                refuse(&reason);
                return None;
            }
            Err(error) => {
                tracing::warn!(%error, height = header.height, "a block could not be executed here");
                return None;
            }
        };
        if output.outbox_root != header.outbox_root
            || output.gas_used != header.gas_used
            || output.transactions_root != header.transactions_root
            || output.receipts_root != header.receipts_root
            || output.logs_bloom != header.logs_bloom
        {
            refuse("its result is not what execution gives here");
            return None;
        }
        let merkleized = self.seal::<E>(batch, header.height, &output).await?;
        self.remember(block.digest(), header.height, output);
        Some(merkleized)
    }

    async fn capture(
        &mut self,
        _context: (E, BlockContext),
        _block: &Block,
        _batch: &Merkleized<E>,
        _readers: Reader<StateDb<E>>,
    ) {
    }

    async fn finalized(
        &mut self,
        _context: (E, BlockContext),
        block: &Block,
        _captured: (),
        _readers: Reader<StateDb<E>>,
    ) {
        let digest = block.digest();
        let height = block.header.height;
        let written = match self.recall(&digest, height) {
            Some(output) => {
                let senders = output
                    .receipts
                    .iter()
                    .map(|receipt| (receipt.sender, receipt.nonce.saturating_add(1)))
                    .collect::<Vec<_>>();
                let written = self.shared.index.append(Record {
                    block,
                    digest: block::word(&digest),
                    output: &output,
                });
                self.shared.mempool.on_final(senders);
                written
            }
            // A block that the index already has was executed before a restart.
            None if self.shared.index.has(block::word(&digest)) => Ok(()),
            None => Err(crate::index::IndexError::Gap(height)),
        };
        if let Err(error) = written {
            // Never acknowledge a block that JSON-RPC could not serve after a restart.
            let _ = self
                .shared
                .fatal
                .send(format!("block {height} cannot be indexed: {error}"));
            futures::future::pending::<()>().await;
        }
        self.shared.tip.send_replace(Tip {
            header: block.header.clone(),
            digest: block::word(&digest),
        });
    }
}
