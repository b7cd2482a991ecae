//! A connection to either database, to run statements by.

use super::found::{self, not_offered, told};
use super::postgres::Pipe;
use super::sqlite::Sqlite;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::any::{AnyArguments, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::query::Query;
use sqlx::{Any, Describe, Either, Execute, Executor, SqlStr, Transaction};

/// One connection, inside a transaction. A text has `$1` for parameters and 64-bit integers only.
#[derive(Debug)]
pub struct Connection(pub(super) Way);

/// Which way statements go.
#[derive(Debug)]
pub(super) enum Way {
    /// SQLite, on the thread that asks.
    Call(Sqlite),
    /// PostgreSQL, on a connection of our own.
    Pipe(Pipe),
    /// By sqlx: PostgreSQL, or a SQLite file on a thread of its own.
    Message(Transaction<'static, Any>),
}

impl Connection {
    /// Whether it is PostgreSQL's.
    pub(crate) fn is_postgres(&self) -> bool {
        match &self.0 {
            Way::Message(transaction) => transaction.backend_name() == "PostgreSQL",
            Way::Pipe(_) => true,
            Way::Call(_) => false,
        }
    }

    /// Runs a statement whose answer nobody needs: PostgreSQL is not waited for. If it refuses, the next statement
    /// that is waited for fails, or the commit.
    pub async fn tell(&mut self, query: Query<'_, Any, AnyArguments>) -> Result<(), sqlx::Error> {
        match &mut self.0 {
            Way::Pipe(pipe) => pipe.tell(query).await,
            Way::Call(_) | Way::Message(_) => query.execute(self).await.map(|_| ()),
        }
    }

    /// Ends the transaction and keeps what it wrote.
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self.0 {
            Way::Message(transaction) => transaction.commit().await,
            Way::Pipe(pipe) => pipe.commit().await,
            Way::Call(_) => Err(sqlx::Error::Protocol(
                "SQLite's transactions end with their batch".into(),
            )),
        }
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match &mut self.0 {
            Way::Message(transaction) => transaction.fetch_many(query),
            Way::Pipe(pipe) => told(pipe.ask(query)),
            Way::Call(sqlite) => told(sqlite.ask(query)),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<AnyRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        match &mut self.0 {
            Way::Message(transaction) => transaction.fetch_optional(query),
            Way::Pipe(pipe) => Box::pin(async { pipe.ask(query).await.map(found::first) }),
            Way::Call(sqlite) => Box::pin(sqlite.ask_first(query)),
        }
    }

    fn prepare_with<'e>(
        self,
        _: SqlStr,
        _: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(async { Err(not_offered()) })
    }

    fn describe<'e>(self, _: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, sqlx::Error>>
    where
        'c: 'e,
    {
        Box::pin(async { Err(not_offered()) })
    }
}
