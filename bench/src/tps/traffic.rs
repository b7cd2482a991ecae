//! What is sent, signed before the measurement begins.
//!
//! Sender `s` hands everything to validator `s mod N`, in the order of its nonces; receivers are
//! spread over all accounts by a fixed sequence, so that two runs send the same.

use super::{
    Command, Mode,
    accounts::{Accounts, GAS_PRICE},
};
use crate::{
    error::Error,
    load::{self, Lists, Signed},
};
use alloy::{
    consensus::TxEip1559,
    primitives::{B256, TxKind},
    sol_types::SolCall as _,
};
use mileverse_bindings::MileVerseCoin;
use mileverse_primitives::{Address, U256, abi::IPoints, address::POINTS};

#[derive(Clone, Copy)]
enum Kind {
    Points,
    Batch,
    Coin,
    Token,
}

impl Mode {
    const fn kind(self, number: u64) -> Kind {
        match (self, number % 10) {
            (Self::Points, _) | (Self::Mix, 0..=6) => Kind::Points,
            (Self::Batch, _) | (Self::Mix, 7) => Kind::Batch,
            (Self::Coin, _) | (Self::Mix, 8) => Kind::Coin,
            (Self::Erc20, _) | (Self::Mix, _) => Kind::Token,
        }
    }
}

/// A fixed sequence that visits everything alike (Knuth, The Art of Computer Programming, 6.4).
const fn scattered(number: u64, count: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % count
}

/// Signs `wanted` transactions.
pub fn sign(
    accounts: &Accounts,
    command: &Command,
    token: Option<Address>,
    wanted: u64,
) -> Result<Lists, Error> {
    let senders = accounts.senders.len();
    let maker = Maker {
        accounts,
        mode: command.mode,
        entries: command.entries,
        token,
        rounds: wanted.div_ceil(senders.max(1) as u64),
    };
    let signed = load::sign_all(senders, |sender| maker.all_of(sender))?;
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    Ok(load::lists(signed, command.validators, wanted))
}

struct Maker<'a> {
    accounts: &'a Accounts,
    mode: Mode,
    entries: u64,
    token: Option<Address>,
    rounds: u64,
}

impl Maker<'_> {
    fn all_of(&self, sender: usize) -> Result<Vec<Signed>, Error> {
        (0..self.rounds)
            .map(|nonce| self.make(sender, nonce))
            .collect()
    }

    fn make(&self, sender: usize, nonce: u64) -> Result<Signed, Error> {
        let signer = self
            .accounts
            .senders
            .get(sender)
            .ok_or_else(|| Error::Setup("there is no such sender".into()))?;
        let number = nonce
            .wrapping_mul(self.accounts.senders.len() as u64)
            .wrapping_add(sender as u64);
        let receiver = |entry: u64| {
            let place = number.wrapping_mul(self.entries.max(1)).wrapping_add(entry);
            self.accounts.address(scattered(place, self.accounts.count))
        };
        let to = receiver(0);
        let transaction = match self.mode.kind(number) {
            Kind::Points => {
                let amount = U256::from(1_000_000);
                TxEip1559 {
                    to: TxKind::Call(POINTS),
                    input: IPoints::transferCall { to, amount }.abi_encode().into(),
                    gas_limit: 120_000,
                    ..Default::default()
                }
            }
            Kind::Batch => {
                let moves = (0..self.entries)
                    .map(|entry| IPoints::Move {
                        to: receiver(entry),
                        amount: U256::from(1_000_000),
                        memo: B256::with_last_byte(1),
                    })
                    .collect();
                TxEip1559 {
                    to: TxKind::Call(POINTS),
                    input: IPoints::transferBatchCall { moves }.abi_encode().into(),
                    gas_limit: 100_000u64.saturating_add(60_000u64.saturating_mul(self.entries)),
                    ..Default::default()
                }
            }
            Kind::Coin => TxEip1559 {
                to: TxKind::Call(to),
                value: U256::from(1_000),
                gas_limit: 21_000,
                max_fee_per_gas: GAS_PRICE,
                ..Default::default()
            },
            Kind::Token => {
                let token = self
                    .token
                    .ok_or_else(|| Error::Setup("no token was deployed".into()))?;
                let value = U256::from(1);
                TxEip1559 {
                    to: TxKind::Call(token),
                    input: MileVerseCoin::transferCall { to, value }
                        .abi_encode()
                        .into(),
                    gas_limit: 100_000,
                    max_fee_per_gas: GAS_PRICE,
                    ..Default::default()
                }
            }
        };
        load::sign(
            signer,
            TxEip1559 {
                nonce,
                ..transaction
            },
        )
    }
}
