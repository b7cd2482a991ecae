//! What gas costs. The base fee never moves; a tip only matters when blocks are full.

use crate::{
    arguments::Arguments,
    context::Context,
    failure, find,
    limits::MAX_FEE_BLOCKS,
    register::{Answer, disk, quick},
};
use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    eips::{BlockNumberOrTag, eip2718::Decodable2718 as _},
    primitives::U64,
    rpc::types::FeeHistory,
};
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use mileverse_primitives::U256;

/// Most percentiles in one question (geth).
const MAX_PERCENTILES: usize = 100;

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    disk(module, "eth_gasPrice", |context, _| {
        Ok(tip(context)?.saturating_add(U256::from(context.base_fee())))
    })?;
    quick(module, "eth_baseFee", |context, _| {
        Ok(U64::from(context.base_fee()))
    })?;
    disk(module, "eth_maxPriorityFeePerGas", |context, _| {
        tip(context)
    })?;
    disk(module, "eth_feeHistory", history)
}

/// Nothing while blocks have room; when the newest is more than half full, what the middle of its
/// gas paid above the base fee.
pub(super) fn tip(context: &Context) -> Answer<U256> {
    let newest = context.reads.tip().header;
    if newest.gas_used <= newest.gas_limit / 2 {
        return Ok(U256::ZERO);
    }
    let Some(found) = find::at(context, newest.height)? else {
        return Ok(U256::ZERO);
    };
    let middle = rewards(&found, &[50.0], context.base_fee())
        .first()
        .copied();
    Ok(U256::from(middle.unwrap_or_default()))
}

fn history(context: &Context, mut arguments: Arguments) -> Answer<FeeHistory> {
    let (count, newest): (U64, BlockNumberOrTag) = (arguments.next()?, arguments.next()?);
    let percentiles: Option<Vec<f64>> = arguments.optional()?;
    let percentiles = percentiles.filter(|asked| !asked.is_empty());
    check(percentiles.as_deref().unwrap_or_default())?;
    let newest = find::height(context, newest);
    if newest > context.reads.tip().header.height {
        return Err(failure::refused(format!(
            "request beyond head block: requested {newest}, head {}",
            context.reads.tip().header.height
        )));
    }
    let count = count.to::<u64>().min(MAX_FEE_BLOCKS);
    if count == 0 {
        return Ok(FeeHistory::default());
    }
    let first = context.index.first().map_err(failure::index)?;
    // A node that synced its state has block 0 and those from its floor on.
    let least = first.filter(|first| *first > 1).unwrap_or_default();
    let oldest = newest.saturating_sub(count - 1).max(least).min(newest);
    let mut ratios = Vec::new();
    let mut reward = Vec::new();
    for height in oldest..=newest {
        let found =
            find::at(context, height)?.ok_or_else(|| failure::refused("header not found"))?;
        let header = &found.block.header;
        // Shares of a limit are small numbers: nothing is lost that matters.
        #[allow(clippy::cast_precision_loss)]
        ratios.push(header.gas_used as f64 / header.gas_limit.max(1) as f64);
        if let Some(percentiles) = &percentiles {
            reward.push(rewards(&found, percentiles, context.base_fee()));
        }
    }
    Ok(FeeHistory {
        base_fee_per_gas: vec![context.base_fee().into(); ratios.len().saturating_add(1)],
        gas_used_ratio: ratios,
        oldest_block: oldest,
        reward: percentiles.map(|_| reward),
        ..FeeHistory::default()
    })
}

fn check(percentiles: &[f64]) -> Answer<()> {
    if percentiles.len() > MAX_PERCENTILES {
        return Err(failure::invalid(format!(
            "invalid reward percentile: over the query limit {MAX_PERCENTILES}"
        )));
    }
    if let Some(wrong) = percentiles.iter().find(|one| !(0.0..=100.0).contains(*one)) {
        return Err(failure::invalid(format!(
            "invalid reward percentile: {wrong}"
        )));
    }
    if !percentiles.is_sorted() {
        return Err(failure::invalid(
            "invalid reward percentile: they must ascend",
        ));
    }
    Ok(())
}

/// The tips per gas at these shares of a block's gas, lowest first.
fn rewards(found: &find::Found, percentiles: &[f64], base: u64) -> Vec<u128> {
    let mut paid: Vec<(u128, u64)> = found
        .block
        .transactions
        .iter()
        .zip(&found.results.receipts)
        // The system transaction pays nothing and takes nothing.
        .filter(|(_, outcome)| outcome.gas_used > 0)
        .filter_map(|(raw, outcome)| {
            let envelope = TxEnvelope::decode_2718_exact(raw).ok()?;
            let price = envelope.effective_gas_price(Some(base));
            Some((price.saturating_sub(base.into()), outcome.gas_used))
        })
        .collect();
    paid.sort_unstable();
    #[allow(clippy::cast_precision_loss)]
    let total = found.block.header.gas_used as f64;
    let share = |percentile: &f64| {
        let due = total * percentile / 100.0;
        let mut sum = 0u64;
        for (price, gas) in &paid {
            sum = sum.saturating_add(*gas);
            #[allow(clippy::cast_precision_loss)]
            if sum as f64 >= due {
                return *price;
            }
        }
        paid.last().map_or(0, |(price, _)| *price)
    };
    percentiles.iter().map(share).collect()
}
