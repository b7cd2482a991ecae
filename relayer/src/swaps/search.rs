//! Finding swaps and secrets in a chain's blocks. Events are hints: they bring terms and secrets, which fit
//! themselves or are refused, and say what to ask the contract about.
//!
//! ```txt
//! for good   each block once it can never change, in steps of the log range; then the cursor goes on
//! the tail   from there to the newest block, the newest first, whenever there is a new one: what is public
//!            is acted on at once, and what a reorganisation changes is read again
//! the sweep  everything before the cursor once more, a step at a time, round after round and each round
//!            from another endpoint: what an answer left out is found, if later
//! ```
//!
//! A claim that an answer leaves out is missed before the sweep comes to it: the contract calls its swap
//! claimed ([`super`]), and the search goes back to where the swap was opened.
//!
//! Limits: [`MAX_SEARCHES`] questions for one tick. A range that fails is halved for the next question, and
//! grows again with every one that goes well.

use super::{
    Swaps,
    ledger::{Head, SwapLedger},
};
use crate::{
    Error,
    chain::At,
    store::{Found, NewSwap, Searched},
};
use mileverse_primitives::B256;
use mileverse_wallet::{
    rpc::Chain,
    timelock::{Happened, State},
};

/// Most questions for events in one tick, for good and in the tail.
const MAX_SEARCHES: usize = 16;
/// Blocks of the native chain that are read again although they are final: an endpoint may show the
/// events of a block later than the block.
const REREAD: u64 = 32;
/// How often the tail is read again without a new block.
const TAIL_MS: u64 = 15_000;
/// Between two steps of the sweep.
const SWEEP_MS: u64 = 10_000;

/// How the search stands, beside what is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// First block that can hold an event.
    start: u64,
    /// Most blocks of one question.
    most: u64,
    /// Blocks of the next question.
    range: u64,
    /// The newest block when the tail was last read, and when that was.
    tail: Option<(B256, u64)>,
    /// When the last step of the sweep was made.
    swept_ms: u64,
}

impl Search {
    /// From this block on, so many blocks at once.
    pub(super) const fn new(start: u64, range: u64) -> Self {
        Self {
            start,
            most: range,
            range,
            tail: None,
            swept_ms: 0,
        }
    }

    /// The tail is read again whether there is a new block or not.
    pub(super) const fn forget_tail(&mut self) {
        self.tail = None;
    }

    /// The last block of a question that begins at `from` and goes no further than `most`.
    fn end(&self, from: u64, most: u64) -> u64 {
        from.saturating_add(self.range.saturating_sub(1)).min(most)
    }
}

impl<C: SwapLedger> Swaps<C> {
    async fn searched(&self) -> Result<Searched, Error> {
        let start = self.search.start;
        let first = Searched {
            next: start,
            sweep: start,
        };
        self.store.searched(self.end, first).await
    }

    /// Reads new blocks. `true` if there are more.
    pub(super) async fn find(&mut self, head: &Head, finalized: u64) -> Result<bool, Error> {
        let mut searched = self.searched().await?;
        let good = match self.chain.chain() {
            Chain::Native => finalized.saturating_sub(REREAD),
            Chain::Ethereum => finalized,
        };
        for _ in 0..MAX_SEARCHES {
            if searched.next > good {
                return self.tail(head, searched).await.map(|()| false);
            }
            let to = self.search.end(searched.next, good);
            let found = self.read(searched.next, to).await?;
            searched.next = to.saturating_add(1);
            self.note(searched, &found).await?;
        }
        Ok(true)
    }

