//! The machine: moves one conversion as far as it goes, from whatever row it finds.
//!
//! Only one task moves a given conversion at a time: its run of the gateway has claimed the job
//! ([`crate::store::jobs`]), and in the run the task holds the conversion's lease. The rows guard
//! themselves all the same: every move says from which state, and does nothing if the row is
//! elsewhere.

use super::ask::{Beginning, MadeQuote, Refused};
use super::moves::{Move, Moved};
use super::offered::Offered;
use super::programme::Programme;
use super::state::State;
use super::together::Signing;
use super::waiter::Answer;
use crate::clock::now_ms;
use crate::config::{Batches, Retry};
use crate::custody;
use crate::desk::{BrokenOff, Desk, Failure, Turns};
use crate::float::top_up::Seller;
use crate::issuer::chain::{Chain, ChainError};
use crate::issuer::signer::{Issuer, SignerError};
use crate::metrics::Metrics;
use crate::reconcile::run::Rules as Reconciliation;
use crate::rewards::Rewards;
use crate::store::Store;
use crate::store::conversions::{self, Conversion};
use crate::store::idempotency::Key;
use crate::store::jobs::Claimant;
use crate::vault::Vault;
use crate::webhook::deliver::Sender;
use alloy::primitives::Address;
use mileverse_trace::{Spec, Tracer};
use rand::Rng;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time;

/// When the database fails, a conversion is left alone for so long.
const FAULT_PAUSE: Duration = Duration::from_secs(1);
/// The attribute of spans that names a conversion.
pub(super) const CONVERSION: &str = "mileverse.conversion.id";

/// Why a step led nowhere. It is tried again.
#[derive(Debug, Error)]
pub enum StepError {
    /// The database.
    #[error("the database failed: {0}")]
    Store(#[from] sqlx::Error),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The key.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// It was done together with others.
    #[error(transparent)]
    BrokenOff(#[from] BrokenOff),
    /// A row that should not be possible.
    #[error("conversion {id}: {why}")]
    Row {
        /// Which.
        id: String,
        /// What is wrong.
        why: String,
    },
}

impl Failure for StepError {
    fn is_of_one(&self) -> bool {
        match self {
            Self::Store(error) => error.is_of_one(),
            Self::Row { .. } => true,
            Self::Chain(_) | Self::Signer(_) | Self::BrokenOff(_) => false,
        }
    }
}

/// What a step came to.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The row moved, and this is what it is now.
    Now(Box<Conversion>),
    /// The row moved, or somebody moved it: look again.
    Moved,
    /// Nothing yet; come again later. Carries the count of "not found" answers that count.
    Wait { absent_reads: u32 },
}

/// Everything a conversion needs.
#[derive(Debug)]
pub struct Machine {
    /// The database.
    pub store: Store,
    /// The chain.
    pub chain: Chain,
    /// Its id, which signatures are bound to.
    pub chain_id: u64,
    /// The keys. A conversion keeps to one.
    pub issuers: Vec<Issuer>,
    /// What can be converted.
    pub programmes: HashMap<String, Programme>,
    /// When to try again.
    pub retry: Retry,
    /// Sells points for floats, if this gateway does.
    pub seller: Option<Seller>,
    /// Tells partners what happened.
    pub sender: Sender,
    /// Seals personal data.
    pub vault: Vault,
    /// When and how strictly is reconciled.
    pub reconciliation: Reconciliation,
    /// Sees to the quarterly rewards, if this gateway does.
    pub rewards: Option<Rewards>,
    /// What wallets may do, if this gateway keeps any.
    pub custody: Option<custody::Rules>,
    /// Whether there may be wallets: it keeps some, or did.
    pub(super) keeps_wallets: bool,
    /// Counts.
    pub metrics: Metrics,
    /// Begins traces.
    pub tracer: Tracer,
    /// This run of the gateway: the owner of jobs and of idempotency keys.
    pub run: String,
    /// A replica that is silent for so long is dead.
    pub replica_timeout: Duration,
    leases: Mutex<HashSet<String>>,
    /// Where those meet whom a key issues for: one for each of the keys.
    signing: Vec<Signing>,
    /// Issuers whose nonce this run has asked the chain for and stored.
    nonces: Mutex<HashSet<Address>>,
    /// How those are answered whose request began a conversion, by its id.
    pub(super) answers: Mutex<HashMap<String, Answer>>,
    /// Whoever waits for a conversion to be settled.
    pub(super) waiting: Mutex<HashMap<String, watch::Sender<Option<Arc<Moved>>>>>,
    /// Where idempotency keys meet that are claimed.
    pub(crate) keys: Desk<Key, bool, sqlx::Error>,
    /// Where quotes meet that are made.
    pub(super) quotes: Desk<MadeQuote, (), sqlx::Error>,
    /// Quotes that were made here and not used yet.
    pub(super) offered: Offered,
    /// Where conversions meet that begin.
    pub(super) beginnings: Desk<Beginning, Conversion, Refused>,
    /// Where all other moves meet.
    pub(super) moves: Desk<Move, Option<Arc<Moved>>, StepError>,
}

/// What a machine is made of; see the fields of [`Machine`].
#[derive(Debug)]
pub struct Parts {
    /// This run of the gateway.
    pub run: String,
    /// The database.
    pub store: Store,
    /// The chain.
    pub chain: Chain,
    /// Its id.
    pub chain_id: u64,
    /// The keys.
    pub issuers: Vec<Issuer>,
    /// How many are issued at once.
    pub batches: Batches,
    /// What can be converted.
    pub programmes: Vec<Programme>,
    /// When to try again.
    pub retry: Retry,
    /// Sells points for floats.
    pub seller: Option<Seller>,
    /// Tells partners what happened.
    pub sender: Sender,
    /// Seals personal data.
    pub vault: Vault,
    /// When and how strictly is reconciled.
    pub reconciliation: Reconciliation,
    /// Sees to the quarterly rewards.
    pub rewards: Option<Rewards>,
    /// Begins traces.
    pub tracer: Tracer,
    /// What wallets may do.
    pub custody: Option<custody::Rules>,
    /// Whether there are wallets already.
    pub has_wallets: bool,
    /// A replica that is silent for so long is dead.
    pub replica_timeout: Duration,
}

/// The right to move one conversion.
#[derive(Debug)]
pub struct Lease {
    machine: Arc<Machine>,
    id: String,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut leases = self
            .machine
            .leases
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        leases.remove(&self.id);
    }
}

