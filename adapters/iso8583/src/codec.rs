//! Messages to bytes and back.
//!
//! ```txt
//! type     4 digits: 4 bytes ASCII, 2 bytes BCD
//! bitmap   8 bytes, 16 if a field above 64 follows (bit 1 says so); twice that in hex
//! fields   in order of number, each in its form:
//!            fixed       the value
//!            variable    length (2 or 3 digits; BCD 1 or 2 bytes), then the value
//! MAC      last, in field 64, or in 128 if there is a field above 64
//! ```
//!
//! At most [`MAX_MESSAGE_BYTES`]. A message that is decoded is the only one with its meaning in
//! this table, except for hex in capitals or not, and an unneeded second bitmap.

use crate::field::{Form, Kind, Length};
use crate::mac::{MAC_BYTES, MacKey};
use crate::message::{Message, Mti, Value};
use crate::table::{Binary, Bitmap, Digits, Table};
use thiserror::Error;

/// Largest message, without its header, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024;

/// Why a message cannot be written.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum EncodeError {
    /// Not in the table.
    #[error("field {0} is not in the field table")]
    UnknownField(u8),
    /// Text where bytes belong, other characters, or another length.
    #[error("the value of field {0} does not have its form")]
    Form(u8),
    /// Too long.
    #[error("the message is longer than {MAX_MESSAGE_BYTES} bytes")]
    Size,
}

/// Why bytes are no message.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum DecodeError {
    /// Ends too early.
    #[error("the message ends within {0}")]
    Short(Place),
    /// Goes on after its last field.
    #[error("{0} bytes are left after the last field")]
    Trailing(usize),
    /// Too long.
    #[error("the message is longer than {MAX_MESSAGE_BYTES} bytes")]
    Size,
    /// Bytes that cannot stand there.
    #[error("{0} has characters that do not belong there")]
    Characters(Place),
    /// Longer than its form allows.
    #[error("{0} is longer than its form allows")]
    Long(Place),
    /// Not in the table.
    #[error("field {0} is not in the field table")]
    UnknownField(u8),
    /// No MAC, or another.
    #[error("the MAC is missing or wrong")]
    Mac,
}

/// Where in a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// The type.
    Type,
    /// The bitmap.
    Bitmap,
    /// A field.
    Field(u8),
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Type => formatter.write_str("the type"),
            Self::Bitmap => formatter.write_str("the bitmap"),
            Self::Field(number) => write!(formatter, "field {number}"),
        }
    }
}

/// Writes and reads one partner's messages.
#[derive(Clone, Debug)]
pub struct Codec {
    table: Table,
    mac: Option<MacKey>,
}

impl Codec {
    /// A codec. With a key every message is written with a MAC and read only with the right one.
    pub const fn new(table: Table, mac: Option<MacKey>) -> Self {
        Self { table, mac }
    }

    /// The table.
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// Writes a message.
    pub fn encode(&self, message: &Message) -> Result<Vec<u8>, EncodeError> {
        let Some(key) = &self.mac else {
            return self.write(message);
        };
        let field = mac_field(message.highest());
        let mut sealed = message.clone();
        sealed.insert(field, Value::Bytes(vec![0; MAC_BYTES]));
        let mut bytes = self.write(&sealed)?;
        let body = bytes.len().saturating_sub(self.mac_width());
        bytes.truncate(body);
        let mac = key.mac(&bytes);
        write_bytes(&mut bytes, &mac, self.table.binary);
        Ok(bytes)
    }

    /// Reads a message. The MAC is checked and taken out.
    pub fn decode(&self, bytes: &[u8]) -> Result<Message, DecodeError> {
        let mut message = self.read(bytes)?;
        let Some(key) = &self.mac else {
            return Ok(message);
        };
        let field = message.highest().ok_or(DecodeError::Mac)?;
        let Some(Value::Bytes(mac)) = message.remove(field) else {
            return Err(DecodeError::Mac);
        };
        let body = bytes
            .len()
            .checked_sub(self.mac_width())
            .and_then(|end| bytes.get(..end));
        let body = body.ok_or(DecodeError::Mac)?;
        if field != mac_field(message.highest()) || !key.verify(body, &mac) {
            return Err(DecodeError::Mac);
        }
        Ok(message)
    }

