//! The same promise between two native chains: packets are proven both ways by certificates, and each
//! chain overhears the keys that the other announces to Ethereum.

use crate::world::{
    NATIVE, PEER, Trouble, native,
    run::{Run, Setup, TROUBLE, block_on, storm},
};
use mileverse_relayer::{
    chain::{End, ROTATIONS},
    store::{Direction, RowState},
};

/// A quiet world with packets under way from both ends.
fn quiet(seed: u64, batch: usize, packets: usize) -> Run {
    let run = Run::new(seed, Trouble::default(), Setup::between(End::Peer, batch));
    send(&run, End::Native, packets);
    send(&run, End::Peer, packets);
    run
}

fn send(run: &Run, from: End, packets: usize) {
    let mut world = run.shared.lock();
    let deadline = world.now_s() + 1_000_000;
    let (source, destination) = match from {
        End::Native => (NATIVE, PEER),
        _ => (PEER, NATIVE),
    };
    for _ in 0..packets {
        let bridge = world.bridge_mut(from);
        bridge.transfer(source, destination, deadline);
    }
}

#[test]
fn nothing_is_lost_or_doubled_between_peers_in_any_storm() {
    block_on(async {
        for seed in 300..312 {
            storm(End::Peer, seed, TROUBLE, false).await;
        }
    });
}

#[test]
fn losing_the_database_between_peers_loses_nothing_but_time() {
    block_on(async {
        for seed in 400..406 {
            storm(End::Peer, seed, TROUBLE, true).await;
        }
    });
}

#[test]
fn a_crash_at_every_single_call_between_peers_is_survived() {
    block_on(async {
        let trouble = Trouble {
            crash: 150,
            ..Trouble::default()
        };
        for seed in 500..504 {
            storm(End::Peer, seed, trouble, false).await;
        }
    });
}

#[test]
fn a_quiet_world_of_peers_takes_few_transactions_and_no_repeats() {
    block_on(async {
        let mut run = quiet(21, 256, 300);
        run.finish().await;
        run.check();
        let world = run.shared.lock();
        for batches in [&world.native.batches, &world.peer.batches] {
            assert_eq!(batches.iter().sum::<usize>(), 300, "none twice");
            assert_eq!(batches.len(), 2, "{batches:?}");
        }
    });
}

#[test]
fn packets_to_others_stand_in_the_outbox_and_concern_nobody() {
    block_on(async {
        let mut run = quiet(22, 256, 0);
        for round in 0..20 {
            for end in [End::Native, End::Peer] {
                run.shared.lock().send_elsewhere(end);
                send(&run, end, round % 3);
                run.shared.lock().native_at_mut(end).note();
            }
        }
        run.finish().await;
        run.check();
        for direction in run.directions() {
            let counts = run.rows().counts(direction).await.unwrap();
            assert_eq!(counts.received, 19);
        }
    });
}

#[test]
fn each_key_is_believed_in_turn_and_what_waited_is_proven_by_the_next() {
    block_on(async {
        let mut run = quiet(23, 256, 5);
        for _ in 0..3 {
            for end in [End::Native, End::Peer] {
                native::rotate(&mut run.shared.lock(), end);
                send(&run, end, 5);
            }
        }
        run.finish().await;
        run.check();
        for direction in run.directions() {
            let rows = run.rows().newest(direction, u64::MAX, 100).await.unwrap();
            let keys: Vec<_> = rows
                .iter()
                .filter(|row| row.kind == "rotation")
                .map(|row| (row.sequence - ROTATIONS, row.state))
                .collect();
            let done = RowState::Done;
            assert_eq!(keys, [(3, done), (2, done), (1, done)]);
        }
    });
}

#[test]
fn a_key_that_is_in_force_stays_known_when_a_later_packet_turns_out_made_up() {
    block_on(async {
        let mut run = quiet(24, 256, 0);
        native::rotate(&mut run.shared.lock(), End::Native);
        send(&run, End::Native, 3);
        run.shared.lock().lies = 2;
        run.finish().await;
        run.check();
        assert_eq!(run.shared.lock().lies, 0, "nobody lied");
    });
}

#[test]
fn a_leaf_that_the_endpoint_hides_stops_the_count_until_it_shows() {
    block_on(async {
        let mut run = quiet(25, 256, 6);
        // Every answer misses a leaf.
        run.shared.lock().trouble.bad_logs = 1_000;
        for _ in 0..200 {
            run.tick(Direction::ToPeer).await;
            let counts = run.rows().counts(Direction::ToPeer).await.unwrap();
            let rows = run
                .rows()
                .newest(Direction::ToPeer, u64::MAX, 10)
                .await
                .unwrap();
            let newest = rows.first().map_or(0, |row| row.sequence);
            assert_eq!(rows.len() as u64, newest, "a gap was skipped");
            if counts.received == 6 {
                break;
            }
            run.shared.lock().step(300, 300);
        }
        run.finish().await;
        run.check();
    });
}

#[test]
fn what_an_endpoint_shows_as_going_elsewhere_is_missed_and_found() {
    block_on(async {
        let mut run = quiet(26, 256, 6);
        native::rotate(&mut run.shared.lock(), End::Native);
        // Nothing follows it, and nothing counts it but the chain.
        run.shared.lock().trouble.elsewhere = 1_000;
        for _ in 0..20 {
            run.tick(Direction::ToPeer).await;
            run.shared.lock().step(300, 300);
        }
        let rows = run.rows();
        let found = rows.newest(Direction::ToPeer, u64::MAX, 10).await.unwrap();
        assert!(found.is_empty(), "something was shown: {found:?}");
        // Then half of them, now these and now those.
        run.shared.lock().trouble.elsewhere = 500;
        for _ in 0..200 {
            run.tick(Direction::ToPeer).await;
            run.shared.lock().step(300, 300);
        }
        let rows = run.rows();
        let found = rows.newest(Direction::ToPeer, u64::MAX, 10).await.unwrap();
        assert_eq!(found.len(), 7, "six packets and a key: {found:?}");
        run.shared.lock().trouble.elsewhere = 0;
        run.finish().await;
        run.check();
    });
}

/// What stands there is known only by the receipt that another relayer's delivery of the true one brought.
#[test]
fn a_packet_that_was_believed_in_the_wrong_place_is_left_behind() {
    block_on(async {
        let mut run = quiet(27, 256, 3);
        {
            let mut world = run.shared.lock();
            world.native.note();
            let first = world.native.outbox[0].clone();
            let nowhere = native::elsewhere(NATIVE);
            world.masks = [(0, nowhere.clone()), (1, first), (2, nowhere)].into();
            // Another relayer delivers the first packet meanwhile.
            world.peer.peers.receipts.insert(1, 1);
            *world.peer.peers.effects.entry(1).or_default() += 1;
        }
        for _ in 0..20 {
            run.tick(Direction::ToPeer).await;
            run.shared.lock().step(300, 300);
        }
        let found = run.rows().newest(Direction::ToPeer, u64::MAX, 10).await;
        let places: Vec<_> = found
            .unwrap()
            .iter()
            .map(|row| (row.sequence, row.place))
            .collect();
        assert_eq!(places, [(3, 2), (2, 1), (1, 0)]);
        run.finish().await;
        run.check();
    });
}
