//! Which peers this node talks to.
//!
//! Each epoch's [`EpochInfo`](crate::block::EpochInfo) names its delegates, players and next
//! players with their addresses; those are the peers of the epoch. Beside them stand *guests*, whom
//! the operator's configuration names: candidates that are not elected yet, followers, or members
//! that this machine must reach at another address than the public one. Guests receive what is
//! broadcast and may ask for blocks; they have no vote.

use crate::block::{Directory, PublicKey};
use commonware_consensus::types::Epoch;
use commonware_glue::dkg::network::{Manager, MissingAddress};
use commonware_p2p::{
    Address, AddressableManager, AddressableTrackedPeers, PeerSetSubscription, Provider,
    TrackedPeers,
};
use commonware_utils::ordered::{Map, Set};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Most guests.
pub const MAX_GUESTS: usize = 128;

/// The peers of each epoch, and the guests.
#[derive(Clone)]
pub struct Peers<M> {
    inner: M,
    guests: Arc<BTreeMap<PublicKey, Address>>,
}

impl<M> Peers<M> {
    /// Activates peers on `inner`; `guests` beyond [`MAX_GUESTS`] are left out.
    pub fn new(inner: M, guests: impl IntoIterator<Item = (PublicKey, Address)>) -> Self {
        Self {
            inner,
            guests: Arc::new(guests.into_iter().take(MAX_GUESTS).collect()),
        }
    }
}

impl<M> fmt::Debug for Peers<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers")
            .field("guests", &self.guests.len())
            .finish_non_exhaustive()
    }
}

impl<M: AddressableManager<PublicKey = PublicKey>> Provider for Peers<M> {
    type PublicKey = PublicKey;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<PublicKey>> {
        self.inner.peer_set(id).await
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<PublicKey> {
        self.inner.subscribe().await
    }
}

impl<M: AddressableManager<PublicKey = PublicKey>> Manager for Peers<M> {
    type Directory = Directory;
    type Error = MissingAddress<PublicKey>;

    fn track(
        &mut self,
        epoch: Epoch,
        peers: TrackedPeers<PublicKey>,
        directory: &Directory,
    ) -> Result<(), Self::Error> {
        let address = |key: &PublicKey| {
            self.guests
                .get(key)
                .or_else(|| directory.get(key))
                .cloned()
                .map(|address| (key.clone(), address))
                .ok_or_else(|| MissingAddress(key.clone()))
        };
        let resolve =
            |keys: &Set<PublicKey>| keys.iter().map(address).collect::<Result<Vec<_>, _>>();
        let primary = Map::from_iter_dedup(resolve(&peers.primary)?);
        let mut secondary = resolve(&peers.secondary)?;
        secondary.extend(
            self.guests
                .iter()
                .map(|(key, address)| (key.clone(), address.clone())),
        );
        let peers = AddressableTrackedPeers::new(primary, Map::from_iter_dedup(secondary));
        let _ = self.inner.track(epoch.get(), peers);
        Ok(())
    }
}
