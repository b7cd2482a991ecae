//! The machine: moves one conversion as far as it goes, from whatever row it finds.
//!
//! Only one task moves a given conversion at a time: its run of the gateway has claimed the job
//! ([`crate::store::jobs`]), and in the run the task holds the conversion's lease. The rows guard
//! themselves all the same: every move says from which state, and does nothing if the row is
//! elsewhere.

use super::state::State;
use super::together::{Desk, NotSigned};
use super::{news, programme::Programme};
use crate::clock::{day, now_ms};
use crate::config::{Batches, Retry};
use crate::custody;
use crate::float::{self, top_up::Seller};
use crate::issuer::chain::{Chain, ChainError};
use crate::issuer::signer::{Issuer, SignerError};
use crate::journal::{self, GATEWAY, Kind};
use crate::metrics::Metrics;
use crate::operator::CaseKind;
use crate::reconcile::run::Rules as Reconciliation;
use crate::rewards::Rewards;
use crate::store::Connection;
use crate::store::cases::{self, Opening};
use crate::store::conversions::{self, Change, Conversion};
use crate::store::idempotency::{self, Key, Stored};
use crate::store::issues::{self, Outcome};
use crate::store::jobs::Claimant;
use crate::store::partners::free_day;
use crate::store::{Store, to_sql};
use crate::vault::Vault;
use crate::webhook::deliver::Sender;
use alloy::primitives::Address;
use mileverse_trace::{Spec, Tracer, note};
use rand::Rng;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{self, Instant};

/// When the database fails, a conversion is left alone for so long.
const FAULT_PAUSE: Duration = Duration::from_secs(1);
/// Whoever waits for a conversion that another replica moves looks this often.
const PEEK: Duration = Duration::from_millis(250);
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
    /// The signature that it shared with others.
    #[error(transparent)]
    Together(#[from] NotSigned),
    /// This run of the gateway ends.
    #[error("the gateway ends")]
    Interrupted,
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
    /// The keys. A conversion keeps to one.
    pub issuers: Vec<Issuer>,
    /// How many are issued at once.
    pub batches: Batches,
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
    keeps_wallets: bool,
    /// Counts.
    pub metrics: Metrics,
    /// Begins traces.
    pub tracer: Tracer,
    /// This run of the gateway: the owner of jobs and of idempotency keys.
    pub run: String,
    /// A replica that is silent for so long is dead.
    pub replica_timeout: Duration,
    leases: Mutex<HashSet<String>>,
    /// One for each of the keys.
    desks: Vec<Desk>,
    /// Issuers whose nonce this run has asked the chain for and stored.
    nonces: Mutex<HashSet<Address>>,
    /// How those are answered whose request began a conversion, by its id.
    answers: Mutex<HashMap<String, Answer>>,
    /// Whoever waits for a conversion to be settled.
    waiting: Mutex<HashMap<String, watch::Sender<()>>>,
}

/// How a request is answered once its conversion is settled: in the transaction that settles it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request.
    pub key: Key,
    /// Its answer; none as long as there is none to be kept.
    pub make: fn(Conversion) -> Result<Option<Stored>, sqlx::Error>,
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

/// One move of a conversion, with all that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The conversion as it was found.
    pub conversion: &'a Conversion,
    /// Where it goes.
    pub to: State,
    /// What changes with it.
    pub change: &'a Change,
    /// What is posted, if anything.
    pub posting: Option<Kind>,
    /// What became of signed transactions.
    pub settled: &'a [(&'a str, Outcome)],
    /// Who moves it.
    pub by: &'a str,
}

/// Somebody who waits for a conversion to be settled.
struct Waiter<'a> {
    machine: &'a Machine,
    id: &'a str,
    changes: watch::Receiver<()>,
}

impl<'a> Waiter<'a> {
    fn new(machine: &'a Machine, id: &'a str) -> Self {
        let mut waiting = machine
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let changes = waiting
            .entry(id.to_owned())
            .or_insert_with(|| watch::Sender::new(()))
            .subscribe();
        Self {
            machine,
            id,
            changes,
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self
            .machine
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // This one is the last if the sender has no other receiver.
        if waiting
            .get(self.id)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            waiting.remove(self.id);
        }
    }
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
        Self {
            store: parts.store,
            chain: parts.chain,
            chain_id: parts.chain_id,
            desks: parts
                .issuers
                .iter()
                .map(|_| Desk::new(parts.batches))
                .collect(),
            issuers: parts.issuers,
            batches: parts.batches,
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
    pub(super) fn desk(&self, id: &str) -> Result<&Desk, StepError> {
        self.one_of(&self.desks, id)
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
            return self.drive(lease, false).await;
        }
        let parent = self.store.trace_of(&lease.id).await;
        let spec = || Spec::inside("conversion.resume").with(CONVERSION, lease.id.clone());
        let work = self.drive(lease, false);
        self.tracer.tree(parent.as_ref(), spec, work).await;
    }

