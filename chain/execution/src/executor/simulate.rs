//! Calls that build on each other, block after block, and of which nothing is kept: `eth_simulateV1`.
//!
//! ```txt
//! state <- overrides <- block 1: call, call <- overrides <- block 2: call ...
//! ```
//!
//! A simulated block holds the calls alone: the chain's own work (attestations, epochs, rewards) is not
//! simulated. The calls run by the block's rules of execution, but not by its rules of admission: shares
//! of the gas for points and for contracts are not held against them, nobody signs, and a sender may be
//! a contract. With [`SimulationRules::validation`] nonces and prices must be right; without it any
//! nonce will do and the base fee is zero, as for `eth_call`. Who else pays for gas is found as for a
//! call, and what he pays is not taken from him.

use super::{BlockInput, Executor};
use crate::{
    call::{CallOutcome, CallRequest},
    error::BlockError,
    overlay::Overridden,
    refusal::{Cause, Refusal},
    session::{Effects, Session, closed},
    state::StateReader,
};
use alloy::{
    primitives::{Address, B256, Log, LogData, U256, address},
    rpc::types::BlockOverrides,
    sol_types::SolEvent as _,
};
use mileverse_primitives::{abi::ICoin, limits::LEAST_GAS};
use revm::{
    Inspector,
    context::{ContextTr, JournalTr as _, TxEnv, result::ResultAndState},
    interpreter::{CallInputs, CallOutcome as Called, CreateInputs, CreateOutcome, Interpreter},
};
use thiserror::Error;

/// Who is said to have emitted a transfer of coin that no contract told of (`eth_simulateV1`).
const TRANSFERS: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");

/// What is asked of a simulation beside its calls.
#[derive(Clone, Debug, Default)]
pub struct SimulationRules {
    /// Whether nonces and prices must be right.
    pub validation: bool,
    /// Whether transfers of coin are told as events.
    pub transfers: bool,
    /// What is assumed of the block.
    pub block: BlockOverrides,
}

/// A call of a simulated block.
#[derive(Clone, Debug, Default)]
pub struct SimulatedCall {
    /// What is called; its `block` is not looked at, and without `gas` it may use what its block has left.
    pub request: CallRequest,
    /// Its nonce; the sender's next one if it is not told.
    pub nonce: Option<u64>,
}

/// What a call of a simulated block came to.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The nonce that it had.
    pub nonce: u64,
    /// The gas that it could use.
    pub gas_limit: u64,
    /// How it ended; its events stand in `logs`.
    pub outcome: CallOutcome,
    /// Gas that it used.
    pub gas_used: u64,
    /// Its events, in order.
    pub logs: Vec<SimulatedLog>,
}

/// An event of a simulated call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SimulatedLog {
    /// The event.
    pub log: Log,
    /// Whether it tells a transfer of coin that no contract told of. Such events are in no bloom and in
    /// no receipt.
    pub is_transfer: bool,
}

/// Why a call cannot stand in a block.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{reason}")]
pub struct Unfit {
    /// What kind of reason.
    pub cause: Cause,
    /// The sentence.
    pub reason: String,
}

impl From<Refusal> for Unfit {
    fn from(Refusal { cause, reason, .. }: Refusal) -> Self {
        Self { cause, reason }
    }
}

impl Executor {
    /// The base fee of a simulated block, in the coin's smallest unit for each gas.
    pub fn simulated_base_fee(&self, rules: &SimulationRules) -> u64 {
        let own = if rules.validation {
            self.config.fees.base_price
        } else {
            0
        };
        rules.block.base_fee.map_or(own, |fee| fee.saturating_to())
    }

    /// Runs `calls` one after another as `block` on top of `state`, and lays what they did over it. No
    /// call uses more than what is left of `gas`, from which all that is used is taken.
    ///
    /// # Errors
    ///
    /// [`Unfit`] with the first call that cannot stand in a block; the calls before it have then no effect
    /// either. [`BlockError`] when the state cannot be read.
    pub async fn simulate<R: StateReader>(
        &self,
        state: &mut Overridden<R>,
        block: &BlockInput,
        rules: &SimulationRules,
        calls: &[SimulatedCall],
        gas: &mut u64,
    ) -> Result<Result<Vec<Simulated>, Unfit>, BlockError> {
        let mut session = Session::open(self.config.clone(), &*state, block).await?;
        session.for_simulation(rules.validation);
        session.assume(&CallRequest {
            block: rules.block.clone(),
            ..CallRequest::default()
        });
        let (mut done, mut used) = (Vec::new(), 0u64);
        for call in calls {
            if *gas < LEAST_GAS {
                return Ok(Err(Unfit {
                    cause: Cause::Limit,
                    reason: "this node gives a simulation no more gas".into(),
                }));
            }
            let left = block.gas_limit.saturating_sub(used);
            let asked = call.request.gas.unwrap_or(left);
            if asked > left {
                return Ok(Err(Unfit {
                    cause: Cause::BlockGas,
                    reason: format!(
                        "block gas limit reached: {} >= {}",
                        used.saturating_add(asked),
                        block.gas_limit
                    ),
                }));
            }
            let simulated = self.simulate_call(&mut session, rules, call, asked.min(*gas));
            let simulated = match simulated.await? {
                Ok(simulated) => simulated,
                Err(refusal) => return Ok(Err(refusal.into())),
            };
            used = used.saturating_add(simulated.gas_used);
            *gas = gas.saturating_sub(simulated.gas_used);
            done.push(simulated);
        }
        let changes = session.cache.changes();
        state.keep(changes);
        Ok(Ok(done))
    }

