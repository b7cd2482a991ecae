//! A message: its type, and its fields by number.
//!
//! The type indicator (MTI) has four digits: version, class, function, origin. `0200` asks for a
//! debit, `0210` answers it; `0420` advises a reversal, `0421` says it again, `0430` answers both.

use std::collections::BTreeMap;
use std::fmt;

/// A message type indicator, 0000 to 9999.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mti(u16);

impl Mti {
    /// Asks about an account: authorization request.
    pub const AUTHORIZATION: Self = Self(100);
    /// Asks for a debit: financial request.
    pub const FINANCIAL: Self = Self(200);
    /// Asks for a reversal.
    pub const REVERSAL: Self = Self(400);
    /// Tells of a reversal that must be acknowledged.
    pub const REVERSAL_ADVICE: Self = Self(420);
    /// Network management: sign-on, echo, sign-off.
    pub const NETWORK: Self = Self(800);

    /// Four digits as a number; `None` above 9999.
    pub const fn new(number: u16) -> Option<Self> {
        if number > 9999 {
            None
        } else {
            Some(Self(number))
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether it asks or advises, rather than answers.
    pub const fn asks(self) -> bool {
        matches!(self.0 / 10 % 10, 0 | 2)
    }

    /// The type of its answer, if it is one that is answered.
    pub const fn answer(self) -> Option<Self> {
        if self.asks() {
            Some(Self(self.0 / 10 * 10 + 10))
        } else {
            None
        }
    }

    /// The same, sent again: the origin digit becomes the repeat of its kind.
    pub const fn repeat(self) -> Self {
        Self(self.0 | 1)
    }

    /// The same without the mark of a repeat.
    pub const fn first(self) -> Self {
        Self(if self.0 % 2 == 1 { self.0 - 1 } else { self.0 })
    }
}

impl fmt::Display for Mti {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}", self.0)
    }
}

/// What a field holds.
#[derive(Clone, Eq, PartialEq)]
pub enum Value {
    /// Digits or characters.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(formatter, "{} characters", text.len()),
            Self::Bytes(bytes) => write!(formatter, "{} bytes", bytes.len()),
        }
    }
}

/// A message. It may hold card numbers and tokens, so its debug form shows field numbers only.
#[derive(Clone, Eq, PartialEq)]
pub struct Message {
    /// Its type.
    pub mti: Mti,
    fields: BTreeMap<u8, Value>,
}

impl Message {
    /// A message with no fields yet.
    pub const fn new(mti: Mti) -> Self {
        Self {
            mti,
            fields: BTreeMap::new(),
        }
    }

    /// Sets a field of digits or characters.
    pub fn set(&mut self, number: u8, text: impl Into<String>) {
        self.fields.insert(number, Value::Text(text.into()));
    }

    /// The same, for building in one expression.
    #[must_use]
    pub fn with(mut self, number: u8, text: impl Into<String>) -> Self {
        self.set(number, text);
        self
    }

    /// Sets a field of any kind.
    pub fn insert(&mut self, number: u8, value: Value) {
        self.fields.insert(number, value);
    }

    /// Takes a field out.
    pub fn remove(&mut self, number: u8) -> Option<Value> {
        self.fields.remove(&number)
    }

    /// A field's digits or characters.
    pub fn text(&self, number: u8) -> Option<&str> {
        match self.fields.get(&number) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A field's bytes.
    pub fn bytes(&self, number: u8) -> Option<&[u8]> {
        match self.fields.get(&number) {
            Some(Value::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// All fields, by number.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &Value)> {
        self.fields.iter().map(|(number, value)| (*number, value))
    }

    /// The highest field number there is.
    pub fn highest(&self) -> Option<u8> {
        self.fields.keys().next_back().copied()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.mti, self.fields.keys())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn types_and_their_answers() {
        let mti = |number| Mti::new(number).unwrap();
        for (asked, answered) in [
            (100, 110),
            (200, 210),
            (400, 410),
            (401, 410),
            (420, 430),
            (421, 430),
            (800, 810),
        ] {
            assert_eq!(mti(asked).answer(), Some(mti(answered)));
        }
        assert_eq!(mti(210).answer(), None);
        assert_eq!(mti(9999).answer(), None);
        assert_eq!(Mti::REVERSAL_ADVICE.repeat(), mti(421));
        assert_eq!(mti(421).first(), Mti::REVERSAL_ADVICE);
        assert_eq!(Mti::new(10_000), None);
        assert_eq!(Mti::NETWORK.to_string(), "0800");
    }

    #[test]
    fn debug_shows_no_values() {
        let message = Message::new(Mti::FINANCIAL).with(2, "9410000000000011");
        assert_eq!(format!("{message:?}"), "0200 [2]");
    }
}
