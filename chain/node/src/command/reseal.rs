//! `mileverse node reseal`: another passphrase for a node's keys and secrets.

use crate::{
    config::Config,
    error::Error,
    secrets::{self, Cost, Passphrase, Sealed},
};
use clap::Args;
use mileverse_consensus::{index::Index, rotation};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Configuration file (TOML) of the node.
    #[arg(long)]
    config: PathBuf,
    /// File with the passphrase of now; else the configuration's, else MILEVERSE_PASSPHRASE, else
    /// asked for.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// File with the next passphrase.
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: PathBuf,
    /// Cost of trying a passphrase: scrypt's N is 2 to this power.
    #[arg(long, default_value_t = 17, value_name = "10..20")]
    scrypt_log_n: u8,
}

pub(super) fn reseal(arguments: &Arguments) -> Result<(), Error> {
    let config = Config::read(&arguments.config)?;
    let cost = Cost::new(arguments.scrypt_log_n)?;
    let next = Passphrase::read(&arguments.new_passphrase_file)?;
    let file = arguments
        .passphrase_file
        .as_deref()
        .or(config.passphrase_file.as_deref());
    let now = Passphrase::find(file)?;
    let index = config.data_dir.join("index.redb");
    // The index is locked while the node runs; a running node would write its secrets again under
    // the key that it derived at its start.
    let _stopped = if index.exists() {
        let genesis_hash = config
            .read_genesis()?
            .hash()
            .map_err(|source| Error::Genesis {
                path: config.genesis.clone(),
                source,
            })?;
        let opened = Index::open(&index, genesis_hash).map_err(|error| Error::Index {
            path: index,
            message: format!("{error}; stop the node first"),
        })?;
        Some(opened)
    } else {
        None
    };
    for name in [secrets::FILE, rotation::SECRETS_FILE] {
        let path = config.data_dir.join(name);
        if path.exists() {
            secrets::reseal(&path, Sealed::Secrets, &now, &next, cost)?;
        }
    }
    secrets::reseal(&config.keys, Sealed::Keys, &now, &next, cost)?;
    Ok(())
}
