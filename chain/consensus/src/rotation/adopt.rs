//! A player's new share becomes its share of the next epoch.
//!
//! When an epoch's last block carries another artifact than resharing derived, glue keeps no share
//! of it and registers this node as a member that cannot sign. That is where the rotation's share
//! comes in: it is adopted if, and only if, it is this node's share of the very polynomial that is
//! being registered. So a share whose ceremony came to nothing is never used.
//!
//! Order, for a crash at any point: the share is durable in the chain's own store before the
//! epoch is registered, and erased from the rotations' store after. The last block is delivered
//! again after a crash, and registration with it.

use crate::block::PublicKey;
use commonware_consensus::types::Epoch;
use commonware_cryptography::bls12381::primitives::{
    group::Share, sharing::Sharing, variant::MinSig,
};
use commonware_glue::dkg::{Registrar, SecretStore, types::SchemeInfo};
use commonware_utils::ordered::{Quorum as _, Set};

/// A registrar that looks for a rotation's share before it lets a member go without.
pub struct Adopting<R, S> {
    inner: R,
    chain: S,
    rotations: S,
}

impl<R, S> Adopting<R, S> {
    /// Registers with `inner`; takes shares from `rotations` over into `chain`.
    pub const fn new(inner: R, chain: S, rotations: S) -> Self {
        Self {
            inner,
            chain,
            rotations,
        }
    }
}

/// Whether `share` is `me`'s share, one of `players`, of the polynomial `of`.
pub(super) fn fits(
    share: &Share,
    me: &PublicKey,
    players: &Set<PublicKey>,
    of: &Sharing<MinSig>,
) -> bool {
    let Some(index) = players.index(me) else {
        return false;
    };
    share.index == index
        && of
            .partial_public(index)
            .is_ok_and(|public| public == share.public::<MinSig>())
}

impl<R, S> Registrar for Adopting<R, S>
where
    R: Registrar<Variant = MinSig, PublicKey = PublicKey>,
    S: SecretStore + Clone,
{
    type Variant = MinSig;
    type PublicKey = PublicKey;

    async fn register(&self, epoch: Epoch, info: SchemeInfo<MinSig, PublicKey>) {
        let SchemeInfo::Member {
            participants,
            sharing,
            public_key,
        } = info
        else {
            return self.inner.register(epoch, info).await;
        };
        let fitting = |share: &Share| fits(share, &public_key, &participants, &sharing);
        let mut chain = self.chain.clone();
        let mut share = chain.get_share(epoch).await.filter(fitting);
        if share.is_none()
            && let Some(ceremony) = epoch.previous()
        {
            let mut rotations = self.rotations.clone();
            share = rotations.get_share(ceremony).await.filter(fitting);
            if let Some(share) = &share {
                chain.put_share(epoch, share.clone()).await;
                rotations.prune(epoch).await;
                tracing::info!(%epoch, "signing with a share of the new group key");
            }
        }
        let info = match share {
            Some(share) => SchemeInfo::Signer {
                participants,
                sharing,
                share,
            },
            None => SchemeInfo::Member {
                participants,
                sharing,
                public_key,
            },
        };
        self.inner.register(epoch, info).await;
    }
}
