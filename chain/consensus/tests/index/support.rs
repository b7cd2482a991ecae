//! Blocks for an index, without a chain.

use alloy::primitives::{B256, Bloom, Bytes};
use commonware_cryptography::{Signer as _, ed25519};
use mileverse_consensus::{
    block::Block,
    index::{Index, IndexError, Record},
    system::System,
};
use mileverse_execution::{BlockOutput, SentPacket};
use mileverse_primitives::{
    header::{Header, StateCommitment, Turn},
    keccak256,
};

/// Some network.
pub const GENESIS: B256 = B256::repeat_byte(1);

/// The block at a height, which holds nothing.
pub fn block(height: u64) -> Block {
    let leader = ed25519::PrivateKey::from_seed(7).public_key();
    let system = System::default();
    let header = Header {
        outbox_root: B256::ZERO,
        parent: B256::ZERO,
        height,
        timestamp_ms: height,
        gas_limit: 1,
        gas_used: 0,
        transactions_root: alloy::consensus::EMPTY_ROOT_HASH,
        receipts_root: alloy::consensus::EMPTY_ROOT_HASH,
        system_root: system.root(),
        logs_bloom: Bloom::ZERO,
        state: StateCommitment {
            root: B256::ZERO,
            operations_root: B256::ZERO,
            start: 0,
            end: 1,
        },
        turn: Turn {
            epoch: 0,
            view: height,
            parent_view: 0,
            leader: B256::from_slice(&leader),
        },
        checkpoint: None,
    };
    Block::new(header, [0; 64], Vec::new(), system, leader)
}

/// The packet at a leaf.
pub fn packet(index: u64) -> SentPacket {
    SentPacket {
        index,
        sequence: index + 1,
        commitment: keccak256(index.to_be_bytes()),
        packet: Bytes::new(),
    }
}

/// What a block does that sends packets `from..to`.
pub fn output(from: u64, to: u64) -> BlockOutput {
    BlockOutput {
        changes: Default::default(),
        before: Default::default(),
        gas_used: 0,
        transactions_root: B256::ZERO,
        receipts_root: B256::ZERO,
        logs_bloom: Bloom::ZERO,
        outbox_root: B256::ZERO,
        outbox_size: to,
        outbox_tree: B256::ZERO,
        receipts: Vec::new(),
        packets: (from..to).map(packet).collect(),
    }
}

/// Writes a block.
pub fn append(index: &Index, height: u64, output: &BlockOutput) -> Result<(), IndexError> {
    let block = block(height);
    index.append(Record {
        block: &block,
        digest: block.header.digest(),
        output,
    })
}
