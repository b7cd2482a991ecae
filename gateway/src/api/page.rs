//! Pages: newest first, with a cursor that stays good while rows are added.

use crate::ids;
use crate::problem::{self, Problem};

/// Rows of a page if nobody says.
const DEFAULT: u32 = 20;
/// Most rows of a page.
const MAX: u32 = 100;

/// How many rows the page has that is asked for; its cursor must be an id with this prefix.
pub fn size(asked: Option<u32>, cursor: Option<&str>, prefix: &str) -> Result<u32, Problem> {
    let size = asked.unwrap_or(DEFAULT);
    let usable = cursor.is_none_or(|cursor| ids::plausible(cursor, prefix));
    if (1..=MAX).contains(&size) && usable {
        return Ok(size);
    }
    let detail = format!(
        "The limit must be between 1 and {MAX}, the cursor the next_cursor of an earlier page."
    );
    Err(Problem::new(problem::Malformed, detail))
}

/// How many rows to read: one more than the page has tells whether there is a next.
pub const fn rows(size: u32) -> u32 {
    size.saturating_add(1)
}

/// Cuts the one row more off; gives the next page's cursor.
pub fn next<R>(rows: &mut Vec<R>, size: u32, id: impl Fn(&R) -> &String) -> Option<String> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let more = rows.len() > size;
    rows.truncate(size);
    rows.last().filter(|_| more).map(|row| id(row).clone())
}
