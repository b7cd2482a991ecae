//! Places in a module's storage, found as Solidity finds them.

use alloy::primitives::{Address, B256, U256, keccak256};

/// A word of a module's storage.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Slot {
    module: Address,
    key: U256,
}

impl Slot {
    /// The `index`-th declared variable.
    pub(crate) const fn at(module: Address, index: u64) -> Self {
        Self {
            module,
            key: U256::from_limbs([index, 0, 0, 0]),
        }
    }

    /// The value of a mapping at this slot under `key`: `keccak256(key ‖ slot)`.
    pub(crate) fn entry(self, key: impl Into<MapKey>) -> Self {
        let mut bytes = [0u8; 64];
        let (head, tail) = bytes.split_at_mut(32);
        head.copy_from_slice(key.into().0.as_slice());
        tail.copy_from_slice(&self.key.to_be_bytes::<32>());
        Self {
            module: self.module,
            key: keccak256(bytes).into(),
        }
    }

    /// The `index`-th word of a struct at this slot.
    pub(crate) fn field(self, index: u64) -> Self {
        Self {
            module: self.module,
            // Storage keys wrap around, as in Solidity.
            key: self.key.wrapping_add(U256::from(index)),
        }
    }

    pub(crate) const fn module(self) -> Address {
        self.module
    }

    pub(crate) const fn key(self) -> U256 {
        self.key
    }
}

/// A mapping's key, as the word that is hashed.
pub(crate) struct MapKey(B256);

impl From<Address> for MapKey {
    fn from(address: Address) -> Self {
        Self(address.into_word())
    }
}

impl From<u64> for MapKey {
    fn from(number: u64) -> Self {
        Self(U256::from(number).into())
    }
}

impl From<B256> for MapKey {
    fn from(word: B256) -> Self {
        Self(word)
    }
}
