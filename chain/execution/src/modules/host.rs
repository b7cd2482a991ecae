//! A module's window on the EVM: metered storage, balances and logs.
//!
//! Gas, beside what the EVM charges for the call itself:
//!
//! | what | gas |
//! |---|---|
//! | any call | [`CALL_GAS`] |
//! | each started word of calldata (reading it) | [`INPUT_WORD_GAS`] |
//! | each started word of proof (hashing it) | [`HASH_WORD_GAS`] |
//! | a word of storage read, or written without change | [`WARM_GAS`], and once per transaction [`COLD_SLOT_GAS`] |
//! | a word of storage set from zero, otherwise changed | [`SET_GAS`], [`RESET_GAS`] instead of [`WARM_GAS`] |
//! | a word kept to the transaction's end only, read or written | [`WARM_GAS`] |
//! | an account's balance read | [`WARM_GAS`], and once per transaction [`COLD_ACCOUNT_GAS`] |
//! | an account made for native code | [`NEW_ACCOUNT_GAS`], and once per transaction [`COLD_ACCOUNT_GAS`] |
//! | an account's balance set | [`RESET_GAS`], or [`NEW_ACCOUNT_GAS`] where no account was |
//! | an event | [`LOG_GAS`] + [`LOG_TOPIC_GAS`] per topic + [`LOG_BYTE_GAS`] per byte |
//!
//! These are Ethereum's prices (EIP-2929), plus the hash that finds a mapping's slot, minus refunds.

use super::{Config, MODULE_CODE, slot::Slot};
use alloy::{
    primitives::{Address, Log, U256},
    sol_types::{SolError, SolEvent},
};
use alloy_evm::{EvmInternals, EvmInternalsError, precompiles::PrecompileInput};
use mileverse_primitives::address::POINTS;
use revm::{
    context::journaled_state::{JournalLoadError, account::JournaledAccountTr},
    state::Bytecode,
};

/// Entering a module.
pub(crate) const CALL_GAS: u64 = 200;
/// Reading one word of calldata.
pub(crate) const INPUT_WORD_GAS: u64 = 6;
/// Hashing one word of a proof.
pub(crate) const HASH_WORD_GAS: u64 = 12;
/// A word or a balance that the transaction touched before.
pub(crate) const WARM_GAS: u64 = 200;
/// A word that the transaction touches first.
pub(crate) const COLD_SLOT_GAS: u64 = 2_100;
/// An account that the transaction touches first.
pub(crate) const COLD_ACCOUNT_GAS: u64 = 2_600;
/// A word that was zero before the transaction and is not now.
pub(crate) const SET_GAS: u64 = 20_000;
/// A word that changes otherwise, for the first time in the transaction.
pub(crate) const RESET_GAS: u64 = 2_900;
/// A balance for an account that did not exist.
pub(crate) const NEW_ACCOUNT_GAS: u64 = 25_000;
/// An event.
pub(crate) const LOG_GAS: u64 = 375;
/// Each of its topics.
pub(crate) const LOG_TOPIC_GAS: u64 = 375;
/// Each byte of its data.
pub(crate) const LOG_BYTE_GAS: u64 = 8;

/// Why a module's call does not succeed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It refuses, with a sentence.
    Revert(String),
    /// It refuses with an error of its ABI, which machines act on.
    Typed(Vec<u8>),
    /// The gas does not suffice.
    OutOfGas,
    /// The EVM itself failed.
    Fatal(String),
}

impl Fault {
    pub(crate) fn revert(reason: impl Into<String>) -> Self {
        Self::Revert(reason.into())
    }

    pub(crate) fn typed(error: &impl SolError) -> Self {
        Self::Typed(error.abi_encode())
    }

    /// Sums that leave 256 bits: impossible while the books are right, never accepted.
    pub(crate) fn overflow() -> Self {
        Self::revert("the sum is out of range")
    }
}

impl From<EvmInternalsError> for Fault {
    fn from(error: EvmInternalsError) -> Self {
        Self::Fatal(error.to_string())
    }
}

impl<E: std::fmt::Display> From<JournalLoadError<E>> for Fault {
    fn from(error: JournalLoadError<E>) -> Self {
        match error {
            // Loads are skipped only when the gas for a cold one is not there.
            JournalLoadError::ColdLoadSkipped => Self::OutOfGas,
            JournalLoadError::DBError(error) => Self::Fatal(error.to_string()),
        }
    }
}

/// One call of a module.
pub(crate) struct Host<'a> {
    world: World<'a>,
    config: &'a Config,
    callee: Address,
    caller: Address,
    value: U256,
    now: u64,
    height: u64,
    is_static: bool,
    gas_left: u64,
}

