//! Packets: what crosses between two chains, and their one canonical encoding.
//!
//! ```txt
//! offset  size
//! 0       1     version = 1
//! 1       1     kind: 1 = transfer, 2 = expiry, 3 = rotation, 4 = transfer with an action,
//!               5 = acknowledgement; 0x80 beside 1 or 4: the sender wants an acknowledgement
//! 2       8     source chain id
//! 10      8     destination chain id
//! 18      8     sequence, from 1
//! 26      ...   body
//!
//! transfer (134 bytes in all)          expiry, acknowledgement (160 or 193 bytes in all)
//! 26      8     deadline, seconds      26   134   the transfer packet that expired, or was
//! 34      8     token's home chain id       or 167   received, with its action
//! 42      20    token at home
//! 62      20    sender
//! 82      20    receiver
//! 102     32    amount
//!
//! transfer with an action (167 bytes in all; Ethereum to the native chain only)
//! 26      108   as a transfer's body
//! 134     1     action: 1 = swap
//! 135     32    argument; of a swap: the least that must arrive, in the other token's smallest unit
//!
//! rotation (298 bytes in all)
//! 26      8     number of the new key
//! 34      8     first epoch that it signs
//! 42      256   the new group key: G2, uncompressed (EIP-2537)
//! ```
//!
//! Only a transfer can want an acknowledgement, so news is never answered with news.
//! Integers are big-endian. A decoder consumes every byte or refuses, so that one packet has one
//! encoding and one [`commitment`](Packet::commitment). `docs/protocol.md` is the specification.

use crate::certificate::G2_LENGTH;
use alloy::primitives::{Address, B256, Bytes, FixedBytes, U256, keccak256};
use thiserror::Error;

/// The only version there is.
pub const VERSION: u8 = 1;
/// Bytes of an encoded transfer.
pub const TRANSFER_LENGTH: usize = HEADER_LENGTH + 108;
/// Bytes of an encoded transfer with an action.
pub const ACTION_LENGTH: usize = TRANSFER_LENGTH + 33;
/// Bytes of an encoded expiry or acknowledgement: of a transfer without an action, and of one with.
pub const NEWS_LENGTHS: [usize; 2] = [
    HEADER_LENGTH + TRANSFER_LENGTH,
    HEADER_LENGTH + ACTION_LENGTH,
];
/// Bytes of an encoded rotation.
pub const ROTATION_LENGTH: usize = HEADER_LENGTH + 16 + G2_LENGTH;
/// How far ahead of the source's clock a deadline may lie, in seconds: 30 days.
pub const MAX_LIFETIME_SECONDS: u64 = 30 * 24 * 60 * 60;
/// The mark that replaces a stored commitment once its packet is refunded.
pub const REFUNDED: B256 = mark(1);
/// The same once its packet is acknowledged: it can never be refunded.
pub const ACKNOWLEDGED: B256 = mark(2);

const HEADER_LENGTH: usize = 26;
/// Kind byte of a transfer.
pub const KIND_TRANSFER: u8 = 1;
/// Kind byte of an expiry.
pub const KIND_EXPIRY: u8 = 2;
/// Kind byte of a rotation.
pub const KIND_ROTATION: u8 = 3;
/// Kind byte of a transfer with an action.
pub const KIND_ACTION: u8 = 4;
/// Kind byte of an acknowledgement.
pub const KIND_ACKNOWLEDGEMENT: u8 = 5;
/// Beside a transfer's kind: its sender wants an acknowledgement.
pub const ACKNOWLEDGE: u8 = 0x80;
const ACTION_SWAP: u8 = 1;

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
    /// An action that is not on the list.
    #[error("packet action {0} is unknown")]
    Action(u8),
    /// What expired or was received is not a transfer that went the other way.
    #[error(
        "an expiry or an acknowledgement must hold a transfer that was sent to the chain it comes from"
    )]
    Inside,
    /// The sender of what was received wanted no acknowledgement.
    #[error("the sender of this transfer wanted no acknowledgement")]
    NotAsked,
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

/// What is done with a transfer's tokens where they arrive. The list is fixed; nothing else can be
/// called by a packet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// They are exchanged at the native chain's own pool of MVP and MVC, and the receiver gets what
    /// comes out; if that would be less than `least`, they are refunded.
    Swap {
        /// In the smallest unit of the other token.
        least: U256,
    },
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
    /// What is done with it there; nothing but receiving it, if there is none.
    pub action: Option<Action>,
    /// Whether its source is told once it has taken effect.
    pub acknowledge: bool,
}

/// News that a transfer was not received in time and never will be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Expiry {
    /// Its own name, as a packet on the way home.
    pub id: PacketId,
    /// The transfer that expired, whole.
    pub expired: Transfer,
}

/// News that a transfer took effect, for a sender who wanted it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Acknowledgement {
    /// Its own name, as a packet on the way home.
    pub id: PacketId,
    /// The transfer that was received, whole.
    pub received: Transfer,
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
    /// What a sender wanted to know.
    Acknowledgement(Acknowledgement),
}

