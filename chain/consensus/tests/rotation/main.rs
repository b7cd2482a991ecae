//! Rotation to a new group key: its parts alone, and its rules. Whole nets
//! rotate in `simulation`. A failure
//! names its seed.
//!
//! `MILEVERSE_SEEDS=100 cargo test --release -p mileverse-consensus --test rotation` runs more.

#![recursion_limit = "512"]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ceremony;
mod rules;

use commonware_utils::NZU32;
use std::num::NonZeroU32;

const CHAIN_ID: u64 = 77_771;
const EPOCH: u64 = 5;
const MOST: NonZeroU32 = NZU32!(16);

fn seeds() -> u64 {
    std::env::var("MILEVERSE_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(2)
}
