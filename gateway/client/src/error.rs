//! What can go wrong.

use mileverse_gateway_api::problem::{Kind, ProblemBody};
use mileverse_gateway_api::signature::SignatureError;
use std::fmt;
use std::time::Duration;
use thiserror::Error as ThisError;

/// A problem that the gateway answered (RFC 9457).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// What kind; `None` if it is newer than this crate.
    pub kind: Option<Kind>,
    /// All of it: status, sentence, further members such as `conversion_id`.
    pub body: ProblemBody,
    /// Not before that.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// The conversion that it is about, if it names one.
    pub fn conversion_id(&self) -> Option<&str> {
        self.body.more.get("conversion_id")?.as_str()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = &self.body;
        write!(
            formatter,
            "{} ({}): {}",
            body.title, body.status, body.detail
        )
    }
}

/// Why there is no answer to use.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// The gateway says why not.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The gateway could not be reached, or its answer did not come (whole).
    #[error("the gateway gave no answer ({0}); check its URL and that it can be reached")]
    NoAnswer(#[source] reqwest::Error),
    /// Something answered, but not as the gateway does: a proxy, perhaps.
    #[error("the answer with status {status} is not one of the gateway's: {why}")]
    NotUnderstood {
        /// HTTP status.
        status: u16,
        /// What is wrong with it.
        why: String,
    },
    /// The conversion is not decided yet. It goes on by itself.
    #[error("conversion {id} is {state}; look it up again later")]
    Unsettled {
        /// Which.
        id: String,
        /// Where it stood last.
        state: String,
    },
    /// The request could not be signed.
    #[error("the request cannot be signed: {0}")]
    Signature(#[from] SignatureError),
    /// What was given cannot be used; nothing was sent.
    #[error("{0}")]
    Setup(String),
}

impl Error {
    /// Whether what was asked may have been done, or may still be. Then send the same request with
    /// the same Idempotency-Key again, or look it up. Otherwise it was not done.
    pub fn may_have_happened(&self) -> bool {
        match self {
            // A connection that was never made carried nothing.
            Self::NoAnswer(error) => !error.is_connect(),
            Self::NotUnderstood { .. } | Self::Unsettled { .. } => true,
            Self::Problem(problem) => match problem.kind {
                Some(Kind::KeyRunning | Kind::Internal | Kind::Timeout) | None => true,
                Some(_) => false,
            },
            Self::Signature(_) | Self::Setup(_) => false,
        }
    }

    /// The kind of problem, if it is one.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Problem(problem) => problem.kind,
            _ => None,
        }
    }
}
