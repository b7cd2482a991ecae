//! The signing scheme of each epoch.
//!
//! Resharing gives every epoch's committee new shares of one group key; only a rotation replaces
//! the key (`rotation`). So a certificate is verified under the key that its epoch had, by
//! everybody, and only the engine of an epoch needs more: who its members are and, if this node is
//! one, its share. The reshare actor registers that before the epoch begins.
//!
//! ```txt
//! epoch      0 ......... 40 | 41 ......... until | later
//! verifier   genesis key    | key 1              | none: the key may change at any epoch's end
//! ```
//!
//! A certificate of an epoch whose key is not known is set aside, never held against its sender.

use crate::{application::Scheme, block::PublicKey};
use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    bls12381::primitives::variant::{MinSig, Variant},
    certificate::{Provider, Scheme as _, Scoped},
};
use commonware_glue::dkg::{Registrar, types::SchemeInfo};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Schemes kept: the epoch that ends, the one that begins, and one to spare.
const KEPT: usize = 3;

/// All epochs' schemes; clones share them.
#[derive(Clone)]
pub struct Schemes {
    namespace: Arc<[u8]>,
    known: Arc<Mutex<Known>>,
}

/// A group key.
pub type GroupKey = <MinSig as Variant>::Public;

struct Known {
    /// Verifiers of certificates, by the first epoch of their key.
    groups: BTreeMap<Epoch, (GroupKey, Arc<Scheme>)>,
    /// The last epoch whose key is known.
    until: Epoch,
    /// Complete schemes of the newest epochs.
    epochs: BTreeMap<Epoch, Arc<Scheme>>,
}

impl Known {
    fn group(&self, epoch: Epoch) -> Option<&(GroupKey, Arc<Scheme>)> {
        self.groups
            .range(..=epoch)
            .next_back()
            .map(|(_, group)| group)
    }
}

impl Schemes {
    /// Schemes that begin with the genesis key.
    pub fn new(namespace: &[u8], group_key: GroupKey) -> Self {
        let schemes = Self {
            namespace: namespace.into(),
            known: Arc::new(Mutex::new(Known {
                groups: BTreeMap::new(),
                until: Epoch::zero(),
                epochs: BTreeMap::new(),
            })),
        };
        schemes.learn([(0, group_key)], 0);
        schemes
    }

    /// Learns of keys, each with the first epoch that it signs, and that there are no others up to
    /// epoch `until`.
    pub fn learn(&self, keys: impl IntoIterator<Item = (u64, GroupKey)>, until: u64) {
        let mut known = self.lock();
        for (first, key) in keys {
            let verifier = self.verifier(key);
            known.groups.insert(Epoch::new(first), (key, verifier));
        }
        known.until = known.until.max(Epoch::new(until));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies certificates under `key`.
    pub(super) fn verifier(&self, key: GroupKey) -> Arc<Scheme> {
        Arc::new(Scheme::certificate_verifier(&self.namespace, key))
    }

    /// What verifies certificates under each known key, by the first epoch that the key signs.
    pub(super) fn verifiers(&self) -> BTreeMap<u64, Arc<Scheme>> {
        let known = self.lock();
        let groups = known.groups.iter();
        groups
            .map(|(first, (_, verifier))| (first.get(), Arc::clone(verifier)))
            .collect()
    }

    /// The epochs up to `epoch` that began with another key than the one before, ascending;
    /// `None` while there may be some that are not known here.
    pub(super) fn changes(&self, epoch: u64) -> Option<Vec<u64>> {
        let known = self.lock();
        if epoch > known.until.get() {
            return None;
        }
        let firsts = known.groups.keys().map(|first| first.get());
        Some(firsts.filter(|first| (1..=epoch).contains(first)).collect())
    }

    /// Whether this node has a share to sign `epoch` with.
    pub fn signs(&self, epoch: u64) -> bool {
        self.scheme(Epoch::new(epoch))
            .and_then(|scheme| scheme.me())
            .is_some_and(|member| member.signer().is_some())
    }

    fn build(&self, info: SchemeInfo<MinSig, PublicKey>) -> Option<Scheme> {
        match info {
            SchemeInfo::Verifier {
                participants,
                sharing,
            } => Some(Scheme::verifier(&self.namespace, participants, sharing)),
            SchemeInfo::Member {
                participants,
                sharing,
                public_key,
            } => Scheme::member(&self.namespace, participants, sharing, &public_key),
            SchemeInfo::Signer {
                participants,
                sharing,
                share,
            } => {
                let signer = Scheme::signer(
                    &self.namespace,
                    participants.clone(),
                    sharing.clone(),
                    share,
                );
                if signer.is_none() {
                    tracing::error!(
                        "this node's share does not belong to the epoch's committee; it follows without signing"
                    );
                }
                signer.or_else(|| Some(Scheme::verifier(&self.namespace, participants, sharing)))
            }
        }
    }
}

impl Provider for Schemes {
    type Scope = Epoch;
    type Scheme = Scheme;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Scheme>> {
        let known = self.lock();
        if let Some(scheme) = known.epochs.get(&epoch) {
            return Some(Scoped::scheme(Arc::clone(scheme)));
        }
        if epoch > known.until {
            return None;
        }
        known
            .group(epoch)
            .map(|(_, verifier)| Scoped::verifier(Arc::clone(verifier)))
    }

    fn scheme(&self, epoch: Epoch) -> Option<Arc<Scheme>> {
        self.lock().epochs.get(&epoch).cloned()
    }
}

impl Registrar for Schemes {
    type Variant = MinSig;
    type PublicKey = PublicKey;

    async fn register(&self, epoch: Epoch, info: SchemeInfo<MinSig, PublicKey>) {
        let role = match &info {
            SchemeInfo::Verifier { .. } => "follower",
            SchemeInfo::Member { .. } => "delegate without a share",
            SchemeInfo::Signer { .. } => "delegate",
        };
        let (SchemeInfo::Verifier { sharing, .. }
        | SchemeInfo::Member { sharing, .. }
        | SchemeInfo::Signer { sharing, .. }) = &info;
        let key = *sharing.public();
        let Some(scheme) = self.build(info) else {
            tracing::error!(%epoch, "the epoch's committee and its public polynomial disagree");
            return;
        };
        tracing::info!(%epoch, role, members = scheme.participants().len(), "the committee of an epoch is known");
        let next = {
            let known = self.lock();
            // After a restart the history must be told before the epochs between are known.
            known.until == epoch || known.until.next() == epoch
        };
        if next {
            let rotated = self
                .lock()
                .group(epoch)
                .is_none_or(|(held, _)| *held != key);
            self.learn(rotated.then_some((epoch.get(), key)), epoch.get());
        }
        let mut known = self.lock();
        known.epochs.insert(epoch, Arc::new(scheme));
        while known.epochs.len() > KEPT {
            known.epochs.pop_first();
        }
    }
}
