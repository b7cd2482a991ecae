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

/// Where something stands in the state.
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

    /// The same for a place with its key. The key of a word does not tell whose storage it is; a
    /// reader that replaces an account's whole storage looks at the place.
    fn read(
        &self,
        place: Place,
        key: Key,
    ) -> impl Future<Output = Result<Option<Value>, ReadError>> + Send {
        let _ = place;
        self.get(key)
    }

    /// The same for many places, one value for each in their order; a store that finds many faster
    /// than one after the other does so here.
    fn read_all(
        &self,
        places: &[(Place, Key)],
    ) -> impl Future<Output = Result<Vec<Option<Value>>, ReadError>> + Send {
        async move {
            let mut values = Vec::with_capacity(places.len());
            for (place, key) in places {
                values.push(self.read(*place, *key).await?);
            }
            Ok(values)
        }
    }
}

/// What can be asked of the state.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// An account.
    Account(Address),
    /// A word of an account's storage.
    Slot(Address, U256),
    /// Code by its hash.
    Code(B256),
}

impl Place {
    /// Where it stands; a hash is computed for it.
    pub fn key(self) -> Key {
        match self {
            Self::Account(address) => account_key(address),
            Self::Slot(address, slot) => storage_key(address, slot),
            Self::Code(hash) => code_key(hash),
        }
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
    account_from(state.get(account_key(address)).await?)
}

/// The code with this hash; empty for the hash of no code, an error if it is not there.
pub async fn code(state: &impl StateReader, code_hash: B256) -> Result<Bytes, ReadError> {
    if code_hash == KECCAK256_EMPTY || code_hash.is_zero() {
        return Ok(Bytes::new());
    }
    code_from(code_hash, state.get(code_key(code_hash)).await?)
}

/// A word of an account's storage; zero if absent.
pub async fn storage(
    state: &impl StateReader,
    address: Address,
    slot: U256,
) -> Result<U256, ReadError> {
    let place = Place::Slot(address, slot);
    word_from(state.read(place, place.key()).await?)
}

/// An account from what is stored.
pub(crate) fn account_from(stored: Option<Value>) -> Result<Option<Account>, ReadError> {
    stored.map(|bytes| Account::decode(&bytes)).transpose()
}

/// A word from what is stored.
pub(crate) fn word_from(stored: Option<Value>) -> Result<U256, ReadError> {
    stored.map_or(Ok(U256::ZERO), |bytes| decode_word(&bytes))
}

/// The code with this hash from what is stored.
pub(crate) fn code_from(code_hash: B256, stored: Option<Value>) -> Result<Bytes, ReadError> {
    stored
        .map(Bytes::from)
        .ok_or_else(|| ReadError(format!("code {code_hash} is missing")))
}
