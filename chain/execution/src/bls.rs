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
use commonware_cryptography::bls12381::primitives::{
    ops,
    variant::{MinSig, Variant},
};
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

/// Reads a public key as Ethereum takes it: a point of the subgroup, not the identity, in the one
/// encoding that EIP-2537 has.
pub fn read_group_key(key: &GroupKey) -> Result<<MinSig as Variant>::Public, InvalidPoint> {
    let mut uncompressed = Vec::with_capacity(4 * FIELD);
    for pair in key.chunks_exact(2 * (PADDING.len() + FIELD)) {
        let (c0, c1) = pair.split_at(PADDING.len() + FIELD);
        for padded in [c1, c0] {
            uncompressed.extend_from_slice(field(padded)?);
        }
    }
    let point = PublicKey::deserialize(&uncompressed).map_err(|_| InvalidPoint)?;
    DecodeExt::decode(Copying(point.compress().as_slice())).map_err(|_| InvalidPoint)
}

/// Reads a signature as Ethereum takes it, by the same rules.
pub fn read_signature(signature: &[u8]) -> Result<<MinSig as Variant>::Signature, InvalidPoint> {
    if signature.len() != G1_LENGTH {
        return Err(InvalidPoint);
    }
    let mut uncompressed = Vec::with_capacity(2 * FIELD);
    for padded in signature.chunks_exact(PADDING.len() + FIELD) {
        uncompressed.extend_from_slice(field(padded)?);
    }
    let point = Signature::deserialize(&uncompressed).map_err(|_| InvalidPoint)?;
    DecodeExt::decode(Copying(point.compress().as_slice())).map_err(|_| InvalidPoint)
}

/// Whether a group signed a message, both points as Ethereum takes them. What is no point signed nothing.
pub fn is_signed(key: &GroupKey, message: &[u8], signature: &[u8]) -> bool {
    read_group_key(key).is_ok_and(|public| {
        read_signature(signature).is_ok_and(|signature| {
            ops::verify::<MinSig>(&public, MinSig::MESSAGE, message, &signature).is_ok()
        })
    })
}

/// The 48 bytes of a padded field element. Those below the modulus begin with three zero bits, where
/// blst keeps its flags: no flag is read from outside.
fn field(padded: &[u8]) -> Result<&[u8], InvalidPoint> {
    let (padding, field) = padded.split_at_checked(PADDING.len()).ok_or(InvalidPoint)?;
    let is_flagged = field.first().is_none_or(|byte| byte >> 5 != 0);
    if padding != PADDING || is_flagged {
        return Err(InvalidPoint);
    }
    Ok(field)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use commonware_utils::TestRng;

    #[test]
    fn points_have_one_encoding() {
        let (private, public) = ops::keypair::<_, MinSig>(&mut TestRng::new(1));
        let signed = ops::sign::<MinSig>(&private, MinSig::MESSAGE, b"bytes");
        let key = group_key(&public).unwrap();
        let good = signature(&signed).unwrap();
        assert_eq!(read_group_key(&key).unwrap(), public);
        assert_eq!(read_signature(&good).unwrap(), signed);
        assert!(is_signed(&key, b"bytes", &good));
        assert!(!is_signed(&key, b"other bytes", &good));
        assert!(!is_signed(&GroupKey::default(), b"bytes", &good));
        assert!(!is_signed(&key, b"bytes", &[]));
        // blst's flags at every place where it, or its padding, could read one.
        for at in (0..G1_LENGTH).filter(|at| at % 64 <= 16) {
            for flag in [0x20, 0x40, 0x80] {
                let mut bent = good.to_vec();
                *bent.get_mut(at).unwrap() |= flag;
                assert!(read_signature(&bent).is_err(), "byte {at}");
            }
        }
        for at in (0..G2_LENGTH).filter(|at| at % 64 <= 16) {
            let mut bent = key;
            *bent.get_mut(at).unwrap() |= 0x40;
            assert!(read_group_key(&bent).is_err(), "byte {at}");
        }
        // The identity, as EIP-2537 has it and as blst does.
        let mut identity = vec![0; G1_LENGTH];
        assert!(read_signature(&identity).is_err());
        *identity.get_mut(16).unwrap() = 0x40;
        assert!(read_signature(&identity).is_err());
        assert!(read_group_key(&GroupKey::ZERO).is_err());
        // Too short, too long.
        assert!(read_signature(good.get(..G1_LENGTH - 1).unwrap()).is_err());
        assert!(read_signature(&[&good[..], &[0]].concat()).is_err());
    }
}
