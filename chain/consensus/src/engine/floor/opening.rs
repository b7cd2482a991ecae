//! What opens an epoch: the proof of who takes part in it, and under which group key it is signed.
//!
//! The last block of epoch E-1 opens epoch E: its system section carries the epoch info of E. A
//! header commits to that section, and a certificate to the header, so the block's transactions are
//! not part of the proof.
//!
//! ```txt
//! opening = finalization ‖ varint(length) ‖ header ‖ system section (see `system`)
//!
//! certificate ── payload ──> keccak256 of the header ── system root ──> system section
//! ```
//!
//! The certificate is of epoch E-1 and is verified under the key of that epoch. Its view may be
//! later than the header's: an epoch's last block is proposed again until it is final.

use super::Finalization;
use crate::{
    application::Scheme,
    block::{self, Block, EpochInfo, Payload},
    engine::schemes::GroupKey,
    rotation::{self, proof},
    system::{self, System},
};
use bytes::BufMut;
use commonware_codec::{Buf, EncodeSize, Error as CodecError, RangeCfg, Read, ReadExt as _, Write};
use commonware_parallel::Sequential;
use mileverse_primitives::header::{self, Header};
use rand::CryptoRng;
use std::num::NonZeroU64;
use thiserror::Error;

/// Why an opening proves nothing.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(super) enum Wrong {
    #[error("its certificate is of another block")]
    Block,
    #[error("its header has another system section")]
    Section,
    #[error("its block is not the last one of the epoch before")]
    Place,
    #[error("its block opens another epoch, or none")]
    Epoch,
    #[error("the group key that it carries is not admitted: {0}")]
    Key(#[from] rotation::Refused),
    #[error("its certificate is not of this chain")]
    Certificate,
}

/// An epoch's opening, not yet proven.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Opening {
    finalization: Finalization,
    header: Header,
    system: System,
}

impl Opening {
    /// The opening that `block` is, if it is one.
    pub(super) fn of(finalization: Finalization, block: &Block) -> Option<Self> {
        block.opens()?;
        Some(Self {
            finalization,
            header: block.header.clone(),
            system: block.system.clone(),
        })
    }

    /// The epoch that it claims to open.
    pub(super) fn epoch(&self) -> Option<u64> {
        super::epoch(&self.finalization).checked_add(1)
    }

    /// What it says of its epoch.
    pub(super) const fn info(&self) -> Option<&EpochInfo> {
        match &self.system.payload {
            Some(Payload::EpochInfo(info)) => Some(info),
            _ => None,
        }
    }

    /// The group key that signs its epoch.
    pub(super) fn key(&self) -> Option<GroupKey> {
        self.info().map(|info| *info.output.public().public())
    }

    /// Proves it under the key of the epoch before. The certificate comes last: it costs most.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn prove(
        &self,
        rng: &mut impl CryptoRng,
        before: &Scheme,
        epoch_blocks: NonZeroU64,
    ) -> Result<(), Wrong> {
        if block::digest(self.header.digest()) != self.finalization.proposal.payload {
            return Err(Wrong::Block);
        }
        if self.header.system_root != self.system.root() {
            return Err(Wrong::Section);
        }
        let epoch = self.epoch().ok_or(Wrong::Place)?;
        if last_height(epoch, epoch_blocks) != Some(self.header.height)
            || self.header.turn.epoch.checked_add(1) != Some(epoch)
        {
            return Err(Wrong::Place);
        }
        let info = self.info().ok_or(Wrong::Epoch)?;
        if info.epoch.get() != epoch {
            return Err(Wrong::Epoch);
        }
        proof::fits(&info.output, info.output.players())?;
        if !self.finalization.verify(rng, before, &Sequential) {
            return Err(Wrong::Certificate);
        }
        Ok(())
    }
}

/// The height of the block that opens `epoch`; none opens epoch 0.
pub(super) fn last_height(epoch: u64, epoch_blocks: NonZeroU64) -> Option<u64> {
    epoch.checked_mul(epoch_blocks.get())?.checked_sub(1)
}

impl Write for Opening {
    fn write(&self, buf: &mut impl BufMut) {
        self.finalization.write(buf);
        self.header.encode().as_slice().write(buf);
        self.system.write(buf);
    }
}

impl EncodeSize for Opening {
    fn encode_size(&self) -> usize {
        self.finalization.encode_size()
            + self.header.encode().as_slice().encode_size()
            + self.system.encode_size()
    }
}

impl Read for Opening {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        let finalization = Finalization::read(buf)?;
        let header = Vec::<u8>::read_cfg(buf, &(RangeCfg::new(0..=header::MAX_LENGTH), ()))?;
        let header =
            Header::decode(&header).map_err(|_| CodecError::Invalid("Opening", "header"))?;
        Ok(Self {
            finalization,
            header,
            system: System::read(buf)?,
        })
    }
}

/// Most bytes of an opening by a committee of at most `members`.
pub(super) fn max_bytes(members: u32) -> usize {
    Finalization::max_encode_size(members)
        .saturating_add(10)
        .saturating_add(header::MAX_LENGTH)
        .saturating_add(system::max_bytes())
}
