//! The shelf of the page's index: kept in one with how far it was read, on both databases.

use crate::support::Databases;
use alloy::primitives::{Address, B256, Bytes};
use mileverse_app::index::{Chain, Cursor, Known, Listed, Touched};
use mileverse_gateway::store::{Purpose, Store};

const ALICE: Address = Address::repeat_byte(0xa1);
const BOB: Address = Address::repeat_byte(0xb0);

fn packet(sequence: u64, block: u64, sender: Option<Address>) -> Listed {
    Listed {
        sequence,
        sender,
        block,
        time: 1_000 + block,
        transaction: B256::with_last_byte(7),
        packet: Bytes::from_static(&[1, 4, 0xff]),
    }
}

const fn at(next_block: u64, next_sequence: u64) -> Cursor {
    Cursor {
        next_block,
        next_sequence,
    }
}

async fn packets_are_kept_with_their_cursor(databases: &Databases) {
    let directory = tempfile::tempdir().unwrap();
    let location = databases.fresh(directory.path()).await;
    let store = Store::open(&location, Purpose::Serve).await.unwrap();
    let chain = Chain::Ethereum;
    assert_eq!(store.packet_cursor(chain).await.unwrap(), None);
    assert_eq!(store.newest_packet(chain).await.unwrap(), None);

    // The first of two who begin is the one.
    assert!(
        store
            .put_packets(chain, None, at(100, 1), &[])
            .await
            .unwrap()
    );
    assert!(!store.put_packets(chain, None, at(5, 1), &[]).await.unwrap());
    let first = [
        packet(1, 100, Some(ALICE)),
        packet(2, 101, Some(BOB)),
        packet(3, 101, None),
    ];
    let step = store.put_packets(chain, Some(at(100, 1)), at(110, 4), &first);
    assert!(step.await.unwrap());
    // Whoever read the same blocks comes too late, and changes nothing.
    let late = [packet(1, 77, Some(BOB)), packet(9, 105, Some(BOB))];
    let step = store.put_packets(chain, Some(at(100, 1)), at(120, 10), &late);
    assert!(!step.await.unwrap());
    assert_eq!(store.packet_cursor(chain).await.unwrap(), Some(at(110, 4)));
    let bobs = store.packets_sent_by(chain, BOB, 1_000, 9).await.unwrap();
    assert_eq!(bobs, [packet(2, 101, Some(BOB))]);

    // Back, and over the same again: what is there stays.
    let back = store.put_packets(chain, Some(at(110, 4)), at(101, 4), &[]);
    assert!(back.await.unwrap());
    let again = [packet(2, 101, Some(ALICE)), packet(4, 102, Some(ALICE))];
    let step = store.put_packets(chain, Some(at(101, 4)), at(120, 5), &again);
    assert!(step.await.unwrap());
    assert_eq!(store.newest_packet(chain).await.unwrap(), Some(102));
    let all = |below, limit| store.packets_sent_by(chain, ALICE, below, limit);
    let [one, four] = [packet(1, 100, Some(ALICE)), packet(4, 102, Some(ALICE))];
    assert_eq!(all(u64::MAX, 9).await.unwrap(), [four.clone(), one.clone()]);
    assert_eq!(all(u64::MAX, 1).await.unwrap(), [four]);
    assert_eq!(all(102, 9).await.unwrap(), [one]);
    assert_eq!(all(100, 9).await.unwrap(), []);

    // The other chain has numbers of its own.
    let native = Chain::Native;
    assert_eq!(store.packet_cursor(native).await.unwrap(), None);
    assert_eq!(
        store.packets_sent_by(native, ALICE, 999, 9).await.unwrap(),
        []
    );
    store.close().await;
}

const fn known(first_block: u64, next_block: u64) -> Known {
    Known {
        first_block,
        next_block,
    }
}

async fn histories_are_kept_with_how_far_they_were_read(databases: &Databases) {
    let directory = tempfile::tempdir().unwrap();
    let location = databases.fresh(directory.path()).await;
    let store = Store::open(&location, Purpose::Serve).await.unwrap();
    let chain = Chain::Native;
    let blocks = |account, below, limit| store.history_blocks(chain, account, below, limit);
    assert_eq!(store.history_known(chain).await.unwrap(), None);
    assert_eq!(blocks(ALICE, u64::MAX, 9).await.unwrap(), [0; 0]);

    // The first of two who begin is the one.
    let begin = |to| store.put_touched(chain, None, to, &[]);
    assert!(begin(known(5, 5)).await.unwrap());
    assert!(!begin(known(0, 0)).await.unwrap());
    assert_eq!(store.history_known(chain).await.unwrap(), Some(known(5, 5)));

    // More rows than one statement takes.
    let mut rows = Vec::new();
    for block in 5..1_005 {
        let account = if block % 3 == 0 { BOB } else { ALICE };
        rows.push(Touched { block, account });
    }
    let put = |from, to, rows| store.put_touched(chain, Some(from), to, rows);
    assert!(put(known(5, 5), known(5, 1_005), &rows).await.unwrap());
    // Whoever read the same blocks comes too late, and changes nothing.
    let late = [Touched {
        block: 6,
        account: ALICE,
    }];
    assert!(!put(known(5, 5), known(5, 7), &late).await.unwrap());
    assert_eq!(
        store.history_known(chain).await.unwrap(),
        Some(known(5, 1_005))
    );
    let bobs: Vec<u64> = (5..1_005).filter(|block| block % 3 == 0).rev().collect();
    assert_eq!(blocks(BOB, u64::MAX, 2_000).await.unwrap(), bobs);
    assert_eq!(blocks(BOB, 999, 2).await.unwrap(), [996, 993]);
    assert_eq!(blocks(ALICE, 7, 9).await.unwrap(), [5]);
    // A row that is there already is no obstacle.
    let again = [Touched {
        block: 1_004,
        account: ALICE,
    }];
    assert!(put(known(5, 1_005), known(5, 1_006), &again).await.unwrap());

    // The other chain has blocks of its own, and all of it survives a restart.
    let other = Chain::Ethereum;
    assert_eq!(store.history_known(other).await.unwrap(), None);
    assert_eq!(
        store.history_blocks(other, BOB, 999, 9).await.unwrap(),
        [0; 0]
    );
    store.close().await;
    let store = Store::open(&location, Purpose::Serve).await.unwrap();
    assert_eq!(
        store.history_known(chain).await.unwrap(),
        Some(known(5, 1_006))
    );
    assert_eq!(
        store.history_blocks(chain, ALICE, 9, 9).await.unwrap(),
        [8, 7, 5]
    );
    store.close().await;
}

crate::on_both! {
    packets_are_kept_with_their_cursor,
    histories_are_kept_with_how_far_they_were_read,
}
