//! Where a node's processor time goes.
//!
//! Each stage counts the time that threads spent in it and in nothing inside of it: a sender that is
//! recovered while a request is answered counts as recovering, not as receiving. Waiting costs
//! nothing. What no stage claims is consensus, network, and writing the state's log.
//!
//! The clock is the thread's own; reading it costs a third of a microsecond, so stages are pieces of
//! work of many microseconds, or whole blocks.

use nix::time::{ClockId, clock_gettime};
use std::{
    array,
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Duration,
};

/// A part of a transaction's way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// JSON-RPC and what validators pass on: reading, checking, answering, waiting in the pool.
    Receive,
    /// Recovering senders.
    Recover,
    /// Running blocks, with receipts and their roots.
    Execute,
    /// The state's root.
    Merkleize,
    /// Writing the index.
    Persist,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Receive,
        Self::Recover,
        Self::Execute,
        Self::Merkleize,
        Self::Persist,
    ];

    /// Its name in metrics and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Recover => "recover",
            Self::Execute => "execute",
            Self::Merkleize => "merkleize",
            Self::Persist => "persist",
        }
    }
}

static SPENT: [AtomicU64; Stage::ALL.len()] = [const { AtomicU64::new(0) }; Stage::ALL.len()];

thread_local! {
    /// What this thread does, and since when by its own clock.
    static NOW: Cell<Option<(Stage, Duration)>> = const { Cell::new(None) };
}

/// What this process has spent in each stage, in the order of [`Stage::ALL`].
pub fn spent() -> [Duration; Stage::ALL.len()] {
    array::from_fn(|at| {
        SPENT.get(at).map_or(Duration::ZERO, |spent| {
            Duration::from_nanos(spent.load(Ordering::Relaxed))
        })
    })
}

fn clock() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .ok()
        .map(Duration::from)
}

/// Ends the stage when it is dropped.
struct Running {
    before: Option<Stage>,
}

/// Books what passed since the last change, and goes on with another stage.
fn change(to: Option<Stage>) -> Option<Stage> {
    let now = clock()?;
    NOW.with(|current| {
        let before = current.take();
        if let Some((stage, since)) = before {
            let passed = now.saturating_sub(since);
            let nanoseconds = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
            if let Some(spent) = SPENT.get(stage as usize) {
                spent.fetch_add(nanoseconds, Ordering::Relaxed);
            }
        }
        current.set(to.map(|stage| (stage, now)));
        before.map(|(stage, _)| stage)
    })
}

impl Running {
    fn begin(stage: Stage) -> Self {
        Self {
            before: change(Some(stage)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        change(self.before);
    }
}

/// Does something as part of a stage.
pub fn within<T>(stage: Stage, work: impl FnOnce() -> T) -> T {
    let _running = Running::begin(stage);
    work()
}

/// The same for a future: whenever it runs, it runs as part of the stage.
pub fn during<F: Future>(stage: Stage, future: F) -> impl Future<Output = F::Output> {
    During {
        stage,
        future: Box::pin(future),
    }
}

struct During<F> {
    stage: Stage,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for During<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _running = Running::begin(self.stage);
        self.future.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    fn work(rounds: u64) {
        let mut sum = 0u64;
        for round in 0..rounds {
            sum = black_box(sum.wrapping_mul(31).wrapping_add(round));
        }
        black_box(sum);
    }

    /// A process-wide count: other tests of this process may add to it, none takes away.
    #[test]
    fn what_is_inside_counts_once() {
        let of = |stage: Stage| spent().get(stage as usize).copied().unwrap_or_default();
        let before = (of(Stage::Merkleize), of(Stage::Persist));
        let whole = clock();
        within(Stage::Merkleize, || {
            work(1_000_000);
            futures::executor::block_on(during(Stage::Persist, async { work(4_000_000) }));
            work(1_000_000);
        });
        let whole = clock().zip(whole).map(|(now, then)| now - then);
        let (outer, inner) = (
            of(Stage::Merkleize) - before.0,
            of(Stage::Persist) - before.1,
        );
        assert!(!outer.is_zero() && !inner.is_zero());
        assert!(
            whole.is_some_and(|whole| outer + inner <= whole),
            "{whole:?}"
        );
    }
}
