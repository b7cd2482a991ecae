//! Moves: a conversion's row goes from one state to another, and all that belongs to that is written with it,
//! in one transaction, for all conversions that move at once ([`crate::desk`]).
//!
//! ```txt
//! rows ──▶ days' limits, floats ──▶ journal ──▶ events ──▶ issues' ends ──▶ cases ──▶ answers
//! ```
//!
//! A row that is not where it was found is left alone, with all that would belong to it.

use super::machine::{Machine, Step, StepError};
use super::news;
use super::state::State;
use crate::clock::day;
use crate::custody;
use crate::float;
use crate::journal::{self, GATEWAY, Kind, Posting};
use crate::operator::CaseKind;
use crate::store::Connection;
use crate::store::cases::{self, Opening};
use crate::store::conversions::{self, Change, Conversion, Transition};
use crate::store::idempotency::{self, Answered, Key, Stored};
use crate::store::issues::{self, Outcome};
use crate::store::partners::free_day;
use crate::store::to_sql;
use crate::store::write::Commit;
use mileverse_trace::{here, note};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::ready;
use std::sync::{Arc, PoisonError};

/// One move of a conversion, with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Move {
    /// The conversion as it was found.
    pub conversion: Conversion,
    /// Through which it goes at the same moment, if not straight.
    pub via: Option<State>,
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
            via: None,
            to,
            change,
            posting,
            settled: Vec::new(),
            by: GATEWAY.to_owned(),
            trace: here(),
        }
    }

    /// The same move, and on to another state at the same moment.
    pub fn on_to(&self, to: State) -> Self {
        Self {
            via: Some(self.to),
            to,
            ..self.clone()
        }
    }
}

/// A conversion as a move left it.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The row.
    pub conversion: Conversion,
    /// The answer that was stored with it, to the request that began it.
    pub answer: Option<Stored>,
}

/// Whether a move ends a conversion for which nothing was taken in the end.
const fn came_to_nothing(step: &Move) -> bool {
    matches!(step.to, State::Refused | State::Reversed)
}

impl Machine {
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
        let pass = || ready(Ok(()));
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
    ) -> Result<(Vec<Option<Arc<Moved>>>, Commit<StepError>), StepError> {
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
    ) -> Result<Vec<Option<Arc<Moved>>>, StepError> {
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
                via: step.via,
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
        self.free_or_use(connection, &moved).await?;
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
            Some(Arc::new(Moved { conversion, answer }))
        };
        Ok(steps.iter().map(of).collect())
    }

    /// What moves post to the journal.
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

    /// What conversions took up of limits and floats is free again if they came to nothing, and what floats
    /// set aside is used if they were issued.
    async fn free_or_use(
        &self,
        connection: &mut Connection,
        moved: &[&Move],
    ) -> Result<(), StepError> {
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

    /// Says that a conversion moved, once that is committed.
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
}
