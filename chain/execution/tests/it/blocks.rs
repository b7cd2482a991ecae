//! Building against executing, and reading: what a block does never depends on how it was read.

use super::{
    contracts::{COUNTER, code, deploy},
    support::{Chain, GAS_LIMIT, MemoryState, Send},
};
use alloy::primitives::{Address, Bytes, U256};
use futures::executor::block_on;
use mileverse_execution::{
    BlockError, BlockInput, BlockOutput, Executor, Key, ReadError, StateReader, Transaction, Value,
    state::storage_key,
};
use mileverse_primitives::checkpoint::Checkpoint;
use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

#[test]
fn building_leaves_out_what_is_invalid_and_says_what_is_dead() {
    let mut chain = Chain::new();
    let counter = deploy(&mut chain, &code(COUNTER)); // user 1 is at nonce 1 now
    let count = |user: usize| Send::data(user, counter, Bytes::new()).gas(100_000);
    let poor = count(2).value(U256::ONE);
    let candidates = vec![
        chain.sign_with(&count(1), 0), // used: not dead, or what is built on it would go with it
        chain.sign_with(&count(1), 2), // too early
        chain.sign_with(&count(1), 1), // taken
        chain.sign_with(&count(1), 2), // taken, now that its turn has come
        chain.sign_with(&poor, 0),     // cannot pay
        chain.sign_with(&count(2).gas(20_000), 0), // less than any needs: dead
        chain.sign_with(&count(3).gas(GAS_LIMIT), 0), // fits no more in this block
        chain.sign_with(&count(3).gas(GAS_LIMIT + 1), 0), // fits in none: dead
        chain.sign_with(&count(4), 0), // taken
    ];
    let input = chain.input(None);
    let (taken, built, dead) = block_on(chain.executor.build(
        &chain.state,
        input.clone(),
        candidates.clone(),
    ))
    .unwrap();
    let hashes = |transactions: &[Transaction]| -> Vec<_> {
        transactions.iter().map(Transaction::hash).collect()
    };
    assert_eq!(
        hashes(&taken),
        [2, 3, 8].map(|index: usize| candidates[index].hash())
    );
    assert_eq!(dead, [5, 7].map(|index: usize| candidates[index].hash()));
    let executed = block_on(chain.executor.execute(&chain.state, input.clone(), &taken)).unwrap();
    assert_eq!(executed, built);
    chain.state.apply(&built.changes);
    assert_eq!(chain.slot(counter, U256::ZERO), U256::from(3));
}

#[test]
fn redeployed_code_is_written_whatever_was_read_before() {
    let mut chain = Chain::new();
    let counter = deploy(&mut chain, &code(COUNTER));
    let again = Send::create(2, super::contracts::deployment(&code(COUNTER)));
    let deploying = chain.sign_with(&again, 0);
    // A candidate that cannot be taken makes the builder read the same code first.
    let useless = chain.sign_with(&Send::data(3, counter, Bytes::new()).value(U256::ONE), 0);
    let input = chain.input(None);
    let (taken, built, _) = block_on(chain.executor.build(
        &chain.state,
        input.clone(),
        vec![useless, deploying],
    ))
    .unwrap();
    let executed = block_on(chain.executor.execute(&chain.state, input.clone(), &taken)).unwrap();
    assert_eq!(executed, built);
}

#[test]
fn how_the_state_answers_changes_nothing() {
    let mut chain = Chain::new();
    let counter = deploy(&mut chain, &code(COUNTER));
    let transactions: Vec<_> = (0..4)
        .map(|user| chain.sign(&Send::data(user, counter, Bytes::new())))
        .collect();
    let input = chain.input(None);
    let run = |pending| {
        let state = chain.state.with_pending(pending);
        block_on(chain.executor.execute(&state, input.clone(), &transactions)).unwrap()
    };
    assert_eq!(run(0), run(1));
    assert_eq!(run(0), run(5));
}

#[test]
fn many_cold_words_are_read_without_running_once_for_each() {
    let mut chain = Chain::new();
    // for (i = 200; i != 0; i--) sload(i)
    let reader = deploy(&mut chain, &code("60c85b80545060019003806002570000"));
    let call = Send::data(1, reader, Bytes::new());
    let state = chain.state.with_pending(0);
    let transaction = chain.sign(&call);
    let input = chain.input(None);
    let output = block_on(
        chain
            .executor
            .execute(&state, input.clone(), &[transaction]),
    )
    .unwrap();
    assert!(output.receipts[0].success);
    // Each word once, and a few accounts; nothing twice.
    let reads = state.reads.load(Ordering::Relaxed);
    assert!((200..240).contains(&reads), "{reads}");
}

