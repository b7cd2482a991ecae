//! Deletes what the engines of past epochs left on disk.
//!
//! Each epoch's engine keeps its votes in a partition of its own, so that a restart cannot
//! contradict them. Once the epoch is over nobody asks for them again. The epoch before the present
//! one is kept, since its engine may be on its way out.

use crate::application::Tip;
use crate::watch;
use commonware_runtime::Storage;

/// Epochs kept beside the present one.
const KEPT: u64 = 1;

/// Where the orchestrator puts an epoch's votes.
fn partition(prefix: &str, epoch: u64) -> String {
    format!("{prefix}_consensus_{epoch}")
}

/// Deletes as epochs pass, until `tip` is closed.
pub async fn run(
    storage: impl Storage,
    prefix: String,
    epoch_blocks: u64,
    mut tip: watch::Receiver<Tip>,
) {
    let mut done = 0;
    loop {
        let next = tip.borrow_and_update().header.height.saturating_add(1);
        let end = (next / epoch_blocks.max(1)).saturating_sub(KEPT);
        if end > done {
            remove_below(&storage, &prefix, end).await;
            done = end;
        }
        if tip.changed().await.is_err() {
            return;
        }
    }
}

/// From the newest down to the first that is not there: older ones went before.
async fn remove_below(storage: &impl Storage, prefix: &str, end: u64) {
    for epoch in (0..end).rev() {
        if let Err(reason) = storage.remove(&partition(prefix, epoch), None).await {
            tracing::debug!(epoch, %reason, "no votes of that epoch to delete");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use commonware_runtime::{Runner as _, deterministic};

    #[test]
    fn votes_of_past_epochs_go_and_those_that_may_be_needed_stay() {
        deterministic::Runner::default().start(|context| async move {
            for epoch in 0..=6 {
                context
                    .open(&partition("x", epoch), b"votes")
                    .await
                    .unwrap();
            }
            // Epoch 5 is the present one.
            remove_below(&context, "x", 5 - KEPT).await;
            for epoch in 0..=6 {
                let there = context.scan(&partition("x", epoch)).await.is_ok();
                assert_eq!(there, epoch >= 4, "epoch {epoch}");
            }
            // Nothing is left to do, and nothing breaks.
            remove_below(&context, "x", 5 - KEPT).await;
        });
    }
}
