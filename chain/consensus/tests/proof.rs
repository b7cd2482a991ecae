//! What stands in the state can be proven, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use commonware_glue::stateful::db::{
    DatabaseSet as _, ManagedDb, Merkleized as _, Shared, Unmerkleized as _,
};
use commonware_runtime::{Runner as _, Supervisor as _, deterministic};
use commonware_utils::NZU32;
use mileverse_consensus::{
    block, pages,
    proof::{self, Proven},
    state::{self, Databases, StateDb},
};
use mileverse_execution::state::{Changes, MAX_VALUE_LENGTH, Value};
use mileverse_primitives::{B256, keccak256};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Context = deterministic::Context;

/// Places that are written.
const PLACES: u8 = 40;

fn key(place: u8) -> B256 {
    keccak256([place])
}

/// Mostly short, now and then as long as a value can be.
fn value(seed: u8) -> Value {
    let length = match seed {
        0 => MAX_VALUE_LENGTH,
        1..=100 => 72,
        _ => 32,
    };
    vec![seed; length]
}

async fn open(context: &Context) -> Databases<Context> {
    let config = state::config("proof", pages::cache(NZU32!(4)));
    let db = <StateDb<Context> as ManagedDb<Context>>::init(context.child("db"), config, None)
        .await
        .unwrap_or_else(|_| panic!("the database does not open"));
    Shared::new("state", db)
}

/// Writes a block; gives the root that its header would have.
async fn write(databases: &Databases<Context>, changes: &Changes) -> B256 {
    let batch = databases.new_batches().await;
    let sealed = state::write::<Context>(batch, changes)
        .merkleize()
        .await
        .unwrap();
    let root = block::word(&sealed.root());
    databases.apply(sealed).await;
    assert!(databases.finalize().await.durable().await);
    root
}

/// How bytes are bent: which one, and which of its bits.
type Bend = (prop::sample::Index, u8);

fn bent(bytes: &[u8], (at, bits): Bend) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if !bytes.is_empty() {
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
    }
    bytes
}

/// What was proven must be shown, and nothing that differs from it in anything.
fn believed(root: B256, place: u8, proven: &Proven, bend: Bend) {
    let Proven { value, proof, .. } = proven;
    assert!(proof::shows(root, key(place), value, proof));
    assert!(!proof::shows(root, key(place + 1), value, proof));
    assert!(!proof::shows(root, key(place), &bent(value, bend), proof));
    assert!(!proof::shows(root, key(place), &value[1..], proof));
    assert!(!proof::shows(root, key(place), value, &bent(proof, bend)));
    assert!(!proof::shows(root, key(place), value, &proof[1..]));
    let longer = [proof.as_ref(), &[0]].concat();
    assert!(!proof::shows(root, key(place), value, &longer));
    let other = keccak256(root);
    assert!(!proof::shows(other, key(place), value, proof));
    assert!(proof.len() <= proof::MAX_LENGTH);
}

type Writes = Vec<(u8, Option<u8>)>;

async fn try_all(context: Context, blocks: Vec<Writes>, bend: Bend) {
    let databases = open(&context).await;
    let mut model: BTreeMap<u8, Value> = BTreeMap::new();
    let mut before: BTreeMap<u8, Proven> = BTreeMap::new();
    for (number, writes) in blocks.into_iter().enumerate() {
        let mut changes = Changes::new();
        for (place, seed) in writes {
            match seed.map(value) {
                Some(value) => model.insert(place, value),
                None => model.remove(&place),
            };
            changes.insert(key(place), seed.map(value));
        }
        let root = write(&databases, &changes).await;
        if number % 3 == 2 {
            // Old operations go; what stands can be proven all the same.
            let target = databases.committed_targets().await;
            databases.prune(&target).await;
        }
        let mut now = BTreeMap::new();
        for place in 0..PLACES {
            let proven = proof::prove(&databases, key(place)).await.unwrap();
            let found = proven.as_ref().map(|proven| &proven.value);
            assert_eq!(found, model.get(&place), "block {number}, place {place}");
            if let Some(proven) = proven {
                assert_eq!(proven.root, root, "block {number}");
                believed(root, place, &proven, bend);
                now.insert(place, proven);
            }
        }
        // What was proven of the state before is not of this one, even where it still stands.
        for (place, old) in before {
            assert!(old.root == root || !proof::shows(root, key(place), &old.value, &old.proof));
        }
        before = now;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_stands_is_proven_and_nothing_else(
        blocks in prop::collection::vec(
            prop::collection::vec((0..PLACES, prop::option::weighted(0.8, any::<u8>())), 1..60),
            1..16,
        ),
        bend in (any::<prop::sample::Index>(), 1u8..),
    ) {
        deterministic::Runner::default().start(|context| try_all(context, blocks, bend));
    }
}
