//! Building and signing a transaction by hand, so that its exact bytes and hash are known before
//! anybody else sees them.

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy},
    eips::eip2718::Encodable2718,
    primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use thiserror::Error;

/// What gas costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fees {
    /// One price, which is zero on the native chain (EIP-155 transaction).
    Legacy {
        /// Wei for each unit of gas.
        price: u128,
    },
    /// EIP-1559.
    Dynamic {
        /// Most that is paid for each unit of gas, tip included, in wei.
        max: u128,
        /// The proposer's share of it, in wei.
        tip: u128,
    },
}

impl Fees {
    /// Most that a unit of gas can cost, in wei.
    pub const fn most(self) -> u128 {
        match self {
            Self::Legacy { price } => price,
            Self::Dynamic { max, .. } => max,
        }
    }
}

/// What a transaction does and may cost.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unsigned {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The account's transaction number.
    pub nonce: u64,
    /// Gas it may use.
    pub gas_limit: u64,
    /// What gas costs.
    pub fees: Fees,
    /// Who is called.
    pub to: Address,
    /// Native coin or ether that goes with it, in its smallest unit.
    pub value: U256,
    /// Call data.
    pub input: Bytes,
}

/// A transaction as it is broadcast.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    /// Its hash.
    pub hash: B256,
    /// Its exact bytes (EIP-2718).
    pub raw: Bytes,
}

/// The signature could not be made.
#[derive(Debug, Error)]
#[error("the transaction could not be signed: {0}")]
pub struct SignError(#[from] alloy::signers::Error);

/// A transaction without its signature, in the form of its fees.
enum Form {
    Legacy(TxLegacy),
    Dynamic(TxEip1559),
}

fn form(transaction: &Unsigned) -> Form {
    let to = TxKind::Call(transaction.to);
    let input = transaction.input.clone();
    match transaction.fees {
        Fees::Legacy { price } => Form::Legacy(TxLegacy {
            chain_id: Some(transaction.chain_id),
            nonce: transaction.nonce,
            gas_price: price,
            gas_limit: transaction.gas_limit,
            to,
            value: transaction.value,
            input,
        }),
        Fees::Dynamic { max, tip } => Form::Dynamic(TxEip1559 {
            chain_id: transaction.chain_id,
            nonce: transaction.nonce,
            gas_limit: transaction.gas_limit,
            max_fee_per_gas: max,
            max_priority_fee_per_gas: tip,
            to,
            value: transaction.value,
            access_list: Default::default(),
            input,
        }),
    }
}

/// The bytes whose keccak256 is signed.
pub fn signing_bytes(transaction: &Unsigned) -> Vec<u8> {
    match form(transaction) {
        Form::Legacy(unsigned) => unsigned.encoded_for_signing(),
        Form::Dynamic(unsigned) => unsigned.encoded_for_signing(),
    }
}

/// The transaction with a signature over [`signing_bytes`].
pub fn assemble(transaction: &Unsigned, signature: Signature) -> Signed {
    let envelope: TxEnvelope = match form(transaction) {
        Form::Legacy(unsigned) => unsigned.into_signed(signature).into(),
        Form::Dynamic(unsigned) => unsigned.into_signed(signature).into(),
    };
    Signed {
        hash: *envelope.tx_hash(),
        raw: envelope.encoded_2718().into(),
    }
}

/// Signs.
pub fn sign(signer: &PrivateKeySigner, transaction: &Unsigned) -> Result<Signed, SignError> {
    let signature = signer.sign_hash_sync(&keccak256(signing_bytes(transaction)))?;
    Ok(assemble(transaction, signature))
}

/// A node's estimate with a fifth added for what may change before the block, at most `cap`.
pub const fn gas_limit(estimate: u64, cap: u64) -> Option<u64> {
    if estimate > cap {
        return None;
    }
    let limit = estimate.saturating_add(estimate / 5);
    Some(if limit > cap { cap } else { limit })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloy::{
        consensus::{Transaction, transaction::SignerRecoverable},
        eips::eip2718::Decodable2718,
    };

    #[test]
    fn what_is_signed_is_what_was_meant() {
        let signer = PrivateKeySigner::random();
        for fees in [Fees::Legacy { price: 0 }, Fees::Dynamic { max: 30, tip: 2 }] {
            let unsigned = Unsigned {
                chain_id: 7,
                nonce: 3,
                gas_limit: 50_000,
                fees,
                to: Address::repeat_byte(9),
                value: U256::from(5),
                input: Bytes::from_static(b"data"),
            };
            let signed = sign(&signer, &unsigned).unwrap();
            let read = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
            assert_eq!(*read.tx_hash(), signed.hash);
            assert_eq!(read.recover_signer().unwrap(), signer.address());
            assert_eq!(read.chain_id(), Some(7));
            assert_eq!(read.nonce(), 3);
            assert_eq!(read.gas_limit(), 50_000);
            assert_eq!(read.max_fee_per_gas(), fees.most());
            assert_eq!(read.to(), Some(Address::repeat_byte(9)));
            assert_eq!(read.input(), &unsigned.input);
        }
    }

    #[test]
    fn the_gas_limit_has_slack_and_a_cap() {
        assert_eq!(gas_limit(100, 1000), Some(120));
        assert_eq!(gas_limit(900, 1000), Some(1000));
        assert_eq!(gas_limit(1000, 1000), Some(1000));
        assert_eq!(gas_limit(1001, 1000), None);
        assert_eq!(gas_limit(u64::MAX, u64::MAX), Some(u64::MAX));
    }
}
