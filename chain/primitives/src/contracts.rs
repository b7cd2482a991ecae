//! Contracts that a genesis file places: code and storage that stand in block 0.
//!
//! ```json
//! "contracts": [{ "address": "0x…", "code": "0x…", "storage": { "0x…05": "0x…" }, "operator": "0x…" }]
//! ```
//!
//! `code` is what runs; no constructor does. Storage keys and values are words of 32 bytes. Nobody created
//! such a contract, so nobody could claim it: `operator`, if any, is who may pay for the gas of calls to it
//! from block 0 on (`docs/fees.md`). All of
//! it fits into a genesis file of 1 MiB: at most [`MAX_CONTRACTS`], each of at most
//! [`MAX_CODE_LENGTH`] bytes and [`MAX_WORDS`] words.

use crate::address::{ALL, peer_of_points};
use alloy::primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Most contracts of a genesis file.
pub const MAX_CONTRACTS: usize = 16;
/// Longest code (EIP-170).
pub const MAX_CODE_LENGTH: usize = 24_576;
/// Most words of storage that one contract begins with.
pub const MAX_WORDS: usize = 64;
/// Addresses below this are Ethereum's own precompiles, or kept for them.
const LEAST_ADDRESS: [u8; 2] = [0x01, 0x00];
/// First byte of what is no code of the EVM (EIP-3541).
const RESERVED_BYTE: u8 = 0xef;

/// One placed contract.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contract {
    /// Where.
    pub address: Address,
    /// What runs there.
    pub code: Bytes,
    /// The words that are not zero.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub storage: BTreeMap<B256, B256>,
    /// Who may pay for the gas of calls to it, and hand that over; nobody ever if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Address>,
}

/// What is wrong with a contract.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum ContractError {
    /// Too many.
    #[error("the genesis file places {0} contracts, more than {MAX_CONTRACTS}")]
    Count(usize),
    /// An address that is not free.
    #[error(
        "no contract can be placed at {0}: it is zero, a precompile or a system module, stands here twice, or is an account of this file"
    )]
    Address(Address),
    /// No code of the EVM.
    #[error(
        "the code of contract {0} must have 1 to {MAX_CODE_LENGTH} bytes and must not begin with 0xef"
    )]
    Code(Address),
    /// Too much storage, or a word that would not be stored.
    #[error("contract {0} may begin with at most {MAX_WORDS} words of storage, none of them zero")]
    Storage(Address),
    /// An operator that cannot sign.
    #[error("the operator of contract {0} must be an account: not zero, not a system module")]
    Operator(Address),
}

/// The rules that a genesis file's contracts must keep; `accounts` are those it names otherwise.
pub(crate) fn check(
    contracts: &[Contract],
    accounts: impl Iterator<Item = Address>,
) -> Result<(), ContractError> {
    if contracts.len() > MAX_CONTRACTS {
        return Err(ContractError::Count(contracts.len()));
    }
    let mut taken: BTreeSet<Address> = accounts.chain(ALL).collect();
    for Contract {
        address,
        code,
        storage,
        operator,
    } in contracts
    {
        let (head, tail) = address.as_slice().split_at(18);
        let is_low = head.iter().all(|byte| *byte == 0) && tail < LEAST_ADDRESS.as_slice();
        if is_low || peer_of_points(*address).is_some() || !taken.insert(*address) {
            return Err(ContractError::Address(*address));
        }
        if code.is_empty() || code.len() > MAX_CODE_LENGTH || code.first() == Some(&RESERVED_BYTE) {
            return Err(ContractError::Code(*address));
        }
        if storage.len() > MAX_WORDS || storage.values().any(B256::is_zero) {
            return Err(ContractError::Storage(*address));
        }
        if operator.is_some_and(|one| one.is_zero() || ALL.contains(&one)) {
            return Err(ContractError::Operator(*address));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloy::primitives::address;

    const PLACE: Address = Address::repeat_byte(9);

    fn contract() -> Contract {
        Contract {
            address: PLACE,
            code: Bytes::from_static(&[0]),
            storage: BTreeMap::from([(B256::ZERO, B256::repeat_byte(1))]),
            operator: Some(Address::repeat_byte(7)),
        }
    }

    fn refused(change: impl FnOnce(&mut Contract)) -> ContractError {
        let mut one = contract();
        change(&mut one);
        check(&[one], [Address::repeat_byte(8)].into_iter()).unwrap_err()
    }

    #[test]
    fn what_cannot_stand_is_refused_by_name() {
        assert_eq!(check(&[contract()], [].into_iter()), Ok(()));
        for address in [
            Address::ZERO,
            address!("0000000000000000000000000000000000000011"),
            address!("00000000000000000000000000000000000000ff"),
            ALL[0],
            Address::repeat_byte(8),
        ] {
            let error = ContractError::Address(address);
            assert_eq!(refused(|one| one.address = address), error);
        }
        let above = address!("0000000000000000000000000000000000000100");
        let mut high = contract();
        high.address = above;
        assert_eq!(check(&[high], [].into_iter()), Ok(()));
        assert_eq!(
            check(&[contract(), contract()], [].into_iter()),
            Err(ContractError::Address(PLACE))
        );
        for code in [
            Bytes::new(),
            Bytes::from_static(&[0xef]),
            vec![0; MAX_CODE_LENGTH + 1].into(),
        ] {
            assert_eq!(refused(|one| one.code = code), ContractError::Code(PLACE));
        }
        let error = ContractError::Storage(PLACE);
        assert_eq!(
            refused(|one| {
                one.storage.insert(B256::repeat_byte(2), B256::ZERO);
            }),
            error
        );
        let many =
            (0..=MAX_WORDS).map(|n| (B256::left_padding_from(&n.to_be_bytes()), PLACE.into_word()));
        assert_eq!(refused(|one| one.storage = many.collect()), error);
        for operator in [Address::ZERO, ALL[0]] {
            let error = ContractError::Operator(PLACE);
            assert_eq!(refused(|one| one.operator = Some(operator)), error);
        }
        let many = vec![contract(); MAX_CONTRACTS + 1];
        assert_eq!(
            check(&many, [].into_iter()),
            Err(ContractError::Count(MAX_CONTRACTS + 1))
        );
    }

    #[test]
    fn a_contract_is_read_as_it_is_written() {
        let text = serde_json::to_string(&contract()).unwrap();
        assert_eq!(serde_json::from_str::<Contract>(&text).unwrap(), contract());
        let bare = format!("{{\"address\":\"{PLACE}\",\"code\":\"0x00\"}}");
        let bare: Contract = serde_json::from_str(&bare).unwrap();
        assert!(bare.storage.is_empty() && bare.operator.is_none());
        assert!(serde_json::from_str::<Contract>("{\"code\":\"0x00\"}").is_err());
    }
}
