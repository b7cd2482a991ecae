//! A hundred seeds of nets in trouble. A failure names the command that replays it.
//!
//! `MILEVERSE_SEEDS=20` tries so many seeds of each kind instead.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mileverse_simulation::{Failure, Fault, Malice, Outcome, Scenario, find, run, run_twice};

/// Validators of the largest net that is run twice.
const MOST_TWICE: usize = 31;

/// Tries seeds of a kind, the first of them twice: it must do the very same again.
fn seeds(name: &str, count: u64) {
    let asked = std::env::var("MILEVERSE_SEEDS").ok();
    let count = asked.and_then(|asked| asked.parse().ok()).unwrap_or(count);
    let kind = find(name).unwrap();
    for seed in 0..count {
        let scenario = kind.scenario(seed, None);
        let outcome = if seed == 0 && scenario.validators <= MOST_TWICE {
            run_twice(&scenario)
        } else {
            run(&scenario, &mut |_| {})
        };
        if let Err(failure) = outcome {
            panic!("{failure}; replay: mileverse bench simulate --scenario {name} --seed {seed}");
        }
    }
}

macro_rules! kinds {
    ($($test:ident $name:literal $count:literal;)+) => {$(
        #[test]
        fn $test() {
            seeds($name, $count);
        }
    )+};
}

kinds! {
    nothing_goes_wrong "calm" 6;
    validators_crash_and_come_back "crashes" 14;
    the_net_falls_apart_and_heals "partition" 14;
    a_quarter_of_all_messages_is_lost "loss" 10;
    disks_are_slow "slow-disks" 8;
    leaders_are_silent "silent" 8;
    leaders_withhold_their_blocks "withholding" 8;
    leaders_equivocate "equivocation" 12;
    ethereum_endpoints_lie "liars" 3;
    more_endpoints_are_dead_than_can_be_spared "endpoints-down" 1;
    everything_at_once "storm" 12;
    a_third_is_replaced_at_each_epoch "replacement" 1;
    a_ceremony_fails "failed-ceremony" 1;
    validators_crash_during_ceremonies "crashes-across-epochs" 2;
    a_quarter_is_paid_across_crashes "quarter" 3;
    thirty_one_validators "thirty-one" 1;
    ninety_nine_validators "ninety-nine" 1;
}

/// The last block of each validator.
fn ends(outcome: &Outcome) -> usize {
    let mut last = outcome.last();
    last.dedup();
    last.len()
}

/// Nobody is paid twice or missed: the run itself looks at every holder.
#[test]
fn validators_are_killed_in_the_middle_of_paying() {
    let scenario = find("quarter").unwrap().scenario(7, Some(4));
    let outcome = run(&scenario, &mut |_| {}).unwrap();
    let paid = outcome.paid.expect("somebody is not paid");
    let killed = |fault: &&Fault| matches!(fault, Fault::Crash { at, .. } if (paid.closed..paid.paid).contains(at));
    assert!(
        scenario.faults.iter().filter(killed).count() > 0,
        "{paid:?}"
    );
    assert!(outcome.crashes > 0);
}

#[test]
fn another_seed_is_another_run() {
    let kind = find("crashes").unwrap();
    let one = run(&kind.scenario(1, Some(4)), &mut |_| {}).unwrap();
    let other = run(&kind.scenario(2, Some(4)), &mut |_| {}).unwrap();
    assert_ne!(one.audit, other.audit);
    assert!(one.crashes > 0);
    assert!(ends(&one) > 0);
}

#[test]
fn a_net_with_more_silent_validators_than_it_can_spare_is_seen_to_stand_still() {
    let mut scenario = Scenario::calm("too-silent", 4, 0);
    scenario.blocks = 1;
    scenario.malice = vec![(0, Malice::Silent), (1, Malice::Silent)];
    let failure = run(&scenario, &mut |_| {}).unwrap_err();
    assert!(matches!(failure, Failure::Stalled { .. }), "{failure}");
}

#[test]
fn committees_that_no_net_can_have_are_refused() {
    for validators in [0, 3, 100] {
        let failure = run(&Scenario::calm("size", validators, 0), &mut |_| {}).unwrap_err();
        assert!(matches!(failure, Failure::Setup(_)), "{failure}");
    }
}
