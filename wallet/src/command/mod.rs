//! `mileverse wallet`: one file for each subject.
//!
//! Every subcommand answers with a small [`Answer`]: rows for people, or the same facts as one
//! JSON object on one line with `--json`. What is wrong comes as one sentence, and then nothing
//! has moved, unless the sentence says that this is not known.

mod account;
mod balance;
mod bridge;
mod history;
mod output;
mod pay;
mod screen;
mod swap;
mod timelock;
mod transfer;

use crate::{
    access::{Ethereum, Key, Native, NoEndpoint, block_on},
    client::{Chains, ClientError, ReferenceError, TimelockError},
    keystore::KeystoreError,
    review::Consent,
    secrets::SecretError,
    units::{AmountError, Token},
    words::WordsError,
};
use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use clap::{Args, Subcommand, ValueEnum};
pub(crate) use output::Answer;
use std::{path::PathBuf, sync::Arc};
use thiserror::Error;

/// A wallet: keys, balances, transfers, the bridge.
#[derive(Args, Debug)]
pub struct Command {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Args, Debug)]
struct Options {
    #[command(flatten)]
    native: Native,
    #[command(flatten)]
    ethereum: Ethereum,
    #[command(flatten)]
    key: Key,
    /// One JSON object instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// Sign without showing what and asking first.
    #[arg(long, global = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes new seed words, shows them once, and stores their key, encrypted, in the keystore file.
    New(account::New),
    /// Makes the keystore file anew from seed words.
    Restore(account::Restore),
    /// Stores an existing private key, encrypted, in the keystore file.
    Import {
        /// File that holds the private key: 64 hex digits.
        #[arg(long, value_name = "FILE")]
        private_key_file: PathBuf,
    },
    /// Shows the account of the keystore file.
    Address {
        /// As a QR code, too.
        #[arg(long)]
        qr: bool,
    },
    /// Shows what an account has, on both chains if an Ethereum endpoint is named.
    Balance {
        /// The account; the keystore's own if left out.
        #[arg(long, value_parser = parse_address)]
        account: Option<Address>,
    },
    /// Sends tokens to somebody on the same chain.
    #[command(name = "send", visible_alias = "transfer")]
    Send(transfer::Arguments),
    /// Sends tokens to another chain, and says where a packet is.
    #[command(subcommand)]
    Bridge(bridge::Verb),
    /// Pays a shop points, out of points or out of coin, in one transaction.
    Pay(pay::Arguments),
    /// Swaps points for coin or coin for points, on the native chain or from one chain to the other.
    Swap(swap::Arguments),
    /// Trades with another person, across the two chains or on one, without the bridge.
    Timelock(timelock::Arguments),
    /// Lists what happened to an account on the native chain, newest first.
    History(history::Arguments),
    /// Shows what happens to an account on the native chain as it becomes final.
    Watch(history::Watch),
}

/// A token, as an argument.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TokenName {
    /// Points.
    Mvp,
    /// The coin.
    Mvc,
    /// Ether.
    Eth,
}

impl From<TokenName> for Token {
    fn from(name: TokenName) -> Self {
        match name {
            TokenName::Mvp => Self::Mvp,
            TokenName::Mvc => Self::Mvc,
            TokenName::Eth => Self::Eth,
        }
    }
}

