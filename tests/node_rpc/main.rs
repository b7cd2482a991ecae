//! A real validator process over JSON-RPC: the clients that people use, the answers that explorers and
//! tools rely on, and clients that mean harm.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod app;
mod asking;
mod clients;
mod fees;
mod forms;
mod hostile;
mod node;
mod proofs;
mod sessions;
mod simulate;
mod wallet;
