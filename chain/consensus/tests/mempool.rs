//! The mempool's rules: order, replacement, limits, and what a final block makes stale.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::TxKind,
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use mileverse_consensus::mempool::{Mempool, Purse, Refusal, Sender, recover};
use mileverse_execution::{Draw, Help, Source, Transaction, TransactionError};
use mileverse_primitives::{Address, U256, keccak256};
use proptest::prelude::*;
use std::collections::BTreeMap;

const CHAIN_ID: u64 = 77_771;
const RICH: Sender = Sender {
    nonce: 0,
    balance: U256::from_limbs([u64::MAX, 0, 0, 0]),
    purse: Purse {
        held: U256::ZERO,
        cost: U256::ZERO,
    },
    help: Vec::new(),
    needs_help: false,
};

fn signer(seed: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256([seed])).unwrap()
}

fn transaction(signer: &PrivateKeySigner, nonce: u64, fee: u128, gas_limit: u64) -> Transaction {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: fee,
        to: TxKind::Call(Address::repeat_byte(1)),
        ..Default::default()
    };
    let signature = signer
        .sign_hash_sync(&transaction.signature_hash())
        .unwrap();
    let envelope: TxEnvelope = transaction.into_signed(signature).into();
    Transaction::decode(&envelope.encoded_2718(), CHAIN_ID).unwrap()
}

fn nonces(pool: &Mempool, of: &PrivateKeySigner) -> Vec<u64> {
    pool.candidates(1000, 1 << 20)
        .into_iter()
        .filter(|candidate| candidate.sender() == of.address())
        .map(|candidate| candidate.nonce())
        .collect()
}

#[test]
fn senders_in_nonce_order_and_better_tips_first() {
    let pool = Mempool::new(30_000_000);
    let (low, high) = (signer(1), signer(2));
    for nonce in [2, 0, 1] {
        pool.add(transaction(&low, nonce, 5, 21_000), RICH).unwrap();
    }
    pool.add(transaction(&high, 0, 9, 21_000), RICH).unwrap();
    let chosen = pool.candidates(1000, 1 << 20);
    assert_eq!(chosen[0].sender(), high.address());
    assert_eq!(nonces(&pool, &low), [0, 1, 2]);
    assert_eq!(pool.candidates(2, 1 << 20).len(), 2);
    assert_eq!(pool.candidates(1000, 1).len(), 0);
}

/// A deposit of 100 of which each transaction takes 40.
fn helped(balance: u64, needs_help: bool) -> Sender {
    let callee = Address::repeat_byte(1);
    Sender {
        nonce: 0,
        balance: U256::from(balance),
        help: vec![Help {
            draws: vec![Draw {
                source: Source::Deposit(callee),
                room: U256::from(100),
            }],
            takes: U256::from(40),
            coin: U256::ZERO,
        }],
        needs_help,
        ..Sender::default()
    }
}

#[test]
fn what_draws_on_one_deposit_must_fit_in_it_together() {
    let pool = Mempool::new(30_000_000);
    let senders: Vec<_> = (1..=4).map(signer).collect();
    let one = |sender: &PrivateKeySigner, nonce| transaction(sender, nonce, 1, 21_000);
    // Two senders without coin, and one more transaction of the second.
    let first = one(&senders[0], 0);
    pool.add(first.clone(), helped(0, false)).unwrap();
    pool.add(one(&senders[1], 0), helped(0, false)).unwrap();
    let third = one(&senders[1], 1);
    let refused = pool.add(third.clone(), helped(0, false)).unwrap_err();
    assert!(matches!(refused, Refusal::InsufficientFunds { .. }));
    // One that offers less than the base fee is told so, one with coin pays itself.
    let refused = pool.add(one(&senders[2], 0), helped(0, true));
    assert_eq!(refused, Err(Refusal::NobodyPays));
    pool.add(one(&senders[3], 0), helped(21_000, false))
        .unwrap();
    // A replacement takes the place of what it replaces.
    let dearer = transaction(&senders[0], 0, 2, 21_000);
    pool.add(dearer.clone(), helped(0, false)).unwrap();
    assert!(pool.add(third.clone(), helped(0, false)).is_err());
    // What is gone, by whatever way, gives its part back.
    pool.forget(&[dearer.hash()]);
    pool.add(third, helped(0, false)).unwrap();
    assert!(pool.add(first.clone(), helped(0, false)).is_err());
    pool.on_final([(senders[1].address(), 2)]);
    pool.add(first, helped(0, false)).unwrap();
}

