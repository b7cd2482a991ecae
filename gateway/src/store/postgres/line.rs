//! One connection. Statements are sent when they are asked for, in that order, and their answers come in the same
//! order, whoever waits for them.

use super::super::POSTGRES_SESSION;
use super::super::found::{self, Columns, Found, PREPARED, timed};
use super::tls::Server;
use bytes::BytesMut;
use futures::future::BoxFuture;
use futures::{TryStreamExt as _, poll};
use sqlx::any::{AnyArguments, AnyRow, AnyTypeInfoKind};
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::{Any, Either, Execute};
use sqlx_core::HashMap;
use sqlx_core::any::AnyValueKind;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::future::ready;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use thiserror::Error;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::types::{IsNull, ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

/// What a statement that was sent will bring.
pub(super) type Answer = BoxFuture<'static, Result<Vec<Found>, sqlx::Error>>;

/// A connection.
pub(super) struct Line {
    client: Arc<Client>,
    /// By text.
    statements: HashMap<String, Arc<Prepared>>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

#[derive(Debug)]
struct Prepared {
    text: String,
    statement: Statement,
    columns: Columns,
}

/// PostgreSQL refused something.
#[derive(Debug, Error)]
#[error("{message} (SQLSTATE {code})")]
struct Fault {
    message: String,
    code: String,
    constraint: Option<String>,
    table: Option<String>,
    kind: FaultKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FaultKind {
    Unique,
    ForeignKey,
    NotNull,
    Check,
    Other,
}

impl From<&DbError> for Fault {
    fn from(error: &DbError) -> Self {
        let kind = match *error.code() {
            SqlState::UNIQUE_VIOLATION => FaultKind::Unique,
            SqlState::FOREIGN_KEY_VIOLATION => FaultKind::ForeignKey,
            SqlState::NOT_NULL_VIOLATION => FaultKind::NotNull,
            SqlState::CHECK_VIOLATION => FaultKind::Check,
            _ => FaultKind::Other,
        };
        Self {
            message: error.message().to_owned(),
            code: error.code().code().to_owned(),
            constraint: error.constraint().map(ToOwned::to_owned),
            table: error.table().map(ToOwned::to_owned),
            kind,
        }
    }
}

impl DatabaseError for Fault {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.as_str().into())
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn constraint(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    fn kind(&self) -> ErrorKind {
        match self.kind {
            FaultKind::Unique => ErrorKind::UniqueViolation,
            FaultKind::ForeignKey => ErrorKind::ForeignKeyViolation,
            FaultKind::NotNull => ErrorKind::NotNullViolation,
            FaultKind::Check => ErrorKind::CheckViolation,
            FaultKind::Other => ErrorKind::Other,
        }
    }
}

/// What went wrong, as sqlx says it.
pub(super) fn fault(error: tokio_postgres::Error) -> sqlx::Error {
    if let Some(told) = error.as_db_error() {
        return sqlx::Error::Database(Box::new(Fault::from(told)));
    }
    let why = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    // It may be that the server did what was asked.
    sqlx::Error::Io(io::Error::new(io::ErrorKind::ConnectionAborted, why))
}

/// A value on its way to the server.
#[derive(Debug)]
struct Value(AnyValueKind);

impl Value {
    /// The type that a statement is prepared with.
    fn wanted(&self) -> Result<Type, sqlx::Error> {
        let kind = match &self.0 {
            AnyValueKind::Null(kind) => *kind,
            AnyValueKind::Bool(_) => AnyTypeInfoKind::Bool,
            AnyValueKind::SmallInt(_) => AnyTypeInfoKind::SmallInt,
            AnyValueKind::Integer(_) => AnyTypeInfoKind::Integer,
            AnyValueKind::BigInt(_) => AnyTypeInfoKind::BigInt,
            AnyValueKind::Real(_) => AnyTypeInfoKind::Real,
            AnyValueKind::Double(_) => AnyTypeInfoKind::Double,
            AnyValueKind::Text(_) | AnyValueKind::TextSlice(_) => AnyTypeInfoKind::Text,
            AnyValueKind::Blob(_) => AnyTypeInfoKind::Blob,
            other => {
                let why = format!("PostgreSQL has no type for {other:?}");
                return Err(sqlx::Error::Encode(why.into()));
            }
        };
        Ok(match kind {
            AnyTypeInfoKind::Null => Type::UNKNOWN,
            AnyTypeInfoKind::Bool => Type::BOOL,
            AnyTypeInfoKind::SmallInt => Type::INT2,
            AnyTypeInfoKind::Integer => Type::INT4,
            AnyTypeInfoKind::BigInt => Type::INT8,
            AnyTypeInfoKind::Real => Type::FLOAT4,
            AnyTypeInfoKind::Double => Type::FLOAT8,
            AnyTypeInfoKind::Text => Type::TEXT,
            AnyTypeInfoKind::Blob => Type::BYTEA,
        })
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match &self.0 {
            AnyValueKind::Null(_) => Ok(IsNull::Yes),
            AnyValueKind::Bool(value) => value.to_sql(kind, out),
            AnyValueKind::SmallInt(value) => value.to_sql(kind, out),
            AnyValueKind::Integer(value) => value.to_sql(kind, out),
            AnyValueKind::BigInt(value) => value.to_sql(kind, out),
            AnyValueKind::Real(value) => value.to_sql(kind, out),
            AnyValueKind::Double(value) => value.to_sql(kind, out),
            AnyValueKind::Text(value) => value.as_str().to_sql(kind, out),
            AnyValueKind::TextSlice(value) => value.as_ref().to_sql(kind, out),
            AnyValueKind::Blob(value) => value.as_slice().to_sql(kind, out),
            other => Err(format!("PostgreSQL has no type for {other:?}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    // A statement is prepared with the types of its values.
    fn to_sql_checked(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        self.to_sql(kind, out)
    }
}

fn read(row: &Row, prepared: &Prepared) -> Result<AnyRow, sqlx::Error> {
    prepared.columns.row(|ordinal| {
        let columns = row.columns();
        let kind = columns.get(ordinal).map(|column| column.type_());
        let kind = kind.ok_or(sqlx::Error::ColumnIndexOutOfBounds {
            index: ordinal,
            len: columns.len(),
        })?;
        let value = match *kind {
            Type::BOOL => row
                .try_get::<_, Option<_>>(ordinal)
                .map(|it| it.map(AnyValueKind::Bool)),
            Type::INT2 => row
                .try_get::<_, Option<_>>(ordinal)
                .map(|it| it.map(AnyValueKind::SmallInt)),
            Type::INT4 => row
                .try_get::<_, Option<_>>(ordinal)
                .map(|it| it.map(AnyValueKind::Integer)),
            Type::INT8 => row
                .try_get::<_, Option<_>>(ordinal)
                .map(|it| it.map(AnyValueKind::BigInt)),
            Type::FLOAT4 => row
                .try_get::<_, Option<_>>(ordinal)
                .map(|it| it.map(AnyValueKind::Real)),
            Type::FLOAT8 => row
                .try_get::<_, Option<_>>(ordinal)
                .map(|it| it.map(AnyValueKind::Double)),
            Type::TEXT | Type::VARCHAR => row
                .try_get::<_, Option<String>>(ordinal)
                .map(|it| it.map(|text| AnyValueKind::Text(Arc::new(text)))),
            Type::BYTEA => row
                .try_get::<_, Option<Vec<u8>>>(ordinal)
                .map(|it| it.map(|bytes| AnyValueKind::Blob(Arc::new(bytes)))),
            Type::VOID => Ok(None),
            _ => {
                let why = format!("a column of PostgreSQL's type {kind} is not read");
                return Err(sqlx::Error::Decode(why.into()));
            }
        };
        let value = value.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(value.unwrap_or(AnyValueKind::Null(AnyTypeInfoKind::Null)))
    })
}

async fn run(
    client: Arc<Client>,
    prepared: Arc<Prepared>,
    values: Vec<Value>,
) -> Result<Vec<Found>, sqlx::Error> {
    let begun = Instant::now();
    let rows = client.query_raw(&prepared.statement, values);
    let mut rows = pin!(rows.await.map_err(fault)?);
    let mut found = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(fault)? {
        found.push(Either::Right(read(&row, &prepared)?));
    }
    found.push(found::changed(rows.rows_affected().unwrap_or(0)));
    timed(&prepared.text, begun.elapsed());
    Ok(found)
}

/// Begins something: what is to be sent is on its way when this returns.
async fn begin(
    asked: impl Future<Output = Result<Vec<Found>, sqlx::Error>> + Send + 'static,
) -> Answer {
    let mut answer: Answer = Box::pin(asked);
    match poll!(answer.as_mut()) {
        Poll::Ready(found) => Box::pin(ready(found)),
        Poll::Pending => answer,
    }
}

impl Line {
    /// Connects.
    pub(super) async fn open(server: &Server) -> Result<Self, sqlx::Error> {
        let client = server.connect().await?;
        client
            .batch_execute(POSTGRES_SESSION)
            .await
            .map_err(fault)?;
        Ok(Self {
            client: Arc::new(client),
            statements: HashMap::new(),
        })
    }

    /// Whether the connection is known to be gone.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether the server still answers on it.
    pub(super) async fn answers(&self) -> bool {
        self.client.check_connection().await.is_ok()
    }

    /// Sends statements that bring nothing.
    pub(super) async fn send_script(&self, text: &'static str) -> Answer {
        let client = Arc::clone(&self.client);
        begin(async move {
            client.batch_execute(text).await.map_err(fault)?;
            Ok(Vec::new())
        })
        .await
    }

    /// Gives up the transaction that is open, and waits for nothing.
    pub(super) fn roll_back(&self) {
        self.client.__private_api_rollback(None);
    }

    /// Sends a statement; the first time, it is prepared before, and that is waited for.
    pub(super) async fn send<'q>(
        &mut self,
        mut query: impl Execute<'q, Any>,
    ) -> Result<Answer, sqlx::Error> {
        let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?;
        let text = query.sql();
        let text = text.as_str();
        let AnyArguments { values, .. } = arguments.unwrap_or_default();
        let values: Vec<_> = values.0.into_iter().map(Value).collect();
        let types = values
            .iter()
            .map(Value::wanted)
            .collect::<Result<Vec<_>, _>>()?;
        let known = self.statements.get(text);
        let prepared = match known.filter(|known| known.statement.params() == types) {
            Some(known) => Arc::clone(known),
            None => {
                let statement = self.client.prepare_typed(text, &types).await;
                let statement = statement.map_err(fault)?;
                let columns = Columns::named(statement.columns().iter().map(|one| one.name()));
                if self.statements.len() >= PREPARED {
                    self.statements.clear();
                }
                let prepared = Arc::new(Prepared {
                    text: text.to_owned(),
                    statement,
                    columns,
                });
                self.statements
                    .insert(text.to_owned(), Arc::clone(&prepared));
                prepared
            }
        };
        Ok(begin(run(Arc::clone(&self.client), prepared, values)).await)
    }
}
