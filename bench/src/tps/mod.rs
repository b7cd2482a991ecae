//! `mileverse bench tps`: how many transactions a real net of this machine makes final in a second,
//! handed in over public JSON-RPC by clients that signed them before.
//!
//! ```txt
//! accounts   keys, and what they hold before the measurement begins
//! traffic    what is sent: points, batches of points, coin, an ERC-20 token, or a mixture
//! stages     where the validators' processor time went
//! report     the figures
//! ```
//!
//! `load` hands it in and follows it.
//!
//! Everything shares this machine: the validators, the clients, and whatever else runs on it. A
//! transaction counts at the moment at which the first validator shows its block as final.

mod accounts;
mod report;
mod stages;
mod traffic;

use self::{accounts::Accounts, report::Report, stages::Stages};
use crate::{
    error::{Error, within},
    figures::{float, tenth},
    load::{self, Watch},
    machine::Machine,
    net::{Net, Pace, Plan, check_validators},
    output,
    progress::Progress,
    runtime,
};
use clap::{Args, ValueEnum};
use mileverse_consensus::pages;
use mileverse_node::memory;
use serde::Serialize;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Seconds of traffic before the measurement begins.
const WARM_UP: Duration = Duration::from_secs(3);
/// Longest wait for what is under way when the measurement has ended.
const DRAIN: Duration = Duration::from_secs(60);
/// Bytes that an account takes in a validator's state on the disk, about.
const ACCOUNT_BYTES: u64 = 300;

/// What is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Points from one account to another; the fee is paid in points.
    Points,
    /// Many transfers of points in one transaction.
    Batch,
    /// The coin from one account to another.
    Coin,
    /// A token of a contract, by the interpreter.
    Erc20,
    /// Seven of ten points, the others one batch, one coin, one token.
    Mix,
}

