//! What the relayer's memory promises, the same on SQLite and on PostgreSQL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_docs_in_private_items,
    missing_docs
)]

use mileverse_fixtures::postgres::{Durability, Postgres};
use mileverse_primitives::{Address, B256, Bytes, U256};
use mileverse_relayer::{
    Error,
    chain::{End, ROTATIONS},
    store::{
        Counts, Database, Direction, Found, Lane, Mark, Network, NewPacket, NewSwap, Outcome,
        Payload, Position, RouteStore, RowState, Searched, SignedRow, Store, SwapEnd, SwapRow,
    },
};
use mileverse_wallet::{
    timelock::{Terms, lock_of},
    transaction::Fees,
};
use sqlx::migrate::Migrator;
use std::collections::HashSet;
use url::Url;

const TO: Direction = Direction::ToEthereum;
const BACK: Direction = Direction::ToNative;

fn network() -> Network {
    Network {
        native_chain: 1,
        native_genesis: B256::repeat_byte(2),
        far_chain: 3,
        far_mark: Mark::Bridge(Address::repeat_byte(4)),
    }
}

/// A new, empty database, and what must live as long as it.
struct Fresh {
    database: Database,
    _directory: tempfile::TempDir,
}

fn sqlite() -> Fresh {
    let directory = tempfile::tempdir().unwrap();
    // A name that a URL would take for something else.
    let database = Database::Sqlite(directory.path().join("deep/a b?c#d%41.sqlite"));
    Fresh {
        database,
        _directory: directory,
    }
}

fn packet(sequence: u64, length: usize) -> NewPacket {
    packet_of(sequence, length, 1)
}

fn packet_of(sequence: u64, length: usize, kind: u8) -> NewPacket {
    let mut bytes = vec![5; length];
    bytes[1] = kind;
    NewPacket {
        sequence,
        place: sequence + 10,
        commitment: B256::repeat_byte(u8::try_from(sequence % 251).unwrap()),
        bytes: bytes.into(),
    }
}

const fn position(next: u64) -> Position {
    Position {
        next,
        search_block: next + 1,
        packet_block: next + 2,
    }
}

async fn bound(database: &Database) -> (Store, RouteStore) {
    let store = Store::open(database).await.unwrap();
    let rows = store.bind("main", &network()).await.unwrap();
    (store, rows)
}

async fn sequences(rows: &RouteStore, place: u64, now: u64, limit: usize) -> Vec<u64> {
    let ready = rows.ready(TO, place, now, limit, &HashSet::new()).await;
    ready.unwrap().iter().map(|row| row.sequence).collect()
}

async fn one_writer_and_one_network(database: &Database) {
    let (store, _) = bound(database).await;
    let second = Store::open(database).await;
    assert!(matches!(second, Err(Error::Locked(_))), "{second:?}");
    store.bind("main", &network()).await.unwrap();
    for other in [
        Network {
            native_chain: 9,
            ..network()
        },
        Network {
            native_genesis: B256::ZERO,
            ..network()
        },
        Network {
            far_chain: 9,
            ..network()
        },
        Network {
            far_mark: Mark::Bridge(Address::ZERO),
            ..network()
        },
        Network {
            far_mark: Mark::Genesis(B256::repeat_byte(4)),
            ..network()
        },
    ] {
        let refused = store.bind("main", &other).await;
        assert!(matches!(refused, Err(Error::OtherNetwork(_))));
        let name = format!("other{}", other.native_chain);
        store.bind(&name, &other).await.ok();
    }
    let reader = Store::look(database).await.unwrap();
    let seen = reader.route("main").await.unwrap().unwrap();
    assert_eq!(seen.counts(BACK).await.unwrap(), Counts::default());
    assert!(reader.route("none").await.unwrap().is_none());
    reader.close().await;
    store.close().await;
    drop(store);
    bound(database).await.0.close().await;
}

