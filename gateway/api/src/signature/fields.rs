//! The little of structured fields (RFC 9651) that signatures and digests need: dictionaries of
//! byte sequences, and one dictionary member that is an inner list of strings with parameters.

use super::SignatureError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

/// Longest header that is read, in bytes.
const MAX_FIELD: usize = 8 * 1024;
const MAX_COMPONENTS: usize = 32;
const MAX_MEMBERS: usize = 8;

/// A parameter's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Bare {
    Text(String),
    Number(i64),
}

/// The one member of `Signature-Input`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SignatureInput {
    pub label: String,
    pub components: Vec<String>,
    pub parameters: Vec<(String, Bare)>,
}

impl SignatureInput {
    pub(super) fn parameter(&self, name: &str) -> Option<&Bare> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value)
    }

    /// `@signature-params`: the member in its strict form.
    pub(super) fn strict(&self) -> String {
        let components: Vec<_> = self.components.iter().map(|name| quoted(name)).collect();
        let mut text = format!("({})", components.join(" "));
        for (name, value) in &self.parameters {
            let value = match value {
                Bare::Text(value) => quoted(value),
                Bare::Number(value) => value.to_string(),
            };
            text.push_str(&format!(";{name}={value}"));
        }
        text
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn malformed(why: impl Into<String>) -> SignatureError {
    SignatureError::Malformed(why.into())
}

/// The value of a header that is sent at most once.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a str>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .filter(|value| values.next().is_none() && value.len() <= MAX_FIELD)
        .map(Some)
        .ok_or_else(|| {
            malformed(format!(
                "send {name} once, as ASCII of at most {MAX_FIELD} bytes"
            ))
        })
}

/// A reader of one field.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn take(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `key`: begins with a small letter or `*`.
    fn key(&mut self) -> Option<&'a str> {
        let inside = |byte: char| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || "_-.*".contains(byte)
        };
        let end = self.rest.find(|c| !inside(c)).unwrap_or(self.rest.len());
        let (key, rest) = self.rest.split_at_checked(end)?;
        let first = key.chars().next()?;
        if !first.is_ascii_lowercase() && first != '*' {
            return None;
        }
        self.rest = rest;
        Some(key)
    }

    /// `sf-string`, after its opening quote.
    fn string(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.chars();
        loop {
            match chars.next()? {
                '"' => {
                    self.rest = chars.as_str();
                    return Some(text);
                }
                '\\' => match chars.next()? {
                    escaped @ ('"' | '\\') => text.push(escaped),
                    _ => return None,
                },
                plain if plain.is_ascii() && !plain.is_ascii_control() => text.push(plain),
                _ => return None,
            }
        }
    }

    /// `sf-integer`: up to 15 digits.
    fn integer(&mut self) -> Option<i64> {
        let digits = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let many = digits.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=15).contains(&many) {
            return None;
        }
        let sign = self.rest.len().checked_sub(digits.len())?;
        let (number, rest) = self.rest.split_at_checked(sign.checked_add(many)?)?;
        if rest.starts_with('.') {
            return None;
        }
        self.rest = rest;
        number.parse().ok()
    }

    /// `sf-binary`, after its opening colon.
    fn bytes(&mut self) -> Option<Vec<u8>> {
        let (encoded, rest) = self.rest.split_once(':')?;
        self.rest = rest;
        STANDARD.decode(encoded).ok()
    }

    fn parameters(&mut self) -> Option<Vec<(String, Bare)>> {
        let mut parameters: Vec<(String, Bare)> = Vec::new();
        while self.take(';') {
            self.spaces();
            let key = self.key()?.to_owned();
            if !self.take('=') {
                return None;
            }
            let value = match self.take('"') {
                true => Bare::Text(self.string()?),
                false => Bare::Number(self.integer()?),
            };
            if parameters.len() >= MAX_COMPONENTS || parameters.iter().any(|(one, _)| *one == key) {
                return None;
            }
            parameters.push((key, value));
        }
        Some(parameters)
    }
}

/// Reads `Signature-Input`, which must have one member.
pub(super) fn signature_input(text: &str) -> Result<SignatureInput, SignatureError> {
    let read = || {
        let mut reader = Reader::new(text);
        reader.spaces();
        let label = reader.key()?.to_owned();
        if !reader.take('=') || !reader.take('(') {
            return None;
        }
        let mut components = Vec::new();
        loop {
            reader.spaces();
            if reader.take(')') {
                break;
            }
            if components.len() >= MAX_COMPONENTS || !reader.take('"') {
                return None;
            }
            components.push(reader.string()?);
            // Components with parameters (;sf, ;key, ;req …) are not offered.
            if !reader.rest.starts_with([' ', ')']) {
                return None;
            }
        }
        let parameters = reader.parameters()?;
        reader.spaces();
        reader.rest.is_empty().then_some(SignatureInput {
            label,
            components,
            parameters,
        })
    };
    read().ok_or_else(|| {
        malformed(
            "Signature-Input must be one signature such as sig=(\"@method\" \"@path\");created=1700000000;nonce=\"…\";keyid=\"…\", its components without parameters",
        )
    })
}

/// Reads a dictionary of byte sequences.
pub(super) fn byte_sequences(text: &str) -> Result<Vec<(String, Vec<u8>)>, SignatureError> {
    let read = || {
        let mut reader = Reader::new(text);
        let mut members: Vec<(String, Vec<u8>)> = Vec::new();
        loop {
            reader.spaces();
            let key = reader.key()?.to_owned();
            if !reader.take('=') || !reader.take(':') {
                return None;
            }
            let bytes = reader.bytes()?;
            if members.len() >= MAX_MEMBERS || members.iter().any(|(one, _)| *one == key) {
                return None;
            }
            members.push((key, bytes));
            reader.spaces();
            if reader.rest.is_empty() {
                return Some(members);
            }
            if !reader.take(',') {
                return None;
            }
        }
    };
    read().ok_or_else(|| {
        malformed("Signature and Content-Digest are written as name=:base64:, separated by commas")
    })
}
