//! A block's system section: what consensus itself puts into a block.
//!
//! ```txt
//! section     = payload ‖ (after an epoch info: varint(endorsements) ‖ each) ‖ varint(attestations) ‖ each
//! payload     = 0                             none
//!             | 1 ‖ 0 ‖ dealer log            from the epoch's middle to the block before its last
//!             | 1 ‖ 1 ‖ epoch info            in the epoch's last block (and in the genesis block)
//! endorsement = player (32) ‖ signature (64)   only beside a new group key (`rotation`)
//! attestation = epoch (8) ‖ height (8) ‖ digest (32) ‖ delegate (32) ‖ signature (64), big endian
//! ```
//!
//! Dealer log and epoch info are commonware-glue's (`dkg`, "Message Sizes"). The header's system
//! root is keccak256 of the section. Limits: [`MAX_ATTESTATIONS`]; sets of at most 99 members, from
//! which [`MAX_BYTES`](max_bytes) follows.

use crate::{
    attestation::wire::{LENGTH as ATTESTATION_LENGTH, Wire},
    block::Payload,
    bls,
    committee::{MAX_PARTICIPANTS, SHARING_MODES},
    rotation::{self, Endorsement},
};
use bytes::BufMut;
use commonware_codec::{
    Buf, Encode as _, EncodeSize, Error as CodecError, FixedSize as _, RangeCfg, Read,
    ReadExt as _, Write,
};
use mileverse_execution::NewKey;
use mileverse_primitives::{B256, keccak256, vote::Attestation};

/// Most attestations in one block.
pub const MAX_ATTESTATIONS: usize = 128;

/// The system section.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct System {
    /// What the ceremony has to say.
    pub payload: Option<Payload>,
    /// Beside an epoch info with a new group key: its players' endorsements, ascending by player.
    pub endorsements: Vec<Endorsement>,
    /// What delegates say of earlier results.
    pub attestations: Vec<Attestation>,
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let payload = match &self.payload {
            None => "none",
            Some(Payload::DealerLog(_)) => "dealer log",
            Some(Payload::EpochInfo(_)) => "epoch info",
        };
        f.debug_struct("System")
            .field("payload", &payload)
            .field("endorsements", &self.endorsements.len())
            .field("attestations", &self.attestations.len())
            .finish()
    }
}

impl System {
    /// Whether this opens an epoch.
    const fn opens(&self) -> bool {
        matches!(self.payload, Some(Payload::EpochInfo(_)))
    }

    /// The group key that takes over after this block, if one does.
    pub fn new_key(&self) -> Option<NewKey> {
        match &self.payload {
            Some(Payload::EpochInfo(info)) if !self.endorsements.is_empty() => Some(NewKey {
                first_epoch: info.epoch.get(),
                key: bls::group_key(info.output.public().public()).ok()?,
            }),
            _ => None,
        }
    }

    /// keccak256 of the section, as it stands in the header.
    pub fn root(&self) -> B256 {
        keccak256(self.encode())
    }
}

/// Most bytes of a section.
pub fn max_bytes() -> usize {
    1 + Payload::max_encode_size(MAX_PARTICIPANTS)
        + 10
        + rotation::MAX_PLAYERS * Endorsement::SIZE
        + 10
        + MAX_ATTESTATIONS * ATTESTATION_LENGTH
}

impl Write for System {
    fn write(&self, buf: &mut impl BufMut) {
        self.payload.write(buf);
        if self.opens() {
            self.endorsements.write(buf);
        }
        self.attestations.len().write(buf);
        for attestation in &self.attestations {
            Wire(*attestation).write(buf);
        }
    }
}

impl EncodeSize for System {
    fn encode_size(&self) -> usize {
        let endorsements = if self.opens() {
            self.endorsements.encode_size()
        } else {
            0
        };
        self.payload.encode_size()
            + endorsements
            + self.attestations.len().encode_size()
            + self.attestations.len() * ATTESTATION_LENGTH
    }
}

impl Read for System {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        let payload = Option::<Payload>::read_cfg(buf, &(MAX_PARTICIPANTS, SHARING_MODES))?;
        let endorsements = match &payload {
            Some(Payload::EpochInfo(_)) => {
                Vec::<Endorsement>::read_cfg(buf, &rotation::wire::in_block())?
            }
            _ => Vec::new(),
        };
        let count = usize::read_cfg(buf, &RangeCfg::new(0..=MAX_ATTESTATIONS))?;
        let attestations = (0..count)
            .map(|_| Wire::read(buf).map(|wire| wire.0))
            .collect::<Result<_, CodecError>>()?;
        Ok(Self {
            payload,
            endorsements,
            attestations,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use commonware_codec::{Copying, DecodeExt as _};
    use mileverse_primitives::vote::SIGNATURE_LENGTH;

    fn section(attestations: u8) -> System {
        System {
            payload: None,
            endorsements: Vec::new(),
            attestations: (0..attestations)
                .map(|number| Attestation {
                    epoch: 1,
                    height: u64::from(number),
                    digest: B256::repeat_byte(number),
                    delegate: B256::repeat_byte(3),
                    signature: [number; SIGNATURE_LENGTH],
                })
                .collect(),
        }
    }

    #[test]
    fn sections_round_trip_and_every_byte_counts() {
        for count in [0, 1, 127, 128] {
            let section = section(count);
            let bytes = section.encode().to_vec();
            assert_eq!(bytes.len(), section.encode_size());
            assert!(bytes.len() <= max_bytes());
            assert_eq!(System::decode(Copying(bytes.as_slice())).unwrap(), section);
            for at in 0..bytes.len() {
                let mut bent = bytes.clone();
                bent[at] ^= 1;
                if let Ok(other) = System::decode(Copying(bent.as_slice())) {
                    assert_ne!(other.root(), section.root(), "byte {at}");
                }
            }
        }
        let too_many = section(129).encode();
        assert!(System::decode(Copying(too_many.as_ref())).is_err());
    }
}
