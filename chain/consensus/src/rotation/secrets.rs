//! A ceremony's secrets, each epoch's under its own name.
//!
//! The one-shot engine calls its only epoch zero. Here that becomes the epoch of the living chain
//! in which the ceremony runs, in a store that belongs to rotations alone (the resharing actor's
//! store must not be shared with it: both would write the same names).
//!
//! The engine is never shown a stored share. It would take one as proof that its own chain ended
//! here, and stop the node if that chain's files were gone. Without it the engine goes by its
//! chain alone, and derives the same share again from the same seed and dealings.

use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    PublicKey,
    bls12381::{dkg::feldman_desmedt::DealerPrivMsg, primitives::group::Share},
    transcript::Summary,
};
use commonware_glue::dkg::SecretStore;
use std::sync::Arc;
use tokio::sync::Mutex;

/// A view of a store for the ceremony of one epoch.
pub struct CeremonySecrets<S> {
    epoch: Epoch,
    store: S,
}

impl<S> CeremonySecrets<S> {
    /// Secrets of the ceremony in `epoch`, kept in `store`.
    pub const fn new(epoch: u64, store: S) -> Self {
        Self {
            epoch: Epoch::new(epoch),
            store,
        }
    }
}

impl<S: SecretStore> SecretStore for CeremonySecrets<S> {
    async fn put_share(&mut self, _: Epoch, share: Share) {
        self.store.put_share(self.epoch, share).await;
    }

    async fn get_share(&mut self, _: Epoch) -> Option<Share> {
        None
    }

    async fn put_seed(&mut self, _: Epoch, seed: Summary) {
        self.store.put_seed(self.epoch, seed).await;
    }

    async fn get_seed(&mut self, _: Epoch) -> Option<Summary> {
        self.store.get_seed(self.epoch).await
    }

    async fn put_dealing<P: PublicKey>(&mut self, _: Epoch, dealer: P, private: DealerPrivMsg) {
        self.store.put_dealing(self.epoch, dealer, private).await;
    }

    async fn get_dealing<P: PublicKey>(&mut self, _: Epoch, dealer: &P) -> Option<DealerPrivMsg> {
        self.store.get_dealing(self.epoch, dealer).await
    }

    async fn prune(&mut self, _: Epoch) {}
}

/// One store for several users in turn; clones share it.
pub struct Shared<S>(Arc<Mutex<S>>);

impl<S> Shared<S> {
    /// Shares `store`.
    pub fn new(store: S) -> Self {
        Self(Arc::new(Mutex::new(store)))
    }
}

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: SecretStore> SecretStore for Shared<S> {
    async fn put_share(&mut self, epoch: Epoch, share: Share) {
        self.0.lock().await.put_share(epoch, share).await;
    }

    async fn get_share(&mut self, epoch: Epoch) -> Option<Share> {
        self.0.lock().await.get_share(epoch).await
    }

    async fn put_seed(&mut self, epoch: Epoch, seed: Summary) {
        self.0.lock().await.put_seed(epoch, seed).await;
    }

    async fn get_seed(&mut self, epoch: Epoch) -> Option<Summary> {
        self.0.lock().await.get_seed(epoch).await
    }

    async fn put_dealing<P: PublicKey>(&mut self, epoch: Epoch, dealer: P, private: DealerPrivMsg) {
        let mut store = self.0.lock().await;
        store.put_dealing(epoch, dealer, private).await;
    }

    async fn get_dealing<P: PublicKey>(
        &mut self,
        epoch: Epoch,
        dealer: &P,
    ) -> Option<DealerPrivMsg> {
        self.0.lock().await.get_dealing(epoch, dealer).await
    }

    async fn prune(&mut self, min: Epoch) {
        self.0.lock().await.prune(min).await;
    }
}
