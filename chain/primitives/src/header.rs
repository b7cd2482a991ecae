//! Block headers and their digest.
//!
//! ```txt
//! digest = keccak256(outbox root ‖ keccak256(rest))
//!
//! rest, big-endian:
//! offset  size
//! 0       32    parent digest (block 0: the genesis file's hash)
//! 32      8     height
//! 40      8     time, milliseconds since 1970
//! 48      8     gas limit
//! 56      8     gas used
//! 64      32    transactions root   } Ethereum's ordered tries
//! 96      32    receipts root       }
//! 128     32    system root: keccak256 of the block's system section
//! 160     256   logs bloom
//! 416     32    state root: over all that stands after this block (QMDB `current`)
//! 448     32    operations root: over the log of operations that made it
//! 480     8     first operation of the log that is needed
//! 488     8     operations of the log
//! 496     8     consensus epoch
//! 504     8     consensus view
//! 512     8     parent's view; 0 in an epoch's first block, whose views start at 1
//! 520     32    leader (ed25519 public key)
//! 552     1     1 if an Ethereum checkpoint follows, else 0
//! 553     80    number (8), hash (32), state root (32), time in seconds (8)
//! ```
//!
//! The leader signs the digest with its own key (`vote`); that signature travels beside the header
//! and is no part of the digest. An empty system section has a root like any other.
//!
//! The outbox root stands first so that Ethereum opens a block with one hash of 64 bytes.

use crate::checkpoint::Checkpoint;
use alloy::primitives::{B256, Bloom, keccak256};
use thiserror::Error;

/// Bytes of `rest` without a checkpoint.
pub const SHORT_REST_LENGTH: usize = 553;
/// Bytes of `rest` with a checkpoint.
pub const LONG_REST_LENGTH: usize = SHORT_REST_LENGTH + 80;
/// Most bytes that [`Header::encode`] gives.
pub const MAX_LENGTH: usize = 32 + LONG_REST_LENGTH;

/// Bytes that are not a header.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
#[error("these bytes are not a block header")]
pub struct DecodeError;

/// Where in consensus a block was proposed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Turn {
    /// Epoch.
    pub epoch: u64,
    /// View.
    pub view: u64,
    /// View of the parent block.
    pub parent_view: u64,
    /// Who proposed it: ed25519 public key.
    pub leader: B256,
}

/// The state's commitment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StateCommitment {
    /// Root over all that stands: what a value is proven against.
    pub root: B256,
    /// Root over the operations that made it: what a state is fetched against.
    pub operations_root: B256,
    /// First operation still needed.
    pub start: u64,
    /// Number of operations; greater than `start`.
    pub end: u64,
}

/// A block's header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// Root of the outbox tree after this block.
    pub outbox_root: B256,
    /// Digest of the block before.
    pub parent: B256,
    /// Height; genesis is 0.
    pub height: u64,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Gas that the block may use.
    pub gas_limit: u64,
    /// Gas that it used.
    pub gas_used: u64,
    /// Root of the trie of transactions.
    pub transactions_root: B256,
    /// Root of the trie of receipts.
    pub receipts_root: B256,
    /// keccak256 of the block's system section.
    pub system_root: B256,
    /// Union of the receipts' blooms.
    pub logs_bloom: Bloom,
    /// The state after this block.
    pub state: StateCommitment,
    /// Where in consensus it was proposed.
    pub turn: Turn,
    /// An Ethereum header that the leader vouches for and the others checked.
    pub checkpoint: Option<Checkpoint>,
}

impl Header {
    /// What consensus votes on, and the block's hash in JSON-RPC.
    pub fn digest(&self) -> B256 {
        digest(self.outbox_root, self.rest_hash())
    }

    /// keccak256 of everything but the outbox root.
    pub fn rest_hash(&self) -> B256 {
        keccak256(self.encode_rest())
    }

