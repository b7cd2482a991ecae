//! What a call to a partner can have come to.
//!
//! Three kinds, never mixed: it **happened**, it was **refused** (and so did not and will not
//! happen under this reference), or it is **unknown**. A time-out, a reset, a 5xx, nonsense with
//! status 200 and a status nobody has heard of are all unknown. Unknown is not failed.

use crate::Miles;
use crate::adapter::MemberId;
use thiserror::Error;

/// The partner's answer is missing or cannot be understood; the effect may or may not exist.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[error("{0}")]
pub struct Unknown(
    /// Why, for the log and the row. Never holds secrets.
    pub String,
);

/// Why the partner will not debit. Each is final for the reference it was given for.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Refusal {
    /// The member has fewer miles than asked for.
    #[error("the member has fewer miles than this conversion needs")]
    InsufficientMiles,
    /// The partner closed or blocked this account.
    #[error("the partner does not allow this account to convert")]
    AccountBlocked,
    /// The reference was reversed before the debit came (a tombstone stands).
    #[error("the conversion was reversed before it was carried out")]
    Reversed,
}

impl Refusal {
    /// A stable name for rows and APIs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InsufficientMiles => "insufficient_miles",
            Self::AccountBlocked => "account_blocked",
            Self::Reversed => "reversed",
        }
    }
}

/// What a debit came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Debit {
    /// The miles are gone from the member's account.
    Applied {
        /// The partner's own name for it.
        partner_reference: String,
    },
    /// It did not happen and will not.
    Refused(Refusal),
    /// Nobody knows yet: inquire.
    Unknown(Unknown),
}

/// A debit as the partner has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Known {
    /// It happened.
    Applied {
        /// The partner's own name for it.
        partner_reference: String,
        /// Whose miles.
        member: MemberId,
        /// How many.
        miles: Miles,
    },
    /// It was refused.
    Refused(Refusal),
    /// It was reversed, or reversed before it came.
    Reversed,
}

/// What an inquiry came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Inquiry {
    /// The partner knows the reference.
    Found(Known),
    /// The partner says it does not. To be believed only as [`Capabilities`] allow.
    ///
    /// [`Capabilities`]: crate::Capabilities
    NotFound,
    /// The inquiry itself came to nothing.
    Unknown(Unknown),
}

/// What a reversal came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reversal {
    /// Acknowledged: the miles are back, or a tombstone stands if there was nothing to give back.
    Acknowledged,
    /// The partner will not reverse: a person must look.
    Refused(String),
    /// Nobody knows yet: reverse again under the same reference.
    Unknown(Unknown),
}

/// Why a read-only question (authenticate, balance, reachability) has no answer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum AskError {
    /// The partner does not accept this login and password, or the session has ended.
    #[error("the partner does not accept this member's login and password")]
    MemberRefused,
    /// The partner blocks this member.
    #[error("the partner has blocked this member's account")]
    MemberBlocked,
    /// The partner does not accept the gateway itself.
    #[error("the partner does not accept the gateway's client id and secret")]
    GatewayRefused,
    /// The partner cannot be reached or made no sense.
    #[error("the partner gave no usable answer: {0}")]
    Unavailable(Unknown),
}
