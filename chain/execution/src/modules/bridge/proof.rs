//! Proofs from Ethereum (EIP-1186): the bridge's account under a state root, one word of its
//! storage under that account's storage root.
//!
//! Each node must hash to what the node above it says, from the root down to the value; a node
//! less or more is refused, so a value has one proof. Nothing is ever proven absent, so the forms
//! of absence (an empty proof, an empty trie) prove nothing.
//!
//! Limits: [`MAX_NODES`] nodes per proof, [`MAX_NODE_LENGTH`] bytes per node.

use crate::modules::{
    host::{Fault, HASH_WORD_GAS, Host},
    slot::Slot,
};
use alloy::{
    consensus::TrieAccount,
    primitives::{Address, B256, Bytes, U256, keccak256},
    rlp::Decodable,
};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, nodes::TrieNode, proof::verify_proof};

/// Most nodes on the way to a value: one per nibble of its hashed key.
const MAX_NODES: usize = 64;
/// Longest node: a branch with 16 children has 532 bytes, a leaf with an account less.
const MAX_NODE_LENGTH: usize = 544;
/// Place of the mapping of outbound commitments in the contract on Ethereum.
const OUTBOUND_ON_ETHEREUM: u64 = 0;

/// The storage root of `account`, proven under `state_root`.
pub(super) fn storage_root(
    host: &mut Host<'_>,
    state_root: B256,
    account: Address,
    proof: &[Bytes],
) -> Result<B256, Fault> {
    let refuse = || Fault::revert("the account proof does not lead to Ethereum's bridge contract");
    measure(host, proof)?;
    // An account is too long to stand inside its parent, so its leaf is the last node.
    let mut last: &[u8] = proof.last().ok_or_else(refuse)?;
    let Ok(TrieNode::Leaf(leaf)) = TrieNode::decode(&mut last) else {
        return Err(refuse());
    };
    let mut value: &[u8] = &leaf.value;
    let found = TrieAccount::decode(&mut value).map_err(|_| refuse())?;
    if !last.is_empty() || !value.is_empty() {
        return Err(refuse());
    }
    check(state_root, keccak256(account), leaf.value.clone(), proof).ok_or_else(refuse)?;
    if found.storage_root.is_zero() || found.storage_root == EMPTY_ROOT_HASH {
        return Err(refuse());
    }
    Ok(found.storage_root)
}

/// Checks that Ethereum's bridge committed to `commitment` under `sequence`.
pub(super) fn commitment(
    host: &mut Host<'_>,
    storage_root: B256,
    sequence: u64,
    commitment: B256,
    proof: &[Bytes],
) -> Result<(), Fault> {
    let refuse = || Fault::revert("the storage proof does not lead to this packet");
    measure(host, proof)?;
    let slot = Slot::at(Address::ZERO, OUTBOUND_ON_ETHEREUM).entry(sequence);
    let value = alloy::rlp::encode(U256::from_be_bytes(commitment.0));
    check(
        storage_root,
        keccak256(slot.key().to_be_bytes::<32>()),
        value,
        proof,
    )
    .ok_or_else(refuse)
}

/// Charges for hashing a proof, within the limits.
fn measure(host: &mut Host<'_>, proof: &[Bytes]) -> Result<(), Fault> {
    if proof.is_empty() || proof.len() > MAX_NODES {
        return Err(Fault::revert(format!("a proof has 1 to {MAX_NODES} nodes")));
    }
    for node in proof {
        if node.len() > MAX_NODE_LENGTH {
            return Err(Fault::revert(format!(
                "a proof's node has at most {MAX_NODE_LENGTH} bytes"
            )));
        }
        host.charge_words(HASH_WORD_GAS, node.len())?;
    }
    Ok(())
}

fn check(root: B256, hashed_key: B256, value: Vec<u8>, proof: &[Bytes]) -> Option<()> {
    if root.is_zero() {
        return None;
    }
    verify_proof(root, Nibbles::unpack(hashed_key), Some(value), proof).ok()
}
