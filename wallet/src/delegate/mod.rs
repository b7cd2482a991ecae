//! `mileverse delegate`: stake, vote, be a candidate, earn and leave. One file for each subject.
//!
//! | file | verbs |
//! |---|---|
//! | `candidacy` | register, update, retire, unjail |
//! | `stake` | stake, unstake, withdraw, claim, collect |
//! | `vote` | vote, unvote, move |
//! | `report` | report |
//! | `rotate` | rotate, rotation |
//! | `show` | show |
//! | `list` | list, schedule, records, rules, totals |
//!
//! Everything goes over the chain's public JSON-RPC to the staking module, signed by the owner's
//! key; the node that signs blocks is not asked. A candidate is named by its owner's account or by
//! its consensus key. Amounts are MVC with decimals. `docs/staking.md` has the rules,
//! `docs/operations.md` the steps.

mod candidacy;
mod list;
mod report;
mod rotate;
mod show;
mod stake;
mod vote;

use crate::{
    access::{Key, Native, NoEndpoint, block_on},
    client::{Client, ClientError},
    command::{Answer, parse_address},
    keystore::KeystoreError,
    module::{Module, mvc},
    rpc::RpcError,
    units::{Amount, AmountError, Token},
};
use alloy::{
    primitives::{Address, B256, U256},
    rpc::types::TransactionReceipt,
    sol_types::SolCall,
};
use clap::{Args, Subcommand};
use mileverse_primitives::{abi::IStaking, address::STAKING};
use serde_json::{Value, json};
use std::path::PathBuf;
use thiserror::Error;

/// Stake, vote, and be voted for: the committee that confirms blocks.
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
    key: Key,
    /// One JSON object instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes your account a candidate, with a stake of its own.
    Register(candidacy::Register),
    /// Changes your candidacy; what is not given stays.
    Update(candidacy::Update),
    /// Takes a candidate off the list: yours, or one that may be no longer on it.
    Retire(candidacy::Retire),
    /// Ends your candidate's jail, once its time is over.
    Unjail,
    /// Puts coin into your free stake.
    Stake(stake::Amounted),
    /// Begins to take free stake back; it can be withdrawn after the unbonding period.
    Unstake(stake::Amounted),
    /// Pays out what has unbonded.
    Withdraw,
    /// Pays out your rewards.
    Claim,
    /// Brings an account up to date with slashed candidates.
    Collect(stake::Collect),
    /// Votes free stake for a candidate, or sets your whole split.
    Vote(vote::Vote),
    /// Takes votes back into your free stake.
    Unvote(vote::Unvote),
    /// Takes votes from one candidate to another.
    Move(vote::Move),
    /// Submits evidence against a delegate.
    Report(report::Report),
    /// Asks for a new group key, for the delegate that you own.
    Rotate(rotate::Rotate),
    /// Shows who asks for a new group key, and since when it is due.
    Rotation,
    /// Shows an account's stake, votes and rewards, and its candidacy if it has one.
    Show(show::Show),
    /// Lists candidates by rank.
    List(list::Page),
    /// Lists whose turn it is in an epoch.
    Schedule(list::OfEpoch),
    /// Lists what the delegates of an epoch did and earned.
    Records(list::OfEpoch),
    /// Shows the rules of staking.
    Rules,
    /// Shows what the staking module holds, and whether it covers what it owes.
    Totals,
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
    /// An endpoint that nobody named.
    #[error(transparent)]
    NoEndpoint(#[from] NoEndpoint),
    /// A file that cannot be used.
    #[error("{path} is not a {what}: {reason}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A registration for another chain.
    #[error(
        "{path} is for chain {found}, and this is chain {expected}; run `mileverse node init` with this chain's genesis file"
    )]
    OtherChain {
        /// Which file.
        path: PathBuf,
        /// Its chain.
        found: u64,
        /// The endpoint's chain.
        expected: u64,
    },
    /// A registration for another owner.
    #[error(
        "{path} is for the owner {found}, and the keystore is of {expected}; use that owner's keystore, or run `mileverse node init` with --owner {expected}"
    )]
    OtherOwner {
        /// Which file.
        path: PathBuf,
        /// Its owner.
        found: Address,
        /// The keystore's account.
        expected: Address,
    },
    /// Nobody ever registered this key.
    #[error(
        "no candidate has or had the consensus key {0}; `mileverse delegate list` names them all"
    )]
    NoCandidate(B256),
    /// The account is no candidate.
    #[error("{0} is not a candidate; `mileverse delegate register` makes it one")]
    NotCandidate(Address),
    /// More votes than one voter may split.
    #[error("a split names 1 to {MAX_VOTES} candidates, not {0}")]
    Split(usize),
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

