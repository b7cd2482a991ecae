//! A node's secrets at rest: encrypted under its operator's passphrase, never printed.
//!
//! | file | what |
//! |---|---|
//! | `passphrase` | from a file, the environment or a terminal |
//! | `envelope` | how every sealed file looks, and the key that opens it |
//! | `file` | reading with a limit; writing so that a crash leaves the old file or the new one |
//! | `keystore` | `keys.json`: the identity, and the share that the first dealing gave |
//! | `store` | `secrets.json`: what the ceremonies of each epoch gave |
//!
//! ```txt
//! passphrase ──scrypt──> 32 bytes: key ──AES-256-GCM-SIV──> sealed plaintext
//!                        16 bytes: check, kept in the file: tells a wrong passphrase from damage
//! ```
//!
//! A sealed file is JSON, mode 0600:
//!
//! ```json
//! {
//!   "kind": "mileverse/keys",          // or mileverse/secrets
//!   "version": 1,
//!   "identity": "0x…",                 // ed25519 public key of the node, 32 bytes
//!   "chain": "0x…",                    // genesis hash; zero in keys.json
//!   "scryptLogN": 17,                  // N = 2^17, r = 8, p = 1
//!   "salt": "0x…",                     // 32 bytes, random, one per file
//!   "check": "0x…",                    // 16 bytes
//!   "nonce": "0x…",                    // 12 bytes, random, one per write
//!   "sealed": "0x…"                    // ciphertext ‖ tag (16)
//! }
//! ```
//!
//! Everything but `nonce` and `sealed` is bound to the ciphertext as associated data, so that none
//! of it can be exchanged. Limits: files of [`MAX_FILE_BYTES`], passphrases of
//! [`MAX_PASSPHRASE_BYTES`], scrypt costs of [`Cost::LEAST`] to [`Cost::MOST`].
//!
//! Sources: scrypt, RFC 7914. AES-GCM-SIV, RFC 8452: a repeated nonce would only show that the same
//! text was written twice.

mod envelope;
mod file;
mod keystore;
mod passphrase;
mod store;

pub use envelope::Cost;
pub use file::MAX_FILE_BYTES;
pub use keystore::ValidatorKeys;
pub use passphrase::{MAX_PASSPHRASE_BYTES, Passphrase, VARIABLE};
pub use store::{Secrets, Setup};

use mileverse_primitives::B256;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What is wrong with a sealed file or its passphrase.
#[derive(Debug, Error)]
pub enum SecretError {
    /// Cannot be read.
    #[error("{path} cannot be read: {source}; check the path and its permissions")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Cannot be written.
    #[error("{path} cannot be written: {source}; check the directory and its free space")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Never overwritten.
    #[error("{0} is there already; keys are never overwritten, choose another place")]
    Exists(PathBuf),
    /// Not a sealed file of the expected kind.
    #[error("{path} is not a {kind} file: {reason}")]
    Format {
        /// Which file.
        path: PathBuf,
        /// What it should be.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Another passphrase sealed it.
    #[error("the passphrase does not open {0}; give the one that it was made with")]
    WrongPassphrase(PathBuf),
    /// Right passphrase, wrong bytes.
    #[error("{0} is damaged; restore it from a backup")]
    Damaged(PathBuf),
    /// Another node's file.
    #[error(
        "{path} belongs to the node {found}, this one is {expected}; use the data_dir of this node"
    )]
    OtherIdentity {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        found: B256,
        /// Whose it should be.
        expected: B256,
    },
    /// Another network's file.
    #[error(
        "{path} belongs to the network with genesis {found}, not {expected}; use another data_dir or the right genesis file"
    )]
    OtherChain {
        /// Which file.
        path: PathBuf,
        /// Its network.
        found: B256,
        /// The configured one.
        expected: B256,
    },
    /// No passphrase anywhere.
    #[error(
        "no passphrase was given; name a file with --passphrase-file or passphrase_file, set {VARIABLE}, or start from a terminal"
    )]
    NoPassphrase,
    /// An empty or endless passphrase.
    #[error("a passphrase has 1 to {MAX_PASSPHRASE_BYTES} bytes")]
    PassphraseLength,
    /// Typed two different ones.
    #[error("the two passphrases differ; nothing was written")]
    PassphrasesDiffer,
    /// Others may read it.
    #[error("{0} may be read by others; allow it to its owner only (chmod 600)")]
    Permissions(PathBuf),
    /// A cost that is not one.
    #[error(
        "the scrypt cost {0} is out of range, use {least} to {most}",
        least = Cost::LEAST,
        most = Cost::MOST
    )]
    Cost(u8),
    /// The system's cryptography refused.
    #[error("{0} could not be sealed")]
    Seal(PathBuf),
}

/// Which of the sealed files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sealed {
    /// `keys.json`.
    Keys,
    /// `secrets.json`.
    Secrets,
}

/// Seals a file anew under another passphrase, atomically; whether there was anything to do. A file
/// that the new passphrase opens already is left alone, so that doing it twice is no error. The node
/// must not run meanwhile.
pub fn reseal(
    path: &Path,
    which: Sealed,
    old: &Passphrase,
    new: &Passphrase,
    cost: Cost,
) -> Result<bool, SecretError> {
    let kind = match which {
        Sealed::Keys => envelope::Kind::Keys,
        Sealed::Secrets => envelope::Kind::Secrets,
    };
    let text = file::read(path)?;
    let (sealer, plaintext) = match envelope::Sealer::open(path, &text, kind, old) {
        Err(error @ SecretError::WrongPassphrase(_)) => {
            return match envelope::Sealer::open(path, &text, kind, new) {
                Ok(_) => Ok(false),
                Err(_) => Err(error),
            };
        }
        opened => opened?,
    };
    let next = envelope::Sealer::new(path, sealer.label(), new, cost)?;
    file::replace(path, &next.seal(&plaintext)?)?;
    Ok(true)
}