    /// Outbox root and rest, one after the other.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.outbox_root.to_vec();
        out.extend_from_slice(&self.encode_rest());
        out
    }

    /// Bytes that [`encode`](Self::encode) gives.
    pub const fn encoded_length(&self) -> usize {
        32 + match self.checkpoint {
            None => SHORT_REST_LENGTH,
            Some(_) => LONG_REST_LENGTH,
        }
    }

    fn encode_rest(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LONG_REST_LENGTH);
        out.extend_from_slice(self.parent.as_slice());
        for number in [
            self.height,
            self.timestamp_ms,
            self.gas_limit,
            self.gas_used,
        ] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(self.transactions_root.as_slice());
        out.extend_from_slice(self.receipts_root.as_slice());
        out.extend_from_slice(self.system_root.as_slice());
        out.extend_from_slice(self.logs_bloom.as_slice());
        out.extend_from_slice(self.state.root.as_slice());
        out.extend_from_slice(self.state.operations_root.as_slice());
        for number in [
            self.state.start,
            self.state.end,
            self.turn.epoch,
            self.turn.view,
            self.turn.parent_view,
        ] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(self.turn.leader.as_slice());
        match &self.checkpoint {
            None => out.push(0),
            Some(checkpoint) => {
                out.push(1);
                out.extend_from_slice(&checkpoint.number.to_be_bytes());
                out.extend_from_slice(checkpoint.hash.as_slice());
                out.extend_from_slice(checkpoint.state_root.as_slice());
                out.extend_from_slice(&checkpoint.timestamp.to_be_bytes());
            }
        }
        out
    }

    /// Reads exactly one header; refuses bytes too few or too many.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = bytes;
        let header = Self {
            outbox_root: word(&mut rest)?,
            parent: word(&mut rest)?,
            height: number(&mut rest)?,
            timestamp_ms: number(&mut rest)?,
            gas_limit: number(&mut rest)?,
            gas_used: number(&mut rest)?,
            transactions_root: word(&mut rest)?,
            receipts_root: word(&mut rest)?,
            system_root: word(&mut rest)?,
            logs_bloom: Bloom::new(take(&mut rest)?),
            state: StateCommitment {
                root: word(&mut rest)?,
                operations_root: word(&mut rest)?,
                start: number(&mut rest)?,
                end: number(&mut rest)?,
            },
            turn: Turn {
                epoch: number(&mut rest)?,
                view: number(&mut rest)?,
                parent_view: number(&mut rest)?,
                leader: word(&mut rest)?,
            },
            checkpoint: match take::<1>(&mut rest)? {
                [0] => None,
                [1] => Some(Checkpoint {
                    number: number(&mut rest)?,
                    hash: word(&mut rest)?,
                    state_root: word(&mut rest)?,
                    timestamp: number(&mut rest)?,
                }),
                _ => return Err(DecodeError),
            },
        };
        if !rest.is_empty() || header.state.start >= header.state.end {
            return Err(DecodeError);
        }
        Ok(header)
    }
}

/// `keccak256(outbox root ‖ rest hash)`.
pub fn digest(outbox_root: B256, rest_hash: B256) -> B256 {
    let mut bytes = [0u8; 64];
    bytes[..32].copy_from_slice(outbox_root.as_slice());
    bytes[32..].copy_from_slice(rest_hash.as_slice());
    keccak256(bytes)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(DecodeError)?;
    *rest = tail;
    Ok(*head)
}

fn word(rest: &mut &[u8]) -> Result<B256, DecodeError> {
    take(rest).map(B256::new)
}

fn number(rest: &mut &[u8]) -> Result<u64, DecodeError> {
    take(rest).map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(seed: u64, checkpoint: bool) -> Header {
        let word = |salt: u64| keccak256((seed, salt).0.wrapping_add(salt).to_be_bytes());
        Header {
            outbox_root: word(1),
            parent: word(2),
            height: seed,
            timestamp_ms: seed ^ 3,
            gas_limit: 4,
            gas_used: 5,
            transactions_root: word(6),
            receipts_root: word(7),
            system_root: word(20),
            logs_bloom: Bloom::repeat_byte(8),
            state: StateCommitment {
                root: word(9),
                operations_root: word(21),
                start: 10,
                end: 11,
            },
            turn: Turn {
                epoch: 12,
                view: 13,
                parent_view: 14,
                leader: word(15),
            },
            checkpoint: checkpoint.then(|| Checkpoint {
                number: 16,
                hash: word(17),
                state_root: word(18),
                timestamp: 19,
            }),
        }
    }

    proptest! {
        #[test]
        fn encoding_is_one_to_one(seed: u64, checkpoint: bool, cut in 1usize..664) {
            let header = header(seed, checkpoint);
            let bytes = header.encode();
            prop_assert_eq!(bytes.len(), header.encoded_length());
            prop_assert_eq!(Header::decode(&bytes), Ok(header));
            prop_assert!(Header::decode(&bytes[..bytes.len().saturating_sub(cut)]).is_err());
            let mut longer = bytes;
            longer.push(0);
            prop_assert!(Header::decode(&longer).is_err());
        }

        #[test]
        fn every_byte_counts(seed: u64, checkpoint: bool, at in any::<prop::sample::Index>(), flip in 1u8..) {
            let header = header(seed, checkpoint);
            let mut bytes = header.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(other) = Header::decode(&bytes) {
                prop_assert_ne!(other.digest(), header.digest());
            }
        }
    }

    #[test]
    fn digest_opens_as_ethereum_opens_it() {
        let header = header(1, true);
        assert_eq!(
            header.digest(),
            digest(header.outbox_root, header.rest_hash())
        );
    }
}
