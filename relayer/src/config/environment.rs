//! Values of the configuration from the environment.
//!
//! ```txt
//! MILEVERSE_RELAYER__ROUTE__MAIN__ETHEREUM__MAX_FEE_GWEI=30
//!                    │      │     │         └ route.main.ethereum.max_fee_gwei = 30
//! MILEVERSE_RELAYER__ROUTE__MAIN__NATIVE__KEYS__0__PASSWORD_FILE=/run/secrets/password
//! ```
//!
//! Two underscores part the names, which are written in capitals; a number is a place in a list. A
//! value is read as TOML (`30`, `["a", "b"]`, `"7"`), and as plain text if it is none.

use toml::{Table, Value};

const PREFIX: &str = "MILEVERSE_RELAYER__";

/// One value from the environment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Override {
    name: String,
    path: Vec<String>,
    value: Value,
}

/// Those of these variables that are ours, in the order of their names.
pub(super) fn of(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Override> {
    let mut found: Vec<_> = variables
        .into_iter()
        .filter_map(|(name, text)| {
            let path = name.strip_prefix(PREFIX)?;
            Some(Override {
                path: path.split("__").map(str::to_lowercase).collect(),
                value: value(&text),
                name,
            })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn value(text: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

impl Override {
    /// Puts the value in its place, which is made if it is missing.
    pub(super) fn apply(&self, table: &mut Table) -> Result<(), String> {
        let nowhere = || {
            format!(
                "the environment variable {} names no place in the configuration",
                self.name
            )
        };
        let (first, rest) = self.path.split_first().ok_or_else(nowhere)?;
        let mut place = table
            .entry(first.clone())
            .or_insert_with(|| empty(rest.first()));
        for (at, name) in rest.iter().enumerate() {
            place = match place {
                Value::Table(table) => {
                    let next = rest.get(at.saturating_add(1));
                    table.entry(name.clone()).or_insert_with(|| empty(next))
                }
                Value::Array(list) => {
                    let index: usize = name.parse().map_err(|_| nowhere())?;
                    list.get_mut(index).ok_or_else(nowhere)?
                }
                _ => return Err(nowhere()),
            };
        }
        *place = self.value.clone();
        Ok(())
    }
}

/// What stands where a value or a table is to come.
fn empty(next: Option<&String>) -> Value {
    match next {
        Some(_) => Value::Table(Table::new()),
        None => Value::Boolean(false),
    }
}
