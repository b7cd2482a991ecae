//! One answer on standard output, for people or for machines; and how amounts are written for people.

use crate::error::Error;
use alloy::primitives::{U256, utils::format_units};
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

/// So much coin.
pub(super) fn mvc(units: U256) -> String {
    format!("{} MVC", plain(units, 18))
}

/// So many points.
pub(super) fn mvp(units: U256) -> String {
    format!("{} MVP", plain(units, 6))
}

/// The shortest decimal text of so many units.
fn plain(units: U256, decimals: u8) -> String {
    let text = format_units(units, decimals).unwrap_or_else(|_| units.to_string());
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole.to_owned(),
        Some(_) => text.trim_end_matches('0').to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(plain(U256::from(1_500_000), 6), "1.5");
        assert_eq!(plain(U256::from(2_000_000), 6), "2");
        assert_eq!(plain(U256::ZERO, 18), "0");
        assert_eq!(plain(U256::from(1), 6), "0.000001");
    }
}
