//! A committee in one process: the validators' real code and signatures on a virtual clock.
//!
//! Virtual time counts messages on their way and timers, and not computing; what computing takes
//! is told apart, as processor time for each block.

use super::{Command, report::Report};
use crate::{
    error::Error,
    figures::{Percentiles, float, tenth},
    machine::{Machine, cpu_seconds},
    net::Pace,
    progress::Progress,
};
use mileverse_simulation::{Disk, Line, Scenario, run};
use std::time::Duration;

/// Small, so that turns of the scheduler do not count as time on the way.
const TICK: Duration = Duration::from_micros(1);
/// Blocks at the start that are not measured.
const WARM_UP: u64 = 2;

/// Measures.
pub fn measure(command: &Command, pace: Pace) -> Result<Report, Error> {
    let scenario = Scenario {
        line: Line::even(Duration::from_millis(command.latency_ms)),
        disk: Disk::FAST,
        pace: mileverse_simulation::Pace {
            block_time_ms: pace.block_time_ms,
            idle_block_time_ms: pace.idle_block_time_ms,
        },
        blocks: command.blocks.saturating_add(WARM_UP),
        load: command.load,
        tick: TICK,
        ..Scenario::calm("bench", command.validators, command.seed)
    };
    let progress = Progress::begin("the committee is dealt its keys");
    let mut first = None;
    let outcome = run(&scenario, &mut |sight| {
        if sight.height >= WARM_UP && first.is_none() {
            first = Some((sight.height, cpu_seconds(None)));
        }
        progress.say(format!(
            "block {} of {}, virtual time {:.1} s",
            sight.height,
            scenario.blocks,
            sight.now.as_secs_f64()
        ));
    })
    .map_err(|failure| Error::Simulation {
        failure: failure.to_string(),
        replay: format!(
            "mileverse bench consensus --simulated --validators {} --latency-ms {} --blocks {} --seed {}",
            command.validators, command.latency_ms, command.blocks, command.seed
        ),
    })?;
    drop(progress);
    let cpu_ms_per_block = first.and_then(|(height, since)| {
        let spent = cpu_seconds(None)? - since?;
        let blocks = outcome.height().checked_sub(height)?;
        (blocks > 0).then(|| spent * 1000.0 / float(blocks))
    });
    let mut samples = Vec::new();
    let mut measured = Vec::new();
    for (at, finals) in outcome.finals.values().enumerate() {
        for (height, block) in finals.range(WARM_UP.saturating_add(1)..) {
            if *height > scenario.blocks {
                continue;
            }
            let took = block.at.saturating_sub(block.proposed());
            samples.push(took.as_secs_f64() * 1000.0);
            if at == 0 {
                measured.push(block.clone());
            }
        }
    }
    let lasted = match (measured.first(), measured.last()) {
        (Some(first), Some(last)) => last.proposed().saturating_sub(first.proposed()),
        _ => Duration::ZERO,
    };
    let blocks = measured.len() as u64;
    Ok(Report {
        validators: command.validators,
        latency_ms: command.latency_ms,
        simulated: true,
        signatures: "bls12-381 threshold, real",
        block_time_ms: pace.block_time_ms,
        idle_block_time_ms: pace.idle_block_time_ms,
        blocks,
        transactions: measured.iter().map(|block| block.transactions).sum(),
        blocks_per_second: (float(blocks.saturating_sub(1)) / lasted.as_secs_f64().max(1e-9)
            * 100.0)
            .round()
            / 100.0,
        finality_ms: Percentiles::over(samples),
        cpu_ms_per_block: cpu_ms_per_block.map(tenth),
        cpu_ms_per_block_and_validator: cpu_ms_per_block
            .map(|all| tenth(all / float(command.validators as u64))),
        idle: None,
        machine: Machine::this(),
    })
}
