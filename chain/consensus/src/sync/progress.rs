//! How far a node is with syncing, for JSON-RPC and the log.

use super::{Request, Response};
pub use mileverse_primitives::rpc::{SyncPhase as Phase, SyncStatus as Snapshot};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Default)]
struct Inner {
    shown: Snapshot,
    /// The log's length at the target.
    end: u64,
    /// The first operation that the target still needs.
    start: Option<u64>,
}

/// Shared by who syncs and who tells; clones share it.
#[derive(Clone, Default)]
pub struct Progress(Arc<Mutex<Inner>>);

impl Progress {
    /// Where it stands now.
    pub fn now(&self) -> Snapshot {
        self.with(|inner| inner.shown)
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.with(|inner| inner.shown.phase = phase);
    }

    /// The state of this height is what is fetched.
    pub fn aim(&self, height: u64) {
        self.with(|inner| inner.shown.target_height = Some(height));
    }

    /// Notes a question: it tells which operations the target needs.
    pub(super) fn asked(&self, request: &Request) {
        self.with(|inner| {
            let (size, start) = (*request.size(), *request.start());
            if size > inner.end {
                inner.end = size;
            }
            // The boundary is the first operation; without one, the lowest asked for is.
            if matches!(request, Request::Boundary { .. })
                || inner.start.is_none_or(|first| start < first)
            {
                inner.start = Some(start);
            }
            inner.shown.of = inner
                .end
                .saturating_sub(inner.start.unwrap_or_default())
                .max(inner.shown.operations);
        });
    }

    /// Notes an answer whose proof held.
    pub(super) fn proven(&self, operations: u64) {
        self.with(|inner| {
            let shown = &mut inner.shown;
            shown.operations = shown.operations.saturating_add(operations);
            shown.of = shown.of.max(shown.operations);
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Operations in an answer.
pub(super) fn operations(response: &Response) -> u64 {
    match response {
        Response::Operations { operations, .. } => operations.len() as u64,
        Response::Boundary { .. } => 1,
    }
}
