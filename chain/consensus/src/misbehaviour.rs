//! How often each peer sent what no honest node sends.
//!
//! A few such messages are dropped and counted; at [`PATIENCE`] the peer is blocked: the network
//! cuts it off until this node restarts. Only what an honest node can never send counts, whatever
//! the state of its network and its disk: bytes that do not decode, signatures that do not verify,
//! words in another's name. Late, early and repeated messages do not.

use crate::block::PublicKey;
use commonware_p2p::Blocker;
use std::collections::BTreeMap;

/// Messages that a peer may get wrong before it is blocked.
pub const PATIENCE: u32 = 4;
/// Most peers remembered; more than any committee and its candidates.
const MAX_PEERS: usize = 1024;

/// The count of each peer.
#[derive(Debug)]
pub struct Misbehaviour<B> {
    blocker: B,
    counts: BTreeMap<PublicKey, u32>,
}

impl<B: Blocker<PublicKey = PublicKey>> Misbehaviour<B> {
    /// Nobody misbehaved yet.
    pub const fn new(blocker: B) -> Self {
        Self {
            blocker,
            counts: BTreeMap::new(),
        }
    }

    /// Whether the peer was blocked; what it sent before that took effect is not read.
    pub fn is_blocked(&self, peer: &PublicKey) -> bool {
        self.counts
            .get(peer)
            .is_some_and(|count| *count >= PATIENCE)
    }

    /// Counts one, and blocks the peer when it was one too many.
    pub fn count(&mut self, peer: &PublicKey, what: &'static str) {
        if self.counts.len() >= MAX_PEERS && !self.counts.contains_key(peer) {
            self.counts.retain(|_, count| *count >= PATIENCE);
            if self.counts.len() >= MAX_PEERS {
                self.counts.clear();
            }
        }
        let count = self.counts.entry(peer.clone()).or_default();
        *count = count.saturating_add(1);
        tracing::warn!(%peer, what, count = *count, "a peer sent what no honest node sends");
        if *count == PATIENCE {
            tracing::error!(%peer, what, "the peer is blocked until this node restarts");
            let _ = self.blocker.block(peer.clone());
        }
    }
}
