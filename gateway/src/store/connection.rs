//! A connection to either database, to run statements by.

use super::sqlite::{Sqlite, not_offered, told};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, Describe, Either, Execute, Executor, SqlStr, Transaction};

/// One connection, inside a transaction. A text has `$1` for parameters and 64-bit integers only.
#[derive(Debug)]
pub struct Connection(pub(super) Way);

/// Which way statements go.
#[derive(Debug)]
pub(super) enum Way {
    /// SQLite, on the thread that asks.
    Call(Sqlite),
    /// By sqlx: PostgreSQL, or a SQLite file on a thread of its own.
    Message(Transaction<'static, Any>),
}

impl Connection {
    /// Whether it is PostgreSQL's.
    pub(crate) fn is_postgres(&self) -> bool {
        match &self.0 {
            Way::Message(transaction) => transaction.backend_name() == "PostgreSQL",
            Way::Call(_) => false,
        }
    }

    /// Ends the transaction and keeps what it wrote.
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self.0 {
            Way::Message(transaction) => transaction.commit().await,
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
