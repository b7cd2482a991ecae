//! The journey of a mile, step by step. Each step is a file and a function that returns what it saw,
//! or the one thing that was not as it had to be. Every wait has a limit.

pub use convert::points;
pub use cross::asked;

mod coin;
mod convert;
mod crash;
mod cross;
mod expiry;
mod gas;
mod points;
mod replay;

use super::{
    books,
    error::Error,
    fleet::Fleet,
    progress::Progress,
    report::{Facts, Report, Step},
    system::System,
};
use std::future::Future;

const CONVERT: (&str, &str) = ("convert", "Airline miles become points on the chain");
const REPLAY: (&str, &str) = (
    "replay",
    "The same request again: same answer, nothing moves",
);
const POINTS: (&str, &str) = ("points", "MVP goes to Ethereum, and some comes back");
const COIN: (&str, &str) = ("coin", "MVC goes to the native chain, and some comes back");
/// Only where gas costs coin.
const GAS: (&str, &str) = (
    "gas",
    "Points become coin for somebody without coin: the pool's operator pays the gas",
);
const EXPIRY: (&str, &str) = (
    "expiry",
    "Transfers past their deadline come home as refunds",
);
const CRASH: (&str, &str) = (
    "crash",
    "A validator is killed; the chain goes on; it catches up",
);
const BOOKS: (&str, &str) = ("books", "Every sum balances");
/// In the order they are played.
const STEPS: [(&str, &str); 8] = [CONVERT, REPLAY, POINTS, COIN, GAS, EXPIRY, CRASH, BOOKS];

/// Plays all steps, up to the first that fails.
pub async fn play(
    system: &mut System,
    fleet: &mut Fleet,
    progress: &Progress,
) -> (Report, Result<(), Error>) {
    let mut steps = Vec::new();
    let mut solvent = false;
    let outcome = all(system, fleet, progress, &mut steps, &mut solvent).await;
    let wanted = STEPS
        .into_iter()
        .filter(|step| *step != GAS || system.base_price > 0);
    for (name, title) in wanted.skip(steps.len()) {
        steps.push(Step::skipped(name, title));
    }
    let report = Report {
        ok: solvent && steps.iter().all(|step| step.ok),
        solvent,
        steps,
        urls: Some(system.urls.clone()),
        data_dir: system.layout.root().into(),
    };
    (report, outcome)
}

async fn all(
    system: &mut System,
    fleet: &mut Fleet,
    progress: &Progress,
    steps: &mut Vec<Step>,
    solvent: &mut bool,
) -> Result<(), Error> {
    let watcher = fleet.watcher();
    tokio::select! {
        settled = books::settle(system) => settled?,
        error = watcher.death() => return Err(error),
    }
    let mut scribe = Scribe {
        watcher,
        progress,
        steps,
    };
    scribe.step(CONVERT, convert::play(system)).await?;
    scribe.step(REPLAY, replay::play(system)).await?;
    scribe.step(POINTS, points::play(system)).await?;
    scribe.step(COIN, coin::play(system)).await?;
    if system.base_price > 0 {
        scribe.step(GAS, gas::play(system)).await?;
    }
    scribe.step(EXPIRY, expiry::play(system, fleet)).await?;
    scribe.step(CRASH, crash::play(system, fleet)).await?;
    scribe.step(BOOKS, books::play(system, solvent)).await
}

/// Writes down what each step did.
struct Scribe<'a> {
    watcher: super::process::Watcher,
    progress: &'a Progress,
    steps: &'a mut Vec<Step>,
}

impl Scribe<'_> {
    async fn step(
        &mut self,
        (name, title): (&'static str, &'static str),
        play: impl Future<Output = Result<Facts, Error>>,
    ) -> Result<(), Error> {
        let task = self.progress.begin(title);
        let outcome = tokio::select! {
            outcome = play => outcome,
            error = self.watcher.death() => Err(error),
        };
        let ms = task.milliseconds();
        match outcome {
            Ok(facts) => {
                task.done(title);
                self.steps.push(Step::played(name, title, ms, Ok(facts)));
                Ok(())
            }
            Err(error) => {
                task.failed(title);
                let words = error.to_string();
                self.steps.push(Step::played(name, title, ms, Err(words)));
                Err(Error::Step {
                    step: name,
                    source: Box::new(error),
                })
            }
        }
    }
}

/// Something that had to be so.
pub fn require(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), Error> {
    if condition {
        Ok(())
    } else {
        Err(Error::Broken(otherwise()))
    }
}