/// Whose words a call reads and writes.
enum World<'a> {
    /// The EVM's journal.
    Evm(EvmInternals<'a>),
    /// The block's cache, for a call that no interpreter is around.
    Direct(&'a mut dyn Words),
}

/// Words of storage with what their prices depend on.
pub(crate) trait Words {
    /// A word, and whether this is its first use in the transaction; out of gas if it is and
    /// `skip_cold` says that this cannot be paid.
    fn load(&mut self, slot: Slot, skip_cold: bool) -> Result<(U256, bool), Fault>;
    /// Changes a word.
    fn store(&mut self, slot: Slot, word: U256, skip_cold: bool) -> Result<Stored, Fault>;
    /// Takes an event.
    fn log(&mut self, log: Log);
}

/// What a word was before it was stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    /// Before the transaction.
    pub(crate) original: U256,
    /// Before this store.
    pub(crate) present: U256,
    /// Whether the transaction had nothing to do with it before.
    pub(crate) is_cold: bool,
}

/// Where and by whom a module is called directly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) caller: Address,
    /// Block time in seconds.
    pub(crate) now: u64,
    pub(crate) height: u64,
    pub(crate) gas: u64,
}

impl<'a> Host<'a> {
    pub(crate) fn new(config: &'a Config, input: PrecompileInput<'a>) -> Self {
        Self {
            config,
            callee: input.target_address,
            caller: input.caller,
            value: input.value,
            now: input.internals.block_timestamp().saturating_to(),
            height: input.internals.block_number().saturating_to(),
            is_static: input.is_static,
            gas_left: input.gas,
            world: World::Evm(input.internals),
        }
    }

    /// A call of the points module by a transaction itself, without value.
    pub(crate) fn direct(config: &'a Config, words: &'a mut dyn Words, place: Place) -> Self {
        Self {
            config,
            callee: POINTS,
            caller: place.caller,
            value: U256::ZERO,
            now: place.now,
            height: place.height,
            is_static: false,
            gas_left: place.gas,
            world: World::Direct(words),
        }
    }

