//! The field table: what a partner's messages look like. Read from TOML, checked at load.
//!
//! ```toml
//! header  = "binary-2"     # length before each message: binary-2 (big-endian) or ascii-4
//! type    = "ascii"        # the four digits of the type: ascii or bcd
//! bitmap  = "binary"       # binary, or hex (two characters a byte)
//! lengths = "ascii"        # the lengths of variable fields: ascii or bcd
//! numbers = "ascii"        # fields of digits: ascii or bcd
//! binary  = "raw"          # fields of bytes: raw, or hex
//!
//! [fields]
//! 2  = { form = "n..19", name = "primary account number" }
//! 11 = { form = "n6",    name = "systems trace audit number" }
//! 48 = { form = "ans...999", name = "additional data" }
//! 95 = { form = "n..42", name = "replacement amounts", numbers = "ascii" }   # unlike the others
//! ```
//!
//! BCD puts two digits into a byte; an odd number of them has a zero before it. Fields 1 and 65
//! are bitmaps and cannot be named. Fields 64 and 128 are the MAC: `b64` if they are there.

use crate::field::{Form, Kind, Length};
use crate::frame::Header;
use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// Largest table file, in bytes.
pub const MAX_TABLE_BYTES: usize = 64 * 1024;

/// Why a table cannot be used.
#[derive(Debug, Error)]
pub enum TableError {
    /// Not the TOML that is expected.
    #[error("the field table is not right: {0}")]
    Toml(String),
    /// Too long.
    #[error("the field table is longer than {MAX_TABLE_BYTES} bytes")]
    Size,
    /// A form that is none.
    #[error("{0:?} is no field form; write one such as n6, n..19, ans...999 or b64")]
    Form(String),
    /// A field number that is none.
    #[error("{0:?} is no field number; use 2 to 128, without 65")]
    Number(String),
    /// A MAC of another length.
    #[error("field {0} holds the MAC and must be b64")]
    Mac(u8),
    /// Something at a field.
    #[error("field {number}: {source}")]
    Field {
        /// Which.
        number: u8,
        /// What.
        source: Box<TableError>,
    },
}

/// How digits are written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Digits {
    /// One character a digit.
    Ascii,
    /// Two digits a byte.
    Bcd,
}

/// How the bitmap is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Bitmap {
    /// Eight bytes each.
    Binary,
    /// Sixteen hex digits each.
    Hex,
}

/// How fields of bytes are written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Binary {
    /// As they are.
    Raw,
    /// Two hex digits a byte.
    Hex,
}

/// One field of the table.
#[derive(Clone, Debug)]
pub struct Field {
    /// What people call it.
    pub name: String,
    /// Its form.
    pub form: Form,
    /// How its digits are written.
    pub numbers: Digits,
}

/// How a partner writes messages.
#[derive(Clone, Debug)]
pub struct Table {
    /// Before each message.
    pub header: Header,
    /// The type.
    pub mti: Digits,
    /// The bitmap.
    pub bitmap: Bitmap,
    /// Lengths of variable fields.
    pub lengths: Digits,
    /// Fields of bytes.
    pub binary: Binary,
    fields: BTreeMap<u8, Field>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    header: Header,
    r#type: Digits,
    bitmap: Bitmap,
    lengths: Digits,
    numbers: Digits,
    binary: Binary,
    fields: BTreeMap<String, FieldFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldFile {
    form: String,
    name: String,
    numbers: Option<Digits>,
}

impl Table {
    /// Reads a table.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        if text.len() > MAX_TABLE_BYTES {
            return Err(TableError::Size);
        }
        let file: TableFile = toml::from_str(text).map_err(|error| {
            let words: Vec<&str> = error.message().split_whitespace().collect();
            TableError::Toml(words.join(" "))
        })?;
        let mut fields = BTreeMap::new();
        for (key, field) in file.fields {
            let number: u8 = key.parse().map_err(|_| TableError::Number(key.clone()))?;
            if !(2..=128).contains(&number) || number == 65 || number.to_string() != key {
                return Err(TableError::Number(key));
            }
            let form = Form::parse(&field.form).map_err(|source| TableError::Field {
                number,
                source: Box::new(source),
            })?;
            let mac = Form {
                kind: Kind::Bytes,
                length: Length::Fixed(8),
            };
            if matches!(number, 64 | 128) && form != mac {
                return Err(TableError::Mac(number));
            }
            let numbers = field.numbers.unwrap_or(file.numbers);
            fields.insert(
                number,
                Field {
                    name: field.name,
                    form,
                    numbers,
                },
            );
        }
        Ok(Self {
            header: file.header,
            mti: file.r#type,
            bitmap: file.bitmap,
            lengths: file.lengths,
            binary: file.binary,
            fields,
        })
    }

    /// One field, if it is in the table.
    pub fn field(&self, number: u8) -> Option<&Field> {
        self.fields.get(&number)
    }

    /// Every field, by number.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &Field)> {
        self.fields.iter().map(|(number, field)| (*number, field))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GOOD: &str = r#"
header = "binary-2"
type = "ascii"
bitmap = "hex"
lengths = "bcd"
numbers = "bcd"
binary = "raw"
[fields]
2 = { form = "n..19", name = "primary account number" }
64 = { form = "b64", name = "MAC", numbers = "ascii" }
"#;

    #[test]
    fn a_good_table() {
        let table = Table::parse(GOOD).unwrap();
        assert_eq!(table.field(2).unwrap().numbers, Digits::Bcd);
        assert_eq!(table.field(64).unwrap().numbers, Digits::Ascii);
        assert!(table.field(3).is_none());
    }

    #[test]
    fn what_is_wrong_names_its_place() {
        for (this, that, said) in [
            ("2 = {", "1 = {", "\"1\""),
            ("2 = {", "65 = {", "\"65\""),
            ("2 = {", "129 = {", "\"129\""),
            ("2 = {", "02 = {", "\"02\""),
            ("2 = {", "x = {", "\"x\""),
            ("\"n..19\"", "\"n.19\"", "field 2"),
            ("\"b64\"", "\"b32\"", "field 64"),
            ("\"hex\"", "\"octal\"", "octal"),
            ("binary = \"raw\"", "", "binary"),
            ("binary = ", "extra = 1\nbinary = ", "extra"),
        ] {
            assert!(GOOD.contains(this));
            let error = Table::parse(&GOOD.replacen(this, that, 1))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(said) && !error.contains('\n'),
                "{said}: {error}"
            );
        }
        assert!(matches!(
            Table::parse(&" ".repeat(MAX_TABLE_BYTES + 1)),
            Err(TableError::Size)
        ));
    }
}
