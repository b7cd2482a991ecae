//! Runs that are watched, and blocks of which something else is assumed.
//!
//! An inspector sees an attempt from its beginning, so every attempt gets a fresh one. Whoever
//! records steps says how many bytes of them there may be; a run with more is broken off.

use super::Session;
use crate::{
    cache::{Cache, View},
    call::CallRequest,
    error::BlockError,
    modules,
    refusal::Refusal,
    state::{Place, StateReader},
};
use alloy::primitives::{Address, B256, KECCAK256_EMPTY, U256};
use alloy_evm::{
    Evm,
    eth::{EthEvmBuilder, EthEvmContext},
    precompiles::PrecompilesMap,
};
use revm::{
    DatabaseRef, Inspector,
    context::{
        BlockEnv, ContextError, ContextTr, TxEnv,
        result::{EVMError, ResultAndState},
    },
    context_interface::block::BlobExcessGasAndPrice,
    interpreter::{Interpreter, interpreter::EthInterpreter, interpreter_types::LoopControl as _},
    precompile::{PrecompileSpecId, Precompiles},
    state::{AccountInfo, Bytecode},
};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    convert::Infallible,
    future::poll_fn,
    task::{Context, Poll},
};

/// What is said of a run that would record too much.
const TOO_LONG: &str = "the trace is too long for this node; use callTracer, or less gas";
/// What a step costs beside its stack.
const STEP_BYTES: usize = 256;

impl<R: StateReader> Session<'_, R> {
    /// Takes over what a call assumes of its block.
    pub(crate) fn assume(&mut self, request: &CallRequest) {
        let overrides = &request.block;
        let block = &mut self.env.block_env;
        block.number = overrides.number.unwrap_or(block.number);
        block.timestamp = overrides.time.map_or(block.timestamp, U256::from);
        block.gas_limit = overrides.gas_limit.unwrap_or(block.gas_limit);
        block.beneficiary = overrides.coinbase.unwrap_or(block.beneficiary);
        block.prevrandao = overrides.random.or(block.prevrandao);
        block.difficulty = overrides.difficulty.unwrap_or(block.difficulty);
        // As geth: whoever names no price is not held against the assumed fee.
        if let Some(fee) = overrides.base_fee.filter(|_| request.gas_price > 0) {
            block.basefee = fee.saturating_to();
        }
        if let Some(fee) = overrides.blob_base_fee {
            block.blob_excess_gas_and_price = Some(BlobExcessGasAndPrice {
                excess_blob_gas: 0,
                blob_gasprice: fee.saturating_to(),
            });
        }
        for (number, hash) in overrides.block_hash.iter().flatten() {
            self.cache.assume_hash(*number, *hash);
        }
        self.cache
            .want(Place::Account(self.env.block_env.beneficiary));
    }

    /// The block as the EVM sees it.
    pub(crate) const fn block_env(&self) -> &BlockEnv {
        &self.env.block_env
    }

    /// Runs a transaction under an inspector, without keeping what it does; `most` bounds the
    /// bytes of its steps.
    pub(crate) async fn inspect<I>(
        &mut self,
        transaction: &TxEnv,
        most: Option<usize>,
        fresh: impl Fn() -> Result<I, BlockError>,
    ) -> Result<Result<(ResultAndState, I), Refusal>, BlockError>
    where
        I: for<'v> Inspector<EthEvmContext<View<'v>>>,
    {
        self.prefetch(transaction).await?;
        loop {
            let mut inspector = fresh()?;
            let result = poll_fn(|context| {
                let watched = (Budget { left: most }, &mut inspector);
                Poll::Ready(self.attempt_inspected(transaction.clone(), watched, context))
            })
            .await;
            if self.cache.is_complete() {
                return Ok(result.map(|done| (done, inspector)));
            }
            self.cache.fetch(self.reader).await?;
        }
    }

    fn attempt_inspected<I>(
        &mut self,
        transaction: TxEnv,
        inspector: I,
        context: &mut Context<'_>,
    ) -> Result<ResultAndState, Refusal>
    where
        I: for<'v> Inspector<EthEvmContext<View<'v>>>,
    {
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
            .activate_inspector(inspector)
            .build();
        evm.transact_raw(transaction).map_err(|error| match error {
            EVMError::Transaction(error) => error.into(),
            other => Refusal::for_good(other.to_string()),
        })
    }

    /// Asks something of the state so far that only knows how to ask synchronously, until all that
    /// it asked for was known.
    pub(crate) async fn ask<T>(
        &mut self,
        mut question: impl FnMut(&mut Known<'_>) -> Result<T, BlockError>,
    ) -> Result<T, BlockError> {
        loop {
            let mut known = Known {
                cache: &self.cache,
                missing: RefCell::default(),
            };
            let answer = question(&mut known)?;
            let missing = known.missing.into_inner();
            if missing.is_empty() {
                return Ok(answer);
            }
            for place in missing {
                self.cache.want(place);
            }
            self.cache.fetch(self.reader).await?;
        }
    }
}

/// The state so far as revm's tools read it. What is not known is noted and answered as absent.
pub(crate) struct Known<'c> {
    cache: &'c Cache,
    missing: RefCell<BTreeSet<Place>>,
}

impl Known<'_> {
    fn note(&self, place: Place) {
        if !self.cache.knows(place) {
            self.missing.borrow_mut().insert(place);
        }
    }
}

impl DatabaseRef for Known<'_> {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        self.note(Place::Account(address));
        let account = self.cache.account(address);
        Ok(account.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: None,
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Infallible> {
        if hash == KECCAK256_EMPTY || hash.is_zero() {
            return Ok(Bytecode::default());
        }
        self.note(Place::Code(hash));
        Ok(self.cache.known_code(hash).unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Infallible> {
        self.note(Place::Slot(address, slot));
        Ok(self.cache.known_word(address, slot))
    }

    fn block_hash_ref(&self, _: u64) -> Result<B256, Infallible> {
        Ok(B256::ZERO)
    }
}

/// Breaks a run off once its steps, each with its stack, would fill the bytes that are left.
struct Budget {
    left: Option<usize>,
}

impl<C: ContextTr> Inspector<C> for Budget {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, context: &mut C) {
        let Some(left) = self.left else { return };
        let words = interpreter.stack.len();
        let cost = STEP_BYTES.saturating_add(words.saturating_mul(32));
        self.left = Some(left.saturating_sub(cost));
        if left < cost {
            *context.error() = Err(ContextError::Custom(TOO_LONG.into()));
            interpreter.bytecode.reset_action();
            interpreter.halt_fatal();
        }
    }
}
