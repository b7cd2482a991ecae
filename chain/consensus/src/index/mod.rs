//! What JSON-RPC needs to find again: blocks, transactions, receipts, the outbox's packets and its tree,
//! and what each block overwrote.
//!
//! Derived from final blocks and written in one transaction per block before the block's state is
//! applied, so a restart finds either all of a block or nothing of it, and never a state that the
//! index does not know. redb tables:
//!
//! ```txt
//! blocks        height            -> block (its wire encoding)
//! digests       block digest      -> height
//! transactions  transaction hash  -> height, position
//! results       height            -> outbox after the block, outcomes   (see `results`)
//! blooms        height            -> the logs' bloom (256), if there are logs
//! packets       leaf index        -> JSON: the outbox packet
//! subtrees      level, position   -> hash of that perfect subtree of the outbox's tree
//! undo, touched                   what blocks overwrote                 (see `history`)
//! meta          "genesis"         -> genesis hash
//!               "format"          -> version of this layout, and of consensus' pages
//! ```
//!
//! The first block written may be any: a node that synced its state executes none of the blocks
//! below its floor. What lies below the first block is refused ([`IndexError::Before`]), not
//! answered as if it did not exist. Every block after the first must follow the one before. Paths in
//! the outbox's tree need all its leaves, so a node that lacks the first of them gives none, and keeps no
//! subtrees.

mod error;
mod history;
mod results;

pub use error::IndexError;
pub use history::{History, RECENT, Retention};
pub use results::{Outcome, Results};

use crate::block::Block;
use alloy::primitives::Bloom;
use commonware_codec::Encode as _;
use mileverse_execution::BlockOutput;
use mileverse_primitives::{
    B256,
    outbox::{self, Subtree},
    rpc::{OutboxPacket, OutboxProof},
};
use redb::{
    Database, ReadableDatabase as _, ReadableTable, Table, TableDefinition, WriteTransaction,
};
use serde::{Deserialize, Serialize};
use std::{
    ops::RangeInclusive,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const DIGESTS: TableDefinition<'_, [u8; 32], u64> = TableDefinition::new("digests");
const TRANSACTIONS: TableDefinition<'_, [u8; 32], (u64, u64)> =
    TableDefinition::new("transactions");
const RESULTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("results");
const BLOOMS: TableDefinition<'_, u64, &[u8; 256]> = TableDefinition::new("blooms");
const PACKETS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("packets");
const SUBTREES: TableDefinition<'_, (u32, u64), [u8; 32]> = TableDefinition::new("subtrees");
const META: TableDefinition<'_, &str, [u8; 32]> = TableDefinition::new("meta");

/// Version of the layout above, and of the files beside it: pages of another size
/// ([`crate::pages`]) would be cut off as damaged when they are opened.
const FORMAT: [u8; 32] = [4; 32];

/// A final block to be written.
pub struct Record<'a> {
    /// The block.
    pub block: &'a Block,
    /// Its digest.
    pub digest: B256,
    /// What it did.
    pub output: &'a BlockOutput,
}

/// The index; clones share it.
#[derive(Clone)]
pub struct Index {
    database: Arc<Database>,
    /// Packets that were sent before the first block here.
    missing: Arc<AtomicU64>,
    retention: Retention,
}

impl Index {
    /// Opens or makes the index of the network with this genesis hash.
    pub fn open(path: &Path, genesis: B256) -> Result<Self, IndexError> {
        Self::keeping(path, genesis, Retention::default())
    }

    /// The same, with a say in how many states of the past are kept.
    pub fn keeping(path: &Path, genesis: B256, retention: Retention) -> Result<Self, IndexError> {
        Self::over(Database::create(path)?, genesis, retention)
    }

    /// An index that no file holds, for simulations.
    pub fn in_memory(genesis: B256) -> Result<Self, IndexError> {
        let memory = redb::backends::InMemoryBackend::new();
        let database = Database::builder().create_with_backend(memory)?;
        Self::over(database, genesis, Retention::default())
    }

