//! How much memory a node takes for pages of its state if its configuration does not say.

use mileverse_consensus::{pages, state};
use std::{fs, io, num::NonZeroU32, path::Path};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// MiB for the state that lies below `storage` now, on this machine ([`pages::fitting`]). What cannot be
/// looked at counts as nothing.
pub fn for_state(storage: &Path, prefix: &str) -> NonZeroU32 {
    let stored = stored(storage, prefix).unwrap_or(0);
    let mib = pages::fitting(stored, of_machine());
    tracing::info!(
        cache_mib = mib.get(),
        state_mib = stored >> 20,
        "memory for pages of the state"
    );
    mib
}

/// Bytes of memory that this process may take: the machine's, or its container's.
pub fn of_machine() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    let machine = system.total_memory();
    system
        .cgroup_limits()
        .map_or(machine, |limits| machine.min(limits.total_memory))
}

/// Bytes of the state's files: each of its partitions is a folder or several, whose names begin with it.
fn stored(storage: &Path, prefix: &str) -> io::Result<u64> {
    let state = state::partitions(prefix);
    let mut bytes = 0u64;
    for folder in fs::read_dir(storage)? {
        let folder = folder?;
        let name = folder.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(&state)) {
            for file in fs::read_dir(folder.path())? {
                bytes = bytes.saturating_add(file?.metadata()?.len());
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use commonware_runtime::{
        Runner as _, Supervisor as _,
        tokio::{Config, Context, Runner},
    };
    use mileverse_consensus::state::StateDb;

    fn every_file(folder: &Path) -> u64 {
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let bytes = entries.map(|entry| match entry.file_type().unwrap() {
            kind if kind.is_dir() => every_file(&entry.path()),
            _ => entry.metadata().unwrap().len(),
        });
        bytes.sum()
    }

    #[test]
    fn the_engine_keeps_the_state_where_it_is_looked_for() {
        let storage = tempfile::tempdir().unwrap();
        let config = Config::new().with_storage_directory(storage.path());
        Runner::new(config).start(|context| async move {
            let config = state::config("chain", pages::cache(NonZeroU32::MIN));
            let opened = StateDb::<Context>::init(context.child("state"), config, None).await;
            assert!(opened.is_ok());
        });
        let bytes = every_file(storage.path());
        assert!(bytes > 0);
        assert_eq!(stored(storage.path(), "chain").unwrap(), bytes);
        assert_eq!(stored(storage.path(), "other").unwrap(), 0);
    }

    #[test]
    fn a_larger_state_gets_more() {
        let storage = tempfile::tempdir().unwrap();
        assert_eq!(for_state(storage.path(), "chain"), pages::LEAST_MIB);
        assert_eq!(
            for_state(&storage.path().join("none"), "chain"),
            pages::LEAST_MIB
        );
        assert!(of_machine() > 1 << 30);
        for (folder, mib) in [
            ("chain-state-log_data", 50),
            ("chain-state-merkle-blobs", 20),
            ("chain-blocks", 500),
        ] {
            let folder = storage.path().join(folder);
            fs::create_dir(&folder).unwrap();
            // A hole of the disk counts as what it will be.
            let file = fs::File::create(folder.join("0")).unwrap();
            file.set_len(mib << 20).unwrap();
        }
        assert_eq!(for_state(storage.path(), "chain").get(), 70);
    }
}
