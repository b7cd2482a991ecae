//! EIP-3009: a transfer that its payer signs and anybody sends.
//!
//! An authorization is named by a random nonce of its payer's choice and is used or cancelled
//! once, for ever. It is valid after `validAfter` and before `validBefore`, in seconds of block
//! time, both excluded. The payer pays the transfer's fee, on top of the value that is signed.

use super::{AUTHORIZATIONS, DOMAIN, POINTS, ledger};
use crate::modules::{
    host::{Fault, HASH_WORD_GAS, Host},
    typed_data::{self, Signed},
};
use alloy::primitives::{Address, B256, U256, keccak256};
use mileverse_primitives::abi::IPoints;

const TRANSFER: &str = "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";
const RECEIVE: &str = "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)";
const CANCEL: &str = "CancelAuthorization(address authorizer,bytes32 nonce)";
/// Words of the longest struct that is hashed.
const STRUCT_WORDS: usize = 7;

/// Who may send an authorized transfer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Anybody.
    Transfer,
    /// The receiver only, so that nobody can split a payment from what it is part of.
    Receive,
}

impl Kind {
    pub(super) fn type_hash(self) -> B256 {
        keccak256(match self {
            Self::Transfer => TRANSFER,
            Self::Receive => RECEIVE,
        })
    }
}

/// keccak256 of the type of a cancellation.
pub(super) fn cancel_type_hash() -> B256 {
    keccak256(CANCEL)
}

/// What a payer signs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authorization {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) value: U256,
    pub(super) valid_after: U256,
    pub(super) valid_before: U256,
    pub(super) nonce: B256,
}

/// Whether the authorization was used or cancelled.
pub(super) fn is_spent(
    host: &mut Host<'_>,
    authorizer: Address,
    nonce: B256,
) -> Result<bool, Fault> {
    let word = host.load(AUTHORIZATIONS.entry(authorizer).entry(nonce))?;
    Ok(!word.is_zero())
}

/// Carries a signed transfer out.
pub(super) fn transfer(
    host: &mut Host<'_>,
    kind: Kind,
    signed_for: Authorization,
    signed: Signed<'_>,
) -> Result<(), Fault> {
    let Authorization {
        from,
        to,
        value,
        valid_after,
        valid_before,
        nonce,
    } = signed_for;
    if kind == Kind::Receive && host.caller() != to {
        return Err(Fault::revert("only the receiver may send this transfer"));
    }
    let now = U256::from(host.now());
    if now <= valid_after {
        return Err(Fault::revert("the authorization is not valid yet"));
    }
    if now >= valid_before {
        return Err(Fault::revert("the authorization has expired"));
    }
    check_unspent(host, from, nonce)?;
    host.charge_words(HASH_WORD_GAS, STRUCT_WORDS * 32)?;
    let struct_hash = typed_data::hash(&[
        kind.type_hash(),
        from.into_word(),
        to.into_word(),
        value.into(),
        valid_after.into(),
        valid_before.into(),
        nonce,
    ]);
    signed.check(host, DOMAIN, struct_hash, from)?;
    spend(host, from, nonce)?;
    host.log(
        POINTS,
        &IPoints::AuthorizationUsed {
            authorizer: from,
            nonce,
        },
    )?;
    ledger::pay(host, from, to, value)
}

/// Makes an authorization void before it is used.
pub(super) fn cancel(
    host: &mut Host<'_>,
    authorizer: Address,
    nonce: B256,
    signed: Signed<'_>,
) -> Result<(), Fault> {
    check_unspent(host, authorizer, nonce)?;
    host.charge_words(HASH_WORD_GAS, STRUCT_WORDS * 32)?;
    let struct_hash = typed_data::hash(&[cancel_type_hash(), authorizer.into_word(), nonce]);
    signed.check(host, DOMAIN, struct_hash, authorizer)?;
    spend(host, authorizer, nonce)?;
    host.log(
        POINTS,
        &IPoints::AuthorizationCanceled { authorizer, nonce },
    )
}

fn check_unspent(host: &mut Host<'_>, authorizer: Address, nonce: B256) -> Result<(), Fault> {
    if is_spent(host, authorizer, nonce)? {
        return Err(Fault::revert("the authorization was used or cancelled"));
    }
    Ok(())
}

fn spend(host: &mut Host<'_>, authorizer: Address, nonce: B256) -> Result<(), Fault> {
    host.store(AUTHORIZATIONS.entry(authorizer).entry(nonce), U256::ONE)
}
