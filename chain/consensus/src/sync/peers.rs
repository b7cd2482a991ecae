//! Whom to ask: peers that are known, not blocked, not busy and not resting.
//!
//! A peer that refuses or stays silent rests, each time twice as long up to [`LONGEST_REST`], and
//! is forgiven at its next good answer. Among the rest the one with the fewest open questions is
//! asked, ties broken at random.

use super::MAX_ASKED;
use crate::block::PublicKey;
use commonware_p2p::TrackedPeers;
use commonware_utils::ordered::Set;
use rand::{Rng, seq::IndexedRandom as _};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// First rest after a failure.
const REST: Duration = Duration::from_millis(200);
/// Longest rest.
const LONGEST_REST: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Peer {
    open: usize,
    failures: u32,
    resting_until: Option<SystemTime>,
}

/// The peers.
pub(super) struct Peers {
    me: PublicKey,
    known: BTreeMap<PublicKey, Peer>,
    blocked: Set<PublicKey>,
}

impl Peers {
    pub(super) fn new(me: PublicKey) -> Self {
        Self {
            me,
            known: BTreeMap::new(),
            blocked: Set::default(),
        }
    }

    /// Takes the newest set of peers.
    pub(super) fn update(&mut self, latest: TrackedPeers<PublicKey>) {
        let latest = latest.union();
        self.known.retain(|key, _| latest.position(key).is_some());
        for key in latest.iter().filter(|key| **key != self.me) {
            self.known.entry(key.clone()).or_default();
        }
    }

    /// Takes the newest set of blocked peers.
    pub(super) fn block(&mut self, blocked: Set<PublicKey>) {
        self.blocked = blocked;
    }

    /// Somebody to ask, rather not `avoid`.
    pub(super) fn pick(
        &self,
        now: SystemTime,
        avoid: Option<&PublicKey>,
        rng: &mut impl Rng,
    ) -> Option<PublicKey> {
        let mut ready: Vec<_> = self
            .known
            .iter()
            .filter(|(key, peer)| {
                peer.open < MAX_ASKED
                    && peer.resting_until.is_none_or(|until| until <= now)
                    && self.blocked.position(key).is_none()
            })
            .collect();
        if ready.iter().any(|(key, _)| Some(*key) != avoid) {
            ready.retain(|(key, _)| Some(*key) != avoid);
        }
        let least = ready.iter().map(|(_, peer)| peer.open).min()?;
        ready.retain(|(_, peer)| peer.open == least);
        ready.choose(rng).map(|(key, _)| (*key).clone())
    }

    /// When the first of the resting peers may be asked again.
    pub(super) fn wakes(&self, now: SystemTime) -> Option<SystemTime> {
        self.known
            .values()
            .filter_map(|peer| peer.resting_until)
            .filter(|until| *until > now)
            .min()
    }

    /// A question was sent to it.
    pub(super) fn asked(&mut self, peer: &PublicKey) {
        if let Some(peer) = self.known.get_mut(peer) {
            peer.open = peer.open.saturating_add(1);
        }
    }

    /// A question to it is no longer open.
    pub(super) fn closed(&mut self, peer: &PublicKey) {
        if let Some(peer) = self.known.get_mut(peer) {
            peer.open = peer.open.saturating_sub(1);
        }
    }

    /// It gave a good answer.
    pub(super) fn praise(&mut self, peer: &PublicKey) {
        if let Some(peer) = self.known.get_mut(peer) {
            peer.failures = 0;
            peer.resting_until = None;
        }
    }

    /// It refused, or gave no answer.
    pub(super) fn rest(&mut self, peer: &PublicKey, now: SystemTime) {
        if let Some(peer) = self.known.get_mut(peer) {
            let rest = REST
                .saturating_mul(1u32.checked_shl(peer.failures).unwrap_or(u32::MAX))
                .min(LONGEST_REST);
            peer.failures = peer.failures.saturating_add(1);
            peer.resting_until = now.checked_add(rest);
        }
    }
}
