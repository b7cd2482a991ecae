//! What a new node believes of what peers tell it: claims, proofs, and the floor that follows.
//!
//! No network and no clock; `discovery` asks for what this wants and tells it what is answered.
//!
//! A **claim** is a peer's newest certificate with the epochs at which it says that a new group key
//! began. A claim that names an epoch not known here waits for that epoch's opening, which must be
//! proven under the key of the epoch before; only then is its key known. A claim without unknown
//! epochs is judged by the key of its epoch. So keys are learnt one after the other, each certified
//! under the one before, from the genesis key on, and claims share what is proven.
//!
//! Who is shown to lie:
//!
//! | what is told | proof of the lie |
//! |---|---|
//! | a certificate | does not verify under the key of its epoch, with all that the claim names known |
//! | a new key where there was none | the epoch's proven opening goes on with the key before |
//! | an opening | see `opening::Wrong` |
//!
//! Each holds against honest peers only if a quorum of some epoch's key holders was corrupted.
//! If two proven openings hand over from one key, such a quorum was; the search ends then.

use super::{
    Finalization, Floor, epoch,
    opening::{Opening, Wrong},
    wire::{Latest, MAX_KEYS},
};
use crate::{
    application::Scheme,
    block::{EpochInfo, PublicKey},
    engine::schemes::Schemes,
};
use commonware_parallel::Sequential;
use commonware_utils::{Faults as _, N3f1, ordered::Set};
use rand::CryptoRng;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    sync::Arc,
};
use thiserror::Error;

/// Most peers whose claims are held; above what a network connects with.
const MAX_CLAIMS: usize = 1024;

/// A lie that is proven.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(super) enum Lie {
    #[error("it tells of a final block whose certificate is not of this chain")]
    Floor,
    #[error("it names an epoch that began with no new group key")]
    Change,
    #[error("it sent a false opening of an epoch: {0}")]
    Opening(#[from] Wrong),
}

/// Two blocks hand over from one group key.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "blocks certified under one group key hand over to others at epochs {0} and {1}: a quorum of its holders is corrupted; start from a copy of the data of a node that you trust"
)]
pub(super) struct Torn(u64, u64);

/// What one peer tells.
struct Claim {
    latest: Latest,
    /// The newest key that was known when it was asked for: older ones need not be named.
    after: u64,
    /// The first epoch of the key that its certificate verifies under, once it is judged.
    under: Option<u64>,
}

impl Claim {
    fn epoch(&self) -> u64 {
        epoch(&self.latest.floor)
    }

    /// The first epoch in it that is not known to begin with a new key.
    fn unknown(&self, keys: &BTreeMap<u64, Arc<Scheme>>) -> Option<u64> {
        let named = self.latest.keys.iter();
        named.copied().find(|epoch| !keys.contains_key(epoch))
    }

    /// The key that by its own telling signs the epoch before `epoch`.
    fn implied<'a>(
        &self,
        keys: &'a BTreeMap<u64, Arc<Scheme>>,
        epoch: u64,
    ) -> Option<(u64, &'a Arc<Scheme>)> {
        let mut before = keys.range(..epoch).rev();
        let (first, verifier) =
            before.find(|(first, _)| **first <= self.after || self.latest.keys.contains(first))?;
        Some((*first, verifier))
    }

    /// Whether there may be keys that it does not name for want of room.
    fn is_cut(&self) -> bool {
        self.latest.keys.len() >= MAX_KEYS
    }
}

/// The search.
pub(super) struct Search {
    schemes: Schemes,
    genesis: EpochInfo,
    /// Claims of earlier epochs are stale: the chain had reached this one.
    minimum: u64,
    epoch_blocks: NonZeroU64,
    /// What verifies under each key, by the first epoch that the key signs.
    keys: BTreeMap<u64, Arc<Scheme>>,
    /// Epochs that are proven to go on with the key before.
    plain: BTreeSet<u64>,
    /// Proven: those of the keys learnt here, and of the best claim's epoch.
    openings: BTreeMap<u64, Opening>,
    claims: BTreeMap<PublicKey, Claim>,
    liars: BTreeSet<PublicKey>,
}

