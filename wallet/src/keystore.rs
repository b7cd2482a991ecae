//! Private keys at rest: eth-keystore files, version 3, as geth and Foundry write and read them.
//!
//! A new file is created for its owner alone (mode 0600) and never replaces another. A file is
//! looked at before it is decrypted (size, key length, cost of the password function), because
//! the decryption itself trusts those numbers. Passwords lose one trailing line break and must
//! not be empty; at most [`MAX_PASSWORD_LENGTH`] bytes are read.

use alloy::signers::{
    k256::elliptic_curve::rand_core::OsRng,
    local::{LocalSignerError, PrivateKeySigner},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Largest keystore file that is read.
pub const MAX_FILE_LENGTH: u64 = 16 * 1024;
/// Longest password.
pub const MAX_PASSWORD_LENGTH: u64 = 1024;
/// Most rounds of scrypt (N) that a file may ask for: about a gigabyte of work.
const MAX_SCRYPT_N: u64 = 1 << 20;
/// Most rounds of PBKDF2 that a file may ask for.
const MAX_PBKDF2_ROUNDS: u64 = 10_000_000;
const PASSWORD_VARIABLE: &str = "MILEVERSE_PASSWORD";

/// What is wrong with a key, its file or its password.
#[derive(Debug, Error)]
pub enum KeystoreError {
    /// Cannot be read.
    #[error("the file {path} cannot be read ({source}); check the path")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Cannot be written.
    #[error("the file {path} cannot be written ({source}); choose another place")]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Never overwritten.
    #[error("the file {0} is there already; choose another name, keys are never overwritten")]
    Exists(PathBuf),
    /// Not a keystore of this kind.
    #[error(
        "{path} is not a version 3 keystore file ({reason}); make one with `mileverse wallet new`"
    )]
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The password does not open it.
    #[error("the password does not open {0}; check the password file or {PASSWORD_VARIABLE}")]
    Password(PathBuf),
    /// No password anywhere.
    #[error("no password was given; use --password-file or set {PASSWORD_VARIABLE}")]
    PasswordMissing,
    /// An empty or endless password.
    #[error("the password must have 1 to {MAX_PASSWORD_LENGTH} bytes")]
    PasswordLength,
    /// Not a private key.
    #[error("{0} does not hold a private key; it must be 64 hex digits, with or without 0x")]
    PrivateKey(PathBuf),
}

/// Makes a new random key and stores it, encrypted, as `path`.
pub fn create(path: &Path, password: &str) -> Result<PrivateKeySigner, KeystoreError> {
    let signer = PrivateKeySigner::random();
    store(path, password, &signer)?;
    Ok(signer)
}

/// Stores a key, encrypted, as `path`, which must not exist.
pub fn store(path: &Path, password: &str, signer: &PrivateKeySigner) -> Result<(), KeystoreError> {
    check_password(password)?;
    let write = |source| KeystoreError::Write {
        path: path.to_owned(),
        source,
    };
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| write(io::ErrorKind::InvalidFilename.into()))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(KeystoreError::Exists(path.to_owned()));
        }
        Err(source) => return Err(write(source)),
    }
    // The file exists now with the right mode; what follows only fills it.
    PrivateKeySigner::encrypt_keystore(
        directory,
        &mut OsRng,
        signer.to_bytes(),
        password,
        Some(name),
    )
    .map(|_| ())
    .map_err(|error| write(io::Error::other(error.to_string())))
}

/// Opens the keystore file `path`.
pub fn open(path: &Path, password: &str) -> Result<PrivateKeySigner, KeystoreError> {
    check_password(password)?;
    let text = read(path, MAX_FILE_LENGTH)?;
    check_format(path, &text)?;
    PrivateKeySigner::decrypt_keystore(path, password).map_err(|error| match error {
        LocalSignerError::EthKeystoreError(_) => KeystoreError::Password(path.to_owned()),
        other => KeystoreError::Format {
            path: path.to_owned(),
            reason: other.to_string(),
        },
    })
}

/// Reads a plain private key (64 hex digits) from a file.
pub fn read_private_key(path: &Path) -> Result<PrivateKeySigner, KeystoreError> {
    let text = read(path, 256)?;
    text.trim()
        .parse()
        .map_err(|_| KeystoreError::PrivateKey(path.to_owned()))
}

