//! Deletes what key rotations of past epochs left on disk.
//!
//! A rotation's ceremony is a small chain of its own, with files of its own:
//!
//! ```txt
//! consensus/key-rotation-<epoch>-<…>     several folders for each epoch in which one ran
//! ```
//!
//! Once the epoch is over nobody asks for them: the key it made, if it made one, is in the chain,
//! and the node's share of it in its sealed secrets. The present epoch's and the one before it are
//! kept, since their engine may be on its way out.

use mileverse_consensus::{application::Tip, watch};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Begins the names of the folders.
pub const PREFIX: &str = "key-rotation";
/// Epochs kept beside the present one.
const KEPT: u64 = 1;

/// Deletes as epochs pass, until `tips` is closed.
pub async fn run(storage: PathBuf, epoch_blocks: u64, mut tips: watch::Receiver<Tip>) {
    let mut done = 0;
    loop {
        let next = tips.borrow_and_update().header.height.saturating_add(1);
        let end = (next / epoch_blocks.max(1)).saturating_sub(KEPT);
        if end > done {
            match remove_below(&storage, end).await {
                Ok(0) => {}
                Ok(folders) => tracing::info!(folders, "deleted files of past key rotations"),
                Err(error) => {
                    tracing::warn!(%error, "files of past key rotations could not be deleted");
                }
            }
            done = end;
        }
        if tips.changed().await.is_err() {
            return;
        }
    }
}

/// Deletes folders of epochs before `end` and answers how many there were.
async fn remove_below(storage: &Path, end: u64) -> io::Result<u64> {
    let mut folders = tokio::fs::read_dir(storage).await?;
    let mut gone = 0u64;
    while let Some(folder) = folders.next_entry().await? {
        let name = folder.file_name();
        if name
            .to_str()
            .and_then(epoch)
            .is_some_and(|epoch| epoch < end)
        {
            tokio::fs::remove_dir_all(folder.path()).await?;
            gone = gone.saturating_add(1);
        }
    }
    Ok(gone)
}

/// The epoch in a folder's name, if it is one of these.
fn epoch(folder: &str) -> Option<u64> {
    let (epoch, _) = folder
        .strip_prefix(PREFIX)?
        .strip_prefix('-')?
        .split_once('-')?;
    epoch.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn folders_of_past_rotations_go_and_all_others_stay() {
        let storage = tempfile::tempdir().unwrap();
        let there = |name: &str| storage.path().join(name).exists();
        let old = [
            "key-rotation-0-simplex",
            "key-rotation-3-marshal-key",
            "key-rotation-11-x",
        ];
        let kept = [
            "key-rotation-12-simplex",
            "key-rotation-x-3",
            "key-rotation-3",
            "chain-3-key-rotation",
            "chain_consensus_3",
        ];
        for name in old.iter().chain(&kept) {
            std::fs::create_dir(storage.path().join(name)).unwrap();
            std::fs::write(storage.path().join(name).join("blob"), b"1").unwrap();
        }
        assert_eq!(remove_below(storage.path(), 12).await.unwrap(), 3);
        assert!(!old.into_iter().any(there));
        assert!(kept.into_iter().all(there));
        assert_eq!(remove_below(storage.path(), 12).await.unwrap(), 0);
    }
}