#[test]
fn a_gap_holds_back_what_comes_after_it() {
    let pool = Mempool::new(30_000_000);
    let one = signer(1);
    pool.add(transaction(&one, 0, 0, 21_000), RICH).unwrap();
    pool.add(transaction(&one, 2, 0, 21_000), RICH).unwrap();
    assert_eq!(nonces(&pool, &one), [0]);
    assert_eq!(pool.next_nonce(one.address(), 0), 1);
    pool.add(transaction(&one, 1, 0, 21_000), RICH).unwrap();
    assert_eq!(nonces(&pool, &one), [0, 1, 2]);
    assert_eq!(pool.next_nonce(one.address(), 0), 3);
}

#[test]
fn the_next_nonce_never_falls_back_while_a_block_becomes_final() {
    let pool = Mempool::new(30_000_000);
    let one = signer(1);
    for nonce in 0..3 {
        pool.add(transaction(&one, nonce, 0, 21_000), RICH).unwrap();
    }
    // The chain's nonce was read before the block that used two, or all, of them.
    let before = 0;
    pool.on_final([(one.address(), 2)]);
    assert_eq!(pool.next_nonce(one.address(), before), 3);
    pool.on_final([(one.address(), 3)]);
    assert_eq!(pool.next_nonce(one.address(), before), 3);
}

#[test]
fn replacement_costs_a_tenth_more() {
    let pool = Mempool::new(30_000_000);
    let one = signer(1);
    let first = transaction(&one, 0, 100, 21_000);
    pool.add(first.clone(), RICH).unwrap();
    assert_eq!(pool.add(first.clone(), RICH), Err(Refusal::Known));
    assert_eq!(
        pool.add(transaction(&one, 0, 109, 21_000), RICH),
        Err(Refusal::Replacement)
    );
    let second = transaction(&one, 0, 110, 21_000);
    pool.add(second.clone(), RICH).unwrap();
    assert!(pool.get(first.hash()).is_none());
    assert_eq!(pool.get(second.hash()), Some(second));
    // A free transaction is replaced by any that pays.
    let free = signer(2);
    pool.add(transaction(&free, 0, 0, 21_000), RICH).unwrap();
    pool.add(transaction(&free, 0, 1, 21_000), RICH).unwrap();
}

#[test]
fn what_can_never_run_is_refused() {
    let pool = Mempool::new(30_000_000);
    let one = signer(1);
    let used = Sender { nonce: 3, ..RICH };
    assert_eq!(
        pool.add(transaction(&one, 2, 0, 21_000), used),
        Err(Refusal::NonceTooLow { next: 3, actual: 2 })
    );
    let far = pool.capacity().per_sender as u64;
    assert_eq!(
        pool.add(transaction(&one, far, 0, 21_000), RICH),
        Err(Refusal::NonceTooHigh {
            next: 0,
            actual: far,
            most: far
        })
    );
    assert_eq!(
        pool.add(transaction(&one, 0, 0, 30_000_001), RICH),
        Err(Refusal::GasLimit)
    );
    let poor = Sender::default();
    assert_eq!(
        pool.add(transaction(&one, 0, 1, 21_000), poor.clone()),
        Err(Refusal::InsufficientFunds {
            balance: U256::ZERO,
            queued: U256::ZERO,
            cost: U256::from(21_000),
        })
    );
    assert!(pool.is_empty());
    pool.add(transaction(&one, 0, 0, 21_000), poor.clone())
        .unwrap();
}

