//! A delegate's own signatures: over what it proposes, and over the results it answers for.
//!
//! The messages are specified in `mileverse_primitives::vote`. Keys are ed25519, the same that name
//! the delegates in consensus.

use crate::block::PublicKey;
use commonware_codec::{Copying, DecodeExt as _, Encode as _, Error as CodecError};
use commonware_cryptography::{
    BatchEntry, BatchVerifier as _, Signer as _, Verifier as _, ed25519,
};
use commonware_parallel::Sequential;
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

/// A delegate's word for the final block `digest` at `height`.
pub fn sign_attestation(
    key: &ed25519::PrivateKey,
    chain_id: u64,
    epoch: u64,
    height: u64,
    digest: B256,
) -> Attestation {
    let signature = key.sign(
        &attestation_namespace(chain_id),
        &attestation_body(epoch, height, digest),
    );
    Attestation {
        epoch,
        height,
        digest,
        delegate: B256::from_slice(&key.public_key()),
        signature: bytes(&signature),
    }
}

struct Decoded {
    key: PublicKey,
    signature: ed25519::Signature,
    body: [u8; 48],
}

/// Whether each attestation is signed by the delegate that it names; true for none at all.
///
/// One batch, about half the work of one by one. By ZIP-215 a batch accepts exactly what single
/// verification accepts, so nodes cannot disagree (but for a chance of 2^-128).
pub fn attestations_are_signed(chain_id: u64, attestations: &[Attestation]) -> bool {
    if attestations.is_empty() {
        return true;
    }
    let decoded: Result<Vec<Decoded>, CodecError> = attestations
        .iter()
        .map(|attestation| {
            Ok(Decoded {
                key: PublicKey::decode(Copying(attestation.delegate.as_slice()))?,
                signature: ed25519::Signature::decode(Copying(attestation.signature.as_slice()))?,
                body: attestation_body(attestation.epoch, attestation.height, attestation.digest),
            })
        })
        .collect();
    let Ok(decoded) = decoded else {
        return false;
    };
    let namespace = attestation_namespace(chain_id);
    PublicKey::verify_batch(
        &mut rand::rng(),
        &decoded,
        |_, entry| BatchEntry {
            namespace: &namespace,
            message: &entry.body,
            public_key: &entry.key,
            signature: &entry.signature,
        },
        &Sequential,
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
