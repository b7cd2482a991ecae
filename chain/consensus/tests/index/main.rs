//! The index of final blocks, states of the past, and the decoders of what is stored and received.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod begin;
mod decoders;
mod history;
mod support;
