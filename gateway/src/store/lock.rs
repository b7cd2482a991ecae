//! The lock beside a SQLite database: a gateway holds it as long as it serves, so that a second one on the
//! same file is refused.

use super::OpenError;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// Held until it is released or dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock of a database, if nobody has it.
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::File {
            path: database.to_owned(),
            source,
        };
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(PathBuf::from(name))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(database.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Lets go of it.
    pub(super) fn release(&self) {
        let _ = self.0.unlock();
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not do while a process that is being started still has all our files: until it
        // is another program, they are open there too.
        self.release();
    }
}
