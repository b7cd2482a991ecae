//! A quarter's close and its paying in a real net: validators as processes, transfers of the coin handed
//! in over public JSON-RPC before the quarter's end, over it, and until everybody is paid.
//!
//! ```txt
//! people   who holds coin, who sends it, and what everybody must have at the end
//! report   the figures
//! ```
//!
//! The holders are given their coin by transactions, on the machine's clock. Then the validators are
//! stopped and started again with clocks that stand shortly before a quarter's end (libfaketime), and
//! the measured traffic begins. Nothing in the validators knows that they are measured.
//!
//! Everything shares this machine: the validators, the clients, and whatever else runs on it. Times are
//! those at which the first validator shows a block as final.

mod people;
mod report;

use self::{
    people::People,
    report::{Report, Traffic},
};
use super::Command;
use crate::{
    error::{Error, within},
    figures::{Percentiles, float, tenth},
    load::{self, Block, Lists, Watch},
    machine::Machine,
    net::{Clock, Net, Pace, Plan, check_validators},
    output,
    progress::Progress,
    runtime,
};
use clap::Args;
use mileverse_primitives::{abi::IRewards, address::REWARDS, quarter::Quarter};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds of traffic before the measurement begins.
const WARM_UP: Duration = Duration::from_secs(5);
/// What starting the validators again may take, of the time before the quarter's end.
const START: Duration = Duration::from_secs(10);
/// The same for a million holders, seconds for each validator.
const STARTING_A_MILLION: u64 = 25;
/// Shortest time before the close that can be compared with.
const LEAST_BEFORE: Duration = Duration::from_secs(5);
/// Longest time from the close until everybody is paid.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// Longest wait for what is under way when the measurement has ended.
const DRAIN: Duration = Duration::from_secs(120);
/// Between two looks at how far the paying is.
const GLANCE: Duration = Duration::from_secs(1);

/// What is asked of it.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Measure a net of so many validators, 1, or 4 to 16, instead of one node's execution.
    #[arg(long)]
    validators: Option<usize>,
    /// In a net: transfers handed in each second; 0 is as many as become final.
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// In a net: seconds of transfers before the quarter's end.
    #[arg(long, default_value_t = 60)]
    seconds_before: u64,
    /// In a net with --rate 0: transfers signed beforehand.
    #[arg(long, default_value_t = 2_000_000)]
    prepared: u64,
}

impl Options {
    /// Whether a net is to be measured.
    pub const fn asked(&self) -> bool {
        self.validators.is_some()
    }
}

/// Measures, prints, and says whether every sum is right.
pub fn run(command: &Command) -> Result<bool, Error> {
    let options = &command.net;
    let validators = options.validators.unwrap_or(1);
    check_validators(validators)?;
    within("rate", options.rate, (0, 100_000), "")?;
    within("seconds-before", options.seconds_before, (10, 3_600), "")?;
    within("prepared", options.prepared, (1_000, 20_000_000), "")?;
    let report = runtime::run(measure(command, validators))?;
    output::print(command.json, &report, report.rows())?;
    Ok(report.conserved)
}

