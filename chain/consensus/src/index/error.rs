//! Why the index could not answer or write.

use mileverse_primitives::B256;
use thiserror::Error;

/// Why the index could not answer or write.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The database failed.
    #[error("the index database failed: {0}")]
    Database(String),
    /// What was read is not what was written.
    #[error("the index is damaged at {0}")]
    Damaged(&'static str),
    /// Another network's index.
    #[error("it belongs to genesis {0}")]
    OtherGenesis(B256),
    /// Written by a release that stored things another way.
    #[error(
        "it was written by another release of this program; delete the data directory and sync again"
    )]
    Format,
    /// It lies before the first block that was executed here.
    #[error(
        "this node synced the state and has blocks from {first} on, not {height}; ask a node that has the whole chain"
    )]
    Before {
        /// The height asked for.
        height: u64,
        /// The first there is.
        first: u64,
    },
    /// The state after that block is not kept any more.
    #[error(
        "historical state at block {height} is not available: this node keeps states from block {first} on; ask an archive node"
    )]
    Pruned {
        /// The height asked for.
        height: u64,
        /// The first whose state can be read.
        first: u64,
    },
    /// It needs packets that were sent before the first block that was executed here.
    #[error(
        "this node synced the state and lacks the first {0} packets of the outbox, which every path needs; ask a node that has the whole chain"
    )]
    Packets(u64),
    /// A block is missing before this one.
    #[error("the index has a gap before block {0}; delete the data directory and sync again")]
    Gap(u64),
}

macro_rules! from_redb {
    ($($error:ty),+) => {$(
        impl From<$error> for IndexError {
            fn from(error: $error) -> Self {
                Self::Database(error.to_string())
            }
        }
    )+};
}
from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);
