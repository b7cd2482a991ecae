//! What a caller may still change of a conversion: cancel it before the points are signed for, or
//! dispute it afterwards.
//!
//! | state | cancel | dispute |
//! |---|---|---|
//! | created | refused: nothing was sent | no |
//! | debiting | not now: the debit is on its way | no |
//! | debit_unknown, debited | reversing | no |
//! | issuing | no: a signed issue cannot be called back | no |
//! | completed | no | disputed, in the programme's window |
//!
//! A disputed conversion's miles go back and its points stay: see [`crate::journal`].

use super::machine::{Machine, Step, StepError};
use super::moves::Move;
use super::state::State;
use crate::journal::Kind;
use crate::operator::CaseKind;
use crate::store::conversions::{self, Change, Conversion, Transition};
use crate::store::jobs::{self, Kind as JobKind};
use mileverse_adapters::{Reference, Reversal};
use std::sync::Arc;
use thiserror::Error;

/// Moves of others that are followed before it is said to be too late.
const LOOKS: u32 = 5;

/// Why it stays as it is.
#[derive(Debug, Error)]
pub enum Stays {
    /// The debit is on its way; its answer decides.
    #[error("the debit is on its way")]
    NotNow,
    /// The state does not allow it.
    #[error("it is {0}")]
    State(State),
    /// The window is over, or there is none.
    #[error("the time for disputes is over")]
    TooLate,
    /// The partner's system cannot give miles back.
    #[error("the partner cannot give miles back")]
    NotReversible,
    /// A step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The database.
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

impl Machine {
    /// Cancels a conversion of a partner's. `None` if there is none. Saying it again changes
    /// nothing.
    pub async fn cancel(
        self: &Arc<Self>,
        partner: &str,
        id: &str,
    ) -> Result<Option<Conversion>, Stays> {
        for _ in 0..LOOKS {
            let found = self.store.conversion(id).await?;
            let Some(conversion) = found.filter(|found| found.partner == partner) else {
                return Ok(None);
            };
            let to = match conversion.state {
                State::Created => State::Refused,
                State::DebitUnknown | State::Debited => State::Reversing,
                State::Refused | State::Reversing | State::Reversed => {
                    return Ok(Some(conversion));
                }
                State::Debiting => return Err(Stays::NotNow),
                state => return Err(Stays::State(state)),
            };
            let programme = self.programme(&conversion)?;
            if to == State::Reversing && !programme.adapter.capabilities().reversal {
                return Err(Stays::NotReversible);
            }
            let change = Change {
                reason: Some(("cancelled", "the caller cancelled it".to_owned())),
                ..Change::default()
            };
            let step = Move::of(&conversion, to, change, None);
            if self.try_advance(step).await?.is_some() {
                self.hurry(id).await?;
                return Ok(self.store.conversion(id).await?);
            }
        }
        Err(Stays::NotNow)
    }

    /// Disputes a completed conversion of a partner's. `None` if there is none. Saying it again
    /// changes nothing.
    pub async fn dispute(
        self: &Arc<Self>,
        partner: &str,
        id: &str,
        why: &str,
    ) -> Result<Option<Conversion>, Stays> {
        let found = self.store.conversion(id).await?;
        let Some(conversion) = found.filter(|found| found.partner == partner) else {
            return Ok(None);
        };
        match conversion.state {
            State::Completed => {}
            State::Disputed | State::Returned => return Ok(Some(conversion)),
            state => return Err(Stays::State(state)),
        }
        let programme = self.programme(&conversion)?;
        if !programme.adapter.capabilities().reversal {
            return Err(Stays::NotReversible);
        }
        let window = i64::try_from(programme.dispute_window.as_millis()).unwrap_or(i64::MAX);
        let now = self.store.now();
        if now >= conversion.created_at.saturating_add(window) {
            return Err(Stays::TooLate);
        }
        let change = Change {
            reason: Some(("disputed", why.to_owned())),
            ..Change::default()
        };
        let (from, to) = (State::Completed, State::Disputed);
        let mut write = self.store.write().await?;
        let step = Transition {
            id,
            from,
            via: None,
            to,
            change: &change,
        };
        let moved = conversions::transition(&mut write, &[step], now).await?;
        if !moved.is_empty() {
            jobs::add(&mut write, JobKind::Conversion, id, now, now).await?;
            write.commit().await?;
            self.moved(id, from, to);
            self.hurry(id).await?;
        } else {
            write.commit().await?;
        }
        Ok(self.store.conversion(id).await?)
    }

    /// It goes on asking, but somebody should know.
    async fn tell_operators(&self, conversion: &Conversion) -> Result<(), sqlx::Error> {
        let facts = "the partner does not acknowledge the reversal of a disputed conversion";
        let kind = CaseKind::ReversalUnacknowledged;
        let mut write = self.store.write().await?;
        self.open_case(&mut write, conversion, kind, facts, self.store.now())
            .await?;
        write.commit().await
    }

    /// Lets the work on a conversion go on at once.
    pub(crate) async fn hurry(self: &Arc<Self>, id: &str) -> Result<(), sqlx::Error> {
        if let Some(lease) = self.lease(id) {
            let machine = Arc::clone(self);
            tokio::spawn(async move { machine.drive(&lease, None).await });
            return Ok(());
        }
        self.store
            .hasten_job(JobKind::Conversion, id, self.store.now())
            .await
            .map(|_| ())
    }

    /// The miles of a disputed conversion go back, until the partner acknowledges or refuses.
    pub(super) async fn give_back(&self, conversion: &Conversion) -> Result<Step, StepError> {
        let programme = self.programme(conversion)?;
        let reference = Reference::new(conversion.debit_reference.as_str()).map_err(|error| {
            StepError::Row {
                id: conversion.id.clone(),
                why: error.to_string(),
            }
        })?;
        match programme.adapter.reverse(&reference).await {
            Reversal::Acknowledged => {
                let change = Change::default();
                self.advance(Move::of(
                    conversion,
                    State::Returned,
                    change,
                    Some(Kind::Returned),
                ))
                .await
            }
            Reversal::Refused(why) => {
                let change = Change {
                    reason: Some(("dispute_refused", why)),
                    ..Change::default()
                };
                self.advance(Move::of(conversion, State::Completed, change, None))
                    .await
            }
            Reversal::Unknown(why) => {
                tracing::warn!(id = conversion.id, attempts = conversion.attempts, %why,
                    "the reversal of a disputed conversion has no answer");
                if conversion.attempts.saturating_add(1) == self.retry.reversals {
                    self.tell_operators(conversion).await?;
                }
                Ok(Step::Wait { absent_reads: 0 })
            }
        }
    }
}
