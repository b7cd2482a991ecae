//! Quarterly rewards of MVC, as far as the gateway has a part in them: it sees to it that a quarter
//! is paid, claims for custodial holders on Ethereum, tells members, and raises an alarm when a
//! quarter is late. `docs/rewards.md` explains the rewards themselves.
//!
//! ```txt
//! slot       done when                                                        what the gateway does
//! close      the native chain has closed the quarter                          looks
//! open       it is open on Ethereum, in a finalized block                     open(quarter)
//! forward    the bridge's share has come to the native chain, or there is none  forward(quarter)
//! claim      each custodial holder has its part, in a finalized block         claimBatch(holders, quarter)
//! pay        the native chain has paid everybody                              looks
//! tell       every linked member was looked at                                event `reward.paid`
//! ```
//!
//! **Due work is rows.** Each quarter has one row for each slot, unique by both, and a job for each,
//! put in before the quarter ends. The scheduler only wakes whoever puts rows in: that it fires late,
//! twice or never changes nothing. Any replica does any step; one that dies is resumed from the rows.
//!
//! **Anybody may call the contract, for anybody.** So nothing here has to happen here: what somebody
//! else did is found done. The contract opens and forwards a quarter once and pays a holder once, by
//! name (quarter, holder), so that no doubt can pay twice.
//!
//! **Transactions** are stored, signed, before they are broadcast. One is on its way at a time; until
//! it has a receipt its bytes are broadcast again, and after ten minutes the same call with the same
//! nonce at a higher price, if gas became dearer. Whether to call is asked of the latest
//! block, whether it is done of the finalized one. A call that would fail is not sent.
//!
//! **Late.** A slot that is not done so long after the quarter's end as the configuration says opens
//! a case `reward_late` for the operators, once; it is closed when the slot is done.
//!
//! On a chain whose rewards have no source on Ethereum, `open`, `forward` and `claim` have nothing to
//! do.
//!
//! ```txt
//! slot       the slots, their names and patience
//! views      what both chains say of a quarter
//! transact   the gateway's transactions on Ethereum
//! step       one step of one slot
//! tell       what members hear
//! ```
//!
//! Limits: [`MAX_CUSTODIAL`] custodial holders, [`step::BATCH`] of them in one transaction; 16
//! addresses of a member; a quarter is looked at until it is done, of those that ended before the
//! gateway's first start the last [`LOOK_BACK`].

pub mod slot;
pub mod step;
pub mod tell;
pub mod transact;
pub mod views;

use crate::config::RewardsConfig;
use crate::issuer::chain::{Chain, ChainError};
use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use secrecy::ExposeSecret;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Custodial holders that are claimed for, at most.
pub const MAX_CUSTODIAL: usize = 10_000;
/// Quarters that ended before the gateway's first start and that it still sees to.
pub const LOOK_BACK: u64 = 7;

/// Whom to claim for, and when a slot is late.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// Custodial holders on Ethereum.
    pub custodial: Vec<Address>,
    /// The most that a unit of gas may cost, in wei.
    pub max_fee: u64,
    /// A transaction without a receipt for so long is signed again, dearer, if gas became dearer.
    pub replace: Duration,
    /// How long after a quarter's end `close` is late.
    pub close: Duration,
    /// `open`.
    pub open: Duration,
    /// `forward`.
    pub forward: Duration,
    /// `claim`.
    pub claim: Duration,
    /// `pay` and `tell`.
    pub pay: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        const HOUR: u64 = 3_600;
        Self {
            custodial: Vec::new(),
            max_fee: 200_000_000_000,
            replace: Duration::from_secs(600),
            close: Duration::from_secs(600),
            open: Duration::from_secs(2 * HOUR),
            // Longer than a hold: a share is large, and a bridge may have large transfers wait, for six hours
            // as Ethereum's side does by default. It leaves when the quarter is open, which may take two
            // hours; the ninth is for finality and the relayer.
            forward: Duration::from_secs(9 * HOUR),
            claim: Duration::from_secs(24 * HOUR),
            pay: Duration::from_secs(12 * HOUR),
        }
    }
}

/// Why there is no key for Ethereum.
#[derive(Debug, Error)]
#[error("the keystore for rewards {} cannot be opened ({why}); give a V3 keystore and the file with its password", path.display())]
pub struct KeyError {
    path: PathBuf,
    why: String,
}

/// Why a step led nowhere. It is tried again.
#[derive(Debug, Error)]
pub enum RewardError {
    /// The database.
    #[error("the database failed: {0}")]
    Store(#[from] sqlx::Error),
    /// A chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The node is of another network.
    #[error(
        "the node at rewards.ethereum_rpc_url is of chain {found}, not of {expected}; check the configuration"
    )]
    OtherNetwork {
        /// What it is.
        found: String,
        /// What it should be.
        expected: u64,
    },
    /// Signing.
    #[error("a transaction could not be signed: {0}")]
    Sign(#[from] alloy::signers::Error),
    /// A row that should not be possible.
    #[error("{0}")]
    Row(String),
}

/// What rewards need on Ethereum.
#[derive(Debug)]
pub struct Rewards {
    node: Chain,
    chain_id: u64,
    signer: PrivateKeySigner,
    rules: Rules,
}

impl Rewards {
    /// Opens the key; nothing is asked of Ethereum yet. Slow on purpose: the keystore's key
    /// derivation is.
    pub fn open(config: RewardsConfig) -> Result<Self, RewardsSetup> {
        let password = config.password.expose_secret();
        let signer =
            PrivateKeySigner::decrypt_keystore(&config.keystore, password).map_err(|error| {
                KeyError {
                    path: config.keystore.clone(),
                    why: error.to_string(),
                }
            })?;
        Ok(Self {
            node: Chain::new(config.ethereum_rpc_url)?,
            chain_id: config.ethereum_chain_id,
            signer,
            rules: config.rules,
        })
    }

    /// The network that transactions are for.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Who pays for gas.
    pub const fn sender(&self) -> Address {
        self.signer.address()
    }
}

/// Why rewards cannot be set up.
#[derive(Debug, Error)]
pub enum RewardsSetup {
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The client.
    #[error(transparent)]
    Client(#[from] ChainError),
}
