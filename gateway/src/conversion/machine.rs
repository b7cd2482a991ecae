//! The machine: moves one conversion as far as it goes, from whatever row it finds.
//!
//! Only one task moves a given conversion at a time: its run of the gateway has claimed the job
//! ([`crate::store::jobs`]), and in the run the task holds the conversion's lease. The rows guard
//! themselves all the same: every move says from which state, and does nothing if the row is
//! elsewhere.

use super::ask::{Beginning, MadeQuote, Refused};
use super::state::State;
use super::together::Signing;
use super::{news, programme::Programme};
use crate::clock::{day, now_ms};
use crate::config::{Batches, Retry};
use crate::custody;
use crate::desk::{BrokenOff, Desk, Failure, Turns};
use crate::float::{self, top_up::Seller};
use crate::issuer::chain::{Chain, ChainError};
use crate::issuer::signer::{Issuer, SignerError};
use crate::journal::{self, GATEWAY, Kind, Posting};
use crate::metrics::Metrics;
use crate::operator::CaseKind;
use crate::reconcile::run::Rules as Reconciliation;
use crate::rewards::Rewards;
use crate::store::Connection;
use crate::store::cases::{self, Opening};
use crate::store::conversions::{self, Change, Conversion, Transition};
use crate::store::idempotency::{self, Answered, Key, Stored};
use crate::store::issues::{self, Outcome};
use crate::store::jobs::Claimant;
use crate::store::partners::free_day;
use crate::store::write::Commit;
use crate::store::{Store, to_sql};
use crate::vault::Vault;
use crate::webhook::deliver::Sender;
use alloy::primitives::Address;
use mileverse_trace::{Spec, Tracer, here, note};
use rand::Rng;
use std::collections::{BTreeMap, HashMap, HashSet};
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
    /// Where those meet whom a key issues for: one for each of the keys.
    signing: Vec<Signing>,
    /// Issuers whose nonce this run has asked the chain for and stored.
    nonces: Mutex<HashSet<Address>>,
    /// How those are answered whose request began a conversion, by its id.
    answers: Mutex<HashMap<String, Answer>>,
    /// Whoever waits for a conversion to be settled.
    waiting: Mutex<HashMap<String, watch::Sender<Option<Arc<Settled>>>>>,
    /// Where idempotency keys meet that are claimed.
    pub(crate) keys: Desk<Key, bool, sqlx::Error>,
    /// Where quotes meet that are made.
    pub(super) quotes: Desk<MadeQuote, (), sqlx::Error>,
    /// Where conversions meet that begin.
    pub(super) beginnings: Desk<Beginning, Conversion, Refused>,
    /// Where all other moves meet.
    moves: Desk<Move, Option<Arc<Settled>>, StepError>,
}

/// A conversion as a move left it.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The row.
    pub conversion: Conversion,
    /// The answer that was stored with it, to the request that began it.
    pub answer: Option<Stored>,
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
#[derive(Clone, Debug)]
pub struct Move {
    /// The conversion as it was found.
    pub conversion: Conversion,
    /// Where it goes.
    pub to: State,
    /// What changes with it.
    pub change: Change,
    /// What is posted, if anything.
    pub posting: Option<Kind>,
    /// What became of signed transactions, by hash.
    pub settled: Vec<(String, Outcome)>,
    /// Who moves it.
    pub by: String,
    /// The trace that it belongs to, if it is traced.
    pub trace: Option<String>,
}

impl Move {
    /// A move that the gateway makes by itself, as a part of the trace that runs.
    pub fn of(conversion: &Conversion, to: State, change: Change, posting: Option<Kind>) -> Self {
        Self {
            conversion: conversion.clone(),
            to,
            change,
            posting,
            settled: Vec::new(),
            by: GATEWAY.to_owned(),
            trace: here(),
        }
    }
}

