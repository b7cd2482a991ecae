//! Personal data at rest: envelope encryption.
//!
//! ```txt
//! data      AES-256-GCM under a key of the row's own; bound to the row's id
//! row key   AES-256-GCM under a key that follows from the master key
//! ```
//!
//! Replacing the master key wraps the row keys anew (`mileverse gateway members rewrap`) and leaves
//! the data as it is. Erasing a row's key erases the row, in every copy of it that has no key.
//!
//! Each ciphertext is `nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)`; nonces are random.

use crate::secrets::Secrets;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use rand::RngCore;
use thiserror::Error;

const KEY_BYTES: usize = 32;

/// Why something cannot be sealed or opened.
#[derive(Debug, Error)]
pub enum VaultError {
    /// Its master key is not configured any more.
    #[error(
        "it was sealed under the master key {0}, which is not configured; add it to previous_master_key_files"
    )]
    Key(String),
    /// It was changed, or belongs elsewhere.
    #[error("it does not open: it was changed, or is another row's")]
    Broken,
}

/// Something sealed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sealed {
    /// Which master key.
    pub key_id: String,
    /// The row's key, wrapped.
    pub wrapped_key: Vec<u8>,
    /// The data.
    pub data: Vec<u8>,
}

struct Wrapping {
    id: String,
    key: RandomizedNonceKey,
}

/// Seals and opens. The first key seals.
pub struct Vault {
    keys: Vec<Wrapping>,
    names: hmac::Key,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Vault(…)")
    }
}

fn key(bytes: &[u8]) -> Result<RandomizedNonceKey, VaultError> {
    RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| VaultError::Broken)
}

fn seal(key: &RandomizedNonceKey, about: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    let mut text = plain.to_vec();
    let nonce = key
        .seal_in_place_append_tag(Aad::from(about.as_bytes()), &mut text)
        .map_err(|_| VaultError::Broken)?;
    Ok([nonce.as_ref().as_slice(), &text].concat())
}

fn open(key: &RandomizedNonceKey, about: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (nonce, text) = sealed
        .split_at_checked(NONCE_LEN)
        .ok_or(VaultError::Broken)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Broken)?;
    let mut text = text.to_vec();
    key.open_in_place(nonce, Aad::from(about.as_bytes()), &mut text)
        .map(|plain| plain.to_vec())
        .map_err(|_| VaultError::Broken)
}

impl Vault {
    /// From the master key and those before it.
    pub fn new(current: &Secrets, previous: &[Secrets]) -> Result<Self, VaultError> {
        let keys = [current]
            .into_iter()
            .chain(previous)
            .map(|secrets| {
                let bytes = secrets.bytes("personal data");
                let id = secrets.bytes("name of the key for personal data");
                Ok(Wrapping {
                    id: crate::keys::hex(id.get(..8).unwrap_or_default()),
                    key: key(&bytes)?,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            keys,
            names: current.derive("names of personal data"),
        })
    }

    /// A name that finds the same thing again and tells nothing about it.
    pub fn name(&self, parts: &[&str]) -> String {
        let mut text = Vec::new();
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            text.extend_from_slice(&length.to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        crate::keys::hex(hmac::sign(&self.names, &text).as_ref())
    }

    /// Which key seals now.
    pub fn key_id(&self) -> &str {
        self.keys.first().map_or("", |first| &first.id)
    }

    /// Seals data of a row.
    pub fn seal(&self, row: &str, plain: &[u8]) -> Result<Sealed, VaultError> {
        let mut row_key = [0u8; KEY_BYTES];
        rand::rng().fill_bytes(&mut row_key);
        Ok(Sealed {
            data: seal(&key(&row_key)?, row, plain)?,
            ..self.wrap(row, &row_key)?
        })
    }

    /// Opens data of a row.
    pub fn open(&self, row: &str, sealed: &Sealed) -> Result<Vec<u8>, VaultError> {
        open(&key(&self.unwrap(row, sealed)?)?, row, &sealed.data)
    }

    /// Wraps a row's key anew, under the key of now.
    pub fn rewrap(&self, row: &str, sealed: &Sealed) -> Result<Sealed, VaultError> {
        Ok(Sealed {
            data: sealed.data.clone(),
            ..self.wrap(row, &self.unwrap(row, sealed)?)?
        })
    }

    fn wrap(&self, row: &str, row_key: &[u8]) -> Result<Sealed, VaultError> {
        let first = self.keys.first().ok_or(VaultError::Broken)?;
        Ok(Sealed {
            key_id: first.id.clone(),
            wrapped_key: seal(&first.key, row, row_key)?,
            data: Vec::new(),
        })
    }

    fn unwrap(&self, row: &str, sealed: &Sealed) -> Result<Vec<u8>, VaultError> {
        let by = self
            .keys
            .iter()
            .find(|wrapping| wrapping.id == sealed.key_id);
        let by = by.ok_or_else(|| VaultError::Key(sealed.key_id.clone()))?;
        open(&by.key, row, &sealed.wrapped_key)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_row_and_key_only() {
        let (old, new) = (Secrets::new(b"old"), Secrets::new(b"new"));
        let before = Vault::new(&old, &[]).unwrap();
        let sealed = before.seal("mem_1", b"secret").unwrap();
        assert!(!sealed.data.windows(6).any(|part| part == b"secret"));
        assert_eq!(before.open("mem_1", &sealed).unwrap(), b"secret");
        assert!(before.open("mem_2", &sealed).is_err());
        let mut changed = sealed.clone();
        changed.data[NONCE_LEN] ^= 1;
        assert!(before.open("mem_1", &changed).is_err());

        // A new master key opens nothing of the old one's, unless it is told of it.
        let alone = Vault::new(&new, &[]).unwrap();
        assert!(matches!(
            alone.open("mem_1", &sealed),
            Err(VaultError::Key(_))
        ));
        let after = Vault::new(&new, &[old]).unwrap();
        let rewrapped = after.rewrap("mem_1", &sealed).unwrap();
        assert_eq!(rewrapped.data, sealed.data);
        assert_eq!(rewrapped.key_id, after.key_id());
        assert_eq!(alone.open("mem_1", &rewrapped).unwrap(), b"secret");
    }
}
