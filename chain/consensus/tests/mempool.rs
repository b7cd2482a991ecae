//! The mempool's rules: order, replacement, limits, and what a final block makes stale.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::TxKind,
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use mileverse_consensus::mempool::{MAX_PER_SENDER, Mempool, Refusal, Sender};
use mileverse_execution::Transaction;
use mileverse_primitives::{Address, U256, keccak256};

const CHAIN_ID: u64 = 77_771;
const RICH: Sender = Sender {
    nonce: 0,
    balance: U256::from_limbs([u64::MAX, 0, 0, 0]),
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
fn replacement_costs_a_tenth_more() {
    let pool = Mempool::new(30_000_000);
    let one = signer(1);
    let first = transaction(&one, 0, 100, 21_000);
    pool.add(first.clone(), RICH).unwrap();
    assert_eq!(pool.add(first.clone(), RICH), Err(Refusal::Known));
    assert_eq!(
        pool.add(transaction(&one, 0, 109, 21_000), RICH),
        Err(Refusal::Underpriced)
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
        Err(Refusal::NonceTooLow)
    );
    let far = MAX_PER_SENDER as u64;
    assert_eq!(
        pool.add(transaction(&one, far, 0, 21_000), RICH),
        Err(Refusal::NonceTooHigh)
    );
    assert_eq!(
        pool.add(transaction(&one, 0, 0, 30_000_001), RICH),
        Err(Refusal::GasLimit)
    );
    let poor = Sender::default();
    assert_eq!(
        pool.add(transaction(&one, 0, 1, 21_000), poor),
        Err(Refusal::InsufficientFunds)
    );
    assert!(pool.is_empty());
    pool.add(transaction(&one, 0, 0, 21_000), poor).unwrap();
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
