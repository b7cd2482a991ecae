//! The watch for leaders that sign two headers for one view.
//!
//! Threshold votes prove nothing about one delegate, so a leader signs its header with its own key.
//! Two different headers of one epoch and view with its signature cost it its stake. They seldom
//! reach one node by themselves: a leader that cheats shows one block to some and another to
//! others. So whoever is about to vote for a proposal shows its signed header to all peers, and
//! everybody compares.
//!
//! ```txt
//!  consensus, before its vote ──> [watch] ──> [actor] ──channel 8──> all peers
//!  final blocks ────────────────>    |           |
//!                                 [memory] <─────┘ from peers
//!                                    | two for one view
//!                                    v
//!                              evidence store; both headers to all peers
//! ```
//!
//! A message is one or two signed headers: `varint(count) ‖ each` (`proposal`). One header is
//! remembered for a view, and only if the view lies in the window, the leader is the scheduled one,
//! and its signature is good; so a peer that invents views fills nothing.
//!
//! | limit | value |
//! |---|---|
//! | window below this node's view, and below the last view of the epoch before | [`BEHIND`] views |
//! | window above them, and in the epoch to come | [`AHEAD`] views |
//! | bytes of a message | [`MAX_MESSAGE_BYTES`] |
//!
//! That is at most 2 x [`BEHIND`] + 3 x [`AHEAD`] headers, about 2 MiB. The view that this node is
//! in is learned from its own consensus and from final blocks, never from a peer's message.
//!
//! The memory is not kept over a restart: views seen before it can then be proven only by those
//! who stayed up. An honest leader never signs twice, see `proposal`; running one key on two
//! machines is what this cannot forgive.

mod actor;
mod memory;
mod metrics;
mod watch;

pub use actor::Actor;
pub use memory::{Memory, Note};
pub use metrics::Metrics;
pub use watch::{Config, Hearing, Watch};

use crate::proposal;

/// Views below the newest that are remembered.
pub const BEHIND: u64 = 1024;
/// Views above the newest that are listened to.
pub const AHEAD: u64 = 256;
/// Most headers in a message.
pub const MAX_HEADERS: usize = 2;
/// Most bytes of a message.
pub const MAX_MESSAGE_BYTES: usize = 1 + MAX_HEADERS * proposal::MAX_BYTES;
