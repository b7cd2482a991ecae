//! Answers on standard output: a table for people, or one JSON value.

use super::Error;
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::Value;
use std::io::{self, Write as _};

/// A field of a JSON object as a person reads it.
pub(super) fn field(row: &Value, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn table(header: Vec<String>, rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        table.set_header(header);
    }
    table.add_rows(rows);
    table
}

/// Objects, one a row, with these fields as columns.
pub(super) fn rows(json: bool, rows: &[Value], columns: &[&str]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", Value::from(rows.to_vec()))?;
        return Ok(());
    }
    if rows.is_empty() {
        writeln!(out, "there is none")?;
        return Ok(());
    }
    let header = columns.iter().map(|name| name.replace('_', " ")).collect();
    let cells = rows
        .iter()
        .map(|row| columns.iter().map(|name| field(row, name)).collect())
        .collect();
    writeln!(out, "{}", table(header, cells))?;
    Ok(())
}

/// One object: its plain fields, one a row.
pub(super) fn facts(json: bool, object: &Value) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{object}")?;
        return Ok(());
    }
    let Some(fields) = object.as_object() else {
        writeln!(out, "{object}")?;
        return Ok(());
    };
    let cells = fields
        .iter()
        .filter(|(_, value)| !value.is_array() && !value.is_object())
        .map(|(name, _)| vec![name.replace('_', " "), field(object, name)])
        .collect();
    writeln!(out, "{}", table(Vec::new(), cells))?;
    Ok(())
}