#[test]
fn words_that_lead_to_words_are_followed() {
    let mut chain = Chain::new();
    // i = 1; do { i = sload(i) } while (i != 0)
    let follower = deploy(&mut chain, &code("60015b548060025700"));
    for slot in 1u64..60 {
        let next = U256::from(slot + 1).to_be_bytes::<32>().to_vec();
        chain
            .state
            .values
            .insert(storage_key(follower, U256::from(slot)), next);
    }
    let transaction = [chain.sign(&Send::data(1, follower, Bytes::new()))];
    let input = chain.input(None);
    let run = |pending| {
        let state = chain.state.with_pending(pending);
        let output = block_on(chain.executor.execute(&state, input.clone(), &transaction)).unwrap();
        (output, state.reads.load(Ordering::Relaxed))
    };
    let (at_once, reads) = run(0);
    let (later, asked_again) = run(3);
    assert!(at_once.receipts[0].gas_used > 21_000 + 60 * 2_100);
    assert_eq!(at_once, later);
    // A read that cannot be answered at once is asked once more, and then awaited.
    assert!(
        reads < 75 && asked_again <= 2 * reads,
        "{reads} {asked_again}"
    );
}

/// A state that fails at the `n`-th read.
struct Failing<'a> {
    state: &'a MemoryState,
    left: AtomicU64,
}

impl StateReader for Failing<'_> {
    async fn get(&self, key: Key) -> Result<Option<Value>, ReadError> {
        let spent = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        spent.map_err(|_| ReadError("the disk is gone".into()))?;
        self.state.get(key).await
    }
}

#[test]
fn a_failing_read_is_never_a_verdict() {
    let mut chain = Chain::new();
    let counter = deploy(&mut chain, &code(COUNTER));
    let transaction = chain.sign(&Send::data(1, counter, Bytes::new()));
    let input = chain.input(None);
    let mut allowed = 0;
    loop {
        let state = Failing {
            state: &chain.state,
            left: AtomicU64::new(allowed),
        };
        let transactions = [transaction.clone()];
        match block_on(chain.executor.execute(&state, input.clone(), &transactions)) {
            Ok(output) => {
                assert!(output.receipts[0].success);
                break;
            }
            Err(error) => assert!(matches!(error, BlockError::Read(_))),
        }
        allowed += 1;
    }
    assert!(allowed > 3);
}

#[test]
fn checkpoints_must_move_forward() {
    let mut chain = Chain::new();
    let checkpoint = |number, timestamp| Checkpoint {
        number,
        hash: alloy::primitives::B256::repeat_byte(1),
        state_root: alloy::primitives::B256::repeat_byte(2),
        timestamp,
    };
    chain.block_with(&[], Some(checkpoint(10, 100)));
    let good = checkpoint(11, 100);
    for (bad, what) in [
        (checkpoint(10, 101), "same number"),
        (checkpoint(9, 101), "smaller number"),
        (checkpoint(11, 99), "earlier"),
        (
            Checkpoint {
                hash: Default::default(),
                ..good
            },
            "zero hash",
        ),
        (
            Checkpoint {
                state_root: Default::default(),
                ..good
            },
            "zero state root",
        ),
    ] {
        let input = chain.input(Some(bad));
        let result = block_on(chain.executor.execute(&chain.state, input.clone(), &[]));
        assert!(result.is_err_and(|error| error.is_permanent()), "{what}");
    }
    chain.block_with(&[], Some(good));
    let newest = block_on(chain.executor.latest_checkpoint(&chain.state));
    assert_eq!(newest, Ok(good.number));
}

/// The node runs these on a runtime that moves tasks between threads.
#[allow(dead_code, reason = "it only has to compile")]
fn futures_can_move<'a>(
    executor: &'a Executor,
    state: &'a MemoryState,
    input: BlockInput,
    transactions: &'a [Transaction],
) -> impl Future<Output = Result<BlockOutput, BlockError>> + std::marker::Send + 'a {
    executor.execute(state, input, transactions)
}

#[test]
fn a_beneficiary_without_tips_is_not_stored() {
    let mut chain = Chain::new();
    let output = chain.block(&[Send::data(1, Address::repeat_byte(0x77), Bytes::new())]);
    assert_eq!(chain.changed(&output), 1);
}
