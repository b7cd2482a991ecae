//! Balances, nonces, code and storage after a block.

use crate::{
    arguments::Arguments,
    context::Context,
    failure, find,
    limits::MAX_STORAGE_VALUES,
    reads::StateAt,
    register::{Answer, slow},
};
use alloy::{eips::BlockId, primitives::U64};
use jsonrpsee::{RpcModule, core::RegisterMethodError};
use mileverse_execution::{Account, state};
use mileverse_primitives::{Address, B256, Bytes, U256};
use std::{collections::BTreeMap, sync::Arc};

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    slow(module, "eth_getBalance", balance)?;
    slow(module, "eth_getTransactionCount", nonce)?;
    slow(module, "eth_getCode", code)?;
    slow(module, "eth_getStorageAt", storage)?;
    slow(module, "eth_getStorageValues", storages)
}

/// The state that is meant; the newest if none is named.
fn state_at(context: &Context, id: Option<BlockId>) -> Answer<StateAt> {
    let height = find::state(context, id)?;
    context.reads.at(height).map_err(failure::index)
}

async fn account(state: &StateAt, address: Address) -> Answer<Account> {
    let found = state::account(state, address).await;
    Ok(found
        .map_err(|error| failure::internal(&error))?
        .unwrap_or_default())
}

async fn balance(context: Arc<Context>, mut arguments: Arguments) -> Answer<U256> {
    let address = arguments.next()?;
    let state = state_at(&context, arguments.optional()?)?;
    Ok(account(&state, address).await?.balance)
}

async fn nonce(context: Arc<Context>, mut arguments: Arguments) -> Answer<U64> {
    let (address, id) = (arguments.next()?, arguments.optional()?);
    let nonce = account(&state_at(&context, id)?, address).await?.nonce;
    Ok(U64::from(if id == Some(BlockId::pending()) {
        context.admission.mempool.next_nonce(address, nonce)
    } else {
        nonce
    }))
}

async fn code(context: Arc<Context>, mut arguments: Arguments) -> Answer<Bytes> {
    let address = arguments.next()?;
    let state = state_at(&context, arguments.optional()?)?;
    let hash = account(&state, address).await?.code_hash;
    let code = state::code(&state, hash).await;
    code.map_err(|error| failure::internal(&error))
}

async fn storage(context: Arc<Context>, mut arguments: Arguments) -> Answer<B256> {
    let (address, slot) = (arguments.next()?, arguments.next()?);
    let state = state_at(&context, arguments.optional()?)?;
    let word = state::storage(&state, address, slot).await;
    Ok(word.map_err(|error| failure::internal(&error))?.into())
}

/// Words of several accounts, in the order in which each account's are named.
async fn storages(
    context: Arc<Context>,
    mut arguments: Arguments,
) -> Answer<BTreeMap<Address, Vec<B256>>> {
    let asked: BTreeMap<Address, Vec<U256>> = arguments.next()?;
    let count: usize = asked.values().map(Vec::len).sum();
    if count == 0 || count > MAX_STORAGE_VALUES {
        return Err(failure::invalid(format!(
            "name 1 to {MAX_STORAGE_VALUES} words of storage, not {count}"
        )));
    }
    let state = state_at(&context, arguments.optional()?)?;
    let mut found = BTreeMap::new();
    for (address, slots) in asked {
        let mut words = Vec::with_capacity(slots.len());
        for slot in slots {
            let word = state::storage(&state, address, slot).await;
            words.push(word.map_err(|error| failure::internal(&error))?.into());
        }
        found.insert(address, words);
    }
    Ok(found)
}
