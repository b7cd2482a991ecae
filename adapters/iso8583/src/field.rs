//! One field's form, in the standard's notation.
//!
//! ```txt
//! n6        exactly six digits
//! an12      exactly twelve letters or digits
//! ans15     exactly fifteen printable ASCII characters
//! b64       exactly 64 bits, eight bytes
//! n..19     up to nineteen digits, after a length of two digits
//! ans...999 up to 999 characters, after a length of three digits
//! ```
//!
//! The length counts digits, characters or bytes, as the kind is. No field is longer than 999.

use crate::table::TableError;

/// What a field is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Digits.
    Digits,
    /// Letters and digits.
    Alphanumeric,
    /// Printable ASCII, the space included.
    Printable,
    /// Bytes.
    Bytes,
}

impl Kind {
    /// Whether every character is one of this kind.
    pub fn admits(self, text: &[u8]) -> bool {
        match self {
            Self::Digits => text.iter().all(u8::is_ascii_digit),
            Self::Alphanumeric => text.iter().all(u8::is_ascii_alphanumeric),
            Self::Printable => text.iter().all(|byte| matches!(byte, 0x20..=0x7e)),
            Self::Bytes => true,
        }
    }
}

/// How long a field is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Length {
    /// Always this long.
    Fixed(usize),
    /// Up to `most`, after a length of so many digits.
    Variable {
        /// Two or three.
        digits: usize,
        /// The longest.
        most: usize,
    },
}

/// A field's form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Form {
    /// What it is made of.
    pub kind: Kind,
    /// How long it is.
    pub length: Length,
}

impl Form {
    /// Reads the notation.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let wrong = || TableError::Form(text.to_owned());
        let end = text
            .find(|c: char| !c.is_ascii_lowercase())
            .ok_or_else(wrong)?;
        let (kind, rest) = text.split_at_checked(end).ok_or_else(wrong)?;
        let kind = match kind {
            "n" => Kind::Digits,
            "an" => Kind::Alphanumeric,
            "ans" => Kind::Printable,
            "b" => Kind::Bytes,
            _ => return Err(wrong()),
        };
        let number = rest.trim_start_matches('.');
        let dots = rest.len().saturating_sub(number.len());
        if number.is_empty()
            || number.len() > 3
            || !number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(wrong());
        }
        let number: usize = number.parse().map_err(|_| wrong())?;
        let length = match (dots, kind) {
            // The standard counts fixed binary fields in bits.
            (0, Kind::Bytes) if number > 0 && number.is_multiple_of(8) => Length::Fixed(number / 8),
            (0, Kind::Bytes) => return Err(wrong()),
            (0, _) if number > 0 => Length::Fixed(number),
            (2, _) if (1..=99).contains(&number) => Length::Variable {
                digits: 2,
                most: number,
            },
            (3, _) if number > 0 => Length::Variable {
                digits: 3,
                most: number,
            },
            _ => return Err(wrong()),
        };
        Ok(Self { kind, length })
    }

    /// Whether a value of this many digits, characters or bytes fits.
    pub const fn fits(self, length: usize) -> bool {
        match self.length {
            Length::Fixed(exact) => length == exact,
            Length::Variable { most, .. } => length <= most,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_notation() {
        let form = |text| Form::parse(text).unwrap();
        assert_eq!(
            form("n6"),
            Form {
                kind: Kind::Digits,
                length: Length::Fixed(6)
            }
        );
        assert_eq!(form("b64").length, Length::Fixed(8));
        assert_eq!(
            form("ans...999").length,
            Length::Variable {
                digits: 3,
                most: 999
            }
        );
        assert_eq!(
            form("n..19").length,
            Length::Variable {
                digits: 2,
                most: 19
            }
        );
        for bad in [
            "", "n", "6", "x4", "n0", "n.6", "n..", "n..100", "n....9", "b7", "ans1000", "n6 ",
            "n-6", "é",
        ] {
            assert!(Form::parse(bad).is_err(), "{bad}");
        }
    }
}
