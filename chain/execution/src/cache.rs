//! The state as the EVM sees it during one block.
//!
//! revm reads synchronously and the store does not. A read of something that is not here yet is
//! tried on the spot ([`View`]): a store that has it at hand answers at once, and the EVM goes on.
//! Otherwise it is noted and answered as if it were absent; whoever runs the EVM then throws the
//! result away, fetches what was noted and runs again. Answering, instead of stopping, lets one
//! attempt find many missing values. Each new attempt starts with at least one more value known,
//! so the attempts end.
//!
//! For each place the cache keeps what is committed and what the block made of it; the block's
//! changes are the difference, so they do not depend on what happened to be read. A place's key is
//! hashed once, when the place is read.

use crate::state::{
    Account, Changes, Key, Place, ReadError, StateReader, Value, account_from, account_key,
    code_from, code_key, encode_word, storage_key, word_from,
};
use alloy::primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use revm::{
    Database,
    primitives::HashMap,
    state::{AccountInfo, Bytecode, EvmState},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    fmt,
    future::Future,
    pin::pin,
    task::{Context, Poll},
};

/// Most places that are read together.
const AT_ONCE: usize = 4_096;

#[derive(Debug)]
struct Entry<T> {
    key: Key,
    committed: T,
    current: T,
}

impl<T: Copy> Entry<T> {
    const fn new(key: Key, committed: T) -> Self {
        Self {
            key,
            committed,
            current: committed,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    accounts: HashMap<Address, Entry<Option<Account>>>,
    slots: HashMap<(Address, U256), Entry<U256>>,
    codes: HashMap<B256, Bytecode>,
    created: BTreeMap<B256, Bytes>,
    missing: BTreeSet<Place>,
    /// The only block whose hash BLOCKHASH knows.
    parent: Option<(u64, B256)>,
    /// Hashes that a call assumes.
    assumed: BTreeMap<u64, B256>,
}

impl Cache {
    /// An empty cache for the block that follows `parent` (height and digest).
    pub(crate) fn new(parent: Option<(u64, B256)>) -> Self {
        Self {
            parent,
            ..Self::default()
        }
    }

    /// Whether everything asked for so far was known.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Notes a place to be fetched, unless it is known.
    pub(crate) fn want(&mut self, place: Place) {
        if !self.knows(place) {
            self.missing.insert(place);
        }
    }

    /// Whether a place was read.
    pub(crate) fn knows(&self, place: Place) -> bool {
        match place {
            Place::Account(address) => self.accounts.contains_key(&address),
            Place::Slot(address, slot) => self.slots.contains_key(&(address, slot)),
            Place::Code(hash) => hash == KECCAK256_EMPTY || self.codes.contains_key(&hash),
        }
    }

    /// An account, if it is known and there is one.
    pub(crate) fn account(&self, address: Address) -> Option<Account> {
        self.accounts.get(&address).and_then(|entry| entry.current)
    }

    /// A word of storage, zero if it is not known.
    pub(crate) fn known_word(&self, address: Address, slot: U256) -> U256 {
        self.slots
            .get(&(address, slot))
            .map_or(U256::ZERO, |entry| entry.current)
    }

    /// A word of storage as it is committed, and as it is now; zeros if it is not known.
    pub(crate) fn word_change(&self, address: Address, slot: U256) -> (U256, U256) {
        self.slots
            .get(&(address, slot))
            .map_or_else(Default::default, |entry| (entry.committed, entry.current))
    }

    /// Code, if it is known.
    pub(crate) fn known_code(&self, hash: B256) -> Option<Bytecode> {
        self.codes.get(&hash).cloned()
    }

    /// Lets BLOCKHASH answer something else.
    pub(crate) fn assume_hash(&mut self, number: u64, hash: B256) {
        self.assumed.insert(number, hash);
    }

    /// The code hash of an account, if the account is known.
    pub(crate) fn code_hash(&self, address: Address) -> Option<B256> {
        self.account(address).map(|account| account.code_hash)
    }

    /// An account, if it is known; one that is not there is the default.
    pub(crate) fn known_account(&self, address: Address) -> Option<Account> {
        self.accounts
            .get(&address)
            .map(|entry| entry.current.unwrap_or_default())
    }

    /// Changes an account that was loaded before.
    pub(crate) fn set_account(&mut self, address: Address, account: Account) {
        self.accounts
            .entry(address)
            .or_insert_with(|| Entry::new(account_key(address), None))
            .current = Some(account).filter(|account| !account.is_empty());
    }

    /// Reads all that is missing.
    pub(crate) async fn fetch(&mut self, reader: &impl StateReader) -> Result<(), ReadError> {
        while !self.missing.is_empty() {
            let missing = self.missing.iter().take(AT_ONCE);
            let places: Vec<_> = missing.map(|place| (*place, place.key())).collect();
            let values = reader.read_all(&places).await?;
            if values.len() != places.len() {
                return Err(ReadError("it answers something else than was asked".into()));
            }
            for ((place, key), value) in places.into_iter().zip(values) {
                self.learn(place, key, value)?;
                self.missing.remove(&place);
            }
        }
        Ok(())
    }

    /// Reads a place now if it is not known and the store need not be waited for.
    pub(crate) fn fetch_now(
        &mut self,
        reader: &impl StateReader,
        context: &mut Context<'_>,
        place: Place,
    ) {
        if self.knows(place) {
            return;
        }
        let key = place.key();
        // What cannot be read is asked for again, and then told.
        if let Poll::Ready(Ok(value)) = pin!(reader.read(place, key)).poll(context)
            && self.learn(place, key, value).is_err()
        {
            self.missing.insert(place);
        }
    }

    fn learn(&mut self, place: Place, key: Key, value: Option<Value>) -> Result<(), ReadError> {
        match place {
            Place::Account(address) => {
                let account = account_from(value)?;
                self.accounts.insert(address, Entry::new(key, account));
            }
            Place::Slot(address, slot) => {
                let word = word_from(value)?;
                self.slots.insert((address, slot), Entry::new(key, word));
            }
            Place::Code(hash) => {
                let code = Bytecode::new_raw_checked(code_from(hash, value)?)
                    .map_err(|error| ReadError(format!("code {hash}: {error}")))?;
                self.codes.insert(hash, code);
            }
        }
        Ok(())
    }

    /// A word of storage, read if need be.
    pub(crate) async fn load(
        &mut self,
        reader: &impl StateReader,
        address: Address,
        slot: U256,
    ) -> Result<U256, ReadError> {
        self.want(Place::Slot(address, slot));
        self.fetch(reader).await?;
        Ok(self.known_word(address, slot))
    }

    /// Changes a word of storage that was loaded before.
    pub(crate) fn store(&mut self, address: Address, slot: U256, word: U256) {
        self.slots
            .entry((address, slot))
            // Only the storage of a contract made in this block is written without being read;
            // it holds nothing yet.
            .or_insert_with(|| Entry::new(storage_key(address, slot), U256::ZERO))
            .current = word;
    }

    /// Takes over what a transaction did.
    pub(crate) fn commit(&mut self, state: EvmState) {
        for (address, touched) in state {
            if !touched.is_touched() {
                continue;
            }
            let current = if touched.is_selfdestructed() {
                Account::default()
            } else {
                for (slot, word) in touched.changed_storage_slots() {
                    self.store(address, *slot, word.present_value);
                }
                let info = touched.info;
                // Decided by the account alone, never by which code happens to be cached.
                if let Some(code) = info.code
                    && !code.is_empty()
                    && self.code_hash(address) != Some(info.code_hash)
                {
                    self.created.insert(info.code_hash, code.original_bytes());
                    self.codes.insert(info.code_hash, code);
                }
                Account {
                    nonce: info.nonce,
                    balance: info.balance,
                    code_hash: info.code_hash,
                }
            };
            self.set_account(address, current);
        }
    }

    /// Accounts whose coin the block changed, ascending, with what they had before it.
    pub(crate) fn moved(&self) -> Vec<(Address, U256)> {
        let balance = |account: Option<Account>| account.unwrap_or_default().balance;
        let mut moved: Vec<_> = self
            .accounts
            .iter()
            .filter(|(_, entry)| balance(entry.committed) != balance(entry.current))
            .map(|(address, entry)| (*address, balance(entry.committed)))
            .collect();
        moved.sort_unstable();
        moved
    }

    /// What the block changed.
    pub(crate) fn changes(&self) -> Changes {
        let mut changes = self.differences(|entry| entry.current, |entry| entry.current);
        for (hash, code) in &self.created {
            changes.insert(code_key(*hash), Some(code.to_vec()));
        }
        changes
    }

    /// What stood in the places that changed, before the block. Code is left out: its key names its
    /// content, so it is right at any height.
    pub(crate) fn before(&self) -> Changes {
        self.differences(|entry| entry.committed, |entry| entry.committed)
    }

    fn differences(
        &self,
        account: impl Fn(&Entry<Option<Account>>) -> Option<Account>,
        word: impl Fn(&Entry<U256>) -> U256,
    ) -> Changes {
        let mut found = Changes::new();
        for entry in self.accounts.values() {
            if entry.committed != entry.current {
                let value = account(entry).map(|account| account.encode());
                found.insert(entry.key, value);
            }
        }
        for entry in self.slots.values() {
            if entry.committed != entry.current {
                found.insert(entry.key, encode_word(word(entry)));
            }
        }
        found
    }
}

impl Database for Cache {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        let Some(entry) = self.accounts.get(&address) else {
            self.missing.insert(Place::Account(address));
            return Ok(None);
        };
        Ok(entry.current.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: None,
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Infallible> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        Ok(self.codes.get(&hash).cloned().unwrap_or_else(|| {
            self.missing.insert(Place::Code(hash));
            Bytecode::default()
        }))
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Infallible> {
        let Some(entry) = self.slots.get(&(address, slot)) else {
            self.missing.insert(Place::Slot(address, slot));
            return Ok(U256::ZERO);
        };
        Ok(entry.current)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        if let Some(assumed) = self.assumed.get(&number) {
            return Ok(*assumed);
        }
        Ok(match self.parent {
            Some((height, digest)) if height == number => digest,
            _ => B256::ZERO,
        })
    }
}

/// The cache, together with a way to read on the spot.
pub(crate) struct View<'a> {
    pub(crate) cache: &'a mut Cache,
    pub(crate) fetch_now: &'a mut dyn FnMut(&mut Cache, Place),
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cache.fmt(formatter)
    }
}

impl Database for View<'_> {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        (self.fetch_now)(self.cache, Place::Account(address));
        self.cache.basic(address)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Infallible> {
        (self.fetch_now)(self.cache, Place::Code(hash));
        self.cache.code_by_hash(hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Infallible> {
        (self.fetch_now)(self.cache, Place::Slot(address, slot));
        self.cache.storage(address, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        self.cache.block_hash(number)
    }
}
