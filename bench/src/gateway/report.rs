//! What was measured.

use super::drive::Seen;
use super::{Command, Database};
use crate::figures::{Percentiles, float, tenth};
use crate::machine::Machine;
use serde::Serialize;

/// The gateway's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `sqlite` or `postgres`.
    pub database: &'static str,
    /// Partner and chain were stubs that answer at once; else only the partner was.
    pub stubs: bool,
    /// Validators of the chain, if it was one.
    pub validators: Option<usize>,
    /// Gateways on the database.
    pub replicas: u64,
    /// Clients at once.
    pub clients: u64,
    /// Conversions a second that were due; none if clients asked as soon as they were answered.
    pub rate: Option<u64>,
    /// How long was counted, seconds.
    pub seconds: f64,
    /// Completed, each after a quote of its own.
    pub conversions: u64,
    /// Completed a second.
    pub conversions_per_second: f64,
    /// `POST /v1/conversions` under this load, until the points exist, from the moment at which it
    /// was due if there is a rate: nothing is taken out, the wait for a chain's blocks neither.
    pub added_ms: Percentiles,
    /// `POST /v1/quotes` under this load.
    pub quote_ms: Percentiles,
    /// `POST /v1/conversions` with one client alone.
    pub low_load_ms: Percentiles,
    /// Where it was measured.
    pub machine: Machine,
}

impl Report {
    pub(super) fn new(command: &Command, alone: &Seen, all: &Seen) -> Self {
        let conversions = u64::try_from(all.conversions.len()).unwrap_or(u64::MAX);
        let seconds = all.elapsed.as_secs_f64();
        Self {
            database: match command.database {
                Database::Sqlite => "sqlite",
                Database::Postgres => "postgres",
            },
            stubs: command.stubs,
            validators: (!command.stubs).then_some(command.validators),
            replicas: command.replicas,
            clients: command.clients,
            rate: command.rate,
            seconds: tenth(seconds),
            conversions,
            conversions_per_second: tenth(float(conversions) / seconds),
            added_ms: Percentiles::over(all.conversions.clone()),
            quote_ms: Percentiles::over(all.quotes.clone()),
            low_load_ms: Percentiles::over(alone.conversions.clone()),
            machine: Machine::this(),
        }
    }

    /// In rows for people.
    pub fn rows(&self) -> Vec<[String; 2]> {
        let times = |times: &Percentiles| format!("{} ms (p50), {} ms (p99)", times.p50, times.p99);
        vec![
            [
                "on".into(),
                format!("{}, {} gateways", self.database, self.replicas),
            ],
            [
                "load".into(),
                match self.rate {
                    Some(rate) => format!(
                        "{rate} a second by {} clients for {} s",
                        self.clients, self.seconds
                    ),
                    None => format!("{} clients for {} s", self.clients, self.seconds),
                },
            ],
            [
                "conversions".into(),
                format!(
                    "{}, {} a second",
                    self.conversions, self.conversions_per_second
                ),
            ],
            ["a conversion".into(), times(&self.added_ms)],
            ["a quote".into(), times(&self.quote_ms)],
            ["a conversion alone".into(), times(&self.low_load_ms)],
            [
                "partner and chain".into(),
                match self.validators {
                    None => "stubs that answer at once".into(),
                    Some(validators) => {
                        format!("a stub that answers at once, and {validators} validators")
                    }
                },
            ],
            ["machine".into(), self.machine.words()],
            ["commit".into(), self.machine.commit.into()],
        ]
    }
}
