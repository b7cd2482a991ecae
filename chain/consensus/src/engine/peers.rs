//! Which peers this node talks to.
//!
//! Each epoch's [`EpochInfo`](crate::block::EpochInfo) names its delegates, players and next
//! players with their addresses; those are the peers of the epoch. Beside them stand *guests*:
//!
//! - those that the operator's configuration names: candidates, followers, or members that this
//!   machine must reach at another address than the public one;
//! - *visitors*, who asked to be let in over JSON-RPC: new nodes that sync and follow.
//!
//! Guests receive what is broadcast and may ask for blocks and state; they have no vote, and this
//! node does not call them. Only while it looks for a state to start from it calls those that are
//! configured: the first committee may be gone (`floor`).
//!
//! The network keeps the peers of the newest sets, and each epoch makes one. A visitor is let in by
//! another set of the same epoch; there are [`SETS`] for each, and who comes after that waits for
//! the next epoch. So visitors cannot push out the peers of earlier epochs. There are at most
//! [`MAX_GUESTS`] guests; a visitor beyond that takes the place of the one that came first.

use crate::block::{Directory, PublicKey};
use commonware_consensus::types::Epoch;
use commonware_glue::dkg::network::{Manager, MissingAddress};
use commonware_p2p::{
    Address, AddressableManager, AddressableTrackedPeers, PeerSetSubscription, Provider,
    TrackedPeers,
};
use commonware_utils::ordered::{Map, Set};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Most guests.
pub const MAX_GUESTS: usize = 32;
/// Sets of peers that one epoch may make.
pub const SETS: u64 = 2;

/// When a visitor may connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admitted {
    /// At once.
    Now,
    /// When the next epoch begins.
    NextEpoch,
}

/// The peers of each epoch, and the guests.
#[derive(Clone)]
pub struct Peers<M> {
    inner: M,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    fixed: BTreeMap<PublicKey, Address>,
    /// First come, first out.
    visitors: VecDeque<(PublicKey, Address)>,
    /// Those of them that are in no set yet.
    late: BTreeSet<PublicKey>,
    current: Option<Current>,
}

/// The newest epoch's peers.
struct Current {
    epoch: Epoch,
    primary: Map<PublicKey, Address>,
    secondary: Vec<(PublicKey, Address)>,
    /// Sets made of them so far.
    sets: u64,
}

impl Shared {
    /// The newest epoch's next set; `None` if it has had all of them.
    fn next_set(&mut self) -> Option<(u64, AddressableTrackedPeers<PublicKey>)> {
        let guests = self
            .fixed
            .iter()
            .map(|(key, address)| (key.clone(), address.clone()));
        let visitors = self.visitors.iter().cloned();
        let current = self.current.as_mut()?;
        if current.sets >= SETS {
            return None;
        }
        let id = current
            .epoch
            .get()
            .checked_mul(SETS)?
            .checked_add(current.sets)?;
        current.sets = current.sets.saturating_add(1);
        self.late.clear();
        // The first entry of a key counts.
        let secondary = current
            .secondary
            .iter()
            .cloned()
            .chain(guests)
            .chain(visitors);
        let peers =
            AddressableTrackedPeers::new(current.primary.clone(), Map::from_iter_dedup(secondary));
        Some((id, peers))
    }
}

impl<M> Peers<M> {
    /// Activates peers on `inner`; configured `guests` beyond [`MAX_GUESTS`] are left out.
    pub fn new(inner: M, guests: impl IntoIterator<Item = (PublicKey, Address)>) -> Self {
        let shared = Shared {
            fixed: guests.into_iter().take(MAX_GUESTS).collect(),
            ..Shared::default()
        };
        Self {
            inner,
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    /// The configured guests.
    pub fn named(&self) -> Set<PublicKey> {
        self.with(|shared| Set::from_iter_dedup(shared.fixed.keys().cloned()))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        act(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<M: AddressableManager<PublicKey = PublicKey>> Peers<M> {
    /// Lets a visitor in, which will connect from `address`.
    pub fn admit(&mut self, visitor: PublicKey, address: SocketAddr) -> Admitted {
        let address = Address::from(address);
        let set = self.with(|shared| {
            let known = shared.fixed.contains_key(&visitor)
                || shared
                    .visitors
                    .iter()
                    .any(|known| known.0 == visitor && known.1 == address);
            if known {
                return (!shared.late.contains(&visitor)).then_some(None);
            }
            shared.visitors.retain(|(key, _)| *key != visitor);
            let room = MAX_GUESTS.saturating_sub(shared.fixed.len());
            while !shared.visitors.is_empty() && shared.visitors.len() >= room {
                shared.visitors.pop_front();
            }
            if room > 0 {
                shared.late.insert(visitor.clone());
                shared.visitors.push_back((visitor, address));
            }
            shared.next_set().map(Some)
        });
        match set {
            // In a set already, or in the one that is made now.
            Some(set) => {
                if let Some((id, peers)) = set {
                    let _ = self.inner.track(id, peers);
                }
                Admitted::Now
            }
            None => Admitted::NextEpoch,
        }
    }
}

impl<M> fmt::Debug for Peers<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").finish_non_exhaustive()
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

#[allow(
    clippy::result_large_err,
    reason = "the error carries a key, and tracking happens once an epoch"
)]
impl<M: AddressableManager<PublicKey = PublicKey>> Manager for Peers<M> {
    type Directory = Directory;
    type Error = MissingAddress<PublicKey>;

    fn track(
        &mut self,
        epoch: Epoch,
        peers: TrackedPeers<PublicKey>,
        directory: &Directory,
    ) -> Result<(), Self::Error> {
        let set = self.with(|shared| {
            let address = |key: &PublicKey| {
                shared
                    .fixed
                    .get(key)
                    .or_else(|| directory.get(key))
                    .cloned()
                    .map(|address| (key.clone(), address))
                    .ok_or_else(|| MissingAddress(key.clone()))
            };
            let resolve =
                |keys: &Set<PublicKey>| keys.iter().map(address).collect::<Result<Vec<_>, _>>();
            let primary = Map::from_iter_dedup(resolve(&peers.primary)?);
            let secondary = resolve(&peers.secondary)?;
            // Several parts activate an epoch, and an earlier one is past.
            if shared
                .current
                .as_ref()
                .is_some_and(|current| current.epoch >= epoch)
            {
                return Ok(None);
            }
            shared.current = Some(Current {
                epoch,
                primary,
                secondary,
                sets: 0,
            });
            Ok(shared.next_set())
        })?;
        if let Some((id, peers)) = set {
            let _ = self.inner.track(id, peers);
        }
        Ok(())
    }
}
