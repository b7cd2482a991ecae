//! `net_` and `web3_`.

use crate::{context::Context, register::quick};
use alloy::primitives::U64;
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use mileverse_primitives::{Bytes, keccak256};

/// This program, as `web3_clientVersion` names it.
pub const CLIENT: &str = concat!("mileverse/v", env!("CARGO_PKG_VERSION"));

/// Adds the methods.
pub fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    quick(module, "net_version", |context, _| {
        Ok(context.genesis.chain_id.to_string())
    })?;
    quick(module, "net_listening", |_, _| Ok(true))?;
    quick(module, "net_peerCount", |context, _| {
        Ok(U64::from(context.connections.count()))
    })?;
    quick(module, "web3_clientVersion", |_, _| Ok(CLIENT))?;
    quick(module, "web3_sha3", |_, mut arguments| {
        Ok(keccak256(arguments.next::<Bytes>()?))
    })
}
