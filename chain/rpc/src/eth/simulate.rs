//! `eth_simulateV1`: calls in blocks that follow a real one, each on top of what the ones before it did.
//!
//! Of a simulated block that is told what its calls make of it: number, time, gas, transactions,
//! receipts, bloom. Its state root is zero, since the state's tree is not built, and its hash is the
//! keccak256 of its header as Ethereum encodes it, since nobody signs it. A second passes from block to
//! block. What the chain does by itself (`mileverse_execution`'s `simulate`) is left out.

use super::{
    calls::{lay, request},
    fill::Filled,
};
use crate::{
    arguments::Arguments,
    context::Context,
    convert, failure, find,
    limits::{MAX_CALL_GAS, MAX_SIMULATED_BLOCKS},
    reads::overriding,
    register::{Answer, slow},
};
use alloy::{
    consensus::{
        Header, Receipt, ReceiptWithBloom, TxEnvelope,
        constants::EMPTY_OMMER_ROOT_HASH,
        proofs::{calculate_receipt_root, calculate_transaction_root},
    },
    eips::BlockId,
    primitives::{Address, B256, Bloom, Bytes, Signature, U256, logs_bloom},
    rpc::types::{
        Block, BlockOverrides, BlockTransactions, Header as RpcHeader, Log, TransactionRequest,
        simulate::{SimBlock, SimCallResult, SimulateError, SimulatePayload, SimulatedBlock},
        state::StateOverride,
    },
};
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::ErrorObjectOwned};
use mileverse_execution::{
    BlockError, BlockInput, CallOutcome, Cause, Executor, Simulated, SimulatedCall,
    SimulationRules, Unfit,
};
use mileverse_primitives::{address::STAKING, header::Header as OwnHeader};
use std::sync::Arc;

/// Codes of the specification (`eth_simulateV1`, "errors").
const NONCE_TOO_LOW: i32 = -38_010;
const NONCE_TOO_HIGH: i32 = -38_011;
const FEE_TOO_LOW: i32 = -38_012;
const INTRINSIC_GAS: i32 = -38_013;
const FUNDS: i32 = -38_014;
const BLOCK_GAS: i32 = -38_015;
const NUMBER: i32 = -38_020;
const TIME: i32 = -38_021;
const SENDER: i32 = -38_024;
const INIT_CODE: i32 = -38_025;
const LIMIT: i32 = -38_026;

/// Seconds from block to block.
const STEP: u64 = 1;

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    slow(module, "eth_simulateV1", simulate)
}

/// A block to come, with all that is assumed for it.
struct Planned {
    number: u64,
    time: u64,
    overrides: StateOverride,
    rules: SimulationRules,
    calls: Vec<(TransactionRequest, SimulatedCall)>,
}

/// What all blocks of a simulation share.
struct Plan {
    chain_id: u64,
    full: bool,
    blocks: Vec<Planned>,
}

impl Plan {
    fn new(context: &Context, base: &OwnHeader, payload: SimulatePayload) -> Answer<Self> {
        if payload.block_state_calls.is_empty() {
            return Err(failure::invalid("empty input"));
        }
        let rules = SimulationRules {
            validation: payload.validation,
            transfers: payload.trace_transfers,
            block: BlockOverrides::default(),
        };
        let mut blocks = Vec::new();
        let (mut number, mut time) = (base.height, base.timestamp_ms / 1000);
        for asked in payload.block_state_calls {
            let SimBlock {
                block_overrides,
                state_overrides,
                calls,
            } = asked;
            let assumed = block_overrides.unwrap_or_default();
            if assumed.beacon_root.is_some() {
                return Err(failure::unsupported("this chain has no beacon root"));
            }
            let next = match assumed.number {
                Some(asked) => u64::try_from(asked).map_err(|_| too_many())?,
                None => number.saturating_add(1),
            };
            if next <= number {
                let message = format!("block numbers must be in order: {next} <= {number}");
                return Err(failure::named(NUMBER, message));
            }
            if next.saturating_sub(base.height) > MAX_SIMULATED_BLOCKS {
                return Err(too_many());
            }
            // Blocks that nobody names hold nothing.
            for between in number.saturating_add(1)..next {
                time = time.saturating_add(STEP);
                blocks.push(Planned {
                    number: between,
                    time,
                    overrides: StateOverride::default(),
                    rules: rules.clone(),
                    calls: Vec::new(),
                });
            }
            let then = assumed.time.unwrap_or(time.saturating_add(STEP));
            if then < time {
                let message = format!("block timestamps must be in order: {then} < {time}");
                return Err(failure::named(TIME, message));
            }
            (number, time) = (next, then);
            let gas_limit = assumed.gas_limit.unwrap_or(base.gas_limit);
            let calls = calls
                .into_iter()
                .map(|asked| Self::call(context, asked, gas_limit))
                .collect::<Answer<_>>()?;
            blocks.push(Planned {
                number,
                time,
                overrides: state_overrides.unwrap_or_default(),
                rules: SimulationRules {
                    block: assumed,
                    ..rules.clone()
                },
                calls,
            });
        }
        Ok(Self {
            chain_id: context.genesis.chain_id,
            full: payload.return_full_transactions,
            blocks,
        })
    }

