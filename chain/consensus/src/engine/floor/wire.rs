//! Messages as bytes; drawn in the folder's `mod.rs`.

use super::{
    Finalization,
    opening::{self, Opening},
};
use bytes::{Bytes, BytesMut};
use commonware_codec::{
    Buf, DecodeExt as _, EncodeSize as _, Error as CodecError, RangeCfg, Read as _, ReadExt as _,
    Write as _, varint::UInt,
};

/// Most group keys that one answer names. Who has more to learn asks again.
pub(super) const MAX_KEYS: usize = 128;
/// A varint of 64 bits at its widest.
const MAX_VARINT: usize = 10;

const ASK_LATEST: u8 = 0;
const ASK_OPENING: u8 = 1;
const LATEST: u8 = 2;
const OPENING: u8 = 3;

/// The newest final block that a peer tells of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Latest {
    /// Its certificate.
    pub(super) floor: Finalization,
    /// Up to its epoch and after the one that was asked with: the epochs that began with a new
    /// group key, ascending; the first [`MAX_KEYS`] of them.
    pub(super) keys: Vec<u64>,
}

/// A message. Answers are decoded only when they were asked for.
#[derive(Debug)]
pub(super) enum Message<B> {
    /// What is your newest final block?
    AskLatest { after: u64 },
    /// What opened this epoch?
    AskOpening { epoch: u64 },
    /// Decodes by [`latest`].
    Latest { body: B },
    /// Decodes by [`opening()`].
    Opening { body: B },
}

impl<B: Buf> Message<B> {
    pub(super) fn read(mut body: B) -> Result<Self, CodecError> {
        let kind = u8::read(&mut body)?;
        let message = match kind {
            ASK_LATEST => Self::AskLatest {
                after: UInt::decode(body)?.into(),
            },
            ASK_OPENING => Self::AskOpening {
                epoch: UInt::decode(body)?.into(),
            },
            LATEST => Self::Latest { body },
            OPENING => Self::Opening { body },
            other => return Err(CodecError::InvalidEnum(other)),
        };
        Ok(message)
    }
}

/// Decodes an answer to [`ask_latest`].
pub(super) fn latest(mut body: impl Buf) -> Result<Latest, CodecError> {
    let floor = Finalization::read(&mut body)?;
    let count = usize::read_cfg(&mut body, &RangeCfg::new(0..=MAX_KEYS))?;
    let mut keys = Vec::with_capacity(count);
    let mut last = 0;
    for _ in 0..count {
        let epoch = UInt::read(&mut body)?.into();
        if epoch <= last {
            return Err(CodecError::Invalid("Latest", "keys are not ascending"));
        }
        last = epoch;
        keys.push(epoch);
    }
    if last > super::epoch(&floor) {
        return Err(CodecError::Invalid("Latest", "a key of a later epoch"));
    }
    if body.has_remaining() {
        return Err(CodecError::ExtraData(body.remaining()));
    }
    Ok(Latest { floor, keys })
}

/// Decodes an answer to [`ask_opening`].
pub(super) fn opening(body: impl Buf) -> Result<Opening, CodecError> {
    Opening::decode(body)
}

/// Asks for the newest final block, and which keys began after an epoch.
pub(super) fn ask_latest(after: u64) -> Bytes {
    question(ASK_LATEST, after)
}

/// Asks for an epoch's opening.
pub(super) fn ask_opening(epoch: u64) -> Bytes {
    question(ASK_OPENING, epoch)
}

fn question(kind: u8, epoch: u64) -> Bytes {
    let mut buffer = BytesMut::with_capacity(1 + MAX_VARINT);
    kind.write(&mut buffer);
    UInt(epoch).write(&mut buffer);
    buffer.freeze()
}

/// Answers with the newest final block.
pub(super) fn answer_latest(latest: &Latest) -> Bytes {
    let mut buffer = BytesMut::new();
    LATEST.write(&mut buffer);
    latest.floor.write(&mut buffer);
    latest.keys.len().write(&mut buffer);
    for epoch in &latest.keys {
        UInt(*epoch).write(&mut buffer);
    }
    buffer.freeze()
}

/// Answers with an epoch's opening.
pub(super) fn answer_opening(opening: &Opening) -> Bytes {
    let mut buffer = BytesMut::with_capacity(opening.encode_size().saturating_add(1));
    OPENING.write(&mut buffer);
    opening.write(&mut buffer);
    buffer.freeze()
}

/// Largest message, for committees of at most `members`.
pub(in crate::engine) fn max_payload_size(members: u32) -> usize {
    let latest = Finalization::max_encode_size(members)
        .saturating_add(MAX_VARINT)
        .saturating_add(MAX_KEYS.saturating_mul(MAX_VARINT));
    latest.max(opening::max_bytes(members)).saturating_add(1)
}