async fn packets_go_from_found_to_done_and_never_back(database: &Database) {
    let (store, rows) = bound(database).await;
    let found: Vec<_> = (1..=5).map(|sequence| packet(sequence, 134)).collect();
    rows.advance(TO, position(6), &found, 1_000).await.unwrap();
    rows.advance(TO, position(6), &found, 9_000).await.unwrap();
    assert_eq!(rows.position(TO, position(1)).await.unwrap(), position(6));
    assert_eq!(rows.position(BACK, position(1)).await.unwrap(), position(1));
    assert_eq!(sequences(&rows, u64::MAX, 0, 10).await, [1, 2, 3, 4, 5]);
    assert_eq!(sequences(&rows, 13, 0, 10).await, [1, 2, 3], "by place");

    rows.set_aside(TO, 2, 5_000, "no").await.unwrap();
    assert_eq!(sequences(&rows, u64::MAX, 4_999, 10).await, [1, 3, 4, 5]);
    assert_eq!(sequences(&rows, u64::MAX, 5_000, 10).await, [1, 2, 3, 4, 5]);
    assert_eq!(rows.attempts(TO, 2).await.unwrap(), 1);
    let aside = rows.set_asides(TO, 10).await.unwrap();
    assert_eq!((aside[0].sequence, aside[0].reason.as_str()), (2, "no"));

    rows.note_landed(TO, &[(1, 1), (3, 2)], 70, 2_000)
        .await
        .unwrap();
    assert!(rows.landed(TO, 69, 10).await.unwrap().is_empty());
    assert_eq!(rows.landed(TO, 70, 10).await.unwrap(), [1, 3]);
    rows.taken_back(TO, 3).await.unwrap();
    assert_eq!(rows.landed(TO, 70, 10).await.unwrap(), [1]);
    let done = rows.note_done(TO, &[(1, 1), (3, 2)], 3_000).await.unwrap();
    assert_eq!((done[0].found_ms, done[0].landed_ms), (1_000, 2_000));
    assert_eq!(done[1].landed_ms, 3_000);
    assert!(
        rows.note_done(TO, &[(1, 2)], 4_000)
            .await
            .unwrap()
            .is_empty()
    );
    rows.note_landed(TO, &[(1, 2)], 71, 4_000).await.unwrap();
    rows.set_aside(TO, 1, 9_999, "late").await.unwrap();
    let one = rows.packet(TO, 1).await.unwrap().unwrap();
    assert_eq!(
        (one.state, one.outcome, one.reason),
        (RowState::Done, 1, None)
    );
    let counts = rows.counts(TO).await.unwrap();
    assert_eq!(
        (
            counts.waiting,
            counts.landed,
            counts.received,
            counts.expired
        ),
        (3, 0, 1, 1)
    );
    assert_eq!(rows.oldest_waiting_ms(TO).await.unwrap(), Some(1_000));
    assert_eq!(rows.newest_landed_ms(TO).await.unwrap(), 3_000);
    assert_eq!(rows.counts(BACK).await.unwrap(), Counts::default());
    let newest = rows.newest(TO, 4, 2).await.unwrap();
    let newest: Vec<_> = newest.iter().map(|row| row.sequence).collect();
    assert_eq!(newest, [3, 2]);

    // A packet's kind is known for good, and whether its sender asked.
    let kinds: [(usize, u8, &str, bool); 9] = [
        (134, 1, "transfer", false),
        (167, 4, "swap", false),
        (160, 2, "expiry", false),
        (193, 2, "swapExpiry", false),
        (298, 3, "rotation", false),
        (134, 0x81, "transfer", true),
        (167, 0x84, "swap", true),
        (160, 5, "acknowledgement", false),
        (193, 5, "acknowledgement", false),
    ];
    let found: Vec<_> = (1..)
        .zip(kinds)
        .map(|(at, (length, kind, ..))| packet_of(at, length, kind))
        .collect();
    rows.advance(BACK, position(10), &found, 1).await.unwrap();
    assert_eq!(rows.counts(BACK).await.unwrap().acknowledgements, 2);
    let done = rows.note_done(BACK, &[(2, 1), (8, 1)], 2).await.unwrap();
    assert_eq!(done[1].kind, "acknowledgement");
    assert_eq!(rows.counts(BACK).await.unwrap().acknowledgements, 1);
    let mut newest = rows.newest(BACK, u64::MAX, 10).await.unwrap();
    newest.reverse();
    let named: Vec<_> = newest
        .iter()
        .map(|row| (row.kind, row.acknowledge))
        .collect();
    assert_eq!(named, kinds.map(|(_, _, kind, asks)| (kind, asks)));
    store.close().await;
}

