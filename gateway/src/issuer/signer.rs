//! The issuer's key, and the transactions it signs.

use crate::secrets::Secrets;
use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, B256, TxKind, U256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use mileverse_primitives::abi::IPoints;
use mileverse_primitives::address::POINTS;
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Gas an issue may use. It is a fixed, small piece of work.
const GAS_LIMIT: u64 = 200_000;

/// Why there is no key, or no signature.
#[derive(Debug, Error)]
pub enum SignerError {
    /// The keystore.
    #[error("the issuer's keystore {} cannot be opened ({why}); give a V3 keystore and the file with its password", path.display())]
    Keystore {
        /// Where.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Signing.
    #[error("the issue could not be signed: {0}")]
    Sign(#[from] alloy::signers::Error),
}

/// An issue that is ready to be broadcast, again and again.
#[derive(Clone, Debug)]
pub struct SignedIssue {
    /// Transaction hash.
    pub hash: B256,
    /// The bytes.
    pub raw: Vec<u8>,
}

/// The issuer's key.
#[derive(Clone, Debug)]
pub struct Issuer {
    signer: PrivateKeySigner,
}

impl Issuer {
    /// Opens a V3 keystore. Slow on purpose: the keystore's key derivation is.
    pub fn open(path: &Path, password: &SecretString) -> Result<Self, SignerError> {
        PrivateKeySigner::decrypt_keystore(path, password.expose_secret())
            .map(|signer| Self { signer })
            .map_err(|error| SignerError::Keystore {
                path: path.to_owned(),
                why: error.to_string(),
            })
    }

    /// The issuer's address.
    pub const fn address(&self) -> Address {
        self.signer.address()
    }

    /// The gateway's secrets, if it was given no master key: every replica has this key too.
    pub fn secrets(&self) -> Secrets {
        Secrets::new(self.signer.to_bytes().as_slice())
    }

    /// Signs `issue(receiver, amount, name)`. Issuers pay no gas, so its price is zero.
    pub fn sign(
        &self,
        chain_id: u64,
        nonce: u64,
        receiver: Address,
        micro_points: u64,
        name: B256,
    ) -> Result<SignedIssue, SignerError> {
        let call = IPoints::issueCall {
            to: receiver,
            amount: U256::from(micro_points),
            conversionId: name,
        };
        let mut transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit: GAS_LIMIT,
            max_fee_per_gas: 0,
            max_priority_fee_per_gas: 0,
            to: TxKind::Call(POINTS),
            value: U256::ZERO,
            access_list: Default::default(),
            input: call.abi_encode().into(),
        };
        let signature = self.signer.sign_transaction_sync(&mut transaction)?;
        let envelope = TxEnvelope::Eip1559(transaction.into_signed(signature));
        Ok(SignedIssue {
            hash: *envelope.tx_hash(),
            raw: envelope.encoded_2718(),
        })
    }
}
