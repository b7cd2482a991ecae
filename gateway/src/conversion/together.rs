//! Issuing together when it is busy. Each issuer's key has a desk:
//!
//! ```txt
//! debited ──▶ waiting ──┐  whoever has the turn takes all who wait, up to the most of a batch
//! debited ──▶ waiting ──┼─▶ [turn]  one commit: rows to issuing, nonce, signed bytes, entries
//! debited ──▶ waiting ──┘     │     the turn is over: the next may sign
//!                             ▼
//!                         broadcast, watch ──▶ everybody is told the receipt, and settles alone
//! ```
//!
//! One alone waits for nobody and is signed as a plain `issue`. Several become one `issueBatch`,
//! whose entries the chain does or leaves out one by one, so that none can spoil another. While a
//! commit is under way or [`Batches::in_flight`] transactions of the key are not final yet, those who
//! come wait, and the batch grows: one nonce, one signature, one wait for the disk for all of them.
//!
//! The desk is memory only and nothing depends on it. Who waits is `debited` in the database, who
//! was signed is `issuing` with its bytes stored; after a crash each is taken up from its row.

use super::flight::{self, Flight};
use super::issue::{Signed, end_of};
use super::machine::{Machine, Step, StepError};
use super::state::State;
use crate::config::Batches;
use crate::issuer::chain::Receipt;
use crate::store::conversions::{self, Conversion};
use crate::store::issues::{self, IssueTransaction};
use mileverse_primitives::abi::IPoints::Issue;
use mileverse_trace::Timer;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tokio::sync::{MutexGuard, Semaphore, SemaphorePermit, oneshot};

/// Where conversions of one issuer's key meet.
#[derive(Debug)]
pub(super) struct Desk {
    waiting: Mutex<VecDeque<Waiting>>,
    signing: tokio::sync::Mutex<()>,
    flying: Semaphore,
}

/// One who waits to be signed for.
#[derive(Debug)]
struct Waiting {
    conversion: Conversion,
    issue: Issue,
    tell: oneshot::Sender<Told>,
}

/// What one who waited is told.
#[derive(Clone, Debug)]
enum Told {
    /// Its row was not `debited` any more.
    Elsewhere,
    /// Nothing was signed.
    Failed(Arc<StepError>),
    /// It was signed for and broadcast.
    Sent(Arc<Sent>),
}

/// A batch that was sent.
#[derive(Debug)]
struct Sent {
    transaction: IssueTransaction,
    /// As soon as it was seen; `None` if not in time.
    receipt: Option<Receipt>,
    /// When it was signed, from and to.
    signed: (Timer, Timer),
    flight: Option<Flight>,
}

/// Why one who waited was not signed for.
#[derive(Debug, Error)]
#[error("issuing together: {0}")]
pub struct NotSigned(Arc<StepError>);

/// The right to sign with a key, and after that one of the places of those that are watched.
pub(super) struct Turn<'a> {
    signing: Option<MutexGuard<'a, ()>>,
    _flying: SemaphorePermit<'a>,
}

impl Turn<'_> {
    /// The signature is stored: the next may sign.
    pub(super) fn signed(&mut self) {
        self.signing = None;
    }
}

impl Desk {
    pub(super) fn new(batches: Batches) -> Self {
        Self {
            waiting: Mutex::default(),
            signing: tokio::sync::Mutex::default(),
            flying: Semaphore::new(batches.in_flight.max(1)),
        }
    }

    /// The turn, if nobody has it or waits for it.
    pub(super) fn idle(&self) -> Option<Turn<'_>> {
        let flying = self.flying.try_acquire().ok()?;
        let signing = self.signing.try_lock().ok()?;
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_empty().then_some(Turn {
            signing: Some(signing),
            _flying: flying,
        })
    }

    async fn turn(&self) -> Result<Turn<'_>, StepError> {
        let flying = self.flying.acquire().await;
        let flying = flying.map_err(|_| StepError::Interrupted)?;
        Ok(Turn {
            signing: Some(self.signing.lock().await),
            _flying: flying,
        })
    }

    fn wait(&self, waiting: Waiting) {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_back(waiting);
    }

    fn take(&self, most: usize) -> Vec<Waiting> {
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = most.min(all.len());
        all.drain(..taken).collect()
    }
}

