//! Why staking refuses, by name.

use crate::modules::host::Fault;
use alloy::primitives::{Address, B256};
use mileverse_primitives::staking::MAX_VOTES;
use thiserror::Error;

/// Why a call is refused.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub(super) enum Refusal {
    #[error("the amount is zero")]
    ZeroAmount,
    #[error("the free stake is {0}; stake more, or unvote first")]
    FreeStake(u128),
    #[error("{voter} votes only {amount} for this candidate")]
    VotedLess { voter: Address, amount: u128 },
    #[error("a voter votes for at most {MAX_VOTES} candidates at a time")]
    TooManyVotes,
    #[error("candidate {0} stands in the votes twice")]
    VoteTwice(Address),
    #[error("{0} is no candidate")]
    NoCandidate(Address),
    #[error("candidate {0} is not listed any more; it takes no votes")]
    NotListed(Address),
    #[error("candidate {0} was slashed and is out for good")]
    Tombstoned(Address),
    #[error("from and to are the same candidate")]
    SameCandidate,
    #[error("too many unbondings are under way; withdraw, or wait for the first")]
    TooManyUnbondings,
    #[error("too many votes were taken away lately; wait until the first of them is free")]
    TooManyLiabilities,
    #[error("nothing has unbonded yet; the first does in epoch {0}")]
    StillBonded(u64),
    #[error("nothing is unbonding")]
    NothingUnbonding,
    #[error("there are no rewards to claim")]
    NoRewards,
    #[error("the consensus key is not a valid ed25519 key")]
    BadKey,
    #[error("the consensus key {0} belongs to another candidate")]
    KeyTaken(B256),
    #[error(
        "the proof of possession is not a signature by the consensus key over the caller's address"
    )]
    Possession,
    #[error(
        "the network address must be ip:port, with a port and a real ip, as 203.0.113.7:9000 or [2001:db8::7]:9000"
    )]
    NetworkAddress,
    #[error("the commission may be at most {0} basis points")]
    CommissionTooHigh(u16),
    #[error(
        "the commission may rise by at most {by} basis points every {epochs} epochs; the next rise is possible in epoch {next}"
    )]
    CommissionRise { by: u16, epochs: u64, next: u64 },
    #[error("a name has 1 to {0} bytes and no control characters")]
    Name(usize),
    #[error("a website has at most {0} bytes and no control characters")]
    Website(usize),
    #[error("the caller is a candidate already; use update")]
    CandidateAlready,
    #[error("{0} candidates are listed, no more fit")]
    ListFull(u64),
    #[error("a candidate's owner must vote at least {0} for it")]
    OwnStake(u128),
    #[error("only its owner may retire a candidate that is in order")]
    MayNotRetire,
    #[error("the candidate is not jailed")]
    NotJailed,
    #[error("the jail lasts until epoch {0}")]
    StillJailed(u64),
    #[error("these bytes are not two block headers")]
    BadHeader,
    #[error("the evidence is not two different headers of one leader, epoch and view")]
    NotADoubleProposal,
    #[error("the evidence's signature is not by the key it names")]
    BadSignature,
    #[error("the evidence's key is no candidate's")]
    UnknownKey,
    #[error("the evidence is of epoch {epoch}; it is too old or from the future in epoch {now}")]
    StaleEvidence { epoch: u64, now: u64 },
    #[error("the candidate was slashed already")]
    SlashedAlready,
    #[error("the chain does not know the final digest of this height any more, or not yet")]
    UnknownHeight,
    #[error("the attestation is of the final digest; it is right")]
    RightResult,
    #[error("the attestation's delegate was not in the committee of its epoch")]
    NotADelegate,
    #[error("this false result was reported already")]
    ReportedAlready,
    #[error("a page has 1 to {0} entries")]
    PageSize(u32),
    #[error("epoch {0} is not kept any more, or not known yet")]
    UnknownEpoch(u64),
    #[error("the possession may be left out only if the key stays")]
    PossessionMissing,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::revert(refusal.to_string())
    }
}