/// Any failure of the wallet.
#[derive(Debug, Error)]
pub enum Error {
    /// A key or its password.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// An amount.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A chain, or what it refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A half of a trade.
    #[error(transparent)]
    Timelock(#[from] TimelockError),
    /// A secret's file.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A packet's name.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Arguments that cannot be meant together.
    #[error("{0}")]
    Meaning(&'static str),
    /// An endpoint that nobody named.
    #[error(transparent)]
    NoEndpoint(#[from] NoEndpoint),
    /// Seed words.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// Nobody to show something secret to, or to ask.
    #[error("{0}")]
    Terminal(&'static str),
    /// The terminal broke off.
    #[error("the terminal could not be used: {0}")]
    Screen(std::io::Error),
    /// The words were not written down.
    #[error("the words were not repeated correctly; no key was stored, run it again")]
    NotRepeated,
    /// The runtime.
    #[error("the wallet could not start: {0}")]
    Start(std::io::Error),
    /// Standard output is closed.
    #[error("the answer could not be written to standard output: {0}")]
    Output(std::io::Error),
}

/// Runs the verb.
pub fn run(command: Command) -> Result<(), Error> {
    let Command { options, verb } = command;
    let answer = block_on(async {
        match verb {
            Verb::New(arguments) => account::create(&options, &arguments),
            Verb::Restore(arguments) => account::restore(&options, &arguments),
            Verb::Import { private_key_file } => account::import(&options, &private_key_file),
            Verb::Address { qr } => account::show(&options, qr),
            Verb::Balance { account } => balance::show(&options, account).await,
            Verb::Send(arguments) => transfer::send(&options, arguments).await,
            Verb::Bridge(verb) => bridge::run(&options, verb).await,
            Verb::Pay(arguments) => pay::run(&options, arguments).await,
            Verb::Swap(arguments) => swap::run(&options, arguments).await,
            Verb::Timelock(arguments) => timelock::run(&options, arguments).await,
            Verb::History(arguments) => history::list(&options, arguments).await,
            Verb::Watch(arguments) => history::watch(&options, arguments).await,
        }
    })
    .map_err(Error::Start)??;
    answer.print(options.json).map_err(Error::Output)
}

impl Options {
    async fn chains(&self, signer: Option<PrivateKeySigner>) -> Result<Chains, Error> {
        let (native, ethereum) = (self.native.url()?, self.ethereum.url()?);
        let consent = signer.as_ref().map(|_| self.consent()).transpose()?;
        let chains = Chains::connect(native, ethereum, signer).await?;
        Ok(chains.with_consent(consent.flatten()))
    }

    /// Who is asked before something is signed: nobody with `--yes`.
    fn consent(&self) -> Result<Option<Arc<dyn Consent>>, Error> {
        if self.yes {
            return Ok(None);
        }
        screen::check(
            "nobody can be asked what to sign without a terminal; add --yes to sign all the same",
        )?;
        Ok(Some(Arc::new(screen::Screen)))
    }
}

/// Twenty bytes in hex; a mixed-case address must carry the right checksum.
pub fn parse_address(text: &str) -> Result<Address, String> {
    let advice = "an address is 0x and 40 hex digits";
    let address: Address = text
        .strip_prefix("0x")
        .filter(|digits| digits.len() == 40)
        .and_then(|_| text.parse().ok())
        .ok_or(advice)?;
    let digits = || text.chars().skip(2).filter(char::is_ascii_alphabetic);
    let mixed =
        digits().any(|c| c.is_ascii_lowercase()) && digits().any(|c| c.is_ascii_uppercase());
    if mixed && address.to_checksum(None) != text {
        return Err("the address is mistyped: its upper and lower case letters do not fit".into());
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        command: Command,
    }

    fn parse(line: &str) -> Result<Command, clap::Error> {
        let words = std::iter::once("wallet").chain(line.split(' '));
        Line::try_parse_from(words).map(|line| line.command)
    }

    #[test]
    fn addresses_with_a_wrong_checksum_are_refused() {
        let good = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
        assert!(parse_address(good).is_ok());
        assert!(parse_address(&good.to_lowercase()).is_ok());
        for bad in [
            "",
            "0x",
            "d8dA6BF26964aF9D7eEd9e03E53415D37aA96045",
            "0xD8dA6BF26964aF9D7eEd9e03E53415D37aA96045",
            "0xzzdA6BF26964aF9D7eEd9e03E53415D37aA96045",
        ] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_line_is_what_the_readme_says() {
        for good in [
            "new --keystore a.json",
            "import --private-key-file key",
            "new --long --account 3",
            "new --without-words",
            "restore --words-file words --account 1 --passphrase-file more",
            "address --json",
            "address --qr",
            "send --token mvp --amount 1.5 --to 0x0000000000000000000000000000000000000001 --yes",
            "swap --give mvp --amount 10 --slippage-bp 100",
            "swap --receive mvp --amount 10 --minutes 1 --quote",
            "swap --from ethereum --to native --give mvc --amount 10 --deadline 30 --no-wait",
            "swap --to ethereum --give mvp --amount 10 --receiver 0x0000000000000000000000000000000000000001",
            "history --limit 10",
            "watch --account 0x0000000000000000000000000000000000000001 --seconds 5",
            "balance --account 0x0000000000000000000000000000000000000001",
            "transfer --token mvp --amount 1.5 --to 0x0000000000000000000000000000000000000001",
            "bridge send --token mvc --direction to-native --amount 1 --deadline 5",
            "bridge status native:7",
            "bridge deliver ethereum:7 --yes",
            "bridge send --token mvp --to-chain 7002 --amount 1 --peer-rpc http://127.0.0.1:1",
            "bridge send --token mvp --to-chain 7002 --theirs --amount 1",
            "bridge status 7001:7002:3 --peer-rpc http://127.0.0.1:1",
            "bridge deliver 7001:7002:3",
            "pay --to 0x0000000000000000000000000000000000000001 --points 4500 --with mvc --memo bill-7",
            "timelock open --chain native --token mvp --amount 10 --to 0x0000000000000000000000000000000000000001 --minutes 120",
            "timelock open --chain native --token mvp --amount 10 --to 0x0000000000000000000000000000000000000001 --for-amount 5 --for-token mvc --for-chain native --yes --json",
            "timelock open --chain ethereum --token mvc --amount 5 --lock 0xabababababababababababababababababababababababababababababababab --margin-minutes 90 --first 0xabababababababababababababababababababababababababababababababab --ethereum-contract 0x0000000000000000000000000000000000000001",
            "timelock claim 0xabababababababababababababababababababababababababababababababab --chain ethereum --secret-file secret",
            "timelock claim 0xabababababababababababababababababababababababababababababababab --before-final",
            "timelock refund 0xabababababababababababababababababababababababababababababababab --chain native",
            "timelock --ethereum-contract 0x0000000000000000000000000000000000000001 status 0xabababababababababababababababababababababababababababababababab",
            "timelock list --account 0x0000000000000000000000000000000000000001 --blocks 1000",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "transfer --token mvp --amount 1.5",
            "transfer --token doge --amount 1 --to 0x0000000000000000000000000000000000000001",
            "bridge send --token mvc --direction up --amount 1",
            "bridge send --token mvp --amount 1",
            "bridge send --token mvp --direction to-ethereum --to-chain 7002 --amount 1",
            "bridge send --token mvp --direction to-ethereum --theirs --amount 1",
            "bridge deliver 7001:7001:3",
            "balance --account 0x1",
            "pay --to 0x0000000000000000000000000000000000000001",
            "pay --to 0x0000000000000000000000000000000000000001 --points 1 --with eth",
            "swap --amount 10",
            "swap --give mvp --receive mvc --amount 10",
            "swap --give eth",
            "swap --give mvc --amount 1 --from moon",
            "timelock",
            "timelock open --token mvp --amount 10 --to 0x0000000000000000000000000000000000000001",
            "timelock open --chain native --token mvp --amount 10",
            "timelock open --chain native --token eth --amount 10 --to 0x0000000000000000000000000000000000000001",
            "timelock open --chain native --token mvp --amount 10 --to 0x0000000000000000000000000000000000000001 --minutes 0",
            "timelock open --chain native --token mvp --amount 10 --to 0x0000000000000000000000000000000000000001 --for-token mvc",
            "timelock open --chain native --token mvp --amount 10 --to 0x0000000000000000000000000000000000000001 --first 0xabababababababababababababababababababababababababababababababab",
            "timelock open --chain native --token mvp --amount 10 --lock 0x12",
            "timelock open --chain native --token mvp --amount 10 --lock 0xabababababababababababababababababababababababababababababababab --margin-minutes 0",
            "timelock claim",
            "timelock claim 7",
            "timelock list --blocks 0",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
