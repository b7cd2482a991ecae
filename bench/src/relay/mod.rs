//! `mileverse bench relay`: how many packets a minute cross, each way, and how long each takes.
//!
//! ```txt
//! system   the whole system on this machine, as `mileverse up` starts it: anvil with a block a
//!          second, four validators, one relayer with one key on each chain
//! load     a member sends packets one after another, at a steady pace, both ways at once
//! watch    events of both bridges: when each packet was sent, and when it took effect
//! memory   the relayer's process
//! ```
//!
//! With `--backlog` a second part follows: the relayer is stopped (SIGSTOP) while so many packets are
//! sent each way, goes on, and fresh packets come at the same pace as before until the backlog is gone.
//!
//! A packet's latency runs from the moment its sender's transaction is given to the source's node
//! until its receipt stands in a block of the destination, as seen by looking every
//! [`watch::LOOK`]. The pace is that of the receipts, from the first to the last.

mod load;
mod memory;
mod report;
mod system;
mod watch;

use crate::{error::Error, machine::Machine, output, progress::Progress, runtime};
use clap::Args;
use load::Way;
use mileverse_primitives::abi::IBridge;
use report::{Backlog, Cleared, Figures, Report};
use std::{
    ops::Range,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use system::System;

/// Most packets of one run, each way.
const MOST_PACKETS: u64 = 100_000;
/// Fresh packets come for so long at least.
const LEAST: Duration = Duration::from_secs(20);
/// Longest time for a backlog.
const MOST: Duration = Duration::from_secs(1_800);
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
    /// Packets that pile up each way while the relayer is stopped, and are cleared while fresh ones come.
    #[arg(long, default_value_t = 0)]
    backlog: u64,
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
    range("backlog", command.backlog, 0, MOST_PACKETS)?;
    let packets = command.per_minute.saturating_mul(command.seconds) / 60;
    range("seconds (packets in all)", packets, 2, MOST_PACKETS)?;
    let report = runtime::run(Box::pin(measure(command, packets)))?;
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
    let work = Box::pin(async {
        let (to_ethereum, to_native) = tokio::join!(
            cross(&system, Way::ToEthereum, packets, pause),
            cross(&system, Way::ToNative, packets, pause),
        );
        let (to_ethereum, to_native) = (to_ethereum?, to_native?);
        let mut backlog = None;
        if command.backlog > 0 {
            let unloaded = [&to_ethereum, &to_native];
            backlog =
                Some(pile_and_clear(&system, command.backlog, pause, unloaded, &progress).await?);
        }
        Ok::<_, Error>((to_ethereum, to_native, backlog))
    });
    let (done, memory) = match system.relayer {
        Some(relayer) => {
            let (done, memory) = relayer.watched(work).await;
            (done, Some(memory))
        }
        None => (work.await, None),
    };
    let (to_ethereum, to_native, backlog) = done?;
    system.stop().await;
    let fresh = backlog
        .iter()
        .flat_map(|backlog: &Backlog| [&backlog.to_ethereum.fresh, &backlog.to_native.fresh]);
    let all: Vec<_> = [&to_ethereum, &to_native]
        .into_iter()
        .chain(fresh)
        .collect();
    Ok(Report {
        offered_per_minute: command.per_minute,
        seconds: command.seconds,
        lost: all.iter().map(|figures| figures.lost).sum(),
        doubled: all.iter().map(|figures| figures.doubled).sum(),
        to_ethereum,
        to_native,
        backlog,
        memory,
        machine: Machine::this(),
    })
}

