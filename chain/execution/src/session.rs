//! One block under way: the EVM's environment, the cache, and the reading of what is missing.

use crate::{
    cache::{Cache, View},
    direct,
    error::BlockError,
    executor::BlockInput,
    modules::{
        self, Config,
        bridge::{checkpoint, left_open},
        host::Fault,
        ledger::{Books, Scratch, Written},
        slot::Slot,
    },
    refusal::Refusal,
    state::{Account, Place, StateReader},
    transaction::Transaction,
};
use alloy::{
    consensus::Transaction as _,
    primitives::{Address, Bytes, Log, TxKind, U256},
};
use alloy_evm::{Evm, EvmEnv, eth::EthEvmBuilder, precompiles::PrecompilesMap};
use revm::{
    context::{
        BlockEnv, CfgEnv, TxEnv,
        result::{EVMError, ResultAndState},
    },
    context_interface::block::BlobExcessGasAndPrice,
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
    state::EvmState,
};
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

mod inspect;

/// Ethereum's rules that this chain follows.
pub(crate) const SPEC: SpecId = SpecId::OSAKA;

/// What a transaction of a block came to; nothing is kept of it until it is committed.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) success: bool,
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
    pub(crate) contract_address: Option<Address>,
    pub(crate) effects: Effects,
}

/// What it does to the state.
#[derive(Debug)]
pub(crate) enum Effects {
    Evm(EvmState),
    Direct {
        sender: Address,
        account: Account,
        words: Vec<(Slot, U256)>,
    },
}

impl From<ResultAndState> for Executed {
    fn from(done: ResultAndState) -> Self {
        let success = done.result.is_success();
        Self {
            success,
            gas_used: done.result.tx_gas_used(),
            contract_address: done.result.created_address(),
            logs: if success {
                done.result.into_logs()
            } else {
                Vec::new()
            },
            effects: Effects::Evm(done.state),
        }
    }
}

impl From<direct::Done> for Executed {
    fn from(done: direct::Done) -> Self {
        Self {
            success: done.success,
            gas_used: done.gas_used,
            logs: done.logs,
            contract_address: None,
            effects: Effects::Direct {
                sender: done.sender,
                account: done.account,
                words: done.words,
            },
        }
    }
}

/// A transaction that leaves a packet open is none. The router settles what it opens, so this never
/// happens while its code is what the genesis file should have placed.
pub(crate) fn closed(done: ResultAndState) -> Result<ResultAndState, Refusal> {
    if left_open(&done.state) {
        return Err(Refusal::for_good(
            "it leaves a packet of the bridge open; the router must settle what it opens".into(),
        ));
    }
    Ok(done)
}

pub(crate) struct Session<'a, R> {
    config: Arc<Config>,
    reader: &'a R,
    env: EvmEnv,
    pub(crate) cache: Cache,
}

