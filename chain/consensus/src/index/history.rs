//! States of the past: what each block overwrote.
//!
//! ```txt
//! undo      height, first key   -> keys that the block changed, ascending, and what it found there:
//!                                  key (32) | length (4, big-endian; 0 if there was nothing) | value
//! touched   key, height         -> ()      only in an archive
//! ```
//!
//! A row holds the next keys as long as they fit into [`ROW`] bytes. One row for each key would be as
//! quick to read, but a block of thousands of changes takes most of its time in the database's tree.
//!
//! The value of a key after block `h` is what the first block above `h` that changed it found there,
//! or, if none did, what stands there now. A node keeps the undo of its newest
//! [`RECENT`] blocks, or of all ([`Retention`]). It looks through them block by block;
//! an archive finds the block by `touched`, so that a question about the far past costs the same.
//!
//! `undo` grows at one end and is cut at the other, a whole block at a time, in the transaction that
//! writes a block, so a crash leaves no half of it. Code has no undo: its key names its content.

use super::{IndexError, META};
use mileverse_execution::{Changes, Key, Value};
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    TableDefinition, WriteTransaction,
};
use std::iter;

pub(super) const UNDO: TableDefinition<'_, (u64, [u8; 32]), &[u8]> = TableDefinition::new("undo");
const TOUCHED: TableDefinition<'_, ([u8; 32], u64), ()> = TableDefinition::new("touched");

/// Bytes of a row of `undo`, unless one value alone is longer: such a row fits into a page of redb's.
const ROW: usize = 3 * 1024;
/// Bytes of an entry beside its value.
const ENTRY: usize = 32 + 4;
/// Blocks whose undo a node keeps if its configuration does not say.
pub const RECENT: u64 = 256;
/// Most blocks whose undo is cut with one block written, so that a smaller window is reached
/// step by step.
const MAX_CUT: u64 = 32;
/// Key in `meta` of the height since when the undo is complete.
const SINCE: &str = "undo since";

/// How many states of the past are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retention {
    /// Those after each of this many newest blocks.
    Recent(u64),
    /// All since the first block that was executed here.
    Archive,
}

impl Default for Retention {
    fn default() -> Self {
        Self::Recent(RECENT)
    }
}

impl Retention {
    const fn is_archive(self) -> bool {
        matches!(self, Self::Archive)
    }

    /// Makes the tables what this retention expects.
    pub(super) fn prepare(self, write: &WriteTransaction) -> Result<(), IndexError> {
        let undo = write.open_table(UNDO)?;
        if !self.is_archive() {
            drop(undo);
            write.delete_table(TOUCHED)?;
            return Ok(());
        }
        let mut touched = write.open_table(TOUCHED)?;
        if touched.first()?.is_none() {
            for row in undo.iter()? {
                let (place, row) = row?;
                let (height, _) = place.value();
                for entry in entries(row.value()) {
                    let (key, _) = entry?;
                    touched.insert((key.0, height), ())?;
                }
            }
        }
        Ok(())
    }

    /// Writes what a block overwrote and cuts what is not kept any more.
    pub(super) fn append(
        self,
        write: &WriteTransaction,
        height: u64,
        before: &Changes,
    ) -> Result<(), IndexError> {
        let mut undo = write.open_table(UNDO)?;
        for (first, row) in rows(before)? {
            undo.insert((height, first.0), row.as_slice())?;
        }
        let mut meta = write.open_table(META)?;
        let since = meta.get(SINCE)?.map(|since| number(since.value()));
        let since = match since {
            Some(since) => since,
            None => {
                meta.insert(SINCE, word(height))?;
                height
            }
        };
        match self {
            Self::Archive => {
                let mut touched = write.open_table(TOUCHED)?;
                for key in before.keys() {
                    touched.insert((key.0, height), ())?;
                }
            }
            Self::Recent(blocks) => {
                let keep = height.saturating_sub(blocks).saturating_add(1);
                let cut = keep.min(since.saturating_add(MAX_CUT));
                if cut > since {
                    undo.retain_in((since, [0; 32])..(cut, [0; 32]), |_, _| false)?;
                    meta.insert(SINCE, word(cut))?;
                }
            }
        }
        Ok(())
    }
}

