//! `mileverse fees`: pay for the gas of a contract's users, and see what gas you have free.
//!
//! | file | verbs |
//! |---|---|
//! | `operator` | claim, operator: who pays for calls to a contract |
//! | `deposit` | deposit, share, withdraw |
//! | `show` | show |
//!
//! Everything goes over the chain's public JSON-RPC to the fees module. `docs/fees.md` has the rules.

mod deposit;
mod operator;
mod show;

use crate::{
    access::{Key, Native, NoEndpoint, block_on},
    client::ClientError,
    command::Answer,
    keystore::KeystoreError,
    module::Module,
    rpc::RpcError,
    units::AmountError,
};
use alloy::{
    primitives::{Address, U256},
    rpc::types::TransactionReceipt,
    sol_types::SolEvent,
};
use clap::{Args, Subcommand};
use mileverse_primitives::address::FEES;
use serde_json::{Value, json};
use thiserror::Error;

/// Pay for the gas of a contract's users, and see what gas you have free.
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
    /// Makes you the operator of a contract that your account created.
    Claim(operator::Claim),
    /// Hands a contract over to another operator.
    Operator(operator::Next),
    /// Adds coin to your deposit for a contract.
    Deposit(deposit::Amounted),
    /// Says what share of the gas of calls to a contract your deposit pays, and how much at most.
    Share(deposit::Share),
    /// Announces that coin leaves your deposit; without an amount, pays out what was announced.
    Withdraw(deposit::Withdraw),
    /// Shows the rules, what a contract's operator pays, and what gas an account has free.
    Show(show::Show),
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
    /// A contract of somebody else.
    #[error(
        "{account} created {contract} with none of its first {tried} nonces; use the keystore of the account that created it, or let the contract itself call setOperator"
    )]
    NotCreator {
        /// Who asks.
        account: Address,
        /// The contract.
        contract: Address,
        /// Nonces that were tried.
        tried: u64,
    },
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
    let answer = block_on(act(&options, verb)).map_err(Error::Start)??;
    answer.print(options.json).map_err(Error::Output)
}

async fn act(options: &Options, verb: Verb) -> Result<Answer, Error> {
    let act = || options.module(true);
    match verb {
        Verb::Claim(arguments) => operator::claim(&act().await?, &arguments).await,
        Verb::Operator(arguments) => operator::hand_over(&act().await?, &arguments).await,
        Verb::Deposit(arguments) => deposit::deposit(&act().await?, &arguments).await,
        Verb::Share(arguments) => deposit::share(&act().await?, &arguments).await,
        Verb::Withdraw(arguments) => deposit::withdraw(&act().await?, &arguments).await,
        Verb::Show(arguments) => {
            // Whoever asks about a contract only needs no key.
            let account = match (arguments.account, arguments.contract) {
                (Some(account), _) => Some(account),
                (None, Some(_)) => None,
                (None, None) => Some(options.key.account(None)?),
            };
            show::show(&options.module(false).await?, arguments.contract, account).await
        }
    }
}

impl Options {
    async fn module(&self, signs: bool) -> Result<Fees, Error> {
        let signer = if signs {
            Some(self.key.signer()?)
        } else {
            None
        };
        Module::connect(FEES, &self.native, signer).await.map(Fees)
    }
}

/// The fees module.
struct Fees(Module);

/// What a transaction did.
fn done(
    mut facts: Vec<(&'static str, String)>,
    mut json: Value,
    receipt: &TransactionReceipt,
) -> Answer {
    let block = receipt.block_number.unwrap_or_default();
    facts.push(("transaction", receipt.transaction_hash.to_string()));
    facts.push(("block", block.to_string()));
    if let Some(fields) = json.as_object_mut() {
        let transaction = json!({ "hash": receipt.transaction_hash, "block": block });
        fields.insert("transaction".into(), transaction);
    }
    Answer::facts(facts, json)
}

/// The module's first event of a kind in a receipt.
fn event<E: SolEvent>(receipt: &TransactionReceipt) -> Option<E> {
    receipt
        .logs()
        .iter()
        .filter(|log| log.address() == FEES)
        .find_map(|log| E::decode_log(&log.inner).ok())
        .map(|log| log.data)
}

/// No value goes with most calls.
const NOTHING: U256 = U256::ZERO;

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
        let contract = "--contract 0x0000000000000000000000000000000000000001";
        let account = "0x0000000000000000000000000000000000000002";
        for good in [
            &format!("claim {contract}"),
            &format!("claim {contract} --nonce 7"),
            &format!("operator {contract} --to {account}"),
            &format!("deposit {contract} --amount 12.5"),
            &format!(
                "share {contract} --basis-points 5000 --per-transaction 0.001 --per-user-day 0.01 --per-day 1"
            ),
            &format!("withdraw {contract} --amount 1 --json"),
            &format!("withdraw {contract}"),
            "show",
            &format!("show {contract}"),
            &format!("show {contract} --account {account}"),
        ] {
            let words = std::iter::once("fees").chain(good.split(' '));
            assert!(Line::try_parse_from(words).is_ok(), "{good}");
        }
        for bad in [
            "claim",
            "deposit --amount 1",
            &format!("deposit {contract}"),
            &format!("share {contract} --basis-points 10001 --per-day 1"),
            &format!("share {contract} --basis-points 1"),
            "show --contract 7",
        ] {
            let words = std::iter::once("fees").chain(bad.split(' '));
            assert!(Line::try_parse_from(words).is_err(), "{bad}");
        }
    }
}
