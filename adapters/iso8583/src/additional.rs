//! Additional data, field 48: tagged values, as the networks' private fields have them.
//!
//! ```txt
//! [tag: 2 letters or digits][length: 3 digits][value] …
//!
//! RF  the gateway's reference of a debit      up to 64
//! TK  the member's token                      up to 128
//! PR  the partner's own name for a debit      up to 128
//! ST  status of a debit: A applied, D declined, V reversed
//! RC  the response code a declined debit had
//! ```
//!
//! A tag appears once. Every byte is consumed; unknown tags are kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The gateway's reference.
pub const REFERENCE: &str = "RF";
/// The member's token.
pub const TOKEN: &str = "TK";
/// The partner's own reference.
pub const PARTNER_REFERENCE: &str = "PR";
/// Status of a debit.
pub const STATUS: &str = "ST";
/// Its response code.
pub const DECLINED: &str = "RC";

/// Values by tag. They may hold tokens, so there is no debug form.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Additional(BTreeMap<String, String>);

impl Additional {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value. Tags are two characters, values at most 999 bytes: others are left out.
    #[must_use]
    pub fn with(mut self, tag: &str, value: &str) -> Self {
        if tag.len() == 2 && value.len() <= 999 {
            self.0.insert(tag.to_owned(), value.to_owned());
        }
        self
    }

    /// A value.
    pub fn get(&self, tag: &str) -> Option<&str> {
        self.0.get(tag).map(String::as_str)
    }

    /// As the field has it.
    pub fn write(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (tag, value)| {
            let _ = write!(text, "{tag}{:03}{value}", value.len());
            text
        })
    }

    /// From the field; `None` if it is not this.
    pub fn parse(mut text: &str) -> Option<Self> {
        let mut values = BTreeMap::new();
        while !text.is_empty() {
            let (tag, rest) = text.split_at_checked(2)?;
            let (length, rest) = rest.split_at_checked(3)?;
            let digits = length.bytes().all(|byte| byte.is_ascii_digit());
            let plain = tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if !digits || !plain {
                return None;
            }
            let (value, rest) = rest.split_at_checked(length.parse().ok()?)?;
            if values.insert(tag.to_owned(), value.to_owned()).is_some() {
                return None;
            }
            text = rest;
        }
        Some(Self(values))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_text() {
        let data = Additional::new()
            .with(REFERENCE, "conv_1")
            .with(STATUS, "A");
        assert_eq!(data.write(), "RF006conv_1ST001A");
        let read = Additional::parse("RF006conv_1ST001A").unwrap();
        assert_eq!(read.get(REFERENCE), Some("conv_1"));
        assert_eq!(read.get(TOKEN), None);
        for bad in [
            "R",
            "RF",
            "RF00",
            "RF001",
            "RF0x1a",
            "RF+01a",
            "RF001aRF001b",
            "R-001a",
            "RF002é!",
        ] {
            assert!(Additional::parse(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn comes_back_and_never_panics(text in "\\PC{0,60}", values in prop::collection::btree_map("[A-Z]{2}", "[ -~]{0,40}", 0..6)) {
            if let Some(read) = Additional::parse(&text) {
                prop_assert!(Additional::parse(&read.write()) == Some(read));
            }
            let data = values.iter().fold(Additional::new(), |data, (tag, value)| data.with(tag, value));
            prop_assert!(Additional::parse(&data.write()) == Some(data));
        }
    }
}
