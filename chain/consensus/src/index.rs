//! What JSON-RPC needs to find again: blocks, transactions, receipts, and the outbox's leaves.
//!
//! Derived from final blocks and written in one transaction per block before the block is
//! acknowledged, so a restart finds either all of a block or nothing of it. redb tables:
//!
//! ```txt
//! blocks        height            -> block (its wire encoding)
//! digests       block digest      -> height
//! transactions  transaction hash  -> height, position
//! results       height            -> JSON: outbox after the block, receipts
//! packets       leaf index        -> JSON: the outbox packet
//! meta          "genesis"         -> genesis hash
//! ```
//!
//! The first block written may be any: a node that synced its state executes none of the blocks
//! below its floor. What lies below the first block is refused ([`IndexError::Before`]), not
//! answered as if it did not exist. Every block after the first must follow the one before. Paths in
//! the outbox's tree need all its leaves, so a node that lacks the first of them gives none.

use crate::block::Block;
use commonware_codec::Encode as _;
use mileverse_execution::{BlockOutput, TransactionOutcome};
use mileverse_primitives::{
    B256, outbox,
    rpc::{OutboxPacket, OutboxProof},
};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde::{Deserialize, Serialize};
use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};
use thiserror::Error;

const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const DIGESTS: TableDefinition<'_, [u8; 32], u64> = TableDefinition::new("digests");
const TRANSACTIONS: TableDefinition<'_, [u8; 32], (u64, u64)> =
    TableDefinition::new("transactions");
const RESULTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("results");
const PACKETS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("packets");
const META: TableDefinition<'_, &str, [u8; 32]> = TableDefinition::new("meta");

/// Why the index could not answer or write.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The database failed.
    #[error("the index database failed: {0}")]
    Database(String),
    /// What was read is not what was written.
    #[error("the index is damaged at {0}")]
    Damaged(&'static str),
    /// Another network's index.
    #[error("it belongs to genesis {0}")]
    OtherGenesis(B256),
    /// It lies before the first block that was executed here.
    #[error(
        "this node synced the state and has blocks from {first} on, not {height}; ask a node that has the whole chain"
    )]
    Before {
        /// The height asked for.
        height: u64,
        /// The first there is.
        first: u64,
    },
    /// It needs packets that were sent before the first block that was executed here.
    #[error(
        "this node synced the state and lacks the first {0} packets of the outbox, which every path needs; ask a node that has the whole chain"
    )]
    Packets(u64),
    /// A block is missing before this one.
    #[error("the index has a gap before block {0}; delete the data directory and sync again")]
    Gap(u64),
}

macro_rules! from_redb {
    ($($error:ty),+) => {$(
        impl From<$error> for IndexError {
            fn from(error: $error) -> Self {
                Self::Database(error.to_string())
            }
        }
    )+};
}
from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

/// What a block did.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Results {
    /// Leaves in the outbox after it.
    pub outbox_size: u64,
    /// `MTH` over them.
    pub outbox_tree: B256,
    /// One per transaction.
    pub receipts: Vec<TransactionOutcome>,
}

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
    leaves: Arc<RwLock<Leaves>>,
}

/// The outbox's leaves, as far as they are here.
#[derive(Default)]
struct Leaves {
    /// How many were there before the first block here.
    missing: u64,
    hashes: Vec<B256>,
}

impl Index {
    /// Opens or makes the index of the network with this genesis hash.
    pub fn open(path: &Path, genesis: B256) -> Result<Self, IndexError> {
        Self::over(Database::create(path)?, genesis)
    }

    /// An index that no file holds, for simulations.
    pub fn in_memory(genesis: B256) -> Result<Self, IndexError> {
        let memory = redb::backends::InMemoryBackend::new();
        Self::over(Database::builder().create_with_backend(memory)?, genesis)
    }

