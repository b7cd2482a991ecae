//! One answer: a table for people, JSON or CSV for machines.

use crate::command::Answer;
use serde_json::Value;
use std::io::{self, Write as _};

/// How an answer is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    Table,
    Json,
    Csv,
}

/// Rows under a header. No value holds a comma, a quote or a line's end.
#[derive(Debug)]
pub(super) struct Listing {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    json: Value,
}

impl Listing {
    pub(super) const fn new(
        header: Vec<&'static str>,
        rows: Vec<Vec<String>>,
        json: Value,
    ) -> Self {
        Self { header, rows, json }
    }

    /// Names and values, one pair a row.
    pub(super) fn facts(facts: Vec<(&'static str, String)>, json: Value) -> Self {
        let rows = facts
            .into_iter()
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect();
        Self::new(vec!["name", "value"], rows, json)
    }

    fn csv(&self) -> String {
        let mut text = self.header.join(",").replace(' ', "_");
        for row in &self.rows {
            text.push('\n');
            text.push_str(&row.join(","));
        }
        text
    }

    /// Writes it to standard output.
    pub(super) fn print(self, format: Format) -> io::Result<()> {
        match format {
            Format::Csv => writeln!(io::stdout().lock(), "{}", self.csv()),
            Format::Json | Format::Table => {
                Answer::table(self.header, self.rows, self.json).print(format == Format::Json)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_a_header_and_a_line_for_each_row() {
        let rows = vec![vec!["2026Q1".into(), "1.5".into()]];
        let listing = Listing::new(vec!["quarter", "next funded"], rows, Value::Null);
        assert_eq!(listing.csv(), "quarter,next_funded\n2026Q1,1.5");
    }
}