#[test]
fn a_final_block_clears_what_it_used() {
    let pool = Mempool::new(30_000_000);
    let one = signer(1);
    for nonce in 0..4 {
        pool.add(transaction(&one, nonce, 0, 21_000), RICH).unwrap();
    }
    pool.on_final([(one.address(), 2)]);
    assert_eq!(nonces(&pool, &one), [2, 3]);
    pool.on_final([(one.address(), 4)]);
    assert!(pool.is_empty());
}

/// A full pool lets go of what pays least, and of nobody's middle.
#[test]
fn a_full_pool_makes_room_for_who_pays_more() {
    let pool = Mempool::new(30_000_000);
    let capacity = pool.capacity();
    let per_sender = capacity.per_sender as u64;
    let senders = capacity.transactions.div_ceil(capacity.per_sender);
    let fake = |sender: usize, nonce: u64, fee: u128| {
        let signer = PrivateKeySigner::from_bytes(&keccak256(sender.to_be_bytes())).unwrap();
        transaction(&signer, nonce, fee, 21_000)
    };
    for sender in 0..senders {
        for nonce in (0..per_sender).take(capacity.transactions - pool.len()) {
            pool.add(fake(sender, nonce, 5), RICH).unwrap();
        }
    }
    assert_eq!(pool.len(), capacity.transactions);
    let late = senders;
    assert_eq!(
        pool.add(fake(late, 0, 4), RICH),
        Err(Refusal::Underpriced { tip: 4, least: 5 })
    );
    assert_eq!(pool.add(fake(late, 0, 5), RICH), Err(Refusal::Full));
    let held = |pool: &Mempool| -> Vec<usize> {
        (0..senders)
            .map(|sender| pool.waiting_of(fake(sender, 0, 5).sender()))
            .map(|waiting| {
                assert!(waiting.queued.is_empty(), "only a last one goes");
                waiting.pending.len()
            })
            .collect()
    };
    let before = held(&pool);
    pool.add(fake(late, 0, 6), RICH).unwrap();
    assert_eq!(pool.len(), capacity.transactions);
    let after = held(&pool);
    let lost = before.iter().zip(&after).filter(|(was, is)| was != is);
    assert_eq!(lost.map(|(was, is)| was - is).collect::<Vec<_>>(), [1]);
}

#[test]
fn what_cannot_be_valid_is_not_held() {
    let pool = Mempool::new(30_000_000);
    let one = signer(1);
    assert_eq!(
        pool.add(transaction(&one, 0, 0, 20_999), RICH),
        Err(Refusal::IntrinsicGas {
            gas: 20_999,
            least: 21_000
        })
    );
    // All that waits of a sender must be covered at once.
    let balance = U256::from(2 * 21_000);
    let sender = Sender {
        balance,
        ..Sender::default()
    };
    pool.add(transaction(&one, 0, 1, 21_000), sender.clone())
        .unwrap();
    pool.add(transaction(&one, 1, 1, 21_000), sender.clone())
        .unwrap();
    assert!(matches!(
        pool.add(transaction(&one, 2, 1, 21_000), sender.clone()),
        Err(Refusal::InsufficientFunds { .. })
    ));
    // A dead one is forgotten with what builds on it, which would keep its place for nothing.
    let dead = pool.candidates(1, 1 << 20)[0].hash();
    pool.forget(&[dead]);
    assert!(pool.is_empty());
}

/// Points pay for gas after the transaction, so what waits must be covered before.
#[test]
fn all_that_waits_of_a_sender_is_covered_by_its_points() {
    let pool = Mempool::new(30_000_000);
    let one = signer(1);
    let purse = |held: u64, cost: u64| Sender {
        purse: Purse {
            held: U256::from(held),
            cost: U256::from(cost),
        },
        ..Sender::default()
    };
    pool.add(transaction(&one, 0, 0, 21_000), purse(100, 60))
        .unwrap();
    assert_eq!(
        pool.add(transaction(&one, 1, 0, 21_000), purse(100, 41)),
        Err(Refusal::InsufficientPoints {
            held: U256::from(100),
            queued: U256::from(60),
            cost: U256::from(41)
        })
    );
    pool.add(transaction(&one, 1, 0, 21_000), purse(100, 40))
        .unwrap();
    // Whoever is exempt waits without any.
    pool.add(transaction(&one, 2, 0, 21_000), purse(0, 0))
        .unwrap();
    // What is final costs nothing any more, whoever tells it.
    let later = Sender {
        nonce: 1,
        ..purse(100, 60)
    };
    pool.add(transaction(&one, 3, 0, 21_000), later).unwrap();
    pool.on_final([(one.address(), 4)]);
    pool.add(transaction(&one, 4, 0, 21_000), purse(100, 100))
        .unwrap();
}

