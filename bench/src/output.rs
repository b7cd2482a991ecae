//! One answer on standard output, for people or for machines.

use crate::error::Error;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;
use std::io::{Write as _, stdout};

/// Prints `answer` as one line of JSON, or `rows` of names and values.
pub fn print(json: bool, answer: &impl Serialize, rows: Vec<[String; 2]>) -> Result<(), Error> {
    let text = if json {
        serde_json::to_string(answer).map_err(|error| Error::Setup(error.to_string()))?
    } else {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.add_rows(rows);
        table.to_string()
    };
    writeln!(stdout().lock(), "{text}").map_err(|source| Error::System {
        what: "standard output",
        source,
    })
}