    const fn mac_width(&self) -> usize {
        match self.table.binary {
            Binary::Raw => MAC_BYTES,
            Binary::Hex => MAC_BYTES * 2,
        }
    }

    fn write(&self, message: &Message) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::with_capacity(256);
        write_digits(&mut out, message.mti.to_string().as_bytes(), self.table.mti);
        let mut bitmap = [0u8; 16];
        for (number, _) in message.fields() {
            set_bit(&mut bitmap, number);
        }
        let wide = message.highest().is_some_and(|number| number > 64);
        if wide {
            set_bit(&mut bitmap, 1);
        }
        let bitmap = bitmap.get(..if wide { 16 } else { 8 }).unwrap_or_default();
        match self.table.bitmap {
            Bitmap::Binary => out.extend_from_slice(bitmap),
            Bitmap::Hex => write_bytes(&mut out, bitmap, Binary::Hex),
        }
        for (number, value) in message.fields() {
            let field = self
                .table
                .field(number)
                .ok_or(EncodeError::UnknownField(number))?;
            self.write_field(&mut out, field.form, field.numbers, value)
                .ok_or(EncodeError::Form(number))?;
        }
        if out.len() > MAX_MESSAGE_BYTES {
            return Err(EncodeError::Size);
        }
        Ok(out)
    }

    fn write_field(
        &self,
        out: &mut Vec<u8>,
        form: Form,
        numbers: Digits,
        value: &Value,
    ) -> Option<()> {
        let bytes = match (value, form.kind) {
            (Value::Bytes(bytes), Kind::Bytes) => bytes.as_slice(),
            (Value::Text(text), Kind::Digits | Kind::Alphanumeric | Kind::Printable) => {
                text.as_bytes()
            }
            _ => return None,
        };
        if !form.fits(bytes.len()) || !form.kind.admits(bytes) {
            return None;
        }
        if let Length::Variable { digits, .. } = form.length {
            let length = format!("{:0digits$}", bytes.len());
            write_digits(out, length.as_bytes(), self.table.lengths);
        }
        match form.kind {
            Kind::Digits => write_digits(out, bytes, numbers),
            Kind::Bytes => write_bytes(out, bytes, self.table.binary),
            Kind::Alphanumeric | Kind::Printable => out.extend_from_slice(bytes),
        }
        Some(())
    }

    fn read(&self, bytes: &[u8]) -> Result<Message, DecodeError> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(DecodeError::Size);
        }
        let mut reader = Reader {
            rest: bytes,
            place: Place::Type,
        };
        let mti = reader.number(4, self.table.mti)?;
        let mti = u16::try_from(mti).ok().and_then(Mti::new);
        let mut message = Message::new(mti.ok_or(DecodeError::Characters(Place::Type))?);
        reader.place = Place::Bitmap;
        let mut bitmap = reader.bitmap(self.table.bitmap)?;
        if has_bit(&bitmap, 1) {
            bitmap.extend(reader.bitmap(self.table.bitmap)?);
        }
        for number in 2..=128 {
            if !has_bit(&bitmap, number) {
                continue;
            }
            let field = self
                .table
                .field(number)
                .ok_or(DecodeError::UnknownField(number))?;
            reader.place = Place::Field(number);
            let value = self.read_field(&mut reader, field.form, field.numbers)?;
            message.insert(number, value);
        }
        if reader.rest.is_empty() {
            Ok(message)
        } else {
            Err(DecodeError::Trailing(reader.rest.len()))
        }
    }

    fn read_field(
        &self,
        reader: &mut Reader<'_>,
        form: Form,
        numbers: Digits,
    ) -> Result<Value, DecodeError> {
        let length = match form.length {
            Length::Fixed(length) => length,
            Length::Variable { digits, .. } => reader.number(digits, self.table.lengths)?,
        };
        if !form.fits(length) {
            return Err(DecodeError::Long(reader.place));
        }
        let text = match form.kind {
            Kind::Bytes => return reader.bytes(length, self.table.binary).map(Value::Bytes),
            Kind::Digits => reader.digits(length, numbers)?,
            Kind::Alphanumeric | Kind::Printable => reader.take(length)?.to_vec(),
        };
        if !form.kind.admits(&text) {
            return Err(DecodeError::Characters(reader.place));
        }
        String::from_utf8(text)
            .map(Value::Text)
            .map_err(|_| DecodeError::Characters(reader.place))
    }
}

