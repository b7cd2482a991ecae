//! The relayer's memory: one SQLite file or one PostgreSQL database, written by one process alone.
//!
//! ```txt
//! Store        the database: who may write it, which routes it knows
//!  └ RouteStore  one route's rows
//!      packets       packets seen, how far each direction has looked
//!      transactions  signed transactions, from before their broadcast on
//!      swaps         hashed-timelock swaps, the secrets that were shown, how far each chain was searched
//!      health        how each lane is doing
//! ```
//!
//! The tables stand in `migrations/`. What is here can be found again on the chains, with one
//! exception in spirit: a signed transaction is stored before it is broadcast ([`transactions`]),
//! so that after a crash the same bytes go out again instead of other ones.
//!
//! **One writer.** A SQLite file has a lock file beside it. In PostgreSQL the writer's only
//! connection holds an advisory lock of its schema: whoever loses the connection loses the lock, and
//! gets a new connection only together with the lock. Readers ([`Store::look`]) need neither.

mod health;
mod lane;
mod packets;
mod swaps;
mod transactions;

pub use health::Health;
pub use lane::Lane;
pub use packets::{Counts, Done, NewPacket, PacketRow, Position, Row, RowState, SetAside};
pub use swaps::{Found, NewSwap, Searched, SwapAside, SwapCounts, SwapEnd, SwapRow};
pub use transactions::{Outcome, Payload, SignedRow};

use crate::{
    Error,
    chain::{End, ROTATIONS},
};
use mileverse_primitives::{Address, B256};
use serde::{Serialize, Serializer};
use sqlx::{
    AnyConnection, AnyPool, Connection as _, Row as _,
    any::{AnyPoolOptions, install_default_drivers},
};
use std::{
    fmt,
    fs::{File, TryLockError},
    path::{Path, PathBuf, absolute},
    sync::Arc,
    time::Duration,
};
use url::Url;

/// What the advisory lock of a PostgreSQL schema is called; the schema's name is hashed with it.
const LOCK: &str =
    "SELECT pg_try_advisory_lock(hashtextextended('mileverse relayer ' || current_schema(), 0))";
/// Longest wait for a connection.
const ACQUIRE: Duration = Duration::from_secs(15);

/// Which way packets go, by where they arrive.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// From the native chain to Ethereum.
    ToEthereum,
    /// From the native chain to its peer.
    ToPeer,
    /// From Ethereum or the peer to the native chain.
    ToNative,
}

impl Direction {
    /// All that there are; a route has two of them.
    pub const ALL: [Self; 3] = [Self::ToEthereum, Self::ToPeer, Self::ToNative];

    /// As the database has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ToEthereum => "to_ethereum",
            Self::ToPeer => "to_peer",
            Self::ToNative => "to_native",
        }
    }

    /// The direction of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|direction| direction.word() == word)
    }

    /// The two directions of a route whose other end this is.
    pub const fn of_route(far: End) -> [Self; 2] {
        match far {
            End::Peer => [Self::ToPeer, Self::ToNative],
            End::Native | End::Ethereum => [Self::ToEthereum, Self::ToNative],
        }
    }

    /// Where its packets are delivered.
    pub const fn destination(self) -> End {
        match self {
            Self::ToEthereum => End::Ethereum,
            Self::ToPeer => End::Peer,
            Self::ToNative => End::Native,
        }
    }
}

impl Serialize for Direction {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToEthereum => "native to Ethereum",
            Self::ToPeer => "native to peer",
            Self::ToNative => "to native",
        })
    }
}

/// What makes a route's network this one and no other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    /// Native chain id.
    pub native_chain: u64,
    /// Hash of the native chain's genesis.
    pub native_genesis: B256,
    /// The chain at the other end.
    pub far_chain: u64,
    /// What that chain is known by beside its id.
    pub far_mark: Mark,
}

/// What the chain at the other end of a route is known by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mark {
    /// Ethereum: the bridge contract.
    Bridge(Address),
    /// A peer: the hash of its genesis.
    Genesis(B256),
}

impl Mark {
    /// Which end it marks.
    pub const fn end(&self) -> End {
        match self {
            Self::Bridge(_) => End::Ethereum,
            Self::Genesis(_) => End::Peer,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bridge(bridge) => bridge.to_vec(),
            Self::Genesis(genesis) => genesis.to_vec(),
        }
    }
}

