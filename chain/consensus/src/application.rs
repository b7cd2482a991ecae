//! What the validators agree on: building, checking and observing blocks.
//!
//! | moment | what happens |
//! |---|---|
//! | propose | wait for the block's time, take candidates from the mempool, the delegates' attestations and perhaps an Ethereum checkpoint, execute, commit to the result in the header, sign it |
//! | process | check the leader's signature and the header against its parent, execute, compare every root |
//! | capture | before a final block's state is applied: write the block to the index |
//! | finalized | clear the mempool, attest the result, move the tip |
//!
//! A block that others have finalized and whose result is another one here means that this node's
//! software or disk differs from theirs. The node says so and stops; it never goes on from a state
//! of its own.
//!
//! Everything here is the same on every machine. What depends on this machine, its clock and its
//! Ethereum endpoint, is asked before the first vote, in `consensus::witness`.

use crate::watch;
use crate::{
    block::{self, Block, BlockContext, Digest, Directory, EpochInfo, Payload, PublicKey},
    committee::First,
    duties::Duties,
    ethereum::EthereumView,
    index::{Index, Record},
    mempool::{Mempool, recover},
    offer::Offers,
    rotation::{Rotation, handover},
    signature,
    stages::{self, Stage},
    state::{self, Batch, BatchReader, Databases, Merkleized, StateDb},
    system::System,
};
use commonware_consensus::simplex::scheme::bls12381_threshold::standard;
use commonware_consensus::{Heightable as _, marshal::ancestry::Ancestry};
use commonware_cryptography::{Digestible as _, bls12381::primitives::variant::MinSig, ed25519};
use commonware_glue::{
    dkg::reshare::Input as CeremonyInput,
    stateful::{
        Application as StatefulApplication, Finality, Input, Proposed,
        db::{DatabaseSet, Merkleized as _, Reader, Unmerkleized as _},
    },
};
use commonware_runtime::{Clock, Spawner};
use commonware_storage::{Context as StorageContext, qmdb::sync::Target};
use commonware_utils::{SystemTimeExt as _, non_empty_range};
use futures::{StreamExt as _, future::select};
use mileverse_execution::{
    BlockError, BlockInput, BlockOutput, Changes, Executor, TransactionOutcome,
};
use mileverse_primitives::{
    Address, B256,
    address::SYSTEM,
    checkpoint::Checkpoint,
    genesis::{Genesis, GenesisError},
    header::{Header, StateCommitment, Turn},
    vote::{Attestation, SIGNATURE_LENGTH},
};
use std::{
    collections::{BTreeSet, HashMap},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use thiserror::Error;

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
    duties: Duties,
    executor: Executor,
    genesis: Genesis,
    genesis_block: Block,
    genesis_changes: Changes,
    ethereum: V,
    offers: Mutex<Offers>,
    mempool: Mempool,
    index: Index,
    rotation: Rotation,
    outputs: Mutex<HashMap<Digest, (u64, Arc<BlockOutput>)>>,
    tip: watch::Sender<Tip>,
    fatal: tokio::sync::mpsc::UnboundedSender<String>,
}

/// The first block: no transactions, and who takes part in epoch 0. The genesis state is written by
/// block 1.
pub fn genesis_block(
    genesis: &Genesis,
    executor: &Executor,
    first: &First,
    state: StateCommitment,
) -> Result<Block, GenesisBlockError> {
    let (leader, _) = first.members.first().ok_or(GenesisBlockError::Nobody)?;
    let system = System {
        payload: Some(Payload::EpochInfo(first.epoch_info())),
        endorsements: Vec::new(),
        attestations: Vec::new(),
    };
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
        system_root: system.root(),
        logs_bloom: Default::default(),
        state,
        turn: Turn {
            epoch: 0,
            view: 0,
            parent_view: 0,
            leader: B256::from_slice(leader),
        },
        checkpoint: None,
    };
    Ok(Block::new(
        header,
        [0; SIGNATURE_LENGTH],
        Vec::new(),
        system,
        leader.clone(),
    ))
}

