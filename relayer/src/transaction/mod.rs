//! Sending transactions so that none is lost and none is doubled by accident.
//!
//! ```txt
//! build      estimate, fees, nonce, signature; stored before anybody sees it
//! nonce      the state machine: what stored transactions and the chain's nonce say together
//! broadcast  the same bytes again while the outcome is unknown; a higher fee after long waiting
//! confirm    what became of it, once its nonce is used; forgotten when it is used for ever
//! desk       several senders of one lane as one
//! ```
//!
//! One sender has one account on one chain (several senders work side by side, each on packets of its
//! own) and at most [`Limits::in_flight`] undecided nonces: a new transaction takes the lowest nonce
//! from the chain's own next one on that nothing stored has. The chain's nonce is asked, never
//! remembered, so a lost database or a foreign transaction of the same account confuses nothing. If
//! bytes of ours are out that the database forgot, one of the two transactions with that nonce takes
//! effect, and delivering twice does nothing anyway. A transaction above a nonce that nothing has (an
//! endpoint told a wrong nonce) cannot get into a block: its packets go out again below it, and once
//! they fill the gap it follows and does nothing.

mod broadcast;
mod build;
mod confirm;
mod desk;
pub mod nonce;

pub use build::Built;
pub(crate) use build::about_gas;
pub(crate) use desk::{Desk, drive};

use crate::{
    Error,
    chain::{At, Ledger},
    clock::Clock,
    keys::Signer,
    metrics::{Metrics, Way},
    store::{Lane, Outcome, RouteStore, SignedRow},
};
use mileverse_primitives::{Address, B256};
use std::time::Duration;

/// Limits of one sender.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most gas for one transaction.
    pub max_gas: u64,
    /// Most wei for a unit of gas.
    pub max_fee: u128,
    /// Most transactions of one account that are in no block yet.
    pub in_flight: usize,
    /// Between two broadcasts of the same bytes.
    pub rebroadcast: Duration,
    /// Waiting for a block before more is offered.
    pub replace: Duration,
    /// What a packet may cost, if there is a limit.
    pub profit: Option<Profit>,
}

/// When a batch is worth its gas. It delays packets and never drops one: who has waited for
/// `longest_wait` is carried whatever it costs (within [`Limits::max_fee`]).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Profit {
    /// Most wei for one packet, at the fees that would be offered.
    pub most_per_packet: u128,
    /// Longest wait of a packet for cheaper gas.
    pub longest_wait: Duration,
}

/// One account that sends in one lane.
pub struct Sender {
    store: RouteStore,
    lane: Lane,
    signer: Signer,
    chain_id: u64,
    limits: Limits,
    clock: Clock,
    metrics: Metrics,
    way: Way,
}

/// What [`Sender::drive`] found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Driven {
    /// So many new transactions may be sent.
    pub free: usize,
    /// What is in transactions that can get into a block, and whose outcome is unknown.
    pub reserved: Vec<u64>,
    /// Transactions whose outcome is known since this look, with their packets.
    pub settled: Vec<Settled>,
}

/// A transaction whose outcome is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settled {
    /// Which.
    pub hash: B256,
    /// What became of it.
    pub outcome: Outcome,
    /// Its packets.
    pub packets: Vec<u64>,
}

impl Sender {
    /// A sender for the account of `signer`.
    pub fn new(
        store: RouteStore,
        lane: impl Into<Lane>,
        signer: Signer,
        chain_id: u64,
        limits: Limits,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let lane = lane.into();
        Self {
            way: Way::new(store.name(), lane),
            store,
            lane,
            signer,
            chain_id,
            limits,
            clock,
            metrics,
        }
    }

    /// The account.
    pub const fn account(&self) -> Address {
        self.signer.account()
    }

    /// Moves what was sent before one step further: notes outcomes, broadcasts again, offers more.
    pub async fn drive(&self, ledger: &impl Ledger) -> Result<Driven, Error> {
        let rows = self.stored().await?;
        if rows.is_empty() {
            return Ok(Driven {
                free: self.limits.in_flight,
                ..Driven::default()
            });
        }
        let next = ledger.nonce(self.account(), At::Latest).await?;
        let (used, open): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.nonce < next);
        let settled = self.confirm(ledger, &used, next).await?;
        self.push(ledger, next, &open).await?;
        let runnable = nonce::unbroken(next, open.iter().map(|row| row.nonce));
        let mut nonces: Vec<_> = open.iter().map(|row| row.nonce).collect();
        nonces.retain(|nonce| *nonce < runnable);
        nonces.dedup();
        let reserved = open
            .into_iter()
            .filter(|row| row.nonce < runnable)
            .flat_map(|row| row.packets)
            .collect();
        Ok(Driven {
            free: self.limits.in_flight.saturating_sub(nonces.len()),
            reserved,
            settled,
        })
    }

    /// Packets of transactions whose outcome was not known when it was last looked at.
    pub async fn unsettled(&self) -> Result<Vec<u64>, Error> {
        let rows = self.stored().await?;
        let open = rows.into_iter().filter(|row| row.outcome.is_none());
        Ok(open.flat_map(|row| row.packets).collect())
    }

    /// What this account has signed, by nonce, then by age.
    async fn stored(&self) -> Result<Vec<SignedRow>, Error> {
        let mut rows = self.store.signed(self.lane).await?;
        rows.retain(|row| row.account == self.account());
        Ok(rows)
    }
}
