//! What the methods answer from.

use super::{Admission, Reads};
use crate::{block::Block, consensus::Marshal, index::Index, sync::Progress};
use mileverse_primitives::{B256, Bytes, genesis::Genesis};

/// What the methods answer from.
pub struct Context {
    /// The newest state.
    pub reads: Reads,
    /// Transactions on their way in.
    pub admission: Admission,
    /// Blocks and receipts.
    pub index: Index,
    /// Certificates.
    pub marshal: Marshal,
    /// The network.
    pub genesis: Genesis,
    /// Its hash.
    pub genesis_hash: B256,
    /// Block 0, which the index does not hold.
    pub genesis_block: Block,
    /// The group key as Ethereum takes it.
    pub group_key: Bytes,
    /// This validator.
    pub validator: B256,
    /// How it came to its state.
    pub progress: Progress,
}
