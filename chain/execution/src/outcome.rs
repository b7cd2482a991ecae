//! What transactions leave behind: receipts, their roots, packets for the other chain.

use crate::transaction::Transaction;
use alloy::{
    consensus::{
        Transaction as _, Typed2718 as _,
        proofs::{ordered_trie_root_encoded, ordered_trie_root_with_encoder},
    },
    primitives::{Address, B256, Bloom, BloomInput, Bytes, Log, keccak256, map::HashMap},
    sol_types::SolEvent,
};
use alloy_rlp::{BufMut as _, Encodable as _, RlpEncodable};
use mileverse_primitives::{
    abi::{IBridge, IPeers},
    address::{BRIDGE, PEERS},
};
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

impl TransactionOutcome {
    /// Of the system transaction that holds these events.
    pub(crate) fn of_system(system: &Transaction, logs: &[Log]) -> Self {
        Self {
            hash: system.hash(),
            sender: system.sender(),
            nonce: system.nonce(),
            to: system.envelope().to(),
            tx_type: system.envelope().ty(),
            success: true,
            gas_used: 0,
            cumulative_gas_used: 0,
            logs: logs.to_vec(),
            contract_address: None,
            effective_gas_price: 0,
        }
    }
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

/// A receipt as Ethereum encodes it behind its type.
#[derive(RlpEncodable)]
struct Receipt<'a> {
    success: bool,
    cumulative_gas_used: u64,
    bloom: &'a Bloom,
    logs: &'a Vec<Log>,
}

/// Root of the ordered trie of typed receipts, as Ethereum's, and the union of their blooms.
pub(crate) fn receipts_root(outcomes: &[TransactionOutcome]) -> (B256, Bloom) {
    let mut blooms = Blooms::default();
    let each: Vec<Bloom> = outcomes
        .iter()
        .map(|outcome| blooms.of(&outcome.logs))
        .collect();
    let union = each.iter().fold(Bloom::ZERO, |union, bloom| union | *bloom);
    let receipts: Vec<_> = outcomes.iter().zip(&each).collect();
    let root = ordered_trie_root_with_encoder(&receipts, |(outcome, bloom), out| {
        // A legacy receipt has no type before it.
        if outcome.tx_type != 0 {
            out.put_u8(outcome.tx_type);
        }
        let receipt = Receipt {
            success: outcome.success,
            cumulative_gas_used: outcome.cumulative_gas_used,
            bloom,
            logs: &outcome.logs,
        };
        receipt.encode(out);
    });
    (root, union)
}

/// Makes blooms. A block's logs name the same contracts, events and accounts again and again, so
/// each is hashed once.
#[derive(Debug, Default)]
struct Blooms {
    addresses: HashMap<Address, B256>,
    topics: HashMap<B256, B256>,
}

impl Blooms {
    fn of(&mut self, logs: &[Log]) -> Bloom {
        let mut bloom = Bloom::ZERO;
        for log in logs {
            let hash = self
                .addresses
                .entry(log.address)
                .or_insert_with(|| keccak256(log.address));
            bloom.accrue(BloomInput::Hash(*hash));
            for topic in log.topics() {
                let hash = self
                    .topics
                    .entry(*topic)
                    .or_insert_with(|| keccak256(topic));
                bloom.accrue(BloomInput::Hash(*hash));
            }
        }
        bloom
    }
}

/// The packets that the bridge and the peers module announced, in order, from leaf `first`.
pub(crate) fn sent_packets(first: u64, outcomes: &[TransactionOutcome]) -> Vec<SentPacket> {
    outcomes
        .iter()
        .flat_map(|outcome| &outcome.logs)
        .filter_map(|log| match log.address {
            BRIDGE => {
                let event = IBridge::PacketSent::decode_log_data(&log.data).ok()?;
                Some((event.sequence, event.commitment, event.packet))
            }
            PEERS => {
                let event = IPeers::PacketSent::decode_log_data(&log.data).ok()?;
                Some((event.sequence, event.commitment, event.packet))
            }
            _ => None,
        })
        .zip(first..)
        .map(|((sequence, commitment, packet), index)| SentPacket {
            index,
            sequence,
            commitment,
            packet,
        })
        .collect()
}