/// Where the MAC of a message stands whose other fields go up to `highest`.
fn mac_field(highest: Option<u8>) -> u8 {
    if highest.is_some_and(|number| number > 64) {
        128
    } else {
        64
    }
}

/// The byte and the mask of a field's bit: field 1 is the first byte's highest bit.
fn bit(number: u8) -> (usize, u8) {
    let at = number.saturating_sub(1);
    (usize::from(at / 8), 0x80 >> (at % 8))
}

fn set_bit(bitmap: &mut [u8], number: u8) {
    let (at, mask) = bit(number);
    if let Some(byte) = bitmap.get_mut(at) {
        *byte |= mask;
    }
}

fn has_bit(bitmap: &[u8], number: u8) -> bool {
    let (at, mask) = bit(number);
    bitmap.get(at).is_some_and(|byte| byte & mask != 0)
}

fn write_digits(out: &mut Vec<u8>, digits: &[u8], form: Digits) {
    if form == Digits::Ascii {
        out.extend_from_slice(digits);
        return;
    }
    let padding = digits.len() % 2;
    let mut nibbles =
        std::iter::repeat_n(0, padding).chain(digits.iter().map(|digit| digit & 0x0f));
    while let (Some(high), Some(low)) = (nibbles.next(), nibbles.next()) {
        out.push(high << 4 | low);
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8], form: Binary) {
    if form == Binary::Raw {
        out.extend_from_slice(bytes);
        return;
    }
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            out.extend(HEX.get(usize::from(nibble)));
        }
    }
}

/// Takes a message apart from its front.
struct Reader<'a> {
    rest: &'a [u8],
    place: Place,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(DecodeError::Short(self.place))?;
        self.rest = rest;
        Ok(taken)
    }

    /// So many digits, as ASCII.
    fn digits(&mut self, count: usize, form: Digits) -> Result<Vec<u8>, DecodeError> {
        if form == Digits::Ascii {
            let taken = self.take(count)?;
            return if taken.iter().all(u8::is_ascii_digit) {
                Ok(taken.to_vec())
            } else {
                Err(DecodeError::Characters(self.place))
            };
        }
        let packed = self.take(count.div_ceil(2))?;
        let nibbles = packed.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        let mut digits: Vec<u8> = nibbles.map(|nibble| nibble.saturating_add(b'0')).collect();
        let padded = count % 2 == 1;
        if !digits.iter().all(u8::is_ascii_digit) || padded && digits.first() != Some(&b'0') {
            return Err(DecodeError::Characters(self.place));
        }
        if padded {
            digits.remove(0);
        }
        Ok(digits)
    }

    /// A number of so many digits, at most four.
    fn number(&mut self, count: usize, form: Digits) -> Result<usize, DecodeError> {
        let digits = self.digits(count, form)?;
        Ok(digits.iter().fold(0usize, |number, digit| {
            number
                .saturating_mul(10)
                .saturating_add(usize::from(digit & 0x0f))
        }))
    }

    fn bytes(&mut self, count: usize, form: Binary) -> Result<Vec<u8>, DecodeError> {
        if form == Binary::Raw {
            return self.take(count).map(<[u8]>::to_vec);
        }
        let wrong = DecodeError::Characters(self.place);
        let hex = self.take(count.saturating_mul(2))?;
        let nibble = |byte: &u8| {
            char::from(*byte)
                .to_digit(16)
                .and_then(|nibble| u8::try_from(nibble).ok())
        };
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
            _ => None,
        };
        hex.chunks(2).map(byte).collect::<Option<_>>().ok_or(wrong)
    }

    fn bitmap(&mut self, form: Bitmap) -> Result<Vec<u8>, DecodeError> {
        let form = match form {
            Bitmap::Binary => Binary::Raw,
            Bitmap::Hex => Binary::Hex,
        };
        self.bytes(8, form)
    }
}
