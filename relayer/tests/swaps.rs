//! What the relayer promises of hashed-timelock swaps, tried in a simulated world: every swap comes to one
//! end; a secret that was shown in good time is used for every open swap under its lock; nothing is sent for
//! what is not open.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::missing_docs_in_private_items,
    missing_docs
)]

mod swapping;

use mileverse_primitives::{Address, B256, U256};
use mileverse_relayer::{
    chain::End,
    rules::Rules,
    store::{Lane, SwapCounts},
};
use mileverse_wallet::timelock::{State, Terms, lock_of};
use std::future::Future;
use swapping::{
    Action, Trouble,
    run::{ENDS, Run, Setup, people, storm},
};

/// All of it.
const TROUBLE: Trouble = Trouble {
    lost_question: 20,
    lost_answer: 20,
    crash: 5,
    hidden: 100,
    made_up: 20,
    late: 50,
    wrong_state: 15,
    wrong_nonce: 10,
    vanish: 50,
    take_back: 80,
    rival: 60,
    poison: 30,
};

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

/// Storms from these seeds; they must have tried something.
async fn storms(seeds: std::ops::Range<u64>, trouble: Trouble, lose: bool) {
    let (mut claimed, mut refunded) = (0, 0);
    for seed in seeds {
        let had_to = storm(seed, trouble, lose).await;
        claimed += had_to.0;
        refunded += had_to.1;
    }
    assert!(claimed > 20 && refunded > 20, "{claimed} and {refunded}");
}

#[test]
fn every_swap_has_its_one_end_in_any_storm() {
    block_on(storms(0..12, TROUBLE, false));
}

#[test]
fn losing_the_database_loses_no_swap() {
    block_on(storms(100..106, TROUBLE, true));
}

#[test]
fn a_crash_at_every_single_call_is_survived() {
    let trouble = Trouble {
        crash: 100,
        ..Trouble::default()
    };
    block_on(storms(200..204, trouble, false));
}

/// Any seed, to look for more: `MILEVERSE_SWAPS_SEEDS=1000..1100`.
#[test]
fn more_seeds_if_they_are_asked_for() {
    let Ok(seeds) = std::env::var("MILEVERSE_SWAPS_SEEDS") else {
        return;
    };
    let (from, to) = seeds.split_once("..").unwrap();
    block_on(storms(
        from.parse().unwrap()..to.parse().unwrap(),
        TROUBLE,
        true,
    ));
}

fn secret(number: u8) -> B256 {
    B256::repeat_byte(number)
}

/// Terms under a secret, with a deadline so many seconds from now.
fn terms(run: &Run, number: u8, seconds: u64) -> Terms {
    Terms {
        token: Address::repeat_byte(1),
        amount: U256::from(5),
        opener: Address::repeat_byte(2),
        claimer: Address::repeat_byte(3),
        lock: lock_of(secret(number)),
        deadline: run.shared.lock().now_ms / 1_000 + seconds,
    }
}

async fn counts(run: &Run, end: End) -> SwapCounts {
    let now = run.shared.lock().now_ms;
    run.rows().swap_counts(end, now).await.unwrap()
}

fn state(run: &Run, end: End, terms: &Terms) -> State {
    run.shared.lock().chain(end).state(terms)
}

/// Transactions of the relayer in blocks, and those that were refused there.
fn counted(run: &Run) -> [(usize, usize); 2] {
    ENDS.map(|end| run.shared.lock().chain(end).counted)
}

/// So many looks of both workers, each after a block.
async fn rounds(run: &mut Run, rounds: usize, step_ms: u64) {
    for _ in 0..rounds {
        run.shared.lock().step(step_ms, step_ms);
        run.tick_both().await;
    }
}

#[test]
fn a_quiet_world_takes_one_transaction_for_each_swap() {
    block_on(async {
        for (keys, in_flight) in [(1, 1), (1, 4), (3, 2)] {
            let setup = Setup {
                keys,
                in_flight,
                ..Setup::default()
            };
            quiet(Run::new(1, Trouble::default(), setup)).await;
        }
    });
}

