//! Who pays whom, and what they hold before the measurement begins.
//!
//! A *sender* has a key of its own, coin from block 0, and points. The other accounts are addresses
//! that hold a few points, so that the state has its size. Points are issued in batches, as an
//! issuer would; tokens of the measured contract come from its deployer.

use super::{Command, Mode};
use crate::{
    error::Error,
    load::{sign, signer},
    net::Net,
    progress::Progress,
};
use alloy::{
    consensus::TxEip1559,
    primitives::TxKind,
    signers::local::PrivateKeySigner,
    sol_types::{SolCall as _, SolConstructor as _},
};
use mileverse_bindings::MileVerseCoin;
use mileverse_primitives::{
    Address, Bytes, U256,
    abi::IPoints,
    address::POINTS,
    genesis::Genesis,
    keccak256,
    staking::{Allocation, coins},
};
use std::time::Duration;
use tokio::time::sleep;

/// Most accounts that send: enough for every block to have many.
const MOST_SENDERS: u64 = 4_000;
/// Accounts in one issue.
const ISSUES: u64 = 500;
/// Transactions of one funder that are under way at a time.
const UNDER_WAY: u64 = 32;
const PACE: Duration = Duration::from_millis(50);
/// What a sender begins with, in micro-points.
const POINTS_EACH: u64 = 1_000_000_000_000;
/// Fee cap of transactions that pay with the coin.
pub const GAS_PRICE: u128 = 1_000_000_000;

/// The accounts of a measurement.
pub struct Accounts {
    /// How many hold points.
    pub count: u64,
    /// Those with keys.
    pub senders: Vec<PrivateKeySigner>,
    issuer: PrivateKeySigner,
    mode: Mode,
}

impl Accounts {
    /// `count` accounts for a kind of traffic.
    pub fn new(count: u64, mode: Mode) -> Result<Self, Error> {
        let senders = (0..count.min(MOST_SENDERS))
            .map(|number| signer("a measured sender", number))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            count,
            senders,
            issuer: signer("a measured issuer", 0)?,
            mode,
        })
    }

    /// Who makes points.
    pub fn issuer(&self) -> Address {
        self.issuer.address()
    }

    /// The address of an account, sender or not.
    pub fn address(&self, number: u64) -> Address {
        let sender = usize::try_from(number)
            .ok()
            .and_then(|number| self.senders.get(number));
        sender.map_or_else(
            || {
                let seed = keccak256([&b"a measured account"[..], &number.to_be_bytes()].concat());
                Address::from_word(seed)
            },
            PrivateKeySigner::address,
        )
    }

    /// What block 0 gives them.
    pub fn enter(&self, genesis: &mut Genesis) {
        genesis.allocations = self
            .senders
            .iter()
            .chain([&self.issuer])
            .map(|sender| Allocation {
                address: sender.address(),
                amount: coins(1_000),
            })
            .collect();
    }

    fn sends_tokens(&self) -> bool {
        matches!(self.mode, Mode::Erc20 | Mode::Mix)
    }

    /// Gives points to everybody, and tokens to those who send them; returns the token.
    pub async fn fund(
        &self,
        net: &Net,
        command: &Command,
        progress: &Progress,
    ) -> Result<Option<Address>, Error> {
        let mut funder = Funder {
            net,
            signer: &self.issuer,
            nonce: 0,
            settled: 0,
        };
        let mut given = 0u64;
        while given < command.accounts {
            let end = given.saturating_add(ISSUES).min(command.accounts);
            let issues = (given..end)
                .map(|number| IPoints::Issue {
                    to: self.address(number),
                    amount: U256::from(if number < MOST_SENDERS {
                        POINTS_EACH
                    } else {
                        1_000_000
                    }),
                    conversionId: keccak256(number.to_be_bytes()),
                })
                .collect();
            let call = IPoints::issueBatchCall { issues };
            let gas =
                200_000u64.saturating_add(60_000u64.saturating_mul(end.saturating_sub(given)));
            funder
                .send(TxKind::Call(POINTS), call.abi_encode().into(), gas, 0)
                .await?;
            given = end;
            progress.say(format!(
                "{given} of {} accounts hold points",
                command.accounts
            ));
        }
        if !self.sends_tokens() {
            funder.settle(0).await?;
            return Ok(None);
        }
        // Coin can be spent once block 1 has written the genesis down.
        funder.settle(0).await?;
        let allocation = vec![MileVerseCoin::Share {
            account: self.issuer.address(),
            amount: U256::from(3_000_000_000u64) * U256::from(10u64.pow(18)),
        }];
        let constructor = MileVerseCoin::constructorCall { allocation };
        let code = [&MileVerseCoin::BYTECODE[..], &constructor.abi_encode()[..]].concat();
        let token = self.issuer.address().create(funder.nonce);
        funder
            .send(TxKind::Create, code.into(), 5_000_000, GAS_PRICE)
            .await?;
        for (sent, sender) in self.senders.iter().enumerate() {
            let call = MileVerseCoin::transferCall {
                to: sender.address(),
                value: U256::from(10u64.pow(18)),
            };
            funder
                .send(
                    TxKind::Call(token),
                    call.abi_encode().into(),
                    100_000,
                    GAS_PRICE,
                )
                .await?;
            if sent.is_multiple_of(100) {
                progress.say(format!(
                    "{sent} of {} senders hold tokens",
                    self.senders.len()
                ));
            }
        }
        funder.settle(0).await?;
        Ok(Some(token))
    }
}

/// One account's transactions, one after the other.
struct Funder<'a> {
    net: &'a Net,
    signer: &'a PrivateKeySigner,
    nonce: u64,
    settled: u64,
}

impl Funder<'_> {
    async fn send(
        &mut self,
        to: TxKind,
        input: Bytes,
        gas_limit: u64,
        max_fee_per_gas: u128,
    ) -> Result<(), Error> {
        let signed = sign(
            self.signer,
            TxEip1559 {
                nonce: self.nonce,
                to,
                input,
                gas_limit,
                max_fee_per_gas,
                ..Default::default()
            },
        )?;
        // All to one validator: it keeps the order, and the others hear of it.
        self.net.first()?.submit(&signed.raw).await?;
        self.nonce = self.nonce.saturating_add(1);
        self.settle(UNDER_WAY).await
    }

    /// Waits until at most `open` transactions are not final.
    async fn settle(&mut self, open: u64) -> Result<(), Error> {
        while self.nonce.saturating_sub(self.settled) > open {
            self.settled = self.net.first()?.nonce(self.signer.address()).await?;
            if self.nonce.saturating_sub(self.settled) > open {
                sleep(PACE).await;
            }
        }
        Ok(())
    }
}
