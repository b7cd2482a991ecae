//! The gateway end to end: real HTTP on loopback, the real sandbox airline, a fake chain.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod bad_input;
mod configuration;
mod crash;
mod document;
mod faults;
mod journey;
mod support;
