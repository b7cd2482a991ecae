//! When to try again, and how often.

use super::ConfigError;
use super::read::{count, milliseconds};
use serde::Deserialize;
use std::time::Duration;

/// When to try again, and when to stop.
#[derive(Clone, Debug)]
pub struct Retry {
    /// After the first failure.
    pub first: Duration,
    /// Never longer than this.
    pub longest: Duration,
    /// Unanswered inquiries before the debit is reversed.
    pub inquiries: u32,
    /// "Not found" answers in a row, after the visibility window, before it is believed.
    pub absent_reads: u32,
    /// Unanswered reversals before an operator is needed.
    pub reversals: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(60),
            inquiries: 20,
            absent_reads: 3,
            reversals: 100,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryFile {
    first_milliseconds: Option<u64>,
    longest_milliseconds: Option<u64>,
    inquiries: Option<u32>,
    absent_reads: Option<u32>,
    reversals: Option<u32>,
}

impl RetryFile {
    pub(super) fn check(self) -> Result<Retry, ConfigError> {
        let default = Retry::default();
        Ok(Retry {
            first: milliseconds(
                "retry.first_milliseconds",
                self.first_milliseconds,
                default.first,
            )?,
            longest: milliseconds(
                "retry.longest_milliseconds",
                self.longest_milliseconds,
                default.longest,
            )?,
            inquiries: count("retry.inquiries", self.inquiries, default.inquiries)?,
            absent_reads: count(
                "retry.absent_reads",
                self.absent_reads,
                default.absent_reads,
            )?,
            reversals: count("retry.reversals", self.reversals, default.reversals)?,
        })
    }
}