/// The password from `file`, or else from the environment variable `MILEVERSE_PASSWORD`.
pub fn password(file: Option<&Path>) -> Result<String, KeystoreError> {
    let mut text = match file {
        Some(path) => read(path, MAX_PASSWORD_LENGTH.saturating_add(2))?,
        None => std::env::var(PASSWORD_VARIABLE).map_err(|_| KeystoreError::PasswordMissing)?,
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    check_password(&text)?;
    Ok(text)
}

fn check_password(password: &str) -> Result<(), KeystoreError> {
    let length = u64::try_from(password.len()).unwrap_or(u64::MAX);
    if length == 0 || length > MAX_PASSWORD_LENGTH {
        return Err(KeystoreError::PasswordLength);
    }
    Ok(())
}

/// Refuses a name that is taken, before anybody writes down words for it.
pub fn check_free(path: &Path) -> Result<(), KeystoreError> {
    if path.exists() {
        return Err(KeystoreError::Exists(path.to_owned()));
    }
    Ok(())
}

/// Reads a small text file.
pub(crate) fn read(path: &Path, limit: u64) -> Result<String, KeystoreError> {
    let failed = |source| KeystoreError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(limit.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(failed)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > limit {
        return Err(failed(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {limit} bytes"),
        )));
    }
    Ok(text)
}

/// Refuses what the decryption would trust blindly.
fn check_format(path: &Path, text: &str) -> Result<(), KeystoreError> {
    let refuse = |reason: &str| KeystoreError::Format {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| refuse(&error.to_string()))?;
    let number = |pointer: &str| json.pointer(pointer).and_then(serde_json::Value::as_u64);
    let hex_bytes = |pointer: &str| {
        json.pointer(pointer)
            .and_then(serde_json::Value::as_str)
            .map(|text| text.trim_start_matches("0x").len() / 2)
    };
    if number("/version") != Some(3) {
        return Err(refuse("its version is not 3"));
    }
    if number("/crypto/kdfparams/dklen") != Some(32) {
        return Err(refuse("its derived key is not 32 bytes long"));
    }
    if hex_bytes("/crypto/cipherparams/iv") != Some(16) {
        return Err(refuse("its initial vector is not 16 bytes long"));
    }
    if hex_bytes("/crypto/ciphertext") != Some(32) {
        return Err(refuse("its secret is not 32 bytes long"));
    }
    let scrypt = number("/crypto/kdfparams/n").unwrap_or(0);
    let pbkdf2 = number("/crypto/kdfparams/c").unwrap_or(0);
    let small = |pointer: &str| number(pointer).unwrap_or(1) <= 16;
    if scrypt > MAX_SCRYPT_N
        || pbkdf2 > MAX_PBKDF2_ROUNDS
        || !small("/crypto/kdfparams/r")
        || !small("/crypto/kdfparams/p")
    {
        return Err(refuse("its password function costs too much"));
    }
    Ok(())
}

/// Creates the directory that a new key file goes into.
pub fn create_directory(path: &Path) -> Result<(), KeystoreError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            fs::create_dir_all(parent).map_err(|source| KeystoreError::Write {
                path: parent.to_owned(),
                source,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_comes_back_and_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.json");
        let signer = create(&path, "secret").unwrap();
        assert_eq!(open(&path, "secret").unwrap().address(), signer.address());
        assert!(matches!(
            open(&path, "other"),
            Err(KeystoreError::Password(_))
        ));
        assert!(matches!(
            create(&path, "secret"),
            Err(KeystoreError::Exists(_))
        ));
        assert_eq!(open(&path, "secret").unwrap().address(), signer.address());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }

    #[test]
    fn every_damaged_file_is_a_sentence() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.json");
        create(&path, "secret").unwrap();
        let good: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for (pointer, value) in [
            ("/version", serde_json::json!(1)),
            ("/crypto/kdfparams/dklen", serde_json::json!(8)),
            ("/crypto/kdfparams/n", serde_json::json!(1u64 << 40)),
            ("/crypto/kdfparams/r", serde_json::json!(4096)),
            ("/crypto/cipherparams/iv", serde_json::json!("00")),
            ("/crypto/ciphertext", serde_json::json!("00")),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            fs::write(&path, bad.to_string()).unwrap();
            assert!(
                matches!(open(&path, "secret"), Err(KeystoreError::Format { .. })),
                "{pointer}"
            );
        }
        fs::write(&path, "{").unwrap();
        assert!(matches!(
            open(&path, "secret"),
            Err(KeystoreError::Format { .. })
        ));
        fs::write(&path, " ".repeat(20_000)).unwrap();
        assert!(matches!(
            open(&path, "secret"),
            Err(KeystoreError::Read { .. })
        ));
        let missing = directory.path().join("none.json");
        assert!(matches!(
            open(&missing, "secret"),
            Err(KeystoreError::Read { .. })
        ));
    }

    #[test]
    fn a_password_file_loses_one_line_break_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        for (text, expected) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a b", "a b"),
            ("a\n\n", "a\n"),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(password(Some(&path)).unwrap(), expected);
        }
        fs::write(&path, "\n").unwrap();
        assert!(matches!(
            password(Some(&path)),
            Err(KeystoreError::PasswordLength)
        ));
    }

    #[test]
    fn a_private_key_file_is_read_with_or_without_its_prefix() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("raw");
        let signer = PrivateKeySigner::random();
        for text in [
            format!("{}\n", signer.to_bytes()),
            alloy::hex::encode(signer.to_bytes()),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(read_private_key(&path).unwrap().address(), signer.address());
        }
        for bad in ["", "zz", "0x1234", &"0".repeat(64)] {
            fs::write(&path, bad).unwrap();
            assert!(
                matches!(read_private_key(&path), Err(KeystoreError::PrivateKey(_))),
                "{bad}"
            );
        }
    }
}
