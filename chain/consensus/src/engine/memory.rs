//! Ceremonies' secrets in memory: for simulations, where a node's memory is its disk.

use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    PublicKey,
    bls12381::{dkg::feldman_desmedt::DealerPrivMsg, primitives::group::Share},
    transcript::Summary,
};
use commonware_glue::dkg::SecretStore;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The secrets of one node; clones share them, so they outlive a crash of the node.
#[derive(Clone, Default)]
pub struct MemorySecrets(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    shares: BTreeMap<Epoch, Share>,
    seeds: BTreeMap<Epoch, Summary>,
    dealings: BTreeMap<(Epoch, Vec<u8>), DealerPrivMsg>,
}

impl MemorySecrets {
    /// A store that holds the share of a genesis dealing, if there is one.
    pub fn new(dealt: Option<Share>) -> Self {
        let held = Held {
            shares: dealt
                .map(|share| (Epoch::zero(), share))
                .into_iter()
                .collect(),
            ..Held::default()
        };
        Self(Arc::new(Mutex::new(held)))
    }

    /// The epochs that a share is held for.
    pub fn shares(&self) -> Vec<u64> {
        self.held().shares.keys().map(|epoch| epoch.get()).collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretStore for MemorySecrets {
    async fn put_share(&mut self, epoch: Epoch, share: Share) {
        self.held().shares.insert(epoch, share);
    }

    async fn get_share(&mut self, epoch: Epoch) -> Option<Share> {
        self.held().shares.get(&epoch).cloned()
    }

    async fn put_seed(&mut self, epoch: Epoch, seed: Summary) {
        self.held().seeds.insert(epoch, seed);
    }

    async fn get_seed(&mut self, epoch: Epoch) -> Option<Summary> {
        self.held().seeds.get(&epoch).cloned()
    }

    async fn put_dealing<P: PublicKey>(&mut self, epoch: Epoch, dealer: P, private: DealerPrivMsg) {
        self.held()
            .dealings
            .insert((epoch, dealer.encode().to_vec()), private);
    }

    async fn get_dealing<P: PublicKey>(
        &mut self,
        epoch: Epoch,
        dealer: &P,
    ) -> Option<DealerPrivMsg> {
        self.held()
            .dealings
            .get(&(epoch, dealer.encode().to_vec()))
            .cloned()
    }

    async fn prune(&mut self, min: Epoch) {
        let mut held = self.held();
        held.shares.retain(|epoch, _| *epoch >= min);
        held.seeds.retain(|epoch, _| *epoch >= min);
        held.dealings.retain(|(epoch, _), _| *epoch >= min);
    }
}
