//! `eth_`: what wallets, explorers and libraries ask.
//!
//! | file | what |
//! |---|---|
//! | `info` | the chain and this node |
//! | `fees` | what gas costs |
//! | `blocks` | blocks, headers, uncles that there never are |
//! | `state` | balances, nonces, code, storage |
//! | `calls` | calls that change nothing: `eth_call`, `eth_estimateGas`, `eth_createAccessList` |
//! | `fill` | a call made into a transaction to sign: `eth_fillTransaction` |
//! | `simulate` | calls that build on each other: `eth_simulateV1` |
//! | `transactions` | transactions and receipts; sending |
//! | `logs` | `eth_getLogs` |
//! | `filters` | the same, asked again and again |
//! | `subscribe` | the same, told as it happens |

mod blocks;
pub mod calls;
mod fees;
mod fill;
pub mod filters;
mod info;
mod logs;
mod simulate;
mod state;
mod subscribe;
mod transactions;

pub use transactions::raw_transaction;

use crate::context::Context;
use jsonrpsee::{RpcModule, core::RegisterMethodError};

/// Adds the methods.
pub fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    info::register(module)?;
    fees::register(module)?;
    blocks::register(module)?;
    state::register(module)?;
    calls::register(module)?;
    fill::register(module)?;
    simulate::register(module)?;
    transactions::register(module)?;
    logs::register(module)?;
    filters::register(module)?;
    subscribe::register(module)
}
