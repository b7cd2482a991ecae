//! ed25519 signatures, checked with the library that makes them.

use super::refusal::Refusal;
use crate::modules::host::{Fault, Host};
use alloy::primitives::{Address, B256};
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{
    Verifier as _,
    ed25519::{PublicKey, Signature},
};
use mileverse_primitives::vote;

/// Checking one signature: about what Ethereum asks for two of its own.
const SIGNATURE_GAS: u64 = 6_000;

/// Whether `signature` is `key`'s over `body`.
fn is_by(key: B256, namespace: &[u8], body: &[u8], signature: &[u8]) -> bool {
    let key = PublicKey::decode(Copying(key.as_slice()));
    let signature = Signature::decode(Copying(signature));
    match (key, signature) {
        (Ok(key), Ok(signature)) => key.verify(namespace, body, &signature),
        _ => false,
    }
}

/// Whether the bytes are a key at all.
pub(super) fn is_key(key: B256) -> bool {
    PublicKey::decode(Copying(key.as_slice())).is_ok()
}

/// Checks that whoever holds `key` gives it to `owner`.
pub(super) fn check_possession(
    host: &mut Host<'_>,
    key: B256,
    owner: Address,
    signature: &[u8],
) -> Result<(), Fault> {
    host.charge(SIGNATURE_GAS)?;
    if !is_key(key) {
        return Err(Refusal::BadKey.into());
    }
    let namespace = vote::possession_namespace(host.config().chain_id);
    if is_by(key, &namespace, owner.as_slice(), signature) {
        Ok(())
    } else {
        Err(Refusal::Possession.into())
    }
}

/// Checks a leader's signature of a header's digest.
pub(super) fn check_proposal(
    host: &mut Host<'_>,
    leader: B256,
    digest: B256,
    signature: &[u8],
) -> Result<(), Fault> {
    host.charge(SIGNATURE_GAS)?;
    let namespace = vote::proposal_namespace(host.config().chain_id);
    if is_by(leader, &namespace, digest.as_slice(), signature) {
        Ok(())
    } else {
        Err(Refusal::BadSignature.into())
    }
}

/// Checks a delegate's signature of a result.
pub(super) fn check_attestation(
    host: &mut Host<'_>,
    delegate: B256,
    (epoch, height, digest): (u64, u64, B256),
    signature: &[u8],
) -> Result<(), Fault> {
    host.charge(SIGNATURE_GAS)?;
    let namespace = vote::attestation_namespace(host.config().chain_id);
    let body = vote::attestation_body(epoch, height, digest);
    if is_by(delegate, &namespace, &body, signature) {
        Ok(())
    } else {
        Err(Refusal::BadSignature.into())
    }
}
