//! The application as consensus sees it when a last block may hand over to a new key.
//!
//! glue's wrapper compares a last block with what resharing derived and accepts nothing else. This
//! one stands around it and judges last blocks by [`handover::check`]; everything else it passes
//! on. Proposals need no change here: the block's builder is given the derived artifact and puts
//! the new key in its place itself ([`handover::apply`]).

use super::{handover, proof::Endorsement};
use crate::block::PublicKey;
use commonware_consensus::{
    Application as ConsensusApplication, CertifiableBlock, Handoff, Heightable as _,
    marshal::ancestry::Ancestry,
    types::{Epocher as _, FixedEpocher},
};
use commonware_cryptography::{Digested, bls12381::primitives::variant::MinSig, ed25519};
use commonware_glue::dkg::{
    ReshareBlock,
    reshare::{Application as Reshared, EpochInfoResponse, Input, Mailbox},
};
use std::{future, num::NonZeroU64};

/// A block that may carry endorsements of a new key.
pub trait RotatingBlock: ReshareBlock<Variant = MinSig, PublicKey = PublicKey> {
    /// Those it carries, ascending by player; none in a block without a new key.
    fn endorsements(&self) -> &[Endorsement];
}

/// An application around `A` that follows resharing and rotations.
pub struct Rotating<A, B>
where
    B: RotatingBlock,
{
    chain_id: u64,
    inner: A,
    reshared: Reshared<A, B, MinSig, ed25519::PrivateKey>,
    reshare: Mailbox<B, MinSig, ed25519::PrivateKey>,
    epocher: FixedEpocher,
}

impl<A, B> Rotating<A, B>
where
    A: Clone,
    B: RotatingBlock,
{
    /// Wraps `inner` for epochs of `blocks` blocks.
    pub fn new(
        chain_id: u64,
        inner: A,
        reshare: Mailbox<B, MinSig, ed25519::PrivateKey>,
        blocks: NonZeroU64,
    ) -> Self {
        Self {
            chain_id,
            reshared: Reshared::new(inner.clone(), reshare.clone(), blocks),
            inner,
            reshare,
            epocher: FixedEpocher::new(blocks),
        }
    }
}

impl<A, B> Clone for Rotating<A, B>
where
    A: Clone,
    B: RotatingBlock,
{
    fn clone(&self) -> Self {
        Self {
            chain_id: self.chain_id,
            inner: self.inner.clone(),
            reshared: self.reshared.clone(),
            reshare: self.reshare.clone(),
            epocher: self.epocher.clone(),
        }
    }
}

impl<A, E, B, I> ConsensusApplication<E> for Rotating<A, B>
where
    E: Send,
    A: ConsensusApplication<
            E,
            Block = B,
            Input = Input<I, MinSig, ed25519::PrivateKey, B::Directory>,
        >,
    A::Context: Send,
    B: RotatingBlock + CertifiableBlock,
    I: Send,
{
    type SigningScheme = A::SigningScheme;
    type Context = A::Context;
    type Block = B;
    type Input = I;

    async fn prepare(
        &mut self,
        context: (E, Self::Context),
        ancestry: impl Ancestry<B>,
        input: I,
    ) -> Handoff<Digested<B>> {
        self.reshared.prepare(context, ancestry, input).await
    }

    async fn propose(
        &mut self,
        context: (E, Self::Context),
        ancestry: impl Ancestry<B>,
        input: I,
    ) -> Option<Digested<B>> {
        self.reshared.propose(context, ancestry, input).await
    }

    async fn verify(&mut self, context: (E, Self::Context), ancestry: impl Ancestry<B>) -> bool {
        let Some(tip) = ancestry.peek() else {
            return self.reshared.verify(context, ancestry).await;
        };
        let height = tip.height();
        let last = self
            .epocher
            .containing(height)
            .is_some_and(|epoch| epoch.last() == height);
        if !last {
            let clean = tip.inner().endorsements().is_empty();
            return clean && self.reshared.verify(context, ancestry).await;
        }
        let carried = tip.inner().payload();
        let endorsements = tip.inner().endorsements().to_vec();
        let derived = match self.reshare.epoch_info(ancestry.clone()).await {
            EpochInfoResponse::Available(derived) => derived,
            // A node that cannot derive the artifact cannot judge it, and must not say no.
            EpochInfoResponse::Unavailable => return future::pending().await,
        };
        if let Err(reason) = handover::check(
            self.chain_id,
            derived.as_ref(),
            carried.as_ref(),
            &endorsements,
        ) {
            tracing::warn!(%height, %reason, "no vote for an epoch's last block");
            return false;
        }
        self.inner.verify(context, ancestry).await
    }
}
