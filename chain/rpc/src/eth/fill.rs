//! `eth_fillTransaction`: what a transaction says, completed with what it leaves out, for its sender to sign.

use super::{
    calls::{Scene, estimated},
    fees::tip,
};
use crate::{
    arguments::Arguments,
    context::Context,
    failure,
    register::{Answer, slow},
};
use alloy::{
    consensus::TypedTransaction, eips::BlockId, primitives::TxKind, rpc::types::TransactionRequest,
};
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    slow(module, "eth_fillTransaction", fill)
}

/// What stands in a transaction where its author said nothing.
pub(super) struct Filled {
    pub(super) chain_id: u64,
    pub(super) nonce: u64,
    pub(super) gas: u64,
    /// Most that is paid for one gas, and of it above the base fee.
    pub(super) cap: u128,
    pub(super) tip: u128,
}

impl Filled {
    /// The transaction, of type 2 unless it names what another type has.
    pub(super) fn typed(
        &self,
        asked: TransactionRequest,
    ) -> Result<TypedTransaction, &'static str> {
        let has_price = asked.gas_price.is_some();
        let offer = |fee: Option<u128>, own: u128| (!has_price).then(|| fee.unwrap_or(own));
        let tip = asked
            .max_fee_per_gas
            .map_or(self.tip, |cap| cap.min(self.tip));
        let cap = asked
            .max_priority_fee_per_gas
            .map_or(self.cap, |tip| tip.max(self.cap));
        let input = asked.input.clone().into_input().unwrap_or_default();
        let asked = TransactionRequest {
            to: Some(asked.to.unwrap_or(TxKind::Create)),
            nonce: Some(asked.nonce.unwrap_or(self.nonce)),
            gas: Some(asked.gas.unwrap_or(self.gas)),
            chain_id: Some(self.chain_id),
            max_fee_per_gas: offer(asked.max_fee_per_gas, cap),
            max_priority_fee_per_gas: offer(asked.max_priority_fee_per_gas, tip),
            input: input.into(),
            ..asked
        };
        asked
            .build_typed_tx()
            .map_err(|_| "it names what no type of transaction has together")
    }
}

async fn fill(context: Arc<Context>, mut arguments: Arguments) -> Answer<Value> {
    let asked: TransactionRequest = arguments.next()?;
    let sender = asked.from.unwrap_or_default();
    let known = context.reads.sender(sender).await?.nonce;
    let nonce = context.admission.mempool.next_nonce(sender, known);
    let fees = Arc::clone(&context);
    let tip = tokio::task::spawn_blocking(move || tip(&fees))
        .await
        .map_err(|error| failure::internal(&error))??;
    let tip = u128::try_from(tip).map_err(|error| failure::internal(&error))?;
    let scene = Scene::new(
        &context,
        asked.clone(),
        Some(BlockId::pending()),
        None,
        None,
    )?;
    let gas = match asked.gas {
        Some(gas) => gas,
        None => estimated(&context, scene).await?,
    };
    let filled = Filled {
        chain_id: context.genesis.chain_id,
        nonce,
        gas,
        cap: tip.saturating_add(context.base_fee().into()),
        tip,
    };
    let typed = filled.typed(asked).map_err(failure::refused)?;
    let mut shown = serde_json::to_value(typed).map_err(|error| failure::internal(&error))?;
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("from".into(), json!(sender));
    }
    Ok(json!({ "tx": shown }))
}
