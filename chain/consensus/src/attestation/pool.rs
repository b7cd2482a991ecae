//! Attestations between signing and inclusion.
//!
//! | table | key | holds |
//! |---|---|---|
//! | finals | height | digest of the final block, executed here |
//! | pooled | height, delegate | agrees with `finals`, in no block yet |
//! | waiting | height, delegate | for heights not executed here yet |
//! | settled | height, delegate | included in a final block |
//! | false | height, delegate | proven to be false at least once |
//!
//! All of them cover only heights in the window, members of the committee, and verified
//! signatures: with 99 delegates some hundreds of entries each.

use super::{MAX_IN_BLOCK, MAX_WAITING, Metrics, WINDOW};
use crate::{
    committees::{Committees, word},
    evidence::{Evidence, Store},
    signature::{attestations_are_signed, sign_attestation},
};
use commonware_cryptography::{Signer as _, ed25519};
use commonware_runtime::telemetry::metrics::GaugeExt as _;
use mileverse_primitives::{B256, vote::Attestation};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// What the genesis file says.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The chain.
    pub chain_id: u64,
    /// Blocks of an epoch.
    pub epoch_blocks: NonZeroU64,
    /// Every height divisible by it is attested.
    pub interval: NonZeroU64,
}

impl Rules {
    /// Whether blocks at `height` are attested. Block 0 has no result.
    pub const fn attested(&self, height: u64) -> bool {
        height > 0 && height.is_multiple_of(self.interval.get())
    }

    /// The epoch that `height` belongs to.
    pub const fn epoch_of(&self, height: u64) -> u64 {
        height / self.epoch_blocks.get()
    }

    const fn span(&self) -> u64 {
        self.interval.get().saturating_mul(WINDOW)
    }

    /// The lowest height that a block at `height` may include.
    pub const fn floor(&self, height: u64) -> u64 {
        height.saturating_sub(self.span())
    }
}

/// What became of an attestation that somebody offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Offer {
    /// A leader may include it now.
    Pooled,
    /// It waits until this node has executed its block.
    Waiting,
    /// No block can include it any more.
    Late,
    /// Too far ahead of this node.
    Early,
    /// Nothing new.
    Known,
    /// This node does not know that epoch's committee yet.
    UnknownEpoch,
    /// Evidence: its digest is not the final one.
    False,
    /// Not a height that is attested, or not in that epoch.
    Malformed,
    /// Not by a delegate of that epoch.
    Stranger,
    /// The signature is not the delegate's.
    Forged,
}

impl Offer {
    /// Why no honest node sends this, if so.
    pub const fn misbehaviour(self) -> Option<&'static str> {
        match self {
            Self::Malformed => Some("an attestation for a height that is not attested"),
            Self::Stranger => Some("an attestation by no delegate"),
            Self::Forged => Some("an attestation with a bad signature"),
            _ => None,
        }
    }
}

type Place = (u64, B256);

#[derive(Default)]
struct Tables {
    tip: u64,
    finals: BTreeMap<u64, B256>,
    pooled: BTreeMap<Place, Attestation>,
    waiting: BTreeMap<Place, Vec<Attestation>>,
    settled: BTreeSet<Place>,
    proven: BTreeSet<Place>,
}

struct Shared {
    rules: Rules,
    committees: Committees,
    evidence: Store,
    metrics: Metrics,
    me: Option<ed25519::PrivateKey>,
    tables: Mutex<Tables>,
    news: Notify,
}

