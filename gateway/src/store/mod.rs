//! The database: SQLite in WAL mode for one gateway, or PostgreSQL for many.
//!
//! One text of each statement runs on both, with `$1` for parameters and 64-bit integers only;
//! where the two differ there are two texts side by side. `migrations/sqlite` and
//! `migrations/postgres` hold the same tables, rules and triggers.
//!
//! | | SQLite | PostgreSQL |
//! |---|---|---|
//! | writers | one at a time, in shared commits (`write`) | beside each other, rows locked |
//! | readers | connections of their own, never wait for writers (`read`) | the writers' connections |
//! | a statement | is a call on the thread that asks (`sqlite`) | is a message to the server, whose answer is waited for if somebody needs it (`postgres`) |
//! | what many write at once | goes in as rows of JSON (`rows`) | the same, and several statements in one where that saves messages |
//! | gateways | one, held by a lock beside the file | any number |
//!
//! No transaction is ever open across a call to somebody else.

pub mod audit;
pub mod cases;
pub mod clock;
mod connection;
pub mod conversions;
mod found;
pub mod histories;
pub mod idempotency;
pub mod issues;
pub mod jobs;
pub mod location;
mod lock;
pub mod members;
pub mod operators;
pub mod packets;
pub mod partners;
mod postgres;
pub mod quotes;
mod read;
pub mod reconciliations;
pub mod replicas;
pub mod rewards;
pub mod rows;
pub mod signing;
mod sqlite;
pub mod statement;
pub mod traces;
pub mod wallets;
pub mod webhooks;
pub mod withdrawals;
pub mod write;

pub use connection::Connection;
pub use location::Location;
pub use read::Read;
pub use write::{Witness, Write};

use connection::Way;
use lock::Lock;
use postgres::{Lines, Pipe};
use read::{Readers, Source};
use sqlite::Sqlite;
use sqlx::any::{AnyArguments, AnyConnectOptions, AnyPoolOptions, AnyRow, install_default_drivers};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions as _, Connection as _, Executor};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use thiserror::Error;
use url::Url;
use write::Writer;

/// Connections that read much, or several things as of one moment.
const SNAPSHOTS: u32 = 2;
/// Connections to a PostgreSQL server.
const CONNECTIONS: u32 = 16;
/// How long a connection is waited for.
const ACQUIRE: Duration = Duration::from_secs(10);
/// A connection to a PostgreSQL server that was idle for so long is asked whether it is alive before it is used.
const DOUBTFUL: Duration = Duration::from_secs(1);

/// The fact that says whether it is a sandbox's.
pub const PURPOSE: &str = "purpose";

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// The open database.
#[derive(Debug)]
pub struct Store {
    location: Location,
    /// Connections that read much, or several things as of one moment.
    pool: AnyPool,
    /// SQLite's readers.
    readers: Option<Readers>,
    /// SQLite's one writer.
    writer: Option<Arc<Writer>>,
    /// Connections to PostgreSQL.
    lines: Option<Arc<Lines>>,
    /// Sees every commit; none but in tests.
    witness: OnceLock<Arc<dyn Witness>>,
    /// How far the sandbox's clock is ahead, in milliseconds.
    ahead_ms: AtomicI64,
    /// Held while a gateway serves from a file: two on one file would not know of each other.
    lock: Option<Lock>,
}

