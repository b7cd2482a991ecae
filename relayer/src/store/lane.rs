//! What an account of the relayer works on: a direction's packets, or the swaps of one chain.

use super::Direction;
use crate::chain::End;
use serde::{Serialize, Serializer};
use std::fmt;

/// A kind of work with senders, transactions and health of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Lane {
    /// Packets of a direction.
    Packets(Direction),
    /// Hashed-timelock swaps on the chain at this end; there are none at a peer.
    Swaps(End),
}

impl Lane {
    /// As the database, the metrics and the API have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Packets(direction) => direction.word(),
            Self::Swaps(End::Ethereum) => "swaps_ethereum",
            Self::Swaps(End::Native | End::Peer) => "swaps_native",
        }
    }
}

impl From<Direction> for Lane {
    fn from(direction: Direction) -> Self {
        Self::Packets(direction)
    }
}

impl Serialize for Lane {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packets(direction) => direction.fmt(f),
            Self::Swaps(End::Ethereum) => f.write_str("swaps on Ethereum"),
            Self::Swaps(End::Native | End::Peer) => f.write_str("swaps on the native chain"),
        }
    }
}