    /// The EVM, for what only it has.
    fn evm(&mut self) -> Result<&mut EvmInternals<'a>, Fault> {
        match &mut self.world {
            World::Evm(internals) => Ok(internals),
            World::Direct(_) => Err(Fault::Fatal(
                "a module that was called directly asks for what only the EVM has".into(),
            )),
        }
    }

    pub(crate) const fn config(&self) -> &'a Config {
        self.config
    }

    /// The address that was called.
    pub(crate) const fn callee(&self) -> Address {
        self.callee
    }

    pub(crate) const fn caller(&self) -> Address {
        self.caller
    }

    pub(crate) const fn value(&self) -> U256 {
        self.value
    }

    pub(crate) const fn gas_left(&self) -> u64 {
        self.gas_left
    }

    /// Block time in seconds.
    pub(crate) const fn now(&self) -> u64 {
        self.now
    }

    /// Height of the block.
    pub(crate) const fn height(&self) -> u64 {
        self.height
    }

    pub(crate) const fn charge(&mut self, gas: u64) -> Result<(), Fault> {
        match self.gas_left.checked_sub(gas) {
            Some(left) => {
                self.gas_left = left;
                Ok(())
            }
            None => {
                self.gas_left = 0;
                Err(Fault::OutOfGas)
            }
        }
    }

    /// `gas` for each started word of `bytes`.
    pub(crate) const fn charge_words(&mut self, gas: u64, bytes: usize) -> Result<(), Fault> {
        self.charge(gas.saturating_mul(bytes.div_ceil(32) as u64))
    }

    /// Refuses value.
    pub(crate) fn not_payable(&self) -> Result<(), Fault> {
        if self.value.is_zero() {
            Ok(())
        } else {
            Err(Fault::revert("this function takes no MVC"))
        }
    }

    /// Refuses a static call.
    pub(crate) fn may_change(&self) -> Result<(), Fault> {
        if self.is_static {
            Err(Fault::revert("a static call changes nothing"))
        } else {
            Ok(())
        }
    }

    pub(crate) fn load(&mut self, slot: Slot) -> Result<U256, Fault> {
        self.charge(WARM_GAS)?;
        let skip_cold = self.gas_left < COLD_SLOT_GAS;
        let (word, is_cold) = self.world.load(slot, skip_cold)?;
        if is_cold {
            self.charge(COLD_SLOT_GAS)?;
        }
        Ok(word)
    }

    pub(crate) fn store(&mut self, slot: Slot, word: U256) -> Result<(), Fault> {
        self.may_change()?;
        self.charge(WARM_GAS)?;
        let skip_cold = self.gas_left < COLD_SLOT_GAS;
        let stored = self.world.store(slot, word, skip_cold)?;
        if stored.is_cold {
            self.charge(COLD_SLOT_GAS)?;
        }
        if word != stored.present && stored.original == stored.present {
            self.charge(if stored.original.is_zero() {
                SET_GAS - WARM_GAS
            } else {
                RESET_GAS - WARM_GAS
            })?;
        }
        Ok(())
    }

    /// Reads a word that is kept to the end of the transaction only.
    pub(crate) fn load_transient(&mut self, slot: Slot) -> Result<U256, Fault> {
        self.charge(WARM_GAS)?;
        Ok(self.evm()?.tload(slot.module(), slot.key()))
    }

    /// Writes a word that is kept to the end of the transaction only.
    pub(crate) fn store_transient(&mut self, slot: Slot, word: U256) -> Result<(), Fault> {
        self.may_change()?;
        self.charge(WARM_GAS)?;
        self.evm()?.tstore(slot.module(), slot.key(), word);
        Ok(())
    }

    /// Reads a word whose price is part of a flat charge made before.
    pub(crate) fn load_prepaid(&mut self, slot: Slot) -> Result<U256, Fault> {
        Ok(self.world.load(slot, false)?.0)
    }

    /// Writes a word whose price is part of a flat charge made before.
    pub(crate) fn store_prepaid(&mut self, slot: Slot, word: U256) -> Result<(), Fault> {
        self.may_change()?;
        self.world.store(slot, word, false)?;
        Ok(())
    }

    /// A word that holds a `uint64`.
    pub(crate) fn load_u64(&mut self, slot: Slot) -> Result<u64, Fault> {
        to_u64(self.load(slot)?)
    }

    /// Adds to a word.
    pub(crate) fn add(&mut self, slot: Slot, amount: U256) -> Result<(), Fault> {
        let word = self.load(slot)?;
        let sum = word.checked_add(amount).ok_or_else(Fault::overflow)?;
        self.store(slot, sum)
    }

    /// Takes from a word, which must hold enough.
    pub(crate) fn subtract(
        &mut self,
        slot: Slot,
        amount: U256,
        refusal: &'static str,
    ) -> Result<(), Fault> {
        let word = self.load(slot)?;
        let rest = word
            .checked_sub(amount)
            .ok_or_else(|| Fault::revert(refusal))?;
        self.store(slot, rest)
    }

    /// Announces an event of module `address`.
    pub(crate) fn log(&mut self, address: Address, event: &impl SolEvent) -> Result<(), Fault> {
        self.may_change()?;
        let data = event.encode_log_data();
        let topics = LOG_TOPIC_GAS.saturating_mul(data.topics().len() as u64);
        let bytes = LOG_BYTE_GAS.saturating_mul(data.data.len() as u64);
        self.charge(LOG_GAS.saturating_add(topics).saturating_add(bytes))?;
        let log = Log { address, data };
        match &mut self.world {
            World::Evm(internals) => internals.log(log),
            World::Direct(words) => words.log(log),
        }
        Ok(())
    }

    /// An account's MVC.
    pub(crate) fn balance(&mut self, address: Address) -> Result<U256, Fault> {
        self.charge(WARM_GAS)?;
        let skip_cold = self.gas_left < COLD_ACCOUNT_GAS;
        let loaded = self
            .evm()?
            .load_account_mut_skip_cold_load(address, skip_cold)?;
        let (balance, is_cold) = (*loaded.data.balance(), loaded.is_cold);
        drop(loaded);
        if is_cold {
            self.charge(COLD_ACCOUNT_GAS)?;
        }
        Ok(balance)
    }

    /// Sets an account's MVC, after [`balance`](Self::balance) told and charged for it.
    pub(crate) fn set_balance(&mut self, address: Address, balance: U256) -> Result<(), Fault> {
        self.may_change()?;
        let is_new = !balance.is_zero() && self.evm()?.load_account(address)?.data.is_empty();
        self.charge(if is_new { NEW_ACCOUNT_GAS } else { RESET_GAS })?;
        self.evm()?.set_balance(address, balance)?;
        Ok(())
    }

    /// Makes the account of native code, if it is not there yet: from then on it is as that of a module
    /// that block 0 made, and Solidity sees a contract there.
    pub(crate) fn make_native_account(&mut self, address: Address) -> Result<(), Fault> {
        self.may_change()?;
        self.charge(NEW_ACCOUNT_GAS.saturating_add(COLD_ACCOUNT_GAS))?;
        let mut account = self.evm()?.load_account_code(address)?;
        let code = Bytecode::new_legacy(MODULE_CODE.into());
        if *account.code_hash() != code.hash_slow() {
            account.set_nonce(1);
            account.set_code_and_hash_slow(code);
        }
        Ok(())
    }
}

impl World<'_> {
    fn load(&mut self, slot: Slot, skip_cold: bool) -> Result<(U256, bool), Fault> {
        match self {
            Self::Evm(internals) => {
                let mut account = internals.load_account_mut(slot.module())?;
                let word = account
                    .sload(slot.key(), skip_cold)?
                    .map(|slot| slot.present_value());
                Ok((word.data, word.is_cold))
            }
            Self::Direct(words) => words.load(slot, skip_cold),
        }
    }

    fn store(&mut self, slot: Slot, word: U256, skip_cold: bool) -> Result<Stored, Fault> {
        match self {
            Self::Evm(internals) => {
                let mut account = internals.load_account_mut(slot.module())?;
                // What is written and cannot be paid for is reverted with the call.
                account.touch();
                let done = account.sstore(slot.key(), word, skip_cold)?;
                Ok(Stored {
                    original: done.data.original_value,
                    present: done.data.present_value,
                    is_cold: done.is_cold,
                })
            }
            Self::Direct(words) => words.store(slot, word, skip_cold),
        }
    }
}

/// A word that holds a `uint64`.
pub(crate) fn to_u64(word: U256) -> Result<u64, Fault> {
    word.try_into().map_err(|_| Fault::overflow())
}