impl Machine {
    /// Puts it together.
    pub fn new(parts: Parts) -> Self {
        let programmes = parts
            .programmes
            .into_iter()
            .map(|programme| (programme.name.clone(), programme))
            .collect();
        let turns = match parts.store.is_shared() {
            true => Turns::UntilLasting,
            false => Turns::UntilDone,
        };
        Self {
            store: parts.store,
            chain: parts.chain,
            chain_id: parts.chain_id,
            signing: parts
                .issuers
                .iter()
                .map(|_| Signing::new(parts.batches, turns))
                .collect(),
            issuers: parts.issuers,
            programmes,
            retry: parts.retry,
            seller: parts.seller,
            sender: parts.sender,
            vault: parts.vault,
            reconciliation: parts.reconciliation,
            rewards: parts.rewards,
            keeps_wallets: parts.custody.is_some() || parts.has_wallets,
            custody: parts.custody,
            metrics: Metrics::new(parts.tracer.counts()),
            tracer: parts.tracer,
            run: parts.run,
            replica_timeout: parts.replica_timeout,
            leases: Mutex::default(),
            nonces: Mutex::default(),
            answers: Mutex::default(),
            waiting: Mutex::default(),
            keys: Desk::new(turns),
            quotes: Desk::new(turns),
            offered: Offered::default(),
            beginnings: Desk::new(turns),
            moves: Desk::new(turns),
        }
    }

    /// Whether there may be wallets that the gateway keeps.
    pub(crate) const fn keeps_wallets(&self) -> bool {
        self.keeps_wallets
    }

