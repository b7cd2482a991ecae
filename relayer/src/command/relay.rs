//! `mileverse relayer relay` and `refund`: one packet by hand.
//!
//! The same workers, keys and database as `run`, told to carry one packet and no other. So whatever
//! is cut off here, `run` carries on, and nothing is sent twice under one nonce.

use super::say;
use crate::{
    Error,
    chain::{At, EthereumChain as _, Ledger as _, NativeChain as _},
    clock::Clock,
    config::Config,
    metrics::Metrics,
    route::{Route, Workers},
    store::{Direction, RouteStore, Store},
    worker::Worker,
};
use clap::Args;
use mileverse_primitives::packet::{EXPIRY_LENGTHS, Packet};
use mileverse_wallet::client::PacketReference;
use serde::Serialize;
use std::{path::PathBuf, time::Duration};
use tokio::time::{Instant, sleep};

#[derive(Args, Debug)]
pub(super) struct Order {
    /// native:NUMBER or ethereum:NUMBER.
    packet: PacketReference,
    /// Configuration file (TOML).
    #[arg(long)]
    config: PathBuf,
    /// Which route; may be left out if there is only one.
    #[arg(long)]
    route: Option<String>,
    /// Give up after so many seconds; nothing is lost by that.
    #[arg(long, default_value_t = 1_800)]
    within: u64,
    /// One JSON object instead of a sentence.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ended {
    packet: PacketReference,
    outcome: &'static str,
    /// The packet that brought the refund home.
    refunded_by: Option<PacketReference>,
}

/// One route, held for one packet.
struct Trip {
    route: Route,
    store: Store,
    rows: RouteStore,
    workers: Workers,
    poll: Duration,
    until: Instant,
}

pub(super) async fn relay(order: &Order) -> Result<(), Error> {
    let mut trip = Trip::open(order).await?;
    let outcome = trip.carry(order.packet).await?;
    trip.store.close().await;
    let ended = Ended {
        packet: order.packet,
        outcome: word(outcome),
        refunded_by: None,
    };
    say(order.json, &ended, || {
        format!("packet {} is {}", ended.packet, ended.outcome)
    })
}

pub(super) async fn refund(order: &Order) -> Result<(), Error> {
    let mut trip = Trip::open(order).await?;
    let outcome = trip.carry(order.packet).await?;
    let refunded_by = match outcome {
        2 => Some(trip.bring_home(order.packet).await?),
        _ => None,
    };
    trip.store.close().await;
    let ended = Ended {
        packet: order.packet,
        outcome: match refunded_by {
            Some(_) => "refunded",
            None => word(outcome),
        },
        refunded_by,
    };
    say(order.json, &ended, || match ended.refunded_by {
        Some(by) => format!("packet {} is refunded, by packet {by}", ended.packet),
        None => format!(
            "packet {} is {}; there is nothing to refund",
            ended.packet, ended.outcome
        ),
    })
}

const fn word(outcome: u8) -> &'static str {
    match outcome {
        2 => "expired",
        _ => "received",
    }
}

impl Trip {
    async fn open(order: &Order) -> Result<Self, Error> {
        let config = Config::read(&order.config)?;
        let (name, route) = config.route(order.route.as_deref())?;
        let route = Route::open(name, route)?;
        let network = route.network().await?;
        let store = Store::open(&config.database).await?;
        let rows = store.bind(name, &network).await?;
        let workers = route.workers(&network, &rows, &Clock::system(), &Metrics::default());
        Ok(Self {
            route,
            store,
            rows,
            workers,
            poll: Duration::from_millis(config.poll_interval_ms),
            until: Instant::now() + Duration::from_secs(order.within),
        })
    }

    /// One look at one direction, in which only this packet is sent.
    async fn tick(&mut self, direction: Direction, sequence: u64) -> Result<(), Error> {
        let ticked = match direction {
            Direction::ToEthereum => tick(&mut self.workers.0, sequence).await,
            Direction::ToNative => tick(&mut self.workers.1, sequence).await,
        };
        match ticked {
            Err(error) if error.passes() => {
                tracing::warn!(%error, "trying again");
                Ok(())
            }
            other => other,
        }
    }

    /// Carries a packet until its receipt stands at the destination.
    async fn carry(&mut self, packet: PacketReference) -> Result<u8, Error> {
        let direction = Direction::from_source(packet.chain);
        loop {
            let ledger = match direction {
                Direction::ToEthereum => self.route.ethereum.ledger(),
                Direction::ToNative => self.route.native.ledger(),
            };
            match ledger.receipt(packet.sequence, At::Latest).await {
                Ok(0) => {}
                Ok(outcome) => return Ok(outcome),
                Err(error) => tracing::warn!(%error, "trying again"),
            }
            self.tick(direction, packet.sequence).await?;
            self.wait(packet, direction).await?;
        }
    }

    /// Finds the expiry of an expired packet, and carries it.
    async fn bring_home(&mut self, packet: PacketReference) -> Result<PacketReference, Error> {
        let back = Direction::from_source(packet.chain).back();
        loop {
            if let Some(sequence) = self.expiry_of(back, packet.sequence).await? {
                let news = PacketReference {
                    chain: packet.chain.other(),
                    sequence,
                };
                self.carry(news).await?;
                return Ok(news);
            }
            if self.is_refunded(packet).await {
                return Err(Error::Unfinished(format!(
                    "packet {packet} is refunded already"
                )));
            }
            // Only finds; there is no packet 0.
            self.tick(back, 0).await?;
            self.wait(packet, back).await?;
        }
    }

    /// The expiry, among those that are not done, of the packet that went the other way.
    async fn expiry_of(&self, back: Direction, sequence: u64) -> Result<Option<u64>, Error> {
        for length in EXPIRY_LENGTHS {
            let rows = self.rows.of_length(back, length).await?;
            let found = rows
                .into_iter()
                .find_map(|row| match Packet::decode(&row.bytes) {
                    Ok(Packet::Expiry(expiry)) if expiry.expired.id.sequence == sequence => {
                        Some(row.sequence)
                    }
                    _ => None,
                });
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    async fn is_refunded(&self, packet: PacketReference) -> bool {
        let ledger = match Direction::from_source(packet.chain) {
            Direction::ToEthereum => self.route.native.ledger(),
            Direction::ToNative => self.route.ethereum.ledger(),
        };
        ledger
            .is_refunded(packet.sequence)
            .await
            .unwrap_or_default()
    }

    async fn wait(&self, packet: PacketReference, direction: Direction) -> Result<(), Error> {
        if Instant::now() < self.until {
            sleep(self.poll).await;
            return Ok(());
        }
        let row = self.rows.packet(direction, packet.sequence).await?;
        let reason = row
            .and_then(|row| row.reason)
            .unwrap_or_else(|| "its chain has not shown it yet, or a block is missing".to_owned());
        Err(Error::Unfinished(format!(
            "packet {packet} has not come to its end in time ({reason}); nothing is lost, so try again, or ask `mileverse relayer why {packet}`"
        )))
    }
}

async fn tick(worker: &mut impl Worker, sequence: u64) -> Result<(), Error> {
    worker.delivery().only(sequence);
    worker.tick().await.map(|_| ())
}