    async fn simulate_call<R: StateReader>(
        &self,
        session: &mut Session<'_, R>,
        rules: &SimulationRules,
        call: &SimulatedCall,
        gas_limit: u64,
    ) -> Result<Result<Simulated, Refusal>, BlockError> {
        let request = CallRequest {
            block: rules.block.clone(),
            ..call.request.clone()
        };
        let nonce = match call.nonce {
            Some(nonce) => nonce,
            None => session.account(request.from).await?.nonce,
        };
        let mut transaction = TxEnv {
            nonce,
            ..request.transaction(self.config.chain_id, gas_limit)
        };
        session.set_base_fee(self.simulated_base_fee(rules));
        if rules.validation {
            self.help_call(session, &request, &mut transaction).await?;
        }
        let ran = if rules.transfers {
            let watched = session.inspect(&transaction, None, || Ok(Transfers::default()));
            match watched.await? {
                Ok((done, transfers)) => closed(done).map(|done| (done, transfers)),
                Err(refusal) => Err(refusal),
            }
        } else {
            let ran = session.run(&transaction).await?;
            ran.map(|done| (done, Transfers::default()))
        };
        let (done, transfers) = match ran {
            Ok(ran) => ran,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let ResultAndState { result, .. } = &done;
        let gas_used = result.tx_gas_used();
        let outcome = CallOutcome::from(result.clone());
        let logs = match &outcome {
            CallOutcome::Success { logs, .. } => transfers.among(logs),
            _ => Vec::new(),
        };
        session.commit(Effects::Evm(done.state));
        Ok(Ok(Simulated {
            nonce,
            gas_limit,
            outcome,
            gas_used,
            logs,
        }))
    }
}

/// Watches coin move from account to account. What a frame moved that failed is forgotten.
#[derive(Debug, Default)]
struct Transfers {
    /// Each with the number of events that were there before it.
    found: Vec<(usize, Log)>,
    /// For each frame under way how many were found before it.
    frames: Vec<usize>,
    /// Events when the step under way began.
    logs: usize,
}

impl Transfers {
    fn begin(&mut self) {
        self.frames.push(self.found.len());
    }

    fn end(&mut self, is_ok: bool) {
        let before = self.frames.pop().unwrap_or_default();
        if !is_ok {
            self.found.truncate(before);
        }
    }

    fn note(&mut self, from: Address, to: Address, value: U256) {
        if value.is_zero() {
            return;
        }
        let topics = vec![
            ICoin::Transfer::SIGNATURE_HASH,
            from.into_word(),
            to.into_word(),
        ];
        let data = B256::from(value).to_vec().into();
        let log = Log {
            address: TRANSFERS,
            data: LogData::new_unchecked(topics, data),
        };
        self.found.push((self.logs, log));
    }

    /// The transfers among the events, where they happened.
    fn among(self, logs: &[Log]) -> Vec<SimulatedLog> {
        let mut transfers = self.found.into_iter().peekable();
        let mut all = Vec::new();
        for (position, log) in logs.iter().enumerate() {
            while let Some((_, log)) = transfers.next_if(|(before, _)| *before <= position) {
                all.push(SimulatedLog {
                    log,
                    is_transfer: true,
                });
            }
            all.push(SimulatedLog {
                log: log.clone(),
                is_transfer: false,
            });
        }
        all.extend(transfers.map(|(_, log)| SimulatedLog {
            log,
            is_transfer: true,
        }));
        all
    }
}

impl<C: ContextTr> Inspector<C> for Transfers {
    fn step(&mut self, _: &mut Interpreter, context: &mut C) {
        self.logs = context.journal_ref().logs().len();
    }

    fn call(&mut self, context: &mut C, inputs: &mut CallInputs) -> Option<Called> {
        self.begin();
        self.logs = context.journal_ref().logs().len();
        if let Some(value) = inputs.transfer_value() {
            self.note(inputs.transfer_from(), inputs.transfer_to(), value);
        }
        None
    }

    fn call_end(&mut self, _: &mut C, _: &CallInputs, outcome: &mut Called) {
        self.end(outcome.result.is_ok());
    }

    fn create(&mut self, context: &mut C, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.begin();
        self.logs = context.journal_ref().logs().len();
        let creator = context.journal_mut().load_account(inputs.caller()).ok()?;
        let created = inputs.created_address(creator.data.info.nonce);
        self.note(inputs.caller(), created, inputs.value());
        None
    }

    fn create_end(&mut self, _: &mut C, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.end(outcome.result.is_ok());
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        // Who destroys himself for himself moves nothing.
        if contract != target {
            self.note(contract, target, value);
        }
    }
}
