//! Ethereum headers that the validators agreed on: the last [`KEPT`], by number.
//!
//! A block carries at most one. Its number must be above the newest's and its time not below.
//! Whether the header is real is the validators' business before they vote; here it is stored.

use super::{BRIDGE, CHECKPOINTS, LATEST_CHECKPOINT};
use crate::{
    cache::Cache,
    error::BlockError,
    modules::{
        host::{Fault, Host},
        slot::Slot,
    },
    state::{ReadError, StateReader, storage},
};
use alloy::primitives::{B256, U256};
use mileverse_primitives::checkpoint::Checkpoint;

/// How many checkpoints stay: those with different numbers modulo this.
const KEPT: u64 = 8192;

/// What a proof needs of a checkpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) state_root: B256,
    pub(super) timestamp: u64,
}

fn place(number: u64) -> Slot {
    CHECKPOINTS.entry(number % KEPT)
}

fn pack(number: u64, timestamp: u64) -> U256 {
    U256::from_limbs([number, timestamp, 0, 0])
}

const fn unpack(word: U256) -> (u64, u64) {
    let [number, timestamp, ..] = *word.as_limbs();
    (number, timestamp)
}

/// The checkpoint with this number, if it is kept.
pub(super) fn find(host: &mut Host<'_>, number: u64) -> Result<Option<Found>, Fault> {
    let place = place(number);
    let (stored, timestamp) = unpack(host.load(place)?);
    let state_root = B256::from(host.load(place.field(1))?);
    Ok(
        (stored == number && !state_root.is_zero()).then_some(Found {
            state_root,
            timestamp,
        }),
    )
}

/// Number of the newest checkpoint in committed state; 0 if there is none.
pub(crate) async fn newest(state: &impl StateReader) -> Result<u64, ReadError> {
    storage(state, BRIDGE, LATEST_CHECKPOINT.key())
        .await
        .map(|word| word.saturating_to())
}

/// Stores a block's checkpoint, at the block's start.
pub(crate) async fn apply(
    cache: &mut Cache,
    reader: &impl StateReader,
    checkpoint: &Checkpoint,
) -> Result<(), BlockError> {
    let refuse = |reason: &str| {
        Err(BlockError::Invalid(format!(
            "the checkpoint of Ethereum block {} {reason}",
            checkpoint.number
        )))
    };
    if checkpoint.hash.is_zero() || checkpoint.state_root.is_zero() {
        return refuse("has a zero hash or state root");
    }
    let latest = cache
        .load(reader, BRIDGE, LATEST_CHECKPOINT.key())
        .await?
        .saturating_to::<u64>();
    let (stored, latest_time) = unpack(cache.load(reader, BRIDGE, place(latest).key()).await?);
    if checkpoint.number <= latest {
        return refuse("is not newer than the chain's newest");
    }
    if stored == latest && checkpoint.timestamp < latest_time {
        return refuse("is earlier than the chain's newest");
    }
    let place = place(checkpoint.number);
    let words = [
        (LATEST_CHECKPOINT, U256::from(checkpoint.number)),
        (place, pack(checkpoint.number, checkpoint.timestamp)),
        (place.field(1), checkpoint.state_root.into()),
        (place.field(2), checkpoint.hash.into()),
    ];
    for (slot, word) in words {
        cache.load(reader, BRIDGE, slot.key()).await?;
        cache.store(BRIDGE, slot.key(), word);
    }
    Ok(())
}
