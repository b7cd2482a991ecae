//! Scenarios that every adapter is put through, whatever its protocol.
//!
//! Whoever writes an adapter describes a partner to test against in a [`Bench`]: a sandbox whose
//! members play the parts of [`Part`]. [`run`] then puts the adapter through every scenario. Each
//! uses references of its own, so all can run against one partner, again and again.
//!
//! ```txt
//! basic      who is who, balances, a debit once, refusals
//! faults     no answer, nonsense, maintenance, false "not found", duplicates, slow and late ones
//! reversals  after, before and instead of a debit; late success after it
//! crowds     many debits at once, one reference many times, two for the last mile
//! ```
//!
//! No scenario looks at how long something took.

mod basic;
mod crowds;
mod faults;
mod reversals;
mod steps;

use crate::{Adapter, Miles, Reference};
use async_trait::async_trait;
use secrecy::SecretString;
use std::fmt::Write as _;
use std::time::Duration;
use thiserror::Error;

/// Somebody who can log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Login.
    pub login: String,
    /// Password.
    pub secret: SecretString,
}

/// What a member makes happen to a debit. Each has at least 10,000 miles.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// Nothing special.
    Honest,
    /// It is refused: the account is blocked.
    Blocked,
    /// It is refused: too few miles, whatever the balance is.
    Refuse,
    /// It is applied, and no answer comes.
    Timeout,
    /// It is refused for too few miles, and no answer comes.
    TimeoutRefused,
    /// It is applied, and the partner answers that it broke.
    Failure,
    /// It is applied, and the answer makes no sense.
    Nonsense,
    /// It is applied, and the answer has a status nobody has heard of.
    Status,
    /// It never arrives.
    Lost,
    /// It never arrives: a maintenance page is answered, to some inquiries too.
    Maintenance,
    /// It is applied, no answer comes, and some inquiries say "not found".
    Unseen,
    /// It is applied, and answered as if it were a repeat.
    Duplicate,
    /// It is applied, and answered late but in time.
    Slow,
    /// No answer comes, and it is applied only a minute later unless it was reversed.
    Late,
    /// It is applied, and cannot be reversed.
    Final,
    /// It is applied; the first reversal works, and its answer never comes.
    Deaf,
}

impl Part {
    /// Its name, as the sandbox's members have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honest => "1001",
            Self::Blocked => "BLOCKED",
            Self::Refuse => "REFUSE",
            Self::Timeout => "TIMEOUT",
            Self::TimeoutRefused => "TIMEOUT-REFUSED",
            Self::Failure => "500",
            Self::Nonsense => "NONSENSE",
            Self::Status => "STATUS",
            Self::Lost => "LOST",
            Self::Maintenance => "MAINTENANCE",
            Self::Unseen => "UNSEEN",
            Self::Duplicate => "DUPLICATE",
            Self::Slow => "SLOW",
            Self::Late => "LATE",
            Self::Final => "FINAL",
            Self::Deaf => "DEAF",
        }
    }
}

/// How long [`Part::Late`] takes, by the partner's clock.
pub const LATE: Duration = Duration::from_secs(60);

/// A partner to test against.
#[async_trait]
pub trait Bench: Send + Sync {
    /// The adapter, set up for that partner.
    fn adapter(&self) -> &dyn Adapter;

    /// The member who plays a part.
    fn login(&self, part: Part) -> Login;

    /// What the partner's operator sees on a member's account.
    async fn balance_seen_by_operator(&self, member: &str) -> Result<Miles, String>;

    /// Moves the partner's clock ahead.
    async fn advance_clock(&self, by: Duration) -> Result<(), String>;

    /// A new reference each time.
    fn reference(&self) -> Reference;
}

/// A scenario that did not go as it must.
#[derive(Debug, Error)]
#[error("{scenario}: {what}")]
pub struct Failure {
    /// Which.
    pub scenario: &'static str,
    /// What happened instead.
    pub what: String,
}

type Outcome = Result<(), String>;

/// Runs every scenario, and gives all that failed.
pub async fn run(bench: &dyn Bench) -> Result<(), Vec<Failure>> {
    let mut failures = Vec::new();
    macro_rules! scenarios {
        ($($scenario:literal => $function:path),+ $(,)?) => {
            $(if let Err(what) = $function(bench).await {
                failures.push(Failure { scenario: $scenario, what });
            })+
        };
    }
    scenarios! {
        "a partner that is there can be reached" => basic::reachable,
        "a member proves who they are, others do not" => basic::authentication,
        "a debit takes the miles once" => basic::debit_once,
        "more than the balance is refused" => basic::above_balance,
        "refusals are told apart" => basic::refusals,
        "time-out, then success" => faults::unheard,
        "time-out, then failure" => faults::unheard_refusal,
        "a debit that never arrived is not found" => faults::never_arrived,
        "a maintenance page is no answer" => faults::maintenance,
        "a false 'not found' is corrected by asking again" => faults::unseen,
        "a debit said to be a duplicate happened once" => faults::duplicate,
        "a slow answer counts" => faults::slow,
        "a late debit is found once it happened" => faults::late,
        "a reversal gives the miles back once" => reversals::reversal,
        "a reversal before its debit refuses the debit" => reversals::tombstone,
        "late success after a reversal does not happen" => reversals::late_success,
        "a reversal whose answer is lost is said again" => reversals::deaf,
        "a refused reversal is told from an unknown one" => reversals::refused,
        "reversing a refused debit gives nothing back" => reversals::nothing_to_reverse,
        "many debits at once all have their own answer" => crowds::many,
        "one reference many times at once is one debit" => crowds::one_reference,
        "two for the last mile have one winner" => crowds::last_mile,
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures)
    }
}

/// All failures as text.
pub fn describe(failures: &[Failure]) -> String {
    failures.iter().fold(String::new(), |mut text, failure| {
        let _ = writeln!(text, "- {failure}");
        text
    })
}
