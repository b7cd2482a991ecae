//! Packets: what crosses between two chains, and their one canonical encoding.
//!
//! ```txt
//! offset  size
//! 0       1     version = 1
//! 1       1     kind: 1 = transfer, 2 = expiry, 3 = rotation
//! 2       8     source chain id
//! 10      8     destination chain id
//! 18      8     sequence, from 1
//! 26      ...   body
//!
//! transfer (134 bytes in all)          expiry (160 bytes in all)
//! 26      8     deadline, seconds      26   134   the transfer packet that expired
//! 34      8     token's home chain id
//! 42      20    token at home
//! 62      20    sender
//! 82      20    receiver
//! 102     32    amount
//!
//! rotation (298 bytes in all)
//! 26      8     number of the new key
//! 34      8     first epoch that it signs
//! 42      256   the new group key: G2, uncompressed (EIP-2537)
//! ```
//!
//! Integers are big-endian. A decoder consumes every byte or refuses, so that one packet has one
//! encoding and one [`commitment`](Packet::commitment). `docs/protocol.md` is the specification.

use crate::certificate::G2_LENGTH;
use alloy::primitives::{Address, B256, Bytes, FixedBytes, U256, keccak256};
use thiserror::Error;

/// The only version there is.
pub const VERSION: u8 = 1;
/// Bytes of an encoded transfer.
pub const TRANSFER_LENGTH: usize = HEADER_LENGTH + 108;
/// Bytes of an encoded expiry.
pub const EXPIRY_LENGTH: usize = HEADER_LENGTH + TRANSFER_LENGTH;
/// Bytes of an encoded rotation.
pub const ROTATION_LENGTH: usize = HEADER_LENGTH + 16 + G2_LENGTH;
/// How far ahead of the source's clock a deadline may lie, in seconds: 30 days.
pub const MAX_LIFETIME_SECONDS: u64 = 30 * 24 * 60 * 60;
/// The mark that replaces a stored commitment once its packet is refunded.
pub const REFUNDED: B256 = {
    let mut mark = [0u8; 32];
    mark[31] = 1;
    B256::new(mark)
};

const HEADER_LENGTH: usize = 26;
const KIND_TRANSFER: u8 = 1;
const KIND_EXPIRY: u8 = 2;
const KIND_ROTATION: u8 = 3;

/// Why bytes are not a packet.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
pub enum DecodeError {
    /// Shorter or longer than its kind requires.
    #[error("a packet of this kind is {expected} bytes long, these are {actual}")]
    Length {
        /// What the kind requires.
        expected: usize,
        /// What was given.
        actual: usize,
    },
    /// A version this code does not speak.
    #[error("packet version {0} is unknown; this side speaks version {VERSION}")]
    Version(u8),
    /// A kind this code does not know.
    #[error("packet kind {0} is unknown")]
    Kind(u8),
    /// Sequences start at 1.
    #[error("packet sequence is zero; sequences start at 1")]
    ZeroSequence,
    /// A transfer of nothing.
    #[error("packet amount is zero")]
    ZeroAmount,
    /// Source and destination are the same chain.
    #[error("packet goes from chain {0} to itself")]
    SameChain(u64),
    /// What expired is not a transfer that went the other way.
    #[error("an expiry must hold a transfer that was sent to the chain it comes from")]
    Expired,
}

/// What names a packet: no two packets share it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PacketId {
    /// Chain that sent it.
    pub source: u64,
    /// Chain it goes to.
    pub destination: u64,
    /// Its number on this route, from 1.
    pub sequence: u64,
}

/// A token, named by the chain it was made on and its contract there.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Token {
    /// Chain id of the token's home.
    pub home: u64,
    /// Its contract at home.
    pub contract: Address,
}

/// Tokens on their way to a receiver.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transfer {
    /// Its name.
    pub id: PacketId,
    /// Last second, in the destination's block time, at which it may be received.
    pub deadline: u64,
    /// What moves.
    pub token: Token,
    /// Who locked it, and who is refunded.
    pub sender: Address,
    /// Who receives it.
    pub receiver: Address,
    /// How much, in the token's smallest unit.
    pub amount: U256,
}

/// News that a transfer was not received in time and never will be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expiry {
    /// Its own name, as a packet on the way home.
    pub id: PacketId,
    /// The transfer that expired, whole.
    pub expired: Transfer,
}

/// A group key: a G2 point, uncompressed, as EIP-2537 has it. Not necessarily a good one.
pub type GroupKey = FixedBytes<G2_LENGTH>;

