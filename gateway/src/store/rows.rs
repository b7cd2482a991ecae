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

/// A statement whose rows come from its first parameter, between what stands before and after them.
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
                $crate::store::rows::postgres_rows!(),
                " ",
                $after
            ),
        }
    };
}
pub(crate) use over_rows;

/// PostgreSQL's rows. All elements are arrays or objects; to ask for that makes its planner expect few of
/// them, and so look each up in an index. It would expect a hundred, read small tables whole, and keep that
/// plan while they grow.
macro_rules! postgres_rows {
    () => {
        "(SELECT value FROM jsonb_array_elements($1::jsonb)
             WHERE jsonb_typeof(value) IN ('array', 'object')) AS given"
    };
}
pub(crate) use postgres_rows;

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
