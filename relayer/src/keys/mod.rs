//! Who signs: a key in an encrypted keystore file, or a signer elsewhere that holds the key.

mod web3signer;

pub use web3signer::Web3Signer;

use alloy::{
    primitives::Signature,
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use mileverse_primitives::{Address, keccak256};
use mileverse_wallet::transaction::{Signed, Unsigned, assemble, signing_bytes};
use thiserror::Error;

/// An account's signer.
#[derive(Clone, Debug)]
pub enum Signer {
    /// The key is in this process.
    Local(PrivateKeySigner),
    /// The key is elsewhere.
    Remote(Web3Signer),
}

/// Why there is no signature.
#[derive(Debug, Error)]
pub enum SignerError {
    /// A key of this process.
    #[error("the transaction could not be signed: {0}")]
    Local(#[from] alloy::signers::Error),
    /// The signer does not answer, or not with a signature. Passes.
    #[error(
        "the signer at {url} did not sign for {account} ({reason}); check that it runs and holds this key"
    )]
    Remote {
        /// Where it is.
        url: String,
        /// Whose signature was wanted.
        account: Address,
        /// What went wrong.
        reason: String,
    },
}

impl Signer {
    /// The account.
    pub const fn account(&self) -> Address {
        match self {
            Self::Local(signer) => signer.address(),
            Self::Remote(signer) => signer.account(),
        }
    }

    /// Signs. A signature of anybody else is an error.
    pub async fn sign(&self, transaction: &Unsigned) -> Result<Signed, SignerError> {
        let bytes = signing_bytes(transaction);
        let signature = match self {
            Self::Local(signer) => signer.sign_hash_sync(&keccak256(&bytes))?,
            Self::Remote(signer) => signer.sign(&bytes).await?,
        };
        Ok(assemble(transaction, signature))
    }
}

/// Whether this is the account's signature over these bytes.
fn is_of(account: Address, bytes: &[u8], signature: &Signature) -> bool {
    signature
        .recover_address_from_prehash(&keccak256(bytes))
        .is_ok_and(|signer| signer == account)
}