/// Measure transactions per second.
#[derive(Args, Debug)]
pub struct Command {
    /// What is sent.
    #[arg(long, value_enum, default_value_t = Mode::Points)]
    mode: Mode,
    /// Size of the committee: 1, or 4 to 16.
    #[arg(long, default_value_t = 4)]
    validators: usize,
    /// Accounts that hold points before the measurement begins; receivers are among them.
    #[arg(long, default_value_t = 10_000)]
    accounts: u64,
    /// For how long is measured.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Transactions handed in each second; 0 is as many as become final.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Memory of each validator for pages of the state, MiB, as `cache_mib` of a node's configuration.
    /// If it is not said, what a validator takes by itself when it starts with such a state.
    #[arg(long)]
    cache_mib: Option<NonZeroU32>,
    /// Entries of one batch.
    #[arg(long, default_value_t = 500)]
    entries: u64,
    /// Transactions signed beforehand for each second, without --rate.
    #[arg(long)]
    prepared: Option<u64>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(command: &Command) -> Result<(), Error> {
    check(command)?;
    let report = runtime::run(measure(command))?;
    output::print(command.json, &report, report.rows())
}

fn check(command: &Command) -> Result<(), Error> {
    check_validators(command.validators)?;
    within("accounts", command.accounts, (100, 10_000_000), "")?;
    within("seconds", command.seconds, (2, 3600), "")?;
    within("rate", command.rate, (0, 100_000), "")?;
    let cache = command.cache_mib.unwrap_or(pages::LEAST_MIB).get().into();
    within(
        "cache-mib",
        cache,
        (1, pages::MOST_MIB.get().into()),
        " MiB",
    )?;
    within("entries", command.entries, (1, 1000), "")?;
    within("prepared", command.prepared.unwrap_or(1), (1, 100_000), "")
}

/// Memory of each validator for pages of the state: the accounts come after its start, which is when a
/// validator looks how large its state is.
fn cache_mib(command: &Command) -> NonZeroU32 {
    command.cache_mib.unwrap_or_else(|| {
        let state = command.accounts.saturating_mul(ACCOUNT_BYTES);
        let machine =
            memory::of_machine() / u64::try_from(command.validators.max(1)).unwrap_or(u64::MAX);
        pages::fitting(state, machine)
    })
}

/// Transactions to sign for each second: somewhat more than a net of this size confirms here.
const fn prepared(command: &Command) -> u64 {
    match (command.rate, command.prepared) {
        (0, Some(prepared)) => prepared,
        (0, None) => match command.mode {
            Mode::Batch => 200,
            Mode::Points | Mode::Coin | Mode::Erc20 | Mode::Mix if command.validators == 1 => {
                20_000
            }
            Mode::Points | Mode::Coin | Mode::Erc20 | Mode::Mix => 10_000,
        },
        (rate, _) => rate,
    }
}

async fn measure(command: &Command) -> Result<Report, Error> {
    let root = tempfile::tempdir().map_err(|source| Error::System {
        what: "a temporary directory",
        source,
    })?;
    let progress = Progress::begin("the validators start");
    let pace = Pace::sample()?;
    let accounts = Accounts::new(command.accounts, command.mode)?;
    let mut plan = Plan::new(command.validators, pace, accounts.issuer())?;
    plan.cache_mib = Some(cache_mib(command));
    accounts.enter(&mut plan.genesis);
    let mut net = Net::start(root.path(), plan, Duration::ZERO).await?;
    let token = accounts.fund(&net, command, &progress).await?;

    let window = Duration::from_secs(command.seconds).saturating_add(WARM_UP);
    let wanted = prepared(command)
        .saturating_mul(window.as_secs().saturating_add(1))
        .max(1);
    progress.say(format!("signing {wanted} transactions"));
    let traffic = traffic::sign(&accounts, command, token, wanted)?;

    let stored = net.stored_bytes();
    let mut watch = Watch::start(&net).await?;
    let begun = Instant::now();
    let clients = load::start(&net, traffic, command.rate, window, watch.ledger());
    let mut opened = None;
    let mut closed = None;
    loop {
        watch.look().await?;
        net.check()?;
        let gone = begun.elapsed();
        if opened.is_none() && gone >= WARM_UP {
            opened = Some((Instant::now(), net.cpu_seconds(), Stages::read(&net).await?));
        }
        if closed.is_none() && (gone >= window || clients.is_finished()) {
            closed = Some((Instant::now(), net.cpu_seconds(), Stages::read(&net).await?));
        }
        if closed.is_some() && clients.is_finished() {
            let waiting = watch.ledger().waiting();
            if waiting == 0 || gone > window.saturating_add(DRAIN) {
                break;
            }
        }
        progress.say(format!(
            "{} of {} s, {} handed in, {} final",
            gone.as_secs().min(window.as_secs()),
            window.as_secs(),
            watch.ledger().handed_in(),
            watch.ledger().done()
        ));
    }
    let refused = clients
        .await
        .map_err(|error| Error::Setup(error.to_string()))??;
    let missing = || watch.ledger().nothing();
    let (from, cpu_before, stages_before) = opened.ok_or_else(missing)?;
    let (to, cpu_after, stages_after) = closed.ok_or_else(missing)?;
    progress.say("reading the receipts".into());
    let counted = watch.count(from, to).await?;
    let seconds = to.duration_since(from).as_secs_f64();
    let spent = cpu_after.zip(cpu_before).map(|(now, then)| now - then);
    let rss_mib = net.rss_mib();
    let grown = net.stored_bytes().saturating_sub(stored);
    let every = watch.ledger().done();
    net.stop().await;
    let per_tx = |amount: f64| amount / float(counted.transactions.max(1));
    Ok(Report {
        mode: command.mode,
        validators: command.validators,
        accounts: command.accounts,
        cache_mib: cache_mib(command),
        seconds: tenth(seconds),
        rate: (command.rate > 0).then_some(command.rate),
        transactions: counted.transactions,
        failed: counted.failed,
        refused,
        finalized_tps: tenth(float(counted.transactions) / seconds),
        operations_per_second: tenth(float(counted.operations) / seconds),
        finality_ms: counted.finality_ms,
        blocks: counted.blocks,
        largest_block: counted.largest_block,
        cpu_us_per_tx: spent.map(|spent| tenth(per_tx(spent * 1_000_000.0))),
        cpu_us_per_tx_and_validator: spent
            .map(|spent| tenth(per_tx(spent * 1_000_000.0) / float(command.validators as u64))),
        cpu_us_by_stage: spent.map(|spent| {
            stages_after.per_transaction(
                &stages_before,
                spent,
                counted
                    .transactions
                    .saturating_mul(command.validators as u64),
            )
        }),
        rss_mib,
        disk_bytes_per_tx: tenth(
            float(grown) / float(every.max(1)) / float(command.validators as u64),
        ),
        machine: Machine::this(),
    })
}
