//! `mileverse rewards`: the quarterly rewards of the coin's holders, as the chain computes them.
//!
//! | file | verbs |
//! |---|---|
//! | `report` | report: closed quarters |
//! | `account` | preview, earned: one account |
//! | `standing` | show: the quarter under way, the pool, the rules |
//! | `fund` | fund: put coin into the pool |
//! | `ethereum` | claim, open, forward, and what the others say with `--chain ethereum` |
//! | `output` | table, JSON or CSV |
//!
//! Everything is asked of the rewards module over the chain's public JSON-RPC, and of the contract on
//! Ethereum that the module names as its source. `docs/rewards.md` has the rules.

mod account;
mod ethereum;
mod fund;
mod output;
mod report;
mod standing;

use crate::{
    access::{Ethereum, Key, Native, NoEndpoint, block_on},
    client::{Client, ClientError},
    keystore::KeystoreError,
    module::{Module, mvc},
    rpc::{Chain, RpcError},
    units::AmountError,
};
use alloy::{signers::local::PrivateKeySigner, sol_types::SolCall};
use clap::{Args, Subcommand};
use mileverse_primitives::{
    abi::IRewards,
    address::REWARDS,
    quarter::{Quarter, QuarterError},
};
use output::{Format, Listing};
use thiserror::Error;

/// See what holders of MVC are paid each quarter.
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
    #[arg(long, global = true, conflicts_with = "csv")]
    json: bool,
    /// Comma-separated values with a header line instead of a table.
    #[arg(long, global = true)]
    csv: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// What became of closed quarters: pot, holders, paid, carried, remainder.
    Report(report::Report),
    /// What an account would earn if the quarter closed now.
    Preview(account::Whose),
    /// What an account earned for each of the last eight quarters.
    Earned(account::Whose),
    /// On Ethereum: pays an account what it earned. Anybody may do it for anybody.
    Claim(ethereum::Claim),
    /// On Ethereum: opens the quarters that are over, so that they may be claimed.
    Open(ethereum::Which),
    /// On Ethereum: sends the native chain its share of open quarters.
    Forward(ethereum::Which),
    /// The quarter under way, what is being paid, the pool and the rules.
    Show,
    /// Puts coin of yours into the pool.
    Fund(fund::Fund),
}

/// Any failure of these verbs.
#[derive(Debug, Error)]
pub enum Error {
    /// A key or its password.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// An amount.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The chain, or what it refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A quarter.
    #[error(transparent)]
    Quarter(#[from] QuarterError),
    /// An endpoint that nobody named.
    #[error(transparent)]
    NoEndpoint(#[from] NoEndpoint),
    /// A chain that pays out of its own pool.
    #[error(
        "this chain's rewards have no source on Ethereum (`rewards.source` in its genesis file)"
    )]
    NoSource,
    /// A quarter that cannot be claimed yet.
    #[error("{0} is not open on Ethereum; once it is over, `mileverse rewards open` opens it")]
    NotOpen(Quarter),
    /// A quarter that nobody can open yet.
    #[error("{0} is not over, or was before the contract; nothing was opened")]
    NotOver(Quarter),
    /// A quarter that has no report.
    #[error(
        "{0} is not closed on this chain; `mileverse rewards show` says when the quarter under way ends"
    )]
    NotClosed(Quarter),
    /// The runtime.
    #[error("the command could not start: {0}")]
    Start(std::io::Error),
    /// Standard output is closed.
    #[error("the answer could not be written to standard output: {0}")]
    Output(std::io::Error),
}

impl From<RpcError> for Error {
    fn from(error: RpcError) -> Self {
        Self::Client(error.into())
    }
}

/// Runs the verb.
///
/// # Errors
///
/// A sentence that says what to do.
pub fn run(command: Command) -> Result<(), Error> {
    let Command { options, verb } = command;
    let listing = block_on(act(&options, verb)).map_err(Error::Start)??;
    listing.print(options.format()).map_err(Error::Output)
}

