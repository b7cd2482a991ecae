//! Why a call is refused.

use crate::modules::host::Fault;
use alloy::primitives::{Address, U256};
use thiserror::Error;

#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
pub(super) enum Refusal {
    #[error(
        "the caller did not create {callee} with nonce {nonce}; a claim names the nonce that the contract was created with"
    )]
    NotItsCreator { callee: Address, nonce: u64 },
    #[error("{0} was claimed already; only its operator can name another")]
    Claimed(Address),
    #[error("only {0} itself or its operator can name its operator; who created it can claim it")]
    NotItsWord(Address),
    #[error("only the operator of {0} can name another")]
    NotItsOperator(Address),
    #[error("the zero address and system modules cannot be operators")]
    Nobody,
    #[error("send MVC along; it is added to the deposit")]
    NothingGiven,
    #[error("{0} is a system module or the zero address, which have no operator")]
    Module(Address),
    #[error("a share is at most 10,000 basis points, not {0}")]
    Share(u16),
    #[error("the deposit holds {held}, less than {wanted}")]
    NotThere { held: u128, wanted: U256 },
    #[error("no withdrawal is announced")]
    NotAnnounced,
    #[error("the withdrawal is ready at {ready}, and it is {now}")]
    NotReady { ready: u64, now: u64 },
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::revert(refusal.to_string())
    }
}
