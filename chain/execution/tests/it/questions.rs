//! Questions about a state: with something else assumed of it or of the block, traced step by step.

use super::{
    contracts::{COUNTER, code, deploy},
    support::{Chain, Send},
};
use alloy::{
    eips::eip2930::AccessList,
    primitives::{Address, B256, Bytes, U256, hex, keccak256},
    rpc::types::{
        BlockOverrides,
        state::{AccountOverride, StateOverride},
    },
};
use alloy_rpc_types_trace::geth::{
    GethDebugBuiltInTracerType as Tracer, GethDebugTracerConfig, GethDebugTracingOptions,
    GethTrace, PreStateFrame,
};
use futures::executor::block_on;
use mileverse_execution::{
    BlockError, CallOutcome, CallRequest, MAX_OVERRIDES, Overridden, OverrideError, StateReader,
};

/// Returns the word at slot 0, the caller's balance, NUMBER, TIMESTAMP, COINBASE, BLOCKHASH(7) and
/// GASPRICE.
const TELL: [u8; 44] = hex!(
    "600054600052333160205243604052426060524160805260074060a0523a60c05260e06000f3000000000000"
);

fn ask<R: StateReader>(chain: &Chain, state: &R, request: CallRequest) -> CallOutcome {
    block_on(chain.executor.call(state, chain.input(None), request)).unwrap()
}

fn words(outcome: CallOutcome) -> Vec<U256> {
    match outcome {
        CallOutcome::Success { output, .. } => output.chunks(32).map(U256::from_be_slice).collect(),
        other => panic!("{other:?}"),
    }
}

fn laid(
    chain: &Chain,
    overrides: StateOverride,
) -> Result<Overridden<super::support::MemoryState>, OverrideError> {
    block_on(Overridden::new(chain.state.with_pending(1), overrides))
}

fn one(address: Address, account: AccountOverride) -> StateOverride {
    StateOverride::from_iter([(address, account)])
}

#[test]
fn a_call_sees_what_is_assumed_and_nothing_of_it_stays() {
    let mut chain = Chain::new();
    let counter = deploy(&mut chain, &code(COUNTER));
    chain.send(Send::data(1, counter, vec![]));
    let (caller, coinbase) = (Address::repeat_byte(9), Address::repeat_byte(5));
    let request = CallRequest {
        from: caller,
        to: Some(counter),
        gas_price: 3,
        gas: Some(100_000),
        block: BlockOverrides::default()
            .with_number(U256::from(77))
            .with_time(88)
            .with_coinbase(coinbase)
            .append_block_hash(7, B256::repeat_byte(6)),
        ..CallRequest::default()
    };
    let tell = AccountOverride::default().with_code(Bytes::from_static(&TELL));
    let mut overrides = one(counter, tell);
    overrides.insert(
        caller,
        AccountOverride::default().with_balance(U256::from(1_000_000)),
    );
    let state = laid(&chain, overrides.clone()).unwrap();
    let price = 3 * 100_000;
    let said = words(ask(&chain, &state, request.clone()));
    assert_eq!(said[0], U256::ONE, "its own slot");
    assert_eq!(said[1], U256::from(1_000_000 - price));
    assert_eq!(said[2], U256::from(77));
    assert_eq!(said[3], U256::from(88));
    assert_eq!(said[4], U256::from_be_bytes(coinbase.into_word().0));
    assert_eq!(said[5], U256::from_be_bytes([6; 32]));
    assert_eq!(said[6], U256::from(3));

    // One slot, then the whole storage.
    let slot = B256::ZERO;
    let account = overrides.get_mut(&counter).unwrap();
    account.set_state_diff([(slot, B256::with_last_byte(42))]);
    let state = laid(&chain, overrides.clone()).unwrap();
    assert_eq!(
        words(ask(&chain, &state, request.clone()))[0],
        U256::from(42)
    );
    let account = overrides.get_mut(&counter).unwrap();
    account.state_diff = None;
    account.set_state([(B256::with_last_byte(1), B256::with_last_byte(1))]);
    let state = laid(&chain, overrides.clone()).unwrap();
    assert_eq!(words(ask(&chain, &state, request.clone()))[0], U256::ZERO);

    // Nothing of it is there afterwards.
    assert_eq!(chain.slot(counter, U256::ZERO), U256::ONE);
    let refused = block_on(
        chain
            .executor
            .call(&chain.state, chain.input(None), request),
    );
    let Err(BlockError::Invalid(reason)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        reason,
        format!("insufficient funds for gas * price + value: have 0 want {price}")
    );
}

#[test]
fn contradictions_and_excess_are_refused() {
    let chain = Chain::new();
    let address = Address::repeat_byte(1);
    let slots = |count: usize| {
        (0..count).map(|slot| (keccak256(slot.to_be_bytes()), B256::with_last_byte(1)))
    };
    let mut both = AccountOverride::default().with_state(slots(1));
    both.set_state_diff(slots(1));
    assert_eq!(
        laid(&chain, one(address, both)).err(),
        Some(OverrideError::Both(address))
    );
    let most = AccountOverride::default().with_state_diff(slots(MAX_OVERRIDES - 1));
    assert!(laid(&chain, one(address, most)).is_ok());
    let many = AccountOverride::default().with_state_diff(slots(MAX_OVERRIDES));
    assert_eq!(
        laid(&chain, one(address, many)).err(),
        Some(OverrideError::TooMany)
    );
    let long = AccountOverride::default().with_code(vec![0; 24_577]);
    assert_eq!(
        laid(&chain, one(address, long)).err(),
        Some(OverrideError::Code(address))
    );
    let mut moved = AccountOverride::default();
    moved.set_move_precompile_to(address);
    assert_eq!(
        laid(&chain, one(address, moved)).err(),
        Some(OverrideError::MovePrecompile)
    );
}

