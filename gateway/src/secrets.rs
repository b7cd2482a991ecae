//! Secrets that follow from one: the master key.
//!
//! Each purpose has a key of its own, `HMAC-SHA256(master, purpose)`, so nothing that is derived
//! needs to be stored, and one purpose's key tells nothing about another's. The master key is a
//! file; without one it is derived from the first issuer's key, which every replica has too.

use aws_lc_rs::hmac;
use std::fmt;

/// The master key.
#[derive(Clone)]
pub struct Secrets(hmac::Key);

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// From the master key.
    pub fn new(master: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, master))
    }

    /// The key for a purpose.
    pub fn derive(&self, purpose: &str) -> hmac::Key {
        let key = hmac::sign(&self.0, purpose.as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_have_keys_of_their_own_and_none_is_shown() {
        let secrets = Secrets::new(b"master");
        let sign = |purpose: &str| hmac::sign(&secrets.derive(purpose), b"text");
        assert_eq!(sign("a").as_ref(), sign("a").as_ref());
        assert_ne!(sign("a").as_ref(), sign("b").as_ref());
        assert_eq!(format!("{secrets:?}"), "Secrets(…)");
    }
}
