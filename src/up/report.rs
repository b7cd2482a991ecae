//! What happened: collected step by step, printed as a table for people and as JSON for machines.

use super::{error::Error, system::Urls};
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::{
    io::{Write, stderr, stdout},
    path::PathBuf,
};

/// Width of the table where there is no terminal to measure, or a very narrow one.
const WIDTH: u16 = 120;
const NARROW: u16 = 60;
/// Fields that the table leaves to the JSON, or tells in another way.
const UNTOLD: [&str; 4] = ["amount", "token", "units", "commitment"];

/// What one step found out, in the order it did.
#[derive(Clone, Debug, Default)]
pub struct Facts(Vec<(&'static str, Value)>);

impl Facts {
    /// One more.
    pub fn add(&mut self, name: &'static str, value: impl Serialize) {
        // Nothing put in here fails to serialize; if it ever did, null would show it.
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.0.push((name, value));
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// One step of the journey.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Its short name.
    pub name: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// Whether it came true.
    pub ok: bool,
    /// How long it took, milliseconds.
    pub ms: u64,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was seen.
    pub facts: Facts,
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Every step came true and every sum balances.
    pub ok: bool,
    /// Every token is backed, on both chains.
    pub solvent: bool,
    /// The journey.
    pub steps: Vec<Step>,
    /// Where things are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls: Option<Urls>,
    /// Where the state is.
    pub data_dir: PathBuf,
}

impl Step {
    /// A step that was played.
    pub fn played(
        name: &'static str,
        title: &'static str,
        ms: u64,
        outcome: Result<Facts, String>,
    ) -> Self {
        let (facts, error) = match outcome {
            Ok(facts) => (facts, None),
            Err(error) => (Facts::default(), Some(error)),
        };
        Self {
            name,
            title,
            ok: error.is_none(),
            ms,
            error,
            facts,
        }
    }

    /// A step that an earlier failure kept from being played.
    pub fn skipped(name: &'static str, title: &'static str) -> Self {
        Self::played(name, title, 0, Err("not played".into()))
    }
}

impl Report {
    /// The table, on stdout or, when stdout is for JSON, on stderr.
    pub fn print(&self, json: bool) -> Result<(), Error> {
        let failed = |source| Error::System {
            what: "writing the report",
            source,
        };
        let table = self.table();
        if json {
            writeln!(stderr(), "{table}").map_err(failed)?;
            let line =
                serde_json::to_string(self).map_err(|error| Error::refused("the report", error))?;
            writeln!(stdout(), "{line}").map_err(failed)
        } else {
            writeln!(stdout(), "{table}").map_err(failed)
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table
            .load_preset(UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(["", "step", "what happened", "time"]);
        if table.width().is_none_or(|width| width < NARROW) {
            table.set_width(WIDTH);
        }
        for (index, step) in self.steps.iter().enumerate() {
            let mut lines = vec![step.title.to_owned()];
            lines.extend(
                step.facts
                    .0
                    .iter()
                    .map(|(name, value)| format!("{}: {}", words(name), plain(value))),
            );
            lines.extend(step.error.clone());
            table.add_row([
                if step.ok { "✓" } else { "✗" }.to_owned(),
                format!("{} {}", index.saturating_add(1), step.name),
                lines.join("\n"),
                format!("{} ms", step.ms),
            ]);
        }
        table
    }
}

/// `blockHash` becomes `block hash`.
fn words(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push(' ');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let mut parts = Vec::new();
            if let (Some(amount), Some(token)) = (fields.get("amount"), fields.get("token")) {
                parts.push(format!("{} {}", plain(amount), plain(token)));
            }
            for (name, value) in fields {
                if !UNTOLD.contains(&name.as_str()) {
                    parts.push(format!("{} {}", words(name), plain(value)));
                }
            }
            parts.join(", ")
        }
        Value::Null => "none".into(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