/// A busy issuer keeps blocks full alone, and neither it nor nobody's transactions slow it down:
/// adding is no slower for the last than for the first.
#[test]
fn one_sender_may_keep_thousands_waiting() {
    let pool = Mempool::new(600_000_000);
    let one = signer(1);
    let most = pool.capacity().per_sender as u64;
    assert!(most > 5_000, "{most}");
    let template = transaction(&one, 0, 0, 21_000);
    pool.add(template, RICH).unwrap();
    for nonce in 1..most {
        pool.add(transaction(&one, nonce, 0, 21_000), RICH).unwrap();
    }
    assert_eq!(pool.candidates(usize::MAX, usize::MAX).len() as u64, most);
}

#[tokio::test]
async fn a_leader_is_woken_by_what_may_run_only() {
    let pool = Mempool::new(30_000_000);
    let one = signer(1);
    pool.add(transaction(&one, 1, 0, 21_000), RICH).unwrap();
    let mut ready = Box::pin(pool.ready());
    assert!(futures::poll!(&mut ready).is_pending());
    pool.add(transaction(&one, 0, 0, 21_000), RICH).unwrap();
    ready.await;
}

#[test]
fn arrivals_are_told_once_and_locals_are_known() {
    let pool = Mempool::new(30_000_000);
    let (one, two) = (signer(1), signer(2));
    let mut listener = pool.listen();
    let local = transaction(&one, 0, 0, 21_000);
    let remote = transaction(&two, 0, 0, 21_000);
    pool.add_local(local.clone(), RICH).unwrap();
    let (hashes, place) = pool.arrived_after(0);
    assert_eq!(hashes, [local.hash()]);
    pool.add(remote.clone(), RICH).unwrap();
    let (hashes, place) = pool.arrived_after(place);
    assert_eq!(hashes, [remote.hash()]);
    assert!(pool.arrived_after(place).0.is_empty());
    assert_eq!(listener.try_recv().unwrap(), local);
    assert_eq!(listener.try_recv().unwrap(), remote);
    assert_eq!(pool.locals(), [local.raw().clone()]);
}

#[test]
fn a_blocks_senders_come_from_the_pool_or_are_recovered_in_order() {
    let pool = Mempool::new(30_000_000);
    let block: Vec<_> = (0..200u8)
        .map(|number| transaction(&signer(number), 0, 1, 21_000))
        .collect();
    for transaction in block.iter().step_by(3) {
        pool.add(transaction.clone(), RICH).unwrap();
    }
    let mut raw: Vec<_> = block.iter().map(|one| one.raw().0.clone()).collect();
    assert_eq!(recover::all(&raw, CHAIN_ID, 1, &pool).unwrap(), block);
    let system = Transaction::system(CHAIN_ID, 1);
    let with_it: Vec<_> = [vec![system.raw().0.clone()], raw.clone()].concat();
    let read = recover::all(&with_it, CHAIN_ID, 1, &pool).unwrap();
    assert_eq!((&read[0], &read[1..]), (&system, &block[..]));
    // Another height's is nobody's, and neither is one that does not stand first.
    assert_eq!(
        recover::all(&with_it, CHAIN_ID, 2, &pool),
        Err(TransactionError::Signature)
    );
    let last = [raw.clone(), vec![system.raw().0.clone()]].concat();
    assert_eq!(
        recover::all(&last, CHAIN_ID, 1, &pool),
        Err(TransactionError::Signature)
    );
    raw[170] = vec![2, 3].into();
    raw[100] = vec![9].into();
    assert_eq!(
        recover::all(&raw, CHAIN_ID, 1, &pool).unwrap_err(),
        TransactionError::Type(9),
        "the first bad one is told"
    );
}

