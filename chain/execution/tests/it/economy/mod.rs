//! The economy of staking, simulated: a seeded crowd stakes, votes, moves, unbonds, claims, pays
//! fees, registers, retires, is down, equivocates and lies, for years of epochs, against the real
//! module through real blocks. Beside it runs a naive model that loops over every voter.
//!
//! After every epoch:
//! - coin is conserved to the unit: all wallets and the module hold what the genesis made;
//! - every account, every total, every record, every election is what the model says, exactly:
//!   the accumulator pays each voter the very units that looping over voters pays;
//! - what rounding left (carry and dust, in 2^-96 of a unit) sums up to whole units, so nothing is
//!   lost and nobody is paid from nothing;
//! - each voter's income differs from the exact fractions by less than one unit for each of its
//!   delegations, plus one for each delegation that ended and left its dust to the others;
//! - the module is solvent.
//!
//! An epoch is a day here. `MILEVERSE_SEEDS=100 cargo test --release -p mileverse-execution --test
//! it economy` runs more seeds, `MILEVERSE_EPOCHS` longer ones, `MILEVERSE_SEED` a single one; a
//! failing seed prints the command that replays it.

mod crowd;
pub mod dice;
mod model;
mod model_epoch;

use crate::{
    staking::support::{EPOCH_BLOCKS, check, totals},
    support::Chain,
};
use alloy::primitives::U256;
use crowd::Crowd;
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Instant,
};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[test]
fn years_of_epochs_pay_everybody_exactly() {
    let epochs = number("MILEVERSE_EPOCHS", 365);
    let seeds = match number("MILEVERSE_SEED", u64::MAX) {
        u64::MAX => 0..number("MILEVERSE_SEEDS", 2),
        one => one..one + 1,
    };
    let started = Instant::now();
    let mut sum = dice::Story::default();
    for seed in seeds {
        let story = catch_unwind(AssertUnwindSafe(|| run(seed, epochs)));
        match story {
            Ok(story) => sum.add(&story),
            Err(panic) => {
                eprintln!(
                    "seed {seed} failed; replay: MILEVERSE_SEED={seed} MILEVERSE_EPOCHS={epochs} cargo test --release -p mileverse-execution --test it economy"
                );
                resume_unwind(panic);
            }
        }
    }
    eprintln!("{sum:?} in {:?}", started.elapsed());
    // A story in which nothing of note happened proves nothing.
    if epochs >= 300 {
        assert!(sum.slashed > 0 && sum.jailed > 0 && sum.failed_ceremonies > 0);
        assert!(sum.refused > 100 && sum.done > sum.refused / 2 && sum.paid > 0);
    }
}

fn run(seed: u64, epochs: u64) -> dice::Story {
    let mut crowd = Crowd::new(seed);
    for epoch in 0..epochs {
        while crowd.chain.epoch() == epoch {
            crowd.block();
        }
        crowd.compare();
    }
    crowd.story
}

/// All coin that there is: what the users have and what the module has.
fn coin(chain: &Chain) -> U256 {
    let users = chain.users.iter().map(|user| user.address());
    users
        .chain([mileverse_primitives::address::STAKING])
        .map(|address| chain.account(address).balance)
        .sum()
}