impl<'a, R: StateReader> Session<'a, R> {
    /// Opens a block: stores its Ethereum checkpoint before anything else happens.
    pub(crate) async fn open(
        config: Arc<Config>,
        reader: &'a R,
        block: &BlockInput,
    ) -> Result<Self, BlockError> {
        let mut cache = Cache::new(
            block
                .height
                .checked_sub(1)
                .map(|height| (height, block.parent)),
        );
        if let Some(checkpoint) = &block.checkpoint {
            checkpoint::apply(&mut cache, reader, checkpoint).await?;
        }
        cache.want(Place::Account(block.beneficiary));
        let mut cfg_env = CfgEnv::new_with_spec(config.spec).with_chain_id(config.chain_id);
        // The block's limit is the only one: a delivery of many proofs may need more than the
        // 2^24 gas of EIP-7825.
        cfg_env.tx_gas_limit_cap = Some(u64::MAX);
        let block_env = BlockEnv {
            number: U256::from(block.height),
            beneficiary: block.beneficiary,
            timestamp: U256::from(block.timestamp_ms / 1000),
            gas_limit: block.gas_limit,
            basefee: 0,
            difficulty: U256::ZERO,
            prevrandao: Some(block.parent),
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice {
                excess_blob_gas: 0,
                blob_gasprice: 1,
            }),
            slot_num: 0,
        };
        Ok(Self {
            config,
            reader,
            env: EvmEnv { cfg_env, block_env },
            cache,
        })
    }

    /// What the sender of the next transaction pays of the base fee.
    pub(crate) const fn set_base_fee(&mut self, base: u64) {
        self.env.block_env.basefee = base;
    }

    /// Leaves out the checks that a mere call does not need: nonce, and that callers have no code.
    pub(crate) const fn for_calls(&mut self) {
        self.env.cfg_env.disable_nonce_check = true;
        self.env.cfg_env.disable_eip3607 = true;
    }

    /// Leaves out the checks that a simulated call does not need: that callers have no code, and, where
    /// nothing is validated, nonces.
    pub(crate) const fn for_simulation(&mut self, validation: bool) {
        self.env.cfg_env.disable_nonce_check = !validation;
        self.env.cfg_env.disable_eip3607 = true;
    }

    /// Runs a transaction of a block on the state so far, the short way if there is one.
    pub(crate) async fn transact(
        &mut self,
        transaction: &TxEnv,
    ) -> Result<Result<Executed, Refusal>, BlockError> {
        if let Some(done) = self.run_direct(transaction).await? {
            return Ok(Ok(done.into()));
        }
        Ok(self.run(transaction).await?.map(Executed::from))
    }

    /// Keeps what a transaction did.
    pub(crate) fn commit(&mut self, effects: Effects) {
        match effects {
            Effects::Evm(state) => self.cache.commit(state),
            Effects::Direct {
                sender,
                account,
                words,
            } => {
                self.cache.set_account(sender, account);
                for (slot, word) in words {
                    self.cache.store(slot.module(), slot.key(), word);
                }
            }
        }
    }

    /// Runs a plain call to the points module; `None` if the transaction is none.
    async fn run_direct(
        &mut self,
        transaction: &TxEnv,
    ) -> Result<Option<direct::Done>, BlockError> {
        let EvmEnv { cfg_env, block_env } = &self.env;
        if self.config.interpreted {
            return Ok(None);
        }
        let Some(call) = direct::Call::of(transaction, block_env, cfg_env, self.config.spec) else {
            return Ok(None);
        };
        self.cache.want(Place::Account(transaction.caller));
        self.cache.fetch(self.reader).await?;
        let Some(account) = self.cache.known_account(transaction.caller) else {
            return Ok(None);
        };
        loop {
            let done =
                poll_fn(|context| Poll::Ready(self.attempt_direct(call, account, context))).await;
            if self.cache.is_complete() {
                return Ok(done);
            }
            if let TxKind::Call(to) = transaction.kind {
                self.want_slots(to, transaction.caller, &transaction.data);
            }
            self.cache.fetch(self.reader).await?;
        }
    }

    fn attempt_direct(
        &mut self,
        call: direct::Call<'_>,
        account: Account,
        context: &mut Context<'_>,
    ) -> Option<direct::Done> {
        let reader = self.reader;
        let view = View {
            cache: &mut self.cache,
            fetch_now: &mut |cache, place| cache.fetch_now(reader, context, place),
        };
        call.run(&self.config, &self.env.block_env, account, view)
    }

    /// Runs a transaction on the state so far, without keeping what it does.
    pub(crate) async fn run(
        &mut self,
        transaction: &TxEnv,
    ) -> Result<Result<ResultAndState, Refusal>, BlockError> {
        self.prefetch(transaction).await?;
        loop {
            let result =
                poll_fn(|context| Poll::Ready(self.attempt(transaction.clone(), context))).await;
            if self.cache.is_complete() {
                return Ok(result.and_then(closed));
            }
            self.cache.fetch(self.reader).await?;
        }
    }

    /// Does the chain's own work, outside of any transaction. It is run again until all that it
    /// reads is known; only then it takes effect.
    pub(crate) async fn work<T>(
        &mut self,
        logic: impl Fn(&mut Scratch<'_, Books<'_>>) -> Result<T, Fault> + Send,
    ) -> Result<T, BlockError> {
        loop {
            let (done, written) =
                poll_fn(|context| Poll::Ready(self.attempt_work(&logic, context))).await;
            if !self.cache.is_complete() {
                self.cache.fetch(self.reader).await?;
                continue;
            }
            return match done {
                Ok(answer) => {
                    for (slot, word) in written.words {
                        self.cache.store(slot.module(), slot.key(), word);
                    }
                    for (address, balance) in written.balances {
                        let account = self.cache.known_account(address).unwrap_or_default();
                        let account = Account { balance, ..account };
                        self.cache.set_account(address, account);
                    }
                    Ok(answer)
                }
                Err(Fault::Revert(reason)) => Err(BlockError::Invalid(reason)),
                Err(Fault::Typed(_)) => {
                    Err(BlockError::Fatal("the chain's own work was refused".into()))
                }
                Err(Fault::Fatal(reason)) => Err(BlockError::Fatal(reason)),
                // Nothing is charged here.
                Err(Fault::OutOfGas) => Err(BlockError::Fatal("out of gas".into())),
            };
        }
    }

    fn attempt_work<T>(
        &mut self,
        logic: impl Fn(&mut Scratch<'_, Books<'_>>) -> Result<T, Fault>,
        context: &mut Context<'_>,
    ) -> (Result<T, Fault>, Written) {
        let reader = self.reader;
        let mut books = Books {
            view: View {
                cache: &mut self.cache,
                fetch_now: &mut |cache, place| cache.fetch_now(reader, context, place),
            },
        };
        let mut scratch = Scratch::new(&mut books);
        let done = logic(&mut scratch);
        (done, scratch.into_written())
    }

    /// What the modules know of the chain.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Reads places together, so that whoever needs them finds them.
    pub(crate) async fn fetch(
        &mut self,
        places: impl IntoIterator<Item = Place>,
    ) -> Result<(), BlockError> {
        for place in places {
            self.cache.want(place);
        }
        Ok(self.cache.fetch(self.reader).await?)
    }

    /// A word that was read, as it is now; zero if it was not.
    pub(crate) fn known(&self, slot: Slot) -> U256 {
        self.cache.known_word(slot.module(), slot.key())
    }

    /// Reads together what transactions need for certain.
    pub(crate) async fn fetch_for(
        &mut self,
        transactions: &[Transaction],
    ) -> Result<(), BlockError> {
        for transaction in transactions {
            let (envelope, caller) = (transaction.envelope(), transaction.sender());
            self.cache.want(Place::Account(caller));
            if let Some(to) = envelope.to() {
                self.cache.want(Place::Account(to));
                self.want_slots(to, caller, envelope.input());
            }
        }
        Ok(self.cache.fetch(self.reader).await?)
    }

    /// An account; the default if it is not there.
    pub(crate) async fn account(&mut self, address: Address) -> Result<Account, BlockError> {
        self.cache.want(Place::Account(address));
        self.cache.fetch(self.reader).await?;
        Ok(self.cache.known_account(address).unwrap_or_default())
    }

    /// A word of storage.
    pub(crate) async fn load(&mut self, address: Address, slot: U256) -> Result<U256, BlockError> {
        Ok(self.cache.load(self.reader, address, slot).await?)
    }

    fn attempt(
        &mut self,
        transaction: TxEnv,
        context: &mut Context<'_>,
    ) -> Result<ResultAndState, Refusal> {
        let mut precompiles = PrecompilesMap::from_static(Precompiles::new(
            PrecompileSpecId::from_spec_id(self.config.spec),
        ));
        modules::install(&mut precompiles, &self.config);
        let reader = self.reader;
        let view = View {
            cache: &mut self.cache,
            fetch_now: &mut |cache, place| cache.fetch_now(reader, context, place),
        };
        let mut evm = EthEvmBuilder::new(view, self.env.clone())
            .precompiles(precompiles)
            .build();
        evm.transact_raw(transaction).map_err(|error| match error {
            EVMError::Transaction(error) => error.into(),
            // The cache answers every read, so nothing else can go wrong but by a rule.
            other => Refusal::for_good(other.to_string()),
        })
    }

    /// Notes the words of a module that a transaction is sure to use.
    fn want_slots(&mut self, to: Address, caller: Address, data: &Bytes) {
        for (address, slot) in modules::expected_slots(&self.config, to, caller, data) {
            self.cache.want(Place::Slot(address, slot));
        }
    }

    /// Reads what a transaction needs for certain, so that most run once.
    async fn prefetch(&mut self, transaction: &TxEnv) -> Result<(), BlockError> {
        self.cache.want(Place::Account(transaction.caller));
        if let TxKind::Call(to) = transaction.kind {
            self.cache.want(Place::Account(to));
            self.want_slots(to, transaction.caller, &transaction.data);
        }
        let cache = &mut self.cache;
        for item in &transaction.access_list.0 {
            cache.want(Place::Account(item.address));
            for slot in &item.storage_keys {
                cache.want(Place::Slot(item.address, (*slot).into()));
            }
        }
        cache.fetch(self.reader).await?;
        if let TxKind::Call(to) = transaction.kind
            && let Some(hash) = cache.code_hash(to)
        {
            cache.want(Place::Code(hash));
            cache.fetch(self.reader).await?;
        }
        Ok(())
    }
}