/// Twenty are claimed on Ethereum by their owners, the relayer does the other half of each; ten are never
/// claimed, and are refunded.
async fn quiet(mut run: Run) {
    for number in 1..=30 {
        let (far, near) = (terms(&run, number, 5_000), terms(&run, number, 4_000));
        people(&run, End::Native, Action::Open(far));
        people(&run, End::Ethereum, Action::Open(near));
        if number <= 20 {
            let at = run.shared.lock().now_ms + 60_000;
            let claim = Action::Claim(near, secret(number));
            run.shared.lock().agenda.push((at, End::Ethereum, claim));
        }
    }
    run.finish().await;
    assert_eq!(run.check().1, 20);
    // Those on the native chain, and of those on Ethereum the ones that nobody claimed.
    assert_eq!(counted(&run), [(30, 0), (10, 0)]);
    let [native, ethereum] = [
        counts(&run, End::Native).await,
        counts(&run, End::Ethereum).await,
    ];
    assert_eq!((native.claimed, native.refunded), (20, 10));
    assert_eq!((ethereum.claimed, ethereum.refunded), (20, 10));
}

#[test]
fn a_secret_is_used_at_once_on_both_chains() {
    block_on(async {
        for shown_on in ENDS {
            let mut run = Run::new(2, Trouble::default(), Setup::default());
            let swaps: Vec<_> = [(End::Native, 900), (End::Ethereum, 900), (shown_on, 901)]
                .map(|(end, seconds)| (end, terms(&run, 1, seconds)))
                .into();
            for (end, terms) in &swaps {
                people(&run, *end, Action::Open(*terms));
            }
            rounds(&mut run, 10, 1_000).await;
            assert_eq!(counted(&run), [(0, 0), (0, 0)], "nothing is known yet");
            people(&run, shown_on, Action::Claim(swaps[2].1, secret(1)));
            rounds(&mut run, 60, 1_000).await;
            for (end, terms) in &swaps {
                assert_eq!(state(&run, *end, terms), State::Claimed, "{end:?}");
            }
            run.finish().await;
            run.check();
        }
    });
}

#[test]
fn a_secret_stays_known_when_its_block_is_taken_back() {
    block_on(async {
        let mut run = Run::new(3, Trouble::default(), Setup::default());
        let (far, near) = (terms(&run, 1, 2_000), terms(&run, 1, 1_000));
        people(&run, End::Native, Action::Open(far));
        people(&run, End::Ethereum, Action::Open(near));
        rounds(&mut run, 20, 1_000).await;
        {
            // It is in one block, which the relayer sees, and then in none.
            let mut world = run.shared.lock();
            let claim = Action::Claim(near, secret(1));
            world.ethereum.people.push(claim);
            world.block(End::Ethereum);
        }
        // Only the search, before anything else is done on the other chain.
        run.tick(End::Ethereum).await;
        {
            let mut world = run.shared.lock();
            world.ethereum.blocks.pop();
            assert_eq!(world.ethereum.state(&near), State::Open);
        }
        run.stop().await;
        rounds(&mut run, 120, 1_000).await;
        assert_eq!(state(&run, End::Native, &far), State::Claimed);
        assert_eq!(state(&run, End::Ethereum, &near), State::Claimed);
        run.finish().await;
    });
}

#[test]
fn what_a_reorganisation_brings_is_read_at_once() {
    block_on(async {
        let mut run = Run::new(11, Trouble::default(), Setup::default());
        rounds(&mut run, 10, 1_000).await;
        let swap = terms(&run, 1, 500);
        {
            let mut world = run.shared.lock();
            for _ in 0..3 {
                world.block(End::Ethereum);
            }
        }
        run.tick(End::Ethereum).await;
        {
            // The same numbers again, and in the first of them a swap. No time has passed.
            let mut world = run.shared.lock();
            let kept = world.ethereum.blocks.len() - 3;
            world.ethereum.blocks.truncate(kept);
            world.ethereum.people.push(Action::Open(swap));
            for _ in 0..3 {
                world.block(End::Ethereum);
            }
        }
        run.tick(End::Ethereum).await;
        assert_eq!(counts(&run, End::Ethereum).await.open, 1);
        // And the other way round: what no block holds any more is forgotten when that is final.
        {
            let mut world = run.shared.lock();
            let kept = world.ethereum.blocks.len() - 3;
            world.ethereum.blocks.truncate(kept);
            for _ in 0..2 {
                world.block(End::Ethereum);
            }
        }
        run.tick(End::Ethereum).await;
        assert_eq!(counts(&run, End::Ethereum).await.open, 1, "not final yet");
        rounds(&mut run, 90, 1_000).await;
        assert_eq!(counts(&run, End::Ethereum).await.open, 0);
        run.finish().await;
        assert_eq!(counted(&run), [(0, 0), (0, 0)]);
    });
}

