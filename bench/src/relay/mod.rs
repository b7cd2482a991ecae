//! `mileverse bench relay`: how many packets a minute cross, each way, and how long each takes.
//!
//! ```txt
//! system   the whole system on this machine, as `mileverse up` starts it: anvil with a block a
//!          second, four validators, one relayer with one key on each chain
//! load     a member sends packets one after another, at a steady pace, both ways at once
//! watch    events of both bridges: when each packet was sent, and when it took effect
//! ```
//!
//! A packet's latency runs from the moment its sender's transaction is given to the source's node
//! until its receipt stands in a block of the destination, as seen by looking every
//! [`watch::LOOK`]. The pace is that of the receipts, from the first to the last.

mod load;
mod report;
mod system;
mod watch;

use crate::{error::Error, machine::Machine, output, progress::Progress};
use clap::Args;
use load::Way;
use report::{Figures, Report};
use std::time::Duration;
use system::System;

/// Most packets of one run, each way.
const MOST_PACKETS: u64 = 100_000;
/// Longest wait for the last packets.
const LAST: Duration = Duration::from_secs(120);

/// Measure the relayer: the whole system on this machine, with packets both ways.
#[derive(Args, Debug)]
pub struct Command {
    /// Packets a minute, each way.
    #[arg(long, default_value_t = 1_200)]
    per_minute: u64,
    /// For how long, seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(command: &Command) -> Result<(), Error> {
    let range = |option, found: u64, low: u64, high: u64| {
        if (low..=high).contains(&found) {
            return Ok(());
        }
        Err(Error::Range {
            option,
            range: format!("{low} to {high}"),
            found: found.to_string(),
        })
    };
    range("per-minute", command.per_minute, 1, 6_000)?;
    range("seconds", command.seconds, 1, 3_600)?;
    let packets = command.per_minute.saturating_mul(command.seconds) / 60;
    range("seconds (packets in all)", packets, 2, MOST_PACKETS)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::System {
            what: "an async runtime",
            source,
        })?;
    let report = runtime.block_on(Box::pin(measure(command, packets)))?;
    output::print(command.json, &report, report.rows())?;
    match (report.lost, report.doubled) {
        (0, 0) => Ok(()),
        (lost, doubled) => Err(Error::Setup(format!(
            "{lost} packets did not arrive in time, {doubled} took effect more than once"
        ))),
    }
}

async fn measure(command: &Command, packets: u64) -> Result<Report, Error> {
    let progress = Progress::begin("starting the whole system and playing its journey");
    let system = System::start().await?;
    progress.say(format!("{packets} packets each way"));
    let pause = Duration::from_secs(60)
        .checked_div(u32::try_from(command.per_minute).unwrap_or(u32::MAX))
        .unwrap_or(Duration::from_millis(50));
    let (to_ethereum, to_native) = tokio::join!(
        cross(&system, Way::ToEthereum, packets, pause),
        cross(&system, Way::ToNative, packets, pause),
    );
    let (to_ethereum, to_native) = (to_ethereum?, to_native?);
    system.stop().await;
    Ok(Report {
        offered_per_minute: command.per_minute,
        seconds: command.seconds,
        lost: to_ethereum.lost.saturating_add(to_native.lost),
        doubled: to_ethereum.doubled.saturating_add(to_native.doubled),
        to_ethereum,
        to_native,
        machine: Machine::this(),
    })
}

/// Sends packets one way, and watches them arrive.
async fn cross(system: &System, way: Way, packets: u64, pause: Duration) -> Result<Figures, Error> {
    let load = load::Load::prepare(system, way).await?;
    let mut watch = watch::Watch::begin(system, way).await?;
    let (submitted, mut times) = tokio::sync::mpsc::unbounded_channel();
    let sending = load.send(packets, pause, submitted);
    let watching = async {
        let mut open = true;
        let mut since = tokio::time::Instant::now();
        loop {
            loop {
                match times.try_recv() {
                    Ok((hash, at)) => watch.submitted(hash, at),
                    Err(tokio::sync::mpsc::error::TryRecvError::Empty) => break,
                    Err(tokio::sync::mpsc::error::TryRecvError::Disconnected) => {
                        if open {
                            since = tokio::time::Instant::now();
                        }
                        open = false;
                        break;
                    }
                }
            }
            watch.look().await?;
            if !open && (watch.complete(packets) || since.elapsed() > LAST) {
                return Ok::<_, Error>(());
            }
            tokio::time::sleep(watch::LOOK).await;
        }
    };
    tokio::try_join!(sending, watching)?;
    Ok(watch.figures(packets))
}