/// Why there is no first block.
#[derive(Debug, Error)]
pub enum GenesisBlockError {
    /// The genesis file has no hash.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// Its committee is empty.
    #[error("a committee needs a member")]
    Nobody,
}

/// What [`Application::new`] puts together.
pub struct Parts<V> {
    /// What this node answers for with its own key.
    pub duties: Duties,
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
    /// A new group key, when one is ready.
    pub rotation: Rotation,
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
                duties: parts.duties,
                genesis_changes: parts.executor.genesis_changes(),
                executor: parts.executor,
                genesis: parts.genesis,
                genesis_block: parts.genesis_block,
                ethereum: parts.ethereum,
                offers: Mutex::default(),
                mempool: parts.mempool,
                index: parts.index,
                rotation: parts.rotation,
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

    fn offers(&self) -> MutexGuard<'_, Offers> {
        self.shared
            .offers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

    fn input(
        &self,
        parent: &Header,
        parent_digest: B256,
        block: &Plan,
        system: &System,
    ) -> BlockInput {
        block::input(
            system,
            parent.height.saturating_add(1),
            block.timestamp_ms,
            self.shared.genesis.gas_limit,
            parent_digest,
            block.checkpoint,
            block.turn,
        )
    }

    /// Whether a block of this height is its epoch's last.
    fn is_last(&self, height: u64) -> bool {
        height
            .checked_add(1)
            .is_some_and(|next| next.is_multiple_of(self.shared.genesis.epoch_blocks))
    }

    /// Whether the ceremony's part of a block may stand at its height. That it is also the right
    /// one is checked by the ceremony's own rules, around this application.
    fn payload_fits(&self, height: u64, payload: Option<&Payload>) -> bool {
        let opens = match payload {
            Some(Payload::EpochInfo(EpochInfo { epoch, .. })) => Some(epoch.get()),
            _ => None,
        };
        let due = self
            .is_last(height)
            .then(|| height / self.shared.genesis.epoch_blocks)
            .and_then(|epoch| epoch.checked_add(1));
        opens == due
    }

    /// Puts a new group key, if one is ready, in the place of the reshared one.
    fn hand_over(&self, mut system: System) -> System {
        if let Some(Payload::EpochInfo(derived)) = system.payload.clone() {
            let handover = derived
                .epoch
                .previous()
                .and_then(|epoch| self.shared.rotation.handover(epoch.get()));
            let (info, endorsements) = handover::apply(derived, handover);
            system.payload = Some(Payload::EpochInfo(info));
            system.endorsements = endorsements;
        }
        system
    }

    /// Says why this node cannot go on, and waits for its end.
    async fn stop(&self, reason: String) -> ! {
        tracing::error!(reason, "this node must stop");
        let _ = self.shared.fatal.send(reason);
        futures::future::pending().await
    }

    async fn seal<E: StorageContext + Spawner>(
        &self,
        batch: Batch<E>,
        height: u64,
        output: &BlockOutput,
    ) -> Result<Merkleized<E>, String> {
        let merkleizing = async {
            let batch = match self.overlay(height) {
                Some(genesis) => state::write::<E>(batch, genesis),
                None => batch,
            };
            state::write::<E>(batch, &output.changes).merkleize().await
        };
        stages::during(Stage::Merkleize, merkleizing)
            .await
            .map_err(|error| error.to_string())
    }

