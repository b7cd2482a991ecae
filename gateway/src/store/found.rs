//! What a connection of our own finds, as sqlx's rows, so that one text and one reading of each statement serve
//! both databases and both ways to ask ([`super::sqlite`], [`super::postgres`]).
//!
//! The rows' fields are public but not promised to stay: a newer sqlx may ask for another `columns` and `row`
//! below.

use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::Either;
use sqlx::any::{AnyQueryResult, AnyRow, AnyTypeInfo, AnyTypeInfoKind, AnyValue};
use sqlx_core::HashMap;
use sqlx_core::any::{AnyColumn, AnyValueKind};
use sqlx_core::ext::ustr::UStr;
use std::sync::Arc;
use std::time::Duration;

/// Statements that stay prepared on a connection.
pub(super) const PREPARED: usize = 512;
/// A statement that takes longer is warned of.
const SLOW: Duration = Duration::from_secs(1);

/// What a statement brings: its rows, then how many it changed.
pub(super) type Found = Either<AnyQueryResult, AnyRow>;

/// The columns of a statement's rows.
#[derive(Debug)]
pub(super) struct Columns {
    names: Arc<HashMap<UStr, usize>>,
    columns: Vec<AnyColumn>,
}

impl Columns {
    pub(super) fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(UStr::new);
        let columns: Vec<_> = names
            .enumerate()
            .map(|(ordinal, name)| AnyColumn {
                ordinal,
                name,
                type_info: AnyTypeInfo {
                    kind: AnyTypeInfoKind::Null,
                },
            })
            .collect();
        let names = columns.iter().map(|one| (one.name.clone(), one.ordinal));
        Self {
            names: Arc::new(names.collect()),
            columns,
        }
    }

    /// How many.
    pub(super) const fn len(&self) -> usize {
        self.columns.len()
    }

    /// A row, of which `value` gives each column's.
    pub(super) fn row(
        &self,
        value: impl FnMut(usize) -> Result<AnyValueKind, sqlx::Error>,
    ) -> Result<AnyRow, sqlx::Error> {
        let values = (0..self.columns.len()).map(value);
        let values = values.map(|kind| kind.map(|kind| AnyValue { kind }));
        Ok(AnyRow {
            column_names: Arc::clone(&self.names),
            columns: self.columns.clone(),
            values: values.collect::<Result<_, _>>()?,
        })
    }
}

/// How many rows a statement changed, as sqlx says it.
pub(super) const fn changed(rows_affected: u64) -> Found {
    Either::Left(AnyQueryResult {
        rows_affected,
        last_insert_id: None,
    })
}

/// The first row of what was found.
pub(super) fn first(found: Vec<Found>) -> Option<AnyRow> {
    found.into_iter().find_map(Either::right)
}

/// An answer as sqlx gives it.
pub(super) fn told<'e>(
    asked: impl Future<Output = Result<Vec<Found>, sqlx::Error>> + Send + 'e,
) -> BoxStream<'e, Result<Found, sqlx::Error>> {
    let rows = async move {
        asked
            .await
            .map(|found| stream::iter(found.into_iter().map(Ok)))
    };
    stream::once(rows).try_flatten().boxed()
}

/// Warns of a statement that took long.
pub(super) fn timed(statement: &str, took: Duration) {
    if took > SLOW {
        tracing::warn!(ms = took.as_millis(), statement, "a slow statement");
    }
}

/// What only a macro or a tool asks of a connection.
pub(super) fn not_offered() -> sqlx::Error {
    sqlx::Error::AnyDriverError(
        "statements are not prepared or described apart from being run".into(),
    )
}
