//! Runs again what a block did, or tries a call, and tells every step of it: the tracers of geth's
//! `debug_` methods, and access lists.
//!
//! A transaction is traced on the state that it met: the block's own work at its beginning and the
//! transactions before it are run first. Recording is bounded by [`MAX_RECORDED`] bytes.
//!
//! A system transaction was not run by the EVM. `callTracer` tells it as what it comes to: a call of
//! the module in which each payment is a transfer; the other tracers find nothing to tell.

use super::{BlockInput, Executor, Work};
use crate::{
    call::{CallOutcome, CallRequest},
    error::BlockError,
    outcome::TransactionOutcome,
    session::Session,
    state::StateReader,
    transaction::Transaction,
};
use alloy::{
    eips::eip2930::AccessList,
    primitives::{Address, B256, U256},
    sol_types::SolEvent as _,
};
use alloy_rpc_types_trace::geth::{
    CallFrame, DefaultFrame, GethDebugBuiltInTracerType, GethDebugTracerType,
    GethDebugTracingOptions, GethTrace, NoopFrame,
};
use mileverse_primitives::{abi::IRewards, address::REWARDS};
use revm::context::TxEnv;
use revm_inspectors::{
    access_list::AccessListInspector,
    tracing::{
        DebugInspector, TraceLimitBehavior, TraceLimits, TracingInspector, TransactionContext,
    },
};
use std::ops::Range;

/// Most bytes that one trace records, about.
pub const MAX_RECORDED: usize = 64 * 1024 * 1024;

impl Executor {
    /// Traces a call on top of `state`, as if in `block`.
    ///
    /// # Errors
    ///
    /// When the tracer is unknown, the call breaks a rule, or the state cannot be read.
    pub async fn trace_call<R: StateReader>(
        &self,
        state: &R,
        block: BlockInput,
        request: CallRequest,
        options: &GethDebugTracingOptions,
    ) -> Result<GethTrace, BlockError> {
        let mut session = self.open_call(state, &block, &request).await?;
        let gas = request.gas.unwrap_or(block.gas_limit).min(block.gas_limit);
        let mut transaction = request.transaction(self.config.chain_id, gas);
        self.help_call(&mut session, &request, &mut transaction)
            .await?;
        trace(&mut session, &transaction, None, options).await
    }

    /// Traces those transactions of a block that stand at `positions`, on the state `parent` before
    /// the block.
    ///
    /// # Errors
    ///
    /// When the tracer is unknown, the block breaks a rule, or the state cannot be read.
    pub async fn trace_block<R: StateReader>(
        &self,
        parent: &R,
        block: BlockInput,
        digest: B256,
        transactions: &[Transaction],
        positions: Range<usize>,
        options: &GethDebugTracingOptions,
    ) -> Result<Vec<GethTrace>, BlockError> {
        let mut work = Work::open(self, parent, block).await?;
        let mut traces = Vec::new();
        let sent = work.sent(transactions)?;
        let own = transactions.len().saturating_sub(sent.len());
        if own > positions.start
            && let Some(system) = work.receipts.first()
        {
            traces.push(system_trace(system, options)?);
        }
        for (position, transaction) in (own..positions.end).zip(sent) {
            if positions.contains(&position) {
                let place = TransactionContext {
                    block_hash: Some(digest),
                    tx_index: Some(position),
                    tx_hash: Some(transaction.hash()),
                };
                let bill = work.bill_of(transaction).await?;
                let envelope = bill.envelope(transaction);
                let session = &mut work.session;
                session.set_base_fee(bill.base);
                session.work(|ledger| bill.reserve(ledger)).await?;
                traces.push(trace(session, &envelope, Some(place), options).await?);
                session.work(|ledger| bill.release(ledger)).await?;
            }
            if position.saturating_add(1) < positions.end
                && let Err(refusal) = work.include(transaction).await?
            {
                return Err(BlockError::Invalid(refusal.reason));
            }
        }
        Ok(traces)
    }

