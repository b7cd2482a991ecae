//! Proofs that a value stands in the state, for those who trust nobody but the committee's key.
//!
//! ```txt
//! group key ── signed ──> digest ── is of ──> header ── names ──> state root ── proof ──> key, value
//!
//! proof       varint(location) ‖ activity bits of the 256 operations around it (32)
//!               ‖ varint(operations in the log) ‖ varint(inactive peaks) ‖ varint(n) ‖ n digests (32 each)
//!               ‖ 0x00, or 0x01 ‖ digest of the last, incomplete activity bits (32)
//!               ‖ operations root (32)
//! operation   0xd2 ‖ key (32) ‖ varint(length) ‖ value        what stands at the location
//! ```
//!
//! The engine's own encoding (`commonware_storage::qmdb::current`), which says how the root is made of
//! them. Hashes are SHA-256, varints LEB128.
//!
//! Whoever names a key trusts all who hold its shares, also after it handed over to another.
//!
//! Limits: a node proves what stands now, not what stood. That *nothing* stands at a key cannot be proven:
//! an account without coin and nonce, or a word that is zero. A proof has at most [`MAX_LENGTH`] bytes.

use crate::{
    block::{digest, word},
    bls,
    state::{CHUNK, Databases, StoredValue},
    sync::Operation,
};
use bytes::Bytes;
use commonware_codec::{Decode as _, Encode as _};
use commonware_cryptography::{Sha256, sha256};
use commonware_runtime::Spawner;
use commonware_storage::{
    Context as StorageContext, mmr,
    qmdb::{Error as StoreError, any::unordered::Update, current::unordered::proof::constant},
};
use mileverse_execution::state::{Key, MAX_VALUE_LENGTH, ReadError, Value};
use mileverse_primitives::{B256, certificate, header::Header, packet::GroupKey, rpc::StateProof};
use thiserror::Error;

/// Most digests in a proof: two for each level of a tree of 2^62 operations.
const MAX_DIGESTS: usize = 128;
/// Most bytes of a proof: its numbers, the activity bits, and the digests.
pub const MAX_LENGTH: usize = 64 + CHUNK + 32 * (MAX_DIGESTS + 2);

type Proof = constant::KeyValueProof<mmr::Family, sha256::Digest, CHUNK>;

/// What stands at a key, and why one may believe it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proven {
    /// The state root that it is proven against.
    pub root: B256,
    /// What stands there.
    pub value: Value,
    /// The proof, encoded.
    pub proof: Bytes,
}

/// Proves what stands at a key in the state as it is now; `None` if nothing does.
///
/// # Errors
///
/// When the state cannot be read.
pub async fn prove<E: StorageContext + Spawner>(
    databases: &Databases<E>,
    key: Key,
) -> Result<Option<Proven>, ReadError> {
    let unread = |error: StoreError<mmr::Family>| ReadError(error.to_string());
    let state = databases.read().await;
    let Some(value) = state.get(&digest(key)).await.map_err(unread)? else {
        return Ok(None);
    };
    let proof = state.key_value_proof(digest(key)).await.map_err(unread)?;
    Ok(Some(Proven {
        root: word(&state.root()),
        value: value.into_value(),
        proof: proof.encode(),
    }))
}

/// Whether `proof` shows that `value` stands at `key` in the state with this root.
pub fn shows(root: B256, key: Key, value: &[u8], proof: &[u8]) -> bool {
    if value.len() > MAX_VALUE_LENGTH || proof.len() > MAX_LENGTH {
        return false;
    }
    let Ok(proof) = Proof::decode_cfg(Bytes::copy_from_slice(proof), &MAX_DIGESTS) else {
        return false;
    };
    let stands = Operation::Update(Update(digest(key), StoredValue::new(value)));
    proof.verify::<Sha256, _>(stands, &digest(root))
}

/// Why an answer of `mileverse_stateProof` is not believed.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
pub enum Doubt {
    /// It is about something else.
    #[error("the node proves another key than it was asked for")]
    OtherKey,
    /// Its header cannot be read.
    #[error("the node's header cannot be read; is it of another version?")]
    Header,
    /// Its header is of another block than it says.
    #[error("the node names another block than its header")]
    OtherBlock,
    /// The group key did not sign the header.
    #[error(
        "the block is not signed by the group key; if the key was rotated since, name the one in force"
    )]
    Signature,
    /// The proof does not lead to the header's state root.
    #[error("the proof does not show that this value stands in the block's state")]
    Proof,
}

/// Checks all of an answer for a key, from the group key down; gives the header of the block after which
/// the value stands.
///
/// # Errors
///
/// The first thing that does not hold.
pub fn check(
    answer: &StateProof,
    chain_id: u64,
    group_key: &GroupKey,
    key: Key,
) -> Result<Header, Doubt> {
    if answer.key != key {
        return Err(Doubt::OtherKey);
    }
    let header = Header::decode(&answer.header).map_err(|_| Doubt::Header)?;
    let signed = &answer.certificate;
    if header.height != answer.height || header.digest() != signed.digest {
        return Err(Doubt::OtherBlock);
    }
    let message = certificate::message(
        chain_id,
        signed.epoch,
        signed.view,
        signed.parent_view,
        header.digest(),
    );
    if !bls::is_signed(group_key, &message, &signed.signature) {
        return Err(Doubt::Signature);
    }
    if shows(header.state.root, key, &answer.value, &answer.proof) {
        Ok(header)
    } else {
        Err(Doubt::Proof)
    }
}
