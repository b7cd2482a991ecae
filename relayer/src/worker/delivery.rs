//! What both workers share: following packets to their receipts, and sending batches of them.

use super::isolate::isolate;
use crate::{
    Error,
    chain::{At, Inbox},
    clock::{Clock, back_off_ms},
    metrics::{Metrics, Way},
    rules::Rules,
    store::{Direction, NewPacket, Outcome, Position, RouteStore, Row},
    transaction::{Built, Desk, Sender, drive},
};
use mileverse_primitives::{Bytes, packet::Packet};
use mileverse_wallet::rpc::Chain;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most bytes of call data in one transaction; nodes take transactions up to 131,072 bytes.
const MAX_INPUT_LENGTH: usize = 120_000;
/// First and longest wait of a refused packet.
pub(crate) const FIRST_RETRY_MS: u64 = 1_000;
pub(crate) const LONGEST_RETRY_MS: u64 = 5 * 60 * 1_000;
/// How often a packet that is passed over is looked at.
const PASSED_OVER_MS: u64 = 60 * 1_000;
/// How soon a transfer that is held is looked at again: a guardian may have stopped it.
const HELD_LOOK_MS: u64 = 60 * 1_000;
/// Most receipts that are looked at when a block becomes final.
const MAX_LANDED: usize = 4_096;

/// What a direction is told besides its chains.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Most packets in one transaction.
    pub batch: usize,
    /// Which packets are carried.
    pub rules: Rules,
    /// If there is any: these packets and no others, whenever their time comes.
    pub only: Option<u64>,
}

/// One direction's deliveries.
pub struct Delivery {
    store: RouteStore,
    senders: Vec<Sender>,
    direction: Direction,
    orders: Orders,
    clock: Clock,
    metrics: Metrics,
    way: Way,
    /// The finalized block at which receipts were last looked at.
    looked_at: Option<u64>,
    /// About how many packets fit one transaction's bytes: no more are proven for one.
    room: AtomicUsize,
}

/// A packet with what proves it.
#[derive(Clone, Debug)]
pub(super) struct Proven<T> {
    pub(super) sequence: u64,
    pub(super) found_ms: u64,
    pub(super) item: T,
}

impl Delivery {
    /// Deliveries by these senders, each with an account of its own.
    pub fn new(
        store: RouteStore,
        senders: Vec<Sender>,
        direction: Direction,
        orders: Orders,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self {
            way: Way::new(store.name(), direction),
            store,
            senders,
            direction,
            orders,
            clock,
            metrics,
            looked_at: None,
            room: AtomicUsize::new(usize::MAX),
        }
    }

    /// Most packets that are worth proving for one transaction.
    fn batch(&self) -> usize {
        self.orders.batch.min(self.room.load(Ordering::Relaxed))
    }

    /// So many of `proven` packets fitted: the next time as many, or a few more if all did.
    fn learn(&self, proven: usize, fitted: usize) {
        let room = if fitted < proven {
            fitted
        } else if fitted >= self.batch() {
            fitted.saturating_add(fitted / 8).saturating_add(1)
        } else {
            return;
        };
        self.room.store(room.max(1), Ordering::Relaxed);
    }

    pub(super) const fn store(&self) -> &RouteStore {
        &self.store
    }

    pub(super) const fn direction(&self) -> Direction {
        self.direction
    }

    /// Carries this packet and no others.
    pub(crate) const fn only(&mut self, sequence: u64) {
        self.orders.only = Some(sequence);
    }

    /// Stores what was found and how far it was looked.
    pub(super) async fn advance(
        &self,
        position: Position,
        found: &[NewPacket],
    ) -> Result<(), Error> {
        if !found.is_empty() {
            self.metrics.packets(&self.way, "found", found.len());
            tracing::info!(
                route = self.store.name(), direction = %self.direction, count = found.len(),
                next = position.next, "packets found"
            );
        }
        self.store
            .advance(self.direction, position, found, self.clock.now_ms())
            .await
    }

    /// Sees to what was sent. A sender that is in trouble does not stop the others, unless all are.
    pub(super) async fn drive(&self, ledger: &impl Inbox) -> Result<Desk, Error> {
        let mut desk = drive(&self.senders, ledger).await?;
        let mut included = Vec::new();
        for settled in std::mem::take(&mut desk.settled) {
            match settled.outcome {
                Outcome::Included => included.extend(settled.packets),
                Outcome::Gone => {}
                Outcome::Reverted => {
                    let reason = format!("transaction {} was refused in its block", settled.hash);
                    for sequence in settled.packets {
                        self.set_aside(sequence, &reason).await?;
                    }
                }
            }
        }
        self.arrived(ledger, included).await?;
        match desk.trouble.take() {
            Some(error) => Err(error),
            None => Ok(desk),
        }
    }

