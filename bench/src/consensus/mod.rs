//! `mileverse bench consensus`: how fast a committee makes blocks final, and what that costs.

mod load;
mod real;
mod report;
mod simulated;

use crate::{
    error::{Error, within},
    net::{MOST_PROCESSES, Pace},
    output,
};
use clap::Args;

/// Measure a committee.
#[derive(Args, Debug)]
pub struct Command {
    /// Size of the committee: up to 99 simulated, 4 to 16 as processes.
    #[arg(long, default_value_t = 4)]
    validators: usize,
    /// Time of a message one way between two validators, milliseconds.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// All validators in this process, on a virtual clock and a simulated network.
    #[arg(long)]
    simulated: bool,
    /// Blocks to measure.
    #[arg(long, default_value_t = 40)]
    blocks: u64,
    /// Transactions that wait at any time.
    #[arg(long, default_value_t = 8)]
    load: u64,
    /// Least time between two blocks, milliseconds; by default that of the sample network.
    #[arg(long)]
    block_time_ms: Option<u64>,
    /// Longest time without a block when nothing waits, milliseconds; by default that of the
    /// sample network.
    #[arg(long)]
    idle_block_time_ms: Option<u64>,
    /// Seconds for which the processes are watched while nothing waits; 0 leaves that out.
    #[arg(long, default_value_t = 20)]
    idle_seconds: u64,
    /// Seed of the simulation.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(command: &Command) -> Result<(), Error> {
    let pace = check(command)?;
    let report = if command.simulated {
        simulated::measure(command, pace)?
    } else {
        real::measure(command, pace)?
    };
    output::print(command.json, &report, report.rows())
}

fn check(command: &Command) -> Result<Pace, Error> {
    let validators = command.validators as u64;
    if command.simulated {
        within("validators", validators, (4, 99), " with --simulated")?;
    } else {
        within(
            "validators",
            validators,
            (4, MOST_PROCESSES),
            "; --simulated takes more",
        )?;
    }
    within("latency-ms", command.latency_ms, (0, 2000), "")?;
    within("blocks", command.blocks, (2, 10_000), "")?;
    within("load", command.load, (1, 64), "")?;
    within("idle-seconds", command.idle_seconds, (0, 3600), "")?;
    let sample = Pace::sample()?;
    let pace = Pace {
        block_time_ms: command.block_time_ms.unwrap_or(sample.block_time_ms),
        idle_block_time_ms: command
            .idle_block_time_ms
            .unwrap_or(sample.idle_block_time_ms),
    };
    within("block-time-ms", pace.block_time_ms, (10, 60_000), "")?;
    within(
        "idle-block-time-ms",
        pace.idle_block_time_ms,
        (pace.block_time_ms, 60_000),
        "",
    )?;
    Ok(pace)
}
