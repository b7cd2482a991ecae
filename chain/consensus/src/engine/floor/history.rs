//! How the group key became what it is: the openings of all epochs that began with a new one.
//!
//! Each is certified under the key before it, so from the genesis key on they prove every other.
//! Every node keeps them for good: marshal prunes old blocks, and a node that synced never had
//! them, but new nodes ask for these openings for ever.
//!
//! ```txt
//! partition <prefix>-openings: epoch (8, big-endian) -> opening (see `opening`)
//! ```
//!
//! What is read back is proven again. From the first opening that proves nothing on they are
//! dropped and will be taken from final blocks or from peers again.

use super::opening::Opening;
use crate::engine::schemes::Schemes;
use commonware_runtime::{Clock, Metrics};
use commonware_storage::{
    Context as StorageContext,
    metadata::{self, Metadata},
};
use commonware_utils::sequence::U64;
use rand::CryptoRng;
use std::num::NonZeroU64;

/// The openings, on disk.
pub(super) struct History<E: StorageContext> {
    openings: Metadata<E, U64, Opening>,
}

fn failed(error: metadata::Error) -> String {
    format!("the history of group keys cannot be kept: {error}")
}

impl<E: StorageContext + Clock + Metrics> History<E> {
    /// Opens it and tells `schemes` of the keys.
    ///
    /// # Errors
    ///
    /// A sentence, when the disk cannot be read or written.
    pub(super) async fn open(
        context: E,
        rng: &mut impl CryptoRng,
        prefix: &str,
        schemes: &Schemes,
        epoch_blocks: NonZeroU64,
    ) -> Result<Self, String> {
        let openings: Metadata<E, U64, Opening> = Metadata::init(
            context,
            metadata::Config {
                partition: format!("{prefix}-openings"),
                codec_config: (),
            },
        )
        .await
        .map_err(failed)?;
        let mut history = Self { openings };
        let mut dropped = false;
        for epoch in history.epochs() {
            let proven = history.get(epoch).filter(|_| !dropped).and_then(|opening| {
                let verifiers = schemes.verifiers();
                let (_, before) = verifiers.range(..epoch).next_back()?;
                opening.prove(rng, before, epoch_blocks).ok()?;
                opening.key()
            });
            if let Some(key) = proven {
                schemes.learn([(epoch, key)], epoch);
            } else {
                tracing::warn!(epoch, "a stored opening proves nothing and is dropped");
                history.openings.remove(&U64::new(epoch));
                dropped = true;
            }
        }
        if dropped {
            history.openings = history.openings.sync().await.map_err(failed)?;
        }
        Ok(history)
    }

    /// The epochs whose openings are here, ascending.
    pub(super) fn epochs(&self) -> Vec<u64> {
        let mut epochs: Vec<u64> = self.openings.keys().map(u64::from).collect();
        epochs.sort_unstable();
        epochs
    }

    /// An epoch's opening, if it is here.
    pub(super) fn get(&self, epoch: u64) -> Option<&Opening> {
        self.openings.get(&U64::new(epoch))
    }

    /// Keeps proven openings; they are durable when this returns.
    ///
    /// # Errors
    ///
    /// A sentence, when the disk cannot be written.
    pub(super) async fn keep(
        mut self,
        openings: impl IntoIterator<Item = Opening>,
    ) -> Result<Self, String> {
        for opening in openings {
            if let Some(epoch) = opening.epoch() {
                self.openings.put(U64::new(epoch), opening);
            }
        }
        self.openings = self.openings.sync().await.map_err(failed)?;
        Ok(self)
    }
}