    fn over(database: Database, genesis: B256, retention: Retention) -> Result<Self, IndexError> {
        let write = database.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            let found = meta.get("genesis")?.map(|found| B256::new(found.value()));
            match found {
                Some(found) if found != genesis => return Err(IndexError::OtherGenesis(found)),
                Some(_) => {
                    let format = meta.get("format")?.map(|format| format.value());
                    if format != Some(FORMAT) {
                        return Err(IndexError::Format);
                    }
                }
                None => {
                    meta.insert("genesis", genesis.0)?;
                    meta.insert("format", FORMAT)?;
                }
            }
            write.open_table(BLOCKS)?;
            write.open_table(DIGESTS)?;
            write.open_table(TRANSACTIONS)?;
            write.open_table(RESULTS)?;
            write.open_table(BLOOMS)?;
            write.open_table(PACKETS)?;
        }
        retention.prepare(&write)?;
        let missing = missing_packets(&write)?;
        if missing == 0 {
            fill_subtrees(&write)?;
        }
        write.commit()?;
        Ok(Self {
            database: Arc::new(database),
            missing: Arc::new(AtomicU64::new(missing)),
            retention,
        })
    }

    /// Writes a block; writing it again changes nothing.
    pub fn append(&self, record: Record<'_>) -> Result<(), IndexError> {
        let height = record.block.header.height;
        if self.has(record.digest) {
            return Ok(());
        }
        let missing;
        let write = self.database.begin_write()?;
        {
            let mut blocks = write.open_table(BLOCKS)?;
            let newest = blocks.last()?.map(|(newest, _)| newest.value());
            if newest.is_some_and(|newest| Some(height) > newest.checked_add(1)) {
                return Err(IndexError::Gap(height));
            }
            missing = match newest {
                Some(_) => self.missing_packets(),
                None => {
                    let sent = record.output.packets.len() as u64;
                    record.output.outbox_size.saturating_sub(sent)
                }
            };
            blocks.insert(height, record.block.encode().as_ref())?;
            write.open_table(DIGESTS)?.insert(record.digest.0, height)?;
            let mut transactions = write.open_table(TRANSACTIONS)?;
            for (position, receipt) in (0u64..).zip(&record.output.receipts) {
                transactions.insert(receipt.hash.0, (height, position))?;
            }
            let results = Results::of(record.output);
            write
                .open_table(RESULTS)?
                .insert(height, results.encode().as_slice())?;
            let bloom = record.output.logs_bloom;
            if !bloom.is_zero() {
                write.open_table(BLOOMS)?.insert(height, bloom.data())?;
            }
            let mut packets = write.open_table(PACKETS)?;
            let mut subtrees = write.open_table(SUBTREES)?;
            for sent in &record.output.packets {
                if missing == 0 {
                    write_subtrees(&mut subtrees, sent.index, sent.commitment)?;
                }
                let packet = OutboxPacket {
                    index: sent.index,
                    sequence: sent.sequence,
                    commitment: sent.commitment,
                    packet: sent.packet.clone(),
                    height,
                };
                packets.insert(sent.index, encode(&packet)?.as_slice())?;
            }
        }
        self.retention
            .append(&write, height, &record.output.before)?;
        write.commit()?;
        self.missing.store(missing, Ordering::Release);
        Ok(())
    }

    /// Whether this block was written. A database that fails answers no.
    pub fn has(&self, digest: B256) -> bool {
        matches!(self.height_of(digest), Ok(Some(_)))
    }

    /// Height of a block by its digest.
    pub fn height_of(&self, digest: B256) -> Result<Option<u64>, IndexError> {
        let read = self.database.begin_read()?;
        Ok(read
            .open_table(DIGESTS)?
            .get(digest.0)?
            .map(|height| height.value()))
    }

    /// The newest block written.
    pub fn newest(&self) -> Result<Option<Block>, IndexError> {
        let read = self.database.begin_read()?;
        let table = read.open_table(BLOCKS)?;
        table
            .last()?
            .map(|(_, block)| block_from(block.value()))
            .transpose()
    }

    /// Whose states it can tell.
    pub const fn retention(&self) -> Retention {
        self.retention
    }

    /// Height of the first block written.
    pub fn first(&self) -> Result<Option<u64>, IndexError> {
        let read = self.database.begin_read()?;
        let table = read.open_table(BLOCKS)?;
        Ok(table.first()?.map(|(height, _)| height.value()))
    }

    /// A block by height; `None` for block 0 and for those that are not final yet.
    pub fn block(&self, height: u64) -> Result<Option<Block>, IndexError> {
        let read = self.database.begin_read()?;
        let table = read.open_table(BLOCKS)?;
        if let Some(block) = table.get(height)? {
            return block_from(block.value()).map(Some);
        }
        match table.first()?.map(|(first, _)| first.value()) {
            Some(first) if (1..first).contains(&height) => {
                Err(IndexError::Before { height, first })
            }
            _ => Ok(None),
        }
    }

    /// What a block did, by height.
    pub fn results(&self, height: u64) -> Result<Option<Results>, IndexError> {
        let read = self.database.begin_read()?;
        let table = read.open_table(RESULTS)?;
        table
            .get(height)?
            .map(|results| Results::decode(results.value()))
            .transpose()
    }

    /// Which of some blocks may have logs that `wanted` matches, ascending.
    pub fn blooms(
        &self,
        heights: RangeInclusive<u64>,
        wanted: impl Fn(Bloom) -> bool,
    ) -> Result<Vec<u64>, IndexError> {
        let read = self.database.begin_read()?;
        let table = read.open_table(BLOOMS)?;
        let mut found = Vec::new();
        for entry in table.range(heights)? {
            let (height, bloom) = entry?;
            if wanted(Bloom::from(bloom.value())) {
                found.push(height.value());
            }
        }
        Ok(found)
    }

    /// A fixed look at what blocks overwrote, up to the newest block written.
    pub fn history(&self) -> Result<History, IndexError> {
        let newest = |read: &redb::ReadTransaction| {
            let blocks = read.open_table(BLOCKS)?;
            let last = blocks.last()?.map(|(height, _)| height.value());
            Ok(last.unwrap_or_default())
        };
        History::open(&self.database, newest, self.retention)
    }

    /// Where a transaction stands: height and position.
    pub fn transaction(&self, hash: B256) -> Result<Option<(u64, u64)>, IndexError> {
        let read = self.database.begin_read()?;
        Ok(read
            .open_table(TRANSACTIONS)?
            .get(hash.0)?
            .map(|place| place.value()))
    }

    /// Outbox packets from a leaf index on, at most `limit`.
    pub fn packets(&self, from: u64, limit: u64) -> Result<Vec<OutboxPacket>, IndexError> {
        let missing = self.missing_packets();
        if from < missing {
            return Err(IndexError::Packets(missing));
        }
        let read = self.database.begin_read()?;
        let table = read.open_table(PACKETS)?;
        table
            .range(from..from.saturating_add(limit))?
            .map(|entry| decode(entry?.1.value(), "packets"))
            .collect()
    }

    fn missing_packets(&self) -> u64 {
        self.missing.load(Ordering::Acquire)
    }

    /// The path of a leaf in the tree of `size` leaves; `None` if there is no such leaf or tree.
    pub fn outbox_proof(&self, index: u64, size: u64) -> Result<Option<OutboxProof>, IndexError> {
        let missing = self.missing_packets();
        if missing > 0 {
            return Err(IndexError::Packets(missing));
        }
        let read = self.database.begin_read()?;
        let packets = read.open_table(PACKETS)?;
        let last = packets.last()?.map(|(last, _)| last.value());
        if last.is_none_or(|last| size > last.saturating_add(1)) {
            return Ok(None);
        }
        let Some(packet) = packets.get(index)? else {
            return Ok(None);
        };
        let packet: OutboxPacket = decode(packet.value(), "packets")?;
        let subtrees = read.open_table(SUBTREES)?;
        let path = outbox::path(index, size, |at| subtree(&subtrees, at))?;
        Ok(path.map(|path| OutboxProof {
            index,
            size,
            commitment: packet.commitment,
            path,
        }))
    }
}

