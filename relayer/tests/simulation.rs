//! The relayer's promise, tried in a simulated world: no packet is lost, none takes effect twice,
//! no gap is skipped, whatever happens in between and whenever the relayer is cut off.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::missing_docs_in_private_items,
    missing_docs
)]

mod peer;
mod world;

use mileverse_relayer::{
    chain::End,
    rules::Rules,
    store::{Direction, Position},
    transaction::Profit,
};
use std::time::Duration;
use world::{
    ETHEREUM, NATIVE, Trouble,
    run::{Run, Setup, TROUBLE, block_on, storm},
};

#[test]
fn nothing_is_lost_or_doubled_in_any_storm() {
    block_on(async {
        for seed in 0..12 {
            storm(End::Ethereum, seed, TROUBLE, false).await;
        }
    });
}

#[test]
fn losing_the_database_loses_nothing_but_time() {
    block_on(async {
        for seed in 100..106 {
            storm(End::Ethereum, seed, TROUBLE, true).await;
        }
    });
}

#[test]
fn a_crash_at_every_single_call_is_survived() {
    block_on(async {
        let trouble = Trouble {
            crash: 150,
            ..Trouble::default()
        };
        for seed in 200..204 {
            storm(End::Ethereum, seed, trouble, false).await;
        }
    });
}

#[test]
fn a_quiet_world_takes_few_transactions_and_no_repeats() {
    block_on(async {
        let mut run = Run::new(1, Trouble::default(), Setup::of(128));
        for _ in 0..300 {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 100_000;
            world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            let head = world.ethereum.head_mut();
            head.bridge.transfer(ETHEREUM, NATIVE, deadline);
        }
        run.finish().await;
        run.check();
        let world = run.shared.lock();
        assert_eq!(world.ethereum.batches, [128, 128, 44]);
        assert_eq!(world.native.batches, [128, 128, 44]);
    });
}

#[test]
fn who_asks_is_told_and_nobody_else() {
    block_on(async {
        let trouble = Trouble {
            asks: true,
            ..Trouble::default()
        };
        let mut run = Run::new(13, trouble, Setup::of(128));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..9 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
                let head = world.ethereum.head_mut();
                head.bridge.transfer(ETHEREUM, NATIVE, deadline);
            }
        }
        run.finish().await;
        run.check();
        let rows = run.rows();
        for direction in run.directions() {
            let packets = rows.newest(direction, u64::MAX, 100).await.unwrap();
            let kinds = |kind: &str| packets.iter().filter(|row| row.kind == kind).count();
            let asked = packets.iter().filter(|row| row.acknowledge).count();
            assert_eq!((kinds("transfer"), asked), (9, 3));
            // Those of the transfers that went the other way.
            assert_eq!(kinds("acknowledgement"), 3);
            assert_eq!(rows.counts(direction).await.unwrap().acknowledgements, 0);
        }
    });
}

#[test]
fn one_refused_packet_does_not_hold_up_the_others() {
    block_on(async {
        let mut run = Run::new(2, Trouble::default(), Setup::of(128));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..20 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            }
            world.poisoned.insert((End::Ethereum, 1));
            world.poisoned.insert((End::Ethereum, 13));
        }
        for _ in 0..200 {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(100, 100);
        }
        {
            let store = run.rows();
            let counts = store.counts(Direction::ToEthereum).await.unwrap();
            assert_eq!((counts.received, counts.waiting), (18, 2));
            let aside = store.set_asides(Direction::ToEthereum, 10).await.unwrap();
            let sequences: Vec<_> = aside.iter().map(|one| one.sequence).collect();
            assert_eq!(sequences, [1, 13]);
            assert!(aside.iter().all(|one| one.attempts >= 2));
            assert_eq!(aside[0].reason, "the receiver refuses");
        }
        run.finish().await;
        run.check();
    });
}

#[test]
fn a_packet_that_the_endpoint_hides_stops_the_count_until_it_shows() {
    block_on(async {
        let mut run = Run::new(3, Trouble::default(), Setup::of(128));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..10 {
                let head = world.ethereum.head_mut();
                head.bridge.transfer(ETHEREUM, NATIVE, deadline);
            }
            // Every answer to a search misses, doubles or mixes up something.
            world.trouble.bad_logs = 1000;
        }
        for _ in 0..400 {
            run.tick(Direction::ToNative).await;
            let position = {
                let store = run.rows();
                let first = Position {
                    next: 1,
                    search_block: 0,
                    packet_block: 0,
                };
                let position = store.position(Direction::ToNative, first).await.unwrap();
                let counts = store.counts(Direction::ToNative).await.unwrap();
                let known = counts.waiting + counts.received + counts.expired;
                assert_eq!(known, position.next - 1, "a gap was skipped");
                position
            };
            if position.next == 11 {
                break;
            }
            run.shared.lock().step(300, 300);
        }
        run.finish().await;
        run.check();
    });
}