    fn call(
        context: &Context,
        asked: TransactionRequest,
        gas_limit: u64,
    ) -> Answer<(TransactionRequest, SimulatedCall)> {
        let (gas, nonce) = (asked.gas, asked.nonce);
        let request = request(context, asked.clone(), gas_limit, BlockOverrides::default())?;
        let request = mileverse_execution::CallRequest { gas, ..request };
        Ok((asked, SimulatedCall { request, nonce }))
    }
}

fn too_many() -> ErrorObjectOwned {
    let message = format!("too many blocks; at most {MAX_SIMULATED_BLOCKS} are simulated");
    failure::named(LIMIT, message)
}

fn unfit(Unfit { cause, reason }: Unfit) -> ErrorObjectOwned {
    let code = match cause {
        Cause::NonceTooLow => NONCE_TOO_LOW,
        Cause::NonceTooHigh => NONCE_TOO_HIGH,
        Cause::FeeTooLow => FEE_TOO_LOW,
        Cause::IntrinsicGas => INTRINSIC_GAS,
        Cause::Funds => FUNDS,
        Cause::BlockGas => BLOCK_GAS,
        Cause::SenderIsContract => SENDER,
        Cause::InitCode => INIT_CODE,
        Cause::Limit => LIMIT,
        Cause::Other => return failure::refused(reason),
    };
    failure::named(code, reason)
}

async fn simulate(context: Arc<Context>, mut arguments: Arguments) -> Answer<Vec<SimulatedBlock>> {
    let payload: SimulatePayload = arguments.next()?;
    let id: Option<BlockId> = arguments.optional()?;
    let (base, digest) = find::header(&context, id)?;
    let plan = Plan::new(&context, &base, payload)?;
    let executor = context.reads.executor.clone();
    let height = base.height;
    let run = move |state| async move {
        let mut state = lay(state, StateOverride::default()).await?;
        let (mut parent, mut gas) = (digest, MAX_CALL_GAS);
        let mut told = Vec::with_capacity(plan.blocks.len());
        for planned in plan.blocks {
            let input = BlockInput {
                height: planned.number,
                timestamp_ms: planned.time.saturating_mul(1000),
                gas_limit: planned.rules.block.gas_limit.unwrap_or(base.gas_limit),
                ..find::next_block(&base, parent)
            };
            state.assume(planned.overrides).await.map_err(overriding)?;
            let (asked, calls): (Vec<_>, Vec<_>) = planned.calls.into_iter().unzip();
            let done = executor
                .simulate(&mut state, &input, &planned.rules, &calls, &mut gas)
                .await?;
            let done = match done {
                Ok(done) => done,
                Err(reason) => return Ok(Err(reason)),
            };
            let frame = Frame::new(&executor, &planned.rules, &input);
            let block = frame.block(plan.chain_id, plan.full, asked, done)?;
            parent = block.inner.header.hash;
            told.push(block);
        }
        Ok(Ok(told))
    };
    context.reads.ask(height, run).await?.map_err(unfit)
}

/// What a block's header says before its calls have run.
struct Frame {
    parent: B256,
    number: u64,
    time: u64,
    gas_limit: u64,
    beneficiary: Address,
    random: B256,
    difficulty: U256,
    base_fee: u64,
}

impl Frame {
    fn new(executor: &Executor, rules: &SimulationRules, input: &BlockInput) -> Self {
        let assumed = &rules.block;
        Self {
            parent: input.parent,
            number: input.height,
            time: input.timestamp_ms / 1000,
            gas_limit: input.gas_limit,
            beneficiary: assumed.coinbase.unwrap_or(STAKING),
            // As PREVRANDAO says.
            random: assumed.random.unwrap_or(input.parent),
            difficulty: assumed.difficulty.unwrap_or_default(),
            base_fee: executor.simulated_base_fee(rules),
        }
    }

