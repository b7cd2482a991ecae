//! Delegates answer for results with their own keys.
//!
//! Consensus agrees on a block before all delegates have executed it, and a threshold signature
//! does not tell who signed. So every delegate also signs, alone, the digest of each final block
//! whose height is a multiple of the genesis file's `attestationInterval`, after this node executed
//! that block and wrote it to the index. The digest commits to the state after the block.
//!
//! ```txt
//!   final block ──> [pool] ──notify──> [actor] ──channel 7──> all peers
//!                     ^  \                 ^
//!   included, expired |   \ candidates     | signed, in window, by a member: offered to the pool
//!                     |    v               |
//!                 final    next leader    peers
//! ```
//!
//! A message is a list of a node's own attestations (`varint(count) ‖ 144 bytes each`, see
//! [`wire`]), at most [`MAX_LIST`]. Messages may be lost, so a delegate says everything again that
//! no block has included yet, whenever it has something new to say. Nobody repeats another's word:
//! each peer fills only its own places, and that bounds every table here.
//!
//! | limit | value |
//! |---|---|
//! | heights that a block may include | those of the [`WINDOW`] intervals before it, of its epoch or the one before |
//! | heights that wait for this node | [`WINDOW`] intervals ahead |
//! | attestations of one delegate that wait for one height | [`MAX_WAITING`] |
//! | attestations of one block | [`MAX_IN_BLOCK`] |
//!
//! A delegate's attestation whose digest is not this node's final one is evidence, and goes to the
//! evidence store.
//!
//! **No delegate signs two digests for one height**, and it needs no file to be sure of that: it
//! signs only for final blocks that it read from consensus or from its own index, there is one
//! final block at a height, and ed25519 gives the same signature for the same message. A restart
//! signs the same bytes again.

mod actor;
mod metrics;
mod pool;
pub mod wire;

pub use crate::system::MAX_ATTESTATIONS as MAX_IN_BLOCK;
pub use actor::{Actor, Config};
pub use metrics::Metrics;
pub use pool::{Offer, Pool, Rules};

/// Intervals that an attestation may be old when a block includes it.
pub const WINDOW: u64 = 4;
/// Most attestations in one message.
pub const MAX_LIST: usize = 8;
/// Most attestations of one delegate for one height that this node has not executed yet. Two that
/// differ: at least one of them will be evidence.
pub const MAX_WAITING: usize = 2;
/// Most bytes of a message.
pub const MAX_MESSAGE_BYTES: usize = 1 + MAX_LIST * wire::LENGTH;
