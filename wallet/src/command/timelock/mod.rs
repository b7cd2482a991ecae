//! `mileverse wallet timelock`: two people trade across the two chains without the bridge.
//!
//! | file | verbs |
//! |---|---|
//! | `open` | open: the first half, with a new secret |
//! | `answer` | open --lock: the second half, for somebody else's first |
//! | `settle` | claim, refund |
//! | `look` | status, list |
//! | `next` | what is to be done next, in one sentence |
//!
//! Ethereum is asked only if its endpoint is named: two people may trade on the native chain alone.

mod answer;
mod look;
mod next;
mod open;
mod settle;

use super::{Answer, Error, Options, parse_address};
use crate::{
    client::{Client, ClientError, Half, TimelockError},
    clock::{now, utc},
    rpc::Chain,
    units::{Amount, Token},
};
use alloy::{
    primitives::{Address, B256},
    signers::local::PrivateKeySigner,
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

/// Seconds of a minute.
const MINUTE: u64 = 60;
/// How far the clocks of two chains and of this machine may be apart, seconds.
const CLOCKS_DIFFER: u64 = 600;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The contract of these swaps on Ethereum, where the network names none, or another one. Name only a
    /// contract that you know: what is opened there is in its hands.
    #[arg(
        long,
        env = "MILEVERSE_ETHEREUM_TIMELOCK",
        global = true,
        value_parser = parse_address,
        value_name = "ADDRESS"
    )]
    ethereum_contract: Option<Address>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Locks tokens for somebody: the first half with a new secret, or the answer to one with --lock.
    Open(open::Open),
    /// Claims a half that pays this account. The first claim of a trade shows the secret to everybody.
    Claim(settle::Claim),
    /// Fetches back what nobody claimed, after the deadline. Anybody may.
    Refund(settle::Refund),
    /// Says where both halves of a trade are, and what is to be done next.
    Status {
        /// A swap's id, or the lock of both.
        #[arg(value_parser = parse_word, value_name = "ID OR LOCK")]
        swap: B256,
    },
    /// Lists the swaps that an account opened or that pay it, newest first.
    List(look::List),
}

/// What is traded.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Traded {
    /// Points.
    Mvp,
    /// The coin.
    Mvc,
}

impl From<Traded> for Token {
    fn from(traded: Traded) -> Self {
        match traded {
            Traded::Mvp => Self::Mvp,
            Traded::Mvc => Self::Mvc,
        }
    }
}

pub(super) async fn run(options: &Options, arguments: Arguments) -> Result<Answer, Error> {
    let contract = arguments.ethereum_contract;
    match arguments.verb {
        Verb::Open(open) if open.lock.is_some() => answer::run(options, contract, open).await,
        Verb::Open(open) => open::run(options, contract, open).await,
        Verb::Claim(claim) => settle::claim(options, contract, claim).await,
        Verb::Refund(refund) => settle::refund(options, contract, refund).await,
        Verb::Status { swap } => look::status(options, contract, swap).await,
        Verb::List(list) => look::list(options, contract, list).await,
    }
}

/// The chains that are named.
struct Sides {
    native: Client,
    ethereum: Option<Client>,
}

impl Sides {
    async fn connect(
        options: &Options,
        contract: Option<Address>,
        signer: Option<PrivateKeySigner>,
    ) -> Result<Self, Error> {
        let consent = match &signer {
            Some(_) => options.consent()?,
            None => None,
        };
        let (native, facts) = Client::native(options.native.url()?, signer.clone()).await?;
        let native = native.with_consent(consent.clone());
        let ethereum = match options.ethereum.url() {
            Ok(url) => {
                let client = Client::ethereum(url, &facts, signer).await?;
                let contract = contract.or(facts.ethereum.hashed_timelock);
                Some(client.with_timelock(contract).with_consent(consent))
            }
            Err(_) => None,
        };
        Ok(Self { native, ethereum })
    }

    /// All that have the contract.
    fn all(&self) -> Vec<&Client> {
        std::iter::once(&self.native)
            .chain(&self.ethereum)
            .filter(|client| client.timelock_contract().is_ok())
            .collect()
    }

    /// One of them; a sentence if it is not named, or has no contract.
    fn on(&self, options: &Options, chain: Chain) -> Result<&Client, Error> {
        let client = match (chain, &self.ethereum) {
            (Chain::Native, _) => &self.native,
            (Chain::Ethereum, Some(client)) => client,
            (Chain::Ethereum, None) => {
                options.ethereum.url()?;
                return Err(TimelockError::NoContract(chain).into());
            }
        };
        client.timelock_contract()?;
        Ok(client)
    }

    /// All, or the one that was asked for.
    fn among(&self, options: &Options, chain: Option<Chain>) -> Result<Vec<&Client>, Error> {
        match chain {
            Some(chain) => Ok(vec![self.on(options, chain)?]),
            None => Ok(self.all()),
        }
    }

    /// The latest of all clocks, this machine's included.
    async fn now(&self) -> Result<u64, ClientError> {
        let mut now = self.native.timelock_now().await?;
        if let Some(ethereum) = &self.ethereum {
            now = now.max(ethereum.timelock_now().await?);
        }
        Ok(now)
    }

    /// The earliest of all clocks, this machine's included.
    async fn earliest(&self) -> Result<u64, ClientError> {
        let mut earliest = now().min(self.native.head().await?.timestamp);
        if let Some(ethereum) = &self.ethereum {
            earliest = earliest.min(ethereum.head().await?.timestamp);
        }
        Ok(earliest)
    }

    /// The swap that a word names, if it is an id.
    async fn named(&self, word: B256) -> Result<Option<Half>, ClientError> {
        for client in self.all() {
            if let Some(half) = client.timelock_half(word).await? {
                return Ok(Some(half));
            }
        }
        Ok(None)
    }
}

/// 32 bytes in hex.
fn parse_word(text: &str) -> Result<B256, String> {
    text.strip_prefix("0x")
        .filter(|digits| digits.len() == 64)
        .and_then(|_| text.parse().ok())
        .ok_or_else(|| "an id or a lock is 0x and 64 hex digits".to_owned())
}

/// What a half holds.
fn holds(half: &Half) -> String {
    half.amount.map_or_else(
        || format!("{} units of {}", half.terms.amount, half.terms.token),
        |amount: Amount| amount.to_string(),
    )
}

/// A half for machines. Nothing secret is in it.
fn facts(half: &Half) -> Value {
    let terms = &half.terms;
    json!({
        "id": half.id,
        "chain": half.chain,
        "state": half.state,
        "amount": half.amount,
        "token": terms.token,
        "units": terms.amount.to_string(),
        "opener": terms.opener,
        "claimer": terms.claimer,
        "lock": terms.lock,
        "deadline": terms.deadline,
        "block": half.block,
        "transaction": half.transaction,
    })
}

const HEADER: [&str; 7] = [
    "chain",
    "state",
    "amount",
    "opener",
    "pays",
    "until (UTC)",
    "id",
];

/// The same for people, under [`HEADER`].
fn row(half: &Half) -> Vec<String> {
    vec![
        half.chain.word().to_owned(),
        half.state.to_string(),
        holds(half),
        half.terms.opener.to_string(),
        half.terms.claimer.to_string(),
        utc(half.terms.deadline),
        half.id.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_32_bytes() {
        let word = B256::repeat_byte(0xab);
        assert_eq!(parse_word(&word.to_string()), Ok(word));
        for bad in ["", "0x", "0x12", &"ab".repeat(32), &"0xzz".repeat(16)] {
            assert!(parse_word(bad).is_err(), "{bad}");
        }
    }
}
