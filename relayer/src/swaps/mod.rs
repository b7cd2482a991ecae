//! Completes hashed-timelock swaps for either side, on both chains of a route to Ethereum.
//!
//! Two people trade across the chains without the bridge (`docs/protocol.md`, "Swaps without the bridge").
//! Whoever claims first shows the secret to everybody. With it anybody may claim what is open under the same
//! lock, on the other chain and on this one, and after the deadline anybody may refund; the tokens go to
//! whom the terms name. So the relayer holds no power here either. What it does:
//!
//! ```txt
//! search   events of the contract: swaps, and the secrets that claims show
//! decide   claim, refund or wait: a pure function of the terms, the secret and the chain's own time
//! ledger   the contract on one chain: its events, its states, transactions to it
//! ```
//!
//! There is a worker for each chain, [`Swaps`]. Secrets are the route's, so what one finds the other uses.
//! A tick: see to what was sent; find; note what has ended for ever; ask the contract about swaps that may
//! have ended; look into the past; then, claims by their deadlines first, ask the contract once more, estimate,
//! and send. One transaction completes one swap: any may be refused by its token.
//!
//! **Nothing is forgotten.** A secret is stored before the search goes on, and believed for good: it fits its
//! lock whatever a reorganisation does to the block that showed it. The cursor passes a block only once it is
//! final. A swap is done when the contract says so at a final block, and forgotten only if at a final block
//! there never was one. What the contract calls claimed while its secret is wanted and not known stays open
//! here, and its blocks are read again.
//!
//! **Nothing is tried twice.** What the contract does not call open is not sent, and what is under way is not
//! sent again. Two relayers may race; then one of the two transactions is refused in its block and pays for it.
//!
//! Limits: [`MAX_LOOKS`] states in one question; transactions as the senders' limits say; what is kept, see
//! `store::swaps`.

pub mod decide;
mod ledger;
mod search;

pub use ledger::{Head, SwapLedger, Timelock};

use crate::{
    Error,
    chain::{At, End},
    clock::Clock,
    metrics::{Metrics, Way},
    rules::Rules,
    store::{Lane, Outcome, RouteStore, SwapEnd, SwapRow},
    transaction::{Built, Desk, Sender, drive},
    worker::Worker,
};
use alloy::sol_types::SolCall as _;
use decide::{Step, decide, pick, retry_ms};
use mileverse_primitives::{Bytes, exchange::HashedTimelock};
use mileverse_wallet::{
    rpc::Chain,
    timelock::{State, Terms},
};
use search::Search;
use std::collections::HashMap;

/// Most states in one question.
pub const MAX_LOOKS: usize = 128;
/// How often the contract is asked about a swap for which nothing is to be done.
const LOOK_MS: u64 = 60_000;
/// How soon it is asked again if its answer cannot stay as it is.
const SOON_MS: u64 = 3_000;
/// How often a swap that the rules pass over is looked at.
const PASSED_OVER_MS: u64 = 60_000;
/// Most ends that are looked at when a block becomes final.
const MAX_SETTLING: usize = 1_024;
/// Between two times that what is kept long enough is dropped.
const PRUNE_MS: u64 = 3_600_000;

/// What a worker is told besides its chain.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Which swaps are completed.
    pub rules: Rules,
    /// First block that can hold an event.
    pub start_block: u64,
    /// Most blocks that one search covers.
    pub log_range: u64,
}

/// The worker of one chain's swaps.
pub struct Swaps<C> {
    chain: C,
    end: End,
    store: RouteStore,
    senders: Vec<Sender>,
    rules: Rules,
    search: Search,
    clock: Clock,
    metrics: Metrics,
    way: Way,
    /// The finalized block at which ends were last looked at.
    looked_at: Option<u64>,
    /// Swaps that are claimed and whose secret is not known, and how often that was seen.
    hidden: HashMap<u64, u32>,
    pruned_ms: u64,
}

impl<C: SwapLedger> Swaps<C> {
    /// The worker of the swaps at this end of a route. Each sender has an account that nobody else uses.
    pub fn new(
        chain: C,
        end: End,
        store: RouteStore,
        senders: Vec<Sender>,
        orders: Orders,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self {
            way: Way::new(store.name(), Lane::Swaps(end)),
            chain,
            end,
            store,
            senders,
            rules: orders.rules,
            search: Search::new(orders.start_block, orders.log_range.max(1)),
            clock,
            metrics,
            looked_at: None,
            hidden: HashMap::new(),
            pruned_ms: 0,
        }
    }

    const fn way_of(&self) -> Lane {
        Lane::Swaps(self.end)
    }

    /// Why the rules leave a swap to others.
    fn pass_over(&self, terms: &Terms) -> Option<String> {
        self.rules
            .refuse(terms.opener, terms.claimer, terms.token, terms.amount)
    }