    /// This run, as it claims jobs and keys now.
    pub fn claimant(&self) -> Claimant<'_> {
        let patience = i64::try_from(self.replica_timeout.as_millis()).unwrap_or(i64::MAX);
        Claimant {
            run: &self.run,
            now: self.store.now(),
            // Of the machines' own clocks, as beats are.
            alive_since: now_ms().saturating_sub(patience),
        }
    }

    /// The key that issues for a conversion: always the same of the same keys, so that a second
    /// signature meets the first one's nonce.
    pub fn issuer(&self, id: &str) -> Result<&Issuer, StepError> {
        self.one_of(&self.issuers, id)
    }

    /// Where those meet whom that key issues for.
    pub(super) fn signing(&self, id: &str) -> Result<&Signing, StepError> {
        self.one_of(&self.signing, id)
    }

    fn one_of<'a, T>(&self, all: &'a [T], id: &str) -> Result<&'a T, StepError> {
        let sum = id.bytes().fold(0usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(byte))
        });
        sum.checked_rem(self.issuers.len())
            .and_then(|at| all.get(at))
            .ok_or_else(|| StepError::Row {
                id: id.to_owned(),
                why: "there is no issuer's key".to_owned(),
            })
    }

    pub(super) fn knows_nonce(&self, issuer: Address) -> bool {
        let nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.contains(&issuer)
    }

    pub(super) fn learn_nonce(&self, issuer: Address) {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.insert(issuer);
    }

    /// Takes the lease on a conversion; `None` if somebody has it.
    pub fn lease(self: &Arc<Self>, id: &str) -> Option<Lease> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.insert(id.to_owned()).then(|| Lease {
            machine: Arc::clone(self),
            id: id.to_owned(),
        })
    }

    /// Whether nobody moves anything.
    pub fn is_quiet(&self) -> bool {
        self.leases
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Goes on with a conversion from its row, as a part of the trace that it began in.
    pub async fn resume(&self, lease: &Lease) {
        if !self.tracer.is_on() {
            return self.drive(lease, None).await;
        }
        let parent = self.store.trace_of(&lease.id).await;
        let spec = || Spec::inside("conversion.resume").with(CONVERSION, lease.id.clone());
        let work = self.drive(lease, None);
        self.tracer.tree(parent.as_ref(), spec, work).await;
    }

    /// Moves a conversion until it is settled or has to wait. `begun`: what its first step came to, if
    /// whoever drives it has made one just before.
    pub(super) async fn drive(&self, lease: &Lease, mut begun: Option<Step>) {
        loop {
            let known = match begun.take() {
                Some(Step::Now(conversion)) => Some(*conversion),
                Some(_) | None => None,
            };
            // The move that settled it, a moment ago, took the job out.
            let moved = known.is_some();
            let found = match known {
                Some(conversion) => Ok(Some(conversion)),
                None => self.store.conversion(&lease.id).await,
            };
            let conversion = match found {
                Ok(Some(conversion)) if !conversion.state.is_settled() => conversion,
                Ok(_) if moved => return,
                Ok(_) => {
                    self.forget_job(&lease.id).await;
                    return;
                }
                Err(error) => {
                    tracing::error!(id = lease.id, %error, "a conversion cannot be read");
                    time::sleep(FAULT_PAUSE).await;
                    return;
                }
            };
            let (absent_reads, error) = match self.step(&conversion).await {
                Ok(Step::Wait { absent_reads }) => (absent_reads, None),
                Ok(moved) => {
                    begun = Some(moved);
                    continue;
                }
                Err(error) => {
                    tracing::warn!(id = conversion.id, state = %conversion.state,
                        attempts = conversion.attempts, %error, "a step failed; it is tried again");
                    (conversion.absent_reads, Some(error.to_string()))
                }
            };
            let due = self.next_due(conversion.attempts);
            let deferred =
                self.store
                    .defer(&conversion, &self.run, absent_reads, due, error.as_deref());
            if let Err(error) = deferred.await {
                tracing::error!(id = conversion.id, %error, "a wait cannot be recorded");
                time::sleep(FAULT_PAUSE).await;
            }
            return;
        }
    }

    /// A job whose conversion is settled has nothing left to do. The move that settled it takes
    /// it out; this is for a row that was found settled.
    async fn forget_job(&self, id: &str) {
        let forgotten = async {
            let mut write = self.store.write().await?;
            conversions::forget_settled(&mut write, id).await?;
            write.commit().await
        };
        if let Err(error) = forgotten.await {
            tracing::warn!(id, %error, "a job that is done cannot be taken out; it is found again");
        }
    }

    async fn step(&self, conversion: &Conversion) -> Result<Step, StepError> {
        match conversion.state {
            State::Created => self.abandon(conversion).await,
            State::Debiting => self.doubt(conversion).await,
            State::DebitUnknown => self.inquire(conversion).await,
            State::Debited => self.sign(conversion).await,
            State::Issuing => self.issue(conversion).await,
            State::Reversing => self.reverse(conversion).await,
            State::Disputed => self.give_back(conversion).await,
            State::Completed
            | State::Refused
            | State::Reversed
            | State::Returned
            | State::Attention => Ok(Step::Moved),
        }
    }

    /// When to come again after so many tries: doubled each time, with a little chance so that
    /// many conversions do not come back at once.
    pub(crate) fn next_due(&self, attempts: u32) -> i64 {
        let factor = 1u32.checked_shl(attempts.min(20)).unwrap_or(u32::MAX);
        let wait = self
            .retry
            .first
            .saturating_mul(factor)
            .min(self.retry.longest);
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let wait = wait.saturating_add(rand::rng().random_range(0..=wait / 8));
        self.store
            .now()
            .saturating_add(i64::try_from(wait).unwrap_or(i64::MAX))
    }

    pub(super) fn programme(&self, conversion: &Conversion) -> Result<&Programme, StepError> {
        self.programmes
            .get(&conversion.programme)
            .ok_or_else(|| StepError::Row {
                id: conversion.id.clone(),
                why: format!(
                    "programme {:?} is not configured any more",
                    conversion.programme
                ),
            })
    }

    /// How long the worker may sleep when nothing wakes it.
    pub(super) fn idle(&self) -> Duration {
        self.retry
            .first
            .min(Duration::from_secs(1))
            .max(Duration::from_millis(20))
    }
}
