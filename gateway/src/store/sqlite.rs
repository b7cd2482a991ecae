//! A connection to a SQLite file, on the thread that asks.
//!
//! sqlx keeps each SQLite connection on a thread of its own and sends it every statement. Most statements
//! take less time than the kernel needs to switch between the two, and a conversion has about forty. Here a
//! statement is a call:
//!
//! ```txt
//! task ──call──▶ statement, from the cache ──rows──▶ task
//! ```
//!
//! Rows are sqlx's ([`super::found`]).
//!
//! A call keeps its thread busy: what may look at a whole table is read by [`scan`](super::Store::scan) or
//! [`snapshot`](super::Store::snapshot), and what may wait for the disk or for another process is
//! [`waited`](Sqlite::waited) for.

use super::found::{self, Columns, Found, PREPARED, timed};
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Batch, OpenFlags, Row, Statement};
use sqlx::any::{AnyArguments, AnyRow, AnyTypeInfoKind};
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::{Any, Either, Execute};
use sqlx_core::HashMap;
use sqlx_core::any::AnyValueKind;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{self, coop};

/// How long another process, that writes, is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open file.
pub(super) struct Sqlite {
    connection: rusqlite::Connection,
    /// By text.
    columns: HashMap<String, Arc<Columns>>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sqlite")
    }
}

/// How much of an answer is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wanted {
    All,
    FirstRow,
}

/// SQLite refused something.
#[derive(Debug, Error)]
#[error("{message} (SQLite's code {code})")]
struct Fault {
    message: String,
    /// The extended result code.
    code: i32,
}

impl DatabaseError for Fault {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
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

    fn kind(&self) -> ErrorKind {
        use rusqlite::ffi;
        match self.code {
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                ErrorKind::UniqueViolation
            }
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ErrorKind::ForeignKeyViolation,
            ffi::SQLITE_CONSTRAINT_NOTNULL => ErrorKind::NotNullViolation,
            ffi::SQLITE_CONSTRAINT_CHECK => ErrorKind::CheckViolation,
            _ => ErrorKind::Other,
        }
    }
}

fn fault(error: rusqlite::Error) -> sqlx::Error {
    match error {
        rusqlite::Error::SqliteFailure(cause, message) => sqlx::Error::Database(Box::new(Fault {
            message: message.unwrap_or_else(|| cause.to_string()),
            code: cause.extended_code,
        })),
        other => sqlx::Error::AnyDriverError(Box::new(other)),
    }
}

fn value(kind: &AnyValueKind) -> Result<ToSqlOutput<'_>, sqlx::Error> {
    let value = match kind {
        AnyValueKind::Null(_) => ValueRef::Null,
        AnyValueKind::Bool(value) => ValueRef::Integer(i64::from(*value)),
        AnyValueKind::SmallInt(value) => ValueRef::Integer(i64::from(*value)),
        AnyValueKind::Integer(value) => ValueRef::Integer(i64::from(*value)),
        AnyValueKind::BigInt(value) => ValueRef::Integer(*value),
        AnyValueKind::Real(value) => ValueRef::Real(f64::from(*value)),
        AnyValueKind::Double(value) => ValueRef::Real(*value),
        AnyValueKind::Text(value) => ValueRef::Text(value.as_bytes()),
        AnyValueKind::TextSlice(value) => ValueRef::Text(value.as_bytes()),
        AnyValueKind::Blob(value) => ValueRef::Blob(value),
        other => {
            let why = format!("SQLite has no type for {other:?}");
            return Err(sqlx::Error::Encode(why.into()));
        }
    };
    Ok(ToSqlOutput::Borrowed(value))
}

/// Binds values: the first to `$1`, wherever and how often that stands.
fn bind(statement: &mut Statement<'_>, values: &[AnyValueKind]) -> Result<(), sqlx::Error> {
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index);
        let number = name.and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok());
        let place = number.and_then(|number| number.checked_sub(1));
        let found = place.and_then(|place| values.get(place));
        let found = found.ok_or_else(|| {
            sqlx::Error::Encode(format!("parameter {index} of a statement has no value").into())
        })?;
        statement
            .raw_bind_parameter(index, value(found)?)
            .map_err(fault)?;
    }
    Ok(())
}