    /// Sees to what was sent.
    async fn drive(&self) -> Result<Desk, Error> {
        let mut desk = drive(&self.senders, &self.chain).await?;
        for settled in std::mem::take(&mut desk.settled) {
            for number in settled.packets {
                let Some(row) = self.store.open_swap(number).await? else {
                    continue;
                };
                if settled.outcome == Outcome::Reverted {
                    let reason = format!("transaction {} was refused in its block", settled.hash);
                    self.set_aside(&row, None, &reason).await?;
                    continue;
                }
                // The contract is asked at once. An endpoint that is behind may call the swap open still:
                // that is no reason to send another transaction right away.
                let again = self.clock.now_ms().saturating_add(SOON_MS);
                self.store.leave_swap(number, 0, again).await?;
            }
        }
        Ok(desk)
    }

    /// Looks at ends again whose block is final now: they are for ever, or were taken back.
    async fn settle(&mut self, finalized: u64) -> Result<(), Error> {
        if self.looked_at == Some(finalized) {
            return Ok(());
        }
        let rows = self
            .store
            .settling(self.end, finalized, MAX_SETTLING)
            .await?;
        let (ended, others) = self.ended(rows, At::Finalized).await?;
        self.done(&ended).await?;
        let (again, open) = self.ended(others, At::Latest).await?;
        self.settling(&again).await?;
        for row in open {
            tracing::warn!(
                route = self.store.name(), lane = %self.way_of(), id = %row.id,
                "the block that ended this swap was taken back"
            );
            self.metrics.swaps(&self.way, "taken_back", 1);
            self.store.swap_taken_back(row.number).await?;
        }
        self.looked_at = Some(finalized);
        Ok(())
    }

    /// Those of these that ended, as of a block, each with how; and the others.
    async fn ended(
        &self,
        rows: Vec<SwapRow>,
        at: At,
    ) -> Result<(Vec<(u64, SwapEnd)>, Vec<SwapRow>), Error> {
        let (mut ended, mut others) = (Vec::new(), Vec::new());
        for part in rows.chunks(MAX_LOOKS) {
            let ids: Vec<_> = part.iter().map(|row| row.id).collect();
            let states = self.chain.states(&ids, at).await?;
            for (row, state) in part.iter().zip(states) {
                match end_of(state) {
                    Some(end) => ended.push((row.number, end)),
                    None => others.push(*row),
                }
            }
        }
        Ok((ended, others))
    }

    /// Asks about swaps that may have ended, and from time to time about every one. `true` if there are
    /// more.
    async fn look(&mut self, finalized: u64) -> Result<bool, Error> {
        let now = self.clock.now_ms();
        let rows = self
            .store
            .swaps_to_look_at(self.end, now, MAX_LOOKS)
            .await?;
        let more = rows.len() >= MAX_LOOKS;
        self.open_ones(rows, finalized).await?;
        Ok(more)
    }

    /// Those of these swaps that are open as of the newest block. What became of the others is noted.
    async fn open_ones(
        &mut self,
        rows: Vec<SwapRow>,
        finalized: u64,
    ) -> Result<Vec<SwapRow>, Error> {
        if rows.is_empty() {
            return Ok(rows);
        }
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let states = self.chain.states(&ids, At::Latest).await?;
        let (mut open, mut ended, mut absent) = (Vec::new(), Vec::new(), Vec::new());
        for (row, state) in rows.into_iter().zip(states) {
            match end_of(state) {
                Some(SwapEnd::Claimed) if self.hides_its_secret(&row).await? => {}
                Some(end) => ended.push((row, end)),
                None if state == State::Open => open.push(row),
                None => absent.push(row),
            }
        }
        let now = self.clock.now_ms();
        let numbers: Vec<_> = open.iter().map(|row| row.number).collect();
        self.store
            .look_at_swaps(&numbers, now.saturating_add(LOOK_MS))
            .await?;
        self.note_ended(ended).await?;
        self.note_absent(absent, finalized).await?;
        Ok(open)
    }

    /// Whether a claimed swap's secret is wanted and not known. Then its claim is searched again, from the
    /// block that opened it on.
    async fn hides_its_secret(&mut self, row: &SwapRow) -> Result<bool, Error> {
        let wanted =
            row.secret.is_none() && self.store.others_wait(row.terms.lock, row.number).await?;
        if !wanted {
            self.hidden.remove(&row.number);
            return Ok(false);
        }
        let seen = self.hidden.entry(row.number).or_default();
        *seen = seen.saturating_add(1);
        // At first it may only have come after the search.
        if *seen > 1 {
            tracing::warn!(
                route = self.store.name(), lane = %Lane::Swaps(self.end), id = %row.id,
                "a claim is not shown whose secret is wanted; searching again"
            );
            self.chain.doubt();
            self.store.search_again(self.end, row.block).await?;
            self.search.forget_tail();
        }
        let wait = SOON_MS.saturating_mul(u64::from(*seen)).min(LOOK_MS);
        let until = self.clock.now_ms().saturating_add(wait);
        self.store.leave_swap(row.number, until, until).await?;
        Ok(true)
    }