async fn lanes_share_a_batch(database: &Database) {
    let (store, rows) = bound(database).await;
    let found: Vec<_> = (1..=100).map(|sequence| packet(sequence, 134)).collect();
    rows.advance(TO, position(101), &found, 1).await.unwrap();
    let ready = sequences(&rows, u64::MAX, 0, 6).await;
    assert_eq!(ready, [1, 2, 3, 98, 99, 100]);
    let reserved: HashSet<u64> = [1, 2, 100].into();
    let rest = rows.ready(TO, u64::MAX, 0, 6, &reserved).await.unwrap();
    let rest: Vec<_> = rest.iter().map(|row| row.sequence).collect();
    assert_eq!(rest, [3, 4, 5, 97, 98, 99]);
    assert_eq!(sequences(&rows, u64::MAX, 0, 1).await, [1]);
    assert_eq!(sequences(&rows, u64::MAX, 0, 500).await.len(), 100);
    store.close().await;
}

async fn a_rewind_forgets_from_there_on(database: &Database) {
    let (store, rows) = bound(database).await;
    let found = [packet(1, 134), packet(2, 160), packet(3, 134)];
    rows.advance(TO, position(4), &found, 1).await.unwrap();
    assert_eq!(rows.of_length(TO, 160).await.unwrap().len(), 1);
    rows.note_done(TO, &[(1, 2), (3, 1)], 2).await.unwrap();
    rows.rewind(TO, 2, 0, position(2)).await.unwrap();
    let counts = rows.counts(TO).await.unwrap();
    assert_eq!((counts.received, counts.expired), (0, 1));
    assert!(sequences(&rows, u64::MAX, 0, 10).await.is_empty());
    assert_eq!(rows.position(TO, position(9)).await.unwrap(), position(2));
    store.close().await;
}

async fn a_rewind_keeps_the_rotations_before_it(database: &Database) {
    let (store, rows) = bound(database).await;
    let at = |sequence, place| NewPacket {
        place,
        ..packet(sequence, 134)
    };
    let [earlier, later] = [ROTATIONS + 1, ROTATIONS + 2];
    let found = [at(1, 0), at(earlier, 1), at(2, 2), at(later, 3)];
    rows.advance(TO, position(4), &found, 1).await.unwrap();
    rows.rewind(TO, 2, 2, position(2)).await.unwrap();
    assert_eq!(sequences(&rows, u64::MAX, 0, 10).await, [1, earlier]);
    store.close().await;
}

