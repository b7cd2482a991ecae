//! `mileverse bench simulate`: nets in trouble, seed after seed, for a minute or for a night.

use crate::{error::Error, output, progress::Progress};
use clap::Args;
use mileverse_simulation::{Failure, KINDS, Kind, Outcome, find, run as simulate, run_twice};
use serde::Serialize;
use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{available_parallelism, scope},
    time::Instant,
};

/// Most validators of a committee.
const MOST_VALIDATORS: usize = 99;

/// Try nets in trouble: the node's own code on a simulated network, disk and clock.
#[derive(Args, Debug)]
pub struct Command {
    /// How many seeds to try.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One kind of trouble only; otherwise each seed tries the next kind.
    #[arg(long)]
    scenario: Option<String>,
    /// Size of the committee; otherwise it follows from the seed.
    #[arg(long)]
    validators: Option<usize>,
    /// Run each seed twice and compare.
    #[arg(long)]
    twice: bool,
    /// Runs at one time; as many as there are processors if left out.
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// Name the kinds of trouble and end.
    #[arg(long)]
    list: bool,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// What a night came to.
#[derive(Default, Serialize)]
struct Night {
    runs: u64,
    failed: Vec<Failed>,
    blocks: u64,
    crashes: u64,
    failed_ceremonies: u64,
    most_views_to_recover: u64,
    virtual_seconds: f64,
    seconds: f64,
}

/// A seed that found something.
#[derive(Clone, Serialize)]
struct Failed {
    scenario: &'static str,
    seed: u64,
    failure: String,
    replay: String,
}

#[derive(Serialize)]
struct Named {
    name: &'static str,
    about: &'static str,
}

/// Runs the verb.
pub fn run(command: &Command) -> Result<(), Error> {
    if command.list {
        let names: Vec<Named> = KINDS
            .iter()
            .map(|kind| Named {
                name: kind.name,
                about: kind.about,
            })
            .collect();
        let rows = names
            .iter()
            .map(|kind| [kind.name.to_owned(), kind.about.to_owned()])
            .collect();
        return output::print(command.json, &names, rows);
    }
    let range = |option, found: String, range: String| Error::Range {
        option,
        range,
        found,
    };
    if let Some(validators) = command.validators
        && !(4..=MOST_VALIDATORS).contains(&validators)
    {
        return Err(range(
            "validators",
            validators.to_string(),
            format!("4 to {MOST_VALIDATORS}"),
        ));
    }
    let one = match &command.scenario {
        Some(name) => Some(find(name).ok_or_else(|| Error::Scenario(name.clone()))?),
        None => None,
    };
    let runs = plan(command, one);
    let night = watch(command, &runs);
    let rows = night.rows();
    output::print(command.json, &night, rows)?;
    match night.failed.first() {
        None => Ok(()),
        Some(first) => Err(Error::Simulation {
            failure: format!(
                "{} of {} runs failed; the first: {} with seed {}: {}",
                night.failed.len(),
                night.runs,
                first.scenario,
                first.seed,
                first.failure
            ),
            replay: first.replay.clone(),
        }),
    }
}

/// Which kinds are tried with which seeds.
fn plan(command: &Command, one: Option<&'static Kind>) -> Vec<(&'static Kind, u64)> {
    let seeds = (0..command.seeds).map(|number| command.seed.wrapping_add(number));
    let kinds = KINDS.len() as u64;
    seeds
        .filter_map(|seed| {
            let kind = match one {
                Some(kind) => Some(kind),
                None => usize::try_from(seed % kinds)
                    .ok()
                    .and_then(|at| KINDS.get(at)),
            };
            kind.map(|kind| (kind, seed))
        })
        .collect()
}

fn watch(command: &Command, runs: &[(&'static Kind, u64)]) -> Night {
    let progress = Progress::begin("the first nets start");
    let start = Instant::now();
    let jobs = command
        .jobs
        .or_else(|| available_parallelism().ok())
        .map_or(1, NonZeroUsize::get);
    let next = AtomicUsize::new(0);
    let night = Mutex::new(Night::default());
    scope(|threads| {
        for _ in 0..jobs.min(runs.len()) {
            threads.spawn(|| {
                while let Some((kind, seed)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let scenario = kind.scenario(*seed, command.validators);
                    let outcome = if command.twice {
                        run_twice(&scenario)
                    } else {
                        simulate(&scenario, &mut |_| {})
                    };
                    let mut night = night.lock().unwrap_or_else(PoisonError::into_inner);
                    night.enter(command, kind, *seed, outcome);
                    progress.say(format!(
                        "{} of {} runs, {} failed",
                        night.runs,
                        runs.len(),
                        night.failed.len()
                    ));
                }
            });
        }
    });
    drop(progress);
    let mut night = night.into_inner().unwrap_or_else(PoisonError::into_inner);
    night.seconds = (start.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    night
}

impl Night {
    fn enter(
        &mut self,
        command: &Command,
        kind: &'static Kind,
        seed: u64,
        outcome: Result<Outcome, Failure>,
    ) {
        self.runs += 1;
        match outcome {
            Ok(outcome) => {
                self.blocks += outcome.height();
                self.crashes += outcome.crashes;
                self.failed_ceremonies += outcome.failed_ceremonies;
                self.most_views_to_recover =
                    self.most_views_to_recover.max(outcome.views_to_recover);
                self.virtual_seconds += outcome.lasted.as_secs_f64();
            }
            Err(failure) => {
                let size = command
                    .validators
                    .map(|count| format!(" --validators {count}"))
                    .unwrap_or_default();
                let failed = Failed {
                    scenario: kind.name,
                    seed,
                    failure: failure.to_string(),
                    replay: format!(
                        "mileverse bench simulate --scenario {} --seed {seed}{size}",
                        kind.name
                    ),
                };
                // Said at once, too: a night is long.
                eprintln!("failed: {}: {}", failed.replay, failed.failure);
                self.failed.push(failed);
            }
        }
    }

    fn rows(&self) -> Vec<[String; 2]> {
        let mut rows = vec![
            ["runs".to_owned(), self.runs.to_string()],
            ["failed".to_owned(), self.failed.len().to_string()],
            ["final blocks".to_owned(), self.blocks.to_string()],
            ["crashes".to_owned(), self.crashes.to_string()],
            [
                "failed ceremonies".to_owned(),
                self.failed_ceremonies.to_string(),
            ],
            [
                "most views to recover".to_owned(),
                self.most_views_to_recover.to_string(),
            ],
            [
                "time".to_owned(),
                format!(
                    "{:.0} s of nets in {:.1} s",
                    self.virtual_seconds, self.seconds
                ),
            ],
        ];
        for failed in &self.failed {
            rows.push([failed.replay.clone(), failed.failure.clone()]);
        }
        rows
    }
}
