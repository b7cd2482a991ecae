//! Issuing together when it is busy. Each issuer's key has two desks ([`crate::desk`]):
//!
//! ```txt
//! debiting ──▶ debits ───┐  the partner's answer is stored at once; if the key is free, the issue
//!                        │  is signed in the same commit
//!     debited ──▶ waiting┼─▶ one commit: rows to issuing, nonce, signed bytes
//!                        ▼
//!           broadcast, watch ──▶ everybody sees the receipt, and settles
//! ```
//!
//! One alone is signed as a plain `issue`. Several become one `issueBatch`, whose entries the chain does or
//! leaves out one by one, so that none can spoil another. While a commit is under way or
//! [`Batches::in_flight`] transactions of the key are not final yet, those who come wait, and the batch
//! grows: one nonce, one signature, one wait for the disk for all of them.
//!
//! Nothing depends on the desks. Who waits is `debited` in the database, who was signed for is `issuing`
//! with its bytes stored; after a crash each is taken up from its row.

use super::flight::{self, Flight};
use super::issue::Signed;
use super::machine::{Machine, Step, StepError};
use super::moves::{Move, Moved};
use super::state::State;
use crate::config::Batches;
use crate::desk::{BrokenOff, Desk, Turns};
use crate::issuer::chain::Receipt;
use crate::issuer::signer::Issuer;
use crate::journal::Kind;
use crate::store::conversions::{self, Change, Conversion, Transition};
use crate::store::issues::IssueTransaction;
use crate::store::write::Commit;
use mileverse_primitives::abi::IPoints::Issue;
use mileverse_trace::Timer;
use std::borrow::Cow;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

/// Where conversions of one issuer's key meet.
#[derive(Debug)]
pub(super) struct Signing {
    debits: Desk<Move, Debited, StepError>,
    waiting: Desk<Waiting, Option<Together>, StepError>,
    /// The transactions that are not final yet.
    flying: Arc<Semaphore>,
}

impl Signing {
    pub(super) fn new(batches: Batches, turns: Turns) -> Self {
        Self {
            debits: Desk::of_at_most(batches.entries, turns),
            waiting: Desk::of_at_most(batches.entries, turns),
            flying: Arc::new(Semaphore::new(batches.in_flight.max(1))),
        }
    }
}

/// One whose miles are taken, to be signed for.
#[derive(Debug)]
struct Waiting {
    conversion: Conversion,
    issue: Issue,
}

/// What a debit came to.
#[derive(Debug)]
enum Debited {
    /// Its row was moved by somebody else.
    Elsewhere,
    /// It is stored.
    Stored(Box<Conversion>),
    /// It is stored, and signed for.
    Signed(Box<Together>),
}

/// One that was signed for.
#[derive(Debug)]
struct Together {
    conversion: Conversion,
    sent: Arc<Sent>,
}

/// A signed transaction, which the first who needs it broadcasts.
#[derive(Debug)]
struct Sent {
    transaction: IssueTransaction,
    /// For so many it issues.
    many: usize,
    /// When it began to be signed.
    began: Timer,
    /// Its place among those that are watched.
    place: Mutex<Option<OwnedSemaphorePermit>>,
    seen: OnceCell<Seen>,
}

/// What was seen of a transaction after it was broadcast; nothing, if it could not be looked for.
#[derive(Debug)]
struct Seen {
    /// When it was signed and stored.
    stored: Timer,
    receipt: Option<Receipt>,
    flight: Option<Flight>,
}

impl Machine {
    /// The partner took the miles: stores that, and if the key is free signs the issue in the same commit.
    /// What the partner said waits for no other transaction to become final.
    pub(super) async fn debited_and_signed(
        &self,
        conversion: &Conversion,
        partner_reference: String,
    ) -> Result<Step, StepError> {
        let change = Change {
            partner_reference: Some(partner_reference),
            ..Change::default()
        };
        let step = Move::of(conversion, State::Debited, change, Some(Kind::Taken));
        let signing = self.signing(&conversion.id)?;
        let pass = || ready(Ok(()));
        let done = signing
            .debits
            .join(step, pass, |(), all| self.store_debits(signing, all))
            .await?;
        let (id, from) = (&conversion.id, conversion.state);
        match done {
            Debited::Elsewhere => Ok(Step::Moved),
            Debited::Stored(debited) => {
                self.moved(id, from, debited.state);
                Ok(Step::Now(debited))
            }
            Debited::Signed(together) => {
                self.moved(id, from, State::Debited);
                self.signed(&together).await
            }
        }
    }

