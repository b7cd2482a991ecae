//! EIP-2612: an approval that its owner signs and anybody sends. Both tokens have it.
//!
//! A permit is used once: its owner's nonce is part of what is signed and grows with it. It is
//! valid up to and including its deadline, in seconds of block time.

use super::{
    erc20,
    host::{Fault, HASH_WORD_GAS, Host},
    slot::Slot,
    typed_data::{self, Domain, Signed},
};
use alloy::primitives::{Address, B256, U256, keccak256};

const PERMIT: &str =
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
/// Words of the struct that is hashed.
const PERMIT_WORDS: usize = 6;

/// What an owner signs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permit {
    pub(crate) owner: Address,
    pub(crate) spender: Address,
    pub(crate) value: U256,
    pub(crate) deadline: U256,
}

/// A token's places for permits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    pub(crate) domain: Domain,
    pub(crate) allowances: Slot,
    pub(crate) nonces: Slot,
}

/// keccak256 of the struct's type.
pub(crate) fn type_hash() -> B256 {
    keccak256(PERMIT)
}

/// Approves what the owner signed.
pub(crate) fn permit(
    host: &mut Host<'_>,
    places: Places,
    permit: Permit,
    signed: Signed<'_>,
) -> Result<(), Fault> {
    if U256::from(host.now()) > permit.deadline {
        return Err(Fault::revert("the permit's deadline has passed"));
    }
    let slot = places.nonces.entry(permit.owner);
    let nonce = host.load(slot)?;
    host.charge_words(HASH_WORD_GAS, PERMIT_WORDS * 32)?;
    let struct_hash = typed_data::hash(&[
        type_hash(),
        permit.owner.into_word(),
        permit.spender.into_word(),
        permit.value.into(),
        nonce.into(),
        permit.deadline.into(),
    ]);
    signed.check(host, places.domain, struct_hash, permit.owner)?;
    let next = nonce.checked_add(U256::ONE).ok_or_else(Fault::overflow)?;
    host.store(slot, next)?;
    erc20::approve(
        host,
        places.allowances,
        permit.owner,
        permit.spender,
        permit.value,
    )
}
