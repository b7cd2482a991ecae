//! The closed circle in which a ceremony talks.
//!
//! The validators' network connects more than the players of a ceremony: today's delegates, the
//! players after next, followers. The engine hears its players only, and what it blocks goes
//! unheard by it, while the connection stays up for the living chain.

use crate::block::PublicKey;
use commonware_actor::Feedback;
use commonware_p2p::{
    BlockedSubscription, Blocker, Manager, Message, PeerSetSubscription, PeerSetUpdate, Provider,
    Receiver, TrackedPeers,
};
use commonware_utils::{
    NZUsize,
    channel::{mpsc, ring},
    ordered::{Quorum as _, Set},
    sync::Mutex,
};
use std::{collections::BTreeSet, num::NonZeroUsize, sync::Arc};

/// The players of one ceremony, and those of them that misbehaved.
#[derive(Clone, Debug)]
pub struct Circle {
    players: Set<PublicKey>,
    blocked: Arc<Mutex<BTreeSet<PublicKey>>>,
    /// Held, because an engine whose subscription closes stops.
    subscriptions: Arc<Mutex<Vec<mpsc::UnboundedSender<PeerSetUpdate<PublicKey>>>>>,
}

impl Circle {
    /// A circle of `players`.
    pub fn new(players: Set<PublicKey>) -> Self {
        Self {
            players,
            blocked: Arc::default(),
            subscriptions: Arc::default(),
        }
    }

    /// Whether `peer` is heard.
    fn hears(&self, peer: &PublicKey) -> bool {
        self.players.index(peer).is_some() && !self.blocked.lock().contains(peer)
    }

    fn tracked(&self) -> TrackedPeers<PublicKey> {
        TrackedPeers::new(self.players.clone(), Set::default())
    }

    /// Hears only this circle on `inner`.
    pub fn guard<R>(&self, inner: R) -> Guarded<R> {
        Guarded {
            inner,
            circle: self.clone(),
        }
    }
}

impl Provider for Circle {
    type PublicKey = PublicKey;

    async fn peer_set(&mut self, id: u64) -> Option<TrackedPeers<PublicKey>> {
        (id == 0).then(|| self.tracked())
    }

    async fn subscribe(&mut self) -> PeerSetSubscription<PublicKey> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let _ = sender.send(PeerSetUpdate {
            index: 0,
            latest: self.tracked(),
            all: self.tracked(),
        });
        self.subscriptions.lock().push(sender);
        receiver
    }
}

impl Manager for Circle {
    /// The living chain connects the players already.
    fn track<R>(&mut self, _: u64, _: R) -> Feedback
    where
        R: Into<TrackedPeers<PublicKey>> + Send,
    {
        Feedback::Ok
    }
}

impl Blocker for Circle {
    type PublicKey = PublicKey;

    fn block(&mut self, peer: PublicKey) -> Feedback {
        tracing::warn!(%peer, "a player broke the rules of a key rotation and is not heard in it any more");
        self.blocked.lock().insert(peer);
        Feedback::Ok
    }

    /// Closed at once: nobody has to be told who is unheard.
    fn blocked(&mut self) -> BlockedSubscription<PublicKey> {
        ring::channel(NZUsize!(1)).1
    }
}

/// A receiver that drops what comes from outside a [`Circle`].
#[derive(Debug)]
pub struct Guarded<R> {
    inner: R,
    circle: Circle,
}

impl<R: Receiver<PublicKey = PublicKey>> Receiver for Guarded<R> {
    type Error = R::Error;
    type PublicKey = PublicKey;

    async fn recv(&mut self) -> Result<Message<PublicKey>, R::Error> {
        loop {
            let message = self.inner.recv().await?;
            if self.circle.hears(&message.0) {
                return Ok(message);
            }
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        self.inner.capacity()
    }
}
