//! The operator's passphrase: from a file, the environment, or a terminal; in this order.
//!
//! One trailing line break is dropped. A file that others may read is refused. The text is wiped
//! from memory when it is dropped, and no `Debug` shows it.

use super::{SecretError, file};
use secrecy::{ExposeSecret as _, SecretString};
use std::{io::IsTerminal as _, os::unix::fs::PermissionsExt as _, path::Path};
use zeroize::Zeroizing;

/// Longest passphrase, bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;
/// The environment variable that may hold it.
pub const VARIABLE: &str = "MILEVERSE_PASSPHRASE";

/// Bits of a random passphrase: as strong as the cipher.
const RANDOM_BYTES: usize = 32;

/// What seals a node's files.
#[derive(Clone)]
pub struct Passphrase(SecretString);

impl Passphrase {
    /// Checks a passphrase's length.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        let text = text
            .strip_suffix('\n')
            .map(|text| text.strip_suffix('\r').unwrap_or(text))
            .unwrap_or(text);
        if text.is_empty() || text.len() > MAX_PASSPHRASE_BYTES {
            return Err(SecretError::PassphraseLength);
        }
        Ok(Self(SecretString::from(text)))
    }

    /// From `file`, or else from [`VARIABLE`], or else typed at a terminal.
    pub fn find(file: Option<&Path>) -> Result<Self, SecretError> {
        Self::sources(file, || Self::new(&typed("Passphrase: ")?))
    }

    /// As [`Self::find`], for sealing something new: a terminal asks twice.
    pub fn choose(file: Option<&Path>) -> Result<Self, SecretError> {
        Self::sources(file, || {
            let first = typed("New passphrase: ")?;
            if first != typed("The same again: ")? {
                return Err(SecretError::PassphrasesDiffer);
            }
            Self::new(&first)
        })
    }

    fn sources(
        file: Option<&Path>,
        ask: impl FnOnce() -> Result<Self, SecretError>,
    ) -> Result<Self, SecretError> {
        if let Some(path) = file {
            return Self::read(path);
        }
        match std::env::var(VARIABLE) {
            Ok(text) => Self::new(&Zeroizing::new(text)),
            Err(_) if std::io::stdin().is_terminal() => ask(),
            Err(_) => Err(SecretError::NoPassphrase),
        }
    }

    /// From a file that only its owner may read.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let text = Zeroizing::new(file::read(path)?);
        let mode = std::fs::metadata(path)
            .map_err(|source| SecretError::Read {
                path: path.into(),
                source,
            })?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(SecretError::Permissions(path.into()));
        }
        Self::new(&text)
    }

    /// Makes a random passphrase and writes it to a new file with mode 0600.
    pub fn random_file(path: &Path) -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new([0u8; RANDOM_BYTES]);
        aws_lc_rs::rand::fill(&mut bytes[..]).map_err(|_| SecretError::Seal(path.into()))?;
        let text = Zeroizing::new(alloy::hex::encode(bytes.as_slice()));
        file::create(path, &text)?;
        Self::new(&text)
    }

    /// The text, for the one function that needs it.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

fn typed(prompt: &str) -> Result<Zeroizing<String>, SecretError> {
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|_| SecretError::NoPassphrase)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    #[test]
    fn one_line_break_is_dropped_and_lengths_are_limited() {
        for text in ["a b", "a b\n", "a b\r\n"] {
            assert_eq!(Passphrase::new(text).unwrap().expose(), b"a b");
        }
        assert_eq!(Passphrase::new("a\n\n").unwrap().expose(), b"a\n");
        let long = "x".repeat(MAX_PASSPHRASE_BYTES + 1);
        for bad in ["", "\n", "\r\n", &long] {
            assert!(matches!(
                Passphrase::new(bad),
                Err(SecretError::PassphraseLength)
            ));
        }
    }

    #[test]
    fn a_file_for_everybody_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passphrase");
        let made = Passphrase::random_file(&path).unwrap();
        assert_eq!(Passphrase::read(&path).unwrap().expose(), made.expose());
        assert!(matches!(
            Passphrase::random_file(&path),
            Err(SecretError::Exists(_))
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            Passphrase::find(Some(&path)),
            Err(SecretError::Permissions(_))
        ));
    }

    #[test]
    fn two_random_passphrases_differ() {
        let directory = tempfile::tempdir().unwrap();
        let one = Passphrase::random_file(&directory.path().join("one")).unwrap();
        let two = Passphrase::random_file(&directory.path().join("two")).unwrap();
        assert_ne!(one.expose(), two.expose());
    }
}