    /// What a block claims about itself, held against its parent. A final block was seen by an
    /// honest delegate with a good signature; the copy at hand may carry another.
    fn check_claims(
        &self,
        context: &BlockContext,
        block: &Block,
        parent: &Block,
        finality: Finality,
    ) -> Result<(), &'static str> {
        let header = &block.header;
        let genesis = &self.shared.genesis;
        if header.parent != block::word(&parent.digest())
            || Some(header.height) != parent.height().get().checked_add(1)
            || header.turn != Block::turn(context)
            || header.gas_limit != genesis.gas_limit
        {
            return Err("it does not follow its parent");
        }
        let least = parent
            .header
            .timestamp_ms
            .checked_add(genesis.block_time_ms);
        if least.is_none_or(|least| header.timestamp_ms < least) {
            return Err("it comes too soon after its parent");
        }
        if !self.payload_fits(header.height, block.system.payload.as_ref()) {
            return Err("it is an epoch's last block and does not open the next, or the reverse");
        }
        if finality == Finality::Finalized {
            return Ok(());
        }
        if !signature::proposal_is_signed(genesis.chain_id, header, &block.signature) {
            return Err("its leader did not sign it");
        }
        let attestations = &block.system.attestations;
        if !signature::attestations_are_signed(genesis.chain_id, attestations) {
            return Err("an attestation in it is not signed by its delegate");
        }
        Ok(())
    }

    /// Executes a block and compares everything that its header commits to.
    async fn check<E: StorageContext + Spawner>(
        &self,
        context: &BlockContext,
        block: &Block,
        parent: &Block,
        batch: Batch<E>,
        finality: Finality,
    ) -> Result<(Merkleized<E>, BlockOutput), Refused> {
        self.check_claims(context, block, parent, finality)
            .map_err(|reason| Refused::Invalid(reason.into()))?;
        let header = &block.header;
        let chain_id = self.shared.genesis.chain_id;
        let transactions = recover::all(
            &block.transactions,
            chain_id,
            header.height,
            &self.shared.mempool,
        )
        .map_err(|error| Refused::Invalid(format!("a transaction is not valid: {error}")))?;
        let reader = BatchReader::<E> {
            batch: &batch,
            overlay: self.overlay(header.height),
        };
        let executing = self
            .shared
            .executor
            .execute(&reader, block.input(), &transactions);
        let output =
            stages::during(Stage::Execute, executing)
                .await
                .map_err(|error| match error {
                    BlockError::Invalid(reason) | BlockError::Fatal(reason) => {
                        Refused::Invalid(reason)
                    }
                    BlockError::Read(error) => Refused::Unknown(error.to_string()),
                })?;
        let differs = |what: &str| Refused::Invalid(format!("execution gives another {what}"));
        if output.outbox_root != header.outbox_root {
            return Err(differs("outbox"));
        }
        if output.gas_used != header.gas_used
            || output.receipts_root != header.receipts_root
            || output.logs_bloom != header.logs_bloom
        {
            return Err(differs("set of receipts"));
        }
        if output.transactions_root != header.transactions_root {
            return Err(differs("root of the transactions"));
        }
        let merkleized = self
            .seal::<E>(batch, header.height, &output)
            .await
            .map_err(Refused::Unknown)?;
        if commitment::<E>(&merkleized) != header.state {
            return Err(differs("state root"));
        }
        Ok((merkleized, output))
    }

    /// Whose words for which heights stand in `parent` and those blocks below it that are not final
    /// here: a leader does not include them again.
    async fn attested_before(
        &self,
        parent: &Block,
        ancestry: &mut impl Ancestry<Block>,
    ) -> BTreeSet<(u64, B256)> {
        let tip = self.shared.tip.borrow().header.height;
        let place = |one: &Attestation| (one.height, one.delegate);
        let mut places: BTreeSet<_> = parent.system.attestations.iter().map(place).collect();
        let mut height = parent.header.height;
        while height > tip {
            let Some(block) = ancestry.next().await else {
                break;
            };
            let block = block.inner();
            places.extend(block.system.attestations.iter().map(place));
            height = block.header.height;
        }
        places
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
    turn: Turn,
    checkpoint: Option<Checkpoint>,
}

/// Says in the log who signs the next epoch.
fn report_epoch(info: &EpochInfo) {
    let epoch = info.epoch.get();
    let members = info.output.players().len();
    let players = info.players.len();
    if block::next_epoch(info).succeeded {
        let revealed = info.output.revealed().len();
        tracing::info!(
            epoch,
            members,
            players,
            revealed,
            "the ceremony succeeded; its players sign the next epoch"
        );
    } else {
        tracing::warn!(
            epoch,
            members,
            players,
            "the ceremony failed; the committee stays"
        );
    }
}

