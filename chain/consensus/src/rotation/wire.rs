//! Endorsements on the wire and in blocks.
//!
//! ```txt
//! Endorsement (96 bytes)
//! +--------------------+----------------+
//! | player (32)        | signature (64) |
//! +--------------------+----------------+
//!
//! Testimony, sub-channel 0 of channel 11
//! +-------------------------+---------------------+----------------------------------------+
//! | epoch (8, big endian)   | endorsement (96)    | output (as in glue's epoch artifact)   |
//! +-------------------------+---------------------+----------------------------------------+
//! ```
//!
//! The output travels with each endorsement because a leader of the epoch's last block need not
//! have been a player. For 99 players a testimony is about 16 KiB.

use super::{MAX_PLAYERS, Output, proof::Endorsement};
use crate::{block::PublicKey, committee::SHARING_MODES};
use bytes::BufMut;
use commonware_codec::{
    Buf, EncodeSize, Error as CodecError, FixedSize, RangeCfg, Read, ReadExt as _, Write,
};
use commonware_cryptography::ed25519;
use std::num::NonZeroU32;

impl Write for Endorsement {
    fn write(&self, out: &mut impl BufMut) {
        self.player.write(out);
        self.signature.write(out);
    }
}

impl FixedSize for Endorsement {
    const SIZE: usize = PublicKey::SIZE + ed25519::Signature::SIZE;
}

impl Read for Endorsement {
    type Cfg = ();

    fn read_cfg(input: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        Ok(Self {
            player: PublicKey::read(input)?,
            signature: ed25519::Signature::read(input)?,
        })
    }
}

/// How many endorsements a block may carry, as `Vec<Endorsement>`'s decoder takes it.
pub fn in_block() -> (RangeCfg<usize>, ()) {
    (RangeCfg::new(0..=MAX_PLAYERS), ())
}

/// An endorsement, and what it endorses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Testimony {
    /// The ceremony's epoch.
    pub epoch: u64,
    /// Who vouches.
    pub endorsement: Endorsement,
    /// For what.
    pub output: Output,
}

impl Write for Testimony {
    fn write(&self, out: &mut impl BufMut) {
        self.epoch.write(out);
        self.endorsement.write(out);
        self.output.write(out);
    }
}

impl EncodeSize for Testimony {
    fn encode_size(&self) -> usize {
        u64::SIZE + Endorsement::SIZE + self.output.encode_size()
    }
}

impl Read for Testimony {
    /// Most players.
    type Cfg = NonZeroU32;

    fn read_cfg(input: &mut impl Buf, players: &NonZeroU32) -> Result<Self, CodecError> {
        Ok(Self {
            epoch: u64::read(input)?,
            endorsement: Endorsement::read(input)?,
            output: Output::read_cfg(input, &(*players, SHARING_MODES))?,
        })
    }
}

/// Most bytes of a testimony for at most `players`.
pub fn max_encode_size(players: NonZeroU32) -> usize {
    u64::SIZE + Endorsement::SIZE + Output::max_encode_size(players)
}
