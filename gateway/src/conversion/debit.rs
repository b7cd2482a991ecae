//! The partner's side of a conversion.
//!
//! The debit's intent (our reference, the member, the miles) is committed before the call. What
//! happens after depends only on what the partner can be heard to say, never on a guess:
//!
//! ```txt
//! applied                      -> debited
//! refused                      -> refused
//! anything else, or a crash    -> debit_unknown, then inquire by our reference:
//!     applied, as agreed       -> debited
//!     applied, other terms     -> attention
//!     refused                  -> refused
//!     reversed                 -> reversing (acknowledged at once)
//!     not found                -> not believed until the visibility window has passed and
//!                                 `absent_reads` reads in a row agree; then reversing, so that a
//!                                 late debit meets a tombstone
//!     no answer, too often     -> reversing
//! reversing                    -> reverse by our reference until acknowledged
//! ```

use super::machine::{Machine, Step, StepError};
use super::moves::Move;
use super::state::State;
use crate::journal::Kind;
use crate::store::conversions::{Change, Conversion};
use mileverse_adapters::{Debit, Inquiry, Known, Miles, Reference, Refusal, Reversal, Session};

/// A change that only gives a reason.
fn because(code: &'static str, reason: impl Into<String>) -> Change {
    Change {
        reason: Some((code, reason.into())),
        ..Change::default()
    }
}

fn reference(conversion: &Conversion) -> Result<Reference, StepError> {
    Reference::new(conversion.debit_reference.as_str()).map_err(|error| StepError::Row {
        id: conversion.id.clone(),
        why: error.to_string(),
    })
}

impl Machine {
    /// Makes the call whose intent is committed, and commits the answer. Only the request that began
    /// the conversion can do this, for only it has the member's session.
    pub(super) async fn debit(
        &self,
        conversion: &Conversion,
        session: &Session,
    ) -> Result<Step, StepError> {
        let programme = self.programme(conversion)?;
        let reference = reference(conversion)?;
        let miles = Miles::new(conversion.miles);
        match programme.adapter.debit(session, &reference, miles).await {
            Debit::Applied { partner_reference } => {
                self.debited_and_signed(conversion, partner_reference).await
            }
            Debit::Refused(refusal) => self.refused(conversion, refusal).await,
            Debit::Unknown(why) => {
                tracing::warn!(id = conversion.id, %why, "the debit's outcome is unknown");
                self.doubt(conversion).await
            }
        }
    }

    pub(super) async fn debited(
        &self,
        conversion: &Conversion,
        partner_reference: String,
    ) -> Result<Step, StepError> {
        let change = Change {
            partner_reference: Some(partner_reference),
            ..Change::default()
        };
        self.advance(Move::of(
            conversion,
            State::Debited,
            change,
            Some(Kind::Taken),
        ))
        .await
    }

    async fn refused(&self, conversion: &Conversion, refusal: Refusal) -> Result<Step, StepError> {
        let change = because(refusal.code(), refusal.to_string());
        self.advance(Move::of(conversion, State::Refused, change, None))
            .await
    }

    /// A conversion that nothing was sent for and nobody works on: its member is gone.
    pub(super) async fn abandon(&self, conversion: &Conversion) -> Result<Step, StepError> {
        let change = because(
            "interrupted",
            "the conversion was interrupted before any miles were taken",
        );
        self.advance(Move::of(conversion, State::Refused, change, None))
            .await
    }

    /// The debit may have been sent, and nobody heard the answer.
    pub(super) async fn doubt(&self, conversion: &Conversion) -> Result<Step, StepError> {
        self.advance(Move::of(
            conversion,
            State::DebitUnknown,
            Change::default(),
            None,
        ))
        .await
    }