/// News that the delegates sign with another key from an epoch on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rotation {
    /// Its name.
    pub id: PacketId,
    /// Number of the new key; the chain begins with number 0, and numbers only grow.
    pub key_version: u64,
    /// First epoch that the new key signs; later than the epoch of the block that holds this.
    pub first_epoch: u64,
    /// The new key.
    pub key: Box<GroupKey>,
}

/// Anything that crosses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Packet {
    /// Tokens on their way.
    Transfer(Transfer),
    /// A refund's release.
    Expiry(Expiry),
    /// A new key of the chain that it comes from.
    Rotation(Rotation),
}

impl Packet {
    /// The packet's name.
    pub const fn id(&self) -> PacketId {
        match self {
            Self::Transfer(transfer) => transfer.id,
            Self::Expiry(expiry) => expiry.id,
            Self::Rotation(rotation) => rotation.id,
        }
    }

    /// The transfer that this is, or that it reports as expired.
    pub const fn transfer(&self) -> Option<&Transfer> {
        match self {
            Self::Transfer(transfer) => Some(transfer),
            Self::Expiry(expiry) => Some(&expiry.expired),
            Self::Rotation(_) => None,
        }
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Transfer(transfer) => transfer.encode().into(),
            Self::Expiry(expiry) => {
                let mut out = Vec::with_capacity(EXPIRY_LENGTH);
                header(&mut out, KIND_EXPIRY, expiry.id);
                out.extend_from_slice(&expiry.expired.encode());
                out.into()
            }
            Self::Rotation(rotation) => {
                let mut out = Vec::with_capacity(ROTATION_LENGTH);
                header(&mut out, KIND_ROTATION, rotation.id);
                out.extend_from_slice(&rotation.key_version.to_be_bytes());
                out.extend_from_slice(&rotation.first_epoch.to_be_bytes());
                out.extend_from_slice(rotation.key.as_slice());
                out.into()
            }
        }
    }

    /// `keccak256` of the canonical bytes: what the source stores and the destination is shown.
    pub fn commitment(&self) -> B256 {
        keccak256(self.encode())
    }

    /// Reads one packet from exactly these bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (kind, id) = reader.header(TRANSFER_LENGTH)?;
        match kind {
            KIND_TRANSFER => Ok(Self::Transfer(Transfer::read_body(reader, id)?)),
            KIND_EXPIRY => {
                reader.exactly(EXPIRY_LENGTH)?;
                let mut inner = Reader::new(reader.rest);
                let (inner_kind, inner_id) = inner.header(TRANSFER_LENGTH)?;
                if inner_kind != KIND_TRANSFER
                    || inner_id.source != id.destination
                    || inner_id.destination != id.source
                {
                    return Err(DecodeError::Expired);
                }
                let expired = Transfer::read_body(inner, inner_id)?;
                Ok(Self::Expiry(Expiry { id, expired }))
            }
            KIND_ROTATION => {
                reader.exactly(ROTATION_LENGTH)?;
                Ok(Self::Rotation(Rotation {
                    id,
                    key_version: reader.u64()?,
                    first_epoch: reader.u64()?,
                    key: Box::new(GroupKey::new(reader.take()?)),
                }))
            }
            other => Err(DecodeError::Kind(other)),
        }
    }
}

impl Transfer {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRANSFER_LENGTH);
        header(&mut out, KIND_TRANSFER, self.id);
        out.extend_from_slice(&self.deadline.to_be_bytes());
        out.extend_from_slice(&self.token.home.to_be_bytes());
        out.extend_from_slice(self.token.contract.as_slice());
        out.extend_from_slice(self.sender.as_slice());
        out.extend_from_slice(self.receiver.as_slice());
        out.extend_from_slice(&self.amount.to_be_bytes::<32>());
        out
    }

    fn read_body(mut reader: Reader<'_>, id: PacketId) -> Result<Self, DecodeError> {
        reader.exactly(TRANSFER_LENGTH)?;
        let transfer = Self {
            id,
            deadline: reader.u64()?,
            token: Token {
                home: reader.u64()?,
                contract: Address::new(reader.take()?),
            },
            sender: Address::new(reader.take()?),
            receiver: Address::new(reader.take()?),
            amount: U256::from_be_bytes(reader.take::<32>()?),
        };
        if transfer.amount.is_zero() {
            return Err(DecodeError::ZeroAmount);
        }
        Ok(transfer)
    }
}

