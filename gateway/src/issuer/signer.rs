//! The issuer's key, and transactions to the points module.

use crate::secrets::Secrets;
use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, B256, TxKind, U256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use mileverse_primitives::abi::IPoints::{self, Issue};
use mileverse_primitives::address::POINTS;
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Gas that one issue may use, and each entry of a batch on top. Each is a fixed, small piece of
/// work; what is not used costs nothing.
const GAS_LIMIT: u64 = 200_000;
const ENTRY_GAS: u64 = 60_000;

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
    #[error("a transaction could not be signed: {0}")]
    Sign(#[from] alloy::signers::Error),
}

/// A transaction that is ready to be broadcast, again and again.
#[derive(Clone, Debug)]
pub struct SignedCall {
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

    /// Signs `issue` of one, or `issueBatch` of several. Issuers pay no gas.
    pub fn sign(
        &self,
        chain_id: u64,
        nonce: u64,
        issues: &[Issue],
    ) -> Result<SignedCall, SignerError> {
        let (input, gas_limit) = match issues {
            [one] => {
                let call = IPoints::issueCall {
                    to: one.to,
                    amount: one.amount,
                    conversionId: one.conversionId,
                };
                (call.abi_encode(), GAS_LIMIT)
            }
            many => {
                let call = IPoints::issueBatchCall {
                    issues: many.to_vec(),
                };
                let entries = u64::try_from(many.len()).unwrap_or(u64::MAX);
                let gas = GAS_LIMIT.saturating_add(ENTRY_GAS.saturating_mul(entries));
                (call.abi_encode(), gas)
            }
        };
        sign_call(&self.signer, chain_id, nonce, gas_limit, input)
    }
}

/// Signs a call of the points module at a gas price of zero: who owes anything for it pays in points.
pub fn sign_call(
    signer: &PrivateKeySigner,
    chain_id: u64,
    nonce: u64,
    gas_limit: u64,
    input: Vec<u8>,
) -> Result<SignedCall, SignerError> {
    let mut transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: 0,
        max_priority_fee_per_gas: 0,
        to: TxKind::Call(POINTS),
        value: U256::ZERO,
        access_list: Default::default(),
        input: input.into(),
    };
    let signature = signer.sign_transaction_sync(&mut transaction)?;
    let envelope = TxEnvelope::Eip1559(transaction.into_signed(signature));
    Ok(SignedCall {
        hash: *envelope.tx_hash(),
        raw: envelope.encoded_2718(),
    })
}
