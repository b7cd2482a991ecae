//! Keeps the transactions that came in here over a restart.
//!
//! ```txt
//! journal = { length (4, big-endian) ‖ EIP-2718 bytes }
//! ```
//!
//! A record is handed to the operating system before the client gets its answer, so it survives the
//! end of the process, however it ends. It is not forced to the disk: a transaction is a wish until
//! it is final. A torn record at the end, and all behind it, is left out. When the file has grown
//! past [`MAX_BYTES`] it is written anew with what still waits.

use mileverse_execution::MAX_TRANSACTION_LENGTH;
use mileverse_primitives::Bytes;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Length of the file from which on it is written anew.
pub const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// An open journal; clones share it.
#[derive(Clone)]
pub struct Journal {
    path: Arc<PathBuf>,
    open: Arc<Mutex<Open>>,
}

struct Open {
    file: File,
    bytes: u64,
}

impl Journal {
    /// Opens or makes a journal; answers what it holds.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Bytes>)> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(MAX_BYTES * 2).read_to_end(&mut bytes)?;
        let journal = Self {
            path: Arc::new(path.to_owned()),
            open: Arc::new(Mutex::new(Open {
                file,
                bytes: bytes.len() as u64,
            })),
        };
        Ok((journal, records(&bytes)))
    }

    /// Adds a transaction; whether the journal has grown so long that it should be rewritten.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn append(&self, raw: &[u8]) -> io::Result<bool> {
        let record = record(raw)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.file.write_all(&record)?;
        open.bytes = open.bytes.saturating_add(record.len() as u64);
        Ok(open.bytes > MAX_BYTES)
    }

    /// Writes the journal anew with these transactions, in one step.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; then the old one stays.
    pub fn rewrite(&self, transactions: &[Bytes]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.path.with_extension("new");
        let mut file = File::create(&next)?;
        let mut bytes = 0u64;
        for raw in transactions {
            let record = record(raw)?;
            file.write_all(&record)?;
            bytes = bytes.saturating_add(record.len() as u64);
        }
        file.sync_all()?;
        std::fs::rename(&next, self.path.as_ref())?;
        *open = Open { file, bytes };
        Ok(())
    }
}

fn record(raw: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(raw.len()).map_err(io::Error::other)?;
    Ok([length.to_be_bytes().as_slice(), raw].concat())
}

/// The whole records at the beginning of `bytes`.
fn records(mut bytes: &[u8]) -> Vec<Bytes> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length == 0 || length > MAX_TRANSACTION_LENGTH {
            break;
        }
        let Some((raw, rest)) = rest.split_at_checked(length) else {
            break;
        };
        found.push(Bytes::copy_from_slice(raw));
        bytes = rest;
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(words: &[&'static str]) -> Vec<Bytes> {
        words
            .iter()
            .map(|word| Bytes::from_static(word.as_bytes()))
            .collect()
    }

    #[test]
    fn what_was_written_is_found_again_without_a_torn_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (journal, held) = Journal::open(&path).unwrap();
        assert!(held.is_empty());
        for raw in [b"one".as_slice(), b"two", b"three"] {
            assert!(!journal.append(raw).unwrap());
        }
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (_, held) = Journal::open(&path).unwrap();
            let expected = [7, 14, 23].iter().filter(|end| **end <= length).count();
            assert_eq!(held.len(), expected, "{length} bytes");
        }
        let (journal, held) = Journal::open(&path).unwrap();
        assert_eq!(held, words(&["one", "two", "three"]));
        journal.rewrite(&held[1..]).unwrap();
        journal.append(b"four").unwrap();
        let (_, held) = Journal::open(&path).unwrap();
        assert_eq!(held, words(&["two", "three", "four"]));
    }
}
