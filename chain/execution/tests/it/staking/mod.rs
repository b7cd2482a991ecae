//! Staking through the executor: candidates, votes, rewards, elections, slashing, refusals.

mod elections;
pub mod evidence;
mod records;
mod refusals;
mod rewards;
mod stakes;
pub mod support;