    fn over(database: Database, genesis: B256) -> Result<Self, IndexError> {
        let write = database.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            let found = meta.get("genesis")?.map(|found| B256::new(found.value()));
            match found {
                Some(found) if found != genesis => return Err(IndexError::OtherGenesis(found)),
                Some(_) => {}
                None => {
                    meta.insert("genesis", genesis.0)?;
                }
            }
            write.open_table(BLOCKS)?;
            write.open_table(DIGESTS)?;
            write.open_table(TRANSACTIONS)?;
            write.open_table(RESULTS)?;
            write.open_table(PACKETS)?;
        }
        write.commit()?;
        let leaves = read_leaves(&database)?;
        Ok(Self {
            database: Arc::new(database),
            leaves: Arc::new(RwLock::new(leaves)),
        })
    }

    /// Writes a block; writing it again changes nothing.
    pub fn append(&self, record: Record<'_>) -> Result<(), IndexError> {
        let height = record.block.header.height;
        if self.has(record.digest) {
            return Ok(());
        }
        let first;
        let write = self.database.begin_write()?;
        {
            let mut blocks = write.open_table(BLOCKS)?;
            let newest = blocks.last()?.map(|(newest, _)| newest.value());
            if newest.is_some_and(|newest| Some(height) > newest.checked_add(1)) {
                return Err(IndexError::Gap(height));
            }
            first = newest.is_none();
            blocks.insert(height, record.block.encode().as_ref())?;
            write.open_table(DIGESTS)?.insert(record.digest.0, height)?;
            let mut transactions = write.open_table(TRANSACTIONS)?;
            for (position, receipt) in (0u64..).zip(&record.output.receipts) {
                transactions.insert(receipt.hash.0, (height, position))?;
            }
            let results = Results {
                outbox_size: record.output.outbox_size,
                outbox_tree: record.output.outbox_tree,
                receipts: record.output.receipts.clone(),
            };
            write
                .open_table(RESULTS)?
                .insert(height, encode(&results)?.as_slice())?;
            let mut packets = write.open_table(PACKETS)?;
            for sent in &record.output.packets {
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
        write.commit()?;
        let mut leaves = self.leaves.write().unwrap_or_else(PoisonError::into_inner);
        if first {
            let sent = record.output.packets.len() as u64;
            leaves.missing = record.output.outbox_size.saturating_sub(sent);
        }
        for sent in &record.output.packets {
            leaves
                .hashes
                .push(outbox::leaf(sent.index, sent.commitment));
        }
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
            .map(|results| decode(results.value(), "results"))
            .transpose()
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
        let leaves = self.leaves.read().unwrap_or_else(PoisonError::into_inner);
        leaves.missing
    }

    /// The path of a leaf in the tree of `size` leaves; `None` if there is no such leaf or tree.
    pub fn outbox_proof(&self, index: u64, size: u64) -> Result<Option<OutboxProof>, IndexError> {
        let path = {
            let leaves = self.leaves.read().unwrap_or_else(PoisonError::into_inner);
            if leaves.missing > 0 {
                return Err(IndexError::Packets(leaves.missing));
            }
            let (Ok(at), Ok(length)) = (usize::try_from(index), usize::try_from(size)) else {
                return Ok(None);
            };
            leaves
                .hashes
                .get(..length)
                .and_then(|leaves| outbox::path(leaves, at))
        };
        let Some(path) = path else {
            return Ok(None);
        };
        let packet = self.packets(index, 1)?.into_iter().next();
        Ok(packet.map(|packet| OutboxProof {
            index,
            size,
            commitment: packet.commitment,
            path,
        }))
    }
}

fn read_leaves(database: &Database) -> Result<Leaves, IndexError> {
    let read = database.begin_read()?;
    let mut leaves = Leaves::default();
    let packets = read.open_table(PACKETS)?;
    for entry in packets.iter()? {
        let (index, packet) = entry?;
        let packet: OutboxPacket = decode(packet.value(), "packets")?;
        leaves
            .hashes
            .push(outbox::leaf(index.value(), packet.commitment));
    }
    leaves.missing = match packets.first()? {
        Some((index, _)) => index.value(),
        // None was sent since the first block, so all there are came before.
        None => match read.open_table(RESULTS)?.first()? {
            Some((_, results)) => decode::<Results>(results.value(), "results")?.outbox_size,
            None => 0,
        },
    };
    Ok(leaves)
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