/// Candidates that one voter may vote for at a time.
const MAX_VOTES: usize = 30;
/// Entries that the module gives at a time.
const PAGE: u32 = 100;
/// Most entries that a list here follows its pages for.
const MAX_ENTRIES: u32 = 10_000;

/// Runs the verb.
pub fn run(command: Command) -> Result<(), Error> {
    let Command { options, verb } = command;
    let answer = block_on(act(&options, verb)).map_err(Error::Start)??;
    answer.print(options.json).map_err(Error::Output)
}

async fn act(options: &Options, verb: Verb) -> Result<Answer, Error> {
    let look = || options.staking(false);
    let act = || options.staking(true);
    match verb {
        Verb::Register(arguments) => candidacy::register(&act().await?, arguments).await,
        Verb::Update(arguments) => candidacy::update(&act().await?, arguments).await,
        Verb::Retire(arguments) => candidacy::retire(&act().await?, arguments).await,
        Verb::Unjail => candidacy::unjail(&act().await?).await,
        Verb::Stake(arguments) => stake::stake(&act().await?, &arguments).await,
        Verb::Unstake(arguments) => stake::unstake(&act().await?, &arguments).await,
        Verb::Withdraw => stake::withdraw(&act().await?).await,
        Verb::Claim => stake::claim(&act().await?).await,
        Verb::Collect(arguments) => stake::collect(&act().await?, &arguments).await,
        Verb::Vote(arguments) => vote::vote(&act().await?, arguments).await,
        Verb::Unvote(arguments) => vote::unvote(&act().await?, &arguments).await,
        Verb::Move(arguments) => vote::shift(&act().await?, &arguments).await,
        Verb::Report(arguments) => report::report(&act().await?, &arguments).await,
        Verb::Rotate(arguments) => rotate::rotate(&act().await?, &arguments).await,
        Verb::Rotation => rotate::rotation(&look().await?).await,
        Verb::Show(arguments) => {
            let account = options.key.account(arguments.account)?;
            show::show(&look().await?, account).await
        }
        Verb::List(page) => list::candidates(&look().await?, page).await,
        Verb::Schedule(epoch) => list::schedule(&look().await?, epoch).await,
        Verb::Records(epoch) => list::records(&look().await?, epoch).await,
        Verb::Rules => list::rules(&look().await?).await,
        Verb::Totals => list::totals(&look().await?).await,
    }
}

impl Options {
    async fn staking(&self, signs: bool) -> Result<Staking, Error> {
        let signer = signs.then(|| self.key.signer()).transpose()?;
        Module::connect(STAKING, &self.native, signer)
            .await
            .map(Staking)
    }
}

/// A candidate as an argument: its owner's account, or its consensus key.
#[derive(Clone, Copy, Debug)]
enum Named {
    Owner(Address),
    Key(B256),
}

fn parse_candidate(text: &str) -> Result<Named, String> {
    if text.len() == 66 {
        return text
            .parse()
            .map(Named::Key)
            .map_err(|_| "a consensus key is 0x and 64 hex digits".into());
    }
    parse_address(text).map(Named::Owner)
}

/// The staking module, as one account sees it.
struct Staking(Module);

impl Staking {
    async fn view<C: SolCall>(&self, call: &C) -> Result<C::Return, Error> {
        Ok(self.0.view(call).await?)
    }

    async fn call<C: SolCall>(&self, call: &C, value: U256) -> Result<TransactionReceipt, Error> {
        Ok(self.0.call(call, value).await?)
    }

