//! State sync: a new node fetches the state from its peers instead of replaying every block.
//!
//! The state is a QMDB log of operations; its root stands in every header. A new node learns a
//! final block (the *floor*) from a certificate under the group key, asks its peers for the
//! operations below that block's root, and believes none of them: QMDB checks every answer's proof
//! against the root before a single operation is applied. Each node is asker and server at once,
//! over one channel, by one [`Actor`].
//!
//! ```txt
//!   QMDB sync engine ── Source ──> Mailbox ──> Actor ── question ──> a peer's Actor ──> its QMDB
//!         │                                      │  <─── answer ────
//!         └── verdict on the proof ──────────────┘  no: the peer is blocked, another one is asked
//! ```
//!
//! Messages, all integers big-endian but for LEB128 varints:
//!
//! ```txt
//! question   0x00 ‖ id (8) ‖ request
//! answer     0x01 ‖ id (8) ‖ response
//! refusal    0x02 ‖ id (8)
//!
//! request    operations: 0x00 ‖ varint(size) ‖ varint(start) ‖ most operations (8)
//!            boundary:   0x01 ‖ varint(size) ‖ varint(start)
//! response   operations: 0x00 ‖ proof ‖ varint(n) ‖ n operations
//!            boundary:   0x01 ‖ proof ‖ operation ‖ varint(n) ‖ n digests (pinned nodes)
//! ```
//!
//! `size` names the root that the proof is for: the root the log had when it had `size` operations.
//!
//! Limits, per node: [`MAX_OPERATIONS`] in a question, [`MAX_ANSWER_BYTES`] in an answer (a server
//! sends fewer operations than were asked for rather than more bytes), [`MAX_ASKED`] questions open
//! at a peer, [`MAX_SERVED`] of a peer's questions served at once, [`MAX_SERVED_IN_ALL`] of all
//! peers'; what is above is refused. An answer that is late, or a refusal, only makes the asker
//! turn to another peer. A message that cannot be read, or an answer whose proof fails, blocks the
//! peer.
//!
//! Why not the resolver that comes with the engine: it wants operations that decode without
//! configuration, which those of a database with values of variable length do not. Cutting the
//! values (code has up to 24 KiB) into pieces of one size instead would make the common value, an
//! account of 72 bytes or a word of 32, pay for the rare one in every proof and on disk. Asking and
//! serving in one small protocol also lets a server limit each peer, whom that resolver's producer
//! never learns.

mod actor;
mod mailbox;
mod peers;
mod progress;
mod server;
pub mod visit;
mod wire;

pub use actor::{Actor, Config};
pub use mailbox::{Gone, Mailbox};
pub use progress::{Phase, Progress, Snapshot};

use crate::state::{StateDb, StoredValue};
use commonware_cryptography::sha256;
use commonware_glue::stateful::db::SyncEngineConfig;
use commonware_storage::{
    mmr,
    qmdb::{any::unordered::variable, sync},
};
use commonware_utils::{NZU64, NZUsize};
use std::num::NonZeroU64;

/// Most operations in one question.
pub const MAX_OPERATIONS: NonZeroU64 = NZU64!(256);
/// Most bytes of one answer.
pub const MAX_ANSWER_BYTES: usize = 512 * 1024;
/// Most questions that this node has open at one peer.
pub const MAX_ASKED: usize = 4;
/// Most questions of one peer that are served at once: twice what it may ask, for those it has
/// given up.
pub const MAX_SERVED: usize = 2 * MAX_ASKED;
/// Most questions of all peers that are served at once.
pub const MAX_SERVED_IN_ALL: usize = 64;

/// One entry of the state's log.
pub type Operation = variable::Operation<mmr::Family, sha256::Digest, StoredValue>;
/// What is asked of a peer.
pub type Request = sync::Request<mmr::Family>;
/// What a peer answers.
pub type Response = sync::Response<mmr::Family, Operation, sha256::Digest>;
/// What the state must become: a root, and the operations below it.
pub type Target<E> = <StateDb<E> as commonware_glue::stateful::db::ManagedDb<E>>::SyncTarget;

/// How a state is fetched.
pub const ENGINE: SyncEngineConfig = SyncEngineConfig {
    fetch_batch_size: MAX_OPERATIONS,
    apply_batch_size: NZU64!(1024),
    max_outstanding_requests: NZUsize!(16),
};

/// Largest message on the state sync channel.
pub const MAX_MESSAGE_BYTES: usize = wire::HEADER + MAX_ANSWER_BYTES;
