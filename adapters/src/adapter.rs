//! The interface between the gateway and a partner's protocol.

use crate::{AskError, Debit, Inquiry, Miles, Reversal};
use async_trait::async_trait;
use secrecy::SecretString;
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// Longest name a member or a reference may have, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// What a partner can do, and how long to wait for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Capabilities {
    /// Part of a balance can be converted, not only all of it.
    pub part_conversion: bool,
    /// A debit can be looked up by our reference.
    pub inquiry: bool,
    /// A debit can be reversed by our reference, even before the original has arrived.
    pub reversal: bool,
    /// How long after a debit was sent a "not found" proves nothing.
    pub visibility_window: Duration,
    /// How long one call may take.
    pub timeout: Duration,
}

/// A name that is not one: empty, too long, or with characters that could mean something else.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a name is 1 to {MAX_NAME_BYTES} letters, digits, '-', '_' or '.'")]
pub struct NameError;

fn checked(name: String) -> Result<String, NameError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let dots = name.bytes().all(|byte| byte == b'.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(plain) || dots {
        return Err(NameError);
    }
    Ok(name)
}

/// The partner's id of a member. Safe in a path.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct MemberId(String);

/// Our name for a debit: the same name is the same debit. Safe in a path.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Reference(String);

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// Checks and wraps a name.
            pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
                checked(name.into()).map(Self)
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

name!(MemberId);
name!(Reference);

/// A member who proved to the partner who they are. Lives in memory only.
#[derive(Debug)]
pub struct Session {
    /// Who.
    pub member: MemberId,
    /// What the partner wants to see with calls in the member's name.
    pub token: SecretString,
}

/// What something says that came to where the partner tells of changes. Anybody could have sent it who
/// knows the secret, so it never says what became of a debit: whoever hears of one asks the partner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice {
    /// It does not know the secret, or this partner tells of nothing.
    Refused,
    /// It makes no sense.
    Malformed,
    /// Of something that is no debit of ours.
    Other,
    /// Something has changed about this debit.
    About(Reference),
}

/// One partner, spoken to in its own protocol.
///
/// `inquire` and `reverse` need only the gateway's own credentials, so that they work long after
/// the member has gone. Implementations bound every wait and every size.
#[async_trait]
pub trait Adapter: fmt::Debug + Send + Sync {
    /// What this partner can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether the partner answers and accepts the gateway.
    async fn reachable(&self) -> Result<(), AskError>;

    /// Proves a member to the partner.
    async fn authenticate(&self, login: &str, secret: &SecretString) -> Result<Session, AskError>;

    /// How many miles the member has.
    async fn balance(&self, session: &Session) -> Result<Miles, AskError>;

    /// Takes miles from the member, under our reference. Sent twice, it happens once.
    async fn debit(&self, session: &Session, reference: &Reference, miles: Miles) -> Debit;

    /// What became of a debit.
    async fn inquire(&self, reference: &Reference) -> Inquiry;

    /// Gives the miles back, or makes sure that the debit can never happen.
    async fn reverse(&self, reference: &Reference) -> Reversal;

    /// Asks the partner to tell of changes to debits of a programme, at a URL where the gateway hears
    /// them. Asking again is no harm, and is due after the time that is answered. `None`: this partner
    /// tells of nothing.
    async fn listen(&self, _programme: &str) -> Result<Option<Duration>, AskError> {
        Ok(None)
    }

    /// What something says that came to that URL, with the secret that was in its path.
    fn notice(&self, _secret: &str, _body: &[u8]) -> Notice {
        Notice::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_a_path() {
        for good in ["SKY-1001", "conv_0190", "a.b"] {
            assert!(MemberId::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "a%2f", "é", &"x".repeat(65)] {
            assert_eq!(Reference::new(bad), Err(NameError), "{bad}");
        }
    }
}