async fn transactions_stay_as_they_were_signed(database: &Database) {
    let (store, rows) = bound(database).await;
    let payload = Payload {
        raw: Bytes::from(vec![0, 1, 255]),
        input: Bytes::new(),
    };
    let row = |account: u8, nonce: u64, max: u128| SignedRow {
        hash: B256::from(mileverse_primitives::U256::from(max)),
        account: Address::repeat_byte(account),
        nonce,
        gas_limit: 7,
        fees: Fees::Dynamic {
            max,
            tip: u128::MAX,
        },
        packets: vec![1, u64::MAX],
        created_ms: 5,
        broadcast_ms: 0,
        outcome: None,
    };
    let rows_in = [
        row(2, 4, 30),
        row(1, 9, 20),
        row(1, 8, u128::MAX),
        row(1, 8, 10),
    ];
    for one in &rows_in {
        rows.store_signed(TO, one, &payload).await.unwrap();
        rows.store_signed(TO, one, &payload).await.unwrap();
    }
    let stored = rows.signed(TO).await.unwrap();
    let expected = [&rows_in[2], &rows_in[3], &rows_in[1], &rows_in[0]];
    assert_eq!(stored.iter().collect::<Vec<_>>(), expected);
    rows.note_broadcast(rows_in[1].hash, 77).await.unwrap();
    rows.note_outcome(rows_in[1].hash, Outcome::Reverted)
        .await
        .unwrap();
    let stored = rows.signed(TO).await.unwrap();
    assert_eq!(stored[2].outcome, Some(Outcome::Reverted));
    assert_eq!(stored[2].broadcast_ms, 77);
    rows.forget_signed(TO, Address::repeat_byte(1), 9)
        .await
        .unwrap();
    let left: Vec<_> = rows.signed(TO).await.unwrap();
    let left: Vec<_> = left.iter().map(|row| (row.account, row.nonce)).collect();
    assert_eq!(
        left,
        [(Address::repeat_byte(1), 9), (Address::repeat_byte(2), 4)]
    );
    assert!(rows.signed(BACK).await.unwrap().is_empty());
    let lane = Lane::Swaps(HERE);
    let mine = SignedRow {
        hash: B256::repeat_byte(0x5a),
        ..row(1, 3, 1)
    };
    rows.store_signed(lane, &mine, &payload).await.unwrap();
    assert_eq!(
        rows.signed(lane).await.unwrap(),
        std::slice::from_ref(&mine)
    );
    assert!(rows.signed(Lane::Swaps(THERE)).await.unwrap().is_empty());
    rows.forget_signed(TO, mine.account, 99).await.unwrap();
    assert_eq!(rows.signed(lane).await.unwrap().len(), 1, "another lane's");
    rows.forget_signed(lane, mine.account, 99).await.unwrap();
    assert!(rows.signed(lane).await.unwrap().is_empty());
    let free = SignedRow {
        fees: Fees::Legacy { price: 0 },
        ..row(3, 1, 99)
    };
    rows.store_signed(BACK, &free, &payload).await.unwrap();
    assert_eq!(rows.payload(free.hash).await.unwrap(), payload);
    assert_eq!(
        rows.signed(BACK).await.unwrap(),
        std::slice::from_ref(&free)
    );
    rows.forget_transaction(free.hash).await.unwrap();
    assert_eq!(rows.signed(BACK).await.unwrap(), []);
    store.close().await;
}

async fn trouble_is_remembered_since_it_began(database: &Database) {
    let (store, rows) = bound(database).await;
    rows.note_error(TO, 10, "first").await.unwrap();
    rows.note_error(TO, 20, "second").await.unwrap();
    let health = rows.health(TO).await.unwrap();
    assert_eq!(
        (health.error.as_deref(), health.error_ms),
        (Some("second"), 10)
    );
    rows.note_ok(TO, 30).await.unwrap();
    rows.note_error(TO, 40, "third").await.unwrap();
    let health = rows.health(TO).await.unwrap();
    assert_eq!((health.ok_ms, health.error_ms), (30, 40));
    assert_eq!(rows.health(BACK).await.unwrap().ok_ms, 0);
    for end in [HERE, THERE] {
        let lane = Lane::Swaps(end);
        assert_eq!(rows.health(lane).await.unwrap().ok_ms, 0);
        rows.note_ok(lane, 50).await.unwrap();
        assert_eq!(rows.health(lane).await.unwrap().ok_ms, 50);
    }
    store.close().await;
}

async fn routes_do_not_see_each_other(database: &Database) {
    let (store, rows) = bound(database).await;
    let other = store.bind("second", &network()).await.unwrap();
    rows.advance(TO, position(2), &[packet(1, 134)], 1)
        .await
        .unwrap();
    assert_eq!(other.counts(TO).await.unwrap(), Counts::default());
    other
        .advance(TO, position(3), &[packet(1, 134), packet(2, 134)], 1)
        .await
        .unwrap();
    rows.note_done(TO, &[(1, 1)], 2).await.unwrap();
    assert_eq!(other.counts(TO).await.unwrap().waiting, 2);
    store.close().await;
}

