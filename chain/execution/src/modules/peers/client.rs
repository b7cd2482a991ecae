//! What a peer's committee certified, by the rules of `contracts/src/light-client/LightClient.sol`.
//!
//! A block is opened as far as needed: `digest = keccak256(outbox root ‖ rest hash)`, and the outbox
//! root binds the tree's size and hash. The certificate is the group's signature over that digest with
//! its epoch and views, under a namespace that binds the peer's chain id
//! (`mileverse_primitives::certificate`). Zero and identity are refused before any curve is touched.
//!
//! The signature is checked by the library that consensus itself uses. Its price is Ethereum's for the
//! same work (EIP-2537): [`CERTIFICATE_GAS`].

use super::registry::Key;
use crate::{
    bls,
    modules::host::{Fault, HASH_WORD_GAS, Host},
};
use alloy::primitives::B256;
use mileverse_primitives::{
    abi::IPeers::HeaderProof,
    certificate::{self, G1_LENGTH},
    header, outbox,
};

/// One certificate: a pairing of two pairs (102,900), two maps to G1 (11,000) and an addition (375) to
/// hash the message to the curve, and SHA-256 over it and its expansion. In all 114,800 on Ethereum,
/// whose pairing checks the points as this does.
const CERTIFICATE_GAS: u64 = 115_000;
/// Words hashed with keccak256 to open a header: the outbox root and the digest.
const HEADER_WORDS: usize = 4;
/// Words hashed for each step of a path.
const STEP_WORDS: usize = 3;
/// Longest path: a tree has at most 2^64 leaves.
const MAX_PATH: usize = 64;

/// A block of a peer's that its committee finalized.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certified {
    pub(super) epoch: u64,
    pub(super) view: u64,
    pub(super) digest: B256,
    outbox_size: u64,
    outbox_tree: B256,
}

/// Checks a certificate under the key in force of the peer with this chain id.
pub(super) fn verify(
    host: &mut Host<'_>,
    peer: u64,
    key: &Key,
    proof: &HeaderProof,
) -> Result<Certified, Fault> {
    if proof.epoch < key.first_epoch {
        return Err(Fault::revert(format!(
            "the certificate is of epoch {}; the key in force signs from epoch {} on",
            proof.epoch, key.first_epoch
        )));
    }
    if proof.restHash.is_zero() {
        return Err(Fault::revert("a header's rest hash is never zero"));
    }
    if proof.outboxSize == 0 {
        return Err(Fault::revert("an outbox without packets proves nothing"));
    }
    if proof.outboxTree.is_zero() {
        return Err(Fault::revert("a tree with leaves never hashes to zero"));
    }
    if proof.signature.len() != G1_LENGTH {
        return Err(Fault::revert("a certificate's signature has 128 bytes"));
    }
    if proof.signature.iter().all(|byte| *byte == 0) {
        return Err(Fault::revert("the identity is nobody's signature"));
    }
    host.charge_words(HASH_WORD_GAS, HEADER_WORDS * 32)?;
    host.charge(CERTIFICATE_GAS)?;
    let outbox_root = outbox::root(proof.outboxSize, proof.outboxTree);
    let digest = header::digest(outbox_root, proof.restHash);
    let message = certificate::message(peer, proof.epoch, proof.view_, proof.parentView, digest);
    if !bls::is_signed(&key.point, &message, &proof.signature) {
        return Err(Fault::revert(
            "the certificate is not signed by the peer's committee, under its key in force",
        ));
    }
    Ok(Certified {
        epoch: proof.epoch,
        view: proof.view_,
        digest,
        outbox_size: proof.outboxSize,
        outbox_tree: proof.outboxTree,
    })
}

/// Checks that a packet is the `index`-th of the certified block's outbox.
pub(super) fn prove(
    host: &mut Host<'_>,
    certified: &Certified,
    index: u64,
    commitment: B256,
    path: &[B256],
) -> Result<(), Fault> {
    let refuse = || {
        Fault::revert(format!(
            "the path does not lead from leaf {index} to the certified outbox"
        ))
    };
    if path.len() > MAX_PATH {
        return Err(refuse());
    }
    let words = path.len().saturating_add(1).saturating_mul(STEP_WORDS);
    host.charge_words(HASH_WORD_GAS, words.saturating_mul(32))?;
    let (tree, size) = (certified.outbox_tree, certified.outbox_size);
    if outbox::verify(tree, size, index, commitment, path) {
        Ok(())
    } else {
        Err(refuse())
    }
}
