//! Answers new nodes from final blocks, and keeps the history of group keys for them.
//!
//! Before marshal is attached nothing is answered; nor is a question about blocks that are not
//! here, or about keys while this node does not know all of them itself. Questions are answered one
//! after the other, and the network's quota bounds how many each peer can put; the last
//! [`KEPT`] openings that were read from blocks are kept encoded.

use super::{
    history::History,
    opening::{self, Opening},
    wire::{self, Latest, MAX_KEYS, Message},
};
use crate::watch;
use crate::{
    application::Tip,
    block::PublicKey,
    engine::{Marshal, schemes::Schemes},
};
use bytes::Bytes;
use commonware_consensus::{marshal::Identifier, types::Height};
use commonware_p2p::{Blocker, Receiver, Recipients, Sender};
use commonware_runtime::{Clock, IoBuf, Metrics};
use commonware_storage::Context as StorageContext;
use commonware_utils::channel::oneshot;
use std::{collections::VecDeque, num::NonZeroU64};

/// Encoded openings that are kept.
const KEPT: usize = 4;

/// An epoch's opening, from final blocks.
async fn read(marshal: &Marshal, epoch: u64, epoch_blocks: NonZeroU64) -> Option<Opening> {
    let height = Height::new(opening::last_height(epoch, epoch_blocks)?);
    let finalization = marshal.get_finalization(height).await?;
    let block = marshal.get_block(Identifier::Height(height)).await?;
    Opening::of(finalization, block.inner())
}

/// What serves new nodes.
pub(super) struct Service<E: StorageContext, B> {
    pub(super) schemes: Schemes,
    pub(super) history: History<E>,
    pub(super) blocker: B,
    pub(super) epoch_blocks: NonZeroU64,
    pub(super) tip: watch::Receiver<Tip>,
    /// Gives marshal once it runs.
    pub(super) attached: oneshot::Receiver<Marshal>,
    /// The newest is last.
    pub(super) kept: VecDeque<(u64, Bytes)>,
}

impl<E, B> Service<E, B>
where
    E: StorageContext + Clock + Metrics,
    B: Blocker<PublicKey = PublicKey>,
{
    /// Serves until the network or the node ends.
    pub(super) async fn run(
        mut self,
        (mut sender, mut receiver): (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
    ) {
        let mut marshal: Option<Marshal> = None;
        loop {
            tokio::select! {
                biased;
                attached = &mut self.attached, if marshal.is_none() => match attached {
                    Ok(attached) => marshal = Some(attached),
                    Err(_) => return,
                },
                moved = self.tip.changed() => {
                    if moved.is_err() {
                        return;
                    }
                    if let Some(marshal) = &marshal {
                        self = match self.record(marshal).await {
                            Ok(service) => service,
                            Err(error) => {
                                tracing::error!(error, "new nodes are served no more");
                                return;
                            }
                        };
                    }
                }
                heard = receiver.recv() => match heard {
                    Ok((peer, message)) => {
                        let Some(marshal) = &marshal else {
                            continue;
                        };
                        if let Some(answer) = self.answer(marshal, &peer, message).await {
                            let _ = sender.send(Recipients::One(peer), answer, false);
                        }
                    }
                    Err(_) => return,
                },
            }
        }
    }

    /// Keeps the openings of new keys, oldest first and without a gap.
    async fn record(mut self, marshal: &Marshal) -> Result<Self, String> {
        let changes = self.schemes.verifiers().into_keys();
        for epoch in changes.filter(|epoch| *epoch > 0).collect::<Vec<_>>() {
            if self.history.get(epoch).is_some() {
                continue;
            }
            let Some(opening) = read(marshal, epoch, self.epoch_blocks).await else {
                break;
            };
            tracing::info!(epoch, "the opening of a new group key is kept");
            self.history = self.history.keep([opening]).await?;
        }
        Ok(self)
    }

    async fn answer(
        &mut self,
        marshal: &Marshal,
        peer: &PublicKey,
        message: IoBuf,
    ) -> Option<Bytes> {
        match Message::read(message) {
            Ok(Message::AskLatest { after }) => {
                let (height, _) = marshal.get_info(Identifier::Latest).await?;
                let floor = marshal.get_finalization(height).await?;
                let changes = self.schemes.changes(super::epoch(&floor))?;
                let keys = changes.into_iter().filter(|epoch| *epoch > after);
                let keys = keys.take(MAX_KEYS).collect();
                Some(wire::answer_latest(&Latest { floor, keys }))
            }
            Ok(Message::AskOpening { epoch }) => {
                let kept = self.kept.iter().find(|(kept, _)| *kept == epoch);
                if let Some((_, bytes)) = kept {
                    return Some(bytes.clone());
                }
                let answer = match self.history.get(epoch) {
                    Some(opening) => wire::answer_opening(opening),
                    None => wire::answer_opening(&read(marshal, epoch, self.epoch_blocks).await?),
                };
                while self.kept.len() >= KEPT {
                    self.kept.pop_front();
                }
                self.kept.push_back((epoch, answer.clone()));
                Some(answer)
            }
            // Late answers to what this node asked when it was new.
            Ok(Message::Latest { .. } | Message::Opening { .. }) => None,
            Err(error) => {
                tracing::warn!(?peer, %error, "a question about the floor cannot be read");
                let _ = self.blocker.block(peer.clone());
                None
            }
        }
    }
}
