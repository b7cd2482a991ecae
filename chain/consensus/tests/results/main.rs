//! Delegates answer for results: attestations, the watch for two headers of one view, and the
//! evidence that both find, over a simulated network with a deterministic clock.
//!
//! A failure names its seed; the same seed fails again. `MILEVERSE_SEEDS=100 cargo test --release
//! -p mileverse-consensus --test results` runs more.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attestation;
mod equivocation;
mod support;
