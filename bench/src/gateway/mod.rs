//! `mileverse bench gateway`: how many conversions a second the gateway carries, and how much of
//! a conversion's time is its own.
//!
//! ```txt
//! stubs    a partner in this process and a chain on loopback that answer at once
//! chain    that stub, or validators of their own
//! system   the gateways under test, in this process, on a database of their own
//! drive    clients over HTTP: a quote, then its conversion, one after another
//! report   figures
//! ```
//!
//! Each conversion takes every step that it takes in earnest: HTTP, the journal, signing,
//! broadcasting, the receipt, and the commits of each to a disk that is waited for. With `--stubs` what
//! lies outside is a stub. The stubs answer at once, so nothing is taken out of the times: `added_ms` is
//! the whole of `POST /v1/conversions` as its client sees it, the client's own share included. Without
//! it the partner is a stub, and the chain is a committee of processes on this machine: each conversion
//! waits for the block in which its points exist, and that wait is in `added_ms`. In the end the
//! partner's miles, the journal and the chain must agree to the unit, or there is no figure.
//!
//! First one client alone for a while (`low_load_ms`), then all of them; with `--rate` as many
//! conversions a second as it says, each timed from the moment at which it was due. Clients, stubs, gateways
//! and the database share this machine.

mod chain;
mod drive;
mod report;
mod stubs;
mod system;

use crate::{
    error::{Error, within},
    net::check_validators,
    output,
    progress::Progress,
    runtime,
};
use clap::{Args, ValueEnum};
use mileverse_gateway::{api::MAX_REQUESTS, clock::now_ms};
use std::time::Duration;

/// Before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// One client alone.
const ALONE: Duration = Duration::from_secs(2);

/// Where the gateway keeps its rows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Database {
    /// A file, for one gateway.
    Sqlite,
    /// A server of its own, for any number.
    Postgres,
}

/// Measure the gateway: conversions a second, and the time it adds to each.
#[derive(Args, Clone, Debug)]
pub struct Command {
    /// Where it keeps its rows.
    #[arg(long, value_enum, default_value_t = Database::Sqlite)]
    database: Database,
    /// A partner and a chain that answer at once: what is left is the gateway's own time. Without it
    /// validators run below, and the wait for their blocks is in the times.
    #[arg(long)]
    stubs: bool,
    /// Without --stubs: validators, 1 or at least 4.
    #[arg(long, default_value_t = 4)]
    validators: usize,
    /// Gateways on the database; on SQLite one.
    #[arg(long, default_value_t = 1)]
    replicas: u64,
    /// For how long, seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Clients at once.
    #[arg(long, default_value_t = 32)]
    clients: u64,
    /// Conversions a second that are due in all, whether the gateway keeps up or not. Left out, each
    /// client asks as soon as it was answered.
    #[arg(long)]
    rate: Option<u64>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(command: &Command) -> Result<(), Error> {
    within("replicas", command.replicas, (1, 16), "")?;
    within("seconds", command.seconds, (1, 3_600), "")?;
    // A gateway says to more that it is busy.
    within("clients", command.clients, (1, MAX_REQUESTS as u64), "")?;
    check_validators(command.validators)?;
    if let Some(rate) = command.rate {
        within("rate", rate, (1, 100_000), "")?;
    }
    if command.database == Database::Sqlite && command.replicas > 1 {
        return Err(Error::Setup(
            "a SQLite file has one gateway; use --database postgres for more".to_owned(),
        ));
    }
    let report = runtime::run(measure(command))?;
    output::print(command.json, &report, report.rows())
}

async fn measure(command: &Command) -> Result<report::Report, Error> {
    let progress = Progress::begin("starting the chain, the database and the gateways");
    let system = system::System::start(command).await?;
    progress.say("warming up".to_owned());
    drive::drive(&system, command.clients, None, WARM_UP).await?;
    progress.say("one client alone".to_owned());
    let alone = drive::drive(&system, 1, None, ALONE).await?;
    progress.say(format!("{} clients", command.clients));
    let since = now_ms();
    let all = drive::drive(
        &system,
        command.clients,
        command.rate,
        Duration::from_secs(command.seconds),
    )
    .await?;
    progress.say("comparing partner, journal and chain".to_owned());
    system.agree().await?;
    let stages = system.stages(since).await?;
    system.stop().await?;
    Ok(report::Report::new(command, &alone, &all, &stages))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_short_run_converts_and_everything_agrees() {
        let command = Command {
            database: Database::Sqlite,
            stubs: true,
            validators: 1,
            replicas: 1,
            seconds: 1,
            clients: 4,
            rate: None,
            json: true,
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let report = runtime.block_on(measure(&command)).unwrap();
        assert!(report.conversions > 0);
        assert!(report.added_ms.samples > 0);
        let stages: Vec<_> = report.stages.iter().map(|one| one.stage).collect();
        assert_eq!(stages, ["created", "debiting", "debited", "issuing"]);
        for stage in &report.stages {
            assert!(stage.ms.samples >= report.added_ms.samples, "{stage:?}");
        }
    }
}
