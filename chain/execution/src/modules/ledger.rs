//! Storage and balances as a module's logic sees them, whoever runs it.
//!
//! | ledger | who | pays | writes |
//! |---|---|---|---|
//! | [`Host`] | a transaction or a call | gas | to the EVM's journal |
//! | [`Books`] | the chain itself, at a block's begin or end | nothing | to the block's cache |
//! | [`Blank`] | the genesis | nothing | to a map |
//! | [`Scratch`] | a view, and the chain's own work until it is complete | as the ledger below | to itself |

use super::{
    host::{Fault, Host},
    slot::Slot,
};
use crate::cache::View;
use alloy::primitives::{Address, U256};
use revm::Database as _;
use std::collections::BTreeMap;

/// Where a module's logic reads and writes.
pub(crate) trait Ledger {
    /// A word of storage.
    fn load(&mut self, slot: Slot) -> Result<U256, Fault>;
    /// Changes a word of storage.
    fn store(&mut self, slot: Slot, word: U256) -> Result<(), Fault>;
    /// An account's coin.
    fn balance(&mut self, address: Address) -> Result<U256, Fault>;
}

impl Ledger for Host<'_> {
    fn load(&mut self, slot: Slot) -> Result<U256, Fault> {
        Host::load(self, slot)
    }

    fn store(&mut self, slot: Slot, word: U256) -> Result<(), Fault> {
        Host::store(self, slot, word)
    }

    fn balance(&mut self, address: Address) -> Result<U256, Fault> {
        Host::balance(self, address)
    }
}

/// The block's cache. What it does not know reads as zero and is noted there.
pub(crate) struct Books<'a> {
    pub(crate) view: View<'a>,
}

impl Ledger for Books<'_> {
    fn load(&mut self, slot: Slot) -> Result<U256, Fault> {
        let Ok(word) = self.view.storage(slot.module(), slot.key());
        Ok(word)
    }

    fn store(&mut self, slot: Slot, word: U256) -> Result<(), Fault> {
        self.view.cache.store(slot.module(), slot.key(), word);
        Ok(())
    }

    fn balance(&mut self, address: Address) -> Result<U256, Fault> {
        let Ok(account) = self.view.basic(address);
        Ok(account.map_or(U256::ZERO, |account| account.balance))
    }
}

/// Storage that begins empty.
#[derive(Debug, Default)]
pub(crate) struct Blank {
    words: BTreeMap<Slot, U256>,
}

impl Blank {
    /// Storage that begins with these words.
    pub(crate) fn holding(words: impl IntoIterator<Item = (Slot, U256)>) -> Self {
        Self {
            words: words.into_iter().collect(),
        }
    }

    pub(crate) fn into_words(self) -> Vec<(Slot, U256)> {
        self.words.into_iter().collect()
    }
}

impl Ledger for Blank {
    fn load(&mut self, slot: Slot) -> Result<U256, Fault> {
        Ok(self.words.get(&slot).copied().unwrap_or_default())
    }

    fn store(&mut self, slot: Slot, word: U256) -> Result<(), Fault> {
        self.words.insert(slot, word);
        Ok(())
    }

    fn balance(&mut self, _: Address) -> Result<U256, Fault> {
        Ok(U256::ZERO)
    }
}

/// Keeps what is written to itself, over another ledger.
pub(crate) struct Scratch<'a, L> {
    below: &'a mut L,
    written: Written,
}

/// What was written, the last value for each place.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) words: BTreeMap<Slot, U256>,
    /// Coin of accounts.
    pub(crate) balances: BTreeMap<Address, U256>,
}

impl<'a, L: Ledger> Scratch<'a, L> {
    pub(crate) const fn new(below: &'a mut L) -> Self {
        Self {
            below,
            written: Written {
                words: BTreeMap::new(),
                balances: BTreeMap::new(),
            },
        }
    }

    /// What was written.
    pub(crate) fn into_written(self) -> Written {
        self.written
    }

    /// Sets an account's coin.
    pub(crate) fn set_balance(&mut self, address: Address, balance: U256) -> Result<(), Fault> {
        // As with words: it must be known.
        self.below.balance(address)?;
        self.written.balances.insert(address, balance);
        Ok(())
    }
}

impl<L: Ledger> Ledger for Scratch<'_, L> {
    fn load(&mut self, slot: Slot) -> Result<U256, Fault> {
        match self.written.words.get(&slot) {
            Some(word) => Ok(*word),
            None => self.below.load(slot),
        }
    }

    fn store(&mut self, slot: Slot, word: U256) -> Result<(), Fault> {
        // What stood there must be known to whoever takes the words over.
        if !self.written.words.contains_key(&slot) {
            self.below.load(slot)?;
        }
        self.written.words.insert(slot, word);
        Ok(())
    }

    fn balance(&mut self, address: Address) -> Result<U256, Fault> {
        match self.written.balances.get(&address) {
            Some(balance) => Ok(*balance),
            None => self.below.balance(address),
        }
    }
}