#[test]
fn an_end_that_is_taken_back_is_no_end() {
    block_on(async {
        let mut run = Run::new(12, Trouble::default(), Setup::default());
        let swap = terms(&run, 1, 300);
        people(&run, End::Ethereum, Action::Open(swap));
        rounds(&mut run, 30, 1_000).await;
        {
            let mut world = run.shared.lock();
            let claim = Action::Claim(swap, secret(1));
            world.ethereum.people.push(claim);
            world.block(End::Ethereum);
        }
        run.tick(End::Ethereum).await;
        let seen = counts(&run, End::Ethereum).await;
        assert_eq!((seen.open, seen.settling, seen.claimed), (0, 1, 0));
        {
            let mut world = run.shared.lock();
            world.ethereum.blocks.pop();
            assert_eq!(world.ethereum.state(&swap), State::Open);
        }
        run.finish().await;
        assert_eq!(state(&run, End::Ethereum, &swap), State::Claimed);
        assert_eq!(counts(&run, End::Ethereum).await.claimed, 1);
    });
}

#[test]
fn what_an_endpoint_hides_is_found_in_time() {
    block_on(async {
        let mut run = Run::new(4, Trouble::default(), Setup::default());
        let (far, near) = (terms(&run, 1, 4_000), terms(&run, 1, 3_000));
        people(&run, End::Native, Action::Open(far));
        people(&run, End::Ethereum, Action::Open(near));
        rounds(&mut run, 20, 1_000).await;
        // The claim is hidden for longer than its block is read again.
        let now = run.shared.lock().now_ms;
        run.shared.lock().masked_from = Some(now + 1);
        people(&run, End::Ethereum, Action::Claim(near, secret(1)));
        rounds(&mut run, 60, 1_000).await;
        assert_eq!(state(&run, End::Native, &far), State::Open);
        let known = counts(&run, End::Ethereum).await;
        assert_eq!(known.open, 1, "not done while its secret is wanted");
        // So is another swap, which the relayer has never seen.
        let unseen = terms(&run, 2, 2_000);
        people(&run, End::Native, Action::Open(unseen));
        rounds(&mut run, 60, 1_000).await;
        run.shared.lock().masked_from = None;
        rounds(&mut run, 120, 1_000).await;
        assert_eq!(state(&run, End::Native, &far), State::Claimed);
        assert_eq!(
            counts(&run, End::Native).await.waiting,
            1,
            "the sweep saw it"
        );
        run.finish().await;
        assert_eq!(state(&run, End::Native, &unseen), State::Refunded);
    });
}

#[test]
fn the_nearest_deadline_goes_first() {
    block_on(async {
        let mut run = Run::new(5, Trouble::default(), Setup::default());
        let all: Vec<_> = (1..=12)
            .map(|number| terms(&run, number, 2_000 - 50 * u64::from(number)))
            .collect();
        for terms in &all {
            people(&run, End::Native, Action::Open(*terms));
            people(&run, End::Ethereum, Action::Open(*terms));
        }
        rounds(&mut run, 10, 1_000).await;
        for (number, terms) in (1..).zip(&all) {
            people(&run, End::Native, Action::Claim(*terms, secret(number)));
        }
        // One key, one transaction at a time: in the order of their deadlines.
        let mut order = Vec::new();
        for _ in 0..400 {
            rounds(&mut run, 1, 1_000).await;
            for (place, terms) in all.iter().enumerate() {
                if state(&run, End::Ethereum, terms) == State::Claimed && !order.contains(&place) {
                    order.push(place);
                }
            }
        }
        assert_eq!(order, (0..12).rev().collect::<Vec<_>>());
        run.finish().await;
    });
}

#[test]
fn a_token_that_refuses_holds_up_nobody() {
    block_on(async {
        let mut run = Run::new(6, Trouble::default(), Setup::default());
        let bad = terms(&run, 1, 1_000);
        let good: Vec<_> = (2..8).map(|number| terms(&run, number, 1_500)).collect();
        for terms in good.iter().chain([&bad]) {
            people(&run, End::Native, Action::Open(*terms));
            people(&run, End::Ethereum, Action::Open(*terms));
        }
        rounds(&mut run, 3, 1_000).await;
        for (number, terms) in (1..).zip([&bad].into_iter().chain(&good)) {
            people(&run, End::Native, Action::Claim(*terms, secret(number)));
        }
        let id = run.shared.lock().ethereum.id(&bad);
        for _ in 0..200 {
            // Refused in what the endpoints say; never sent.
            run.shared.lock().ethereum.poisoned.insert(id);
            run.tick_both().await;
            run.shared.lock().step(1_000, 1_000);
        }
        for terms in &good {
            assert_eq!(state(&run, End::Ethereum, terms), State::Claimed);
        }
        let aside = run.rows().swap_asides(End::Ethereum, 5).await.unwrap();
        assert_eq!(aside.len(), 1);
        assert_eq!(
            (aside[0].id, aside[0].reason.as_str()),
            (id, "the token refuses")
        );
        assert!(aside[0].attempts >= 2);
        run.finish().await;
        run.check();
    });
}

