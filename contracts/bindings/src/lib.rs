//! The Ethereum contracts, as Rust sees them: typed calls, events and errors, and their deployment.
//!
//! Everything is made from `artifacts/*.json`, which `contracts/tools/artifacts` writes from the
//! Solidity source and checks in CI. Building this crate needs no Node.
//!
//! Each contract is a module here, because types that two contracts share (`ILightClient`'s
//! `HeaderProof`) appear once in each contract's ABI.

pub mod deploy;

mod contracts;

pub use contracts::authority::Authority;
pub use contracts::bridge::{Bridge, IBridge, ILightClient, IValves};
pub use contracts::coin::MileVerseCoin;
pub use contracts::light_client::{self, LightClient};
pub use contracts::lockup::Lockup;
pub use contracts::points::WrappedPoints;
pub use contracts::reserve::Reserve;
pub use contracts::rewards::{IQuarterlyRewards, QuarterlyRewards};
pub use contracts::swaps::HashedTimelock;
