//! What a node answers for with its own key, and what it holds others to: one handle for the parts
//! that consensus and the application touch.
//!
//! | part | what it does | file in the data directory |
//! |---|---|---|
//! | `proposal::Proposer` | signs at most one header for a view | `proposed` |
//! | `attestation::Pool` | attests final results, collects the others' words | |
//! | `equivocation::Watch` | compares the headers that leaders sign | |
//! | `evidence::Store` | keeps what both find | `evidence.json` |
//! | `Committees` | who signs and leads which epoch | |
//!
//! Everything but the two files is rebuilt from the newest final blocks when the node starts.

use crate::{
    attestation::{self, Pool, Rules},
    block::{self, Block},
    committees::Committees,
    equivocation::{self, Watch},
    evidence::{Evidence, Store, StoreError},
    index::{Index, IndexError},
    proposal::{Proposer, SignedHeader, SigningError},
};
use commonware_cryptography::{Digestible as _, ed25519};
use commonware_runtime::Metrics;
use mileverse_primitives::{B256, genesis::Genesis, vote::Attestation};
use std::{collections::BTreeSet, num::NonZeroU64, path::Path};
use thiserror::Error;

/// Epochs after which the chain knows the digest of an attested height no more.
const DIGEST_EPOCHS: u64 = 2;

/// What the parts are made from.
pub struct Setup<'a> {
    /// The network's beginning.
    pub genesis: &'a Genesis,
    /// Its hash.
    pub genesis_hash: B256,
    /// Block 0, which the index does not hold.
    pub genesis_block: &'a Block,
    /// This node's own key.
    pub identity: ed25519::PrivateKey,
    /// Where the files are.
    pub directory: &'a Path,
    /// Final blocks.
    pub index: &'a Index,
}

/// Why the parts could not be made.
#[derive(Debug, Error)]
pub enum DutiesError {
    /// The memory of what was signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The evidence.
    #[error(transparent)]
    Evidence(#[from] StoreError),
    /// The final blocks.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A length of zero.
    #[error("the genesis file has epochs without blocks, or attests every zeroth of them")]
    Lengths,
}

/// All parts; clones share them.
#[derive(Clone)]
pub struct Duties {
    /// Signs this node's headers.
    pub proposer: Proposer,
    /// Attestations.
    pub pool: Pool,
    /// Headers of one view.
    pub watch: Watch,
    /// What was found.
    pub evidence: Store,
    committees: Committees,
    unbonding_epochs: u64,
}

impl Duties {
    /// Opens the files, and reads the newest final blocks again.
    ///
    /// # Errors
    ///
    /// When a file is damaged or cannot be read.
    pub fn open<E: Metrics>(context: &E, setup: Setup<'_>) -> Result<Self, DutiesError> {
        let genesis = setup.genesis;
        let lengths = (
            NonZeroU64::new(genesis.epoch_blocks),
            NonZeroU64::new(genesis.staking.attestation_interval),
        );
        let (Some(epoch_blocks), Some(interval)) = lengths else {
            return Err(DutiesError::Lengths);
        };
        let rules = Rules {
            chain_id: genesis.chain_id,
            epoch_blocks,
            interval,
        };
        let file = |name: &str| setup.directory.join(name);
        let proposer = Proposer::open(&file("proposed"), genesis.chain_id, setup.identity.clone())?;
        let evidence = Store::open(&file("evidence.json"), genesis.chain_id)?;
        let committees = Committees::new(setup.genesis_hash);
        let newest = setup.index.newest()?;
        let newest = newest.as_ref().unwrap_or(setup.genesis_block);
        let pool = Pool::new(
            rules,
            committees.clone(),
            evidence.clone(),
            attestation::Metrics::new(&context.child("attestation")),
            Some(setup.identity.clone()),
        );
        let watch = Watch::new(equivocation::Config {
            chain_id: genesis.chain_id,
            committees: committees.clone(),
            evidence: evidence.clone(),
            metrics: equivocation::Metrics::new(&context.child("equivocation")),
            start: newest.header.turn,
        });
        let duties = Self {
            proposer,
            pool,
            watch,
            evidence,
            committees,
            unbonding_epochs: genesis.staking.unbonding_epochs,
        };
        duties.replay(&setup, rules, newest.header.height)?;
        Ok(duties)
    }

    /// Learns again what the newest final blocks told before a restart.
    fn replay(&self, setup: &Setup<'_>, rules: Rules, tip: u64) -> Result<(), DutiesError> {
        self.enter(setup.genesis_block);
        let next = tip.saturating_add(1);
        let blocks = rules.epoch_blocks.get();
        let epoch = rules.epoch_of(next);
        for epoch in epoch.saturating_sub(1)..=epoch {
            // The block before an epoch's first one opens it.
            if let Some(height) = epoch.saturating_mul(blocks).checked_sub(1)
                && let Some(opening) = indexed(setup.index, height)?
            {
                self.enter(&opening);
            }
        }
        for height in rules.floor(next).max(1)..=tip {
            if let Some(block) = indexed(setup.index, height)? {
                self.on_final(&block);
            }
        }
        Ok(())
    }

    /// Learns who signs the epoch that a block opens, if it opens one.
    fn enter(&self, block: &Block) {
        if let Some(info) = block.opens() {
            let members = block::keys(info.output.players().iter());
            if let Err(error) = self.committees.enter(info.epoch.get(), &members) {
                tracing::error!(%error, epoch = info.epoch.get(), "an epoch's committee is none");
            }
        }
    }

    /// Who signs and leads which epoch, as far as it is known here.
    pub fn committees(&self) -> Committees {
        self.committees.clone()
    }

    /// Tells of a final block that this node has executed and written to its index.
    pub fn on_final(&self, block: &Block) {
        self.enter(block);
        let digest = block::word(&block.digest());
        self.pool
            .on_final(block.header.height, digest, &block.system.attestations);
        self.watch.on_final(&signed(block));
        if let Some(info) = block.opens() {
            let now = info.epoch.get();
            self.evidence.retain(|evidence| {
                let kept = match evidence {
                    Evidence::DoubleProposal { .. } => self.unbonding_epochs,
                    Evidence::FalseAttestation(_) => DIGEST_EPOCHS,
                };
                evidence.epoch().saturating_add(kept) >= now
            });
        }
    }

    /// A proposal with a good signature that this node is about to vote on.
    pub fn on_proposal(&self, block: &Block) {
        self.watch.on_proposal(&signed(block));
    }

    /// What the leader of a block at `height` includes; see [`Pool::candidates`].
    pub fn attestations(&self, height: u64, already: &BTreeSet<(u64, B256)>) -> Vec<Attestation> {
        self.pool.candidates(height, already)
    }
}

fn signed(block: &Block) -> SignedHeader {
    SignedHeader {
        header: block.header.clone(),
        signature: block.signature,
    }
}

/// A final block by height; none if this node fetched a later state and lacks what came before.
fn indexed(index: &Index, height: u64) -> Result<Option<Block>, IndexError> {
    match index.block(height) {
        Err(IndexError::Before { .. }) => Ok(None),
        other => other,
    }
}
