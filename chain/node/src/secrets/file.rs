//! Files for their owner's eyes, whole or not at all.

use super::SecretError;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Largest sealed file, bytes: the dealings of 99 delegates over several epochs take a tenth.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads a text of at most [`MAX_FILE_BYTES`].
pub(super) fn read(path: &Path) -> Result<String, SecretError> {
    let failed = |source| SecretError::Read {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(failed)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(text)
}

/// Writes a new file with mode 0600; refuses to replace one.
pub(super) fn create(path: &Path, text: &str) -> Result<(), SecretError> {
    let failed = |source| SecretError::Write {
        path: path.into(),
        source,
    };
    match write_new(path, text) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(SecretError::Exists(path.into()));
        }
        Err(error) => {
            // Half a key file would only look like a damaged one.
            let _ = fs::remove_file(path);
            return Err(failed(error));
        }
        Ok(()) => {}
    }
    sync_directory(path).map_err(failed)
}

/// Replaces a file, or makes it: after a crash there is the old text or the new one.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), SecretError> {
    let failed = |source| SecretError::Write {
        path: path.into(),
        source,
    };
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        // It could never be read again.
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    let next = beside(path).ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    write_new(&next, text)
        .and_then(|()| fs::rename(&next, path))
        .and_then(|()| sync_directory(path))
        .map_err(failed)
}

/// Where the next version of `path` is written: `.name.next` in the same directory.
fn beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    Some(path.with_file_name(format!(".{name}.next")))
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A name is durable once its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn files_are_private_and_new_ones_replace_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        create(&path, "one").unwrap();
        assert!(matches!(create(&path, "two"), Err(SecretError::Exists(_))));
        assert_eq!(read(&path).unwrap(), "one");
        // What a crash in the middle of an earlier write left behind is no obstacle.
        fs::write(directory.path().join(".file.next"), "half").unwrap();
        replace(&path, "three").unwrap();
        assert_eq!(read(&path).unwrap(), "three");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_too_large_or_nowhere_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert!(matches!(read(&path), Err(SecretError::Read { .. })));
        File::create(&path)
            .unwrap()
            .set_len(MAX_FILE_BYTES + 1)
            .unwrap();
        assert!(matches!(read(&path), Err(SecretError::Read { .. })));
        let long = "x".repeat(usize::try_from(MAX_FILE_BYTES).unwrap() + 1);
        assert!(matches!(
            replace(&path, &long),
            Err(SecretError::Write { .. })
        ));
        let nowhere = directory.path().join("none/file");
        assert!(matches!(
            create(&nowhere, ""),
            Err(SecretError::Write { .. })
        ));
        assert!(matches!(
            replace(&nowhere, ""),
            Err(SecretError::Write { .. })
        ));
    }
}