/// What a database is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// To be the gateway. Of a file there is one at a time.
    Serve,
    /// To look or to change a few rows, beside a gateway or without one.
    Administer,
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
    /// The database itself.
    #[error(
        "the database {location} cannot be opened ({source}); check that it is the gateway's and that it can be reached"
    )]
    Database {
        /// Which.
        location: String,
        /// Why.
        source: sqlx::Error,
    },
    /// Its tables are not the ones this gateway knows.
    #[error(
        "the database {location} cannot be brought up to date ({source}); use the gateway version that made it, or a newer one"
    )]
    Migrate {
        /// Which.
        location: String,
        /// Why.
        source: MigrateError,
    },
    /// It is of a sandbox, and the gateway is none; or the other way round.
    #[error(
        "this database belongs to a {stored} gateway, and \"sandbox\" makes this one a {found} gateway; use a database of its own for each"
    )]
    OtherPurpose {
        /// What the database says.
        stored: String,
        /// What the configuration says.
        found: String,
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
    /// Opens the database, makes the file if missing, and brings the tables up to date.
    pub async fn open(location: &Location, purpose: Purpose) -> Result<Self, OpenError> {
        let store = Self::connect(location, purpose).await?;
        store
            .read_clock()
            .await
            .map_err(|source| OpenError::Database {
                location: location.to_string(),
                source,
            })?;
        Ok(store)
    }

    async fn connect(location: &Location, purpose: Purpose) -> Result<Self, OpenError> {
        install_default_drivers();
        let failed = |source| OpenError::Database {
            location: location.to_string(),
            source,
        };
        let migrate = |source| OpenError::Migrate {
            location: location.to_string(),
            source,
        };
        match location {
            Location::Sqlite(path) => {
                let lock = match purpose {
                    Purpose::Serve => Some(Lock::take(path)?),
                    Purpose::Administer => None,
                };
                let writing = sqlite_options(path, "rwc")?;
                let mut connection = writing.connect().await.map_err(failed)?;
                connection.execute(SQLITE_WRITER).await.map_err(failed)?;
                migrations(&SQLITE, &mut connection)
                    .await
                    .map_err(migrate)?;
                connection.close().await.map_err(failed)?;
                let writer = Sqlite::writer(path).map_err(failed)?;
                writer.script(SQLITE_WRITER).map_err(failed)?;
                let writer = Arc::new(Writer::new(writer));
                let readers = Readers::open(path).map_err(failed)?;
                let reading = sqlite_options(path, "ro")?;
                let pool = AnyPoolOptions::new()
                    .max_connections(SNAPSHOTS)
                    .acquire_timeout(ACQUIRE)
                    .after_connect(|connection, _| {
                        Box::pin(async move {
                            connection.execute("PRAGMA busy_timeout = 10000").await?;
                            Ok(())
                        })
                    })
                    .connect_with(reading)
                    .await
                    .map_err(failed)?;
                Ok(Self {
                    location: location.clone(),
                    pool,
                    readers: Some(readers),
                    writer: Some(writer),
                    lines: None,
                    witness: OnceLock::new(),
                    ahead_ms: AtomicI64::new(0),
                    lock,
                })
            }
            Location::Postgres(url) => {
                let options = url.as_str().parse().map_err(failed)?;
                let pool = AnyPoolOptions::new()
                    .max_connections(SNAPSHOTS)
                    .acquire_timeout(ACQUIRE)
                    .after_connect(|connection, _| {
                        Box::pin(async move {
                            connection.execute(POSTGRES_SESSION).await?;
                            Ok(())
                        })
                    })
                    .connect_with(options)
                    .await
                    .map_err(failed)?;
                let mut connection = pool.acquire().await.map_err(failed)?;
                migrations(&POSTGRES, &mut connection)
                    .await
                    .map_err(migrate)?;
                drop(connection);
                let lines = Lines::to(url).map_err(failed)?;
                drop(lines.take().await.map_err(failed)?);
                Ok(Self {
                    location: location.clone(),
                    pool,
                    readers: None,
                    writer: None,
                    lines: Some(lines),
                    witness: OnceLock::new(),
                    ahead_ms: AtomicI64::new(0),
                    lock: None,
                })
            }
        }
    }

    /// From now on somebody sees every commit; the first who is named does.
    pub fn watch(&self, witness: Arc<dyn Witness>) {
        let _ = self.witness.set(witness);
    }

    /// Where it is.
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// Whether other gateways may use it at the same time.
    pub const fn is_shared(&self) -> bool {
        self.location.is_shared()
    }

    /// Of two texts of one statement, the one for this database.
    pub const fn dialect(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        if self.is_shared() { postgres } else { sqlite }
    }

    /// Begins to write.
    pub async fn write(&self) -> Result<Write, sqlx::Error> {
        let write = match (&self.writer, &self.lines) {
            (Some(writer), _) => writer.begin().await.map(Write::sqlite),
            (None, Some(lines)) => {
                let line = lines.take().await?;
                Pipe::begin(line).await.map(Write::postgres)
            }
            (None, None) => Err(sqlx::Error::PoolClosed),
        };
        write.map(|write| write.watched(self.witness.get().cloned()))
    }

    /// Runs one statement of PostgreSQL's as a transaction of its own.
    async fn alone(
        &self,
        statement: Query<'_, Any, AnyArguments>,
    ) -> Result<Vec<AnyRow>, sqlx::Error> {
        let witness = self.witness.get();
        if let Some(witness) = witness {
            witness.before_commit().await;
        }
        let rows = statement.fetch_all(self.read()).await?;
        if let Some(witness) = witness {
            witness.after_commit().await;
        }
        Ok(rows)
    }

    /// Where to read. Sees every commit that returned before the read began.
    pub fn read(&self) -> Read<'_> {
        Read(match (&self.readers, &self.lines) {
            (Some(readers), _) => Source::Call(readers),
            (None, Some(lines)) => Source::Lines(lines),
            (None, None) => Source::Pool(&self.pool),
        })
    }

    /// As [`read`](Self::read), for what may look at a whole table: nobody else waits for it.
    pub const fn scan(&self) -> Read<'_> {
        Read(Source::Pool(&self.pool))
    }

    /// Begins to read several things as of one moment.
    pub async fn snapshot(&self) -> Result<Connection, sqlx::Error> {
        let begin = self.dialect(
            "BEGIN DEFERRED",
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        );
        let transaction = self.pool.begin_with(begin).await?;
        Ok(Connection(Way::Message(transaction)))
    }

    /// Whether the database answers.
    pub async fn reachable(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1")
            .execute(self.read())
            .await
            .map(|_| ())
    }

    /// Binds the database to what names its chain, or refuses if it is bound to something else.
    pub async fn bind(&self, facts: &[(&str, String)]) -> Result<(), OpenError> {
        let failed = |source| OpenError::Database {
            location: self.location.to_string(),
            source,
        };
        let mut write = self.write().await.map_err(failed)?;
        for (name, found) in facts {
            sqlx::query(
                "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            )
            .bind(*name)
            .bind(found)
            .execute(&mut *write)
            .await
            .map_err(failed)?;
            let stored: String = sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
                .bind(*name)
                .fetch_one(&mut *write)
                .await
                .map_err(failed)?;
            if stored != *found && *name == PURPOSE {
                return Err(OpenError::OtherPurpose {
                    stored,
                    found: found.clone(),
                });
            }
            if stored != *found {
                return Err(OpenError::OtherChain {
                    name: (*name).to_owned(),
                    stored,
                    found: found.clone(),
                });
            }
        }
        write.commit().await.map_err(failed)
    }

    /// Closes it.
    pub async fn close(&self) {
        self.pool.close().await;
        if let Some(readers) = &self.readers {
            readers.close();
        }
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
        if let Some(lines) = &self.lines {
            lines.close();
        }
        // Dropping the file would do, but a store may live on in a task that is being ended.
        if let Some(lock) = &self.lock {
            lock.release();
        }
    }
}

