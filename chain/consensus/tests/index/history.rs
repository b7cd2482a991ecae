//! States of the past: what the index says that stood somewhere must be what stood there.

use super::support::{GENESIS, append, output};
use alloy::primitives::{Address, B256, keccak256};
use mileverse_consensus::index::{Index, IndexError, Outcome, Retention};
use mileverse_execution::{Changes, Key, TransactionOutcome, Value};
use proptest::prelude::*;
use std::{collections::BTreeMap, path::Path};

/// Places that are written.
const PLACES: u8 = 6;
/// Bytes of a long value: no two share a row of the index.
const LONG: usize = 1_600;

/// A chain of states, as a map would keep them.
#[derive(Default)]
struct Model {
    states: Vec<BTreeMap<Key, Value>>,
}

impl Model {
    /// Writes block `height`, which sets these places to these values; zero deletes, an even one is long.
    fn write(&mut self, index: &Index, height: u64, writes: &[(u8, u8)]) {
        let old = self.states.last().cloned().unwrap_or_default();
        let mut new = old.clone();
        for (place, value) in writes {
            match value {
                0 => new.remove(&key(*place)),
                value if value % 2 == 0 => new.insert(key(*place), vec![*value; LONG]),
                value => new.insert(key(*place), vec![*value]),
            };
        }
        let mut output = output(0, 0);
        let mut before = Changes::new();
        for place in writes.iter().map(|(place, _)| key(*place)) {
            if old.get(&place) != new.get(&place) {
                before.insert(place, old.get(&place).cloned());
            }
        }
        output.before = before;
        append(index, height, &output).unwrap();
        self.states.push(new);
    }

    /// Every place after every block that is kept, and refusals for all others.
    fn compare(&self, index: &Index, first: u64) {
        let history = index.history().unwrap();
        let newest = self.states.last().unwrap();
        assert_eq!(history.newest(), self.states.len() as u64);
        assert_eq!(history.first(), first);
        for place in 0..PLACES {
            let now = newest.get(&key(place)).cloned();
            for height in 1..=self.states.len() as u64 {
                let found = history.overwritten(key(place), height);
                if height < first {
                    assert!(matches!(found, Err(IndexError::Pruned { .. })));
                    continue;
                }
                let then = self.states[height as usize - 1].get(&key(place)).cloned();
                assert_eq!(found.unwrap().unwrap_or_else(|| now.clone()), then);
            }
        }
    }
}

fn key(place: u8) -> Key {
    keccak256([place])
}

fn open(path: &Path, retention: Retention) -> Index {
    Index::keeping(path, GENESIS, retention).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_kept_state_is_the_one_that_was(
        blocks in prop::collection::vec(prop::collection::vec((0u8..PLACES, 0u8..5), 0..8), 1..24),
        recent in 1u64..12,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let archive = open(&directory.path().join("archive"), Retention::Archive);
        let pruned = open(&directory.path().join("pruned"), Retention::Recent(recent));
        let (mut all, mut few) = (Model::default(), Model::default());
        for (height, writes) in (1..).zip(&blocks) {
            all.write(&archive, height, writes);
            few.write(&pruned, height, writes);
        }
        let newest = blocks.len() as u64;
        all.compare(&archive, 0);
        few.compare(&pruned, newest.saturating_sub(recent));
    }
}

#[test]
fn a_node_may_become_an_archive_and_cease_to_be_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.redb");
    let mut model = Model::default();
    let index = open(&path, Retention::Recent(4));
    for height in 1..=10 {
        model.write(&index, height, &[((height % 4) as u8, (height % 3) as u8)]);
    }
    model.compare(&index, 6);
    drop(index);
    // From what is left on, everything is kept.
    let index = open(&path, Retention::Archive);
    model.compare(&index, 6);
    for height in 11..=80 {
        model.write(&index, height, &[((height % 4) as u8, (height % 3) as u8)]);
    }
    model.compare(&index, 6);
    drop(index);
    // The rest is let go step by step.
    let index = open(&path, Retention::Recent(4));
    model.compare(&index, 6);
    for height in 81..=84 {
        model.write(&index, height, &[((height % 4) as u8, 1)]);
    }
    model.compare(&index, 80);
}

#[test]
fn outcomes_come_back_as_they_were() {
    let index = Index::in_memory(GENESIS).unwrap();
    let mut done = output(0, 0);
    let log = alloy::primitives::Log::new_unchecked(
        Address::repeat_byte(3),
        vec![B256::repeat_byte(4)],
        vec![5; 70].into(),
    );
    done.logs_bloom = alloy::primitives::logs_bloom([&log]);
    done.receipts = (0..3u8)
        .map(|number| TransactionOutcome {
            hash: B256::repeat_byte(number),
            sender: Address::repeat_byte(number),
            nonce: 7,
            to: None,
            tx_type: 2,
            success: number != 1,
            gas_used: 21_000 + u64::from(number),
            cumulative_gas_used: 0,
            logs: vec![log.clone(); number.into()],
            contract_address: None,
            effective_gas_price: 1,
        })
        .collect();
    append(&index, 5, &done).unwrap();
    append(&index, 6, &output(0, 0)).unwrap();
    let results = index.results(5).unwrap().unwrap();
    assert_eq!(results.receipts.len(), 3);
    let last = &results.receipts[2];
    assert_eq!(
        *last,
        Outcome {
            sender: Address::repeat_byte(2),
            success: true,
            gas_used: 21_002,
            logs: vec![log; 2],
        }
    );
    assert!(!results.receipts[1].success);
    assert_eq!(results.gas_before(2), 42_001);
    assert_eq!(results.logs_before(2), 1);
    // A search by bloom looks at blocks with logs only.
    assert_eq!(index.blooms(0..=9, |_| true).unwrap(), [5]);
    assert!(index.blooms(6..=9, |_| true).unwrap().is_empty());
}
