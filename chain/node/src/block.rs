//! A block as validators exchange it.
//!
//! ```txt
//! varint(length of header) ‖ header ‖ varint(transactions) ‖ each: varint(length) ‖ EIP-2718 bytes
//! ```
//!
//! Its digest is the header's, which commits to the transactions by their root. Limits:
//! [`MAX_BLOCK_BYTES`] for all transactions together, [`MAX_TRANSACTIONS`] of them.

use bytes::{BufMut, Bytes};
use commonware_codec::{
    Buf, Copying, DecodeExt as _, EncodeSize, Error as CodecError, RangeCfg, Read, Write,
    varint::UInt,
};
use commonware_consensus::{
    Block as ConsensusBlock, BoundedBlock, CertifiableBlock, Heightable,
    simplex::types::Context,
    types::{Epoch, Height, Round, View},
};
use commonware_cryptography::{Digestible, ed25519, sha256};
use mileverse_primitives::{
    B256,
    header::{self, Header, Turn},
};

/// Consensus identity of a validator.
pub type PublicKey = ed25519::PublicKey;
/// commonware's 32-byte digest type; for blocks it holds the keccak256 digest of the header.
pub type Digest = sha256::Digest;
/// Where in consensus a block stands.
pub type BlockContext = Context<Digest, PublicKey>;

/// Most bytes of transactions in one block.
pub const MAX_BLOCK_BYTES: usize = 2 * 1024 * 1024;
/// Most transactions in one block.
pub const MAX_TRANSACTIONS: usize = 16_384;

/// Header and transactions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// Signed transactions (EIP-2718 bytes), in order of execution.
    pub transactions: Vec<Bytes>,
    /// The leader, decoded once from the header's bytes.
    leader: PublicKey,
}

impl Block {
    /// Puts a block together; `leader` must be the key whose bytes stand in the header's turn.
    pub const fn new(header: Header, transactions: Vec<Bytes>, leader: PublicKey) -> Self {
        Self {
            header,
            transactions,
            leader,
        }
    }

    /// The turn that a consensus context describes.
    pub fn turn(context: &BlockContext) -> Turn {
        Turn {
            epoch: context.round.epoch().get(),
            view: context.round.view().get(),
            parent_view: context.parent.0.get(),
            leader: B256::from_slice(&context.leader),
        }
    }

    /// Milliseconds since 1970.
    pub const fn timestamp_ms(&self) -> u64 {
        self.header.timestamp_ms
    }
}

/// A word as commonware's digest.
pub fn digest(word: B256) -> Digest {
    Digest::from(word.0)
}

/// commonware's digest as a word.
pub fn word(digest: &Digest) -> B256 {
    B256::from_slice(digest)
}

impl Write for Block {
    fn write(&self, buf: &mut impl BufMut) {
        self.header.encode().as_slice().write(buf);
        self.transactions.write(buf);
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        let header = self.header.encoded_length();
        UInt(header as u64).encode_size() + header + self.transactions.encode_size()
    }
}

impl Read for Block {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        let header = Vec::<u8>::read_cfg(buf, &(RangeCfg::new(0..=header::MAX_LENGTH), ()))?;
        let header = Header::decode(&header).map_err(|_| CodecError::Invalid("Block", "header"))?;
        let transactions = Vec::<Bytes>::read_cfg(
            buf,
            &(
                RangeCfg::new(0..=MAX_TRANSACTIONS),
                RangeCfg::new(1..=MAX_BLOCK_BYTES),
            ),
        )?;
        if transactions.iter().map(Bytes::len).sum::<usize>() > MAX_BLOCK_BYTES {
            return Err(CodecError::Invalid("Block", "too many bytes"));
        }
        let leader = PublicKey::decode(Copying(header.turn.leader.as_slice()))?;
        Ok(Self {
            header,
            transactions,
            leader,
        })
    }
}

impl Digestible for Block {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        digest(self.header.digest())
    }
}

impl Heightable for Block {
    fn height(&self) -> Height {
        Height::new(self.header.height)
    }
}

impl ConsensusBlock for Block {
    fn parent(&self) -> Digest {
        digest(self.header.parent)
    }
}

impl CertifiableBlock for Block {
    type Context = BlockContext;

    fn context(&self) -> BlockContext {
        let turn = self.header.turn;
        Context {
            round: Round::new(Epoch::new(turn.epoch), View::new(turn.view)),
            leader: self.leader.clone(),
            parent: (View::new(turn.parent_view), digest(self.header.parent)),
        }
    }
}

impl BoundedBlock for Block {
    fn max_encode_size((): &()) -> usize {
        // Each length prefix is a varint of at most ten bytes.
        10 + header::MAX_LENGTH + 10 + MAX_TRANSACTIONS * 10 + MAX_BLOCK_BYTES
    }
}
