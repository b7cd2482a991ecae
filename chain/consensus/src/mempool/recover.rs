//! A block's transactions with their senders, each recovered once on this node.
//!
//! Most transactions of a block wait in the mempool already, with their senders; they are found by
//! hash. The senders of the others are recovered on several threads, since one recovery costs more
//! than all else that is done with a transfer. Nobody sent the system transaction that a block may
//! begin with; whether it is due is for execution to say.

use super::Mempool;
use crate::stages::{self, Stage};
use bytes::Bytes;
use mileverse_execution::{Transaction, TransactionError};
use mileverse_primitives::{B256, keccak256};
use std::{num::NonZeroUsize, thread};

/// Fewest transactions that are worth a thread of their own.
const LEAST_PER_THREAD: usize = 32;

/// Reads all transactions of the block at `height`, in order.
///
/// # Errors
///
/// What is wrong with the first bad one.
pub fn all(
    raw: &[Bytes],
    chain_id: u64,
    height: u64,
    mempool: &Mempool,
) -> Result<Vec<Transaction>, TransactionError> {
    let hashes: Vec<B256> = raw.iter().map(keccak256).collect();
    let mut found = mempool.get_all(&hashes);
    let system = Transaction::system(chain_id, height);
    if let (Some(first), Some(hash)) = (found.first_mut(), hashes.first())
        && *hash == system.hash()
    {
        *first = Some(system);
    }
    let mut missing: Vec<(&Bytes, &mut Option<Transaction>)> = raw
        .iter()
        .zip(&mut found)
        .filter(|(_, found)| found.is_none())
        .collect();
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = missing.len().div_ceil(threads).max(LEAST_PER_THREAD);
    let recover = |part: &mut [(&Bytes, &mut Option<Transaction>)]| {
        stages::within(Stage::Recover, || {
            for (raw, place) in part {
                **place = Some(Transaction::decode(raw, chain_id)?);
            }
            Ok::<_, TransactionError>(())
        })
    };
    if missing.len() <= share {
        recover(&mut missing)?;
    } else {
        thread::scope(|scope| {
            let workers: Vec<_> = missing
                .chunks_mut(share)
                .map(|part| scope.spawn(move || recover(part)))
                .collect();
            // In order, so that the first bad transaction is the one that is told.
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|_| {
                    Err(TransactionError::Malformed("it could not be read".into()))
                })
            })
        })?;
    }
    // Each was found or recovered.
    Ok(found.into_iter().flatten().collect())
}