/// Somebody who waits for a conversion to be settled, and whose request is answered with it.
#[derive(Debug)]
pub struct Waiter {
    machine: Arc<Machine>,
    id: String,
    changes: watch::Receiver<Option<Arc<Settled>>>,
    /// It waits since before the conversion could be seen, so that it missed nothing.
    pub(super) is_new: bool,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut answers = self
            .machine
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        answers.remove(&self.id);
        drop(answers);
        let mut waiting = self
            .machine
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // This one is the last if the sender has no other receiver.
        if waiting
            .get(&self.id)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            waiting.remove(&self.id);
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

impl Waiter {
    /// Waits until the conversion is settled, or until the deadline; gives what it is then. `None` if there
    /// is none.
    pub async fn settled(&mut self, deadline: Instant) -> Result<Option<Settled>, sqlx::Error> {
        loop {
            if let Some(settled) = self.changes.borrow_and_update().as_deref() {
                return Ok(Some(settled.clone()));
            }
            let until = deadline.min(Instant::now() + PEEK);
            if std::mem::replace(&mut self.is_new, true)
                && let Ok(Ok(())) = time::timeout_at(until, self.changes.changed()).await
            {
                continue;
            }
            // Another replica moves it, or somebody who tells nobody: what counts is the row.
            let found = self.machine.store.conversion(&self.id).await?;
            let is_over = |found: &Conversion| found.state.is_settled();
            if Instant::now() >= deadline || found.as_ref().is_none_or(is_over) {
                return Ok(found.map(|conversion| Settled {
                    conversion,
                    answer: None,
                }));
            }
        }
    }
}

/// Whether a move ends a conversion for which nothing was taken in the end.
const fn came_to_nothing(step: &Move) -> bool {
    matches!(step.to, State::Refused | State::Reversed)
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

    /// Moves a row, posts to the journal and settles signed transactions, all or nothing.
    pub(super) async fn advance(&self, step: Move) -> Result<Step, StepError> {
        // If somebody else moved the row, the next look finds out how.
        Ok(match self.try_advance(step).await? {
            Some(conversion) => Step::Now(Box::new(conversion)),
            None => Step::Moved,
        })
    }

    /// As [`advance`](Self::advance); what the row is now, if it was this call that moved it.
    pub(super) async fn try_advance(&self, step: Move) -> Result<Option<Conversion>, StepError> {
        let (id, from, to) = (step.conversion.id.clone(), step.conversion.state, step.to);
        let pass = || std::future::ready(Ok(()));
        let moved = self
            .moves
            .join(step, pass, |(), all| self.advance_all(all))
            .await?;
        let Some(settled) = moved else {
            return Ok(None);
        };
        self.moved(&id, from, to);
        self.tell_settled(&settled);
        Ok(Some(settled.conversion.clone()))
    }

    async fn advance_all(
        &self,
        all: Vec<Arc<Move>>,
    ) -> Result<(Vec<Option<Arc<Settled>>>, Commit<StepError>), StepError> {
        let steps: Vec<_> = all.iter().map(Arc::as_ref).collect();
        let mut write = self.store.write().await?;
        let moved = self
            .advance_in(&mut write, &steps, self.store.now())
            .await?;
        // If none moved nothing was written, but who moved it may share this commit: after it, all is
        // seen.
        Ok((moved, write.last()))
    }

    /// Moves rows and writes all that belongs to the moves, in a transaction. For each, what the row is now;
    /// `None` if it was not where it was found.
    ///
    /// Rows that others want too are locked in one order, as everywhere: days' limits, then floats, each by
    /// name.
    pub(crate) async fn advance_in(
        &self,
        connection: &mut Connection,
        steps: &[&Move],
        now: i64,
    ) -> Result<Vec<Option<Arc<Settled>>>, StepError> {
        let mut ids = HashSet::with_capacity(steps.len());
        for step in steps {
            let id = &step.conversion.id;
            if !ids.insert(id.as_str()) {
                let why = "it is moved twice at once".to_owned();
                return Err(StepError::Row {
                    id: id.clone(),
                    why,
                });
            }
        }
        let transitions: Vec<_> = steps
            .iter()
            .map(|step| Transition {
                id: &step.conversion.id,
                from: step.conversion.state,
                to: step.to,
                change: &step.change,
            })
            .collect();
        let mut rows = conversions::transition(connection, &transitions, now).await?;
        let moved: Vec<_> = steps
            .iter()
            .copied()
            .filter(|step| rows.contains_key(&step.conversion.id))
            .collect();
        self.undo(connection, &moved).await?;
        let postings = self.postings(connection, &moved).await?;
        journal::write(connection, &postings, now).await?;
        news::tell(connection, &moved, now).await?;
        let settled = moved.iter().flat_map(|step| &step.settled);
        let settled: BTreeMap<_, _> = settled.map(|(hash, end)| (hash, *end)).collect();
        for (hash, outcome) in settled {
            issues::settle(connection, hash, outcome).await?;
        }
        for step in &moved {
            // Operators close their case themselves, in the same transaction.
            if step.conversion.state == State::Disputed && step.by == GATEWAY {
                let (id, kind) = (&step.conversion.id, CaseKind::ReversalUnacknowledged.name());
                cases::close_about(connection, kind, id, "answered", GATEWAY, now).await?;
            }
        }
        let mut answers = self.answer_in(connection, &moved, &rows).await?;
        for step in &moved {
            if step.to == State::Attention {
                let reason = step.change.reason.as_ref();
                let facts = reason.map(|(code, why)| format!("{code}: {why}"));
                let facts = facts.unwrap_or_else(|| "no reason is stored".to_owned());
                self.open_case(
                    connection,
                    &step.conversion,
                    CaseKind::Attention,
                    &facts,
                    now,
                )
                .await?;
            }
        }
        let of = |step: &&Move| {
            let conversion = rows.remove(&step.conversion.id)?;
            let answer = answers.remove(&conversion.id);
            Some(Arc::new(Settled { conversion, answer }))
        };
        Ok(steps.iter().map(of).collect())
    }

    /// What moves post. Uses what floats had set aside.
    async fn postings<'a>(
        &self,
        connection: &mut Connection,
        moved: &[&'a Move],
    ) -> Result<Vec<Posting<'a>>, StepError> {
        let mut postings = Vec::new();
        let mut issued = Vec::new();
        for step in moved {
            let conversion = &step.conversion;
            if let Some(kind) = step.posting {
                postings.push(Posting::of(conversion, kind, &step.by)?);
                if kind == Kind::Issued {
                    issued.push(conversion);
                }
            }
            if came_to_nothing(step) && conversion.held.0 > 0 {
                postings.push(float::released(conversion)?);
            }
        }
        if self.keeps_wallets && !issued.is_empty() {
            postings.extend(custody::entrusted(connection, &issued).await?);
        }
        Ok(postings)
    }