const HERE: End = End::Ethereum;
const THERE: End = End::Native;

/// A swap under the lock of this secret, with this deadline in seconds.
fn swap(secret: u8, deadline: u64) -> NewSwap {
    let terms = Terms {
        token: Address::repeat_byte(1),
        amount: U256::MAX - U256::from(deadline),
        opener: Address::repeat_byte(2),
        claimer: Address::repeat_byte(3),
        lock: lock_of(B256::repeat_byte(secret)),
        deadline,
    };
    NewSwap {
        id: terms.id(1, Address::ZERO),
        terms,
        block: 7,
    }
}

fn shown(secret: u8) -> (B256, B256) {
    let secret = B256::repeat_byte(secret);
    (lock_of(secret), secret)
}

const fn searched(next: u64, sweep: u64) -> Searched {
    Searched { next, sweep }
}

fn deadlines(rows: &[SwapRow]) -> Vec<u64> {
    rows.iter().map(|row| row.terms.deadline).collect()
}

async fn found(rows: &RouteStore, end: End, opened: &[NewSwap], now_ms: u64) -> usize {
    let found = Found {
        opened: opened.to_vec(),
        ..Found::default()
    };
    let how_far = searched(9, 3);
    rows.note_found(end, how_far, &found, now_ms).await.unwrap()
}