#[test]
fn an_access_list_names_what_a_call_touches() {
    let mut chain = Chain::new();
    let counter = deploy(&mut chain, &code(COUNTER));
    let request = CallRequest {
        from: chain.user(1),
        to: Some(counter),
        ..CallRequest::default()
    };
    let found = chain
        .executor
        .access_list(&chain.state, chain.input(None), request.clone());
    let (list, outcome) = block_on(found).unwrap();
    assert!(outcome.is_success());
    assert_eq!(list.0.len(), 1);
    assert_eq!(list.0[0].address, counter);
    assert_eq!(list.0[0].storage_keys, [B256::ZERO]);
    // It is of use: the call with it comes to the same.
    let with = CallRequest {
        access_list: list,
        ..request.clone()
    };
    assert_eq!(
        words(ask(&chain, &chain.state, with)),
        words(ask(&chain, &chain.state, request))
    );
    let nothing = CallRequest {
        to: Some(Address::repeat_byte(0x77)),
        ..CallRequest::default()
    };
    let found = chain
        .executor
        .access_list(&chain.state, chain.input(None), nothing);
    assert_eq!(block_on(found).unwrap().0, AccessList::default());
}

fn options(tracer: Tracer) -> GethDebugTracingOptions {
    GethDebugTracingOptions::new_tracer(tracer)
}

#[test]
fn transactions_are_traced_on_the_state_that_they_met() {
    let mut chain = Chain::new();
    let counter = deploy(&mut chain, &code(COUNTER));
    let sends: Vec<_> = (0..3).map(|_| Send::data(1, counter, vec![])).collect();
    let nonce = chain.account(chain.user(1)).nonce;
    let transactions: Vec<_> = (nonce..)
        .zip(&sends)
        .map(|(nonce, send)| chain.sign_with(send, nonce))
        .collect();
    let (before, input) = (chain.state.with_pending(1), chain.input(None));
    let output = chain.block(&sends);
    let trace = |positions, options: GethDebugTracingOptions| {
        let (executor, digest) = (&chain.executor, B256::repeat_byte(1));
        block_on(executor.trace_block(
            &before,
            input.clone(),
            digest,
            &transactions,
            positions,
            &options,
        ))
        .unwrap()
    };

    let calls = trace(0..3, options(Tracer::CallTracer));
    for (call, receipt) in calls.iter().zip(&output.receipts) {
        let GethTrace::CallTracer(frame) = call else {
            panic!("{call:?}")
        };
        assert_eq!(frame.gas_used, U256::from(receipt.gas_used));
        assert_eq!((frame.from, frame.to), (receipt.sender, Some(counter)));
        assert_eq!(frame.error, None);
    }
    let [last] = trace(2..3, options(Tracer::CallTracer)).try_into().unwrap();
    assert_eq!(last, calls[2]);
    let GethTrace::CallTracer(frame) = last else {
        panic!()
    };
    let counted = U256::from_be_slice(frame.output.as_ref().unwrap());
    assert_eq!(counted, U256::from(3), "after the two before it");

    let [steps] = trace(1..2, GethDebugTracingOptions::default())
        .try_into()
        .unwrap();
    let GethTrace::Default(steps) = steps else {
        panic!()
    };
    assert!(!steps.failed);
    assert_eq!(steps.gas, output.receipts[1].gas_used);
    assert!(steps.struct_logs.iter().any(|step| step.op == "SSTORE"));

    let [met] = trace(1..2, options(Tracer::PreStateTracer))
        .try_into()
        .unwrap();
    let GethTrace::PreStateTracer(PreStateFrame::Default(met)) = met else {
        panic!()
    };
    let account = &met.0[&counter];
    assert_eq!(account.code.as_ref().unwrap().to_vec(), code(COUNTER));
    assert_eq!(account.storage[&B256::ZERO], B256::with_last_byte(1));
    assert_eq!(met.0[&chain.user(1)].nonce, Some(nonce + 1));

    let [four] = trace(0..1, options(Tracer::FourByteTracer))
        .try_into()
        .unwrap();
    assert!(matches!(four, GethTrace::FourByteTracer(_)));
}

#[test]
fn a_trace_has_its_limit_and_unknown_tracers_are_refused() {
    let mut chain = Chain::new();
    // JUMPDEST PUSH1 0 JUMP, for ever.
    let forever = deploy(&mut chain, &Bytes::from_static(&hex!("5b600056")));
    let request = CallRequest {
        from: chain.user(1),
        to: Some(forever),
        ..CallRequest::default()
    };
    let trace = |options: &GethDebugTracingOptions| {
        block_on(chain.executor.trace_call(
            &chain.state,
            chain.input(None),
            request.clone(),
            options,
        ))
    };
    let Err(BlockError::Invalid(reason)) = trace(&GethDebugTracingOptions::default()) else {
        panic!("every step was kept")
    };
    assert!(reason.contains("too long"), "{reason}");
    // The call tracer keeps no steps.
    let GethTrace::CallTracer(frame) = trace(&options(Tracer::CallTracer)).unwrap() else {
        panic!()
    };
    assert!(frame.error.unwrap().contains("out of gas"));
    let script = GethDebugTracingOptions {
        tracer: Some(alloy_rpc_types_trace::geth::GethDebugTracerType::JsTracer(
            "{}".into(),
        )),
        tracer_config: GethDebugTracerConfig::default(),
        ..GethDebugTracingOptions::default()
    };
    assert!(matches!(trace(&script), Err(BlockError::Invalid(_))));
}
