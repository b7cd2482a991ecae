//! One answer, for people or for machines.

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::Value;
use std::io::{self, Write as _};

/// What a subcommand has to say.
pub(crate) struct Answer {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    json: Value,
    below: Option<String>,
}

impl Answer {
    /// A table with a header.
    pub(crate) const fn table(
        header: Vec<&'static str>,
        rows: Vec<Vec<String>>,
        json: Value,
    ) -> Self {
        Self {
            header,
            rows,
            json,
            below: None,
        }
    }

    /// Names and values, one pair a row.
    pub(crate) fn facts(facts: Vec<(&'static str, String)>, json: Value) -> Self {
        let rows = facts
            .into_iter()
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect();
        Self::table(Vec::new(), rows, json)
    }

    /// The same with a picture for people below it.
    pub(crate) fn below(mut self, picture: String) -> Self {
        self.below = Some(picture);
        self
    }

    /// Writes it to standard output.
    pub(crate) fn print(self, json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if json {
            return writeln!(out, "{}", self.json);
        }
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        if !self.header.is_empty() {
            table.set_header(self.header);
        }
        table.add_rows(self.rows);
        writeln!(out, "{table}")?;
        match self.below {
            Some(picture) => writeln!(out, "{picture}"),
            None => Ok(()),
        }
    }
}
