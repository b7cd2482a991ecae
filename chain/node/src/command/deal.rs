//! `mileverse node deal`: the keys of a new network's first committee.
//!
//! ```txt
//! OUT/dealing.json            public: the keys, the dealing's outcome, the group key
//! OUT/validator-N/keys.json   sealed: identity and share of one member, in the order of the keys
//! ```
//!
//! All are sealed under one passphrase. Give each member its directory and have it seal the keys
//! anew under a passphrase of its own: `mileverse node reseal`.

use super::Sealing;
use crate::{dealer, error::Error};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// How many validators: 1, or 4 to 99.
    #[arg(long, default_value_t = 4)]
    validators: usize,
    /// Directory to write dealing.json and validator-N/keys.json to.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    sealing: Sealing,
}

pub(super) fn deal(arguments: &Arguments) -> Result<(), Error> {
    let out = &arguments.out;
    let (passphrase, cost) = arguments.sealing.choose()?;
    let dealing = dealer::deal(arguments.validators)?;
    let file = |path: PathBuf| move |source| Error::File { path, source };
    for (number, keys) in dealing.keys.iter().enumerate() {
        let directory = out.join(format!("validator-{number}"));
        std::fs::create_dir_all(&directory).map_err(file(directory.clone()))?;
        keys.write(&directory.join("keys.json"), &passphrase, cost)?;
    }
    let path = out.join("dealing.json");
    let text = serde_json::to_string_pretty(&dealer::Public::of(&dealing))
        .map_err(|error| Error::Deal(error.to_string()))?;
    std::fs::write(&path, text).map_err(file(path.clone()))
}
