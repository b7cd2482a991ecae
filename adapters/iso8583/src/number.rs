//! Field numbers by their names in ISO 8583:1987, as far as they are used here.

/// Primary account number.
pub const CARD: u8 = 2;
/// Processing code.
pub const PROCESSING: u8 = 3;
/// Amount of the transaction; whole miles here.
pub const AMOUNT: u8 = 4;
/// Transmission date and time, `MMDDhhmmss` in UTC.
pub const TRANSMITTED: u8 = 7;
/// Systems trace audit number (STAN).
pub const TRACE: u8 = 11;
/// Acquiring institution.
pub const INSTITUTION: u8 = 32;
/// Retrieval reference number (RRN).
pub const RETRIEVAL: u8 = 37;
/// Response code.
pub const RESPONSE: u8 = 39;
/// Card acceptor's terminal.
pub const TERMINAL: u8 = 41;
/// Card acceptor.
pub const ACCEPTOR: u8 = 42;
/// Additional data: see [`additional`](crate::additional).
pub const ADDITIONAL: u8 = 48;
/// Currency of the transaction; the unit of the miles here.
pub const UNIT: u8 = 49;
/// PIN block.
pub const PIN: u8 = 52;
/// Additional amounts: balances.
pub const BALANCES: u8 = 54;
/// Network management information code.
pub const NETWORK: u8 = 70;
/// Original data elements.
pub const ORIGINAL: u8 = 90;
/// Account identification; the member's id here.
pub const ACCOUNT: u8 = 102;

/// Sign-on, in field 70.
pub const SIGN_ON: &str = "001";
/// Sign-off, in field 70.
pub const SIGN_OFF: &str = "002";
/// Echo test, in field 70.
pub const ECHO: &str = "301";