    /// These ended, as of the newest block.
    async fn note_ended(&self, ended: Vec<(SwapRow, SwapEnd)>) -> Result<(), Error> {
        if ended.is_empty() {
            return Ok(());
        }
        if self.chain.chain() == Chain::Ethereum {
            let ended: Vec<_> = ended.iter().map(|(row, end)| (row.number, *end)).collect();
            return self.settling(&ended).await;
        }
        // Final at once; asked again of as many endpoints as must agree.
        let rows = ended.into_iter().map(|(row, _)| row).collect();
        let (sure, unsure) = self.ended(rows, At::Finalized).await?;
        self.done(&sure).await?;
        self.leave_all(&unsure).await
    }

    /// They end in blocks that are not final yet.
    async fn settling(&self, ended: &[(u64, SwapEnd)]) -> Result<(), Error> {
        if ended.is_empty() {
            return Ok(());
        }
        // Asked after their states were seen, so it is not older than their blocks.
        let block = self.chain.height().await?;
        let now = self.clock.now_ms();
        self.store.note_settling(ended, block, now).await
    }

    /// The newest block has no such swaps: forgotten, if no final block had them.
    async fn note_absent(&self, absent: Vec<SwapRow>, finalized: u64) -> Result<(), Error> {
        let (old, mut left): (Vec<_>, Vec<_>) =
            absent.into_iter().partition(|row| row.block <= finalized);
        if !old.is_empty() {
            let ids: Vec<_> = old.iter().map(|row| row.id).collect();
            let states = self.chain.states(&ids, At::Finalized).await?;
            for (row, state) in old.into_iter().zip(states) {
                if state != State::None {
                    left.push(row);
                    continue;
                }
                tracing::info!(
                    route = self.store.name(), lane = %self.way_of(), id = %row.id,
                    "a swap is forgotten: its block was taken back, or never was"
                );
                self.metrics.swaps(&self.way, "forgotten", 1);
                self.store.forget_swap(row.number).await?;
            }
        }
        self.leave_all(&left).await
    }

    /// Lets a moment pass: the endpoints do not agree about these, or a block is missing.
    async fn leave_all(&self, rows: &[SwapRow]) -> Result<(), Error> {
        if !rows.is_empty() {
            self.chain.doubt();
        }
        for row in rows {
            let until = self.clock.now_ms().saturating_add(SOON_MS);
            self.store.leave_swap(row.number, until, until).await?;
        }
        Ok(())
    }

    /// They ended for ever.
    async fn done(&self, ended: &[(u64, SwapEnd)]) -> Result<(), Error> {
        if ended.is_empty() {
            return Ok(());
        }
        let now = self.clock.now_ms();
        for end in self.store.note_ended(self.end, ended, now).await? {
            self.metrics.swaps(&self.way, end.word(), 1);
        }
        tracing::info!(
            route = self.store.name(), lane = %self.way_of(), count = ended.len(), "swaps done"
        );
        Ok(())
    }

    /// Claims and refunds what is due, as far as senders are idle. `true` if there may be more.
    async fn act(&mut self, desk: Desk, head: &Head, finalized: u64) -> Result<bool, Error> {
        let places = desk.idle.len();
        if places == 0 {
            return Ok(false);
        }
        let now = self.clock.now_ms();
        let limit = places.saturating_add(desk.reserved.len());
        let moment = head.moment;
        let mut claims = self
            .store
            .claimable(self.end, moment.next_s, now, limit)
            .await?;
        let mut refunds = self
            .store
            .refundable(self.end, moment.newest_s, now, limit)
            .await?;
        for rows in [&mut claims, &mut refunds] {
            rows.retain(|row| !desk.reserved.contains(&row.number));
        }
        let mut picked = Vec::with_capacity(places);
        for row in pick(claims, refunds, places) {
            match self.pass_over(&row.terms) {
                None => picked.push(row),
                Some(reason) => {
                    let reason = format!("passed over by the rules: {reason}");
                    let again = now.saturating_add(PASSED_OVER_MS);
                    self.store
                        .set_swap_aside(row.number, again, &reason)
                        .await?;
                }
            }
        }
        let looked = picked.len();
        let open = self.open_ones(picked, finalized).await?;
        // Whatever became of those that are not open, others may take their places.
        let mut acted = open.len() < looked;
        let mut trouble = None;
        for (row, sender) in open.iter().zip(desk.idle) {
            let input: Bytes = match decide(&row.terms, row.secret, moment) {
                Step::Wait => continue,
                Step::Claim(secret) => HashedTimelock::claimCall {
                    terms: row.terms.abi(),
                    secret,
                }
                .abi_encode()
                .into(),
                Step::Refund => HashedTimelock::refundCall {
                    terms: row.terms.abi(),
                }
                .abi_encode()
                .into(),
            };
            match self.send(sender, row, input, head).await {
                Ok(sent) => acted |= sent,
                Err(error) if error.passes() => trouble = Some(error),
                Err(error) => return Err(error),
            }
        }
        match trouble {
            Some(error) => Err(error),
            None => Ok(acted),
        }
    }