async fn swaps_go_from_found_to_done_and_never_back(database: &Database) {
    let (store, rows) = bound(database).await;
    let first = searched(5, 5);
    assert_eq!(rows.searched(HERE, first).await.unwrap(), first);
    let all = [swap(1, 300), swap(2, 100), swap(3, 200), swap(4, 100)];
    assert_eq!(found(&rows, HERE, &all, 1_000).await, 4);
    assert_eq!(found(&rows, HERE, &all, 2_000).await, 0, "known");
    // The same terms may stand on both chains.
    assert_eq!(found(&rows, THERE, &all[..1], 1_000).await, 1);
    assert_eq!(rows.searched(HERE, first).await.unwrap(), searched(9, 3));
    rows.search_again(HERE, 8).await.unwrap();
    rows.search_again(HERE, 20).await.unwrap();
    assert_eq!(rows.searched(HERE, first).await.unwrap(), searched(8, 3));
    assert_eq!(rows.searched(THERE, first).await.unwrap(), searched(9, 3));
    let ids = all.map(|swap| swap.id);
    assert_eq!(rows.known_swaps(HERE, &ids).await.unwrap().len(), 4);
    assert_eq!(rows.known_swaps(THERE, &ids).await.unwrap().len(), 1);

    // By what they wait for. Nothing is claimable without its secret.
    assert!(rows.claimable(HERE, 0, 0, 9).await.unwrap().is_empty());
    let how_far = searched(10, 3);
    let secrets = Found {
        secrets: vec![shown(1), shown(2), shown(9)],
        ..Found::default()
    };
    rows.note_found(THERE, how_far, &secrets, 1_500)
        .await
        .unwrap();
    let due = rows.claimable(HERE, 100, 0, 9).await.unwrap();
    assert_eq!(deadlines(&due), [100, 300], "the nearest first");
    assert_eq!(due[0].secret, Some(B256::repeat_byte(2)));
    assert_eq!(
        (due[0].terms, due[0].id, due[0].block, due[0].found_ms),
        (all[1].terms, all[1].id, 7, 1_000)
    );
    let late = rows.claimable(HERE, 101, 0, 9).await.unwrap();
    assert_eq!(deadlines(&late), [300], "in time only");
    assert_eq!(rows.claimable(HERE, 0, 0, 1).await.unwrap().len(), 1);
    assert!(rows.refundable(HERE, 100, 0, 9).await.unwrap().is_empty());
    let past = rows.refundable(HERE, 201, 0, 9).await.unwrap();
    assert_eq!(deadlines(&past), [100, 100, 200]);
    let counts = rows.swap_counts(HERE, 150_000).await.unwrap();
    assert_eq!((counts.open, counts.waiting, counts.due), (4, 1, 3));
    let since = rows.oldest_due_swap_ms(HERE, 150_000).await.unwrap();
    assert_eq!(since, Some(1_500), "found, and its secret shown");
    let since = rows.oldest_due_swap_ms(THERE, 0).await.unwrap();
    assert_eq!(since, Some(1_500));

    // Set aside, left alone, looked at.
    let [one, two] = [due[1].number, due[0].number];
    rows.look_at_swaps(&[one, two], 9_000).await.unwrap();
    assert_eq!(
        rows.swaps_to_look_at(HERE, 8_999, 9).await.unwrap().len(),
        2
    );
    rows.set_swap_aside(two, 5_000, "no").await.unwrap();
    assert_eq!(
        rows.swaps_to_look_at(HERE, 8_999, 9).await.unwrap().len(),
        3
    );
    let due = rows.claimable(HERE, 0, 4_999, 9).await.unwrap();
    assert_eq!(deadlines(&due), [300]);
    let due = rows.claimable(HERE, 0, 5_000, 9).await.unwrap();
    assert_eq!((due[0].number, due[0].attempts), (two, 1));
    let aside = rows.swap_asides(HERE, 9).await.unwrap();
    assert_eq!((aside[0].id, aside[0].reason.as_str()), (all[1].id, "no"));
    rows.leave_swap(one, 9_000, 6_000).await.unwrap();
    assert_eq!(rows.claimable(HERE, 200, 5_999, 9).await.unwrap(), []);
    assert_eq!(rows.claimable(HERE, 200, 6_000, 9).await.unwrap().len(), 1);
    let hint = Found {
        ended: vec![all[0].id],
        ..Found::default()
    };
    rows.note_found(HERE, how_far, &hint, 1).await.unwrap();
    assert_eq!(rows.swaps_to_look_at(HERE, 0, 9).await.unwrap().len(), 4);

    // Settling, taken back, done.
    let ended = [(one, SwapEnd::Claimed), (two, SwapEnd::Refunded)];
    rows.note_settling(&ended, 70, 7_000).await.unwrap();
    assert!(rows.settling(HERE, 69, 9).await.unwrap().is_empty());
    assert_eq!(rows.settling(HERE, 70, 9).await.unwrap().len(), 2);
    assert!(rows.claimable(HERE, 0, 99_999, 9).await.unwrap().is_empty());
    assert_eq!(rows.open_swap(one).await.unwrap(), None);
    rows.swap_taken_back(one).await.unwrap();
    let back = rows.open_swap(one).await.unwrap().unwrap();
    assert_eq!(back.secret, Some(B256::repeat_byte(1)), "known for good");
    rows.note_settling(&ended, 71, 8_000).await.unwrap();
    assert_eq!(rows.newest_settled_swap_ms(HERE).await.unwrap(), 8_000);
    let news = rows.note_ended(HERE, &ended, 9_000).await.unwrap();
    assert_eq!(news, [SwapEnd::Claimed, SwapEnd::Refunded]);
    assert!(
        rows.note_ended(HERE, &ended, 9_500)
            .await
            .unwrap()
            .is_empty()
    );
    rows.note_settling(&ended, 99, 9_900).await.unwrap();
    rows.forget_swap(one).await.unwrap();
    assert_eq!(found(&rows, HERE, &all, 9_900).await, 0, "done for ever");
    let counts = rows.swap_counts(HERE, 150_000).await.unwrap();
    assert_eq!((counts.claimed, counts.refunded), (1, 1));
    assert_eq!((counts.open, counts.settling), (2, 0));

    // A number is never used again.
    let left = rows.refundable(HERE, 999, 0, 9).await.unwrap();
    let newest = left.iter().map(|row| row.number).max().unwrap();
    rows.forget_swap(newest).await.unwrap();
    let forgotten = all
        .iter()
        .find(|swap| swap.terms.deadline == 100 && swap.id != all[1].id);
    assert_eq!(found(&rows, HERE, &[*forgotten.unwrap()], 1).await, 1);
    let left = rows.refundable(HERE, 999, 0, 9).await.unwrap();
    assert!(left.iter().all(|row| row.number != newest));
    let other = store.bind("second", &network()).await.unwrap();
    assert_eq!(other.swap_counts(HERE, 0).await.unwrap().open, 0);
    store.close().await;
}

