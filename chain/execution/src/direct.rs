//! Calls straight to the points module, without the interpreter around them.
//!
//! Most transactions of this chain call the points module and nothing else, with a gas price of
//! zero. For those the EVM's part is known beforehand: the intrinsic gas, one more on the sender's
//! nonce, the module's own work. That is done here, on the cache, with the same module code; the
//! receipt, the gas and the changes are those that the EVM would have made, and tests run every
//! block both ways. Whatever is not plain goes to the EVM: another callee, a price, a value, an
//! access list, a delegation, and everything that is not valid, so refusals have one source.

use crate::{
    cache::View,
    modules::{
        self, Config,
        host::{Fault, Place, Stored, Words},
        slot::Slot,
    },
    state::Account,
};
use alloy::primitives::{Address, KECCAK256_EMPTY, Log, TxKind, U256, map::HashMap};
use mileverse_primitives::address::POINTS;
use revm::{
    Database as _,
    context::{BlockEnv, CfgEnv, TxEnv},
    context_interface::Cfg,
    handler::validation::validate_initial_tx_gas_with_gas_params,
    primitives::hardfork::SpecId,
};

/// The highest type of transaction that brings no delegations and no blobs.
const LAST_PLAIN_TYPE: u8 = 2;

/// A call that can be done here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    transaction: &'a TxEnv,
    intrinsic_gas: u64,
    floor_gas: u64,
}

/// What it did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) success: bool,
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
    pub(crate) sender: Address,
    pub(crate) account: Account,
    pub(crate) words: Vec<(Slot, U256)>,
}

impl<'a> Call<'a> {
    /// The call that a transaction makes, if it is plain and can pay for itself.
    pub(crate) fn of(
        transaction: &'a TxEnv,
        block: &BlockEnv,
        cfg: &CfgEnv,
        spec: SpecId,
    ) -> Option<Self> {
        let plain = transaction.kind == TxKind::Call(POINTS)
            && transaction.tx_type <= LAST_PLAIN_TYPE
            && transaction.gas_price == 0
            && transaction.gas_priority_fee.unwrap_or_default() == 0
            && transaction.value.is_zero()
            && transaction.access_list.is_empty()
            && transaction.chain_id == Some(cfg.chain_id)
            && transaction.nonce < u64::MAX
            && transaction.gas_limit <= block.gas_limit;
        if !plain {
            return None;
        }
        let gas = validate_initial_tx_gas_with_gas_params(
            transaction,
            spec,
            cfg.gas_params(),
            false,
            false,
            u64::MAX,
            None,
        )
        .ok()?;
        Some(Self {
            transaction,
            intrinsic_gas: gas.initial_total_gas(),
            floor_gas: gas.floor_gas(),
        })
    }

    /// Does the call for a sender whose account is this. `None` if it is one for the EVM.
    pub(crate) fn run(
        self,
        config: &Config,
        block: &BlockEnv,
        account: Account,
        view: View<'_>,
    ) -> Option<Done> {
        let transaction = self.transaction;
        if account.nonce != transaction.nonce || account.code_hash != KECCAK256_EMPTY {
            return None;
        }
        let gas = transaction.gas_limit.checked_sub(self.intrinsic_gas)?;
        let mut desk = Desk {
            view,
            words: HashMap::default(),
            logs: Vec::new(),
        };
        let place = Place {
            caller: transaction.caller,
            now: block.timestamp.saturating_to(),
            height: block.number.saturating_to(),
            gas,
        };
        let (result, used) = modules::run_points(config, &mut desk, place, &transaction.data);
        let (success, used) = match result {
            Ok(_) => (true, used),
            Err(Fault::Revert(_) | Fault::Typed(_)) => (false, used),
            Err(Fault::OutOfGas) => (false, gas),
            Err(Fault::Fatal(_)) => return None,
        };
        let gas_used = self.intrinsic_gas.saturating_add(used).max(self.floor_gas);
        let (logs, words) = if success {
            let words = desk.words.into_iter();
            let changed = words.filter(|(_, word)| word.original != word.present);
            let changed = changed.map(|(slot, word)| (slot, word.present));
            (desk.logs, changed.collect())
        } else {
            (Vec::new(), Vec::new())
        };
        Some(Done {
            success,
            gas_used,
            logs,
            sender: transaction.caller,
            account: Account {
                nonce: account.nonce.checked_add(1)?,
                ..account
            },
            words,
        })
    }
}

/// What one call reads and writes.
struct Desk<'a> {
    view: View<'a>,
    words: HashMap<Slot, Word>,
    logs: Vec<Log>,
}

#[derive(Clone, Copy, Debug)]
struct Word {
    /// Before the transaction.
    original: U256,
    present: U256,
}

impl Desk<'_> {
    /// A word, and whether this is the first that the transaction has to do with it.
    fn word(&mut self, slot: Slot, skip_cold: bool) -> Result<(&mut Word, bool), Fault> {
        let is_cold = !self.words.contains_key(&slot);
        if is_cold && skip_cold {
            return Err(Fault::OutOfGas);
        }
        let view = &mut self.view;
        let word = self.words.entry(slot).or_insert_with(|| {
            let Ok(word) = view.storage(slot.module(), slot.key());
            Word {
                original: word,
                present: word,
            }
        });
        Ok((word, is_cold))
    }
}

impl Words for Desk<'_> {
    fn load(&mut self, slot: Slot, skip_cold: bool) -> Result<(U256, bool), Fault> {
        let (word, is_cold) = self.word(slot, skip_cold)?;
        Ok((word.present, is_cold))
    }

    fn store(&mut self, slot: Slot, new: U256, skip_cold: bool) -> Result<Stored, Fault> {
        let (word, is_cold) = self.word(slot, skip_cold)?;
        let stored = Stored {
            original: word.original,
            present: word.present,
            is_cold,
        };
        word.present = new;
        Ok(stored)
    }

    fn log(&mut self, log: Log) {
        self.logs.push(log);
    }
}
