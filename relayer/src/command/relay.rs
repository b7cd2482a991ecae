//! `mileverse relayer relay` and `refund`: one packet by hand.
//!
//! The same workers, keys and database as `run`, told to carry one packet and no other. So whatever
//! is cut off here, `run` carries on, and nothing is sent twice under one nonce.

use super::say;
use crate::{
    Error,
    chain::{At, Inbox as _},
    clock::Clock,
    config::Config,
    metrics::Metrics,
    route::{Carrier, Route},
    store::{Direction, RouteStore, Store},
    worker::{Carries as _, Worker as _},
};
use clap::Args;
use mileverse_primitives::packet::{NEWS_LENGTHS, Packet};
use mileverse_wallet::client::PacketName;
use serde::Serialize;
use std::{path::PathBuf, time::Duration};
use tokio::time::{Instant, sleep};

#[derive(Args, Debug)]
pub(super) struct Order {
    /// native:NUMBER, ethereum:NUMBER, or SOURCE:DESTINATION:NUMBER between native chains.
    packet: PacketName,
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
    packet: PacketName,
    outcome: &'static str,
    /// The packet that brought the refund home.
    refunded_by: Option<PacketName>,
    /// The packet that told the sender who asked.
    acknowledged_by: Option<PacketName>,
}

/// One route, held for one packet.
struct Trip {
    route: Route,
    store: Store,
    rows: RouteStore,
    workers: [Carrier; 2],
    poll: Duration,
    until: Instant,
}

pub(super) async fn relay(order: &Order) -> Result<(), Error> {
    let mut trip = Trip::open(order).await?;
    let (direction, sequence) = trip.route.way_of(order.packet)?;
    let outcome = trip.carry(direction, sequence).await?;
    let acknowledged_by = match outcome {
        1 if trip.asks(direction, sequence).await? => {
            Some(trip.bring_home(direction, sequence).await?)
        }
        _ => None,
    };
    trip.store.close().await;
    let ended = Ended {
        packet: order.packet,
        outcome: match acknowledged_by {
            Some(_) => "acknowledged",
            None => word(outcome),
        },
        refunded_by: None,
        acknowledged_by,
    };
    say(order.json, &ended, || match ended.acknowledged_by {
        Some(by) => format!("packet {} is acknowledged, by packet {by}", ended.packet),
        None => format!("packet {} is {}", ended.packet, ended.outcome),
    })
}

pub(super) async fn refund(order: &Order) -> Result<(), Error> {
    let mut trip = Trip::open(order).await?;
    let (direction, sequence) = trip.route.way_of(order.packet)?;
    let outcome = trip.carry(direction, sequence).await?;
    let refunded_by = match outcome {
        2 => Some(trip.bring_home(direction, sequence).await?),
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
        acknowledged_by: None,
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
        let mut workers = self.workers.iter_mut();
        let Some(worker) = workers.find(|worker| worker.lane() == direction.into()) else {
            return Ok(());
        };
        worker.delivery().only(sequence);
        match worker.tick().await {
            Err(error) if error.passes() => {
                tracing::warn!(%error, "trying again");
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    /// Carries a packet until its receipt stands at the destination.
    async fn carry(&mut self, direction: Direction, sequence: u64) -> Result<u8, Error> {
        loop {
            let ledger = self.route.destination(direction);
            match ledger.receipt(sequence, At::Latest).await {
                Ok(0) => {}
                Ok(outcome) => return Ok(outcome),
                Err(error) => tracing::warn!(%error, "trying again"),
            }
            self.tick(direction, sequence).await?;
            self.wait(direction, sequence).await?;
        }
    }

    /// Whether a packet's sender wants an acknowledgement.
    async fn asks(&mut self, direction: Direction, sequence: u64) -> Result<bool, Error> {
        loop {
            if let Some(row) = self.rows.packet(direction, sequence).await? {
                return Ok(row.acknowledge);
            }
            // Only finds; there is no packet 0.
            self.tick(direction, 0).await?;
            self.wait(direction, sequence).await?;
        }
    }

    /// Finds the news of a packet, which expired or was received, and carries it; its name.
    async fn bring_home(
        &mut self,
        direction: Direction,
        sequence: u64,
    ) -> Result<PacketName, Error> {
        let back = self.route.back(direction);
        loop {
            if let Some(news) = self.news_of(back, sequence).await? {
                self.carry(back, news).await?;
                return Ok(self.route.packet(back, news));
            }
            let source = self.route.source(direction);
            if source.is_ended(sequence).await.unwrap_or_default() {
                let packet = self.route.packet(direction, sequence);
                return Err(Error::Unfinished(format!(
                    "the news of packet {packet} is home already"
                )));
            }
            // Only finds; there is no packet 0.
            self.tick(back, 0).await?;
            self.wait(direction, sequence).await?;
        }
    }

    /// The news, if it is not done, of the packet that went the other way.
    async fn news_of(&self, back: Direction, sequence: u64) -> Result<Option<u64>, Error> {
        for length in NEWS_LENGTHS {
            let rows = self.rows.of_length(back, length).await?;
            let found = rows.into_iter().find(|row| {
                Packet::decode(&row.bytes).is_ok_and(|packet| {
                    packet
                        .inside()
                        .is_some_and(|inside| inside.id.sequence == sequence)
                })
            });
            if let Some(row) = found {
                return Ok(Some(row.sequence));
            }
        }
        Ok(None)
    }

    async fn wait(&self, direction: Direction, sequence: u64) -> Result<(), Error> {
        if Instant::now() < self.until {
            sleep(self.poll).await;
            return Ok(());
        }
        let row = self.rows.packet(direction, sequence).await?;
        let reason = row
            .and_then(|row| row.reason)
            .unwrap_or_else(|| "its chain has not shown it yet, or a block is missing".to_owned());
        let packet = self.route.packet(direction, sequence);
        Err(Error::Unfinished(format!(
            "packet {packet} has not come to its end in time ({reason}); nothing is lost, so try again, or ask `mileverse relayer why {packet}`"
        )))
    }
}
