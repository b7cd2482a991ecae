//! A delegate's own signatures: over what it proposes, and over the results it answers for.
//!
//! The messages are specified in `mileverse_primitives::vote`. Keys are ed25519, the same that name
//! the delegates in consensus.

use crate::block::PublicKey;
use commonware_codec::{Copying, DecodeExt as _, Encode as _};
use commonware_cryptography::{Signer as _, Verifier as _, ed25519};
use mileverse_primitives::{
    B256,
    header::Header,
    rpc::Visit,
    vote::{
        Attestation, SIGNATURE_LENGTH, attestation_body, attestation_namespace, proposal_namespace,
        visit_body, visit_namespace,
    },
};
use std::net::SocketAddr;

/// The leader's signature over its header.
pub fn sign_proposal(
    key: &ed25519::PrivateKey,
    chain_id: u64,
    digest: B256,
) -> [u8; SIGNATURE_LENGTH] {
    bytes(&key.sign(&proposal_namespace(chain_id), digest.as_slice()))
}

/// Whether the leader that a header names has signed it.
pub fn proposal_is_signed(
    chain_id: u64,
    header: &Header,
    signature: &[u8; SIGNATURE_LENGTH],
) -> bool {
    verify(
        header.turn.leader,
        &proposal_namespace(chain_id),
        header.digest().as_slice(),
        signature,
    )
}

/// Whether the delegate that an attestation names has signed it.
pub fn attestation_is_signed(chain_id: u64, attestation: &Attestation) -> bool {
    verify(
        attestation.delegate,
        &attestation_namespace(chain_id),
        &attestation_body(attestation.epoch, attestation.height, attestation.digest),
        &attestation.signature,
    )
}

/// A new node's signature over where it connects from.
pub fn sign_visit(
    key: &ed25519::PrivateKey,
    chain_id: u64,
    seconds: u64,
    address: SocketAddr,
) -> [u8; SIGNATURE_LENGTH] {
    bytes(&key.sign(&visit_namespace(chain_id), &visit_body(seconds, address)))
}

/// Whether the node that a visit names has signed it.
pub fn visit_is_signed(chain_id: u64, visit: &Visit) -> bool {
    let Ok(signature) = <[u8; SIGNATURE_LENGTH]>::try_from(visit.signature.as_ref()) else {
        return false;
    };
    verify(
        visit.public_key,
        &visit_namespace(chain_id),
        &visit_body(visit.seconds, visit.address),
        &signature,
    )
}

fn bytes(signature: &ed25519::Signature) -> [u8; SIGNATURE_LENGTH] {
    let mut out = [0; SIGNATURE_LENGTH];
    for (to, from) in out.iter_mut().zip(signature.encode()) {
        *to = from;
    }
    out
}

fn verify(key: B256, namespace: &[u8], message: &[u8], signature: &[u8; SIGNATURE_LENGTH]) -> bool {
    let Ok(key) = PublicKey::decode(Copying(key.as_slice())) else {
        return false;
    };
    let Ok(signature) = ed25519::Signature::decode(Copying(signature.as_slice())) else {
        return false;
    };
    key.verify(namespace, message, &signature)
}
