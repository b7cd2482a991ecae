//! The index of a node that skipped the past: where it begins, what it refuses, what it finds again
//! after a restart.

use super::support::{GENESIS, append, output, packet};
use mileverse_consensus::index::{Index, IndexError};
use mileverse_primitives::outbox::{self, Frontier};

#[test]
fn it_begins_at_any_block_and_goes_on_without_gaps() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.redb");
    let index = Index::open(&path, GENESIS).unwrap();
    assert_eq!(index.first().unwrap(), None);
    append(&index, 1000, &output(0, 0)).unwrap();
    append(&index, 1001, &output(0, 0)).unwrap();
    // The same block again changes nothing.
    append(&index, 1000, &output(0, 0)).unwrap();
    assert!(matches!(
        append(&index, 1003, &output(0, 0)),
        Err(IndexError::Gap(1003))
    ));
    assert!(index.block(1003).unwrap().is_none());
    assert_eq!(index.first().unwrap(), Some(1000));
    assert_eq!(index.newest().unwrap().unwrap().header.height, 1001);

    // What lies before is refused, what lies ahead does not exist yet.
    for height in [1, 999] {
        assert!(matches!(
            index.block(height),
            Err(IndexError::Before { first: 1000, .. })
        ));
    }
    assert!(index.block(0).unwrap().is_none());
    assert!(index.block(1002).unwrap().is_none());

    drop(index);
    let again = Index::open(&path, GENESIS).unwrap();
    assert_eq!(again.first().unwrap(), Some(1000));
    append(&again, 1002, &output(0, 0)).unwrap();
}

#[test]
fn paths_that_need_packets_from_before_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.redb");
    let index = Index::open(&path, GENESIS).unwrap();
    // Five packets were sent before the first block here, which sends none.
    append(&index, 70, &output(5, 5)).unwrap();
    let refused = |index: &Index| {
        assert!(matches!(index.packets(4, 10), Err(IndexError::Packets(5))));
        assert!(matches!(
            index.outbox_proof(5, 6),
            Err(IndexError::Packets(5))
        ));
    };
    refused(&index);
    drop(index);
    let index = Index::open(&path, GENESIS).unwrap();
    refused(&index);
    append(&index, 71, &output(5, 7)).unwrap();
    drop(index);
    let index = Index::open(&path, GENESIS).unwrap();
    refused(&index);
    let found = index.packets(5, 10).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].commitment, packet(5).commitment);
}

#[test]
fn a_node_that_has_all_packets_gives_paths() {
    let directory = tempfile::tempdir().unwrap();
    let index = Index::open(&directory.path().join("index.redb"), GENESIS).unwrap();
    // It skipped blocks, but none of them sent anything.
    append(&index, 70, &output(0, 3)).unwrap();
    append(&index, 71, &output(3, 70)).unwrap();
    proves_all(&index, 70);
    assert!(index.outbox_proof(0, 71).unwrap().is_none());
    assert!(index.outbox_proof(70, 70).unwrap().is_none());
    assert!(index.outbox_proof(u64::MAX, u64::MAX).unwrap().is_none());
}

#[test]
fn paths_come_back_where_an_earlier_version_kept_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.redb");
    let index = Index::open(&path, GENESIS).unwrap();
    append(&index, 70, &output(0, 37)).unwrap();
    drop(index);
    let database = redb::Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    let subtrees: redb::TableDefinition<'_, (u32, u64), [u8; 32]> =
        redb::TableDefinition::new("subtrees");
    assert!(write.delete_table(subtrees).unwrap());
    write.commit().unwrap();
    drop(database);
    let index = Index::open(&path, GENESIS).unwrap();
    proves_all(&index, 37);
    append(&index, 71, &output(37, 38)).unwrap();
    proves_all(&index, 38);
}

/// Every leaf in every tree that there was.
fn proves_all(index: &Index, packets: u64) {
    let mut frontier = Frontier::default();
    for size in 1..=packets {
        let commitment = packet(size - 1).commitment;
        frontier.append(commitment).unwrap();
        for leaf in 0..size {
            let proof = index.outbox_proof(leaf, size).unwrap().unwrap();
            assert_eq!(proof.commitment, packet(leaf).commitment);
            assert!(outbox::verify(
                frontier.tree(),
                size,
                leaf,
                proof.commitment,
                &proof.path
            ));
        }
    }
}