    /// Their transaction is in a block: most of them have a receipt now, and some wait there for
    /// their delay.
    async fn arrived(&self, ledger: &impl Inbox, sequences: Vec<u64>) -> Result<(), Error> {
        let (receipts, without): (Vec<_>, Vec<_>) = self
            .receipts(ledger, sequences, At::Latest)
            .await?
            .into_iter()
            .partition(|(_, outcome)| *outcome != 0);
        self.note(ledger, receipts).await?;
        for (sequence, _) in without {
            self.wait_if_held(ledger, sequence).await?;
        }
        Ok(())
    }

    /// Sets a large transfer aside until its delay is over, or until it is time to see whether a guardian
    /// stopped it; `true` if it is one.
    async fn wait_if_held(&self, ledger: &impl Inbox, sequence: u64) -> Result<bool, Error> {
        let Some(until) = ledger.held(sequence).await? else {
            return Ok(false);
        };
        let until_ms = until.saturating_mul(1_000);
        let now_ms = self.clock.now_ms();
        if until_ms <= now_ms {
            return Ok(false);
        }
        if self.store.attempts(self.direction, sequence).await? == 0 {
            tracing::info!(
                route = self.store.name(), direction = %self.direction, sequence, until,
                "a large transfer waits for its delay"
            );
            self.metrics.packets(&self.way, "held", 1);
        }
        let reason = format!(
            "it is held until {until} (seconds since 1970), because it is large; until then a guardian may stop it"
        );
        let look_ms = until_ms.min(now_ms.saturating_add(HELD_LOOK_MS));
        self.store
            .set_aside(self.direction, sequence, look_ms, &reason)
            .await?;
        Ok(true)
    }

    /// Whether a receipt waits to become final.
    pub(super) async fn has_landed(&self) -> Result<bool, Error> {
        let landed = self.store.landed(self.direction, u64::MAX, 1).await?;
        Ok(!landed.is_empty())
    }

    /// Looks at receipts again whose block is final now: they are for ever, or were taken back.
    pub(super) async fn settle(
        &mut self,
        ledger: &impl Inbox,
        finalized: u64,
    ) -> Result<(), Error> {
        if self.looked_at == Some(finalized) {
            return Ok(());
        }
        let landed = self
            .store
            .landed(self.direction, finalized, MAX_LANDED)
            .await?;
        let (done, gone): (Vec<_>, Vec<_>) = self
            .receipts(ledger, landed, At::Finalized)
            .await?
            .into_iter()
            .partition(|(_, outcome)| *outcome != 0);
        self.done(&done).await?;
        for (sequence, _) in gone {
            let outcome = ledger.receipt(sequence, At::Latest).await?;
            if outcome != 0 {
                // Taken back and delivered again meanwhile.
                self.landed(ledger, &[(sequence, outcome)]).await?;
                continue;
            }
            tracing::warn!(
                route = self.store.name(), direction = %self.direction, sequence,
                "the block with this packet's receipt was taken back; delivering again"
            );
            self.metrics.packets(&self.way, "taken_back", 1);
            self.store.taken_back(self.direction, sequence).await?;
        }
        self.looked_at = Some(finalized);
        Ok(())
    }

    /// Whether any packet's time has come that is not under way.
    pub(super) async fn has_ready(&self, desk: &Desk) -> Result<bool, Error> {
        Ok(!self.next(desk, u64::MAX, 1).await?.is_empty())
    }

    async fn next(&self, desk: &Desk, place: u64, limit: usize) -> Result<Vec<Row>, Error> {
        let now = self.clock.now_ms();
        if let Some(only) = self.orders.only {
            let row = self.store.waiting(self.direction, only).await?;
            return Ok(row
                .into_iter()
                .filter(|row| row.place <= place && !desk.reserved.contains(&row.sequence))
                .collect());
        }
        self.store
            .ready(self.direction, place, now, limit, &desk.reserved)
            .await
    }

    /// Packets to deliver, up to `place`; and whether others could be put away.
    pub(super) async fn ready(
        &self,
        ledger: &impl Inbox,
        desk: &Desk,
        place: u64,
    ) -> Result<(Vec<Row>, bool), Error> {
        let mut rows = self.next(desk, place, self.batch()).await?;
        let mut moved = false;
        let sequences = rows.iter().map(|row| row.sequence).collect();
        let receipts: Vec<_> = self
            .receipts(ledger, sequences, At::Latest)
            .await?
            .into_iter()
            .filter(|(_, outcome)| *outcome != 0)
            .collect();
        rows.retain(|row| {
            receipts
                .iter()
                .all(|(sequence, _)| *sequence != row.sequence)
        });
        moved |= self.note(ledger, receipts).await?;
        let mut carried = Vec::with_capacity(rows.len());
        for row in rows {
            match self.pass_over(&row) {
                None => carried.push(row),
                Some(reason) => {
                    moved = true;
                    let again = self.clock.now_ms().saturating_add(PASSED_OVER_MS);
                    self.store
                        .set_aside(self.direction, row.sequence, again, &reason)
                        .await?;
                }
            }
        }
        Ok((carried, moved))
    }