impl Search {
    /// A search that begins with the keys that `schemes` knows; `genesis` opens epoch 0.
    pub(super) fn new(
        schemes: Schemes,
        genesis: EpochInfo,
        minimum: u64,
        epoch_blocks: NonZeroU64,
    ) -> Self {
        Self {
            keys: schemes.verifiers(),
            schemes,
            genesis,
            minimum,
            epoch_blocks,
            plain: BTreeSet::new(),
            openings: BTreeMap::new(),
            claims: BTreeMap::new(),
            liars: BTreeSet::new(),
        }
    }

    /// The epoch after which keys are to be named.
    pub(super) fn known(&self) -> u64 {
        self.keys.keys().next_back().copied().unwrap_or_default()
    }

    /// A peer tells of its newest final block, and which keys began after epoch `after`. Returns who
    /// is shown to lie by that.
    pub(super) fn told(
        &mut self,
        rng: &mut impl CryptoRng,
        peer: PublicKey,
        after: u64,
        latest: Latest,
    ) -> Vec<(PublicKey, Lie)> {
        let held = self.claims.get(&peer);
        let stale = epoch(&latest.floor) < self.minimum
            || held.is_some_and(|held| {
                held.under.is_some()
                    && held.latest.floor.proposal.round >= latest.floor.proposal.round
            })
            || (held.is_none() && self.claims.len() >= MAX_CLAIMS);
        if stale || self.liars.contains(&peer) {
            return Vec::new();
        }
        self.claims.insert(
            peer,
            Claim {
                latest,
                after,
                under: None,
            },
        );
        self.judge(rng)
    }

    /// The openings that are wanted, each with those who can be asked: they have named the epoch,
    /// so they answer for what they send.
    pub(super) fn wanted(&self) -> BTreeMap<u64, Vec<PublicKey>> {
        let mut wanted: BTreeMap<u64, Vec<PublicKey>> = BTreeMap::new();
        let best = self
            .best()
            .map(epoch)
            .filter(|best| *best > 0 && !self.openings.contains_key(best));
        for (peer, claim) in &self.claims {
            let asked = match claim.under {
                None => claim.unknown(&self.keys),
                Some(_) => best.filter(|best| *best <= claim.epoch()),
            };
            if let Some(epoch) = asked {
                wanted.entry(epoch).or_default().push(peer.clone());
            }
        }
        wanted
    }

    /// A peer answers with an opening. Returns who is shown to lie by that.
    ///
    /// # Errors
    ///
    /// When it and another one are proven and contradict each other.
    pub(super) fn opened(
        &mut self,
        rng: &mut impl CryptoRng,
        peer: &PublicKey,
        opening: Opening,
    ) -> Result<Vec<(PublicKey, Lie)>, Torn> {
        let wanted = opening.epoch().filter(|epoch| {
            let wanted = self.wanted();
            wanted.get(epoch).is_some_and(|asked| asked.contains(peer))
        });
        // Late, or never asked for.
        let Some(epoch) = wanted else {
            return Ok(Vec::new());
        };
        let Some((first, before)) = self.keys.range(..epoch).next_back() else {
            return Ok(Vec::new());
        };
        if let Err(wrong) = opening.prove(rng, before, self.epoch_blocks) {
            let claim = self.claims.remove(peer);
            let implied = claim.and_then(|claim| claim.implied(&self.keys, epoch));
            if let Some((other, implied)) = implied
                && other != *first
                && opening.prove(rng, implied, self.epoch_blocks).is_ok()
            {
                // It does not know of the key before, and the one that it knows hands over again.
                return Err(Torn(*first, epoch));
            }
            self.liars.insert(peer.clone());
            return Ok(vec![(peer.clone(), wrong.into())]);
        }
        let Some(key) = opening.key() else {
            return Ok(Vec::new());
        };
        match self.keys.get(&epoch) {
            Some(known) if *known.identity() == key => {}
            Some(_) => return Err(Torn(epoch, epoch)),
            None if *before.identity() == key => {
                self.plain.insert(epoch);
            }
            None => {
                // A later key was handed over to from the same one as this.
                if let Some((later, _)) = self.keys.range(epoch..).next() {
                    return Err(Torn(epoch, *later));
                }
                self.keys.insert(epoch, self.schemes.verifier(key));
                // What the old key certified after that is void.
                self.plain.split_off(&epoch);
                self.openings.split_off(&epoch);
            }
        }
        self.openings.insert(epoch, opening);
        Ok(self.judge(rng))
    }

