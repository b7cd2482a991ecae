//! Bytes from outside: random ones, and good ones bent. A decoder answers or refuses, and what it
//! takes comes out as it went in.

use super::support::GENESIS;
use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use commonware_codec::{Copying, Decode as _, Encode as _};
use mileverse_consensus::{block::Block, index::Index, mempool::journal::Journal};
use mileverse_execution::Transaction;
use mileverse_primitives::{keccak256, limits::BlockLimits};
use proptest::prelude::*;

const CHAIN_ID: u64 = 77_771;

fn good_transaction() -> Vec<u8> {
    let signer = PrivateKeySigner::from_bytes(&keccak256([1])).unwrap();
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit: 21_000,
        ..Default::default()
    };
    let signature = signer
        .sign_hash_sync(&transaction.signature_hash())
        .unwrap();
    let envelope: TxEnvelope = transaction.into_signed(signature).into();
    envelope.encoded_2718()
}

/// Some bytes replaced, some cut off, some added.
fn bent(mut bytes: Vec<u8>, changes: &[(usize, u8)], cut: usize, tail: &[u8]) -> Vec<u8> {
    for (at, value) in changes {
        let at = at % bytes.len();
        bytes[at] = *value;
    }
    bytes.truncate(bytes.len().saturating_sub(cut));
    bytes.extend_from_slice(tail);
    bytes
}

fn damage() -> impl Strategy<Value = (Vec<(usize, u8)>, usize, Vec<u8>)> {
    (
        prop::collection::vec(any::<(usize, u8)>(), 0..4),
        0usize..3,
        prop::collection::vec(any::<u8>(), 0..3),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn transactions((changes, cut, tail) in damage(), noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let bytes = bent(good_transaction(), &changes, cut, &tail);
        for bytes in [bytes, noise] {
            if let Ok(read) = Transaction::decode(&bytes, CHAIN_ID) {
                prop_assert_eq!(read.raw().as_ref(), bytes.as_slice());
                prop_assert_eq!(read.hash(), keccak256(&bytes));
            }
        }
    }

    #[test]
    fn blocks((changes, cut, tail) in damage(), noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = bent(super::support::block(7).encode().to_vec(), &changes, cut, &tail);
        for bytes in [bytes, noise] {
            if let Ok(block) = Block::decode_cfg(Copying(bytes.as_slice()), &BlockLimits::MOST) {
                let again = block.encode();
                prop_assert_eq!(again.as_ref(), bytes.as_slice());
            }
            let _ = Block::read_own(&bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn journals(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        std::fs::write(&path, &noise).unwrap();
        let (journal, held) = Journal::open(&path).unwrap();
        journal.rewrite(&held).unwrap();
        let (_, again) = Journal::open(&path).unwrap();
        prop_assert_eq!(held, again);
    }
}

#[test]
fn a_file_that_is_no_index_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.redb");
    std::fs::write(&path, vec![7; 5000]).unwrap();
    assert!(Index::open(&path, GENESIS).is_err());
}