#[test]
fn several_keys_work_side_by_side_on_packets_of_their_own() {
    block_on(async {
        let setup = Setup {
            keys: 3,
            ..Setup::of(20)
        };
        let mut run = Run::new(4, Trouble::default(), setup);
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..60 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            }
        }
        // Found, and all three keys sign in one look, before any block comes.
        run.tick(Direction::ToEthereum).await;
        {
            let rows = run.rows();
            let signed = rows.signed(Direction::ToEthereum).await.unwrap();
            let mut packets: Vec<_> = signed.iter().flat_map(|row| row.packets.clone()).collect();
            packets.sort_unstable();
            assert_eq!(signed.len(), 3);
            assert_eq!(packets, (1..=60).collect::<Vec<_>>(), "none twice");
        }
        run.finish().await;
        run.check();
        assert_eq!(run.shared.lock().ethereum.batches, [20, 20, 20]);
    });
}

#[test]
fn a_backlog_does_not_keep_fresh_packets_waiting() {
    block_on(async {
        let mut run = Run::new(5, Trouble::default(), Setup::of(10));
        let deadline = run.shared.lock().now_s() + 1_000_000;
        for _ in 0..400 {
            let mut world = run.shared.lock();
            world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
        }
        for _ in 0..60 {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(100, 100);
        }
        let fresh = {
            let mut world = run.shared.lock();
            world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            world.native.bridge.sent.len() as u64
        };
        let arrived = |run: &Run| {
            let world = run.shared.lock();
            let receipts = &world.ethereum.head().bridge.receipts;
            receipts.contains_key(&fresh)
        };
        // A block may be too dear for the first offer, so it can take a while.
        while !arrived(&run) {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(100, 100);
        }
        {
            let world = run.shared.lock();
            let receipts = &world.ethereum.head().bridge.receipts;
            assert!(receipts.len() < 390, "it came with the last");
            assert!(receipts.contains_key(&1), "the oldest waits");
        }
        run.finish().await;
        run.check();
    });
}

#[test]
fn what_the_rules_pass_over_waits_for_others_and_holds_up_nobody() {
    block_on(async {
        let rules = Rules {
            least_amount: Some(mileverse_primitives::U256::from(6)),
            ..Rules::default()
        };
        let setup = Setup {
            rules,
            ..Setup::of(3)
        };
        let mut run = Run::new(6, Trouble::default(), setup);
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            // The amount is the sequence, in this world.
            for _ in 0..10 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            }
        }
        for _ in 0..2_000 {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(100, 100);
            let rows = run.rows();
            if rows.counts(Direction::ToEthereum).await.unwrap().received == 5 {
                break;
            }
        }
        {
            let rows = run.rows();
            let counts = rows.counts(Direction::ToEthereum).await.unwrap();
            assert_eq!((counts.received, counts.waiting), (5, 5));
            let aside = rows.set_asides(Direction::ToEthereum, 10).await.unwrap();
            assert!(aside.iter().all(|one| one.reason.contains("is below 6")));
        }
        run.stop().await;
        // Without the rule they are carried, once their time comes.
        run.setup.rules = Rules::default();
        run.finish().await;
        run.check();
    });
}

#[test]
fn a_packet_waits_for_cheaper_gas_but_not_for_ever() {
    block_on(async {
        let longest_wait = Duration::from_secs(600);
        let setup = Setup {
            profit: Some(Profit {
                most_per_packet: 1,
                longest_wait,
            }),
            ..Setup::of(128)
        };
        let mut run = Run::new(7, Trouble::default(), setup);
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
        }
        for _ in 0..50 {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(1_000, 1_000);
        }
        assert!(run.shared.lock().ethereum.head().bridge.receipts.is_empty());
        run.shared.lock().now_ms += 600_000;
        run.finish().await;
        run.check();
    });
}

