//! What the native chain believes of Ethereum: one finalized header.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

/// A finalized Ethereum header, as much of it as proofs and deadlines need.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// Block number.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
    /// Root of the state trie after the block; packets are proven against it.
    pub state_root: B256,
    /// Block time in seconds since 1970.
    pub timestamp: u64,
}