impl Machine {
    /// Signs for a conversion whose miles are taken, together with all who wait as well.
    pub(super) async fn sign(&self, conversion: &Conversion) -> Result<Step, StepError> {
        let desk = self.desk(&conversion.id)?;
        let (tell, mut answer) = oneshot::channel();
        desk.wait(Waiting {
            // Whoever cannot be signed for is found out here, not in the midst of others.
            issue: Self::agreed(conversion)?,
            conversion: conversion.clone(),
            tell,
        });
        let told = loop {
            let turn = tokio::select! {
                biased;
                told = &mut answer => break told,
                turn = desk.turn() => turn?,
            };
            let batch = desk.take(self.batches.entries.max(1));
            if batch.is_empty() {
                // Nobody waits, so somebody has taken this one too and will tell.
                drop(turn);
                break answer.await;
            }
            self.sign_batch(turn, batch).await;
        };
        match told.map_err(|_| StepError::Interrupted)? {
            Told::Elsewhere => Ok(Step::Moved),
            Told::Failed(why) => Err(StepError::Together(NotSigned(why))),
            Told::Sent(sent) => {
                let conversion = Conversion {
                    state: State::Issuing,
                    ..conversion.clone()
                };
                let receipt = sent.receipt.as_ref();
                let (began, stored) = sent.signed;
                began.span_to(stored, || flight::signed(&sent.transaction));
                if let Some(flight) = &sent.flight {
                    flight.tell(&sent.transaction, receipt);
                }
                self.seen(&conversion, &sent.transaction, receipt).await
            }
        }
    }

    async fn sign_batch(&self, mut turn: Turn<'_>, batch: Vec<Waiting>) {
        let began = Timer::start(&self.tracer);
        let signed = self.store_batch(&batch).await;
        let times = (began, began.lap());
        turn.signed();
        let told: Vec<Told> = match signed {
            Err(error) => vec![Told::Failed(Arc::new(error)); batch.len()],
            Ok((transaction, inside)) => {
                let sent = match transaction {
                    Some(transaction) => {
                        let (receipt, flight) = self.send_and_watch(&transaction).await;
                        Some(Arc::new(Sent {
                            transaction,
                            receipt,
                            signed: times,
                            flight,
                        }))
                    }
                    None => None,
                };
                let told = |inside: &bool| match (&sent, inside) {
                    (Some(sent), true) => Told::Sent(Arc::clone(sent)),
                    _ => Told::Elsewhere,
                };
                inside.iter().map(told).collect()
            }
        };
        drop(turn);
        for (waiting, told) in batch.into_iter().zip(told) {
            // Whoever is gone finds the row when it comes again.
            let _ = waiting.tell.send(told);
        }
    }

    /// Moves the rows, takes a nonce, signs and stores, in one commit. Gives the transaction, if it
    /// issues for anybody, and for each whether it is inside.
    async fn store_batch(
        &self,
        batch: &[Waiting],
    ) -> Result<(Option<IssueTransaction>, Vec<bool>), StepError> {
        let Some(first) = batch.first() else {
            return Ok((None, Vec::new()));
        };
        let key = self.issuer(&first.conversion.id)?;
        let chain_nonce = self.nonce_to_begin_with(key.address()).await?;
        let ids: Vec<_> = batch.iter().map(|one| one.conversion.id.as_str()).collect();
        let now = self.store.now();
        let mut write = self.store.write().await?;
        let moved = conversions::begin_issuing(&mut write, &self.store, &ids, now).await?;
        let inside: Vec<_> = ids.iter().map(|id| moved.contains(*id)).collect();
        let issues: Vec<_> = batch
            .iter()
            .zip(&inside)
            .filter(|(_, inside)| **inside)
            .map(|(one, _)| (one.conversion.id.as_str(), one.issue.clone()))
            .collect();
        if issues.is_empty() {
            // Who moved them may share this commit: after it, that is seen.
            write.commit().await?;
            return Ok((None, inside));
        }
        let signed = Signed {
            key,
            chain_nonce,
            issues: &issues,
        };
        let transaction = self.store_signature(&mut write, &signed, now).await?;
        write.commit().await?;
        self.learn_nonce(key.address());
        for (id, _) in &issues {
            self.moved(id, State::Debited, State::Issuing);
        }
        self.metrics.signed(issues.len());
        Ok((Some(transaction), inside))
    }

    /// Broadcasts stored bytes, watches for a while, and notes the transaction's end where it has
    /// several conversions: each of them would otherwise wait for the others to note it.
    async fn send_and_watch(
        &self,
        transaction: &IssueTransaction,
    ) -> (Option<Receipt>, Option<Flight>) {
        let (receipt, flight) = match self.broadcast(transaction).await {
            Ok((Some(receipt), flight)) => (receipt, flight),
            Ok((None, flight)) => return (None, Some(flight)),
            Err(error) => {
                tracing::warn!(hash = transaction.hash, %error, "an issue cannot be watched; it is looked for again");
                return (None, None);
            }
        };
        if transaction.batch {
            let outcome = end_of(&receipt);
            let noted = async {
                let mut write = self.store.write().await?;
                issues::settle(&mut write, &transaction.hash, outcome).await?;
                write.commit_lazily().await
            };
            if let Err(error) = noted.await {
                tracing::warn!(hash = transaction.hash, %error, "an issue's end is not noted; its conversions' are");
            }
        }
        (Some(receipt), Some(flight))
    }
}
