//! What keeps a measurement from being made: one sentence each.

use std::path::PathBuf;
use thiserror::Error;

/// Why a bench could not be run, or what it found.
#[derive(Debug, Error)]
pub enum Error {
    /// A number outside its limits.
    #[error("--{option} takes {range}, not {found}")]
    Range {
        /// The option.
        option: &'static str,
        /// What it takes.
        range: String,
        /// What it was given.
        found: String,
    },
    /// There is no such scenario.
    #[error("there is no scenario {0:?}; 'mileverse bench simulate --list' names them")]
    Scenario(String),
    /// A simulated net failed.
    #[error("{failure}\nreplay: {replay}")]
    Simulation {
        /// What was found.
        failure: String,
        /// The command that finds it again.
        replay: String,
    },
    /// A file or directory could not be used.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A validator did not do what it is there for.
    #[error("validator {validator}: {reason}; the end of its log:\n{log}")]
    Validator {
        /// Which.
        validator: usize,
        /// What happened.
        reason: String,
        /// Its last words.
        log: String,
    },
    /// A validator's JSON-RPC did not answer as it should.
    #[error("{url} did not answer {method}: {reason}")]
    Rpc {
        /// Where.
        url: String,
        /// What was asked.
        method: &'static str,
        /// Why there is no answer.
        reason: String,
    },
    /// Something that the measurement is made of could not be made.
    #[error("{0}")]
    Setup(String),
    /// Interrupted.
    #[error("interrupted; every validator was stopped")]
    Interrupted,
}

/// Refuses a number outside its limits.
pub fn within(
    option: &'static str,
    found: u64,
    (least, most): (u64, u64),
    unit: &str,
) -> Result<(), Error> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(Error::Range {
        option,
        range: format!("{least} to {most}{unit}"),
        found: found.to_string(),
    })
}