    /// Stores the answers of those who wait for these moves, by conversion.
    async fn answer_in(
        &self,
        connection: &mut Connection,
        moved: &[&Move],
        rows: &HashMap<String, Conversion>,
    ) -> Result<HashMap<String, Stored>, sqlx::Error> {
        let mut made = Vec::new();
        for step in moved.iter().filter(|step| step.to.is_settled()) {
            let id = &step.conversion.id;
            let answer = {
                let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
                answers.get(id).cloned()
            };
            if let (Some(answer), Some(row)) = (answer, rows.get(id))
                && let Some(stored) = (answer.make)(row.clone())?
            {
                made.push((id, answer.key, stored));
            }
        }
        if made.is_empty() {
            return Ok(HashMap::new());
        }
        let answers: Vec<_> = made
            .iter()
            .map(|(_, key, answer)| Answered {
                key,
                made: None,
                answer,
            })
            .collect();
        let ours = idempotency::answer(connection, &answers).await?;
        let is_ours = |key: &Key| ours.contains(&(key.partner.clone(), key.key.clone()));
        Ok(made
            .into_iter()
            .filter(|(_, key, _)| is_ours(key))
            .map(|(id, _, stored)| (id.clone(), stored))
            .collect())
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

    /// What conversions took up is free again if they came to nothing, and used if they were issued.
    async fn undo(&self, connection: &mut Connection, moved: &[&Move]) -> Result<(), StepError> {
        let mut days = Vec::new();
        for step in moved.iter().filter(|step| came_to_nothing(step)) {
            let conversion = &step.conversion;
            if let Some(programme) = self.programmes.get(&conversion.programme) {
                let miles = to_sql(conversion.miles)?;
                for (name, _) in programme.daily(&conversion.partner, &conversion.member_id) {
                    days.push((day(conversion.created_at), name, miles));
                }
            }
        }
        days.sort();
        for (day, name, miles) in days {
            free_day(connection, day, &name, miles).await?;
        }
        let holds = |step: &&&Move| step.conversion.held.0 > 0;
        let mut floats: Vec<_> = moved.iter().filter(holds).collect();
        floats.sort_by_key(|step| &step.conversion.partner);
        for step in floats {
            if came_to_nothing(step) {
                float::release(connection, &step.conversion).await?;
            } else if step.posting == Some(Kind::Issued) {
                float::spend(connection, &step.conversion).await?;
            }
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
    }

    /// Tells whoever waits for a conversion, once it is settled and committed.
    pub(crate) fn tell_settled(&self, settled: &Arc<Settled>) {
        if settled.conversion.state.is_settled() {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waiting) = waiting.get(&settled.conversion.id) {
                waiting.send_replace(Some(Arc::clone(settled)));
            }
        }
    }

    /// Waits for a conversion to be settled, and has the request that began it answered then.
    pub fn wait_for(self: &Arc<Self>, id: &str, answer: Answer) -> Waiter {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(id.to_owned(), answer);
        drop(answers);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = waiting
            .entry(id.to_owned())
            .or_insert_with(|| watch::Sender::new(None))
            .subscribe();
        Waiter {
            machine: Arc::clone(self),
            id: id.to_owned(),
            changes,
            is_new: false,
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