async fn measure(command: &Command, validators: usize) -> Result<Report, Error> {
    let options = &command.net;
    let root = tempfile::tempdir().map_err(|source| Error::System {
        what: "a temporary directory",
        source,
    })?;
    // Said at once, not after minutes of work.
    Clock::ahead(Duration::ZERO)?;
    let progress = Progress::begin("the validators start");
    let pace = Pace::sample()?;
    let mut people = People::new(command.holders)?;
    let mut plan = Plan::new(validators, pace, people.issuer())?;
    plan.cache_mib = Some(command.cache_mib);
    people.enter(&mut plan.genesis, command.per_block);
    let genesis = plan.genesis.clone();
    let mut net = Net::start(root.path(), plan, Duration::ZERO).await?;

    progress.say("signing the holders' coin".into());
    let gifts = people.gifts(validators)?;
    give(&mut net, gifts, &progress).await?;

    progress.say("signing the transfers".into());
    let starting = starting(command, validators);
    let wanted = match options.rate {
        0 => options.prepared,
        rate => rate.saturating_mul(
            options
                .seconds_before
                .saturating_add(starting.as_secs())
                .saturating_add(longest(command).as_secs()),
        ),
    };
    let traffic = people.transfers(validators, wanted)?;

    progress.say("the validators start again, shortly before the quarter's end".into());
    let before = Duration::from_secs(options.seconds_before).saturating_add(starting);
    let (quarter, clock) = shortly_before_the_end(before)?;
    net.restart(&clock).await?;
    let spent = Instant::now();
    let cpu = net.cpu_seconds();
    let measured = across(&mut net, traffic, options.rate, quarter, &progress).await?;
    let used = net.cpu_seconds().zip(cpu).map(|(now, then)| now - then);
    let cores = used.map(|used| tenth(used / spent.elapsed().as_secs_f64()));
    let rss_mib = net.rss_mib();

    progress.say("reading everybody back".into());
    let conserved = people
        .check(net.first()?, &genesis, &measured.paid, &progress)
        .await?;
    net.stop().await;
    let Measured {
        before,
        during,
        closing_ms,
        seconds,
        paid,
    } = measured;
    Ok(Report {
        holders: paid.holders,
        validators,
        per_block: command.per_block,
        rate: (options.rate > 0).then_some(options.rate),
        cache_mib: command.cache_mib,
        blocks_to_pay_all: paid
            .paidHeight
            .saturating_sub(paid.closedHeight)
            .saturating_add(1),
        seconds_to_pay_all: tenth(seconds),
        tps_before: before.tps,
        tps_during: during.tps,
        tps_ratio: (during.tps / before.tps * 1_000.0).round() / 1_000.0,
        finality_ms: report::Both {
            before: before.finality_ms,
            during: during.finality_ms,
        },
        block_time_ms: report::BlockTimes {
            before: before.block_time_ms,
            closing: tenth(closing_ms),
            during: during.block_time_ms,
        },
        cores_used: cores,
        rss_mib,
        conserved,
        paid: paid.paid.to_string(),
        remainder: paid.remainder.to_string(),
        machine: Machine::this(),
    })
}

/// What starting all validators again may take: each reads its state's log.
fn starting(command: &Command, validators: usize) -> Duration {
    let each = command.holders.saturating_mul(STARTING_A_MILLION) / 1_000_000;
    START.saturating_add(Duration::from_secs(each.saturating_mul(validators as u64)))
}

/// What the paying should take, and as much again: traffic is signed for so long.
fn longest(command: &Command) -> Duration {
    let blocks = command.holders.div_ceil(command.per_block.max(1));
    Duration::from_millis(blocks.saturating_mul(500)).saturating_add(Duration::from_secs(60))
}

/// The quarter under way, and a clock that stands so long before its end.
fn shortly_before_the_end(before: Duration) -> Result<(u64, Clock), Error> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut quarter = u64::try_from(now.as_millis())
        .ok()
        .and_then(Quarter::containing);
    loop {
        let found = quarter.ok_or_else(|| Error::Setup("no quarter ends any more".into()))?;
        let ends = found
            .ends_ms()
            .ok_or_else(|| Error::Setup("no quarter ends any more".into()))?;
        // Clocks are only moved ahead.
        match Duration::from_millis(ends).checked_sub(now.saturating_add(before)) {
            Some(ahead) => return Ok((found.number(), Clock::ahead(ahead)?)),
            None => quarter = Some(found.next()),
        }
    }
}

/// Hands everything in and waits until it is final.
async fn give(net: &mut Net, lists: Lists, progress: &Progress) -> Result<(), Error> {
    let all = lists.iter().map(Vec::len).sum::<usize>() as u64;
    // Coin can be spent once block 1 has written the genesis down, at every validator.
    while net.first()?.height().await? < 2 {
        net.check()?;
        tokio::time::sleep(GLANCE).await;
    }
    let mut watch = Watch::start(net).await?;
    let clients = load::start(net, lists, 0, PATIENCE, watch.ledger());
    loop {
        watch.look().await?;
        net.check()?;
        let done = watch.ledger().done();
        progress.say(format!("{done} of {all} holders have their coin"));
        if done >= all {
            return Ok(());
        }
        if clients.is_finished() && watch.ledger().waiting() == 0 {
            return Err(watch.ledger().nothing());
        }
    }
}

