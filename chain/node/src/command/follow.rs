//! `node follow`: a node that skips the past, and that can start without keys.

use super::{Sealing, run};
use crate::{
    config::Config,
    error::Error,
    secrets::{Passphrase, ValidatorKeys},
};
use clap::Args;
use mileverse_consensus::engine::Start;
use std::path::PathBuf;

/// What `node follow` is told.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Configuration file (TOML), as for `run`.
    #[arg(long)]
    config: PathBuf,
    #[command(flatten)]
    sealing: Sealing,
}

/// Follows until it is stopped; makes an identity first if there is none.
pub(super) fn follow(arguments: &Arguments) -> Result<(), Error> {
    let config = Config::read(&arguments.config)?;
    let sealing = Sealing {
        passphrase_file: arguments
            .sealing
            .passphrase_file
            .clone()
            .or_else(|| config.passphrase_file.clone()),
        ..arguments.sealing
    };
    let passphrase = if config.keys.exists() {
        Passphrase::find(sealing.passphrase_file.as_deref())?
    } else {
        let (passphrase, cost) = sealing.choose()?;
        let keys = ValidatorKeys::random();
        keys.write(&config.keys, &passphrase, cost)?;
        tracing::info!(key = %keys.consensus_key(), path = %config.keys.display(), "this node has a new identity");
        passphrase
    };
    run::run(config, passphrase, Start::Sync)
}
