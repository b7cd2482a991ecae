//! The quarterly rewards: random histories against a naive recomputation from a full copy of the
//! state, and the rules one by one.
//!
//! `MILEVERSE_SEEDS=1000 cargo test --release -p mileverse-execution --test it rewards` runs more
//! histories, `MILEVERSE_SEED` a single one; a failing seed prints the command that replays it.

mod events;
mod naive;
mod rules;
mod story;

use naive::Fault;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};
use story::{Difference, Story, World};

const QUARTERS: u64 = 8;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// One history; where the chain and the naive recomputation differ, if they do.
fn run(seed: u64, fault: Option<Fault>) -> Result<Story, Difference> {
    let mut world = World::new(seed, fault);
    // Some histories are tried the other ways, too: built, and by the interpreter alone.
    world.chain.thorough = seed.is_multiple_of(10) && fault.is_none();
    for _ in 0..QUARTERS {
        world.quarter()?;
    }
    world.finish()?;
    Ok(world.story)
}

#[test]
fn every_history_pays_what_a_full_copy_says() {
    let seeds = match setting("MILEVERSE_SEED", u64::MAX) {
        u64::MAX => 0..setting("MILEVERSE_SEEDS", 30),
        one => one..one + 1,
    };
    let many = seeds.end - seeds.start >= 30;
    let started = Instant::now();
    let mut sum = Story::default();
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| run(seed, None))) {
            Ok(Ok(story)) => sum.add(&story),
            outcome => {
                let what = outcome.map_or_else(|_| "panicked".into(), Result::unwrap_err);
                panic!(
                    "seed {seed}: {what}; replay: MILEVERSE_SEED={seed} cargo test --release -p mileverse-execution --test it rewards"
                );
            }
        }
    }
    eprintln!("{sum:?} in {:?}", started.elapsed());
    // Histories in which nothing of note happened prove nothing.
    if many {
        assert!(sum.quarters > 250 && sum.together > 5 && sum.overlapping > 20);
        assert!(sum.at_epoch_ends > 3 && sum.slashed > 3 && sum.listed > 5);
        assert!(sum.minted > 20 && sum.burned > 20 && sum.short > 5);
        assert!(sum.shares > 50 && sum.refused > 5 && sum.out_of_order > 3);
        assert!(sum.carried > 20 && sum.released > 3 && sum.paid > 0);
        assert!(sum.done > sum.failed);
    }
}

/// What would go unnoticed here would go unnoticed in the chain.
#[test]
fn planted_faults_are_found() {
    for fault in [
        Fault::AfterTheBlock,
        Fault::NoStake,
        Fault::NoUnbonding,
        Fault::NoSlash,
        Fault::OneAfterAnother,
        Fault::ListWhenPaid,
        Fault::NoDust,
        Fault::LostDust,
        Fault::RoundedUp,
        Fault::LostRemainder,
        Fault::Spread,
    ] {
        let found = (0..60).find(|seed| run(*seed, Some(fault)).is_err());
        assert!(found.is_some(), "{fault:?} is not found");
    }
}