struct Measured {
    before: Traffic,
    during: Traffic,
    closing_ms: f64,
    seconds: f64,
    paid: IRewards::Report,
}

/// Traffic until the quarter is paid.
async fn across(
    net: &mut Net,
    traffic: Lists,
    rate: u64,
    quarter: u64,
    progress: &Progress,
) -> Result<Measured, Error> {
    let mut watch = Watch::start(net).await?;
    let first = net.first()?.clone();
    let standing = first.view(REWARDS, &IRewards::standingCall {}).await?;
    if standing.quarter > quarter {
        let late = "the quarter was over before the validators had started; give a larger --seconds-before";
        return Err(Error::Setup(late.into()));
    }
    let begun = Instant::now();
    let clients = load::start(net, traffic, rate, PATIENCE, watch.ledger());
    let mut asked = begun;
    let paid = loop {
        watch.look().await?;
        net.check()?;
        if asked.elapsed() < GLANCE {
            continue;
        }
        asked = Instant::now();
        let standing = first.view(REWARDS, &IRewards::standingCall {}).await?;
        if standing.quarter > quarter && standing.paying > quarter {
            break first
                .view(REWARDS, &IRewards::reportCall { quarter })
                .await?;
        }
        progress.say(if standing.quarter > quarter {
            format!("{} of {} holders paid", standing.visited, standing.holders)
        } else {
            format!("{} transfers before the close", watch.ledger().done())
        });
        if clients.is_finished() {
            return Err(Error::Setup(
                "the transfers ran out before everybody was paid; give a larger --prepared".into(),
            ));
        }
        if begun.elapsed() > PATIENCE {
            return Err(Error::Setup(
                "not everybody is paid after half an hour".into(),
            ));
        }
    };
    watch.ledger().close();
    progress.say("waiting for what is under way".into());
    let ended = Instant::now();
    while !clients.is_finished() || watch.ledger().waiting() > 0 {
        watch.look().await?;
        if ended.elapsed() > DRAIN {
            return Err(Error::Setup(
                "transfers that were handed in are not final".into(),
            ));
        }
    }
    clients
        .await
        .map_err(|error| Error::Setup(error.to_string()))??;
    progress.say("reading the receipts".into());
    let seen = |height: u64| {
        let mut blocks = watch.blocks().iter();
        let found = blocks.find(|block| block.height == height);
        found.map(|block| block.seen).ok_or_else(|| {
            Error::Setup(format!(
                "block {height} was final before the traffic began; give a larger --seconds-before"
            ))
        })
    };
    let closed = seen(paid.closedHeight)?;
    let last = seen(paid.paidHeight)?;
    let parent = seen(paid.closedHeight.saturating_sub(1))?;
    let from = begun + WARM_UP;
    if closed.saturating_duration_since(from) < LEAST_BEFORE {
        return Err(Error::Setup(
            "the quarter ended before there was traffic to compare with; give a larger --seconds-before".into(),
        ));
    }
    Ok(Measured {
        before: count(&watch, from, closed).await?,
        during: count(&watch, closed, last).await?,
        closing_ms: milliseconds(parent, closed),
        seconds: last.saturating_duration_since(parent).as_secs_f64(),
        paid,
    })
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1_000.0
}

/// What became final from one moment to another, and how far apart the blocks were.
async fn count(watch: &Watch, from: Instant, to: Instant) -> Result<Traffic, Error> {
    let counted = watch.count(from, to).await?;
    let within = |block: &&Block| block.seen >= from && block.seen <= to;
    let seen: Vec<Instant> = watch
        .blocks()
        .iter()
        .filter(within)
        .map(|block| block.seen)
        .collect();
    let apart = seen
        .iter()
        .zip(seen.iter().skip(1))
        .map(|(one, next)| milliseconds(*one, *next))
        .collect();
    let seconds = to.saturating_duration_since(from).as_secs_f64();
    Ok(Traffic {
        tps: tenth(float(counted.transactions) / seconds),
        finality_ms: counted.finality_ms,
        block_time_ms: Percentiles::over(apart),
    })
}