    /// Judges every claim that what is known now allows to judge.
    fn judge(&mut self, rng: &mut impl CryptoRng) -> Vec<(PublicKey, Lie)> {
        let mut lies = Vec::new();
        for (peer, claim) in &mut self.claims {
            if claim
                .latest
                .keys
                .iter()
                .any(|epoch| self.plain.contains(epoch))
            {
                lies.push((peer.clone(), Lie::Change));
                continue;
            }
            let Some((first, verifier)) = self.keys.range(..=claim.epoch()).next_back() else {
                continue;
            };
            if claim.under == Some(*first) {
                continue;
            }
            claim.under = None;
            if claim.unknown(&self.keys).is_some() || claim.is_cut() {
                continue;
            }
            if claim
                .latest
                .floor
                .verify(rng, verifier.as_ref(), &Sequential)
            {
                claim.under = Some(*first);
            } else {
                lies.push((peer.clone(), Lie::Floor));
            }
        }
        for (peer, _) in &lies {
            self.claims.remove(peer);
            self.liars.insert(peer.clone());
        }
        let best = self.best().map(epoch);
        let keys = &self.keys;
        self.openings
            .retain(|epoch, _| keys.contains_key(epoch) || best == Some(*epoch));
        lies
    }

    fn judged(&self) -> impl Iterator<Item = (&PublicKey, &Finalization)> {
        let claims = self.claims.iter();
        claims
            .filter(|(_, claim)| claim.under.is_some())
            .map(|(peer, claim)| (peer, &claim.latest.floor))
    }

    /// The latest certificate that holds.
    fn best(&self) -> Option<&Finalization> {
        self.judged()
            .map(|(_, floor)| floor)
            .max_by_key(|floor| floor.proposal.round)
    }

    /// Who takes part in the epoch of the best claim, once that is proven.
    pub(super) fn committee(&self) -> Option<&EpochInfo> {
        match epoch(self.best()?) {
            0 => Some(&self.genesis),
            epoch => self.openings.get(&epoch)?.info(),
        }
    }

    /// Whether more of `members` than may be faulty have made claims that hold.
    fn is_sampled(&self, members: &Set<PublicKey>) -> bool {
        if members.is_empty() {
            return false;
        }
        let faulty = usize::try_from(N3f1::max_faults(members.len())).unwrap_or(usize::MAX);
        let claims = self
            .judged()
            .filter(|(peer, _)| members.position(peer).is_some());
        claims.count() > faulty
    }

    /// The floor, once it is certain enough.
    pub(super) fn found(&self) -> Option<Floor> {
        let best = self.best()?;
        let info = self.committee()?;
        let sampled = self.is_sampled(self.genesis.output.players())
            || self.is_sampled(info.output.players());
        sampled.then(|| Floor {
            finalization: best.clone(),
            info: info.clone(),
            keys: self
                .openings
                .iter()
                .filter(|(epoch, _)| self.keys.contains_key(epoch))
                .map(|(_, opening)| opening.clone())
                .collect(),
        })
    }
}