    async fn store_debits(
        &self,
        signing: &Signing,
        all: Vec<Arc<Move>>,
    ) -> Result<(Vec<Debited>, Commit<StepError>), StepError> {
        let first = all.first().ok_or(BrokenOff)?;
        let key = self.issuer(&first.conversion.id)?;
        // Whoever waits to be signed for comes first. The chain has to be asked for a first nonce.
        let place = match signing.waiting.is_empty() && self.knows_nonce(key.address()) {
            true => Arc::clone(&signing.flying).try_acquire_owned().ok(),
            false => None,
        };
        let began = Timer::start(&self.tracer);
        // Whoever cannot be signed for is found out when it is looked at alone.
        let agreed = |step: &Arc<Move>| {
            let issue = Self::agreed(&step.conversion).ok();
            issue.filter(|_| place.is_some())
        };
        let agreed: Vec<Option<Issue>> = all.iter().map(agreed).collect();
        let steps: Vec<_> = all
            .iter()
            .zip(&agreed)
            .map(|(step, issue)| match issue {
                Some(_) => Cow::Owned(step.on_to(State::Issuing)),
                None => Cow::Borrowed(step.as_ref()),
            })
            .collect();
        let steps: Vec<_> = steps.iter().map(Cow::as_ref).collect();
        let now = self.store.now();
        let mut write = self.store.write().await?;
        let moved = self.advance_in(&mut write, &steps, now).await?;
        let issues: Vec<_> = moved
            .iter()
            .zip(agreed)
            .filter_map(|(moved, issue)| Some((moved.as_ref()?.conversion.id.as_str(), issue?)))
            .collect();
        let sent = match place {
            Some(place) if !issues.is_empty() => {
                let signed = Signed {
                    key,
                    chain_nonce: 0,
                    issues: &issues,
                };
                let transaction = self.store_signature(&mut write, &signed, now).await?;
                Some(Sent::new(transaction, issues.len(), began, place))
            }
            _ => None,
        };
        let result = |moved: &Option<Arc<Moved>>| {
            let Some(moved) = moved else {
                return Debited::Elsewhere;
            };
            let conversion = moved.conversion.clone();
            match &sent {
                Some(sent) if conversion.state == State::Issuing => {
                    let sent = Arc::clone(sent);
                    Debited::Signed(Box::new(Together { conversion, sent }))
                }
                _ => Debited::Stored(Box::new(conversion)),
            }
        };
        Ok((moved.iter().map(result).collect(), write.last()))
    }

    /// Signs for a conversion whose miles are taken, together with all who wait as well.
    pub(super) async fn sign(&self, conversion: &Conversion) -> Result<Step, StepError> {
        let signing = self.signing(&conversion.id)?;
        let key = self.issuer(&conversion.id)?;
        let waiting = Waiting {
            // Whoever cannot be signed for is found out here, not in the midst of others.
            issue: Self::agreed(conversion)?,
            conversion: conversion.clone(),
        };
        let pass = || async {
            let place = Arc::clone(&signing.flying).acquire_owned().await;
            let place = place.map_err(|_| BrokenOff)?;
            let nonce = self.nonce_to_begin_with(key.address()).await?;
            Ok((place, nonce))
        };
        let done = signing
            .waiting
            .join(waiting, pass, |(place, nonce), all| {
                self.store_batch((key, nonce), place, all)
            })
            .await?;
        match done {
            Some(together) => self.signed(&together).await,
            // Its row was not `debited` any more.
            None => Ok(Step::Moved),
        }
    }

    async fn store_batch(
        &self,
        (key, chain_nonce): (&Issuer, u64),
        place: OwnedSemaphorePermit,
        all: Vec<Arc<Waiting>>,
    ) -> Result<(Vec<Option<Together>>, Commit<StepError>), StepError> {
        let began = Timer::start(&self.tracer);
        let now = self.store.now();
        let change = Change::default();
        let steps: Vec<_> = all
            .iter()
            .map(|one| Transition {
                id: &one.conversion.id,
                from: State::Debited,
                via: None,
                to: State::Issuing,
                change: &change,
            })
            .collect();
        let mut write = self.store.write().await?;
        let mut rows = conversions::transition(&mut write, &steps, now).await?;
        let inside = all
            .iter()
            .filter(|one| rows.contains_key(&one.conversion.id));
        let issues: Vec<_> = inside
            .map(|one| (one.conversion.id.as_str(), one.issue.clone()))
            .collect();
        if issues.is_empty() {
            // Who moved them may share this commit: after it, that is seen.
            return Ok((all.iter().map(|_| None).collect(), write.last()));
        }
        let signed = Signed {
            key,
            chain_nonce,
            issues: &issues,
        };
        let transaction = self.store_signature(&mut write, &signed, now).await?;
        let sent = Sent::new(transaction, issues.len(), began, place);
        let together = |one: &Arc<Waiting>| {
            let conversion = rows.remove(&one.conversion.id)?;
            let sent = Arc::clone(&sent);
            Some(Together { conversion, sent })
        };
        Ok((all.iter().map(together).collect(), write.last()))
    }

    /// Goes on with a conversion that was signed for.
    async fn signed(&self, together: &Together) -> Result<Step, StepError> {
        let Together { conversion, sent } = together;
        self.moved(&conversion.id, State::Debited, State::Issuing);
        let seen = sent.seen.get_or_init(|| self.send_and_watch(sent)).await;
        sent.began
            .span_to(seen.stored, || flight::signed(&sent.transaction));
        if let Some(flight) = &seen.flight {
            flight.tell(&sent.transaction, seen.receipt.as_ref());
        }
        self.seen(conversion, &sent.transaction, seen.receipt.as_ref())
            .await
    }

    /// Broadcasts stored bytes, watches for a while, and makes place for the next.
    async fn send_and_watch(&self, sent: &Sent) -> Seen {
        let stored = sent.began.lap();
        let transaction = &sent.transaction;
        if let Ok(issuer) = transaction.issuer.parse() {
            self.learn_nonce(issuer);
        }
        self.metrics.signed(sent.many);
        let (receipt, flight) = match self.broadcast(transaction).await {
            Ok((receipt, flight)) => (receipt, Some(flight)),
            Err(error) => {
                let hash = &transaction.hash;
                tracing::warn!(hash, %error, "an issue cannot be watched; it is looked for again");
                (None, None)
            }
        };
        let seen = Seen {
            stored,
            receipt,
            flight,
        };
        let mut place = sent.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.take();
        seen
    }
}

impl Sent {
    fn new(
        transaction: IssueTransaction,
        many: usize,
        began: Timer,
        place: OwnedSemaphorePermit,
    ) -> Arc<Self> {
        Arc::new(Self {
            transaction,
            many,
            began,
            place: Mutex::new(Some(place)),
            seen: OnceCell::new(),
        })
    }
}