impl Network {
    /// The two directions between its ends.
    pub const fn directions(&self) -> [Direction; 2] {
        Direction::of_route(self.far_mark.end())
    }
}

/// Where the memory is.
#[derive(Clone, Eq, PartialEq)]
pub enum Database {
    /// A file of its own.
    Sqlite(PathBuf),
    /// `postgres://user:password@host/database`.
    Postgres(Url),
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            // Without the password.
            Self::Postgres(url) => write!(
                f,
                "postgres://{}{}",
                url.host_str().unwrap_or("localhost"),
                url.path()
            ),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Database {
    /// A `postgres://` URL, or else the path of a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return text
                .parse()
                .map(Self::Postgres)
                .map_err(|error| format!("database is not a URL ({error})"));
        }
        if text.contains("://") {
            return Err("database must be the path of a SQLite file or a postgres:// URL".into());
        }
        Ok(Self::Sqlite(text.into()))
    }

    fn url(&self, mode: &str) -> Option<String> {
        match self {
            Self::Postgres(url) => Some(url.to_string()),
            Self::Sqlite(path) => {
                let file = Url::from_file_path(absolute(path).ok()?).ok()?;
                let path = file.as_str().strip_prefix("file")?;
                Some(format!("sqlite{path}?mode={mode}"))
            }
        }
    }

    fn failed(&self, reason: impl fmt::Display) -> Error {
        Error::Database {
            database: self.clone(),
            reason: reason.to_string(),
        }
    }
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    /// Held as long as the store lives; a second relayer is refused.
    _lock: Option<Arc<File>>,
}

impl Store {
    /// Opens the database for the one relayer that writes it; makes its tables if they are missing.
    pub async fn open(database: &Database) -> Result<Self, Error> {
        let lock = match database {
            Database::Sqlite(path) => Some(Arc::new(lock(database, path)?)),
            Database::Postgres(_) => None,
        };
        let pool = connect(database, "rwc", true).await?;
        let migrated = match database {
            Database::Sqlite(_) => sqlx::migrate!("migrations/sqlite").run(&pool).await,
            Database::Postgres(_) => sqlx::migrate!("migrations/postgres").run(&pool).await,
        };
        migrated.map_err(|error| database.failed(error))?;
        Ok(Self { pool, _lock: lock })
    }

    /// Opens the database to look at, beside a running relayer or without one.
    pub async fn look(database: &Database) -> Result<Self, Error> {
        Ok(Self {
            pool: connect(database, "ro", false).await?,
            _lock: None,
        })
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Ties a route to its network, or refuses if it is tied to another.
    pub async fn bind(&self, name: &str, network: &Network) -> Result<RouteStore, Error> {
        sqlx::query(
            "INSERT INTO route (name, native_chain, native_genesis, far_chain, far_mark)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING",
        )
        .bind(name)
        .bind(to_sql(network.native_chain)?)
        .bind(network.native_genesis.to_vec())
        .bind(to_sql(network.far_chain)?)
        .bind(network.far_mark.bytes())
        .execute(&self.pool)
        .await?;
        let row = sqlx::query(
            "SELECT id, native_chain, far_chain, native_genesis, far_mark FROM route
             WHERE name = $1",
        )
        .bind(name)
        .fetch_one(&self.pool)
        .await?;
        let same = row.try_get::<i64, _>(1)? == to_sql(network.native_chain)?
            && row.try_get::<i64, _>(2)? == to_sql(network.far_chain)?
            && row.try_get::<Vec<u8>, _>(3)? == network.native_genesis.as_slice()
            && row.try_get::<Vec<u8>, _>(4)? == network.far_mark.bytes();
        if !same {
            return Err(Error::OtherNetwork(name.to_owned()));
        }
        Ok(RouteStore {
            store: self.clone(),
            name: name.into(),
            id: row.try_get(0)?,
            chains: (network.native_chain, network.far_chain),
            far: network.far_mark.end(),
        })
    }

    /// A route that the database knows; `None` if it was never bound.
    pub async fn route(&self, name: &str) -> Result<Option<RouteStore>, Error> {
        let row =
            sqlx::query("SELECT id, native_chain, far_chain, far_mark FROM route WHERE name = $1")
                .bind(name)
                .fetch_optional(&self.pool)
                .await?;
        row.map(|row| {
            let far = match row.try_get::<Vec<u8>, _>(3)?.len() {
                20 => End::Ethereum,
                32 => End::Peer,
                other => return Err(Error::Damaged(format!("a mark of {other} bytes"))),
            };
            Ok(RouteStore {
                store: self.clone(),
                name: name.into(),
                id: row.try_get(0)?,
                chains: (from_sql(row.try_get(1)?)?, from_sql(row.try_get(2)?)?),
                far,
            })
        })
        .transpose()
    }
}

/// One route's rows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RouteStore {
    store: Store,
    name: Arc<str>,
    id: i64,
    /// The native chain, and the one at the other end.
    chains: (u64, u64),
    far: End,
}

