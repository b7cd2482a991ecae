//! The database: SQLite in WAL mode, one file, one gateway.
//!
//! All writing goes through one connection with `BEGIN IMMEDIATE`, so writers queue here instead
//! of failing there; readers have their own connections and never wait for a writer. No
//! transaction is ever open across a call to somebody else. `migrations/` draws the tables.

pub mod conversions;
pub mod idempotency;
pub mod issues;
pub mod quotes;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

const READERS: u32 = 4;
const BUSY: Duration = Duration::from_secs(10);

/// The open database.
#[derive(Debug)]
pub struct Store {
    writer: SqlitePool,
    reader: SqlitePool,
    /// Held while the database is open: two gateways on one file would not know of each other.
    lock: File,
}

/// Why the database did not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another gateway has it.
    #[error("another gateway is using the database {}; stop it first or choose another database", .0.display())]
    InUse(PathBuf),
    /// The file system.
    #[error("the database {} cannot be used ({source}); check that its directory exists and is writable", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite.
    #[error("the database {} cannot be opened ({source}); check that it is the gateway's", path.display())]
    Sqlite {
        /// Which.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// Its tables are not the ones this gateway knows.
    #[error("the database {} cannot be brought up to date ({source}); use the gateway version that made it, or a newer one", path.display())]
    Migrate {
        /// Which.
        path: PathBuf,
        /// Why.
        source: sqlx::migrate::MigrateError,
    },
    /// It belongs to another chain.
    #[error(
        "this database belongs to another chain (its {name} is {stored}, the chain's is {found}); use the database made for this chain"
    )]
    OtherChain {
        /// What differs.
        name: String,
        /// What the database says.
        stored: String,
        /// What the chain says.
        found: String,
    },
}

impl Store {
    /// Opens the file, makes it if missing, and brings its tables up to date.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        let sqlite = |source| OpenError::Sqlite {
            path: path.to_owned(),
            source,
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answer given to a caller must survive the machine, not only the process.
            .synchronous(SqliteSynchronous::Full)
            // REPLACE must not slip past the triggers that keep rows.
            .pragma("recursive_triggers", "ON")
            .busy_timeout(BUSY);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(sqlite)?;
        sqlx::migrate!()
            .run(&writer)
            .await
            .map_err(|source| OpenError::Migrate {
                path: path.to_owned(),
                source,
            })?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true).create_if_missing(false))
            .await
            .map_err(sqlite)?;
        Ok(Self {
            writer,
            reader,
            lock,
        })
    }

    /// Begins to write.
    pub async fn write(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// Where to read. Sees every commit that returned before the read began.
    pub const fn read(&self) -> &SqlitePool {
        &self.reader
    }

    /// Whether the database answers.
    pub async fn reachable(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1")
            .execute(&self.reader)
            .await
            .map(|_| ())
    }

    /// Binds the database to what names its chain, or refuses if it is bound to something else.
    pub async fn bind(&self, facts: &[(&str, String)]) -> Result<(), OpenError> {
        let sqlite = |source| OpenError::Sqlite {
            path: PathBuf::new(),
            source,
        };
        let mut transaction = self.write().await.map_err(sqlite)?;
        for (name, found) in facts {
            sqlx::query(
                "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
            )
            .bind(name)
            .bind(found)
            .execute(&mut *transaction)
            .await
            .map_err(sqlite)?;
            let stored: String = sqlx::query_scalar("SELECT value FROM meta WHERE name = ?")
                .bind(name)
                .fetch_one(&mut *transaction)
                .await
                .map_err(sqlite)?;
            if stored != *found {
                return Err(OpenError::OtherChain {
                    name: (*name).to_owned(),
                    stored,
                    found: found.clone(),
                });
            }
        }
        transaction.commit().await.map_err(sqlite)
    }

    /// Closes it.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
        // Dropping the file would do, but a store may live on in a task that is being ended.
        let _ = self.lock.unlock();
    }
}

/// Takes the lock beside the database.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(PathBuf::from(name))
        .map_err(|source| OpenError::File {
            path: path.to_owned(),
            source,
        })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(OpenError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// An amount as SQLite has it.
pub fn to_sql(amount: u64) -> Result<i64, sqlx::Error> {
    i64::try_from(amount).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// An amount from SQLite.
pub fn from_sql(amount: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(amount).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