fn header(out: &mut Vec<u8>, kind: u8, id: PacketId) {
    out.push(VERSION);
    out.push(kind);
    out.extend_from_slice(&id.source.to_be_bytes());
    out.extend_from_slice(&id.destination.to_be_bytes());
    out.extend_from_slice(&id.sequence.to_be_bytes());
}

struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            total: bytes.len(),
        }
    }

    const fn exactly(&self, expected: usize) -> Result<(), DecodeError> {
        if self.total == expected {
            Ok(())
        } else {
            Err(DecodeError::Length {
                expected,
                actual: self.total,
            })
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Length {
                expected: TRANSFER_LENGTH,
                actual: self.total,
            })?;
        self.rest = rest;
        Ok(*head)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_be_bytes)
    }

    fn header(&mut self, shortest: usize) -> Result<(u8, PacketId), DecodeError> {
        if self.total < shortest {
            return Err(DecodeError::Length {
                expected: shortest,
                actual: self.total,
            });
        }
        let [version, kind] = self.take()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let id = PacketId {
            source: self.u64()?,
            destination: self.u64()?,
            sequence: self.u64()?,
        };
        if id.sequence == 0 {
            return Err(DecodeError::ZeroSequence);
        }
        if id.source == id.destination {
            return Err(DecodeError::SameChain(id.source));
        }
        Ok((kind, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn transfers() -> impl Strategy<Value = Transfer> {
        (
            (1u64..=u64::MAX, any::<u64>(), any::<u64>()),
            any::<u64>(),
            any::<[u8; 20]>(),
            any::<[u8; 20]>(),
            any::<[u8; 20]>(),
            1u128..=u128::MAX,
        )
            .prop_filter("two chains", |((_, a, b), ..)| a != b)
            .prop_map(
                |((sequence, source, destination), deadline, token, sender, receiver, amount)| {
                    Transfer {
                        id: PacketId {
                            source,
                            destination,
                            sequence,
                        },
                        deadline,
                        token: Token {
                            home: source,
                            contract: token.into(),
                        },
                        sender: sender.into(),
                        receiver: receiver.into(),
                        amount: U256::from(amount),
                    }
                },
            )
    }

    fn expiry_of(expired: Transfer, sequence: u64) -> Packet {
        Packet::Expiry(Expiry {
            id: PacketId {
                source: expired.id.destination,
                destination: expired.id.source,
                sequence,
            },
            expired,
        })
    }

    fn rotation_beside(transfer: &Transfer) -> Packet {
        Packet::Rotation(Rotation {
            id: transfer.id,
            key_version: transfer.deadline,
            first_epoch: transfer.id.sequence,
            key: Box::new(GroupKey::repeat_byte(transfer.sender[0])),
        })
    }

    proptest! {
        #[test]
        fn encoding_is_one_to_one(transfer in transfers(), sequence in 1u64..) {
            let rotation = rotation_beside(&transfer);
            for packet in [Packet::Transfer(transfer.clone()), expiry_of(transfer, sequence), rotation] {
                let bytes = packet.encode();
                prop_assert_eq!(Packet::decode(&bytes), Ok(packet.clone()));
                // One byte less or more is never a packet.
                prop_assert!(Packet::decode(&bytes[..bytes.len() - 1]).is_err());
                let mut longer = bytes.to_vec();
                longer.push(0);
                prop_assert!(Packet::decode(&longer).is_err());
            }
        }

        #[test]
        fn any_changed_byte_changes_the_commitment_or_is_refused(transfer in transfers(), at in 0usize..TRANSFER_LENGTH, flip in 1u8..) {
            let packet = Packet::Transfer(transfer);
            let mut bytes = packet.encode().to_vec();
            bytes[at] ^= flip;
            if let Ok(other) = Packet::decode(&bytes) {
                prop_assert_ne!(other.commitment(), packet.commitment());
            }
        }

        #[test]
        fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Packet::decode(&bytes);
        }
    }

    #[test]
    fn an_expiry_must_turn_its_packet_around() {
        let transfer = Transfer {
            id: PacketId {
                source: 1,
                destination: 2,
                sequence: 9,
            },
            deadline: 5,
            token: Token {
                home: 1,
                contract: Address::repeat_byte(3),
            },
            sender: Address::repeat_byte(4),
            receiver: Address::repeat_byte(5),
            amount: U256::from(6),
        };
        let mut bytes = expiry_of(transfer, 1).encode().to_vec();
        bytes[9] = 7; // source chain of the expiry
        assert_eq!(Packet::decode(&bytes), Err(DecodeError::Expired));
    }
}