/// An answer given to a caller must survive the machine, not only the process; REPLACE must not
/// slip past the triggers that keep rows. The rest saves work: pages that every conversion touches stay in
/// memory (64 MiB), what a part may have to take back is not written to a file of its own, and the log is
/// copied into the database every 16 MiB, with each page once.
const SQLITE_WRITER: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
     PRAGMA recursive_triggers = ON; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; \
     PRAGMA wal_autocheckpoint = 4096";
/// A replica that hangs must not hold rows for ever. And rows are looked up in their index also as long as a table
/// is small: plans of prepared statements are kept, and one that reads the table whole would be kept while it
/// grows. The default price of a page out of order is that of a disk that turns.
const POSTGRES_SESSION: &str = "SET lock_timeout = '10s'; SET statement_timeout = '30s'; \
     SET idle_in_transaction_session_timeout = '30s'; SET random_page_cost = 1.1";

/// Brings the tables up to date. Boxed: the compiler cannot see through the migrator that the
/// future may move between threads.
fn migrations<'a>(
    migrator: &'static Migrator,
    connection: &'a mut AnyConnection,
) -> Pin<Box<dyn Future<Output = Result<(), MigrateError>> + Send + 'a>> {
    Box::pin(migrator.run_direct(None, connection, false))
}

fn sqlite_options(path: &Path, mode: &str) -> Result<AnyConnectOptions, OpenError> {
    let failed = |why: String| OpenError::File {
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, why),
    };
    let absolute = std::path::absolute(path).map_err(|source| OpenError::File {
        path: path.to_owned(),
        source,
    })?;
    // A file URL escapes what a path may hold and a URL may not.
    let file =
        Url::from_file_path(absolute).map_err(|()| failed("its name cannot be used".to_owned()))?;
    format!("sqlite://{}?mode={mode}", file.path())
        .parse()
        .map_err(|error: sqlx::Error| failed(error.to_string()))
}

