//! A cardholder's PIN on its way: ISO 9564-1 format 0, under a triple DES key of its own.
//!
//! ```txt
//! block one   0 | length | PIN digits | F F F …                       16 nibbles
//! block two   0 0 0 0 | the twelve digits before the card number's last one
//! PIN block   triple DES (block one XOR block two)
//! ```
//!
//! The PIN is four to twelve digits and is never written down in the clear.

use crate::mac::{DesPair, KeyError};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why there is no PIN block, or no PIN in it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PinError {
    /// Not a card number.
    #[error("a card number is 13 to 19 digits")]
    Card,
    /// Not a PIN.
    #[error("a PIN is 4 to 12 digits")]
    Pin,
}

/// The key between the gateway and the issuer for PINs.
#[derive(Clone)]
pub struct PinKey(Box<DesPair>);

impl fmt::Debug for PinKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PinKey")
    }
}

impl PinKey {
    /// From 32 hex digits.
    pub fn new(hex: &str) -> Result<Self, KeyError> {
        DesPair::new(hex).map(|pair| Self(Box::new(pair)))
    }

    /// Hides a PIN.
    pub fn seal(&self, card: &str, pin: &str) -> Result<[u8; 8], PinError> {
        if !(4..=12).contains(&pin.len()) || !pin.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(PinError::Pin);
        }
        let card = card_block(card)?;
        let mut nibbles = Zeroizing::new([0x0fu8; 16]);
        let length = u8::try_from(pin.len()).map_err(|_| PinError::Pin)?;
        let plain = [0, length]
            .into_iter()
            .chain(pin.bytes().map(|digit| digit & 0x0f));
        for (nibble, value) in nibbles.iter_mut().zip(plain) {
            *nibble = value;
        }
        let mut block = Zeroizing::new(pack(&nibbles));
        for (byte, card) in block.iter_mut().zip(card) {
            *byte ^= card;
        }
        Ok(self.0.encrypt(*block))
    }

    /// Shows a PIN to the issuer.
    pub fn open(&self, card: &str, block: [u8; 8]) -> Result<Zeroizing<String>, PinError> {
        let card = card_block(card)?;
        let mut plain = Zeroizing::new(self.0.decrypt(block));
        for (byte, card) in plain.iter_mut().zip(card) {
            *byte ^= card;
        }
        let nibbles = Zeroizing::new(
            plain
                .iter()
                .flat_map(|byte| [byte >> 4, byte & 0x0f])
                .collect::<Vec<u8>>(),
        );
        let (Some(0), Some(&length)) = (nibbles.first(), nibbles.get(1)) else {
            return Err(PinError::Pin);
        };
        let (pin, fill) = nibbles
            .get(2..)
            .and_then(|rest| rest.split_at_checked(usize::from(length)))
            .ok_or(PinError::Pin)?;
        let sound = (4..=12).contains(&length)
            && pin.iter().all(|digit| *digit <= 9)
            && fill.iter().all(|nibble| *nibble == 0x0f);
        if !sound {
            return Err(PinError::Pin);
        }
        Ok(Zeroizing::new(
            pin.iter()
                .map(|digit| char::from(digit.saturating_add(b'0')))
                .collect(),
        ))
    }
}

fn card_block(card: &str) -> Result<[u8; 8], PinError> {
    if !(13..=19).contains(&card.len()) || !card.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PinError::Card);
    }
    let end = card.len().saturating_sub(1);
    let digits = card
        .as_bytes()
        .get(end.saturating_sub(12)..end)
        .ok_or(PinError::Card)?;
    let mut nibbles = [0u8; 16];
    for (nibble, digit) in nibbles.iter_mut().skip(4).zip(digits) {
        *nibble = digit & 0x0f;
    }
    Ok(pack(&nibbles))
}

fn pack(nibbles: &[u8; 16]) -> [u8; 8] {
    let mut block = [0u8; 8];
    for (byte, pair) in block.iter_mut().zip(nibbles.chunks(2)) {
        *byte = pair.iter().fold(0, |byte, nibble| byte << 4 | nibble);
    }
    block
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";

    /// PIN 1234, card 43219876543210987: the clear block of the standard's example is
    /// 0412 AC89 ABCD EF67.
    #[test]
    fn the_clear_block_is_the_standards() {
        let key = PinKey::new(KEY).unwrap();
        let sealed = key.seal("43219876543210987", "1234").unwrap();
        let clear = key.0.decrypt(sealed);
        assert_eq!(clear, [0x04, 0x12, 0xAC, 0x89, 0xAB, 0xCD, 0xEF, 0x67]);
        assert_eq!(*key.open("43219876543210987", sealed).unwrap(), "1234");
    }

    #[test]
    fn what_is_no_pin_or_card() {
        let key = PinKey::new(KEY).unwrap();
        for (card, pin) in [
            ("123", "1234"),
            ("9410000000000011", "123"),
            ("9410000000000011", "12a4"),
            ("94100000000000é1", "1234"),
        ] {
            assert!(key.seal(card, pin).is_err());
        }
        // Another card's block does not open to a PIN by accident of this one.
        let sealed = key.seal("9410000000000011", "1234").unwrap();
        assert_ne!(
            key.open("9410000000000029", sealed)
                .map(|pin| pin.to_string()),
            Ok("1234".to_owned())
        );
        assert!(key.open("9410000000000011", [0; 8]).is_err());
    }
}
