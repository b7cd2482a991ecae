//! Logs of a range of blocks, or of one block.

use crate::{
    context::Context,
    convert, failure, find,
    limits::{MAX_LOG_BLOCKS, MAX_LOG_CHOICES, MAX_LOGS},
    register::{Answer, disk},
};
use alloy::rpc::types::{Filter, FilterBlockOption, Log};
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use std::ops::RangeInclusive;

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    disk(module, "eth_getLogs", |context, mut arguments| {
        let filter = arguments.next()?;
        check(&filter)?;
        all(context, &filter)
    })
}

/// Refuses a filter with too many choices.
pub(super) fn check(filter: &Filter) -> Answer<()> {
    let topics = filter.topics.iter().map(|topic| topic.len());
    if topics
        .chain([filter.address.len()])
        .any(|choices| choices > MAX_LOG_CHOICES)
    {
        return Err(failure::invalid(format!(
            "exceed max addresses or topics per search position: at most {MAX_LOG_CHOICES}"
        )));
    }
    Ok(())
}

/// All logs that a filter names.
pub(super) fn all(context: &Context, filter: &Filter) -> Answer<Vec<Log>> {
    let (from, to) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let height = find::place(context, hash.into())?
                .ok_or_else(|| failure::refused("unknown block"))?;
            (height, height)
        }
        FilterBlockOption::Range {
            from_block,
            to_block,
        } => (
            find::height(context, from_block.unwrap_or_default()),
            find::height(context, to_block.unwrap_or_default()),
        ),
    };
    if from > to {
        return Err(failure::invalid("invalid block range params"));
    }
    within(context, filter, from..=to)
}

/// Logs of these blocks that a filter matches, whatever range it names itself.
pub(super) fn within(
    context: &Context,
    filter: &Filter,
    heights: RangeInclusive<u64>,
) -> Answer<Vec<Log>> {
    let (from, to) = heights.into_inner();
    let to = to.min(context.reads.tip().header.height);
    if from > to {
        return Ok(Vec::new());
    }
    if to.saturating_sub(from) >= MAX_LOG_BLOCKS {
        return Err(failure::refused(format!(
            "exceed maximum block range: {MAX_LOG_BLOCKS}"
        )));
    }
    if let Some(first) = context.index.first().map_err(failure::index)?
        && from.max(1) < first
    {
        return Err(failure::index(
            mileverse_consensus::index::IndexError::Before {
                height: from,
                first,
            },
        ));
    }
    let matching = context
        .index
        .blooms(from..=to, |bloom| filter.matches_bloom(bloom))
        .map_err(failure::index)?;
    let mut answer = Vec::new();
    for height in matching {
        let Some(found) = find::at(context, height)? else {
            continue;
        };
        let mut first = 0u64;
        for (position, outcome) in found.results.receipts.iter().enumerate() {
            let logs = convert::logs(&found, position, first);
            first = first.saturating_add(outcome.logs.len() as u64);
            answer.extend(logs.into_iter().filter(|log| filter.matches(&log.inner)));
            // Nobody can ask for less than one block.
            if answer.len() > MAX_LOGS && to > from {
                return Err(failure::refused(format!(
                    "query returned more than {MAX_LOGS} results; ask for fewer blocks"
                )));
            }
        }
    }
    Ok(answer)
}