async fn what_is_kept_long_enough_is_dropped(database: &Database) {
    const DAY_MS: u64 = 24 * 3_600 * 1_000;
    let (store, rows) = bound(database).await;
    let all = [swap(1, 300), swap(2, 100)];
    found(&rows, HERE, &all, 0).await;
    let secrets = Found {
        secrets: vec![shown(1), shown(2), shown(3)],
        ..Found::default()
    };
    rows.note_found(HERE, searched(9, 3), &secrets, 0)
        .await
        .unwrap();
    let locks = [1, 2, 3].map(|secret| shown(secret).0);
    assert_eq!(rows.wanted_locks(&locks).await.unwrap().len(), 2);
    let due = rows.claimable(HERE, 0, 0, 9).await.unwrap();
    let ended = [(due[0].number, SwapEnd::Claimed)];
    rows.note_ended(HERE, &ended, DAY_MS).await.unwrap();
    assert_eq!(rows.wanted_locks(&locks).await.unwrap().len(), 1);
    assert!(!rows.others_wait(locks[0], due[1].number).await.unwrap());
    assert!(rows.others_wait(locks[0], 0).await.unwrap());

    rows.prune_swaps(31 * DAY_MS).await.unwrap();
    let ids = all.map(|swap| swap.id);
    assert_eq!(rows.known_swaps(HERE, &ids).await.unwrap().len(), 2);
    rows.prune_swaps(31 * DAY_MS + 1).await.unwrap();
    assert_eq!(rows.known_swaps(HERE, &ids).await.unwrap().len(), 1);
    let counts = rows.swap_counts(HERE, 0).await.unwrap();
    assert_eq!(
        (counts.claimed, counts.open),
        (1, 1),
        "what was dropped counts"
    );
    // Only the secret stays that an open swap waits for.
    found(&rows, THERE, &[swap(2, 500), swap(3, 500)], 1).await;
    assert!(rows.claimable(THERE, 0, 0, 9).await.unwrap().is_empty());
    assert_eq!(rows.claimable(HERE, 0, 0, 9).await.unwrap().len(), 1);
    store.close().await;
}

