//! Tells a node's [`Rotation`] what each epoch runs, from final blocks and final state.
//!
//! Since when a rotation is due is written in an epoch before the first that it names, and changes
//! after that only in the block that hands over. So every node that asks within an epoch gets the
//! same answer, whenever it asks.

use super::actor::{Assignment, Rotation};
use crate::watch;
use crate::{
    application::Tip,
    block::{Block, PublicKey},
    engine::{Marshal, participants::Elections},
    state::{BatchReader, Databases},
};
use commonware_consensus::{marshal::Identifier, types::Height};
use commonware_glue::stateful::db::DatabaseSet as _;
use commonware_runtime::Spawner;
use commonware_storage::Context as StorageContext;
use commonware_utils::ordered::Set;
use mileverse_execution::{ReadError, Rotations};

/// What state says of the group key, read from one state.
///
/// # Errors
///
/// When the state cannot be read, or moved meanwhile.
pub async fn rotations<E, L>(
    elections: &L,
    databases: &Databases<E>,
) -> Result<Rotations, ReadError>
where
    E: StorageContext + Spawner,
    L: Elections,
{
    let batch = databases.new_batches().await;
    let state = BatchReader::<E> {
        batch: &batch,
        overlay: None,
    };
    elections.rotations(&state).await
}

/// Who gets a share in `epoch`, from the block that opened it.
async fn players(marshal: &Marshal, epoch: u64, blocks: u64) -> Option<Set<PublicKey>> {
    let opening = epoch.checked_mul(blocks)?.checked_sub(1)?;
    let block = marshal
        .get_block(Identifier::Height(Height::new(opening)))
        .await?;
    let block: &Block = block.inner();
    Some(block.opens()?.players.clone())
}

/// Assigns each epoch's ceremony, or none, until the node ends.
pub async fn drive<E, L>(
    rotation: Rotation,
    elections: L,
    databases: Databases<E>,
    marshal: Marshal,
    mut tip: watch::Receiver<Tip>,
    epoch_blocks: u64,
) where
    E: StorageContext + Spawner,
    L: Elections,
{
    let mut entered = None;
    loop {
        let height = tip.borrow_and_update().header.height;
        let epoch = height.saturating_add(1) / epoch_blocks.max(1);
        if entered != Some(epoch) {
            match rotations(&elections, &databases).await {
                Ok(state) => {
                    let due = state.since.is_some_and(|since| since <= epoch);
                    let players = if due {
                        players(&marshal, epoch, epoch_blocks).await
                    } else {
                        None
                    };
                    if due && players.is_none() {
                        tracing::warn!(
                            epoch,
                            "a new group key is due, but this node does not have the block that opened the epoch"
                        );
                    }
                    rotation.assign(players.map(|players| Assignment { epoch, players }));
                    entered = Some(epoch);
                }
                // A block became final under the question; its news ask again.
                Err(error) => tracing::debug!(epoch, %error, "the state moved under a question"),
            }
        }
        if tip.changed().await.is_err() {
            return;
        }
    }
}
