//! Why a call is refused.

use crate::modules::host::Fault;
use alloy::primitives::Address;
use mileverse_primitives::{quarter::Quarter, rewards::MAX_EXCLUDED};
use thiserror::Error;

#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
pub(super) enum Refusal {
    #[error("send MVC along; it is added to the pool")]
    NothingGiven,
    #[error("{0} is not closed, or was before this chain")]
    NotClosed(Quarter),
    #[error(
        "a quarter has just ended, and for a minute no MVC leaves for Ethereum so that no coin earns on both chains; send it again from block time {0} on"
    )]
    QuarterJustEnded(u64),
    #[error("{0} is the zero address or a system module, which never earn")]
    NeverEarns(Address),
    #[error("{0} is excluded already")]
    ExcludedAlready(Address),
    #[error("{0} is not excluded")]
    NotExcluded(Address),
    #[error("the list holds {MAX_EXCLUDED} accounts already")]
    ListFull,
    #[error(
        "{0} was readmitted, and a quarter is still being paid for which that counts; exclude it again when all are paid"
    )]
    StillPaying(Address),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::revert(refusal.to_string())
    }
}
