//! `mileverse`: one program, one verb for each role. This file only puts the verbs together; each
//! belongs to the crate that does its work.

mod guard;
mod stdin;
mod up;

use clap::{Parser, Subcommand};
use std::{error::Error, io::IsTerminal, io::stderr, process::ExitCode};
use tracing_subscriber::EnvFilter;

/// A validator allocates all the time, on all processors: this one takes an eighth off its work, and keeps
/// less memory than the system's. `.cargo/config.toml` says how it is set up.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Mileage becomes points, points cross between chains.
#[derive(Debug, Parser)]
#[command(name = "mileverse", version, propagate_version = true)]
struct Cli {
    /// Stop when stdin ends: how `up` makes sure that nothing outlives it.
    #[arg(long, global = true, hide = true)]
    exit_with_stdin: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start the whole system on this machine and play the journey of a mile.
    Up(up::Command),
    /// Run a validator of the native chain.
    Node(mileverse_node::Command),
    /// Make, check or show the genesis file of a network.
    Genesis(mileverse_node::genesis::Command),
    /// Stake, vote, and be voted for: the committee that confirms blocks.
    Delegate(mileverse_wallet::delegate::Command),
    /// See what holders of MVC are paid each quarter.
    Rewards(mileverse_wallet::rewards::Command),
    /// Pay for the gas of a contract's users, and see what gas you have free.
    Fees(mileverse_wallet::fees::Command),
    /// Carry packets between the native chain and Ethereum.
    Relayer(mileverse_relayer::Command),
    /// Run the conversion API.
    Gateway(mileverse_gateway::Command),
    /// Run a partner's sandbox server.
    Sandbox(mileverse_fixtures::Command),
    /// Hold keys; see, send and bridge tokens.
    Wallet(mileverse_wallet::Command),
    /// Measure the chain, or try it in seeded simulations.
    Bench(mileverse_bench::Command),
    /// Run another program and stop it in order.
    #[command(hide = true)]
    Guard(guard::Command),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(&cli.verb);
    if cli.exit_with_stdin {
        stdin::exit_at_end();
    }
    let outcome = match cli.verb {
        Verb::Up(command) => told(up::run(command)),
        Verb::Node(command) => told(mileverse_node::run(command)),
        Verb::Genesis(command) => told(mileverse_node::genesis::run(command)),
        Verb::Delegate(command) => told(mileverse_wallet::delegate::run(command)),
        Verb::Rewards(command) => told(mileverse_wallet::rewards::run(command)),
        Verb::Fees(command) => told(mileverse_wallet::fees::run(command)),
        Verb::Relayer(command) => told(mileverse_relayer::run(command)),
        Verb::Gateway(command) => told(mileverse_gateway::run(command)),
        Verb::Sandbox(command) => told(mileverse_fixtures::run(command)),
        Verb::Wallet(command) => told(mileverse_wallet::run(command)),
        Verb::Bench(command) => told(mileverse_bench::run(command)),
        Verb::Guard(command) => told(guard::run(command)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("error: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn told<E: Error>(outcome: Result<(), E>) -> Result<(), String> {
    outcome.map_err(|error| error.to_string())
}

/// Servers say what they do; the others only what went wrong. `RUST_LOG` overrides both.
fn log_to_stderr(verb: &Verb) {
    let default = match verb {
        Verb::Node(_) | Verb::Relayer(_) | Verb::Gateway(_) | Verb::Sandbox(_) => "info",
        Verb::Up(_)
        | Verb::Wallet(_)
        | Verb::Genesis(_)
        | Verb::Delegate(_)
        | Verb::Rewards(_)
        | Verb::Fees(_)
        | Verb::Guard(_) => "warn",
        // A simulation speaks for dozens of validators in trouble on purpose.
        Verb::Bench(_) => "off",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
}