/// Why a block has no result here.
enum Refused {
    /// It breaks a rule, here and everywhere.
    Invalid(String),
    /// This machine could not tell.
    Unknown(String),
}

/// The next nonces of those who sent something in a block.
fn next_nonces(output: &BlockOutput) -> Vec<(Address, u64)> {
    let next = |one: &TransactionOutcome| (one.sender, one.nonce.saturating_add(1));
    let sent = output.receipts.iter().filter(|one| one.sender != SYSTEM);
    sent.map(next).collect()
}

/// What a header says of a state.
fn commitment<E: StorageContext + Spawner>(state: &Merkleized<E>) -> StateCommitment {
    StateCommitment {
        root: block::word(&state.root()),
        operations_root: block::word(&state.ops_root()),
        start: *state.sync_boundary(),
        end: *state.bounds().tip.size,
    }
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
    type Captured = Vec<(Address, u64)>;
    type Provider = ();
    type Input = CeremonyInput<(), MinSig, ed25519::PrivateKey, Directory>;

    fn sync_targets(block: &Block) -> <Databases<E> as DatabaseSet<E>>::SyncTargets {
        let state = block.header.state;
        Target::new(
            block::digest(state.operations_root),
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
        input: Input<Self::Input, ()>,
    ) -> Option<Proposed<Self, E>> {
        let parent = ancestry.next().await?;
        let parent = parent.inner();
        let parent_digest = block::word(&parent.digest());
        let attested = self.attested_before(parent, &mut ancestry).await;
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
        let reshared = System {
            payload: input.upstream.payload,
            endorsements: Vec::new(),
            attestations: self.shared.duties.attestations(height, &attested),
        };
        let mut system = self.hand_over(reshared.clone());
        let mut plan = Plan {
            timestamp_ms: milliseconds(&runtime).max(least),
            turn,
            checkpoint: self.offers().choose(self.shared.ethereum.newest(), known),
        };
        let limits = self.shared.genesis.limits();
        let candidates = self
            .shared
            .mempool
            .candidates(limits.transactions(), limits.bytes());
        let executor = &self.shared.executor;
        let built = loop {
            let building = executor.build(
                &reader,
                self.input(&parent.header, parent_digest, &plan, &system),
                candidates.clone(),
            );
            let built = stages::during(Stage::Execute, building).await;
            // The chain may know better than this endpoint or this pool; what they offered is left
            // out then.
            match &built {
                Err(BlockError::Invalid(reason)) if plan.checkpoint.is_some() => {
                    tracing::warn!(height, reason, "built again without a checkpoint");
                    plan.checkpoint = None;
                    self.offers().withdraw();
                }
                Err(BlockError::Invalid(reason)) if !system.attestations.is_empty() => {
                    tracing::warn!(height, reason, "built again without attestations");
                    system.attestations.clear();
                }
                // The epoch must end, with the new key or without it.
                Err(BlockError::Invalid(reason)) if !system.endorsements.is_empty() => {
                    tracing::error!(height, reason, "the chain does not take the new group key");
                    system = System {
                        attestations: Vec::new(),
                        ..reshared.clone()
                    };
                }
                _ => break built,
            }
        };
        let (transactions, output) = match built {
            Ok((transactions, output, dead)) => {
                self.shared.mempool.forget(&dead);
                (transactions, output)
            }
            Err(error) => {
                tracing::warn!(%error, height, "no block could be built");
                return None;
            }
        };
        let merkleized = match self.seal::<E>(batch, height, &output).await {
            Ok(merkleized) => merkleized,
            Err(error) => {
                tracing::warn!(%error, height, "the state could not be merkleized");
                return None;
            }
        };
        let header = Header {
            outbox_root: output.outbox_root,
            parent: parent_digest,
            height,
            timestamp_ms: plan.timestamp_ms,
            gas_limit: self.shared.genesis.gas_limit,
            gas_used: output.gas_used,
            transactions_root: output.transactions_root,
            receipts_root: output.receipts_root,
            system_root: system.root(),
            logs_bloom: output.logs_bloom,
            state: commitment::<E>(&merkleized),
            turn,
            checkpoint: plan.checkpoint,
        };
        let raw = transactions
            .iter()
            .map(|transaction| transaction.raw().0.clone())
            .collect();
        let signature = match self.shared.duties.proposer.sign(&turn, header.digest()) {
            Ok(signature) => signature,
            Err(error) => {
                tracing::error!(%error, height, "this turn is lost");
                return None;
            }
        };
        let block = Block::new(header, signature, raw, system, context.leader);
        self.remember(block.digest(), height, output);
        Some(Proposed { block, merkleized })
    }

    async fn process(
        &mut self,
        (_, context): (E, BlockContext),
        mut ancestry: impl Ancestry<Block>,
        batch: Batch<E>,
        finality: Finality,
    ) -> Option<Merkleized<E>> {
        let block = ancestry.next().await?;
        let block = block.inner();
        let parent = ancestry.next().await?;
        let parent = parent.inner();
        let height = block.header.height;
        match (
            self.check(&context, block, parent, batch, finality).await,
            finality,
        ) {
            (Ok((merkleized, output)), _) => {
                self.remember(block.digest(), height, output);
                Some(merkleized)
            }
            (Err(Refused::Invalid(reason)), Finality::Candidate) => {
                tracing::warn!(height, reason, "block refused");
                None
            }
            (Err(Refused::Invalid(reason)), Finality::Finalized) => {
                self.stop(format!(
                    "block {height} is final, but its result is another one here: {reason}. This node's software or its data differs from the others'. Install the release that they run; if it is the same, remove the data directory and sync again"
                ))
                .await
            }
            // Nothing is known about the block: neither a vote for it nor one against it. If the
            // others make it final, it comes again below.
            (Err(Refused::Unknown(reason)), Finality::Candidate) => {
                tracing::warn!(height, reason, "the state could not be read for a proposed block; not voting");
                futures::future::pending().await
            }
            (Err(Refused::Unknown(reason)), Finality::Finalized) => {
                self.stop(format!(
                    "the state could not be read to execute block {height}: {reason}. Check the disk, then start the node again"
                ))
                .await
            }
        }
    }

    async fn capture(
        &mut self,
        _context: (E, BlockContext),
        block: &Block,
        _batch: &Merkleized<E>,
        _readers: Reader<StateDb<E>>,
    ) -> Self::Captured {
        let digest = block.digest();
        let height = block.header.height;
        let written = match self.recall(&digest, height) {
            Some(output) => {
                let record = Record {
                    block,
                    digest: block::word(&digest),
                    output: &output,
                };
                stages::within(Stage::Persist, || self.shared.index.append(record))
                    .map(|()| next_nonces(&output))
            }
            // A block that the index already has was executed before a restart.
            None if self.shared.index.has(block::word(&digest)) => Ok(Vec::new()),
            None => Err(crate::index::IndexError::Gap(height)),
        };
        match written {
            Ok(senders) => senders,
            // Never apply a state whose block JSON-RPC could not serve after a restart.
            Err(error) => {
                self.stop(format!("block {height} cannot be indexed: {error}"))
                    .await
            }
        }
    }

    async fn finalized(
        &mut self,
        _context: (E, BlockContext),
        block: &Block,
        senders: Self::Captured,
        _readers: Reader<StateDb<E>>,
    ) {
        self.shared.mempool.on_final(senders);
        if let Some(info) = block.opens() {
            report_epoch(info);
        }
        // Before the tip moves: a leader asks for what stands above the tip itself.
        self.shared.duties.on_final(block);
        self.shared.tip.send_replace(Tip {
            header: block.header.clone(),
            digest: block::word(&block.digest()),
        });
    }
}
