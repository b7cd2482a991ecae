//! The state as keys and values, and how it is read.
//!
//! ```txt
//! what      key                                     value
//! account   keccak256(0x00 ‖ address)               nonce (8) ‖ balance (32) ‖ code hash (32)
//! storage   keccak256(0x01 ‖ address ‖ slot (32))   the word (32)
//! code      keccak256(0x02 ‖ code hash)             the code's bytes
//! ```
//!
//! Numbers are big-endian. Absent means default: an account without nonce, balance and code is
//! not stored, nor is a zero word. Code is never deleted. No value is longer than
//! [`MAX_VALUE_LENGTH`].

use alloy::primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Keccak256, U256};
use std::{collections::BTreeMap, future::Future};
use thiserror::Error;

/// A place in the state.
pub type Key = B256;
/// What is stored there.
pub type Value = Vec<u8>;
/// What a block does to the state; `None` deletes.
pub type Changes = BTreeMap<Key, Option<Value>>;

/// Longest value: the largest contract (EIP-170), rounded up to whole 64-byte lines.
pub const MAX_VALUE_LENGTH: usize = 24_640;
/// Longest code (EIP-170).
pub const MAX_CODE_LENGTH: usize = 24_576;

const ACCOUNT: u8 = 0;
const STORAGE: u8 = 1;
const CODE: u8 = 2;
const ACCOUNT_LENGTH: usize = 8 + 32 + 32;

/// The state could not be read. Says nothing about what is stored.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[error("the state cannot be read: {0}")]
pub struct ReadError(pub String);

/// Reads committed state: the state after the parent block.
pub trait StateReader: Send + Sync {
    /// The value at `key`, `None` if absent. May be dropped and asked again.
    fn get(&self, key: Key) -> impl Future<Output = Result<Option<Value>, ReadError>> + Send;

    /// A word of an account's storage in its stored form. Its key does not tell whose storage it
    /// is; a reader that replaces an account's whole storage answers here.
    fn word(
        &self,
        address: Address,
        slot: U256,
    ) -> impl Future<Output = Result<Option<Value>, ReadError>> + Send {
        self.get(storage_key(address, slot))
    }
}

/// An account of the state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Account {
    /// Transactions sent, or contracts created by a contract, plus one for contracts.
    pub nonce: u64,
    /// MVC, in its smallest unit.
    pub balance: U256,
    /// keccak256 of its code.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            nonce: 0,
            balance: U256::ZERO,
            code_hash: KECCAK256_EMPTY,
        }
    }
}

impl Account {
    /// Whether it is the same as no account at all (EIP-161).
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The stored form.
    pub fn encode(&self) -> Value {
        let mut out = Vec::with_capacity(ACCOUNT_LENGTH);
        out.extend_from_slice(&self.nonce.to_be_bytes());
        out.extend_from_slice(&self.balance.to_be_bytes::<32>());
        out.extend_from_slice(self.code_hash.as_slice());
        out
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReadError> {
        let parts = || {
            let (nonce, rest) = bytes.split_first_chunk::<8>()?;
            let (balance, rest) = rest.split_first_chunk::<32>()?;
            let code_hash: [u8; 32] = rest.try_into().ok()?;
            Some(Self {
                nonce: u64::from_be_bytes(*nonce),
                balance: U256::from_be_bytes(*balance),
                code_hash: code_hash.into(),
            })
        };
        parts().ok_or_else(|| ReadError("a stored account has the wrong length".into()))
    }
}

/// Where an account stands.
pub fn account_key(address: Address) -> Key {
    key(ACCOUNT, &[address.as_slice()])
}

/// Where a word of an account's storage stands.
pub fn storage_key(address: Address, slot: U256) -> Key {
    key(STORAGE, &[address.as_slice(), &slot.to_be_bytes::<32>()])
}

/// Where code stands.
pub fn code_key(code_hash: B256) -> Key {
    key(CODE, &[code_hash.as_slice()])
}

fn key(kind: u8, parts: &[&[u8]]) -> Key {
    let mut hasher = Keccak256::new();
    hasher.update([kind]);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// A word's stored form; `None` for zero.
pub fn encode_word(word: U256) -> Option<Value> {
    (!word.is_zero()).then(|| word.to_be_bytes::<32>().to_vec())
}

fn decode_word(bytes: &[u8]) -> Result<U256, ReadError> {
    let word: [u8; 32] = bytes
        .try_into()
        .map_err(|_| ReadError("a stored word has the wrong length".into()))?;
    Ok(U256::from_be_bytes(word))
}

/// An account, `None` if there is none.
pub async fn account(
    state: &impl StateReader,
    address: Address,
) -> Result<Option<Account>, ReadError> {
    match state.get(account_key(address)).await? {
        None => Ok(None),
        Some(bytes) => Account::decode(&bytes).map(Some),
    }
}

/// The code with this hash; empty for the hash of no code, an error if it is not there.
pub async fn code(state: &impl StateReader, code_hash: B256) -> Result<Bytes, ReadError> {
    if code_hash == KECCAK256_EMPTY || code_hash.is_zero() {
        return Ok(Bytes::new());
    }
    match state.get(code_key(code_hash)).await? {
        None => Err(ReadError(format!("code {code_hash} is missing"))),
        Some(bytes) => Ok(bytes.into()),
    }
}

/// A word of an account's storage; zero if absent.
pub async fn storage(
    state: &impl StateReader,
    address: Address,
    slot: U256,
) -> Result<U256, ReadError> {
    match state.word(address, slot).await? {
        None => Ok(U256::ZERO),
        Some(bytes) => decode_word(&bytes),
    }
}
