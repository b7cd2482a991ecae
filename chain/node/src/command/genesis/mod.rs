//! `mileverse genesis`: a network's beginning, made, checked and shown.
//!
//! | file | verb |
//! |---|---|
//! | `spec` | `new`: from a short description to the file |
//! | `show` | `show`: the file as a table |

mod show;
mod spec;

pub use spec::SpecError;

use super::answer;
use crate::{config::read_limited, error::Error};
use clap::{Args, Subcommand};
use mileverse_consensus::committee::First;
use mileverse_primitives::{B256, genesis::Genesis};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Make, check or show a genesis file.
#[derive(Args, Debug)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a genesis file from a short description (TOML) and a dealing.
    New {
        /// The description.
        #[arg(long, value_name = "FILE")]
        spec: PathBuf,
        /// The genesis file to write; never overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Check a genesis file; the first rule that it breaks is named.
    Check {
        /// The genesis file.
        genesis: PathBuf,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Show a genesis file and its hash.
    Show {
        /// The genesis file.
        genesis: PathBuf,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the verb.
pub fn run(command: Command) -> Result<(), Error> {
    match command.verb {
        Verb::New { spec, out, json } => {
            let genesis = spec::read(&spec)?;
            let checked = checked(genesis, &spec)?;
            spec::write(&out, &checked.genesis)?;
            verdict(&out, &checked, json)
        }
        Verb::Check { genesis, json } => verdict(&genesis, &read(&genesis)?, json),
        Verb::Show { genesis, json } => show::show(&read(&genesis)?, json),
    }
}

/// A genesis file that keeps every rule.
pub(super) struct Checked {
    pub(super) genesis: Genesis,
    hash: B256,
    pub(super) first: First,
}

/// Reads a genesis file and checks every rule.
pub(super) fn read(path: &Path) -> Result<Checked, Error> {
    let text = read_limited(path)?;
    let genesis = Genesis::parse(&text).map_err(|source| Error::Genesis {
        path: path.into(),
        source,
    })?;
    checked(genesis, path)
}

fn checked(genesis: Genesis, path: &Path) -> Result<Checked, Error> {
    let broken = |source| Error::Genesis {
        path: path.into(),
        source,
    };
    genesis.check().map_err(broken)?;
    let hash = genesis.hash().map_err(broken)?;
    crate::config::check_peers(&genesis).map_err(broken)?;
    let first = First::read(&genesis.committee)?;
    Ok(Checked {
        genesis,
        hash,
        first,
    })
}

fn verdict(path: &Path, checked: &Checked, as_json: bool) -> Result<(), Error> {
    let members = checked.first.members.len();
    let json = json!({
        "file": path,
        "valid": true,
        "hash": checked.hash,
        "chainId": checked.genesis.chain_id,
        "members": members,
    });
    let facts = vec![
        ("file", path.display().to_string()),
        ("valid", "yes".to_owned()),
        ("hash", checked.hash.to_string()),
        ("chain id", checked.genesis.chain_id.to_string()),
        ("members", members.to_string()),
    ];
    answer::print(facts, as_json.then_some(&json))
}
