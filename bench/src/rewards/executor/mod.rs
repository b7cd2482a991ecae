//! A quarter's close and its paying on the node's own execution and state database.
//!
//! One state in QMDB on this machine's disk, with as many holders as asked for. Blocks of signed coin
//! transfers are executed, sealed and made durable, one after the other, as a node does with a final
//! block: first without rewards, then from a quarter's end on until everybody is paid. Signing is
//! not in the times.
//!
//! Holders lie in the state in the order of their numbers, in which they are also paid: whoever begins to
//! hold is written down then, and paying writes all of them down again. With `--quarters` several quarters
//! end one after the other.
//!
//! Not measured: consensus, the network, several validators on one machine, and building a block
//! before executing it. So a block's time here is what rewards add to, not what a net needs. The
//! pace of a net is a given (`--pace-ms`): a block begins when the one before is done, and not
//! earlier than that after it began.

mod report;
mod world;

use super::Command;
use crate::{
    error::{Error, within},
    figures::{Percentiles, float, tenth},
    machine::Machine,
    output,
    progress::Progress,
};
use clap::Args;
use commonware_runtime::{Runner as _, tokio as runtime};
use report::{BlockTimes, Report};
use world::{Checked, World};

/// What is asked of it.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Coin transfers of each block.
    #[arg(long, default_value_t = 200)]
    transfers: u64,
    /// Blocks before the close.
    #[arg(long, default_value_t = 100)]
    before: u64,
    /// The pace of blocks that is assumed for times and rates, milliseconds.
    #[arg(long, default_value_t = 200)]
    pace_ms: u64,
    /// Quarters that end, each after the one before is paid; the figures are of the last.
    #[arg(long, default_value_t = 1)]
    quarters: u64,
}

/// Measures, prints, and says whether every sum is right.
pub fn run(command: &Command) -> Result<bool, Error> {
    let options = &command.executor;
    within("transfers", options.transfers, (0, 10_000), "")?;
    within("before", options.before, (10, 10_000), "")?;
    within("pace-ms", options.pace_ms, (10, 60_000), " ms")?;
    within("quarters", options.quarters, (1, 20), "")?;
    let directory = tempfile::tempdir().map_err(|source| Error::System {
        what: "a directory for the state",
        source,
    })?;
    let config = runtime::Config::new()
        .with_worker_threads(2)
        .with_storage_directory(directory.path());
    let asked = command.clone();
    let report = runtime::Runner::new(config).start(|context| measure(context, asked))?;
    let rows = report.rows();
    output::print(command.json, &report, rows)?;
    Ok(report.conserved)
}

async fn measure(context: runtime::Context, command: Command) -> Result<Report, Error> {
    let progress = Progress::begin("making the state");
    let mut world = World::new(&context, &command).await?;
    let mut before = Vec::new();
    for block in 0..command.executor.before {
        progress.say(format!(
            "block {} of {} before",
            block + 1,
            command.executor.before
        ));
        before.push(world.block().await?);
    }
    let mut during = Vec::new();
    for quarter in 1..=command.executor.quarters {
        world.end_quarter();
        let mut times = Vec::new();
        loop {
            times.push(world.block().await?);
            let standing = world.standing().await?;
            progress.say(format!(
                "quarter {quarter}: {} of {} paid",
                standing.visited, standing.holders
            ));
            if standing.paying == standing.quarter {
                break;
            }
        }
        during.push(times);
    }
    progress.say("reading everybody back".into());
    let checked = world.check().await?;
    progress.say("opening the state again".into());
    let opened = world.open_again(&context, &command).await?;
    Ok(sum_up(&command, before, during, checked, opened))
}

fn sum_up(
    command: &Command,
    before: Vec<f64>,
    mut quarters: Vec<Vec<f64>>,
    checked: Checked,
    opened: f64,
) -> Report {
    let pace = float(command.executor.pace_ms);
    let at_pace = |times: &[f64]| -> Vec<f64> { times.iter().map(|time| time.max(pace)).collect() };
    let paced = |times: &[f64]| at_pace(times).iter().sum::<f64>() / 1_000.0;
    let count = |times: &[f64]| float(times.len() as u64);
    let rate =
        |times: &[f64], seconds: f64| count(times) * float(command.executor.transfers) / seconds;
    let work = |times: &[f64]| times.iter().sum::<f64>() / 1_000.0;
    let mean = |times: &[f64]| work(times) * 1_000.0 / count(times);
    let of_one = |times: &Vec<f64>| {
        let extra = (mean(times) - mean(&before)) * count(times) * 1_000.0;
        tenth(extra / float(checked.holders))
    };
    let each: Vec<f64> = quarters.iter().map(of_one).collect();
    let during = quarters.pop().unwrap_or_default();
    let (slow, fast) = (paced(&during), paced(&before));
    Report {
        holders: checked.holders,
        per_block: command.per_block,
        transfers_per_block: command.executor.transfers,
        pace_ms: command.executor.pace_ms,
        cache_mib: command.cache_mib,
        blocks_to_pay_all: during.len() as u64,
        seconds_to_pay_all: tenth(slow),
        work_seconds_to_pay_all: tenth(work(&during)),
        tps_before: tenth(rate(&before, fast)),
        tps_during: tenth(rate(&during, slow)),
        tps_ratio: ratio(rate(&during, slow), rate(&before, fast)),
        unpaced_tps_ratio: ratio(rate(&during, work(&during)), rate(&before, work(&before))),
        us_per_holder: each.last().copied().unwrap_or_default(),
        us_per_holder_by_quarter: each,
        block_time_ms: block_times(at_pace(&before), at_pace(&during)),
        work_ms: block_times(before, during),
        open_ms: tenth(opened),
        conserved: checked.conserved,
        paid: checked.paid.to_string(),
        remainder: checked.remainder.to_string(),
        machine: Machine::this(),
    }
}

fn block_times(before: Vec<f64>, during: Vec<f64>) -> BlockTimes {
    BlockTimes {
        before: Percentiles::over(before),
        closing: tenth(during.first().copied().unwrap_or_default()),
        during: Percentiles::over(during),
    }
}

/// Without transfers there is nothing to compare.
fn ratio(now: f64, then: f64) -> f64 {
    if then > 0.0 {
        (now / then * 1_000.0).round() / 1_000.0
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_small_quarter_is_paid_and_every_sum_is_right() {
        let command = Command {
            holders: 300,
            per_block: 50,
            cache_mib: std::num::NonZeroU32::MIN,
            json: true,
            executor: Options {
                transfers: 3,
                before: 10,
                pace_ms: 200,
                quarters: 2,
            },
            net: crate::rewards::net::Options::default(),
        };
        let directory = tempfile::tempdir().unwrap();
        let config = runtime::Config::new().with_storage_directory(directory.path());
        let report = runtime::Runner::new(config)
            .start(|context| measure(context, command))
            .unwrap();
        assert!(report.conserved, "{report:?}");
        // The owner of the only delegate holds stake, and 500 senders hold coin.
        assert_eq!(report.holders, 801);
        assert_eq!(report.blocks_to_pay_all, 801u64.div_ceil(50));
        assert_eq!(report.us_per_holder_by_quarter.len(), 2);
    }
}
