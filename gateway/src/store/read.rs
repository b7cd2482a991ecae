//! Reading. SQLite's readers are kept here: a pool would ask each connection whether it is alive when it is
//! taken and when it is given back, and a file does not go away. A read is a call ([`super::sqlite`]), so there
//! are hardly more at once than threads. PostgreSQL is read on its writers' connections ([`super::postgres`]).

use super::found::{self, not_offered, told};
use super::postgres::Lines;
use super::sqlite::Sqlite;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, AnyPool, Describe, Either, Execute, Executor, SqlStr};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Connections that are kept open.
const KEPT: usize = 8;

/// SQLite's connections that read.
pub(super) struct Readers {
    path: PathBuf,
    /// None once it is closed.
    idle: Mutex<Option<Vec<Sqlite>>>,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}

impl Readers {
    /// Opens the first.
    pub(super) fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let first = Sqlite::reader(path)?;
        Ok(Self {
            path: path.to_owned(),
            idle: Mutex::new(Some(vec![first])),
        })
    }

    /// Nothing is read any more.
    pub(super) fn close(&self) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn take(&self) -> Result<Reader<'_>, sqlx::Error> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = idle.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        let connection = match idle.pop() {
            Some(connection) => connection,
            None => Sqlite::reader(&self.path)?,
        };
        Ok(Reader {
            connection: Some(connection),
            readers: self,
        })
    }
}

/// One of them, for one read.
struct Reader<'a> {
    /// There until it is dropped.
    connection: Option<Sqlite>,
    readers: &'a Readers,
}

impl Reader<'_> {
    fn get(&mut self) -> Result<&mut Sqlite, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let idle = &self.readers.idle;
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(idle) = idle.as_mut().filter(|idle| idle.len() < KEPT) {
            idle.extend(self.connection.take());
        }
    }
}

/// Where to read.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a>(pub(super) Source<'a>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    Call(&'a Readers),
    Lines(&'a Arc<Lines>),
    Pool(&'a AnyPool),
}

impl<'p> Executor<'p> for Read<'p> {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match self.0 {
            Source::Pool(pool) => pool.fetch_many(query),
            Source::Lines(lines) => told(lines.ask(query)),
            Source::Call(readers) => told(async move { readers.take()?.get()?.ask(query).await }),
        }
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
            Source::Pool(pool) => pool.fetch_optional(query),
            Source::Lines(lines) => {
                Box::pin(async move { lines.ask(query).await.map(found::first) })
            }
            Source::Call(readers) => {
                Box::pin(async move { readers.take()?.get()?.ask_first(query).await })
            }
        }
    }

    fn prepare_with<'e>(
        self,
        _: SqlStr,
        _: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        Box::pin(async { Err(not_offered()) })
    }

    fn describe<'e>(self, _: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, sqlx::Error>>
    where
        'p: 'e,
    {
        Box::pin(async { Err(not_offered()) })
    }
}
