//! What all validators of a run have made final, and the first thing that must not be.
//!
//! Every final block is entered as its validator reports it, so a fork is found when it happens.

use crate::{error::Failure, ethereum::truth};
use mileverse_consensus::block::{Block, next_epoch};
use mileverse_execution::NextEpoch;
use mileverse_primitives::{B256, header::Header};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A final block as one validator saw it.
#[derive(Clone, Debug)]
pub struct Final {
    /// Its header.
    pub header: Header,
    /// Its digest.
    pub digest: B256,
    /// Transactions in it.
    pub transactions: u64,
    /// When its leader made it.
    pub made: Duration,
    /// When this validator had executed and indexed it.
    pub at: Duration,
}

impl Final {
    /// When its leader made it.
    pub const fn proposed(&self) -> Duration {
        self.made
    }
}

#[derive(Default)]
struct Entries {
    chain: BTreeMap<u64, (usize, B256)>,
    finals: BTreeMap<usize, BTreeMap<u64, Final>>,
    epochs: BTreeMap<u64, NextEpoch>,
    failure: Option<Failure>,
}

/// The ledger; clones share it.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Entries>>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A validator reports a final block; `begins` is the run's start, since 1970.
    pub fn enter(&self, validator: usize, block: &Block, begins: Duration, at: Duration) {
        let header = block.header.clone();
        let (height, digest) = (header.height, header.digest());
        let mut entries = self.lock();
        let (one, first) = *entries.chain.entry(height).or_insert((validator, digest));
        if first != digest {
            entries.failure.get_or_insert(Failure::Fork {
                height,
                one,
                other: validator,
            });
        }
        if let Some(checkpoint) = header.checkpoint
            && checkpoint != truth(checkpoint.number)
        {
            entries.failure.get_or_insert(Failure::Wrong {
                height,
                reason: "a lie about Ethereum is final".into(),
            });
        }
        if let Some(info) = block.opens() {
            let next = next_epoch(info);
            entries.epochs.entry(next.epoch).or_insert(next);
        }
        let made = Duration::from_millis(header.timestamp_ms).saturating_sub(begins);
        let found = Final {
            made,
            header,
            digest,
            transactions: block.transactions.len() as u64,
            at,
        };
        entries
            .finals
            .entry(validator)
            .or_default()
            .entry(height)
            .or_insert(found);
    }

    /// Something went wrong; the first failure stays.
    pub fn fail(&self, failure: Failure) {
        self.lock().failure.get_or_insert(failure);
    }

    /// The first failure, once.
    pub fn take_failure(&self) -> Option<Failure> {
        self.lock().failure.take()
    }

    /// How high a validator is.
    pub fn height(&self, validator: usize) -> u64 {
        self.lock()
            .finals
            .get(&validator)
            .and_then(|finals| finals.last_key_value())
            .map_or(0, |(height, _)| *height)
    }

    /// How high the highest is.
    pub fn highest(&self) -> u64 {
        self.lock()
            .chain
            .last_key_value()
            .map_or(0, |(height, _)| *height)
    }

    /// Every epoch that a final block opened.
    pub fn epochs(&self) -> BTreeMap<u64, NextEpoch> {
        self.lock().epochs.clone()
    }

    /// Everything, by validator and height.
    pub fn finals(&self) -> BTreeMap<usize, BTreeMap<u64, Final>> {
        self.lock().finals.clone()
    }
}
