//! The machine: moves one conversion as far as it goes, from whatever row it finds.
//!
//! Only one task moves a given conversion at a time: it holds the conversion's lease, which is in
//! memory because one gateway has the database to itself. The rows guard themselves all the same:
//! every move says from which state, and does nothing if the row is elsewhere.

use super::programme::Programme;
use super::state::State;
use crate::clock::now_ms;
use crate::config::Retry;
use crate::issuer::chain::{Chain, ChainError};
use crate::issuer::signer::{Issuer, SignerError};
use crate::journal::{self, Kind};
use crate::store::Store;
use crate::store::conversions::{self, Change, Conversion};
use crate::store::issues::{self, Outcome};
use rand::Rng;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{self, Instant};

/// When the database fails, a conversion is left alone for so long.
const FAULT_PAUSE: Duration = Duration::from_secs(1);

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
    /// A row that should not be possible.
    #[error("conversion {id}: {why}")]
    Row {
        /// Which.
        id: String,
        /// What is wrong.
        why: String,
    },
}

/// What a step came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
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
    /// The key.
    pub issuer: Issuer,
    /// What can be converted.
    pub programmes: HashMap<String, Programme>,
    /// When to try again.
    pub retry: Retry,
    /// This run of the gateway, for idempotency keys.
    pub run: String,
    leases: Mutex<HashSet<String>>,
    /// Moves so far; whoever waits for a conversion looks again when it changes.
    moves: watch::Sender<u64>,
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
    pub fn new(
        store: Store,
        chain: Chain,
        chain_id: u64,
        issuer: Issuer,
        programmes: Vec<Programme>,
        retry: Retry,
    ) -> Self {
        let programmes = programmes
            .into_iter()
            .map(|programme| (programme.name.clone(), programme))
            .collect();
        Self {
            store,
            chain,
            chain_id,
            issuer,
            programmes,
            retry,
            run: crate::ids::run(),
            leases: Mutex::default(),
            moves: watch::Sender::new(0),
        }
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

    /// Moves a conversion until it is settled or has to wait.
    pub async fn drive(&self, lease: &Lease) {
        loop {
            let conversion = match self.store.conversion(&lease.id).await {
                Ok(Some(conversion)) if !conversion.state.is_settled() => conversion,
                Ok(_) => return,
                Err(error) => {
                    tracing::error!(id = lease.id, %error, "a conversion cannot be read");
                    time::sleep(FAULT_PAUSE).await;
                    return;
                }
            };
            let absent_reads = match self.step(&conversion).await {
                Ok(Step::Moved) => continue,
                Ok(Step::Wait { absent_reads }) => absent_reads,
                Err(error) => {
                    tracing::warn!(id = conversion.id, state = %conversion.state,
                        attempts = conversion.attempts, %error, "a step failed; it is tried again");
                    conversion.absent_reads
                }
            };
            let due = self.next_due(conversion.attempts);
            if let Err(error) = self.store.defer(&conversion, absent_reads, due).await {
                tracing::error!(id = conversion.id, %error, "a wait cannot be recorded");
                time::sleep(FAULT_PAUSE).await;
            }
            return;
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
            State::Completed | State::Refused | State::Reversed | State::Attention => {
                Ok(Step::Moved)
            }
        }
    }

    /// When to come again after so many tries: doubled each time, with a little chance so that
    /// many conversions do not come back at once.
    fn next_due(&self, attempts: u32) -> i64 {
        let factor = 1u32.checked_shl(attempts.min(20)).unwrap_or(u32::MAX);
        let wait = self
            .retry
            .first
            .saturating_mul(factor)
            .min(self.retry.longest);
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let wait = wait.saturating_add(rand::rng().random_range(0..=wait / 8));
        now_ms().saturating_add(i64::try_from(wait).unwrap_or(i64::MAX))
    }

    /// Moves a row, posts to the journal and settles signed transactions, all or nothing.
    pub(super) async fn advance(
        &self,
        conversion: &Conversion,
        to: State,
        change: Change,
        posting: Option<Kind>,
        settled: &[(&str, Outcome)],
    ) -> Result<Step, StepError> {
        // If somebody else moved the row, the next look finds out how.
        self.try_advance(conversion, to, change, posting, settled)
            .await
            .map(|_| Step::Moved)
    }

    /// As [`advance`](Self::advance), and says whether it was this call that moved the row.
    pub(super) async fn try_advance(
        &self,
        conversion: &Conversion,
        to: State,
        change: Change,
        posting: Option<Kind>,
        settled: &[(&str, Outcome)],
    ) -> Result<bool, StepError> {
        let now = now_ms();
        let mut transaction = self.store.write().await?;
        let from = conversion.state;
        let moved =
            conversions::transition(&mut transaction, &conversion.id, from, to, &change, now)
                .await?;
        if !moved {
            return Ok(false);
        }
        if let Some(kind) = posting {
            journal::post(&mut transaction, conversion, kind, now).await?;
        }
        for (hash, outcome) in settled {
            issues::settle(&mut transaction, hash, *outcome).await?;
        }
        transaction.commit().await?;
        self.moved(&conversion.id, from, to);
        Ok(true)
    }

    /// Tells everybody who waits.
    pub(super) fn moved(&self, id: &str, from: State, to: State) {
        if to == State::Attention {
            tracing::error!(id, %from, "a conversion needs an operator");
        } else {
            tracing::info!(id, %from, %to, "conversion");
        }
        self.moves
            .send_modify(|moves| *moves = moves.wrapping_add(1));
    }

    /// Waits until a conversion is settled, or until the deadline; gives what it is then.
    pub async fn wait_settled(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<Conversion>, sqlx::Error> {
        let mut moves = self.moves.subscribe();
        loop {
            moves.borrow_and_update();
            let conversion = self.store.conversion(id).await?;
            if conversion
                .as_ref()
                .is_none_or(|found| found.state.is_settled())
            {
                return Ok(conversion);
            }
            let changed = time::timeout_at(deadline, moves.changed()).await;
            if !matches!(changed, Ok(Ok(()))) {
                return self.store.conversion(id).await;
            }
        }
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