#[test]
fn what_another_relayer_claimed_is_not_tried() {
    block_on(async {
        let mut run = Run::new(7, Trouble::default(), Setup::default());
        let (far, near) = (terms(&run, 1, 2_000), terms(&run, 1, 1_000));
        people(&run, End::Native, Action::Open(far));
        people(&run, End::Ethereum, Action::Open(near));
        rounds(&mut run, 5, 1_000).await;
        // Both halves are claimed before the relayer looks again.
        people(&run, End::Native, Action::Claim(far, secret(1)));
        people(&run, End::Ethereum, Action::Claim(near, secret(1)));
        for end in ENDS {
            run.shared.lock().block(end);
        }
        run.finish().await;
        assert_eq!(counted(&run), [(0, 0), (0, 0)]);
        assert_eq!(counts(&run, End::Native).await.claimed, 1);
        assert_eq!(counts(&run, End::Ethereum).await.claimed, 1);
    });
}

#[test]
fn what_the_rules_pass_over_is_left_to_others() {
    block_on(async {
        let setup = Setup {
            rules: Rules {
                allow_tokens: vec![Address::repeat_byte(9)],
                ..Rules::default()
            },
            ..Setup::default()
        };
        let mut run = Run::new(8, Trouble::default(), setup);
        let passed = terms(&run, 1, 100);
        let taken = Terms {
            token: Address::repeat_byte(9),
            ..passed
        };
        for terms in [passed, taken] {
            people(&run, End::Native, Action::Open(terms));
        }
        rounds(&mut run, 200, 1_000).await;
        assert_eq!(state(&run, End::Native, &passed), State::Open);
        assert_eq!(state(&run, End::Native, &taken), State::Refunded);
        // The secret of what is passed over counts for the rest.
        let other = Terms {
            deadline: run.shared.lock().now_ms / 1_000 + 500,
            ..passed
        };
        let mine = Terms {
            token: Address::repeat_byte(9),
            ..other
        };
        people(&run, End::Native, Action::Open(other));
        people(&run, End::Ethereum, Action::Open(mine));
        rounds(&mut run, 5, 1_000).await;
        people(&run, End::Native, Action::Claim(other, secret(1)));
        rounds(&mut run, 60, 1_000).await;
        assert_eq!(state(&run, End::Ethereum, &mine), State::Claimed);
        // With other rules the sweep finds what was passed over.
        run.stop().await;
        run.setup.rules = Rules::default();
        run.finish().await;
        run.check();
    });
}

#[test]
fn gas_on_the_native_chain_costs_what_the_chain_asks() {
    block_on(async {
        let mut run = Run::new(9, Trouble::default(), Setup::default());
        for price in [0, 7] {
            run.shared.lock().native.price = price;
            let swap = terms(&run, 1, 2);
            people(&run, End::Native, Action::Open(swap));
            while run.shared.lock().native.pool.is_empty() {
                run.shared.lock().step(1_000, 1_000);
                run.tick(End::Native).await;
            }
            assert_eq!(run.shared.lock().native.pool[0].max_fee, price);
            run.finish().await;
        }
        let signed = run.rows().signed(Lane::Swaps(End::Native)).await.unwrap();
        assert_eq!(signed, [], "forgotten once they are final");
    });
}

#[test]
fn a_price_that_rises_past_an_offer_of_nothing_strands_no_swap() {
    block_on(async {
        let mut run = Run::new(10, Trouble::default(), Setup::default());
        let swap = terms(&run, 1, 2);
        people(&run, End::Native, Action::Open(swap));
        while run.shared.lock().native.pool.is_empty() {
            run.shared.lock().step(1_000, 1_000);
            run.tick(End::Native).await;
        }
        {
            // The pool lets go of it, and gas costs something from now on.
            let mut world = run.shared.lock();
            world.native.pool.clear();
            world.native.price = 7;
        }
        run.finish().await;
        assert_eq!(state(&run, End::Native, &swap), State::Refunded);
    });
}