    /// The block with what its calls came to.
    fn block(
        &self,
        chain_id: u64,
        full: bool,
        asked: Vec<TransactionRequest>,
        done: Vec<Simulated>,
    ) -> Result<SimulatedBlock, BlockError> {
        let mut transactions = Vec::new();
        let mut receipts = Vec::new();
        let (mut gas_used, mut bloom) = (0u64, Bloom::ZERO);
        for (asked, call) in asked.into_iter().zip(&done) {
            let sender = asked.from.unwrap_or_default();
            let envelope = envelope(asked, call, chain_id)?;
            gas_used = gas_used.saturating_add(call.gas_used);
            let logs: Vec<_> = call
                .logs
                .iter()
                .filter(|log| !log.is_transfer)
                .map(|log| log.log.clone())
                .collect();
            let own = logs_bloom(&logs);
            bloom |= own;
            let receipt = ReceiptWithBloom {
                receipt: Receipt {
                    status: call.outcome.is_success().into(),
                    cumulative_gas_used: gas_used,
                    logs,
                },
                logs_bloom: own,
            };
            receipts.extend(convert::typed(envelope.tx_type(), receipt));
            transactions.push((envelope, sender));
        }
        let envelopes: Vec<_> = transactions.iter().map(|(envelope, _)| envelope).collect();
        let inner = Header {
            parent_hash: self.parent,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: self.beneficiary,
            state_root: B256::ZERO,
            transactions_root: calculate_transaction_root(&envelopes),
            receipts_root: calculate_receipt_root(&receipts),
            logs_bloom: bloom,
            difficulty: self.difficulty,
            number: self.number,
            gas_limit: self.gas_limit,
            gas_used,
            timestamp: self.time,
            mix_hash: self.random,
            base_fee_per_gas: Some(self.base_fee),
            ..Default::default()
        };
        let hash = inner.hash_slow();
        let hashes: Vec<B256> = envelopes
            .iter()
            .map(|envelope| *envelope.tx_hash())
            .collect();
        let size = inner.size();
        let transactions = if full {
            let placed = transactions.into_iter().zip(0u64..);
            BlockTransactions::Full(
                placed
                    .map(
                        |((envelope, sender), index)| alloy::rpc::types::Transaction {
                            block_hash: Some(hash),
                            block_number: Some(self.number),
                            block_timestamp: Some(self.time),
                            transaction_index: Some(index),
                            ..convert::unplaced(envelope, sender, self.base_fee)
                        },
                    )
                    .collect(),
            )
        } else {
            BlockTransactions::Hashes(hashes.clone())
        };
        let mut first = 0u64;
        let calls = done
            .into_iter()
            .zip(hashes)
            .zip(0u64..)
            .map(|((call, transaction), index)| {
                let place = Log {
                    inner: Default::default(),
                    block_hash: Some(hash),
                    block_number: Some(self.number),
                    block_timestamp: Some(self.time),
                    transaction_hash: Some(transaction),
                    transaction_index: Some(index),
                    log_index: Some(first),
                    removed: false,
                };
                first = first.saturating_add(call.logs.len() as u64);
                result(call, place)
            })
            .collect();
        Ok(SimulatedBlock {
            inner: Block {
                header: RpcHeader {
                    hash,
                    inner,
                    total_difficulty: None,
                    size: Some(U256::from(size)),
                },
                uncles: Vec::new(),
                transactions,
                withdrawals: None,
            },
            calls,
        })
    }
}

/// The transaction that a call would be, with nothing for its signature.
fn envelope(
    asked: TransactionRequest,
    call: &Simulated,
    chain_id: u64,
) -> Result<TxEnvelope, BlockError> {
    let filled = Filled {
        chain_id,
        nonce: call.nonce,
        gas: call.gas_limit,
        cap: 0,
        tip: 0,
    };
    let built = filled
        .typed(asked)
        .map_err(|reason| BlockError::Invalid(reason.into()))?;
    let none = Signature::new(U256::ZERO, U256::ZERO, false);
    let envelope = built.into_envelope(none);
    TxEnvelope::try_from(envelope)
        .map_err(|_| BlockError::Invalid("this chain has no blobs".into()))
}

/// How a call ended; `place` is where its first event stands.
fn result(call: Simulated, place: Log) -> SimCallResult {
    let first = place.log_index.unwrap_or_default();
    let logs = call.logs.into_iter().zip(first..);
    let logs = logs
        .map(|(log, index)| Log {
            inner: log.log,
            log_index: Some(index),
            ..place.clone()
        })
        .collect();
    let status = call.outcome.is_success();
    let (return_data, error) = match call.outcome {
        CallOutcome::Success { output, .. } => (output, None),
        CallOutcome::Revert { output, .. } => {
            let error = failure::reverted(output.clone());
            let error = SimulateError {
                code: SimulateError::EXECUTION_REVERTED_CODE,
                message: error.message().to_owned(),
                data: Some(output.clone()),
            };
            (output, Some(error))
        }
        CallOutcome::Halt { reason, .. } => {
            let error = SimulateError {
                code: SimulateError::VM_EXECUTION_ERROR_CODE,
                message: format!("vm execution error: {reason}"),
                data: None,
            };
            (Bytes::new(), Some(error))
        }
    };
    SimCallResult {
        return_data,
        logs,
        gas_used: call.gas_used,
        max_used_gas: None,
        status,
        error,
    }
}