/// A fixed look at what later blocks overwrote.
pub struct History {
    undo: ReadOnlyTable<(u64, [u8; 32]), &'static [u8]>,
    touched: Option<ReadOnlyTable<([u8; 32], u64), ()>>,
    since: u64,
    newest: u64,
}

impl History {
    pub(super) fn open(
        database: &Database,
        newest: impl FnOnce(&ReadTransaction) -> Result<u64, IndexError>,
        retention: Retention,
    ) -> Result<Self, IndexError> {
        let read = database.begin_read()?;
        let newest = newest(&read)?;
        let since = read.open_table(META)?.get(SINCE)?;
        let touched = retention.is_archive().then(|| read.open_table(TOUCHED));
        Ok(Self {
            undo: read.open_table(UNDO)?,
            touched: touched.transpose()?,
            since: since.map_or(newest.saturating_add(1), |since| number(since.value())),
            newest,
        })
    }

    /// The newest block whose undo is seen here.
    pub const fn newest(&self) -> u64 {
        self.newest
    }

    /// The first block after which the state can be read.
    pub const fn first(&self) -> u64 {
        self.since.saturating_sub(1)
    }

    /// What stood at `key` after block `height`, if a later block changed it: `Some(None)` if there
    /// was nothing.
    ///
    /// # Errors
    ///
    /// When that state is not kept, or the database fails.
    pub fn overwritten(&self, key: Key, height: u64) -> Result<Option<Option<Value>>, IndexError> {
        let first = self.first();
        if height < first {
            return Err(IndexError::Pruned { height, first });
        }
        let above = height.saturating_add(1);
        if let Some(touched) = &self.touched {
            let mut later = touched.range((key.0, above)..=(key.0, u64::MAX))?;
            let Some(entry) = later.next() else {
                return Ok(None);
            };
            let (_, height) = entry?.0.value();
            return self.undone(height, key);
        }
        for height in above..=self.newest {
            let found = self.undone(height, key)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn undone(&self, height: u64, key: Key) -> Result<Option<Option<Value>>, IndexError> {
        let mut rows = self.undo.range((height, [0; 32])..=(height, key.0))?;
        // Of those that begin at the key or before it, the last.
        let Some(row) = rows.next_back() else {
            return Ok(None);
        };
        let (_, row) = row?;
        for entry in entries(row.value()) {
            let (found, value) = entry?;
            if found == key {
                return Ok(Some((!value.is_empty()).then(|| value.to_vec())));
            }
        }
        Ok(None)
    }
}

/// What a block overwrote, as rows, each with its first key.
fn rows(before: &Changes) -> Result<Vec<(Key, Vec<u8>)>, IndexError> {
    let mut rows: Vec<(Key, Vec<u8>)> = Vec::new();
    for (key, value) in before {
        let value = value.as_deref().unwrap_or_default();
        let long = || IndexError::Database("a value is longer than any state's".to_owned());
        let length = u32::try_from(value.len()).map_err(|_| long())?;
        let taken = ENTRY.saturating_add(value.len());
        let (first, mut row) = rows
            .pop_if(|(_, row)| row.len().saturating_add(taken) <= ROW)
            .unwrap_or_else(|| (*key, Vec::with_capacity(ROW)));
        row.extend_from_slice(key.as_slice());
        row.extend_from_slice(&length.to_be_bytes());
        row.extend_from_slice(value);
        rows.push((first, row));
    }
    Ok(rows)
}

/// A key, and what the block found there.
type Entry<'a> = (Key, &'a [u8]);

/// The entries of a row.
fn entries(row: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, IndexError>> {
    let mut rest = row;
    iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = next(rest);
        rest = entry.map_or(&[], |(_, after)| after);
        Some(
            entry
                .map(|(entry, _)| entry)
                .ok_or(IndexError::Damaged("undo")),
        )
    })
}

/// The first entry, and what follows it.
fn next(row: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (key, rest) = row.split_first_chunk::<32>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (value, rest) = rest.split_at_checked(length)?;
    Some(((Key::from(*key), value), rest))
}

/// A height as `meta` holds it.
fn word(height: u64) -> [u8; 32] {
    let mut word = [0; 32];
    let (_, low) = word.split_at_mut(24);
    low.copy_from_slice(&height.to_be_bytes());
    word
}

fn number(word: [u8; 32]) -> u64 {
    let low = word.last_chunk::<8>().copied().unwrap_or_default();
    u64::from_be_bytes(low)
}
