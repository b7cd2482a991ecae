//! The verb `mileverse gateway`.

use crate::config::{Config, ConfigError};
use crate::server::{Server, ServerError};
use clap::{Args, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

/// Runs the gateway, or prints its OpenAPI document.
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
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(serve(config))
        }
    }
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