impl Packet {
    /// The packet's name.
    pub const fn id(&self) -> PacketId {
        match self {
            Self::Transfer(transfer) => transfer.id,
            Self::Expiry(expiry) => expiry.id,
            Self::Rotation(rotation) => rotation.id,
            Self::Acknowledgement(news) => news.id,
        }
    }

    /// The transfer that this is, or that it reports as expired or received.
    pub const fn transfer(&self) -> Option<&Transfer> {
        match self {
            Self::Transfer(transfer) => Some(transfer),
            Self::Expiry(expiry) => Some(&expiry.expired),
            Self::Acknowledgement(news) => Some(&news.received),
            Self::Rotation(_) => None,
        }
    }

    /// The transfer of which this is news.
    pub const fn inside(&self) -> Option<&Transfer> {
        match self {
            Self::Expiry(expiry) => Some(&expiry.expired),
            Self::Acknowledgement(news) => Some(&news.received),
            Self::Transfer(_) | Self::Rotation(_) => None,
        }
    }

    /// Whether its sender wants an acknowledgement.
    pub const fn asks(&self) -> bool {
        matches!(self, Self::Transfer(transfer) if transfer.acknowledge)
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Transfer(transfer) => transfer.encode().into(),
            Self::Expiry(expiry) => news(KIND_EXPIRY, expiry.id, &expiry.expired),
            Self::Acknowledgement(told) => news(KIND_ACKNOWLEDGEMENT, told.id, &told.received),
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
            kind if Transfer::is_kind(kind) => {
                Ok(Self::Transfer(Transfer::read_body(reader, kind, id)?))
            }
            KIND_EXPIRY => {
                let expired = reader.inside(id)?;
                Ok(Self::Expiry(Expiry { id, expired }))
            }
            KIND_ACKNOWLEDGEMENT => {
                let received = reader.inside(id)?;
                if !received.acknowledge {
                    return Err(DecodeError::NotAsked);
                }
                Ok(Self::Acknowledgement(Acknowledgement { id, received }))
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
    /// Whether a kind byte is a transfer's, of those who want an acknowledgement or of those who do not.
    const fn is_kind(kind: u8) -> bool {
        matches!(kind & !ACKNOWLEDGE, KIND_TRANSFER | KIND_ACTION)
    }

    fn encode(&self) -> Vec<u8> {
        let mut kind = match self.action {
            None => KIND_TRANSFER,
            Some(_) => KIND_ACTION,
        };
        if self.acknowledge {
            kind |= ACKNOWLEDGE;
        }
        let mut out = Vec::with_capacity(ACTION_LENGTH);
        header(&mut out, kind, self.id);
        out.extend_from_slice(&self.deadline.to_be_bytes());
        out.extend_from_slice(&self.token.home.to_be_bytes());
        out.extend_from_slice(self.token.contract.as_slice());
        out.extend_from_slice(self.sender.as_slice());
        out.extend_from_slice(self.receiver.as_slice());
        out.extend_from_slice(&self.amount.to_be_bytes::<32>());
        if let Some(Action::Swap { least }) = self.action {
            out.push(ACTION_SWAP);
            out.extend_from_slice(&least.to_be_bytes::<32>());
        }
        out
    }

    fn read_body(mut reader: Reader<'_>, kind: u8, id: PacketId) -> Result<Self, DecodeError> {
        let has_action = kind & !ACKNOWLEDGE == KIND_ACTION;
        reader.exactly(if has_action {
            ACTION_LENGTH
        } else {
            TRANSFER_LENGTH
        })?;
        let mut transfer = Self {
            id,
            deadline: reader.u64()?,
            token: Token {
                home: reader.u64()?,
                contract: Address::new(reader.take()?),
            },
            sender: Address::new(reader.take()?),
            receiver: Address::new(reader.take()?),
            amount: U256::from_be_bytes(reader.take::<32>()?),
            action: None,
            acknowledge: kind & ACKNOWLEDGE != 0,
        };
        if transfer.amount.is_zero() {
            return Err(DecodeError::ZeroAmount);
        }
        if has_action {
            transfer.action = Some(match reader.take()? {
                [ACTION_SWAP] => Action::Swap {
                    least: U256::from_be_bytes(reader.take::<32>()?),
                },
                [other] => return Err(DecodeError::Action(other)),
            });
        }
        Ok(transfer)
    }
}

const fn mark(number: u8) -> B256 {
    let mut mark = [0u8; 32];
    mark[31] = number;
    B256::new(mark)
}

/// What became of a transfer, with its own bytes.
fn news(kind: u8, id: PacketId, inside: &Transfer) -> Bytes {
    let inside = inside.encode();
    let mut out = Vec::with_capacity(HEADER_LENGTH.saturating_add(inside.len()));
    header(&mut out, kind, id);
    out.extend_from_slice(&inside);
    out.into()
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

    /// The transfer inside of news with this name, which goes back to where that came from.
    fn inside(self, id: PacketId) -> Result<Transfer, DecodeError> {
        let [plain, with_action] = NEWS_LENGTHS;
        if self.total != with_action {
            self.exactly(plain)?;
        }
        let mut inner = Self::new(self.rest);
        let (kind, inner_id) = inner.header(TRANSFER_LENGTH)?;
        if !Transfer::is_kind(kind)
            || inner_id.source != id.destination
            || inner_id.destination != id.source
        {
            return Err(DecodeError::Inside);
        }
        Transfer::read_body(inner, kind, inner_id)
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
            (
                1u128..=u128::MAX,
                proptest::option::of(any::<u128>().prop_map(|least| Action::Swap {
                    least: U256::from(least) << 7,
                })),
                any::<bool>(),
            ),
        )
            .prop_filter("two chains", |((_, a, b), ..)| a != b)
            .prop_map(
                |((sequence, source, destination), deadline, token, sender, receiver, what)| {
                    let (amount, action, acknowledge) = what;
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
                        action,
                        acknowledge,
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

    fn acknowledgement_of(received: Transfer, sequence: u64) -> Packet {
        Packet::Acknowledgement(Acknowledgement {
            id: PacketId {
                source: received.id.destination,
                destination: received.id.source,
                sequence,
            },
            received: Transfer {
                acknowledge: true,
                ..received
            },
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
            let told = acknowledgement_of(transfer.clone(), sequence);
            for packet in [Packet::Transfer(transfer.clone()), expiry_of(transfer, sequence), told, rotation] {
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
        fn any_changed_byte_changes_the_commitment_or_is_refused(transfer in transfers(), news in 0..3u8, at in any::<prop::sample::Index>(), flip in 1u8..) {
            let packet = match news {
                0 => Packet::Transfer(transfer),
                1 => expiry_of(transfer, 1),
                _ => acknowledgement_of(transfer, 1),
            };
            let mut bytes = packet.encode().to_vec();
            *at.get_mut(&mut bytes) ^= flip;
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
        let transfer = plain_transfer();
        for news in [
            expiry_of(transfer.clone(), 1),
            acknowledgement_of(transfer.clone(), 1),
        ] {
            let mut bytes = news.encode().to_vec();
            bytes[9] = 7; // source chain of the news
            assert_eq!(Packet::decode(&bytes), Err(DecodeError::Inside));
        }
    }

    fn plain_transfer() -> Transfer {
        Transfer {
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
            action: None,
            acknowledge: false,
        }
    }

    #[test]
    fn only_transfers_ask_and_only_who_asked_is_told() {
        let transfer = Transfer {
            acknowledge: true,
            ..plain_transfer()
        };
        let told = acknowledgement_of(transfer.clone(), 1);
        let mut silent = told.encode().to_vec();
        silent[27] &= !ACKNOWLEDGE;
        assert_eq!(Packet::decode(&silent), Err(DecodeError::NotAsked));
        // News of news, and news that wants news.
        let mut nested = told.encode().to_vec();
        nested[27] = KIND_ACKNOWLEDGEMENT;
        assert_eq!(Packet::decode(&nested), Err(DecodeError::Inside));
        for packet in [
            told,
            expiry_of(transfer.clone(), 1),
            rotation_beside(&transfer),
        ] {
            let mut bytes = packet.encode().to_vec();
            bytes[1] |= ACKNOWLEDGE;
            assert_eq!(Packet::decode(&bytes), Err(DecodeError::Kind(bytes[1])));
        }
    }

    #[test]
    fn only_actions_of_the_list_are_read() {
        let plain = plain_transfer();
        let swap = Transfer {
            action: Some(Action::Swap {
                least: U256::from(7),
            }),
            ..plain.clone()
        };
        for packet in [Packet::Transfer(swap.clone()), expiry_of(swap.clone(), 1)] {
            let mut bytes = packet.encode().to_vec();
            let at = bytes.len() - 33;
            for other in (0..=u8::MAX).filter(|byte| *byte != ACTION_SWAP) {
                bytes[at] = other;
                assert_eq!(Packet::decode(&bytes), Err(DecodeError::Action(other)));
            }
        }
        // A kind with the other kind's length, alone and inside of an expiry.
        for (transfer, kind) in [(&swap, KIND_TRANSFER), (&plain, KIND_ACTION)] {
            for packet in [
                Packet::Transfer(transfer.clone()),
                expiry_of(transfer.clone(), 1),
            ] {
                let mut bytes = packet.encode().to_vec();
                let at = bytes.len() - transfer.encode().len() + 1;
                bytes[at] = kind;
                assert!(
                    matches!(Packet::decode(&bytes), Err(DecodeError::Length { .. })),
                    "{packet:?}"
                );
            }
        }
    }
}
