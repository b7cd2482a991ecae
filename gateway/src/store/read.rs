//! Reading. A pool asks a connection whether it is alive each time it is taken and each time it is given
//! back. On SQLite that is two more messages to a thread for each read, and a message costs more than most
//! reads; a file does not go away. So SQLite's readers are kept here:
//!
//! ```txt
//! idle ──take──▶ one read ──give back──▶ idle        [`READERS`] of them; who comes then waits in order
//! ```
//!
//! A read that is dropped half way gives its connection back as well: SQLite's thread stops it before it
//! does anything else there. PostgreSQL keeps the pool.

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::any::{AnyConnectOptions, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{
    Any, AnyConnection, AnyPool, ConnectOptions as _, Describe, Either, Execute, Executor, SqlStr,
};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time;

/// SQLite's connections that read.
pub(super) struct Readers {
    idle: Mutex<Vec<AnyConnection>>,
    free: Semaphore,
    /// How long a connection is waited for.
    patience: Duration,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}

impl Readers {
    /// Opens so many.
    pub(super) async fn connect(
        options: &AnyConnectOptions,
        count: u32,
        patience: Duration,
    ) -> Result<Self, sqlx::Error> {
        let (mut idle, free) = (Vec::new(), Semaphore::new(0));
        for _ in 0..count {
            let mut connection = options.connect().await?;
            connection.execute("PRAGMA busy_timeout = 10000").await?;
            idle.push(connection);
            free.add_permits(1);
        }
        Ok(Self {
            idle: Mutex::new(idle),
            free,
            patience,
        })
    }

    /// Nothing is read any more; what is being read ends.
    pub(super) fn close(&self) {
        self.free.close();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.clear();
    }

    async fn take(&self) -> Result<Reader<'_>, sqlx::Error> {
        let place = match time::timeout(self.patience, self.free.acquire()).await {
            Ok(place) => place.map_err(|_| sqlx::Error::PoolClosed)?,
            Err(_) => return Err(sqlx::Error::PoolTimedOut),
        };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Reader {
            connection: Some(idle.pop().ok_or(sqlx::Error::PoolClosed)?),
            readers: self,
            _place: place,
        })
    }
}

/// One of them, for one read.
struct Reader<'a> {
    /// There until it is dropped.
    connection: Option<AnyConnection>,
    readers: &'a Readers,
    // After the connection is back: fields are dropped after `drop`.
    _place: SemaphorePermit<'a>,
}

impl Reader<'_> {
    fn get(&mut self) -> Result<&mut AnyConnection, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let idle = &self.readers.idle;
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.readers.free.is_closed() {
            idle.extend(self.connection.take());
        }
    }
}

/// Where to read.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a>(pub(super) Source<'a>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    Sqlite(&'a Readers),
    Postgres(&'a AnyPool),
}

type Found = Either<AnyQueryResult, AnyRow>;

impl<'p> Executor<'p> for Read<'p> {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Found, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let readers = match self.0 {
            Source::Postgres(pool) => return pool.fetch_many(query),
            Source::Sqlite(readers) => readers,
        };
        // All at once: no caller stops half way, and the connection is free again before rows are read.
        let all = async move {
            let mut reader = readers.take().await?;
            let found: Vec<Found> = reader.get()?.fetch_many(query).try_collect().await?;
            Ok::<_, sqlx::Error>(stream::iter(found.into_iter().map(Ok)))
        };
        stream::once(all).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<AnyRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match self.0 {
            Source::Postgres(pool) => pool.fetch_optional(query),
            Source::Sqlite(readers) => Box::pin(async move {
                let mut reader = readers.take().await?;
                reader.get()?.fetch_optional(query).await
            }),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        match self.0 {
            Source::Postgres(pool) => pool.prepare_with(sql, parameters),
            Source::Sqlite(readers) => Box::pin(async move {
                let mut reader = readers.take().await?;
                reader.get()?.prepare_with(sql, parameters).await
            }),
        }
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, sqlx::Error>>
    where
        'p: 'e,
    {
        match self.0 {
            Source::Postgres(pool) => pool.describe(sql),
            Source::Sqlite(readers) => Box::pin(async move {
                let mut reader = readers.take().await?;
                reader.get()?.describe(sql).await
            }),
        }
    }
}
