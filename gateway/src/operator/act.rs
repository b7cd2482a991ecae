//! Actions about cases: proposed, decided, and carried out.
//!
//! What can be found out beforehand is found out when an action is proposed, and again when it is
//! approved: between the two the world moves. Carrying it out is one transaction; a step that finds
//! a row elsewhere leaves nothing.

use super::entry::{self, Line};
use super::{CaseKind, Decision, Verb};
use crate::conversion::Machine;
use crate::conversion::issue::{Verdict, end_of};
use crate::conversion::machine::StepError;
use crate::conversion::moves::Move;
use crate::conversion::state::State;
use crate::ids;
use crate::issuer::chain::ChainError;
use crate::issuer::conversion_name;
use crate::journal::{self, Kind as PostingKind, Posting};
use crate::reconcile;
use crate::store::audit::{self, Event};
use crate::store::cases::{self, Action, Case};
use crate::store::conversions::{Change, Conversion};
use crate::store::issues::Outcome;
use crate::store::jobs::{self, Kind as JobKind};
use alloy::primitives::U256;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

/// Longest evidence or note, in characters.
pub const MAX_TEXT: usize = 2_000;
/// Longest reference of a partner's, in characters.
const MAX_REFERENCE: usize = 128;

/// What is proposed.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// What is to be done.
    pub verb: Verb,
    /// Why, and where it can be seen.
    pub evidence: String,
    /// What the verb needs more.
    pub details: Details,
}

/// What a verb needs more.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Details {
    /// `resolve_succeeded` of a debit that is not in the journal: the partner's reference of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner_reference: Option<String>,
    /// `counter_entry`: what is posted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Line>,
}

