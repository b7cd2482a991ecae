//! Statements over many rows at once. What many conversions write of one kind goes to the database as one
//! statement with one parameter: a JSON array, of which the statement makes rows.
//!
//! ```txt
//! $1      [{"id": "conv_…", "to": "debited"}, {"id": "conv_…", "to": "issuing"}]   or   [["conv_…"], …]
//! value   one element; `value ->> 'id'` is its member, `value ->> 0` its first, NULL where there is none
//! ```
//!
//! A number comes as a number from SQLite and as text from PostgreSQL: it is read with
//! `CAST(… AS BIGINT)`. Other columns of the source are named like SQLite's `json_each` names them (`id`,
//! `key`, `type`): a statement writes the table's name before its columns.

use super::Connection;
use serde::Serialize;

/// One statement over rows, as each database has it.
#[derive(Clone, Copy, Debug)]
pub struct OverRows {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// A statement whose rows, which are objects, come from its first parameter, between what stands before and
/// after them.
macro_rules! over_rows {
    ($before:literal) => {
        over_rows!($before, "")
    };
    ($before:literal, $after:literal) => {
        $crate::store::rows::OverRows {
            sqlite: concat!($before, " json_each($1) ", $after),
            postgres: concat!(
                $before,
                " ",
                $crate::store::rows::given!("object"),
                " ",
                $after
            ),
        }
    };
}
pub(crate) use over_rows;

/// The same of rows that are arrays.
macro_rules! over_tuples {
    ($before:literal, $after:literal) => {
        $crate::store::rows::OverRows {
            sqlite: concat!($before, " json_each($1) ", $after),
            postgres: concat!(
                $before,
                " ",
                $crate::store::rows::given!("array"),
                " ",
                $after
            ),
        }
    };
}
pub(crate) use over_tuples;

/// PostgreSQL's rows, each an object or an array. That is so in any case; to ask for it makes the planner
/// expect one row and look it up in an index. It would expect a hundred and read a table whole that is small
/// yet, and keep that plan while the table grows.
macro_rules! given {
    ($kind:literal) => {
        $crate::store::rows::given!($kind, "$1")
    };
    ($kind:literal, $parameter:literal) => {
        concat!(
            "(SELECT value FROM jsonb_array_elements(",
            $parameter,
            "::jsonb) WHERE jsonb_typeof(value) = '",
            $kind,
            "') AS given"
        )
    };
}
pub(crate) use given;

/// Rows as a parameter.
pub fn json<T: Serialize>(rows: &[T]) -> Result<String, sqlx::Error> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(error.into()))
}

impl Connection {
    /// The text of a statement for this database.
    pub fn over(&self, statement: OverRows) -> &'static str {
        if self.is_postgres() {
            statement.postgres
        } else {
            statement.sqlite
        }
    }
}
