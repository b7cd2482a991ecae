//! Calls that change nothing: `eth_call` and `eth_estimateGas`.

use crate::words;
use alloy::{
    eips::{eip2930::AccessList, eip7702::SignedAuthorization},
    primitives::{Address, Bytes, Log, TxKind, U256},
    rpc::types::BlockOverrides,
};
use revm::context::{TxEnv, either::Either, result::ExecutionResult};

/// What to try. The nonce is not asked for and not checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallRequest {
    /// Who calls.
    pub from: Address,
    /// Who is called; `None` creates a contract.
    pub to: Option<Address>,
    /// MVC sent along, in its smallest unit; `from` must have it.
    pub value: U256,
    /// Gas limit; the block's if `None`, and never more than the block's.
    pub gas: Option<u64>,
    /// Calldata, or the code that creates.
    pub data: Bytes,
    /// Most that is paid per gas; `from` must have it.
    pub gas_price: u128,
    /// Most that the beneficiary is paid per gas (EIP-1559).
    pub priority_fee: Option<u128>,
    /// EIP-2930 access list.
    pub access_list: AccessList,
    /// EIP-7702 delegations.
    pub authorizations: Vec<SignedAuthorization>,
    /// What is assumed of the block.
    pub block: BlockOverrides,
}

impl CallRequest {
    fn tx_type(&self) -> u8 {
        if !self.authorizations.is_empty() {
            4
        } else if self.priority_fee.is_some() {
            2
        } else {
            u8::from(!self.access_list.is_empty())
        }
    }

    pub(crate) fn transaction(&self, chain_id: u64, gas_limit: u64) -> TxEnv {
        TxEnv {
            tx_type: self.tx_type(),
            caller: self.from,
            gas_limit,
            kind: self.to.map_or(TxKind::Create, TxKind::Call),
            value: self.value,
            data: self.data.clone(),
            chain_id: Some(chain_id),
            access_list: self.access_list.clone(),
            gas_price: self.gas_price,
            gas_priority_fee: self.priority_fee,
            authorization_list: self
                .authorizations
                .iter()
                .cloned()
                .map(Either::Left)
                .collect(),
            ..TxEnv::default()
        }
    }
}

/// How a call ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CallOutcome {
    /// It returned.
    Success {
        /// What it returned.
        output: Bytes,
        /// Gas it used.
        gas_used: u64,
        /// Its events.
        logs: Vec<Log>,
    },
    /// It refused.
    Revert {
        /// Why, usually `Error(string)`.
        output: Bytes,
        /// Gas it used.
        gas_used: u64,
    },
    /// It broke off: out of gas, an invalid instruction and the like.
    Halt {
        /// Why.
        reason: String,
        /// Gas it used.
        gas_used: u64,
    },
}

impl CallOutcome {
    /// Whether it returned.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Success { .. })
    }
}

impl From<ExecutionResult> for CallOutcome {
    fn from(result: ExecutionResult) -> Self {
        let gas_used = result.tx_gas_used();
        match result {
            ExecutionResult::Success { logs, output, .. } => Self::Success {
                output: output.into_data(),
                gas_used,
                logs,
            },
            ExecutionResult::Revert { output, .. } => Self::Revert { output, gas_used },
            ExecutionResult::Halt { reason, .. } => Self::Halt {
                reason: words::halt(&reason),
                gas_used,
            },
        }
    }
}

/// How an estimate ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EstimateOutcome {
    /// A gas limit that suffices, at most 1.5 % above the least.
    Gas(u64),
    /// The call fails with all the gas there is.
    Failed(CallOutcome),
}
