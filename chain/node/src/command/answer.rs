//! One answer on standard output, for people or for machines.

use crate::error::Error;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::Value;
use std::io::Write as _;

/// Writes names and values as a table, or the same facts as one line of JSON.
pub(super) fn print(facts: Vec<(&str, String)>, json: Option<&Value>) -> Result<(), Error> {
    let text = match json {
        Some(json) => json.to_string(),
        None => {
            let mut table = Table::new();
            table.load_preset(UTF8_FULL_CONDENSED);
            table.add_rows(
                facts
                    .into_iter()
                    .map(|(name, value)| vec![name.to_owned(), value]),
            );
            table.to_string()
        }
    };
    writeln!(std::io::stdout().lock(), "{text}").map_err(Error::Output)
}
