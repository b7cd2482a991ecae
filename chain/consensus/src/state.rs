//! The chain's state in QMDB: which database, how it is configured, and how execution reads it.
//!
//! Keys and values are those of `mileverse_execution::state`. The state root in a block's header is the
//! root of what stands; [`proof`](crate::proof) proves values against it. The operations root beside it is
//! what state sync is verified against ([`crate::sync`]).
//!
//! ```txt
//! log               every write is an operation, appended; those nobody needs are pruned from the front
//! operations root   Merkle mountain range over the log
//! activity bits     one for each operation: whether it is its key's newest
//! state root        over both, the bits grafted onto the range, [`CHUNK`] bytes at a time
//! ```

use crate::block::word;
use bytes::BufMut;
use commonware_codec::{
    Buf, EncodeSize, Error as CodecError, RangeCfg, Read, Write, util::at_least,
};
use commonware_cryptography::{Sha256, sha256};
use commonware_glue::stateful::db::{DatabaseSet, Shared};
use commonware_parallel::Sequential;
use commonware_runtime::{Spawner, buffer::paged::CacheRef};
use commonware_storage::{
    Context as StorageContext,
    journal::contiguous::variable::Config as LogConfig,
    mmr::{self, full::Config as MerkleConfig},
    qmdb::current::{VariableConfig, unordered::variable},
    translator::EightCap,
};
use commonware_utils::{NZU64, NZUsize};
use mileverse_execution::state::{
    Changes, Key, MAX_VALUE_LENGTH, Place, ReadError, StateReader, Value,
};
use mileverse_primitives::header::StateCommitment;
use smallvec::SmallVec;
use std::num::NonZeroUsize;

/// Bytes of activity bits that are grafted at once: those of 256 operations. A proof carries them.
pub const CHUNK: usize = 32;

/// The database.
pub type StateDb<E> =
    variable::Db<mmr::Family, E, sha256::Digest, StoredValue, Sha256, EightCap, CHUNK, Sequential>;
/// The database as consensus shares it.
pub type Databases<E> = Shared<StateDb<E>>;
/// Uncommitted changes over it.
pub type Batch<E> = <Databases<E> as DatabaseSet<E>>::Unmerkleized;
/// Uncommitted changes with their root.
pub type Merkleized<E> = <Databases<E> as DatabaseSet<E>>::Merkleized;

/// Bytes of a value that need no memory of their own: an account's. The log copies a value several times on
/// its way, and nearly all are accounts and words.
const SHORT: usize = 72;

/// A value with its limit built in, so that a peer's operations need no configuration to be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredValue(SmallVec<[u8; SHORT]>);

impl StoredValue {
    /// The bytes of a value.
    pub fn new(value: &[u8]) -> Self {
        Self(SmallVec::from_slice(value))
    }

    /// The value.
    pub fn into_value(self) -> Value {
        self.0.into_vec()
    }
}

impl Write for StoredValue {
    fn write(&self, buf: &mut impl BufMut) {
        self.0.as_slice().write(buf);
    }
}

impl EncodeSize for StoredValue {
    fn encode_size(&self) -> usize {
        self.0.as_slice().encode_size()
    }
}

impl Read for StoredValue {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        let length = usize::read_cfg(buf, &RangeCfg::new(0..=MAX_VALUE_LENGTH))?;
        at_least(buf, length)?;
        let mut value = SmallVec::from_elem(0, length);
        buf.copy_to_slice(&mut value);
        Ok(Self(value))
    }
}

const BUFFER: NonZeroUsize = NZUsize!(64 * 1024);

/// Begins the names of all its partitions, and of nobody else's.
pub fn partitions(prefix: &str) -> String {
    format!("{prefix}-state-")
}

/// The database's configuration under a partition prefix.
///
/// The index keeps the first eight bytes of each key, as they are. Keys are keccak256 of what they name, so
/// nobody chooses them: many keys with the same eight bytes cost about 2^64 hashes, and filling one
/// neighbourhood of the index costs 2^30 hashes and a paid slot for each key that makes only its
/// neighbours slower. A seeded hash on top would cost every reader more than that.
pub fn config(prefix: &str, cache: CacheRef) -> VariableConfig<EightCap, ((), ()), Sequential> {
    let partition = |part: &str| format!("{}{part}", partitions(prefix));
    VariableConfig {
        merkle_config: MerkleConfig {
            journal_partition: partition("merkle"),
            metadata_partition: partition("metadata"),
            items_per_blob: NZU64!(65_536),
            write_buffer: BUFFER,
            replay_buffer: BUFFER,
            strategy: Sequential,
            page_cache: cache.clone(),
        },
        grafted_metadata_partition: partition("grafted"),
        journal_config: LogConfig {
            partition: partition("log"),
            items_per_section: NZU64!(65_536),
            compression: None,
            codec_config: ((), ()),
            page_cache: cache,
            write_buffer: BUFFER,
            replay_buffer: BUFFER,
        },
        translator: EightCap,
        init_cache: Some(NZUsize!(1024)),
        init_buffer: NZUsize!(1 << 21),
        init_concurrency: (),
    }
}

/// Reads through a batch, and before that through `overlay` (the genesis state under block 1).
pub struct BatchReader<'a, E: StorageContext + Spawner> {
    /// What the database knows.
    pub batch: &'a Batch<E>,
    /// What must be seen first.
    pub overlay: Option<&'a Changes>,
}

impl<E: StorageContext + Spawner> StateReader for BatchReader<'_, E> {
    async fn get(&self, key: Key) -> Result<Option<Value>, ReadError> {
        if let Some(found) = self.overlay.and_then(|overlay| overlay.get(&key)) {
            return Ok(found.clone());
        }
        self.batch
            .get(&sha256::Digest::from(key.0))
            .await
            .map(|found| found.map(StoredValue::into_value))
            .map_err(|error| ReadError(error.to_string()))
    }

    async fn read_all(&self, places: &[(Place, Key)]) -> Result<Vec<Option<Value>>, ReadError> {
        if let [(_, key)] = places {
            return Ok(vec![self.get(*key).await?]);
        }
        let keys: Vec<_> = places
            .iter()
            .map(|(_, key)| sha256::Digest::from(key.0))
            .collect();
        let asked: Vec<_> = keys.iter().collect();
        let found = self
            .batch
            .get_many(&asked)
            .await
            .map_err(|error| ReadError(error.to_string()))?;
        let seen = |key: &Key| self.overlay.and_then(|overlay| overlay.get(key));
        Ok(places
            .iter()
            .zip(found)
            .map(|((_, key), found)| match seen(key) {
                Some(first) => first.clone(),
                None => found.map(StoredValue::into_value),
            })
            .collect())
    }
}

/// Writes `changes` into a batch.
pub fn write<E: StorageContext + Spawner>(mut batch: Batch<E>, changes: &Changes) -> Batch<E> {
    for (key, value) in changes {
        let value = value.as_deref().map(StoredValue::new);
        batch = batch.write(sha256::Digest::from(key.0), value);
    }
    batch
}

/// What the header of block 0 says of the state: nothing is written yet, and nothing can be proven.
pub fn initial<E: StorageContext + Spawner>() -> StateCommitment {
    let target = Databases::<E>::initial_sync_targets();
    let root = word(&target.root);
    StateCommitment {
        root,
        operations_root: root,
        start: *target.range.start(),
        end: *target.range.end(),
    }
}
