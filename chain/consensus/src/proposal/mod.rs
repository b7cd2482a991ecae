//! A header with its leader's own signature.
//!
//! ```txt
//! varint(length of header) ‖ header (Header::encode) ‖ signature (64, ed25519)
//! ```
//!
//! What is signed stands in `mileverse_primitives::vote`. At most [`MAX_BYTES`].

mod signer;

pub use signer::{Proposer, SigningError};

use crate::signature;
use bytes::BufMut;
use commonware_codec::{
    Buf, EncodeSize, Error as CodecError, RangeCfg, Read, ReadExt as _, Write, varint::UInt,
};
use commonware_cryptography::ed25519;
use mileverse_primitives::{
    header::{self, Header},
    vote::SIGNATURE_LENGTH,
};

/// Most bytes of a signed header.
pub const MAX_BYTES: usize = 2 + header::MAX_LENGTH + SIGNATURE_LENGTH;

/// A header, and the leader's word that it proposed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedHeader {
    /// The header.
    pub header: Header,
    /// Over its digest, by the leader that it names.
    pub signature: [u8; SIGNATURE_LENGTH],
}

impl SignedHeader {
    /// Signs `header`, whose leader must be `key`'s owner for the signature to mean anything.
    pub fn sign(chain_id: u64, header: Header, key: &ed25519::PrivateKey) -> Self {
        Self {
            signature: signature::sign_proposal(key, chain_id, header.digest()),
            header,
        }
    }

    /// Whether the leader that the header names signed it for this chain.
    pub fn verify(&self, chain_id: u64) -> bool {
        signature::proposal_is_signed(chain_id, &self.header, &self.signature)
    }
}

impl Write for SignedHeader {
    fn write(&self, buf: &mut impl BufMut) {
        self.header.encode().as_slice().write(buf);
        buf.put_slice(&self.signature);
    }
}

impl EncodeSize for SignedHeader {
    fn encode_size(&self) -> usize {
        let header = self.header.encoded_length();
        UInt(header as u64).encode_size() + header + SIGNATURE_LENGTH
    }
}

impl Read for SignedHeader {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        let header = Vec::<u8>::read_cfg(buf, &(RangeCfg::new(0..=header::MAX_LENGTH), ()))?;
        let header = Header::decode(&header)
            .map_err(|_| CodecError::Invalid("SignedHeader", "not a header"))?;
        let signature = <[u8; SIGNATURE_LENGTH]>::read(buf)?;
        Ok(Self { header, signature })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use commonware_codec::{Copying, DecodeExt as _, Encode as _};
    use commonware_cryptography::Signer as _;
    use mileverse_primitives::{
        B256,
        checkpoint::Checkpoint,
        header::{StateCommitment, Turn},
    };
    use proptest::prelude::*;

    fn header(key: &ed25519::PrivateKey, height: u64, checkpoint: bool) -> Header {
        Header {
            outbox_root: B256::repeat_byte(1),
            parent: B256::repeat_byte(2),
            height,
            timestamp_ms: 3,
            gas_limit: 4,
            gas_used: 5,
            transactions_root: B256::repeat_byte(6),
            receipts_root: B256::repeat_byte(7),
            system_root: B256::repeat_byte(17),
            logs_bloom: Default::default(),
            state: StateCommitment {
                root: B256::repeat_byte(8),
                operations_root: B256::repeat_byte(8),
                start: 9,
                end: 10,
            },
            turn: Turn {
                epoch: 11,
                view: 12,
                parent_view: 11,
                leader: B256::from_slice(&key.public_key()),
            },
            checkpoint: checkpoint.then_some(Checkpoint {
                number: 13,
                hash: B256::repeat_byte(14),
                state_root: B256::repeat_byte(15),
                timestamp: 16,
            }),
        }
    }

    proptest! {
        #[test]
        fn encoding_is_one_to_one(seed: u64, height: u64, checkpoint: bool, cut in 1usize..200) {
            let key = ed25519::PrivateKey::from_seed(seed);
            let signed = SignedHeader::sign(7, header(&key, height, checkpoint), &key);
            let bytes = signed.encode();
            prop_assert!(bytes.len() <= MAX_BYTES);
            prop_assert_eq!(SignedHeader::decode(bytes.clone()).unwrap(), signed);
            prop_assert!(SignedHeader::decode(bytes.slice(..bytes.len() - cut)).is_err());
            prop_assert!(SignedHeader::decode([bytes.as_ref(), &[0]].concat()).is_err());
        }

        #[test]
        fn every_bit_is_signed(seed: u64, checkpoint: bool, at in any::<prop::sample::Index>()) {
            let key = ed25519::PrivateKey::from_seed(seed);
            let signed = SignedHeader::sign(7, header(&key, 1, checkpoint), &key);
            prop_assert!(signed.verify(7) && !signed.verify(8));
            let mut bytes = signed.encode().to_vec();
            let bit = at.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = SignedHeader::decode(Copying(&bytes[..])) {
                prop_assert!(!other.verify(7));
            }
        }
    }
}
