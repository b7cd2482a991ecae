//! A signed transaction: decoded, checked, its sender recovered.
//!
//! Taken: legacy with a chain id (EIP-155), access lists (EIP-2930), dynamic fees (EIP-1559) and
//! delegations (EIP-7702), in their one canonical EIP-2718 encoding. Refused: blobs and anything
//! unknown, another chain's id, high-s signatures, more than [`MAX_TRANSACTION_LENGTH`] bytes.
//!
//! A block may begin with one that nobody sent, the *system transaction*. It holds the events of the
//! block's own work, so that whoever reads receipts finds them:
//!
//! ```txt
//! system = legacy transaction { nonce: height, gas price: 0, gas limit: 0, to: REWARDS, value: 0,
//!                               data: none, chain id (EIP-155), r: 0, s: 0 }   from: SYSTEM
//! ```

use crate::session::SPEC;
use alloy::{
    consensus::{
        SignableTransaction as _, Transaction as _, TxEnvelope, TxLegacy,
        transaction::SignerRecoverable,
    },
    eips::eip2718::{Decodable2718, Encodable2718},
    primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256},
};
use mileverse_primitives::address::{REWARDS, SYSTEM};
use revm::context_interface::cfg::gas::calculate_initial_tx_gas;
use std::sync::Arc;
use thiserror::Error;

pub use mileverse_primitives::limits::MAX_TRANSACTION_LENGTH;

/// Why bytes are not a transaction of this chain.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum TransactionError {
    /// Over the limit.
    #[error("the transaction has {0} bytes; at most {MAX_TRANSACTION_LENGTH} are allowed")]
    TooLong(usize),
    /// Not an EIP-2718 envelope, or not its canonical form.
    #[error("the transaction cannot be read: {0}")]
    Malformed(String),
    /// A type this chain does not take.
    #[error("transaction type {0} is not supported; send type 0, 1, 2 or 4")]
    Type(u8),
    /// A legacy transaction that any chain would take.
    #[error("the transaction names no chain id (EIP-155); sign it for chain {0}")]
    NoChainId(u64),
    /// Signed for another chain.
    #[error("the transaction is for chain {actual}; sign it for chain {expected}")]
    ChainId {
        /// This chain.
        expected: u64,
        /// What it was signed for.
        actual: u64,
    },
    /// No key made this signature, or the malleable twin of a good one.
    #[error("the transaction's signature is not valid")]
    Signature,
}

/// A transaction and who sent it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Transaction {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    hash: B256,
    sender: Address,
    raw: Bytes,
    envelope: TxEnvelope,
}

impl PartialEq for Transaction {
    fn eq(&self, other: &Self) -> bool {
        self.inner.hash == other.inner.hash
    }
}

impl Eq for Transaction {}

impl Transaction {
    /// Reads exactly one transaction and recovers its sender.
    pub fn decode(raw: &[u8], chain_id: u64) -> Result<Self, TransactionError> {
        if raw.len() > MAX_TRANSACTION_LENGTH {
            return Err(TransactionError::TooLong(raw.len()));
        }
        // Blobs come in two forms; refuse both before either is read.
        if let Some(kind @ 0..=0x7f) = raw.first().copied()
            && !matches!(kind, 1 | 2 | 4)
        {
            return Err(TransactionError::Type(kind));
        }
        let envelope = TxEnvelope::decode_2718_exact(raw)
            .map_err(|error| TransactionError::Malformed(error.to_string()))?;
        if matches!(envelope, TxEnvelope::Eip4844(_)) {
            return Err(TransactionError::Type(3));
        }
        match envelope.chain_id() {
            None => return Err(TransactionError::NoChainId(chain_id)),
            Some(actual) if actual != chain_id => {
                return Err(TransactionError::ChainId {
                    expected: chain_id,
                    actual,
                });
            }
            Some(_) => {}
        }
        if envelope.encoded_2718() != raw {
            return Err(TransactionError::Malformed(
                "this is not its canonical encoding".into(),
            ));
        }
        let sender = envelope
            .recover_signer()
            .map_err(|_| TransactionError::Signature)?;
        Ok(Self {
            inner: Arc::new(Inner {
                hash: keccak256(raw),
                sender,
                raw: Bytes::copy_from_slice(raw),
                envelope,
            }),
        })
    }

    /// What holds the events of the own work of the block at `height`. No signature makes it: whoever
    /// sends its bytes is told that the signature is not valid.
    pub fn system(chain_id: u64, height: u64) -> Self {
        let unsigned = TxLegacy {
            chain_id: Some(chain_id),
            nonce: height,
            gas_price: 0,
            gas_limit: 0,
            to: TxKind::Call(REWARDS),
            value: U256::ZERO,
            input: Bytes::new(),
        };
        let nobody = Signature::new(U256::ZERO, U256::ZERO, false);
        let envelope = TxEnvelope::Legacy(unsigned.into_signed(nobody));
        let raw = Bytes::from(envelope.encoded_2718());
        Self {
            inner: Arc::new(Inner {
                hash: keccak256(&raw),
                sender: SYSTEM,
                raw,
                envelope,
            }),
        }
    }

    /// Whether it is a block's own and nobody's.
    pub fn is_system(&self) -> bool {
        self.inner.sender == SYSTEM
    }

    /// keccak256 of the encoding.
    pub fn hash(&self) -> B256 {
        self.inner.hash
    }

    /// Who signed it.
    pub fn sender(&self) -> Address {
        self.inner.sender
    }

    /// Its number among the sender's transactions, from 0.
    pub fn nonce(&self) -> u64 {
        self.inner.envelope.nonce()
    }

    /// The EIP-2718 encoding.
    pub fn raw(&self) -> &Bytes {
        &self.inner.raw
    }

    /// Most gas it may use.
    pub fn gas_limit(&self) -> u64 {
        self.inner.envelope.gas_limit()
    }

    /// Least gas limit with which it is valid: what it costs before it does anything, and the floor
    /// of its calldata (EIP-7623).
    pub fn least_gas(&self) -> u64 {
        let envelope = &self.inner.envelope;
        let (accounts, slots) = envelope.access_list().map_or((0, 0), |list| {
            let slots = list
                .iter()
                .map(|item| item.storage_keys.len())
                .sum::<usize>();
            (list.len() as u64, slots as u64)
        });
        let authorizations = envelope.authorization_list().map_or(0, <[_]>::len) as u64;
        let gas = calculate_initial_tx_gas(
            SPEC,
            envelope.input(),
            envelope.is_create(),
            accounts,
            slots,
            authorizations,
            None,
        );
        gas.initial_regular_gas
            .saturating_add(gas.initial_state_gas)
            .max(gas.floor_gas)
    }

    /// Most it pays per gas.
    pub fn max_fee_per_gas(&self) -> u128 {
        self.inner.envelope.max_fee_per_gas()
    }

    /// Most it pays the block's beneficiary per gas.
    pub fn max_priority_fee_per_gas(&self) -> u128 {
        self.inner
            .envelope
            .max_priority_fee_per_gas()
            .unwrap_or_else(|| self.max_fee_per_gas())
    }

    /// The decoded envelope.
    pub fn envelope(&self) -> &TxEnvelope {
        &self.inner.envelope
    }
}
