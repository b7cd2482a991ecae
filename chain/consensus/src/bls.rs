//! BLS12-381 points in the shapes that Ethereum's precompiles take (EIP-2537).
//!
//! ```txt
//! commonware   G1 48 bytes compressed, G2 96 bytes compressed
//! EIP-2537     field element: 16 zero bytes ‖ 48 bytes, big-endian
//!              G1: x ‖ y (128 bytes)     G2: x.c0 ‖ x.c1 ‖ y.c0 ‖ y.c1 (256 bytes)
//! ```
//!
//! blst's uncompressed G2 puts `c1` before `c0`; Ethereum the other way round.

use blst::min_sig::{PublicKey, Signature};
use commonware_codec::Encode as _;
use commonware_codec::{Copying, DecodeExt};
use commonware_cryptography::bls12381::primitives::variant::{MinSig, Variant};
use mileverse_primitives::{
    Bytes,
    certificate::{G1_LENGTH, G2_LENGTH},
    packet::GroupKey,
};
use thiserror::Error;

const FIELD: usize = 48;
const PADDING: [u8; 16] = [0; 16];

/// Bytes that are no point of the group.
#[derive(Debug, Error)]
#[error("not a valid BLS12-381 point")]
pub struct InvalidPoint;

/// A signature as Ethereum takes it: 128 bytes.
pub fn signature(point: &<MinSig as Variant>::Signature) -> Result<Bytes, InvalidPoint> {
    let point = Signature::from_bytes(&point.encode()).map_err(|_| InvalidPoint)?;
    let mut out = Vec::with_capacity(G1_LENGTH);
    for field in point.serialize().chunks(FIELD) {
        out.extend_from_slice(&PADDING);
        out.extend_from_slice(field);
    }
    Ok(out.into())
}

/// A public key as Ethereum takes it: 256 bytes.
pub fn public_key(point: &<MinSig as Variant>::Public) -> Result<Bytes, InvalidPoint> {
    let point = PublicKey::from_bytes(&point.encode()).map_err(|_| InvalidPoint)?;
    let uncompressed = point.serialize();
    let mut out = Vec::with_capacity(G2_LENGTH);
    for pair in uncompressed.chunks(2 * FIELD) {
        let (c1, c0) = pair.split_at(FIELD);
        for field in [c0, c1] {
            out.extend_from_slice(&PADDING);
            out.extend_from_slice(field);
        }
    }
    Ok(out.into())
}

/// A public key as execution takes it.
pub fn group_key(point: &<MinSig as Variant>::Public) -> Result<GroupKey, InvalidPoint> {
    GroupKey::try_from(public_key(point)?.as_ref()).map_err(|_| InvalidPoint)
}

/// Reads a public key as Ethereum takes it.
pub fn read_group_key(key: &GroupKey) -> Result<<MinSig as Variant>::Public, InvalidPoint> {
    let mut uncompressed = Vec::with_capacity(4 * FIELD);
    for pair in key.chunks_exact(2 * (PADDING.len() + FIELD)) {
        let (c0, c1) = pair.split_at(PADDING.len() + FIELD);
        for field in [c1, c0] {
            let (padding, field) = field.split_at(PADDING.len());
            if padding != PADDING {
                return Err(InvalidPoint);
            }
            uncompressed.extend_from_slice(field);
        }
    }
    let point = PublicKey::deserialize(&uncompressed).map_err(|_| InvalidPoint)?;
    DecodeExt::decode(Copying(point.compress().as_slice())).map_err(|_| InvalidPoint)
}