/// The pool; clones share it.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// An empty pool. A node without a key (`me`) listens and signs nothing.
    pub fn new(
        rules: Rules,
        committees: Committees,
        evidence: Store,
        metrics: Metrics,
        me: Option<ed25519::PrivateKey>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                rules,
                committees,
                evidence,
                metrics,
                me,
                tables: Mutex::default(),
                news: Notify::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.shared
            .tables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules it was made with.
    pub fn rules(&self) -> Rules {
        self.shared.rules
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Takes an attestation by anybody; cheap checks come first.
    pub fn offer(&self, attestation: Attestation) -> Offer {
        let rules = self.shared.rules;
        let place = (attestation.height, attestation.delegate);
        if !rules.attested(attestation.height)
            || attestation.epoch != rules.epoch_of(attestation.height)
        {
            return Offer::Malformed;
        }
        if let Some(known) = self.lock().place(rules, place, attestation.digest) {
            return known;
        }
        let Some(committee) = self.shared.committees.get(attestation.epoch) else {
            return Offer::UnknownEpoch;
        };
        if !committee.contains(attestation.delegate) {
            return Offer::Stranger;
        }
        // Not under the lock: a leader must not wait for curve arithmetic.
        if !attestations_are_signed(rules.chain_id, &[attestation]) {
            return Offer::Forged;
        }
        let mut tables = self.lock();
        if let Some(known) = tables.place(rules, place, attestation.digest) {
            return known;
        }
        let offer = match tables.finals.get(&attestation.height) {
            None => {
                tables.waiting.entry(place).or_default().push(attestation);
                return Offer::Waiting;
            }
            Some(digest) if *digest == attestation.digest => {
                tables.pooled.insert(place, attestation);
                Offer::Pooled
            }
            Some(_) => {
                tables.proven.insert(place);
                Offer::False
            }
        };
        self.count(&tables);
        drop(tables);
        if offer == Offer::False {
            self.shared
                .evidence
                .add(Evidence::FalseAttestation(attestation));
        }
        offer
    }

    /// What the leader of a block at `height` may include, by height and delegate. `already` are
    /// the places that the block's ancestors took which are not final yet.
    pub fn candidates(&self, height: u64, already: &BTreeSet<(u64, B256)>) -> Vec<Attestation> {
        let rules = self.shared.rules;
        let oldest = rules.epoch_of(height).saturating_sub(1);
        self.lock()
            .pooled
            .range((rules.floor(height), B256::ZERO)..(height, B256::ZERO))
            .filter(|(place, attestation)| attestation.epoch >= oldest && !already.contains(place))
            .take(MAX_IN_BLOCK)
            .map(|(_, attestation)| *attestation)
            .collect()
    }

    /// Tells of a final block that this node has executed and written to its index, and of the
    /// attestations in it. Again for the same block changes nothing.
    pub fn on_final(&self, height: u64, digest: B256, included: &[Attestation]) {
        let shared = &self.shared;
        let rules = shared.rules;
        let me = shared.me.as_ref().map(|key| word(&key.public_key()));
        let mut lies = Vec::new();
        {
            let mut tables = self.lock();
            tables.tip = tables.tip.max(height);
            let floor = rules.floor(tables.tip.saturating_add(1));
            if rules.attested(height) && height >= floor {
                tables.settle(height, digest, &mut lies);
            }
            for attestation in included {
                let place = (attestation.height, attestation.delegate);
                tables.pooled.remove(&place);
                if tables.settled.insert(place) {
                    shared.metrics.included.inc();
                    if me == Some(attestation.delegate) {
                        shared.metrics.included_own.inc();
                        let _ = shared.metrics.own_height.try_set_max(attestation.height);
                    }
                }
            }
            tables.prune(floor);
            self.count(&tables);
        }
        for lie in lies {
            shared.metrics.count(Offer::False);
            shared.evidence.add(Evidence::FalseAttestation(lie));
        }
        if rules.attested(height) {
            shared.news.notify_one();
        }
    }

    /// Resolves when there may be something new to say; for one waiter.
    pub(super) async fn news(&self) {
        self.shared.news.notified().await;
    }

    /// This node's word for every final block in the window that no block has included it for.
    pub(super) fn own(&self) -> Vec<Attestation> {
        let Some(key) = &self.shared.me else {
            return Vec::new();
        };
        let rules = self.shared.rules;
        let me = word(&key.public_key());
        let mut tables = self.lock();
        let finals: Vec<(u64, B256)> = tables.finals.iter().map(|(h, d)| (*h, *d)).collect();
        let mut own = Vec::new();
        for (height, digest) in finals {
            let epoch = rules.epoch_of(height);
            let place = (height, me);
            let member = self
                .shared
                .committees
                .get(epoch)
                .is_some_and(|committee| committee.contains(me));
            if !member || tables.settled.contains(&place) {
                continue;
            }
            let attestation = *tables.pooled.entry(place).or_insert_with(|| {
                self.shared.metrics.signed.inc();
                sign_attestation(key, rules.chain_id, epoch, height, digest)
            });
            own.push(attestation);
        }
        self.count(&tables);
        own
    }

    fn count(&self, tables: &Tables) {
        let _ = self.shared.metrics.pooled.try_set(tables.pooled.len());
    }
}

impl Tables {
    /// What can be said of an attestation for `place` without looking at its signature.
    fn place(&self, rules: Rules, place: Place, digest: B256) -> Option<Offer> {
        let (height, _) = place;
        if height < rules.floor(self.tip.saturating_add(1)) {
            return Some(Offer::Late);
        }
        if height > self.tip.saturating_add(rules.span()) {
            return Some(Offer::Early);
        }
        match self.finals.get(&height) {
            // This node began after that block.
            None if height <= self.tip => Some(Offer::Late),
            None => self
                .waiting
                .get(&place)
                .is_some_and(|waiting| {
                    waiting.len() >= MAX_WAITING || waiting.iter().any(|one| one.digest == digest)
                })
                .then_some(Offer::Known),
            Some(known) if *known == digest => (self.pooled.contains_key(&place)
                || self.settled.contains(&place))
            .then_some(Offer::Known),
            Some(_) => self.proven.contains(&place).then_some(Offer::Known),
        }
    }

    /// Learns the final digest at `height`, and judges what waited for it.
    fn settle(&mut self, height: u64, digest: B256, lies: &mut Vec<Attestation>) {
        self.finals.insert(height, digest);
        let mut judged = self.waiting.split_off(&(height, B256::ZERO));
        let later = judged.split_off(&(height.saturating_add(1), B256::ZERO));
        self.waiting.extend(later);
        for (place, waiting) in judged {
            for attestation in waiting {
                if attestation.digest == digest {
                    self.pooled.insert(place, attestation);
                } else if self.proven.insert(place) {
                    lies.push(attestation);
                }
            }
        }
    }

    /// Drops what the next block can include no more.
    fn prune(&mut self, floor: u64) {
        let least = (floor, B256::ZERO);
        self.finals = self.finals.split_off(&floor);
        self.pooled = self.pooled.split_off(&least);
        self.waiting = self.waiting.split_off(&least);
        self.settled = self.settled.split_off(&least);
        self.proven = self.proven.split_off(&least);
    }
}