/// Why nothing was done.
#[derive(Debug, Error)]
pub enum ActError {
    /// No such case or action.
    #[error("there is nothing of this id")]
    Unknown,
    /// The case or the action does not wait any more, or another proposal does.
    #[error("{0}")]
    Conflict(String),
    /// It cannot be done to this case.
    #[error("{0}")]
    Unfit(String),
    /// It would be two eyes.
    #[error("whoever proposed an action cannot decide about it")]
    SameEyes,
    /// Not theirs to take back.
    #[error("only {0}, who proposed it, can withdraw it")]
    NotYours(String),
    /// The chain, which has to be asked first.
    #[error("the chain cannot be asked: {0}")]
    Chain(#[from] ChainError),
    /// A step.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The database.
    #[error("the database failed: {0}")]
    Store(#[from] sqlx::Error),
}

fn unfit(why: impl Into<String>) -> ActError {
    ActError::Unfit(why.into())
}

fn conflict(why: impl Into<String>) -> ActError {
    ActError::Conflict(why.into())
}

/// What carrying an action out will do.
#[derive(Debug)]
enum Plan {
    /// Move a conversion, post, settle signed transactions.
    Move {
        conversion: Box<Conversion>,
        to: State,
        change: Change,
        posting: Option<PostingKind>,
        settled: Vec<(String, Outcome)>,
    },
    /// Let the work on a conversion go on.
    Hasten { id: String },
    /// Post a correction.
    Correct { entries: Vec<journal::Entry> },
    /// Only the case changes.
    Nothing,
}

impl Machine {
    /// Proposes an action about a case.
    pub async fn propose(
        &self,
        case_id: &str,
        proposal: &Proposal,
        by: &str,
    ) -> Result<Action, ActError> {
        let case = self.store.case(case_id).await?.ok_or(ActError::Unknown)?;
        let length = proposal.evidence.trim().chars().count();
        if !(1..=MAX_TEXT).contains(&length) {
            return Err(unfit(format!("evidence has 1 to {MAX_TEXT} characters")));
        }
        self.plan(&case, proposal.verb, &proposal.details).await?;
        let now = self.store.now();
        let action = Action {
            id: ids::action(),
            case_id: case.id.clone(),
            verb: proposal.verb,
            evidence: proposal.evidence.trim().to_owned(),
            details: serde_json::to_string(&proposal.details)
                .map_err(|error| sqlx::Error::Encode(Box::new(error)))?,
            state: "proposed".to_owned(),
            proposed_by: by.to_owned(),
            proposed_at: now,
            decided_by: None,
            decided_at: None,
            note: None,
        };
        let mut write = self.store.write().await?;
        if !cases::propose(&mut write, &action).await? {
            return Err(conflict(
                "a proposal about this case waits already; it must be decided or withdrawn first",
            ));
        }
        let detail = format!(
            "{} about {} {}: {}; {}",
            action.verb.name(),
            case.kind,
            case.subject,
            action.evidence,
            action.details
        );
        let event = Event {
            actor: by,
            verb: "action.proposed",
            subject: &action.id,
            detail: &detail,
        };
        audit::log(&mut write, &event, now).await?;
        write.commit().await?;
        Ok(action)
    }

    /// Decides about a proposal, and carries it out if it is approved.
    pub async fn decide(
        self: &Arc<Self>,
        id: &str,
        decision: Decision,
        by: &str,
        note: Option<&str>,
    ) -> Result<Action, ActError> {
        let action = self.store.action(id).await?.ok_or(ActError::Unknown)?;
        let own = action.proposed_by == by;
        match decision {
            Decision::Withdrawn if !own => {
                return Err(ActError::NotYours(action.proposed_by));
            }
            Decision::Approved | Decision::Rejected if own => return Err(ActError::SameEyes),
            _ => {}
        }
        if action.state != "proposed" {
            // Saying the same again changes nothing.
            let same = action.state == decision.name() && action.decided_by.as_deref() == Some(by);
            return match same {
                true => Ok(action),
                false => Err(conflict(format!("the action is {} already", action.state))),
            };
        }
        let case = self
            .store
            .case(&action.case_id)
            .await?
            .ok_or(ActError::Unknown)?;
        let plan = match decision {
            Decision::Approved => {
                let details: Details = serde_json::from_str(&action.details)
                    .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
                self.plan(&case, action.verb, &details).await?
            }
            Decision::Rejected | Decision::Withdrawn => Plan::Nothing,
        };
        let now = self.store.now();
        let mut write = self.store.write().await?;
        // First, so that of two who decide at once the second waits here and finds it decided.
        if !cases::decide(&mut write, id, decision, by, note, now).await? {
            write.commit().await?;
            return Err(conflict("somebody else decided about it just now"));
        }
        if decision == Decision::Approved {
            self.carry_out_action(&mut write, &case, &action, &plan, by, now)
                .await?;
        }
        let detail = format!(
            "{} about {} {}, proposed by {}{}",
            action.verb.name(),
            case.kind,
            case.subject,
            action.proposed_by,
            note.map(|note| format!(": {note}")).unwrap_or_default()
        );
        let verb = format!("action.{}", decision.name());
        let event = Event {
            actor: by,
            verb: &verb,
            subject: id,
            detail: &detail,
        };
        audit::log(&mut write, &event, now).await?;
        write.commit().await?;
        match &plan {
            Plan::Move { conversion, to, .. } => {
                self.moved(&conversion.id, conversion.state, *to);
                if !to.is_settled() {
                    self.hurry(&conversion.id).await?;
                }
            }
            Plan::Hasten { id } => self.hurry(id).await?,
            Plan::Correct { .. } | Plan::Nothing => {}
        }
        self.store.action(id).await?.ok_or(ActError::Unknown)
    }

    async fn carry_out_action(
        &self,
        connection: &mut crate::store::Connection,
        case: &Case,
        action: &Action,
        plan: &Plan,
        by: &str,
        now: i64,
    ) -> Result<(), ActError> {
        let both = format!("{} and {by}", action.proposed_by);
        match plan {
            Plan::Move {
                conversion,
                to,
                change,
                posting,
                settled,
            } => {
                let step = Move {
                    settled: settled.clone(),
                    by: both.clone(),
                    ..Move::of(conversion, *to, change.clone(), *posting)
                };
                let moved = self.advance_in(connection, &[&step], now).await?;
                if moved.iter().any(Option::is_none) {
                    return Err(conflict("the conversion moved just now; look again"));
                }
                if !to.is_settled() {
                    let id = &conversion.id;
                    jobs::add(connection, JobKind::Conversion, id, now, now).await?;
                }
            }
            Plan::Correct { entries } => {
                let posting = Posting {
                    subject: &action.id,
                    kind: "corrected",
                    by: &both,
                    note: Some(&action.evidence),
                    entries: entries.clone(),
                };
                entry::move_floats(connection, entries).await?;
                journal::write(connection, &[posting], now).await?;
            }
            Plan::Hasten { .. } | Plan::Nothing => {}
        }
        // A conversion that is only corrected still waits for an end.
        let ends = action.verb != Verb::CounterEntry || CaseKind::parse(&case.kind).is_none();
        let resolution = action.verb.name();
        if ends && !cases::close(connection, &case.id, resolution, &both, now).await? {
            return Err(conflict("the case was closed just now; look again"));
        }
        Ok(())
    }

    /// What an action would do to a case as the world is now, or why it cannot be done.
    async fn plan(&self, case: &Case, verb: Verb, details: &Details) -> Result<Plan, ActError> {
        if !case.open {
            return Err(conflict("the case is closed"));
        }
        if verb != Verb::CounterEntry && !details.entries.is_empty() {
            return Err(unfit("only a counter_entry has entries"));
        }
        if verb != Verb::ResolveSucceeded && details.partner_reference.is_some() {
            return Err(unfit("only resolve_succeeded takes a partner_reference"));
        }
        if verb == Verb::CounterEntry {
            let entries = entry::entries(&details.entries).map_err(ActError::Unfit)?;
            let mut snapshot = self.store.snapshot().await?;
            let unknown = entry::unknown_account(&mut snapshot, &entries).await?;
            return match unknown {
                Some(why) => Err(ActError::Unfit(why)),
                None => Ok(Plan::Correct { entries }),
            };
        }
        match CaseKind::parse(&case.kind) {
            None if verb == Verb::Close && reconcile::Kind::parse(&case.kind).is_some() => {
                Ok(Plan::Nothing)
            }
            None => Err(unfit(
                "a difference is closed, or corrected by a counter_entry",
            )),
            Some(CaseKind::RewardLate) if verb == Verb::Close => Ok(Plan::Nothing),
            Some(CaseKind::RewardLate) => Err(unfit(
                "a reward that is late is closed; the gateway does it as soon as it can",
            )),
            Some(_) if verb == Verb::Close => Err(unfit(
                "a conversion that waits is resolved or repeated, not closed",
            )),
            Some(kind) => {
                let found = self.store.conversion(&case.subject).await?;
                let conversion = found.ok_or(ActError::Unknown)?;
                match kind {
                    CaseKind::Attention => self.plan_attention(conversion, verb, details).await,
                    CaseKind::ReversalUnacknowledged | CaseKind::RewardLate => {
                        plan_dispute(conversion, verb)
                    }
                }
            }
        }
    }

    async fn plan_attention(
        &self,
        conversion: Conversion,
        verb: Verb,
        details: &Details,
    ) -> Result<Plan, ActError> {
        if conversion.state != State::Attention {
            return Err(conflict(format!("the conversion is {}", conversion.state)));
        }
        if verb == Verb::Repeat {
            let to = again(conversion.reason_code.as_deref());
            return Ok(Plan::Move {
                conversion: Box::new(conversion),
                to,
                change: Change::default(),
                posting: None,
                settled: Vec::new(),
            });
        }
        let taken = self.store.is_posted(&conversion.id, "taken").await?;
        if verb == Verb::ResolveFailed {
            return self.plan_failed(conversion, taken).await;
        }
        let issued = self.chain.issued(conversion_name(&conversion.id)).await?;
        let agreed = U256::from(conversion.received().map_err(ActError::Store)?.0);
        if !issued.is_zero() && issued != agreed {
            return Err(unfit(format!(
                "the chain issued {issued} micro-points and {agreed} were agreed; correct the journal with a counter_entry first"
            )));
        }
        let change = Change {
            partner_reference: details.partner_reference.clone(),
            reason: Some((
                "operator_succeeded",
                "operators established that the miles were taken".to_owned(),
            )),
            ..Change::default()
        };
        if taken {
            let (to, posting) = match issued.is_zero() {
                true => (State::Debited, None),
                false => (State::Completed, Some(PostingKind::Issued)),
            };
            return Ok(Plan::Move {
                conversion: Box::new(conversion),
                to,
                change,
                posting,
                settled: Vec::new(),
            });
        }
        let named = details.partner_reference.as_deref().is_some_and(|name| {
            (1..=MAX_REFERENCE).contains(&name.chars().count())
                && !name.chars().any(char::is_control)
        });
        if !named {
            return Err(unfit(
                "the journal does not have the debit; give the partner's reference of it as partner_reference",
            ));
        }
        // From there on it goes its usual way; the chain issues once per conversion.
        Ok(Plan::Move {
            conversion: Box::new(conversion),
            to: State::Debited,
            change,
            posting: Some(PostingKind::Taken),
            settled: Vec::new(),
        })
    }

    /// The miles are not taken, or are back: only if no points exist, and none can come to be.
    async fn plan_failed(&self, conversion: Conversion, taken: bool) -> Result<Plan, ActError> {
        let mut settled = Vec::new();
        let name = conversion_name(&conversion.id);
        for transaction in self.store.issue_transactions(&conversion.id).await? {
            if transaction.outcome == Outcome::Reverted {
                continue;
            }
            match self.chain.receipt(&transaction.hash).await? {
                Some(receipt) => match Verdict::of(&transaction, &receipt, name) {
                    Verdict::Refused | Verdict::Void => {
                        settled.push((transaction.hash, end_of(&receipt)));
                    }
                    Verdict::Issued(_) | Verdict::Unclear => {
                        return Err(unfit("the chain shows its issue; look again"));
                    }
                },
                None if self.nonce_is_gone(&transaction).await? => {
                    settled.push((transaction.hash, Outcome::Dead));
                }
                None => {
                    return Err(unfit(
                        "a signed issue of it may still be carried out by the chain, or just was; it cannot end as failed",
                    ));
                }
            }
        }
        // Last: from here on no signed issue of it can come to be.
        let issued = self.chain.issued(name).await?;
        if !issued.is_zero() {
            return Err(unfit(
                "the chain has issued the points; it cannot end as failed",
            ));
        }
        let (to, posting) = match taken {
            true => (State::Reversed, Some(PostingKind::GivenBack)),
            false => (State::Refused, None),
        };
        Ok(Plan::Move {
            conversion: Box::new(conversion),
            to,
            change: Change {
                reason: Some((
                    "operator_failed",
                    "operators established that the member has the miles".to_owned(),
                )),
                ..Change::default()
            },
            posting,
            settled,
        })
    }
}

/// Where a conversion goes on that came to a stop for this reason.
fn again(reason: Option<&str>) -> State {
    match reason {
        Some("reversal_refused" | "reversal_unanswered") => State::Reversing,
        Some("nonce_taken") => State::Debited,
        Some("issue_mismatch") => State::Issuing,
        _ => State::DebitUnknown,
    }
}

fn plan_dispute(conversion: Conversion, verb: Verb) -> Result<Plan, ActError> {
    if conversion.state != State::Disputed {
        return Err(conflict(format!("the conversion is {}", conversion.state)));
    }
    let to = match verb {
        Verb::ResolveSucceeded => State::Returned,
        Verb::ResolveFailed => State::Completed,
        _ => return Ok(Plan::Hasten { id: conversion.id }),
    };
    let (posting, change) = match to {
        State::Returned => (Some(PostingKind::Returned), Change::default()),
        _ => {
            let why = "operators established that the partner keeps the miles".to_owned();
            let change = Change {
                reason: Some(("dispute_refused", why)),
                ..Change::default()
            };
            (None, change)
        }
    };
    Ok(Plan::Move {
        conversion: Box::new(conversion),
        to,
        change,
        posting,
        settled: Vec::new(),
    })
}