    async fn tail(&mut self, head: &Head, searched: Searched) -> Result<(), Error> {
        let now = self.clock.now_ms();
        let fresh = self.search.tail.is_some_and(|(hash, read_ms)| {
            hash == head.hash && read_ms <= now && now.saturating_sub(read_ms) < TAIL_MS
        });
        if fresh {
            return Ok(());
        }
        let mut to = head.number;
        for _ in 0..MAX_SEARCHES {
            if to < searched.next {
                break;
            }
            let from = to.saturating_sub(self.search.range.saturating_sub(1));
            let from = from.max(searched.next);
            let found = self.read(from, to).await?;
            self.note(searched, &found).await?;
            let Some(before) = from.checked_sub(1) else {
                break;
            };
            to = before;
        }
        self.search.tail = Some((head.hash, now));
        Ok(())
    }

    /// Reads a few old blocks once more, from time to time.
    pub(super) async fn sweep(&mut self) -> Result<(), Error> {
        let now = self.clock.now_ms();
        let waited = now.checked_sub(self.search.swept_ms);
        if waited.is_some_and(|waited| waited < SWEEP_MS) {
            return Ok(());
        }
        self.search.swept_ms = now;
        let mut searched = self.searched().await?;
        searched.sweep = searched.sweep.max(self.search.start);
        let last = searched.next.checked_sub(1);
        let Some(last) = last.filter(|last| *last >= searched.sweep) else {
            return Ok(());
        };
        let to = self.search.end(searched.sweep, last);
        let mut found = self.read(searched.sweep, to).await?;
        // Of the past only what somebody waits for.
        let locks: Vec<_> = found.secrets.iter().map(|(lock, _)| *lock).collect();
        let wanted = self.store.wanted_locks(&locks).await?;
        found.secrets.retain(|(lock, _)| wanted.contains(lock));
        found.ended.clear();
        searched.sweep = to.saturating_add(1);
        if to >= last {
            // The next round begins, and asks another endpoint first. (It must not follow the cursor, which
            // goes on with every block.)
            searched.sweep = self.search.start;
            self.chain.doubt();
        }
        self.note(searched, &found).await
    }

    async fn note(&self, searched: Searched, found: &Found) -> Result<(), Error> {
        let now = self.clock.now_ms();
        let news = self
            .store
            .note_found(self.end, searched, found, now)
            .await?;
        if news > 0 {
            self.metrics.swaps(&self.way, "found", news);
            tracing::info!(
                route = self.store.name(), lane = %self.way_of(), count = news,
                next = searched.next, "swaps found"
            );
        }
        Ok(())
    }

    /// What these blocks tell: of swaps that are to be completed, are not known, and have not ended for
    /// ever; and every secret.
    async fn read(&mut self, from: u64, to: u64) -> Result<Found, Error> {
        let events = match self.chain.events(from, to).await {
            Ok(events) => events,
            Err(error) => {
                self.search.range = (self.search.range / 2).max(1);
                return Err(error.into());
            }
        };
        self.search.range = self.search.range.saturating_mul(2).min(self.search.most);
        let mut found = Found::default();
        for event in events {
            match event.happened {
                Happened::Opened(terms) => {
                    let storable = i64::try_from(terms.deadline).is_ok();
                    if storable && self.pass_over(&terms).is_none() {
                        found.opened.push(NewSwap {
                            id: event.id,
                            terms,
                            block: event.block,
                        });
                    }
                }
                Happened::Claimed { secret } => {
                    found.secrets.push((event.lock, secret));
                    found.ended.push(event.id);
                }
                Happened::Refunded => found.ended.push(event.id),
            }
        }
        let ids: Vec<_> = found.opened.iter().map(|swap| swap.id).collect();
        let known = self.store.known_swaps(self.end, &ids).await?;
        found.opened.retain(|swap| !known.contains(&swap.id));
        if !found.opened.is_empty() {
            let ids: Vec<_> = found.opened.iter().map(|swap| swap.id).collect();
            let states = self.chain.states(&ids, At::Finalized).await?;
            let mut states = states.into_iter();
            found
                .opened
                .retain(|_| !matches!(states.next(), Some(State::Claimed | State::Refunded)));
        }
        Ok(found)
    }
}