#[test]
fn several_transactions_of_one_key_are_under_way_at_once() {
    block_on(async {
        let setup = Setup {
            in_flight: 3,
            ..Setup::of(10)
        };
        let mut run = Run::new(9, Trouble::default(), setup);
        let deadline = run.shared.lock().now_s() + 1_000_000;
        for _ in 0..50 {
            let mut world = run.shared.lock();
            world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
        }
        for _ in 0..3 {
            run.tick(Direction::ToEthereum).await;
        }
        {
            let rows = run.rows();
            let signed = rows.signed(Direction::ToEthereum).await.unwrap();
            let nonces: Vec<_> = signed.iter().map(|row| row.nonce).collect();
            assert_eq!(nonces, [0, 1, 2], "no more than three");
            let packets: std::collections::BTreeSet<_> =
                signed.iter().flat_map(|row| row.packets.clone()).collect();
            assert_eq!(packets.len(), 30, "none twice");
        }
        run.finish().await;
        run.check();
        assert_eq!(run.shared.lock().ethereum.batches, [10; 5]);
    });
}

#[test]
fn a_wrong_nonce_strands_no_packet() {
    block_on(async {
        let mut above = 0;
        for seed in 10..20 {
            let mut run = Run::new(seed, Trouble::default(), Setup::of(10));
            {
                let mut world = run.shared.lock();
                let deadline = world.now_s() + 1_000_000;
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
                world.trouble.wrong_number = 1_000;
            }
            run.tick(Direction::ToEthereum).await;
            {
                let mut world = run.shared.lock();
                world.trouble.wrong_number = 0;
                assert_eq!(world.ethereum.pool.len(), 1);
                above += world.ethereum.pool[0].nonce.min(1);
            }
            run.finish().await;
            run.check();
        }
        assert!(above > 0, "none was signed above a gap");
    });
}

#[test]
fn what_another_relayer_delivered_first_wedges_nobody() {
    block_on(async {
        let mut run = Run::new(12, Trouble::default(), Setup::of(10));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            let head = world.ethereum.head_mut();
            head.bridge.transfer(ETHEREUM, NATIVE, deadline);
            // Until it is final, and the native chain knows.
            for _ in 0..8 {
                world::ethereum::block(&mut world);
            }
            world.native.checkpoint = world.ethereum.finalized();
        }
        while run.shared.lock().native.pool.is_empty() {
            run.tick(Direction::ToNative).await;
        }
        {
            // Another relayer's delivery is in the next block, before ours.
            let mut world = run.shared.lock();
            world.native.pool.clear();
            world.native.bridge.receipts.insert(1, 1);
            *world.native.bridge.effects.entry(1).or_default() += 1;
            let deadline = world.now_s() + 1_000_000;
            let head = world.ethereum.head_mut();
            head.bridge.transfer(ETHEREUM, NATIVE, deadline);
        }
        run.finish().await;
        run.check();
    });
}

#[test]
fn a_large_transfer_waits_for_its_delay_and_holds_up_nobody() {
    block_on(async {
        let trouble = Trouble {
            delays: true,
            ..Trouble::default()
        };
        let mut run = Run::new(11, trouble, Setup::of(20));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..14 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
            }
        }
        for _ in 0..40 {
            run.tick(Direction::ToEthereum).await;
            run.shared.lock().step(300, 300);
        }
        {
            let rows = run.rows();
            let aside = rows.set_asides(Direction::ToEthereum, 10).await.unwrap();
            let sequences: Vec<_> = aside.iter().map(|one| one.sequence).collect();
            assert_eq!(sequences, [7, 14]);
            assert!(
                aside
                    .iter()
                    .all(|one| one.reason.contains("it is held until"))
            );
            let world = run.shared.lock();
            assert_eq!(world.ethereum.head().bridge.receipts.len(), 12);
            // Nothing is tried again before its time.
            assert_eq!(world.ethereum.batches, [14]);
        }
        run.finish().await;
        run.check();
        assert_eq!(run.shared.lock().ethereum.batches, [14, 2]);
    });
}

#[test]
fn a_packet_that_an_endpoint_made_up_is_found_again() {
    block_on(async {
        let mut run = Run::new(8, Trouble::default(), Setup::of(128));
        {
            let mut world = run.shared.lock();
            let deadline = world.now_s() + 1_000_000;
            for _ in 0..5 {
                world.native.bridge.transfer(NATIVE, ETHEREUM, deadline);
                let head = world.ethereum.head_mut();
                head.bridge.transfer(ETHEREUM, NATIVE, deadline);
            }
            world.lies = 2;
        }
        run.finish().await;
        run.check();
        assert_eq!(run.shared.lock().lies, 0, "nobody lied");
    });
}
