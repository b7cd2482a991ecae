//! What a delegate signs with its own key, beside its share of the committee's.
//!
//! Any `t` shares of a threshold signature forge another's, so they prove nothing about one
//! delegate. The first two of these ed25519 signatures do; the third keeps a candidate from taking
//! another's key, and a quorum of the fourth admits a new group key:
//!
//! | signature | by | over | two that disagree prove |
//! |---|---|---|---|
//! | proposal | a view's leader | the header's digest | it proposed two blocks in one view |
//! | attestation | a delegate that executed a final block | epoch, height, digest | with the final digest: it vouched for a wrong result |
//! | possession | a candidate's consensus key | the owner's address | |
//! | endorsement | a player of a rotation's ceremony | epoch, hash of the ceremony's output |  |
//!
//! ```txt
//! message     = varint(length of namespace) ‖ namespace ‖ body
//! proposal    : namespace = "mileverse/" ‖ chain id (8, big endian) ‖ "_PROPOSAL"
//!               body = digest (32)
//! attestation : namespace = "mileverse/" ‖ chain id (8, big endian) ‖ "_ATTEST"
//!               body = epoch (8) ‖ height (8) ‖ digest (32)
//! possession  : namespace = "mileverse/" ‖ chain id (8, big endian) ‖ "_POSSESSION"
//!               body = owner (20)
//! endorsement : namespace = "mileverse/" ‖ chain id (8, big endian) ‖ "_ROTATE"
//!               body = epoch (8) ‖ keccak256(output) (32)
//! ```
//!
//! Another signature is nobody's vote: a new node signs its own address when it asks to be let in.
//!
//! ```txt
//! visit       : namespace = "mileverse/" ‖ chain id (8, big endian) ‖ "_VISIT"
//!               body = seconds since 1970 (8) ‖ address as text, such as 203.0.113.7:9000
//! ```
//!
//! The length is LEB128, as commonware's `union_unique` writes it. A header names its epoch, view
//! and leader, so the digest is enough for a proposal.

use crate::certificate;
use alloy::primitives::B256;
use std::net::SocketAddr;

/// Bytes of an ed25519 signature.
pub const SIGNATURE_LENGTH: usize = 64;

/// A delegate's word for the result of one final block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attestation {
    /// The block's epoch.
    pub epoch: u64,
    /// Its height.
    pub height: u64,
    /// Its digest, which commits to the state after it.
    pub digest: B256,
    /// Who says so: ed25519 public key.
    pub delegate: B256,
    /// Its signature.
    pub signature: [u8; SIGNATURE_LENGTH],
}

/// The namespace of proposals.
pub fn proposal_namespace(chain_id: u64) -> Vec<u8> {
    let mut out = certificate::namespace(chain_id);
    out.extend_from_slice(b"_PROPOSAL");
    out
}

/// The namespace of attestations.
pub fn attestation_namespace(chain_id: u64) -> Vec<u8> {
    let mut out = certificate::namespace(chain_id);
    out.extend_from_slice(b"_ATTEST");
    out
}

/// The namespace of visits.
pub fn visit_namespace(chain_id: u64) -> Vec<u8> {
    let mut out = certificate::namespace(chain_id);
    out.extend_from_slice(b"_VISIT");
    out
}

/// The body of a visit's message.
pub fn visit_body(seconds: u64, address: SocketAddr) -> Vec<u8> {
    let mut out = seconds.to_be_bytes().to_vec();
    out.extend_from_slice(address.to_string().as_bytes());
    out
}

/// The namespace of proofs of possession.
pub fn possession_namespace(chain_id: u64) -> Vec<u8> {
    let mut out = certificate::namespace(chain_id);
    out.extend_from_slice(b"_POSSESSION");
    out
}

/// The body of an attestation's message.
pub fn attestation_body(epoch: u64, height: u64, digest: B256) -> [u8; 48] {
    let mut out = [0; 48];
    out[..8].copy_from_slice(&epoch.to_be_bytes());
    out[8..16].copy_from_slice(&height.to_be_bytes());
    out[16..].copy_from_slice(digest.as_slice());
    out
}

/// The namespace of endorsements of a new group key.
pub fn rotation_namespace(chain_id: u64) -> Vec<u8> {
    let mut out = certificate::namespace(chain_id);
    out.extend_from_slice(b"_ROTATE");
    out
}

/// The body of an endorsement's message: the ceremony ran in `epoch`, its output hashes to
/// `output`.
pub fn rotation_body(epoch: u64, output: B256) -> [u8; 40] {
    let mut out = [0; 40];
    out[..8].copy_from_slice(&epoch.to_be_bytes());
    out[8..].copy_from_slice(output.as_slice());
    out
}
