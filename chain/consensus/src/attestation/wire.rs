//! Attestations as bytes.
//!
//! ```txt
//! offset  size
//! 0       8     epoch            } big endian
//! 8       8     height           }
//! 16      32    digest
//! 48      32    delegate (ed25519 public key)
//! 80      64    signature
//! ```
//!
//! The same 144 bytes stand in messages between nodes and in a block's system section. A list is
//! `varint(count) ‖ each`.

use bytes::BufMut;
use commonware_codec::{Buf, Error as CodecError, FixedSize, Read, ReadExt as _, Write};
use mileverse_primitives::{
    B256,
    vote::{Attestation, SIGNATURE_LENGTH},
};

/// Bytes of one attestation.
pub const LENGTH: usize = 8 + 8 + 32 + 32 + SIGNATURE_LENGTH;

/// An attestation that commonware's codec can read and write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wire(pub Attestation);

impl Write for Wire {
    fn write(&self, buf: &mut impl BufMut) {
        buf.put_u64(self.0.epoch);
        buf.put_u64(self.0.height);
        buf.put_slice(self.0.digest.as_slice());
        buf.put_slice(self.0.delegate.as_slice());
        buf.put_slice(&self.0.signature);
    }
}

impl FixedSize for Wire {
    const SIZE: usize = LENGTH;
}

impl Read for Wire {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        Ok(Self(Attestation {
            epoch: u64::read(buf)?,
            height: u64::read(buf)?,
            digest: B256::new(<[u8; 32]>::read(buf)?),
            delegate: B256::new(<[u8; 32]>::read(buf)?),
            signature: <[u8; SIGNATURE_LENGTH]>::read(buf)?,
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::signature::{attestations_are_signed as verify_all, sign_attestation};
    use commonware_codec::{Copying, DecodeExt as _, Encode as _};
    use commonware_cryptography::{Signer as _, ed25519};
    use proptest::prelude::*;

    fn attestation(seed: u64, height: u64) -> Attestation {
        let key = ed25519::PrivateKey::from_seed(seed);
        sign_attestation(&key, 7, height / 32, height, B256::repeat_byte(3))
    }

    proptest! {
        #[test]
        fn encoding_is_one_to_one(seed: u64, epoch: u64, height: u64, digest: [u8; 32], cut in 1usize..=LENGTH) {
            let key = ed25519::PrivateKey::from_seed(seed);
            let one = sign_attestation(&key, 7, epoch, height, digest.into());
            let bytes = Wire(one).encode();
            prop_assert_eq!(bytes.len(), LENGTH);
            prop_assert_eq!(Wire::decode(bytes.clone()).unwrap(), Wire(one));
            prop_assert!(Wire::decode(bytes.slice(..LENGTH - cut)).is_err());
            prop_assert!(Wire::decode([bytes.as_ref(), &[0]].concat()).is_err());
        }

        #[test]
        fn every_bit_is_signed(seed: u64, height: u64, bit in 0..LENGTH * 8) {
            let mut bytes = Wire(attestation(seed, height)).encode().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let other = Wire::decode(Copying(&bytes[..])).unwrap().0;
            prop_assert!(!verify_all(7, &[other]));
        }

        #[test]
        fn a_batch_is_as_good_as_its_worst(count in 1usize..40, bad in any::<prop::sample::Index>()) {
            let mut batch: Vec<_> = (0..count as u64).map(|seed| attestation(seed, 8 * seed)).collect();
            prop_assert!(verify_all(7, &batch));
            prop_assert!(!verify_all(8, &batch), "another chain");
            batch[bad.index(count)].height += 1;
            prop_assert!(!verify_all(7, &batch));
        }
    }

    #[test]
    fn keys_that_are_no_points_are_refused() {
        let mut one = attestation(1, 8);
        one.delegate = B256::repeat_byte(0xff);
        assert!(!verify_all(7, &[one]));
        assert!(verify_all(7, &[]));
    }
}
