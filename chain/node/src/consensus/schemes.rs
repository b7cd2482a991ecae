//! The signing scheme of each epoch.
//!
//! Resharing gives every epoch's committee new shares of one group key. So a certificate of any
//! epoch is verified under that key alone, by everybody, and only the engine of an epoch needs
//! more: who its members are and, if this node is one, its share. The reshare actor registers that
//! before the epoch begins.

use crate::{application::Scheme, block::PublicKey};
use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    bls12381::primitives::variant::{MinSig, Variant},
    certificate::{Provider, Scheme as _, Scoped},
};
use commonware_glue::dkg::{Registrar, types::SchemeInfo};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Schemes kept: the epoch that ends, the one that begins, and one to spare.
const KEPT: usize = 3;

/// All epochs' schemes; clones share them.
#[derive(Clone)]
pub struct Schemes {
    namespace: Arc<[u8]>,
    /// Verifies certificates of every epoch.
    group: Arc<Scheme>,
    epochs: Arc<Mutex<BTreeMap<Epoch, Arc<Scheme>>>>,
}

impl Schemes {
    /// Schemes under one group key.
    pub fn new(namespace: &[u8], group_key: <MinSig as Variant>::Public) -> Self {
        Self {
            namespace: namespace.into(),
            group: Arc::new(Scheme::certificate_verifier(namespace, group_key)),
            epochs: Arc::default(),
        }
    }

    /// Verifies certificates of every epoch.
    pub fn group(&self) -> Scheme {
        self.group.as_ref().clone()
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

    fn scoped(&self, _epoch: Epoch) -> Option<Scoped<Scheme>> {
        Some(Scoped::verifier(Arc::clone(&self.group)))
    }

    fn scheme(&self, epoch: Epoch) -> Option<Arc<Scheme>> {
        self.epochs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&epoch)
            .cloned()
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
        let Some(scheme) = self.build(info) else {
            tracing::error!(%epoch, "the epoch's committee and its public polynomial disagree");
            return;
        };
        tracing::info!(%epoch, role, members = scheme.participants().len(), "the committee of an epoch is known");
        let mut epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.insert(epoch, Arc::new(scheme));
        while epochs.len() > KEPT {
            epochs.pop_first();
        }
    }
}
