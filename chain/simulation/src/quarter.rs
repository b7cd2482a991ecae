//! A quarter that ends during a run: its holders, and what must have become of them.
//!
//! Every node's state agrees with the final blocks' headers, or the node stops; so a node that was
//! killed, or that fetched its state, while holders were paid has neither missed nor repeated a
//! payment. What the final blocks themselves paid is found by executing them once more.

use crate::{error::Failure, validator::Net};
use alloy::sol_types::SolCall as _;
use mileverse_consensus::{
    block::Block,
    mempool::{Mempool, recover},
};
use mileverse_execution::{
    CallOutcome, CallRequest, Changes, Key, ReadError, StateReader, Value, account,
};
use mileverse_primitives::{
    Address, U256, abi::IRewards, address::REWARDS, keccak256, quarter::Quarter,
    rewards::RewardRules, staking::coins,
};
use std::{collections::BTreeMap, time::Duration};

/// The quarter that ends: 2026Q1.
const QUARTER: Quarter = Quarter::new(4 * 2026);
const POT: u64 = 1_000;

/// When a quarter ends, and who is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarterEnd {
    /// When, counted from the start.
    pub at: Duration,
    /// Accounts that hold coin besides the nodes' owners.
    pub holders: u64,
    /// Holders that a block visits.
    pub per_block: u32,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    /// When the closing block was made, counted from the start.
    pub closed: Duration,
    /// When the block that paid the last holder was made.
    pub paid: Duration,
}

impl QuarterEnd {
    /// The moment of the run's start, since 1970.
    pub(crate) fn begins(self) -> Duration {
        let ends = Duration::from_millis(QUARTER.ends_ms().unwrap_or_default());
        ends.saturating_sub(self.at)
    }

    pub(crate) fn rules(self) -> RewardRules {
        RewardRules {
            pot: coins(POT),
            pool: coins(POT),
            holders_per_block: self.per_block,
            ..RewardRules::default()
        }
    }

    /// Who holds how much.
    pub(crate) fn holdings(self) -> impl Iterator<Item = (Address, U256)> {
        (1..=self.holders).map(|number| {
            let address = Address::from_word(keccak256(number.to_be_bytes()));
            (address, coins(number).saturating_add(U256::from(number)))
        })
    }
}

#[derive(Default)]
struct Memory(BTreeMap<Key, Value>);

impl StateReader for Memory {
    async fn get(&self, key: Key) -> Result<Option<Value>, ReadError> {
        Ok(self.0.get(&key).cloned())
    }
}

impl Memory {
    fn apply(&mut self, changes: Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => self.0.insert(key, value),
                None => self.0.remove(&key),
            };
        }
    }
}

fn wrong(height: u64, reason: impl std::fmt::Display) -> Failure {
    Failure::Wrong {
        height,
        reason: reason.to_string(),
    }
}

/// Executes the final blocks of one validator once more, and holds what every holder has against
/// what it should have. Nothing, if the last holder is not paid yet.
pub(crate) async fn judge(net: &Net, validator: usize) -> Result<Option<Paid>, Failure> {
    let Some(end) = net.scenario.quarter else {
        return Ok(None);
    };
    let chain = net
        .indexes
        .get(validator)
        .map(|[index, _]| index)
        .ok_or_else(|| wrong(0, "there is no such validator"))?;
    let mut state = Memory::default();
    state.apply(net.executor.genesis_changes());
    let mut times = BTreeMap::new();
    let mut last: Option<Block> = None;
    for height in 1..=net.ledger.height(validator) {
        let block = chain
            .block(height)
            .map_err(|error| wrong(height, error))?
            .ok_or_else(|| wrong(height, "it is final and not in the index"))?;
        let genesis = &net.committee.genesis;
        let pool = Mempool::new(genesis.gas_limit);
        let transactions = recover::all(&block.transactions, genesis.chain_id, height, &pool)
            .map_err(|error| wrong(height, error))?;
        let output = net
            .executor
            .execute(&state, block.input(), &transactions)
            .await
            .map_err(|error| wrong(height, error))?;
        if output.receipts_root != block.header.receipts_root {
            return Err(wrong(height, "executed once more it has other receipts"));
        }
        state.apply(output.changes);
        times.insert(height, block.header.timestamp_ms);
        last = Some(block);
    }
    let Some(last) = last else {
        return Ok(None);
    };
    let Some(report) = report(net, &state, &last).await? else {
        return Ok(None);
    };
    let height = report.paidHeight;
    for (address, had) in end.holdings() {
        let found = account(&state, address)
            .await
            .map_err(|error| wrong(height, error))?
            .unwrap_or_default();
        let share = report.pot.saturating_mul(had).checked_div(report.eligible);
        let share = share.unwrap_or_default();
        if found.balance != had.saturating_add(share) {
            return Err(wrong(
                height,
                format!(
                    "{address} had {had}, earned {share} and has {}",
                    found.balance
                ),
            ));
        }
    }
    let when = |height: u64| {
        let at = Duration::from_millis(times.get(&height).copied().unwrap_or_default());
        at.saturating_sub(end.begins())
    };
    Ok(Some(Paid {
        closed: when(report.closedHeight),
        paid: when(report.paidHeight),
    }))
}

/// The quarter's report, if everybody is paid.
async fn report(
    net: &Net,
    state: &Memory,
    last: &Block,
) -> Result<Option<IRewards::Report>, Failure> {
    let height = last.header.height;
    let call = IRewards::reportCall {
        quarter: QUARTER.number(),
    };
    let request = CallRequest {
        to: Some(REWARDS),
        data: call.abi_encode().into(),
        ..CallRequest::default()
    };
    let outcome = net
        .executor
        .call(state, last.input(), request)
        .await
        .map_err(|error| wrong(height, error))?;
    let CallOutcome::Success { output, .. } = outcome else {
        return Ok(None);
    };
    let report =
        IRewards::reportCall::abi_decode_returns(&output).map_err(|error| wrong(height, error))?;
    Ok((report.paidHeight > 0).then_some(report))
}
