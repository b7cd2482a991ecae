//! Message authentication codes of eight bytes.
//!
//! | name | what |
//! |---|---|
//! | `x9.19` | ANSI X9.19 retail MAC, the same as ISO/IEC 9797-1 MAC algorithm 3: CBC-MAC with DES under the left key, the last block then decrypted with the right and encrypted with the left one. Padding method 1: zeros to a whole block. |
//! | `hmac-sha-256` | HMAC-SHA-256 (FIPS 198-1, RFC 2104), its first eight bytes. For issuers that have left DES behind. |
//!
//! It covers everything from the type to the byte before the MAC field. Comparison takes the same
//! time whatever the bytes are.

use des::Des;
use des::cipher::generic_array::GenericArray;
use des::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// Length of every MAC.
pub const MAC_BYTES: usize = 8;
/// Shortest and longest HMAC key, in bytes.
const HMAC_KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// A key that is none.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum KeyError {
    /// Not hex digits.
    #[error("the key must be hex digits, two a byte")]
    Hex,
    /// Another length.
    #[error("the key must have 16 bytes for x9.19, 16 to 64 for hmac-sha-256")]
    Length,
    /// Both halves alike: single DES in disguise.
    #[error("the two halves of the key must differ")]
    Halves,
}

/// Sixteen bytes for two-key DES, the halves different.
pub(crate) fn two_keys(hex: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let bytes = unhex(hex)?;
    let (left, right) = bytes.split_at_checked(8).ok_or(KeyError::Length)?;
    if right.len() != 8 {
        return Err(KeyError::Length);
    }
    // The lowest bit of each byte is parity and no part of the key.
    if left
        .iter()
        .zip(right)
        .all(|(left, right)| left | 1 == right | 1)
    {
        return Err(KeyError::Halves);
    }
    Ok(bytes)
}

fn unhex(hex: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(KeyError::Hex);
    }
    let byte = |at: usize| {
        hex.get(at..at.saturating_add(2))
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
    bytes.map(Zeroizing::new).ok_or(KeyError::Hex)
}

/// Two DES keys, ready to use. The ciphers wipe themselves when dropped.
#[derive(Clone)]
pub(crate) struct DesPair {
    left: Des,
    right: Des,
}

impl DesPair {
    pub(crate) fn new(hex: &str) -> Result<Self, KeyError> {
        let bytes = two_keys(hex)?;
        let cipher = |half: Option<&[u8]>| {
            half.and_then(|half| Des::new_from_slice(half).ok())
                .ok_or(KeyError::Length)
        };
        Ok(Self {
            left: cipher(bytes.get(..8))?,
            right: cipher(bytes.get(8..))?,
        })
    }

    /// Triple DES of one block: encrypt left, decrypt right, encrypt left.
    pub(crate) fn encrypt(&self, block: [u8; 8]) -> [u8; 8] {
        let mut block = GenericArray::from(block);
        self.left.encrypt_block(&mut block);
        self.right.decrypt_block(&mut block);
        self.left.encrypt_block(&mut block);
        block.into()
    }

    pub(crate) fn decrypt(&self, block: [u8; 8]) -> [u8; 8] {
        let mut block = GenericArray::from(block);
        self.left.decrypt_block(&mut block);
        self.right.encrypt_block(&mut block);
        self.left.decrypt_block(&mut block);
        block.into()
    }

    fn retail_mac(&self, data: &[u8]) -> [u8; 8] {
        let mut state = [0u8; 8];
        for chunk in data.chunks(8) {
            for (state, byte) in state.iter_mut().zip(chunk) {
                *state ^= byte;
            }
            let mut block = GenericArray::from(state);
            self.left.encrypt_block(&mut block);
            state = block.into();
        }
        let mut block = GenericArray::from(state);
        self.right.decrypt_block(&mut block);
        self.left.encrypt_block(&mut block);
        block.into()
    }
}

#[derive(Clone)]
enum Algorithm {
    Retail(Box<DesPair>),
    Hmac(Box<Hmac<Sha256>>),
}

/// A key and its algorithm.
#[derive(Clone)]
pub struct MacKey(Algorithm);

impl fmt::Debug for MacKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Algorithm::Retail(_) => "MacKey(x9.19)",
            Algorithm::Hmac(_) => "MacKey(hmac-sha-256)",
        })
    }
}

impl MacKey {
    /// ANSI X9.19 under 32 hex digits.
    pub fn retail(hex: &str) -> Result<Self, KeyError> {
        DesPair::new(hex).map(|pair| Self(Algorithm::Retail(Box::new(pair))))
    }

    /// HMAC-SHA-256 under 32 to 128 hex digits.
    pub fn hmac(hex: &str) -> Result<Self, KeyError> {
        let bytes = unhex(hex)?;
        if !HMAC_KEY_BYTES.contains(&bytes.len()) {
            return Err(KeyError::Length);
        }
        let hmac =
            <Hmac<Sha256> as KeyInit>::new_from_slice(&bytes).map_err(|_| KeyError::Length)?;
        Ok(Self(Algorithm::Hmac(Box::new(hmac))))
    }

    /// The MAC of some bytes.
    pub fn mac(&self, data: &[u8]) -> [u8; MAC_BYTES] {
        match &self.0 {
            Algorithm::Retail(pair) => pair.retail_mac(data),
            Algorithm::Hmac(hmac) => {
                let tag = hmac
                    .as_ref()
                    .clone()
                    .chain_update(data)
                    .finalize()
                    .into_bytes();
                let mut mac = [0; MAC_BYTES];
                for (mac, byte) in mac.iter_mut().zip(tag) {
                    *mac = byte;
                }
                mac
            }
        }
    }

    /// Whether a MAC is the right one.
    pub fn verify(&self, data: &[u8], mac: &[u8]) -> bool {
        self.mac(data).ct_eq(mac).into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// ISO/IEC 9797-1:2011, annex B: algorithm 3, padding method 1, data string 1.
    #[test]
    fn the_standards_example() {
        let key = MacKey::retail("0123456789ABCDEFFEDCBA9876543210").unwrap();
        let mac = key.mac(b"Now is the time for all ");
        assert_eq!(mac, [0xA1, 0xC7, 0x2E, 0x74, 0xEA, 0x3F, 0xA9, 0xB6]);
        assert!(key.verify(b"Now is the time for all ", &mac));
        assert!(!key.verify(b"Now is the time for all.", &mac));
        assert!(!key.verify(b"Now is the time for all ", &mac[..7]));
    }

    /// RFC 4231, test case 1.
    #[test]
    fn hmac_of_the_rfc() {
        let key = MacKey::hmac(&"0b".repeat(20)).unwrap();
        assert_eq!(
            key.mac(b"Hi There"),
            [0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53]
        );
    }

    #[test]
    fn keys_that_are_none() {
        assert_eq!(MacKey::retail("0123").unwrap_err(), KeyError::Length);
        assert_eq!(MacKey::retail(&"zz".repeat(16)).unwrap_err(), KeyError::Hex);
        assert_eq!(
            MacKey::retail(&"01".repeat(16)).unwrap_err(),
            KeyError::Halves
        );
        assert_eq!(MacKey::hmac(&"01".repeat(8)).unwrap_err(), KeyError::Length);
        let key = MacKey::hmac(&"ab".repeat(16)).unwrap();
        assert_eq!(format!("{key:?}"), "MacKey(hmac-sha-256)");
    }
}