/// Lets packets pile up while the relayer stands still, and has them cleared while fresh ones come.
async fn pile_and_clear(
    system: &System,
    packets: u64,
    pause: Duration,
    unloaded: [&Figures; 2],
    progress: &Progress,
) -> Result<Backlog, Error> {
    let relayer = system
        .relayer
        .ok_or_else(|| system::setup("a backlog needs a machine that shows processes in /proc"))?;
    progress.say(format!(
        "{packets} packets each way while the relayer stands still"
    ));
    relayer.pause().map_err(system::setup)?;
    let (first, second) = tokio::join!(
        pile(system, Way::ToEthereum, packets),
        pile(system, Way::ToNative, packets),
    );
    let (first, second) = (first?, second?);
    progress.say(format!("{packets} packets each way, and fresh ones"));
    relayer.resume().map_err(system::setup)?;
    let [before_first, before_second] = unloaded;
    let (to_ethereum, to_native) = tokio::join!(
        clear(system, Way::ToEthereum, first, pause, before_first),
        clear(system, Way::ToNative, second, pause, before_second),
    );
    Ok(Backlog {
        packets,
        to_ethereum: to_ethereum?,
        to_native: to_native?,
    })
}

/// The sequences of a backlog, and who watches them arrive.
struct Pile {
    sequences: Range<u64>,
    watch: watch::Watch,
}

async fn pile(system: &System, way: Way, packets: u64) -> Result<Pile, Error> {
    let watch = watch::Watch::begin(system, way).await?;
    let [(source, bridge), _] = way.ends(system);
    let next = IBridge::nextSequenceCall {};
    let first = source.view(bridge, &next).await.map_err(system::setup)?;
    load::Load::prepare(system, way)
        .await?
        .pile(packets)
        .await?;
    let after = source.view(bridge, &next).await.map_err(system::setup)?;
    // An approval may be among them; what counts is what the bridge took.
    Ok(Pile {
        sequences: first..after,
        watch,
    })
}

async fn clear(
    system: &System,
    way: Way,
    pile: Pile,
    pause: Duration,
    unloaded: &Figures,
) -> Result<Cleared, Error> {
    let Pile {
        sequences,
        mut watch,
    } = pile;
    let since = tokio::time::Instant::now();
    let load = load::Load::prepare(system, way).await?;
    let (submitted, mut times) = tokio::sync::mpsc::unbounded_channel();
    let stop = AtomicBool::new(false);
    let sending = load.send(MOST_PACKETS, pause, submitted, &stop);
    let watching = async {
        let mut fresh = 0u64;
        let mut seconds = None;
        loop {
            while let Ok((hash, at)) = times.try_recv() {
                watch.submitted(hash, at);
                fresh = fresh.saturating_add(1);
            }
            watch.look().await?;
            let backlog = sequences.end.saturating_sub(sequences.start);
            let gone = watch.arrived(&sequences) >= backlog;
            if gone && seconds.is_none() {
                seconds = Some(since.elapsed().as_secs_f64());
            }
            let enough = gone && since.elapsed() > LEAST;
            let late = since.elapsed() > MOST;
            stop.fetch_or(enough || late, Ordering::Relaxed);
            let ended = times.is_closed() && times.is_empty();
            if ended && watch.complete(fresh) || since.elapsed() > MOST + LAST {
                let left = backlog.saturating_sub(watch.arrived(&sequences));
                return Ok::<_, Error>((fresh, seconds, left));
            }
            tokio::time::sleep(watch::LOOK).await;
        }
    };
    let ((), (packets, seconds, left)) = tokio::try_join!(sending, watching)?;
    let mut fresh = watch.figures(packets);
    fresh.lost = fresh.lost.saturating_add(left);
    let more = |now: u64, before: u64| {
        let signed = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
        signed(now).saturating_sub(signed(before))
    };
    Ok(Cleared {
        seconds: seconds.unwrap_or_else(|| since.elapsed().as_secs_f64()),
        p99_more_ms: more(fresh.latency_ms.p99, unloaded.latency_ms.p99),
        fresh,
    })
}

/// Sends packets one way, and watches them arrive.
async fn cross(system: &System, way: Way, packets: u64, pause: Duration) -> Result<Figures, Error> {
    let load = load::Load::prepare(system, way).await?;
    let mut watch = watch::Watch::begin(system, way).await?;
    let (submitted, mut times) = tokio::sync::mpsc::unbounded_channel();
    let never = AtomicBool::new(false);
    let sending = load.send(packets, pause, submitted, &never);
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