/// A database from before there were routes between native chains keeps what it knew, and takes them.
async fn an_older_database_goes_on(database: &Database) {
    let url = match database {
        Database::Postgres(url) => url.to_string(),
        Database::Sqlite(path) => {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let path = Url::from_file_path(path).unwrap().to_string();
            format!("{}?mode=rwc", path.replacen("file", "sqlite", 1))
        }
    };
    let all = match database {
        Database::Postgres(_) => sqlx::migrate!("migrations/postgres"),
        Database::Sqlite(_) => sqlx::migrate!("migrations/sqlite"),
    };
    let earlier = all.iter().filter(|one| one.version < 3).cloned().collect();
    sqlx::any::install_default_drivers();
    let old = sqlx::AnyPool::connect(&url).await.unwrap();
    Migrator::with_migrations(earlier).run(&old).await.unwrap();
    let known = network();
    let mark = Address::repeat_byte(4);
    sqlx::query(
        "INSERT INTO route (name, native_chain, native_genesis, ethereum_chain, ethereum_bridge)
         VALUES ('main', 1, $1, 3, $2)",
    )
    .bind(known.native_genesis.to_vec())
    .bind(mark.to_vec())
    .execute(&old)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO packet (route, direction, sequence, place, commitment, bytes, size, found_ms)
         SELECT id, 'to_ethereum', 7, 17, $1, $2, 134, 5 FROM route",
    )
    .bind(vec![7u8; 32])
    .bind(vec![5u8; 134])
    .execute(&old)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO signed (hash, route, direction, account, nonce, raw, input, gas_limit, max_fee,
                             tip, packets, created_ms, broadcast_ms)
         SELECT $1, id, 'to_ethereum', $2, 4, $1, $1, 9, '1', '1', '[7]', 5, 5 FROM route",
    )
    .bind(vec![8u8; 32])
    .bind(vec![9u8; 20])
    .execute(&old)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO health (route, direction, ok_ms) SELECT id, 'to_native', 5 FROM route",
    )
    .execute(&old)
    .await
    .unwrap();
    old.close().await;

    let (store, rows) = bound(database).await;
    assert_eq!(rows.directions(), [TO, BACK]);
    assert_eq!(rows.counts(TO).await.unwrap().waiting, 1);
    assert_eq!(sequences(&rows, u64::MAX, 9, 10).await, [7]);
    let signed = rows.signed(TO).await.unwrap();
    assert_eq!(
        (signed[0].nonce, signed[0].packets.as_slice()),
        (4, &[7][..])
    );
    assert_eq!(rows.health(BACK).await.unwrap().ok_ms, 5);
    assert_eq!(rows.packet(TO, 7).await.unwrap().unwrap().kind, "transfer");
    assert_eq!(rows.packet_name(TO, 7), "native:7");
    assert_eq!(rows.packet_name(BACK, 7), "ethereum:7");

    let between = Network {
        far_mark: Mark::Genesis(B256::repeat_byte(6)),
        ..network()
    };
    let peers = store.bind("peers", &between).await.unwrap();
    assert_eq!(peers.directions(), [Direction::ToPeer, BACK]);
    let found = [packet(1, 134), packet(ROTATIONS + 2, 298)];
    peers
        .advance(Direction::ToPeer, position(9), &found, 1)
        .await
        .unwrap();
    assert_eq!(peers.counts(Direction::ToPeer).await.unwrap().waiting, 2);
    assert_eq!(peers.packet_name(Direction::ToPeer, 1), "1:3:1");
    assert_eq!(peers.packet_name(BACK, 1), "3:1:1");
    assert_eq!(peers.packet_name(BACK, ROTATIONS + 2), "key 2");
    let seen = store.route("peers").await.unwrap().unwrap();
    assert_eq!(seen.directions(), peers.directions());
    store.close().await;
}

macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $name() {
                let fresh = super::sqlite();
                super::$name(&fresh.database).await;
            })*
        }

        /// One server for all of them, and a database for each.
        #[tokio::test]
        async fn on_postgres() {
            let server = Postgres::start(Durability::ProcessOnly).unwrap();
            $(
                let url = server.create(stringify!($name), None).unwrap();
                $name(&Database::parse(&url).unwrap()).await;
            )*
        }
    };
}

conformance!(
    one_writer_and_one_network,
    packets_go_from_found_to_done_and_never_back,
    lanes_share_a_batch,
    a_rewind_forgets_from_there_on,
    a_rewind_keeps_the_rotations_before_it,
    transactions_stay_as_they_were_signed,
    trouble_is_remembered_since_it_began,
    routes_do_not_see_each_other,
    swaps_go_from_found_to_done_and_never_back,
    what_is_kept_long_enough_is_dropped,
    an_older_database_goes_on,
);

#[tokio::test]
async fn a_file_that_is_no_database_is_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("relayer.sqlite");
    let text = "not a database, but long enough to be looked at closely";
    std::fs::write(&path, text).unwrap();
    let error = Store::open(&Database::Sqlite(path)).await.unwrap_err();
    assert!(matches!(error, Error::Database { .. }), "{error}");
    let missing = Database::Sqlite(directory.path().join("none"));
    assert!(Store::look(&missing).await.is_err());
}