fn row(row: &Row<'_>, columns: &Columns) -> Result<AnyRow, sqlx::Error> {
    columns.row(|ordinal| {
        Ok(match row.get_ref(ordinal).map_err(fault)? {
            ValueRef::Null => AnyValueKind::Null(AnyTypeInfoKind::Null),
            ValueRef::Integer(value) => AnyValueKind::BigInt(value),
            ValueRef::Real(value) => AnyValueKind::Double(value),
            ValueRef::Text(text) => {
                let text = std::str::from_utf8(text);
                let text = text.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
                AnyValueKind::Text(Arc::new(text.to_owned()))
            }
            ValueRef::Blob(bytes) => AnyValueKind::Blob(Arc::new(bytes.to_vec())),
        })
    })
}

/// Runs a statement whose values are bound.
fn step(
    statement: &mut Statement<'_>,
    columns: &Columns,
    wanted: Wanted,
    found: &mut Vec<Found>,
) -> Result<(), sqlx::Error> {
    let mut rows = statement.raw_query();
    while let Some(one) = rows.next().map_err(fault)? {
        found.push(Either::Right(row(one, columns)?));
        if wanted == Wanted::FirstRow {
            break;
        }
    }
    Ok(())
}

impl Sqlite {
    /// Opens a file to write, and makes it if it is missing.
    pub(super) fn writer(path: &Path) -> Result<Self, sqlx::Error> {
        Self::open(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )
    }

    /// Opens a file to read.
    pub(super) fn reader(path: &Path) -> Result<Self, sqlx::Error> {
        Self::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    fn open(path: &Path, flags: OpenFlags) -> Result<Self, sqlx::Error> {
        // One at a time uses it, which SQLite then need not see to.
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(path, flags).map_err(fault)?;
        connection.busy_timeout(PATIENCE).map_err(fault)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        Ok(Self {
            connection,
            columns: HashMap::new(),
        })
    }

    /// Runs statements that bring nothing.
    pub(super) fn script(&self, text: &str) -> Result<(), sqlx::Error> {
        self.connection.execute_batch(text).map_err(fault)
    }

    /// As [`script`](Self::script), for what may take as long as the disk or another process does: the other
    /// tasks of this thread go on elsewhere meanwhile.
    pub(super) fn waited(&self, text: &str) -> Result<(), sqlx::Error> {
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => task::block_in_place(|| self.script(text)),
            _ => self.script(text),
        }
    }

    fn run(
        &mut self,
        text: &str,
        arguments: Option<AnyArguments>,
        wanted: Wanted,
    ) -> Result<Vec<Found>, sqlx::Error> {
        let begun = Instant::now();
        let mut found = Vec::new();
        let Some(arguments) = arguments else {
            // Without values there may be several, and they are not asked again.
            let mut statements = Batch::new(&self.connection, text);
            while let Some(mut statement) = statements.next().map_err(fault)? {
                let columns = Columns::named(statement.column_names());
                step(&mut statement, &columns, wanted, &mut found)?;
                found.push(self.changed(&statement));
            }
            return Ok(found);
        };
        let mut statement = self.connection.prepare_cached(text).map_err(fault)?;
        bind(&mut statement, &arguments.values.0)?;
        let count = statement.column_count();
        let known = self.columns.get(text);
        let columns = match known.filter(|known| known.len() == count) {
            Some(known) => Arc::clone(known),
            None => {
                if self.columns.len() >= PREPARED {
                    self.columns.clear();
                }
                let columns = Arc::new(Columns::named(statement.column_names()));
                self.columns.insert(text.to_owned(), Arc::clone(&columns));
                columns
            }
        };
        step(&mut statement, &columns, wanted, &mut found)?;
        found.push(self.changed(&statement));
        timed(text, begun.elapsed());
        Ok(found)
    }

    fn changed(&self, statement: &Statement<'_>) -> Found {
        // After one that only reads, the count is still that of the statement before.
        found::changed(match statement.readonly() {
            true => 0,
            false => self.connection.changes(),
        })
    }

    /// Asks something. The answer is there at once; a task that asks much lets others run in between.
    pub(super) async fn ask<'q>(
        &mut self,
        query: impl Execute<'q, Any>,
    ) -> Result<Vec<Found>, sqlx::Error> {
        coop::consume_budget().await;
        self.answer(query, Wanted::All)
    }

    /// As [`ask`](Self::ask), of which the first row is wanted.
    pub(super) async fn ask_first<'q>(
        &mut self,
        query: impl Execute<'q, Any>,
    ) -> Result<Option<AnyRow>, sqlx::Error> {
        coop::consume_budget().await;
        self.answer(query, Wanted::FirstRow).map(found::first)
    }

    fn answer<'q>(
        &mut self,
        mut query: impl Execute<'q, Any>,
        wanted: Wanted,
    ) -> Result<Vec<Found>, sqlx::Error> {
        let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?;
        self.run(query.sql().as_str(), arguments, wanted)
    }
}