/// An amount as the database has it.
pub fn to_sql(amount: u64) -> Result<i64, sqlx::Error> {
    i64::try_from(amount).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

/// An amount from the database.
pub fn from_sql(amount: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(amount).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mileverse_fixtures::postgres::{Durability, Postgres};

    /// The last version before a database said what it is for.
    const NO_PURPOSE: i64 = 16;

    /// What the tables and their rules are, by name.
    async fn schema(store: &Store) -> Vec<(String, Option<String>)> {
        let question = match store.location {
            Location::Sqlite(_) => "SELECT name, sql FROM sqlite_master ORDER BY name",
            Location::Postgres(_) => POSTGRES_SCHEMA,
        };
        sqlx::query_as(question)
            .fetch_all(store.read())
            .await
            .unwrap()
    }

    const POSTGRES_SCHEMA: &str = "
        SELECT 'column ' || table_name || '.' || column_name AS name,
               data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') AS sql
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT 'index ' || indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT 'rule ' || conrelid::regclass::text || ' ' || conname, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT 'trigger ' || tgrelid::regclass::text || ' ' || tgname, pg_get_triggerdef(oid)
        FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'function ' || proname, prosrc
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        ORDER BY 1, 2";

    /// Makes a database of each earlier version, as a gateway of then left it, and lets one of today open
    /// it. `at` says where a version's is, and makes it if that is not done by connecting.
    async fn every_version_becomes_the_newest(
        migrator: &Migrator,
        session: Option<&'static str>,
        at: impl Fn(i64) -> (Location, AnyConnectOptions),
    ) {
        install_default_drivers();
        let newest = migrator.iter().map(|step| step.version).max().unwrap();
        let (fresh, _) = at(newest);
        let fresh = Store::open(&fresh, Purpose::Serve).await.unwrap();
        let wanted = schema(&fresh).await;
        assert!(wanted.len() > 50, "{wanted:?}");
        fresh.close().await;
        let earlier = migrator.iter().map(|step| step.version);
        for version in earlier.filter(|version| *version < newest) {
            let (location, options) = at(version);
            let mut early = AnyConnection::connect_with(&options).await.unwrap();
            if let Some(session) = session {
                early.execute(session).await.unwrap();
            }
            migrator
                .run_direct(Some(version), &mut early, false)
                .await
                .unwrap();
            // What a gateway writes when it first begins.
            early
                .execute("INSERT INTO meta (name, value) VALUES ('chain_id', '7')")
                .await
                .unwrap();
            early.close().await.unwrap();
            let store = Store::open(&location, Purpose::Serve).await.unwrap();
            assert_eq!(schema(&store).await, wanted, "from version {version}");
            let purpose: Option<String> =
                sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
                    .bind(PURPOSE)
                    .fetch_optional(store.read())
                    .await
                    .unwrap();
            let expected = (version <= NO_PURPOSE).then(|| "production".to_owned());
            assert_eq!(purpose, expected, "from version {version}");
            store.close().await;
        }
    }

    #[tokio::test]
    async fn a_sqlite_database_of_any_earlier_version_becomes_what_a_new_one_is() {
        let folder = tempfile::tempdir().unwrap();
        every_version_becomes_the_newest(&SQLITE, Some(SQLITE_WRITER), |version| {
            let path = folder.path().join(format!("{version}.sqlite"));
            let options = sqlite_options(&path, "rwc").unwrap();
            (Location::Sqlite(path), options)
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_postgres_database_of_any_earlier_version_becomes_what_a_new_one_is() {
        let server = Postgres::start(Durability::ProcessOnly).unwrap();
        every_version_becomes_the_newest(&POSTGRES, None, |version| {
            let url = server.create(&format!("version{version}"), None).unwrap();
            let options = url.parse().unwrap();
            (Location::Postgres(url.parse().unwrap()), options)
        })
        .await;
    }
}
