//! `mileverse relayer keys`: new keys, and what those of a configuration have.

use super::say;
use crate::{
    Error,
    chain::{At, Ledger as _},
    config::Config,
    keys::Signer,
    route::Route,
    store::Lane,
};
use clap::Subcommand;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use mileverse_primitives::Address;
use mileverse_wallet::{
    keystore,
    rpc::Chain,
    units::{Amount, Token},
};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Makes a key and stores it in an encrypted file, which must not exist.
    New {
        /// The file (eth-keystore, version 3).
        #[arg(long)]
        keystore: PathBuf,
        /// A file with the password; else MILEVERSE_PASSWORD.
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// Stores a key that you have in an encrypted file, which must not exist.
    Import {
        /// A file with 64 hex digits.
        #[arg(long)]
        private_key_file: PathBuf,
        /// The file to make (eth-keystore, version 3).
        #[arg(long)]
        keystore: PathBuf,
        /// A file with the password; else MILEVERSE_PASSWORD.
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// The accounts of a configuration, with balance and nonces.
    List {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    account: Address,
    keystore: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    route: String,
    chain: &'static str,
    /// What it signs.
    signs: &'static str,
    account: Address,
    kept: &'static str,
    balance: Option<String>,
    nonce: Option<u64>,
    /// Why the chain did not answer.
    error: Option<String>,
}

pub(super) async fn run(verb: &Verb) -> Result<(), Error> {
    match verb {
        Verb::New {
            keystore: path,
            password_file,
        } => {
            let password = keystore::password(password_file.as_deref())?;
            keystore::create_directory(path)?;
            let account = keystore::create(path, &password)?.address();
            made(account, path)
        }
        Verb::Import {
            private_key_file,
            keystore: path,
            password_file,
        } => {
            let password = keystore::password(password_file.as_deref())?;
            let key = keystore::read_private_key(private_key_file)?;
            keystore::create_directory(path)?;
            keystore::store(path, &password, &key)?;
            made(key.address(), path)
        }
        Verb::List { config, json } => list(&Config::read(config)?, *json).await,
    }
}

fn made(account: Address, path: &Path) -> Result<(), Error> {
    let made = Made {
        account,
        keystore: path.to_owned(),
    };
    say(true, &made, String::new)
}

async fn list(config: &Config, json: bool) -> Result<(), Error> {
    let mut listed = Vec::new();
    for (name, route) in &config.routes {
        let route = Route::open(name, route)?;
        let mut lanes = route.lanes();
        // The native chain first.
        lanes.sort_by_key(|lane| route.place(*lane).0);
        for lane in lanes {
            let (end, ledger) = route.place(lane);
            for signer in route.signers_of(lane) {
                let account = signer.account();
                let asked = async {
                    let nonce = ledger.nonce(account, At::Latest).await?;
                    Ok::<_, Error>((nonce, ledger.pool().balance(account).await?))
                };
                let (nonce, balance, error) = match asked.await {
                    Ok((nonce, balance)) => (Some(nonce), Some(balance), None),
                    Err(error) => (None, None, Some(error.to_string())),
                };
                let coin = match ledger.chain() {
                    Chain::Native => Token::Mvc,
                    Chain::Ethereum => Token::Eth,
                };
                listed.push(Listed {
                    route: name.clone(),
                    chain: end.word(),
                    signs: match lane {
                        Lane::Packets(_) => "deliveries",
                        Lane::Swaps(_) => "swaps",
                    },
                    account,
                    kept: match signer {
                        Signer::Local(_) => "keystore",
                        Signer::Remote(_) => "external signer",
                    },
                    balance: balance.map(|balance| Amount::from_units(coin, balance).to_string()),
                    nonce,
                    error,
                });
            }
        }
    }
    say(json, &listed, || {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header([
            "route", "chain", "signs", "account", "kept in", "balance", "nonce",
        ]);
        for one in &listed {
            table.add_row([
                one.route.clone(),
                one.chain.to_owned(),
                one.signs.to_owned(),
                one.account.to_string(),
                one.kept.to_owned(),
                one.balance
                    .clone()
                    .or_else(|| one.error.clone())
                    .unwrap_or_default(),
                one.nonce.map(|nonce| nonce.to_string()).unwrap_or_default(),
            ]);
        }
        table.to_string()
    })
}
