//! Calls that change nothing, on the state after a block, with overrides of state and block.

use crate::{
    arguments::Arguments,
    context::Context,
    failure, find,
    limits::MAX_CALL_GAS,
    reads::{Blocking, overriding},
    register::{Answer, slow},
};
use alloy::{
    eips::BlockId,
    primitives::{TxKind, U64},
    rpc::types::{BlockOverrides, TransactionRequest, state::StateOverride},
};
use jsonrpsee::{RpcModule, core::RegisterMethodError, types::ErrorObjectOwned};
use mileverse_execution::{
    BlockError, BlockInput, CallOutcome, CallRequest, EstimateOutcome, Overridden,
};
use mileverse_primitives::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    slow(module, "eth_call", call)?;
    slow(module, "eth_estimateGas", estimate)?;
    slow(module, "eth_createAccessList", access_list)
}

/// A call and all that is assumed for it.
pub struct Scene {
    /// After which block the state is.
    pub height: u64,
    /// In which block it runs.
    pub block: BlockInput,
    /// What is called.
    pub request: CallRequest,
    /// What else is assumed of the state.
    pub overrides: StateOverride,
}

impl Scene {
    /// Reads what a client asked for and holds it against the limits.
    pub fn new(
        context: &Context,
        asked: TransactionRequest,
        id: Option<BlockId>,
        overrides: Option<StateOverride>,
        assumed: Option<BlockOverrides>,
    ) -> Answer<Self> {
        let (height, mut block) = find::scene(context, id)?;
        let assumed = assumed.unwrap_or_default();
        if assumed.beacon_root.is_some() {
            return Err(failure::unsupported("this chain has no beacon root"));
        }
        block.gas_limit = assumed.gas_limit.unwrap_or(block.gas_limit);
        let request = request(context, asked, block.gas_limit, assumed)?;
        Ok(Self {
            height,
            block,
            request,
            overrides: overrides.unwrap_or_default(),
        })
    }

    fn of(context: &Context, mut arguments: Arguments) -> Answer<Self> {
        Self::new(
            context,
            arguments.next()?,
            arguments.optional()?,
            arguments.optional()?,
            arguments.optional()?,
        )
    }
}

/// Lays the overrides of a scene over its state.
pub async fn lay(
    state: Blocking,
    overrides: StateOverride,
) -> Result<Overridden<Blocking>, BlockError> {
    Overridden::new(state, overrides).await.map_err(overriding)
}

/// A call as the executor takes it, held against the limits.
pub(super) fn request(
    context: &Context,
    asked: TransactionRequest,
    block_gas: u64,
    assumed: BlockOverrides,
) -> Answer<CallRequest> {
    let chain_id = context.genesis.chain_id;
    if let Some(other) = asked.chain_id.filter(|other| *other != chain_id) {
        return Err(failure::refused(format!(
            "chainId does not match node's (have={other}, want={chain_id})"
        )));
    }
    let dynamic = asked.max_fee_per_gas.is_some() || asked.max_priority_fee_per_gas.is_some();
    if dynamic && asked.gas_price.is_some() {
        return Err(failure::refused(
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
        ));
    }
    if asked.blob_versioned_hashes.is_some() || asked.max_fee_per_blob_gas.is_some() {
        return Err(failure::unsupported("this chain has no blobs"));
    }
    let data = asked.input.try_into_unique_input().map_err(|_| {
        failure::refused(
            "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass transaction call data",
        )
    })?;
    let most = block_gas.min(MAX_CALL_GAS);
    Ok(CallRequest {
        from: asked.from.unwrap_or_default(),
        to: match asked.to {
            Some(TxKind::Call(to)) => Some(to),
            Some(TxKind::Create) | None => None,
        },
        value: asked.value.unwrap_or_default(),
        gas: Some(asked.gas.unwrap_or(most).min(most)),
        data: data.unwrap_or_default(),
        gas_price: asked
            .gas_price
            .or(asked.max_fee_per_gas)
            .unwrap_or_default(),
        priority_fee: dynamic.then(|| asked.max_priority_fee_per_gas.unwrap_or_default()),
        access_list: asked.access_list.unwrap_or_default(),
        authorizations: asked.authorization_list.unwrap_or_default(),
        block: assumed,
    })
}

async fn call(context: Arc<Context>, arguments: Arguments) -> Answer<Bytes> {
    let scene = Scene::of(&context, arguments)?;
    let executor = context.reads.executor.clone();
    let run = move |state| async move {
        let state = lay(state, scene.overrides).await?;
        executor.call(&state, scene.block, scene.request).await
    };
    match context.reads.ask(scene.height, run).await? {
        CallOutcome::Success { output, .. } => Ok(output),
        failed => Err(failed_call(failed)),
    }
}

fn failed_call(outcome: CallOutcome) -> ErrorObjectOwned {
    match outcome {
        CallOutcome::Revert { output, .. } => failure::reverted(output),
        CallOutcome::Halt { reason, .. } => failure::refused(reason),
        CallOutcome::Success { .. } => failure::internal(&"a success is no failure"),
    }
}

async fn estimate(context: Arc<Context>, arguments: Arguments) -> Answer<U64> {
    let scene = Scene::of(&context, arguments)?;
    estimated(&context, scene).await.map(U64::from)
}

/// A gas limit with which a call succeeds.
pub(super) async fn estimated(context: &Context, mut scene: Scene) -> Answer<u64> {
    let most = scene.request.gas.unwrap_or(MAX_CALL_GAS);
    let executor = context.reads.executor.clone();
    let run = move |state| async move {
        let state = lay(state, scene.overrides).await?;
        let request = &mut scene.request;
        let affordable = executor.affordable(&state, &scene.block, request).await?;
        let most = affordable.map_or(most, |gas| gas.min(most));
        request.gas = Some(most);
        let outcome = executor
            .estimate_gas(&state, scene.block, scene.request)
            .await?;
        Ok((outcome, most))
    };
    match context.reads.ask(scene.height, run).await? {
        (EstimateOutcome::Gas(gas), _) => Ok(gas),
        (EstimateOutcome::Failed(CallOutcome::Halt { reason, .. }), most)
            if reason == "out of gas" =>
        {
            Err(failure::refused(format!(
                "gas required exceeds allowance ({most})"
            )))
        }
        (EstimateOutcome::Failed(outcome), _) => Err(failed_call(outcome)),
    }
}

async fn access_list(context: Arc<Context>, arguments: Arguments) -> Answer<Value> {
    let scene = Scene::of(&context, arguments)?;
    let executor = context.reads.executor.clone();
    let run = move |state| async move {
        let state = lay(state, scene.overrides).await?;
        executor
            .access_list(&state, scene.block, scene.request)
            .await
    };
    let (list, outcome) = context.reads.ask(scene.height, run).await?;
    let (gas, error) = match outcome {
        CallOutcome::Success { gas_used, .. } => (gas_used, None),
        CallOutcome::Revert { gas_used, output } => (
            gas_used,
            Some(failure::reverted(output).message().to_owned()),
        ),
        CallOutcome::Halt { gas_used, reason } => (gas_used, Some(reason)),
    };
    let mut answer = json!({ "accessList": list, "gasUsed": U64::from(gas) });
    if let (Some(error), Some(fields)) = (error, answer.as_object_mut()) {
        fields.insert("error".into(), error.into());
    }
    Ok(answer)
}
