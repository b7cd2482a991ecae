//! Wallets for members who have no address of their own.
//!
//! A linked member has at most one. Its key is random, is sealed under the member's own row key
//! ([`crate::vault`]), is opened only to sign a withdrawal, and is shown to nobody. Points come into it
//! by conversions that name `custodial` as their receiver, and leave it by withdrawals.
//!
//! ```txt
//! sending ──┬──> completed     the chain moved the points
//!           └──> failed        the chain refused it for good, or its nonce went to another transaction
//! ```
//!
//! A withdrawal is stored with its signed bytes and nonce in the transaction that makes it, before
//! anybody sees them; whatever happens then, the same bytes are broadcast until a block has decided. A
//! wallet has one withdrawal at a time, so its nonces are in order and no two draw on the same points.
//! Wallets need no coin: a call of the points module at a gas price of zero pays in points.
//!
//! | kind | debit | credit |
//! |---|---|---|
//! | entrusted | `{partner}:points_entrusted` | `{partner}:points_in_custody` |
//! | withdrawn | `{partner}:points_in_custody` | `{partner}:points_withdrawn`, `{partner}:transfer_fees` |
//!
//! None of these is an issue, so journal and chain agree on what was issued as they do without. The
//! credit of `points_in_custody` is what the gateway owes members; a wallet may hold more, because
//! anybody can send points to an address.
//!
//! ```txt
//! wallet    making, looking, closing
//! withdraw  moving points out
//! ```

mod wallet;
mod withdraw;

pub use wallet::Holdings;
pub(crate) use wallet::sealed_for;
pub(crate) use withdraw::entrusted;
pub use withdraw::{Amount, Asked, Terms};

use crate::issuer::chain::ChainError;
use crate::units::MicroPoints;
use alloy::primitives::Address;
use std::time::Duration;
use thiserror::Error;

/// Gas that a transfer may use: it takes about 60,000, and what is not used costs nothing.
const GAS_LIMIT: u64 = 100_000;
/// A wallet must hold so many micro-points to send anything: one for each gas. What is less cannot be
/// moved by anybody.
pub const LEAST: MicroPoints = MicroPoints(GAS_LIMIT);

/// What wallets may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// Most micro-points that one member withdraws in a UTC day.
    pub daily_member: Option<MicroPoints>,
    /// Most micro-points that the members of one partner withdraw in a UTC day.
    pub daily_partner: Option<MicroPoints>,
    /// For so long after a withdrawal was made it is not believed that its nonce went to another
    /// transaction: nodes may know of one thing before the other.
    pub doubt: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            daily_member: None,
            daily_partner: None,
            doubt: Duration::from_secs(120),
        }
    }
}

/// Why something about a wallet is refused. Nothing has moved.
#[derive(Debug, Error)]
pub enum CustodyError {
    /// The configuration has no `[custody]`.
    #[error("this gateway keeps no wallets")]
    Off,
    /// Only linked members have wallets.
    #[error("the member is not linked")]
    NotLinked,
    /// No such member of this caller, or it has left.
    #[error("there is no such member")]
    NoMember,
    /// The member has none.
    #[error("the member has no wallet")]
    NoWallet,
    /// Not an address that can be sent to.
    #[error("{0}")]
    Receiver(&'static str),
    /// Not an amount of points.
    #[error("{0}")]
    Amount(String),
    /// More than can be moved.
    #[error("at most {movable} MVP can be moved")]
    Short {
        /// What can be, to this receiver.
        movable: MicroPoints,
        /// What is there.
        balance: MicroPoints,
    },
    /// Dearer than agreed to.
    #[error("the fee is {0} MVP")]
    Fee(MicroPoints),
    /// One is under way.
    #[error("{0} is under way")]
    Open(String),
    /// The day's limit.
    #[error("at most {0} MVP a day")]
    Daily(MicroPoints),
    /// The member cannot be erased.
    #[error("the wallet holds {0} MVP")]
    NotEmpty(MicroPoints),
    /// The member cannot be erased.
    #[error("points are on their way into the wallet or out of it")]
    Busy,
    /// The node does not know yet of what was stored here.
    #[error("the chain's node is behind")]
    Behind,
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The key does not open, or does not sign.
    #[error("the wallet of {member}: {why}")]
    Key {
        /// Whose.
        member: String,
        /// Why not.
        why: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

/// An address as it was stored.
fn stored_address(text: &str) -> Result<Address, sqlx::Error> {
    text.parse()
        .map_err(|_| sqlx::Error::Decode(format!("{text:?} is not an address").into()))
}
