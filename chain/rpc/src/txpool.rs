//! `txpool_`: what waits on this node. `pending` may run now, `queued` waits for a nonce before it.

use crate::{
    arguments::Arguments,
    context::Context,
    convert,
    register::{Answer, disk},
};
use alloy::{consensus::Transaction as _, primitives::U64};
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use mileverse_consensus::mempool::Waiting;
use mileverse_execution::Transaction;
use mileverse_primitives::Address;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Adds the methods.
pub fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    disk(module, "txpool_status", |context, _| {
        let (pending, queued) = context.admission.mempool.counts();
        Ok(json!({ "pending": U64::from(pending), "queued": U64::from(queued) }))
    })?;
    disk(module, "txpool_content", |context, _| {
        let base = context.base_fee();
        Ok(everybody(context, |one| shown(one, base)))
    })?;
    disk(module, "txpool_inspect", |context, _| {
        Ok(everybody(context, summary))
    })?;
    disk(module, "txpool_contentFrom", from)
}

fn shown(transaction: &Transaction, base: u64) -> Value {
    serde_json::to_value(convert::pending(transaction, base)).unwrap_or_default()
}

/// A transaction in one line, as geth writes it.
fn summary(transaction: &Transaction) -> Value {
    let envelope = transaction.envelope();
    let to = envelope
        .to()
        .map_or_else(|| "contract creation".to_owned(), |to| to.to_string());
    Value::String(format!(
        "{to}: {} wei + {} gas × {} wei",
        envelope.value(),
        envelope.gas_limit(),
        envelope.max_fee_per_gas()
    ))
}

fn by_nonce(waiting: &BTreeMap<u64, Transaction>, show: impl Fn(&Transaction) -> Value) -> Value {
    let entries = waiting.iter();
    Value::Object(
        entries
            .map(|(nonce, transaction)| (nonce.to_string(), show(transaction)))
            .collect::<Map<_, _>>(),
    )
}

fn everybody(context: &Context, show: impl Fn(&Transaction) -> Value) -> Value {
    let (mut pending, mut queued) = (Map::new(), Map::new());
    for (sender, waiting) in context.admission.mempool.waiting() {
        let sender = sender.to_string();
        if !waiting.pending.is_empty() {
            pending.insert(sender.clone(), by_nonce(&waiting.pending, &show));
        }
        if !waiting.queued.is_empty() {
            queued.insert(sender, by_nonce(&waiting.queued, &show));
        }
    }
    json!({ "pending": pending, "queued": queued })
}

fn from(context: &Context, mut arguments: Arguments) -> Answer<Value> {
    let sender: Address = arguments.next()?;
    let Waiting { pending, queued } = context.admission.mempool.waiting_of(sender);
    let show = |one: &Transaction| shown(one, context.base_fee());
    Ok(json!({
        "pending": by_nonce(&pending, show),
        "queued": by_nonce(&queued, show),
    }))
}
