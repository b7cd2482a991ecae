//! What transactions leave behind: receipts, their roots, packets for the other chain.

use crate::transaction::Transaction;
use alloy::{
    consensus::{
        Receipt, ReceiptEnvelope, ReceiptWithBloom, TxType,
        proofs::{calculate_receipt_root, ordered_trie_root_encoded},
    },
    primitives::{Address, B256, Bloom, Bytes, Log, logs_bloom},
    sol_types::SolEvent,
};
use mileverse_primitives::{abi::IBridge, address::BRIDGE};
use serde::{Deserialize, Serialize};

/// What became of one included transaction.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TransactionOutcome {
    /// The transaction.
    pub hash: B256,
    /// Who sent it.
    pub sender: Address,
    /// The sender's nonce that it used.
    pub nonce: u64,
    /// Whom it called; `None` if it created a contract.
    pub to: Option<Address>,
    /// Its EIP-2718 type: 0, 1, 2 or 4.
    pub tx_type: u8,
    /// Whether it took effect; if not, only its nonce and its gas did.
    pub success: bool,
    /// Gas it used.
    pub gas_used: u64,
    /// Gas that the block used up to and including it.
    pub cumulative_gas_used: u64,
    /// Its events.
    pub logs: Vec<Log>,
    /// The contract it created.
    pub contract_address: Option<Address>,
    /// What it paid per gas.
    pub effective_gas_price: u128,
}

/// A packet that this block added to the outbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SentPacket {
    /// Its leaf in the outbox tree, from 0.
    pub index: u64,
    /// Its sequence on its route, from 1.
    pub sequence: u64,
    /// keccak256 of its bytes.
    pub commitment: B256,
    /// Its bytes.
    pub packet: Bytes,
}

/// Root of the ordered trie of encoded transactions, as Ethereum's.
pub(crate) fn transactions_root(transactions: &[Transaction]) -> B256 {
    let encoded: Vec<&Bytes> = transactions.iter().map(Transaction::raw).collect();
    ordered_trie_root_encoded(&encoded)
}

/// Root of the ordered trie of typed receipts, as Ethereum's, and the union of their blooms.
pub(crate) fn receipts_root(outcomes: &[TransactionOutcome]) -> (B256, Bloom) {
    let mut union = Bloom::ZERO;
    let receipts: Vec<ReceiptEnvelope> = outcomes
        .iter()
        .map(|outcome| {
            let bloom = logs_bloom(&outcome.logs);
            union |= bloom;
            let receipt = ReceiptWithBloom::new(
                Receipt {
                    status: outcome.success.into(),
                    cumulative_gas_used: outcome.cumulative_gas_used,
                    logs: outcome.logs.clone(),
                },
                bloom,
            );
            match TxType::try_from(outcome.tx_type) {
                Ok(TxType::Eip2930) => ReceiptEnvelope::Eip2930(receipt),
                Ok(TxType::Eip1559) => ReceiptEnvelope::Eip1559(receipt),
                Ok(TxType::Eip7702) => ReceiptEnvelope::Eip7702(receipt),
                _ => ReceiptEnvelope::Legacy(receipt),
            }
        })
        .collect();
    (calculate_receipt_root(&receipts), union)
}

/// The packets that the bridge announced, in order, from leaf `first`.
pub(crate) fn sent_packets(first: u64, outcomes: &[TransactionOutcome]) -> Vec<SentPacket> {
    outcomes
        .iter()
        .flat_map(|outcome| &outcome.logs)
        .filter(|log| log.address == BRIDGE)
        .filter_map(|log| IBridge::PacketSent::decode_log_data(&log.data).ok())
        .zip(first..)
        .map(|(event, index)| SentPacket {
            index,
            sequence: event.sequence,
            commitment: event.commitment,
            packet: event.packet,
        })
        .collect()
}