    /// The access list that a call needs on top of `state`, and how the call ends with it.
    ///
    /// # Errors
    ///
    /// When the call breaks a rule or the state cannot be read.
    pub async fn access_list<R: StateReader>(
        &self,
        state: &R,
        block: BlockInput,
        mut request: CallRequest,
    ) -> Result<(AccessList, CallOutcome), BlockError> {
        let mut session = self.open_call(state, &block, &request).await?;
        let gas = request.gas.unwrap_or(block.gas_limit).min(block.gas_limit);
        // A list changes what things cost, and so perhaps what is done: again until it stays.
        for _ in 0..MAX_LIST_ROUNDS {
            let mut transaction = request.transaction(self.config.chain_id, gas);
            self.help_call(&mut session, &request, &mut transaction)
                .await?;
            let list = request.access_list.clone();
            let (done, inspector) = session
                .inspect(&transaction, None, || {
                    Ok(AccessListInspector::new(list.clone()))
                })
                .await?
                .map_err(|refusal| BlockError::Invalid(refusal.reason))?;
            let found = inspector.into_access_list();
            if same(&found, &request.access_list) {
                return Ok((request.access_list, done.result.into()));
            }
            request.access_list = found;
        }
        Err(BlockError::Invalid(
            "the call touches other slots each time its access list grows".into(),
        ))
    }
}

/// Most rounds until an access list must be stable.
const MAX_LIST_ROUNDS: usize = 16;

/// Whether two lists name the same places, in any order.
fn same(one: &AccessList, other: &AccessList) -> bool {
    let places = |list: &AccessList| {
        let mut places: Vec<(Address, Option<B256>)> = Vec::new();
        for item in &list.0 {
            places.push((item.address, None));
            places.extend(
                item.storage_keys
                    .iter()
                    .map(|key| (item.address, Some(*key))),
            );
        }
        places.sort_unstable();
        places.dedup();
        places
    };
    places(one) == places(other)
}

async fn trace<R: StateReader>(
    session: &mut Session<'_, R>,
    transaction: &TxEnv,
    place: Option<TransactionContext>,
    options: &GethDebugTracingOptions,
) -> Result<GethTrace, BlockError> {
    let unknown = |error: &dyn std::fmt::Display| BlockError::Invalid(error.to_string());
    let fresh = || {
        DebugInspector::new(options.clone())
            .map(bounded)
            .map_err(|error| unknown(&error))
    };
    let records_steps = matches!(fresh()?, DebugInspector::Default(..));
    let most = records_steps.then_some(MAX_RECORDED);
    let (done, mut inspector) = session
        .inspect(transaction, most, fresh)
        .await?
        .map_err(|refusal| BlockError::Invalid(refusal.reason))?;
    let block = session.block_env().clone();
    session
        .ask(|known| {
            inspector
                .get_result(place, transaction, &block, &done, known)
                .map_err(|error| unknown(&error))
        })
        .await
}

/// How a tracer tells the system transaction.
fn system_trace(
    system: &TransactionOutcome,
    options: &GethDebugTracingOptions,
) -> Result<GethTrace, BlockError> {
    match &options.tracer {
        None => Ok(GethTrace::Default(DefaultFrame::default())),
        Some(GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::CallTracer)) => {
            Ok(GethTrace::CallTracer(payments(system)))
        }
        Some(GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::NoopTracer)) => {
            Ok(GethTrace::NoopTracer(NoopFrame::default()))
        }
        Some(_) => Err(BlockError::Invalid(
            "a system transaction is not run by the EVM; trace it with callTracer".into(),
        )),
    }
}

/// The payments of a block's own work, each as a transfer by the module.
fn payments(system: &TransactionOutcome) -> CallFrame {
    let call = |from, to, value| CallFrame {
        from,
        to: Some(to),
        value: Some(value),
        typ: "CALL".into(),
        ..CallFrame::default()
    };
    let paid = system.logs.iter().filter_map(|log| {
        let event = IRewards::RewardPaid::decode_log_data(&log.data).ok()?;
        Some(call(log.address, event.account, event.amount))
    });
    CallFrame {
        calls: paid.collect(),
        ..call(system.sender, REWARDS, U256::ZERO)
    }
}

/// The same inspector with a limit on the bytes that it copies.
fn bounded(inspector: DebugInspector) -> DebugInspector {
    let limits = TraceLimits::default()
        .set_max_recorded_bytes(Some(MAX_RECORDED))
        .set_behavior(TraceLimitBehavior::Halt);
    let limit = |inspector: TracingInspector| inspector.with_limits(limits);
    match inspector {
        DebugInspector::CallTracer(inner, config) => {
            DebugInspector::CallTracer(limit(inner), config)
        }
        DebugInspector::PreStateTracer(inner, config) => {
            DebugInspector::PreStateTracer(limit(inner), config)
        }
        DebugInspector::FlatCallTracer(inner) => DebugInspector::FlatCallTracer(limit(inner)),
        DebugInspector::Erc7562Tracer(inner, config) => {
            DebugInspector::Erc7562Tracer(limit(inner), config)
        }
        DebugInspector::Default(inner, config) => DebugInspector::Default(limit(inner), config),
        other => other,
    }
}