    pub(super) async fn inquire(&self, conversion: &Conversion) -> Result<Step, StepError> {
        let programme = self.programme(conversion)?;
        let capabilities = programme.adapter.capabilities();
        if !capabilities.inquiry {
            return self
                .give_up(
                    conversion,
                    capabilities.reversal,
                    "the partner cannot be asked about a debit",
                )
                .await;
        }
        let answer = programme.adapter.inquire(&reference(conversion)?).await;
        match answer {
            Inquiry::Found(Known::Applied {
                partner_reference,
                member,
                miles,
            }) => {
                if member.as_str() == conversion.member_id && miles.get() == conversion.miles {
                    self.debited(conversion, partner_reference).await
                } else {
                    let change = because(
                        "debit_mismatch",
                        "the partner took other miles than agreed under our reference",
                    );
                    self.advance(Move::of(conversion, State::Attention, change, None))
                        .await
                }
            }
            Inquiry::Found(Known::Refused(refusal)) => self.refused(conversion, refusal).await,
            Inquiry::Found(Known::Reversed) => {
                self.give_up(
                    conversion,
                    capabilities.reversal,
                    "the partner shows the debit as reversed",
                )
                .await
            }
            Inquiry::NotFound => {
                let window =
                    i64::try_from(capabilities.visibility_window.as_millis()).unwrap_or(i64::MAX);
                let sent = conversion.debit_sent_at.unwrap_or(conversion.updated_at);
                if self.store.now() < sent.saturating_add(window) {
                    return Ok(Step::Wait { absent_reads: 0 });
                }
                let absent_reads = conversion.absent_reads.saturating_add(1);
                if absent_reads < self.retry.absent_reads {
                    return Ok(Step::Wait { absent_reads });
                }
                self.give_up(
                    conversion,
                    capabilities.reversal,
                    "the partner does not know the debit",
                )
                .await
            }
            Inquiry::Unknown(why) => {
                tracing::warn!(id = conversion.id, attempts = conversion.attempts, %why, "the inquiry has no answer");
                if conversion.attempts.saturating_add(1) >= self.retry.inquiries {
                    self.give_up(
                        conversion,
                        capabilities.reversal,
                        "the partner did not answer inquiries",
                    )
                    .await
                } else {
                    Ok(Step::Wait { absent_reads: 0 })
                }
            }
        }
    }

    /// No debit is assumed absent: it is reversed. Who cannot reverse needs a person.
    async fn give_up(
        &self,
        conversion: &Conversion,
        reversible: bool,
        reason: &str,
    ) -> Result<Step, StepError> {
        let (to, code) = if reversible {
            (State::Reversing, "debit_not_confirmed")
        } else {
            (State::Attention, "debit_not_reversible")
        };
        self.advance(Move::of(conversion, to, because(code, reason), None))
            .await
    }

    pub(super) async fn reverse(&self, conversion: &Conversion) -> Result<Step, StepError> {
        let programme = self.programme(conversion)?;
        match programme.adapter.reverse(&reference(conversion)?).await {
            Reversal::Acknowledged => {
                // Only a debit that was known to have happened is in the journal.
                let posted = conversion
                    .partner_reference
                    .is_some()
                    .then_some(Kind::GivenBack);
                self.advance(Move::of(
                    conversion,
                    State::Reversed,
                    Change::default(),
                    posted,
                ))
                .await
            }
            Reversal::Refused(why) => {
                let change = because("reversal_refused", why);
                self.advance(Move::of(conversion, State::Attention, change, None))
                    .await
            }
            Reversal::Unknown(why) => {
                tracing::warn!(id = conversion.id, attempts = conversion.attempts, %why, "the reversal has no answer");
                if conversion.attempts.saturating_add(1) >= self.retry.reversals {
                    let change = because(
                        "reversal_unanswered",
                        "the partner did not acknowledge the reversal",
                    );
                    self.advance(Move::of(conversion, State::Attention, change, None))
                        .await
                } else {
                    Ok(Step::Wait { absent_reads: 0 })
                }
            }
        }
    }
}
