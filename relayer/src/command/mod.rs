//! The verbs of `mileverse relayer`.

mod check;
mod keys;
mod relay;
mod run;
mod status;
mod why;

use crate::{Error, config::Config};
use clap::{Args, Subcommand};
use mileverse_wallet::client::PacketName;
use serde::Serialize;
use std::{io::Write as _, path::PathBuf};

/// Carries packets between native chains and Ethereum.
#[derive(Args, Debug)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs until it is told to stop.
    Run {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Validates a configuration against the live endpoints.
    Check(Look),
    /// Says what a relayer has done and what it waits for; a running one is not disturbed.
    Status(Look),
    /// Says where a packet is, what it waits for, and what would move it.
    Why {
        /// native:NUMBER, ethereum:NUMBER, or SOURCE:DESTINATION:NUMBER between native chains.
        packet: PacketName,
        /// Which route; may be left out if there is only one.
        #[arg(long)]
        route: Option<String>,
        #[command(flatten)]
        look: Look,
    },
    /// Delivers one packet and ends; no relayer may be running on the database.
    Relay(relay::Order),
    /// Brings an expired packet home: lets it expire where it went, then delivers the news.
    Refund(relay::Order),
    /// The accounts that sign, and new keys for them.
    #[command(subcommand)]
    Keys(keys::Verb),
}

#[derive(Args, Debug)]
struct Look {
    /// Configuration file (TOML).
    #[arg(long)]
    config: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(command: Command) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    runtime.block_on(async {
        match command.verb {
            Verb::Run { config } => Box::pin(run::run(&Config::read(&config)?)).await,
            Verb::Check(look) => {
                Box::pin(check::check(&Config::read(&look.config)?, look.json)).await
            }
            Verb::Status(look) => status::show(&Config::read(&look.config)?, look.json).await,
            Verb::Why {
                packet,
                route,
                look,
            } => {
                let config = Config::read(&look.config)?;
                Box::pin(why::why(&config, route.as_deref(), packet, look.json)).await
            }
            Verb::Relay(order) => Box::pin(relay::relay(&order)).await,
            Verb::Refund(order) => Box::pin(relay::refund(&order)).await,
            Verb::Keys(verb) => Box::pin(keys::run(&verb)).await,
        }
    })
}

/// One answer on standard output, for machines or for people.
fn say(json: bool, answer: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Error> {
    let text = if json {
        serde_json::to_string(answer).map_err(|error| Error::Damaged(error.to_string()))?
    } else {
        text()
    };
    writeln!(std::io::stdout(), "{text}").map_err(Error::Output)
}
