//! Transactions that fill blocks to one of their limits, and a look at whether they did.

use super::{Validator, signed};
use alloy::{consensus::TxEip1559, primitives::TxKind, signers::local::PrivateKeySigner};
use commonware_glue::simulate::{property::Property, tracker::ProgressTracker};
use mileverse_consensus::block::PublicKey;
use mileverse_execution::Transaction;
use mileverse_primitives::{
    Address, keccak256,
    limits::{BlockLimits, LEAST_GAS, MAX_TRANSACTION_LENGTH},
};
use std::{future::Future, pin::Pin};

/// Gas of a block that is filled: the sample network's.
pub const BLOCK_GAS: u64 = 600_000_000;
/// Blocks that are filled.
const BLOCKS: usize = 2;
/// Accounts that send.
const SENDERS: u64 = 10;

/// What blocks are filled with.
#[derive(Clone, Copy, Debug)]
pub enum Filling {
    /// As many transactions as a block holds.
    Transactions,
    /// Few transactions with much data.
    Bytes,
    /// One transaction that uses all the gas.
    Gas,
}

impl Filling {
    /// What fills [`BLOCKS`] blocks.
    pub fn transactions(self) -> Vec<Transaction> {
        let limits = BlockLimits::of(BLOCK_GAS);
        let nobody = TxKind::Call(Address::repeat_byte(0x99));
        // All but its envelope.
        let data = MAX_TRANSACTION_LENGTH - 1_000;
        let (one, count) = match self {
            Self::Transactions => (
                TxEip1559 {
                    gas_limit: LEAST_GAS,
                    to: nobody,
                    ..Default::default()
                },
                // The pool holds no more, and others wait beside them.
                limits.transactions() * BLOCKS - 100,
            ),
            Self::Bytes => (
                TxEip1559 {
                    // Ten for a byte that is zero (EIP-7623).
                    gas_limit: LEAST_GAS + 10 * data as u64,
                    to: nobody,
                    input: vec![0; data].into(),
                    ..Default::default()
                },
                limits.bytes() / data * BLOCKS,
            ),
            Self::Gas => (
                TxEip1559 {
                    gas_limit: BLOCK_GAS,
                    to: TxKind::Create,
                    // JUMPDEST PUSH0 JUMP, for as long as there is gas.
                    input: vec![0x5b, 0x5f, 0x56].into(),
                    ..Default::default()
                },
                BLOCKS,
            ),
        };
        let senders: Vec<_> = (0..SENDERS)
            .map(|number| {
                let seed = [b"filling".as_slice(), &number.to_be_bytes()].concat();
                PrivateKeySigner::from_bytes(&keccak256(seed)).unwrap()
            })
            .collect();
        (0..count as u64)
            .map(|number| {
                let place = usize::try_from(number % SENDERS).unwrap();
                let nonce = number / SENDERS;
                signed(
                    &senders[place],
                    TxEip1559 {
                        nonce,
                        ..one.clone()
                    },
                )
            })
            .collect()
    }
}

/// A block as full as it can be is final at every node.
#[derive(Clone, Copy)]
pub struct Filled(pub Filling);

impl Property<PublicKey, Validator> for Filled {
    fn name(&self) -> &str {
        "blocks are full"
    }

    fn check<'a>(
        &'a self,
        _tracker: &'a ProgressTracker<PublicKey>,
        states: &'a [&'a Validator],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        let limits = BlockLimits::of(BLOCK_GAS);
        let verdict = states.iter().try_for_each(|state| {
            let first = state.index.first().unwrap().ok_or("it has no blocks")?;
            let newest = state.tip.borrow().header.height;
            // Who fetched the state has the blocks that came after it only.
            let mut full = usize::from(first > 1) * BLOCKS;
            for height in first..=newest {
                let block = state
                    .index
                    .block(height)
                    .unwrap()
                    .ok_or("a block is missing")?;
                let bytes: usize = block.transactions.iter().map(bytes::Bytes::len).sum();
                full += usize::from(match self.0 {
                    // Others wait beside them.
                    Filling::Transactions => {
                        block.header.gas_used > BLOCK_GAS / 100 * 99
                            && block.transactions.len() > limits.transactions() / 100 * 98
                    }
                    Filling::Bytes => bytes > limits.bytes() - MAX_TRANSACTION_LENGTH,
                    Filling::Gas => block.header.gas_used > BLOCK_GAS / 100 * 99,
                });
            }
            // The first also holds what else waits.
            if full + 1 < BLOCKS {
                return Err(format!("{full} blocks from {first} to {newest} are full"));
            }
            Ok(())
        });
        Box::pin(async move { verdict })
    }
}
