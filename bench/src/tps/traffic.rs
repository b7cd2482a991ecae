//! What is sent, signed before the measurement begins.
//!
//! Sender `s` hands everything to validator `s mod N`, in the order of its nonces; receivers are
//! spread over all accounts by a fixed sequence, so that two runs send the same.

use super::{
    Command, Mode,
    accounts::{Accounts, GAS_PRICE, sign_hashed},
};
use crate::error::Error;
use alloy::{
    consensus::TxEip1559,
    primitives::{B256, TxKind},
    sol_types::SolCall as _,
};
use mileverse_bindings::MileVerseCoin;
use mileverse_primitives::{Address, Bytes, U256, abi::IPoints, address::POINTS};
use std::{sync::Arc, thread::available_parallelism};

/// A signed transaction.
pub struct Signed {
    /// Its hash.
    pub hash: B256,
    /// Its bytes.
    pub raw: Bytes,
}

/// Signed transactions, for each validator in the order in which it gets them.
pub struct Traffic {
    /// One list for each validator.
    pub lists: Vec<Vec<Signed>>,
}

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

impl Traffic {
    /// Signs `wanted` transactions, on all processors.
    pub async fn sign(
        accounts: &Accounts,
        command: &Command,
        token: Option<Address>,
        wanted: u64,
    ) -> Result<Self, Error> {
        let senders = accounts.senders.len();
        let threads = available_parallelism().map_or(1, std::num::NonZero::get);
        let rounds = wanted.div_ceil(senders.max(1) as u64);
        let maker = Maker {
            accounts,
            mode: command.mode,
            entries: command.entries,
            token,
            rounds,
        };
        // Each thread signs for some senders; round by round is put together afterwards.
        let signed: Vec<Result<Vec<Vec<Signed>>, Error>> = std::thread::scope(|scope| {
            let maker = Arc::new(maker);
            let running: Vec<_> = (0..threads)
                .map(|thread| {
                    let maker = Arc::clone(&maker);
                    scope.spawn(move || {
                        (thread..senders)
                            .step_by(threads)
                            .map(|sender| maker.all_of(sender))
                            .collect()
                    })
                })
                .collect();
            running
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|_| Err(Error::Setup("a signing thread ended".into())))
                })
                .collect()
        });
        let mut per_sender: Vec<std::vec::IntoIter<Signed>> = Vec::with_capacity(senders);
        let mut lists: Vec<_> = signed
            .into_iter()
            .map(|list| list.map(Vec::into_iter))
            .collect::<Result<_, _>>()?;
        for sender in 0..senders {
            let list = lists.get_mut(sender % threads).and_then(Iterator::next);
            per_sender.push(list.unwrap_or_default().into_iter());
        }
        let mut lists: Vec<Vec<Signed>> = (0..command.validators).map(|_| Vec::new()).collect();
        let mut left = wanted;
        for _ in 0..rounds {
            for (sender, list) in per_sender.iter_mut().enumerate() {
                let target = lists.get_mut(sender % command.validators);
                if let (Some(target), Some(next), true) = (target, list.next(), left > 0) {
                    target.push(next);
                    left = left.saturating_sub(1);
                }
            }
        }
        Ok(Self { lists })
    }
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
        let (hash, raw) = sign_hashed(
            signer,
            TxEip1559 {
                nonce,
                ..transaction
            },
        )?;
        Ok(Signed { hash, raw })
    }
}