async fn act(options: &Options, verb: Verb) -> Result<Listing, Error> {
    match verb {
        Verb::Report(arguments) => match arguments.chain {
            Chain::Native => report::report(&options.module(None).await?, &arguments).await,
            Chain::Ethereum => {
                let contract = options.contract(None).await?;
                ethereum::report(&contract, arguments.quarter, arguments.last()).await
            }
        },
        Verb::Preview(whose) => {
            let account = options.key.account(whose.account)?;
            match whose.chain {
                Chain::Native => account::preview(&options.module(None).await?, account).await,
                Chain::Ethereum => ethereum::preview(&options.contract(None).await?, account).await,
            }
        }
        Verb::Earned(whose) => {
            let account = options.key.account(whose.account)?;
            match whose.chain {
                Chain::Native => account::earned(&options.module(None).await?, account).await,
                Chain::Ethereum => {
                    let contract = options.contract(None).await?;
                    ethereum::earned(&contract, account, account::KNOWN).await
                }
            }
        }
        Verb::Claim(arguments) => {
            let signer = options.key.signer()?;
            let account = arguments.account.unwrap_or(signer.address());
            ethereum::claim(&options.contract(Some(signer)).await?, account, &arguments).await
        }
        Verb::Open(which) => {
            let signer = options.key.signer()?;
            ethereum::open(&options.contract(Some(signer)).await?, &which).await
        }
        Verb::Forward(which) => {
            let signer = options.key.signer()?;
            ethereum::forward(&options.contract(Some(signer)).await?, &which).await
        }
        Verb::Show => standing::show(&options.module(None).await?).await,
        Verb::Fund(arguments) => {
            let signer = options.key.signer()?;
            fund::fund(&options.module(Some(signer)).await?, &arguments).await
        }
    }
}

impl Options {
    const fn format(&self) -> Format {
        if self.json {
            Format::Json
        } else if self.csv {
            Format::Csv
        } else {
            Format::Table
        }
    }

    async fn module(&self, signer: Option<PrivateKeySigner>) -> Result<Rewards, Error> {
        Module::connect(REWARDS, &self.native, signer)
            .await
            .map(Rewards)
    }

    /// The contract on Ethereum that the native chain names.
    async fn contract(&self, signer: Option<PrivateKeySigner>) -> Result<Module, Error> {
        let (client, facts) = Client::native(self.native.url()?, None).await?;
        let source = client.rewards_source().await?.ok_or(Error::NoSource)?;
        let client = Client::ethereum(self.ethereum.url()?, &facts, signer).await?;
        Ok(Module::at(source, client))
    }
}

/// The rewards module.
struct Rewards(Module);

impl Rewards {
    async fn view<C: SolCall>(&self, call: &C) -> Result<C::Return, Error> {
        Ok(self.0.view(call).await?)
    }

    /// The report of a quarter, if it is closed.
    async fn report(&self, quarter: Quarter) -> Result<Option<IRewards::Report>, Error> {
        let call = IRewards::reportCall {
            quarter: quarter.number(),
        };
        Ok(self.0.find(&call).await?)
    }

    /// Reports of the last closed quarters, at most so many, newest first.
    async fn reports(&self, most: u64) -> Result<Vec<IRewards::Report>, Error> {
        let open = self.view(&IRewards::standingCall {}).await?.quarter;
        let mut found = Vec::new();
        for back in 1..=most {
            let Some(quarter) = open.checked_sub(back) else {
                break;
            };
            match self.report(Quarter::new(quarter)).await? {
                Some(report) => found.push(report),
                // No quarter is closed before one that is not.
                None => break,
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        _command: Command,
    }

    #[test]
    fn the_command_line_is_what_the_documents_say() {
        let owner = "0x0000000000000000000000000000000000000001";
        for good in [
            "report",
            "report --quarter 2026Q4 --json",
            "report --last 3 --csv",
            "preview",
            &format!("preview --account {owner} --csv"),
            &format!("earned --account {owner}"),
            "show --json",
            "fund --amount 1.5",
            "report --chain ethereum --last 2",
            &format!("earned --chain ethereum --account {owner}"),
            "claim --all",
            &format!("claim --quarter 2026Q4 --account {owner} --json"),
            "open",
            "open --quarter 2026Q4",
            "forward --json --ethereum-rpc http://127.0.0.1:8545",
        ] {
            let words = std::iter::once("rewards").chain(good.split(' '));
            assert!(Line::try_parse_from(words).is_ok(), "{good}");
        }
        for bad in [
            "report --quarter 2026Q5",
            "report --quarter 2026Q4 --last 3",
            "report --last 0",
            "report --json --csv",
            "preview --account 7",
            "fund",
            "claim",
            "claim --all --quarter 2026Q4",
            "preview --chain both",
        ] {
            let words = std::iter::once("rewards").chain(bad.split(' '));
            assert!(Line::try_parse_from(words).is_err(), "{bad}");
        }
    }
}