    /// These have receipts. `true` if that is believed.
    async fn note(&self, ledger: &impl Inbox, receipts: Vec<(u64, u8)>) -> Result<bool, Error> {
        if receipts.is_empty() {
            return Ok(false);
        }
        if ledger.chain() == Chain::Ethereum {
            self.landed(ledger, &receipts).await?;
            return Ok(true);
        }
        // Final at once; asked again of as many endpoints as must agree.
        let sequences = receipts.iter().map(|(sequence, _)| *sequence).collect();
        let mut sure = self.receipts(ledger, sequences, At::Finalized).await?;
        sure.retain(|(_, outcome)| *outcome != 0);
        if sure.len() < receipts.len() {
            ledger.doubt();
        }
        self.done(&sure).await?;
        Ok(!sure.is_empty())
    }

    /// Why the rules leave a packet to others.
    fn pass_over(&self, row: &Row) -> Option<String> {
        let packet = Packet::decode(&row.bytes).ok()?;
        self.orders.rules.pass_over(&packet)
    }

    /// Sends one batch, or what of it goes through. `true` if something was sent or set aside.
    pub(super) async fn deliver<T: Clone + Sync>(
        &self,
        ledger: &impl Inbox,
        sender: usize,
        mut items: Vec<Proven<T>>,
        encode: impl Fn(&[Proven<T>]) -> Bytes + Sync,
    ) -> Result<bool, Error> {
        let Some(sender) = self.senders.get(sender) else {
            return Ok(false);
        };
        let proven = items.len();
        fit(&mut items, &encode);
        if items.is_empty() {
            return Ok(false);
        }
        self.learn(proven, items.len());
        let isolated = isolate(ledger, sender.account(), &items, &encode).await?;
        for (at, reason) in &isolated.bad {
            if let Some(item) = items.get(*at)
                && !self.wait_if_held(ledger, item.sequence).await?
            {
                // Perhaps it is the endpoint's fault alone.
                ledger.doubt();
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
            let oldest = items.iter().map(|item| item.found_ms).min().unwrap_or(0);
            match sender.send(ledger, encode(&items), packets, oldest).await? {
                Built::Sent(_) => return Ok(true),
                Built::Busy => return Ok(false),
                Built::Dear { each } => {
                    tracing::info!(
                        route = self.store.name(), direction = %self.direction, each,
                        packets = items.len(), "waiting for cheaper gas"
                    );
                    return Ok(false);
                }
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
            route = self.store.name(), direction = %self.direction, sequence, attempts,
            wait_ms = wait, reason, "packet set aside"
        );
        self.metrics.packets(&self.way, "set_aside", 1);
        self.store
            .set_aside(self.direction, sequence, not_before, reason)
            .await
    }

    /// Receipts for ever.
    async fn done(&self, receipts: &[(u64, u8)]) -> Result<(), Error> {
        if receipts.is_empty() {
            return Ok(());
        }
        let now = self.clock.now_ms();
        let news = self.store.note_done(self.direction, receipts, now).await?;
        for done in news {
            let became = if done.outcome == 2 {
                "expired"
            } else {
                "received"
            };
            tracing::info!(
                route = self.store.name(), direction = %self.direction,
                sequence = done.sequence, became, "packet done"
            );
            self.metrics.packets(&self.way, became, 1);
            if done.kind == "acknowledgement" {
                self.metrics.packets(&self.way, "acknowledged", 1);
            }
            let landed = done.landed_ms.saturating_sub(done.found_ms);
            self.metrics.latency(&self.way, "landed", landed);
            let done = now.saturating_sub(done.found_ms);
            self.metrics.latency(&self.way, "final", done);
        }
        Ok(())
    }

    /// Receipts that are not final yet.
    async fn landed(&self, ledger: &impl Inbox, receipts: &[(u64, u8)]) -> Result<(), Error> {
        // Asked after the receipts were seen, so it is not older than their blocks.
        let block = ledger.height().await?;
        let now = self.clock.now_ms();
        self.store
            .note_landed(self.direction, receipts, block, now)
            .await
    }

    async fn receipts(
        &self,
        ledger: &impl Inbox,
        sequences: Vec<u64>,
        at: At,
    ) -> Result<Vec<(u64, u8)>, Error> {
        if sequences.is_empty() {
            return Ok(Vec::new());
        }
        let outcomes = ledger.receipts(&sequences, at).await?;
        Ok(sequences.into_iter().zip(outcomes).collect())
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
