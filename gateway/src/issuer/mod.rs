//! Points are made here: the chain's RPC and the issuer's key.

pub mod chain;
pub mod signer;

use alloy::primitives::{B256, keccak256};

/// A conversion's name on the chain: the chain issues once per name, whatever happens here.
pub fn conversion_name(id: &str) -> B256 {
    keccak256(id.as_bytes())
}
