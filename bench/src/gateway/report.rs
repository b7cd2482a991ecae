//! What was measured.

use super::drive::Seen;
use super::{Command, Database};
use crate::figures::{Percentiles, float, tenth};
use crate::machine::Machine;
use mileverse_gateway::conversion::state::State;
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
    /// The states that conversions went through under this load, in their order.
    pub stages: Vec<Stage>,
    /// Where it was measured.
    pub machine: Machine,
}

/// One state on the way of a conversion.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// The state: `created` is left by the commit that says the debit is sent, `debiting` when the partner has
    /// answered, `debited` when the issue is signed, `issuing` when the points exist and the books say so.
    pub stage: &'static str,
    /// Conversions that left it, a second.
    pub per_second: f64,
    /// How long they stayed, to the whole millisecond.
    pub ms: Percentiles,
}

fn stages(stayed: &[(State, i64)], seconds: f64) -> Vec<Stage> {
    let of = |state: State| {
        let times = stayed.iter().filter(|(one, _)| *one == state);
        times
            .map(|(_, ms)| float(u64::try_from(*ms).unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    State::ALL
        .into_iter()
        .map(|state| (state, of(state)))
        .filter(|(_, times)| !times.is_empty())
        .map(|(state, times)| Stage {
            stage: state.name(),
            per_second: tenth(float(u64::try_from(times.len()).unwrap_or(u64::MAX)) / seconds),
            ms: Percentiles::over(times),
        })
        .collect()
}

impl Report {
    pub(super) fn new(
        command: &Command,
        alone: &Seen,
        all: &Seen,
        stayed: &[(State, i64)],
    ) -> Self {
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
            stages: stages(stayed, seconds),
            machine: Machine::this(),
        }
    }

    /// In rows for people.
    pub fn rows(&self) -> Vec<[String; 2]> {
        let times = |times: &Percentiles| format!("{} ms (p50), {} ms (p99)", times.p50, times.p99);
        let mut rows = vec![
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
        ];
        rows.extend(
            self.stages
                .iter()
                .map(|stage| [format!("  {}", stage.stage), times(&stage.ms)]),
        );
        rows.extend([
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
        ]);
        rows
    }
}
