//! The events of a block's own work: where they stand, and who cannot make them up.

use super::rules::{chain, ends, open, terms};
use crate::support::{Chain, Send};
use alloy::{
    consensus::Transaction as _,
    primitives::{B256, U256},
    sol_types::SolEvent as _,
};
use alloy_rpc_types_trace::geth::{
    CallFrame, GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingOptions, GethTrace,
};
use futures::executor::block_on;
use mileverse_execution::{BlockError, BlockOutput, Transaction, TransactionError};
use mileverse_primitives::{
    abi::IRewards,
    address::{REWARDS, SYSTEM},
    limits::SYSTEM_TRANSACTION_LENGTH,
    rewards::RewardRules,
};

/// Five holders a block.
fn slowly() -> RewardRules {
    RewardRules {
        holders_per_block: 5,
        ..terms()
    }
}

/// A chain before the block that closes its quarter.
fn at_the_close() -> Chain {
    let mut chain = chain(slowly());
    chain.block(&[]);
    chain.now = ends(open(&chain));
    chain
}

fn paid(output: &BlockOutput) -> Vec<IRewards::RewardPaid> {
    let logs = output.receipts.iter().flat_map(|one| &one.logs);
    logs.filter_map(|log| Some(IRewards::RewardPaid::decode_log(log).ok()?.data))
        .collect()
}

#[test]
fn a_block_that_pays_begins_with_a_receipt_of_its_own() {
    let mut chain = at_the_close();
    let quarter = open(&chain).number();
    let before: Vec<U256> = (0..12)
        .map(|user| chain.account(chain.user(user)).balance)
        .collect();
    let send = Send::data(1, chain.user(2), vec![]);
    let mut told = vec![U256::ZERO; 12];
    for block in 0..3 {
        let output = chain.block(std::slice::from_ref(&send));
        let [system, sent] = &output.receipts[..] else {
            panic!("{:?}", output.receipts)
        };
        assert_eq!(sent.sender, chain.user(1));
        assert_eq!((system.sender, system.to), (SYSTEM, Some(REWARDS)));
        assert_eq!((system.nonce, system.gas_used), (chain.height, 0));
        assert!(system.success);
        assert!(system.logs.iter().all(|log| log.address == REWARDS));
        let closed = IRewards::QuarterClosed::decode_log(&system.logs[0]);
        assert_eq!(closed.is_ok(), block == 0);
        let done = IRewards::QuarterPaid::decode_log(system.logs.last().unwrap());
        assert_eq!(done.is_ok(), block == 2);
        let payments = paid(&output);
        assert_eq!(payments.len(), [5, 5, 2][block]);
        for payment in payments {
            assert_eq!(payment.quarter, quarter);
            let user = (0..12).find(|user| chain.user(*user) == payment.account);
            told[user.unwrap()] += payment.amount;
        }
    }
    for user in 0..12 {
        let now = chain.account(chain.user(user)).balance;
        assert_eq!(now, before[user] + told[user], "user {user}");
    }
    // Nobody is left to be paid, so nothing is told.
    assert_eq!(chain.block(&[send]).receipts.len(), 1);
}

#[test]
fn a_system_transaction_stands_where_it_is_due_and_nowhere_else() {
    let mut chain = at_the_close();
    let height = chain.height + 1;
    let id = chain.genesis.chain_id;
    let system = |height| Transaction::system(id, height);
    let send = chain.sign(&Send::data(1, chain.user(2), vec![]));
    let run = |chain: &Chain, body: &[Transaction]| {
        block_on(
            chain
                .executor
                .execute(&chain.state, chain.input(None), body),
        )
    };
    let due = system(height);
    assert!(run(&chain, &[due.clone(), send.clone()]).is_ok());
    for wrong in [
        vec![],
        vec![send.clone()],
        vec![send.clone(), due.clone()],
        vec![system(height + 1), send.clone()],
        vec![due.clone(), due, send.clone()],
    ] {
        let refused = run(&chain, &wrong);
        assert!(matches!(refused, Err(BlockError::Invalid(_))), "{wrong:?}");
    }
    while chain.block(&[]).receipts.len() == 1 {}
    let none_due = run(&chain, &[system(chain.height + 1)]);
    assert!(matches!(none_due, Err(BlockError::Invalid(_))));
    // A leader that has it among its candidates leaves it out.
    let candidates = vec![system(chain.height + 1), send.clone()];
    let built = chain
        .executor
        .build(&chain.state, chain.input(None), candidates);
    let (taken, _, dead) = block_on(built).unwrap();
    assert_eq!(taken, [send]);
    assert_eq!(dead.len(), 1);
}

#[test]
fn nobody_can_send_a_system_transaction() {
    for (id, height) in [(1, 0), (77_773, 12_345), (u64::MAX / 4, u64::MAX)] {
        let system = Transaction::system(id, height);
        assert!(system.raw().len() <= SYSTEM_TRANSACTION_LENGTH);
        assert_eq!(system.envelope().chain_id(), Some(id));
        assert_eq!(
            Transaction::decode(system.raw(), id),
            Err(TransactionError::Signature)
        );
    }
}

#[test]
fn a_trace_tells_each_payment_as_a_transfer() {
    let mut chain = at_the_close();
    let send = Send::data(1, chain.user(2), vec![]);
    let (state, input) = (chain.state.with_pending(1), chain.input(None));
    let body = [
        chain.own(&input),
        vec![chain.sign_with(&send, chain.account(chain.user(1)).nonce)],
    ]
    .concat();
    let output = chain.block(&[send]);
    let trace = |positions, tracer: Option<GethDebugBuiltInTracerType>| {
        let options = GethDebugTracingOptions {
            tracer: tracer.map(GethDebugTracerType::BuiltInTracer),
            ..GethDebugTracingOptions::default()
        };
        let digest = B256::repeat_byte(1);
        block_on(chain.executor.trace_block(
            &state,
            input.clone(),
            digest,
            &body,
            positions,
            &options,
        ))
    };
    let calls = trace(0..2, Some(GethDebugBuiltInTracerType::CallTracer)).unwrap();
    let [GethTrace::CallTracer(system), GethTrace::CallTracer(sent)] = &calls[..] else {
        panic!("{calls:?}")
    };
    assert_eq!((system.from, system.to), (SYSTEM, Some(REWARDS)));
    assert_eq!(sent.from, chain.user(1));
    let transfer = |call: &CallFrame| (call.from, call.to.unwrap(), call.value.unwrap());
    let expected: Vec<_> = paid(&output)
        .iter()
        .map(|one| (REWARDS, one.account, one.amount))
        .collect();
    assert_eq!(
        system.calls.iter().map(transfer).collect::<Vec<_>>(),
        expected
    );
    // Alone, the one and the other.
    for position in [0, 1] {
        let one = trace(
            position..position + 1,
            Some(GethDebugBuiltInTracerType::CallTracer),
        );
        assert_eq!(one.unwrap(), calls[position..=position]);
    }
    assert_eq!(trace(0..2, None).unwrap().len(), 2);
    let other = trace(0..2, Some(GethDebugBuiltInTracerType::PreStateTracer));
    assert!(matches!(other, Err(BlockError::Invalid(_))));
}