impl RouteStore {
    /// The route's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The route's two directions.
    pub const fn directions(&self) -> [Direction; 2] {
        Direction::of_route(self.far)
    }

    /// What people call a packet of this route.
    pub fn packet_name(&self, direction: Direction, sequence: u64) -> String {
        let (near, far) = self.chains;
        match (direction, self.far, sequence.checked_sub(ROTATIONS)) {
            (_, End::Peer, Some(version)) => format!("key {version}"),
            (Direction::ToNative, End::Peer, None) => format!("{far}:{near}:{sequence}"),
            (_, End::Peer, None) => format!("{near}:{far}:{sequence}"),
            (Direction::ToNative, ..) => format!("ethereum:{sequence}"),
            _ => format!("native:{sequence}"),
        }
    }

    const fn pool(&self) -> &AnyPool {
        &self.store.pool
    }
}

fn lock(database: &Database, path: &Path) -> Result<File, Error> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| database.failed(error))?;
    }
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock = File::create(&lock_path).map_err(|error| database.failed(error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(database.clone())),
        Err(TryLockError::Error(error)) => Err(database.failed(error)),
    }
}

async fn connect(database: &Database, mode: &str, write: bool) -> Result<AnyPool, Error> {
    install_default_drivers();
    let url = database
        .url(mode)
        .ok_or_else(|| database.failed("its path is none"))?;
    let sqlite = matches!(database, Database::Sqlite(_));
    if write && !sqlite && !is_free(database, &url).await? {
        return Err(Error::Locked(database.clone()));
    }
    let options = AnyPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if sqlite {
                    sqlx::query("PRAGMA busy_timeout = 10000")
                        .execute(&mut *connection)
                        .await?;
                    if write {
                        sqlx::query("PRAGMA journal_mode = WAL")
                            .execute(&mut *connection)
                            .await?;
                        sqlx::query("PRAGMA synchronous = FULL")
                            .execute(&mut *connection)
                            .await?;
                    }
                } else if write {
                    let row = sqlx::query(LOCK).fetch_one(&mut *connection).await?;
                    if !row.try_get::<bool, _>(0)? {
                        // The pool tries again, until it has waited for too long.
                        return Err(sqlx::Error::PoolTimedOut);
                    }
                }
                Ok(())
            })
        });
    options
        .connect(&url)
        .await
        .map_err(|error| database.failed(error))
}

/// Whether nobody else holds the writer's lock now.
async fn is_free(database: &Database, url: &str) -> Result<bool, Error> {
    let ask = async {
        let mut connection = AnyConnection::connect(url).await?;
        let row = sqlx::query(LOCK).fetch_one(&mut connection).await?;
        let free = row.try_get::<bool, _>(0)?;
        // With the connection the lock goes.
        connection.close().await?;
        Ok::<_, sqlx::Error>(free)
    };
    match tokio::time::timeout(ACQUIRE, ask).await {
        Ok(answer) => answer.map_err(|error| database.failed(error)),
        Err(_) => Err(database.failed("it does not answer")),
    }
}

/// A chain's number as the databases can hold it.
fn to_sql(value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(|_| Error::Damaged(format!("the number {value} is too large")))
}

/// A number that may as well be the largest.
fn limit_to_sql(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// And back.
fn from_sql(value: i64) -> Result<u64, Error> {
    u64::try_from(value).map_err(|_| Error::Damaged(format!("the number {value} is negative")))
}

fn hash_from_sql(bytes: &[u8]) -> Result<B256, Error> {
    B256::try_from(bytes).map_err(|_| Error::Damaged("a hash has another length".into()))
}
