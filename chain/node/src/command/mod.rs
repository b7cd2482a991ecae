//! The verbs `mileverse node` and `mileverse genesis`.
//!
//! | file | verb |
//! |---|---|
//! | `run` | `node run`: a node, from its files to its last signal |
//! | `follow` | `node follow`: the same, but it fetches a recent state instead of replaying the past |
//! | `init` | `node init`: the files of a new node |
//! | `deal` | `node deal`: the keys of a new network's first committee |
//! | `reseal` | `node reseal`: another passphrase |
//! | `prove` | `node prove`: what an account holds, believed for the committee's signature |
//! | `genesis` | `genesis new`, `check`, `show`: a network's beginning |
//! | `answer` | tables and JSON on standard output |

mod answer;
mod deal;
mod follow;
pub mod genesis;
mod init;
mod prove;
mod reseal;
mod run;

use crate::{
    config::Config,
    error::Error,
    secrets::{Cost, Passphrase},
};
use clap::{Args, Subcommand};
use mileverse_consensus::engine::Start;
use std::path::PathBuf;

/// Run a node of the native chain, or make the files of a new one.
#[derive(Args, Debug)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the files of a new node: its keys, its configuration, and what registering it needs.
    Init(Box<init::Arguments>),
    /// Run a node until it is stopped; it signs when it is a delegate.
    Run {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// File with the passphrase that opens the node's keys; instead of the configuration's.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Run a node that fetches a recent state from its peers, then follows the chain.
    ///
    /// It needs no share, and makes itself an identity if it has none. Once it has a state it is
    /// like any other node, and signs when it is elected.
    Follow(follow::Arguments),
    /// Deal the keys of a new network's first committee, on this machine.
    Deal(deal::Arguments),
    /// Seal a stopped node's keys and secrets under another passphrase.
    Reseal(reseal::Arguments),
    /// Prove what an account holds now, trusting the committee's signature and no node.
    ///
    /// The node that is asked gives the value, a proof that it stands in the state, the header of the block
    /// and the committee's signature under it; all of it is checked here, down from the group key.
    Prove(prove::Arguments),
}

/// How new files are sealed.
#[derive(Args, Debug)]
struct Sealing {
    /// File with the passphrase for the new keys; else MILEVERSE_PASSPHRASE, else asked for.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Cost of trying a passphrase: scrypt's N is 2 to this power. Less than 17 is for development
    /// nets and random passphrases only.
    #[arg(long, default_value_t = 17, value_name = "10..20")]
    scrypt_log_n: u8,
}

impl Sealing {
    fn choose(&self) -> Result<(Passphrase, Cost), Error> {
        let cost = Cost::new(self.scrypt_log_n)?;
        let passphrase = Passphrase::choose(self.passphrase_file.as_deref())?;
        Ok((passphrase, cost))
    }
}

/// Runs the verb; returns when the node has stopped.
pub fn run(command: Command) -> Result<(), Error> {
    match command.verb {
        Verb::Init(arguments) => init::init(&arguments),
        Verb::Run {
            config,
            passphrase_file,
        } => {
            let config = Config::read(&config)?;
            let file = passphrase_file
                .as_deref()
                .or(config.passphrase_file.as_deref());
            let passphrase = Passphrase::find(file)?;
            run::run(config, passphrase, Start::Replay)
        }
        Verb::Follow(arguments) => follow::follow(&arguments),
        Verb::Deal(arguments) => deal::deal(&arguments),
        Verb::Reseal(arguments) => reseal::reseal(&arguments),
        Verb::Prove(arguments) => prove::prove(&arguments),
    }
}