fn missing_packets(write: &WriteTransaction) -> Result<u64, IndexError> {
    if let Some((first, _)) = write.open_table(PACKETS)?.first()? {
        return Ok(first.value());
    }
    // None was sent since the first block, so all there are came before.
    match write.open_table(RESULTS)?.first()? {
        Some((_, results)) => Ok(Results::decode(results.value())?.outbox_size),
        None => Ok(0),
    }
}

/// Writes down all subtrees, if those of the last packet are not: so it is where an earlier version
/// made the index.
fn fill_subtrees(write: &WriteTransaction) -> Result<(), IndexError> {
    let packets = write.open_table(PACKETS)?;
    let mut subtrees = write.open_table(SUBTREES)?;
    let last = packets.last()?.map(|(last, _)| last.value());
    if last.is_none_or(|last| matches!(subtrees.get((0, last)), Ok(Some(_)))) {
        return Ok(());
    }
    for entry in packets.iter()? {
        let (index, packet) = entry?;
        let packet: OutboxPacket = decode(packet.value(), "packets")?;
        write_subtrees(&mut subtrees, index.value(), packet.commitment)?;
    }
    Ok(())
}

/// Writes down the subtrees that a leaf completes.
fn write_subtrees(
    table: &mut Table<'_, (u32, u64), [u8; 32]>,
    index: u64,
    commitment: B256,
) -> Result<(), IndexError> {
    let completed = outbox::completes(index, commitment, |at| subtree(&*table, at))?;
    for (at, hash) in completed {
        table.insert((at.level, at.position), hash.0)?;
    }
    Ok(())
}

fn subtree(
    table: &impl ReadableTable<(u32, u64), [u8; 32]>,
    at: Subtree,
) -> Result<B256, IndexError> {
    let hash = table.get((at.level, at.position))?;
    let hash = hash.ok_or(IndexError::Damaged("subtrees"))?;
    Ok(B256::new(hash.value()))
}

fn block_from(bytes: &[u8]) -> Result<Block, IndexError> {
    Block::read_own(bytes).map_err(|_| IndexError::Damaged("blocks"))
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>, IndexError> {
    serde_json::to_vec(value).map_err(|error| IndexError::Database(error.to_string()))
}

fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8], table: &'static str) -> Result<T, IndexError> {
    serde_json::from_slice(bytes).map_err(|_| IndexError::Damaged(table))
}