/// One step of a pool's life.
#[derive(Clone, Debug)]
enum Step {
    Add { sender: u8, nonce: u64, fee: u128 },
    Final { sender: u8, nonce: u64 },
    Forget { sender: u8, nonce: u64 },
}

fn steps() -> impl Strategy<Value = Step> {
    let (sender, nonce) = (0u8..4, 0u64..8);
    prop_oneof![
        4 => (sender.clone(), nonce.clone(), 0u128..300)
            .prop_map(|(sender, nonce, fee)| Step::Add { sender, nonce, fee }),
        1 => (sender.clone(), nonce.clone()).prop_map(|(sender, nonce)| Step::Final { sender, nonce }),
        1 => (sender, nonce).prop_map(|(sender, nonce)| Step::Forget { sender, nonce }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a plain model: what is in the pool, who may run, in what order.
    #[test]
    fn a_pool_is_what_a_plain_model_says(steps in prop::collection::vec(steps(), 1..60)) {
        let pool = Mempool::new(30_000_000);
        let mut model: BTreeMap<(u8, u64), Transaction> = BTreeMap::new();
        let mut next = [0u64; 4];
        for step in steps {
            match step {
                Step::Add { sender, nonce, fee } => {
                    let new = transaction(&signer(sender), nonce, fee, 21_000);
                    let chain = Sender { nonce: next[usize::from(sender)], ..RICH };
                    let old = model.get(&(sender, nonce)).map(Transaction::max_fee_per_gas);
                    let expected = nonce >= chain.nonce
                        && old.is_none_or(|old| fee * 10 >= old * 11 && fee > old);
                    let taken = pool.add(new.clone(), chain).is_ok();
                    prop_assert_eq!(taken, expected, "fee {} over {:?}", fee, old);
                    if taken {
                        model.insert((sender, nonce), new);
                    }
                }
                Step::Final { sender, nonce } => {
                    let now = &mut next[usize::from(sender)];
                    *now = nonce.max(*now);
                    let now = *now;
                    pool.on_final([(signer(sender).address(), nonce)]);
                    model.retain(|(of, at), _| *of != sender || *at >= now);
                }
                Step::Forget { sender, nonce } => {
                    if let Some(gone) = model.remove(&(sender, nonce)) {
                        pool.forget(&[gone.hash()]);
                        model.retain(|(of, at), _| *of != sender || *at < nonce);
                    }
                }
            }
            prop_assert_eq!(pool.len(), model.len());
            for waiting in model.values() {
                let found = pool.get(waiting.hash());
                prop_assert_eq!(found.as_ref(), Some(waiting));
            }
            let mut runnable = 0;
            for sender in 0..4u8 {
                let from = next[usize::from(sender)];
                let row = (from..).take_while(|nonce| model.contains_key(&(sender, *nonce)));
                let row: Vec<u64> = row.collect();
                prop_assert_eq!(&nonces(&pool, &signer(sender)), &row);
                runnable += row.len() as u64;
            }
            prop_assert_eq!(pool.counts(), (runnable, model.len() as u64 - runnable));
        }
    }
}

/// A transaction that arrives late must not wait for ever with a nonce that is used: the pool would
/// always have something to do, and an idle chain would make blocks at full pace.
#[test]
fn what_was_checked_before_a_final_block_does_not_stay() {
    let pool = Mempool::new(30_000_000);
    let one = signer(1);
    pool.on_final([(one.address(), 1)]);
    assert_eq!(
        pool.add(transaction(&one, 0, 0, 21_000), RICH),
        Err(Refusal::NonceTooLow { next: 1, actual: 0 })
    );
    assert!(pool.is_empty());
    pool.add(transaction(&one, 1, 0, 21_000), RICH).unwrap();
}