    /// Sends this call about a swap, or sets the swap aside. `false` if neither can be now.
    async fn send(
        &self,
        sender: usize,
        row: &SwapRow,
        input: Bytes,
        head: &Head,
    ) -> Result<bool, Error> {
        let Some(sender) = self.senders.get(sender) else {
            return Ok(false);
        };
        let packets = vec![row.number];
        let reason = match sender
            .send(&self.chain, input, packets, row.found_ms)
            .await?
        {
            Built::Sent(_) => return Ok(true),
            Built::Busy | Built::Dear { .. } => return Ok(false),
            Built::TooLarge { gas } => {
                format!("it needs {gas} gas, more than swaps.max_gas allows")
            }
            Built::Refused(reason) => {
                // Perhaps it is the endpoint's fault alone.
                self.chain.doubt();
                reason
            }
        };
        self.set_aside(row, Some(head), &reason).await?;
        Ok(true)
    }

    /// Leaves a refused swap alone for a while; the longer, the more often it was refused.
    async fn set_aside(
        &self,
        row: &SwapRow,
        head: Option<&Head>,
        reason: &str,
    ) -> Result<(), Error> {
        let now = self.clock.now_ms();
        let seed = now.wrapping_add(row.number);
        let moment = head.map(|head| head.moment);
        let wait = retry_ms(row.attempts, &row.terms, moment, seed);
        tracing::warn!(
            route = self.store.name(), lane = %self.way_of(), id = %row.id,
            attempts = row.attempts, wait_ms = wait, reason, "swap set aside"
        );
        self.metrics.swaps(&self.way, "set_aside", 1);
        self.store
            .set_swap_aside(row.number, now.saturating_add(wait), reason)
            .await
    }

    async fn prune(&mut self) -> Result<(), Error> {
        let now = self.clock.now_ms();
        let waited = now.checked_sub(self.pruned_ms);
        if waited.is_some_and(|waited| waited < PRUNE_MS) {
            return Ok(());
        }
        self.pruned_ms = now;
        self.store.prune_swaps(now).await
    }
}

impl<C: SwapLedger> Worker for Swaps<C> {
    fn lane(&self) -> Lane {
        self.way_of()
    }

    fn doubt(&self, chain: Chain) {
        if self.chain.chain() == chain {
            self.chain.doubt();
        }
    }

    async fn tick(&mut self) -> Result<bool, Error> {
        let mut desk = self.drive().await?;
        let head = self.chain.head().await?;
        let finalized = self.chain.finalized().await?.min(head.number);
        // What is in trouble does not keep the rest from being done: a claim that could go out now must
        // not wait for an endpoint that shows events again.
        let mut outcome = Patient {
            more: false,
            trouble: desk.trouble.take(),
        };
        outcome.note(self.find(&head, finalized).await)?;
        outcome.note(self.settle(finalized).await.map(|()| false))?;
        outcome.note(self.look(finalized).await)?;
        outcome.note(self.act(desk, &head, finalized).await)?;
        outcome.note(self.sweep().await.map(|()| false))?;
        outcome.note(self.prune().await.map(|()| false))?;
        match outcome.trouble {
            Some(error) => Err(error),
            None => Ok(outcome.more),
        }
    }
}

/// What came of a tick's parts: the first trouble that passes, or whether there is more to do.
struct Patient {
    more: bool,
    trouble: Option<Error>,
}

impl Patient {
    fn note(&mut self, part: Result<bool, Error>) -> Result<(), Error> {
        match part {
            Ok(more) => self.more |= more,
            Err(error) if error.passes() => {
                self.trouble.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// How a swap in this state ended, if it did.
const fn end_of(state: State) -> Option<SwapEnd> {
    match state {
        State::None | State::Open => None,
        State::Claimed => Some(SwapEnd::Claimed),
        State::Refunded => Some(SwapEnd::Refunded),
    }
}
