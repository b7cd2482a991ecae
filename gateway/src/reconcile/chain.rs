//! What the chain issued: `Issued` events of the points module, read block after block, each once.
//!
//! The table `chain_read` says how far it was read; events and the mark are stored together.

use crate::conversion::Machine;
use crate::issuer::chain::ChainError;
use crate::store::reconciliations::ChainIssue;
use thiserror::Error;

/// Blocks asked for at once, at most; the node may answer fewer.
const BLOCKS: u64 = 1_000;

/// Why the chain was not read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The database.
    #[error("the database failed: {0}")]
    Store(#[from] sqlx::Error),
}

impl Machine {
    /// Reads what the chain issued since it was last read. Gives the block up to which it was.
    pub async fn read_chain_issues(&self) -> Result<u64, ReadError> {
        let tip = self.chain.height().await?;
        let mut size = BLOCKS;
        loop {
            let read = self.store.chain_read().await?;
            if read >= tip {
                return Ok(read);
            }
            let from = read.saturating_add(1);
            let to = tip.min(read.saturating_add(size));
            let found = match self.chain.issues(from, to).await {
                Ok(found) => found,
                // Too many events, perhaps: ask for fewer blocks.
                Err(ChainError::Refused { .. }) if size > 1 => {
                    size = size.div_euclid(2).max(1);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let issues: Vec<_> = found
                .into_iter()
                .map(|issue| ChainIssue {
                    name: issue.name.to_string(),
                    transaction_hash: issue.transaction_hash.to_string(),
                    block: issue.block,
                    micro_points: issue.amount.to_string(),
                })
                .collect();
            // If another replica was faster, its mark is found at the next turn.
            self.store.store_chain_issues(read, to, &issues).await?;
        }
    }
}
