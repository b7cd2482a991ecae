//! Both chains and the relayer as real processes: four validators, anvil with the real contracts,
//! and `mileverse relayer run`.
//!
//! ```txt
//! process   a child that can be killed at any moment
//! net       the network: keys, genesis, contracts, validators, relayer, proxies before every endpoint
//! load      members who send, and what became of each of their transfers
//! swaps     what members swap, on the native chain and across the chains
//! ledger    what everybody must have at the end, from what was signed and what became of it
//! storm     transfers and swaps both ways while lines fail, endpoints lie, blocks are taken back, and processes die
//! held      large transfers: released by the relayer, or stopped by the guardian and refunded
//! peers     two native chains without Ethereum: points there and back, an expiry, a new key, relayers that die
//! quarter   a quarter's end on both chains: opened, forwarded, carried over, paid and claimed
//! timelock  trades without the bridge, by the wallet's commands and many at once, completed by the relayer
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

mod held;
mod ledger;
mod load;
mod net;
mod peers;
mod process;
mod quarter;
mod storm;
mod swaps;
mod timelock;
