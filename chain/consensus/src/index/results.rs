//! What a block did, as it is stored: no more than its transactions do not tell themselves.
//!
//! ```txt
//! results = RLP [ outbox size, outbox tree (32), [ outcome, … ] ]
//! outcome = RLP [ sender (20), success, gas used, [ log, … ] ]      log as in Ethereum's receipts
//! ```
//!
//! Hash, nonce, receiver, type and price stand in the transaction, the created contract follows from
//! sender and nonce, cumulative gas is a sum.

use super::IndexError;
use alloy::primitives::Log;
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use mileverse_execution::{BlockOutput, TransactionOutcome};
use mileverse_primitives::{Address, B256};

/// What a block did.
#[derive(Clone, Debug, Eq, PartialEq, RlpDecodable, RlpEncodable)]
pub struct Results {
    /// Leaves in the outbox after it.
    pub outbox_size: u64,
    /// `MTH` over them.
    pub outbox_tree: B256,
    /// One per transaction.
    pub receipts: Vec<Outcome>,
}

/// What a transaction did that it does not say itself.
#[derive(Clone, Debug, Eq, PartialEq, RlpDecodable, RlpEncodable)]
pub struct Outcome {
    /// Who sent it.
    pub sender: Address,
    /// Whether it took effect.
    pub success: bool,
    /// Gas it used.
    pub gas_used: u64,
    /// Its events.
    pub logs: Vec<Log>,
}

impl Results {
    /// What is kept of a block's output.
    pub(super) fn of(output: &BlockOutput) -> Self {
        Self {
            outbox_size: output.outbox_size,
            outbox_tree: output.outbox_tree,
            receipts: output.receipts.iter().map(Outcome::of).collect(),
        }
    }

    /// Gas that the block used before a transaction.
    pub fn gas_before(&self, position: usize) -> u64 {
        let before = self.receipts.iter().take(position);
        before.fold(0, |sum, one| sum.saturating_add(one.gas_used))
    }

    /// Logs of the block before a transaction.
    pub fn logs_before(&self, position: usize) -> u64 {
        let before = self.receipts.iter().take(position);
        before.map(|one| one.logs.len() as u64).sum()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length());
        Encodable::encode(self, &mut out);
        out
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Result<Self, IndexError> {
        let damaged = IndexError::Damaged("results");
        match Decodable::decode(&mut bytes) {
            Ok(results) if bytes.is_empty() => Ok(results),
            _ => Err(damaged),
        }
    }
}

impl Outcome {
    fn of(outcome: &TransactionOutcome) -> Self {
        Self {
            sender: outcome.sender,
            success: outcome.success,
            gas_used: outcome.gas_used,
            logs: outcome.logs.clone(),
        }
    }
}