    /// The candidacy that an account owns, if it owns one.
    async fn candidate(&self, owner: Address) -> Result<Option<IStaking::Candidate>, Error> {
        Ok(self.0.find(&IStaking::candidateCall { owner }).await?)
    }

    fn account(&self) -> Result<Address, Error> {
        Ok(self.0.account()?)
    }

    const fn client(&self) -> &Client {
        self.0.client()
    }

    async fn owner(&self, named: Named) -> Result<Address, Error> {
        match named {
            Named::Owner(owner) => Ok(owner),
            Named::Key(key) => {
                let call = IStaking::candidateOfCall { consensusKey: key };
                let owner = self.view(&call).await?;
                if owner.is_zero() {
                    return Err(Error::NoCandidate(key));
                }
                Ok(owner)
            }
        }
    }

    /// Follows pages until one is not full.
    async fn all<C, T>(&self, page: impl Fn(u32) -> C) -> Result<Vec<T>, Error>
    where
        C: SolCall<Return = Vec<T>>,
    {
        let mut found = Vec::new();
        for offset in (0..MAX_ENTRIES).step_by(PAGE as usize) {
            let next = self.view(&page(offset)).await?;
            let full = next.len() >= PAGE as usize;
            found.extend(next);
            if !full {
                break;
            }
        }
        Ok(found)
    }
}

/// Reads an amount of MVC above zero.
fn coins(text: &str) -> Result<Amount, Error> {
    Ok(Amount::parse_positive(Token::Mvc, text)?)
}

/// Basis points as people read them.
fn percent(basis_points: u16) -> String {
    format!("{}.{:02} %", basis_points / 100, basis_points % 100)
}

/// What every transaction's answer ends with.
fn done(
    mut facts: Vec<(&'static str, String)>,
    mut json: Value,
    receipt: &TransactionReceipt,
) -> Answer {
    let block = receipt.block_number.unwrap_or_default();
    facts.push(("transaction", receipt.transaction_hash.to_string()));
    facts.push(("block", block.to_string()));
    json["transaction"] = json!({ "hash": receipt.transaction_hash, "block": block });
    Answer::facts(facts, json)
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
        let words = std::iter::once("delegate").chain(line.split(' '));
        Line::try_parse_from(words).map(|line| line.command)
    }

    #[test]
    fn the_command_line_is_what_the_documents_say() {
        let owner = "0x0000000000000000000000000000000000000001";
        let key = format!("0x{}", "11".repeat(32));
        for good in [
            "register --registration r.json --stake 10000 --commission-bp 500 --name A",
            "register --registration r.json --stake 1 --commission-bp 0 --name A --address 1.2.3.4:5",
            "update --commission-bp 600",
            "update --registration r.json --website https://a.example",
            "retire",
            "unjail",
            "stake --amount 1.5",
            "unstake --amount 1.5",
            "withdraw --json",
            "claim",
            &format!("collect --account {owner}"),
            &format!("vote --candidate {owner} --amount 3"),
            &format!("vote --candidate {key} --amount 3"),
            &format!("vote --split {owner}=1 --split {key}=2.5"),
            &format!("unvote --candidate {key} --amount 1"),
            &format!("move --from {owner} --to {key} --amount 1"),
            "report --evidence e.json",
            "rotate",
            "rotate --withdraw",
            "rotation --json",
            "show",
            &format!("show --account {owner}"),
            "list",
            "list --offset 5 --limit 10",
            "schedule --epoch 7",
            "records",
            "rules",
            "totals",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "register --stake 1",
            "register --registration r.json --stake 1 --commission-bp 0",
            "stake",
            "vote",
            &format!("vote --candidate {owner}"),
            &format!("vote --candidate {owner} --amount 1 --split {owner}=1"),
            "vote --candidate 0x12 --amount 1",
            &format!("vote --split {owner}"),
            &format!("move --from {owner} --amount 1"),
            "list --limit 0",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn basis_points_are_percent() {
        assert_eq!(percent(0), "0.00 %");
        assert_eq!(percent(505), "5.05 %");
        assert_eq!(percent(10_000), "100.00 %");
    }
}
