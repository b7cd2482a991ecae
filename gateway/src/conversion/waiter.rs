//! Whoever waits for a conversion to be settled is handed its row and its answer by the move that settles it;
//! if another replica makes that move, it is found in the database.

use super::machine::Machine;
use super::moves::Moved;
use crate::store::conversions::Conversion;
use crate::store::idempotency::{Key, Stored};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{self, Instant};

/// Whoever waits for a conversion that another replica moves looks this often.
const PEEK: Duration = Duration::from_millis(250);
/// How a request is answered once its conversion is settled: in the transaction that settles it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The request.
    pub key: Key,
    /// Its answer; none as long as there is none to be kept.
    pub make: fn(Conversion) -> Result<Option<Stored>, sqlx::Error>,
}

/// Somebody who waits for a conversion to be settled, and whose request is answered with it.
#[derive(Debug)]
pub struct Waiter {
    machine: Arc<Machine>,
    id: String,
    changes: watch::Receiver<Option<Arc<Moved>>>,
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

impl Waiter {
    /// Waits until the conversion is settled, or until the deadline; gives what it is then. `None` if there
    /// is none.
    pub async fn settled(&mut self, deadline: Instant) -> Result<Option<Moved>, sqlx::Error> {
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
                return Ok(found.map(|conversion| Moved {
                    conversion,
                    answer: None,
                }));
            }
        }
    }
}

impl Machine {
    /// Tells whoever waits for a conversion, once it is settled and committed.
    pub(crate) fn tell_settled(&self, settled: &Arc<Moved>) {
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
}
