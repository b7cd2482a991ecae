//! The verb `mileverse gateway`.

mod administer;
mod cases;
mod operators;
mod output;
mod reconcile;
mod remote;

use crate::config::{Config, ConfigError};
use crate::server::{Server, ServerError};
use clap::{Args, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

/// Runs the gateway, or administers it.
#[derive(Args, Debug)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve the API and move conversions until stopped.
    Run {
        /// The TOML configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Bring the database's tables up to date, before replicas of a new version start.
    Migrate {
        /// The TOML configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Partners: how they pay, from where they call, how often.
    #[command(subcommand)]
    Partners(administer::Partners),
    /// Keys of partners.
    #[command(subcommand)]
    Keys(administer::Keys),
    /// Members that were linked.
    #[command(subcommand)]
    Members(administer::Members),
    /// What a point costs in ether.
    #[command(subcommand)]
    Prices(administer::Prices),
    /// What waits to be done.
    #[command(subcommand)]
    Jobs(administer::Jobs),
    /// People who run the gateway: roles, keys, the audit log.
    #[command(subcommand)]
    Operators(operators::Operators),
    /// What waits for operators; every action takes two of them.
    #[command(subcommand)]
    Cases(cases::Cases),
    /// Set the partners' statements, the journal and the chain beside each other.
    #[command(subcommand)]
    Reconcile(reconcile::Reconcile),
    /// Print the OpenAPI document.
    Openapi,
}

/// Why the verb failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The command line.
    #[error("{0}")]
    Argument(String),
    /// The database.
    #[error("the database failed ({0}); try again")]
    Store(#[from] sqlx::Error),
    /// The operating system.
    #[error("the gateway cannot run: {0}")]
    Runtime(#[from] io::Error),
    /// The document.
    #[error("the OpenAPI document cannot be written: {0}")]
    Document(#[from] serde_json::Error),
}

/// Runs the verb.
pub fn run(command: Command) -> Result<(), Error> {
    match command.verb {
        Verb::Openapi => {
            let document = openapi()?;
            io::stdout().write_all(document.as_bytes())?;
            Ok(())
        }
        Verb::Run { config } => {
            let config = Config::read(&config)?;
            runtime()?.block_on(serve(config))
        }
        Verb::Migrate { config } => print(runtime()?.block_on(administer::migrate(config))?),
        Verb::Partners(verb) => print(runtime()?.block_on(administer::partners(verb))?),
        Verb::Keys(verb) => print(runtime()?.block_on(administer::keys(verb))?),
        Verb::Members(verb) => print(runtime()?.block_on(administer::members(verb))?),
        Verb::Prices(verb) => print(runtime()?.block_on(administer::prices(verb))?),
        Verb::Operators(verb) => runtime()?.block_on(operators::run(verb)),
        Verb::Cases(verb) => runtime()?.block_on(cases::run(verb)),
        Verb::Reconcile(verb) => runtime()?.block_on(reconcile::run(verb)),
        Verb::Jobs(verb) => print(runtime()?.block_on(administer::jobs(verb))?),
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// One JSON object a line.
fn print(rows: Vec<serde_json::Value>) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    for row in rows {
        writeln!(out, "{row}")?;
    }
    Ok(())
}

/// The OpenAPI document as text, the same every time.
pub fn openapi() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&crate::api::specification())?;
    text.push('\n');
    Ok(text)
}

async fn serve(config: Config) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = tokio::select! {
        server = Server::start(config) => server?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let ready = serde_json::json!({ "ready": true, "url": server.url() });
    writeln!(io::stdout(), "{ready}")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    server.stop().await?;
    Ok(())
}