    /// Moves a conversion until it is settled or has to wait. `moved`: whoever drives it has moved it
    /// just before.
    pub async fn drive(&self, lease: &Lease, mut moved: bool) {
        loop {
            let conversion = match self.store.conversion(&lease.id).await {
                Ok(Some(conversion)) if !conversion.state.is_settled() => conversion,
                // The move that settled it, a moment ago, took the job out.
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
                Ok(Step::Moved) => {
                    moved = true;
                    continue;
                }
                Ok(Step::Wait { absent_reads }) => (absent_reads, None),
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
        let now = self.store.now();
        let step = Move {
            conversion,
            to,
            change: &change,
            posting,
            settled,
            by: GATEWAY,
        };
        let mut transaction = self.store.write().await?;
        let moved = self.advance_in(&mut transaction, &step, now).await?;
        // If it did not move nothing was written, but who moved it may share this commit: after it,
        // all is seen.
        transaction.commit().await?;
        if moved {
            self.moved(&conversion.id, conversion.state, to);
        }
        Ok(moved)
    }

    /// Moves a row and writes all that belongs to the move, in a transaction. Whether the row was
    /// where it was found.
    pub(crate) async fn advance_in(
        &self,
        connection: &mut Connection,
        step: &Move<'_>,
        now: i64,
    ) -> Result<bool, StepError> {
        let (conversion, to) = (step.conversion, step.to);
        let (id, from) = (&conversion.id, conversion.state);
        if !conversions::transition(connection, id, from, to, step.change, now).await? {
            return Ok(false);
        }
        if let Some(kind) = step.posting {
            journal::post(connection, conversion, kind, step.by, now).await?;
            if kind == Kind::Issued && self.keeps_wallets {
                custody::entrust(connection, conversion, now).await?;
            }
        }
        if matches!(to, State::Refused | State::Reversed) {
            self.undo(connection, conversion, now).await?;
        }
        news::tell(connection, conversion, to, step.change, now).await?;
        for (hash, outcome) in step.settled {
            issues::settle(connection, hash, *outcome).await?;
        }
        // Operators close their case themselves, in the same transaction.
        if from == State::Disputed && step.by == GATEWAY {
            let kind = CaseKind::ReversalUnacknowledged.name();
            cases::close_about(connection, kind, id, "answered", GATEWAY, now).await?;
        }
        if to.is_settled() {
            self.answer_in(connection, id).await?;
        }
        if to == State::Attention {
            let reason = step.change.reason.as_ref();
            let facts = reason.map(|(code, why)| format!("{code}: {why}"));
            let facts = facts.unwrap_or_else(|| "no reason is stored".to_owned());
            self.open_case(connection, conversion, CaseKind::Attention, &facts, now)
                .await?;
        }
        Ok(true)
    }

    /// Whoever began this conversion is answered when it settles.
    pub fn answer_later(&self, id: &str, answer: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(id.to_owned(), answer);
    }

    /// Whoever began this conversion is answered otherwise.
    pub fn answer_no_more(&self, id: &str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.remove(id);
    }

    async fn answer_in(&self, connection: &mut Connection, id: &str) -> Result<(), sqlx::Error> {
        let answer = {
            let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.get(id).cloned()
        };
        let Some(answer) = answer else {
            return Ok(());
        };
        let row = conversions::row(connection, id).await?;
        if let Some(stored) = (answer.make)(row)? {
            idempotency::answer_once(connection, &answer.key, &stored).await?;
        }
        Ok(())
    }

    /// Lets a conversion wait for an operator, in the transaction that finds out, and last in it.
    pub(super) async fn open_case(
        &self,
        connection: &mut Connection,
        conversion: &Conversion,
        kind: CaseKind,
        facts: &str,
        now: i64,
    ) -> Result<(), sqlx::Error> {
        let opening = Opening {
            kind: kind.name(),
            programme: Some(&conversion.programme),
            subject: &conversion.id,
            facts,
        };
        cases::open(connection, &opening, GATEWAY, now).await
    }

    /// What a conversion took up is free again: it came to nothing.
    async fn undo(
        &self,
        connection: &mut Connection,
        conversion: &Conversion,
        now: i64,
    ) -> Result<(), StepError> {
        // In the order that they were taken in, so that nobody waits for somebody who waits.
        if let Some(programme) = self.programmes.get(&conversion.programme) {
            let miles = to_sql(conversion.miles)?;
            for (name, _) in programme.daily(&conversion.partner, &conversion.member_id) {
                free_day(connection, day(conversion.created_at), &name, miles).await?;
            }
        }
        if conversion.held.0 > 0 {
            float::release(connection, conversion, now).await?;
        }
        Ok(())
    }

    /// Tells everybody who waits.
    pub(crate) fn moved(&self, id: &str, from: State, to: State) {
        self.metrics.moved(to);
        // In a batch others' moves are made too; each notes its own end.
        note("mileverse.conversion.state", to.name());
        if to == State::Attention {
            tracing::error!(id, %from, "a conversion needs an operator");
        } else {
            tracing::info!(id, %from, %to, "conversion");
        }
        if to.is_settled() {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waiting) = waiting.get(id) {
                waiting.send_replace(());
            }
        }
    }

    /// Waits until a conversion is settled, or until the deadline; gives what it is then.
    pub async fn wait_settled(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<Conversion>, sqlx::Error> {
        let mut settled = Waiter::new(self, id);
        loop {
            let conversion = self.store.conversion(id).await?;
            if conversion
                .as_ref()
                .is_none_or(|found| found.state.is_settled())
            {
                return Ok(conversion);
            }
            if Instant::now() >= deadline {
                return Ok(conversion);
            }
            let until = deadline.min(Instant::now() + PEEK);
            // Woken or not: what counts is the row.
            let _ = time::timeout_at(until, settled.changes.changed()).await;
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
