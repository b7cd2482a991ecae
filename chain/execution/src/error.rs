//! Why a block has no outcome.

use crate::state::ReadError;
use thiserror::Error;

/// Why a block could not be executed.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum BlockError {
    /// The block (or the call) breaks a rule; it always will.
    #[error("{0}")]
    Invalid(String),
    /// The state contradicts itself; no block may be built on it.
    #[error("the chain's state is broken: {0}")]
    Fatal(String),
    /// The state could not be read; nothing is known about the block.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl BlockError {
    /// Whether trying again can never change the answer.
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Fatal(_))
    }
}
