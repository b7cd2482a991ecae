//! What the methods answer from.

use crate::{Admission, Reads, eth::filters::Filters};
use commonware_p2p::authenticated::lookup::Oracle;
use mileverse_consensus::{
    block::{Block, PublicKey},
    engine::connections::Connections,
    engine::{Marshal, peers},
    evidence::Store,
    index::Index,
    rotation::Rotation,
    sync::Progress,
};
use mileverse_primitives::{B256, Bytes, genesis::Genesis};

/// The peers of the TCP network, which visitors join.
pub type Door = peers::Peers<Oracle<PublicKey>>;

/// What the methods answer from.
pub struct Context {
    /// The newest state.
    pub reads: Reads,
    /// Transactions on their way in.
    pub admission: Admission,
    /// Blocks and receipts.
    pub index: Index,
    /// Live connections.
    pub connections: Connections,
    /// Certificates.
    pub marshal: Marshal,
    /// What this node found against delegates.
    pub evidence: Store,
    /// The network.
    pub genesis: Genesis,
    /// Its hash.
    pub genesis_hash: B256,
    /// Block 0, which the index does not hold.
    pub genesis_block: Block,
    /// The group key of block 0 as Ethereum takes it.
    pub group_key: Bytes,
    /// The next group key, as this node makes it with others.
    pub rotation: Rotation,
    /// This validator.
    pub validator: B256,
    /// Lets visitors in.
    pub door: Door,
    /// How it came to its state.
    pub progress: Progress,
    /// Filters that clients installed.
    pub filters: Filters,
}

impl Context {
    /// The base fee of every block.
    pub const fn base_fee(&self) -> u64 {
        self.genesis.fees.base_price
    }
}
