//! ISO 8583 messages: what card issuers speak over TCP.
//!
//! ```txt
//! frame      length header and message, over a stream
//! message    type, and fields by number
//! table      which fields there are, and how each is written: read from TOML
//! field      one field's form: n6, ans..25, b64
//! codec      message <-> bytes
//! mac        ANSI X9.19 retail MAC, or HMAC-SHA-256, in field 64 or 128
//! number     the fields by name
//! additional tagged values within field 48
//! pin        PIN block of ISO 9564-1 format 0 under triple DES
//! ```
//!
//! One message on the wire:
//!
//! ```txt
//! [length header][type: 4 digits][bitmap: 64 or 128 bits][field 2][field 3] … [MAC]
//! ```
//!
//! The standard is ISO 8583:1987; [`table`] says what partners may vary. Decoding is strict: every
//! byte is consumed, digits are digits, and what the table does not know is refused. Nothing here
//! panics on any bytes.

pub mod additional;
pub mod codec;
pub mod field;
pub mod frame;
pub mod mac;
pub mod message;
pub mod number;
pub mod pin;
pub mod table;

pub use additional::Additional;
pub use codec::{Codec, DecodeError, EncodeError};
pub use frame::{FrameError, Header};
pub use mac::{KeyError, MacKey};
pub use message::{Message, Mti, Value};
pub use pin::{PinError, PinKey};
pub use table::{Table, TableError};
