//! What can go wrong in a simulated net: each is a finding.

use std::time::Duration;
use thiserror::Error;

/// Why a run is no good.
#[derive(Debug, Error)]
pub enum Failure {
    /// The scenario cannot be set up.
    #[error("the scenario cannot be set up: {0}")]
    Setup(String),
    /// Two honest validators hold different final blocks.
    #[error("two final blocks at height {height}: validators {one} and {other} differ")]
    Fork {
        /// At which height.
        height: u64,
        /// Holds one of them.
        one: usize,
        /// Holds the other.
        other: usize,
    },
    /// An honest validator stopped.
    #[error("validator {validator} stopped: {reason}")]
    Stopped {
        /// Which.
        validator: usize,
        /// Why, in its own words.
        reason: String,
    },
    /// No progress though the net is good.
    #[error(
        "after the net was good at {good:?}, {waited:?} were not enough for {blocks} blocks: heights are {heights:?}"
    )]
    Stalled {
        /// When the net was good again.
        good: Duration,
        /// How long was waited.
        waited: Duration,
        /// How many blocks were wanted.
        blocks: u64,
        /// Where each validator is.
        heights: Vec<u64>,
    },
    /// Progress, but too late.
    #[error(
        "after the net was good, {took} views went by before a block was final; {most} are allowed"
    )]
    Slow {
        /// Views that went by.
        took: u64,
        /// Views allowed.
        most: u64,
    },
    /// A final block holds what it must not.
    #[error("height {height}: {reason}")]
    Wrong {
        /// At which height.
        height: u64,
        /// What is wrong.
        reason: String,
    },
    /// The code under test panicked.
    #[error("a panic: {0}")]
    Panic(String),
    /// The same scenario ran differently the second time.
    #[error("the same seed gave another run the second time: {0}")]
    NotRepeatable(String),
}
