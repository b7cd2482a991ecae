//! A state of which something else is assumed: the state overrides of `eth_call`.
//!
//! Each set of overrides, and each simulated block, is a layer over what was there before it:
//!
//! ```txt
//! base  <-  overrides  <-  what a simulated block changed  <-  overrides of the next  <-  ...
//! ```
//!
//! Balances, nonces, code and single slots stand in a layer by their keys. An account whose whole
//! storage is replaced (`state`) is remembered by its address, since a key does not tell whose storage
//! it is; no look passes below. Limit: [`MAX_OVERRIDES`] places in one set.

use crate::state::{
    self, Account, Changes, Key, MAX_CODE_LENGTH, Place, ReadError, StateReader, Value,
    account_key, code_key, encode_word, storage_key,
};
use alloy::{
    primitives::{Address, keccak256},
    rpc::types::state::{AccountOverride, StateOverride},
};
use std::collections::BTreeSet;
use thiserror::Error;

/// Most accounts and slots that one set overrides.
pub const MAX_OVERRIDES: usize = 10_000;

/// Why overrides cannot be laid over a state.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum OverrideError {
    /// Both forms for one account.
    #[error("account {0} has both 'state' and 'stateDiff'")]
    Both(Address),
    /// Over the limit.
    #[error("too many overrides; at most {MAX_OVERRIDES} accounts and slots are allowed")]
    TooMany,
    /// Longer than any code may be.
    #[error("the code for account {0} is longer than {MAX_CODE_LENGTH} bytes")]
    Code(Address),
    /// A geth extension that this node does not have.
    #[error("movePrecompileToAddress is not offered by this node")]
    MovePrecompile,
    /// The state below could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What stands over a state, or over another layer.
#[derive(Clone, Debug, Default)]
struct Layer {
    changes: Changes,
    replaced: BTreeSet<Address>,
}

/// A reader with overrides over it.
#[derive(Clone, Debug)]
pub struct Overridden<R> {
    base: R,
    /// The newest last.
    layers: Vec<Layer>,
}

impl<R: StateReader> Overridden<R> {
    /// Lays `overrides` over `base`.
    ///
    /// # Errors
    ///
    /// When the overrides contradict themselves or a limit, or `base` cannot be read.
    pub async fn new(base: R, overrides: StateOverride) -> Result<Self, OverrideError> {
        let mut laid = Self {
            base,
            layers: Vec::new(),
        };
        laid.assume(overrides).await?;
        Ok(laid)
    }

    /// Lays further overrides over all that is there.
    ///
    /// # Errors
    ///
    /// As [`Overridden::new`]; nothing is laid then.
    pub async fn assume(&mut self, overrides: StateOverride) -> Result<(), OverrideError> {
        let places = overrides.values().fold(overrides.len(), |sum, one| {
            let slots = |map: &Option<_>| {
                map.as_ref()
                    .map_or(0, alloy::primitives::map::B256HashMap::len)
            };
            sum.saturating_add(slots(&one.state))
                .saturating_add(slots(&one.state_diff))
        });
        if places > MAX_OVERRIDES {
            return Err(OverrideError::TooMany);
        }
        let mut layer = Layer::default();
        for (address, one) in overrides {
            self.lay(&mut layer, address, one).await?;
        }
        self.layers.push(layer);
        Ok(())
    }

    /// Lays what a block changed over all that is there.
    pub(crate) fn keep(&mut self, changes: Changes) {
        self.layers.push(Layer {
            changes,
            replaced: BTreeSet::new(),
        });
    }

    async fn lay(
        &self,
        layer: &mut Layer,
        address: Address,
        one: AccountOverride,
    ) -> Result<(), OverrideError> {
        if one.move_precompile_to.is_some() {
            return Err(OverrideError::MovePrecompile);
        }
        if one.balance.is_some() || one.nonce.is_some() || one.code.is_some() {
            let below = state::account(self, address).await?.unwrap_or_default();
            let code_hash = match one.code {
                Some(code) if code.len() > MAX_CODE_LENGTH => {
                    return Err(OverrideError::Code(address));
                }
                Some(code) => {
                    let hash = keccak256(&code);
                    layer.changes.insert(code_key(hash), Some(code.into()));
                    hash
                }
                None => below.code_hash,
            };
            let account = Account {
                nonce: one.nonce.unwrap_or(below.nonce),
                balance: one.balance.unwrap_or(below.balance),
                code_hash,
            };
            layer
                .changes
                .insert(account_key(address), Some(account.encode()));
        }
        let slots = match (one.state, one.state_diff) {
            (Some(_), Some(_)) => return Err(OverrideError::Both(address)),
            (Some(whole), None) => {
                layer.replaced.insert(address);
                whole
            }
            (None, some) => some.unwrap_or_default(),
        };
        for (slot, word) in slots {
            layer
                .changes
                .insert(storage_key(address, slot.into()), encode_word(word.into()));
        }
        Ok(())
    }
}

impl<R: StateReader> StateReader for Overridden<R> {
    async fn get(&self, key: Key) -> Result<Option<Value>, ReadError> {
        let found = self
            .layers
            .iter()
            .rev()
            .find_map(|layer| layer.changes.get(&key));
        match found {
            Some(found) => Ok(found.clone()),
            None => self.base.get(key).await,
        }
    }

    async fn read(&self, place: Place, key: Key) -> Result<Option<Value>, ReadError> {
        for layer in self.layers.iter().rev() {
            if let Some(found) = layer.changes.get(&key) {
                return Ok(found.clone());
            }
            if let Place::Slot(address, _) = place
                && layer.replaced.contains(&address)
            {
                return Ok(None);
            }
        }
        self.base.read(place, key).await
    }
}
