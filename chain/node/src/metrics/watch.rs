//! Reads every final block, in order, and shows it to the observer.
//!
//! The tip only says what is newest; the blocks between come from the index. After a long sleep, or
//! while the node catches up, all but the newest [`MAX_BEHIND`] are skipped: metrics are about now.

use super::{
    now_ms,
    observer::{Observer, Opening, Seen},
};
use futures::future::BoxFuture;
use mileverse_consensus::watch;
use mileverse_consensus::{
    application::Tip,
    block::{self, Block},
    index::{Index, IndexError},
};
use mileverse_execution::NextEpoch;
use mileverse_rpc::Reads;
use std::future::{Future, ready};

/// Most blocks that are read at once to catch up.
pub const MAX_BEHIND: u64 = 1024;

/// Watches until the chain's tip is gone. `committee` answers who signs an epoch, for the epoch in
/// which the node started; of `reads` are asked the quarterly rewards and the deposits for gas.
pub async fn run<C, F>(
    index: Index,
    mut tips: watch::Receiver<Tip>,
    observer: Observer,
    committee: C,
    reads: Reads,
) where
    C: Fn(u64) -> F,
    F: Future<Output = Option<Opening>>,
{
    let newest = |tips: &mut watch::Receiver<Tip>| tips.borrow_and_update().header.height;
    let mut seen = newest(&mut tips);
    while tips.changed().await.is_ok() {
        let height = newest(&mut tips);
        let first = seen
            .saturating_add(1)
            .max(height.saturating_sub(MAX_BEHIND).saturating_add(1));
        for height in first..=height {
            seen = height;
            // A node that fetched a recent state has no blocks from before it.
            let Some(block) = read(&index, height).await else {
                continue;
            };
            let epoch = block.header.turn.epoch;
            if !observer.knows(epoch)
                && let Some(opening) = committee(epoch).await
            {
                observer.tell(opening);
            }
            observer.observe(&look(&block), now_ms());
        }
        if let Some(standing) = reads.rewards().await {
            observer.observe_rewards(&standing, now_ms());
        }
        if let Some(deposits) = reads.gas_deposits().await {
            observer.observe_gas_deposits(deposits);
        }
    }
}

async fn read(index: &Index, height: u64) -> Option<Block> {
    let index = index.clone();
    // A disk read; consensus runs on the same few threads.
    let block = tokio::task::spawn_blocking(move || index.block(height)).await;
    match block {
        Ok(Ok(block)) => block,
        // It fetched a later state and has none of these.
        Ok(Err(IndexError::Before { .. })) => None,
        Ok(Err(error)) => {
            tracing::warn!(%error, height, "metrics could not read a block");
            None
        }
        Err(_) => None,
    }
}

/// What metrics look at.
fn look(block: &Block) -> Seen {
    let header = &block.header;
    Seen {
        height: header.height,
        timestamp_ms: header.timestamp_ms,
        turn: header.turn,
        attesters: block
            .system
            .attestations
            .iter()
            .map(|attestation| attestation.delegate)
            .collect(),
        checkpoint_ms: header
            .checkpoint
            .map(|checkpoint| checkpoint.timestamp.saturating_mul(1000)),
        opens: opening(block),
    }
}

/// Who signs the epoch that a block opens, if it opens one.
fn opening(block: &Block) -> Option<Opening> {
    let NextEpoch {
        epoch,
        succeeded,
        committee,
    } = block::next_epoch(block.opens()?);
    Some(Opening {
        epoch,
        members: committee,
        succeeded,
    })
}

/// Who signs an epoch, as the last block before it says, or the state, where a node skipped that
/// block. The state does not tell how that epoch's ceremony ended: it counts as a success.
pub fn committees(
    index: Index,
    genesis: Block,
    epoch_blocks: u64,
    reads: Reads,
) -> impl Fn(u64) -> BoxFuture<'static, Option<Opening>> {
    move |epoch| {
        let Some(height) = epoch.checked_mul(epoch_blocks) else {
            return Box::pin(ready(None));
        };
        let Some(last) = height.checked_sub(1) else {
            return Box::pin(ready(opening(&genesis)));
        };
        let (index, reads) = (index.clone(), reads.clone());
        Box::pin(async move {
            if let Some(block) = read(&index, last).await {
                return opening(&block);
            }
            let members = reads.committee(epoch).await?;
            Some(Opening {
                epoch,
                members,
                succeeded: true,
            })
        })
    }
}
