//! What both workers share: following packets to their receipts, and sending batches of them.

use super::isolate::isolate;
use crate::{
    Error,
    chain::{At, Ledger},
    clock::{Clock, back_off_ms},
    store::{Direction, Outcome, Row, RowState, Store},
    transaction::{Built, Sender},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use mileverse_primitives::Bytes;
use mileverse_wallet::rpc::Chain;

/// Calls that run at the same time on one endpoint.
pub(super) const CONCURRENCY: usize = 8;
/// Most bytes of call data in one transaction; nodes take transactions up to 131,072 bytes.
const MAX_INPUT_LENGTH: usize = 120_000;
/// First and longest wait of a refused packet.
const FIRST_RETRY_MS: u64 = 1_000;
const LONGEST_RETRY_MS: u64 = 5 * 60 * 1_000;
/// Most receipts that are looked at when a block becomes final.
const MAX_LANDED: usize = 4_096;

/// One direction's deliveries.
pub struct Delivery {
    store: Store,
    sender: Sender,
    direction: Direction,
    batch: usize,
    clock: Clock,
    /// The finalized block at which receipts were last looked at.
    looked_at: Option<u64>,
}

/// A packet with what proves it.
#[derive(Clone, Debug)]
pub(super) struct Proven<T> {
    pub(super) sequence: u64,
    pub(super) item: T,
}

impl Delivery {
    /// Deliveries of at most `batch` packets at once.
    pub const fn new(
        store: Store,
        sender: Sender,
        direction: Direction,
        batch: usize,
        clock: Clock,
    ) -> Self {
        Self {
            store,
            sender,
            direction,
            batch,
            clock,
            looked_at: None,
        }
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    pub(super) const fn direction(&self) -> Direction {
        self.direction
    }

    /// Sees to what was sent; answers whether its outcome is still unknown.
    pub(super) async fn drive(&self, ledger: &impl Ledger) -> Result<bool, Error> {
        let driven = self.sender.drive(ledger).await?;
        for settled in driven.settled {
            if settled.outcome != Outcome::Reverted {
                continue;
            }
            let reason = format!("transaction {} was refused in its block", settled.hash);
            for sequence in settled.packets {
                self.set_aside(sequence, &reason).await?;
            }
        }
        Ok(driven.pending)
    }

    /// Whether a receipt waits to become final.
    pub(super) async fn has_landed(&self) -> Result<bool, Error> {
        Ok(!self.store.landed(self.direction, 1).await?.is_empty())
    }

    /// Looks at receipts again now that the block `finalized` is final: for ever, or taken back.
    pub(super) async fn settle(
        &mut self,
        ledger: &impl Ledger,
        finalized: u64,
    ) -> Result<(), Error> {
        if self.looked_at == Some(finalized) {
            return Ok(());
        }
        let landed = self.store.landed(self.direction, MAX_LANDED).await?;
        for (sequence, outcome) in self.receipts(ledger, landed, At::Finalized).await? {
            if outcome != 0 {
                self.done(sequence, outcome).await?;
                continue;
            }
            if ledger.receipt(sequence, At::Latest).await? == 0 {
                tracing::warn!(
                    direction = %self.direction, sequence,
                    "the block with this packet's receipt was taken back; delivering again"
                );
                self.store
                    .note(self.direction, sequence, RowState::Waiting, 0)
                    .await?;
            }
        }
        self.looked_at = Some(finalized);
        Ok(())
    }

    /// Whether any packet's time has come.
    pub(super) async fn has_ready(&self) -> Result<bool, Error> {
        let now = self.clock.now_ms();
        let rows = self.store.ready(self.direction, u64::MAX, now, 1).await?;
        Ok(!rows.is_empty())
    }

    /// Packets to deliver, up to `place`; and whether receipts of others were found on the way.
    pub(super) async fn ready(
        &self,
        ledger: &impl Ledger,
        place: u64,
    ) -> Result<(Vec<Row>, bool), Error> {
        let now = self.clock.now_ms();
        let window = self.batch.saturating_mul(2);
        let mut rows = self.store.ready(self.direction, place, now, window).await?;
        let sequences = rows.iter().map(|row| row.sequence).collect();
        let receipts = self.receipts(ledger, sequences, At::Latest).await?;
        let mut found = false;
        for (sequence, outcome) in receipts {
            if outcome == 0 {
                continue;
            }
            found = true;
            rows.retain(|row| row.sequence != sequence);
            if ledger.chain() == Chain::Native {
                self.done(sequence, outcome).await?;
            } else {
                self.store
                    .note(self.direction, sequence, RowState::Landed, outcome)
                    .await?;
            }
        }
        rows.truncate(self.batch);
        Ok((rows, found))
    }

    /// Sends one batch, or what of it goes through. `true` if something was sent or set aside.
    pub(super) async fn deliver<T: Clone + Sync>(
        &self,
        ledger: &impl Ledger,
        mut items: Vec<Proven<T>>,
        encode: impl Fn(&[Proven<T>]) -> Bytes + Sync,
    ) -> Result<bool, Error> {
        fit(&mut items, &encode);
        if items.is_empty() {
            return Ok(false);
        }
        let isolated = isolate(ledger, self.sender.account(), &items, &encode).await?;
        for (at, reason) in &isolated.bad {
            if let Some(item) = items.get(*at) {
                self.set_aside(item.sequence, reason).await?;
            }
        }
        let together: Vec<_> = isolated
            .good
            .iter()
            .filter_map(|range| items.get(range.clone()))
            .flatten()
            .cloned()
            .collect();
        // Each run goes through alone; all runs together almost always do.
        let longest = isolated
            .good
            .iter()
            .max_by_key(|range| range.len())
            .and_then(|range| items.get(range.clone()))
            .map(<[_]>::to_vec)
            .unwrap_or_default();
        items = together;
        while !items.is_empty() {
            let packets = items.iter().map(|item| item.sequence).collect();
            match self.sender.send(ledger, encode(&items), packets).await? {
                Built::Sent(_) => return Ok(true),
                Built::Busy => return Ok(false),
                Built::TooLarge { gas } if items.len() == 1 => {
                    let reason = format!("it needs {gas} gas, more than max_gas allows");
                    return self.set_all_aside(&items, &reason).await;
                }
                Built::TooLarge { .. } => items.truncate(items.len() / 2),
                Built::Refused(_) if items.len() > longest.len() => items = longest.clone(),
                Built::Refused(reason) => return self.set_all_aside(&items, &reason).await,
            }
        }
        Ok(!isolated.bad.is_empty())
    }

    /// Sets all of them aside; always `true`.
    async fn set_all_aside<T>(&self, items: &[Proven<T>], reason: &str) -> Result<bool, Error> {
        for item in items {
            self.set_aside(item.sequence, reason).await?;
        }
        Ok(true)
    }

    /// Puts a refused packet aside; the longer, the more often it was refused.
    pub(super) async fn set_aside(&self, sequence: u64, reason: &str) -> Result<(), Error> {
        let attempts = self.store.attempts(self.direction, sequence).await?;
        let now = self.clock.now_ms();
        let seed = now.wrapping_add(sequence);
        let wait = back_off_ms(attempts, FIRST_RETRY_MS, LONGEST_RETRY_MS, seed);
        let not_before = now.saturating_add(wait);
        tracing::warn!(
            direction = %self.direction, sequence, attempts, wait_ms = wait, reason,
            "packet set aside"
        );
        self.store
            .set_aside(self.direction, sequence, not_before, reason)
            .await
    }

    async fn done(&self, sequence: u64, outcome: u8) -> Result<(), Error> {
        let became = if outcome == 2 { "expired" } else { "received" };
        tracing::info!(direction = %self.direction, sequence, became, "packet done");
        self.store
            .note(self.direction, sequence, RowState::Done, outcome)
            .await
    }

    async fn receipts(
        &self,
        ledger: &impl Ledger,
        sequences: Vec<u64>,
        at: At,
    ) -> Result<Vec<(u64, u8)>, Error> {
        stream::iter(sequences)
            .map(|sequence| async move {
                let outcome = ledger.receipt(sequence, at).await?;
                Ok((sequence, outcome))
            })
            .buffered(CONCURRENCY)
            .try_collect()
            .await
    }
}

/// Leaves as many packets as one transaction's bytes can hold, and one at least.
fn fit<T>(items: &mut Vec<T>, encode: impl Fn(&[T]) -> Bytes) {
    while items.len() > 1 {
        let length = encode(items).len();
        if length <= MAX_INPUT_LENGTH {
            return;
        }
        let share = items.len().saturating_mul(MAX_INPUT_LENGTH) / length;
        let fewer = items.len().saturating_sub(1);
        items.truncate(share.clamp(1, fewer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_left_fits(lengths in proptest::collection::vec(1usize..20_000, 0..300)) {
            let mut items = lengths.clone();
            fit(&mut items, |items| vec![0u8; items.iter().sum()].into());
            prop_assert_eq!(items.as_slice(), &lengths[..items.len()]);
            prop_assert!(items.iter().sum::<usize>() <= MAX_INPUT_LENGTH);
            prop_assert_eq!(items.is_empty(), lengths.is_empty());
        }
    }
}
